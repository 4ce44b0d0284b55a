//! Widgets, webhooks and cron: messages that do not come from the page.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, response::Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use breezeway::server::serve::begin_work;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::runtime::Handle;

use crate::support::{Seen, Site, Upstream, eventually, with_backend};

/// A completion service that counts, and says what it was asked.
fn completion(seen: &Seen) -> Response<Body> {
    let asked: Value = serde_json::from_str(&seen.body).unwrap();
    let last = asked["messages"].as_array().unwrap().last().unwrap()["content"].clone();
    let text = format!("{} heard {}", asked["model"].as_str().unwrap(), last.as_str().unwrap());
    let body = format!(
        "data: {}\n\ndata: [DONE]\n\n",
        json!({ "choices": [{ "delta": { "content": text }, "finish_reason": "stop" }] })
    );
    Response::builder().header("content-type", "text/event-stream").body(body.into()).unwrap()
}

fn config(origin: &str, channels: &str) -> String {
    format!(
        "{}[assistants.other]\nprovider = \"openai\"\nbackend = \"up\"\nmodel = \"other\"\ntitles = false\n{channels}",
        with_backend(origin, "auth = [{ bearer = \"configured\" }]\ntenant = { query = \"t\" }")
    )
}

async fn start(folder: &Path, config: &str) -> Site {
    let site = Site::start_with(folder, config).await;
    begin_work(&site.app, &Handle::current());
    site
}

// === Widgets ===

const WEB: &str = "[channels.web]\ntokens = [\"first-token\", { token = \"second-token\", assistant = \"other\" }]\n\
    origins = [\"https://shop.example\"]\ntenant = \"harbor\"\nrate = \"6/1h\"\n";

struct Widget<'a> {
    site: &'a Site,
    http: reqwest::Client,
}

impl Widget<'_> {
    fn new(site: &Site) -> Widget<'_> {
        Widget { site, http: reqwest::Client::new() }
    }

    fn request(&self, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.site.origin));
        request.header("authorization", format!("Bearer {token}"))
    }

    fn ask(&self, token: &str) -> reqwest::RequestBuilder {
        self.request(Method::POST, "/api/chat", token).json(&json!({ "message": "hello" }))
    }
}

#[tokio::test]
async fn a_widget_token_reaches_the_chat_and_nothing_else() {
    let upstream = Upstream::start(completion).await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, WEB)).await;
    let widget = Widget::new(&site);
    let answer = widget.ask("first-token").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let run = answer.headers()["breezeway-run-id"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["text"], "m heard hello");
    let seen = upstream.seen().pop().unwrap();
    assert_eq!(seen.headers["authorization"], "Bearer configured", "never the widget's token");
    assert_eq!(seen.target, "/v1/chat/completions?t=harbor");

    let other: Value = widget.ask("second-token").send().await.unwrap().json().await.unwrap();
    assert_eq!(other["text"], "other heard hello", "an assistant of its own");

    let events =
        widget.request(Method::GET, &format!("/api/chat/runs/{run}/events"), "first-token");
    assert_eq!(events.send().await.unwrap().status(), StatusCode::OK);
    for path in [
        "/api/proxy/x",
        "/api/brain/crm/contacts",
        "/api/session",
        "/api/sessions",
        "/api/chat/session",
    ] {
        let method = if path == "/api/chat/session" { Method::POST } else { Method::GET };
        let answer = widget.request(method, path, "first-token").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for token in ["", "first", "first-tokens", "FIRST-TOKEN", "first-token second-token"] {
        let answer = widget.ask(token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{token}");
        let body: Value = answer.json().await.unwrap();
        assert!(token.is_empty() || !body.to_string().contains(token), "{body}");
    }
}

#[tokio::test]
async fn a_widget_is_open_to_the_sites_that_are_listed_and_to_no_other() {
    let upstream = Upstream::start(completion).await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, WEB)).await;
    let widget = Widget::new(&site);
    let from = |origin: &str| {
        widget
            .ask("first-token")
            .header("origin", origin.to_owned())
            .header("sec-fetch-site", "cross-site")
    };
    let answer = from("https://shop.example").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://shop.example");
    assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    assert!(answer.headers()["vary"].to_str().unwrap().contains("origin"));
    for origin in [
        "https://evil.example",
        "http://shop.example",
        "https://shop.example.evil.test",
        "https://www.shop.example",
        "https://shop.example:8443",
        "null",
    ] {
        let answer = from(origin).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin}");
        assert!(!answer.headers().contains_key("access-control-allow-origin"), "{origin}");
    }
    let preflight = |path: &str, origin: &str| {
        let request = widget.http.request(Method::OPTIONS, format!("{}{path}", site.origin));
        request
            .header("origin", origin.to_owned())
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, content-type")
            .send()
    };
    let allowed = preflight("/api/chat", "https://shop.example").await.unwrap();
    assert_eq!(allowed.status(), StatusCode::NO_CONTENT);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://shop.example");
    assert!(
        allowed.headers()["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("authorization")
    );
    for (path, origin) in [
        ("/api/chat", "https://evil.example"),
        ("/api/proxy/x", "https://shop.example"),
        ("/api/session", "https://shop.example"),
    ] {
        let refused = preflight(path, origin).await.unwrap();
        assert!(!refused.headers().contains_key("access-control-allow-origin"), "{path} {origin}");
    }
    let unknown =
        widget.ask("wrong").header("origin", "https://shop.example").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED);
    let allowed = &unknown.headers()["access-control-allow-origin"];
    assert_eq!(allowed, "https://shop.example", "the site can read why");
}

