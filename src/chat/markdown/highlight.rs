//! Colours for code, as classes.
//!
//! The grammars tell hundreds of scopes apart. A reader needs a dozen colours, and a page should
//! not carry every scope as a class: the scopes are folded into the kinds that
//! `style/highlight.css` knows, neighbours of one kind share a `<span>`, and no class comes from
//! the text itself.

use std::sync::LazyLock;

use syntect::{
    easy::ScopeRegionIterator,
    parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet},
    util::LinesWithEndings,
};

use crate::ui::html::escape;

/// Code beyond this many bytes stays plain: colours are not worth the wait.
const LARGEST: usize = 50_000;

/// A grammar may look at a long line again for every token in it, so minified code stays plain.
const LONGEST_LINE: usize = 2_000;

static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(two_face::syntax::extra_newlines);

/// Scopes and their kinds; of two that fit, the first counts. An empty kind has no colour and stops
/// the search, so that code inside a string does not look like the string.
const KINDS: &[(&str, &str)] = &[
    ("comment", "comment"),
    ("constant.character.escape", "constant"),
    ("constant.numeric", "number"),
    ("constant", "constant"),
    ("string", "string"),
    ("keyword.operator", ""),
    ("keyword", "keyword"),
    ("storage", "keyword"),
    ("variable.language", "keyword"),
    ("entity.name.function", "function"),
    ("support.function", "function"),
    ("support.macro", "function"),
    ("variable.function", "function"),
    ("entity.name.tag", "tag"),
    ("entity.other.attribute-name", "attribute"),
    ("support.type.property-name", "attribute"),
    ("entity.name.section", "heading"),
    ("entity.name", "type"),
    ("entity.other.inherited-class", "type"),
    ("support.type", "type"),
    ("support.class", "type"),
    ("markup.heading", "heading"),
    ("markup.inserted", "inserted"),
    ("markup.deleted", "deleted"),
    ("meta.diff", "comment"),
    ("meta.interpolation", ""),
    ("meta.template.expression", ""),
    ("source", ""),
];

static RULES: LazyLock<Vec<(Scope, &'static str)>> = LazyLock::new(|| {
    KINDS.iter().filter_map(|(scope, kind)| Some((Scope::new(scope).ok()?, *kind))).collect()
});

/// The code as HTML with a `<span class="hl-…">` around what has a colour; `None` if it has to
/// stay plain.
pub(super) fn highlight(code: &str, language: &str) -> Option<String> {
    let is_too_much = code.len() > LARGEST || code.lines().any(|line| line.len() > LONGEST_LINE);
    if is_too_much {
        return None;
    }
    spans(code, syntax(language)?).ok()
}

fn syntax(language: &str) -> Option<&'static SyntaxReference> {
    let token = match language {
        "shell" | "console" | "shell-session" => "sh",
        "csharp" => "cs",
        "golang" => "go",
        "jsx" | "mjs" | "cjs" | "node" => "js",
        "mts" | "cts" => "ts",
        "jsonc" | "json5" | "jsonl" | "ndjson" => "json",
        "docker" => "dockerfile",
        other => other,
    };
    SYNTAXES.find_syntax_by_token(token)
}

fn spans(code: &str, syntax: &SyntaxReference) -> Result<String, syntect::Error> {
    let mut state = ParseState::new(syntax);
    let mut scopes = ScopeStack::new();
    let mut spans = Spans::default();
    for line in LinesWithEndings::from(code) {
        let changes = state.parse_line(line, &SYNTAXES)?;
        for (text, change) in ScopeRegionIterator::new(&changes, line) {
            scopes.apply(change)?;
            spans.write(kind(&scopes), text);
        }
    }
    Ok(spans.finish())
}

/// The kind of the innermost scope that has one.
fn kind(scopes: &ScopeStack) -> &'static str {
    let kind_of = |scope: &Scope| {
        RULES.iter().find(|(rule, _)| rule.is_prefix_of(*scope)).map(|(_, kind)| *kind)
    };
    scopes.as_slice().iter().rev().find_map(kind_of).unwrap_or_default()
}

#[derive(Default)]
struct Spans {
    html: String,
    kind: &'static str,
}

impl Spans {
    fn write(&mut self, kind: &'static str, text: &str) {
        if text.is_empty() {
            return;
        }
        self.switch(kind);
        escape(&mut self.html, text);
    }

    fn switch(&mut self, kind: &'static str) {
        if kind == self.kind {
            return;
        }
        if !self.kind.is_empty() {
            self.html.push_str("</span>");
        }
        if !kind.is_empty() {
            self.html.push_str("<span class=\"hl-");
            self.html.push_str(kind);
            self.html.push_str("\">");
        }
        self.kind = kind;
    }

    fn finish(mut self) -> String {
        self.switch("");
        self.html
    }
}
