//! HTML that a backend wrote: made safe, cut into blocks, and read as plain text.
//!
//! A backend that streams HTML sends all of it again with every word. Cut into blocks, what is new
//! is a short tail, so neither the log nor the browser is told the same thing twice.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use ammonia::UrlRelative;

use super::html::{is_image_address, leads_elsewhere};

/// The top-level blocks of a backend's HTML, safe to insert: each is one element. What stands
/// between blocks becomes a paragraph.
pub fn blocks(html: &str) -> Vec<String> {
    let clean = SANITISER.clean(html).to_string();
    let mut blocks = Blocks::default();
    let mut depth = 0_usize;
    for piece in pieces(&clean) {
        blocks.add(&piece, depth);
        depth = match piece {
            Piece::Start(_) => depth + 1,
            Piece::End(_) => depth.saturating_sub(1),
            Piece::Void(_) | Piece::Text(_) => depth,
        };
        if depth == 0 {
            blocks.close_block();
        }
    }
    blocks.finish()
}

/// What safe HTML says, as text: blocks apart, lists as lists.
pub fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    for piece in pieces(html) {
        match piece {
            Piece::Text(words) => text.push_str(&decoded(words)),
            Piece::Start(tag) if name(tag) == "li" => text.push_str("- "),
            Piece::Void(tag) if name(tag) == "br" => text.push('\n'),
            Piece::End("li" | "tr" | "dt" | "dd") => end_lines(&mut text, 1),
            Piece::End("td" | "th") => text.push(' '),
            Piece::End(name) if BLOCKS.contains(&name) => end_lines(&mut text, 2),
            Piece::Start(_) | Piece::Void(_) | Piece::End(_) => {}
        }
    }
    text.trim().to_owned()
}

fn end_lines(text: &mut String, lines: usize) {
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.extend(std::iter::repeat_n('\n', lines));
    }
}

/// A part of HTML that the sanitiser wrote, so that it is well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// The inside of a start tag.
    Start(&'a str),
    /// The inside of a tag that has no end.
    Void(&'a str),
    /// The name in an end tag.
    End(&'a str),
    /// Text, with its entities.
    Text(&'a str),
}

impl Piece<'_> {
    fn write(&self, html: &mut String) {
        match self {
            Self::Text(text) => html.push_str(text),
            Self::Start(tag) | Self::Void(tag) => write_tag(html, tag),
            Self::End(name) => {
                html.push_str("</");
                html.push_str(lowered(name));
                html.push('>');
                if *name == "table" {
                    html.push_str("</div>");
                }
            }
        }
    }

    fn is_block(&self) -> bool {
        matches!(self, Self::Start(tag) | Self::Void(tag) if BLOCKS.contains(&name(tag)))
    }
}

/// Headings stand below the page's own; tables scroll by themselves.
fn write_tag(html: &mut String, tag: &str) {
    let name = name(tag);
    if name == "table" {
        html.push_str("<div class=\"table-scroll\" tabindex=\"0\">");
    }
    html.push('<');
    html.push_str(lowered(name));
    html.push_str(&tag[name.len()..]);
    html.push('>');
}

fn lowered(name: &str) -> &str {
    match name {
        "h1" => "h3",
        "h2" => "h4",
        "h3" => "h5",
        "h4" | "h5" => "h6",
        other => other,
    }
}

/// The blocks that are done, and the one that is being put together.
#[derive(Default)]
struct Blocks {
    done: Vec<String>,
    block: String,
    /// What stands between blocks.
    loose: String,
}

impl Blocks {
    fn add(&mut self, piece: &Piece<'_>, depth: usize) {
        let is_in_block = !self.block.is_empty() || (depth == 0 && piece.is_block());
        if is_in_block {
            self.close_loose();
            piece.write(&mut self.block);
        } else {
            piece.write(&mut self.loose);
        }
    }

    fn close_block(&mut self) {
        if !self.block.is_empty() {
            self.done.push(std::mem::take(&mut self.block));
        }
    }

    fn close_loose(&mut self) {
        let loose = std::mem::take(&mut self.loose);
        if !loose.trim().is_empty() {
            self.done.push(format!("<p>{}</p>", loose.trim()));
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.close_block();
        self.close_loose();
        self.done
    }
}

fn pieces(html: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let (piece, after) = next_piece(rest)?;
        rest = after;
        Some(piece)
    })
}

fn next_piece(html: &str) -> Option<(Piece<'_>, &str)> {
    let Some(tag) = html.strip_prefix('<') else {
        let end = html.find('<').unwrap_or(html.len());
        return (end > 0).then(|| (Piece::Text(&html[..end]), &html[end..]));
    };
    let mut is_quoted = false;
    let end = tag.find(|letter| {
        is_quoted ^= letter == '"';
        letter == '>' && !is_quoted
    })?;
    let (inside, rest) = (&tag[..end], &tag[end + 1..]);
    let piece = match inside.strip_prefix('/') {
        Some(name) => Piece::End(name),
        None if ["br", "hr", "img"].contains(&name(inside)) => Piece::Void(inside),
        None => Piece::Start(inside),
    };
    Some((piece, rest))
}

fn name(tag: &str) -> &str {
    tag.split_once(' ').map_or(tag, |(name, _)| name)
}

/// The few entities that the sanitiser writes.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\u{a0}");
    Cow::Owned(text.replace("&amp;", "&"))
}

const BLOCKS: &[&str] = &[
    "blockquote",
    "details",
    "div",
    "dl",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "ol",
    "p",
    "pre",
    "table",
    "ul",
];

#[rustfmt::skip]
const ELEMENTS: &[&str] = &[
    "a", "abbr", "b", "blockquote", "br", "caption", "cite", "code", "dd", "del", "details", "div",
    "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img",
    "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub",
    "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul", "var",
];

