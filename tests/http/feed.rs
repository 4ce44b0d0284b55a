//! What a page is told: enough to show the conversation as a reload would, wherever it begins.

use std::{sync::Mutex, time::Duration};

use axum::response::Response;
use futures::{StreamExt, stream::BoxStream};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::{Browser, Site, Upstream, delta, spoken, with_backend};

/// A provider that says these pieces, a moment apart, and then that it is done.
pub async fn site(pieces: &[&str], pause: Duration) -> (Site, Upstream, TempDir) {
    let stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned();
    let pieces: Vec<String> = pieces.iter().map(|piece| delta(piece)).chain([stop]).collect();
    let upstream = Upstream::start(move |_| spoken(pieces.clone(), pause)).await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    (site, upstream, folder)
}

/// A frame: name, data and place.
pub type Frame = (String, String, String);

/// Asks as the page does; answers the conversation.
pub async fn ask(browser: &Browser, message: &str, conversation: Option<&str>) -> String {
    let fields = [("text", message), ("conversation", conversation.unwrap_or_default())];
    let request = browser.request(Method::POST, "/chat").form(&fields);
    let answer = browser.send(request).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.headers()["breezeway-conversation-id"].to_str().unwrap().to_owned()
}

pub async fn open(browser: &Browser, conversation: &str, after: &str) -> BoxStream<'static, Frame> {
    let path = format!("/api/chat/conversations/{conversation}/feed?after={after}");
    let answer = browser.get(&path).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let chunks = answer.bytes_stream();
    let begun = (chunks, String::new());
    let frames = futures::stream::unfold(begun, |(mut chunks, mut rest)| async move {
        while !rest.contains("\n\n") {
            rest.push_str(std::str::from_utf8(&chunks.next().await?.ok()?).unwrap());
        }
        let (frame, after) = rest.split_once("\n\n").unwrap();
        let (frame, after) = (frame.to_owned(), after.to_owned());
        Some((frame, (chunks, after)))
    });
    frames.filter_map(|frame| std::future::ready(parsed(&frame))).boxed()
}

fn parsed(frame: &str) -> Option<Frame> {
    let (mut name, mut id, mut data) = (String::new(), String::new(), Vec::new());
    for line in frame.lines() {
        match line.split_once(": ") {
            Some(("event", value)) => name = value.to_owned(),
            Some(("id", value)) => id = value.to_owned(),
            Some(("data", value)) => data.push(value),
            _ => {}
        }
    }
    (!name.is_empty()).then(|| (name, data.join("\n"), id))
}

/// Reads up to the foot of a reply that has ended.
pub async fn to_the_end(mut frames: BoxStream<'static, Frame>) -> Vec<Frame> {
    let mut all = Vec::new();
    let read = async {
        while let Some(frame) = frames.next().await {
            let is_reply = frame.0 == "foot" || frame.1.contains("data-role=\"assistant\"");
            let is_running = frame.1.contains(" running\n") || frame.1.contains(" data-run=");
            let is_last = is_reply && !is_running;
            all.push(frame);
            if is_last {
                break;
            }
        }
    };
    timeout(Duration::from_secs(20), read).await.expect("the reply ends");
    all
}

/// A page's document, as far as feeds change it.
#[derive(Default, Debug, Clone, PartialEq)]
pub struct Document {
    pub title: String,
    /// The messages: ids and HTML, without what stands below a reply.
    pub turns: Vec<(String, String)>,
}

