use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// The blocks of a text that arrives in these pieces.
fn stream<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Vec<Block> {
    let mut writer = BlockWriter::new();
    let mut blocks: Vec<Block> = pieces.into_iter().flat_map(|piece| writer.push(piece)).collect();
    blocks.extend(writer.finish());
    blocks
}

/// The blocks of a text that arrives character by character.
fn characters(text: &str) -> Vec<Block> {
    stream(text.split_inclusive(|_: char| true))
}

/// A start tag of rendered HTML: the element's name, its attributes and their values.
type Element = (String, Vec<(String, String)>);

/// Reads the start tags back. Values may hold anything but a double quote.
fn elements(html: &str) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let mut is_quoted = false;
        let tag = &rest[start + 1..];
        let end = tag
            .find(|c: char| {
                is_quoted ^= c == '"';
                c == '>' && !is_quoted
            })
            .expect("every tag ends");
        if !tag.starts_with('/') {
            elements.push(element(&tag[..end]));
        }
        rest = &tag[end + 1..];
    }
    elements
}

fn element(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let mut attributes = Vec::new();
    while let Some((attribute, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').expect("every value is quoted");
        attributes.push((attribute.trim().to_owned(), value.to_owned()));
        rest = after;
    }
    assert_eq!(rest.trim(), "", "{tag}");
    (name.to_owned(), attributes)
}

#[track_caller]
fn assert_harmless(source: &str) {
    const NAMES: &str = "a blockquote br code del div em figcaption figure h3 h4 h5 h6 hr img input \
                         li ol p pre span strong table tbody td th thead tr ul";
    const ATTRIBUTES: &str = "alt aria-label checked class disabled href loading rel scope src start \
                              tabindex target title type";
    let html = render(source);
    for (name, attributes) in elements(&html) {
        assert!(NAMES.split(' ').any(|known| known == name), "<{name}> from {source:?}: {html}");
        for (attribute, value) in attributes {
            let is_known = ATTRIBUTES.split(' ').any(|known| known == attribute);
            assert!(is_known, "{attribute} from {source:?}: {html}");
            if attribute == "href" || attribute == "src" {
                let is_site = value.starts_with('/') && !value.starts_with("//");
                let is_web = ["https:", "http:", "mailto:"].iter().any(|s| value.starts_with(s));
                assert!(is_site || is_web, "{value} from {source:?}: {html}");
            }
        }
    }
}

// Blocks

#[test]
fn a_block_closes_when_the_next_begins() {
    let mut writer = BlockWriter::new();
    assert!(writer.push("One.\n").is_empty());
    assert!(writer.push("\n").is_empty());
    assert_eq!(writer.open(), "One.\n\n");
    let block = Block { source_len: 6, html: "<p>One.</p>\n".into() };
    assert_eq!(writer.push("T"), [block]);
    assert_eq!(writer.open(), "T");
    assert!(writer.push("wo.").is_empty());
    assert_eq!(writer.finish(), [Block { source_len: 4, html: "<p>Two.</p>\n".into() }]);
    assert_eq!((writer.open(), writer.text()), ("", "One.\n\nTwo."));
    assert!(writer.finish().is_empty());
}

#[test]
fn code_closes_with_its_fence() {
    let mut writer = BlockWriter::new();
    assert!(writer.push("```\na\n\nb\n\n# c\n``").is_empty());
    assert!(writer.push("`").is_empty());
    assert_eq!(writer.push("\n").len(), 1);
    assert_eq!(writer.open(), "");
}

#[test]
fn a_fence_is_closed_by_its_like() {
    for code in ["````\n```\n\na\n````\n", "~~~\n```\n\na\n~~~\n", "```\n``` x\n\na\n```\n"] {
        let blocks = characters(code);
        assert_eq!(blocks.len(), 1, "{code:?}: {blocks:?}");
    }
}

#[test]
fn a_line_that_may_become_an_item_waits() {
    let mut writer = BlockWriter::new();
    writer.push("1. one\n\n");
    assert!(writer.push("2").is_empty());
    assert!(writer.push(". two\n\n").is_empty());
    assert!(writer.push("2").is_empty());
    assert_eq!(writer.push("0").len(), 0);
    assert_eq!(writer.push("% more").len(), 1);
    assert_eq!(writer.open(), "20% more");
}

#[test]
fn every_top_level_block_is_one() {
    let text = "# Title\ntext\n\nSome *text*.\n- one\n\n  ```rust\n  let a;\n\n  let b;\n  ```\n\n- two\n\n\
                After.\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n> quote\n>\n> more\n\n***\n\n\
                1. x\n\n   y\n```\ncode\n\nmore\n```\nTail\n\n    indented\n\n    code\n\nEnd";
    let expected = [
        "<h3>Title</h3>",
        "<p>text</p>",
        "<p>Some <em>text</em>.</p>",
        "<ul>",
        "<p>After.</p>",
        "<div class=\"table-scroll\" tabindex=\"0\"><table>",
        "<blockquote>",
        "<hr>",
        "<ol>",
        "<figure class=\"code\"><pre",
        "<p>Tail</p>",
        "<figure class=\"code\"><pre",
        "<p>End</p>",
    ];
    let blocks = characters(text);
    assert_eq!(blocks.len(), expected.len(), "{blocks:#?}");
    for (block, start) in blocks.iter().zip(expected) {
        assert!(block.html.starts_with(start), "{start}: {block:?}");
    }
}

#[test]
fn html_ends_at_a_blank_line() {
    let blocks = characters("<!-- never closed\n\n*text*\n");
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[1].html, "<p><em>text</em></p>\n");
}