#[tokio::test]
async fn a_widget_is_put_on_a_page_by_one_line() {
    let upstream = Upstream::start(completion).await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, WEB)).await;
    let get = async |path: &str| reqwest::get(format!("{}{path}", site.origin)).await.unwrap();
    let script = get("/widget.js").await;
    assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
    assert_eq!(script.headers()["cross-origin-resource-policy"], "cross-origin");
    assert!(script.text().await.unwrap().len() <= 3_072);

    let visitor = "0123456789abcdef0123456789abcdef";
    let path = format!("/widget/web?visitor={visitor}&title=Ask%20<us>&greeting=Good%20<day>");
    let page = get(&path).await;
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("frame-ancestors https://shop.example;"), "{policy}");
    assert!(!page.headers().contains_key("x-frame-options"));
    let page = page.text().await.unwrap();
    assert!(page.contains("Ask &lt;us&gt;") && page.contains("Good &lt;day&gt;"), "{page}");
    assert!(!page.contains("<day>") && !page.contains("class=\"site\""), "{page}");
    assert_eq!(get("/widget/other?visitor=x").await.status(), StatusCode::NOT_FOUND);
    for wrong in ["/widget/web", "/widget/web?visitor=x"] {
        assert_eq!(get(wrong).await.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
    let chat = get("/").await;
    assert_eq!(chat.headers()["x-frame-options"], "DENY");
}

#[tokio::test]
async fn visitors_of_a_widget_never_meet() {
    let upstream = Upstream::start(completion).await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, WEB)).await;
    let widget = Widget::new(&site);
    let (one, two) = ("1".repeat(32), "2".repeat(32));
    let visit = |method: Method, path: &str, visitor: &str| {
        widget.request(method, path, "first-token").header("breezeway-visitor", visitor)
    };
    let form = [("text", "between us")];
    let asked = visit(Method::POST, "/chat", &one).header("origin", &site.origin).form(&form);
    let asked = asked.send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::CREATED);
    let id = asked.headers()["breezeway-conversation-id"].to_str().unwrap().to_owned();
    let page = async |visitor: &str| {
        let path = format!("{}/widget/web?visitor={visitor}", site.origin);
        reqwest::get(path).await.unwrap().text().await.unwrap()
    };
    eventually("the visitor finds it again", async || page(&one).await.contains("m heard")).await;
    assert!(!page(&two).await.contains("between us"));
    let new = format!("{one}&new=1");
    assert!(!page(&new).await.contains("between us"), "and can begin another");

    let messages = format!("/api/chat/conversations/{id}/messages");
    let read = visit(Method::GET, &messages, &one).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::OK);
    for stranger in [&two, &"3".repeat(32)] {
        let read = visit(Method::GET, &messages, stranger).send().await.unwrap();
        assert_eq!(read.status(), StatusCode::NOT_FOUND);
    }
    let read = widget.request(Method::GET, &messages, "first-token").send().await.unwrap();
    assert_eq!(read.status(), StatusCode::UNAUTHORIZED, "those without a name have no list");
    let guessed = visit(Method::GET, &messages, "x").send().await.unwrap();
    assert_eq!(guessed.status(), StatusCode::BAD_REQUEST);
    let foreign = visit(Method::POST, "/chat", &one).header("origin", "https://evil.example");
    let foreign = foreign.form(&form).send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let closed = visit(Method::GET, "/api/session", &one).send().await.unwrap();
    assert_eq!(closed.status(), StatusCode::UNAUTHORIZED);

    // Who is signed in here as well is still the visitor there.
    let ada = site.signed_in("ada").await;
    let both = ada
        .request(Method::GET, "/api/chat/conversations")
        .header("authorization", "Bearer first-token")
        .header("breezeway-visitor", &one);
    let list: Vec<Value> = ada.send(both).await.json().await.unwrap();
    assert_eq!(list[0]["title"], "between us");
}

