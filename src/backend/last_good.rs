//! The last good answer to every GET of a resource, for when the backend is down.
//!
//! Kept in memory, for one person and tenant each, within a bound: it bridges an outage, and nothing
//! depends on it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri,
        header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, WARNING},
        uri::PathAndQuery,
    },
};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::{
    error::{Kind, Result},
    session::{Caller, Identity},
};

const STALE: HeaderName = HeaderName::from_static("x-breezeway-stale");
/// The largest answer that is kept, in bytes.
const LARGEST: u64 = 256 << 10;
/// What keeping any answer takes besides, in bytes.
const OVERHEAD: usize = 512;
/// All answers together, in bytes.
const ROOM: u64 = 64 << 20;
/// How old an answer may be and still be as good as a new one.
const AS_GOOD: Duration = Duration::from_secs(1);
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The answers. Cheap to clone.
#[derive(Clone)]
pub struct LastGood(Cache<Question, Arc<Kept>>);

/// What an answer was the answer to, and for whom: a fingerprint of it, because every GET of a
/// resource is looked up by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question([u8; 32]);

struct Kept {
    headers: HeaderMap,
    body: Bytes,
    at: Instant,
}

/// Whether a backend is out, rather than saying no.
fn is_out(answer: &Result<Response<Body>>) -> bool {
    match answer {
        Ok(answer) => matches!(answer.status().as_u16(), 502..=504),
        Err(error) => {
            matches!(error.kind(), Kind::Unavailable | Kind::BadGateway | Kind::Timeout)
        }
    }
}

/// How long ago an answer was given that [`LastGood::recall`] gave back.
pub fn age(headers: &HeaderMap) -> Option<Duration> {
    headers.get(STALE)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

impl Question {
    /// The question that a GET of `target` by `caller` is; only those who are somebody have answers
    /// of their own. An answer's form depends on what the client accepts, and on the headers that are
    /// `forwarded` to this backend in particular.
    pub fn of(
        caller: &Caller,
        target: &Uri,
        headers: &HeaderMap,
        forwarded: &[String],
    ) -> Option<Self> {
        let Identity { issuer, subject, instance, tenant, .. } = caller.identity()?;
        let who = [Some(issuer), Some(subject), instance.as_ref(), tenant.as_ref()];
        let how = [ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE].map(|name| headers.get(name));
        let how = how.into_iter().chain(forwarded.iter().map(|name| headers.get(name)));
        let what = target.path_and_query().map(PathAndQuery::as_str).map(str::as_bytes);
        let parts = who.into_iter().map(|part| part.map(String::as_bytes));
        let parts = parts.chain([what]).chain(how.map(|part| part.map(HeaderValue::as_bytes)));
        let mut print = Sha256::new();
        for part in parts {
            // With lengths, so that nothing of one part can pass for a piece of the next.
            print.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
            print.update(part.unwrap_or_default());
        }
        Some(Self(print.finalize().into()))
    }
}

impl Default for LastGood {
    fn default() -> Self {
        Self::kept_for(KEPT_FOR)
    }
}

impl LastGood {
    fn kept_for(span: Duration) -> Self {
        let weigh = |_: &Question, kept: &Arc<Kept>| {
            let headers = kept.headers.iter().map(|(n, v)| n.as_str().len() + v.len());
            let weight = OVERHEAD + headers.sum::<usize>() + kept.body.len();
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder().weigher(weigh).max_capacity(ROOM).time_to_live(span);
        Self(cache.build())
    }

    /// What to answer to a question: what the backend did or, while it is out, the last good answer
    /// there is. What it did is kept for the next time, if it `is_whole`.
    pub fn bridge(
        &self,
        question: Question,
        answer: Result<Response<Body>>,
        is_whole: bool,
    ) -> Result<Response<Body>> {
        if is_out(&answer) {
            return self.recall(&question).map_or(answer, Ok);
        }
        if is_whole { answer.map(|answer| self.watch(question, answer)) } else { answer }
    }

    /// Lets an answer pass. A good one is kept once it has come whole, unless there is one of the same
    /// second; one that says that there is nothing to see ends what was kept.
    fn watch(&self, question: Question, answer: Response<Body>) -> Response<Body> {
        if matches!(answer.status().as_u16(), 401 | 403 | 404 | 410) {
            self.0.invalidate(&question);
        }
        if answer.status() != StatusCode::OK || answer.body().size_hint().lower() > LARGEST {
            return answer;
        }
        if self.0.get(&question).is_some_and(|kept| kept.at.elapsed() < AS_GOOD) {
            return answer;
        }
        let headers = answer.headers().clone();
        let copy = Copy { question, headers, so_far: BytesMut::new(), answers: self.clone() };
        answer.map(|body| Body::new(Copied { body, copy: Some(copy) }))
    }

    /// Gives back the room of answers that are too old; answers how many.
    pub fn sweep(&self) -> u64 {
        let before = self.0.entry_count();
        self.0.run_pending_tasks();
        before.saturating_sub(self.0.entry_count())
    }

    /// The last good answer, marked as old (RFC 9111 §5.5, as of RFC 7234).
    fn recall(&self, question: &Question) -> Option<Response<Body>> {
        let kept = self.0.get(question)?;
        let mut response = Response::new(Body::from(kept.body.clone()));
        *response.headers_mut() = kept.headers.clone();
        let headers = response.headers_mut();
        headers.insert(STALE, HeaderValue::from(kept.at.elapsed().as_secs()));
        headers.insert(WARNING, HeaderValue::from_static("110 - \"Response is Stale\""));
        Some(response)
    }
}

/// What of an answer has been copied so far.
struct Copy {
    question: Question,
    headers: HeaderMap,
    so_far: BytesMut,
    answers: LastGood,
}

impl Copy {
    fn keep(self) {
        let kept = Kept { headers: self.headers, body: self.so_far.freeze(), at: Instant::now() };
        self.answers.0.insert(self.question, Arc::new(kept));
    }
}

/// A body that leaves a copy behind, unless it grows too large or breaks off.
struct Copied {
    body: Body,
    copy: Option<Copy>,
}

impl HttpBody for Copied {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(copy), Some(data)) = (&mut self.copy, frame.data_ref()) {
                    copy.so_far.extend_from_slice(data);
                }
                self.copy.take_if(|copy| copy.so_far.len() as u64 > LARGEST);
            }
            Some(Err(_)) => self.copy = None,
            None => {}
        }
        // Only a body with a length knows its end before it is asked for more.
        if (frame.is_none() || self.body.is_end_stream())
            && let Some(copy) = self.copy.take()
        {
            copy.keep();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_gives_its_room_back() {
        let answers = LastGood::kept_for(Duration::from_millis(30));
        let (headers, body) = (HeaderMap::new(), Bytes::from_static(b"[]"));
        let kept = Arc::new(Kept { headers, body, at: Instant::now() });
        answers.0.insert(Question([1; 32]), kept.clone());
        answers.0.insert(Question([2; 32]), kept);
        assert_eq!(answers.sweep(), 0);
        std::thread::sleep(Duration::from_millis(60));
        assert!(answers.recall(&Question([1; 32])).is_none());
        assert_eq!(answers.sweep(), 2);
    }
}
