//! The page that holds a message which could not be sent.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::ui::html::escaped;

/// A message that could not be sent, and where it was to go.
#[derive(Debug, Clone, Default)]
pub(in crate::chat) struct Unsent {
    pub text: String,
    /// Hidden fields that say where it goes: name and value.
    pub place: Vec<(&'static str, String)>,
}

#[expect(non_snake_case, reason = "a view, named as components are")]
pub(in crate::chat) fn KeptMessage(
    message: String,
    unsent: Unsent,
    signed_out: bool,
) -> impl IntoView {
    let title = if signed_out { "Your session has ended" } else { "Your message was not sent" };
    let advice = if signed_out {
        "Your message is kept below. Sign in again in a new tab, then come back and send it."
    } else {
        "Your message is kept below. Change it if need be, and send it again."
    };
    let field = |(name, value)| view! { <input type="hidden" name=name value=value /> };
    let place = unsent.place.into_iter().map(field).collect_view();
    let login = signed_out.then(|| {
        view! {
            <a class="button" href="/auth/login" target="_blank" rel="nofollow">
                "Sign in again"
            </a>
        }
    });
    view! {
        <Title text=title />
        <main id="main" class="page error-page" data-width="narrow" tabindex="-1">
            <h1>{title}</h1>
            <p>{message}</p>
            <p>{advice}</p>
            <form class="field" method="post" action="/chat">
                {place} <label for="kept">"Your message"</label>
                <textarea
                    id="kept"
                    name="text"
                    rows="6"
                    dir="auto"
                    inner_html=escaped(&unsent.text)
                ></textarea>
                <div class="actions">
                    {login} <button class="button" data-variant="primary">
                        "Send again"
                    </button>
                </div>
            </form>
        </main>
    }
}
