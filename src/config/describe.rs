//! The effective configuration as text, for people who ask what is in force.
//!
//! What comes out is a configuration file again: every default written out, `${NAME}` and `file:`
//! replaced by what they stood for, and `[redacted]` where a secret is.

use std::{fmt::Display, time::Duration};

use toml::Value;

use super::{duration, model::*, size, values};

const REDACTED: &str = "[redacted]";

/// Writes `config` in the order of the reference.
pub(super) fn describe(config: &Config) -> String {
    let mut page = Page::default();
    server(&mut page, &config.server);
    session(&mut page, &config.session);
    if let Some(auth) = &config.auth {
        self::auth(&mut page, auth);
    }
    if let Some(machine) = &config.machine {
        page.table("machine");
        self::machine(&mut page, machine);
    }
    page.table("limits");
    page.rate("per_address", config.limits.per_address);
    page.rate("per_account", config.limits.per_account);
    page.table("sandbox");
    page.set("enabled", config.sandbox.enabled);
    for backend in config.backends.values() {
        self::backend(&mut page, backend);
    }
    if let Some(proxy) = &config.proxy {
        page.table("proxy");
        page.text("backend", &proxy.backend);
    }
    for assistant in config.assistants.values() {
        self::assistant(&mut page, assistant);
    }
    if let Some(chat) = &config.chat {
        page.table("chat");
        page.text("default", &chat.default);
        page.text("files_per_person", &size::write(chat.files_per_person.unsigned_abs()));
        page.text("share", values::word_for(values::SHARING, &chat.sharing));
    }
    for widget in &config.widgets {
        self::widget(&mut page, widget);
    }
    for webhook in config.webhooks.values() {
        self::webhook(&mut page, webhook);
    }
    page.table("jobs");
    if config.jobs.cron_secret.is_some() {
        page.text("cron_secret", REDACTED);
    }
    page.span("every", config.jobs.every);
    page.table("data");
    page.span("undo", config.data.undo);
    page.texts("admins", config.data.admins.iter().cloned());
    for (name, group) in &config.groups {
        page.table(format_args!("groups.{name}"));
        page.text("title", &group.title);
    }
    for resource in &config.resources {
        self::resource(&mut page, resource);
    }
    page.0
}

fn server(page: &mut Page, server: &ServerConfig) {
    page.table("server");
    page.text("address", &server.address.to_string());
    page.text("public_url", &server.origin());
    page.text("data_dir", &server.data_dir.to_string_lossy());
    if server.database_url.is_some() {
        page.text("database_url", REDACTED);
    }
    page.texts("trusted_proxies", server.trusted_proxies.iter().map(ToString::to_string));
    page.set("threads", server.threads);
}

fn session(page: &mut Page, session: &SessionConfig) {
    page.table("session");
    page.span("idle", session.idle);
    page.span("absolute", session.absolute);
    page.texts("keys", session.keys.iter().map(|_| REDACTED.to_owned()));
}

fn auth(page: &mut Page, auth: &AuthConfig) {
    page.table("auth");
    match &auth.provider {
        ProviderConfig::Sandbox => page.text("issuer", "sandbox"),
        ProviderConfig::Discover { issuer } => {
            page.text("issuer", issuer.as_str());
            page.set("allow_http", values::in_the_clear(issuer));
            page.text("client_id", &auth.client_id);
        }
        ProviderConfig::Explicit(endpoints) => {
            provider_endpoints(page, endpoints);
            page.text("client_id", &auth.client_id);
        }
    }
    if auth.client_secret.is_some() {
        page.text("client_secret", REDACTED);
    }
    page.texts("scopes", auth.scopes.iter().cloned());
    page.optional("prompt", auth.prompt.as_deref());
    page.text("tenant_claim", &auth.tenant_claim);
    page.text("roles_claim", &auth.roles_claim);
    if let Some(refresh) = &auth.refresh {
        page.table("auth.refresh");
        page.text("url", refresh.url.as_str());
        page.set("allow_http", values::in_the_clear(&refresh.url));
        page.text("send", &refresh.send);
        page.text("access_token", &refresh.access_token);
        page.text("refresh_token", &refresh.refresh_token);
        page.text("expires_in", &refresh.expires_in);
    }
}

fn machine(page: &mut Page, machine: &MachineConfig) {
    registration(page, &machine.registration);
    page.optional("tenant", machine.tenant.as_deref());
    page.texts("roles", machine.roles.iter().cloned());
}

