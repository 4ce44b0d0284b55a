//! The tokens that a backend wants with calls that change something, and the cookies they belong to.
//!
//! Such a token is only good together with the backend's own session, which lives in a cookie. So
//! token and cookies are had, kept and sent together, apart for every holder, and sent on exactly
//! the calls that need them: Drupal answers 403 to a JSON:API write that carries its session cookie
//! and no `X-CSRF-Token`, whatever else it proves itself with.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{COOKIE, SET_COOKIE},
};
use moka::sync::Cache;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tower_sessions::cookie::Cookie;
use url::form_urlencoded;

use super::credentials::{Credential, Holder, fingerprint};
use crate::{
    config::CsrfRule,
    error::{Error, Result},
    store::{millis, now},
};

/// How long a token is used before another is had.
const KEPT_FOR: Duration = Duration::from_secs(20 * 60);
/// How long a backend's session is remembered for a holder who does not come back. It holds no
/// access of its own, so an ended session of ours leaves nothing of use behind.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_TOKEN: usize = 1024;
/// More than a backend's session takes, in cookies.
const MOST_COOKIES: usize = 20;

/// The tokens of one backend. Cheap to clone.
#[derive(Clone)]
pub struct CsrfTokens {
    rule: Arc<CsrfRule>,
    holders: Cache<Holder, Arc<Mutex<Kept>>>,
}

/// What a backend knows one holder by.
#[derive(Default)]
struct Kept {
    cookies: BTreeMap<String, SecretString>,
    token: Option<Token>,
}

struct Token {
    value: SecretString,
    /// Of the credential that it was had with.
    fingerprint: [u8; 32],
    ends_at: i64,
}

/// A call that gets a token is to be sent with this.
#[derive(Debug, Clone)]
pub struct Proof {
    token: SecretString,
    cookies: Option<HeaderValue>,
}

impl Proof {
    /// The token, for a client that asks for its own.
    pub fn into_token(self) -> String {
        self.token.expose_secret().to_owned()
    }
}

/// A holder's state, locked: others who come for the same wait until a token is here.
pub struct Turn {
    kept: OwnedMutexGuard<Kept>,
    fingerprint: [u8; 32],
}

impl CsrfTokens {
    /// No tokens yet.
    pub fn new(rule: CsrfRule) -> Self {
        let holders = Cache::builder().max_capacity(100_000).time_to_idle(REMEMBERED_FOR).build();
        Self { rule: Arc::new(rule), holders }
    }

    /// Whether a call must carry a token.
    pub fn guards(&self, method: &Method, path: &str) -> bool {
        match &*self.rule {
            CsrfRule::Drupal { paths } => {
                method == Method::POST && paths.iter().any(|guarded| guarded == path)
            }
            CsrfRule::Header { .. } => !method.is_safe(),
        }
    }

    /// Where a token for a call to `path` is had.
    pub fn source(&self, path: &str) -> (Method, String) {
        match &*self.rule {
            CsrfRule::Drupal { .. } => (Method::POST, format!("{path}/session")),
            CsrfRule::Header { path, .. } => (Method::GET, path.clone()),
        }
    }

    /// The first path that is guarded in Drupal's way.
    pub fn drupal_path(&self) -> Option<&str> {
        match &*self.rule {
            CsrfRule::Drupal { paths } => paths.first().map(String::as_str),
            CsrfRule::Header { .. } => None,
        }
    }

    /// Waits for this holder's turn. Without a holder nothing is remembered.
    pub async fn turn(&self, holder: Option<Holder>, credential: &Credential) -> Turn {
        let kept = self.kept(holder).lock_owned().await;
        Turn { kept, fingerprint: fingerprint_of(credential) }
    }

    /// Changes what is remembered of a holder: now, or when others are done. Whoever has an answer
    /// already does not wait for somebody else's token.
    pub fn in_turn(
        &self,
        holder: Option<Holder>,
        credential: &Credential,
        change: impl FnOnce(&mut Turn) + Send + 'static,
    ) {
        let (kept, fingerprint) = (self.kept(holder), fingerprint_of(credential));
        match kept.clone().try_lock_owned() {
            Ok(kept) => change(&mut Turn { kept, fingerprint }),
            Err(_) => {
                tokio::spawn(async move {
                    change(&mut Turn { kept: kept.lock_owned().await, fingerprint });
                });
            }
        }
    }

    fn kept(&self, holder: Option<Holder>) -> Arc<Mutex<Kept>> {
        match holder {
            Some(holder) => self.holders.get_with(holder, Arc::default),
            None => Arc::default(),
        }
    }

