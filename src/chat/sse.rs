//! Server-sent events, read and written by the rules of the WHATWG HTML standard (section 9.2).
//!
//! The decoder does no input or output of its own, so the same code reads a provider's stream on
//! the server and the run's stream in the browser, and can be tested byte by byte:
//!
//! ```ignore
//! let mut decoder = Decoder::new();
//! for event in decoder.push(chunk)? {
//!     show(&event.data);
//! }
//! ```

use std::{
    borrow::Cow,
    fmt::{Display, Write},
    mem,
};

/// One event, as an `EventSource` would dispatch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event's type: `message` unless the stream names another.
    pub event: String,
    /// The data lines, joined by line feeds.
    pub data: String,
    /// The last event id the stream has set, which may be that of an earlier event.
    pub id: String,
}

/// An event grew over the decoder's bound before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {limit} bytes")]
pub struct TooLong {
    /// The bound, in bytes.
    pub limit: usize,
}

/// Turns the bytes of a stream, in whatever pieces they come, into its events.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    line: Vec<u8>,
    at_start: bool,
    after_cr: bool,
    overflowed: bool,
    event: String,
    /// Every data line so far, each with a line feed behind it, so that "no data" and "one empty
    /// data line" differ.
    data: String,
    id: String,
    last_event_id: String,
    retry: Option<u64>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that refuses an event of more than one mebibyte.
    pub fn new() -> Self {
        Self::with_limit(1 << 20)
    }

    /// A decoder that refuses an event of more than `limit` buffered bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            at_start: true,
            after_cr: false,
            overflowed: false,
            event: String::new(),
            data: String::new(),
            id: String::new(),
            last_event_id: String::new(),
            retry: None,
        }
    }

    /// Takes the next bytes and answers the events they complete.
    ///
    /// Events that ended before one that is too long are still answered; the error is then the
    /// answer of the next call, and of every call after it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while !self.overflowed && !rest.is_empty() {
            rest = self.take_line(rest, &mut events);
        }
        if self.overflowed && events.is_empty() {
            return Err(TooLong { limit: self.limit });
        }
        Ok(events)
    }

    /// The id a client sends back as `Last-Event-ID`: that of the last blank line seen.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The wait before a reconnection that the stream has asked for, in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The event that the end of the stream left unfinished, if it has any data.
    ///
    /// The standard drops such an event. Some servers omit the last blank line, so a caller that
    /// can tell whole data from half of it may ask for it here.
    pub fn finish(mut self) -> Option<Event> {
        if self.overflowed {
            return None;
        }
        if !self.line.is_empty() {
            self.end_line();
        }
        self.dispatch()
    }

    /// Takes bytes up to the end of a line, or all of them, and answers what is left.
    fn take_line<'b>(&mut self, bytes: &'b [u8], events: &mut Vec<Event>) -> &'b [u8] {
        if mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
            return &bytes[1..];
        }
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        self.line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
        self.overflowed = self.line.len() + self.data.len() + self.event.len() > self.limit;
        match end {
            Some(end) if !self.overflowed => {
                self.after_cr = bytes[end] == b'\r';
                events.extend(self.end_line());
                &bytes[end + 1..]
            }
            _ => &[],
        }
    }

    /// Reads the line that is buffered. Line ends are ASCII, so no character straddles two lines
    /// and decoding line by line replaces exactly what decoding the whole stream would.
    fn end_line(&mut self) -> Option<Event> {
        let mut buffer = mem::take(&mut self.line);
        let event = self.read_line(&String::from_utf8_lossy(self.without_mark(&buffer)));
        self.at_start = false;
        buffer.clear();
        self.line = buffer;
        event
    }

    /// The line without the byte order mark that may open a stream.
    fn without_mark<'b>(&self, line: &'b [u8]) -> &'b [u8] {
        match line.strip_prefix(b"\xEF\xBB\xBF") {
            Some(rest) if self.at_start => rest,
            _ => line,
        }
    }

    fn read_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        self.set_field(name, value.strip_prefix(' ').unwrap_or(value));
        None
    }

    /// A comment is a field without a name, and like every unknown name it sets nothing.
    fn set_field(&mut self, name: &str, value: &str) {
        match name {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if is_number(value) => self.retry = Some(value.parse().unwrap_or(u64::MAX)),
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.last_event_id.clone_from(&self.id);
        let event = mem::take(&mut self.event);
        let mut data = mem::take(&mut self.data);
        data.pop()?;
        Some(Event {
            event: if event.is_empty() { "message".into() } else { event },
            data,
            id: self.last_event_id.clone(),
        })
    }
}

