//! Replies through the run log: an OpenAI-compatible provider that speaks every 50 ms, many runs at
//! once, each read by who asked. Added latency, CPU per event and memory per run, at 1, 200 and
//! 1,000 runs. `EVENTS` changes their length, `RUNS` the numbers of runs.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first surprise")]

mod support;

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body, response::Response, routing::post};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::json;
use support::{Browser, Process, percentile, setting};
use tokio::net::TcpListener;

const GAP: Duration = Duration::from_millis(50);
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How far the readers have come.
#[derive(Default)]
struct Progress {
    begun: AtomicUsize,
    words: AtomicUsize,
}

#[tokio::main]
async fn main() {
    LazyLock::force(&BEGAN);
    let events = setting("EVENTS", 200);
    let upstream = upstream(events).await;
    let sizes = match setting("RUNS", 0) {
        0 => vec![1, 200, 1000],
        one => vec![one],
    };
    for runs in sizes {
        let process = Process::start(&upstream, "").await;
        let browser = Arc::new(process.signed_in().await);
        measure(&browser, 20, &Arc::default()).await;
        let progress = Arc::default();
        let watched = watch(&process, &progress, runs, GAP * events as u32 / 2);
        let (mut added, cost) = tokio::join!(measure(&browser, runs, &progress), watched);
        added.sort_unstable();
        println!("{runs} runs of {events} events");
        println!("  added latency p50  {:>8.2?}", percentile(&added, 0.5));
        println!("  added latency p99  {:>8.2?}", percentile(&added, 0.99));
        println!("  CPU per event      {:>8.1} µs", cost.event);
        println!("  CPU to start a run {:>8.1} µs", cost.start);
        println!("  memory per run     {:>8.1} KiB", cost.memory);
    }
}

/// What runs cost the server: µs, µs and KiB.
struct Cost {
    start: f64,
    event: f64,
    memory: f64,
}

/// Looks at the server while the runs begin, and then for as long as `steady`, in which all write.
async fn watch(process: &Process, progress: &Progress, runs: usize, steady: Duration) -> Cost {
    let (cpu, idle) = (support::cpu(process.id()), process.resident());
    while progress.begun.load(Relaxed) < runs {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (cpu_begun, words_begun) = (support::cpu(process.id()), progress.words.load(Relaxed));
    tokio::time::sleep(steady).await;
    let used = support::cpu(process.id()) - cpu_begun;
    let event = micros(used) / (progress.words.load(Relaxed) - words_begun) as f64;
    Cost {
        start: (micros(cpu_begun - cpu) - event * words_begun as f64) / runs as f64,
        event,
        memory: process.resident().saturating_sub(idle) as f64 / runs as f64,
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A provider whose every word is the time at which it was said.
async fn upstream(events: usize) -> String {
    let say = move || async move {
        let words = spoken(events, move || {
            let said = BEGAN.elapsed().as_micros();
            format!(
                "data: {}\n\n",
                json!({"choices": [{"delta": {"content": format!("t{said} ")}}]})
            )
        });
        let last =
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let words = words.chain(futures::stream::once(std::future::ready(last.to_owned())));
        let body = Body::from_stream(
            words.map(|word| Ok::<_, std::convert::Infallible>(Bytes::from(word))),
        );
        Response::builder()
            .header("content-type", "text/event-stream")
            .body(body)
            .expect("a response")
    };
    let router = Router::new().route("/v1/chat/completions", post(say));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

fn spoken(
    count: usize,
    say: impl Fn() -> String + Send + 'static,
) -> impl futures::Stream<Item = String> + Send {
    futures::stream::unfold((0, say), move |(said, say)| async move {
        if said == count {
            return None;
        }
        tokio::time::sleep(GAP).await;
        Some((say(), (said + 1, say)))
    })
}

/// Asks `runs` times at once; answers how long each word took from provider to reader.
async fn measure(browser: &Arc<Browser>, runs: usize, progress: &Arc<Progress>) -> Vec<Duration> {
    let readers = (0..runs).map(|number| {
        let (browser, progress) = (browser.clone(), progress.clone());
        tokio::spawn(async move {
            // Starts are spread over the gap, as those of people are.
            tokio::time::sleep(GAP * (number % 40) as u32 / 10).await;
            read(&browser, &progress).await
        })
    });
    let read = futures::future::join_all(readers).await;
    read.into_iter().flat_map(|added| added.expect("a reader")).collect()
}

async fn read(browser: &Browser, progress: &Progress) -> Vec<Duration> {
    let request = browser
        .request(reqwest::Method::POST, "/api/chat")
        .header("accept", "text/event-stream")
        .json(&json!({"message": "Go"}));
    let mut stream = request.send().await.expect("an answer").bytes_stream();
    let mut added = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.expect("a chunk");
        let now = BEGAN.elapsed().as_micros();
        let text = String::from_utf8_lossy(&chunk);
        for word in text.split("{\"text\":\"t").skip(1) {
            let said = word.split(' ').next().and_then(|said| said.parse::<u128>().ok());
            if let Some(said) = said {
                if added.is_empty() {
                    progress.begun.fetch_add(1, Relaxed);
                }
                progress.words.fetch_add(1, Relaxed);
                added.push(Duration::from_micros((now - said) as u64));
            }
        }
    }
    added
}
