//! Many runs at once, each read by who asked: added latency, CPU per event and memory per run, at 1,
//! 200 and 1,000 runs. `EVENTS` changes their length, `RUNS` the numbers of runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::StreamExt;

use crate::{
    ask, micros,
    provider::{Words, clock, question},
    support::{self, Browser, Process, percentile, setting},
};

const GAP: Duration = Duration::from_millis(50);

/// How far the readers have come.
#[derive(Default)]
struct Progress {
    begun: AtomicUsize,
    words: AtomicUsize,
}

/// Measures and prints.
pub async fn measure(provider: &str) {
    let sizes = match setting("RUNS", 0) {
        0 => vec![1, 200, 1000],
        one => vec![one],
    };
    let events = setting("EVENTS", 200);
    for runs in sizes {
        let process = Process::start(provider, "", "").await;
        let browser = Arc::new(process.signed_in().await);
        read_all(&browser, 20, events, &Arc::default()).await;
        let progress = Arc::default();
        let watched = watch(&process, &progress, runs, GAP * events as u32 / 2);
        let (mut added, cost) = tokio::join!(read_all(&browser, runs, events, &progress), watched);
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

/// Asks `runs` times at once; answers how long each word took from provider to reader.
async fn read_all(
    browser: &Arc<Browser>,
    runs: usize,
    events: usize,
    progress: &Arc<Progress>,
) -> Vec<Duration> {
    let readers = (0..runs).map(|number| {
        let (browser, progress) = (browser.clone(), progress.clone());
        tokio::spawn(async move {
            // Starts are spread over the gap, as those of people are.
            tokio::time::sleep(GAP * (number % 40) as u32 / 10).await;
            read(&browser, events, &progress).await
        })
    });
    let read = futures::future::join_all(readers).await;
    read.into_iter().flat_map(|added| added.expect("a reader")).collect()
}

async fn read(browser: &Browser, events: usize, progress: &Progress) -> Vec<Duration> {
    let mut stream = ask(browser, &question(events, GAP, Words::Times)).await.bytes_stream();
    let mut added = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.expect("a chunk");
        let now = clock().as_micros();
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
