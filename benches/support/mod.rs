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
    /// Starts it in front of the backend at `upstream` and waits until it is healthy.
    pub async fn start(upstream: &str, backend: &str) -> Self {
        // An error only says that it was installed before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("Leptos.toml");
        fs::write(&config, with_backend(upstream, backend)).expect("a configuration file");
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
        process.healthy().await;
        process
    }

    async fn healthy(&self) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            let health = reqwest::get(format!("{}/health", self.origin)).await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} is not healthy", self.origin);
    }

    /// A browser in which Ada is signed in.
    pub async fn signed_in(&self) -> Browser {
        let browser = Browser::new(&self.origin);
        browser.sign_in("ada").await;
        browser
    }

    /// CPU time used so far.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).expect("a running process");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split(' ').collect();
        let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
        // Fields 14 and 15 of proc(5), counted from behind the name.
        Duration::from_secs_f64((ticks(12) + ticks(13)) / TICKS)
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("a running process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).expect("a size").parse().expect("a number")
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
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

/// The value below which this share of the sorted values lies.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// A figure from the environment, for a longer or shorter run.
pub fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

fn free_port() -> u16 {
    let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    probe.local_addr().expect("an address").port()
}
