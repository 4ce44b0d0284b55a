//! Sending a call to a backend.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Method, Request, Response,
        header::{AUTHORIZATION, HOST},
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use super::{headers, idle::IdleBody, target, tenant};
use crate::{
    config::{BackendAuth, BackendConfig, BackendUrl},
    error::{Error, Kind, Result},
    session::{Caller, Grants},
};

type Http = Client<HttpsConnector<HttpConnector>, Body>;

/// The largest answer that is read whole, in bytes.
const LARGEST_ANSWER: usize = 16 << 20;
/// How long the head of an answer may be, and how much of a body waits in memory, in bytes.
const LARGEST_HEAD: usize = 16 << 10;
const POOL_IDLE: Duration = Duration::from_secs(60);

/// One call to a backend, as a client or a room of ours asked for it.
#[derive(Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The raw path on the backend, beginning with `/`.
    pub path: String,
    /// The raw query.
    pub query: Option<String>,
    /// The client's headers; only those on the allow-list are sent.
    pub headers: HeaderMap,
    /// The body, streamed.
    pub body: Body,
}

impl Call {
    /// A GET without headers of its own.
    pub fn get(path: impl Into<String>, query: Option<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query,
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
    }
}

/// All configured backends, with pooled connections. Cheap to clone; each runtime has its own, so
/// that no request waits for another thread.
#[derive(Clone)]
pub struct Backends {
    backends: Arc<BTreeMap<String, Arc<Backend>>>,
    grants: Grants,
    http: Arc<BTreeMap<String, Http>>,
}

struct Backend {
    config: BackendConfig,
    url: Url,
}

impl Backends {
    /// The backends of the configuration; `sandbox` is where the sandbox listens.
    pub fn new(
        configs: &BTreeMap<String, BackendConfig>,
        sandbox: Option<&Url>,
        grants: Grants,
    ) -> Result<Self> {
        let backends = configs
            .iter()
            .map(|(name, config)| {
                let url = match (&config.url, sandbox) {
                    (BackendUrl::Url(url), _) | (BackendUrl::Sandbox, Some(url)) => url.clone(),
                    (BackendUrl::Sandbox, None) => {
                        return Err(Error::internal("a backend needs the sandbox, which is off"));
                    }
                };
                Ok((name.clone(), Arc::new(Backend { config: config.clone(), url })))
            })
            .collect::<Result<BTreeMap<_, _>>>()?;
        let http = clients(&backends)?;
        Ok(Self { backends: Arc::new(backends), grants, http: Arc::new(http) })
    }

    /// The same backends with connections of their own, for another runtime.
    pub fn for_another_runtime(&self) -> Result<Self> {
        let http = clients(&self.backends)?;
        Ok(Self { http: Arc::new(http), ..self.clone() })
    }

    /// Whether `path` on this backend needs no session.
    pub fn is_public(&self, backend: &str, path: &str) -> bool {
        self.backends.get(backend).is_some_and(|backend| backend.is_public(path))
    }

    /// Sends `call` for `caller` and answers with the backend's response, its body still arriving.
    ///
    /// 401 without a session where one is needed, 403 without a tenant where one is needed, 400 for
    /// a path that cannot be forwarded, 503 when the backend cannot be reached, 504 when it stays
    /// silent. A status the backend answers is not an error here.
    pub async fn send(&self, name: &str, caller: &Caller, call: Call) -> Result<Response<Body>> {
        let backend = self
            .backends
            .get(name)
            .ok_or_else(|| Error::internal(format!("no backend is called {name}")))?;
        let http = self
            .http
            .get(name)
            .ok_or_else(|| Error::internal(format!("no client for backend {name}")))?;
        let public = backend.is_public(&call.path);
        let token = if public { None } else { self.token(&backend.config, caller).await? };
        let request = backend.request(call, caller, token, public)?;
        let limit = backend.config.timeouts.first_byte;
        let answer = tokio::time::timeout(limit, http.request(request))
            .await
            .map_err(|_| backend.silent())?
            .map_err(|cause| backend.unreachable(cause))?;
        let idle = backend.config.timeouts.idle;
        Ok(answer.map(|body| Body::new(IdleBody::new(body, idle))))
    }

