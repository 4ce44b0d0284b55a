//! Where top-level blocks begin and end, told from the beginnings of lines.
//!
//! After a blank line, a line that is not indented begins a new block, unless it goes on with a
//! list or stands in fenced code. That needs no parser, so a text costs the same per line however
//! long one of its blocks is.
//!
//! In one respect this is a dialect: CommonMark lets raw HTML such as a comment run on over blank
//! lines. Here every block of HTML ends at a blank line. It is only ever shown as text, and a
//! comment that is never closed cannot swallow the rest of an answer.

/// What has been learnt from the lines so far.
#[derive(Debug)]
pub(super) struct Outline {
    inside: Inside,
    after_blank: bool,
}

/// The block that later lines may go on with, even over blank lines.
#[derive(Debug, Clone, Copy)]
enum Inside {
    Nothing,
    /// A list whose latest top-level item has its text at this column.
    List {
        content: usize,
    },
    Fence(Fence),
}

impl Default for Outline {
    fn default() -> Self {
        Self { inside: Inside::Nothing, after_blank: true }
    }
}

impl Outline {
    /// Whether the line, of which only the beginning may be there, starts a new block.
    ///
    /// Once this is true for a beginning it stays true however the line goes on; the answer for the
    /// whole line is the one that counts.
    pub(super) fn starts_block(&self, line: &str) -> bool {
        let Line { indent, rest } = Line::of(line);
        if !self.after_blank || indent > 3 || rest.is_empty() || rest.starts_with(['\r', '\n']) {
            return false;
        }
        match self.inside {
            Inside::Nothing => true,
            Inside::List { content } => indent < content && matches!(Marker::of(rest), Marker::No),
            Inside::Fence(_) => false,
        }
    }

    /// Takes a whole line with its line feed; true if the block ends with it.
    pub(super) fn end_line(&mut self, line: &str) -> bool {
        if let Inside::Fence(fence) = self.inside {
            let ends = fence.is_closed_by(line);
            if ends {
                *self = Self::default();
            }
            return ends;
        }
        if self.starts_block(line) {
            self.inside = Inside::Nothing;
        }
        self.inside = self.inside.after(line);
        self.after_blank = is_blank(line);
        false
    }
}

impl Inside {
    fn after(self, line: &str) -> Self {
        let Line { indent, rest } = Line::of(line);
        let is_in_item = matches!(self, Self::List { content } if indent >= content);
        if indent > 3 || is_in_item {
            return self;
        }
        if let Some(fence) = Fence::opened_by(rest) {
            return Self::Fence(fence);
        }
        match Marker::of(rest) {
            Marker::Yes { width } => Self::List { content: indent + width },
            Marker::Perhaps | Marker::No => self,
        }
    }
}

/// A line without its indentation, which is counted up to four columns: more makes no difference.
struct Line<'a> {
    indent: usize,
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let mut indent = 0;
        let mut rest = line;
        while indent < 4 {
            if let Some(after) = rest.strip_prefix(' ') {
                indent += 1;
                rest = after;
            } else if let Some(after) = rest.strip_prefix('\t') {
                indent = 4;
                rest = after;
            } else {
                break;
            }
        }
        Self { indent, rest }
    }
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Whether an unindented text begins with the marker of a list item.
enum Marker {
    No,
    /// Too little of the line is there to tell.
    Perhaps,
    /// It does, and the item's text begins after this many columns.
    Yes {
        width: usize,
    },
}

impl Marker {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let digits = bytes.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        let end = match bytes.get(digits) {
            Some(b'-' | b'+' | b'*') if digits == 0 => 1,
            Some(b'.' | b')') if (1..=9).contains(&digits) => digits + 1,
            None if digits < 10 => return Self::Perhaps,
            _ => return Self::No,
        };
        match bytes.get(end) {
            None => Self::Perhaps,
            Some(b' ' | b'\t' | b'\r' | b'\n') => Self::Yes { width: end + gap(&bytes[end..]) },
            Some(_) => Self::No,
        }
    }
}

/// The columns between a marker and its text: five or more spaces are one space and indented code.
fn gap(after: &[u8]) -> usize {
    let spaces = after.iter().take_while(|byte| **byte == b' ').count();
    match after.get(spaces) {
        Some(b'\r' | b'\n') | None => 1,
        Some(_) if spaces > 4 => 1,
        Some(_) => spaces.max(1),
    }
}

/// The line that opened a block of fenced code.
#[derive(Debug, Clone, Copy)]
struct Fence {
    byte: u8,
    length: usize,
}

impl Fence {
    fn opened_by(text: &str) -> Option<Self> {
        let byte = *text.as_bytes().first().filter(|byte| matches!(byte, b'`' | b'~'))?;
        let length = run(text, byte);
        let is_code_span = byte == b'`' && text[length..].contains('`');
        (length >= 3 && !is_code_span).then_some(Self { byte, length })
    }

    fn is_closed_by(self, line: &str) -> bool {
        let Line { indent, rest } = Line::of(line);
        let length = run(rest, self.byte);
        indent <= 3 && length >= self.length && is_blank(&rest[length..])
    }
}

/// How often the byte stands at the start of the text.
fn run(text: &str, byte: u8) -> usize {
    text.bytes().take_while(|other| *other == byte).count()
}
