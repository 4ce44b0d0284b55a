//! What a file means, and what is said about one that is wrong.

use std::{path::Path, time::Duration};

use secrecy::ExposeSecret as _;

use super::*;

const CHECKED_IN: &str = include_str!("../../Leptos.toml");

/// Something in every table; no secret, so that its description is a file again.
const EVERYTHING: &str = r##"
[package.metadata.leptos]
output-name = "breezeway"
site-addr = "127.0.0.1:3000"

[server]
address = "0.0.0.0:8080"
public_url = "https://app.example"
data_dir = "/var/lib/breezeway"
trusted_proxies = ["10.0.0.7", "10.1.0.0/16", "::1"]
threads = 2

[session]
idle = "90m"
absolute = "36h"

[auth]
issuer = "https://id.example/realms/staff"
authorize_url = "https://id.example/authorize?policy=staff"
token_url = "https://id.example/token"
jwks_url = "http://keys.internal/jwks"
end_session_url = "https://id.example/end"
iss_in_response = true
allow_http = true
client_id = "breezeway"
scopes = ["openid"]
tenant_claim = "org"
roles_claim = "groups"

[auth.refresh]
url = "http://api.internal/auth/refresh"
allow_http = true
send = "refreshToken"
access_token = "data.accessToken"
expires_in = "data.expiresIn"

[limits]
per_address = "5/10s"

[machine]
client_id = "service"
client_secret = "[redacted]"
scopes = ["api"]
audience = "crm"
resource = "https://crm.example"
tenant = "harbor"
roles = ["service"]

[sandbox]
enabled = true

[backends.crm]
url = "http://crm.internal/base"
allow_http = true
auth = ["session", "client_credentials", "caller", "none"]
tenant = { query = "tenant", header = "X-Tenant-Id", body = "tenant" }
csrf = { header = "X-CSRF-Token", url = "/session/token" }
public_paths = ["/auth/password-reset"]
stream_paths = ["/v1/completions"]
forward_headers = ["X-Api-Version"]
expose_headers = ["X-Rate-Left"]
forward_cookies = ["affinity"]
show_errors = true
max_body = "1536KiB"
client_credentials = { token_url = "http://id.internal/token", allow_http = true, client_id = "c", client_secret = "[redacted]" }
timeouts = { connect = "250ms", first_byte = "2m", idle = "1h" }

[backends.demo]
url = "sandbox"
csrf = "drupal"
auth = ["session", "client_credentials"]
client_credentials = { token_url = "sandbox" }

[backends.keyed]
url = "https://llm.example"
auth = [{ header = "X-Api-Key", value = "[redacted]" }]

[proxy]
backend = "crm"

[assistants.guide]
title = "Guide"
provider = "openai"
backend = "demo"
path = "/v2/completions"
model = "guide-1"
system = """
Say "$${NAME}" \\ and
stop."""
greeting = "Hello"
suggestions = ["One", "Two"]
temperature = 0.25
max_tokens = 1000
tools = ["django-crm.contacts:read", "billing.payment-methods:read,create,update"]

[assistants.agent]
provider = "drupal"
backend = "keyed"
model = "helper"
processor = "ai_agent"

[assistants.plain]
provider = "json"
backend = "keyed"
path = "/api/chat"

[chat]
default = "guide"

[channels.web]
tokens = ["[redacted]", { token = "[redacted]", assistant = "guide" }]
assistant = "guide"
origins = ["https://www.example"]
tenant = "harbor"
rate = "5/10s"

[channels.hooks]
webhook = "signed"
secret = "[redacted]"
url = "http://hooks.internal/reply"
allow_http = true

[channels.slack]
webhook = "slack"
secret = "[redacted]"
token = "[redacted]"
tenant = "harbor"

[channels.telegram]
webhook = "telegram"
secret = "[redacted]"
token = "[redacted]"
assistant = "guide"

[jobs]
cron_secret = "[redacted]"
every = "5m"

[groups.django-crm]
title = "CRM"

[groups.empty]

[resources.django-crm.contacts]
backend = "crm"
path = "/api/contacts"
title = "People"
singular = "person"
style = "plain"
roles = { all = ["admin"], read = ["admin", "member"] }
actions = ["list", "read"]
id = "uuid"
fields = [
  "name",
  { name = "owner.name", label = "Owner" },
  { name = "value", type = "money", list = false, sortable = true },
]

[resources.billing.payment-methods]
backend = "demo"
path = "/api/billing/payment-methods"
fields = ["last_used"]
"##;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::from_text(Path::new("Leptos.toml"), text, &environment(variables))
}

