//! A page that waits for its data, and shows what went wrong where it belongs.

use leptos::prelude::*;

use super::error_page::ErrorPage;
use crate::{
    error::Result,
    server::{context, observe::RequestId},
};

/// Renders what `data` comes to; an error becomes the page, with its status.
pub fn awaited<V>(data: impl Future<Output = Result<V>> + Send + 'static) -> impl IntoView
where
    V: IntoView + 'static,
{
    // Boxed, since Leptos moves it about, and a page's future takes kilobytes.
    let data = Box::pin(data);
    Suspend::new(async move {
        match data.await {
            Ok(view) => view.into_any(),
            Err(error) => {
                let status = context::report(&error);
                let id = request_id();
                ErrorPage(error.kind(), status.as_u16(), error.message().to_owned(), id).into_any()
            }
        }
    })
}

/// The request's id, for people to quote.
pub fn request_id() -> String {
    context::with_parts(|parts| RequestId::of(&parts.headers).map(|id| id.to_string()))
        .unwrap_or_default()
}
