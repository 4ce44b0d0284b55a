//! Assistants behind services of every dialect: what is asked, what comes of the answer, and what
//! happens when a service is busy.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use axum::{body::Body, response::Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Browser, Seen, Site, Upstream};

/// A site with one assistant, `settings` of which say how `upstream` is spoken to.
async fn site(upstream: &Upstream, backend: &str, settings: &str) -> (Site, TempDir) {
    let text = format!(
        "[backends.up]\nurl = \"{}\"\n{backend}\n[chat]\ndefault = \"up\"\n\
         [assistants.up]\nbackend = \"up\"\n{settings}\n",
        upstream.origin
    );
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &text).await;
    (site, folder)
}

const OPENAI: &str = "provider = \"openai\"\nmodel = \"m\"\ntitles = false";
const DRUPAL: &str = "provider = \"drupal\"\nmodel = \"helper\"";

fn stream(body: impl Into<Body>) -> Response<Body> {
    Response::builder().header("content-type", "text/event-stream").body(body.into()).unwrap()
}

fn json_body(body: Value) -> Response<Body> {
    let body = body.to_string().into();
    Response::builder().header("content-type", "application/json").body(body).unwrap()
}

fn openai(text: &str) -> String {
    let choice = json!({ "choices": [{ "delta": { "content": text }, "finish_reason": "stop" }] });
    format!("data: {choice}\n\ndata: [DONE]\n\n")
}

fn asked(seen: &Seen) -> Value {
    serde_json::from_str(&seen.body).unwrap()
}

fn ask(browser: &Browser, body: &Value) -> reqwest::RequestBuilder {
    browser.request(Method::POST, "/api/chat").header("accept", "text/event-stream").json(body)
}

fn header(response: &reqwest::Response, name: &str) -> String {
    response.headers()[name].to_str().unwrap().to_owned()
}

/// The data of a stream's events, as API clients read it, without the conversation's id.
fn data(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|data| anonymous(serde_json::from_str(data).unwrap_or(Value::from(data)))).collect()
}

fn anonymous(mut reply: Value) -> Value {
    if let Some(reply) = reply.as_object_mut() {
        reply.remove("_sessionId");
    }
    reply
}

/// A refusal, and the conversation's page after it.
async fn refused(ada: &Browser, message: &str) -> (u16, Value, String) {
    let answer = ada.send(ask(ada, &json!({ "message": message }))).await;
    let status = answer.status().as_u16();
    let conversation = header(&answer, "breezeway-conversation-id");
    let body = answer.json().await.unwrap();
    let page = ada.open(&format!("/chat/{conversation}")).await.text().await.unwrap();
    (status, body, page)
}

