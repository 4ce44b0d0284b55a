//! The identity provider: its endpoints, its keys, and the two exchanges with its token endpoint.

use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::jwk::Jwk;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse, TokenResponse,
    TokenUrl,
    basic::{
        BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
        BasicTokenType,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{
    http::{self, Seen, TokenError},
    id_token::{self, Claims, Expected, IdTokenError, Logout},
};
use crate::{
    config::{AuthConfig, ProviderEndpoints},
    error::{Error, Result},
    session::grants::{Grant, Life, RefreshError, Renewal},
};

/// How long the provider's keys are taken for complete.
const BETWEEN_KEYS: Duration = Duration::from_secs(10);

/// Where a provider's endpoints come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Known from the start.
    Known(Box<ProviderEndpoints>),
    /// Read from the issuer's discovery document when first needed.
    Discover(Url),
}

/// Our registration with a provider.
pub struct Provider {
    source: Source,
    client_id: ClientId,
    client_secret: Option<ClientSecret>,
    redirect_uri: RedirectUrl,
    config: AuthConfig,
    http: reqwest::Client,
    endpoints: RwLock<Option<Arc<ProviderEndpoints>>>,
    keys: RwLock<KnownKeys>,
}

/// The provider's keys, as they were when we last asked.
#[derive(Clone, Default)]
struct KnownKeys {
    keys: Arc<[Jwk]>,
    fetched: Option<Instant>,
}