    /// Puts the proof into a call's query or headers.
    pub fn prove(
        &self,
        proof: &Proof,
        query: Option<String>,
        headers: &mut HeaderMap,
    ) -> Result<Option<String>> {
        if let Some(cookies) = &proof.cookies {
            add_cookies(headers, cookies)?;
        }
        match &*self.rule {
            CsrfRule::Drupal { .. } => {
                let token = utf8_percent_encode(proof.token.expose_secret(), NON_ALPHANUMERIC);
                let others = query.unwrap_or_default();
                let mut pairs: Vec<String> = others
                    .split('&')
                    .filter(|pair| !pair.is_empty() && !is_token(pair))
                    .map(str::to_owned)
                    .collect();
                pairs.push(format!("token={token}"));
                Ok(Some(pairs.join("&")))
            }
            CsrfRule::Header { name, .. } => {
                let name = HeaderName::try_from(name).map_err(Error::internal)?;
                let mut token =
                    HeaderValue::try_from(proof.token.expose_secret()).map_err(Error::internal)?;
                token.set_sensitive(true);
                headers.insert(name, token);
                Ok(query)
            }
        }
    }

    /// Drupal's session cookies, or with the header form whatever came with the token.
    fn keeps(&self, cookie: &str) -> bool {
        match &*self.rule {
            CsrfRule::Drupal { .. } => cookie.starts_with("SESS") || cookie.starts_with("SSESS"),
            CsrfRule::Header { .. } => true,
        }
    }
}

impl Turn {
    /// What is known already, when it is still good.
    pub fn known(&self) -> Option<Proof> {
        let token = self.kept.token.as_ref()?;
        let fits = token.fingerprint == self.fingerprint && token.ends_at > now();
        fits.then(|| Proof { token: token.value.clone(), cookies: self.cookies() })
    }

    /// The holder's cookies, as a `Cookie` header.
    pub fn cookies(&self) -> Option<HeaderValue> {
        let pairs: Vec<String> = self
            .kept
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={}", value.expose_secret()))
            .collect();
        let mut header = HeaderValue::try_from(pairs.join("; ")).ok()?;
        header.set_sensitive(true);
        (!pairs.is_empty()).then_some(header)
    }

    /// Keeps the token that a backend answered, and the cookies that came with it.
    pub fn keep(&mut self, tokens: &CsrfTokens, headers: &HeaderMap, body: &str) -> Result<Proof> {
        let token = body.trim();
        let fits = (1..=LONGEST_TOKEN).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'<');
        if !fits {
            return Err(Error::bad_gateway(
                "The backend did not give the token that this call needs. Try again in a moment.",
            ));
        }
        self.learn(tokens, headers);
        self.kept.token = Some(Token {
            value: SecretString::from(token),
            fingerprint: self.fingerprint,
            ends_at: now().saturating_add(millis(KEPT_FOR)),
        });
        Ok(Proof { token: SecretString::from(token), cookies: self.cookies() })
    }

    /// Forgets the token that `proof` holds, unless another has taken its place.
    pub fn forget(&mut self, proof: &Proof) {
        let is_it = |token: &Token| token.value.expose_secret() == proof.token.expose_secret();
        if self.kept.token.as_ref().is_some_and(is_it) {
            self.kept.token = None;
        }
    }

    /// Takes over the cookies of an answer; a new backend session needs a new token.
    pub fn learn(&mut self, tokens: &CsrfTokens, headers: &HeaderMap) {
        let values = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        for cookie in values.filter_map(|text| Cookie::parse(text).ok()) {
            if !tokens.keeps(cookie.name()) {
                continue;
            }
            let known = self.kept.cookies.contains_key(cookie.name());
            let before = match is_over(&cookie) {
                true => self.kept.cookies.remove(cookie.name()),
                false if !known && self.kept.cookies.len() >= MOST_COOKIES => continue,
                false => {
                    let value = SecretString::from(cookie.value());
                    self.kept.cookies.insert(cookie.name().to_owned(), value)
                }
            };
            let before = before.as_ref().map(ExposeSecret::expose_secret);
            if before != Some(cookie.value()) {
                self.kept.token = None;
            }
        }
    }
}

/// Sends `cookies` beside those that are sent anyway.
pub fn add_cookies(headers: &mut HeaderMap, cookies: &HeaderValue) -> Result<()> {
    let both = match headers.get(COOKIE) {
        Some(others) => [others.as_bytes(), b"; ", cookies.as_bytes()].concat(),
        None => cookies.as_bytes().to_vec(),
    };
    let mut both = HeaderValue::try_from(both).map_err(Error::internal)?;
    both.set_sensitive(true);
    headers.insert(COOKIE, both);
    Ok(())
}

fn fingerprint_of(credential: &Credential) -> [u8; 32] {
    credential.header().map(|(_, value)| fingerprint(value)).unwrap_or_default()
}

