//! The page that says what happened, what was kept and what to do next.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::error::Kind;

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
            <div class="actions">{actions(kind)}</div>
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
        Kind::BadGateway | Kind::Unavailable | Kind::Timeout => "Not available right now",
    }
}

fn actions(kind: Kind) -> impl IntoView {
    let may_help = matches!(
        kind,
        Kind::BadRequest | Kind::Forbidden | Kind::Unauthenticated | Kind::Unavailable
    );
    view! {
        {may_help
            .then(|| {
                view! {
                    <a class="button" data-variant="primary" href="/auth/login" rel="nofollow">
                        "Sign in again"
                    </a>
                }
            })}
        <a class="button" href="/">
            "Go to the first page"
        </a>
    }
}
