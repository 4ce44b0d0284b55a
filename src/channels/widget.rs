//! Chats on other sites: a token instead of a session, and exactly the origins that are listed.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, Method, Response, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
            ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, ORIGIN, VARY,
        },
    },
};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    auth::limits::{Limiter, network},
    config::{Rate, WidgetConfig},
    error::{Error, Result},
    session::{Caller, ChannelCaller, Identity},
};

/// What is open to widgets.
const OPEN: &str = "/api/chat";
/// What else is open to the visitors of a widget's own page, who own what they see there.
const OPEN_TO_VISITORS: [&str; 6] = [
    "/api/chat/messages/",
    "/api/fn/chat/stop_run",
    "/api/fn/chat/choose_branch",
    "/api/fn/chat/rate",
    "/api/fn/chat/see",
    "/chat/older",
];
/// The same, to be read only.
const CONVERSATIONS: &str = "/api/chat/conversations";
/// What begins a reply, and counts as asking.
const ASKING: [&str; 4] =
    ["/api/chat", "/chat", "/api/fn/chat/start_run", "/api/fn/chat/regenerate"];
/// Tells the visitors of a widget's page apart: 32 hexadecimal digits that their browser made up.
const VISITOR: &str = "breezeway-visitor";
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const SENT: HeaderValue =
    HeaderValue::from_static("accept, authorization, content-type, idempotency-key, last-event-id");
const SHOWN: HeaderValue = HeaderValue::from_static(
    "breezeway-conversation-id, breezeway-message-id, breezeway-run-id, retry-after, x-request-id",
);
/// How many wrong tokens an address may send in a minute.
const GUESSES: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// All widgets. Cheap to clone.
#[derive(Clone)]
pub struct Widgets {
    widgets: Arc<[Widget]>,
    /// Of tokens that are none.
    guesses: Limiter<IpAddr>,
    /// Our own site's, which is that of a widget's page.
    own: HeaderValue,
}

struct Widget {
    name: String,
    origins: Vec<HeaderValue>,
    /// Who visitors of its page are.
    host: Speaker,
    /// Hashed, so that all are of one length to compare.
    tokens: Vec<([u8; 32], Speaker)>,
    limit: Limiter<IpAddr>,
}

/// What a token stands for.
#[derive(Clone)]
struct Speaker {
    identity: Identity,
    assistant: Option<String>,
}

