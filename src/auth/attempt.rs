//! One attempt to sign in, remembered in a sealed, short-lived cookie of its own.
//!
//! A cookie per attempt lets several tabs sign in at once, and binds the provider's answer to the
//! browser that asked: an answer carried to another browser finds no cookie there.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    session::seal::Sealer,
    store::now,
};

const PURPOSE: &str = "sign-in";
const PREFIX: &str = "breezeway-signin-";
const LIFE_SECONDS: i64 = 600;
/// Older attempts are dropped beyond this many: cookies share one header of limited size.
const MOST: usize = 5;

/// What must be known again when the browser comes back.
#[derive(Serialize, Deserialize)]
pub struct Attempt {
    /// Ties the answer to the request (RFC 6749 §10.12).
    pub state: String,
    /// Ties the ID token to the request (OpenID Connect Core §3.1.2.1).
    pub nonce: String,
    /// Proves that who redeems the code asked for it (RFC 7636).
    pub verifier: String,
    /// Where the person wanted to go.
    pub return_to: String,
    started_at: i64,
}

impl Attempt {
    /// A new attempt, starting now.
    pub fn new(state: String, nonce: String, verifier: String, return_to: String) -> Self {
        Self { state, nonce, verifier, return_to, started_at: now() }
    }

    /// The `Set-Cookie` value that keeps this attempt.
    pub fn to_cookie(&self, sealer: &Sealer, https: bool) -> Result<String> {
        let plain = serde_json::to_vec(self).map_err(Error::internal)?;
        let sealed = sealer.seal(PURPOSE, &plain).map_err(Error::internal)?;
        let value = URL_SAFE_NO_PAD.encode(sealed);
        Ok(set_cookie(&cookie_name(&self.state), &value, LIFE_SECONDS, https))
    }

    /// Finds the attempt with this `state` among the request's cookies.
    pub fn find(sealer: &Sealer, cookies: &str, state: &str) -> Option<Self> {
        let name = cookie_name(state);
        let (_, value) = pairs(cookies).find(|(candidate, _)| *candidate == name)?;
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        let plain = sealer.open_sealed(PURPOSE, &sealed).ok()?;
        let attempt: Self = serde_json::from_slice(&plain).ok()?;
        let fresh = now() - attempt.started_at < LIFE_SECONDS * 1000;
        (fresh && attempt.state == state).then_some(attempt)
    }
}

/// The `Set-Cookie` value that forgets the attempt with this `state`.
pub fn removal(state: &str, https: bool) -> String {
    set_cookie(&cookie_name(state), "", 0, https)
}

/// `Set-Cookie` values that make room for another attempt when a browser holds too many.
pub fn removals_when_crowded(cookies: &str, https: bool) -> Vec<String> {
    let names: Vec<_> =
        pairs(cookies).map(|(name, _)| name).filter(|name| name.starts_with(PREFIX)).collect();
    let surplus = (names.len() + 1).saturating_sub(MOST);
    names.into_iter().take(surplus).map(|name| set_cookie(name, "", 0, https)).collect()
}

/// The cookie's name holds the first characters of the state, which are as random as the rest.
fn cookie_name(state: &str) -> String {
    let tag: String = state.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    format!("{PREFIX}{tag}")
}

fn pairs(cookies: &str) -> impl Iterator<Item = (&str, &str)> {
    cookies.split(';').filter_map(|pair| pair.trim().split_once('='))
}

fn set_cookie(name: &str, value: &str, max_age: i64, https: bool) -> String {
    let secure = if https { "; Secure" } else { "" };
    format!("{name}={value}; Path=/auth; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")
}
