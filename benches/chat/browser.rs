//! The page while a reply is written: Chromium's own trace of frames and of the main thread, for short
//! and long replies. Needs Node, Playwright in `end2end` and a Chromium (`CHROMIUM` names it).

use std::{path::Path, process::Command, time::Duration};

use crate::{
    provider::{Words, question},
    support::Process,
};

/// As fast as quick models write.
const GAP: Duration = Duration::from_millis(5);

/// Measures and prints.
pub async fn measure(provider: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("end2end/node_modules/playwright-core").is_dir() {
        return println!("Playwright is not installed (`make test` does), so no page was measured");
    }
    let process = Process::start(provider, "", "").await;
    let browser = process.signed_in().await;
    let session = browser.cookies.lock().expect("cookies")["breezeway"].clone();
    println!("a page on which a word is written every {GAP:?}");
    let questions = [1_000, 10_000].map(|count| question(count, GAP, Words::Prose));
    let status = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .arg(root.join("benches/chat/browser.mjs"))
            .args([&process.origin, &session])
            .args(questions)
            .status()
    });
    let status = status.await.expect("a thread").expect("Node");
    assert!(status.success(), "the page could not be measured");
}