#[tokio::test]
async fn a_widget_that_asks_too_often_has_to_wait() {
    let upstream = Upstream::start(completion).await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, WEB)).await;
    let widget = Widget::new(&site);
    for _ in 0..6 {
        assert_eq!(widget.ask("first-token").send().await.unwrap().status(), StatusCode::OK);
    }
    let refused =
        widget.ask("second-token").header("x-forwarded-for", "6.6.6.6").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn one_visitor_never_gets_the_reply_to_another() {
    let upstream = Upstream::start(completion).await;
    let folder = tempfile::tempdir().unwrap();
    let proxies = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let site = start(folder.path(), &format!("{proxies}{}", config(&upstream.origin, WEB))).await;
    let widget = Widget::new(&site);
    let ask = async |from: &str, text: &str| {
        let request = widget.request(Method::POST, "/api/chat", "first-token");
        let request = request.header("x-forwarded-for", from).header("idempotency-key", "1");
        let answer =
            request.json(&json!({ "message": text, "model": "other" })).send().await.unwrap();
        let conversation = answer.headers().get("breezeway-conversation-id").cloned();
        (answer.status(), conversation, answer.text().await.unwrap())
    };
    let (_, ours, text) = ask("198.51.100.1", "my secret").await;
    assert!(text.contains("m heard my secret"), "no say in who answers: {text}");
    let (status, again, text) = ask("198.51.100.1", "my secret").await;
    assert!(status == StatusCode::OK && again == ours && text.contains("my secret"));
    let (status, _, text) = ask("198.51.100.1", "something else").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(text.contains("was used for another message"), "{text}");
    let (status, theirs, text) = ask("198.51.100.2", "my secret").await;
    assert!(status == StatusCode::OK && theirs != ours, "{text}");
}

#[tokio::test]
async fn guessing_tokens_has_an_end() {
    let upstream = Upstream::start(completion).await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, WEB)).await;
    let widget = Widget::new(&site);
    let mut answers = Vec::new();
    for n in 0..40 {
        answers.push(widget.ask(&format!("guess-{n}")).send().await.unwrap().status());
    }
    assert_eq!(answers[0], StatusCode::UNAUTHORIZED);
    assert_eq!(answers[39], StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(widget.ask("first-token").send().await.unwrap().status(), StatusCode::OK);
}

// === Webhooks ===

/// What replies are posted to; fails as often as it is told.
#[derive(Clone, Default)]
struct Inbox {
    posts: Arc<Mutex<Vec<Seen>>>,
    /// How many posts are taken before the failures begin.
    good_first: Arc<AtomicUsize>,
    failures: Arc<AtomicUsize>,
}

