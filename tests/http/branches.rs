//! Asking again, asking in other words, and paging through what came of it.

use std::time::Duration;

use axum::{body::Body, response::Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    feed::{self, Document},
    support::{Browser, Site, Upstream, eventually, with_backend},
};

/// A provider that says how often it was asked.
async fn site() -> (Site, Upstream, TempDir) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let upstream = Upstream::start(move |_| {
        let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let said = json!({ "choices": [{ "delta": { "content": format!("reply {count}") } }] });
        let body = Body::from(format!("data: {said}\n\ndata: [DONE]\n\n"));
        Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    (site, upstream, folder)
}

/// Asks and waits for the reply; answers the conversation and the reply's id.
async fn ask(browser: &Browser, body: Value) -> (String, String) {
    let answer = browser.send(browser.request(Method::POST, "/api/chat").json(&body)).await;
    assert_eq!(answer.status(), StatusCode::OK, "{body}");
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let names = (header("breezeway-conversation-id"), header("breezeway-message-id"));
    drop(answer.text().await);
    names
}

/// Sends one of a message's forms in the background, as the page does.
async fn act(browser: &Browser, action: &str, message: &str) -> reqwest::Response {
    let request = browser
        .request(Method::POST, &format!("/api/fn/chat/{action}"))
        .header("accept", "application/json");
    browser.send(request.form(&[("message", message)])).await
}

async fn page(browser: &Browser, conversation: &str) -> String {
    browser.open(&format!("/chat/{conversation}")).await.text().await.unwrap()
}

/// Roles and texts of the branch that is shown, with the ids.
async fn shown(browser: &Browser, conversation: &str) -> Vec<(String, String)> {
    let path = format!("/api/chat/conversations/{conversation}/messages");
    let list: Vec<Value> = browser.get(&path).await.json().await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.iter().map(|item| (text(&item["text"]), text(&item["id"]))).collect()
}

fn texts(messages: &[(String, String)]) -> Vec<&str> {
    messages.iter().map(|(text, _)| text.as_str()).collect()
}

/// What the provider was sent with its newest request.
fn sent(upstream: &Upstream) -> Vec<String> {
    let seen = upstream.seen();
    let body: Value = serde_json::from_str(&seen.last().unwrap().body).unwrap();
    let turns = body["messages"].as_array().unwrap().iter();
    turns.map(|turn| turn["content"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn asking_again_keeps_both_replies() {
    let (site, upstream, _folder) = site().await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let (conversation, first) = ask(&ada, json!({ "message": "One" })).await;
    assert_eq!(act(&ben, "regenerate", &first).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(act(&ada, "regenerate", &first).await.status(), StatusCode::OK);
    eventually("the second reply", async || {
        page(&ada, &conversation).await.contains("<p>reply 2</p>")
    })
    .await;
    assert_eq!(sent(&upstream), ["One"], "the first reply is no part of the second's question");
    let html = page(&ada, &conversation).await;
    assert!(html.contains("2/2") && !html.contains("<p>reply 1</p>"), "{html}");

    let (_, next) = ask(&ada, json!({ "message": "Two", "conversation_id": conversation })).await;
    assert_eq!(sent(&upstream), ["One", "reply 2", "Two"]);
    assert_eq!(act(&ben, "choose_branch", &first).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(act(&ada, "choose_branch", &first).await.status(), StatusCode::OK);
    let messages = shown(&ada, &conversation).await;
    assert_eq!(texts(&messages), ["One", "reply 1"]);
    assert!(page(&ada, &conversation).await.contains("1/2"));
    ask(&ada, json!({ "message": "Three", "conversation_id": conversation })).await;
    assert_eq!(sent(&upstream), ["One", "reply 1", "Three"]);

    // A branch is shown as far as it goes.
    let second = shown_before(&ada, &conversation, &next).await;
    assert_eq!(texts(&second), ["One", "reply 2", "Two", "reply 3"]);
}

/// The branch of a message, once it is chosen.
async fn shown_before(
    browser: &Browser,
    conversation: &str,
    message: &str,
) -> Vec<(String, String)> {
    assert_eq!(act(browser, "choose_branch", message).await.status(), StatusCode::OK);
    shown(browser, conversation).await
}

#[tokio::test]
async fn a_question_in_other_words_begins_a_branch() {
    let (site, upstream, _folder) = site().await;
    let ada = site.signed_in("ada").await;
    let (conversation, _) = ask(&ada, json!({ "message": "One" })).await;
    ask(&ada, json!({ "message": "Two", "conversation_id": conversation })).await;
    let before = shown(&ada, &conversation).await;
    let again = |text: &str, beside: &str| json!({ "message": text, "conversation_id": conversation, "beside": beside });
    ask(&ada, again("Two, but better", &before[2].1)).await;
    assert_eq!(sent(&upstream), ["One", "reply 1", "Two, but better"]);
    ask(&ada, again("One, but better", &before[0].1)).await;
    assert_eq!(sent(&upstream), ["One, but better"]);
    assert_eq!(texts(&shown(&ada, &conversation).await), ["One, but better", "reply 4"]);

    let back = shown_before(&ada, &conversation, &before[0].1).await;
    assert_eq!(texts(&back), ["One", "reply 1", "Two, but better", "reply 3"]);
    let html = page(&ada, &conversation).await;
    assert_eq!(html.matches("class=\"pager\"").count(), 2, "{html}");

    let edit = ada.open(&format!("/chat/{conversation}?edit={}", before[0].1)).await;
    let edit = edit.text().await.unwrap();
    assert!(edit.contains(&format!("name=\"beside\" value=\"{}\"", before[0].1)), "{edit}");
    assert!(edit.contains(">One</textarea>"), "{edit}");
    let wrong = again("x", &before[1].1);
    let wrong = ada.send(ada.request(Method::POST, "/api/chat").json(&wrong)).await;
    assert_eq!(wrong.status(), StatusCode::NOT_FOUND, "a reply is no question");
}

#[tokio::test]
async fn a_page_that_is_behind_is_told_and_nothing_is_asked() {
    let (site, upstream, _folder) = site().await;
    let ada = site.signed_in("ada").await;
    let (conversation, first) = ask(&ada, json!({ "message": "One" })).await;
    ask(&ada, json!({ "message": "Two", "conversation_id": conversation })).await;
    let stale = json!({
        "message": "Three", "conversation_id": conversation, "after": first, "request_id": "r",
    });
    let refused = ada.send(ada.request(Method::POST, "/api/chat").json(&stale)).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["field"], "after");
    assert!(error["error"].as_str().unwrap().contains("went on elsewhere"));
    assert_eq!((upstream.seen().len(), shown(&ada, &conversation).await.len()), (2, 4));

    let last = shown(&ada, &conversation).await.pop().unwrap().1;
    let rebased = json!({
        "message": "Three", "conversation_id": conversation, "after": last, "request_id": "r",
    });
    ask(&ada, rebased.clone()).await;
    // The answer was lost, and the same is sent again: it is behind now, and was heard all the same.
    ask(&ada, rebased).await;
    assert_eq!((upstream.seen().len(), shown(&ada, &conversation).await.len()), (3, 6));

    let fields =
        [("text", "Four"), ("conversation", conversation.as_str()), ("after", first.as_str())];
    let kept = ada.post_form("/chat", &fields).await;
    assert_eq!(kept.status(), StatusCode::CONFLICT);
    let kept = kept.text().await.unwrap();
    assert!(kept.contains(">Four</textarea>") && kept.contains("went on elsewhere"), "{kept}");
}

#[tokio::test]
async fn branches_stand_still_while_a_reply_is_written() {
    let (site, _upstream, _folder) = feed::site(&["a ", "b "], Duration::from_millis(400)).await;
    let ada = site.signed_in("ada").await;
    let conversation = feed::ask(&ada, "One", None).await;
    let messages = shown(&ada, &conversation).await;
    for (action, message) in [("regenerate", &messages[1].1), ("choose_branch", &messages[0].1)] {
        let refused = act(&ada, action, message).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT, "{action}");
    }
}

#[tokio::test]
async fn open_pages_follow_to_another_branch() {
    let (site, _upstream, _folder) = site().await;
    let ada = site.signed_in("ada").await;
    let (conversation, first) = ask(&ada, json!({ "message": "One" })).await;
    ask(&ada, json!({ "message": "Two", "conversation_id": conversation })).await;
    let mut document = Document::default();
    let mut at = "0.0.0".to_owned();
    let mut frames = feed::open(&ada, &conversation, &at).await;
    let mut settle = async |document: &mut Document| {
        let wait = Duration::from_millis(300);
        while let Ok(Some(frame)) =
            tokio::time::timeout(wait, futures::StreamExt::next(&mut frames)).await
        {
            document.apply(&frame);
            at = frame.2;
        }
    };
    settle(&mut document).await;
    assert_eq!(document.turns.len(), 4);
    act(&ada, "regenerate", &first).await;
    settle(&mut document).await;
    let replies = document.replies();
    assert!(replies.len() == 1 && replies[0].contains("reply 3"), "{document:?}");
    act(&ada, "choose_branch", &first).await;
    settle(&mut document).await;
    assert_eq!(document.turns.len(), 4);
    let html = page(&ada, &conversation).await;
    for (_, turn) in &document.turns {
        assert!(html.contains(turn.as_str()), "{turn}");
    }
}
