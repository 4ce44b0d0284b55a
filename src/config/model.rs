//! The checked configuration, as the rest of the house sees it.
//!
//! A value of [`Config`] exists only after every rule held, so no other room checks a setting again:
//! names point at things that exist, URLs parse, secrets are present.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

pub use self::resource::*;

mod resource;

/// Everything `Leptos.toml` and the environment say, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[session]`
    pub session: SessionConfig,
    /// `[auth]`; absent means nobody can sign in.
    pub auth: Option<AuthConfig>,
    /// `[machine]`: our own registration; absent means that `POST /api/auth` signs nobody in.
    pub machine: Option<MachineConfig>,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[sandbox]`
    pub sandbox: SandboxConfig,
    /// `[backends.<name>]`
    pub backends: BTreeMap<String, BackendConfig>,
    /// `[proxy]`; absent means `/api/proxy` answers 404.
    pub proxy: Option<ProxyConfig>,
    /// `[assistants.<name>]`
    pub assistants: BTreeMap<String, AssistantConfig>,
    /// `[chat]`; absent means there is no chat.
    pub chat: Option<ChatConfig>,
    /// `[channels.<name>]` without `webhook`: chats on other sites.
    pub widgets: Vec<WidgetConfig>,
    /// `[channels.<name>]` with `webhook`: services that post messages.
    pub webhooks: BTreeMap<String, WebhookConfig>,
    /// `[jobs]`
    pub jobs: JobsConfig,
    /// `[data]`
    pub data: DataConfig,
    /// `[groups.<group>]`, by the path segment.
    pub groups: BTreeMap<String, GroupConfig>,
    /// `[resources.<group>.<name>]`, in the order of the file.
    pub resources: Vec<ResourceConfig>,
}

/// `[server]`: where Breezeway listens and what it is called from outside.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// `address`: where it listens; `LEPTOS_SITE_ADDR` wins. Default `127.0.0.1:3000`.
    pub address: SocketAddr,
    /// `public_url`: the origin people type, no path. Default `http://<address>`.
    pub public_url: Url,
    /// `data_dir`: database, keys and sandbox data. Default `data`.
    pub data_dir: PathBuf,
    /// `database_url`: `sqlite:…` or `postgres://…`. Default `<data_dir>/breezeway.db`.
    pub database_url: Option<SecretString>,
    /// `trusted_proxies`: addresses and networks whose `X-Forwarded-For` is believed. Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// `threads`: serving threads, each a runtime of its own. Default: one per core.
    pub threads: usize,
}

impl ServerConfig {
    /// Whether the site is reached over https, so cookies can be `Secure` and `__Host-`.
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// The public origin without a trailing slash: `https://app.example`.
    pub fn origin(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }
}

/// `[session]`: how long a browser stays signed in.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// `idle`: ends this long after the last request. Default `8h`.
    pub idle: Duration,
    /// `absolute`: ends this long after sign-in whatever happens. Default `7d`.
    pub absolute: Duration,
    /// `keys`: 32 bytes each in base64; the first seals, all open. Empty: generated into `data_dir`.
    pub keys: Vec<SecretString>,
}

/// `[auth]`: the identity provider and our registration with it.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// Where the provider's endpoints come from.
    pub provider: ProviderConfig,
    /// `client_id`
    pub client_id: String,
    /// `client_secret`; absent for a public client.
    pub client_secret: Option<SecretString>,
    /// `scopes`. Default `["openid", "profile", "offline_access"]`.
    pub scopes: Vec<String>,
    /// `prompt`: what the provider is told to ask (OpenID Connect Core §3.1.2.1). Default `consent`
    /// with the scope `offline_access`, which is only given then, else nothing.
    pub prompt: Option<String>,
    /// `tenant_claim`: the claim that holds the tenant. Default `tenant_id`.
    pub tenant_claim: String,
    /// `roles_claim`: the claim that holds a list of roles. Default `roles`.
    pub roles_claim: String,
    /// `[auth.refresh]`: where access tokens are renewed, if not at the token endpoint.
    pub refresh: Option<RefreshConfig>,
}

/// `[auth.refresh]`: an endpoint that takes a refresh token in JSON and answers tokens in JSON.
/// Dots in the names of the answer's fields reach into objects.
#[derive(Debug, Clone)]
pub struct RefreshConfig {
    /// `url`
    pub url: Url,
    /// `send`: the field that holds the refresh token. Default `refresh_token`.
    pub send: String,
    /// `access_token`: the field of the answer. Default `access_token`.
    pub access_token: String,
    /// `refresh_token`: the field of the answer; without it the old one stays good. Default
    /// `refresh_token`.
    pub refresh_token: String,
    /// `expires_in`: the field of the answer, in seconds. Default `expires_in`.
    pub expires_in: String,
}