impl KnownKeys {
    /// Tokens that name made-up keys must not make us ask again and again.
    fn may_be_old(&self) -> bool {
        self.fetched.is_none_or(|fetched| fetched.elapsed() > BETWEEN_KEYS)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct IdTokenField {
    id_token: Option<String>,
}
impl ExtraTokenFields for IdTokenField {}

type TokenReply = StandardTokenResponse<IdTokenField, BasicTokenType>;
type Client = oauth2::Client<
    BasicErrorResponse,
    TokenReply,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Where to send the browser, and what to remember until it returns.
pub struct Departure {
    pub url: Url,
    pub state: String,
    pub nonce: String,
    pub verifier: String,
}

/// What signing in brought.
pub struct SignedIn {
    pub claims: Claims,
    pub grant: Grant,
}

impl Provider {
    /// A provider at `source`, with the registration of `config`; `origin` is ours.
    pub fn new(source: Source, config: AuthConfig, origin: &str) -> Result<Self> {
        Ok(Self {
            source,
            client_id: ClientId::new(config.client_id.clone()),
            client_secret: config
                .client_secret
                .as_ref()
                .map(|secret| ClientSecret::new(secret.expose_secret().to_owned())),
            redirect_uri: RedirectUrl::new(format!("{origin}/auth/callback"))
                .map_err(Error::internal)?,
            config,
            http: http::client()?,
            endpoints: RwLock::default(),
            keys: RwLock::default(),
        })
    }

    /// The settings this provider was made with.
    pub fn config(&self) -> &AuthConfig {
        &self.config
    }

    /// Origins that a form of ours may end up at by redirection, for the content security policy.
    pub fn known_origins(&self) -> Vec<String> {
        let origin = |url: &Url| url.origin().ascii_serialization();
        let of = |endpoints: &ProviderEndpoints| {
            let pages = [Some(&endpoints.authorize_url), endpoints.end_session_url.as_ref()];
            let mut origins: Vec<_> = pages.into_iter().flatten().map(origin).collect();
            origins.dedup();
            origins
        };
        let found = self.endpoints.read().ok().and_then(|found| found.clone());
        match (&self.source, found) {
            (Source::Known(endpoints), _) => of(endpoints),
            (Source::Discover(_), Some(endpoints)) => of(&endpoints),
            (Source::Discover(issuer), None) => vec![origin(issuer)],
        }
    }

    /// Prepares a journey to the provider's sign-in page.
    pub async fn depart(&self) -> Result<Departure> {
        let client = self.client().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = CsrfToken::new_random().into_secret();
        let mut request = client
            .authorize_url(CsrfToken::new_random)
            .set_pkce_challenge(challenge)
            .add_extra_param("nonce", nonce.clone())
            .add_scopes(self.config.scopes.iter().cloned().map(Scope::new));
        if let Some(prompt) = &self.config.prompt {
            request = request.add_extra_param("prompt", prompt.clone());
        }
        let (url, state) = request.url();
        Ok(Departure { url, state: state.into_secret(), nonce, verifier: verifier.into_secret() })
    }

    /// Redeems the code that the browser brought back.
    pub async fn arrive(&self, code: String, verifier: String, nonce: &str) -> Result<SignedIn> {
        let client = self.client().await?;
        let http = |request| http::send(self.http.clone(), request);
        let reply = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .request_async(&http)
            .await
            .map_err(refused)?;
        let token = reply.extra_fields().id_token.as_deref().ok_or_else(no_id_token)?;
        let claims = self.verify(token, nonce).await?;
        Ok(SignedIn { claims, grant: grant_of(&reply) })
    }

    /// The endpoints, read from the provider when they are not known yet.
    pub async fn endpoints(&self) -> Result<Arc<ProviderEndpoints>> {
        let known = self.endpoints.read().ok().and_then(|known| known.clone());
        if let Some(endpoints) = known {
            return Ok(endpoints);
        }
        let endpoints = Arc::new(match &self.source {
            Source::Known(endpoints) => *endpoints.clone(),
            Source::Discover(issuer) => self.discover(issuer).await?,
        });
        if let Ok(mut known) = self.endpoints.write() {
            *known = Some(endpoints.clone());
        }
        Ok(endpoints)
    }

    /// Checks `iss` of the authorization response (RFC 9207): right where present, and present
    /// where the provider promises it.
    pub async fn check_issuer(&self, iss: Option<&str>) -> Result<()> {
        let endpoints = self.endpoints().await?;
        let right = match iss {
            Some(iss) => iss == endpoints.issuer,
            None => !endpoints.iss_in_response,
        };
        right.then_some(()).ok_or_else(|| {
            Error::bad_request("The answer came from another sign-in service. Sign in again.")
        })
    }

    /// Buys new tokens with a refresh token, which stays good when the provider gives no new one.
    pub async fn renew(&self, token: &SecretString) -> Result<Grant, RefreshError> {
        let client =
            self.client().await.map_err(|cause| RefreshError::NotNow(cause.to_string()))?;
        let token = RefreshToken::new(token.expose_secret().to_owned());
        let seen = Seen::default();
        let http = |request| seen.clone().send(self.http.clone(), request);
        let reply = client.exchange_refresh_token(&token).request_async(&http).await;
        let reply = reply.map_err(|cause| match seen.ends(&cause) {
            true => RefreshError::Ended,
            false => RefreshError::NotNow(http::describe(&cause)),
        })?;
        let fresh = grant_of(&reply);
        let renewal = match fresh.renewal {
            Renewal::None => Renewal::RefreshToken(token.into_secret().into()),
            renewal => renewal,
        };
        Ok(Grant { renewal, ..fresh })
    }

    /// Takes back a refresh token (RFC 7009), and with it what it bought. Nobody waits for it, so
    /// failure is only logged.
    pub async fn revoke(&self, token: &SecretString) {
        let Ok(endpoints) = self.endpoints().await else { return };
        let Some(url) = endpoints.revocation_url.clone() else { return };
        let form = [("token", token.expose_secret()), ("token_type_hint", "refresh_token")];
        let request = self.http.post(url);
        let request = match &self.client_secret {
            Some(secret) => {
                let encoded = |text: &str| {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
                };
                request
                    .basic_auth(encoded(&self.client_id), Some(encoded(secret.secret())))
                    .form(&form)
            }
            None => {
                let id: (&str, &str) = ("client_id", &self.client_id);
                request.form(&[form[0], form[1], id])
            }
        };
        match request.send().await.and_then(reqwest::Response::error_for_status) {
            Ok(_) => tracing::debug!("a refresh token was revoked"),
            Err(cause) => tracing::warn!(%cause, "a refresh token could not be revoked"),
        }
    }

    async fn verify(&self, token: &str, nonce: &str) -> Result<Claims> {
        let endpoints = self.endpoints().await?;
        let expected = Expected { issuer: &endpoints.issuer, client_id: &self.client_id, nonce };
        self.with_keys(&endpoints, |keys| id_token::verify(token, keys, &expected))
            .await?
            .map_err(untrusted)
    }

    /// Checks a logout token that somebody brought; 400 when it is not the provider's.
    pub async fn check_logout(&self, token: &str) -> Result<Logout> {
        let endpoints = self.endpoints().await?;
        let check =
            |keys: &[Jwk]| id_token::verify_logout(token, keys, &endpoints.issuer, &self.client_id);
        self.with_keys(&endpoints, check).await?.map_err(|cause| {
            Error::bad_request("The logout token could not be trusted.").because(cause)
        })
    }

    /// Checks with the keys that are known, and once more if the provider may have a new one.
    async fn with_keys<T>(
        &self,
        endpoints: &ProviderEndpoints,
        check: impl Fn(&[Jwk]) -> Result<T, IdTokenError>,
    ) -> Result<Result<T, IdTokenError>> {
        let known = self.keys.read().map(|known| known.clone()).unwrap_or_default();
        match check(&known.keys) {
            Err(IdTokenError::UnknownKey) if known.may_be_old() => {
                Ok(check(&self.fetch_keys(endpoints).await?))
            }
            other => Ok(other),
        }
    }

    async fn fetch_keys(&self, endpoints: &ProviderEndpoints) -> Result<Arc<[Jwk]>> {
        #[derive(Deserialize)]
        struct KeySet {
            keys: Vec<Value>,
        }
        let set: KeySet = self.get_json(endpoints.jwks_url.clone()).await?;
        // A key of a kind we do not know must not hide those we do.
        let keys: Arc<[Jwk]> =
            set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        if let Ok(mut known) = self.keys.write() {
            *known = KnownKeys { keys: keys.clone(), fetched: Some(Instant::now()) };
        }
        Ok(keys)
    }

    async fn discover(&self, issuer: &Url) -> Result<ProviderEndpoints> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            authorization_endpoint: Url,
            token_endpoint: Url,
            jwks_uri: Url,
            end_session_endpoint: Option<Url>,
            revocation_endpoint: Option<Url>,
            #[serde(default)]
            authorization_response_iss_parameter_supported: bool,
        }
        let base = issuer.as_str().trim_end_matches('/');
        let address = Url::parse(&format!("{base}/.well-known/openid-configuration"))
            .map_err(Error::internal)?;
        let found: Metadata = self.get_json(address).await?;
        if found.issuer.trim_end_matches('/') != base {
            return Err(Error::bad_gateway(
                "The sign-in service calls itself by another name than the configured one.",
            ));
        }
        let endpoints = ProviderEndpoints {
            issuer: found.issuer,
            authorize_url: found.authorization_endpoint,
            token_url: found.token_endpoint,
            jwks_url: found.jwks_uri,
            end_session_url: found.end_session_endpoint,
            revocation_url: found.revocation_endpoint,
            iss_in_response: found.authorization_response_iss_parameter_supported,
        };
        if issuer.scheme() == "https" && !is_private(&endpoints) {
            return Err(Error::bad_gateway(
                "The sign-in service names addresses that anybody on the way could read.",
            ));
        }
        Ok(endpoints)
    }