/// Allows what words need, and nothing that acts or styles. Links open beside this page; those that
/// mean a place on the backend's own site would lead astray here and lose their address.
static SANITISER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut builder = ammonia::Builder::empty();
    builder
        .tags(ELEMENTS.iter().copied().collect())
        .generic_attributes(HashSet::from(["dir", "lang"]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href", "title"])),
            ("abbr", HashSet::from(["title"])),
            ("img", HashSet::from(["src", "alt", "title"])),
            ("ol", HashSet::from(["start"])),
            ("td", HashSet::from(["colspan", "rowspan"])),
            ("th", HashSet::from(["colspan", "rowspan", "scope"])),
        ]))
        .set_tag_attribute_value("a", "target", "_blank")
        .set_tag_attribute_value("img", "loading", "lazy")
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .attribute_filter(|element, attribute, value| {
            let is_kept = match (element, attribute) {
                ("a", "href") => leads_elsewhere(value),
                ("img", "src") => is_image_address(value),
                _ => true,
            };
            is_kept.then_some(Cow::Borrowed(value))
        });
    builder
});

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    #[test]
    fn a_page_of_words_is_cut_into_blocks() {
        let html = "Hello <b>you</b>\n<p>One</p>\n<ul><li>a</li><li>b &amp; c</li></ul>tail<hr>\
                    <h1>Head</h1><table><tr><td>1</td><td>2</td></tr></table>";
        let blocks = blocks(html);
        assert_eq!(
            blocks,
            [
                "<p>Hello <b>you</b></p>",
                "<p>One</p>",
                "<ul><li>a</li><li>b &amp; c</li></ul>",
                "<p>tail</p>",
                "<hr>",
                "<h3>Head</h3>",
                "<div class=\"table-scroll\" tabindex=\"0\"><table><tbody><tr><td>1</td><td>2</td>\
                 </tr></tbody></table></div>",
            ],
        );
        assert_eq!(
            plain(&blocks.concat()),
            "Hello you\n\nOne\n\n- a\n- b & c\n\ntail\n\nHead\n\n1 2"
        );
    }

    #[test]
    fn what_grows_keeps_its_beginning() {
        let (before, after) = (blocks("<p>One</p><p>Tw"), blocks("<p>One</p><p>Two</p>"));
        assert_eq!((before[0].as_str(), after[1].as_str()), ("<p>One</p>", "<p>Two</p>"));
        assert_eq!(before[0], after[0]);
    }

    #[test]
    fn nothing_acts_styles_or_leads_astray() {
        let cases = [
            ("<script>alert(1)</script>", ""),
            ("<p onclick=\"x()\" style=\"color:red\" class=\"x\" id=\"main\">a</p>", "<p>a</p>"),
            (
                "<a href=\"javascript:x()\">a</a>",
                "<p><a target=\"_blank\" rel=\"noopener noreferrer nofollow\">a</a></p>",
            ),
            (
                "<a href=\"/auth/logout\">a</a>",
                "<p><a target=\"_blank\" rel=\"noopener noreferrer nofollow\">a</a></p>",
            ),
            (
                "<a href=\"//evil.test\">a</a>",
                "<p><a target=\"_blank\" rel=\"noopener noreferrer nofollow\">a</a></p>",
            ),
            ("<img src=\"data:image/png;base64,AAAA\">", "<p><img loading=\"lazy\"></p>"),
            ("<form action=\"/x\"><input name=\"a\"><button>b</button></form>", "<p>b</p>"),
            ("<iframe src=\"https://x\"></iframe><style>*{}</style>", ""),
            ("<svg><a xlink:href=\"javascript:x\">a</a></svg>", ""),
        ];
        for (html, safe) in cases {
            let blocks = blocks(html).concat();
            let blocks = blocks.replace(" href=\"\"", "").replace(" src=\"\"", "");
            assert_eq!(blocks, safe, "{html}");
        }
    }

    const BITS: &[&str] = &[
        "<p>",
        "</p>",
        "<b>",
        "</b>",
        "<a href=\"javascript:x\" title=\"a>b\">",
        "</a>",
        "<script>",
        "</script>",
        "<table>",
        "<td>",
        "</table>",
        "<img src=x onerror=y>",
        "<!--",
        "-->",
        "a",
        "&lt;",
        "&",
        "<",
        ">",
        "\"",
        "<svg>",
        "<math>",
        "<style>",
        "</style>",
        "<h1>",
        "<li>",
        "<br>",
        "\u{0}",
        "é",
        "<details>",
        "<template>",
        "<noscript>",
        "<textarea>",
        "</textarea>",
        "\n",
    ];

    proptest! {
        /// Every block is one element, whatever the pieces were, and cleaning it again changes
        /// nothing: so none of it can mean something else to a browser.
        #[test]
        fn blocks_are_whole_and_harmless(bits in vec(select(BITS), 0..40)) {
            let html = bits.concat();
            for block in blocks(&html) {
                prop_assert!(block.starts_with('<'), "{}", block);
                let mut depth = 0_i32;
                for (index, piece) in pieces(&block).enumerate() {
                    prop_assert!(depth > 0 || index == 0, "{} is more than one", block);
                    if let Piece::Start(tag) | Piece::Void(tag) = piece {
                        prop_assert!(ELEMENTS.contains(&name(tag)), "{}", block);
                        prop_assert!(!tag.contains("javascript:"), "{}", block);
                        prop_assert!(!tag.contains(" on"), "{}", block);
                    }
                    depth += match piece { Piece::Start(_) => 1, Piece::End(_) => -1, _ => 0 };
                }
                prop_assert_eq!(depth, 0, "{}", block);
                plain(&block);
            }
        }
    }
}
