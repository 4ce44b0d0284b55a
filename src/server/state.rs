//! What every handler can reach.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;
use leptos::config::LeptosOptions;
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tower_sessions::Session;

use crate::{
    auth::{Auth, MachineTokens, Provider, Renewer, Source, limits::Limits, service::Hop},
    backend::{Backends, LastGood},
    channels::{Deliveries, Widgets, jobs::Jobs},
    chat::{Chat, Tools},
    config::{AuthConfig, Config, MachineEndpoint, ProviderConfig, Registration},
    data::{Changes, Data, KnownFields, Resources, Views},
    error::{Error, Result},
    sandbox::{Sandbox, SandboxOptions},
    session::{Caller, Grants, Sessions, grants::TokenEndpoint, seal::Sealer},
    store::Store,
};

use super::assets;

/// The services of one running Breezeway, as one runtime sees them.
///
/// Every layer of every request holds one, so a clone is a single count, and one that no other
/// runtime's thread touches.
#[derive(Clone)]
pub struct App(Arc<Services>);

/// What an [`App`] holds.
#[derive(Clone)]
pub struct Services {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// How Leptos finds its assets.
    pub leptos: LeptosOptions,
    /// Where the style sheet is.
    pub stylesheet: Arc<str>,
    /// The database.
    pub store: Store,
    /// Who is signed in.
    pub sessions: Sessions,
    /// Signing in and out.
    pub auth: Auth,
    /// Calling backends, with connections that belong to this runtime.
    pub backends: Backends,
    /// Conversations and runs.
    pub chat: Chat,
    /// Declared resources.
    pub resources: Resources,
    /// Changes of their records that are still to be done, and what was done.
    pub changes: Changes,
    /// Lists under names, and what people come back to.
    pub views: Views,
    /// What was found out about those that declare no fields.
    pub known_fields: KnownFields,
    /// Chats on other sites.
    pub widgets: Widgets,
    /// Messages that came by webhook.
    pub deliveries: Deliveries,
    /// What is done every minute.
    pub jobs: Jobs,
    /// Answers of resources, for when their backend is down.
    pub last_good: LastGood,
    /// The sandbox, when it runs.
    pub sandbox: Option<Arc<Sandbox>>,
}

impl App {
    /// Opens everything the configuration asks for. Tasks of the server's own run on `runtime`;
    /// the sandbox ends when `stop` is cancelled.
    pub async fn open(
        mut config: Config,
        leptos: LeptosOptions,
        runtime: &Handle,
        stop: &CancellationToken,
    ) -> Result<Self> {
        // An error only says that it was installed before, by another instance in this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = Store::open(&config.server).await.map_err(Error::startup)?;
        let sealer =
            Sealer::open(&config.session.keys, &config.server.data_dir).map_err(Error::startup)?;
        let sandbox = start_sandbox(&config, stop).await?.map(Arc::new);
        if let Some(sandbox) = sandbox.as_deref() {
            register_machines(&mut config, sandbox);
        }
        let provider = provider(&config, sandbox.as_deref())?.map(Arc::new);
        let machine = MachineTokens::new(config.machine.clone(), provider.clone())?;
        let sessions =
            Sessions::new(store.clone(), config.session.clone(), config.server.is_https());
        let json = config.auth.as_ref().and_then(|auth| auth.refresh.clone());
        let renewer = Renewer::new(provider.clone(), json, machine.clone())?;
        let endpoint: Arc<dyn TokenEndpoint> = Arc::new(renewer);
        let grants = Grants::new(sessions.clone(), sealer.clone(), endpoint, runtime.clone());
        let auth = Auth::new(
            provider,
            machine.clone(),
            sealer,
            sessions.clone(),
            grants.clone(),
            Limits::new(&config.limits),
            &config.server,
        );
        let sandbox_url = sandbox.as_ref().map(|sandbox| sandbox.api_url());
        let backends = Backends::new(&config, sandbox_url, &grants, &machine)?;
        let resources = Resources::new(&config);
        let last_good = LastGood::default();
        let known_fields = KnownFields::default();
        let data =
            Data::new(resources.clone(), backends.clone(), last_good.clone(), known_fields.clone());
        let changes = Changes::new(
            store.clone(),
            data.clone(),
            sessions.clone(),
            config.data.clone(),
            runtime.clone(),
        );
        let tools = Tools::new(resources.clone(), data, changes.clone());
        let chat = Chat::new(store.clone(), backends.clone(), tools, &config, runtime.clone());
        let widgets = Widgets::new(config.widgets.iter(), &config.server.origin());
        let webhooks = config.webhooks.clone();
        let deliveries =
            Deliveries::new(store.clone(), chat.clone(), webhooks, stop.child_token())?;
        let jobs = Jobs {
            store: store.clone(),
            sessions: sessions.clone(),
            chat: chat.clone(),
            deliveries: deliveries.clone(),
            changes: changes.clone(),
            last_good: last_good.clone(),
            config: config.jobs.clone(),
            runtime: runtime.clone(),
        };
        let views = Views::new(store.clone());
        let services = Services {
            config: Arc::new(config),
            stylesheet: assets::stylesheet(&leptos).into(),
            leptos,
            store,
            sessions,
            auth,
            backends,
            chat,
            resources,
            changes,
            views,
            known_fields,
            widgets,
            deliveries,
            jobs,
            last_good,
            sandbox,
        };
        Ok(Self(Arc::new(services)))
    }

