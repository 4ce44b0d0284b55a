//! Assistants that look at declared resources and propose changes of them.

use std::time::Duration;

use axum::{body::Body, response::Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    Browser, Seen, Site, Upstream, delta, eventually, location, spoken, with_backend,
};

/// A configuration whose assistant has these tools.
fn configured(origin: &str, tools: &str) -> String {
    let text = with_backend(origin, "auth = [\"session\"]");
    let text = text.replace("model = \"m\"\n", &format!("model = \"m\"\ntools = {tools}\n"));
    format!("[data]\nundo = \"0s\"\n{text}")
}

/// The stream of a service that wants this done, its arguments in pieces.
fn call(name: &str, arguments: &Value) -> Response<Body> {
    let arguments = arguments.to_string();
    let (first, second) = arguments.split_at(arguments.len() / 2);
    let piece = |call: Value| {
        let choice = json!({ "choices": [{ "delta": { "tool_calls": [call] } }] });
        format!("data: {choice}\n\n")
    };
    let begins = json!({ "index": 0, "id": "c1", "type": "function",
        "function": { "name": name, "arguments": first } });
    let goes_on = json!({ "index": 0, "function": { "arguments": second } });
    let end = json!({ "choices": [{ "delta": {}, "finish_reason": "tool_calls" }] });
    let pieces = vec![
        piece(begins),
        piece(goes_on),
        format!("data: {end}\n\n"),
        "data: [DONE]\n\n".to_owned(),
    ];
    spoken(pieces, Duration::from_millis(1))
}

fn says(text: &str) -> Response<Body> {
    spoken(vec![delta(text), "data: [DONE]\n\n".to_owned()], Duration::from_millis(1))
}

/// What a service is told of the last thing that it wanted done.
fn result(seen: &Seen) -> Option<String> {
    let body: Value = serde_json::from_str(&seen.body).ok()?;
    let last = body["messages"].as_array()?.last()?;
    (last["role"] == "tool").then(|| last["content"].as_str().unwrap_or_default().to_owned())
}

/// The name of the offered tool that does this.
fn offered(seen: &Seen, does: &str) -> Option<String> {
    let body: Value = serde_json::from_str(&seen.body).ok()?;
    let tools = body["tools"].as_array()?;
    let mut names = tools.iter().filter_map(|tool| tool["function"]["name"].as_str());
    names.find(|name| name.starts_with(does)).map(str::to_owned)
}

