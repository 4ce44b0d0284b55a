//! A Breezeway process under load, and what the operating system says it used.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

#[path = "../../tests/http/support.rs"]
#[expect(dead_code, reason = "the tests use all of it, a bench some")]
mod http;

pub use http::{Browser, with_backend};

/// Clock ticks a second, as Linux reports CPU time.
const TICKS: f64 = 100.0;

/// The release binary, serving a configuration of the bench's own.
pub struct Process {
    child: Child,
    pub origin: String,
    folder: tempfile::TempDir,
}

impl Process {
    /// Starts it in front of the backend at `upstream`, with more `tables` in its configuration, and
    /// waits until it is healthy.
    pub async fn start(upstream: &str, backend: &str, tables: &str) -> Self {
        // An error only says that it was installed before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("Leptos.toml");
        let text = with_backend(upstream, backend) + tables;
        fs::write(&config, text).expect("a configuration file");
        let port = free_port();
        let origin = format!("http://127.0.0.1:{port}");
        let child = Command::new(env!("CARGO_BIN_EXE_breezeway"))
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .env("LEPTOS_SITE_ADDR", format!("127.0.0.1:{port}"))
            .env("BREEZEWAY__SERVER__PUBLIC_URL", &origin)
            .env("BREEZEWAY__SERVER__DATA_DIR", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let process = Self { child, origin, folder };
        answers(&format!("{}/health", process.origin)).await;
        process
    }

    /// A browser in which Ada is signed in.
    pub async fn signed_in(&self) -> Browser {
        let browser = Browser::new(&self.origin);
        browser.sign_in("ada").await;
        browser
    }

    /// The operating system's number for it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(proc(self.id(), "status")).expect("a running process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).expect("a size").parse().expect("a number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The folder goes after the process that writes to it.
        let _ = fs::remove_dir_all(self.folder.path());
    }
}

/// Waits until there is an answer at `address`.
pub async fn answers(address: &str) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if reqwest::get(address).await.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing answers at {address}");
}

/// CPU time a process has used so far.
pub fn cpu(process: u32) -> Duration {
    let stat = fs::read_to_string(proc(process, "stat")).expect("a running process");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
    // Fields 14 and 15 of proc(5), counted from behind the name.
    Duration::from_secs_f64((ticks(12) + ticks(13)) / TICKS)
}

fn proc(process: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/{file}"))
}

/// The value below which this share of the sorted values lies.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// A figure from the environment, for a longer or shorter run.
pub fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    probe.local_addr().expect("an address").port()
}