#[track_caller]
fn config_with(text: &str, variables: &[(&str, &str)]) -> Config {
    read_with(text, variables).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn config(text: &str) -> Config {
    config_with(text, &[])
}

/// The one problem of `text`.
#[track_caller]
fn problem_with(text: &str, variables: &[(&str, &str)]) -> Problem {
    let problems = read_with(text, variables).unwrap_err();
    let [problem] = problems.problems.as_slice() else {
        panic!("not one problem:\n{problems}");
    };
    problem.clone()
}

#[track_caller]
fn assert_problem(text: &str, line: usize, key: &str, what: &str) {
    let problem = problem_with(text, &[]);
    assert_eq!((problem.line, problem.key.as_str()), (Some(line), key), "{text}\n{problem:?}");
    assert!(problem.what.contains(what), "{text}\n{problem:?}");
}

/// A problem on the last line of `[table]` and `lines`.
#[track_caller]
fn assert_refused(table: &str, lines: &str, key: &str, what: &str) {
    let text = format!("[{table}]\n{lines}");
    assert_problem(&text, text.lines().count(), &format!("{table}.{key}"), what);
}

const CRM: &str = "url = \"https://crm.example\"\n";

#[track_caller]
fn assert_backend_refused(line: &str, key: &str, what: &str) {
    assert_refused("backends.crm", &format!("{CRM}{line}"), key, what);
}

// === what a file means ===

#[test]
fn an_empty_file_runs_on_the_sandbox() {
    let config = config("");

    assert_eq!(config.server.address.to_string(), "127.0.0.1:3000");
    assert_eq!(config.server.origin(), "http://127.0.0.1:3000");
    assert_eq!(config.server.data_dir, Path::new("data"));
    assert!(config.server.database_url.is_none());
    assert!(config.server.trusted_proxies.is_empty());
    assert!(config.server.threads >= 1);
    assert_eq!(config.session.idle, Duration::from_secs(8 * 60 * 60));
    assert_eq!(config.session.absolute, Duration::from_secs(7 * 24 * 60 * 60));
    assert!(config.session.keys.is_empty());
    assert!(config.sandbox.enabled);
    let auth = config.auth.unwrap();
    assert!(matches!(auth.provider, ProviderConfig::Sandbox));
    assert_eq!(auth.client_id, "");
    assert_eq!(auth.scopes, ["openid", "profile", "offline_access"]);
    assert_eq!(auth.tenant_claim, "tenant_id");
    assert_eq!(auth.roles_claim, "roles");
    assert!(config.backends.is_empty() && config.assistants.is_empty());
    assert!(config.proxy.is_none() && config.chat.is_none());
    assert!(config.groups.is_empty() && config.resources.is_empty());
}

#[test]
fn the_checked_in_file_runs_on_the_sandbox() {
    let config = config(CHECKED_IN);

    assert!(config.sandbox.enabled);
    assert_eq!(config.backends["sandbox"].url, BackendUrl::Sandbox);
    assert_eq!(config.backends["sandbox"].tenant.query.as_deref(), Some("tenant_id"));
    assert_eq!(config.proxy.unwrap().backend, "sandbox");
    assert_eq!(config.assistants["sandbox"].model, "sandbox-guide");
    assert_eq!(config.chat.unwrap().default, "sandbox");
}

/// The names of the built site stand in two files, because two tools read them.
#[test]
fn the_checked_in_file_agrees_with_the_manifest() {
    let ours: toml::Table = toml::from_str(CHECKED_IN).unwrap();
    let manifest: toml::Table = toml::from_str(include_str!("../../Cargo.toml")).unwrap();
    let keys =
        ["output-name", "site-root", "site-pkg-dir", "site-addr", "reload-port", "hash-files"];
    for key in keys {
        let leptos = |file: &toml::Table| file["package"]["metadata"]["leptos"][key].clone();
        assert_eq!(leptos(&ours), leptos(&manifest), "{key}");
    }
}

#[test]
fn every_key_is_read() {
    let config = config(EVERYTHING);

    assert!(config.server.is_https());
    assert_eq!(config.server.trusted_proxies.len(), 3);
    assert_eq!(config.session.idle, Duration::from_secs(90 * 60));
    let auth = config.auth.unwrap();
    let ProviderConfig::Explicit(endpoints) = auth.provider else {
        panic!("endpoints are written out");
    };
    assert_eq!(endpoints.issuer, "https://id.example/realms/staff");
    assert_eq!(endpoints.authorize_url.query(), Some("policy=staff"));
    assert!(endpoints.iss_in_response && endpoints.revocation_url.is_none());

    let crm = &config.backends["crm"];
    assert_eq!(crm.name, "crm");
    assert!(matches!(
        crm.auth.as_slice(),
        [
            BackendAuth::Session,
            BackendAuth::ClientCredentials,
            BackendAuth::Caller,
            BackendAuth::None
        ]
    ));
    assert_eq!(crm.tenant.body.as_deref(), Some("tenant"));
    let header = CsrfRule::Header { name: "x-csrf-token".into(), path: "/session/token".into() };
    assert_eq!(crm.csrf, Some(header));
    assert_eq!(crm.stream_paths, ["/v1/completions"]);
    assert_eq!(crm.forward_headers, ["x-api-version"]);
    assert_eq!(crm.expose_headers, ["x-rate-left"]);
    assert_eq!(crm.forward_cookies, ["affinity"]);
    assert!(crm.show_errors);
    assert_eq!(crm.max_body, 1536 << 10);
    assert!(matches!(crm.registration.as_ref().unwrap().endpoint, MachineEndpoint::Url(_)));
    assert_eq!(crm.tenant.query.as_deref(), Some("tenant"));
    assert_eq!(crm.tenant.header.as_deref(), Some("x-tenant-id"));
    assert_eq!(crm.public_paths, ["/auth/password-reset"]);
    assert_eq!(crm.timeouts.connect, Duration::from_millis(250));
    let demo = &config.backends["demo"];
    assert_eq!(demo.csrf, Some(CsrfRule::Drupal { paths: vec!["/api/deepchat".into()] }));
    assert_eq!(demo.registration.as_ref().unwrap().endpoint, MachineEndpoint::Sandbox);
    assert_eq!(demo.max_body, 100 << 20);
    assert_eq!(config.limits.per_address.count.get(), 5);
    assert_eq!(config.limits.per_account.per, Duration::from_secs(60));
    let machine = config.machine.unwrap();
    assert_eq!(machine.registration.endpoint, MachineEndpoint::Provider);
    assert_eq!(machine.tenant.as_deref(), Some("harbor"));
    assert_eq!(auth.refresh.unwrap().access_token, "data.accessToken");
    assert_eq!(demo.timeouts.idle, Duration::from_secs(120));

    let [web] = config.widgets.as_slice() else { panic!("one widget") };
    assert_eq!(web.tokens.len(), 2);
    assert_eq!(web.tokens[1].assistant.as_deref(), Some("guide"));
    assert_eq!(web.origins, ["https://www.example"]);
    assert_eq!(config.webhooks.len(), 3);
    assert_eq!(config.webhooks["slack"].url.host_str(), Some("slack.com"));
    assert!(matches!(config.webhooks["hooks"].scheme, WebhookScheme::Signed { .. }));
    assert_eq!(config.jobs.every, Duration::from_secs(300));

    let guide = &config.assistants["guide"];
    assert_eq!(guide.provider, ChatProvider::OpenAi);
    assert_eq!(guide.system.as_deref(), Some("Say \"${NAME}\" \\ and\nstop."));
    assert_eq!(guide.suggestions, ["One", "Two"]);
    assert_eq!((guide.temperature, guide.max_tokens), (Some(0.25), Some(1_000)));
    let agent = &config.assistants["agent"];
    assert_eq!(
        (agent.path.as_str(), agent.processor.as_deref()),
        ("/api/deepchat", Some("ai_agent"))
    );
    assert_eq!(config.assistants["plain"].model, "");
    let keyed = config.backends["keyed"].auth.as_slice();
    assert!(matches!(keyed, [BackendAuth::Header { name, .. }] if name == "x-api-key"));
}

#[test]
fn resources_keep_the_order_of_the_file_and_get_titles() {
    let config = config(EVERYTHING);

    let titles: Vec<_> =
        config.groups.iter().map(|(name, group)| (name.as_str(), group.title.as_str())).collect();
    assert_eq!(titles, [("billing", "Billing"), ("django-crm", "CRM"), ("empty", "Empty")]);
    let [contacts, methods] = config.resources.as_slice() else {
        panic!("two resources");
    };
    assert_eq!((contacts.group.as_str(), contacts.name.as_str()), ("django-crm", "contacts"));
    assert_eq!((contacts.style.name, contacts.id.as_str()), (Some("plain"), "uuid"));
    assert_eq!((methods.title.as_str(), methods.style.name), ("Payment methods", Some("drf")));
    assert_eq!(methods.fields[0].label, "Last used");
    assert_eq!(
        (contacts.singular.as_str(), methods.singular.as_str()),
        ("person", "payment method")
    );
    assert_eq!(contacts.roles[&Action::Read], ["admin", "member"]);
    assert_eq!(contacts.roles[&Action::List], ["admin"]);

    let [name, owner, value] = &*contacts.fields else {
        panic!("three fields");
    };
    assert!(name.label == "Name" && name.kind == FieldKind::Text && name.in_list);
    assert!(owner.label == "Owner" && !owner.sortable);
    assert!(value.kind == FieldKind::Money { currency: None } && !value.in_list && value.sortable);
}

const ALL_FIELDS: &str = r##"
[backends.crm]
url = "https://crm.example"

[resources.crm.companies]
backend = "crm"
path = "/companies"

[resources.crm.deals]
backend = "crm"
path = "/deals"
style = { like = "drf", size = "limit", first = 0, total_header = "X-Total", always = ["a=b"] }
fields = [
  { name = "name", required = true, min_length = 2, max_length = 80, pattern = "[A-Z].*", hint = "A capital" },
  { name = "stage", type = "choice", choices = ["open", { value = "won", label = "Closed", tone = "good" }], filterable = true },
  { name = "tags", type = "multi-choice", choices = ["a", "b"], help = "Some" },
  { name = "company", type = "relation", resource = "crm.companies", show = "company_name" },
  { name = "amount", type = "money", currency = "EUR", min = 0, max = 9.5, total = true, default = "1" },
  { name = "due", type = "date", min = "2020-01-01", list = false },
  { name = "photo", type = "image", accept = ["image/*"], max_size = "2MiB" },
  { name = "changed", type = "datetime", read_only = true, detail = false },
]
"##;

#[test]
fn fields_have_types_rules_and_places() {
    let config = config(ALL_FIELDS);
    let [companies, deals] = config.resources.as_slice() else { panic!("two resources") };
    assert!(companies.fields.is_empty());
    let [name, stage, tags, company, amount, due, photo, changed] = &*deals.fields else {
        panic!("eight fields");
    };
    let rules = &name.rules;
    assert!(rules.required && rules.min_length == Some(2) && rules.max_length == Some(80));
    assert_eq!(
        (rules.pattern.as_deref(), rules.hint.as_deref()),
        (Some("[A-Z].*"), Some("A capital"))
    );
    let labels: Vec<_> =
        stage.kind.choices().iter().map(|it| (it.label.as_str(), it.tone)).collect();
    assert_eq!(labels, [("Open", Tone::Plain), ("Closed", Tone::Good)]);
    assert!(stage.filterable && tags.help.as_deref() == Some("Some"));
    assert!(matches!(&company.kind, FieldKind::Relation(to) if to.name == "companies"));
    let bounds = (amount.rules.min.as_deref(), amount.rules.max.as_deref());
    assert_eq!((bounds, amount.total), ((Some("0"), Some("9.5")), true));
    assert!(!due.in_list && due.rules.min.as_deref() == Some("2020-01-01"));
    assert!(!photo.in_list && photo.in_form && !changed.in_form && !changed.in_detail);
    assert!(changed.in_list);

    let Paging::Numbers { page, size, first, largest } = &deals.style.paging else {
        panic!("pages by number");
    };
    assert_eq!((page.as_str(), size.as_str(), *first, *largest), ("page", "limit", 0, 200));
    assert!(matches!(&deals.style.total, Total::In(name) if name == "x-total"));
    assert_eq!(deals.style.always, [("a".to_owned(), "b".to_owned())]);
    let again = Config::from_text(Path::new("again.toml"), &config.describe(), &environment(&[]));
    assert_eq!(again.unwrap().describe(), config.describe());
}

#[test]
fn fields_and_styles_are_checked() {
    let head = "[backends.b]\nurl = \"https://b.example\"\n[resources.g.r]\nbackend = \"b\"\npath = \"/r\"\n";
    let refused = |line: &str, key: &str, what: &str| {
        assert_problem(&format!("{head}{line}"), 6, &format!("resources.g.r.{key}"), what);
    };
    let field = |keys: &str| format!("fields = [{{ name = \"a\", {keys} }}]");
    refused(&field("type = \"choice\""), "fields.choices", "is missing");
    refused(&field("type = \"choice\", choices = []"), "fields.choices", "is empty");
    refused(&field("type = \"relation\", resource = \"g.q\""), "fields.resource", "`g.r`");
    refused(&field("min = 1"), "fields.min", "numbers or days");
    refused(&field("type = \"date\", min = \"soon\""), "fields.min", "is not a day");
    refused(&field("pattern = \"(\""), "fields.pattern", "not a regular expression");
    refused(&field("total = true"), "fields.total", "needs a field of numbers");
    refused(&field("type = \"money\", currency = \"euro\""), "fields.currency", "three letters");
    refused(&field("choices = [\"a\"]"), "fields.choices", "unknown key `choices`");
    refused("roles = { red = [\"a\"] }", "roles.red", "`read`");
    refused("style = { page = \"p\" }", "style", "half of a way of paging");
    refused("style = { page = \"p\", offset = \"o\" }", "style.offset", "the other way of paging");
    refused("style = { order = \"o\" }", "style.order", "needs `sort`");
    refused(
        "style = { total = \"a\", total_header = \"b\" }",
        "style.total_header",
        "beside `total`",
    );
    refused("style = { first = 2 }", "style.first", "out of range");
}

#[test]
fn every_icon_is_drawn() {
    let sprite = include_str!("../../public/icons.svg");
    for (name, _) in super::values::ICONS {
        assert!(sprite.contains(&format!("<symbol id=\"{name}\"")), "{name}");
    }
}

#[test]
fn titles_have_a_singular() {
    for (title, singular) in [
        ("Companies", "company"),
        ("API keys", "API key"),
        ("Access", "access"),
        ("Media", "media"),
    ] {
        let text = format!(
            "[backends.b]\nurl = \"https://b.example\"\n[resources.g.r]\nbackend = \"b\"\n\
             path = \"/r\"\ntitle = \"{title}\""
        );
        assert_eq!(config(&text).resources[0].singular, singular);
    }
}

#[test]
fn an_issuer_alone_is_discovered() {
    let config = config(
        "[sandbox]\nenabled = false\n[auth]\nissuer = \"https://id.example\"\nclient_id = \"b\"",
    );
    let provider = config.auth.unwrap().provider;
    assert!(
        matches!(provider, ProviderConfig::Discover { issuer } if issuer.as_str() == "https://id.example/")
    );
}

#[test]
fn the_sandbox_runs_by_itself_only_on_loopback() {
    let enabled = |url: &str| config(&format!("[server]\npublic_url = \"{url}\"")).sandbox.enabled;
    assert!(enabled("http://localhost:3000"));
    assert!(enabled("http://127.8.9.1"));
    assert!(enabled("http://[::1]:3000"));
    assert!(!enabled("https://app.example"));
    assert!(!enabled("http://192.168.1.4:3000"));
    assert!(!enabled("https://localhost.example"));

    let public = "[server]\npublic_url = \"https://app.example\"\n";
    assert!(config(public).auth.is_none(), "nobody can sign in");
    let written = config(&format!("{public}[sandbox]\nenabled = true"));
    assert!(written.sandbox.enabled && written.auth.is_some());
}

#[test]
fn durations_are_a_number_and_a_unit() {
    for (text, milliseconds) in
        [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("8h", 28_800_000), ("7d", 604_800_000)]
    {
        let span = Duration::from_millis(milliseconds);
        assert_eq!(duration::parse(text), Some(span));
        assert_eq!(duration::write(span), text);
    }
    assert_eq!(duration::write(Duration::from_secs(90)), "90s");
    for text in ["", "s", "10", "10 s", "1.5h", "-1s", "+1s", "10S", "1h30m", "99999999999999999d"]
    {
        assert_eq!(duration::parse(text), None, "{text}");
    }
}

// === values that stand somewhere else ===

#[test]
fn variables_stand_in_any_text() {
    let text = "[backends.crm]\nurl = \"https://${HOST}/${_BASE2}\"";
    let config = config_with(text, &[("HOST", "crm.example"), ("_BASE2", "v1")]);
    let BackendUrl::Url(url) = &config.backends["crm"].url else {
        panic!("a URL");
    };
    assert_eq!(url.as_str(), "https://crm.example/v1");
}

#[test]
fn a_missing_variable_is_told_with_its_name() {
    assert_problem(
        "[backends.crm]\nurl = \"${CRM_URL}\"",
        2,
        "backends.crm.url",
        "needs the environment variable CRM_URL, which is not set",
    );
    assert_backend_refused("auth = [{ bearer = \"${T\" }]", "auth.bearer", "has `${` without its");
    assert_backend_refused("auth = [{ bearer = \"${a-b}\" }]", "auth.bearer", "no variable's name");
    let empty = problem_with("[backends.crm]\nurl = \"${CRM_URL}\"", &[("CRM_URL", "")]);
    assert!(empty.what.contains("is empty"), "{empty:?}");
}

#[test]
fn files_hold_secrets_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "hush\r\n").unwrap();
    let path = folder.path().join("Leptos.toml");
    let auth = "[auth]\nissuer = \"https://id.example\"\nclient_id = \"b\"\n";
    let secret = |written: &str| {
        let text = format!("{auth}client_secret = \"{written}\"");
        let there = folder.path().to_str().unwrap();
        let config = Config::from_text(&path, &text, &environment(&[("THERE", there)]));
        config.map(|config| config.auth.unwrap().client_secret.unwrap().expose_secret().to_owned())
    };

    assert_eq!(secret("file:secret").unwrap(), "hush");
    assert_eq!(secret("file:${THERE}/secret").unwrap(), "hush");
    let problems = secret("file:absent").unwrap_err();
    assert_eq!(problems.problems[0].line, Some(4));
    assert!(problems.to_string().contains("absent, which cannot be read"), "{problems}");
}

