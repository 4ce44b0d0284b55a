//! Nothing is lost: the program itself, really killed and really out of room.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Browser, Upstream, delta, eventually, postgres, spoken, with_backend};

/// The program on data of its own.
struct Node {
    folder: TempDir,
    origin: String,
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the program said:\n{}", self.said.lock().unwrap());
        }
    }
}

impl Node {
    async fn start(upstream: &Upstream) -> Self {
        // Here no site runs in the test's own process, which would do this.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = format!("{}[jobs]\nevery = \"1s\"\n", with_backend(&upstream.origin, ""));
        if let Some(url) = postgres(folder.path()).await {
            config += &format!("[server]\ndatabase_url = \"{url}\"\n");
        }
        fs::write(folder.path().join("Leptos.toml"), config).unwrap();
        let said = Arc::default();
        let child = launch(folder.path(), &free.to_string(), "true", &said);
        let node = Self { folder, origin: format!("http://{free}"), child, said };
        node.is_up().await;
        node
    }

    /// Starts it again on the same data, after this was said to the shell.
    async fn restart(&mut self, before: &str) {
        self.kill();
        let address = self.origin.trim_start_matches("http://").to_owned();
        self.child = launch(self.folder.path(), &address, before, &self.said);
        self.is_up().await;
    }

    async fn is_up(&self) {
        let health = format!("{}/health", self.origin);
        eventually("the program starts", async || {
            reqwest::get(&health).await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    /// Without a word of warning.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How large files may get from now on, in bytes; any size where none is given.
    fn limit(&self, bytes: Option<u64>) {
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let pid = self.child.id().to_string();
        let set = Command::new("prlimit")
            .args(["--pid", &pid, &format!("--fsize={limit}:unlimited")])
            .status();
        assert!(set.unwrap().success());
    }

    fn largest_file(&self) -> u64 {
        let files = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
        let sizes = files(self.folder.path().join("data")).filter_map(|file| file.metadata().ok());
        sizes.map(|file| file.len()).max().unwrap()
    }
}

/// Files that grow too large are an error to the program and not its end: `trap`.
fn launch(folder: &Path, address: &str, before: &str, said: &Arc<Mutex<String>>) -> Child {
    let script = format!("trap '' XFSZ; {before}; exec \"$0\" serve 2>&1");
    let mut child = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_breezeway")])
        .current_dir(folder)
        .env("BREEZEWAY__SERVER__DATA_DIR", folder.join("data"))
        .env("LEPTOS_SITE_ADDR", address)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (lines, said) = (BufReader::new(child.stdout.take().unwrap()).lines(), said.clone());
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            *said.lock().unwrap() += &format!("{line}\n");
        }
    });
    child
}

async fn ada(node: &Node) -> Browser {
    let browser = Browser::new(&node.origin);
    browser.sign_in("ada").await;
    browser
}