/// Asks, reads the whole stream, and opens the conversation's page.
async fn talk(ada: &Browser, message: &str) -> (Vec<Value>, String) {
    let answer = ada.send(ask(ada, &json!({ "message": message }))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let conversation = header(&answer, "breezeway-conversation-id");
    let events = data(&answer.text().await.unwrap());
    let page = ada.open(&format!("/chat/{conversation}")).await.text().await.unwrap();
    (events, page)
}

#[tokio::test]
async fn anthropic_is_asked_in_its_own_words() {
    let upstream = Upstream::start(|_| {
        stream(
            "event: message_start\n\
             data: {\"type\":\"message_start\",\"message\":{\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
             data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n\
             data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi *there*\"}}\n\n\
             data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n\
             data: {\"type\":\"message_stop\"}\n\n",
        )
    })
    .await;
    let key = "auth = [{ header = \"X-Api-Key\", value = \"k-123\" }]";
    let settings = "provider = \"anthropic\"\nmodel = \"m\"\nsystem = \"Be kind.\"\ntitles = false";
    let (site, _folder) = site(&upstream, key, settings).await;
    let ada = site.signed_in("ada").await;
    let (events, page) = talk(&ada, "Hello").await;
    let said = [json!({ "reasoning": "hm" }), json!({ "text": "Hi *there*" }), json!("[DONE]")];
    assert_eq!(events, said);
    assert!(page.contains("<p>Hi <em>there</em></p>"), "{page}");

    let seen = &upstream.seen()[0];
    assert_eq!(seen.target, "/v1/messages");
    assert_eq!(seen.headers["x-api-key"], "k-123");
    assert_eq!(seen.headers["anthropic-version"], "2023-06-01");
    assert!(!seen.headers.contains_key("authorization"));
    assert_eq!(asked(seen)["system"], "Be kind.");
    assert_eq!(asked(seen)["messages"], json!([{ "role": "user", "content": "Hello" }]));
}

#[tokio::test]
async fn what_was_thought_is_not_sent_back() {
    let upstream = Upstream::start(|_| {
        stream(
            "data: {\"choices\":[{\"delta\":{\"reasoning\":\"secret thought\"}}]}\n\n".to_owned()
                + &openai("Hi"),
        )
    })
    .await;
    let (site, _folder) = site(&upstream, "", OPENAI).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hello" }))).await;
    let conversation = header(&answer, "breezeway-conversation-id");
    drop(answer.text().await);
    let next = json!({ "message": "And?", "conversationId": conversation });
    drop(ada.send(ask(&ada, &next)).await.text().await);
    let second = &upstream.seen()[1].body;
    assert!(second.contains("\"Hi\"") && !second.contains("secret thought"), "{second}");

    let whole = ada.request(Method::POST, "/api/chat").json(&json!({ "message": "Hello" }));
    let whole: Value = ada.send(whole).await.json().await.unwrap();
    assert_eq!(anonymous(whole), json!({ "text": "Hi", "reasoning": "secret thought" }));
}

#[tokio::test]
async fn ollama_answers_in_lines() {
    let upstream = Upstream::start(|_| {
        let lines = "{\"message\":{\"content\":\"Hel\"},\"done\":false}\n\
                     {\"message\":{\"content\":\"lo\"},\"done\":true,\"done_reason\":\"stop\",\"eval_count\":2}\n";
        Response::builder()
            .header("content-type", "application/x-ndjson")
            .body(lines.into())
            .unwrap()
    })
    .await;
    let (site, _folder) =
        site(&upstream, "", "provider = \"ollama\"\nmodel = \"m\"\ntitles = false").await;
    let ada = site.signed_in("ada").await;
    let (events, _) = talk(&ada, "Hello").await;
    assert_eq!(events, [json!({ "text": "Hel" }), json!({ "text": "lo" }), json!("[DONE]")]);
    assert_eq!(upstream.seen()[0].target, "/api/chat");
}

#[tokio::test]
async fn a_plain_endpoint_answers_html_that_is_made_safe() {
    let upstream = Upstream::start(|seen| match asked(seen)["messages"][0]["text"].as_str() {
        Some("fail") => json_body(json!({ "error": "No such luck." })),
        _ => json_body(json!({
            "html": "<h1>Hi</h1><script>alert(1)</script><p onclick=\"x()\">there</p>"
        })),
    })
    .await;
    let (site, _folder) = site(&upstream, "", "provider = \"json\"\npath = \"/chat\"").await;
    let ada = site.signed_in("ada").await;
    let (events, page) = talk(&ada, "Hello").await;
    let html = "<h3>Hi</h3><p>there</p>";
    assert_eq!(events, [json!({ "html": html, "overwrite": true }), json!("[DONE]")]);
    assert!(page.contains(html) && !page.contains("alert(1)"), "{page}");
    assert_eq!(
        asked(&upstream.seen()[0])["messages"],
        json!([{ "role": "user", "text": "Hello" }])
    );

    let whole = ada.request(Method::POST, "/api/chat").json(&json!({ "message": "Hello" }));
    let whole: Value = ada.send(whole).await.json().await.unwrap();
    assert_eq!(anonymous(whole), json!({ "html": html }));

    let (status, body, page) = refused(&ada, "fail").await;
    assert_eq!((status, &body["error"]), (502, &json!("Backend error")));
    assert!(!body.to_string().contains("No such luck"), "{body}");
    assert!(!page.contains("No such luck"), "what the service says stays here");
}

#[tokio::test]
async fn drupal_streams_all_of_its_html_again_and_again() {
    let upstream = Upstream::start(|_| {
        let so_far =
            |html: &str| format!("data: {}\n\n", json!({ "html": html, "overwrite": true }));
        let events = [
            so_far("<p>One</p>"),
            so_far("<p>One</p><p>Tw"),
            so_far("<p>One</p><p>Two</p>"),
            "data: {\"html\":\"\"}\n\n".to_owned(),
        ];
        let pieces = futures::StreamExt::then(futures::stream::iter(events), |event| async {
            tokio::time::sleep(Duration::from_millis(120)).await;
            Ok::<_, std::io::Error>(event)
        });
        // As version 1.2 calls its streams.
        Response::builder()
            .header("content-type", "text/plain; charset=UTF-8")
            .body(Body::from_stream(pieces))
            .unwrap()
    })
    .await;
    let (site, _folder) = site(&upstream, "", DRUPAL).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hello" }))).await;
    let (conversation, run) =
        (header(&answer, "breezeway-conversation-id"), header(&answer, "breezeway-run-id"));
    let events = data(&answer.text().await.unwrap());
    let (end, steps) = events.split_last().unwrap();
    assert_eq!(
        steps.last().unwrap(),
        &json!({ "html": "<p>One</p><p>Two</p>", "overwrite": true })
    );
    assert_eq!((end, steps[0]["html"].as_str()), (&json!("[DONE]"), Some("<p>One</p>")));

    let blocks = ada.get(&format!("/api/chat/runs/{run}/events?view=blocks")).await;
    let blocks = data(&blocks.text().await.unwrap());
    assert_eq!(blocks[1]["html"]["keep"], 1, "what stands is not told again: {blocks:?}");
    let late = ada.get(&format!("/api/chat/runs/{run}/events?after=1")).await;
    let late = data(&late.text().await.unwrap());
    assert_eq!(late[0]["html"].as_str().unwrap().find("<p>One</p>"), Some(0), "{late:?}");

    let body = asked(&upstream.seen()[0]);
    assert_eq!((&body["thread_id"], &body["stream"]), (&json!(conversation), &json!(1)));
    let next = json!({ "message": "And?", "conversationId": conversation });
    drop(ada.send(ask(&ada, &next)).await.text().await);
    let body = asked(&upstream.seen()[1]);
    assert_eq!(body["messages"], json!([{ "role": "user", "text": "And?" }]));
    assert_eq!(body["thread_id"], json!(conversation));
}

#[tokio::test]
async fn an_agent_is_asked_until_it_is_done() {
    let upstream = Upstream::start(|seen| {
        let again = asked(seen)["messages"][0]["text"] == "dummy_loading";
        let html = if again { "<p>Found it.</p>" } else { "<p>Calling Search</p>" };
        json_body(json!({ "html": html, "should_continue": !again }))
    })
    .await;
    let (site, _folder) = site(&upstream, "", DRUPAL).await;
    let ada = site.signed_in("ada").await;
    let (events, page) = talk(&ada, "Search").await;
    let reply = json!({ "html": "<p>Found it.</p>", "overwrite": true });
    assert_eq!(events, [json!({ "reasoning": "Calling Search\n" }), reply, json!("[DONE]")]);
    assert!(page.contains("<p>Found it.</p>"), "{page}");
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn the_sandboxs_drupal_is_a_chat_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("../../Leptos.toml").to_owned()
        + "\n[assistants.drupal]\nprovider = \"drupal\"\nbackend = \"sandbox\"\nmodel = \"guide\"\n";
    let site = Site::start_with(folder.path(), &text).await;
    let ada = site.signed_in("ada").await;
    let body = json!({ "message": "What can you do?", "assistant_id": "drupal" });
    let answer = ada.send(ask(&ada, &body)).await;
    let events = data(&answer.text().await.unwrap());
    let (end, steps) = events.split_last().unwrap();
    assert_eq!(end, &json!("[DONE]"), "{events:?}");
    assert!(steps.last().unwrap()["html"].as_str().unwrap().starts_with("<p>"), "{events:?}");
}

/// Refuses the first `times` requests in the way of `refusal`, then answers.
async fn busy(
    times: usize,
    refusal: impl Fn() -> Response<Body> + Send + Sync + 'static,
) -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::start(move |_| {
        if count.fetch_add(1, Ordering::Relaxed) < times { refusal() } else { stream(openai("Hi")) }
    })
    .await
}

