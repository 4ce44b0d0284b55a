//! Which form an answer has, and reading one that comes in one piece.

use super::{Delta, End, ProviderError, Reader};

/// The largest answer that is read whole, in bytes.
const LARGEST: usize = 16 << 20;

/// The form of an answer, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `application/json`
    Json,
    /// `text/event-stream`, or a type that says nothing: some services send their streams so.
    Stream,
    /// `text/html`: somebody's page, not an answer.
    Page,
}

impl Kind {
    /// The form that a content type names.
    pub fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/json" => Self::Json,
            "text/html" | "application/xhtml+xml" => Self::Page,
            _ => Self::Stream,
        }
    }
}

/// Adds what a whole answer says.
pub type ReadWhole = fn(&[u8], &mut Vec<Delta>) -> Result<(), ProviderError>;

/// Reads an answer in one piece with the function it holds.
pub struct Whole {
    read: ReadWhole,
    body: Vec<u8>,
}

impl Whole {
    /// A reader that hands the whole body to `read`.
    pub fn new(read: ReadWhole) -> Self {
        Self { read, body: Vec::new() }
    }
}

impl Reader for Whole {
    fn push(&mut self, bytes: &[u8], _: &mut Vec<Delta>) -> Result<(), ProviderError> {
        if self.body.len() + bytes.len() > LARGEST {
            return Err(ProviderError::NotAStream);
        }
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    fn is_ending(&self) -> bool {
        false
    }

    fn finish(self: Box<Self>, end: End, deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
        match (end, (self.read)(&self.body, deltas)) {
            (End::Broken, Err(ProviderError::NotAStream)) => Err(ProviderError::Truncated),
            (_, read) => read,
        }
    }
}

/// Reads a good answer of this kind: as a stream, or with `whole` where it comes in one piece.
pub fn reader<S: Reader + Default + 'static>(
    kind: Kind,
    whole: ReadWhole,
) -> Result<Box<dyn Reader>, ProviderError> {
    match kind {
        Kind::Json => Ok(Box::new(Whole::new(whole))),
        Kind::Stream => Ok(Box::<S>::default()),
        Kind::Page => Err(ProviderError::NotAStream),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_tells_the_form() {
        let cases = [
            ("application/json", Kind::Json),
            ("Application/JSON; charset=utf-8", Kind::Json),
            ("application/x-ndjson", Kind::Stream),
            ("text/event-stream", Kind::Stream),
            ("text/plain; charset=UTF-8", Kind::Stream),
            ("text/html; charset=UTF-8", Kind::Page),
            ("", Kind::Stream),
        ];
        for (content_type, kind) in cases {
            assert_eq!(Kind::of(content_type), kind, "{content_type}");
        }
    }

    #[test]
    fn half_an_answer_is_told_from_a_bad_one() {
        fn read(body: &[u8], deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
            if body != b"whole" {
                return Err(ProviderError::NotAStream);
            }
            deltas.push(Delta::Done);
            Ok(())
        }
        let finish = |body: &[u8], end| {
            let (mut reader, mut deltas) = (Box::new(Whole::new(read)), Vec::new());
            reader.push(body, &mut deltas).unwrap();
            reader.finish(end, &mut deltas).map(|()| deltas)
        };
        assert_eq!(finish(b"whole", End::Clean), Ok(vec![Delta::Done]));
        assert_eq!(finish(b"whole", End::Broken), Ok(vec![Delta::Done]));
        assert_eq!(finish(b"wh", End::Clean), Err(ProviderError::NotAStream));
        assert_eq!(finish(b"wh", End::Broken), Err(ProviderError::Truncated));
    }
}