/// Asks and reads until the connection breaks or the reply ends; answers what a reader has seen.
async fn ask(browser: &Browser, text: &str, request_id: &str) -> (Option<StatusCode>, String) {
    let question = json!({ "message": text, "request_id": request_id, "stream": true });
    let request = browser.request(Method::POST, "/api/chat").json(&question);
    let Ok(answer) = request.send().await else { return (None, String::new()) };
    let (status, mut seen, mut chunks) = (answer.status(), String::new(), answer.bytes_stream());
    while let Some(Ok(chunk)) = chunks.next().await {
        seen.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let events = seen.lines().filter_map(|line| line.strip_prefix("data: {"));
    let events = events.filter_map(|data| serde_json::from_str(&format!("{{{data}")).ok());
    let texts = events.filter_map(|event: Value| event["text"].as_str().map(str::to_owned));
    (Some(status), texts.collect())
}

/// Every message of every conversation.
async fn messages(browser: &Browser) -> Vec<Value> {
    let list: Vec<Value> = browser.get("/api/chat/conversations").await.json().await.unwrap();
    let mut all = Vec::new();
    for line in list {
        let path = format!("/api/chat/conversations/{}/messages", line["id"].as_str().unwrap());
        all.extend(browser.get(&path).await.json::<Vec<Value>>().await.unwrap());
    }
    all
}

#[tokio::test]
async fn a_question_outlives_a_crash_at_any_moment_and_is_never_asked_twice() {
    let pieces: Vec<String> = (0..40).map(|number| delta(&format!("word{number} "))).collect();
    let upstream =
        Upstream::start(move |_| spoken(pieces.clone(), Duration::from_millis(10))).await;
    let mut node = Node::start(&upstream).await;
    for (round, moment) in [0, 3, 8, 15, 40, 90, 200, 350].into_iter().enumerate() {
        let browser = ada(&node).await;
        let (text, name) = (format!("question {round}"), format!("r{round}"));
        let asking = ask(&browser, &text, &name);
        let crash = tokio::time::sleep(Duration::from_millis(moment));
        let ((_, seen), ()) = tokio::join!(asking, async {
            crash.await;
            node.kill();
        });
        node.restart("true").await;

        // The client does not know whether it was heard, and asks again.
        let browser = ada(&node).await;
        let (status, _) = ask(&browser, &text, &name).await;
        assert_eq!(status, Some(StatusCode::OK), "{moment} ms");
        let all = messages(&browser).await;
        let asked: Vec<usize> = all
            .iter()
            .enumerate()
            .filter(|(_, one)| one["text"] == text)
            .map(|(at, _)| at)
            .collect();
        assert_eq!(asked.len(), 1, "{moment} ms: {all:?}");
        let reply = &all[asked[0] + 1];
        let kept = reply["text"].as_str().unwrap();
        assert!(kept.starts_with(&seen), "{moment} ms: saw {seen:?}, kept {kept:?}");
        assert_ne!(reply["state"], "running", "{moment} ms");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_that_was_shown_is_lost() {
    let pieces: Vec<String> =
        (0..400).map(|n| delta(&format!("{n} {}", "word ".repeat(200)))).collect();
    let upstream = Upstream::start(move |_| spoken(pieces.clone(), Duration::from_millis(2))).await;
    let mut node = Node::start(&upstream).await;
    if postgres(node.folder.path()).await.is_some() {
        return; // No file of ours holds the database.
    }
    let browser = ada(&node).await;
    node.limit(Some(node.largest_file() + (160 << 10)));
    let (status, seen) = ask(&browser, "Fill it", "r1").await;
    assert_eq!(status, Some(StatusCode::OK));
    assert!(!seen.is_empty() && seen.len() < 400 * 1_000, "it broke off: {}", seen.len());

    // Not one byte more: what cannot be kept is not taken.
    node.limit(Some(1));
    let fields = [("text", "Is there room?"), ("request_id", "r2")];
    let refused = browser.post_form("/chat", &fields).await;
    assert!(refused.status().is_server_error(), "{}", refused.status());
    let page = refused.text().await.unwrap();
    assert!(page.contains(">Is there room?</textarea>") && page.contains("Send again"), "{page}");

    // There is room again: without a restart the state is the true one, and one can go on.
    node.limit(None);
    let state = async || {
        let all = messages(&browser).await;
        all.get(1).map(|reply| (reply["state"].clone(), reply["text"].as_str().unwrap().to_owned()))
    };
    eventually("the reply is marked as interrupted", async || {
        state().await.is_some_and(|(state, _)| state == "interrupted")
    })
    .await;
    let (_, kept) = state().await.unwrap();
    assert!(kept.starts_with(&seen), "saw {}, kept {}", seen.len(), kept.len());
    let again = browser.post_form("/chat", &fields).await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
    let all = messages(&browser).await;
    let asked = all.iter().filter(|one| one["text"] == "Is there room?").count();
    assert_eq!(
        asked,
        1,
        "{:?}",
        all.iter()
            .map(|one| one.to_string().chars().take(90).collect::<String>())
            .collect::<Vec<_>>()
    );

    node.restart("true").await;
    let browser = ada(&node).await;
    let all = messages(&browser).await;
    assert!(all.iter().any(|one| one["text"].as_str().is_some_and(|text| text.starts_with(&seen))));
}

#[tokio::test]
async fn an_upload_to_a_full_disk_leaves_nothing_behind() {
    let upstream = Upstream::start(|_| spoken(Vec::new(), Duration::ZERO)).await;
    let node = Node::start(&upstream).await;
    let config = node.folder.path().join("Leptos.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("titles = false\n", "titles = false\nfiles = [\"text/*\"]\n"))
        .unwrap();
    let mut node = node;
    node.restart("true").await;
    let browser = ada(&node).await;
    node.limit(Some(node.largest_file() + (64 << 10)));
    let large = vec![b'x'; usize::try_from(node.largest_file()).unwrap() + (1 << 20)];
    let request = browser.request(Method::POST, "/api/chat/files?name=a.txt").body(large);
    let answer = browser.send(request).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = answer.json().await.unwrap();
    assert!(body["error"].as_str().unwrap().contains("could not be kept"), "{body}");
    let left = fs::read_dir(node.folder.path().join("data/files")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}