/// `[machine]`: who `POST /api/auth` signs in.
#[derive(Debug, Clone)]
pub struct MachineConfig {
    /// What it is known by.
    pub registration: Registration,
    /// `tenant`: whose data a session of it sees.
    pub tenant: Option<String>,
    /// `roles` of a session of it.
    pub roles: Vec<String>,
}

/// What `[machine]` and `client_credentials` of a backend say alike: a registration of Breezeway
/// itself.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Where its tokens are had.
    pub endpoint: MachineEndpoint,
    /// `client_id`
    pub client_id: String,
    /// `client_secret`
    pub client_secret: SecretString,
    /// `scopes`. Default none.
    pub scopes: Vec<String>,
    /// `audience`: asked for, where the provider wants to know.
    pub audience: Option<String>,
    /// `resource`: asked for (RFC 8707).
    pub resource: Option<String>,
}

/// Where a machine client's tokens are had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineEndpoint {
    /// `token_url = "sandbox"`: with the sandbox's own registration.
    Sandbox,
    /// At the token endpoint of `[auth]`.
    Provider,
    /// `token_url`
    Url(Url),
}

/// The ways to say where an identity provider is.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub enum ProviderConfig {
    /// `issuer = "sandbox"`, or no `issuer` and no `authorize_url` while the sandbox is enabled.
    Sandbox,
    /// `issuer = "https://…"`: endpoints from `/.well-known/openid-configuration`.
    Discover { issuer: Url },
    /// `authorize_url`, `token_url` and friends written out.
    Explicit(ProviderEndpoints),
}

/// A provider's endpoints.
#[derive(Debug, Clone)]
pub struct ProviderEndpoints {
    /// `issuer`: what `iss` must be, compared as text.
    pub issuer: String,
    /// `authorize_url`
    pub authorize_url: Url,
    /// `token_url`
    pub token_url: Url,
    /// `jwks_url`
    pub jwks_url: Url,
    /// `end_session_url`
    pub end_session_url: Option<Url>,
    /// `revocation_url`
    pub revocation_url: Option<Url>,
    /// Whether the provider promises `iss` in the authorization response (RFC 9207).
    pub iss_in_response: bool,
}

/// `[limits]`: how often somebody may try to sign in.
#[derive(Debug, Clone, Copy)]
pub struct LimitsConfig {
    /// `per_address`: by the client's address. Default `60/1m`.
    pub per_address: Rate,
    /// `per_account`: by who signs in. Default `600/1m`.
    pub per_account: Rate,
}

/// A number of times in a while, such as `"60/1m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many times at once; they come back evenly.
    pub count: NonZeroU32,
    /// How long until all of them are back.
    pub per: Duration,
}

/// `[sandbox]`: the built-in demo backend.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// `enabled`. Default: only when `public_url` is loopback.
    pub enabled: bool,
}

/// `[backends.<name>]`: an upstream service.
#[derive(Debug, Clone)]
pub struct BackendConfig {
    /// The table's name.
    pub name: String,
    /// `url`
    pub url: BackendUrl,
    /// `auth`: tried in order; the first that the caller has is used. Default `["session"]`.
    pub auth: Vec<BackendAuth>,
    /// `tenant`: where the session's tenant is written. Default nowhere.
    pub tenant: TenantRule,
    /// `csrf`: the token that calls which change something must carry. Default none.
    pub csrf: Option<CsrfRule>,
    /// `public_paths`: path prefixes that need no session and carry no token.
    pub public_paths: Vec<String>,
    /// `stream_paths`: path prefixes whose answers are passed on piece by piece, whatever type they
    /// call themselves.
    pub stream_paths: Vec<String>,
    /// `client_credentials`: the registration to use for this backend; `[machine]` where absent.
    pub registration: Option<Registration>,
    /// `forward_cookies`: cookies of the authorization server that are sent to this backend beside
    /// Breezeway's own token.
    pub forward_cookies: Vec<String>,
    /// `openapi`: where it says what its collections hold. Default nowhere.
    pub openapi: Option<String>,
    /// `forward_headers`: request headers sent on besides the usual ones, in lower case.
    pub forward_headers: Vec<String>,
    /// `expose_headers`: response headers passed on besides the usual ones, in lower case.
    pub expose_headers: Vec<String>,
    /// `show_errors`: whether people may read what the backend says when it fails (5xx). Default
    /// false.
    pub show_errors: bool,
    /// `max_body`: the largest body a client may send, in bytes. Default `100MiB`.
    pub max_body: u64,
    /// `timeouts`
    pub timeouts: Timeouts,
}