// === overrides ===

#[test]
fn variables_override_keys() {
    let text = "[backends.crm]\nurl = \"https://crm.example\"\n\
                [resources.django-crm.contacts]\nbackend = \"crm\"\npath = \"/c\"\nfields = [\"a\"]";
    let config = config_with(
        text,
        &[
            ("BREEZEWAY__SERVER__PUBLIC_URL", "https://app.example"),
            ("BREEZEWAY__server__threads", "3"),
            ("BREEZEWAY__AUTH__ISSUER", "https://id.example"),
            ("BREEZEWAY__AUTH__CLIENT_ID", "12345"),
            ("BREEZEWAY__AUTH__SCOPES", r#"["openid", "email"]"#),
            ("BREEZEWAY__BACKENDS__CRM__TENANT", r#"{ header = "X-Org" }"#),
            ("BREEZEWAY__BACKENDS__CRM__TIMEOUTS__IDLE", "9s"),
            ("BREEZEWAY__RESOURCES__DJANGO_CRM__CONTACTS__TITLE", "People"),
            ("BREEZEWAY_LOG", "not ours"),
        ],
    );

    assert_eq!(config.server.origin(), "https://app.example");
    assert_eq!(config.server.threads, 3);
    assert!(!config.sandbox.enabled);
    let auth = config.auth.unwrap();
    assert_eq!(auth.client_id, "12345");
    assert_eq!(auth.scopes, ["openid", "email"]);
    assert_eq!(config.backends["crm"].tenant.header.as_deref(), Some("x-org"));
    assert_eq!(config.backends["crm"].timeouts.idle, Duration::from_secs(9));
    assert_eq!(config.resources[0].title, "People");
}

#[test]
fn the_address_has_a_variable_of_its_own() {
    let text = "[package.metadata.leptos]\nsite-addr = \"127.0.0.1:4000\"";
    let address =
        |text: &str, variables: &[(&str, &str)]| config_with(text, variables).server.address.port();
    let leptos = ("LEPTOS_SITE_ADDR", "127.0.0.1:4003");
    let ours = ("BREEZEWAY__SERVER__ADDRESS", "127.0.0.1:4002");

    assert_eq!(address(text, &[]), 4000);
    let text = format!("{text}\n[server]\naddress = \"127.0.0.1:4001\"");
    assert_eq!(address(&text, &[]), 4001);
    assert_eq!(address(&text, &[ours]), 4002);
    assert_eq!(address(&text, &[ours, leptos]), 4003);
    assert_eq!(config_with("", &[leptos]).server.origin(), "http://127.0.0.1:4003");
}

#[test]
fn an_override_that_matches_nothing_is_named() {
    let text = "[server]\npublic_url = \"http://localhost\"\n[backends.crm]\nurl = \"https://crm.example\"";
    let told = |name: &str, what: &str| {
        let problem = problem_with(text, &[(name, "x")]);
        assert_eq!((problem.line, problem.key.as_str()), (None, name));
        assert!(problem.what.contains(what), "{problem:?}");
    };
    told("BREEZEWAY__SERVER__THREDS", "sets `server.threds`, which is not a key");
    told("BREEZEWAY__SERVER__THREDS", "did you mean `threads`?");
    told("BREEZEWAY__SERVR__THREADS", "did you mean `server`?");
    told(
        "BREEZEWAY__BACKENDS__CRN__URL",
        "there is no `[backends.crn]` in the file; did you mean `crm`?",
    );
    told("BREEZEWAY__RESOURCES__CRM__CONTACTS__PATH", "there is no `[resources.crm]`");
    told("BREEZEWAY__SERVER__PUBLIC_URL__PORT", "`server.public_url`, which is a value");
    told("BREEZEWAY__SERVER____THREADS", "empty part");
}

#[test]
fn a_wrong_override_names_key_and_variable() {
    let problem = problem_with("[server]\nthreads = 2", &[("BREEZEWAY__SERVER__THREADS", "many")]);
    assert_eq!((problem.line, problem.key.as_str()), (None, "server.threads"));
    assert!(problem.what.ends_with("(set by BREEZEWAY__SERVER__THREADS)"), "{problem:?}");
}

// === what is said about a wrong file ===

#[test]
fn all_problems_are_told_at_once_and_in_order() {
    let text = r#"[server]
public_url = "app.example"
colour = "red"

[session]
idle = "8"

[backends.crm]
url = "https://crm.example#x"
csrf = "drupl"

[proxy]
backend = "crn"
"#;
    let problems = read_with(text, &[("BREEZEWAY__X", "1")]).unwrap_err();
    let lines: Vec<_> = problems.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(2), Some(3), Some(6), Some(9), Some(10), Some(13), None], "{problems}");

    let told = problems.to_string();
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told.len(), 7);
    assert!(told[0].starts_with("Leptos.toml:2: server.public_url: is not a URL; write "));
    assert!(told[5].starts_with("Leptos.toml:13: proxy.backend: there is no `[backends.crn]`"));
    assert!(told[6].starts_with("Leptos.toml: BREEZEWAY__X: "));
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let problems = read_with("[session]\nidle = \"8h\"\nidle = \"9h\"", &[]).unwrap_err();
    assert_eq!(problems.problems[0].line, Some(3));
    assert!(problems.to_string().starts_with("Leptos.toml:3: this is not TOML: "), "{problems}");

    let problems = read_with("[server]\n\naddress = \"127", &[]).unwrap_err();
    assert_eq!(problems.problems[0].line, Some(3), "{problems}");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let problems = Config::load(&folder.path().join("Leptos.toml")).unwrap_err();
    assert!(problems.to_string().ends_with("or name another with --config"), "{problems}");
}

