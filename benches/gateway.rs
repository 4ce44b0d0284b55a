//! An authenticated GET of 2 KB through `/api/proxy`: CPU per request and latency, with 64
//! connections kept alive, and the same through nginx, if there is one, in front of the same
//! upstream. `SECONDS` and `CONNECTIONS` change the load.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first surprise")]

#[path = "support/nginx.rs"]
mod nginx;
mod support;

use std::time::{Duration, Instant};

use axum::{Router, routing::get};
use nginx::Nginx;
use support::{Process, percentile, setting};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let upstream = upstream().await;
    let process = Process::start(&upstream, "tenant = { query = \"tenant_id\" }").await;
    let browser = process.signed_in().await;
    let session = browser.cookies.lock().expect("cookies")["breezeway"].clone();
    let address = format!("{}/api/proxy/x", process.origin);
    let ours = measure("Breezeway", process.id(), &address, &session).await;
    println!("  resident memory  {:>8.1} MiB", process.resident() as f64 / 1024.0);
    drop(process);
    let Some(nginx) = Nginx::start(&upstream).await else {
        return println!("nginx is not installed, so there is nothing to compare with");
    };
    let floor = measure("nginx", nginx.id(), &format!("{}/x", nginx.origin), &session).await;
    println!("\nBreezeway uses {:.2} times the CPU of nginx", ours / floor);
}

/// Loads the server at `address`; prints what it took and answers its CPU time per request, in µs.
async fn measure(name: &str, process: u32, address: &str, session: &str) -> f64 {
    let connections = setting("CONNECTIONS", 64);
    let length = Duration::from_secs(setting("SECONDS", 8) as u64);
    load(address, session, connections, Duration::from_secs(2)).await;
    let (cpu, began) = (support::cpu(process), Instant::now());
    let mut took = load(address, session, connections, length).await;
    let cpu = (support::cpu(process) - cpu).as_secs_f64() * 1e6 / took.len() as f64;
    took.sort_unstable();
    println!("{name}: GET of 2 KB, {connections} connections");
    println!("  CPU per request  {cpu:>8.1} µs");
    println!("  requests         {:>8.0} /s", took.len() as f64 / began.elapsed().as_secs_f64());
    println!("  latency p50      {:>8.2?}", percentile(&took, 0.5));
    println!("  latency p99      {:>8.2?}", percentile(&took, 0.99));
    cpu
}

async fn upstream() -> String {
    let body = "x".repeat(2048);
    let router = Router::new().route("/x", get(move || std::future::ready(body.clone())));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

async fn load(address: &str, session: &str, connections: usize, length: Duration) -> Vec<Duration> {
    let end = Instant::now() + length;
    let workers = (0..connections).map(|_| {
        let (address, cookie) = (address.to_owned(), format!("breezeway={session}"));
        tokio::spawn(async move {
            let http = reqwest::Client::builder().no_proxy().build().expect("a client");
            let mut took = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                let answer = http.get(&address).header("cookie", &cookie).send().await;
                let body = answer.expect("an answer").bytes().await.expect("a body");
                assert_eq!(body.len(), 2048);
                took.push(began.elapsed());
            }
            took
        })
    });
    let done = futures::future::join_all(workers).await;
    done.into_iter().flat_map(|took| took.expect("a worker")).collect()
}