impl Widgets {
    /// As configured.
    pub fn new<'a>(configs: impl Iterator<Item = &'a WidgetConfig>, origin: &str) -> Self {
        let rate = Rate { count: GUESSES, per: Duration::from_secs(60) };
        Self {
            widgets: configs.map(Widget::new).collect(),
            guesses: Limiter::new(rate),
            own: origin.parse().unwrap_or(HeaderValue::from_static("null")),
        }
    }

    /// Whether a request comes from a widget's page, whoever else the browser may be.
    pub fn is_visit(request: &Request) -> bool {
        request.headers().contains_key(VISITOR)
    }

    /// A visitor of a widget's page, and the sites that may frame it.
    pub fn visitor(&self, name: &str, visitor: &str) -> Result<(Caller, Vec<HeaderValue>)> {
        let widget = self
            .widgets
            .iter()
            .find(|widget| widget.name == name)
            .ok_or_else(|| Error::not_found("There is no such chat."))?;
        let Speaker { identity, assistant } = widget.host.clone();
        let identity = visiting(identity, visitor)?;
        let caller = ChannelCaller { identity, assistant, visitor: None };
        Ok((Caller::Channel(Arc::new(caller)), widget.origins.clone()))
    }

    /// Whom the widget token of a request speaks for; nobody when it has none.
    ///
    /// 401 for a token that is not one, 403 from a site that is not listed, 429 when the client has
    /// asked too often.
    pub fn admit(&self, request: &Request, client: IpAddr) -> Result<Caller> {
        if self.widgets.is_empty() || !is_open(request) {
            return Ok(Caller::Nobody);
        }
        let Some(token) = bearer(request.headers()) else { return Ok(Caller::Nobody) };
        let (token, visitor) = (Sha256::digest(token.as_bytes()).into(), network(client));
        let found = self.widgets.iter().find_map(|widget| Some((widget, widget.find(&token)?)));
        let Some((widget, speaker)) = found else {
            self.guesses.check(visitor)?;
            return Err(unauthorized());
        };
        let of_page = request.headers().get(VISITOR);
        if let Some(origin) = request.headers().get(ORIGIN)
            && !widget.origins.contains(origin)
            && !(of_page.is_some() && *origin == self.own)
        {
            return Err(Error::forbidden("This chat is not open to the site that asks."));
        }
        if of_page.is_none() || is_asking(request) {
            widget.limit.check(visitor)?;
        }
        let Speaker { mut identity, assistant } = speaker.clone();
        let mut visitor = Some(visitor);
        if let Some(name) = of_page {
            identity = visiting(identity, name.to_str().unwrap_or_default())?;
            visitor = None;
        }
        Ok(Caller::Channel(Arc::new(ChannelCaller { identity, assistant, visitor })))
    }

    /// The answer to a browser that asks on behalf of another site whether it may ask (Fetch, CORS
    /// preflight).
    pub fn preflight(&self, request: &Request) -> Option<Response<Body>> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && is_open(request);
        let origin = self.listed(request.headers()).filter(|_| asks)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
        headers.insert(ACCESS_CONTROL_MAX_AGE, REMEMBERED);
        headers.insert(VARY, HeaderValue::from_static("origin"));
        Some(response)
    }

    /// The site that a request comes from, when its answer may be read there.
    pub fn reader(&self, request: &Request) -> Option<HeaderValue> {
        if self.widgets.is_empty() || !is_open(request) {
            return None;
        }
        self.listed(request.headers())
    }

    fn listed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        self.widgets.iter().any(|widget| widget.origins.contains(origin)).then(|| origin.clone())
    }
}

/// Lets `origin` read an answer. Never with cookies: that takes another header, which nobody sets.
pub fn let_read(origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
    headers.append(VARY, HeaderValue::from_static("origin"));
}

impl Widget {
    fn new(config: &WidgetConfig) -> Self {
        let speaker = |assistant: &Option<String>| Speaker {
            identity: Identity::of_channel(&config.name, config.tenant.as_deref()),
            assistant: assistant.clone().or_else(|| config.assistant.clone()),
        };
        let host = speaker(&None);
        let tokens = config.tokens.iter().map(|token| {
            let hash = Sha256::digest(token.token.expose_secret().as_bytes()).into();
            (hash, speaker(&token.assistant))
        });
        Self {
            name: config.name.clone(),
            host,
            tokens: tokens.collect(),
            origins: config.origins.iter().filter_map(|o| o.parse().ok()).collect(),
            limit: Limiter::new(config.rate),
        }
    }

    /// Compares with every token, in a time that tells nothing about them.
    fn find(&self, token: &[u8; 32]) -> Option<&Speaker> {
        let mut found = None;
        for (known, speaker) in &self.tokens {
            if known.ct_eq(token).into() {
                found = Some(speaker);
            }
        }
        found
    }
}

fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    let rest = path.strip_prefix(OPEN);
    let is_visit = Widgets::is_visit(request);
    let is_reading = request.method() == Method::GET && path.starts_with(CONVERSATIONS);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("/runs/"))
        || is_visit
            && (is_reading
                || is_asking(request)
                || OPEN_TO_VISITORS.iter().any(|open| path.starts_with(open)))
}

fn is_asking(request: &Request) -> bool {
    request.method() == Method::POST && ASKING.contains(&request.uri().path())
}

/// Somebody of their own among those who come by a widget.
fn visiting(identity: Identity, visitor: &str) -> Result<Identity> {
    if visitor.len() != 32 || !visitor.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::bad_request("A visitor is 32 hexadecimal digits."));
    }
    let hash: [u8; 32] = Sha256::digest(visitor.as_bytes()).into();
    let instance =
        hash[..16].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    Ok(Identity { instance: Some(instance), ..identity })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized() -> Error {
    Error::from_status(401, "Unauthorized")
}