fn refusal(status: u16, headers: &[(&str, &str)]) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body("{\"error\":{\"message\":\"busy\"}}".into()).unwrap()
}

#[tokio::test]
async fn a_service_that_is_busy_is_asked_again_before_the_reply_begins() {
    let upstream = busy(2, || refusal(429, &[("retry-after-ms", "20")])).await;
    let (site, _folder) = site(&upstream, "", OPENAI).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hello" }))).await;
    let run = header(&answer, "breezeway-run-id");
    assert_eq!(data(&answer.text().await.unwrap()), [json!({ "text": "Hi" }), json!("[DONE]")]);
    assert_eq!(upstream.seen().len(), 3);
    let events = ada.get(&format!("/api/chat/runs/{run}/events?view=blocks")).await;
    let events = data(&events.text().await.unwrap());
    assert_eq!(events.iter().filter(|event| event["wait"]["until"].is_i64()).count(), 2);
}

#[tokio::test]
async fn a_service_that_wants_a_long_rest_is_left_alone() {
    for (status, headers, wait) in [
        (429, &[("retry-after", "120")][..], true),
        (503, &[("x-should-retry", "false")], false),
        (400, &[], false),
    ] {
        let upstream = busy(usize::MAX, move || refusal(status, headers)).await;
        let (site, _folder) = site(&upstream, "", OPENAI).await;
        let ada = site.signed_in("ada").await;
        let answer = ada.send(ask(&ada, &json!({ "message": "Hello" }))).await;
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers().contains_key("retry-after"), wait);
        let run = header(&answer, "breezeway-run-id");
        drop(answer.text().await);
        assert_eq!(upstream.seen().len(), 1, "{status}");
        let events = ada.get(&format!("/api/chat/runs/{run}/events?view=blocks")).await;
        let events = data(&events.text().await.unwrap());
        let end = &events.last().unwrap()["end"];
        assert_eq!((&end["state"], &end["status"]), (&json!("failed"), &json!(status)));
        assert_eq!(end["retry_at"].is_i64(), wait);
    }
}

