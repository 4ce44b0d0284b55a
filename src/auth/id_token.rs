//! Checking what the provider signed: ID tokens and logout tokens. Who signed it, for whom, for which
//! attempt, and until when.
//!
//! OpenID Connect Core §3.1.3.7. Only signatures by a published key of the provider count, so
//! `none` and the shared-secret algorithms are never accepted.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::Jwk};
use serde_json::{Map, Value};

use crate::store::now;

/// Seconds that the provider's clock may be ahead or behind.
const LEEWAY: u64 = 60;

/// The member of `events` that makes a token a logout token.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

const ACCEPTED: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
];

/// The claims of a token that passed every check.
pub type Claims = Map<String, Value>;

/// Why an ID token was refused.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    #[error("the ID token is signed with {0:?}, which is not accepted")]
    Algorithm(Algorithm),
    #[error("the ID token names no key that the provider publishes")]
    UnknownKey,
    #[error("the ID token was refused: {0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    #[error("the ID token's `{0}` is missing or wrong")]
    Claim(&'static str),
}

/// What a token must say.
pub struct Expected<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// `aud`, and `azp` where present
    pub client_id: &'a str,
    /// `nonce`
    pub nonce: &'a str,
}

/// What a logout token is about (OpenID Connect Back-Channel Logout §2.4).
#[derive(Debug)]
pub struct Logout {
    /// Whose sessions end.
    pub subject: Option<String>,
    /// Which of the provider's sessions has ended.
    pub provider_session: Option<String>,
    /// Names the token, which counts once.
    pub jti: String,
    /// When the token itself ends, seconds since 1970.
    pub ends_at: i64,
}

/// Checks `token` against the provider's keys and what was expected of it.
pub fn verify(token: &str, keys: &[Jwk], expected: &Expected) -> Result<Claims, IdTokenError> {
    let claims = decoded(token, keys, expected, &["exp", "iss", "aud", "sub"])?;
    check_text(&claims, "nonce", expected.nonce)?;
    // A token for several says for which of them it was made (OpenID Connect Core §3.1.3.7).
    let is_for_several =
        claims.get("aud").and_then(Value::as_array).is_some_and(|aud| aud.len() > 1);
    if is_for_several || claims.contains_key("azp") {
        check_text(&claims, "azp", expected.client_id)?;
    }
    Ok(claims)
}

/// Checks a logout token (OpenID Connect Back-Channel Logout §2.6). Whether it was used before is for
/// the caller to find out.
pub fn verify_logout(
    token: &str,
    keys: &[Jwk],
    issuer: &str,
    client_id: &str,
) -> Result<Logout, IdTokenError> {
    let kind = decode_header(token)?.typ.unwrap_or_default().to_ascii_lowercase();
    if !matches!(kind.as_str(), "logout+jwt" | "application/logout+jwt") {
        return Err(IdTokenError::Claim("typ"));
    }
    let expected = Expected { issuer, client_id, nonce: "" };
    let claims = decoded(token, keys, &expected, &["exp", "iss", "aud"])?;
    let event = claims.get("events").and_then(|events| events.get(LOGOUT_EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(IdTokenError::Claim("events"));
    }
    if claims.contains_key("nonce") {
        return Err(IdTokenError::Claim("nonce"));
    }
    let time = |name: &'static str| {
        claims.get(name).and_then(Value::as_i64).ok_or(IdTokenError::Claim(name))
    };
    let leeway = i64::try_from(LEEWAY).unwrap_or(i64::MAX);
    if time("iat")? > now() / 1000 + leeway {
        return Err(IdTokenError::Claim("iat"));
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let logout = Logout {
        subject: text("sub"),
        provider_session: text("sid"),
        jti: text("jti").ok_or(IdTokenError::Claim("jti"))?,
        ends_at: time("exp")?.saturating_add(leeway),
    };
    match (&logout.subject, &logout.provider_session) {
        (None, None) => Err(IdTokenError::Claim("sub")),
        _ => Ok(logout),
    }
}

fn decoded(
    token: &str,
    keys: &[Jwk],
    expected: &Expected,
    required: &[&str],
) -> Result<Claims, IdTokenError> {
    let header = decode_header(token)?;
    if !ACCEPTED.contains(&header.alg) {
        return Err(IdTokenError::Algorithm(header.alg));
    }
    let key = pick_key(keys, header.kid.as_deref()).ok_or(IdTokenError::UnknownKey)?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client_id]);
    validation.set_required_spec_claims(required);
    Ok(decode(token, &DecodingKey::from_jwk(key)?, &validation)?.claims)
}

/// With a `kid` the key of that name; without one the only key there is.
fn pick_key<'a>(keys: &'a [Jwk], kid: Option<&str>) -> Option<&'a Jwk> {
    match (kid, keys) {
        (Some(kid), _) => keys.iter().find(|key| key.common.key_id.as_deref() == Some(kid)),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

fn check_text(claims: &Claims, name: &'static str, expected: &str) -> Result<(), IdTokenError> {
    let matches = claims.get(name).and_then(Value::as_str) == Some(expected);
    matches.then_some(()).ok_or(IdTokenError::Claim(name))
}
