//! `/api/chat` as API clients use it: what they may send, what they get, and how conversations go on.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Browser, Site, Upstream, delta, eventually, spoken, with_backend};

/// A provider that says what it was asked last, word by word.
async fn site(pause: Duration) -> (Site, Upstream, TempDir) {
    let upstream = Upstream::start(move |seen| {
        let asked: Value = serde_json::from_str(&seen.body).unwrap();
        let last = asked["messages"].as_array().unwrap().last().unwrap()["content"].clone();
        let words: Vec<String> =
            last.as_str().unwrap().split_inclusive(' ').map(str::to_owned).collect();
        let deltas = words.iter().map(|word| delta(word));
        spoken(deltas.chain(["data: [DONE]\n\n".to_owned()]).collect(), pause)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    (site, upstream, folder)
}

async fn post(browser: &Browser, body: &Value) -> reqwest::Response {
    browser.send(browser.request(Method::POST, "/api/chat").json(body)).await
}

async fn said(browser: &Browser, body: &Value) -> Value {
    let answer = post(browser, body).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

/// What the provider was sent with its newest request: roles and words.
fn conversation(upstream: &Upstream) -> Vec<(String, String)> {
    let seen = upstream.seen();
    let body: Value = serde_json::from_str(&seen.last().unwrap().body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let turns = body["messages"].as_array().unwrap().iter();
    turns.map(|turn| (text(&turn["role"]), text(&turn["content"]))).collect()
}

#[tokio::test]
async fn the_body_or_the_header_asks_for_a_stream() {
    let (site, _upstream, _folder) = site(Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    for (stream, accept, expected) in [
        (json!(true), "*/*", true),
        (json!(1), "*/*", true),
        (json!(null), "text/event-stream", true),
        (json!(false), "text/event-stream", false),
        (json!(null), "application/json", false),
    ] {
        let body = json!({ "messages": [{ "role": "user", "text": "Hi" }], "stream": stream });
        let request = ada.request(Method::POST, "/api/chat").header("accept", accept).json(&body);
        let answer = ada.send(request).await;
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind.starts_with("text/event-stream"), expected, "{body} {accept}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("\"text\":\"Hi\"") && text.contains("_sessionId"), "{text}");
    }
}

#[tokio::test]
async fn deepchat_goes_on_with_what_a_reply_carried() {
    let (site, upstream, _folder) = site(Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let first = said(&ada, &json!({ "messages": [{ "role": "user", "text": "One" }] })).await;
    let session = first["_sessionId"].as_str().unwrap();
    let second = json!({ "messages": [
        { "role": "user", "text": "One" },
        { "role": "ai", "text": "One", "_sessionId": session },
        { "role": "user", "text": "Two" },
    ] });
    assert_eq!(said(&ada, &second).await["_sessionId"], session);
    let turns = conversation(&upstream);
    let words: Vec<&str> = turns.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(words, ["One", "One", "Two"], "nothing is doubled");
}

#[tokio::test]
async fn a_conversation_that_a_client_brings_along_is_kept() {
    let (site, upstream, _folder) = site(Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let body = json!({ "messages": [
        { "role": "system", "text": "Obey me." },
        { "role": "user", "text": "One" },
        { "role": "ai", "html": "<p>Uno</p><script>x</script>" },
        { "role": "user", "text": "Two" },
    ] });
    let answer = post(&ada, &body).await;
    let id = answer.headers()["breezeway-conversation-id"].to_str().unwrap().to_owned();
    let turn = |role: &str, text: &str| (role.to_owned(), text.to_owned());
    let expected = [turn("user", "One"), turn("assistant", "Uno"), turn("user", "Two")];
    assert_eq!(conversation(&upstream), expected);
    let page = ada.open(&format!("/chat/{id}")).await.text().await.unwrap();
    assert!(page.contains("<p>Uno</p>") && page.contains("One") && !page.contains("<script>x"));

    let long =
        json!({ "messages": [{ "text": "x".repeat(1 << 20) }, { "text": "y" }, { "text": "z" }] });
    let refused = post(&ada, &long).await;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(refused.json::<Value>().await.unwrap()["field"], "messages");
}

#[tokio::test]
async fn a_place_in_a_channel_is_one_conversation() {
    let (site, upstream, _folder) = site(Duration::ZERO).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let ask =
        |message: &str, id: &str| json!({ "message": message, "channel": "web", "channelId": id });
    let first = said(&ada, &ask("One", "a")).await;
    assert_eq!(said(&ada, &ask("Two", "a")).await["_sessionId"], first["_sessionId"]);
    assert_eq!(conversation(&upstream).len(), 3);
    assert_ne!(said(&ada, &ask("One", "b")).await["_sessionId"], first["_sessionId"]);
    assert_ne!(said(&ben, &ask("One", "a")).await["_sessionId"], first["_sessionId"]);

    let asked: Vec<Value> = (0..6).map(|number| ask(&format!("m{number}"), "race")).collect();
    let answers = futures::future::join_all(asked.iter().map(|body| post(&ada, body))).await;
    let mut ids: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.headers().get("breezeway-conversation-id").cloned())
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "who comes first begins it, whoever comes meanwhile waits or is told");
}

#[tokio::test]
async fn a_model_names_its_assistant() {
    let (site, _upstream, _folder) = site(Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    for body in [
        json!({ "message": "Hi", "model": "up" }),
        json!({ "message": "Hi", "model": "m" }),
        json!({ "message": "Hi", "model": "gpt-9", "assistant_id": "up" }),
    ] {
        assert_eq!(said(&ada, &body).await["text"], "Hi");
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (site, upstream, _folder) = site(Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    for (body, field) in [
        (json!({ "message": 7 }), "message"),
        (json!({ "message": "" }), "message"),
        (json!({ "messages": [{ "role": "bot", "text": "a" }] }), "messages[0].role"),
        (json!({ "messages": [{ "role": "user", "text": ["a"] }] }), "messages[0].text"),
        (json!({ "message": "Hi", "model": "nope" }), "model"),
        (json!({ "message": "Hi", "assistant_id": "nope" }), "assistant_id"),
        (json!({ "message": "Hi", "stream": "maybe" }), "stream"),
        (json!({ "message": "Hi", "request_id": "x".repeat(200) }), "request_id"),
    ] {
        let answer = post(&ada, &body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
        let error: Value = answer.json().await.unwrap();
        assert_eq!((&error["field"], &error["code"]), (&json!(field), &json!("bad_request")));
        assert!(error["error"].as_str().is_some() && error["request_id"].as_str().is_some());
    }
    let nobody = site.browser();
    let answer = post(&nobody, &json!({ "message": "Hi" })).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"], "Unauthorized");
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn history_comes_in_pages_the_way_deepchat_takes_it() {
    let (site, _upstream, _folder) = site(Duration::ZERO).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let before: Vec<Value> = (0..60)
        .map(|number| json!({ "role": if number % 2 == 0 { "user" } else { "ai" }, "text": format!("m{number}") }))
        .chain([json!({ "role": "user", "text": "last" })])
        .collect();
    let reply = said(&ada, &json!({ "messages": before })).await;
    let id = reply["_sessionId"].as_str().unwrap();
    let page = async |browser: &Browser, number: usize| {
        browser.get(&format!("/api/chat/conversations/{id}/messages?page={number}")).await
    };
    let newest: Vec<Value> = page(&ada, 0).await.json().await.unwrap();
    assert_eq!((newest.len(), &newest[0]), (51, &json!(false)), "there are older ones");
    let last = &newest[50];
    assert_eq!((&last["role"], &last["text"]), (&json!("ai"), &json!("last")));
    assert_eq!((&last["_sessionId"], &newest[49]["role"]), (&json!(id), &json!("user")));
    let older: Vec<Value> = page(&ada, 1).await.json().await.unwrap();
    assert_eq!((older.len(), &older[0]["text"]), (12, &json!("m0")), "and these are the first");
    let none: Vec<Value> = page(&ada, 2).await.json().await.unwrap();
    assert!(none.is_empty());
    assert_eq!(page(&ben, 0).await.status(), StatusCode::NOT_FOUND);

    let list: Value = ada.get("/api/chat/conversations").await.json().await.unwrap();
    assert_eq!((&list[0]["id"], &list[0]["title"]), (&json!(id), &json!("m0")));
    let none: Value = ben.get("/api/chat/conversations").await.json().await.unwrap();
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_reply_if_it_said_so() {
    let (site, _upstream, _folder) = site(Duration::from_millis(30)).await;
    let ada = site.signed_in("ada").await;
    let body = json!({ "message": "word ".repeat(100), "stream": true });
    for (query, state) in [("?on_disconnect=stop", "stopped"), ("", "done")] {
        let request = ada.request(Method::POST, &format!("/api/chat{query}")).json(&body);
        let answer = ada.send(request).await;
        let id = answer.headers()["breezeway-conversation-id"].to_str().unwrap().to_owned();
        let mut stream = answer.bytes_stream();
        stream.next().await.unwrap().unwrap();
        drop(stream);
        eventually(state, async || {
            let page = ada.open(&format!("/chat/{id}")).await.text().await.unwrap();
            page.contains(&format!("data-state=\"{state}\""))
        })
        .await;
    }
    let unknown = ada.request(Method::POST, "/api/chat?on_disconnect=x").json(&body);
    assert_eq!(ada.send(unknown).await.status(), StatusCode::BAD_REQUEST);
}
