//! The key that the tenant is written under, in every spelling that a backend might take for it.

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization;

use crate::backend::target::shorten;

/// How often something may be encoded over and over.
const LAYERS: usize = 4;

/// The name of a query parameter, a form field or a JSON key.
#[derive(Debug, Clone)]
pub struct Key {
    name: String,
    folded: String,
}

impl Key {
    /// The key called `name`.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), folded: fold(name) }
    }

    /// As the configuration writes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a backend's parser might read `written` as this key.
    ///
    /// Letter case, punctuation and spaces, brackets around and behind it, a NUL in it,
    /// percent-encoding in several layers, `%uXXXX`, overlong UTF-8 and the compatibility forms of
    /// Unicode make no difference: each is something that PHP, Rack, Express, ASP.NET, Spring or a
    /// proxy in front of them folds away.
    pub fn is(&self, written: &str) -> bool {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if written.bytes().all(is_plain) {
            let letters = written.chars().filter(char::is_ascii_alphanumeric);
            return letters.map(|c| c.to_ascii_lowercase()).eq(self.folded.chars());
        }
        let decoded = decode(written);
        let first = decoded.trim_start_matches(is_bracket).split(is_end).next();
        [decoded.as_str(), first.unwrap_or_default()]
            .into_iter()
            .any(|key| fold(key) == self.folded)
    }

    /// A query or form without the pairs of this key, its other bytes as they were.
    pub fn without(&self, pairs: &str) -> String {
        let names_it = |pair: &str| self.is(pair.split('=').next().unwrap_or_default());
        // `;` separates pairs to some parsers and is plain text to others.
        let is_foreign = |part: &str| !part.split(';').any(names_it) && !names_it(part);
        if pairs.split('&').all(is_foreign) {
            return pairs.to_owned();
        }
        pairs.split('&').filter(|part| is_foreign(part)).collect::<Vec<_>>().join("&")
    }
}

fn is_bracket(letter: char) -> bool {
    matches!(letter, '[' | ']')
}

fn is_end(letter: char) -> bool {
    is_bracket(letter) || letter == '\0'
}

fn decode(written: &str) -> String {
    let mut text = written.replace('+', " ");
    for _ in 0..LAYERS {
        let bytes: Vec<u8> = percent_decode_str(&decode_u(&text)).collect();
        let next = String::from_utf8_lossy(&shorten(&bytes)).into_owned();
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// `%u0074` → `t`, which only Microsoft's servers know.
fn decode_u(text: &str) -> String {
    let mut pieces = text.split("%u");
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let letter = piece.get(..4).and_then(|code| u32::from_str_radix(code, 16).ok());
        match (letter.and_then(char::from_u32), piece.get(4..)) {
            (Some(letter), Some(rest)) => {
                decoded.push(letter);
                decoded.push_str(rest);
            }
            _ => {
                decoded.push_str("%u");
                decoded.push_str(piece);
            }
        }
    }
    decoded
}

fn fold(key: &str) -> String {
    key.nfkc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn key() -> Key {
        Key::new("tenant_id")
    }

    #[test]
    fn every_spelling_of_the_key_is_known() {
        let spellings = [
            "tenant_id",
            "TENANT_ID",
            "Tenant_Id",
            "tenantId",
            "TenantID",
            "tenant-id",
            "tenant.id",
            "tenant%5fid",
            "tenant%5Fid",
            "%74enant_id",
            "tenant%255fid",
            "tenant%25255fid",
            "tenant%u005fid",
            "%u0074enant_id",
            "tenant_id[]",
            "tenant_id[0]",
            "tenant_id%5B0%5D",
            "tenant_id[x][y]",
            "tenant[id",
            "tenant_id%00",
            "tenant_id%00x",
            "%00tenant_id",
            "+tenant_id",
            "tenant_id+",
            "tenant%20id",
            "tenant+id",
            "%09tenant_id",
            "tenant_id%0d%0a",
            "ｔｅｎａｎｔ_ｉｄ",
            "%ef%bd%94enant_id",
            "tenant\u{200b}_id",
            "tenant%e2%80%8b_id",
            "tenant:id",
            "tenant__id",
            "_tenant_id_",
            "\u{feff}tenant_id",
            "\"tenant_id\"",
            "[tenant_id][0]",
            "[tenant_id][$ne]",
            "[[tenant_id]]",
            "]tenant_id",
            "%5btenant_id%5d%5b0%5d",
            "%c1%b4enant_id",
            "tenant%c1%9fid",
            "'tenant_id'",
        ];
        for spelling in spellings {
            assert!(key().is(spelling), "{spelling:?}");
        }
        for other in
            ["tenant", "id", "tenant_ids", "my_tenant_id", "tenant_id2", "x[tenant_id]", ""]
        {
            assert!(!key().is(other), "{other:?}");
        }
    }

    #[test]
    fn pairs_of_the_key_go_and_the_others_stay() {
        for (query, kept) in [
            ("tenant_id=o&page=2", "page=2"),
            ("tenant_id&page=2", "page=2"),
            ("a=1&tenant_id=o&tenant_id=p&b", "a=1&b"),
            ("x;tenant_id=o&page=2", "page=2"),
            ("tenant_id=o;y=1&page=2", "page=2"),
            ("tenant_id=o", ""),
            ("a=tenant_id", "a=tenant_id"),
        ] {
            assert_eq!(key().without(query), kept, "{query}");
        }
    }

    /// One letter of the key, written in one of the ways that say the same.
    fn letter(letter: char) -> impl Strategy<Value = String> {
        let code = u32::from(letter);
        select(vec![
            letter.to_string(),
            letter.to_ascii_uppercase().to_string(),
            format!("%{code:02x}"),
            format!("%25{code:02X}"),
            format!("%u{code:04x}"),
        ])
    }

    fn spelling() -> impl Strategy<Value = String> {
        let letters: Vec<_> = "tenant_id".chars().map(letter).collect();
        let tail = select(vec!["", "[]", "[0]", "%5b%5d", "%00", "%00x", "+", "%20"]);
        (letters, tail).prop_map(|(letters, tail)| letters.concat() + tail)
    }

    proptest! {
        #[test]
        fn no_spelling_survives_among_other_pairs(
            before in "([a-s]{1,3}=[a-z;%0-9]{0,4}&){0,3}",
            spelling in spelling(),
            value in "[a-z%]{0,6}",
            after in "(&[a-s]{1,3}=[a-z0-9]{0,4}){0,3}",
        ) {
            let kept = key().without(&format!("{before}{spelling}={value}{after}"));
            prop_assert!(kept.split(['&', ';']).all(|pair| !key().is(pair.split('=').next().unwrap())));
            let others = before.matches('&').count() + after.matches('&').count();
            prop_assert_eq!(kept.split('&').filter(|pair| !pair.is_empty()).count(), others);
        }
    }
}