#[test]
fn blank_lines_at_the_end_are_covered() {
    let blocks = characters("```\na\n```\n\n\n");
    assert_eq!(blocks.iter().map(|block| block.source_len).sum::<usize>(), 12);
    assert_eq!(blocks[1].html, "");
}

// HTML

#[test]
fn renders_the_common_parts() {
    let cases = [
        ("Hello *you*\\\nand **me**", "<p>Hello <em>you</em><br>\nand <strong>me</strong></p>\n"),
        (
            "# a\n## b\n### c\n#### d\n###### e",
            "<h3>a</h3>\n<h4>b</h4>\n<h5>c</h5>\n<h6>d</h6>\n<h6>e</h6>\n",
        ),
        ("~~gone~~", "<p><del>gone</del></p>\n"),
        ("3. a\n4. b", "<ol start=\"3\">\n<li>a</li>\n<li>b</li>\n</ol>\n"),
        ("> a", "<blockquote>\n<p>a</p>\n</blockquote>\n"),
        ("`a < b`", "<p><code>a &lt; b</code></p>\n"),
        ("[a]: https://x.example/", "<p>[a]: https://x.example/</p>\n"),
        ("[a]: /b\n[a]", "<p><a href=\"/b\" rel=\"noopener noreferrer nofollow\">a</a></p>\n"),
        ("", ""),
        ("\n \n", ""),
    ];
    for (source, html) in cases {
        assert_eq!(render(source), html, "{source}");
    }
}

#[test]
fn tables_scroll_and_align() {
    let html = render("| a | b | c |\n|---|:-:|--:|\n| 1 | x<br>y | 3 |\n");
    assert!(html.starts_with("<div class=\"table-scroll\" tabindex=\"0\"><table><thead><tr>"));
    assert!(
        html.contains("<th scope=\"col\">a</th><th scope=\"col\" class=\"align-center\">b</th>")
    );
    assert!(html.contains("<td>1</td><td class=\"align-center\">x<br>\ny</td>"), "{html}");
    assert!(html.contains("<td class=\"align-right\">3</td>"));
    assert!(html.trim_end().ends_with("</table>\n</div>"), "{html}");
}

#[test]
fn tasks_have_boxes() {
    let html = render("- [x] a\n- [ ] b\n");
    assert!(
        html.contains("<input type=\"checkbox\" aria-label=\"Done\" disabled=\"\" checked=\"\"> ")
    );
    assert!(
        html.contains("<input type=\"checkbox\" aria-label=\"Done\" disabled=\"\"> "),
        "{html}"
    );
}

