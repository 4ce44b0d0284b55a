//! Tokens for Breezeway itself (RFC 6749 §4.4), and sessions that act with them.
//!
//! A token is had once for everybody who asks in the same words and kept until shortly before its
//! end. Cookies that the authorization server sets beside it stay here; a backend that lists one by
//! name gets it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderValue, header::SET_COOKIE};
use moka::sync::Cache;
use oauth2::{
    AuthType, ClientId, ClientSecret, EmptyExtraTokenFields, HttpRequest, RequestTokenError, Scope,
    StandardTokenResponse, TokenResponse, TokenUrl, basic::BasicTokenType,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tower_sessions::cookie::Cookie;

use super::{
    Provider,
    http::{self, TokenError},
};
use crate::{
    config::{MachineConfig, MachineEndpoint},
    error::{Error, Kind, Result},
    session::{
        Identity,
        grants::{Grant, Life, Renewal, bearer},
    },
};

/// A token that a backend refused is not replaced sooner than this after it was had: it is probably
/// not the token that the backend minds.
const YOUNG: Duration = Duration::from_secs(10);

type Reply = StandardTokenResponse<EmptyExtraTokenFields, BasicTokenType>;

/// The tokens of all machine clients. Cheap to clone.
#[derive(Clone)]
pub struct MachineTokens {
    http: reqwest::Client,
    provider: Option<Arc<Provider>>,
    /// `[machine]`: who `POST /api/auth` signs in.
    client: Option<Arc<MachineConfig>>,
    held: Cache<Request, Arc<Mutex<Option<MachineToken>>>>,
}

/// What tells one token request from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Request {
    token_url: String,
    client_id: String,
    scopes: Vec<String>,
    audience: Option<String>,
    resource: Option<String>,
}

/// A token, and what came with it.
#[derive(Debug, Clone)]
pub struct MachineToken {
    /// The value of `Authorization`.
    pub bearer: HeaderValue,
    /// What the provider granted, where that is not what was asked for.
    pub scope: Option<String>,
    /// How long the token is good from now on.
    pub expires_in: Option<Duration>,
    /// Cookies of the authorization server.
    pub cookies: Arc<BTreeMap<String, SecretString>>,
    access_token: SecretString,
    life: Option<Life>,
    had_at: Instant,
}

impl MachineTokens {
    /// No tokens yet. A client without a token endpoint of its own asks `provider`.
    pub fn new(client: Option<MachineConfig>, provider: Option<Arc<Provider>>) -> Result<Self> {
        Ok(Self {
            http: http::client()?,
            provider,
            client: client.map(Arc::new),
            held: Cache::builder().max_capacity(1_000).build(),
        })
    }

    /// A token for `client`. A provider that refuses answers as it does; one that cannot be reached,
    /// 502.
    pub async fn token(&self, client: &MachineConfig) -> Result<MachineToken> {
        self.fresher_than(client, None).await
    }

    /// Another token than `used`, which a backend has just refused; `None` when there is none.
    pub async fn renew(
        &self,
        client: &MachineConfig,
        used: &HeaderValue,
    ) -> Result<Option<MachineToken>> {
        let token = self.fresher_than(client, Some(used)).await?;
        Ok((token.bearer != *used).then_some(token))
    }

    /// The identity and the grant of a session for `[machine]`, with what its answer says.
    pub async fn sign_in(&self) -> Result<(Identity, Grant, MachineToken)> {
        let client = self.configured()?;
        let token = self.token(client).await?;
        let identity = Identity {
            issuer: self.token_url(client).await?,
            subject: client.client_id.clone(),
            name: client.client_id.clone(),
            tenant: client.tenant.clone(),
            roles: client.roles.clone(),
        };
        Ok((identity, token.grant(), token))
    }

    /// A new token for a session that [`Self::sign_in`] began.
    pub async fn renew_session(&self, grant: &Grant) -> Result<Grant> {
        let used = bearer(&grant.access_token)?;
        let client = self.configured()?;
        Ok(self.fresher_than(client, Some(&used)).await?.grant())
    }

    fn configured(&self) -> Result<&MachineConfig> {
        self.client.as_deref().ok_or_else(|| {
            Error::new(Kind::Internal, "Server configuration error")
                .because("POST /api/auth needs a [machine] table in Leptos.toml")
        })
    }

    async fn fresher_than(
        &self,
        client: &MachineConfig,
        used: Option<&HeaderValue>,
    ) -> Result<MachineToken> {
        let request = self.request(client).await?;
        let slot = self.held.get_with(request.clone(), Arc::default);
        let mut held = slot.lock().await;
        if let Some(token) = held.as_ref().filter(|token| token.serves(used)) {
            return Ok(token.clone());
        }
        let token = self.fetch(client, &request).await?;
        *held = Some(token.clone());
        Ok(token)
    }

