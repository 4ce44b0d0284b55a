//! Icons from the sprite.

use leptos::prelude::*;

/// The icon called `name` in `public/icons.svg`. It says nothing to screen readers: the words beside
/// it do.
#[component]
pub fn Icon(name: &'static str) -> impl IntoView {
    view! {
        <svg class="icon" aria-hidden="true">
            <use href=format!("/icons.svg#{name}")></use>
        </svg>
    }
}