#[test]
fn unknown_keys_are_told_with_the_nearest_known_one() {
    assert_refused(
        "server",
        "public_ulr = \"x\"",
        "public_ulr",
        "unknown key `public_ulr`; did you mean `public_url`?",
    );
    assert_refused("session", "colour = 1", "colour", "write `idle`, `absolute` or `keys`");
    assert_problem("[serve]", 1, "serve", "did you mean `server`?");
    assert_refused("package.metadata.leptos", "site-adr = \"x\"", "site-adr", "`site-addr`");
    assert_backend_refused(
        "tenant = { query = \"t\", qurey = \"t\" }",
        "tenant.qurey",
        "unknown key",
    );
}

#[test]
fn values_of_the_wrong_shape_are_told() {
    assert_problem("server = 1", 1, "server", "is a number; write a table: `[server]`");
    assert_problem("backends = 1", 1, "backends", "write tables: `[backends.<name>]`");
    assert_problem("resources = 1", 1, "resources", "write tables: `[resources.<name>]`");
    assert_refused("server", "threads = \"four\"", "threads", "is text; write a whole number");
    assert_refused("server", "data_dir = true", "data_dir", "is true or false; write text");
    assert_refused("server", "data_dir = 2026-01-01", "data_dir", "is a date");
    assert_refused("server", "trusted_proxies = \"::1\"", "trusted_proxies", "write a list");
    assert_refused("sandbox", "enabled = \"yes\"", "enabled", "write true or false");
    assert_refused("session", "idle = 10", "idle", "write a number and a unit");
}

