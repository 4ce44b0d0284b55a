//! Small services of the browser that islands use. On the server none of them is called.

use futures::{
    channel::oneshot,
    future::{Either, select},
};
use leptos::prelude::{document, request_animation_frame, set_timeout, window};
use std::{pin::pin, time::Duration};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlFormElement, Storage};

/// What is stored under `key` for this site, if the browser lets us look.
pub fn stored(key: &str) -> Option<String> {
    storage()?.get_item(key).ok()?
}

/// Stores `value` under `key`; an empty one is removed. A browser that refuses is left alone.
pub fn store(key: &str, value: &str) {
    let Some(storage) = storage() else { return };
    let _ = match value {
        "" => storage.remove_item(key),
        value => storage.set_item(key, value),
    };
}

/// Waits.
pub async fn sleep(milliseconds: u32) {
    let (done, waiting) = oneshot::channel();
    set_timeout(
        move || {
            let _ = done.send(());
        },
        Duration::from_millis(milliseconds.into()),
    );
    let _ = waiting.await;
}

/// Waits until what has changed in the document is drawn; answers how long that took, in milliseconds.
/// Out of sight nothing is, and the answer comes after a fifth of a second.
pub async fn drawn() -> u32 {
    let (done, waiting) = oneshot::channel();
    request_animation_frame(move || {
        let began = js_sys::Date::now();
        // What is asked for before a frame is done after it.
        set_timeout(
            move || {
                let _ = done.send((js_sys::Date::now() - began) as u32);
            },
            Duration::ZERO,
        );
    });
    match select(waiting, pin!(sleep(200))).await {
        Either::Left((took, _)) => took.unwrap_or_default(),
        Either::Right(_) => 0,
    }
}

/// A random id of 32 hexadecimal digits.
pub fn random_id() -> String {
    let mut bytes = [0; 16];
    if let Ok(crypto) = window().crypto() {
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Changes the address without leaving the page. A page within another site's keeps its own.
pub fn replace_address(path: &str) {
    let is_embedded = matches!(document().query_selector(".widget"), Ok(Some(_)));
    if let Ok(history) = window().history()
        && !is_embedded
    {
        let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(path));
    }
}

/// Changes the page's title.
pub fn set_title(title: &str) {
    document().set_title(&format!("{title} · Breezeway"));
}

/// Replaces the text of the element at `selector`, outside the island.
pub fn set_text(selector: &str, text: &str) {
    if let Ok(Some(element)) = document().query_selector(selector) {
        element.set_text_content(Some(text));
    }
}

/// Sets an attribute of every element at `selector`, outside the island.
pub fn set_attribute(selector: &str, name: &str, value: &str) {
    let Ok(elements) = document().query_selector_all(selector) else { return };
    for index in 0..elements.length() {
        if let Some(element) = elements.item(index).and_then(|node| node.dyn_into::<Element>().ok())
        {
            let _ = element.set_attribute(name, value);
        }
    }
}

/// Puts safe HTML first into the element at `selector`, outside the island.
pub fn prepend(selector: &str, html: &str) {
    if let Ok(Some(element)) = document().query_selector(selector) {
        let _ = element.insert_adjacent_html("afterbegin", html);
    }
}

/// Takes the first element at `selector` out of the document.
pub fn remove(selector: &str) {
    if let Ok(Some(element)) = document().query_selector(selector) {
        element.remove();
    }
}

/// Whether there is an element in the one with this id.
pub fn has_content(id: &str) -> bool {
    document().get_element_by_id(id).is_some_and(|element| element.child_element_count() > 0)
}

/// Takes everything out of the element with this id.
pub fn empty(id: &str) {
    if let Some(element) = document().get_element_by_id(id) {
        element.set_text_content(None);
    }
}

/// The form with this id.
pub fn form(id: &str) -> Option<HtmlFormElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

fn storage() -> Option<Storage> {
    window().local_storage().ok()?
}
