//! Where to go after signing in: a path of ours and nothing else.

use percent_encoding::percent_decode_str;
use url::Url;

/// What an unusable or missing address becomes.
pub const HOME: &str = "/chat";
/// In bytes: the address travels in a cookie, sealed, and browsers drop one above four kilobytes.
const LONGEST: usize = 2000;

/// The path and query of `wanted` if it is one of ours, else [`HOME`].
///
/// The address is resolved the way a browser would resolve it, so every trick that makes a browser
/// leave the site (`//host`, `/\host`, tabs, schemes) shows as a different origin.
pub fn checked(wanted: Option<&str>) -> String {
    wanted.and_then(own_path).unwrap_or_else(|| HOME.to_owned())
}

fn own_path(wanted: &str) -> Option<String> {
    // Whoever decodes once more must not find what a browser would not have sent.
    let decoded = percent_decode_str(wanted).decode_utf8_lossy();
    if !is_plain(wanted) || !is_plain(&decoded) {
        return None;
    }
    let base = Url::parse("http://own.invalid").ok()?;
    let resolved = base.join(wanted).ok().filter(|url| url.origin() == base.origin())?;
    let path = match resolved.query() {
        Some(query) => format!("{}?{query}", resolved.path()),
        None => resolved.path().to_owned(),
    };
    // What was normalised away must not leave an address that a browser reads as another host.
    let is_ours = !path.starts_with("//") && !path.starts_with("/auth/");
    (is_ours && path.len() <= LONGEST).then_some(path)
}

fn is_plain(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_paths_are_kept() {
        for path in ["/", "/chat/0192", "/data/crm/contacts?q=a%20b&page=2", "/a//b"] {
            assert_eq!(checked(Some(path)), path);
        }
    }

    #[test]
    fn everything_else_becomes_home() {
        let tricks = [
            "",
            "chat",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "\\/evil.test",
            "https://evil.test",
            "https:evil.test",
            "/\t/evil.test",
            "/\n//evil.test",
            "/.//evil.test",
            "/..//evil.test",
            "/%2e//evil.test",
            "javascript:alert(1)",
            "/%09/evil.test",
            "/%5cevil.test",
            "/%2Fevil.test",
            "/auth/login?return_to=/auth/login",
            " //evil.test",
            "/\u{0}//evil.test",
        ];
        for trick in tricks {
            assert_eq!(checked(Some(trick)), HOME, "{trick:?}");
        }
        assert_eq!(checked(None), HOME);
    }
}
