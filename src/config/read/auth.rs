//! `[auth]`: where people sign in, and as whom Breezeway is known there.

use url::Url;

use super::House;
use crate::config::{
    model::{AuthConfig, ProviderConfig, ProviderEndpoints, RefreshConfig},
    section::{Read, Section},
    values,
};

/// Keys that only count when a provider's endpoints are written out.
const ENDPOINT_KEYS: &[&str] = &[
    "authorize_url",
    "token_url",
    "jwks_url",
    "end_session_url",
    "revocation_url",
    "iss_in_response",
];

/// Endpoints as written, still without the issuer they belong to.
struct Endpoints {
    authorize_url: Url,
    token_url: Url,
    jwks_url: Url,
    end_session_url: Option<Url>,
    revocation_url: Option<Url>,
    iss_in_response: bool,
}

/// Without the table, the sandbox signs people in; without the sandbox, nobody does.
pub(super) fn auth(root: &Section<'_>, house: &House<'_>) -> Read<Option<AuthConfig>> {
    if root.has("auth") || house.sandbox {
        root.section("auth", |s| table(s, house)).map(Some)
    } else {
        root.know("auth");
        Ok(None)
    }
}

fn table(s: &Section<'_>, house: &House<'_>) -> Read<AuthConfig> {
    let provider = provider(s, house);
    let client_id = client_id(s, &provider);
    let client_secret = s.optional("client_secret", values::secret);
    let scopes = s.defaulted_with("scopes", |v| v.list(values::word), || Ok(default_scopes()));
    let prompt = s.optional("prompt", values::word);
    let tenant_claim = s.defaulted_with("tenant_claim", values::word, || Ok("tenant_id".into()));
    let roles_claim = s.defaulted_with("roles_claim", values::word, || Ok("roles".into()));

    let refresh = s.optional_section("refresh", refresh);

    let (provider, scopes) = (provider?, scopes?);
    Ok(AuthConfig {
        prompt: prompt?.or_else(|| usual_prompt(&provider, &scopes)),
        provider,
        client_id: client_id?,
        client_secret: client_secret?,
        scopes,
        tenant_claim: tenant_claim?,
        roles_claim: roles_claim?,
        refresh: refresh?,
    })
}

/// The sandbox remembers a consent, and gives offline access without asking again.
fn usual_prompt(provider: &ProviderConfig, scopes: &[String]) -> Option<String> {
    let asks = !matches!(provider, ProviderConfig::Sandbox)
        && scopes.iter().any(|scope| scope == "offline_access");
    asks.then(|| "consent".to_owned())
}

fn default_scopes() -> Vec<String> {
    ["openid", "profile", "offline_access"].map(String::from).to_vec()
}

/// The sandbox has a registration for Breezeway, so a second one would be a contradiction.
fn client_id(s: &Section<'_>, provider: &Read<ProviderConfig>) -> Read<String> {
    if !matches!(provider, Ok(ProviderConfig::Sandbox)) {
        let remedy = "write the client id that your identity provider gave you";
        return s.required("client_id", remedy, values::text);
    }
    s.know("client_id");
    for key in ["client_id", "client_secret"] {
        if s.has(key) {
            s.refuse(
                key,
                "has no effect while the sandbox signs people in; remove it, or write the \
                 `issuer` it belongs to",
            );
        }
    }
    Ok(String::new())
}

fn provider(s: &Section<'_>, house: &House<'_>) -> Read<ProviderConfig> {
    const REMEDY: &str = "write your identity provider's issuer URL, or enable the sandbox";
    let allow_http = s.defaulted("allow_http", |v| v.boolean(), false);
    let issuer = s.optional("issuer", values::text);
    let endpoints = endpoints(s);
    let (allow_http, issuer, endpoints) = (allow_http?, issuer?, endpoints?);

    match (issuer.as_deref(), endpoints) {
        (None, None) if house.sandbox => Ok(ProviderConfig::Sandbox),
        (None, None) => Err(s.refuse("issuer", &format!("is missing; {REMEDY}"))),
        (Some("sandbox"), None) if house.sandbox => Ok(ProviderConfig::Sandbox),
        (Some("sandbox"), None) => {
            Err(s.refuse("issuer", &format!("is the sandbox, which is not enabled; {REMEDY}")))
        }
        (Some("sandbox"), Some(_)) => Err(s.refuse(
            "issuer",
            "is the sandbox, but endpoints of another provider are written out; remove one or \
             the other",
        )),
        (None, Some(_)) => Err(s.refuse(
            "issuer",
            "is missing; write what your identity provider puts into `iss`, to the letter",
        )),
        (Some(_), None) => discovered(s, allow_http),
        (Some(issuer), Some(endpoints)) => Ok(written_out(s, issuer, endpoints, allow_http)),
    }
}

