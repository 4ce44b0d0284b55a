//! What a feed's frames do to the document. The server writes all HTML; here it is only put in its
//! place, so the cost of an event does not grow with the length of the reply.

use std::cell::RefCell;

use leptos::prelude::document;
use web_sys::Element;

use super::sse::Event;
use crate::ui::browser;

/// The id of the element that holds the messages.
pub const TURNS: &str = "turns";

/// Does what a frame says.
pub fn apply(frame: &Event) {
    let data = frame.data.as_str();
    let (head, html) = data.split_once('\n').unwrap_or((data, ""));
    match frame.event.as_str() {
        "title" => entitle(data),
        "item" => list(data),
        "path" => keep_path(data),
        "turn" => turn(head, html),
        "foot" => foot(head, html),
        "text" => text(data),
        "block" => block(head, html),
        "html" => replace(head, html),
        "thought" => thought(data),
        "step" => step(data),
        _ => {}
    }
}

/// Whether nobody sees the page.
pub fn is_hidden() -> bool {
    document().hidden()
}

/// The run that is writing the last reply; empty when none is.
pub fn running() -> String {
    attribute(reply(), "data-run")
}

/// The id of the last message; empty when there is none.
pub fn last_message() -> String {
    attribute(last(), "id").strip_prefix("m-").unwrap_or_default().to_owned()
}

/// How far the last reply has come, in words.
pub fn outcome() -> String {
    attribute(last().and_then(|last| last.last_element_child()), "data-outcome")
}

/// Says below the reply that is being written that its words do not arrive at the moment.
pub fn show_waiting() {
    let writing = reply().and_then(|reply| reply.query_selector(".writing").ok().flatten());
    if let Some(writing) = writing {
        writing.set_text_content(Some("Reconnecting…"));
    }
}

fn attribute(element: Option<Element>, name: &str) -> String {
    element.and_then(|element| element.get_attribute(name)).unwrap_or_default()
}

fn turns() -> Option<Element> {
    document().get_element_by_id(TURNS)
}

fn last() -> Option<Element> {
    turns()?.last_element_child()
}

/// The reply that is being written, which is always the last. It and its parts are reached from the
/// end: a search would take longer with every block.
fn reply() -> Option<Element> {
    last().filter(|last| last.has_attribute("data-run"))
}

fn entitle(title: &str) {
    browser::set_title(title);
    browser::set_text(".conversation-bar h1", title);
    browser::set_attribute("#conversation-title", "value", title);
}

/// A conversation that has just begun can be changed.
pub fn name_conversation(id: &str) {
    browser::set_attribute(".conversation-menu [name=conversation]", "value", id);
    for kind in ["md", "json"] {
        let address = format!("/chat/{id}/export.{kind}");
        browser::set_attribute(&format!("[data-export={kind}]"), "href", &address);
    }
    // What it is was decided by its first message.
    browser::remove("label.temporary:not(:has(:checked))");
    browser::set_attribute("label.temporary input", "disabled", "");
    if let Ok(Some(button)) = document().query_selector(".menu-button") {
        let _ = button.remove_attribute("hidden");
    }
}

/// The conversation's line goes to the top of its part of the list.
fn list(item: &str) {
    browser::remove(".conversations li:has([aria-current])");
    let is_pinned = item.starts_with("<li data-pinned");
    browser::prepend(if is_pinned { "[data-day=pinned] ol" } else { "[data-day=today] ol" }, item);
}

thread_local! {
    /// Messages before those that the page shows, which are told because they changed.
    static EARLIER: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// After the first message come exactly the others.
fn keep_path(ids: &str) {
    let Some(turns) = turns() else { return };
    let mut ids = ids.split(' ');
    let first = ids.next().unwrap_or_default();
    let anchor = message(first);
    let shown = ids.clone().position(|id| message(id).is_some());
    let is_above = !first.is_empty() && anchor.is_none();
    let earlier = shown.filter(|_| is_above).unwrap_or_default();
    EARLIER.set(ids.clone().take(earlier).map(str::to_owned).collect());
    let mut next = match &anchor {
        Some(anchor) => anchor.next_element_sibling(),
        None => turns.first_element_child(),
    };
    let kept: Vec<&str> = ids.collect();
    while let Some(element) = next {
        next = element.next_element_sibling();
        if !element.id().strip_prefix("m-").is_some_and(|id| kept.contains(&id)) {
            element.remove();
        }
    }
}

fn message(id: &str) -> Option<Element> {
    document().get_element_by_id(&format!("m-{id}"))
}

fn turn(id: &str, html: &str) {
    match (message(id), turns()) {
        (Some(message), _) => message.set_outer_html(html),
        (None, Some(_)) if EARLIER.with_borrow(|earlier| earlier.iter().any(|one| one == id)) => {}
        (None, Some(turns)) => {
            let _ = turns.insert_adjacent_html("beforeend", html);
        }
        (None, None) => {}
    }
}

fn foot(head: &str, html: &str) {
    let (id, state) = head.split_once(' ').unwrap_or_default();
    let Some(message) = message(id) else { return };
    let _ = message.set_attribute("data-state", state);
    if state != "running" {
        let _ = message.remove_attribute("data-run");
        for selector in [".open", ".reasoning[hidden]"] {
            if let Ok(Some(element)) = message.query_selector(selector) {
                element.remove();
            }
        }
    }
    if let Some(foot) = message.last_element_child() {
        foot.set_outer_html(html);
    }
}

/// The open text: the last thing before the foot.
fn open() -> Option<Element> {
    let body = reply()?.last_element_child()?.previous_element_sibling()?;
    body.last_element_child().filter(|open| open.class_name() == "open")
}

/// Below the heading that names who replies.
fn thoughts() -> Option<Element> {
    reply()?
        .first_element_child()?
        .next_element_sibling()
        .filter(|thoughts| thoughts.class_name() == "reasoning")
}

/// The thoughts are folded as soon as there is something to read.
fn fold_thoughts() {
    if let Some(thoughts) = thoughts() {
        let _ = thoughts.remove_attribute("open");
    }
}

fn text(text: &str) {
    if let Some(open) = open() {
        if !open.has_child_nodes() {
            fold_thoughts();
        }
        let _ = open.append_with_str_1(text);
    }
}

fn block(length: &str, html: &str) {
    let Some(open) = open() else { return };
    let source = open.text_content().unwrap_or_default();
    let rest = source.get(length.parse().unwrap_or_default()..).unwrap_or_default();
    let _ = open.insert_adjacent_html("beforebegin", html);
    open.set_text_content(Some(rest));
}

/// Puts `html` after the first `keep` blocks, in the place of what followed them.
fn replace(keep: &str, html: &str) {
    fold_thoughts();
    let (Some(open), Ok(keep)) = (open(), keep.parse::<u32>()) else { return };
    let Some(body) = open.parent_element() else { return };
    while body.child_element_count() > keep + 1 {
        let Some(last) = open.previous_element_sibling() else { break };
        last.remove();
    }
    let _ = open.insert_adjacent_html("beforebegin", html);
}

fn thought(text: &str) {
    let Some(thoughts) = thoughts() else { return };
    let _ = thoughts.remove_attribute("hidden");
    if let Some(words) = thoughts.last_element_child() {
        let _ = words.append_with_str_1(text);
    }
}

fn step(html: &str) {
    fold_thoughts();
    if let Some(open) = open() {
        let _ = open.insert_adjacent_html("beforebegin", html);
    }
}