#[test]
fn links_say_where_they_lead() {
    const REL: &str = "rel=\"noopener noreferrer nofollow\"";
    let cases = [
        (
            "[a](https://x.example/?a=1&b=2 \"t\")",
            format!(
                "<a href=\"https://x.example/?a=1&amp;b=2\" title=\"t\" target=\"_blank\" {REL}>a</a>"
            ),
        ),
        (
            "<http://x.example>",
            format!("<a href=\"http://x.example\" target=\"_blank\" {REL}>http://x.example</a>"),
        ),
        ("[a](/data/x)", format!("<a href=\"/data/x\" {REL}>a</a>")),
        ("<me@x.example>", format!("<a href=\"mailto:me@x.example\" {REL}>me@x.example</a>")),
    ];
    for (source, link) in cases {
        assert_eq!(render(source), format!("<p>{link}</p>\n"));
    }
}

#[test]
fn links_that_lead_elsewhere_are_only_text() {
    let addresses = [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "javascript&colon;alert(1)",
        "&#106;avascript:alert(1)",
        "java&#10;script:alert(1)",
        "&#1;javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://x.example/",
        "blob:https://x.example/1",
        "//x.example/",
        "/\\x.example/",
        "\\\\x.example/",
        "/&#9;/x.example/",
        "&#47;&#47;x.example",
        "x",
        "../x",
        "#x",
        "?x",
        "https://",
        "",
    ];
    for address in addresses {
        assert_eq!(render(&format!("[a]({address})")), "<p>a</p>\n", "{address}");
        assert_eq!(render(&format!("![a]({address})")), "<p>a</p>\n", "{address}");
    }
    assert_eq!(render("<javascript:alert(1)>"), "<p>javascript:alert(1)</p>\n");
}

#[test]
fn images_load_late_and_safely() {
    let html = "<img src=\"/i.png\" alt=\"a b\" title=\"t\" loading=\"lazy\">";
    assert_eq!(render("![a *b*](/i.png 't')"), format!("<p>{html}</p>\n"));
    assert_eq!(render("![a](http://x.example/i.png)"), "<p>a</p>\n");
}

#[test]
fn html_in_the_source_is_text() {
    assert_eq!(render("a <b>c</b>"), "<p>a &lt;b&gt;c&lt;/b&gt;</p>\n");
    let html = render("<div onclick=x>\n*a*\n</div>\n");
    assert!(html.starts_with("<p>&lt;div onclick=x&gt;\n*a*\n&lt;/div&gt;"), "{html}");
}

#[test]
fn nothing_a_model_writes_is_live() {
    let sources = [
        "<script>alert(1)</script>",
        "a <script>alert(1)</script> b",
        "<img src=x onerror=alert(1)>",
        "a <img src=x onerror=alert(1)> b",
        "<svg/onload=alert(1)>",
        "<svg><script>alert(1)</script></svg>",
        "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
        "<iframe src=\"javascript:alert(1)\"></iframe>",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<!-- --><img src=x onerror=alert(1)>-->",
        "<![CDATA[ ]]><img src=x onerror=alert(1)>",
        "<style>*{display:none}</style>",
        "<form action=https://x.example><input name=password><button>ok</button></form>",
        "<base href=https://x.example>",
        "<meta http-equiv=refresh content=0>",
        "[a](https://x.example/\"onmouseover=\"alert(1))",
        "[a](https://x.example/ \"t\\\" onmouseover=\\\"alert(1)\")",
        "[a](https://x.example/ 't\" onmouseover=\"alert(1)')",
        "![a\" onerror=\"alert(1)](https://x.example/i.png)",
        "![a](https://x.example/i.png\"onerror=\"alert(1))",
        "![a](https://x.example/i.png 't\" onerror=\"alert(1)')",
        "[![a](javascript:alert(1))](javascript:alert(1))",
        "![[a](javascript:alert(1))](https://x.example/i.png)",
        "[a]\n\n[a]: javascript:alert(1)",
        "[a]: javascript:alert(1)\n[a]",
        "```rust\" onclick=\"alert(1)\nx\n```",
        "```rust class=evil hl-keyword\nx\n```",
        "```\"><script>alert(1)</script>\nx\n```",
        "```html\n<script>alert(1)</script>\n```",
        "```nothing\n<script>alert(1)</script>\n```",
        "    <script>alert(1)</script>",
        "`<script>alert(1)</script>`",
        "# <script>alert(1)</script>",
        "# a {#id .class onclick=alert(1)}",
        "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
        "- <script>alert(1)</script>\n\n  <img src=x onerror=alert(1)>",
        "> <script>\n> alert(1)\n> </script>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<https://x.example/\"onclick=alert(1)>",
        "\0<script\0>alert(1)</script>",
    ];
    for source in sources {
        assert_harmless(source);
    }
}

