//! The sign-in flow: leaving for the provider, coming back, and signing out.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures::future::try_join_all;
use serde_json::Value;
use tower_sessions::Session;
use url::form_urlencoded;

use super::{
    attempt::{self, Attempt},
    id_token::Claims,
    limits::Limits,
    machine::{MachineToken, MachineTokens},
    provider::Provider,
    return_to,
};
use crate::{
    config::{AuthConfig, ServerConfig},
    error::{Error, Result},
    session::{
        Arrival, Caller, Ended, Grant, Grants, Identity, SessionKey, Sessions, seal::Sealer,
    },
};

/// Signs people in and out. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    inner: Arc<Inner>,
}

struct Inner {
    provider: Option<Arc<Provider>>,
    machine: MachineTokens,
    sealer: Sealer,
    sessions: Sessions,
    grants: Grants,
    limits: Limits,
    origin: String,
    https: bool,
}

/// A redirection together with the cookies to set.
pub struct Hop {
    /// Where the browser goes next.
    pub location: String,
    /// `Set-Cookie` values.
    pub cookies: Vec<String>,
}

impl Auth {
    /// Sign-in with `provider`; without one nobody can sign in.
    pub fn new(
        provider: Option<Arc<Provider>>,
        machine: MachineTokens,
        sealer: Sealer,
        sessions: Sessions,
        grants: Grants,
        limits: Limits,
        server: &ServerConfig,
    ) -> Self {
        let (origin, https) = (server.origin(), server.is_https());
        let inner = Inner { provider, machine, sealer, sessions, grants, limits, origin, https };
        Self { inner: Arc::new(inner) }
    }

    /// 429 for an address that has tried too often of late.
    pub fn check_address(&self, client: IpAddr) -> Result<()> {
        self.inner.limits.address(client)
    }

    /// Origins that our forms may be redirected to, for the content security policy.
    pub fn form_origins(&self) -> Vec<String> {
        self.inner.provider.as_ref().map(|provider| provider.known_origins()).unwrap_or_default()
    }

    /// Starts a sign-in: the provider's page, and a cookie that remembers the attempt.
    pub async fn begin(&self, cookies: &str, wanted: Option<&str>) -> Result<Hop> {
        let Inner { sealer, https, .. } = &*self.inner;
        let leave = self.provider()?.depart().await?;
        let attempt =
            Attempt::new(leave.state, leave.nonce, leave.verifier, return_to::checked(wanted));
        let mut cookies = attempt::removals_when_crowded(cookies, *https);
        cookies.push(attempt.to_cookie(sealer, *https)?);
        Ok(Hop { location: leave.url.into(), cookies })
    }

    /// Finishes a sign-in: checks the provider's answer, keeps the grant, and gives the browser a
    /// new session.
    pub async fn complete(
        &self,
        session: &Session,
        cookies: &str,
        query: &str,
        device: Option<&str>,
    ) -> Result<Hop> {
        let provider = self.provider()?;
        let answer = Answer::parse(query)?;
        let attempt = Attempt::find(&self.inner.sealer, cookies, &answer.state)
            .ok_or_else(unknown_attempt)?;
        provider.check_issuer(answer.iss.as_deref()).await?;
        let code = answer.outcome?;
        let signed_in = provider.arrive(code, attempt.verifier, &attempt.nonce).await?;
        let issuer = provider.endpoints().await?.issuer.clone();
        let identity = identity(provider.config(), issuer, &signed_in.claims)?;
        self.inner.limits.account(&identity)?;
        let provider_session = signed_in.claims.get("sid").and_then(Value::as_str);
        let who = Arrival { identity: &identity, provider_session, device };
        self.start(session, &who, &signed_in.grant).await?;
        tracing::info!(subject = identity.subject, "signed in");
        Ok(Hop {
            location: attempt.return_to,
            cookies: vec![attempt::removal(&attempt.state, self.inner.https)],
        })
    }

