//! From the Markdown of a segment to the safe HTML of its blocks.
//!
//! Three things keep what a model writes from becoming live: raw HTML is turned into text before
//! anything is rendered, addresses have to fit a short list, and a sanitiser that allows only what
//! this module itself writes has the last word.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    iter,
    sync::LazyLock,
};

use ammonia::UrlRelative;
use pulldown_cmark::{
    Alignment, CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd,
    html::push_html,
};
use url::Url;

use super::{Block, highlight::highlight, math, notes};
use crate::ui::html::escape;

pub(super) const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_MATH);

/// Elements nested deeper than this are left out, their text is kept: the cost of building a page
/// grows with the square of the depth.
const DEEPEST: usize = 64;

/// The top-level blocks of the source, rendered. Each is rendered from its own source alone.
pub(super) fn blocks(source: &str) -> impl Iterator<Item = Block> {
    let starts = starts(source);
    let ends = starts.clone().into_iter().skip(1).chain(iter::once(source.len()));
    starts.into_iter().zip(ends).map(move |(start, end)| {
        let source = &source[start..end];
        Block { source_len: source.len(), html: render(source) }
    })
}

/// Where the lines stand that the top-level blocks begin with. Blank lines belong to the block
/// before them, those at the very start to the first.
fn starts(source: &str) -> Vec<usize> {
    let later = top_level(source).into_iter().skip(1).map(|start| line_start(source, start));
    let mut starts: Vec<usize> = iter::once(0).chain(later).collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}