fn is_number(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// Writes one event.
///
/// Line ends cannot break out of their field: those in `data` become further data lines, those in
/// the event's name are left out.
pub fn encode(event: Option<&str>, id: Option<&dyn Display>, data: &str) -> String {
    let mut text = String::with_capacity(data.len() + 48);
    if let Some(id) = id {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "id: {id}");
    }
    if let Some(event) = event {
        text.push_str("event: ");
        text.extend(event.chars().filter(|char| !matches!(char, '\r' | '\n')));
        text.push('\n');
    }
    for line in with_line_feeds(data).split('\n') {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text
}

/// The text with every kind of line end written as a line feed.
fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn event(event: &str, data: &str, id: &str) -> Event {
        Event { event: event.into(), data: data.into(), id: id.into() }
    }

    fn message(data: &str) -> Event {
        event("message", data, "")
    }

    fn decode(stream: &[u8]) -> Vec<Event> {
        Decoder::new().push(stream).unwrap()
    }

    #[test]
    fn reads_what_the_standard_says() {
        let cases: &[(&str, &[u8], Vec<Event>)] = &[
            ("one line", b"data: a\n\n", vec![message("a")]),
            ("several lines", b"data: a\ndata: b\n\n", vec![message("a\nb")]),
            ("CRLF", b"data: a\r\ndata: b\r\n\r\n", vec![message("a\nb")]),
            ("CR", b"data: a\rdata: b\r\r", vec![message("a\nb")]),
            ("mixed line ends", b"data: a\n\rdata: b\r\n\n", vec![message("a"), message("b")]),
            ("LF then CRLF", b"data: a\n\r\n", vec![message("a")]),
            ("a byte order mark", b"\xEF\xBB\xBFdata: a\n\n", vec![message("a")]),
            ("a second mark", b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n", vec![]),
            ("a mark further on", b"data: a\n\n\xEF\xBB\xBFdata: b\n\n", vec![message("a")]),
            ("a mark before a blank line", b"\xEF\xBB\xBF\ndata: a\n\n", vec![message("a")]),
            ("half a mark", b"\xEF\xBBdata: a\n\ndata: b\n\n", vec![message("b")]),
            ("comments", b": x\ndata: a\n:\n: data: b\n\n", vec![message("a")]),
            ("only comments", b":\n\n: ping\n\n", vec![]),
            ("no space", b"data:a\n\n", vec![message("a")]),
            ("two spaces", b"data:  a\n\n", vec![message(" a")]),
            ("a tab is data", b"data:\ta\n\n", vec![message("\ta")]),
            ("a colon in the value", b"data: a: b\n\n", vec![message("a: b")]),
            ("no colon", b"data\n\n", vec![message("")]),
            ("two without a colon", b"data\ndata\n\n", vec![message("\n")]),
            ("empty data", b"data:\n\n", vec![message("")]),
            ("empty then full", b"data:\ndata: a\n\n", vec![message("\na")]),
            ("names are exact", b" data: a\nDATA: b\ndata : c\ndatas: d\n\n", vec![]),
            ("NUL in data", b"data: \0\n\n", vec![message("\0")]),
            ("a type", b"event: x\ndata: a\n\n", vec![event("x", "a", "")]),
            ("the last type counts", b"event: x\nevent: y\ndata\n\n", vec![event("y", "", "")]),
            ("an empty type", b"event: x\nevent:\ndata: a\n\n", vec![message("a")]),
            ("no data resets the type", b"event: x\n\ndata: a\n\n", vec![message("a")]),
            (
                "an id stays",
                b"id: 1\ndata: a\n\ndata: b\n\n",
                vec![event("message", "a", "1"), event("message", "b", "1")],
            ),
            (
                "an empty id resets",
                b"id: 1\ndata: a\n\nid\ndata: b\n\n",
                vec![event("message", "a", "1"), message("b")],
            ),
            (
                "an id with NUL is ignored",
                b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n",
                vec![event("message", "a", "1"), event("message", "b", "1")],
            ),
            ("no data commits the id", b"id: 7\n\ndata: a\n\n", vec![event("message", "a", "7")]),
            ("split characters", "data: d\u{e9}j\u{e0}\n\n".as_bytes(), vec![message("déjà")]),
            ("invalid bytes", b"data: a\xFFb\n\n", vec![message("a\u{FFFD}b")]),
            ("a cut character", b"data: \xE2\x82\ndata: b\n\n", vec![message("\u{FFFD}\nb")]),
            ("no blank line", b"data: a\n", vec![]),
            ("unknown fields", b"error: {}\nfoo: bar\ndata: a\n\n", vec![message("a")]),
        ];
        for (name, stream, events) in cases {
            assert_eq!(&decode(stream), events, "{name}");
        }
    }

    #[test]
    fn retry_takes_digits_only() {
        let cases: &[(&[u8], Option<u64>)] = &[
            (b"retry: 3000\n", Some(3000)),
            (b"retry:03\n", Some(3)),
            (b"retry: 1\nretry: x\n", Some(1)),
            (b"retry: +1\n", None),
            (b"retry: 1.5\n", None),
            (b"retry: 1 \n", None),
            (b"retry\n", None),
            (b"retry: 99999999999999999999999\n", Some(u64::MAX)),
        ];
        for (stream, retry) in cases {
            let mut decoder = Decoder::new();
            decoder.push(stream).unwrap();
            assert_eq!(decoder.retry(), *retry, "{}", String::from_utf8_lossy(stream));
        }
    }

    #[test]
    fn the_id_counts_from_the_blank_line() {
        let mut decoder = Decoder::new();
        decoder.push(b"id: 5\ndata: a\n").unwrap();
        assert_eq!(decoder.last_event_id(), "");
        decoder.push(b"\n").unwrap();
        assert_eq!(decoder.last_event_id(), "5");
    }

    #[test]
    fn an_unfinished_event_is_kept_for_those_who_ask() {
        let cases: &[(&[u8], Option<Event>)] = &[
            (b"data: [DONE]", Some(message("[DONE]"))),
            (b"data: [DONE]\n", Some(message("[DONE]"))),
            (b"data: a\n\n", None),
            (b"event: x\nid: 3", None),
            (b"", None),
        ];
        for (stream, event) in cases {
            let mut decoder = Decoder::new();
            decoder.push(stream).unwrap();
            assert_eq!(&decoder.finish(), event, "{}", String::from_utf8_lossy(stream));
        }
    }

    #[test]
    fn an_event_has_a_bound() {
        let mut decoder = Decoder::with_limit(16);
        assert_eq!(decoder.push(b"data: 12345678\n\ndata: 1234").unwrap().len(), 1);
        assert_eq!(decoder.push(b"567890123"), Err(TooLong { limit: 16 }));
        assert_eq!(decoder.push(b"\n\n"), Err(TooLong { limit: 16 }));
        assert_eq!(decoder.finish(), None);
    }

    #[test]
    fn many_short_lines_count_together() {
        let mut decoder = Decoder::with_limit(16);
        assert_eq!(decoder.push(&b"data: a\n".repeat(20)), Err(TooLong { limit: 16 }));
    }

    #[test]
    fn events_before_the_long_one_come_first() {
        let mut decoder = Decoder::with_limit(16);
        assert_eq!(decoder.push(b"data: a\n\ndata: 12345678901\n\n"), Ok(vec![message("a")]));
        assert_eq!(decoder.push(b""), Err(TooLong { limit: 16 }));
    }

    #[test]
    fn writes_events_that_nothing_breaks() {
        assert_eq!(encode(None, None, ""), "data: \n\n");
        assert_eq!(
            encode(Some("end"), Some(&3), "a\nb"),
            "id: 3\nevent: end\ndata: a\ndata: b\n\n"
        );
        assert_eq!(encode(Some("a\r\nid: 9"), None, "x"), "event: aid: 9\ndata: x\n\n");
        assert_eq!(encode(None, None, "a\rb\r\nc\r"), "data: a\ndata: b\ndata: c\ndata: \n\n");
    }

    /// Streams made of the parts that rules are about, and of bytes that are no text.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        #[rustfmt::skip]
        const PARTS: &[&[u8]] = &[
            b"data", b"event", b"id", b"retry", b":", b": ", b" ", b"\n", b"\r", b"\r\n", b"\n\n",
            b"\0", b"12", b"x", b"\xEF\xBB\xBF", b"\xE2\x82\xAC", b"\xE2\x82", b"\xFF", b"\xC3",
        ];
        vec(select(PARTS), 0..60).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(stream in streams(), sizes in vec(1..9_usize, 1..20)) {
            let mut whole = Decoder::new();
            let expected = whole.push(&stream).unwrap();

            let mut pieces = Decoder::new();
            let mut events = Vec::new();
            let mut rest = stream.as_slice();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at(rest.len().min(*size));
                events.extend(pieces.push(piece).unwrap());
                rest = after;
            }
            prop_assert_eq!(events, expected);
            prop_assert_eq!(pieces.last_event_id(), whole.last_event_id());
            prop_assert_eq!(pieces.retry(), whole.retry());
            prop_assert_eq!(pieces.finish(), whole.finish());
        }

        #[test]
        fn what_is_written_is_read(
            name in "[a-z]{1,8}",
            id in any::<u64>(),
            data in "[a-zé :\r\n]{0,40}",
        ) {
            let events = decode(encode(Some(&name), Some(&id), &data).as_bytes());
            let data = data.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(events, vec![event(&name, &data, &id.to_string())]);
        }
    }
}