    /// Gives a browser or a program a session that acts with Breezeway's own registration.
    ///
    /// 500 without a `[machine]`, the provider's status when it refuses, 502 when it cannot be
    /// reached.
    pub async fn sign_in_machine(
        &self,
        session: &Session,
        device: Option<&str>,
    ) -> Result<MachineToken> {
        let (identity, grant, token) = self.inner.machine.sign_in().await?;
        let account = Identity { instance: None, ..identity.clone() };
        self.inner.limits.account(&account)?;
        let who = Arrival { identity: &identity, provider_session: None, device };
        self.start(session, &who, &grant).await?;
        tracing::info!(client = identity.subject, "a machine signed in");
        Ok(token)
    }

    async fn start(&self, session: &Session, who: &Arrival<'_>, grant: &Grant) -> Result<()> {
        let key = self.inner.sessions.start(session, who).await?;
        if let Err(error) = self.inner.grants.keep(&key, grant).await {
            self.inner.sessions.end(session).await?;
            return Err(error);
        }
        Ok(())
    }

    /// Waits for refreshes that are under way, so that no new tokens are lost.
    pub async fn settle(&self, at_most: Duration) {
        self.inner.grants.settle(at_most).await;
    }

    /// Ends one of the caller's own sessions; 404 for any other.
    pub async fn end_session(&self, caller: &Caller, id: &str) -> Result<()> {
        let own = self.inner.sessions.of_person(caller).await?;
        if !own.iter().any(|line| line.id == id) {
            return Err(Error::not_found("That session is not yours, or it has ended already."));
        }
        match SessionKey::from_hex(id) {
            Some(key) => self.inner.grants.end(&key).await,
            None => Ok(()),
        }
    }

    /// Ends all of the caller's sessions but this one; answers how many.
    pub async fn end_other_sessions(&self, caller: &Caller) -> Result<usize> {
        let own = self.inner.sessions.of_person(caller).await?;
        let others = own.iter().filter(|line| !line.is_here);
        let keys: Vec<_> = others.filter_map(|line| SessionKey::from_hex(&line.id)).collect();
        self.end_all(&keys).await?;
        Ok(keys.len())
    }

    /// Ends the sessions that the provider says have ended (OpenID Connect Back-Channel Logout);
    /// answers how many. 400 for a token that is not the provider's, or was used before.
    pub async fn end_by_logout_token(&self, token: &str) -> Result<usize> {
        let provider = self.provider()?;
        let logout = provider.check_logout(token).await?;
        let issuer = &provider.endpoints().await?.issuer;
        let Inner { sessions, .. } = &*self.inner;
        if sessions.was_used(issuer, &logout.jti).await? {
            return Err(Error::bad_request("The logout token was used before."));
        }
        let ended = Ended {
            issuer,
            subject: logout.subject.as_deref(),
            provider_session: logout.provider_session.as_deref(),
        };
        let keys = sessions.of_provider(&ended).await?;
        self.end_all(&keys).await?;
        // Last, so that a provider that has to try again can.
        sessions.note_use(issuer, &logout.jti, logout.ends_at.saturating_mul(1000)).await?;
        tracing::info!(count = keys.len(), "sessions were ended by the provider");
        Ok(keys.len())
    }

    async fn end_all(&self, keys: &[SessionKey]) -> Result<()> {
        try_join_all(keys.iter().map(|key| self.inner.grants.end(key))).await.map(drop)
    }

    /// Forgets the attempt whose answer was an error, so that the cookie does not linger.
    pub fn forget_attempt(&self, query: &str) -> Option<String> {
        let answer = Answer::parse(query).ok()?;
        Some(attempt::removal(&answer.state, self.inner.https))
    }

    /// Ends the session here, then sends the browser to end it at the provider too.
    pub async fn sign_out(&self, session: &Session, caller: &Caller) -> Result<Hop> {
        if let Some(active) = caller.session() {
            self.inner.grants.end(active.key()).await?;
        }
        self.inner.sessions.end(session).await?;
        let home = format!("{}/?signed_out", self.inner.origin);
        let location = self.end_session_url(&home).await.unwrap_or(home);
        let removal = crate::session::cookie::removal(self.inner.https);
        Ok(Hop { location, cookies: removal.to_str().map(str::to_owned).into_iter().collect() })
    }

