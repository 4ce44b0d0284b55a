//! Codes and tokens: how they are made, checked, rotated and revoked.
//!
//! Everything one consent leads to (the code, its access tokens, its chain of refresh tokens) is
//! one *grant*. A code or refresh token that comes a second time has been stolen or raced, and
//! nobody can tell which copy is the thief's, so the whole grant ends.

use std::{io, time::Duration};

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use p256::pkcs8::EncodePrivateKey;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{FromRow, SqliteExecutor, SqlitePool};
use subtle::ConstantTimeEq;

use super::{
    SandboxState, fingerprint, now,
    oauth::MACHINE_CLIENT,
    people::{self, HARBOR, Person, covers},
    random_token,
};

/// How long a code can be redeemed, in seconds.
const CODE_LIFE: i64 = 60;
/// How long a refresh token can be used, in seconds.
const REFRESH_LIFE: i64 = 30 * 24 * 60 * 60;
/// How long an ID token may take to be looked at, in seconds.
const ID_TOKEN_LIFE: i64 = 5 * 60;
/// The scope that asks for a refresh token.
const OFFLINE_ACCESS: &str = "offline_access";
/// `typ` of an access token (RFC 9068), so that no ID token passes for one.
const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// The stored signing key is not a P-256 key.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox's signing key is damaged; delete sandbox.db to start afresh")]
pub struct BadKey;

/// Why no token was given out.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    /// The code or refresh token does not count; the sentence says why.
    #[error("{0}")]
    InvalidGrant(&'static str),
    #[error("a refresh cannot widen the scope")]
    InvalidScope,
    #[error(transparent)]
    Storage(#[from] sqlx::Error),
    #[error(transparent)]
    Random(#[from] io::Error),
    #[error(transparent)]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// What an authorization leads to; redeemed once for tokens.
pub(super) struct Authorization<'a> {
    pub client_id: &'a str,
    pub subject: &'a str,
    pub scope: &'a str,
    pub redirect_uri: &'a str,
    /// PKCE: the SHA-256 of the verifier, in base64url.
    pub challenge: &'a str,
    pub nonce: Option<&'a str>,
}

/// What a client presents to redeem a code.
pub(super) struct Redemption<'a> {
    pub client_id: &'a str,
    pub code: &'a str,
    pub redirect_uri: &'a str,
    pub verifier: &'a str,
}

/// The answer of the token endpoint.
#[derive(Debug, Serialize)]
pub(super) struct TokenResponse {
    pub access_token: String,
    pub token_type: &'static str,
    pub expires_in: u64,
    pub scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
}

/// What tokens say about whom they stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Profile {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<String>,
    pub tenant_id: String,
    pub tenant_name: String,
    pub roles: Vec<String>,
}

impl Profile {
    pub fn of(subject: &str) -> Option<Profile> {
        if subject == MACHINE_CLIENT {
            return Some(Self::machine());
        }
        people::by_subject(subject).map(Self::person)
    }

    fn person(person: &Person) -> Profile {
        Profile {
            name: person.name.to_owned(),
            email: Some(person.email.to_owned()),
            tenant_id: person.tenant.to_owned(),
            tenant_name: person.tenant_name.to_owned(),
            roles: person.roles.iter().map(|&role| role.to_owned()).collect(),
        }
    }

    fn machine() -> Profile {
        Profile {
            name: "Breezeway service".to_owned(),
            email: None,
            tenant_id: HARBOR.0.to_owned(),
            tenant_name: HARBOR.1.to_owned(),
            roles: vec!["service".to_owned()],
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct AccessClaims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    iat: i64,
    jti: String,
    /// The grant this token belongs to; revoking the grant ends the token.
    grant: String,
    client_id: String,
    scope: String,
    #[serde(flatten)]
    profile: Profile,
}

#[derive(Debug, Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    client_id: &'a str,
    scope: &'a str,
    #[serde(flatten)]
    profile: Profile,
}

/// Whom and what a set of tokens is for.
struct Grant {
    id: String,
    client_id: String,
    subject: String,
    scope: String,
}

#[derive(FromRow)]
struct CodeRow {
    grant_id: String,
    subject: String,
    scope: String,
    redirect_uri: String,
    challenge: String,
    nonce: Option<String>,
    expires: i64,
    uses: i64,
}

#[derive(FromRow)]
struct RefreshRow {
    grant_id: String,
    subject: String,
    scope: String,
    expires: i64,
    uses: i64,
}

/// Makes, checks and revokes codes and tokens.
pub(crate) struct Tokens {
    pool: SqlitePool,
    issuer: String,
    audience: String,
    access_life: Duration,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    jwk: Jwk,
}

impl Tokens {
    /// `key` is a P-256 private key: 32 bytes in base64url.
    pub(super) fn open(
        pool: SqlitePool,
        issuer: &str,
        access_life: Duration,
        key: &str,
    ) -> Result<Self, BadKey> {
        let encoding = signing_key(key)?;
        let jwk = public_key(&encoding).map_err(|_| BadKey)?;
        let audience = format!("{issuer}/api");
        Ok(Self {
            decoding: DecodingKey::from_jwk(&jwk).map_err(|_| BadKey)?,
            validation: validation(issuer, &audience),
            issuer: issuer.to_owned(),
            pool,
            audience,
            access_life,
            encoding,
            jwk,
        })
    }

