//! Tokens for Breezeway itself (RFC 6749 §4.4), and sessions that act with them.
//!
//! A token is had once for everybody who asks in the same words and kept until shortly before its
//! end. Cookies that the authorization server sets beside it stay here; a backend that lists one by
//! name gets it.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use axum::http::HeaderValue;
use moka::sync::Cache;
use oauth2::{
    AuthType, ClientId, ClientSecret, EmptyExtraTokenFields, Scope, StandardTokenResponse,
    TokenResponse, TokenUrl, basic::BasicTokenType,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Mutex, time::timeout};
use uuid::Uuid;

use super::{
    Provider,
    http::{self, Seen},
};
use crate::{
    config::{MachineConfig, MachineEndpoint, Registration},
    error::{Error, Kind, Result},
    session::{
        Identity,
        grants::{Grant, Life, PROMPT, RefreshError, Renewal, bearer},
    },
};

/// A token that a backend refused is not replaced sooner than this after it was had: it is probably
/// not the token that the backend minds.
const YOUNG: Duration = Duration::from_secs(10);
/// How long a failure is everybody's answer before the authorization server is asked again.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

type Reply = StandardTokenResponse<EmptyExtraTokenFields, BasicTokenType>;

/// The tokens of all machine clients. Cheap to clone.
#[derive(Clone)]
pub struct MachineTokens {
    http: reqwest::Client,
    provider: Option<Arc<Provider>>,
    /// `[machine]`: who `POST /api/auth` signs in.
    client: Option<Arc<MachineConfig>>,
    held: Cache<Request, Arc<Slot>>,
}

/// What one request for a token has brought so far.
#[derive(Default)]
struct Slot {
    /// Held by whoever asks the provider.
    turn: Arc<Mutex<()>>,
    brought: RwLock<Brought>,
}

#[derive(Default)]
struct Brought {
    token: Option<MachineToken>,
    failed: Option<(Instant, Failed)>,
}

/// Why there is no token.
#[derive(Debug, Clone)]
struct Failed {
    /// What the provider answered, when it did.
    status: Option<u16>,
    /// Whether it knows us no more.
    ended: bool,
    cause: String,
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
    /// What the provider granted.
    pub scope: Option<String>,
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
    pub async fn token(&self, client: &Registration) -> Result<MachineToken> {
        Ok(self.fresher_than(client, None).await?)
    }

    /// Another token than `used`, which a backend has just refused; `None` when there is none.
    pub async fn renew(
        &self,
        client: &Registration,
        used: &HeaderValue,
    ) -> Result<Option<MachineToken>> {
        let token = self.fresher_than(client, Some(used)).await?;
        Ok((token.bearer != *used).then_some(token))
    }

    /// The identity and the grant of a session for `[machine]`, with what its answer says.
    pub async fn sign_in(&self) -> Result<(Identity, Grant, MachineToken)> {
        let MachineConfig { registration, tenant, roles } = self.configured()?;
        let token = self.token(registration).await?;
        let identity = Identity {
            issuer: self.token_url(registration).await?,
            subject: registration.client_id.clone(),
            name: registration.client_id.clone(),
            tenant: tenant.clone(),
            roles: roles.clone(),
            // Whoever can reach us can begin one of these; they are not each other's to see.
            instance: Some(Uuid::new_v4().simple().to_string()),
        };
        Ok((identity, token.grant(), token))
    }

    /// A new token for a session that [`Self::sign_in`] began.
    pub async fn renew_session(&self, grant: &Grant) -> Result<Grant, RefreshError> {
        let used = bearer(&grant.access_token).map_err(|_| RefreshError::Ended)?;
        // A machine that is no longer configured has no sessions either.
        let client = self.configured().map_err(|_| RefreshError::Ended)?;
        match self.fresher_than(&client.registration, Some(&used)).await {
            Ok(token) => Ok(token.grant()),
            Err(failed) if failed.ended => Err(RefreshError::Ended),
            Err(failed) => Err(RefreshError::NotNow(failed.cause)),
        }
    }

    fn configured(&self) -> Result<&MachineConfig> {
        self.client.as_deref().ok_or_else(|| {
            Error::new(Kind::Internal, "Server configuration error")
                .because("POST /api/auth needs a [machine] table in Leptos.toml")
        })
    }

    /// A token, had once for everybody who wants it now; another one than `used`, which was refused.
    /// While the provider is slow or in trouble, one that ends soon still does.
    async fn fresher_than(
        &self,
        client: &Registration,
        used: Option<&HeaderValue>,
    ) -> Result<MachineToken, Failed> {
        let request = self.request(client).await?;
        let slot = self.held.get_with(request.clone(), Arc::default);
        if let Some(token) = slot.good(used) {
            return Ok(token);
        }
        let old = slot.token().filter(|old| old.is_alive() && used.is_none());
        let fetch = self.fetch_in_turn(client, request, slot, used);
        match old {
            None => fetch.await,
            Some(old) => Ok(timeout(PROMPT, fetch).await.ok().and_then(Result::ok).unwrap_or(old)),
        }
    }

