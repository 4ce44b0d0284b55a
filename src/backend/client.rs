//! Sending a call to a backend.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{
        HeaderMap, Method, Request, Response, StatusCode, Uri,
        header::{ACCEPT_ENCODING, COOKIE, HOST, SET_COOKIE},
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use tokio::{
    pin,
    time::{Instant, sleep_until, timeout},
};
use url::Url;

use super::{
    body::{IdleBody, Pulse, Upload, fault_of_upload, limited},
    call::Call,
    credentials::{Choice, Credential, Purse},
    csrf::{self, CsrfTokens, Proof, Turn, is_about_token},
    headers::{Forwarded, HeaderPolicy},
    pool::{Answer, CallError, Pool},
    target::{self, Base},
    tenant::{Tenant, TenantPlaces},
};
use crate::{
    auth::MachineTokens,
    config::{BackendConfig, BackendUrl, Config},
    error::{Error, Kind, Result},
    session::{Caller, Grants},
};

/// The largest answer that is read whole, in bytes.
const LARGEST_ANSWER: usize = 16 << 20;
/// The largest answer that a CSRF token can be in, in bytes.
const LARGEST_TOKEN: usize = 64 << 10;
/// The largest refusal that is looked into, in bytes.
const LARGEST_REFUSAL: u64 = 64 << 10;

/// All configured backends, with pooled connections. Cheap to clone; each runtime has its own, so
/// that no request waits for another thread.
#[derive(Clone)]
pub struct Backends(Arc<BTreeMap<String, Backend>>);

/// One backend.
#[derive(Clone)]
pub struct Backend {
    settings: Arc<Settings>,
    purse: Arc<Purse>,
    csrf: Option<CsrfTokens>,
    pool: Pool,
}

struct Settings {
    config: BackendConfig,
    base: Base,
    headers: HeaderPolicy,
    forwarded: Forwarded,
    tenant: TenantPlaces,
}

/// What stays the same when a call is sent a second time.
struct Draft<'a> {
    method: Method,
    path: String,
    query: Option<String>,
    /// The client's; what of them is sent is picked for every attempt.
    headers: HeaderMap,
    own: HeaderMap,
    client: Option<IpAddr>,
    caller: &'a Caller,
    tenant: Tenant<'a>,
    /// Open to everyone, so nobody's credentials and cookies go with it.
    public: bool,
}

impl<'a> Draft<'a> {
    /// A call of ours, without query, headers and body.
    fn new(method: Method, path: String, caller: &'a Caller, tenant: Tenant<'a>) -> Self {
        let (headers, own) = (HeaderMap::new(), HeaderMap::new());
        Self {
            method,
            path,
            query: None,
            headers,
            own,
            client: None,
            caller,
            tenant,
            public: false,
        }
    }
}

impl Backends {
    /// The backends of the configuration; `sandbox` is where the sandbox listens.
    pub fn new(
        config: &Config,
        sandbox: Option<&Url>,
        grants: &Grants,
        tokens: &MachineTokens,
    ) -> Result<Self> {
        let origin = config.server.origin();
        let own = config.machine.as_ref().map(|machine| &machine.registration);
        let backends = config.backends.iter().map(|(name, config)| {
            let url = match (&config.url, sandbox) {
                (BackendUrl::Url(url), _) | (BackendUrl::Sandbox, Some(url)) => url,
                (BackendUrl::Sandbox, None) => {
                    return Err(Error::internal("a backend needs the sandbox, which is off"));
                }
            };
            let settings = Settings {
                base: Base::new(url)?,
                headers: HeaderPolicy::new(config)?,
                forwarded: Forwarded::new(&origin)?,
                tenant: TenantPlaces::new(&config.tenant)?,
                config: config.clone(),
            };
            let backend = Backend {
                csrf: config.csrf.clone().map(CsrfTokens::new),
                pool: Pool::new(settings.base.origin().clone(), config.timeouts.connect)?,
                purse: Arc::new(Purse {
                    list: config.auth.clone(),
                    grants: grants.clone(),
                    own: config.registration.as_ref().or(own).cloned(),
                    tokens: tokens.clone(),
                    cookies: config.forward_cookies.clone(),
                }),
                settings: Arc::new(settings),
            };
            Ok((name.clone(), backend))
        });
        Ok(Self(Arc::new(backends.collect::<Result<_>>()?)))
    }

