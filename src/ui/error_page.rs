//! The page that says what happened, what was kept and what to do next.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{error::Kind, server::context};

/// An error as a page. `request_id` is what the log knows it by.
#[expect(non_snake_case, reason = "a view, named as components are")]
pub fn ErrorPage(kind: Kind, status: u16, message: String, request_id: String) -> impl IntoView {
    let title = title(kind);
    view! {
        <Title text=title />
        <main id="main" class="page error-page" data-width="narrow" tabindex="-1">
            <p class="code-number">{format!("Error {status}")}</p>
            <h1>{title}</h1>
            <p>{message}</p>
            <div class="actions">
                {remedy(kind)}
                <a class="button" href="/">
                    "Go to the home page"
                </a>
            </div>
            <p class="trace">{format!("Request {request_id}")}</p>
        </main>
    }
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest | Kind::TooLarge | Kind::MethodNotAllowed | Kind::NotImplemented => {
            "That did not work"
        }
        Kind::Unauthenticated => "You are not signed in",
        Kind::Forbidden => "Not allowed",
        Kind::NotFound => "There is no such page",
        Kind::Conflict => "Something else came first",
        Kind::Internal => "Something went wrong",
        Kind::UnsupportedMedia => "Not taken here",
        Kind::TooManyRequests => "Too many requests",
        Kind::BadGateway | Kind::Unavailable | Kind::Timeout => "Not available right now",
    }
}

/// The next step that is likely to help, if there is one.
fn remedy(kind: Kind) -> Option<impl IntoView> {
    let address = context::with_parts(|parts| parts.uri.clone());
    let path = address.path().to_owned();
    let (href, label) = match kind {
        Kind::Unauthenticated => ("/auth/login".to_owned(), "Sign in again"),
        _ if path.starts_with("/auth/") => ("/auth/login".to_owned(), "Sign in again"),
        Kind::BadRequest | Kind::NotFound
            if path.starts_with("/data/") && address.query().is_some() =>
        {
            (path, "Show the whole list")
        }
        Kind::BadGateway | Kind::Unavailable | Kind::Timeout | Kind::Internal => {
            (address.path_and_query().map_or(path, ToString::to_string), "Try again")
        }
        _ => return None,
    };
    Some(view! {
        <a class="button" data-variant="primary" href=href rel="nofollow">
            {label}
        </a>
    })
}