    /// The same services for another runtime, with upstream connections of its own.
    pub fn for_another_runtime(&self) -> Result<Self> {
        let backends = self.backends.for_another_runtime()?;
        Ok(Self(Arc::new(Services { backends, ..Services::clone(self) })))
    }

    /// Signs a browser out, once what it still wants done is done.
    pub async fn sign_out(&self, session: &Session, caller: &Caller) -> Result<Hop> {
        if let Some(active) = caller.session() {
            self.changes.flush(active.key()).await;
        }
        self.auth.sign_out(session, caller).await
    }

    /// Reading and writing declared resources.
    pub fn data(&self) -> Data {
        Data::new(
            self.resources.clone(),
            self.backends.clone(),
            self.last_good.clone(),
            self.known_fields.clone(),
        )
    }
}

impl Deref for App {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

/// The routes that Leptos makes need its options.
impl FromRef<App> for LeptosOptions {
    fn from_ref(app: &App) -> Self {
        app.leptos.clone()
    }
}

async fn start_sandbox(config: &Config, stop: &CancellationToken) -> Result<Option<Sandbox>> {
    if !config.sandbox.enabled {
        return Ok(None);
    }
    let origin = config.server.origin();
    let options = SandboxOptions::new(&origin, config.server.data_dir.clone());
    Sandbox::start(options, stop.clone()).await.map(Some).map_err(Error::startup)
}

fn provider(config: &Config, sandbox: Option<&Sandbox>) -> Result<Option<Provider>> {
    let Some(auth) = config.auth.clone() else { return Ok(None) };
    let (source, auth) = match (&auth.provider, sandbox) {
        (ProviderConfig::Discover { issuer }, _) => (Source::Discover(issuer.clone()), auth),
        (ProviderConfig::Explicit(endpoints), _) => {
            (Source::Known(Box::new(endpoints.clone())), auth)
        }
        (ProviderConfig::Sandbox, Some(sandbox)) => {
            let (id, secret) = sandbox.client();
            let auth = with_client(auth, id, secret);
            (Source::Known(Box::new(sandbox.endpoints())), auth)
        }
        (ProviderConfig::Sandbox, None) => return Ok(None),
    };
    Provider::new(source, auth, &config.server.origin()).map(Some)
}

/// Fills in the sandbox's own registration where the configuration asks for it.
fn register_machines(config: &mut Config, sandbox: &Sandbox) {
    let (id, secret) = sandbox.machine_client();
    let own = config.machine.as_mut().map(|machine| &mut machine.registration);
    let of_backends = config.backends.values_mut().filter_map(|b| b.registration.as_mut());
    for registration in of_backends.chain(own) {
        if registration.endpoint == MachineEndpoint::Sandbox {
            *registration = Registration {
                endpoint: MachineEndpoint::Url(sandbox.endpoints().token_url),
                client_id: id.to_owned(),
                client_secret: secret.clone(),
                ..registration.clone()
            };
        }
    }
}

fn with_client(auth: AuthConfig, id: &str, secret: &SecretString) -> AuthConfig {
    AuthConfig { client_id: id.to_owned(), client_secret: Some(secret.clone()), ..auth }
}