fn top_level(source: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut depth = 0_usize;
    for (event, range) in Parser::new_ext(source, OPTIONS).into_offset_iter() {
        if depth == 0 && matches!(event, Event::Start(_) | Event::Rule) {
            starts.push(range.start);
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    starts
}

fn line_start(source: &str, at: usize) -> usize {
    let line_feed = source.as_bytes().iter().take(at).rposition(|byte| *byte == b'\n');
    line_feed.map_or(0, |line_feed| line_feed + 1)
}

fn render(source: &str) -> String {
    let read = math::with_dollars(source);
    let read = notes::with_definitions(&read);
    let mut rewriter = Rewriter::default();
    for (event, range) in Parser::new_ext(&read.text, OPTIONS).into_offset_iter() {
        match event {
            _ if range.start >= read.own => {}
            Event::InlineMath(_) if math::is_money(&read.text, &range) => {
                rewriter.event(Event::Text(read.text[range].to_owned().into()));
            }
            event => rewriter.event(event),
        }
    }
    let mut html = String::with_capacity(source.len() * 2);
    push_html(&mut html, rewriter.or_plain(source).into_iter());
    SANITISER.clean(&html).to_string()
}

/// Turns the parser's events into those that should be rendered.
#[derive(Default)]
struct Rewriter<'a> {
    events: Vec<Event<'a>>,
    /// For every element that is open, whether it is rendered.
    open: Vec<bool>,
    code: Option<Code>,
    table: Table,
    /// For every image that is open, whether it lies on another host.
    foreign_images: Vec<bool>,
}

impl<'a> Rewriter<'a> {
    fn event(&mut self, event: Event<'a>) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => self.code = Some(Code::new(&kind)),
            Event::End(TagEnd::CodeBlock) => self.end_code(),
            Event::Start(tag) => {
                let is_rendered = self.open.len() < DEEPEST && self.start(tag);
                self.open.push(is_rendered);
            }
            Event::End(tag) => {
                if self.open.pop() == Some(true) {
                    self.end(tag);
                }
            }
            Event::Text(text) => self.text(text),
            Event::Html(html) | Event::InlineHtml(html) => self.foreign(html),
            Event::TaskListMarker(is_done) => self.raw(checkbox(is_done)),
            Event::InlineMath(tex) => self.formula(&tex, false),
            Event::DisplayMath(tex) => self.formula(&tex, true),
            Event::FootnoteReference(label) => self.raw(notes::reference(&label)),
            other => self.events.push(other),
        }
    }

    /// Begins an element; false if it is not rendered, so that its end is left out too.
    fn start(&mut self, tag: Tag<'a>) -> bool {
        let tag = match tag {
            Tag::Link { link_type, dest_url, title, .. } => {
                return self.start_link(link_type, &dest_url, &title);
            }
            Tag::Image { ref dest_url, .. } if !is_image_address(dest_url) => return false,
            Tag::Image { ref dest_url, .. } if !is_site_path(dest_url) => {
                return self.start_foreign_image(dest_url);
            }
            Tag::Image { .. } => {
                self.foreign_images.push(false);
                tag
            }
            Tag::FootnoteDefinition(label) => {
                self.raw(notes::begin_definition(&label));
                return true;
            }
            Tag::Table(alignments) => {
                self.raw("<div class=\"table-scroll\" tabindex=\"0\">");
                self.table.alignments.clone_from(&alignments);
                Tag::Table(alignments)
            }
            Tag::TableHead | Tag::TableRow => {
                self.table.begin_row(&tag);
                tag
            }
            Tag::TableCell => {
                let cell = self.table.begin_cell();
                self.raw(cell);
                return true;
            }
            Tag::HtmlBlock => Tag::Paragraph,
            Tag::Heading { level, id, classes, attrs } => {
                Tag::Heading { level: lowered(level), id, classes, attrs }
            }
            other => other,
        };
        self.events.push(Event::Start(tag));
        true
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Link => self.raw("</a>"),
            TagEnd::Image if self.foreign_images.pop() == Some(true) => self.raw("</a>"),
            TagEnd::FootnoteDefinition => self.raw("</div>\n"),
            TagEnd::TableCell => self.raw(self.table.end_cell()),
            TagEnd::Table => {
                self.events.push(Event::End(tag));
                self.raw("</div>\n");
            }
            TagEnd::HtmlBlock => self.events.push(Event::End(TagEnd::Paragraph)),
            TagEnd::Heading(level) => {
                self.events.push(Event::End(TagEnd::Heading(lowered(level))));
            }
            other => self.events.push(Event::End(other)),
        }
    }

    fn start_link(&mut self, link_type: LinkType, address: &str, title: &str) -> bool {
        let address = match link_type {
            LinkType::Email => Cow::Owned(format!("mailto:{address}")),
            _ => Cow::Borrowed(address),
        };
        let Some(target) = LinkTarget::of(&address) else {
            return false;
        };
        let mut html = String::from("<a");
        attribute(&mut html, "href", &address);
        if !title.is_empty() {
            attribute(&mut html, "title", title);
        }
        if target == LinkTarget::Elsewhere {
            attribute(&mut html, "target", "_blank");
        }
        html.push('>');
        self.raw(html);
        true
    }

    /// A picture of another host is a link to it: fetching it would tell that host what the model
    /// wrote into its address.
    fn start_foreign_image(&mut self, address: &str) -> bool {
        let host = Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned));
        let mut html = String::from("<a class=\"image\"");
        attribute(&mut html, "href", address);
        attribute(&mut html, "target", "_blank");
        html.push_str(">Picture from ");
        escape(&mut html, &host.unwrap_or_default());
        html.push_str(": ");
        self.raw(html);
        self.foreign_images.push(true);
        true
    }

    /// A formula; as it was written, where it is not understood.
    fn formula(&mut self, tex: &str, is_display: bool) {
        let html = math::mathml(tex, is_display).unwrap_or_else(|| {
            let mut html = String::from("<code>");
            escape(&mut html, tex);
            html + "</code>"
        });
        self.raw(html);
    }

    fn text(&mut self, text: CowStr<'a>) {
        match &mut self.code {
            Some(code) => code.text.push_str(&text),
            None => self.events.push(Event::Text(text)),
        }
    }

    /// HTML in the source is shown as it was written. A line break is the exception: there is no
    /// other way to have one inside a table.
    fn foreign(&mut self, html: CowStr<'a>) {
        let is_break = matches!(html.trim(), "<br>" | "<br/>" | "<br />");
        self.events.push(if is_break { Event::HardBreak } else { Event::Text(html) });
    }

    fn end_code(&mut self) {
        if let Some(code) = self.code.take() {
            self.raw(code.figure());
        }
    }

    /// Adds HTML of our own.
    fn raw(&mut self, html: impl Into<CowStr<'a>>) {
        self.events.push(Event::Html(html.into()));
    }

    /// The events; for a source that makes none, such as the definition of a link, the source as
    /// text, so that nothing that was written disappears.
    fn or_plain(self, source: &'a str) -> Vec<Event<'a>> {
        let text = source.trim();
        if !self.events.is_empty() || text.is_empty() {
            return self.events;
        }
        vec![Event::Start(Tag::Paragraph), Event::Text(text.into()), Event::End(TagEnd::Paragraph)]
    }
}