/// The issuer is an address here: the endpoints are found below it.
fn discovered(s: &Section<'_>, allow_http: bool) -> Read<ProviderConfig> {
    let issuer = s.required("issuer", "", values::http_url)?;
    check_transport(s, "issuer", &issuer, allow_http);
    Ok(ProviderConfig::Discover { issuer })
}

/// The issuer is only text here: `iss` must equal it.
fn written_out(
    s: &Section<'_>,
    issuer: &str,
    endpoints: Endpoints,
    allow_http: bool,
) -> ProviderConfig {
    for (key, url) in [
        ("authorize_url", &endpoints.authorize_url),
        ("token_url", &endpoints.token_url),
        ("jwks_url", &endpoints.jwks_url),
    ] {
        check_transport(s, key, url, allow_http);
    }
    if let Some(url) = &endpoints.revocation_url {
        check_transport(s, "revocation_url", url, allow_http);
    }
    ProviderConfig::Explicit(ProviderEndpoints {
        issuer: issuer.to_owned(),
        authorize_url: endpoints.authorize_url,
        token_url: endpoints.token_url,
        jwks_url: endpoints.jwks_url,
        end_session_url: endpoints.end_session_url,
        revocation_url: endpoints.revocation_url,
        iss_in_response: endpoints.iss_in_response,
    })
}

fn refresh(s: &Section<'_>) -> Read<RefreshConfig> {
    let remedy =
        "write where a refresh token is exchanged, such as \"https://api.example/auth/refresh\"";
    let allow_http = s.defaulted("allow_http", |v| v.boolean(), false);
    let url = s.required("url", remedy, values::endpoint);
    let field = |key, usual: &str| s.defaulted_with(key, values::word, || Ok(usual.to_owned()));
    let send = field("send", "refresh_token");
    let access_token = field("access_token", "access_token");
    let refresh_token = field("refresh_token", "refresh_token");
    let expires_in = field("expires_in", "expires_in");

    let url = url?;
    check_transport(s, "url", &url, allow_http?);
    Ok(RefreshConfig {
        url,
        send: send?,
        access_token: access_token?,
        refresh_token: refresh_token?,
        expires_in: expires_in?,
    })
}

/// Nothing when no endpoint is written; else the three that sign-in cannot do without.
fn endpoints(s: &Section<'_>) -> Read<Option<Endpoints>> {
    const REMEDY: &str =
        "write it beside the other endpoints, or remove those and let `issuer` lead to them";
    for key in ENDPOINT_KEYS {
        s.know(key);
    }
    if !ENDPOINT_KEYS.iter().any(|key| s.has(key)) {
        return Ok(None);
    }
    let authorize_url = s.required("authorize_url", REMEDY, values::endpoint);
    let token_url = s.required("token_url", REMEDY, values::endpoint);
    let jwks_url = s.required("jwks_url", REMEDY, values::endpoint);
    let end_session_url = s.optional("end_session_url", values::endpoint);
    let revocation_url = s.optional("revocation_url", values::endpoint);
    let iss_in_response = s.defaulted("iss_in_response", |v| v.boolean(), false);

    Ok(Some(Endpoints {
        authorize_url: authorize_url?,
        token_url: token_url?,
        jwks_url: jwks_url?,
        end_session_url: end_session_url?,
        revocation_url: revocation_url?,
        iss_in_response: iss_in_response?,
    }))
}

/// Whoever can change what passes in the clear can sign in as anybody.
fn check_transport(s: &Section<'_>, key: &str, url: &Url, allow_http: bool) {
    if values::in_the_clear(url) && !allow_http {
        s.refuse(
            key,
            "would let sign-in pass in the clear; write an https URL, or `allow_http = true` if \
             the network on the way is yours",
        );
    }
}