impl Inbox {
    async fn start(&self) -> Upstream {
        let inbox = self.clone();
        Upstream::start(move |seen| {
            let mut posts = inbox.posts.lock().unwrap();
            posts.push(seen.clone());
            let left = &inbox.failures;
            let fails = posts.len() > inbox.good_first.load(Ordering::SeqCst)
                && left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                    .is_ok();
            let answer = Response::builder().status(if fails { 503 } else { 200 });
            answer.body("{\"ok\":true}".into()).unwrap()
        })
        .await
    }

    fn posts(&self) -> Vec<Seen> {
        self.posts.lock().unwrap().clone()
    }
}

fn hooks(url: &str) -> String {
    format!(
        "[channels.hooks]\nwebhook = \"signed\"\nsecret = \"shh-shh-shh\"\nurl = \"{url}/reply\"\ntenant = \"harbor\"\n\
         [channels.slack]\nwebhook = \"slack\"\nsecret = \"shh-shh-shh\"\ntoken = \"xoxb\"\nurl = \"{url}/slack\"\ntenant = \"harbor\"\n\
         [channels.telegram]\nwebhook = \"telegram\"\nsecret = \"shh-shh-shh\"\ntoken = \"12:ab\"\nurl = \"{url}\"\ntenant = \"harbor\"\n"
    )
}

fn mac(parts: &[&str]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"shh-shh-shh").unwrap();
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    mac
}

fn seconds() -> i64 {
    breezeway::store::now() / 1000
}

async fn post_signed(site: &Site, id: &str, body: &str) -> StatusCode {
    let at = seconds().to_string();
    let signature = STANDARD.encode(mac(&[id, ".", &at, ".", body]).finalize().into_bytes());
    let request = reqwest::Client::new().post(format!("{}/api/webhooks/hooks", site.origin));
    let request = request
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", format!("v1,{signature}"));
    request.body(body.to_owned()).send().await.unwrap().status()
}

#[tokio::test]
async fn a_message_is_answered_once_however_often_it_comes() {
    let (upstream, inbox) = (Upstream::start(completion).await, Inbox::default());
    let replies = inbox.start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, &hooks(&replies.origin))).await;
    let body = json!({ "text": "hello", "conversationId": "room-7" }).to_string();
    let posts = (0..10).map(|_| post_signed(&site, "m-1", &body));
    let answers = futures::future::join_all(posts).await;
    assert!(answers.iter().all(|status| *status == StatusCode::OK));
    eventually("the reply", async || !inbox.posts().is_empty()).await;
    assert_eq!(post_signed(&site, "m-1", &body).await, StatusCode::OK, "acknowledged again");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let posts = inbox.posts();
    assert_eq!((posts.len(), upstream.seen().len()), (1, 1));
    let reply: Value = serde_json::from_str(&posts[0].body).unwrap();
    assert_eq!(reply, json!({ "thread": "room-7", "in_reply_to": "m-1", "text": "m heard hello" }));
    let header = |name: &str| posts[0].headers[name].to_str().unwrap().to_owned();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    let signature =
        STANDARD.encode(mac(&[&id, ".", &at, ".", &posts[0].body]).finalize().into_bytes());
    assert_eq!(header("webhook-signature"), format!("v1,{signature}"));

    assert_eq!(post_signed(&site, "m-2", &body).await, StatusCode::OK);
    eventually("the second reply", async || inbox.posts().len() == 2).await;
    let second: Value = serde_json::from_str(&upstream.seen()[1].body).unwrap();
    assert_eq!(second["messages"].as_array().unwrap().len(), 3, "one thread, one conversation");
}