#[test]
fn deep_nesting_is_flattened() {
    for source in [">".repeat(5_000) + " a", "- ".repeat(5_000) + "a", "*a ".repeat(5_000)] {
        let html = render(&source);
        assert!(html.contains('a'));
        assert!(html.matches("<blockquote>").count() <= 64);
    }
}

// Code

#[test]
fn code_is_named_and_coloured() {
    let html = render("```Rust,ignore\nlet x = \"<\"; // no\n```\n");
    let start = "<figure class=\"code\"><figcaption>rust</figcaption>\
                 <pre tabindex=\"0\"><code class=\"language-rust\">";
    assert!(html.starts_with(start), "{html}");
    assert!(html.contains("<span class=\"hl-keyword\">let</span>"), "{html}");
    assert!(html.contains("<span class=\"hl-string\">\"&lt;\"</span>"), "{html}");
    assert!(html.contains("<span class=\"hl-comment\">// no"), "{html}");
    assert!(html.ends_with("</code></pre></figure>\n"), "{html}");
}

#[test]
fn common_names_of_languages_are_known() {
    const NAMES: &str = "ts tsx js jsx py python bash shell console json yaml yml toml sql html css \
                         c c++ cpp c# csharp go java php ruby rb diff dockerfile docker xml kotlin \
                         swift";
    for name in NAMES.split(' ') {
        let html = render(&format!("```{name}\n\"a\" 1\n```\n"));
        assert!(html.contains(&format!("<figcaption>{name}</figcaption>")), "{html}");
        assert!(highlight::highlight("a\n", name).is_some(), "{name}");
    }
}

#[test]
fn code_without_a_known_language_is_plain() {
    let plain = "<code class=\"language-mermaid\">a &lt; b\n</code>";
    assert!(render("```mermaid\na < b\n```\n").contains(plain));
    let unnamed = "<figure class=\"code\"><pre tabindex=\"0\"><code>a\n</code></pre></figure>\n";
    for source in ["```\na\n```\n", "    a\n", "``` {.rust}\na\n```\n", "```a\"b\na\n```\n"] {
        assert_eq!(render(source), unnamed, "{source:?}");
    }
}

#[test]
fn code_that_is_too_much_is_plain() {
    let many = "let x = 1;\n".repeat(5_000);
    let long = "let x = 1;".repeat(300);
    for code in [many, long] {
        assert!(!render(&format!("```rust\n{code}\n```\n")).contains("hl-"));
    }
}

// Any text, in any pieces

