//! Formulas: TeX in, MathML out, which browsers draw by themselves.
//!
//! What is no TeX that is understood here stays as it was written. The sanitiser of the page has the
//! last word on what comes out, as on all that a model writes.

use std::{borrow::Cow, ops::Range, panic, sync::LazyLock, thread};

use math_core::{LatexToMathML, MathCoreConfig, MathDisplay};
use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::html::OPTIONS;

/// The longest formula, in bytes.
const LONGEST: usize = 4_000;
/// A formula that fits on any stack, in bytes.
const SHORT: usize = 120;
/// How deep braces may nest, and how many commands a formula may have.
const DEEPEST: usize = 40;
const MOST_COMMANDS: usize = 600;
/// What the deepest formula that these allow needs, several times over, in bytes.
const STACK: usize = 32 << 20;

#[rustfmt::skip]
/// The elements of MathML Core that formulas are made of.
pub(super) const ELEMENTS: &[&str] = &[
    "math", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom",
    "mprescripts", "mroot", "mrow", "ms", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup",
    "mtable", "mtd", "mtext", "mtr", "munder", "munderover",
];

#[rustfmt::skip]
/// What they may say of themselves. There is no address among it, and no style.
pub(super) const ATTRIBUTES: &[&str] = &[
    "accent", "accentunder", "columnspan", "depth", "display", "displaystyle", "fence", "form",
    "height", "largeop", "linethickness", "lspace", "mathvariant", "maxsize", "minsize",
    "movablelimits", "rowspan", "rspace", "scriptlevel", "separator", "stretchy", "symmetric",
    "voffset", "width",
];

static CONVERTER: LazyLock<Option<LatexToMathML>> =
    LazyLock::new(|| LatexToMathML::new(MathCoreConfig::default()).ok());

/// A formula as MathML, in a line or on one of its own; none where it is not understood.
pub(super) fn mathml(tex: &str, is_display: bool) -> Option<String> {
    if tex.len() > LONGEST || depth(tex) > DEEPEST || tex.matches('\\').count() > MOST_COMMANDS {
        return None;
    }
    let display = if is_display { MathDisplay::Block } else { MathDisplay::Inline };
    let converter = CONVERTER.as_ref()?;
    let convert = || Some(converter.convert_with_local_state(tex, display).ok()?.mathml);
    // One that the converter was not made for costs the formula, not the reply.
    let mathml = if tex.len() <= SHORT {
        panic::catch_unwind(panic::AssertUnwindSafe(convert)).ok()?
    } else {
        on_a_thread(convert)
    }?;
    // Columns are aligned by inline style, which the page's policy does not allow.
    Some(
        mathml
            .replace(
                "style=\"text-align: right;justify-items: end;",
                "class=\"align-right\" style=\"",
            )
            .replace(
                "style=\"text-align: left;justify-items: start;",
                "class=\"align-left\" style=\"",
            ),
    )
}

/// The converter calls itself as deep as a formula goes.
fn on_a_thread(convert: impl FnOnce() -> Option<String> + Send) -> Option<String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, convert);
        thread.ok()?.join().ok()?
    })
}

/// Whether what stands between two dollars are prices, as in `US$5-$7`.
pub(super) fn is_money(source: &str, formula: &Range<usize>) -> bool {
    source[..formula.start].ends_with(char::is_alphanumeric)
        || source[formula.end..].starts_with(|next: char| next.is_ascii_digit())
}

fn depth(tex: &str) -> usize {
    let mut depths = (0_usize, 0_usize);
    for byte in tex.bytes() {
        match byte {
            b'{' => depths.0 += 1,
            b'}' => depths.0 = depths.0.saturating_sub(1),
            _ => {}
        }
        depths.1 = depths.1.max(depths.0);
    }
    depths.1
}

/// `source` with the other way of writing formulas, `\(…\)` and `\[…\]`, written as `$…$` and `$$…$$`.
/// Markdown takes those for escaped brackets. What stands in code and in links is left as it is.
pub(super) fn with_dollars(source: &str) -> Cow<'_, str> {
    if !source.contains("\\(") && !source.contains("\\[") {
        return Cow::Borrowed(source);
    }
    let mut opaque = opaque_in(source).into_iter().peekable();
    let mut closers = [Closer::new("\\)"), Closer::new("\\]")];
    let mut text = String::with_capacity(source.len());
    let (mut copied, mut from) = (0, 0);
    while let Some(start) = source[from..].find('\\').map(|at| from + at) {
        // Whatever the next character is, it is escaped or begins a formula.
        from = start + 1 + source[start + 1..].chars().next().map_or(0, char::len_utf8);
        while opaque.next_if(|range| range.end <= start).is_some() {}
        let (closer, dollars) = match source.as_bytes().get(start + 1) {
            Some(b'(') => (&mut closers[0], "$"),
            Some(b'[') => (&mut closers[1], "$$"),
            _ => continue,
        };
        let Some(end) = closer.after(source, from) else { continue };
        let formula = source[from..end].trim();
        if formula.is_empty() || opaque.peek().is_some_and(|range| range.contains(&start)) {
            continue;
        }
        for piece in [&source[copied..start], dollars, formula, dollars] {
            text.push_str(piece);
        }
        (copied, from) = (end + 2, end + 2);
    }
    text.push_str(&source[copied..]);
    Cow::Owned(text)
}