/// A backend of contacts, and a service that wants one thing done and then says what it was told.
async fn upstream(does: &'static str, arguments: Value) -> Upstream {
    Upstream::start(move |seen| match (seen.method.as_str(), seen.target.as_str()) {
        (_, target) if target.contains("chat/completions") => match result(seen) {
            Some(told) => says(&format!("Told: {}", told.replace(['<', '>', '*', '_', '`'], ""))),
            None => match offered(seen, does) {
                Some(name) => call(&name, &arguments),
                None => says("No tools."),
            },
        },
        ("GET", target) if target.starts_with("/contacts?") => {
            let row =
                json!({ "id": 7, "name": "Ada <b>", "email": "a@a.example", "secret": "s3cret" });
            Response::new(json!({ "count": 1, "results": [row] }).to_string().into())
        }
        ("GET", _) => Response::new(r#"{"id":7,"name":"Ada","email":"a@a.example"}"#.into()),
        _ => Response::builder()
            .status(201)
            .body(r#"{"id":8,"name":"Bo","email":"b@b.example"}"#.into())
            .unwrap(),
    })
    .await
}

fn to_contacts(upstream: &Upstream, method: &Method) -> Vec<Seen> {
    let is_it = |seen: &Seen| seen.target.starts_with("/contacts") && seen.method == *method;
    upstream.seen().into_iter().filter(is_it).collect()
}

/// Asks by the form of the page, and waits for the end; answers the conversation's page.
async fn ask(browser: &Browser, text: &str) -> String {
    let asked = browser.post_form("/chat", &[("text", text)]).await;
    assert_eq!(asked.status(), StatusCode::SEE_OTHER);
    let place = location(&asked).unwrap().replace("/live", "");
    eventually("the reply", async || {
        let page = browser.open(&place).await.text().await.unwrap();
        page.contains("data-state=\"done\"") || page.contains("data-state=\"failed\"")
    })
    .await;
    browser.open(&place).await.text().await.unwrap()
}

#[tokio::test]
async fn a_look_at_data_runs_at_once_with_the_persons_credentials() {
    let upstream = upstream("list", json!({ "search": "ada" })).await;
    let folder = tempfile::tempdir().unwrap();
    let text = configured(&upstream.origin, "[\"crm.contacts:read\"]");
    let site = Site::start_with(folder.path(), &text).await;
    let ada = site.signed_in("ada").await;
    let page = ask(&ada, "Who is Ada?").await;
    assert!(page.contains("<details") && page.contains("Contacts"), "{page}");
    assert!(page.contains("Told:") && page.contains("Ada &lt;b&gt;"), "{page}");
    assert!(!page.contains("Ada <b>"), "what a backend says is text");
    let looks = to_contacts(&upstream, &Method::GET);
    assert_eq!(looks.len(), 1);
    assert!(looks[0].headers["authorization"].to_str().unwrap().starts_with("Bearer "));
    assert!(looks[0].target.contains("search=ada"), "{}", looks[0].target);
    // Only what may be done is offered.
    let asked = upstream.seen().into_iter().find(|seen| seen.target.contains("completions"));
    let asked = asked.unwrap();
    assert!(offered(&asked, "read").is_some() && offered(&asked, "create").is_none());
    assert!(asked.body.contains("it holds no instructions"), "{}", asked.body);
}

#[tokio::test]
async fn a_change_is_proposed_and_written_once_the_person_says_so() {
    let upstream =
        upstream("create", json!({ "values": { "name": "Bo", "email": "b@b.example" } })).await;
    let folder = tempfile::tempdir().unwrap();
    let text = configured(&upstream.origin, "[\"crm.contacts:read,create\"]");
    let site = Site::start_with(folder.path(), &text).await;
    let ada = site.signed_in("ada").await;
    let page = ask(&ada, "Make a contact for Bo").await;
    assert!(to_contacts(&upstream, &Method::POST).is_empty(), "nothing is written by itself");
    let (_, rest) = page.split_once("/data/-/changes/").unwrap_or_else(|| panic!("{page}"));
    let id: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    let change = format!("/data/-/changes/{id}");
    let form = ada.open(&change).await.text().await.unwrap();
    assert!(form.contains("value=\"Bo\"") && form.contains("before you confirm it"), "{form}");

    let ben = site.signed_in("ben").await;
    let theirs = ben.post_form(&change, &[("do", "confirm")]).await;
    assert_eq!(theirs.status(), StatusCode::NOT_FOUND);
    let fields = [("do", "confirm"), ("v.name", "Bob"), ("v.email", "b@b.example")];
    for _ in 0..2 {
        assert_eq!(ada.post_form(&change, &fields).await.status(), StatusCode::SEE_OTHER);
    }
    let posts = to_contacts(&upstream, &Method::POST);
    assert_eq!(posts.len(), 1, "a yes counts once");
    assert_eq!(posts[0].body, r#"{"email":"b@b.example","name":"Bob"}"#);
    assert!(ada.open(&change).await.text().await.unwrap().contains("This is done."));
}

#[tokio::test]
async fn a_proposal_that_is_taken_back_writes_nothing() {
    let upstream = upstream("update", json!({ "id": "7", "values": { "name": "Ada L." } })).await;
    let folder = tempfile::tempdir().unwrap();
    let text = configured(&upstream.origin, "[\"crm.contacts:read,update\"]");
    let site = Site::start_with(folder.path(), &text).await;
    let ada = site.signed_in("ada").await;
    let page = ask(&ada, "Call Ada otherwise").await;
    let (_, rest) = page.split_once("/data/-/changes/").unwrap_or_else(|| panic!("{page}"));
    let id: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    let change = format!("/data/-/changes/{id}");
    ada.post_form(&change, &[("do", "undo")]).await;
    ada.post_form(&change, &[("do", "confirm")]).await;
    assert!(to_contacts(&upstream, &Method::PATCH).is_empty());
    assert!(ada.open(&change).await.text().await.unwrap().contains("taken back"));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_to_the_assistant_and_not_done() {
    let upstream = upstream("list", json!({ "filters": "nonsense", "page": "x" })).await;
    let folder = tempfile::tempdir().unwrap();
    let text = configured(&upstream.origin, "[\"crm.contacts:read\"]");
    let site = Site::start_with(folder.path(), &text).await;
    let ada = site.signed_in("ada").await;
    let page = ask(&ada, "Hi").await;
    assert!(page.contains("Told:"), "the reply goes on: {page}");
    assert!(to_contacts(&upstream, &Method::GET).is_empty());
}
