//! How long nothing has come.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// The silences of a stream, each of which may last as long. One alarm serves them all: to set one
/// for every piece would cost more than passing the piece on.
pub struct Silence {
    limit: Duration,
    /// When the present one has lasted too long.
    deadline: Option<Instant>,
    /// Made by the first silence, as most answers arrive with nothing to wait for. It is not set
    /// anew for each: it rings early, at most once in every `limit`, and is set on then.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    /// None yet; the next may last for `limit`.
    pub fn new(limit: Duration) -> Self {
        Self { limit, deadline: None, alarm: None }
    }

    /// How long each may last.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Something came.
    pub fn end(&mut self) {
        self.deadline = None;
    }

    /// Ready once the present silence has lasted too long. It begins with the first call.
    pub fn poll_too_long(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.limit);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
    }
}
