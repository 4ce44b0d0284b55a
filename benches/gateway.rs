//! An authenticated GET of 2 KB through `/api/proxy`: CPU per request and latency, with 64
//! connections kept alive, and the same through nginx, if there is one, in front of the same
//! upstream. `SECONDS` and `CONNECTIONS` change the load.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first surprise")]

#[path = "support/load.rs"]
mod load;
#[path = "support/nginx.rs"]
mod nginx;
mod support;

use std::time::{Duration, Instant};

use axum::{Router, routing::get};
use load::load;
use nginx::Nginx;
use support::{Process, percentile, setting};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let upstream = upstream().await;
    let process = Process::start(&upstream, "tenant = { query = \"tenant_id\" }", "").await;
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
    let load = |length| load(address, session, connections, length, |body| body.len() == 2048);
    load(Duration::from_secs(2)).await;
    let (cpu, began) = (support::cpu(process), Instant::now());
    let mut took = load(length).await;
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