/// Whether a cookie is sent to be forgotten.
fn is_over(cookie: &Cookie<'_>) -> bool {
    let by_age = cookie.max_age().is_some_and(|age| !age.is_positive());
    let ends = cookie.expires_datetime().map(|ends| ends.unix_timestamp());
    let by_date = cookie.max_age().is_none() && ends.is_some_and(|ends| ends <= now() / 1000);
    cookie.value().is_empty() || by_age || by_date
}

/// Whether an answer says that the token was the trouble.
pub fn is_about_token(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).to_ascii_lowercase().contains("csrf")
}

fn is_token(pair: &str) -> bool {
    form_urlencoded::parse(pair.as_bytes()).any(|(key, _)| key.trim() == "token")
}

#[cfg(test)]
mod tests {
    use axum::http::header::AUTHORIZATION;

    use super::*;

    fn drupal() -> CsrfTokens {
        CsrfTokens::new(CsrfRule::Drupal { paths: vec!["/api/deepchat".to_owned()] })
    }

    fn credential(token: &str) -> Credential {
        Credential::Service(
            AUTHORIZATION,
            HeaderValue::try_from(format!("Bearer {token}")).unwrap(),
        )
    }

    fn holder(name: u8) -> Option<Holder> {
        Some(Holder::Caller([name; 32]))
    }

    fn answer(cookies: &[&str]) -> HeaderMap {
        cookies.iter().map(|cookie| (SET_COOKIE, HeaderValue::try_from(*cookie).unwrap())).collect()
    }

    #[tokio::test]
    async fn a_token_belongs_to_one_holder_and_one_credential() {
        let tokens = drupal();
        let mut turn = tokens.turn(holder(1), &credential("a")).await;
        assert!(turn.known().is_none());
        turn.keep(&tokens, &answer(&["SESSx=1; HttpOnly", "other=2"]), "tok/en+\n").unwrap();
        drop(turn);

        let same = tokens.turn(holder(1), &credential("a")).await.known().unwrap();
        assert_eq!(same.cookies.as_ref().unwrap(), "SESSx=1");
        assert!(tokens.turn(holder(1), &credential("b")).await.known().is_none());
        assert!(tokens.turn(holder(2), &credential("a")).await.known().is_none());
        assert!(tokens.turn(holder(2), &credential("a")).await.cookies().is_none());
        assert!(tokens.turn(None, &credential("a")).await.known().is_none());

        let query =
            tokens.prove(&same, Some("a=1&token=x&to%6ben=y".into()), &mut HeaderMap::new());
        assert_eq!(query.unwrap().unwrap(), "a=1&token=tok%2Fen%2B");
    }

    #[tokio::test]
    async fn a_new_backend_session_needs_a_new_token() {
        let tokens = drupal();
        let mut turn = tokens.turn(holder(1), &credential("a")).await;
        turn.keep(&tokens, &answer(&["SESSx=1"]), "t").unwrap();
        turn.learn(&tokens, &answer(&["SESSx=1; Max-Age=9"]));
        assert!(turn.known().is_some(), "the same session goes on");
        turn.learn(&tokens, &answer(&["SESSx=2"]));
        assert!(turn.known().is_none());
        assert_eq!(turn.cookies().unwrap(), "SESSx=2");
        turn.learn(&tokens, &answer(&["SESSx=; Max-Age=0"]));
        assert!(turn.cookies().is_none());
    }

    #[tokio::test]
    async fn a_page_is_no_token() {
        let tokens = drupal();
        let mut turn = tokens.turn(holder(1), &credential("a")).await;
        for page in ["", "  ", "<html>", "two words", "{\"a\": 1}", &"x".repeat(2000)] {
            assert!(turn.keep(&tokens, &HeaderMap::new(), page).is_err(), "{page:.20}");
        }
    }

    #[test]
    fn only_what_needs_a_token_gets_one() {
        let tokens = drupal();
        assert!(tokens.guards(&Method::POST, "/api/deepchat"));
        for (method, path) in [
            (Method::GET, "/api/deepchat"),
            (Method::POST, "/api/deepchat/session"),
            (Method::POST, "/jsonapi/node/article"),
            (Method::PATCH, "/jsonapi/node/article/1"),
        ] {
            assert!(!tokens.guards(&method, path), "{method} {path}");
        }
        let header = CsrfTokens::new(CsrfRule::Header {
            name: "x-csrf-token".into(),
            path: "/session/token".into(),
        });
        assert!(header.guards(&Method::DELETE, "/jsonapi/node/article/1"));
        assert!(!header.guards(&Method::GET, "/jsonapi/node/article/1"));
    }

    #[test]
    fn only_a_refusal_about_the_token_is_tried_again() {
        assert!(is_about_token(br#"{"message":"'csrf_token' URL query argument is invalid."}"#));
        assert!(is_about_token(b"X-CSRF-Token request header is missing"));
        assert!(!is_about_token(
            br#"{"message":"The 'access deepchat api' permission is required."}"#
        ));
    }
}