fn registration(page: &mut Page, registration: &Registration) {
    match &registration.endpoint {
        MachineEndpoint::Sandbox => page.text("token_url", "sandbox"),
        MachineEndpoint::Provider => {}
        MachineEndpoint::Url(url) => {
            page.text("token_url", url.as_str());
            page.set("allow_http", values::in_the_clear(url));
        }
    }
    if registration.endpoint != MachineEndpoint::Sandbox {
        page.text("client_id", &registration.client_id);
        page.text("client_secret", REDACTED);
    }
    page.texts("scopes", registration.scopes.iter().cloned());
    page.optional("audience", registration.audience.as_deref());
    page.optional("resource", registration.resource.as_deref());
}

fn provider_endpoints(page: &mut Page, endpoints: &ProviderEndpoints) {
    let required = [
        ("authorize_url", &endpoints.authorize_url),
        ("token_url", &endpoints.token_url),
        ("jwks_url", &endpoints.jwks_url),
    ];
    page.text("issuer", &endpoints.issuer);
    for (key, url) in required {
        page.text(key, url.as_str());
    }
    page.optional("end_session_url", endpoints.end_session_url.as_ref().map(|url| url.as_str()));
    page.optional("revocation_url", endpoints.revocation_url.as_ref().map(|url| url.as_str()));
    page.set("iss_in_response", endpoints.iss_in_response);
    let sent_to = required.iter().map(|(_, url)| *url).chain(endpoints.revocation_url.as_ref());
    page.set("allow_http", sent_to.into_iter().any(values::in_the_clear));
}

fn backend(page: &mut Page, backend: &BackendConfig) {
    page.table(format_args!("backends.{}", backend.name));
    match &backend.url {
        BackendUrl::Sandbox => page.text("url", "sandbox"),
        BackendUrl::Url(url) => {
            page.text("url", url.as_str());
            let in_the_clear =
                values::in_the_clear(url) && values::sends_credentials(&backend.auth);
            page.set("allow_http", in_the_clear);
        }
    }
    let auth: Vec<String> = backend.auth.iter().map(credentials).collect();
    page.set("auth", format_args!("[{}]", auth.join(", ")));
    if backend.tenant != TenantRule::default() {
        page.set("tenant", tenant(&backend.tenant));
    }
    match &backend.csrf {
        Some(rule) => page.set("csrf", csrf(rule)),
        None => page.text("csrf", "none"),
    }
    page.texts("public_paths", backend.public_paths.iter().cloned());
    page.texts("stream_paths", backend.stream_paths.iter().cloned());
    page.texts("forward_cookies", backend.forward_cookies.iter().cloned());
    page.optional("openapi", backend.openapi.as_deref());
    page.texts("forward_headers", backend.forward_headers.iter().cloned());
    page.texts("expose_headers", backend.expose_headers.iter().cloned());
    page.set("show_errors", backend.show_errors);
    page.text("max_body", &size::write(backend.max_body));
    page.set(
        "timeouts",
        format_args!(
            "{{ connect = {}, first_byte = {}, idle = {} }}",
            quoted(&duration::write(backend.timeouts.connect)),
            quoted(&duration::write(backend.timeouts.first_byte)),
            quoted(&duration::write(backend.timeouts.idle)),
        ),
    );
    if let Some(registration) = &backend.registration {
        page.table(format_args!("backends.{}.client_credentials", backend.name));
        self::registration(page, registration);
    }
}

fn credentials(auth: &BackendAuth) -> String {
    match auth {
        BackendAuth::Session => quoted("session"),
        BackendAuth::ClientCredentials => quoted("client_credentials"),
        BackendAuth::Bearer(_) => format!("{{ bearer = {} }}", quoted(REDACTED)),
        BackendAuth::Header { name, .. } => {
            format!("{{ header = {}, value = {} }}", quoted(name), quoted(REDACTED))
        }
        BackendAuth::Caller => quoted("caller"),
        BackendAuth::None => quoted("none"),
    }
}

fn tenant(rule: &TenantRule) -> String {
    let places = [("query", &rule.query), ("header", &rule.header), ("body", &rule.body)];
    let places: Vec<String> = places
        .into_iter()
        .filter_map(|(key, place)| Some(format!("{key} = {}", quoted(place.as_deref()?))))
        .collect();
    format!("{{ {} }}", places.join(", "))
}