    /// Sends `call` and reads the answer as JSON.
    ///
    /// Besides what [`Self::send`] refuses: 401, 403 and 404 of the backend as such, any other
    /// status and anything that is not JSON as 502.
    pub async fn json<T: DeserializeOwned>(
        &self,
        name: &str,
        caller: &Caller,
        call: Call,
    ) -> Result<T> {
        let answer = self.send(name, caller, call).await?;
        let status = answer.status();
        let body = read(answer.into_body()).await?;
        if !status.is_success() {
            return Err(refusal(status.as_u16()));
        }
        serde_json::from_slice(&body).map_err(|cause| {
            Error::bad_gateway("The backend's answer was not understood.").because(cause)
        })
    }

    /// The first credential of the backend's list that this caller has.
    async fn token(&self, config: &BackendConfig, caller: &Caller) -> Result<Option<SecretString>> {
        for auth in &config.auth {
            match (auth, caller) {
                (BackendAuth::Session, Caller::Session(session)) => {
                    return self.grants.access_token(session.key()).await.map(Some);
                }
                (BackendAuth::Session, Caller::Nobody) => {}
                (BackendAuth::Bearer(secret), _) => return Ok(Some(secret.clone())),
                (BackendAuth::None, _) => return Ok(None),
            }
        }
        Err(Error::unauthenticated())
    }
}

impl Backend {
    fn is_public(&self, path: &str) -> bool {
        self.config.public_paths.iter().any(|public| {
            path.strip_prefix(public.trim_end_matches('/'))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Strip, then set: nothing of the client's survives that is not on the list, and ours are put
    /// in last.
    fn request(
        &self,
        call: Call,
        caller: &Caller,
        token: Option<SecretString>,
        public: bool,
    ) -> Result<Request<Body>> {
        let rule = &self.config.tenant;
        let tenant = caller.identity().and_then(|identity| identity.tenant.as_deref());
        let mut headers = headers::request_headers(&call.headers);
        let query = if public {
            call.query
        } else {
            tenant::set_in_headers(rule, tenant, &mut headers)?;
            tenant::set_in_query(rule, tenant, call.query.as_deref())?
        };
        let uri = target::resolve(&self.url, &call.path, query.as_deref())?;
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, bearer(&token)?);
        }
        if let Some(authority) = uri.authority() {
            let host = HeaderValue::from_str(authority.as_str()).map_err(Error::internal)?;
            headers.insert(HOST, host);
        }
        let mut request = Request::new(call.body);
        *request.method_mut() = call.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn unreachable(&self, cause: hyper_util::client::legacy::Error) -> Error {
        if cause.is_connect() {
            return Error::unavailable(
                "The backend cannot be reached right now. Nothing was sent; try again in a moment.",
            )
            .because(cause);
        }
        Error::bad_gateway("The backend broke off before it answered. Try again in a moment.")
            .because(cause)
    }

    fn silent(&self) -> Error {
        Error::timeout("The backend did not answer in time. Try again in a moment.")
            .because(format!("backend {}", self.config.name))
    }
}

/// Reads a whole answer, up to 16 MiB.
pub async fn read(body: Body) -> Result<Bytes> {
    let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|cause| {
        Error::bad_gateway("The backend's answer broke off. Try again in a moment.").because(cause)
    })?;
    Ok(body.to_bytes())
}

/// What a backend's refusal means for the person.
fn refusal(status: u16) -> Error {
    let because = format!("the backend answered {status}");
    match status {
        401 => Error::new(
            Kind::Unauthenticated,
            "The backend no longer accepts your sign-in. Sign in again.",
        ),
        403 => Error::forbidden("You are not allowed to see this."),
        404 => Error::not_found("There is nothing here, or it was removed."),
        429 => Error::unavailable("The backend is busy. Wait a moment and try again."),
        500.. => Error::unavailable("The backend has trouble right now. Try again in a moment."),
        _ => Error::bad_gateway("The backend did not accept the request."),
    }
    .because(because)
}

fn bearer(token: &SecretString) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

fn clients(backends: &BTreeMap<String, Arc<Backend>>) -> Result<BTreeMap<String, Http>> {
    backends
        .iter()
        .map(|(name, backend)| Ok((name.clone(), client(backend.config.timeouts.connect)?)))
        .collect()
}

fn client(connect: Duration) -> Result<Http> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(connect));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let https = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(Error::internal)?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .http1_max_buf_size(LARGEST_HEAD)
        .build(https))
}