#[tokio::test]
async fn a_post_that_proves_nothing_is_refused() {
    let (upstream, inbox) = (Upstream::start(completion).await, Inbox::default());
    let replies = inbox.start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, &hooks(&replies.origin))).await;
    let body = "{\"text\":\"hello\"}";
    let send = async |channel: &str, headers: &[(&str, &str)], body: &str| {
        let request =
            reqwest::Client::new().post(format!("{}/api/webhooks/{channel}", site.origin));
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(body.to_owned()).send().await.unwrap().status().as_u16()
    };
    let sign = |id: &str, at: i64, body: &str| {
        let at = at.to_string();
        format!("v1,{}", STANDARD.encode(mac(&[id, ".", &at, ".", body]).finalize().into_bytes()))
    };
    let now = seconds();
    let good = sign("m", now, body);
    for (id, at, signature, sent) in [
        ("m", now, "", body),
        ("m", now, "v1,AAAA", body),
        ("n", now, good.as_str(), body),
        ("m", now - 1, good.as_str(), body),
        ("m", now, good.as_str(), "{\"text\":\"hello!\"}"),
        ("m", now, good.as_str(), "{ \"text\":\"hello\"}"),
        ("m", now - 310, &sign("m", now - 310, body), body),
        ("m", now + 310, &sign("m", now + 310, body), body),
        ("m", now, good.strip_prefix("v1,").unwrap(), body),
    ] {
        let at = at.to_string();
        let headers =
            [("webhook-id", id), ("webhook-timestamp", &*at), ("webhook-signature", signature)];
        assert_eq!(send("hooks", &headers, sent).await, 401, "{id} {at} {signature}");
    }
    assert_eq!(send("hooks", &[], body).await, 401);
    assert_eq!(send("telegram", &[("x-telegram-bot-api-secret-token", "sh")], body).await, 401);
    assert_eq!(
        send(
            "slack",
            &[("x-slack-signature", "v0=00"), ("x-slack-request-timestamp", &now.to_string())],
            body
        )
        .await,
        401
    );
    assert_eq!(send("nothing", &[], body).await, 404);
    assert_eq!(send("hooks", &[], &"x".repeat(2 << 20)).await, 413);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(upstream.seen().is_empty() && inbox.posts().is_empty());
}

#[tokio::test]
async fn slack_and_telegram_are_answered_in_their_own_form() {
    let (upstream, inbox) = (Upstream::start(completion).await, Inbox::default());
    let replies = inbox.start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, &hooks(&replies.origin))).await;
    let http = reqwest::Client::new();
    let slack = async |body: Value| {
        let (body, at) = (body.to_string(), seconds().to_string());
        let mac = mac(&["v0:", &at, ":", &body]).finalize().into_bytes();
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let request = http.post(format!("{}/api/webhooks/slack", site.origin));
        let request = request
            .header("x-slack-request-timestamp", at)
            .header("x-slack-signature", format!("v0={hex}"));
        request.body(body).send().await.unwrap()
    };
    let hello = slack(json!({ "type": "url_verification", "challenge": "c-1" })).await;
    assert_eq!(hello.text().await.unwrap(), "c-1");
    let said = json!({ "type": "event_callback", "event_id": "Ev1", "event": {
        "type": "app_mention", "text": "<@U1> hello", "channel": "C1", "thread_ts": "1.2" } });
    assert_eq!(slack(said).await.status(), StatusCode::OK);
    eventually("the reply to Slack", async || inbox.posts().len() == 1).await;
    let reply = inbox.posts().remove(0);
    assert_eq!(
        (reply.target.as_str(), reply.headers["authorization"].to_str().unwrap()),
        ("/slack", "Bearer xoxb")
    );
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(body, json!({ "channel": "C1", "thread_ts": "1.2", "text": "m heard hello" }));

    let update = json!({ "update_id": 9, "message": { "chat": { "id": 42 }, "text": "hi" } });
    let request = http.post(format!("{}/api/webhooks/telegram", site.origin));
    let request = request.header("x-telegram-bot-api-secret-token", "shh-shh-shh").json(&update);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    eventually("the reply to Telegram", async || inbox.posts().len() == 2).await;
    let reply = inbox.posts().remove(1);
    assert_eq!(reply.target, "/bot12:ab/sendMessage");
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(body, json!({ "chat_id": "42", "text": "m heard hi" }));
}