fn csrf(rule: &CsrfRule) -> String {
    match rule {
        CsrfRule::Drupal { paths } => {
            let paths: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
            format!("{{ drupal = [{}] }}", paths.join(", "))
        }
        CsrfRule::Header { name, path } => {
            format!("{{ header = {}, url = {} }}", quoted(name), quoted(path))
        }
    }
}

fn assistant(page: &mut Page, assistant: &AssistantConfig) {
    page.table(format_args!("assistants.{}", assistant.name));
    page.text("title", &assistant.title);
    page.text("provider", values::word_for(values::PROVIDERS, &assistant.provider));
    page.text("backend", &assistant.backend);
    page.text("path", &assistant.path);
    page.optional("model", Some(assistant.model.as_str()).filter(|model| !model.is_empty()));
    page.optional("processor", assistant.processor.as_deref());
    page.optional("system", assistant.system.as_deref());
    if let Some(temperature) = assistant.temperature {
        page.set("temperature", temperature);
    }
    if let Some(most) = assistant.max_tokens {
        page.set("max_tokens", most);
    }
    if let Some(most) = assistant.history {
        page.set("history", most);
    }
    page.text("max_message", &size::write(assistant.max_message as u64));
    if assistant.provider.is_a_model() {
        page.set("titles", assistant.titles);
    }
    if !assistant.files.is_empty() {
        page.texts("files", assistant.files.iter().cloned());
    }
    page.optional("upload", assistant.upload.as_deref());
    page.text("max_file", &size::write(assistant.max_file));
    page.set("max_files", assistant.max_files);
    page.optional("description", assistant.description.as_deref());
    page.optional("greeting", assistant.greeting.as_deref());
    page.texts("suggestions", assistant.suggestions.iter().cloned());
    if !assistant.tools.is_empty() {
        page.texts("tools", assistant.tools.iter().map(tools));
    }
}

fn tools(tools: &ToolsConfig) -> String {
    let verbs = tools.verbs.iter().map(|verb| values::word_for(values::TOOL_VERBS, verb));
    format!("{}.{}:{}", tools.group, tools.name, verbs.collect::<Vec<_>>().join(","))
}

fn widget(page: &mut Page, widget: &WidgetConfig) {
    page.table(format_args!("channels.{}", widget.name));
    let token = |token: &WidgetToken| match &token.assistant {
        Some(assistant) => {
            format!("{{ token = {}, assistant = {} }}", quoted(REDACTED), quoted(assistant))
        }
        None => quoted(REDACTED),
    };
    let tokens: Vec<String> = widget.tokens.iter().map(token).collect();
    page.set("tokens", format_args!("[{}]", tokens.join(", ")));
    page.optional("assistant", widget.assistant.as_deref());
    page.texts("origins", widget.origins.iter().cloned());
    page.optional("tenant", widget.tenant.as_deref());
    page.rate("rate", widget.rate);
}

fn webhook(page: &mut Page, webhook: &WebhookConfig) {
    page.table(format_args!("channels.{}", webhook.name));
    let (kind, has_token) = match webhook.scheme {
        WebhookScheme::Signed { .. } => ("signed", false),
        WebhookScheme::Slack { .. } => ("slack", true),
        WebhookScheme::Telegram { .. } => ("telegram", true),
    };
    page.text("webhook", kind);
    page.text("secret", REDACTED);
    if has_token {
        page.text("token", REDACTED);
    }
    // Such addresses often hold a secret behind the host.
    let origin = webhook.url.origin().ascii_serialization();
    page.text("url", &format!("{origin}/{REDACTED}"));
    page.set("allow_http", values::in_the_clear(&webhook.url));
    page.optional("assistant", webhook.assistant.as_deref());
    page.optional("tenant", webhook.tenant.as_deref());
}