    /// The public half of the signing key.
    pub(super) fn jwks(&self) -> JwkSet {
        JwkSet { keys: vec![self.jwk.clone()] }
    }

    /// A code for an authorization that a person has just given.
    pub(super) async fn new_code(
        &self,
        authorization: Authorization<'_>,
    ) -> Result<String, TokenError> {
        let code = random_token()?;
        sqlx::query(
            "INSERT INTO codes (id, grant_id, client_id, subject, scope, redirect_uri, challenge,
                nonce, expires)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(fingerprint(&code))
        .bind(random_token()?)
        .bind(authorization.client_id)
        .bind(authorization.subject)
        .bind(authorization.scope)
        .bind(authorization.redirect_uri)
        .bind(authorization.challenge)
        .bind(authorization.nonce)
        .bind(now() + CODE_LIFE)
        .execute(&self.pool)
        .await?;
        Ok(code)
    }

    /// Tokens for a code. The first attempt uses the code up, right or wrong.
    pub(super) async fn redeem(
        &self,
        redemption: Redemption<'_>,
    ) -> Result<TokenResponse, TokenError> {
        let code = self.use_code(&redemption).await?;
        if code.uses > 1 {
            revoke(&self.pool, &code.grant_id).await?;
            return Err(TokenError::InvalidGrant("the code was used before"));
        }
        check_code(&code, &redemption)?;
        let grant = Grant {
            id: code.grant_id,
            client_id: redemption.client_id.to_owned(),
            subject: code.subject,
            scope: code.scope,
        };
        let refresh_token = if covers(&grant.scope, OFFLINE_ACCESS) {
            Some(new_refresh_token(&self.pool, &grant).await?)
        } else {
            None
        };
        let id_token = self.id_token(&grant, code.nonce.as_deref())?;
        Ok(TokenResponse { refresh_token, id_token, ..self.access_token(&grant)? })
    }

    async fn use_code(&self, redemption: &Redemption<'_>) -> Result<CodeRow, TokenError> {
        sqlx::query_as(
            "UPDATE codes SET uses = uses + 1 WHERE id = ? AND client_id = ?
             RETURNING grant_id, subject, scope, redirect_uri, challenge, nonce, expires, uses",
        )
        .bind(fingerprint(redemption.code))
        .bind(redemption.client_id)
        .fetch_optional(&self.pool)
        .await?
        .ok_or(TokenError::InvalidGrant("the code is unknown"))
    }

    /// New tokens for a refresh token, which this uses up. One transaction, so that a failure in
    /// between leaves the old token good.
    pub(super) async fn refresh(
        &self,
        client_id: &str,
        token: &str,
        scope: Option<&str>,
    ) -> Result<TokenResponse, TokenError> {
        let mut transaction = self.pool.begin().await?;
        let old = use_refresh_token(&mut *transaction, client_id, token).await?;
        if old.uses > 1 {
            revoke(&mut *transaction, &old.grant_id).await?;
            transaction.commit().await?;
            return Err(TokenError::InvalidGrant("the refresh token was used before"));
        }
        if old.expires <= now() || is_revoked(&mut *transaction, &old.grant_id, "").await? {
            return Err(TokenError::InvalidGrant("the refresh token has ended"));
        }
        let mut grant = Grant {
            id: old.grant_id,
            client_id: client_id.to_owned(),
            subject: old.subject,
            scope: old.scope,
        };
        let refresh_token = Some(new_refresh_token(&mut *transaction, &grant).await?);
        if let Some(scope) = scope {
            grant.scope = narrowed(&grant.scope, scope)?;
        }
        let access = self.access_token(&grant)?;
        transaction.commit().await?;
        Ok(TokenResponse { refresh_token, ..access })
    }

