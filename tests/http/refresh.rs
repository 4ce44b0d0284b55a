//! Refresh: once per grant whatever happens, and nobody is signed out by somebody else's trouble.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::post,
};
use breezeway::{
    sandbox::{Sandbox, SandboxOptions},
    store::Engine,
};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{Browser, Seen, Site, Upstream, with_backend};

/// What stands between us and the provider's token endpoint.
#[derive(Clone, Default)]
struct Gate {
    token_url: Arc<str>,
    client: Arc<(String, String)>,
    refreshes: Arc<AtomicUsize>,
    mood: Arc<Mutex<Mood>>,
}

#[derive(Clone, Copy, Default)]
enum Mood {
    #[default]
    Willing,
    Slow(Duration),
    Says(u16, &'static str, &'static str),
    /// Exchanges, but nobody hears the answer.
    Mute,
    /// Hands out access tokens and never a new refresh token.
    KeepsTheOld,
}

impl Gate {
    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn refreshes(&self) -> usize {
        self.refreshes.load(Ordering::SeqCst)
    }
}

/// `POST /token`: the sandbox's endpoint, in whatever mood it is.
async fn token(State(gate): State<Gate>, headers: HeaderMap, body: String) -> Response {
    if !body.contains("grant_type=refresh_token") {
        return pass(&gate, &headers, body).await;
    }
    gate.refreshes.fetch_add(1, Ordering::SeqCst);
    let mood = *gate.mood.lock().unwrap();
    match mood {
        Mood::Willing => pass(&gate, &headers, body).await,
        Mood::Slow(pause) => {
            tokio::time::sleep(pause).await;
            pass(&gate, &headers, body).await
        }
        Mood::Says(status, kind, text) => {
            let answer = Response::builder().status(status).header("content-type", kind);
            answer.body(Body::from(text)).unwrap()
        }
        Mood::Mute => {
            pass(&gate, &headers, body).await;
            std::future::pending().await
        }
        Mood::KeepsTheOld => {
            let body = json!({ "access_token": format!("kept-{}", gate.refreshes()),
                "token_type": "Bearer", "expires_in": 2 });
            Json(body).into_response()
        }
    }
}

async fn pass(gate: &Gate, headers: &HeaderMap, body: String) -> Response {
    let request = reqwest::Client::new().post(&*gate.token_url).body(body);
    let request = ["authorization", "content-type"]
        .iter()
        .fold(request, |request, name| request.header(*name, headers[*name].clone()));
    let answer = request.send().await.unwrap();
    let (status, body) = (answer.status(), answer.bytes().await.unwrap());
    (status, [("content-type", "application/json")], body).into_response()
}

/// `POST /auth/refresh`: the same in JSON, with names of its own.
async fn refresh_json(State(gate): State<Gate>, Json(sent): Json<Value>) -> Response {
    gate.refreshes.fetch_add(1, Ordering::SeqCst);
    let mood = *gate.mood.lock().unwrap();
    if let Mood::Says(status, kind, text) = mood {
        let answer = Response::builder().status(status).header("content-type", kind);
        return answer.body(Body::from(text)).unwrap();
    }
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", sent["refreshToken"].as_str().unwrap()),
    ];
    let (id, secret) = &*gate.client;
    let request = reqwest::Client::new().post(&*gate.token_url).basic_auth(id, Some(secret));
    let answer: Value = request.form(&form).send().await.unwrap().json().await.unwrap();
    match answer["access_token"].as_str() {
        None => (StatusCode::UNAUTHORIZED, Json(json!({ "error": "expired" }))).into_response(),
        Some(access) => Json(json!({ "data": { "accessToken": access,
            "refreshToken": answer["refresh_token"], "expiresIn": answer["expires_in"] } }))
        .into_response(),
    }
}

struct House {
    site: Site,
    gate: Gate,
    upstream: Upstream,
    config: String,
    folder: TempDir,
    _provider: Sandbox,
}