    /// The exchange is a task of its own: who began it may leave while others wait.
    async fn fetch_in_turn(
        &self,
        client: &Registration,
        request: Request,
        slot: Arc<Slot>,
        used: Option<&HeaderValue>,
    ) -> Result<MachineToken, Failed> {
        let turn = slot.turn.clone().lock_owned().await;
        if let Some(token) = slot.good(used) {
            return Ok(token);
        }
        if let Some(failed) = slot.failed_just_now() {
            return Err(failed);
        }
        let (this, client) = (self.clone(), client.clone());
        let fetching = tokio::spawn(async move {
            let _turn = turn;
            let brought = this.fetch(&client, &request).await;
            slot.keep(&brought);
            brought
        });
        fetching.await.map_err(Failed::ours)?
    }

    async fn request(&self, client: &Registration) -> Result<Request, Failed> {
        Ok(Request {
            token_url: self.token_url(client).await?,
            client_id: client.client_id.clone(),
            scopes: client.scopes.clone(),
            audience: client.audience.clone(),
            resource: client.resource.clone(),
        })
    }

    async fn token_url(&self, client: &Registration) -> Result<String, Failed> {
        match (&client.endpoint, &self.provider) {
            (MachineEndpoint::Url(url), _) => Ok(url.to_string()),
            (MachineEndpoint::Provider, Some(provider)) => {
                let endpoints = provider.endpoints().await.map_err(Failed::ours)?;
                Ok(endpoints.token_url.to_string())
            }
            (MachineEndpoint::Sandbox | MachineEndpoint::Provider, _) => {
                Err(Failed::ours("a machine client needs a provider, and there is none"))
            }
        }
    }

    async fn fetch(
        &self,
        client: &Registration,
        request: &Request,
    ) -> Result<MachineToken, Failed> {
        let url = TokenUrl::new(request.token_url.clone()).map_err(Failed::ours)?;
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
        let seen = Seen::default();
        let http = |request| seen.clone().send(self.http.clone(), request);
        let reply: Reply = exchange.request_async(&http).await.map_err(|cause| Failed {
            status: seen.status().filter(|status| *status >= 400),
            ended: seen.ends(&cause),
            cause: http::describe(&cause),
        })?;
        MachineToken::new(&reply, client, seen.cookies())
    }
}

impl Slot {
    fn token(&self) -> Option<MachineToken> {
        self.brought.read().unwrap_or_else(PoisonError::into_inner).token.clone()
    }

    fn good(&self, used: Option<&HeaderValue>) -> Option<MachineToken> {
        self.token().filter(|token| token.serves(used))
    }

    fn failed_just_now(&self) -> Option<Failed> {
        let brought = self.brought.read().unwrap_or_else(PoisonError::into_inner);
        let (at, failed) = brought.failed.as_ref()?;
        (at.elapsed() < AFTER_FAILURE).then(|| failed.clone())
    }

    fn keep(&self, outcome: &Result<MachineToken, Failed>) {
        let mut brought = self.brought.write().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(token) => *brought = Brought { token: Some(token.clone()), failed: None },
            Err(failed) => brought.failed = Some((Instant::now(), failed.clone())),
        }
    }
}

impl MachineToken {
    fn new(
        reply: &Reply,
        client: &Registration,
        cookies: BTreeMap<String, SecretString>,
    ) -> Result<Self, Failed> {
        let access_token = SecretString::from(reply.access_token().secret().to_owned());
        // A provider that grants what was asked for need not repeat it (RFC 6749 §5.1).
        let scopes: Vec<&str> = match reply.scopes() {
            Some(scopes) => scopes.iter().map(|scope| scope.as_str()).collect(),
            None => client.scopes.iter().map(String::as_str).collect(),
        };
        Ok(Self {
            bearer: bearer(&access_token).map_err(Failed::ours)?,
            access_token,
            scope: (!scopes.is_empty()).then(|| scopes.join(" ")),
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

    /// How long it is good from now on, when the provider said.
    pub fn expires_in(&self) -> Option<Duration> {
        self.life.map(|life| life.left())
    }

    fn is_alive(&self) -> bool {
        self.life.is_none_or(|life| !life.left().is_zero())
    }

    fn grant(&self) -> Grant {
        Grant {
            access_token: self.access_token.clone(),
            life: self.life,
            renewal: Renewal::ClientCredentials,
        }
    }
}

impl Failed {
    /// Nothing was answered, or nothing that can be used.
    fn ours(cause: impl ToString) -> Self {
        Self { status: None, ended: false, cause: cause.to_string() }
    }
}

/// A refusal keeps its status; anything else is trouble on the way.
impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        let error = match failed.status {
            Some(status) => Error::from_status(status, "Authentication failed"),
            None => Error::bad_gateway(
                "The authorization server cannot be reached. Try again in a moment.",
            ),
        };
        error.because(failed.cause)
    }
}