#[test]
fn the_server_is_checked() {
    let url = |url: &str, what: &str| {
        assert_refused("server", &format!("public_url = \"{url}\""), "public_url", what);
    };
    url("app.example", "is not a URL; write an absolute one");
    url("ftp://app.example", "is not an http or https URL");
    url("https://app.example/portal", "has a path");
    url("https://app.example?a", "has a query");
    url("https://app.example#a", "has a fragment");
    url("https://ada:pw@app.example", "has a user name or password");

    assert_refused("server", "address = \"localhost:3000\"", "address", "is not an address");
    assert_problem(
        "\n[server]\naddress = \"0.0.0.0:3000\"",
        2,
        "server.public_url",
        "the address is every interface",
    );
    assert_refused("server", "threads = 0", "threads", "is out of range");
    let proxies = |what: &str, why| {
        assert_refused(
            "server",
            &format!("trusted_proxies = [\"{what}\"]"),
            "trusted_proxies",
            why,
        );
    };
    proxies("proxy.internal", "is not an IP address or network");
    proxies("0.0.0.0/0", "is every address there is");
    proxies("::/0", "is every address there is");
    assert_refused("server", "data_dir = \" \"", "data_dir", "is empty");
    for (url, why) in [
        ("postgres://u:1/secret@h/d", "write %40, %23, %2F and %3F"),
        ("postgres://u:?secret@h/d", "a parameter that is not known"),
        ("postgres://u@h/d?sslpassword=secret", "a parameter that is not known"),
        ("postgres://u@h/d#secret", "write %40, %23, %2F and %3F"),
    ] {
        assert_refused("server", &format!("database_url = \"{url}\""), "database_url", why);
    }
    let nowhere = "database_url = \"postgres://a b\"";
    assert_refused("server", nowhere, "database_url", "postgres://user:password@host/database");
    assert_refused("server", "database_url = \"data.db\"", "database_url", "write `sqlite:`");
}

