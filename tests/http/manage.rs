//! What people do with their conversations: call them otherwise, pin them, delete them and think
//! better of it.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    feed,
    support::{Browser, eventually, location},
};

async fn titles(browser: &Browser) -> Vec<(String, bool)> {
    let list: Vec<Value> = browser.get("/api/chat/conversations").await.json().await.unwrap();
    let line = |value: &Value| {
        (value["title"].as_str().unwrap().to_owned(), value["pinned"].as_bool().unwrap())
    };
    list.iter().map(line).collect()
}

async fn act(browser: &Browser, action: &str, fields: &[(&str, &str)]) -> reqwest::Response {
    browser.post_form(&format!("/api/fn/chat/{action}"), fields).await
}

#[tokio::test]
async fn a_conversation_is_called_otherwise_and_pinned() {
    let (site, _upstream, _folder) = feed::site(&["Hi"], Duration::ZERO).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let first = feed::ask(&ada, "One", None).await;
    let second = feed::ask(&ada, "Two", None).await;
    let mut frames = feed::open(&ada, &first, "0.0.0").await;

    let fields = [("conversation", first.as_str()), ("title", "  A better\n name ")];
    let renamed = act(&ada, "rename", &fields).await;
    assert_eq!(location(&renamed).unwrap(), format!("/chat/{first}"));
    eventually("the page is told", async || {
        let frame = futures::StreamExt::next(&mut frames).await.unwrap();
        frame.0 == "title" && frame.1 == "A better name"
    })
    .await;
    act(&ada, "pin", &[("conversation", &first), ("pinned", "true")]).await;
    let list = titles(&ada).await;
    assert_eq!(list, [("A better name".to_owned(), true), ("Two".to_owned(), false)]);
    act(&ada, "pin", &[("conversation", &first), ("pinned", "false")]).await;
    assert_eq!(titles(&ada).await[0].0, "Two");

    for (action, field, value) in
        [("rename", "title", "Mine"), ("pin", "pinned", "true"), ("delete", "x", "")]
    {
        act(&ben, action, &[("conversation", &second), (field, value)]).await;
    }
    assert_eq!(titles(&ada).await[0], ("Two".to_owned(), false), "nobody else's to change");
    let long = "x".repeat(201);
    for title in ["", "  ", long.as_str()] {
        let request = ada
            .request(Method::POST, "/api/fn/chat/rename")
            .header("accept", "application/json")
            .form(&[("conversation", second.as_str()), ("title", title)]);
        assert_eq!(ada.send(request).await.status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(titles(&ada).await[0].0, "Two");
}

#[tokio::test]
async fn what_was_deleted_is_gone_and_can_be_had_back() {
    let pieces = vec!["word "; 100];
    let (site, _upstream, _folder) = feed::site(&pieces, Duration::from_millis(30)).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let id = feed::ask(&ada, "One", None).await;
    let mut open = feed::open(&ada, &id, "0.0.0").await;
    let deleted = act(&ada, "delete", &[("conversation", &id)]).await;
    eventually("open pages are told", async || {
        let frame = futures::StreamExt::next(&mut open).await.unwrap();
        frame.0 == "gone"
    })
    .await;
    assert_eq!(futures::StreamExt::next(&mut open).await, None);
    let after = location(&deleted).unwrap();
    assert_eq!(after, format!("/chat?deleted={id}"));
    let page = ada.open(&after).await.text().await.unwrap();
    assert!(page.contains("“One” was deleted") && page.contains("Undo"), "{page}");
    let other = ben.open(&after).await.text().await.unwrap();
    assert!(!other.contains("was deleted"), "{other}");

    for path in [
        format!("/chat/{id}"),
        format!("/chat/{id}/live"),
        format!("/api/chat/conversations/{id}/messages"),
        format!("/api/chat/conversations/{id}/feed"),
    ] {
        assert_eq!(ada.get(&path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let ask = json!({ "message": "More", "conversation_id": id });
    let refused = ada.send(ada.request(Method::POST, "/api/chat").json(&ask)).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    assert!(titles(&ada).await.is_empty());

    act(&ben, "restore", &[("conversation", &id)]).await;
    assert!(titles(&ada).await.is_empty(), "nobody else's to give back");
    let restored = act(&ada, "restore", &[("conversation", &id)]).await;
    assert_eq!(location(&restored).unwrap(), format!("/chat/{id}"));
    eventually("the reply was stopped", async || {
        let page = ada.open(&format!("/chat/{id}")).await.text().await.unwrap();
        page.contains("data-state=\"stopped\"") && page.contains("One")
    })
    .await;
}
