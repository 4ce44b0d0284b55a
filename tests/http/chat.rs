//! Runs: started once, read by anybody who may, lost by nobody.

use std::time::Duration;

use axum::response::Response;
use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    Browser, Site, Upstream, delta, eventually, location, postgres, spoken, with_backend,
};

const STOP: &str =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// A provider that says these pieces, a moment apart.
async fn provider(pieces: Vec<String>, pause: Duration) -> Upstream {
    Upstream::start(move |_| spoken(pieces.clone(), pause)).await
}

async fn site_with(pieces: Vec<String>, pause: Duration) -> (Site, Upstream, tempfile::TempDir) {
    let upstream = provider(pieces, pause).await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    (site, upstream, folder)
}

/// Its provider breaks off in the middle, and comes to an end when asked to continue.
async fn site_that_breaks_off_once() -> (Site, Upstream, tempfile::TempDir) {
    let upstream = Upstream::start(|seen| {
        let asked: Value = serde_json::from_str(&seen.body).unwrap();
        let last = asked["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
        let text =
            if last.contains("Continue") { delta("the end.") + STOP } else { delta("Half, ") };
        Response::builder().header("content-type", "text/event-stream").body(text.into()).unwrap()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    (site, upstream, folder)
}

fn ask(browser: &Browser, body: &Value) -> reqwest::RequestBuilder {
    browser
        .request(Method::POST, "/api/chat?view=blocks")
        .header("accept", "text/event-stream")
        .json(body)
}

fn header(response: &reqwest::Response, name: &str) -> String {
    response.headers()[name].to_str().unwrap().to_owned()
}

/// The events of a stream: number and data.
fn events(stream: &str) -> Vec<(u64, Value)> {
    stream
        .split("\n\n")
        .filter(|frame| frame.contains("data: "))
        .map(|frame| {
            let line = |name: &str| {
                frame
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap_or_default()
                    .to_owned()
            };
            (line("id: ").parse().unwrap(), serde_json::from_str(&line("data: ")).unwrap())
        })
        .collect()
}

fn html(events: &[(u64, Value)]) -> String {
    events.iter().filter_map(|(_, event)| event["block"]["html"].as_str()).collect()
}

#[tokio::test]
async fn a_reply_streams_as_numbered_events_and_is_kept() {
    let pieces = vec![delta("Hello *w"), delta("orld*.\n\n"), delta("Second."), STOP.to_owned()];
    let (site, upstream, _folder) = site_with(pieces, Duration::from_millis(20)).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "content-type"), "text/event-stream");
    assert_eq!(header(&answer, "cache-control"), "no-cache");
    let conversation = header(&answer, "breezeway-conversation-id");
    let run = header(&answer, "breezeway-run-id");
    let events_seen = events(&answer.text().await.unwrap());
    let numbers: Vec<u64> = events_seen.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let streamed = html(&events_seen);
    assert!(streamed.contains("<p>Hello <em>world</em>.</p>"), "{streamed}");
    assert_eq!(events_seen.last().unwrap().1, json!({"end": {"state": "done", "problem": null}}));

    let page = ada.open(&format!("/chat/{conversation}")).await.text().await.unwrap();
    assert!(
        page.contains(&streamed),
        "what streamed and what a reload shows are identical: {page}"
    );
    assert!(page.contains("data-state=\"done\""));

    let again = ada.get(&format!("/api/chat/runs/{run}/events?view=blocks&after=2")).await;
    assert_eq!(events(&again.text().await.unwrap()), events_seen[2..]);

    let asked: Value = serde_json::from_str(&upstream.seen()[0].body).unwrap();
    assert_eq!(asked["messages"][0], json!({"role": "user", "content": "Hi"}));
    assert_eq!(asked["stream"], true);
}

#[tokio::test]
async fn the_same_request_never_runs_twice() {
    let pieces = vec![delta("one"), STOP.to_owned()];
    let (site, upstream, _folder) = site_with(pieces, Duration::from_millis(100)).await;
    let ada = site.signed_in("ada").await;
    let send = || async {
        let request = ask(&ada, &json!({ "message": "Hi" })).header("idempotency-key", "k1");
        let answer = ada.send(request).await;
        (header(&answer, "breezeway-run-id"), answer.text().await.unwrap())
    };
    let answers = futures::future::join_all((0..5).map(|_| send())).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(send().await, answers[0]);
    assert_eq!(upstream.seen().len(), 1);
    let list: Value = ada.get("/api/chat/conversations").await.json().await.unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_reader_who_leaves_and_returns_misses_nothing() {
    let pieces: Vec<_> =
        (0..30).map(|n| delta(&format!("w{n} "))).chain([STOP.to_owned()]).collect();
    let (site, upstream, _folder) = site_with(pieces, Duration::from_millis(20)).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    let run = header(&answer, "breezeway-run-id");
    let mut stream = answer.bytes_stream();
    let first = stream.next().await.unwrap().unwrap();
    drop(stream);
    let (last, _) =
        *events(std::str::from_utf8(&first).unwrap()).last().map(|e| (e.0, ())).as_ref().unwrap();

    let request = ada
        .request(Method::GET, &format!("/api/chat/runs/{run}/events?view=blocks"))
        .header("last-event-id", last.to_string());
    let rest = events(&ada.send(request).await.text().await.unwrap());
    assert_eq!(rest[0].0, last + 1);
    assert!(html(&rest).contains("w0 w1 w2"));
    assert_eq!(rest.last().unwrap().1["end"]["state"], "done");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_reader_who_has_it_all_is_not_kept_waiting() {
    let (site, _upstream, _folder) =
        site_with(vec![delta("Hi"), STOP.to_owned()], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    let run = header(&answer, "breezeway-run-id");
    let all = events(&answer.text().await.unwrap());
    for after in [all.last().unwrap().0, 999, u64::MAX] {
        let path = format!("/api/chat/runs/{run}/events?view=blocks&after={after}");
        let rest = tokio::time::timeout(Duration::from_secs(5), async {
            ada.get(&path).await.text().await.unwrap()
        });
        assert_eq!(rest.await.expect("the stream ends"), "");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_asks_leaves_no_dead_run() {
    let (site, _upstream, _folder) =
        site_with(vec![delta("Hi"), STOP.to_owned()], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    for wait in 0..40 {
        let body = json!({ "message": "Hi", "request_id": format!("r{wait}") });
        let gone = ada.send(ask(&ada, &body));
        let _ = tokio::time::timeout(Duration::from_micros(wait * 150), gone).await;
        let again = ada.send(ask(&ada, &body)).await.text();
        let text = tokio::time::timeout(Duration::from_secs(5), again).await;
        let all = events(&text.expect("the run ends").unwrap());
        assert_eq!(all.last().unwrap().1["end"]["state"], "done");
    }
}

#[tokio::test]
async fn a_run_can_be_stopped_and_keeps_what_it_wrote() {
    let pieces: Vec<_> = (0..200).map(|n| delta(&format!("w{n} "))).collect();
    let (site, _upstream, _folder) = site_with(pieces, Duration::from_millis(20)).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    let run = header(&answer, "breezeway-run-id");
    tokio::time::sleep(Duration::from_millis(200)).await;

    let stop = format!("/api/chat/runs/{run}/stop");
    assert_eq!(ben.send(ben.request(Method::POST, &stop)).await.status(), StatusCode::NOT_FOUND);
    let other = ben.get(&format!("/api/chat/runs/{run}/events")).await;
    assert_eq!(other.status(), StatusCode::NOT_FOUND);

    assert_eq!(ada.send(ada.request(Method::POST, &stop)).await.status(), StatusCode::NO_CONTENT);
    let seen = events(&answer.text().await.unwrap());
    assert_eq!(seen.last().unwrap().1["end"]["state"], "stopped");
    assert!(html(&seen).contains("w0 w1"));
    assert_eq!(ada.send(ada.request(Method::POST, &stop)).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn one_reply_at_a_time_in_a_conversation() {
    let pieces: Vec<_> = (0..50).map(|_| delta("x ")).collect();
    let (site, _upstream, _folder) = site_with(pieces, Duration::from_millis(20)).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    let conversation = header(&answer, "breezeway-conversation-id");
    let second = json!({ "message": "And?", "conversationId": conversation });
    let refused = ada.send(ask(&ada, &second)).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert!(refused.text().await.unwrap().contains("still being written"));
}

#[tokio::test]
async fn trouble_before_and_in_the_middle_keeps_what_there_is() {
    let refusing = Upstream::start(|_| {
        Response::builder()
            .status(503)
            .header("x-should-retry", "false")
            .body("{\"error\":{\"message\":\"secret detail\"}}".into())
            .unwrap()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&refusing.origin, "")).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    let conversation = header(&answer, "breezeway-conversation-id");
    let seen = events(&answer.text().await.unwrap());
    assert_eq!(seen.last().unwrap().1["end"]["state"], "failed");
    let page = ada.open(&format!("/chat/{conversation}")).await.text().await.unwrap();
    assert!(
        page.contains("Try again") && page.contains("Hi") && !page.contains("secret"),
        "{page}"
    );

    for end in ["data: {\"error\":{\"message\":\"secret detail\"}}\n\n", ""] {
        let pieces = vec![delta("Half a "), end.to_owned()];
        let (site, _upstream, _folder) = site_with(pieces, Duration::from_millis(10)).await;
        let ada = site.signed_in("ada").await;
        let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
        let conversation = header(&answer, "breezeway-conversation-id");
        let text = answer.text().await.unwrap();
        assert_eq!(events(&text).last().unwrap().1["end"]["state"], "interrupted", "{text}");
        assert!(!text.contains("secret"));
        let page = ada.open(&format!("/chat/{conversation}")).await.text().await.unwrap();
        assert!(page.contains("Half a") && page.contains("Continue"), "{page}");
    }
}

#[tokio::test]
async fn an_interrupted_reply_is_continued_in_place() {
    let (site, _upstream, _folder) = site_that_breaks_off_once().await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    let conversation = header(&answer, "breezeway-conversation-id");
    let message = header(&answer, "breezeway-message-id");
    drop(answer.text().await);

    let resumed = ada.post_form("/api/fn/chat/start_run", &[("message", &message)]).await;
    assert_eq!(location(&resumed).unwrap(), format!("/chat/{conversation}/live"));
    let page = format!("/chat/{conversation}");
    eventually("the reply", async || {
        ada.open(&page).await.text().await.unwrap().contains("<p>Half, the end.</p>")
    })
    .await;
    let text = ada.open(&page).await.text().await.unwrap();
    assert_eq!(text.matches("data-role=\"assistant\"").count(), 1);
    assert_eq!(text.matches("data-role=\"user\"").count(), 1);
}

#[tokio::test]
async fn what_a_shared_reply_is_continued_with_is_not_shared() {
    let (site, _upstream, _folder) = site_that_breaks_off_once().await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    let (conversation, message) =
        (header(&answer, "breezeway-conversation-id"), header(&answer, "breezeway-message-id"));
    drop(answer.text().await);
    let share = async || {
        let fields = [("conversation", conversation.as_str())];
        ada.post_form("/api/fn/chat/share", &fields).await;
        let page = ada.open(&format!("/chat/{conversation}")).await.text().await.unwrap();
        let (_, link) = page.split_once(&format!("value=\"{}/shared/", site.origin)).unwrap();
        format!("/shared/{}", link.split('"').next().unwrap())
    };
    let link = share().await;
    let shown = async || ada.open(&link).await.text().await.unwrap();
    assert!(shown().await.contains("Half,"));
    ada.post_form("/api/fn/chat/start_run", &[("message", &message)]).await;
    let page = format!("/chat/{conversation}");
    eventually("the reply", async || {
        ada.open(&page).await.text().await.unwrap().contains("<p>Half, the end.</p>")
    })
    .await;
    let text = shown().await;
    assert!(text.contains("Hi") && !text.contains("the end."), "{text}");
    assert_eq!(share().await, link);
    assert!(shown().await.contains("<p>Half, the end.</p>"));
}

#[tokio::test]
async fn a_reply_is_continued_once_however_often_it_is_asked() {
    let (site, upstream, _folder) = site_that_breaks_off_once().await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    let message = header(&answer, "breezeway-message-id");
    drop(answer.text().await);

    let fields = [("message", message.as_str())];
    let resume = || ada.post_form("/api/fn/chat/start_run", &fields);
    let answers = futures::future::join_all((0..6).map(|_| resume())).await;
    let begun = answers.iter().filter_map(location).filter(|to| to.ends_with("/live")).count();
    assert_eq!(begun, 1);
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn a_run_that_a_crash_left_behind_is_marked_and_keeps_its_text() {
    let pieces: Vec<_> = (0..500).map(|n| delta(&format!("w{n} "))).collect();
    let upstream = provider(pieces, Duration::from_millis(20)).await;
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    if postgres(folder.path()).await.is_some() {
        return; // A folder does not hold the database; `lost` kills the program.
    }
    let config = with_backend(&upstream.origin, "");
    let site = Site::start_with(folder.path(), &config).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    let conversation = header(&answer, "breezeway-conversation-id");
    let mut stream = answer.bytes_stream();
    let mut seen = String::new();
    while !seen.contains("w9 ") {
        seen.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    // What the disk holds at this moment is what a crash would leave.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }

    let after = Site::start_with(copy.path(), &config).await;
    let again = Browser::new(&after.origin);
    *again.cookies.lock().unwrap() = ada.cookies.lock().unwrap().clone();
    let page = again.open(&format!("/chat/{conversation}")).await.text().await.unwrap();
    assert!(page.contains("data-state=\"interrupted\"") && page.contains("Continue"), "{page}");
    assert!(page.contains("w0 w1 w2 w3 w4 w5 w6 w7 w8 w9"), "every event a reader saw is kept");
}

#[tokio::test]
async fn shutting_down_saves_what_is_being_written() {
    let pieces: Vec<_> = (0..500).map(|n| delta(&format!("w{n} "))).collect();
    let (site, _upstream, _folder) = site_with(pieces, Duration::from_millis(20)).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    site.app.chat.shut_down(Duration::from_millis(100)).await;
    let seen = events(&answer.text().await.unwrap());
    assert_eq!(seen.last().unwrap().1["end"]["state"], "interrupted");
    assert!(html(&seen).contains("w0 w1"));
}

#[tokio::test]
async fn clients_of_other_kinds_get_what_they_understand() {
    let pieces = vec![delta("Hi "), delta("there"), STOP.to_owned()];
    let (site, _upstream, _folder) = site_with(pieces, Duration::from_millis(5)).await;
    let ada = site.signed_in("ada").await;
    let deep_chat = json!({"messages": [{"role": "user", "text": "Hello"}]});
    let request = ada
        .request(Method::POST, "/api/chat")
        .header("accept", "text/event-stream")
        .json(&deep_chat);
    let text = ada.send(request).await.text().await.unwrap();
    assert!(text.contains("data: {\"text\":\"Hi \",\"_sessionId\":"), "{text}");
    assert!(text.contains("data: {\"text\":\"there\"}\n\n"), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");

    let whole = ada.send(ada.request(Method::POST, "/api/chat").json(&deep_chat)).await;
    let id = header(&whole, "breezeway-conversation-id");
    let whole: Value = whole.json().await.unwrap();
    assert_eq!(whole, json!({ "text": "Hi there", "_sessionId": id }));
}

#[tokio::test]
async fn an_answer_without_a_stream_says_when_it_is_not_complete() {
    let pieces: Vec<_> = (0..200).map(|n| delta(&format!("w{n} "))).collect();
    let (site, _upstream, _folder) = site_with(pieces, Duration::from_millis(20)).await;
    let ada = site.signed_in("ada").await;
    let body = json!({ "message": "Hi", "request_id": "one" });
    let begun = ada.send(ask(&ada, &body)).await;
    let run = header(&begun, "breezeway-run-id");
    drop(begun);
    tokio::time::sleep(Duration::from_millis(100)).await;
    ada.send(ada.request(Method::POST, &format!("/api/chat/runs/{run}/stop"))).await;
    let whole = ada.send(ada.request(Method::POST, "/api/chat").json(&body)).await;
    let whole: Value = whole.json().await.unwrap();
    assert_eq!(whole["state"], "stopped");
    assert!(whole["text"].as_str().unwrap().starts_with("w0 w1"), "{whole}");
}

#[tokio::test]
async fn bad_questions_are_refused_in_words() {
    let (site, upstream, _folder) = site_with(vec![STOP.to_owned()], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    for (body, status, words) in [
        (json!({ "message": "  " }), 400, "Write a message first"),
        (json!({ "message": "x".repeat(200_001) }), 413, "too long"),
        (json!({ "message": "x".repeat(3_000_000) }), 413, "\"code\":\"too_large\""),
        (json!({ "message": "Hi", "conversationId": "nope" }), 404, "no such conversation"),
        (json!({ "message": "Hi", "model": "nope" }), 400, "no assistant called nope"),
        (json!([1]), 400, "JSON object"),
    ] {
        let answer = ada.send(ask(&ada, &body)).await;
        assert_eq!(answer.status().as_u16(), status);
        let text = answer.text().await.unwrap();
        assert!(text.contains(words), "{text}");
    }
    let nobody = site.browser();
    let answer = nobody.send(ask(&nobody, &json!({ "message": "Hi" }))).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn without_a_script_the_reply_arrives_with_the_page() {
    let pieces = vec![delta("First <b>.\n\n"), delta("Second"), delta(" part"), STOP.to_owned()];
    let (site, _upstream, _folder) = site_with(pieces, Duration::from_millis(150)).await;
    let ada = site.signed_in("ada").await;
    let sent = ada.post_form("/chat", &[("text", "Hi"), ("request_id", "r1")]).await;
    let live = location(&sent).unwrap();
    let twice = ada.post_form("/chat", &[("text", "Hi"), ("request_id", "r1")]).await;
    assert_eq!(location(&twice).unwrap(), live);

    let answer = ada.get(&live).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let mut stream = answer.bytes_stream();
    let (mut text, mut steps) = (String::new(), 0);
    while let Some(chunk) = stream.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        steps += 1;
    }
    assert!(steps >= 4, "the page came in {steps} pieces");
    let reply = text.split_once("data-role=\"assistant\"").unwrap().1;
    assert!(reply.contains("First &lt;b&gt;.") && !reply.contains("<b>"), "{reply}");
    assert!(text.contains("<p>Second part</p>") && text.contains("</html>"), "{text}");
    assert!(text.contains("/api/fn/chat/stop_run"));

    // Once it is finished, the live page is the conversation itself.
    let over = ada.get(&live).await;
    assert_eq!(location(&over).unwrap(), live.trim_end_matches("/live"));
}

#[tokio::test]
async fn a_nul_is_a_problem_of_one_text_and_of_nothing_else() {
    let (site, _upstream, _folder) = site_with(vec![delta("one\0two")], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let asked = ada.send(ask(&ada, &json!({ "message": "a\0b" }))).await.status();
    assert!(asked.is_success() || asked.is_client_error(), "{asked}");
    let gone = ada.open("/chat/%00").await.status();
    assert!(gone.is_client_error(), "{gone}");
    let answer = ada.send(ask(&ada, &json!({ "message": "Hi" }))).await;
    let conversation = header(&answer, "breezeway-conversation-id");
    answer.text().await.unwrap();
    let path = format!("/api/chat/conversations/{conversation}/messages");
    let kept = ada.get(&path).await.text().await.unwrap();
    assert!(kept.contains("onetwo"), "{kept}");
}
