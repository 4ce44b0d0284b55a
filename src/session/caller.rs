//! Who a request acts for.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{Identity, store::SessionKey, wire::SessionInfo};
use crate::error::{Error, Result};

/// A session that has not ended.
#[derive(Debug)]
pub struct ActiveSession {
    pub(super) key: SessionKey,
    /// Who signed in.
    pub identity: Identity,
    pub(super) ends_at: i64,
    pub(super) idle_ends_at: AtomicI64,
    pub(super) last_seen_at: AtomicI64,
}

impl ActiveSession {
    /// What grants are kept under.
    pub fn key(&self) -> &SessionKey {
        &self.key
    }

    /// What the browser may know.
    pub fn info(&self) -> SessionInfo {
        let Identity { subject, name, tenant, roles, .. } = self.identity.clone();
        SessionInfo {
            subject,
            name,
            tenant,
            roles,
            ends_at: self.ends_at / 1000,
            idle_ends_at: self.idle_ends_at.load(Ordering::Relaxed) / 1000,
        }
    }

    pub(super) fn has_ended(&self, at: i64) -> bool {
        at >= self.ends_at || at >= self.idle_ends_at.load(Ordering::Relaxed)
    }
}

/// Whom a channel speaks for: the visitors of a widget, the people behind a webhook.
#[derive(Debug)]
pub struct ChannelCaller {
    /// Made up by us: what conversations are owned by, and the tenant that the configuration says.
    pub identity: Identity,
    /// The assistant that answers on this channel; the usual one where absent.
    pub assistant: Option<String>,
    /// Where one of several visitors comes from.
    pub visitor: Option<IpAddr>,
}

/// Who a request acts for.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A signed-in browser.
    Session(Arc<ActiveSession>),
    /// A channel. It has no grant, but Breezeway's own credentials may serve it.
    Channel(Arc<ChannelCaller>),
    /// Nobody in particular.
    Nobody,
}

impl Caller {
    /// The signed-in session, or 401.
    pub fn signed_in(&self) -> Result<&Arc<ActiveSession>> {
        self.session().ok_or_else(Error::unauthenticated)
    }

    /// Whoever it is, or 401 for nobody.
    pub fn known(&self) -> Result<&Identity> {
        self.identity().ok_or_else(Error::unauthenticated)
    }

    /// The signed-in session, if there is one.
    pub fn session(&self) -> Option<&Arc<ActiveSession>> {
        match self {
            Self::Session(session) => Some(session),
            Self::Channel(_) | Self::Nobody => None,
        }
    }

    /// The identity, if there is one.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Session(session) => Some(&session.identity),
            Self::Channel(channel) => Some(&channel.identity),
            Self::Nobody => None,
        }
    }
}

/// Known of every request that has come past the session layer.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or(Self::Nobody))
    }
}