#[tokio::test]
async fn drupal_is_never_told_a_question_twice() {
    let upstream = busy(usize::MAX, || refusal(503, &[])).await;
    let (site, _folder) = site(&upstream, "", DRUPAL).await;
    let ada = site.signed_in("ada").await;
    let (status, body, page) = refused(&ada, "Hello").await;
    assert_eq!((status, &body["error"]), (503, &json!("Backend error")));
    assert!(page.contains("Hello") && page.contains("Try again"), "{page}");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn who_does_not_want_to_wait_can_stop() {
    let upstream = busy(usize::MAX, || refusal(429, &[("retry-after", "20")])).await;
    let (site, _folder) = site(&upstream, "", OPENAI).await;
    let ada = site.signed_in("ada").await;
    let begun = Instant::now();
    let question = json!({ "message": "Hello", "request_id": "r" });
    let form = [("text", "Hello"), ("request_id", "r")];
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let page = ada.request(Method::POST, "/chat").form(&form);
        let run = header(&ada.send(page).await, "breezeway-run-id");
        ada.send(ada.request(Method::POST, &format!("/api/chat/runs/{run}/stop"))).await
    };
    let (answer, _) = tokio::join!(ada.send(ask(&ada, &question)), stop);
    let stopped = data(&answer.text().await.unwrap());
    assert_eq!(stopped, [json!({ "error": "The reply was stopped before it began." })]);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn an_empty_reply_is_trouble() {
    let upstream = Upstream::start(|_| stream(openai(""))).await;
    let (site, _folder) = site(&upstream, "", OPENAI).await;
    let ada = site.signed_in("ada").await;
    let (status, body, page) = refused(&ada, "Hello").await;
    assert!(status == 502 && body["detail"].as_str().unwrap().contains("empty reply"), "{body}");
    assert!(page.contains("Try again"), "{page}");
}

#[tokio::test]
async fn a_reply_is_continued_by_who_began_it() {
    let upstream = Upstream::start(|seen| {
        let body = asked(seen);
        let continues = body["messages"].as_array().unwrap().len() > 1;
        let text = if continues { "the end." } else { "Half, " };
        let mut all = openai(text);
        if !continues {
            all = all.replace("\"stop\"", "\"length\"");
        }
        stream(all)
    })
    .await;
    let second = "provider = \"openai\"\nmodel = \"first\"\ntitles = false\n[assistants.other]\nbackend = \"up\"\n\
                  provider = \"openai\"\nmodel = \"second\"\ntitles = false";
    let (site, _folder) = site(&upstream, "", second).await;
    let ada = site.signed_in("ada").await;
    let body = json!({ "message": "Hello", "assistant_id": "other" });
    let answer = ada.send(ask(&ada, &body)).await;
    let message = header(&answer, "breezeway-message-id");
    let events = data(&answer.text().await.unwrap());
    assert!(events[1]["error"].as_str().unwrap().contains("limit of its length"), "{events:?}");

    ada.post_form("/api/fn/chat/start_run", &[("message", &message)]).await;
    crate::support::eventually("the second request", async || upstream.seen().len() == 2).await;
    let models: Vec<_> = upstream.seen().iter().map(|seen| asked(seen)["model"].clone()).collect();
    assert_eq!(models, ["second", "second"]);
}

#[tokio::test]
async fn a_service_that_refuses_to_count_tokens_is_asked_without() {
    let upstream = Upstream::start(|seen| {
        if seen.body.contains("stream_options") {
            let words = r#"{"error":{"message":"Unrecognized field: stream_options"}}"#;
            return Response::builder().status(422).body(words.into()).unwrap();
        }
        stream(openai("Hello"))
    })
    .await;
    let (site, _folder) = site(&upstream, "", OPENAI).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().contains("Hello"));
    assert_eq!(upstream.seen().len(), 2);
}