#[test]
fn the_session_is_checked() {
    assert_refused("session", "idle = \"8\"", "idle", "is not a duration");
    assert_refused("session", "idle = \"0s\"", "idle", "is no time at all");
    assert_refused("session", "absolute = \"4000d\"", "absolute", "is longer than ten years");
    assert_refused("session", "idle = \"8d\"", "idle", "is longer than `absolute`");
    assert_refused("session", "keys = [\"c2hvcnQ=\"]", "keys", "is not 32 bytes in base64");
}

#[test]
fn a_channel_nobody_can_answer_is_refused() {
    const REST: &str = "[chat]\ndefault = \"a\"\n[assistants.a]\nprovider = \"openai\"\n\
        backend = \"b\"\nmodel = \"m\"\n[backends.b]\nurl = \"sandbox\"\n";
    let file = |channel: &str, rest: &str| format!("[channels.web]\n{channel}\n{REST}{rest}\n");
    let personal = "takes only what people bring";
    assert_problem(&file("token = \"t\"", ""), 1, "channels.web.assistant", personal);
    let named = file("token = \"t\"\nassistant = \"a\"", "auth = [\"session\", \"caller\"]");
    assert_problem(&named, 3, "channels.web.assistant", personal);
    let by_token = file(
        "tokens = [{ token = \"t\", assistant = \"c\" }]",
        "auth = [\"none\"]\n[backends.d]\nurl = \"sandbox\"\n\
         [assistants.c]\nprovider = \"openai\"\nbackend = \"d\"\nmodel = \"m\"",
    );
    assert_problem(&by_token, 2, "channels.web.tokens", personal);
    let hook =
        file("webhook = \"signed\"\nsecret = \"shh-shh-shh\"\nurl = \"https://x.example\"", "");
    assert_problem(&hook, 1, "channels.web.assistant", personal);
    let tenants = "auth = [\"none\"]\ntenant = { query = \"t\" }";
    assert_problem(&file("token = \"t\"", tenants), 1, "channels.web.tenant", "needs one");
}

#[test]
fn channels_are_checked() {
    const CHAT: &str = "\n[chat]\ndefault = \"a\"\n[assistants.a]\nprovider = \"openai\"\n\
        backend = \"b\"\nmodel = \"m\"\n[backends.b]\nurl = \"sandbox\"\nauth = [\"none\"]\n";
    let nobody = "[channels.web]\ntoken = \"t\"";
    assert_problem(nobody, 1, "channels.web.assistant", "there is no `[chat]`");
    let web = |lines: &str, line, key: &str, what: &str| {
        assert_problem(
            &format!("[channels.web]\n{lines}{CHAT}"),
            line,
            &format!("channels.web.{key}"),
            what,
        );
    };
    web("tenant = \"t\"", 1, "token", "is missing; write `token");
    web("token = \"\"", 2, "token", "is empty");
    web("token = \"a b\"", 2, "token", "no header can carry");
    web("token = \"t\"\norigins = [\"https://a.example/x\"]", 3, "origins", "has a path");
    web("token = \"t\"\nassistant = \"x\"", 3, "assistant", "there is no `[assistants.x]`");
    web("secret = \"s\"\nwebhook = \"irc\"", 3, "webhook", "write `signed`, `slack` or `telegram`");
    let signed = "webhook = \"signed\"\nsecret = ";
    for weak in ["whsec_", "whsec_AAAA", "whsec_not-base64", "short"] {
        let lines = format!("{signed}\"{weak}\"\nurl = \"https://x.example\"");
        web(&lines, 3, "secret", "is not a key");
    }
    web(&format!("{signed}\"\"\nurl = \"https://x.example\""), 3, "secret", "is empty");
    web(&format!("{signed}\"long-enough\""), 1, "url", "is missing");
    web(&format!("{signed}\"long-enough\"\nurl = \"http://x.example\""), 4, "url", "in the clear");
    web("webhook = \"slack\"\nsecret = \"s\"", 1, "token", "is missing");
    assert_refused("jobs", "cron_secret = \"\"", "cron_secret", "is empty");
    assert_refused("jobs", "cron_secret = \"  \"", "cron_secret", "is empty");
    let unset = problem_with("[jobs]\ncron_secret = \"${CRON}\"", &[("CRON", "")]);
    assert_eq!(unset.what, "is empty; write a value, or remove the key");
}

#[test]
fn limits_are_checked() {
    for wrong in ["60", "0/1m", "x/1m", "60/", "60/0s", "60/x"] {
        let line = format!("per_address = \"{wrong}\"");
        assert_refused("limits", &line, "per_address", "is not a rate; write a number");
    }
}

#[test]
fn sign_in_is_checked() {
    let endpoints = "authorize_url = \"https://id.example/a\"\n\
                     token_url = \"https://id.example/t\"\n\
                     jwks_url = \"https://id.example/j\"\n";
    let id = "client_id = \"b\"\n";
    let refused = |lines: &str, key: &str, what: &str| assert_refused("auth", lines, key, what);

    refused(&format!("{id}issuer = \"http://id.example\""), "issuer", "in the clear");
    refused(&format!("{id}issuer = \"id\""), "issuer", "is not a URL");
    refused("scopes = [\"openid email\"]", "scopes", "holds white space");
    refused(id, "client_id", "has no effect while the sandbox signs people in");
    refused(&format!("{id}{endpoints}issuer = \"sandbox\""), "issuer", "remove one or the other");

    let alone = "[auth]\nissuer = \"https://id.example\"";
    assert_problem(alone, 1, "auth.client_id", "is missing");
    assert_problem(&format!("[auth]\n{id}{endpoints}"), 1, "auth.issuer", "puts into `iss`");

    let off = "[sandbox]\nenabled = false\n[auth]\nclient_id = \"b\"";
    assert_problem(off, 3, "auth.issuer", "is missing; write your identity provider's issuer");
    assert_problem(&format!("{off}\nissuer = \"sandbox\""), 5, "auth.issuer", "is not enabled");

    let half = "[auth]\nissuer = \"https://id.example\"\nclient_id = \"b\"\ntoken_url = \"https://id.example/t\"";
    let problems = read_with(half, &[]).unwrap_err();
    let keys: Vec<_> = problems.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["auth.authorize_url", "auth.jwks_url"]);
}