    /// The same backends with connections of their own, for another runtime.
    pub fn for_another_runtime(&self) -> Result<Self> {
        let backends = self.0.iter().map(|(name, backend)| {
            let Settings { base, config, .. } = &*backend.settings;
            let pool = Pool::new(base.origin().clone(), config.timeouts.connect)?;
            Ok((name.clone(), Backend { pool, ..backend.clone() }))
        });
        Ok(Self(Arc::new(backends.collect::<Result<_>>()?)))
    }

    /// The backend that the configuration calls `name`.
    pub fn find(&self, name: &str) -> Result<&Backend> {
        self.0.get(name).ok_or_else(|| Error::internal(format!("no backend is called {name}")))
    }
}

impl Backend {
    /// Its settings.
    pub fn config(&self) -> &BackendConfig {
        &self.settings.config
    }

    /// What of its answers' headers may leave for a client.
    pub fn exposed(&self, headers: &HeaderMap) -> HeaderMap {
        self.settings.headers.of_response(headers)
    }

    /// What a `Location` of its answers is below its base; nothing for a place elsewhere.
    pub fn below_base<'a>(&self, location: &'a str) -> Option<&'a str> {
        self.settings.base.strip(location)
    }

    /// Whether `path` needs no session.
    pub fn is_public(&self, path: &str) -> bool {
        is_below(path, &self.config().public_paths)
    }

    /// Whether a call of this caller, who sent `headers`, would be sent on.
    pub fn serves(&self, caller: &Caller, headers: &HeaderMap) -> bool {
        match self.purse.first(caller, headers) {
            Some(Choice::Caller) => true,
            Some(_) => self.settings.tenant.of(caller.identity()).is_ok(),
            None => false,
        }
    }

    /// Whether answers from `path` are streams, whatever type they call themselves.
    pub fn streams(&self, path: &str) -> bool {
        is_below(path, &self.config().stream_paths)
    }

    /// Sends `call` for `caller` and answers with the backend's response, its body still arriving.
    ///
    /// 400 for a path that cannot be forwarded or a body that cannot be read, 401 without the
    /// credentials that are needed, 403 without a tenant where one is needed, 413 and 415 for a body
    /// that the backend does not take, 503 when it cannot be reached, 504 when it stays silent. A
    /// status the backend answers is not an error here.
    pub async fn send(&self, caller: &Caller, call: Call) -> Result<Response<Body>> {
        let Call { method, path, query, mut headers, own, body, client } = call;
        target::check(&path)?;
        let public = self.is_public(&path);
        let credential = self.credential(public, caller, &headers).await?;
        let tenant = self.tenant(public, &credential, caller)?;
        self.settings.tenant.check_charset(&headers)?;
        let body = limited(body, self.config().max_body)?;
        let body = self.settings.tenant.set_in_body(tenant, &mut headers, body).await?;
        let upload = Upload::take(body).await?;
        let draft = Draft { method, path, query, headers, own, client, caller, tenant, public };
        match upload {
            Upload::Stream(body, pulse) => self.send_once(&draft, credential, body, &pulse).await,
            Upload::Whole(bytes) => self.send_whole(&draft, credential, bytes).await,
        }
    }

    /// Sends `call` and reads the answer as JSON.
    ///
    /// Besides what [`Self::send`] refuses: 401, 403 and 404 of the backend as such, any other
    /// status and anything that is not JSON as 502.
    pub async fn json<T: DeserializeOwned>(&self, caller: &Caller, call: Call) -> Result<T> {
        let answer = self.send(caller, call).await?;
        let status = answer.status();
        let body = read(answer.into_body()).await?;
        if !status.is_success() {
            return Err(refusal(status.as_u16()));
        }
        serde_json::from_slice(&body).map_err(|cause| {
            Error::bad_gateway("The backend's answer was not understood.").because(cause)
        })
    }

    /// The caller's own CSRF token, where this backend has Drupal's.
    pub async fn csrf_token(&self, caller: &Caller) -> Result<String> {
        let path = self.csrf.as_ref().and_then(CsrfTokens::drupal_path).ok_or_else(|| {
            Error::not_found("This backend needs no token. Send the message without one.")
        })?;
        let mut credential = self.credential(false, caller, &HeaderMap::new()).await?;
        let tenant = self.tenant(false, &credential, caller)?;
        let draft = Draft::new(Method::POST, path.to_owned(), caller, tenant);
        match self.proof(&draft, &mut credential, None).await? {
            Proven::With(Some(proof)) => Ok(proof.into_token()),
            Proven::With(None) => Err(Error::internal("a guarded path needs no proof")),
            Proven::Refused(answer) => Err(refusal(answer.status().as_u16())),
        }
    }

    async fn credential(
        &self,
        public: bool,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<Credential> {
        if public {
            return Ok(Credential::Nothing);
        }
        self.purse.choose(caller, headers).await
    }

    /// The session's tenant; none is made up where the backend judges the credentials by itself.
    fn tenant<'a>(
        &self,
        public: bool,
        credential: &Credential,
        caller: &'a Caller,
    ) -> Result<Tenant<'a>> {
        if public || matches!(credential, Credential::Caller(_)) {
            return Ok(Tenant::Unsaid);
        }
        self.settings.tenant.of(caller.identity())
    }

    /// Sends a call whose body streams past.
    async fn send_once(
        &self,
        draft: &Draft<'_>,
        mut credential: Credential,
        body: Body,
        pulse: &Pulse,
    ) -> Result<Response<Body>> {
        match self.proof(draft, &mut credential, None).await? {
            Proven::Refused(answer) => Ok(answer),
            Proven::With(proof) => {
                let answer = self.attempt(draft, &credential, proof.as_ref(), body, Some(pulse));
                let answer = answer.await.map_err(|failure| self.failed(failure))?;
                self.heed(draft, credential, proof, answer.status());
                Ok(answer)
            }
        }
    }

    /// A call that cannot be sent again leaves what was refused behind for the next one to replace.
    fn heed(
        &self,
        draft: &Draft<'_>,
        credential: Credential,
        proof: Option<Proof>,
        status: StatusCode,
    ) {
        match (status, proof, self.csrf_of(draft)) {
            (StatusCode::FORBIDDEN, Some(proof), Some(csrf)) => {
                let holder = credential.holder(draft.caller);
                csrf.in_turn(holder, &credential, move |turn| turn.forget(&proof));
            }
            (StatusCode::UNAUTHORIZED, ..) => {
                let purse = self.purse.clone();
                tokio::spawn(async move { purse.renew(&credential).await });
            }
            _ => {}
        }
    }

    /// Sends a call whose body is all here. A backend that no longer takes the access token or the
    /// CSRF token gets a fresh one, and the call once more.
    async fn send_whole(
        &self,
        draft: &Draft<'_>,
        mut credential: Credential,
        body: Bytes,
    ) -> Result<Response<Body>> {
        let (answer, proof) = self.try_whole(draft, &mut credential, &body, None).await?;
        let (mut credential, stale) = match (answer.status(), proof) {
            (StatusCode::UNAUTHORIZED, _) => match self.purse.renew(&credential).await? {
                Some(fresh) => (fresh, None),
                None => return Ok(answer),
            },
            (StatusCode::FORBIDDEN, Some(proof)) => match look_into(answer).await? {
                Refusal::AboutToken => (credential, Some(proof)),
                Refusal::Other(answer) => return Ok(answer),
            },
            _ => return Ok(answer),
        };
        self.try_whole(draft, &mut credential, &body, stale).await.map(|(answer, _)| answer)
    }

    async fn try_whole(
        &self,
        draft: &Draft<'_>,
        credential: &mut Credential,
        body: &Bytes,
        stale: Option<Proof>,
    ) -> Result<(Response<Body>, Option<Proof>)> {
        match self.proof(draft, credential, stale).await? {
            Proven::Refused(answer) => Ok((answer, None)),
            Proven::With(proof) => {
                let credential = &*credential;
                let attempt =
                    || self.attempt(draft, credential, proof.as_ref(), body.clone().into(), None);
                let answer = match attempt().await {
                    // The backend may have closed an idle connection just as it was used again. What
                    // changes nothing may be asked twice (RFC 9110 §9.2.2).
                    Err(Failure::Call(CallError::Broken { reused: true, .. }))
                        if draft.method.is_safe() =>
                    {
                        attempt().await
                    }
                    answer => answer,
                };
                Ok((answer.map_err(|failure| self.failed(failure))?, proof))
            }
        }
    }

    /// What a guarded call must be sent with. `stale` was refused a moment ago. A backend that no
    /// longer takes the access token gets a fresh one here, while the call itself can still be sent.
    async fn proof(
        &self,
        draft: &Draft<'_>,
        credential: &mut Credential,
        stale: Option<Proof>,
    ) -> Result<Proven> {
        let Some(csrf) = self.csrf_of(draft) else { return Ok(Proven::With(None)) };
        match Box::pin(self.prove(csrf, draft, credential, stale)).await? {
            Proven::Refused(answer) if answer.status() == StatusCode::UNAUTHORIZED => {
                let Some(fresh) = self.purse.renew(credential).await? else {
                    return Ok(Proven::Refused(answer));
                };
                *credential = fresh;
                Box::pin(self.prove(csrf, draft, credential, None)).await
            }
            proven => Ok(proven),
        }
    }

    /// The proof of a guarded call: the one that is known, or a new one.
    async fn prove(
        &self,
        csrf: &CsrfTokens,
        draft: &Draft<'_>,
        credential: &Credential,
        stale: Option<Proof>,
    ) -> Result<Proven> {
        let limit = self.config().timeouts.first_byte;
        let silent = |_| self.failed(Failure::Silent(limit));
        let turn = csrf.turn(credential.holder(draft.caller), credential);
        let mut turn = timeout(limit, turn).await.map_err(silent)?;
        if let Some(stale) = stale {
            turn.forget(&stale);
        }
        match turn.known() {
            Some(proof) => Ok(Proven::With(Some(proof))),
            None => {
                let fetch = self.fetch_proof(csrf, draft, credential, &mut turn);
                timeout(limit, fetch).await.map_err(silent)?
            }
        }
    }

    /// A new proof from the backend, for whose holder it is `turn`.
    async fn fetch_proof(
        &self,
        csrf: &CsrfTokens,
        draft: &Draft<'_>,
        credential: &Credential,
        turn: &mut Turn,
    ) -> Result<Proven> {
        let (method, path) = csrf.source(&draft.path);
        let source =
            Draft { client: draft.client, ..Draft::new(method, path, draft.caller, draft.tenant) };
        let mut request = self.request(&source, credential, None, Body::empty())?;
        if let Some(cookies) = turn.cookies() {
            csrf::add_cookies(request.headers_mut(), &cookies)?;
        }
        let answer = self.exchange(request, None).await.map_err(|failure| self.failed(failure))?;
        let answer = answer.map(|body| self.watched(body));
        if !answer.status().is_success() {
            return Ok(Proven::Refused(answer));
        }
        let (head, body) = answer.into_parts();
        let body = read_at_most(LARGEST_TOKEN, body).await?;
        let proof = turn.keep(csrf, &head.headers, &String::from_utf8_lossy(&body))?;
        Ok(Proven::With(Some(proof)))
    }

    /// The tokens that this call needs one of.
    fn csrf_of(&self, draft: &Draft<'_>) -> Option<&CsrfTokens> {
        self.csrf.as_ref().filter(|csrf| !draft.public && csrf.guards(&draft.method, &draft.path))
    }

    async fn attempt(
        &self,
        draft: &Draft<'_>,
        credential: &Credential,
        proof: Option<&Proof>,
        body: Body,
        pulse: Option<&Pulse>,
    ) -> Result<Response<Body>, Failure> {
        let request = self.request(draft, credential, proof, body)?;
        let answer = self.exchange(request, pulse).await?;
        if let Some(csrf) = self.csrf_of(draft)
            && answer.headers().contains_key(SET_COOKIE)
        {
            let (tokens, cookies) = (csrf.clone(), answer.headers().clone());
            let holder = credential.holder(draft.caller);
            csrf.in_turn(holder, credential, move |turn| turn.learn(&tokens, &cookies));
        }
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Ours(Error::bad_gateway(
                "The backend wanted to speak another protocol, which nobody asked for.",
            )));
        }
        Ok(answer.map(|body| self.watched(body)))
    }

    /// A body that may not fall silent.
    fn watched(&self, body: Answer) -> Body {
        Body::new(IdleBody::new(body, self.config().timeouts.idle))
    }

    /// Strip, then set: nothing of the client's survives that is not on the list, and ours are put
    /// in last.
    fn request(
        &self,
        draft: &Draft<'_>,
        credential: &Credential,
        proof: Option<&Proof>,
        body: Body,
    ) -> Result<Request<Body>> {
        let Settings { base, headers: policy, forwarded, tenant, .. } = &*self.settings;
        let mut headers = policy.of_request(&draft.headers);
        headers.extend(draft.own.clone());
        tenant.set_in_headers(draft.tenant, &mut headers)?;
        let mut query = tenant.set_in_query(draft.tenant, draft.query.as_deref());
        if let Some(cookies) = credential.cookies() {
            headers.insert(COOKIE, cookies.clone());
        }
        if let (Some(csrf), Some(proof)) = (&self.csrf, proof) {
            query = csrf.prove(proof, query, &mut headers)?;
            // A refusal must be readable here.
            headers.remove(ACCEPT_ENCODING);
        }
        if let Some((name, secret)) = credential.header() {
            headers.insert(name.clone(), secret.clone());
        }
        if let Some(client) = draft.client {
            forwarded.set(&mut headers, client)?;
        }
        headers.insert(HOST, base.host());
        let mut request = Request::new(body);
        *request.method_mut() = draft.method.clone();
        *request.uri_mut() = Uri::from(base.resolve(&draft.path, query.as_deref())?);
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Waits for the head of the answer: for the configured time after the last of the upload moved.
    async fn exchange(
        &self,
        request: Request<Body>,
        pulse: Option<&Pulse>,
    ) -> Result<Response<Answer>, Failure> {
        let limit = self.config().timeouts.first_byte;
        let answer = self.pool.call(request);
        pin!(answer);
        let mut deadline = Instant::now() + limit;
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer.map_err(Failure::Call),
                () = sleep_until(deadline) => match pulse.map(|pulse| pulse.last() + limit) {
                    Some(later) if later > deadline => deadline = later,
                    _ => return Err(Failure::Silent(limit)),
                },
            }
        }
    }

    fn failed(&self, failure: Failure) -> Error {
        let cause = match failure {
            Failure::Ours(error) => return error,
            Failure::Silent(limit) => {
                return Error::timeout(
                    "The backend did not answer in time. Try again in a moment.",
                )
                .because(format!("{} said nothing for {limit:?}", self.config().name));
            }
            Failure::Call(cause) => cause,
        };
        if let Some(fault) = fault_of_upload(&cause) {
            return fault;
        }
        let error = match &cause {
            CallError::Connect(_) => Error::unavailable(
                "The backend cannot be reached right now. Nothing was sent; try again in a moment.",
            ),
            CallError::Broken { .. } => Error::bad_gateway(
                "The backend broke off before it answered. Try again in a moment.",
            ),
        };
        error.because(cause)
    }
}

