//! A Breezeway of a test's own, a browser that keeps cookies, and an upstream that remembers.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use breezeway::{
    config::Config,
    server::{
        front::Front,
        serve::{accept, leptos_options},
        state::App,
    },
};
use reqwest::{Method, StatusCode, header};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Handle};
use tokio_util::sync::CancellationToken;

#[path = "postgres.rs"]
mod postgres;

pub use self::postgres::postgres;

/// A running Breezeway. Dropping it ends it; its data goes with the folder.
pub struct Site {
    pub origin: String,
    pub app: App,
    stop: CancellationToken,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Site {
    /// The checked-in configuration, in a folder of its own.
    pub async fn start() -> (Self, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let site = Self::start_with(folder.path(), include_str!("../../Leptos.toml")).await;
        (site, folder)
    }

    /// Starts with this configuration on the data in `folder`.
    pub async fn start_with(folder: &Path, text: &str) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), folder, text).await
    }

    /// The same at an address that was chosen before.
    pub async fn start_on(listener: TcpListener, folder: &Path, text: &str) -> Self {
        let origin = format!("http://{}", listener.local_addr().unwrap());
        Self::start_behind(listener, folder, text, &origin).await
    }

    /// The same behind something that makes it known as `public_url`.
    pub async fn start_behind(
        listener: TcpListener,
        folder: &Path,
        text: &str,
        public_url: &str,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let origin = format!("http://{address}");
        let mut environment = BTreeMap::from([
            ("BREEZEWAY__SERVER__ADDRESS".to_owned(), address.to_string()),
            ("BREEZEWAY__SERVER__PUBLIC_URL".to_owned(), public_url.to_owned()),
            ("BREEZEWAY__SERVER__DATA_DIR".to_owned(), folder.display().to_string()),
        ]);
        if let Some(url) = postgres(folder).await {
            environment.insert("BREEZEWAY__SERVER__DATABASE_URL".to_owned(), url);
        }
        let config = Config::from_text(Path::new("Leptos.toml"), text, &environment).unwrap();
        let mut leptos = leptos_options(&config, Path::new("none")).unwrap();
        leptos.hash_files = false;
        let stop = CancellationToken::new();
        let app = App::open(config, leptos, &Handle::current(), &stop).await.unwrap();
        app.chat.recover().await.unwrap();
        tokio::spawn(accept(Front::new(app.clone()), listener.into_std().unwrap(), stop.clone()));
        Self { origin, app, stop }
    }

    /// A browser that has never been here.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.origin)
    }

    /// A browser in which this demo person is signed in.
    pub async fn signed_in(&self, person: &str) -> Browser {
        let browser = self.browser();
        browser.sign_in(person).await;
        browser
    }
}

/// Keeps cookies, sends what a browser sends, follows no redirection by itself.
pub struct Browser {
    pub origin: String,
    pub cookies: Mutex<BTreeMap<String, String>>,
    http: reqwest::Client,
}

