//! A body that gives up when nothing arrives for too long.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::BoxError;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// Wraps a backend's body: the time between two pieces is bounded, the whole is not.
pub struct IdleBody<B> {
    body: B,
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
}

/// Nothing came for the configured time.
#[derive(Debug, thiserror::Error)]
#[error("the backend sent nothing for {} seconds", .0.as_secs())]
pub struct Silent(Duration);

impl<B> IdleBody<B> {
    /// `body`, with at most `limit` between its pieces.
    pub fn new(body: B, limit: Duration) -> Self {
        Self { body, limit, deadline: Box::pin(sleep(limit)) }
    }
}

impl<B> Body for IdleBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let limit = self.limit;
            self.deadline.as_mut().reset(Instant::now() + limit);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(Silent(self.limit).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