/// `url` of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendUrl {
    /// `"sandbox"`: the sandbox's loopback address, known once it has started.
    Sandbox,
    /// An absolute http or https URL; its path is a prefix for every call.
    Url(Url),
}

/// One entry of a backend's `auth`.
#[derive(Debug, Clone)]
pub enum BackendAuth {
    /// `"session"`: the signed-in person's grant.
    Session,
    /// `"client_credentials"`: a token of Breezeway's own.
    ClientCredentials,
    /// `{ bearer = "…" }`: a configured secret.
    Bearer(SecretString),
    /// `{ header = "X-Api-Key", value = "…" }`: a configured secret in a header of its own.
    Header {
        /// The header, in lower case.
        name: String,
        /// What it carries.
        value: SecretString,
    },
    /// `"caller"`: the `Authorization` of a request that has no session.
    Caller,
    /// `"none"`: no credentials.
    None,
}

impl BackendAuth {
    /// Whether it needs nothing of the caller.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::ClientCredentials | Self::Bearer(_) | Self::Header { .. } | Self::None)
    }
}

/// `tenant`: `{ query = "tenant_id" }`, `{ header = "X-Tenant-Id" }`, `{ body = "tenant_id" }` or
/// any combination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantRule {
    /// Query parameter that carries the tenant.
    pub query: Option<String>,
    /// Header that carries the tenant, in lower case.
    pub header: Option<String>,
    /// Key of a JSON object, a form or a multipart body that carries the tenant.
    pub body: Option<String>,
}

/// `csrf` of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CsrfRule {
    /// `"drupal"` or `{ drupal = ["/api/deepchat"] }`: POSTs to these paths carry `?token=`, had by a
    /// POST to `<path>/session`.
    Drupal {
        /// The paths, without a trailing slash.
        paths: Vec<String>,
    },
    /// `{ header = "X-CSRF-Token", url = "/session/token" }`: whatever changes something carries the
    /// header, whose value a GET of the path answers.
    Header {
        /// The header, in lower case.
        name: String,
        /// Where the token is had on the backend.
        path: String,
    },
}

/// `timeouts`: durations such as `"10s"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// `connect`. Default `5s`.
    pub connect: Duration,
    /// `first_byte`: until the response head. Default `60s`.
    pub first_byte: Duration,
    /// `idle`: between two bytes of the body. Default `120s`.
    pub idle: Duration,
}

/// `[proxy]`: what `/api/proxy` forwards to.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// `backend`: a name of `[backends]`.
    pub backend: String,
}

/// `[assistants.<name>]`: a chat endpoint.
#[derive(Debug, Clone)]
pub struct AssistantConfig {
    /// The table's name.
    pub name: String,
    /// `title`: what people see. Default the name.
    pub title: String,
    /// `provider`: the wire format.
    pub provider: ChatProvider,
    /// `backend`: a name of `[backends]`.
    pub backend: String,
    /// `path`: where replies are had on that backend. Default the provider's usual one.
    pub path: String,
    /// `model`: what the service calls what answers; for Drupal, its assistant. Empty where the
    /// service needs none.
    pub model: String,
    /// `system`: the system prompt.
    pub system: Option<String>,
    /// `processor`: what Drupal's AI module hands messages to, from version 1.5 on.
    pub processor: Option<String>,
    /// `temperature`: sent only if it is set, since some models refuse it.
    pub temperature: Option<f64>,
    /// `max_tokens`: the most a reply may take.
    pub max_tokens: Option<u32>,
    /// `description`: what it is for, in a sentence, where people choose.
    pub description: Option<String>,
    /// `history`: how many messages it is told of a conversation, the newest. Default all.
    pub history: Option<usize>,
    /// `max_message`: the longest question, in bytes. Default 200,000.
    pub max_message: usize,
    /// `titles`: whether it gives conversations their titles, which is a request of its own. Default
    /// yes, where a model is asked directly.
    pub titles: bool,
    /// `files`: the kinds it takes, such as `image/*`. Default none.
    pub files: Vec<String>,
    /// `upload`: where on the backend it is given files before it is asked about them.
    pub upload: Option<String>,
    /// `max_file`: the largest, in bytes. Default 20 MiB.
    pub max_file: u64,
    /// `max_files`: the most of them in one message. Default 10.
    pub max_files: usize,
    /// `greeting`: Markdown shown above an empty conversation.
    pub greeting: Option<String>,
    /// `suggestions`: questions offered in an empty conversation.
    pub suggestions: Vec<String>,
    /// `tools`: what it may do with declared resources, for whoever is signed in. Default nothing.
    pub tools: Vec<ToolsConfig>,
}