/// A message stands below the page's own headings.
fn lowered(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

fn checkbox(is_done: bool) -> &'static str {
    if is_done {
        "<input type=\"checkbox\" aria-label=\"Done\" disabled checked> "
    } else {
        "<input type=\"checkbox\" aria-label=\"Done\" disabled> "
    }
}

/// Where the reading of a table stands. Cells get a class for their alignment, because the page's
/// security policy allows no inline style.
#[derive(Default)]
struct Table {
    alignments: Vec<Alignment>,
    column: usize,
    is_head: bool,
}

impl Table {
    fn begin_row(&mut self, tag: &Tag<'_>) {
        self.is_head = matches!(tag, Tag::TableHead);
        self.column = 0;
    }

    fn begin_cell(&mut self) -> String {
        let class = match self.alignments.get(self.column) {
            Some(Alignment::Left) => " class=\"align-left\"",
            Some(Alignment::Center) => " class=\"align-center\"",
            Some(Alignment::Right) => " class=\"align-right\"",
            Some(Alignment::None) | None => "",
        };
        self.column += 1;
        let element = if self.is_head { "th scope=\"col\"" } else { "td" };
        format!("<{element}{class}>")
    }

    fn end_cell(&self) -> &'static str {
        if self.is_head { "</th>" } else { "</td>" }
    }
}

/// A block of code while its lines are collected.
struct Code {
    language: Option<String>,
    text: String,
}

impl Code {
    fn new(kind: &CodeBlockKind<'_>) -> Self {
        let language = match kind {
            CodeBlockKind::Fenced(info) => language(info),
            CodeBlockKind::Indented => None,
        };
        Self { language, text: String::new() }
    }

    fn figure(&self) -> String {
        let mut html = String::from("<figure class=\"code\">");
        if let Some(language) = &self.language {
            html.push_str("<figcaption>");
            escape(&mut html, language);
            html.push_str("</figcaption>");
        }
        html.push_str("<pre tabindex=\"0\"><code");
        if let Some(language) = &self.language {
            attribute(&mut html, "class", &format!("language-{language}"));
        }
        html.push('>');
        self.write_body(&mut html);
        html.push_str("</code></pre></figure>\n");
        html
    }

    fn write_body(&self, html: &mut String) {
        match self.language.as_deref().and_then(|language| highlight(&self.text, language)) {
            Some(spans) => html.push_str(&spans),
            None => escape(html, &self.text),
        }
    }
}

/// The language an info string names, as in `rust,ignore` or `js {1,3}`.
fn language(info: &str) -> Option<String> {
    let word = info.split([' ', '\t', ',', '{']).next()?;
    let is_name = (1..=32).contains(&word.len())
        && word.chars().all(|char| char.is_ascii_alphanumeric() || "+#._-".contains(char));
    is_name.then(|| word.to_ascii_lowercase())
}

/// Where a link that is allowed leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkTarget {
    /// To this site, or to a program such as the mail reader.
    Here,
    /// To another site, which opens beside this one.
    Elsewhere,
}

impl LinkTarget {
    fn of(address: &str) -> Option<Self> {
        if is_site_path(address) {
            return Some(Self::Here);
        }
        match scheme(address)?.as_str() {
            "http" | "https" => Some(Self::Elsewhere),
            "mailto" => Some(Self::Here),
            _ => None,
        }
    }
}

/// Whether a link of a backend's own HTML leads where it says.
pub(super) fn leads_elsewhere(address: &str) -> bool {
    !is_site_path(address) && LinkTarget::of(address).is_some()
}

pub(super) fn is_image_address(address: &str) -> bool {
    is_site_path(address) || scheme(address).is_some_and(|scheme| scheme == "https")
}

