//! HTML that is written piece by piece: what streams, and what has so many cells that views would
//! cost more than the cells.

/// HTML under construction. Markup comes from this program's own text alone; everything else is
/// written as text, or was made safe by who rendered it.
#[derive(Debug, Default)]
pub struct Html(String);

impl Html {
    /// HTML that will take about so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Markup of ours.
    pub fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, in an element or in a quoted attribute.
    pub fn text(&mut self, text: &str) -> &mut Self {
        escape(&mut self.0, text);
        self
    }

    /// HTML that [`markdown`](crate::chat::markdown) or this has made safe.
    pub fn safe(&mut self, html: &str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    /// The icon called `name`, which says nothing by itself.
    pub fn icon(&mut self, name: &'static str) -> &mut Self {
        self.markup("<svg class=\"icon\" aria-hidden=\"true\"><use href=\"/icons.svg#");
        self.markup(name).markup("\"></use></svg>")
    }

    /// All of it.
    pub fn finish(self) -> String {
        self.0
    }
}

/// `text` with what HTML would take for markup written out.
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    escape(&mut html, text);
    html
}

/// Writes text so that it is only text, in an element or in a quoted attribute.
pub fn escape(html: &mut String, text: &str) {
    let mut rest = text;
    let is_markup = |byte: &u8| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'');
    while let Some(at) = rest.as_bytes().iter().position(is_markup) {
        html.push_str(&rest[..at]);
        html.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &rest[at + 1..];
    }
    html.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escaped("a < b & \"c\" > 'ü'"), "a &lt; b &amp; &quot;c&quot; &gt; &#39;ü&#39;");
        assert_eq!(escaped(""), "");
    }
}