fn resource(page: &mut Page, resource: &ResourceConfig) {
    page.table(format_args!("resources.{}.{}", resource.group, resource.name));
    page.text("backend", &resource.backend);
    page.text("path", &resource.path);
    page.text("title", &resource.title);
    page.text("icon", resource.icon);
    page.text("singular", &resource.singular);
    let actions = resource.actions.iter().map(|action| quoted(action.word()));
    let operations = resource.operations.iter().map(operation);
    let actions: Vec<String> = actions.chain(operations).collect();
    page.set("actions", format_args!("[{}]", actions.join(", ")));
    page.set("style", style(&resource.style));
    page.text("id", &resource.id);
    if !resource.fields.is_empty() {
        page.set("fields", fields(&resource.fields));
    }
    if let Some(summary) = &resource.summary {
        page.set("summary", self::summary(summary));
    }
    let of_operations = resource.operations.iter();
    let of_operations = of_operations.filter_map(|it| Some((it.name.as_str(), it.roles.as_ref()?)));
    let roles = resource.roles.iter().map(|(action, roles)| (action.word(), roles));
    let roles: Vec<_> = roles.chain(of_operations).collect();
    if !roles.is_empty() {
        page.table(format_args!("resources.{}.{}.roles", resource.group, resource.name));
    }
    for (action, roles) in roles {
        page.texts(action, roles.iter().cloned());
    }
}

fn summary(summary: &SummaryConfig) -> String {
    let tile = |tile: &TileConfig| {
        let mut line = Line::default();
        line.text("field", &tile.field);
        line.differs("of", values::word_for(values::AGGREGATES, &tile.of), "sum");
        line.optional("label", tile.label.as_deref());
        line.inline_table()
    };
    let chart = |chart: &ChartConfig| {
        let mut line = Line::default();
        line.text("x", &chart.x);
        line.differs("kind", values::word_for(values::CHARTS, &chart.kind), "bars");
        let names: Vec<String> = chart.y.iter().map(|name| quoted(name)).collect();
        line.set("y", format_args!("[{}]", names.join(", ")));
        line.differs("of", values::word_for(values::AGGREGATES, &chart.of), "sum");
        line.optional("title", chart.title.as_deref());
        line.inline_table()
    };
    let tiles: Vec<String> = summary.tiles.iter().map(tile).collect();
    let charts: Vec<String> = summary.charts.iter().map(chart).collect();
    format!("{{ tiles = [{}], charts = [{}] }}", tiles.join(", "), charts.join(", "))
}

fn operation(operation: &OperationConfig) -> String {
    let mut line = Line::default();
    line.text("name", &operation.name);
    line.differs("label", &operation.label, &values::in_words(&operation.name));
    line.differs("path", &operation.path, &operation.name);
    line.inline_table()
}

/// The value of `fields`, one field to a line.
pub fn fields(fields: &[FieldConfig]) -> String {
    let lines: String = fields.iter().map(|field| format!("  {},\n", self::field(field))).collect();
    format!("[\n{lines}]")
}

/// A field as short as it can be written: what is usual for its type is left out.
fn field(field: &FieldConfig) -> String {
    let usual = FieldConfig::new(&field.name, field.kind.clone());
    let mut line = Line::default();
    line.text("name", &field.name);
    line.differs("label", &field.label, &usual.label);
    line.differs("type", field.kind.word(), "text");
    kind(&mut line, &field.kind);
    line.optional("help", field.help.as_deref());
    line.flag("list", field.in_list, usual.in_list);
    line.flag("detail", field.in_detail, usual.in_detail);
    line.flag("form", field.in_form, usual.in_form);
    line.flag("sortable", field.sortable, false);
    line.flag("filterable", field.filterable, false);
    line.flag("total", field.total, false);
    rules(&mut line, field);
    line.optional("default", field.default.as_deref());
    line.inline_table()
}

fn kind(line: &mut Line, kind: &FieldKind) {
    match kind {
        FieldKind::Choice(choices) | FieldKind::MultiChoice(choices) => {
            let choices: Vec<String> = choices.iter().map(choice).collect();
            line.set("choices", format_args!("[{}]", choices.join(", ")));
        }
        FieldKind::Relation(relation) => {
            line.text("resource", &format!("{}.{}", relation.group, relation.name));
            line.optional("value", relation.value.as_deref());
            line.optional("show", relation.show.as_deref());
        }
        FieldKind::File(rule) | FieldKind::Image(rule) => {
            if !rule.accept.is_empty() {
                let kinds: Vec<String> = rule.accept.iter().map(|kind| quoted(kind)).collect();
                line.set("accept", format_args!("[{}]", kinds.join(", ")));
            }
            line.optional("max_size", rule.max_size.map(size::write).as_deref());
        }
        FieldKind::Money { currency } => line.optional("currency", currency.as_deref()),
        _ => {}
    }
}