/// Why an attempt brought no answer.
enum Failure {
    /// It was never made.
    Ours(Error),
    Call(CallError),
    /// Nothing was heard for this long.
    Silent(Duration),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// What came of asking for a proof.
enum Proven {
    /// Send the call with it; most calls need none.
    With(Option<Proof>),
    /// The backend gave none; this is its answer.
    Refused(Response<Body>),
}

/// Whether `path` is one of `prefixes` or below one.
fn is_below(path: &str, prefixes: &[String]) -> bool {
    prefixes.iter().any(|prefix| {
        path.strip_prefix(prefix.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// A refusal that may be put right.
enum Refusal {
    /// The CSRF token was the trouble.
    AboutToken,
    /// Something else; this is the answer to pass on.
    Other(Response<Body>),
}

async fn look_into(answer: Response<Body>) -> Result<Refusal> {
    let length = hyper::body::Body::size_hint(answer.body()).lower();
    if length > LARGEST_REFUSAL {
        return Ok(Refusal::Other(answer));
    }
    let (head, body) = answer.into_parts();
    let body = read(body).await?;
    if is_about_token(&body) {
        return Ok(Refusal::AboutToken);
    }
    Ok(Refusal::Other(Response::from_parts(head, body.into())))
}

/// Reads a whole answer, up to 16 MiB.
pub async fn read(body: Body) -> Result<Bytes> {
    read_at_most(LARGEST_ANSWER, body).await
}

async fn read_at_most(limit: usize, body: Body) -> Result<Bytes> {
    let body = Limited::new(body, limit).collect().await.map_err(|cause| {
        Error::bad_gateway("The backend's answer broke off. Try again in a moment.").because(cause)
    })?;
    Ok(body.to_bytes())
}

/// What a backend's refusal means for the person.
pub fn refusal(status: u16) -> Error {
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
