//! `[backends.<name>]`: the services behind Breezeway.

use std::{collections::BTreeMap, time::Duration};

use super::{House, machine};
use crate::config::{
    model::{BackendAuth, BackendConfig, BackendUrl, CsrfRule, TenantRule, Timeouts},
    section::{Read, Section, Value, all},
    values,
};

/// Where Drupal's AI chatbot module has its route.
const DEEPCHAT: &str = "/api/deepchat";
const MAX_BODY: u64 = 100 << 20;

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
    let stream_paths = s.defaulted("stream_paths", |v| v.list(values::path), Vec::new());
    let registration =
        s.optional_section("client_credentials", |s| machine::registration(s, house));
    let forward_cookies = s.defaulted("forward_cookies", |v| v.list(values::word), Vec::new());
    let openapi = s.optional("openapi", values::path);
    let forward_headers = s.defaulted("forward_headers", headers, Vec::new());
    let expose_headers = s.defaulted("expose_headers", headers, Vec::new());
    let show_errors = s.defaulted("show_errors", |v| v.boolean(), false);
    let max_body = s.defaulted("max_body", values::size, MAX_BODY);
    let timeouts = s.section("timeouts", timeouts);

    let (url, auth, registration) = (url?, auth?, registration?);
    check_auth(s, &auth);
    let forward_cookies: Vec<String> = forward_cookies?;
    check_machine(s, &auth, registration.is_some() || house.machine);
    if !forward_cookies.is_empty() && !uses_machine(&auth) {
        s.refuse("forward_cookies", "has no effect without `\"client_credentials\"` in `auth`");
    }
    check_transport(s, &url, &auth, allow_http?);
    Ok(BackendConfig {
        name: name.to_owned(),
        url,
        auth,
        tenant: tenant?.unwrap_or_default(),
        csrf: csrf?.flatten(),
        public_paths: public_paths?,
        stream_paths: stream_paths?,
        registration,
        forward_cookies,
        openapi: openapi?,
        forward_headers: forward_headers?,
        expose_headers: expose_headers?,
        show_errors: show_errors?,
        max_body: max_body?,
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
    const OPTIONS: &str = "`\"session\"`, `\"client_credentials\"`, `{ bearer = \"…\" }`, \
                           `{ header = \"…\", value = \"…\" }`, `\"caller\"` or `\"none\"`";
    if value.is_table() {
        return value.table(secret);
    }
    match values::text(value)?.as_str() {
        "session" => Ok(BackendAuth::Session),
        "caller" => Ok(BackendAuth::Caller),
        "none" => Ok(BackendAuth::None),
        "client_credentials" => Ok(BackendAuth::ClientCredentials),
        _ => Err(value.refuse(&format!("is not a way to authenticate; write {OPTIONS}"))),
    }
}

/// `{ bearer = "…" }` or `{ header = "…", value = "…" }`.
fn secret(s: &Section<'_>) -> Read<BackendAuth> {
    if !s.has("header") {
        s.know("header");
        s.know("value");
        let bearer = s.required("bearer", "write `{ bearer = \"${NAME}\" }`", values::token);
        return bearer.map(BackendAuth::Bearer);
    }
    let name = s.required("header", "write the header's name", values::header_name);
    let value = s.required("value", "write `value = \"${NAME}\"`", values::token);
    Ok(BackendAuth::Header { name: name?, value: value? })
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

/// Our own token needs a registration to be had with.
fn check_machine(s: &Section<'_>, auth: &[BackendAuth], is_registered: bool) {
    if uses_machine(auth) && !is_registered {
        s.refuse(
            "auth",
            "uses `\"client_credentials\"`, but there is no registration; write `[machine]`, or \
             `client_credentials = { client_id = \"…\", client_secret = \"${NAME}\" }` here",
        );
    }
    if s.has("client_credentials") && !uses_machine(auth) {
        s.refuse(
            "client_credentials",
            "has no effect; write `\"client_credentials\"` into `auth`, or remove it",
        );
    }
}

fn uses_machine(auth: &[BackendAuth]) -> bool {
    auth.iter().any(|entry| matches!(entry, BackendAuth::ClientCredentials))
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
    let body = s.optional("body", values::word);

    let rule = TenantRule { query: query?, header: header?, body: body? };
    if rule == TenantRule::default() {
        return Err(s.refuse_table(
            "says nowhere to write the tenant; write `{ query = \"tenant_id\" }`, \
             `{ header = \"X-Tenant-Id\" }` or `{ body = \"tenant_id\" }`, or remove it",
        ));
    }
    Ok(rule)
}

/// A word, or a table that tells the paths or the header.
fn csrf(value: &Value<'_>) -> Read<Option<CsrfRule>> {
    if value.is_table() {
        return value.table(csrf_table).map(Some);
    }
    match values::text(value)?.as_str() {
        "none" => Ok(None),
        "drupal" => Ok(Some(CsrfRule::Drupal { paths: vec![DEEPCHAT.to_owned()] })),
        _ => Err(value.refuse(
            "is not a mode; write `\"drupal\"`, \
             `{ header = \"X-CSRF-Token\", url = \"/session/token\" }` or `\"none\"`",
        )),
    }
}

fn csrf_table(s: &Section<'_>) -> Read<CsrfRule> {
    const REMEDY: &str = "write `{ header = \"X-CSRF-Token\", url = \"/session/token\" }`";
    if s.has("drupal") {
        let paths = s.required("drupal", REMEDY, |v| v.list(values::path_without_slash))?;
        if paths.is_empty() {
            return Err(s.refuse("drupal", "names no path; write `csrf = \"drupal\"`"));
        }
        return Ok(CsrfRule::Drupal { paths });
    }
    s.know("drupal");
    let name = s.required("header", REMEDY, values::header_name);
    let path = s.required("url", REMEDY, values::path);
    Ok(CsrfRule::Header { name: name?, path: path? })
}

fn headers(value: &Value<'_>) -> Read<Vec<String>> {
    value.list(values::header_name)
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
