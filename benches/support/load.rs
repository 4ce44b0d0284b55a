//! Many connections that ask for the same, over and over.

use std::time::{Duration, Instant};

use super::support::{cpu, percentile, setting};

/// Loads the server at `address`; prints what it took and answers its CPU time per request, in µs.
pub async fn measure(
    what: &str,
    process: u32,
    address: &str,
    session: &str,
    is_right: fn(&[u8]) -> bool,
) -> f64 {
    let connections = setting("CONNECTIONS", 64);
    let length = Duration::from_secs(setting("SECONDS", 8) as u64);
    let load = |length| load(address, session, connections, length, is_right);
    load(Duration::from_secs(2)).await;
    let (before, began) = (cpu(process), Instant::now());
    let mut took = load(length).await;
    let each = (cpu(process) - before).as_secs_f64() * 1e6 / took.len() as f64;
    took.sort_unstable();
    println!("{what}, {connections} connections");
    println!("  CPU per request  {each:>8.1} µs");
    println!("  requests         {:>8.0} /s", took.len() as f64 / began.elapsed().as_secs_f64());
    println!("  latency p50      {:>8.2?}", percentile(&took, 0.5));
    println!("  latency p99      {:>8.2?}", percentile(&took, 0.99));
    each
}

/// How long each answer took that so many connections got in this time. Each must be right.
async fn load(
    address: &str,
    session: &str,
    connections: usize,
    length: Duration,
    is_right: fn(&[u8]) -> bool,
) -> Vec<Duration> {
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
                assert!(is_right(&body), "{}", String::from_utf8_lossy(&body));
                took.push(began.elapsed());
            }
            took
        })
    });
    let done = futures::future::join_all(workers).await;
    done.into_iter().flat_map(|took| took.expect("a worker")).collect()
}
