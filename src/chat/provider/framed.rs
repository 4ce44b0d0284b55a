//! What reading a stream of messages has in common, whatever the messages say: cutting it into
//! messages, and judging its end.

use std::mem;

use serde::de::IgnoredAny;

use super::{Delta, End, ProviderError, Reader};
use crate::chat::sse::{Decoder, Event, TooLong};

/// Cuts the bytes of a stream into messages.
pub trait Framing: Send + Default {
    /// Takes bytes and answers the messages they complete.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong>;

    /// What the end of the stream left without its own end.
    fn finish(self) -> Option<Event>;
}

impl Framing for Decoder {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        Decoder::push(self, bytes)
    }

    fn finish(self) -> Option<Event> {
        Decoder::finish(self)
    }
}

/// What a dialect's messages say.
pub trait Dialect: Send + Default {
    /// The data that says by itself that a stream is over.
    const LAST: &str = "[DONE]";

    /// Reads one message.
    fn read(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<Step, ProviderError>;

    /// Adds what was waited for to the end, now that the stream is over; an error if the reply is
    /// not whole.
    fn conclude(&mut self, _: &mut Vec<Delta>) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Whether a body that ended cleanly says that the reply is whole.
    fn ends_with_its_body(&self) -> bool {
        false
    }
}

/// How far a message brings the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// More is to come.
    More,
    /// The reply is all there; a count may follow.
    Ending,
    /// Nothing follows.
    Last,
}

/// Reads a stream of a dialect's messages.
#[derive(Debug, Default)]
pub struct Framed<F, D> {
    messages: F,
    dialect: D,
    state: State,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Reading,
    Ending,
    Closed,
}

impl<F: Framing, D: Dialect> Framed<F, D> {
    fn read(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
        let data = event.data.trim();
        if data.is_empty() || self.state == State::Closed {
            return Ok(());
        }
        if data == D::LAST {
            return self.conclude(deltas);
        }
        match self.dialect.read(event, deltas)? {
            Step::More => Ok(()),
            Step::Ending => {
                self.state = State::Ending;
                Ok(())
            }
            Step::Last => self.conclude(deltas),
        }
    }

    fn conclude(&mut self, deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
        self.state = State::Closed;
        self.dialect.conclude(deltas)?;
        deltas.push(Delta::Done);
        Ok(())
    }
}

impl<F: Framing, D: Dialect> Reader for Framed<F, D> {
    fn push(&mut self, bytes: &[u8], deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
        for event in self.messages.push(bytes)? {
            self.read(&event, deltas)?;
        }
        Ok(())
    }

    fn is_ending(&self) -> bool {
        self.state != State::Reading
    }

    fn finish(mut self: Box<Self>, end: End, deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
        let unfinished = mem::take(&mut self.messages).finish();
        if let Some(event) = unfinished.filter(is_whole::<D>) {
            self.read(&event, deltas)?;
        }
        match self.state {
            State::Closed => Ok(()),
            State::Ending => self.conclude(deltas),
            State::Reading if end == End::Clean && self.dialect.ends_with_its_body() => {
                self.conclude(deltas)
            }
            State::Reading => Err(ProviderError::Truncated),
        }
    }
}

/// Whether a message that lacks its end is all there.
fn is_whole<D: Dialect>(event: &Event) -> bool {
    let data = event.data.trim();
    data == D::LAST || serde_json::from_str::<IgnoredAny>(data).is_ok()
}

/// Reads streams in pieces of several sizes, for the tests of dialects.
#[cfg(test)]
pub mod testing {
    use super::*;

    /// What a stream says that comes in pieces of this size: its deltas and how it ends.
    pub fn read<R: Reader + Default>(
        stream: &str,
        size: usize,
        end: End,
    ) -> (Vec<Delta>, Option<ProviderError>) {
        let mut reader = Box::<R>::default();
        let mut deltas = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            if let Err(error) = reader.push(piece, &mut deltas) {
                return (deltas, Some(error));
            }
        }
        let error = reader.finish(end, &mut deltas).err();
        (deltas, error)
    }

    /// The stream says this, in whatever pieces it comes and whatever its line ends are.
    #[track_caller]
    pub fn assert_reads<R: Reader + Default>(
        quirk: &str,
        stream: &str,
        end: End,
        deltas: &[Delta],
        error: Option<ProviderError>,
    ) {
        for stream in [stream.to_owned(), stream.replace('\n', "\r\n")] {
            for size in [1, 7, stream.len().max(1)] {
                let read = read::<R>(&stream, size, end);
                assert_eq!(read, (deltas.to_vec(), error.clone()), "{quirk}, {size}");
            }
        }
    }

    /// A stream of server-sent events, each closed by its blank line.
    pub fn events(events: &[&str]) -> String {
        events.iter().map(|event| format!("{event}\n\n")).collect()
    }
}