    /// A token for a client that acts for itself.
    pub(super) fn for_client(
        &self,
        client_id: &str,
        scope: &str,
    ) -> Result<TokenResponse, TokenError> {
        self.access_token(&Grant {
            id: random_token()?,
            client_id: client_id.to_owned(),
            subject: client_id.to_owned(),
            scope: scope.to_owned(),
        })
    }

    /// Ends a token of this client. A refresh token takes its whole grant with it, an access token
    /// only itself; one that is not known is already as good as revoked (RFC 7009).
    pub(super) async fn revoke(&self, client_id: &str, token: &str) -> Result<(), TokenError> {
        let grant: Option<String> = sqlx::query_scalar(
            "SELECT grant_id FROM refresh_tokens WHERE id = ? AND client_id = ?",
        )
        .bind(fingerprint(token))
        .bind(client_id)
        .fetch_optional(&self.pool)
        .await?;
        let own = |claims: &AccessClaims| claims.client_id == client_id;
        let id = grant.or_else(|| self.claims(token).filter(own).map(|claims| claims.jti));
        if let Some(id) = id {
            revoke(&self.pool, &id).await?;
        }
        Ok(())
    }

    /// Whom a bearer token stands for.
    pub(super) async fn visitor(&self, token: &str) -> Result<Visitor, Unauthorised> {
        let claims = self.claims(token).ok_or(Unauthorised::Invalid)?;
        if is_revoked(&self.pool, &claims.grant, &claims.jti).await? {
            return Err(Unauthorised::Invalid);
        }
        Ok(Visitor {
            subject: claims.sub,
            name: claims.profile.name,
            tenant: claims.profile.tenant_id,
            roles: claims.profile.roles,
            scope: claims.scope,
        })
    }

    /// The claims of an access token that is ours, whole and not expired.
    fn claims(&self, token: &str) -> Option<AccessClaims> {
        let token = jsonwebtoken::decode(token, &self.decoding, &self.validation).ok()?;
        (token.header.typ.as_deref() == Some(ACCESS_TOKEN_TYPE)).then_some(token.claims)
    }

    fn access_token(&self, grant: &Grant) -> Result<TokenResponse, TokenError> {
        let expires_in = self.access_life.as_secs();
        let iat = now();
        let claims = AccessClaims {
            iss: self.issuer.clone(),
            sub: grant.subject.clone(),
            aud: self.audience.clone(),
            exp: iat.saturating_add_unsigned(expires_in),
            iat,
            jti: random_token()?,
            grant: grant.id.clone(),
            client_id: grant.client_id.clone(),
            scope: grant.scope.clone(),
            profile: profile(grant)?,
        };
        Ok(TokenResponse {
            access_token: self.sign(ACCESS_TOKEN_TYPE, &claims)?,
            token_type: "Bearer",
            expires_in,
            scope: claims.scope,
            refresh_token: None,
            id_token: None,
        })
    }

    fn id_token(&self, grant: &Grant, nonce: Option<&str>) -> Result<Option<String>, TokenError> {
        if !covers(&grant.scope, "openid") {
            return Ok(None);
        }
        let iat = now();
        let claims = IdClaims {
            iss: &self.issuer,
            sub: &grant.subject,
            aud: &grant.client_id,
            exp: iat + ID_TOKEN_LIFE,
            iat,
            jti: random_token()?,
            nonce,
            client_id: &grant.client_id,
            scope: &grant.scope,
            profile: profile(grant)?,
        };
        self.sign("JWT", &claims).map(Some)
    }

    fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, TokenError> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(typ.to_owned());
        header.kid = self.jwk.common.key_id.clone();
        Ok(jsonwebtoken::encode(&header, claims, &self.encoding)?)
    }
}

fn signing_key(key: &str) -> Result<EncodingKey, BadKey> {
    let bytes = URL_SAFE_NO_PAD.decode(key).map_err(|_| BadKey)?;
    let secret = p256::SecretKey::from_slice(&bytes).map_err(|_| BadKey)?;
    let der = secret.to_pkcs8_der().map_err(|_| BadKey)?;
    Ok(EncodingKey::from_ec_der(der.as_bytes()))
}

fn public_key(key: &EncodingKey) -> Result<Jwk, jsonwebtoken::errors::Error> {
    let mut jwk = Jwk::from_encoding_key(key, Algorithm::ES256)?;
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(jwk)
}

