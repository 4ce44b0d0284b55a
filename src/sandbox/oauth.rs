//! The identity provider's endpoints for clients: discovery, token, keys, userinfo, revocation.
//!
//! They answer on the loopback address; what a person sees of signing in is in `authorize`.

use axum::{
    Form, Json, Router,
    extract::{State, rejection::FormRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::jwk::JwkSet;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::SqlitePool;
use subtle::ConstantTimeEq;
use url::Url;

use super::{
    SandboxError, SandboxOptions, SandboxState, fingerprint,
    people::covers,
    setting,
    tokens::{Profile, Redemption, TokenError, TokenResponse, Visitor},
};
use crate::config::ProviderEndpoints;

/// Id of the client that signs people in.
pub(super) const WEB_CLIENT: &str = "breezeway";
/// Id of the client that acts for itself.
pub(super) const MACHINE_CLIENT: &str = "breezeway-service";
/// Every scope there is.
pub(super) const SCOPES: [&str; 5] = ["openid", "profile", "email", "offline_access", "api"];
/// What the machine client may ask for.
pub(super) const MACHINE_SCOPE: &str = "api";

const TOKEN_PATH: &str = "oauth/token";
const KEYS_PATH: &str = "oauth/jwks";
const USERINFO_PATH: &str = "oauth/userinfo";
const REVOCATION_PATH: &str = "oauth/revoke";

/// A registered client.
pub(crate) struct Client {
    pub id: &'static str,
    pub secret: SecretString,
}

/// What the provider knows about itself and its clients.
pub(crate) struct Provider {
    /// `iss`: the public address of the sandbox's pages.
    pub issuer: String,
    /// The public origin, which forms must come from.
    pub origin: String,
    /// The loopback address, ending in a slash.
    pub api: Url,
    pub web: Client,
    pub machine: Client,
    pub redirect_uris: Vec<String>,
    pub post_logout_uris: Vec<String>,
}

impl Provider {
    pub(super) async fn open(
        pool: &SqlitePool,
        options: &SandboxOptions,
        api: Url,
    ) -> Result<Self, SandboxError> {
        let origin = options.public_origin.trim_end_matches('/').to_owned();
        let web = setting(pool, "client_secret").await?;
        let machine = setting(pool, "machine_client_secret").await?;
        Ok(Self {
            issuer: format!("{origin}/sandbox"),
            origin,
            api,
            web: Client { id: WEB_CLIENT, secret: web.into() },
            machine: Client { id: MACHINE_CLIENT, secret: machine.into() },
            redirect_uris: options.redirect_uris.clone(),
            post_logout_uris: options.post_logout_uris.clone(),
        })
    }

    pub(super) fn endpoints(&self) -> Result<ProviderEndpoints, url::ParseError> {
        Ok(ProviderEndpoints {
            issuer: self.issuer.clone(),
            authorize_url: Url::parse(&self.authorize_url())?,
            token_url: self.api.join(TOKEN_PATH)?,
            jwks_url: self.api.join(KEYS_PATH)?,
            end_session_url: Some(Url::parse(&self.end_session_url())?),
            revocation_url: Some(self.api.join(REVOCATION_PATH)?),
            iss_in_response: true,
        })
    }

    /// Whether the pages are reached over https, so their cookie must be too.
    pub(super) fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    fn authorize_url(&self) -> String {
        format!("{}/authorize", self.issuer)
    }

    fn end_session_url(&self) -> String {
        format!("{}/end-session", self.issuer)
    }

    /// The registered client with this id and secret.
    fn authenticate(&self, id: &str, secret: &str) -> Option<&Client> {
        [&self.web, &self.machine].into_iter().find(|client| {
            // Equal lengths, so that the comparison takes the same time for every secret.
            let ours = fingerprint(client.secret.expose_secret());
            client.id == id && bool::from(ours.as_bytes().ct_eq(fingerprint(secret).as_bytes()))
        })
    }
}

pub(super) fn routes() -> Router<SandboxState> {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/oauth/token", post(token))
        .route("/oauth/jwks", get(keys))
        .route("/oauth/userinfo", get(userinfo).post(userinfo))
        .route("/oauth/revoke", post(revoke))
}

/// The discovery document; served on loopback and under the issuer.
pub(super) async fn discovery(State(state): State<SandboxState>) -> Json<Value> {
    let provider = &state.provider;
    let on_loopback = |path: &str| format!("{}{path}", provider.api);
    Json(json!({
        "issuer": provider.issuer,
        "authorization_endpoint": provider.authorize_url(),
        "end_session_endpoint": provider.end_session_url(),
        "token_endpoint": on_loopback(TOKEN_PATH),
        "jwks_uri": on_loopback(KEYS_PATH),
        "userinfo_endpoint": on_loopback(USERINFO_PATH),
        "revocation_endpoint": on_loopback(REVOCATION_PATH),
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "nonce", "name", "email", "tenant_id",
            "tenant_name", "roles", "scope"
        ],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn keys(State(state): State<SandboxState>) -> Json<JwkSet> {
    Json(state.tokens.jwks())
}

/// What a client sends to the token endpoint; which fields count depends on the grant type.
#[derive(Default, Deserialize)]
struct TokenForm {
    grant_type: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    scope: Option<String>,
    #[serde(flatten)]
    credentials: BodyCredentials,
}

/// Client credentials sent in the body (`client_secret_post`).
#[derive(Default, Deserialize)]
struct BodyCredentials {
    client_id: Option<String>,
    client_secret: Option<String>,
}

async fn token(
    State(state): State<SandboxState>,
    headers: HeaderMap,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Result<Response, OAuthError> {
    let Form(form) = form?;
    let client = client(&state.provider, &headers, &form.credentials)?;
    let tokens = match (form.grant_type.as_deref(), client.id) {
        (None, _) => return Err(OAuthError::invalid_request("grant_type is missing")),
        (Some("authorization_code"), WEB_CLIENT) => redeem(&state, client, &form).await?,
        (Some("refresh_token"), WEB_CLIENT) => refresh(&state, client, &form).await?,
        (Some("client_credentials"), MACHINE_CLIENT) => for_machine(&state, client, &form)?,
        (Some("authorization_code" | "refresh_token" | "client_credentials"), _) => {
            return Err(OAuthError::unauthorized_client());
        }
        (Some(_), _) => return Err(OAuthError::unsupported_grant_type()),
    };
    Ok((no_store(), Json(tokens)).into_response())
}

async fn redeem(
    state: &SandboxState,
    client: &Client,
    form: &TokenForm,
) -> Result<TokenResponse, OAuthError> {
    let redemption = Redemption {
        client_id: client.id,
        code: required(&form.code, "code is missing")?,
        redirect_uri: required(&form.redirect_uri, "redirect_uri is missing")?,
        verifier: required(&form.code_verifier, "code_verifier is missing")?,
    };
    Ok(state.tokens.redeem(redemption).await?)
}

async fn refresh(
    state: &SandboxState,
    client: &Client,
    form: &TokenForm,
) -> Result<TokenResponse, OAuthError> {
    let token = required(&form.refresh_token, "refresh_token is missing")?;
    Ok(state.tokens.refresh(client.id, token, form.scope.as_deref()).await?)
}

fn for_machine(
    state: &SandboxState,
    client: &Client,
    form: &TokenForm,
) -> Result<TokenResponse, OAuthError> {
    let scope = form.scope.as_deref().unwrap_or(MACHINE_SCOPE);
    if !covers(MACHINE_SCOPE, scope) {
        return Err(OAuthError::invalid_scope());
    }
    Ok(state.tokens.for_client(client.id, MACHINE_SCOPE)?)
}

fn required<'a>(value: &'a Option<String>, otherwise: &'static str) -> Result<&'a str, OAuthError> {
    value.as_deref().ok_or_else(|| OAuthError::invalid_request(otherwise))
}

/// The client that sent a request, by the `Authorization` header or by the body but not by both.
fn client<'a>(
    provider: &'a Provider,
    headers: &HeaderMap,
    body: &BodyCredentials,
) -> Result<&'a Client, OAuthError> {
    if !headers.contains_key(header::AUTHORIZATION) {
        let (Some(id), Some(secret)) = (&body.client_id, &body.client_secret) else {
            return Err(OAuthError::invalid_client());
        };
        return provider.authenticate(id, secret).ok_or_else(OAuthError::invalid_client);
    }
    if body.client_secret.is_some() {
        return Err(OAuthError::invalid_request("the client authenticated in two ways at once"));
    }
    let (id, secret) = basic_credentials(headers).ok_or_else(OAuthError::invalid_client)?;
    if body.client_id.as_ref().is_some_and(|other| *other != id) {
        return Err(OAuthError::invalid_request("client_id differs from the authenticated client"));
    }
    provider.authenticate(&id, &secret).ok_or_else(OAuthError::invalid_client)
}

/// Id and secret of HTTP Basic authentication, each form-encoded as RFC 6749 §2.3.1 wants.
fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

async fn userinfo(visitor: Visitor) -> Result<Response, OAuthError> {
    let profile = Profile::of(&visitor.subject).filter(|_| covers(&visitor.scope, "openid"));
    let profile = profile.ok_or_else(OAuthError::insufficient_scope)?;
    let claims = json!({
        "sub": visitor.subject,
        "name": visitor.name,
        "email": profile.email,
        "tenant_id": profile.tenant_id,
        "tenant_name": profile.tenant_name,
        "roles": profile.roles,
    });
    Ok((no_store(), Json(claims)).into_response())
}

#[derive(Deserialize)]
struct RevocationForm {
    token: Option<String>,
    #[serde(flatten)]
    credentials: BodyCredentials,
}

async fn revoke(
    State(state): State<SandboxState>,
    headers: HeaderMap,
    form: Result<Form<RevocationForm>, FormRejection>,
) -> Result<Response, OAuthError> {
    let Form(form) = form?;
    let client = client(&state.provider, &headers, &form.credentials)?;
    let token = required(&form.token, "token is missing")?;
    state.tokens.revoke(client.id, token).await?;
    Ok((no_store(), StatusCode::OK).into_response())
}

fn no_store() -> [(header::HeaderName, &'static str); 2] {
    [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")]
}

/// An error in OAuth's JSON form (RFC 6749 §5.2).
#[derive(Debug)]
pub(super) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl OAuthError {
    fn new(status: StatusCode, error: &'static str, description: &'static str) -> Self {
        Self { status, error, description }
    }

    fn invalid_request(description: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    fn invalid_client() -> Self {
        let description = "the client is unknown or its secret is wrong";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
    }

    fn invalid_grant(description: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", description)
    }

    fn unauthorized_client() -> Self {
        let description = "this client is not registered for this grant type";
        Self::new(StatusCode::BAD_REQUEST, "unauthorized_client", description)
    }

    fn unsupported_grant_type() -> Self {
        let description = "supported: authorization_code, refresh_token, client_credentials";
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", description)
    }

    fn invalid_scope() -> Self {
        let description = "the scope asks for more than may be given";
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", description)
    }

    fn insufficient_scope() -> Self {
        let description = "this token does not carry the openid scope of a person";
        Self::new(StatusCode::FORBIDDEN, "insufficient_scope", description)
    }

    fn server_error() -> Self {
        let description = "the sandbox failed; try again";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", description)
    }
}

impl From<FormRejection> for OAuthError {
    fn from(_: FormRejection) -> Self {
        Self::invalid_request("the body must be form-encoded, each parameter at most once")
    }
}

impl From<TokenError> for OAuthError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::InvalidGrant(why) => Self::invalid_grant(why),
            TokenError::InvalidScope => Self::invalid_scope(),
            TokenError::Storage(_) | TokenError::Random(_) | TokenError::Signing(_) => {
                tracing::error!(%error, "the sandbox could not give out a token");
                Self::server_error()
            }
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.error, "error_description": self.description }));
        let mut response = (self.status, no_store(), body).into_response();
        let challenge = match self.status {
            StatusCode::UNAUTHORIZED => "Basic realm=\"sandbox\"",
            StatusCode::FORBIDDEN => "Bearer error=\"insufficient_scope\"",
            _ => return response,
        };
        let challenge = header::HeaderValue::from_static(challenge);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn provider() -> Provider {
        Provider {
            issuer: "http://127.0.0.1:3000/sandbox".into(),
            origin: "http://127.0.0.1:3000".into(),
            api: Url::parse("http://127.0.0.1:4000/").unwrap(),
            web: Client { id: WEB_CLIENT, secret: "a secret+%".into() },
            machine: Client { id: MACHINE_CLIENT, secret: "another".into() },
            redirect_uris: Vec::new(),
            post_logout_uris: Vec::new(),
        }
    }

    fn basic(pair: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(pair));
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(&value).unwrap())])
    }

    fn body(id: &str, secret: &str) -> BodyCredentials {
        BodyCredentials { client_id: Some(id.into()), client_secret: Some(secret.into()) }
    }

    fn outcome(headers: &HeaderMap, body: &BodyCredentials) -> Result<&'static str, &'static str> {
        client(&provider(), headers, body).map(|client| client.id).map_err(|error| error.error)
    }

    #[test]
    fn clients_authenticate_by_header_or_by_body() {
        let nothing = BodyCredentials::default();
        assert_eq!(outcome(&basic("breezeway:a+secret%2B%25"), &nothing), Ok(WEB_CLIENT));
        assert_eq!(outcome(&HeaderMap::new(), &body(WEB_CLIENT, "a secret+%")), Ok(WEB_CLIENT));
        assert_eq!(
            outcome(&HeaderMap::new(), &body(MACHINE_CLIENT, "another")),
            Ok(MACHINE_CLIENT)
        );
    }

    #[test]
    fn wrong_missing_and_mixed_credentials_are_refused() {
        let nothing = BodyCredentials::default();
        let none = HeaderMap::new();
        assert_eq!(outcome(&none, &nothing), Err("invalid_client"));
        assert_eq!(outcome(&none, &body(WEB_CLIENT, "another")), Err("invalid_client"));
        assert_eq!(outcome(&none, &body("nobody", "another")), Err("invalid_client"));
        assert_eq!(outcome(&basic("breezeway:wrong"), &nothing), Err("invalid_client"));
        assert_eq!(outcome(&basic("breezeway"), &nothing), Err("invalid_client"));
        let twice = body(WEB_CLIENT, "a secret+%");
        assert_eq!(outcome(&basic("breezeway:a+secret%2B%25"), &twice), Err("invalid_request"));
        let other = BodyCredentials { client_id: Some(MACHINE_CLIENT.into()), client_secret: None };
        assert_eq!(outcome(&basic("breezeway:a+secret%2B%25"), &other), Err("invalid_request"));
    }

    #[test]
    fn browsers_and_servers_get_their_own_addresses() {
        let endpoints = provider().endpoints().unwrap();
        assert_eq!(endpoints.authorize_url.as_str(), "http://127.0.0.1:3000/sandbox/authorize");
        assert_eq!(endpoints.token_url.as_str(), "http://127.0.0.1:4000/oauth/token");
        assert!(endpoints.iss_in_response);
    }
}