fn choice(choice: &Choice) -> String {
    let usual = Choice::new(&choice.value);
    if *choice == usual {
        return quoted(&choice.value);
    }
    let mut line = Line::default();
    line.text("value", &choice.value);
    line.differs("label", &choice.label, &usual.label);
    line.differs("tone", choice.tone.word(), usual.tone.word());
    line.inline_table()
}

fn rules(line: &mut Line, field: &FieldConfig) {
    let rules = &field.rules;
    line.flag("required", rules.required, false);
    let bound = |line: &mut Line, key, bound: Option<&str>| match bound {
        Some(bound) if field.kind.is_time() => line.text(key, bound),
        Some(bound) => line.set(key, bound),
        None => {}
    };
    bound(line, "min", rules.min.as_deref());
    bound(line, "max", rules.max.as_deref());
    for (key, length) in [("min_length", rules.min_length), ("max_length", rules.max_length)] {
        if let Some(length) = length {
            line.set(key, length);
        }
    }
    line.optional("pattern", rules.pattern.as_deref());
    line.optional("hint", rules.hint.as_deref());
}

/// A style by its name, or everything about it.
fn style(style: &StyleConfig) -> String {
    let Some(name) = style.name else { return described(style) };
    quoted(name)
}

fn described(style: &StyleConfig) -> String {
    let mut line = Line::default();
    line.optional("items", style.items.as_deref());
    match &style.total {
        Total::At(path) => line.text("total", path),
        Total::In(header) => line.text("total_header", header.as_str()),
        Total::Unknown => {}
    }
    line.optional("next", style.next.as_deref());
    match &style.paging {
        Paging::Numbers { page, size, first, largest } => {
            line.text("page", page);
            line.text("size", size);
            line.set("first", first);
            line.set("largest", largest);
        }
        Paging::Offsets { offset, limit, largest } => {
            line.text("offset", offset);
            line.text("limit", limit);
            line.set("largest", largest);
        }
        Paging::Whole => {}
    }
    if let Some(Sorting { param, order }) = &style.sorting {
        line.text("sort", param);
        line.optional("order", order.as_deref());
    }
    line.optional("search", style.search.as_deref());
    line.text("filter", values::word_for(values::FILTER_FORMS, &style.filters));
    line.text("record", values::word_for(values::RECORD_FORMS, &style.records));
    line.text("update", values::word_for(values::UPDATE_METHODS, &style.update));
    if !style.always.is_empty() {
        let always = style.always.iter().map(|(name, value)| quoted(&format!("{name}={value}")));
        line.set("always", format_args!("[{}]", always.collect::<Vec<_>>().join(", ")));
    }
    line.inline_table()
}

/// The pairs of a table that stands on one line.
#[derive(Default)]
struct Line(Vec<String>);

impl Line {
    fn set(&mut self, key: &str, value: impl Display) {
        self.0.push(format!("{key} = {value}"));
    }

    fn text(&mut self, key: &str, text: &str) {
        self.set(key, quoted(text));
    }

    fn optional(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn differs(&mut self, key: &str, text: &str, usual: &str) {
        if text != usual {
            self.text(key, text);
        }
    }

    fn flag(&mut self, key: &str, flag: bool, usual: bool) {
        if flag != usual {
            self.set(key, flag);
        }
    }

    fn inline_table(&self) -> String {
        format!("{{ {} }}", self.0.join(", "))
    }
}

/// Text as the file writes it: quoted, and a plain `${` told from a variable.
fn quoted(text: &str) -> String {
    Value::from(text.replace("${", "$${").as_str()).to_string()
}

/// The text so far.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Begins a table. Names need no quotes: they were checked when they were read.
    fn table(&mut self, name: impl Display) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(&format!("[{name}]\n"));
    }

    /// A value that is TOML as it stands.
    fn set(&mut self, key: &str, value: impl Display) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    fn text(&mut self, key: &str, text: &str) {
        self.set(key, quoted(text));
    }

    fn optional(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn texts(&mut self, key: &str, texts: impl Iterator<Item = String>) {
        let items: Vec<String> = texts.map(|text| quoted(&text)).collect();
        self.set(key, format_args!("[{}]", items.join(", ")));
    }

    fn rate(&mut self, key: &str, rate: Rate) {
        self.text(key, &format!("{}/{}", rate.count, duration::write(rate.per)));
    }

    fn span(&mut self, key: &str, span: Duration) {
        self.text(key, &duration::write(span));
    }
}