/// Finds what ends a formula, and looks at no character twice.
struct Closer {
    mark: &'static str,
    /// The last one that was found, or the end of the source.
    found: usize,
}

impl Closer {
    fn new(mark: &'static str) -> Self {
        Self { mark, found: 0 }
    }

    fn after(&mut self, source: &str, from: usize) -> Option<usize> {
        if self.found < from {
            self.found = source[from..].find(self.mark).map_or(source.len(), |at| from + at);
        }
        (self.found < source.len()).then_some(self.found)
    }
}

/// Where code and links stand, in their order.
fn opaque_in(source: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut block = None;
    for (event, range) in Parser::new_ext(source, OPTIONS).into_offset_iter() {
        match event {
            Event::Code(_) | Event::Start(Tag::Link { .. } | Tag::Image { .. }) => {
                ranges.push(range);
            }
            Event::Start(Tag::CodeBlock(_)) => block = Some(range),
            Event::End(TagEnd::CodeBlock) => ranges.extend(block.take()),
            _ => {}
        }
    }
    ranges.sort_by_key(|range| range.start);
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_become_mathml() {
        let fraction = mathml(r"\frac{a}{b^2}", false).unwrap();
        assert!(fraction.starts_with("<math>") && fraction.contains("<mfrac>"), "{fraction}");
        let sum = mathml(r"\sum_{i=1}^n i", true).unwrap();
        assert!(sum.contains("display=\"block\""), "{sum}");
        let aligned = mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", true).unwrap();
        assert!(aligned.contains("class=\"align-right\""), "{aligned}");
        assert_eq!(mathml(r"\nosuchcommand{", false), None);
    }

    #[test]
    fn what_would_be_read_too_deep_is_not_read() {
        for nested in ["{", r"\sqrt{", r"\frac{", "x^{", r"\left("] {
            let deep = nested.repeat(LONGEST / nested.len());
            assert_eq!(mathml(&deep, false), None, "{nested}");
        }
        for chained in [r"\sqrt", r"\frac", r"\hat", "x^", "_", r"\begin{matrix}", r"\text"] {
            let chain = chained.repeat(MOST_COMMANDS.min(LONGEST / chained.len()));
            let _ = mathml(&chain, true);
        }
    }

    #[test]
    fn brackets_are_dollars_outside_code() {
        for (written, read) in [
            (r"so \(a+b\) and \[ c \]", "so $a+b$ and $$c$$"),
            ("\\[\nx = 1\n\\]", "$$x = 1$$"),
            (r"`\(code\)` \(math\)", r"`\(code\)` $math$"),
            ("```\n\\[x\\]\n```\n", "```\n\\[x\\]\n```\n"),
            (r"\\(not\\) \( \)", r"\\(not\\) \( \)"),
            (r"\(open", r"\(open"),
            ("plain", "plain"),
            (r"[a](https://x.test/a_\(b\)) \(c\)", r"[a](https://x.test/a_\(b\)) $c$"),
        ] {
            assert_eq!(with_dollars(written), read, "{written}");
        }
    }

    #[test]
    fn a_long_text_is_read_once() {
        for piece in ["\\(", "\\[ `x` ", "\\( \\) ", "\\\\"] {
            let text = piece.repeat(200_000);
            assert!(with_dollars(&text).len() <= text.len());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_formula_or_none(tex in r"[a-z0-9{}\\^_&$<>\[\]() ]{0,60}", display: bool) {
            let _ = mathml(&tex, display);
        }

        #[test]
        fn any_commands_are_a_formula_or_none(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    r"\frac", r"\sqrt", "{", "}", "a", "^", "_", r"\text{<b>}", r"\left(", r"\right)", "&",
                    r"\\", r"\begin{pmatrix}", r"\end{pmatrix}", r"\begin{cases}", r"\end{cases}", r"\color{red}",
                    r"\href{javascript:x}{y}", r"\mathbb{R}", r"\hat", "'", r"\limits", r"\operatorname{x}", "é",
                ]),
                0..24,
            ),
        ) {
            let _ = mathml(&parts.concat(), true);
        }
    }
}