impl Document {
    pub fn apply(&mut self, (name, data, _): &Frame) {
        let (head, html) = data.split_once('\n').unwrap_or((data, ""));
        match name.as_str() {
            "title" => self.title.clone_from(data),
            "item" => {}
            "path" => {
                let ids: Vec<&str> = data.split(' ').collect();
                let from =
                    self.turns.iter().position(|(id, _)| id == ids[0]).map_or(0, |at| at + 1);
                let mut index = 0;
                self.turns.retain(|(id, _)| {
                    index += 1;
                    index <= from || ids[1..].contains(&id.as_str())
                });
            }
            "turn" => match self.turns.iter_mut().find(|(id, _)| id == head) {
                Some((_, turn)) => *turn = html.to_owned(),
                None => self.turns.push((head.to_owned(), html.to_owned())),
            },
            "foot" => {
                let (id, state) = head.split_once(' ').unwrap();
                let (_, turn) = self.turns.iter_mut().find(|(turn, _)| turn == id).unwrap();
                if state != "running" {
                    let open = turn.find("<div class=\"open\">").unwrap();
                    let close = open + turn[open..].find("</div>").unwrap() + "</div>".len();
                    turn.replace_range(open..close, "");
                }
            }
            "text" => {
                let turn = &mut self.turns.last_mut().unwrap().1;
                let open = turn.rfind("</div></div><footer").unwrap();
                turn.insert_str(open, data);
            }
            "block" => {
                let turn = &mut self.turns.last_mut().unwrap().1;
                let open = turn.rfind("<div class=\"open\">").unwrap();
                let text = open + "<div class=\"open\">".len();
                turn.replace_range(text..text + head.parse::<usize>().unwrap(), "");
                turn.insert_str(open, html);
            }
            other => panic!("what is {other}?"),
        }
    }

    pub fn replies(&self) -> Vec<String> {
        let body = |turn: &str| {
            let start = turn.find("<div class=\"markdown\"")?;
            Some(turn[start..turn.find("<footer").unwrap_or(turn.len())].to_owned())
        };
        self.turns.iter().filter_map(|(_, turn)| body(turn)).collect()
    }
}

const PIECES: &[&str] =
    &["Hello *w", "orld*.\n", "\nSecond", " part\r\n\r", "\n- a\n- b", "\n\nEnd."];

#[tokio::test]
async fn wherever_a_page_begins_it_ends_up_with_the_same() {
    let (site, _upstream, _folder) = site(PIECES, Duration::from_millis(20)).await;
    let ada = site.signed_in("ada").await;
    let conversation = ask(&ada, "Hi", None).await;
    let all = to_the_end(open(&ada, &conversation, "0.0.0").await).await;
    let names: Vec<&str> = all.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(&names[..5], &["title", "item", "path", "turn", "turn"]);
    assert!(names.contains(&"text") && names.contains(&"block"), "{names:?}");

    let mut whole = Document::default();
    all.iter().for_each(|frame| whole.apply(frame));
    let page = ada.open(&format!("/chat/{conversation}")).await.text().await.unwrap();
    assert!(page.contains(&whole.replies()[0]), "{whole:?}\n{page}");
    assert!(whole.replies()[0].contains("<p>Hello <em>world</em>.</p>"), "{whole:?}");

    // A page that went away after any of the frames, and came back when all was over.
    for split in 0..all.len() {
        let mut document = Document::default();
        all[..=split].iter().for_each(|frame| document.apply(frame));
        let at = all[..=split].iter().rev().map(|frame| frame.2.as_str()).find(|at| !at.is_empty());
        let at = at.unwrap_or("0.0.0");
        let mut rest = open(&ada, &conversation, at).await;
        while let Ok(Some(frame)) = timeout(Duration::from_millis(400), rest.next()).await {
            document.apply(&frame);
        }
        assert_eq!(document.replies(), whole.replies(), "from {split}, {at}");
        assert_eq!(document.title, "Hi");
    }
}

#[tokio::test]
async fn a_page_that_comes_back_while_it_is_written_reads_on() {
    let pieces: Vec<String> = (0..40).map(|number| format!("w{number} ")).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let (site, _upstream, _folder) = site(&pieces, Duration::from_millis(20)).await;
    let ada = site.signed_in("ada").await;
    let conversation = ask(&ada, "Hi", None).await;
    let mut document = Document::default();
    let mut at = "0.0.0".to_owned();
    for count in [6, 1, 4, 9] {
        let mut frames = open(&ada, &conversation, &at).await;
        for _ in 0..count {
            let frame = frames.next().await.unwrap();
            document.apply(&frame);
            if !frame.2.is_empty() {
                at = frame.2;
            }
        }
    }
    let rest = to_the_end(open(&ada, &conversation, &at).await).await;
    let begins = rest.iter().filter(|(name, ..)| name == "turn").count();
    assert_eq!(begins, 0, "nothing is told twice: {rest:?}");
    rest.iter().for_each(|frame| document.apply(frame));
    let words: String = pieces.concat();
    assert!(document.replies()[0].contains(words.trim()), "{document:?}");
}

