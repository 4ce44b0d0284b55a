//! What has to be done every minute: by our own clock, or by whoever calls `GET /api/cron`.
//!
//! A lease lets one of them do it at a time, whichever node they run on.

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use subtle::ConstantTimeEq;
use tokio::{runtime::Handle, time::interval};

use super::Deliveries;
use crate::{
    backend::LastGood,
    chat::Chat,
    config::JobsConfig,
    data::Changes,
    error::{Error, Result},
    session::Sessions,
    store::{Lease, Store},
};

const LEASE: &str = "jobs";
/// Longer than all jobs together may take.
const AT_MOST: Duration = Duration::from_secs(60);

/// All jobs. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    pub store: Store,
    pub sessions: Sessions,
    pub chat: Chat,
    pub deliveries: Deliveries,
    pub changes: Changes,
    pub last_good: LastGood,
    pub config: JobsConfig,
    /// Where they run.
    pub runtime: Handle,
}

/// What a round of jobs did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether the jobs ran; not when another round was under way.
    pub ran: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u128,
    /// One entry per job.
    pub jobs: Vec<Job>,
}

/// What one job did.
#[derive(Debug, Serialize)]
pub struct Job {
    /// Its name.
    pub job: &'static str,
    /// How many things it dealt with; absent when it failed, which the log explains.
    pub done: Option<u64>,
}

impl Report {
    /// Whether every job came through.
    pub fn is_good(&self) -> bool {
        self.jobs.iter().all(|job| job.done.is_some())
    }
}

impl Jobs {
    /// 401 unless `secret` is the configured one. Without one nobody can call.
    pub fn check_secret(&self, secret: Option<&[u8]>) -> Result<()> {
        let is_right = match (&self.config.cron_secret, secret) {
            (Some(ours), Some(theirs)) => is_same(ours, theirs),
            _ => false,
        };
        is_right.then_some(()).ok_or_else(|| Error::from_status(401, "Unauthorized"))
    }

    /// Does everything that is due, unless somebody is at it; and does it to the end, whoever leaves.
    pub async fn run(&self) -> Result<Report> {
        let this = self.clone();
        self.runtime.spawn(async move { this.run_to_end().await }).await.map_err(Error::internal)?
    }

    async fn run_to_end(&self) -> Result<Report> {
        let began = Instant::now();
        let Some(lease) = Lease::take(&self.store, LEASE, AT_MOST).await? else {
            return Ok(Report { ran: false, took_ms: 0, jobs: Vec::new() });
        };
        let jobs = vec![
            outcome("expired_sessions", self.sessions.remove_expired().await),
            outcome("stale_answers", Ok(self.last_good.sweep())),
            outcome("interrupted_runs", self.chat.recover().await.map(|count| count as u64)),
            outcome("finished_run_events", self.chat.prune().await),
            outcome("ended_leases", Lease::remove_ended(&self.store).await.map_err(Error::from)),
            outcome("undelivered_replies", self.deliveries.wake().await.map(i64::unsigned_abs)),
            outcome("due_changes", self.changes.run_due().await),
            outcome("old_changes", self.changes.prune().await),
            outcome("old_deliveries", self.deliveries.prune().await),
        ];
        lease.give_back().await;
        Ok(Report { ran: true, took_ms: began.elapsed().as_millis(), jobs })
    }

    /// Runs by our own clock for as long as the server does.
    pub async fn run_by_the_clock(&self) {
        let mut clock = interval(self.config.every);
        loop {
            clock.tick().await;
            match self.run().await {
                Ok(report) => tracing::debug!(?report, "jobs"),
                Err(error) => {
                    tracing::warn!(%error, "jobs could not be run; they will be tried again")
                }
            }
        }
    }
}

fn outcome(job: &'static str, done: Result<u64>) -> Job {
    let done =
        done.map_err(|error| tracing::warn!(%error, job, "a job failed; it will be tried again"));
    Job { job, done: done.ok() }
}

fn is_same(ours: &SecretString, theirs: &[u8]) -> bool {
    ours.expose_secret().as_bytes().ct_eq(theirs).into()
}