/// A provider whose access tokens end after `life`, its gate, a backend, and a site between them.
async fn house(life: Duration, scopes: &str, more: &str) -> House {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (listener().await, listener().await);
    let (site, gate_origin) = (origin(&here), origin(&there));
    let options = SandboxOptions {
        redirect_uris: vec![format!("{site}/auth/callback")],
        access_token_life: life,
        ..SandboxOptions::new("http://provider.invalid", folder.path().join("provider"))
    };
    let sandbox = Sandbox::start(options, CancellationToken::new()).await.unwrap();
    let endpoints = sandbox.endpoints();
    let (id, secret) = sandbox.client();
    let secret = secret.expose_secret();
    let gate = Gate {
        token_url: endpoints.token_url.as_str().into(),
        client: Arc::new((id.to_owned(), secret.to_owned())),
        ..Gate::default()
    };
    let router = Router::new()
        .route("/token", post(token))
        .route("/auth/refresh", post(refresh_json))
        .with_state(gate.clone());
    tokio::spawn(async move { axum::serve(there, router).await.unwrap() });
    let upstream = Upstream::start(echo).await;
    let more = more.replace("GATE", &gate_origin);
    let config = format!(
        "{}[sandbox]\nenabled = false\n[auth]\nissuer = \"{}\"\nauthorize_url = \"{}sandbox/authorize\"\n\
         token_url = \"{gate_origin}/token\"\njwks_url = \"{}\"\nclient_id = \"{id}\"\n\
         client_secret = \"{secret}\"\nscopes = [{scopes}]\n{more}",
        with_backend(&upstream.origin, ""),
        endpoints.issuer,
        sandbox.api_url(),
        endpoints.jwks_url,
    );
    let site = Site::start_on(here, folder.path(), &config).await;
    House { site, gate, upstream, config, folder, _provider: sandbox }
}

const OFFLINE: &str = "\"openid\", \"profile\", \"offline_access\"";

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn origin(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().unwrap())
}

fn echo(seen: &Seen) -> Response<Body> {
    if seen.target == "/failing" {
        return Response::builder().status(502).body(Body::empty()).unwrap();
    }
    Response::new(seen.headers["authorization"].to_str().unwrap().to_owned().into())
}

