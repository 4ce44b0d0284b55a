//! Markdown without its marks, for the index of words.

use pulldown_cmark::{Event, Parser};

use super::html::OPTIONS;

/// What a reader would read aloud: the words alone, with a space wherever a mark stood between two.
pub fn plain(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    for event in Parser::new_ext(source, OPTIONS) {
        match event {
            Event::Text(words)
            | Event::Code(words)
            | Event::InlineMath(words)
            | Event::DisplayMath(words)
            | Event::Html(words)
            | Event::InlineHtml(words) => text.push_str(&words),
            Event::SoftBreak | Event::HardBreak | Event::Rule => text.push(' '),
            Event::End(end) if !is_within_words(end) => text.push(' '),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_within_words(end: pulldown_cmark::TagEnd) -> bool {
    use pulldown_cmark::TagEnd::{Emphasis, Image, Link, Strikethrough, Strong};
    matches!(end, Emphasis | Strong | Strikethrough | Link | Image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_left_and_marks_are_not() {
        let source = "# Deals\n\nI found **46 deals** in [Harbor](/x), `fn`*al*:\n\n\
                      | Name | Stage |\n| --- | --- |\n| C# | *Won* |\n\n- one\n- two\n";
        assert_eq!(
            plain(source),
            "Deals I found 46 deals in Harbor, fnal: Name Stage C# Won one two"
        );
    }
}
