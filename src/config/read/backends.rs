//! `[backends.<name>]`: the services behind Breezeway.

use std::{collections::BTreeMap, time::Duration};

use super::House;
use crate::config::{
    model::{BackendAuth, BackendConfig, BackendUrl, TenantRule, Timeouts},
    section::{Read, Section, Value, all},
    values,
};

pub(super) fn backends(
    root: &Section<'_>,
    house: &House<'_>,
) -> Read<BTreeMap<String, BackendConfig>> {
    all(root.named("backends").into_iter().map(|(name, value)| {
        let backend = value.table(|s| backend(s, name, house))?;
        Ok((name.to_owned(), backend))
    }))
}

fn backend(s: &Section<'_>, name: &str, house: &House<'_>) -> Read<BackendConfig> {
    let url =
        s.required("url", "write the backend's address, such as \"https://crm.example\"", |v| {
            backend_url(v, house)
        });
    let auth = s.defaulted_with("auth", |v| v.list(credentials), || Ok(vec![BackendAuth::Session]));
    let allow_http = s.defaulted("allow_http", |v| v.boolean(), false);
    let tenant = s.optional_section("tenant", tenant);
    let csrf = s.optional("csrf", csrf);
    let public_paths = s.defaulted("public_paths", |v| v.list(public_path), Vec::new());
    let timeouts = s.section("timeouts", timeouts);

    let (url, auth) = (url?, auth?);
    check_auth(s, &auth);
    check_transport(s, &url, &auth, allow_http?);
    csrf?;
    Ok(BackendConfig {
        name: name.to_owned(),
        url,
        auth,
        tenant: tenant?.unwrap_or_default(),
        public_paths: public_paths?,
        timeouts: timeouts?,
    })
}

fn backend_url(value: &Value<'_>, house: &House<'_>) -> Read<BackendUrl> {
    let text = values::text(value)?;
    match text.as_str() {
        "sandbox" if house.sandbox => Ok(BackendUrl::Sandbox),
        "sandbox" => Err(value.refuse(
            "is the sandbox, which is not enabled; write `enabled = true` under `[sandbox]`, or \
             the address of your own backend",
        )),
        _ => values::http_url_in(value, &text).map(BackendUrl::Url),
    }
}

/// One entry of `auth`. Not repeated in messages: it may be a token in the wrong place.
fn credentials(value: &Value<'_>) -> Read<BackendAuth> {
    const OPTIONS: &str = "`\"session\"`, `{ bearer = \"…\" }` or `\"none\"`";
    if value.is_table() {
        return value.table(|s| {
            let bearer = s.required("bearer", "write `{ bearer = \"${NAME}\" }`", values::token);
            bearer.map(BackendAuth::Bearer)
        });
    }
    match values::text(value)?.as_str() {
        "session" => Ok(BackendAuth::Session),
        "none" => Ok(BackendAuth::None),
        later @ ("client_credentials" | "caller") => {
            Err(value.refuse(&format!("`{later}` is not available in this version; use {OPTIONS}")))
        }
        _ => Err(value.refuse(&format!("is not a way to authenticate; write {OPTIONS}"))),
    }
}

/// `"none"` always applies, so nothing after it would ever be tried.
fn check_auth(s: &Section<'_>, auth: &[BackendAuth]) {
    let Some((_, before_last)) = auth.split_last() else {
        s.refuse("auth", "is empty; write `[\"none\"]` for a backend without credentials");
        return;
    };
    if before_last.iter().any(|entry| matches!(entry, BackendAuth::None)) {
        s.refuse("auth", "has entries after `\"none\"`, which are never tried; write it last");
    }
}

fn check_transport(s: &Section<'_>, url: &BackendUrl, auth: &[BackendAuth], allow_http: bool) {
    let BackendUrl::Url(url) = url else { return };
    if values::in_the_clear(url) && values::sends_credentials(auth) && !allow_http {
        s.refuse(
            "url",
            "would send credentials in the clear; write an https URL, or `allow_http = true` if \
             the network on the way is yours",
        );
    }
}

fn tenant(s: &Section<'_>) -> Read<TenantRule> {
    let query = s.optional("query", values::word);
    let header = s.optional("header", values::header_name);
    s.not_yet("body", "use `query` or `header`");

    let rule = TenantRule { query: query?, header: header? };
    if rule == TenantRule::default() && !s.has("body") {
        return Err(s.refuse_table(
            "says nowhere to write the tenant; write `{ query = \"tenant_id\" }` or \
             `{ header = \"X-Tenant-Id\" }`, or remove it",
        ));
    }
    Ok(rule)
}

/// Only one mode so far, so there is nothing to keep.
fn csrf(value: &Value<'_>) -> Read<()> {
    match values::text(value)?.as_str() {
        "none" => Ok(()),
        _ => Err(value.refuse(
            "other modes than `none` are not available in this version; use `csrf = \"none\"`",
        )),
    }
}

fn public_path(value: &Value<'_>) -> Read<String> {
    let path = values::path(value)?;
    if path == "/" {
        return Err(value.refuse(
            "would open the whole backend; write the paths to open, or `auth = [\"none\"]`",
        ));
    }
    Ok(path)
}

fn timeouts(s: &Section<'_>) -> Read<Timeouts> {
    let connect = s.defaulted("connect", values::span, Duration::from_secs(5));
    let first_byte = s.defaulted("first_byte", values::span, Duration::from_secs(60));
    let idle = s.defaulted("idle", values::span, Duration::from_secs(120));
    Ok(Timeouts { connect: connect?, first_byte: first_byte?, idle: idle? })
}
