//! An authenticated GET of 2 KB through `/api/proxy`: CPU per request and latency, with 64
//! connections kept alive. `SECONDS` and `CONNECTIONS` change the load.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first surprise")]

mod support;

use std::time::{Duration, Instant};

use axum::{Router, routing::get};
use support::{Process, percentile, setting};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let seconds = Duration::from_secs(setting("SECONDS", 8) as u64);
    let connections = setting("CONNECTIONS", 64);
    let upstream = upstream().await;
    let process = Process::start(&upstream, "tenant = { query = \"tenant_id\" }").await;
    let browser = process.signed_in().await;
    let cookie = browser.cookies.lock().expect("cookies")["breezeway"].clone();

    load(&process, &cookie, connections, Duration::from_secs(2)).await;
    let idle = process.resident();
    let (cpu, began) = (process.cpu(), Instant::now());
    let mut took = load(&process, &cookie, connections, seconds).await;
    let cpu = process.cpu() - cpu;
    took.sort_unstable();
    println!("authenticated GET of 2 KB, {connections} connections");
    println!("  CPU per request  {:>8.1} µs", cpu.as_secs_f64() * 1e6 / took.len() as f64);
    println!("  requests         {:>8.0} /s", took.len() as f64 / began.elapsed().as_secs_f64());
    println!("  latency p50      {:>8.2?}", percentile(&took, 0.5));
    println!("  latency p99      {:>8.2?}", percentile(&took, 0.99));
    println!("  resident memory  {:>8.1} MiB", idle as f64 / 1024.0);
}

async fn upstream() -> String {
    let body = "x".repeat(2048);
    let router = Router::new().route("/x", get(move || std::future::ready(body.clone())));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

async fn load(
    process: &Process,
    cookie: &str,
    connections: usize,
    length: Duration,
) -> Vec<Duration> {
    let end = Instant::now() + length;
    let workers = (0..connections).map(|_| {
        let (url, cookie) = (format!("{}/api/proxy/x", process.origin), cookie.to_owned());
        tokio::spawn(async move {
            let http = reqwest::Client::builder().no_proxy().build().expect("a client");
            let mut took = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                let request = http.get(&url).header("cookie", format!("breezeway={cookie}"));
                let body = request.send().await.expect("an answer").bytes().await.expect("a body");
                assert_eq!(body.len(), 2048);
                took.push(began.elapsed());
            }
            took
        })
    });
    let done = futures::future::join_all(workers).await;
    done.into_iter().flat_map(|took| took.expect("a worker")).collect()
}