#[tokio::test]
async fn a_reply_in_pieces_goes_on_where_it_was_cut() {
    let (upstream, inbox) = (Upstream::start(completion).await, Inbox::default());
    inbox.good_first.store(1, Ordering::SeqCst);
    inbox.failures.store(1, Ordering::SeqCst);
    let replies = inbox.start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, &hooks(&replies.origin))).await;
    let text = "a".repeat(9_000);
    let update = json!({ "update_id": 9, "message": { "chat": { "id": 42 }, "text": text } });
    let request =
        reqwest::Client::new().post(format!("{}/api/webhooks/telegram", site.origin)).json(&update);
    let request = request.header("x-telegram-bot-api-secret-token", "shh-shh-shh");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    eventually("all pieces", async || inbox.posts().len() == 4).await;
    let pieces: Vec<String> = inbox
        .posts()
        .iter()
        .map(|post| serde_json::from_str::<Value>(&post.body).unwrap()["text"].to_string())
        .collect();
    assert_eq!(pieces[1], pieces[2], "what was refused comes again");
    let heard = [&pieces[0], &pieces[2], &pieces[3]].map(|piece| piece.trim_matches('"')).concat();
    assert_eq!(heard, format!("m heard {text}"), "and what was taken does not");
}

#[tokio::test]
async fn a_channel_that_is_down_gets_its_reply_later_and_the_assistant_is_asked_once() {
    let (upstream, inbox) = (Upstream::start(completion).await, Inbox::default());
    inbox.failures.store(2, Ordering::SeqCst);
    let replies = inbox.start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, &hooks(&replies.origin))).await;
    post_signed(&site, "m-1", "{\"text\":\"hello\"}").await;
    eventually("the third attempt", async || inbox.posts().len() == 3).await;
    let names: std::collections::BTreeSet<_> =
        inbox.posts().iter().map(|post| post.headers["webhook-id"].clone()).collect();
    assert_eq!(names.len(), 1, "the same name every time");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn what_was_acknowledged_before_a_crash_is_answered_after_it() {
    let (upstream, inbox) = (Upstream::start(completion).await, Inbox::default());
    let replies = inbox.start().await;
    let folder = tempfile::tempdir().unwrap();
    let text = config(&upstream.origin, &hooks(&replies.origin));
    // Nothing works on deliveries here: as if the server died right behind its 200.
    let dying = Site::start_with(folder.path(), &text).await;
    assert_eq!(post_signed(&dying, "m-1", "{\"text\":\"hello\"}").await, StatusCode::OK);
    drop(dying);
    assert!(inbox.posts().is_empty());

    let site = start(folder.path(), &text).await;
    eventually("the reply", async || inbox.posts().len() == 1).await;
    assert_eq!(post_signed(&site, "m-1", "{\"text\":\"hello\"}").await, StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!((inbox.posts().len(), upstream.seen().len()), (1, 1));
}

#[tokio::test]
async fn an_assistant_that_fails_is_asked_again() {
    let failures = Arc::new(AtomicUsize::new(1));
    let left = failures.clone();
    let upstream = Upstream::start(move |seen| {
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) {
            Ok(_) => Response::builder().status(500).body("oops".into()).unwrap(),
            Err(_) => completion(seen),
        }
    })
    .await;
    let inbox = Inbox::default();
    let replies = inbox.start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, &hooks(&replies.origin))).await;
    post_signed(&site, "m-1", "{\"text\":\"hello\"}").await;
    eventually("the reply", async || inbox.posts().len() == 1).await;
    assert!(inbox.posts()[0].body.contains("m heard hello"), "{}", inbox.posts()[0].body);
    drop(site);
}

