//! What a question is about, as its first line says it: people see where it leads, and so does the
//! assistant.

use crate::data::about::About;

/// A question that says first what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said<'a> {
    /// What people call it.
    pub title: &'a str,
    /// Where it is on this site.
    pub address: &'a str,
    /// The words behind it.
    pub words: &'a str,
}

/// `text` with what it is about before it.
pub fn before(about: &About, text: &str) -> String {
    format!("About {}: {}\n\n{}", about.title, about.address, text.trim())
}

/// Reads what [`before`] has written, or somebody in its place: the address is one of this site in any
/// case.
pub fn read(text: &str) -> Option<Said<'_>> {
    const PLACE: &str = ": /data/";
    let (line, words) = text.strip_prefix("About ")?.split_once('\n')?;
    let at = line.rfind(PLACE)?;
    let (title, address) = (&line[..at], &line[at + 2..]);
    let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (is_plain && !title.is_empty()).then(|| Said { title, address, words: words.trim_start() })
}

/// The words of a question, without what they are about; that too, where there are no others.
pub fn words(text: &str) -> &str {
    read(text).map(|said| said.words).filter(|words| !words.is_empty()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let about = About {
            title: "Deals: odd, in part".to_owned(),
            address: "/data/crm/deals?f.stage=Won&q=a+b".to_owned(),
        };
        let text = before(&about, " How many?\nAnd which? ");
        let words = "How many?\nAnd which?";
        let said = Said { title: &about.title, address: &about.address, words };
        assert_eq!(read(&text), Some(said));
        assert_eq!(super::words(&text), words);
    }

    #[test]
    fn nothing_else_is_taken_for_it() {
        for text in [
            "About time",
            "About time: /chat\n\nx",
            "About x: /data/a b\n\nx",
            "About x: /data/a",
            "About : /data/a\n\nx",
            "Hi\nAbout x: /data/a\n\ny",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
            assert_eq!(words(text), text);
        }
        assert_eq!(words("About x: /data/a\n\n"), "About x: /data/a\n\n");
    }
}