#[test]
fn backends_are_checked() {
    assert_problem("[backends.crm]", 1, "backends.crm.url", "is missing; write");
    assert_problem("[backends.CRM]\nurl = \"https://x.example\"", 1, "backends.CRM", "lower-case");
    assert_refused("backends.crm", "url = \"https://x.example/?a\"", "url", "has a query");
    assert_refused("backends.crm", "url = \"http://x.example\"", "url", "in the clear");
    let off = "[sandbox]\nenabled = false\n[backends.crm]\nurl = \"sandbox\"";
    assert_problem(off, 4, "backends.crm.url", "is the sandbox, which is not enabled");

    assert_backend_refused("auth = \"session\"", "auth", "write a list");
    assert_backend_refused("auth = []", "auth", "is empty; write `[\"none\"]`");
    assert_backend_refused("auth = [\"none\", \"session\"]", "auth", "are never tried");
    assert_backend_refused("auth = [\"client_credentials\"]", "auth", "there is no registration");
    let own = "client_credentials = { token_url = \"sandbox\" }";
    assert_backend_refused(own, "client_credentials", "has no effect");
    assert_backend_refused("forward_cookies = [\"a\"]", "forward_cookies", "has no effect");
    assert_backend_refused("auth = [{ bearer = \"a b\" }]", "auth.bearer", "no header can carry");
    assert_backend_refused("tenant = {}", "tenant", "says nowhere to write the tenant");
    assert_backend_refused(
        "tenant = { header = \"Cookie\" }",
        "tenant.header",
        "meaning of its own",
    );
    assert_backend_refused("tenant = { header = \"X T\" }", "tenant.header", "not a header's name");
    assert_backend_refused("csrf = \"django\"", "csrf", "is not a mode");
    assert_backend_refused("csrf = { header = \"X-T\" }", "csrf.url", "is missing");
    assert_backend_refused("csrf = { drupal = [] }", "csrf.drupal", "names no path");
    assert_backend_refused("max_body = \"12\"", "max_body", "is not a size");
    assert_backend_refused("max_body = \"0B\"", "max_body", "is no size at all");
    assert_backend_refused("forward_headers = [\"X_Tenant\"]", "forward_headers", "has a `_`");
    assert_backend_refused(
        "expose_headers = [\"Access-Control-Allow-Origin\"]",
        "expose_headers",
        "meaning of its own",
    );
    for header in ["Cookie", "X-Forwarded-For", "Forwarded", "Authorization", "Host"] {
        let line = format!("forward_headers = [\"{header}\"]");
        assert_backend_refused(&line, "forward_headers", "meaning of its own");
    }
    assert_backend_refused("timeouts = { idle = \"x\" }", "timeouts.idle", "is not a duration");
    for (path, what) in [
        ("auth", "does not begin with `/`"),
        ("/", "would open the whole backend"),
        ("/a/../b", "segment"),
        ("//a", "segment"),
        ("/a b", "white space"),
        ("/%2e", "`%`"),
        ("/a?b", "has a query"),
    ] {
        assert_backend_refused(&format!("public_paths = [\"{path}\"]"), "public_paths", what);
    }
}

#[test]
fn plain_http_needs_a_word_only_where_credentials_travel() {
    config("[backends.crm]\nurl = \"http://127.0.0.1:8000\"");
    config("[backends.crm]\nurl = \"http://crm.internal\"\nauth = [\"none\"]");
    config("[backends.crm]\nurl = \"http://crm.internal\"\nallow_http = true");
}

#[test]
fn names_point_at_what_exists() {
    let crm = "[backends.crm]\nurl = \"https://crm.example\"\n";
    assert_problem(
        &format!("{crm}[proxy]\nbackend = \"crmm\""),
        4,
        "proxy.backend",
        "did you mean `crm`?",
    );
    assert_problem(&format!("{crm}[proxy]"), 3, "proxy.backend", "is missing");
    assert_problem(
        "[chat]\ndefault = \"a\"",
        2,
        "chat.default",
        "there is no `[assistants.a]`; add it",
    );
    let assistant = "[assistants.a]\nprovider = \"openai\"\nmodel = \"m\"\nbackend = \"crn\"";
    assert_problem(&format!("{crm}{assistant}"), 6, "assistants.a.backend", "no `[backends.crn]`");
    let resource = "[resources.g.r]\npath = \"/r\"\nfields = [\"a\"]\nbackend = \"x\"";
    assert_problem(&format!("{crm}{resource}"), 6, "resources.g.r.backend", "write `crm`");

    // A backend that is itself wrong is still a backend: its mistake is told once.
    assert_problem(
        "[backends.crm]\nurl = \"x\"\n[proxy]\nbackend = \"crm\"",
        2,
        "backends.crm.url",
        "URL",
    );
}

#[test]
fn assistants_are_checked() {
    let crm = "[backends.crm]\nurl = \"https://crm.example\"\n[assistants.a]\nbackend = \"crm\"\n";
    let refused = |lines: &str, line, key: &str, what: &str| {
        assert_problem(&format!("{crm}{lines}"), line, &format!("assistants.a.{key}"), what);
    };
    refused("provider = \"openai\"", 3, "model", "is missing");
    refused("model = \"m\"", 3, "provider", "is missing; write `provider = \"openai\"`");
    refused("provider = \"anthropic\"", 3, "model", "is missing; write the model's name");
    refused("provider = \"drupal\"", 3, "model", "is missing; write the assistant's machine name");
    refused("provider = \"json\"", 3, "path", "is missing; write where the backend takes messages");
    let openai = "model = \"m\"\nprovider = \"openai\"\n";
    refused(&format!("{openai}temperature = 2.5"), 7, "temperature", "write a number from 0 to 2");
    refused(&format!("{openai}temperature = \"hot\""), 7, "temperature", "is text; write a number");
    refused(&format!("{openai}max_tokens = 0"), 7, "max_tokens", "is out of range");
    refused(&format!("{openai}processor = \"x\""), 7, "processor", "only Drupal has processors");
    let drupal = "model = \"m\"\nprovider = \"drupal\"\n";
    refused(&format!("{drupal}temperature = 1"), 7, "temperature", "has no effect");
    refused(&format!("{drupal}system = \"x\""), 7, "system", "write it into the assistant there");
    refused(&format!("{drupal}files = [\"text/*\"]"), 7, "files", "needs `upload`");
    refused(&format!("{openai}upload = \"/files\""), 7, "upload", "has no effect");
    let ollama = "model = \"m\"\nprovider = \"ollama\"\n";
    refused(&format!("{ollama}files = [\"*/*\"]"), 7, "files", "holds more than Ollama takes");
    refused("model = \"m\"\nprovider = \"openia\"", 6, "provider", "did you mean `openai`?");
    refused(&format!("{ollama}tools = []"), 7, "tools", "only `openai` and `anthropic` take tools");
    refused(
        "model = \"m\"\nprovider = \"openai\"\npath = \"v1\"",
        7,
        "path",
        "does not begin with `/`",
    );
}

