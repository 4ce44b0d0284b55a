//! Markdown, rendered on the server, once, block by block.
//!
//! A reply grows for a minute; rendering all of it for every word would cost more with each word.
//! So the text is cut into top-level blocks while it grows, and a block is rendered when it closes
//! and never again. What is stored is what was streamed: a reload shows the same pixels, and the
//! browser needs no Markdown code.
//!
//! Where a block ends depends on the text alone, never on how it arrived in pieces; [`render`] runs
//! the same writer over the whole text and so cannot differ from a stream.

pub mod foreign;
mod highlight;
mod html;
mod math;
mod notes;
mod outline;
mod plain;

pub use plain::plain;

use outline::Outline;

/// A top-level block of Markdown, closed and rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// How many bytes of the source it covers. The lengths of all blocks add up to the text.
    pub source_len: usize,
    /// Safe HTML; empty for blank lines at the end of a text.
    pub html: String,
}

/// Splits a growing Markdown text into blocks and renders each once, when it closes.
#[derive(Debug, Default)]
pub struct BlockWriter {
    text: String,
    /// Where the part that is still open begins.
    open: usize,
    /// Where the line that is still being written begins.
    line: usize,
    outline: Outline,
}

impl BlockWriter {
    /// A writer with no text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to the text and answers the blocks that this closed.
    ///
    /// Rendering a long code block takes milliseconds of processor time: call it where that holds
    /// up nobody else.
    pub fn push(&mut self, delta: &str) -> Vec<Block> {
        let mut blocks = Vec::new();
        for piece in delta.split_inclusive('\n') {
            self.text.push_str(piece);
            self.advance(&mut blocks);
        }
        blocks
    }

    /// The source that no block covers yet.
    pub fn open(&self) -> &str {
        &self.text[self.open..]
    }

    /// The whole source so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Closes what is open, as at the end of the text.
    pub fn finish(&mut self) -> Vec<Block> {
        let mut blocks = Vec::new();
        self.line = self.text.len();
        self.outline = Outline::default();
        self.close(self.line, &mut blocks);
        blocks
    }

    /// Looks at the current line, which has grown or ended.
    fn advance(&mut self, blocks: &mut Vec<Block>) {
        let line = &self.text[self.line..];
        let starts_block = self.outline.starts_block(line);
        let line_ended = line.ends_with('\n');
        let ends_block = line_ended && self.outline.end_line(line);
        if starts_block {
            self.close(self.line, blocks);
        }
        if line_ended {
            self.line = self.text.len();
        }
        if ends_block {
            self.close(self.line, blocks);
        }
    }

    /// Renders what is open before `end`.
    fn close(&mut self, end: usize, blocks: &mut Vec<Block>) {
        let source = &self.text[self.open..end];
        if source.is_empty() {
            return;
        }
        blocks.extend(html::blocks(source));
        self.open = end;
    }
}

/// Renders a whole text: the blocks of a stream of it, joined.
pub fn render(text: &str) -> String {
    let mut writer = BlockWriter::new();
    let mut blocks = writer.push(text);
    blocks.extend(writer.finish());
    blocks.into_iter().map(|block| block.html).collect()
}

#[cfg(test)]
mod tests;