    async fn request(&self, client: &MachineConfig) -> Result<Request> {
        Ok(Request {
            token_url: self.token_url(client).await?,
            client_id: client.client_id.clone(),
            scopes: client.scopes.clone(),
            audience: client.audience.clone(),
            resource: client.resource.clone(),
        })
    }

    async fn token_url(&self, client: &MachineConfig) -> Result<String> {
        match (&client.endpoint, &self.provider) {
            (MachineEndpoint::Url(url), _) => Ok(url.to_string()),
            (MachineEndpoint::Provider, Some(provider)) => {
                let endpoints = provider.endpoints().await.map_err(network)?;
                Ok(endpoints.token_url.to_string())
            }
            (MachineEndpoint::Sandbox | MachineEndpoint::Provider, _) => {
                Err(Error::internal("a machine client needs a provider, and there is none"))
            }
        }
    }

    async fn fetch(&self, client: &MachineConfig, request: &Request) -> Result<MachineToken> {
        let url = TokenUrl::new(request.token_url.clone()).map_err(Error::internal)?;
        let secret = client.client_secret.expose_secret().to_owned();
        let oauth = oauth2::basic::BasicClient::new(ClientId::new(client.client_id.clone()))
            .set_client_secret(ClientSecret::new(secret))
            .set_auth_type(AuthType::BasicAuth)
            .set_token_uri(url);
        let mut exchange = oauth
            .exchange_client_credentials()
            .add_scopes(client.scopes.iter().cloned().map(Scope::new));
        for (name, value) in [("audience", &client.audience), ("resource", &client.resource)] {
            if let Some(value) = value {
                exchange = exchange.add_extra_param(name, value.clone());
            }
        }
        let seen = Arc::new(Seen::default());
        let http = |request: HttpRequest| {
            let (seen, http) = (seen.clone(), self.http.clone());
            async move { seen.send(http, request).await }
        };
        let reply: Reply =
            exchange.request_async(&http).await.map_err(|cause| seen.explain(&cause))?;
        MachineToken::new(&reply, seen.cookies())
    }
}

impl MachineToken {
    fn new(reply: &Reply, cookies: BTreeMap<String, SecretString>) -> Result<Self> {
        let access_token = SecretString::from(reply.access_token().secret().to_owned());
        let scopes: Option<Vec<&str>> =
            reply.scopes().map(|scopes| scopes.iter().map(|scope| scope.as_str()).collect());
        Ok(Self {
            bearer: bearer(&access_token)?,
            access_token,
            scope: scopes.map(|scopes| scopes.join(" ")),
            expires_in: reply.expires_in(),
            life: reply.expires_in().map(Life::starting_now),
            cookies: Arc::new(cookies),
            had_at: Instant::now(),
        })
    }

    /// Whether it can be used by somebody for whom `refused` did not do.
    fn serves(&self, refused: Option<&HeaderValue>) -> bool {
        let is_good = !self.life.is_some_and(|life| life.is_ending());
        let was_refused = refused == Some(&self.bearer) && self.had_at.elapsed() >= YOUNG;
        is_good && !was_refused
    }

    fn grant(&self) -> Grant {
        Grant {
            access_token: self.access_token.clone(),
            life: self.life,
            renewal: Renewal::ClientCredentials,
        }
    }
}

/// What the oauth2 crate does not hand out of an answer: its status and its cookies.
#[derive(Default)]
struct Seen(StdMutex<(Option<u16>, BTreeMap<String, SecretString>)>);

impl Seen {
    async fn send(
        &self,
        http: reqwest::Client,
        request: HttpRequest,
    ) -> Result<oauth2::HttpResponse, http::HttpError> {
        let answer = http::send(http, request).await?;
        let cookies = answer.headers().get_all(SET_COOKIE).iter();
        let cookies = cookies
            .filter_map(|value| Cookie::parse(value.to_str().ok()?).ok())
            .map(|cookie| (cookie.name().to_owned(), SecretString::from(cookie.value())))
            .collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            (Some(answer.status().as_u16()), cookies);
        Ok(answer)
    }

    fn cookies(&self) -> BTreeMap<String, SecretString> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// A refusal keeps its status; anything else is trouble on the way.
    fn explain(&self, cause: &TokenError) -> Error {
        let status = self.0.lock().unwrap_or_else(PoisonError::into_inner).0;
        let because = http::describe(cause);
        match (cause, status) {
            (RequestTokenError::Request(_), _) | (_, None) => network(because),
            (_, Some(status @ 400..)) => {
                Error::from_status(status, "Authentication failed").because(because)
            }
            (_, Some(_)) => network(because),
        }
    }
}

fn network(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::bad_gateway("The authorization server cannot be reached. Try again in a moment.")
        .because(cause)
}
