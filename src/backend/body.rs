//! Bodies on their way: a client's upload, which may have to be sent twice, and a backend's answer,
//! which may fall silent.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{BoxError, body::Body};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use super::{silence::Silence, tenant::Spoiled};
use crate::error::{Error, Result};

/// The largest body that is kept in memory, so that it can be sent again, in bytes.
const REPLAYABLE: u64 = 256 << 10;

/// A client's body.
pub enum Upload {
    /// It streams past, once.
    Stream(Body, Pulse),
    /// It is small and all here.
    Whole(Bytes),
}

/// When something last moved in an upload.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Mutex<Instant>>);

/// `body`, of which more than `limit` bytes are refused: with 413 at once where the length is
/// announced, else when it comes to that.
pub fn limited(body: Body, limit: u64) -> Result<Body> {
    if body.is_end_stream() {
        return Ok(body);
    }
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    Ok(Body::new(Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX))))
}

impl Upload {
    /// Takes a body that is [`limited`]; a small one is waited for.
    pub async fn take(body: Body) -> Result<Self> {
        match body.size_hint().exact() {
            Some(0) => Ok(Self::Whole(Bytes::new())),
            Some(length) if length <= REPLAYABLE => {
                let body = body.collect().await.map_err(|cause| {
                    fault_of_upload(&cause).unwrap_or_else(|| broken_off(cause))
                })?;
                Ok(Self::Whole(body.to_bytes()))
            }
            _ => {
                let pulse = Pulse(Arc::new(Mutex::new(Instant::now())));
                Ok(Self::Stream(Body::new(Felt { body, pulse: pulse.clone() }), pulse))
            }
        }
    }
}

impl Pulse {
    /// When something last moved.
    pub fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// What was wrong with an upload, when that is why a call failed.
pub fn fault_of_upload(cause: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut next = Some(cause);
    while let Some(cause) = next {
        if cause.is::<LengthLimitError>() {
            return Some(too_large());
        }
        if let Some(spoiled) = cause.downcast_ref::<Spoiled>() {
            return Some(
                Error::bad_request("The multipart form is not one that can be read.")
                    .because(spoiled.to_string()),
            );
        }
        next = cause.source();
    }
    None
}

fn too_large() -> Error {
    Error::too_large("The body is larger than this backend takes. Send less at once.")
}

fn broken_off(cause: axum::Error) -> Error {
    Error::bad_request("The body broke off before its end. Nothing was sent.").because(cause)
}

/// Notes in its pulse that it is moving.
struct Felt<B> {
    body: B,
    pulse: Pulse,
}

impl<B> HttpBody for Felt<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.pulse.beat();
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Wraps a body: the time between two pieces is bounded, the whole is not.
pub struct IdleBody<B> {
    body: B,
    silence: Silence,
}

/// Nothing came for the configured time.
#[derive(Debug, thiserror::Error)]
#[error("nothing came for {} seconds", .0.as_secs())]
pub struct Silent(Duration);

impl<B> IdleBody<B> {
    /// `body`, with at most `limit` between its pieces.
    pub fn new(body: B, limit: Duration) -> Self {
        Self { body, silence: Silence::new(limit) }
    }
}

impl<B> HttpBody for IdleBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.silence.end();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.silence.poll_too_long(cx));
        Poll::Ready(Some(Err(Silent(self.silence.limit()).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
