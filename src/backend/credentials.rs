//! Whose credentials a call carries: the first of the backend's list that this caller has.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::{
    auth::{MachineToken, MachineTokens},
    config::{BackendAuth, Registration},
    error::{Error, Result},
    session::{Caller, Grants, SessionKey, grants::bearer},
};

/// What a call proves itself with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The access token of the session's grant.
    Session(SessionKey, HeaderValue),
    /// A token of Breezeway's own, with the authorization server's cookies that go with it.
    Machine(HeaderValue, Option<HeaderValue>),
    /// A secret of the configuration, the same for everybody, and the header that carries it.
    Service(HeaderName, HeaderValue),
    /// What the client sent, for the backend to judge.
    Caller(HeaderValue),
    /// Nothing.
    Nothing,
}

/// One whose state on a backend is kept apart from everybody else's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A session.
    Session(SessionKey),
    /// A client that brings credentials of its own, by their fingerprint.
    Caller([u8; 32]),
}

/// An entry of a backend's list that does for a caller.
pub enum Choice<'a> {
    /// The token of this session.
    Session(&'a SessionKey),
    /// What the client sent.
    Caller,
    /// A token of Breezeway's own.
    Own,
    /// This secret of the configuration.
    Service(&'a SecretString),
    /// This secret of the configuration, in this header.
    Header(&'a str, &'a SecretString),
    /// Nothing is needed.
    Nothing,
}

/// Where the credentials of one backend come from.
#[derive(Clone)]
pub struct Purse {
    /// What to try, in order.
    pub list: Vec<BackendAuth>,
    /// The tokens of sessions.
    pub grants: Grants,
    /// Our own registration.
    pub own: Option<Registration>,
    /// The tokens of registrations.
    pub tokens: MachineTokens,
    /// Cookies of the authorization server that go with our own token.
    pub cookies: Vec<String>,
}

impl Purse {
    /// Picks for `caller`; 401 when there is nothing for them.
    pub async fn choose(&self, caller: &Caller, headers: &HeaderMap) -> Result<Credential> {
        match self.first(caller, headers).ok_or_else(Error::unauthenticated)? {
            Choice::Session(key) => Ok(Credential::Session(*key, self.grants.bearer(key).await?)),
            Choice::Caller => only(headers).map(Credential::Caller),
            Choice::Own => self.own().await,
            Choice::Service(secret) => Ok(Credential::Service(AUTHORIZATION, bearer(secret)?)),
            Choice::Header(name, secret) => in_header(name, secret),
            Choice::Nothing => Ok(Credential::Nothing),
        }
    }

    /// What of the list comes first for `caller`.
    pub fn first<'a>(&'a self, caller: &'a Caller, headers: &HeaderMap) -> Option<Choice<'a>> {
        self.list.iter().find_map(|auth| match (auth, caller) {
            (BackendAuth::None, _) => Some(Choice::Nothing),
            (BackendAuth::Session, Caller::Session(session)) => {
                Some(Choice::Session(session.key()))
            }
            (BackendAuth::Caller, Caller::Nobody) => {
                headers.contains_key(AUTHORIZATION).then_some(Choice::Caller)
            }
            // What is ours is lent to nobody in particular, or everybody would have it.
            (_, Caller::Nobody) | (BackendAuth::Session | BackendAuth::Caller, _) => None,
            (BackendAuth::ClientCredentials, _) => Some(Choice::Own),
            (BackendAuth::Bearer(secret), _) => Some(Choice::Service(secret)),
            (BackendAuth::Header { name, value }, _) => Some(Choice::Header(name, value)),
        })
    }

    /// Another credential of the same kind, when a backend no longer takes this one.
    pub async fn renew(&self, refused: &Credential) -> Result<Option<Credential>> {
        match (refused, &self.own) {
            (Credential::Session(key, used), _) => {
                let fresh = self.grants.renew(key, used).await?;
                Ok(fresh.map(|fresh| Credential::Session(*key, fresh)))
            }
            (Credential::Machine(used, _), Some(own)) => {
                let fresh = self.tokens.renew(own, used).await.unwrap_or_else(|cause| {
                    tracing::warn!(%cause, "a token of ours was refused, and there is no other");
                    None
                });
                Ok(fresh.map(|token| self.with_cookies(&token)))
            }
            _ => Ok(None),
        }
    }

    async fn own(&self) -> Result<Credential> {
        let own = self
            .own
            .as_ref()
            .ok_or_else(|| Error::internal("a backend needs a registration, and there is none"))?;
        let token = self.tokens.token(own).await.map_err(|cause| {
            Error::bad_gateway(
                "This server could not sign in to the backend. Try again in a moment.",
            )
            .because(cause)
        })?;
        Ok(self.with_cookies(&token))
    }

    fn with_cookies(&self, token: &MachineToken) -> Credential {
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .filter_map(|name| Some(format!("{name}={}", token.cookies.get(name)?.expose_secret())))
            .collect();
        let cookies = HeaderValue::try_from(pairs.join("; ")).ok().filter(|_| !pairs.is_empty());
        Credential::Machine(token.bearer.clone(), cookies)
    }
}

impl Credential {
    /// The header that carries it, `Authorization` as a rule, and its value.
    pub fn header(&self) -> Option<(&HeaderName, &HeaderValue)> {
        match self {
            Self::Session(_, value) | Self::Machine(value, _) | Self::Caller(value) => {
                Some((&AUTHORIZATION, value))
            }
            Self::Service(name, value) => Some((name, value)),
            Self::Nothing => None,
        }
    }

    /// The `Cookie` that goes with it.
    pub fn cookies(&self) -> Option<&HeaderValue> {
        match self {
            Self::Machine(_, cookies) => cookies.as_ref(),
            _ => None,
        }
    }

    /// Whose state a backend's answer belongs to; nobody's is kept.
    pub fn holder(&self, caller: &Caller) -> Option<Holder> {
        match (self, caller) {
            (_, Caller::Session(session)) => Some(Holder::Session(*session.key())),
            (Self::Caller(value), Caller::Nobody) => Some(Holder::Caller(fingerprint(value))),
            _ => None,
        }
    }
}

/// Tells credentials apart without keeping them.
pub fn fingerprint(secret: &HeaderValue) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn in_header(name: &str, secret: &SecretString) -> Result<Credential> {
    let name = HeaderName::try_from(name).map_err(Error::internal)?;
    let mut value = HeaderValue::try_from(secret.expose_secret()).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(Credential::Service(name, value))
}

fn only(headers: &HeaderMap) -> Result<HeaderValue> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            let mut value = value.clone();
            value.set_sensitive(true);
            Ok(value)
        }
        _ => Err(Error::bad_request("The request has two `Authorization` headers.")),
    }
}
