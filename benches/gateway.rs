//! An authenticated GET of 2 KB through `/api/proxy`: CPU per request and latency, with 64
//! connections kept alive, and the same through nginx, if there is one, in front of the same
//! upstream. `SECONDS` and `CONNECTIONS` change the load.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first surprise")]

#[path = "support/load.rs"]
mod load;
#[path = "support/nginx.rs"]
mod nginx;
mod support;

use axum::{Router, routing::get};
use load::measure;
use nginx::Nginx;
use support::Process;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let upstream = upstream().await;
    let process = Process::start(&upstream, "tenant = { query = \"tenant_id\" }", "").await;
    let browser = process.signed_in().await;
    let session = browser.cookies.lock().expect("cookies")["breezeway"].clone();
    let address = format!("{}/api/proxy/x", process.origin);
    let ours = measure("Breezeway: GET of 2 KB", process.id(), &address, &session, is_right).await;
    println!("  resident memory  {:>8.1} MiB", process.resident() as f64 / 1024.0);
    drop(process);
    let Some(nginx) = Nginx::start(&upstream).await else {
        return println!("nginx is not installed, so there is nothing to compare with");
    };
    let floor = {
        let address = format!("{}/x", nginx.origin);
        measure("nginx: GET of 2 KB", nginx.id(), &address, &session, is_right).await
    };
    println!("\nBreezeway uses {:.2} times the CPU of nginx", ours / floor);
}

fn is_right(body: &[u8]) -> bool {
    body.len() == 2048
}

async fn upstream() -> String {
    let body = "x".repeat(2048);
    let router = Router::new().route("/x", get(move || std::future::ready(body.clone())));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}