/// Texts made of what the rules of blocks are about.
fn texts() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    const PARTS: &[&str] = &[
        "a", "é", " ", "  ", "    ", "\t", "\n", "\n\n", "\n\n", "\r\n", "- ", "* ", "1. ", "12", ")",
        "```", "```\n", "```rust\nlet x = \"1\";\n", "~~~\n", "> ", "# ", "---\n", "===\n",
        "| a | b |\n|---|--:|\n", "| 1 |\n", "<b>", "<!--", "-->", "<script>", "<br>", "[x](/y)",
        "[a]: /b\n", "![i](https://x.example)", "*", "**", "~~", "`", "\\", "&#9;", "[ ] ", "<", "\"",
    ];
    vec(select(PARTS), 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn the_pieces_do_not_matter(text in texts(), size in 1..7_usize) {
        let whole = stream([text.as_str()]);
        prop_assert_eq!(&characters(&text), &whole);

        let characters: Vec<char> = text.chars().collect();
        let pieces: Vec<String> = characters.chunks(size).map(|piece| piece.iter().collect()).collect();
        prop_assert_eq!(&stream(pieces.iter().map(String::as_str)), &whole);

        let html: String = whole.iter().map(|block| block.html.as_str()).collect();
        prop_assert_eq!(html, render(&text));
        prop_assert_eq!(whole.iter().map(|block| block.source_len).sum::<usize>(), text.len());
    }

    #[test]
    fn closed_and_open_make_the_text(text in texts()) {
        let mut writer = BlockWriter::new();
        let mut closed = 0;
        for piece in text.split_inclusive(' ') {
            closed += writer.push(piece).iter().map(|block| block.source_len).sum::<usize>();
            prop_assert_eq!(&writer.text()[closed..], writer.open());
        }
        prop_assert_eq!(writer.text(), text);
    }

    #[test]
    fn any_text_is_harmless(text in texts()) {
        assert_harmless(&text);
    }
}

#[test]
fn formulas_are_drawn_by_browsers() {
    let html = render(
        "Euler: $e^{i\\pi} = -1$, and\n\n$$\\int_0^1 x\\,dx = \\frac12$$\n\n\\[\nx = 1\n\\]\n",
    );
    assert_eq!(html.matches("<math").count(), 3, "{html}");
    assert!(html.contains("<msup>") && html.contains("<mfrac>"), "{html}");
    assert!(html.contains("display=\"block\""), "{html}");
    for prose in ["It costs $5 and $10.", "US$5-$7", "`$x$`", "\\$x\\$", "$ x $"] {
        assert!(!render(prose).contains("<math"), "{prose}: {}", render(prose));
    }
    let unknown = render("$\\nosuchcommand<b>$");
    assert!(unknown.contains("<code>\\nosuchcommand&lt;b&gt;</code>"), "{unknown}");
    let live = render("$\\text{<img src=x onerror=alert(1)>}\\href{javascript:alert(1)}{x}$");
    assert!(!live.contains("<img") && !live.contains("href="), "{live}");
    let text = render("$\\text{<b>}$");
    assert!(text.contains("<mtext>&lt;b&gt;</mtext>"), "{text}");
}

#[test]
fn footnotes_are_marked_and_kept() {
    let html = render("So it is[^1], and[^note].\n\n[^1]: Because.\n\n[^note]: *Why* not?\n");
    assert!(
        html.contains("is<sup class=\"note\">1</sup>, and<sup class=\"note\">note</sup>."),
        "{html}"
    );
    assert!(
        html.contains("<div class=\"footnote\"><sup class=\"note\">1</sup>\n<p>Because.</p>"),
        "{html}"
    );
    assert!(html.contains("<em>Why</em>"), "{html}");
    assert_eq!(html.matches("footnote").count(), 2, "what was added is left out: {html}");
    assert!(render("An array[^] of [^a b]").contains("[^]"));
}

#[test]
fn pictures_of_other_hosts_are_links_to_them() {
    let html = render("![A *chart*](https://evil.test/?secret=1) and ![ours](/icons.svg)");
    assert!(!html.contains("src=\"https"), "{html}");
    assert!(html.contains(">Picture from evil.test: A <em>chart</em></a>"), "{html}");
    assert!(html.contains("class=\"image\"") && html.contains("noopener noreferrer"), "{html}");
    assert!(html.contains("<img src=\"/icons.svg\" alt=\"ours\""), "{html}");
    let nested = render("![a ![b](/x.png) c](https://y.test/z.png) rest");
    assert!(nested.contains("</a> rest"), "{nested}");
}