#[tokio::test]
async fn messages_of_one_thread_are_answered_in_their_order() {
    let failures = Arc::new(AtomicUsize::new(1));
    let left = failures.clone();
    let upstream = Upstream::start(move |seen| {
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) {
            Ok(_) => Response::builder().status(500).body("oops".into()).unwrap(),
            Err(_) => completion(seen),
        }
    })
    .await;
    let inbox = Inbox::default();
    let replies = inbox.start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, &hooks(&replies.origin))).await;
    for (id, text) in [("m-1", "first"), ("m-2", "second"), ("m-3", "third")] {
        let body = json!({ "text": text, "thread": "room" }).to_string();
        assert_eq!(post_signed(&site, id, &body).await, StatusCode::OK);
    }
    eventually("three replies", async || inbox.posts().len() == 3).await;
    let said: Vec<String> = inbox.posts().iter().map(|post| post.body.clone()).collect();
    for (text, reply) in ["first", "second", "third"].iter().zip(&said) {
        assert!(reply.contains(&format!("heard {text}")), "{said:?}");
    }
    let last: Value = serde_json::from_str(&upstream.seen().last().unwrap().body).unwrap();
    assert_eq!(last["messages"].as_array().unwrap().len(), 5, "one conversation");
    drop(site);
}

#[tokio::test]
async fn a_message_that_is_too_long_is_told_so_once() {
    let (upstream, inbox) = (Upstream::start(completion).await, Inbox::default());
    let replies = inbox.start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = start(folder.path(), &config(&upstream.origin, &hooks(&replies.origin))).await;
    post_signed(&site, "m-1", &json!({ "text": "x".repeat(600_000) }).to_string()).await;
    eventually("the reply", async || inbox.posts().len() == 1).await;
    assert!(inbox.posts()[0].body.contains("too long"), "{:.200}", inbox.posts()[0].body);
    assert!(upstream.seen().is_empty());
    drop(site);
}

// === Cron ===

async fn cron(site: &Site, secret: Option<&str>) -> reqwest::Response {
    let request = reqwest::Client::new().get(format!("{}/api/cron", site.origin));
    let request =
        secret.iter().fold(request, |request, secret| request.header("x-cron-secret", *secret));
    request.send().await.unwrap()
}

#[tokio::test]
async fn cron_does_what_is_due_for_who_knows_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), "[jobs]\ncron_secret = \"tick-tock\"\n").await;
    site.signed_in("ada").await;
    sqlx::query("UPDATE sessions SET expires_at = 1").execute(site.app.store.pool()).await.unwrap();
    for wrong in [None, Some(""), Some("tick"), Some("tick-tock-"), Some("TICK-TOCK")] {
        let answer = cron(&site, wrong).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{wrong:?}");
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "Unauthorized");
    }
    let query =
        reqwest::get(format!("{}/api/cron?secret=tick-tock&x-cron-secret=tick-tock", site.origin));
    assert_eq!(query.await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let answer = cron(&site, Some("tick-tock")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let report: Value = answer.json().await.unwrap();
    assert_eq!(report["ran"], true);
    let jobs = report["jobs"].as_array().unwrap();
    assert_eq!(jobs[0], json!({ "job": "expired_sessions", "done": 1 }));
    assert!(jobs.iter().all(|job| job["done"].is_u64()), "{report}");

    let folder = tempfile::tempdir().unwrap();
    let without = Site::start_with(folder.path(), "").await;
    assert_eq!(cron(&without, Some("")).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn while_one_node_does_the_jobs_no_other_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[jobs]\ncron_secret = \"tick-tock\"\n";
    let (one, two) =
        (Site::start_with(folder.path(), text).await, Site::start_with(folder.path(), text).await);
    let lease =
        breezeway::store::Lease::take(&one.app.store, "jobs", Duration::from_secs(60)).await;
    let lease = lease.unwrap().unwrap();
    for site in [&one, &two] {
        let report: Value = cron(site, Some("tick-tock")).await.json().await.unwrap();
        assert_eq!(report["ran"], false, "another node is at it");
    }
    lease.end().await.unwrap();
    let report: Value = cron(&two, Some("tick-tock")).await.json().await.unwrap();
    assert_eq!(report["ran"], true);
}