impl AssistantConfig {
    /// Names the place that is given files: what one place was given, another does not know.
    pub fn upload_place(&self) -> String {
        format!("{} {}", self.backend, self.upload.as_deref().unwrap_or_default())
    }
}

/// One entry of an assistant's `tools`: `"<group>.<name>:<verbs>"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolsConfig {
    /// The resource's group.
    pub group: String,
    /// The resource's name.
    pub name: String,
    /// What it may do with the resource.
    pub verbs: Vec<ToolVerb>,
}

/// What an assistant may do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolVerb {
    /// List records and read them.
    Read,
    /// Propose new ones.
    Create,
    /// Propose changes of those that are there.
    Update,
}

/// `provider` of an assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatProvider {
    /// OpenAI-compatible chat completions.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
    /// Ollama's own chat.
    Ollama,
    /// The chatbot route of Drupal's AI module.
    Drupal,
    /// A plain endpoint: `{messages}` in, `{text}` or `{html}` out.
    Json,
}

/// `[chat]`
#[derive(Debug, Clone)]
pub struct ChatConfig {
    /// `default`: the assistant that answers when none is named.
    pub default: String,
    /// `share`: who may read what people share; none for nobody.
    pub sharing: Option<Sharing>,
    /// `files_per_person`: how many bytes a person's files may have together. Default 1 GiB.
    pub files_per_person: i64,
}

/// `share` of `[chat]`: who may read a conversation whose link they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// `"tenant"`: whoever is signed in, in the same tenant.
    Tenant,
    /// `"anyone"`: whoever has the link.
    Anyone,
}

/// `[channels.<name>]`: a chat on other sites, which a token lets in.
#[derive(Debug, Clone)]
pub struct WidgetConfig {
    /// The table's name.
    pub name: String,
    /// `token`, or `tokens`: several, while one replaces another.
    pub tokens: Vec<WidgetToken>,
    /// `assistant`: who answers. Default the usual one.
    pub assistant: Option<String>,
    /// `origins`: the sites that may use it, to the letter. Default none: programs only.
    pub origins: Vec<String>,
    /// `tenant`: whose data the assistant sees.
    pub tenant: Option<String>,
    /// `rate`: how often one address may ask. Default `30/1m`.
    pub rate: Rate,
}

/// One entry of `tokens`: a token, or `{ token, assistant }`.
#[derive(Debug, Clone)]
pub struct WidgetToken {
    /// `token`
    pub token: SecretString,
    /// `assistant`: who answers those who come with this token.
    pub assistant: Option<String>,
}

/// `[channels.<name>]` with `webhook`: a service that posts messages and takes replies.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// The table's name.
    pub name: String,
    /// `webhook`, with `secret` and `token`.
    pub scheme: WebhookScheme,
    /// `url`: where replies go.
    pub url: Url,
    /// `assistant`: who answers. Default the usual one.
    pub assistant: Option<String>,
    /// `tenant`: whose data the assistant sees.
    pub tenant: Option<String>,
}

/// How a service proves that a post is its own, and how replies reach it.
#[derive(Debug, Clone)]
pub enum WebhookScheme {
    /// `webhook = "signed"`: Standard Webhooks, in both directions.
    Signed {
        /// `secret`: `whsec_…`, or any text.
        secret: SecretString,
    },
    /// `webhook = "slack"`
    Slack {
        /// `secret`: the app's signing secret.
        secret: SecretString,
        /// `token`: the bot's.
        token: SecretString,
    },
    /// `webhook = "telegram"`
    Telegram {
        /// `secret`: the one that was given to `setWebhook`.
        secret: SecretString,
        /// `token`: the bot's.
        token: SecretString,
    },
}

/// `[jobs]`
#[derive(Debug, Clone)]
pub struct JobsConfig {
    /// `cron_secret`: lets others run the jobs by `GET /api/cron`. Default nobody.
    pub cron_secret: Option<SecretString>,
    /// `every`: how often they run by themselves. Default `1m`.
    pub every: Duration,
}

/// `[data]`: what holds for all resources.
#[derive(Debug, Clone)]
pub struct DataConfig {
    /// `undo`: how long a change or deletion waits before it is done. Default `10s`.
    pub undo: Duration,
    /// `admins`: the roles that see everybody's changes. Default none.
    pub admins: Vec<String>,
}
