//! Long replies against short ones: what the server spends on each word, from provider to reader,
//! rendering included. `REPLIES` changes how many are written at once.

use std::time::Duration;

use futures::{StreamExt, future::join_all};

use crate::{
    ask, micros,
    provider::{Words, question},
    support::{self, Process, setting},
};

const GAP: Duration = Duration::from_millis(2);

/// Measures and prints.
pub async fn measure(provider: &str) {
    let replies = setting("REPLIES", 16);
    println!("{replies} replies at once, a word every {GAP:?}");
    let short = cost(provider, replies, 1_000).await;
    let long = cost(provider, replies, 10_000).await;
    println!("   1,000 words       {short:>8.1} µs of CPU per word");
    println!("  10,000 words       {long:>8.1} µs of CPU per word, {:.2} times", long / short);
}

/// CPU time of the server per word, in µs.
async fn cost(provider: &str, replies: usize, words: usize) -> f64 {
    let process = Process::start(provider, "", "").await;
    let browser = process.signed_in().await;
    let read = async |words| {
        let mut stream = ask(&browser, &question(words, GAP, Words::Prose)).await.bytes_stream();
        while let Some(chunk) = stream.next().await {
            chunk.expect("a chunk");
        }
    };
    read(100).await;
    let before = support::cpu(process.id());
    join_all((0..replies).map(|_| read(words))).await;
    let used = support::cpu(process.id()) - before;
    micros(used) / (replies * words) as f64
}