impl Browser {
    pub fn new(origin: &str) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { origin: origin.to_owned(), cookies: Mutex::default(), http }
    }

    /// A request of this site's own pages.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.origin)
        };
        let cookies = self.cookies.lock().unwrap().clone();
        let cookies: Vec<_> =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.request(method, url).header("sec-fetch-site", "same-origin");
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        request
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Response {
        let response = request.send().await.unwrap();
        self.keep_cookies(&response);
        response
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.send(self.request(Method::GET, path)).await
    }

    /// Opens a page as a browser does, following redirections within the site.
    pub async fn open(&self, path: &str) -> reqwest::Response {
        let mut path = path.to_owned();
        for _ in 0..10 {
            let request = self.request(Method::GET, &path).header(header::ACCEPT, "text/html");
            let response = self.send(request).await;
            match location(&response) {
                Some(next) => path = next,
                None => return response,
            }
        }
        panic!("{path} leads in circles");
    }

    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::Response {
        let request = self.request(Method::POST, path).header(header::ACCEPT, "text/html");
        self.send(request.form(fields)).await
    }

    pub async fn sign_in(&self, person: &str) {
        let leave = self.get("/auth/login").await;
        assert_eq!(leave.status(), StatusCode::SEE_OTHER);
        let back = self.consent(&location(&leave).unwrap(), person).await;
        let home = self.get(&back).await;
        assert_eq!(home.status(), StatusCode::SEE_OTHER, "{}", home.text().await.unwrap());
    }

    /// Goes through the sandbox's pages; answers the address that leads back.
    pub async fn consent(&self, authorize: &str, person: &str) -> String {
        let (page, query) = authorize.split_once('?').unwrap();
        let parameters: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let chosen =
            self.step(page, &parameters, &[("step", "person"), ("user_name", person)]).await;
        let answer = match location(&chosen) {
            Some(_) => chosen,
            None => self.step(page, &parameters, &[("step", "allow"), ("user_name", person)]).await,
        };
        location(&answer).expect("the sandbox sends people back")
    }

    async fn step(
        &self,
        page: &str,
        parameters: &[(String, String)],
        step: &[(&str, &str)],
    ) -> reqwest::Response {
        let mut fields: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        fields.extend_from_slice(step);
        self.post_form(page, &fields).await
    }

    fn keep_cookies(&self, response: &reqwest::Response) {
        let mut cookies = self.cookies.lock().unwrap();
        for value in response.headers().get_all(header::SET_COOKIE) {
            let value = value.to_str().unwrap();
            let (name, rest) = value.split_once('=').unwrap();
            let content = rest.split(';').next().unwrap();
            if rest.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), content.to_owned());
            }
        }
    }
}

/// Where a response leads.
pub fn location(response: &reqwest::Response) -> Option<String> {
    Some(response.headers().get(header::LOCATION)?.to_str().unwrap().to_owned())
}

/// What an upstream was asked.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub target: String,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

/// Serves a router on an address of its own; answers its origin.
pub async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    origin
}

/// An upstream that remembers what it was asked and answers as it is told.
#[derive(Clone)]
pub struct Upstream {
    pub origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

type Answer = Arc<dyn Fn(&Seen) -> Response<Body> + Send + Sync>;

impl Upstream {
    pub async fn start(answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let state: (Arc<Mutex<Vec<Seen>>>, Answer) = (seen.clone(), Arc::new(answer));
        let origin = serve(Router::new().fallback(remember).with_state(state)).await;
        Self { origin, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn remember(
    State((seen, answer)): State<(Arc<Mutex<Vec<Seen>>>, Answer)>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let one = Seen {
        method: head.method,
        target: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    seen.lock().unwrap().push(one.clone());
    answer(&one)
}

/// One event of a chat completion that says this.
pub fn delta(text: &str) -> String {
    let delta = serde_json::json!({ "choices": [{ "delta": { "content": text } }] });
    format!("data: {delta}\n\n")
}

/// An answer that is a stream of these pieces, a moment before each.
pub fn spoken(pieces: Vec<String>, pause: Duration) -> Response<Body> {
    let pieces = futures::StreamExt::then(futures::stream::iter(pieces), move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(piece)
    });
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::from_stream(pieces))
        .unwrap()
}

/// A configuration whose only backend is at `origin`, with people from the sandbox.
pub fn with_backend(origin: &str, backend: &str) -> String {
    format!(
        "[backends.up]\nurl = \"{origin}\"\n{backend}\n[proxy]\nbackend = \"up\"\n\
         [assistants.up]\nprovider = \"openai\"\nbackend = \"up\"\nmodel = \"m\"\n\
         titles = false\n\
         [chat]\ndefault = \"up\"\n\
         [resources.crm.contacts]\nbackend = \"up\"\npath = \"/contacts\"\n\
         fields = [{{ name = \"name\", sortable = true }}, \"email\"]\n"
    )
}

/// Waits until `check` holds.
pub async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not happen");
}