fn validation(issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Tests want tokens that end within seconds, and issuer and verifier share one clock.
    validation.leeway = 0;
    validation
}

fn profile(grant: &Grant) -> Result<Profile, TokenError> {
    Profile::of(&grant.subject).ok_or(TokenError::InvalidGrant("this person is no longer here"))
}

fn check_code(code: &CodeRow, redemption: &Redemption<'_>) -> Result<(), TokenError> {
    if code.expires <= now() {
        Err(TokenError::InvalidGrant("the code has expired"))
    } else if code.redirect_uri != redemption.redirect_uri {
        Err(TokenError::InvalidGrant("the code was issued for another redirect_uri"))
    } else if !verifier_matches(redemption.verifier, &code.challenge) {
        Err(TokenError::InvalidGrant("the code_verifier does not match the code_challenge"))
    } else {
        Ok(())
    }
}

/// PKCE by S256: whether `verifier` is well formed and `challenge` was made from it.
fn verifier_matches(verifier: &str, challenge: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && fingerprint(verifier).as_bytes().ct_eq(challenge.as_bytes()).into()
}

async fn use_refresh_token(
    executor: impl SqliteExecutor<'_>,
    client_id: &str,
    token: &str,
) -> Result<RefreshRow, TokenError> {
    sqlx::query_as(
        "UPDATE refresh_tokens SET uses = uses + 1 WHERE id = ? AND client_id = ?
         RETURNING grant_id, subject, scope, expires, uses",
    )
    .bind(fingerprint(token))
    .bind(client_id)
    .fetch_optional(executor)
    .await?
    .ok_or(TokenError::InvalidGrant("the refresh token is unknown"))
}

async fn new_refresh_token(
    executor: impl SqliteExecutor<'_>,
    grant: &Grant,
) -> Result<String, TokenError> {
    let token = random_token()?;
    sqlx::query(
        "INSERT INTO refresh_tokens (id, grant_id, client_id, subject, scope, expires)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(fingerprint(&token))
    .bind(&grant.id)
    .bind(&grant.client_id)
    .bind(&grant.subject)
    .bind(&grant.scope)
    .bind(now() + REFRESH_LIFE)
    .execute(executor)
    .await?;
    Ok(token)
}

/// Marks a grant or a single access token as ended for as long as anything of it could still work.
async fn revoke(executor: impl SqliteExecutor<'_>, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO revoked (id, expires) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(id)
        .bind(now() + REFRESH_LIFE)
        .execute(executor)
        .await?;
    Ok(())
}

async fn is_revoked(
    executor: impl SqliteExecutor<'_>,
    grant: &str,
    jti: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM revoked WHERE id IN (?, ?))")
        .bind(grant)
        .bind(jti)
        .fetch_one(executor)
        .await
}

fn narrowed(given: &str, wanted: &str) -> Result<String, TokenError> {
    if wanted.trim().is_empty() || !covers(given, wanted) {
        return Err(TokenError::InvalidScope);
    }
    Ok(wanted.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whom an API request acts for, as its bearer token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visitor {
    pub subject: String,
    pub name: String,
    pub tenant: String,
    pub roles: Vec<String>,
    pub scope: String,
}

/// Why a request has no [`Visitor`]. As a response it speaks Django REST framework's words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unauthorised {
    #[error("Authentication credentials were not provided.")]
    Missing,
    #[error("Given token not valid for any token type")]
    Invalid,
    #[error("The sandbox's database failed. Try again.")]
    Storage(#[from] sqlx::Error),
}

impl FromRequestParts<SandboxState> for Visitor {
    type Rejection = Unauthorised;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &SandboxState,
    ) -> Result<Self, Self::Rejection> {
        let token = bearer(&parts.headers).ok_or(Unauthorised::Missing)?;
        state.tokens.visitor(token).await
    }
}

impl IntoResponse for Unauthorised {
    fn into_response(self) -> Response {
        let detail = Json(json!({ "detail": self.to_string() }));
        match self {
            Self::Missing => {
                (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], detail)
                    .into_response()
            }
            Self::Invalid => {
                let challenge = r#"Bearer error="invalid_token""#;
                (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], detail)
                    .into_response()
            }
            Self::Storage(error) => {
                tracing::error!(%error, "the sandbox could not check a token");
                (StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
            }
        }
    }
}