async fn wait(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Fifty requests at once; answers what each saw.
async fn fifty(browser: &Browser) -> Vec<(StatusCode, String)> {
    let calls = (0..50).map(|_| async {
        let answer = browser.get("/api/proxy/x").await;
        (answer.status(), answer.text().await.unwrap())
    });
    futures::future::join_all(calls).await
}

fn all_the_same(answers: &[(StatusCode, String)]) -> bool {
    answers.iter().all(|answer| answer.0 == StatusCode::OK && *answer == answers[0])
}

#[tokio::test]
async fn fifty_requests_with_an_ended_token_make_one_exchange() {
    let house = house(Duration::from_secs(2), OFFLINE, "").await;
    let ada = house.site.signed_in("ada").await;
    house.gate.set(Mood::Slow(Duration::from_millis(400)));
    for round in 1..=3 {
        wait(2.1).await;
        let answers = fifty(&ada).await;
        assert!(all_the_same(&answers), "{answers:?}");
        assert_eq!(house.gate.refreshes(), round, "one exchange a round");
    }
}

#[tokio::test]
async fn two_nodes_make_one_exchange_however_slow_it_is() {
    let house = house(Duration::from_secs(2), OFFLINE, "").await;
    let ada = house.site.signed_in("ada").await;
    let other = Site::start_with(house.folder.path(), &house.config).await;
    let there = other.browser();
    *there.cookies.lock().unwrap() = ada.cookies.lock().unwrap().clone();
    house.gate.set(Mood::Slow(Duration::from_secs(4)));
    wait(2.1).await;
    let (here, there) = tokio::join!(fifty(&ada), fifty(&there));
    assert!(all_the_same(&here) && here == there, "{here:?} {there:?}");
    assert_eq!(house.gate.refreshes(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_lose_the_new_tokens() {
    let house = house(Duration::from_secs(2), OFFLINE, "").await;
    let ada = house.site.signed_in("ada").await;
    wait(2.1).await;
    house.gate.set(Mood::Slow(Duration::from_millis(700)));
    let leaving = (0..10).map(|n| {
        let ada = &ada;
        tokio::time::timeout(
            Duration::from_millis(50 * n),
            async move { ada.get("/api/proxy/x").await },
        )
    });
    assert!(futures::future::join_all(leaving).await.iter().all(Result::is_err), "all have left");
    wait(1.0).await;
    let answers = fifty(&ada).await;
    assert!(all_the_same(&answers), "{answers:?}");
    assert_eq!(house.gate.refreshes(), 1, "the exchange that was begun is the one that counts");
}

#[tokio::test]
async fn a_backend_that_fails_does_not_lose_the_new_tokens() {
    let house = house(Duration::from_secs(2), OFFLINE, "").await;
    let ada = house.site.signed_in("ada").await;
    wait(2.1).await;
    let request = ada.request(Method::POST, "/api/proxy/failing");
    assert_eq!(ada.send(request).await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(house.gate.refreshes(), 1);
    let first = ada.get("/api/proxy/x").await.text().await.unwrap();
    let again = ada.get("/api/proxy/x").await.text().await.unwrap();
    assert_eq!((first, house.gate.refreshes()), (again, 1));
}

#[tokio::test]
async fn trouble_at_the_provider_keeps_everybody_signed_in() {
    let house = house(Duration::from_secs(2), OFFLINE, "").await;
    let ada = house.site.signed_in("ada").await;
    wait(2.1).await;
    for mood in [
        Mood::Says(500, "text/plain", "oops"),
        Mood::Says(429, "application/json", "{\"error\":\"slow_down\"}"),
        Mood::Says(200, "text/html", "<h1>maintenance</h1>"),
        Mood::Says(503, "text/html", "<h1>maintenance</h1>"),
        Mood::Says(400, "application/json", "{\"error\":\"temporarily_unavailable\"}"),
        Mood::Says(400, "application/json", "{\"error\":\"invalid_request\"}"),
        Mood::Says(200, "application/json", "{\"token_type\":\"Bearer\"}"),
    ] {
        house.gate.set(mood);
        let answer = ada.get("/api/proxy/x").await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let text = answer.text().await.unwrap();
        assert!(text.contains("You are still signed in"), "{text}");
        assert_eq!(ada.get("/api/session").await.status(), StatusCode::OK);
    }
    let tried = house.gate.refreshes();
    let answers = fifty(&ada).await;
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::SERVICE_UNAVAILABLE));
    assert!(house.gate.refreshes() <= tried + 3, "the provider is left alone for a while");
    house.gate.set(Mood::Willing);
    crate::support::eventually("a refresh after the trouble", async || {
        ada.get("/api/proxy/x").await.status() == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn a_token_with_some_life_left_is_used_while_the_provider_is_down() {
    let house = house(Duration::from_secs(12), OFFLINE, "").await;
    let ada = house.site.signed_in("ada").await;
    let first = ada.get("/api/proxy/x").await.text().await.unwrap();
    house.gate.set(Mood::Says(503, "text/plain", "down"));
    wait(9.2).await;
    assert_eq!(ada.get("/api/proxy/x").await.text().await.unwrap(), first);
    assert!(house.gate.refreshes() > 0, "a refresh was tried");
}

#[tokio::test]
async fn the_providers_own_word_ends_the_grant_and_the_session() {
    for code in ["invalid_grant", "invalid_client"] {
        let house = house(Duration::from_secs(2), OFFLINE, "").await;
        let ada = house.site.signed_in("ada").await;
        wait(2.1).await;
        let said: &'static str = Box::leak(format!("{{\"error\":\"{code}\"}}").into_boxed_str());
        house.gate.set(Mood::Says(400, "application/json", said));
        let answers = fifty(&ada).await;
        assert!(answers.iter().all(|(status, _)| *status == StatusCode::UNAUTHORIZED));
        assert_eq!(house.gate.refreshes(), 1, "{code}");
        assert_eq!(ada.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
        assert!(house.upstream.seen().is_empty());
    }
}

#[tokio::test]
async fn signing_out_during_a_refresh_stays_signed_out() {
    let house = house(Duration::from_secs(2), OFFLINE, "").await;
    let ada = house.site.signed_in("ada").await;
    let cookies = ada.cookies.lock().unwrap().clone();
    wait(2.1).await;
    house.gate.set(Mood::Slow(Duration::from_millis(600)));
    let refreshing = async { ada.get("/api/proxy/x").await.status() };
    let leaving = async {
        wait(0.2).await;
        ada.post_form("/auth/logout", &[]).await
    };
    let (refreshed, _) = tokio::join!(refreshing, leaving);
    assert_eq!(refreshed, StatusCode::UNAUTHORIZED);
    *ada.cookies.lock().unwrap() = cookies;
    wait(0.3).await;
    assert_eq!(ada.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ada.get("/api/proxy/x").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_provider_that_keeps_the_old_refresh_token_works_too() {
    let house = house(Duration::from_secs(2), OFFLINE, "").await;
    let ada = house.site.signed_in("ada").await;
    house.gate.set(Mood::KeepsTheOld);
    for round in 1..=2 {
        wait(2.1).await;
        let text = ada.get("/api/proxy/x").await.text().await.unwrap();
        assert_eq!(text, format!("Bearer kept-{round}"));
    }
}

#[tokio::test]
async fn without_a_refresh_token_access_ends_with_the_token() {
    let house = house(Duration::from_secs(2), "\"openid\"", "").await;
    let ada = house.site.signed_in("ada").await;
    assert_eq!(ada.get("/api/proxy/x").await.status(), StatusCode::OK);
    wait(2.1).await;
    let answer = ada.get("/api/proxy/x").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.text().await.unwrap().contains("Sign in again"));
    assert_eq!((house.gate.refreshes(), house.upstream.seen().len()), (0, 1));
}

#[tokio::test]
async fn an_exchange_whose_answer_is_lost_is_a_timeout_and_no_hang() {
    let house = house(Duration::from_secs(2), OFFLINE, "").await;
    let ada = house.site.signed_in("ada").await;
    wait(2.1).await;
    house.gate.set(Mood::Mute);
    let answer = tokio::time::timeout(Duration::from_secs(25), ada.get("/api/proxy/x")).await;
    assert_eq!(answer.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(house.gate.refreshes(), 1);
}

#[tokio::test]
async fn tokens_are_renewed_at_a_json_endpoint() {
    let json = "[auth.refresh]\nurl = \"GATE/auth/refresh\"\nsend = \"refreshToken\"\n\
        access_token = \"data.accessToken\"\nrefresh_token = \"data.refreshToken\"\n\
        expires_in = \"data.expiresIn\"\n";
    let house = house(Duration::from_secs(2), OFFLINE, json).await;
    let ada = house.site.signed_in("ada").await;
    for round in 1..=2 {
        wait(2.1).await;
        let answers = fifty(&ada).await;
        assert!(all_the_same(&answers), "{answers:?}");
        assert_eq!(house.gate.refreshes(), round);
    }
    wait(2.1).await;
    for (status, kind, text) in [
        (500, "application/json", "{\"error\":\"oops\"}"),
        (401, "text/html", "<h1>sign in to the proxy</h1>"),
        (200, "application/json", "{}"),
    ] {
        house.gate.set(Mood::Says(status, kind, text));
        assert_eq!(ada.get("/api/proxy/x").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ada.get("/api/session").await.status(), StatusCode::OK);
    }
    house.gate.set(Mood::Says(401, "application/json", "{\"error\":\"expired\"}"));
    crate::support::eventually("the end of the session", async || {
        ada.get("/api/proxy/x").await.status() == StatusCode::UNAUTHORIZED
    })
    .await;
    assert_eq!(ada.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn tokens_are_stored_sealed() {
    let house = house(Duration::from_secs(60), OFFLINE, "").await;
    let ada = house.site.signed_in("ada").await;
    let token = ada.get("/api/proxy/x").await.text().await.unwrap();
    let token = Bytes::from(token.strip_prefix("Bearer ").unwrap().to_owned());
    let cookie = ada.cookies.lock().unwrap()["breezeway"].clone();
    let holds = |bytes: &[u8]| {
        [&token[..], cookie.as_bytes()]
            .iter()
            .any(|secret| bytes.windows(secret.len()).any(|window| window == *secret))
    };
    let pool = house.site.app.store.pool();
    let (id, data): (String, String) =
        sqlx::query_as("SELECT id, data FROM sessions").fetch_one(pool).await.unwrap();
    let sealed: Vec<u8> =
        sqlx::query_scalar("SELECT sealed FROM grants").fetch_one(pool).await.unwrap();
    assert!(![id.as_bytes(), data.as_bytes(), &sealed].into_iter().any(holds));
    if house.site.app.store.engine() == Engine::Sqlite {
        for name in ["breezeway.db", "breezeway.db-wal"] {
            let bytes = std::fs::read(Path::new(house.folder.path()).join(name)).unwrap();
            assert!(!holds(&bytes), "{name}");
        }
    }
}
