//! Many connections that ask for the same, over and over.

use std::time::{Duration, Instant};

/// How long each answer took that so many connections got in this time. Each must be right.
pub async fn load(
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