/// A path of this site. Two slashes would lead to another host, and browsers read a backslash as a
/// slash.
fn is_site_path(address: &str) -> bool {
    is_plain(address)
        && address.starts_with('/')
        && !address.starts_with("//")
        && !address.contains('\\')
}

fn scheme(address: &str) -> Option<String> {
    let url = Url::parse(address).ok().filter(|_| is_plain(address))?;
    Some(url.scheme().to_owned())
}

/// Browsers drop some white space and control characters before they read an address, so that it
/// would no longer be the one that was checked.
fn is_plain(address: &str) -> bool {
    !address.chars().any(|char| char.is_control() || char.is_whitespace())
}

fn attribute(html: &mut String, name: &str, value: &str) {
    html.push(' ');
    html.push_str(name);
    html.push_str("=\"");
    escape(html, value);
    html.push('"');
}

#[rustfmt::skip]
const ELEMENTS: &[&str] = &[
    "a", "blockquote", "br", "code", "del", "div", "em", "figcaption", "figure", "h3", "h4", "h5",
    "h6", "hr", "img", "input", "li", "ol", "p", "pre", "span", "strong", "sup", "table", "tbody",
    "td", "th", "thead", "tr", "ul",
];

/// Allows the elements and attributes that this module writes, and nothing else.
static SANITISER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut builder = ammonia::Builder::empty();
    builder
        .tags(ELEMENTS.iter().chain(math::ELEMENTS).copied().collect())
        .generic_attributes(HashSet::new())
        .tag_attributes(attributes())
        .tag_attribute_values(HashMap::from([
            ("a", HashMap::from([("target", HashSet::from(["_blank"]))])),
            ("div", HashMap::from([("tabindex", HashSet::from(["0"]))])),
            ("input", HashMap::from([("type", HashSet::from(["checkbox"]))])),
            ("pre", HashMap::from([("tabindex", HashSet::from(["0"]))])),
            ("th", HashMap::from([("scope", HashSet::from(["col"]))])),
        ]))
        .set_tag_attribute_value("img", "loading", "lazy")
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some("noopener noreferrer nofollow"))
        .attribute_filter(keep_attribute);
    builder
});

fn attributes() -> HashMap<&'static str, HashSet<&'static str>> {
    let of_formulas: HashSet<&str> = math::ATTRIBUTES.iter().copied().collect();
    let mut attributes: HashMap<&str, HashSet<&str>> =
        math::ELEMENTS.iter().map(|element| (*element, of_formulas.clone())).collect();
    attributes.entry("mtd").or_default().insert("class");
    attributes.extend([
        ("a", HashSet::from(["class", "href", "title"])),
        ("code", HashSet::from(["class"])),
        ("div", HashSet::from(["class"])),
        ("figure", HashSet::from(["class"])),
        ("img", HashSet::from(["src", "alt", "title"])),
        ("input", HashSet::from(["aria-label", "checked", "disabled"])),
        ("ol", HashSet::from(["start"])),
        ("span", HashSet::from(["class"])),
        ("td", HashSet::from(["class"])),
        ("th", HashSet::from(["class"])),
        ("sup", HashSet::from(["class"])),
    ]);
    attributes
}

/// Checks the values that a list of names cannot.
fn keep_attribute<'v>(element: &str, attribute: &str, value: &'v str) -> Option<Cow<'v, str>> {
    let is_kept = match (element, attribute) {
        ("a", "href") => LinkTarget::of(value).is_some(),
        ("img", "src") => is_image_address(value),
        (_, "class") => value.split(' ').all(|class| is_our_class(element, class)),
        _ => true,
    };
    is_kept.then_some(Cow::Borrowed(value))
}

fn is_our_class(element: &str, class: &str) -> bool {
    match element {
        "code" => class.starts_with("language-"),
        "a" => class == "image",
        "sup" => class == "note",
        "div" => matches!(class, "table-scroll" | "footnote"),
        "figure" => class == "code",
        "span" => class.starts_with("hl-"),
        "td" | "th" | "mtd" => class.starts_with("align-"),
        _ => false,
    }
}