#[tokio::test]
async fn what_is_asked_in_one_tab_shows_in_all() {
    let (site, _upstream, _folder) = site(&["Hel", "lo"], Duration::from_millis(30)).await;
    let ada = site.signed_in("ada").await;
    let conversation = ask(&ada, "One", None).await;
    let first = to_the_end(open(&ada, &conversation, "0.0.0").await).await;
    let at = &first.last().unwrap().2;

    let (one, two) = (open(&ada, &conversation, at).await, open(&ada, &conversation, at).await);
    let both = tokio::spawn(async move { tokio::join!(to_the_end(one), to_the_end(two)) });
    tokio::time::sleep(Duration::from_millis(50)).await;
    ask(&ada, "Two", Some(&conversation)).await;
    let (one, two) = both.await.unwrap();
    for told in [one, two] {
        let turns = told.iter().filter(|(name, ..)| name == "turn");
        assert_eq!(turns.filter(|(_, html, _)| html.contains("Two")).count(), 1);
        let path = told.iter().find(|(name, ..)| name == "path").unwrap();
        assert_eq!(
            path.1.split(' ').count(),
            3,
            "the last message before, the question, the reply"
        );
        let mut document = Document::default();
        first.iter().chain(&told).for_each(|frame| document.apply(frame));
        let replies = document.replies();
        assert_eq!(replies.len(), 2);
        assert!(replies.iter().all(|reply| reply.contains("<p>Hello</p>")), "{replies:?}");
    }
}

#[tokio::test]
async fn a_feed_is_nobody_elses_and_names_what_is_wrong() {
    let (site, _upstream, _folder) = site(&["Hi"], Duration::ZERO).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let conversation = ask(&ada, "One", None).await;
    let path = format!("/api/chat/conversations/{conversation}/feed");
    assert_eq!(ben.get(&path).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(site.browser().get(&path).await.status(), StatusCode::UNAUTHORIZED);
    let wrong = ada.get(&format!("{path}?after=x")).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_reply_that_failed_and_is_tried_again_is_told_in_its_place() {
    let calls = Mutex::new(0);
    let upstream = Upstream::start(move |_| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        if *calls == 1 {
            let body = json!({ "error": { "message": "no" } }).to_string();
            return Response::builder().status(400).body(body.into()).unwrap();
        }
        let body = delta("Now.") + "data: [DONE]\n\n";
        Response::builder().header("content-type", "text/event-stream").body(body.into()).unwrap()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    let ada = site.signed_in("ada").await;
    let conversation = ask(&ada, "Hi", None).await;
    let failed = to_the_end(open(&ada, &conversation, "0.0.0").await).await;
    let last = failed.last().unwrap();
    assert!(last.1.contains("failed") && last.1.contains("Try again"), "{last:?}");

    let message = last.1.split([' ', '\n']).next().unwrap().to_owned();
    let feed = open(&ada, &conversation, &last.2).await;
    let again = ada
        .request(Method::POST, "/api/fn/chat/start_run")
        .header("accept", "application/json")
        .form(&[("message", message.as_str())]);
    let started: Value = ada.send(again).await.json().await.unwrap();
    assert_eq!(started["message"], json!(message));
    let mut document = Document::default();
    failed.iter().for_each(|frame| document.apply(frame));
    let mut feed = feed;
    while !document.replies()[0].contains("<p>Now.</p>") {
        let frame = timeout(Duration::from_secs(10), feed.next()).await.expect("a frame");
        document.apply(&frame.unwrap());
    }
    assert_eq!(document.turns.len(), 2);
    assert!(document.replies()[0].contains("<p>Now.</p>"), "{document:?}");
}

#[tokio::test]
async fn feeds_end_when_the_server_stops() {
    let (site, _upstream, _folder) = site(&["Hi"], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let conversation = ask(&ada, "One", None).await;
    let first = to_the_end(open(&ada, &conversation, "0.0.0").await).await;
    let mut idle = open(&ada, &conversation, &first.last().unwrap().2).await;
    // Until it has nothing more to tell.
    while timeout(Duration::from_millis(300), idle.next()).await.is_ok() {}
    site.app.chat.shut_down(Duration::from_secs(5)).await;
    let end = timeout(Duration::from_secs(5), idle.next()).await;
    assert!(matches!(end, Ok(None)), "{end:?}");
}
