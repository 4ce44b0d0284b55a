//! The interactive piece of a list: it says that something is on its way.

use leptos::prelude::*;

/// Shows a slim bar from the moment a link or form of `children` is used until the next page is
/// there. A new tab does not count.
#[island]
pub fn ShowsLoading(children: Children) -> impl IntoView {
    let loading = RwSignal::new(false);
    let follow = move |event: leptos::ev::MouseEvent| {
        let plain = !(event.ctrl_key() || event.meta_key() || event.shift_key());
        if plain && leads_to_a_page(&event) {
            loading.set(true);
        }
    };
    view! {
        <div class="contents" on:click=follow on:submit=move |_| loading.set(true)>
            <div
                class="progress"
                role="progressbar"
                aria-label="Loading"
                hidden=move || !loading.get()
            ></div>
            {children()}
        </div>
    }
}

fn leads_to_a_page(event: &leptos::ev::MouseEvent) -> bool {
    use leptos::wasm_bindgen::JsCast;
    let target =
        event.target().and_then(|target| target.dyn_into::<leptos::web_sys::Element>().ok());
    let link =
        target.and_then(|target| target.closest("a[href^='/'], a[href^='?']").ok().flatten());
    link.is_some()
}