/// The token of an `Authorization: Bearer …` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::super::tests::database;
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CALLBACK: &str = "http://127.0.0.1:3000/auth/callback";

    struct Fixture {
        tokens: Tokens,
        _directory: tempfile::TempDir,
    }

    async fn fixture(life: u64) -> Fixture {
        let (directory, pool) = database().await;
        let key = URL_SAFE_NO_PAD.encode([7u8; 32]);
        let life = Duration::from_secs(life);
        let tokens = Tokens::open(pool, "http://127.0.0.1:3000/sandbox", life, &key).unwrap();
        Fixture { tokens, _directory: directory }
    }

    impl Fixture {
        async fn code(&self, scope: &str) -> String {
            let challenge = fingerprint(VERIFIER);
            let authorization = Authorization {
                client_id: "app",
                subject: "ada",
                scope,
                redirect_uri: CALLBACK,
                challenge: &challenge,
                nonce: Some("n-1"),
            };
            self.tokens.new_code(authorization).await.unwrap()
        }

        async fn redeem(&self, code: &str) -> Result<TokenResponse, TokenError> {
            self.tokens.redeem(redemption(code)).await
        }

        async fn signed_in(&self) -> (String, String) {
            let code = self.code("openid offline_access").await;
            let tokens = self.redeem(&code).await.unwrap();
            (tokens.access_token, tokens.refresh_token.unwrap())
        }
    }

    fn redemption(code: &str) -> Redemption<'_> {
        Redemption { client_id: "app", code, redirect_uri: CALLBACK, verifier: VERIFIER }
    }

    fn is_invalid_grant<T>(result: Result<T, TokenError>) -> bool {
        matches!(result, Err(TokenError::InvalidGrant(_)))
    }

    #[test]
    fn pkce_follows_rfc_7636() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(verifier_matches(VERIFIER, challenge));
        assert!(!verifier_matches(VERIFIER, &challenge.to_lowercase()));
        assert!(!verifier_matches(&VERIFIER[..42], &fingerprint(&VERIFIER[..42])));
        let spaced = VERIFIER.replace('-', " ");
        assert!(!verifier_matches(&spaced, &fingerprint(&spaced)));
        assert!(!verifier_matches("", ""));
    }

    #[tokio::test]
    async fn a_code_becomes_tokens_that_say_who_came() {
        let fixture = fixture(300).await;
        let tokens = fixture.redeem(&fixture.code("openid profile").await).await.unwrap();
        assert_eq!(tokens.refresh_token, None);
        assert!(tokens.id_token.is_some());
        let visitor = fixture.tokens.visitor(&tokens.access_token).await.unwrap();
        assert_eq!(visitor.subject, "ada");
        assert_eq!(visitor.tenant, "harbor");
        assert_eq!(visitor.roles, ["admin"]);
        assert_eq!(visitor.scope, "openid profile");
    }

    #[tokio::test]
    async fn a_replayed_code_ends_what_it_gave_out() {
        let fixture = fixture(300).await;
        let code = fixture.code("openid offline_access").await;
        let first = fixture.redeem(&code).await.unwrap();
        assert!(is_invalid_grant(fixture.redeem(&code).await));
        let refresh_token = first.refresh_token.unwrap();
        assert!(is_invalid_grant(fixture.tokens.refresh("app", &refresh_token, None).await));
        assert!(fixture.tokens.visitor(&first.access_token).await.is_err());
    }

    #[tokio::test]
    async fn a_code_needs_its_client_its_address_and_its_verifier() {
        let fixture = fixture(300).await;
        let code = fixture.code("openid").await;
        let other_client = Redemption { client_id: "other", ..redemption(&code) };
        assert!(is_invalid_grant(fixture.tokens.redeem(other_client).await));
        let other_address = Redemption { redirect_uri: "http://evil.test", ..redemption(&code) };
        assert!(is_invalid_grant(fixture.tokens.redeem(other_address).await));
        let code = fixture.code("openid").await;
        let verifier = VERIFIER.to_uppercase();
        let other_verifier = Redemption { verifier: &verifier, ..redemption(&code) };
        assert!(is_invalid_grant(fixture.tokens.redeem(other_verifier).await));
        assert!(is_invalid_grant(fixture.redeem("nonsense").await));
    }

    #[tokio::test]
    async fn an_old_code_is_refused() {
        let fixture = fixture(300).await;
        let code = fixture.code("openid").await;
        sqlx::query("UPDATE codes SET expires = 0").execute(&fixture.tokens.pool).await.unwrap();
        assert!(is_invalid_grant(fixture.redeem(&code).await));
    }

    #[tokio::test]
    async fn refreshing_rotates_and_a_replay_ends_the_family() {
        let fixture = fixture(300).await;
        let (_, first) = fixture.signed_in().await;
        let second = fixture.tokens.refresh("app", &first, None).await.unwrap();
        let second_refresh = second.refresh_token.unwrap();
        assert_ne!(first, second_refresh);
        assert!(fixture.tokens.visitor(&second.access_token).await.is_ok());

        assert!(is_invalid_grant(fixture.tokens.refresh("app", &first, None).await));
        assert!(is_invalid_grant(fixture.tokens.refresh("app", &second_refresh, None).await));
        assert!(fixture.tokens.visitor(&second.access_token).await.is_err());
    }

    #[tokio::test]
    async fn a_refresh_narrows_but_never_widens_the_scope() {
        let fixture = fixture(300).await;
        let (_, token) = fixture.signed_in().await;
        let wider = fixture.tokens.refresh("app", &token, Some("openid email")).await;
        assert!(matches!(wider, Err(TokenError::InvalidScope)));
        let narrower = fixture.tokens.refresh("app", &token, Some("openid")).await.unwrap();
        assert_eq!(narrower.scope, "openid");
        let next = narrower.refresh_token.unwrap();
        let whole = fixture.tokens.refresh("app", &next, None).await.unwrap();
        assert_eq!(whole.scope, "openid offline_access");
    }

    #[tokio::test]
    async fn another_client_cannot_use_or_burn_a_refresh_token() {
        let fixture = fixture(300).await;
        let (_, token) = fixture.signed_in().await;
        assert!(is_invalid_grant(fixture.tokens.refresh("other", &token, None).await));
        fixture.tokens.revoke("other", &token).await.unwrap();
        assert!(fixture.tokens.refresh("app", &token, None).await.is_ok());
    }

    #[tokio::test]
    async fn revoking_a_refresh_token_ends_its_access_tokens_too() {
        let fixture = fixture(300).await;
        let (access, refresh) = fixture.signed_in().await;
        fixture.tokens.revoke("app", &refresh).await.unwrap();
        assert!(fixture.tokens.visitor(&access).await.is_err());
        assert!(is_invalid_grant(fixture.tokens.refresh("app", &refresh, None).await));
    }

    #[tokio::test]
    async fn revoking_an_access_token_leaves_the_refresh_token() {
        let fixture = fixture(300).await;
        let (access, refresh) = fixture.signed_in().await;
        fixture.tokens.revoke("app", &access).await.unwrap();
        fixture.tokens.revoke("app", "nonsense").await.unwrap();
        assert!(fixture.tokens.visitor(&access).await.is_err());
        assert!(fixture.tokens.refresh("app", &refresh, None).await.is_ok());
    }

    #[tokio::test]
    async fn only_a_whole_access_token_opens_the_api() {
        let fixture = fixture(300).await;
        let code = fixture.code("openid").await;
        let tokens = fixture.redeem(&code).await.unwrap();
        let id_token = tokens.id_token.unwrap();
        assert!(fixture.tokens.visitor(&id_token).await.is_err());
        let (signed, _) = tokens.access_token.rsplit_once('.').unwrap();
        assert!(fixture.tokens.visitor(signed).await.is_err());
        assert!(fixture.tokens.visitor(&format!("{signed}.AAAA")).await.is_err());
        assert!(fixture.tokens.visitor("").await.is_err());
    }

    #[tokio::test]
    async fn an_access_token_ends() {
        let fixture = fixture(0).await;
        let token = fixture.tokens.for_client(MACHINE_CLIENT, "api").unwrap().access_token;
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert!(fixture.tokens.visitor(&token).await.is_err());
    }

    #[tokio::test]
    async fn the_machine_client_acts_for_harbor() {
        let fixture = fixture(300).await;
        let token = fixture.tokens.for_client(MACHINE_CLIENT, "api").unwrap().access_token;
        let visitor = fixture.tokens.visitor(&token).await.unwrap();
        assert_eq!((visitor.tenant.as_str(), visitor.subject.as_str()), ("harbor", MACHINE_CLIENT));
    }

    #[test]
    fn bearer_tokens_are_read_whatever_the_case_of_the_scheme() {
        let headers = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            HeaderMap::from_iter([(header::AUTHORIZATION, value)])
        };
        assert_eq!(bearer(&headers("bearer  abc ")), Some("abc"));
        assert_eq!(bearer(&headers("Basic abc")), None);
        assert_eq!(bearer(&headers("Bearer")), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
