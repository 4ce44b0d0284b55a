//! New tokens for grants that end: from the provider's token endpoint (RFC 6749 §6), from a JSON
//! endpoint of the kind that APIs call `/auth/refresh`, or from our own registration.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{Provider, http, machine::MachineTokens};
use crate::{
    config::RefreshConfig,
    error::Result,
    session::grants::{Grant, Life, RefreshError, Renewal, TokenEndpoint},
};

/// Renews grants of every kind.
pub struct Renewer {
    provider: Option<Arc<Provider>>,
    json: Option<JsonEndpoint>,
    machine: MachineTokens,
}

impl Renewer {
    /// Renews at `provider`, or at `json` where that is configured.
    pub fn new(
        provider: Option<Arc<Provider>>,
        json: Option<RefreshConfig>,
        machine: MachineTokens,
    ) -> Result<Self> {
        let json = json.map(JsonEndpoint::new).transpose()?;
        Ok(Self { provider, json, machine })
    }
}

#[async_trait]
impl TokenEndpoint for Renewer {
    async fn renew(&self, grant: &Grant) -> Result<Grant, RefreshError> {
        match (&grant.renewal, &self.json, &self.provider) {
            (Renewal::RefreshToken(token), Some(json), _) => json.renew(token).await,
            (Renewal::RefreshToken(token), None, Some(provider)) => provider.renew(token).await,
            (Renewal::ClientCredentials, ..) => self.machine.renew_session(grant).await,
            (Renewal::RefreshToken(_), None, None) | (Renewal::None, ..) => {
                Err(RefreshError::Ended)
            }
        }
    }

    async fn revoke(&self, grant: &Grant) {
        if let (Renewal::RefreshToken(token), Some(provider)) = (&grant.renewal, &self.provider) {
            provider.revoke(token).await;
        }
    }
}

/// An endpoint that takes and answers JSON, with field names of its own.
struct JsonEndpoint {
    config: RefreshConfig,
    http: reqwest::Client,
}

impl JsonEndpoint {
    fn new(config: RefreshConfig) -> Result<Self> {
        Ok(Self { config, http: http::client()? })
    }

    async fn renew(&self, token: &SecretString) -> Result<Grant, RefreshError> {
        let body = json!({ &self.config.send: token.expose_secret() });
        let answer = self.http.post(self.config.url.clone()).json(&body).send().await;
        let answer = answer.map_err(|cause| not_now(&cause))?;
        let status = answer.status();
        let body = http::read_limited(answer).await.map_err(|cause| not_now(&cause))?;
        let body: Map<String, Value> = serde_json::from_slice(&body).map_err(|cause| {
            RefreshError::NotNow(format!("{status}, and the answer is {}", http::category(&cause)))
        })?;
        if !status.is_success() {
            return Err(refused(status, &body));
        }
        self.grant(&body, token)
            .ok_or_else(|| RefreshError::NotNow("the answer holds no access token".to_owned()))
    }

    fn grant(&self, body: &Map<String, Value>, old: &SecretString) -> Option<Grant> {
        let field = |path: &str| {
            let mut names = path.split('.');
            let first = body.get(names.next()?)?;
            names.try_fold(first, |value, name| value.get(name))
        };
        let text = |path: &str| field(path)?.as_str().map(SecretString::from);
        let seconds = field(&self.config.expires_in).and_then(|seconds| {
            seconds.as_u64().or_else(|| seconds.as_str().and_then(|text| text.parse().ok()))
        });
        Some(Grant {
            access_token: text(&self.config.access_token)?,
            life: seconds
                .map(|seconds| Life::starting_now(std::time::Duration::from_secs(seconds))),
            renewal: Renewal::RefreshToken(
                text(&self.config.refresh_token).unwrap_or_else(|| old.clone()),
            ),
        })
    }
}

/// 401 is such an endpoint's way to say `invalid_grant`. It says so in JSON: a page that says 401
/// comes from something in between.
fn refused(status: StatusCode, body: &Map<String, Value>) -> RefreshError {
    let code = body.get("error").and_then(Value::as_str).unwrap_or_default();
    let is_trouble = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let is_its_word = matches!(code, "invalid_grant" | "invalid_client");
    if status == StatusCode::UNAUTHORIZED || (is_its_word && !is_trouble) {
        return RefreshError::Ended;
    }
    RefreshError::NotNow(format!("the refresh endpoint answered {status}"))
}

fn not_now(cause: &dyn std::fmt::Display) -> RefreshError {
    RefreshError::NotNow(format!("the refresh endpoint is unreachable: {cause}"))
}