#[test]
fn tools_are_checked() {
    let assistant = "[backends.crm]\nurl = \"https://crm.example\"\n[assistants.a]\n\
                     backend = \"crm\"\nprovider = \"openai\"\nmodel = \"m\"\n";
    let resources = "\n[resources.g.people]\nbackend = \"crm\"\npath = \"/p\"\n\
                     actions = [\"list\", \"read\"]\n\
                     [resources.g.deals]\nbackend = \"crm\"\npath = \"/d\"\n";
    let refused = |tools: &str, what: &str| {
        let text = format!("{assistant}tools = {tools}{resources}");
        assert_problem(&text, 7, "assistants.a.tools", what);
    };
    refused("[\"g.peple:read\"]", "no `[resources.g.peple]`; did you mean `g.people`?");
    refused("[\"people:read\"]", "there is no `[resources.people]`");
    refused("[\"g.people\"]", "says nothing of what may be done");
    refused("[\"g.people:red\"]", "`red` is not known here; did you mean `read`?");
    refused("[\"g.people:delete\"]", "write `read`, `create` or `update`");
    refused("[\"g.people:\"]", "`` is not known here");
    refused("[\"g.people:read,create\"]", "allows `create`, which `[resources.g.people]` does");
    refused("[\"g.deals:read\", \"g.deals:create\"]", "names `g.deals` twice");
    let text = format!("{assistant}tools = [\"g.deals:update, read,read\"]{resources}");
    let config = config(&text);
    let [tools] = &config.assistants["a"].tools[..] else { panic!("one") };
    assert_eq!(tools.verbs, [ToolVerb::Update, ToolVerb::Read]);
}

#[test]
fn resources_are_checked() {
    let crm = "[backends.crm]\nurl = \"https://crm.example\"\n[resources.g.r]\nbackend = \"crm\"\n";
    let refused = |lines: &str, line, key: &str, what: &str| {
        assert_problem(&format!("{crm}{lines}"), line, &format!("resources.g.r{key}"), what);
    };
    let fields = "path = \"/r\"\nfields = ";
    refused("fields = [\"a\"]", 3, ".path", "is missing");
    refused("path = \"r\"\nfields = [\"a\"]", 5, ".path", "does not begin with `/`");
    let actions = "path = \"/r\"\nfields = [\"a\"]\nactions = ";
    refused(&format!("{actions}[]"), 7, ".actions", "is empty");
    refused(&format!("{actions}[\"raed\"]"), 7, ".actions", "`raed` is not known here");
    refused(&format!("{fields}[]"), 6, ".fields", "is empty");
    refused(&format!("{fields}[\"a\", {{ name = \"a\" }}]"), 6, ".fields", "the field `a` twice");
    refused(&format!("{fields}[\n\"a\",\n\"b c\"]"), 8, ".fields", "holds white space");
    refused(&format!("{fields}[{{ label = \"A\" }}]"), 6, ".fields.name", "is missing");
    refused(&format!("{fields}[{{ name = \"a\", type = \"dat\" }}]"), 6, ".fields.type", "`date`?");
    refused(&format!("{fields}[\"a\"]\nstyle = \"rest\""), 7, ".style", "`rest` is not known here");

    assert_problem(
        "[resources.contacts]\npath = \"/c\"",
        2,
        "resources.contacts.path",
        "a group and a name",
    );
    assert_problem("[groups.\"a b\"]", 1, "groups.a b", "is not a name");
}

// === secrets ===

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

#[test]
fn secrets_are_shown_nowhere() {
    let text = format!(
        "[server]\ndatabase_url = \"sqlite:hunter1.db\"\n[session]\nkeys = [\"{KEY}\"]\n\
         [auth]\nissuer = \"https://id.example\"\nclient_id = \"b\"\nclient_secret = \"hunter2\"\n\
         [machine]\nclient_id = \"m\"\nclient_secret = \"hunter4\"\n\
         [backends.crm]\nurl = \"https://crm.example\"\nauth = [{{ bearer = \"hunter3\" }}]"
    );
    let config = config(&text);

    let auth = config.auth.as_ref().unwrap();
    assert_eq!(auth.client_secret.as_ref().unwrap().expose_secret(), "hunter2");
    assert_eq!(config.session.keys[0].expose_secret(), KEY);
    let described = config.describe();
    assert_eq!(described.matches("[redacted]").count(), 5, "{described}");
    for shown in [described, format!("{config:?}")] {
        assert!(!shown.contains("hunter") && !shown.contains(KEY), "{shown}");
    }
}

#[test]
fn problems_never_repeat_a_secret() {
    let text = "[server]\ndatabase_url = \"hunter1\"\npublic_url = \"https://a:hunter2@app.example\"\n\
                [session]\nkeys = [\"hunter3\", \"${hunter4-}\"]\n\
                [auth]\nissuer = \"https://id.example\"\nclient_id = \"b\"\nclient_secret = [\"hunter5\"]\n\
                [backends.crm]\nurl = \"hunter6\"\nauth = [\"hunter7\", { bearer = \"hunter8 \\n\" }]";
    let told = read_with(text, &[("BREEZEWAY__AUTH__CLIENT_SECRET__X", "hunter9")]).unwrap_err();
    assert!(told.problems.len() >= 8, "{told}");
    assert!(!told.to_string().contains("hunter"), "{told}");
    assert!(!format!("{told:?}").contains("hunter"), "{told}");
}

// === the way back to text ===

#[test]
fn what_is_described_is_the_same_configuration() {
    for text in [EVERYTHING, CHECKED_IN, ""] {
        let described = config(text).describe();
        assert_eq!(config(&described).describe(), described);
    }
}

#[test]
fn defaults_are_described_too() {
    let described = config("[backends.crm]\nurl = \"https://crm.example\"").describe();
    for line in [
        "public_url = \"http://127.0.0.1:3000\"",
        "idle = \"8h\"",
        "absolute = \"7d\"",
        "issuer = \"sandbox\"",
        "[backends.crm]",
        "auth = [\"session\"]",
        "timeouts = { connect = \"5s\", first_byte = \"1m\", idle = \"2m\" }",
    ] {
        assert!(described.lines().any(|described| described == line), "{line}\n{described}");
    }
}