    async fn get_json<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let answer = self.http.get(url).send().await.map_err(http::unreachable)?;
        let answer = answer.error_for_status().map_err(http::unreachable)?;
        let body = http::read_limited(answer).await.map_err(http::unreachable)?;
        serde_json::from_slice(&body).map_err(http::unreachable)
    }

    async fn client(&self) -> Result<Client> {
        let endpoints = self.endpoints().await?;
        let client = oauth2::Client::new(self.client_id.clone())
            .set_auth_uri(AuthUrl::from_url(endpoints.authorize_url.clone()))
            .set_token_uri(TokenUrl::from_url(endpoints.token_url.clone()))
            .set_redirect_uri(self.redirect_uri.clone());
        Ok(match &self.client_secret {
            Some(secret) => client.set_client_secret(secret.clone()),
            None => client,
        })
    }
}

fn is_private(endpoints: &ProviderEndpoints) -> bool {
    let needed = [&endpoints.authorize_url, &endpoints.token_url, &endpoints.jwks_url];
    let others = [&endpoints.end_session_url, &endpoints.revocation_url];
    needed.into_iter().chain(others.into_iter().flatten()).all(|url| url.scheme() == "https")
}

fn grant_of(reply: &TokenReply) -> Grant {
    Grant {
        access_token: SecretString::from(reply.access_token().secret().to_owned()),
        life: reply.expires_in().map(Life::starting_now),
        renewal: match reply.refresh_token() {
            Some(token) => Renewal::RefreshToken(token.secret().to_owned().into()),
            None => Renewal::None,
        },
    }
}

fn refused(cause: TokenError) -> Error {
    let message = match &cause {
        RequestTokenError::ServerResponse(_) => {
            return Error::bad_request(
                "The sign-in service did not accept this sign-in. It may have taken too long; \
                 sign in again.",
            )
            .because(http::describe(&cause));
        }
        _ => http::describe(&cause),
    };
    http::unreachable(message)
}

fn untrusted(cause: IdTokenError) -> Error {
    Error::bad_request("The sign-in service's answer could not be trusted. Sign in again.")
        .because(cause)
}

fn no_id_token() -> Error {
    Error::bad_gateway("The sign-in service did not say who signed in.")
        .because("no id_token in the token response; is `openid` among the scopes?")
}
