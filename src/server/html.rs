//! Rendering a page outside the table of pages: error pages and answers to plain forms.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header, request::Parts},
    response::Response,
};
use leptos::prelude::*;

use super::{context, errors, security, state::App};
use crate::{app::shell, error::Error};

/// Renders `view` in the site's shell. `head` is that of the request that is being answered.
pub async fn page<V>(
    app: &App,
    head: Parts,
    status: StatusCode,
    view: impl Fn() -> V + Clone + Send + Sync + 'static,
) -> Response
where
    V: IntoView + 'static,
{
    let options = app.leptos.clone();
    let body = move || shell(options.clone(), view.clone());
    let render = leptos_axum::render_app_async_with_context(page_context(app), body);
    let mut response = render(bare(head)).await;
    *response.status_mut() = status;
    response
}

/// Renders `view` as the answer to an error, which is logged here.
pub async fn error_page<V>(
    app: &App,
    head: Parts,
    error: &Error,
    view: impl Fn() -> V + Clone + Send + Sync + 'static,
) -> Response
where
    V: IntoView + 'static,
{
    errors::log(error);
    page(app, head, errors::status(error.kind()), view).await
}

/// What every page finds in its context, and the policy for its scripts.
pub fn page_context(app: &App) -> impl Fn() + Clone + Send + Sync + 'static {
    let app = app.clone();
    move || {
        provide_context(app.clone());
        let nonce = leptos::nonce::use_nonce();
        if let Some((name, policy)) = nonce.and_then(|nonce| security::page_policy(&app, &nonce)) {
            context::set_header(name, policy);
        }
        context::set_header(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    }
}

fn bare(mut head: Parts) -> Request<Body> {
    head.method = Method::GET;
    Request::from_parts(head, Body::empty())
}
