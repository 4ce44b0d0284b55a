//! The tables of the file, and the rules that hold between them.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use url::Url;

use super::{
    model::{
        ChatConfig, Config, LimitsConfig, ProxyConfig, Rate, SandboxConfig, ServerConfig,
        SessionConfig, Sharing,
    },
    section::{Read, Section},
    values,
};

mod assistants;
mod auth;
mod backends;
mod channels;
mod machine;
mod resources;
mod tools;

const HOUR: u64 = 60 * 60;

/// What `leptos_config` reads from the heading `[package.metadata.leptos]`.
const LEPTOS_KEYS: &[&str] = &[
    "output-name",
    "site-root",
    "site-pkg-dir",
    "env",
    "site-addr",
    "reload-port",
    "reload-external-port",
    "reload-ws-protocol",
    "not-found-path",
    "hash-file",
    "hash-files",
    "server-fn-prefix",
    "disable-server-fn-hash",
    "server-fn-mod-path",
];

/// What one table must know of the others.
struct House<'a> {
    /// Whether the sandbox may be used; unknown counts as yes, so that one mistake is told once.
    sandbox: bool,
    /// Whether there is an identity provider.
    auth: bool,
    /// Whether there is a `[chat]`.
    chat: bool,
    /// Whether there is a `[machine]`.
    machine: bool,
    backends: Vec<&'a str>,
    assistants: Vec<&'a str>,
    /// `<group>.<name>` of each.
    resources: Vec<String>,
}

/// Reads the whole file.
pub(super) fn config(root: &Section<'_>) -> Read<Config> {
    let address =
        root.section("package", |s| s.section("metadata", |s| s.section("leptos", leptos)));
    let server = root.section("server", |s| server(s, address));
    let session = root.section("session", session);
    let sandbox = root.section("sandbox", |s| sandbox(s, &server));
    let sandbox_enabled = !matches!(sandbox, Ok(SandboxConfig { enabled: false }));
    let house = House {
        sandbox: sandbox_enabled,
        auth: root.has("auth") || sandbox_enabled,
        chat: root.has("chat"),
        machine: root.has("machine"),
        backends: root.names("backends"),
        assistants: root.names("assistants"),
        resources: resources::names(root),
    };
    let auth = auth::auth(root, &house);
    let limits = root.section("limits", limits);
    let machine = root.optional_section("machine", |s| machine::machine(s, &house));
    let backends = backends::backends(root, &house);
    let proxy = root.optional_section("proxy", |s| proxy(s, &house));
    let resources = resources::resources(root, &house);
    let assistants = assistants::assistants(root, &house, &resources);
    let chat = root.optional_section("chat", |s| chat(s, &house));
    let answerers = channels::Answerers {
        house: &house,
        chat: &chat,
        assistants: &assistants,
        backends: &backends,
    };
    let channels = channels::channels(root, &answerers);
    let jobs = root.section("jobs", channels::jobs);
    let data = root.section("data", resources::data);
    let groups = resources::groups(root);

    let (widgets, webhooks) = channels::sorted(channels?);
    Ok(Config {
        server: server?,
        session: session?,
        auth: auth?,
        machine: machine?,
        limits: limits?,
        sandbox: sandbox?,
        backends: backends?,
        proxy: proxy?,
        assistants: assistants?,
        chat: chat?,
        widgets,
        webhooks,
        jobs: jobs?,
        data: data?,
        groups: groups?,
        resources: resources?,
    })
}

/// The heading that belongs to Leptos; of its keys only the address matters here.
fn leptos(s: &Section<'_>) -> Read<SocketAddr> {
    for key in LEPTOS_KEYS {
        s.know(key);
    }
    let default = SocketAddr::from(([127, 0, 0, 1], 3000));
    s.defaulted("site-addr", values::socket_address, default)
}

fn server(s: &Section<'_>, address: Read<SocketAddr>) -> Read<ServerConfig> {
    let address = s.defaulted_with("address", values::socket_address, || address);
    let public_url =
        s.defaulted_with("public_url", values::origin, || default_public_url(s, address?));
    let data_dir = s.defaulted("data_dir", values::file_path, PathBuf::from("data"));
    let database_url = s.optional("database_url", values::database_url);
    let trusted_proxies = s.defaulted("trusted_proxies", |v| v.list(values::network), Vec::new());
    let threads = s.defaulted_with("threads", values::threads, || Ok(cores()));

    Ok(ServerConfig {
        address: address?,
        public_url: public_url?,
        data_dir: data_dir?,
        database_url: database_url?,
        trusted_proxies: trusted_proxies?,
        threads: threads?,
    })
}

/// Nobody can type `http://0.0.0.0`, and the sandbox must not open to a network by a default.
fn default_public_url(s: &Section<'_>, address: SocketAddr) -> Read<Url> {
    const REMEDY: &str = "write the origin that people type, such as \"https://app.example\"";
    if address.ip().is_unspecified() {
        let what = format!("is missing, and the address is every interface; {REMEDY}");
        return Err(s.refuse("public_url", &what));
    }
    Url::parse(&format!("http://{address}"))
        .map_err(|_| s.refuse("public_url", &format!("cannot follow from the address; {REMEDY}")))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn session(s: &Section<'_>) -> Read<SessionConfig> {
    let idle = s.defaulted("idle", values::span, Duration::from_secs(8 * HOUR));
    let absolute = s.defaulted("absolute", values::span, Duration::from_secs(7 * 24 * HOUR));
    let keys = s.defaulted("keys", |v| v.list(values::key), Vec::new());

    let (idle, absolute) = (idle?, absolute?);
    if idle > absolute {
        s.refuse("idle", "is longer than `absolute`; write at most what `absolute` says");
    }
    Ok(SessionConfig { idle, absolute, keys: keys? })
}

fn sandbox(s: &Section<'_>, server: &Read<ServerConfig>) -> Read<SandboxConfig> {
    let enabled = s.defaulted_with(
        "enabled",
        |v| v.boolean(),
        || match server {
            Ok(server) => Ok(values::is_loopback(&server.public_url)),
            Err(reported) => Err(*reported),
        },
    );
    Ok(SandboxConfig { enabled: enabled? })
}

fn limits(s: &Section<'_>) -> Read<LimitsConfig> {
    let a_minute = |count: u32| Rate {
        count: NonZeroU32::MIN.saturating_add(count - 1),
        per: Duration::from_secs(60),
    };
    let per_address = s.defaulted("per_address", values::rate, a_minute(60));
    // Higher, because a machine's account is everybody's who signs in by it.
    let per_account = s.defaulted("per_account", values::rate, a_minute(600));
    Ok(LimitsConfig { per_address: per_address?, per_account: per_account? })
}

fn proxy(s: &Section<'_>, house: &House<'_>) -> Read<ProxyConfig> {
    let backend = s.required("backend", "write the name of a table under `[backends]`", |v| {
        values::name_of(v, "backends", &house.backends)
    });
    Ok(ProxyConfig { backend: backend? })
}

fn chat(s: &Section<'_>, house: &House<'_>) -> Read<ChatConfig> {
    let default = s.required("default", "write the name of a table under `[assistants]`", |v| {
        values::name_of(v, "assistants", &house.assistants)
    });
    let sharing = s.defaulted("share", values::sharing, Some(Sharing::Tenant));
    let files_per_person = s.defaulted("files_per_person", values::size, 1 << 30);
    let files_per_person = i64::try_from(files_per_person?).unwrap_or(i64::MAX);
    Ok(ChatConfig { default: default?, sharing: sharing?, files_per_person })
}