    /// Names us by client id, not by the ID token: an address is seen by the browser, and no token
    /// is (OpenID Connect RP-Initiated Logout §2). A provider that cannot be asked must not keep
    /// anybody signed in here.
    async fn end_session_url(&self, home: &str) -> Option<String> {
        let endpoints = self.provider().ok()?.endpoints().await.ok()?;
        let mut url = endpoints.end_session_url.clone()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.provider().ok()?.config().client_id)
            .append_pair("post_logout_redirect_uri", home);
        Some(url.into())
    }

    fn provider(&self) -> Result<&Arc<Provider>> {
        self.inner.provider.as_ref().ok_or_else(|| {
            Error::not_found("Signing in is not set up here. Add an [auth] table to Leptos.toml.")
        })
    }
}

/// The provider's answer, each parameter at most once.
struct Answer {
    state: String,
    iss: Option<String>,
    outcome: Result<String>,
}

impl Answer {
    fn parse(query: &str) -> Result<Self> {
        let state = only(query, "state")?.ok_or_else(unknown_attempt)?;
        let iss = only(query, "iss")?;
        let outcome = match (only(query, "code")?, only(query, "error")?) {
            (Some(code), None) => Ok(code),
            (None, Some(error)) => Err(declined(&error)),
            _ => Err(unknown_attempt()),
        };
        Ok(Self { state, iss, outcome })
    }
}

fn only(query: &str, name: &str) -> Result<Option<String>> {
    let mut values = form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned());
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(unknown_attempt()),
    }
}

fn declined(error: &str) -> Error {
    match error {
        "access_denied" => Error::forbidden(
            "Sign-in was cancelled. Nothing was changed; you can sign in whenever you like.",
        ),
        "temporarily_unavailable" | "server_error" => {
            Error::unavailable("The sign-in service has trouble right now. Try again in a moment.")
        }
        _ => Error::bad_request("The sign-in service refused the request. Sign in again.")
            .because(format!("authorization error of {} characters", error.len())),
    }
}

fn unknown_attempt() -> Error {
    Error::bad_request(
        "This sign-in is not known here. It may be older than ten minutes, used already, or begun \
         in another browser. Sign in again.",
    )
}

fn identity(config: &AuthConfig, issuer: String, claims: &Claims) -> Result<Identity> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let subject =
        text("sub").ok_or_else(|| Error::internal("a checked ID token has no subject"))?;
    let name = text("name").or_else(|| text("preferred_username")).or_else(|| text("email"));
    Ok(Identity {
        issuer,
        name: name.unwrap_or_else(|| subject.clone()),
        subject,
        tenant: claims.get(&config.tenant_claim).and_then(tenant),
        roles: roles(claims.get(&config.roles_claim)),
        instance: None,
    })
}

/// A tenant is a text or a number.
fn tenant(claim: &Value) -> Option<String> {
    match claim {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Roles are a list of texts, or one text with spaces between.
fn roles(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::Array(roles)) => {
            roles.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(Value::String(roles)) => roles.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn an_answer_names_each_parameter_once() {
        assert!(Answer::parse("code=c&state=s&iss=i").unwrap().outcome.is_ok());
        for wrong in ["", "code=c", "state=s&state=s&code=c", "state=s&iss=a&iss=b&code=c"] {
            assert!(Answer::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["state=s", "state=s&code=c&error=e"] {
            assert!(Answer::parse(wrong).unwrap().outcome.is_err(), "{wrong}");
        }
        assert!(Answer::parse("state=s&code=a&code=b").is_err());
    }

    #[test]
    fn a_cancelled_sign_in_is_not_an_error_of_ours() {
        let answer = Answer::parse("state=s&error=access_denied").unwrap();
        assert_eq!(answer.outcome.unwrap_err().kind(), Kind::Forbidden);
    }
}
