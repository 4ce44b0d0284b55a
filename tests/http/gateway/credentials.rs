//! Whose credentials a call carries, and how they are renewed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::Form,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{refusing_the_first, site};
use crate::support::{Seen, Site, Upstream, serve, with_backend};

/// Answers with the `Authorization` that it saw.
fn echo(seen: &Seen) -> Response<Body> {
    let authorization = seen.headers.get("authorization").map_or("none", |a| a.to_str().unwrap());
    Response::new(authorization.to_owned().into())
}

async fn text(answer: reqwest::Response) -> String {
    answer.text().await.unwrap()
}

#[tokio::test]
async fn the_first_credential_that_the_caller_has_is_used() {
    let upstream = Upstream::start(echo).await;
    let auth = "auth = [\"session\", \"caller\", { bearer = \"configured\" }]";
    let (site, ada, _folder) = site(&upstream.origin, auth).await;
    let nobody = site.browser();
    let with = |browser: &crate::support::Browser| {
        browser.request(Method::GET, "/api/proxy/x").header("authorization", "Bearer their-own")
    };
    assert!(text(ada.get("/api/proxy/x").await).await.starts_with("Bearer eyJ"));
    assert!(text(ada.send(with(&ada)).await).await.starts_with("Bearer eyJ"), "never the client's");
    assert_eq!(text(nobody.send(with(&nobody)).await).await, "Bearer their-own");
    assert_eq!(nobody.get("/api/proxy/x").await.status(), StatusCode::UNAUTHORIZED, "not lent");
    let twice = with(&nobody).header("authorization", "Bearer other");
    assert_eq!(nobody.send(twice).await.status(), StatusCode::BAD_REQUEST);

    for (auth, somebodys, nobodys) in [
        ("{ bearer = \"configured\" }", "Bearer configured", None),
        ("{ bearer = \"configured\" }, \"none\"", "Bearer configured", Some("none")),
        ("\"none\"", "none", Some("none")),
    ] {
        let (site, ada, _folder) = super::site(&upstream.origin, &format!("auth = [{auth}]")).await;
        assert_eq!(text(ada.get("/api/proxy/x").await).await, somebodys);
        let answer = site.browser().get("/api/proxy/x").await;
        match nobodys {
            Some(seen) => assert_eq!(text(answer).await, seen),
            None => assert_eq!(answer.status(), StatusCode::UNAUTHORIZED),
        }
    }
}

#[tokio::test]
async fn without_a_session_nothing_is_called_but_public_paths() {
    let upstream = Upstream::start(echo).await;
    let public = "public_paths = [\"/open\"]\ntenant = { query = \"tenant_id\" }";
    let (site, ada, _folder) = site(&upstream.origin, public).await;
    let nobody = site.browser();
    for path in
        ["/api/proxy/x", "/api/proxy/opener", "/api/proxy/%6fpen", "/api/brain/crm/contacts"]
    {
        let request = nobody.request(Method::GET, path).header("authorization", "Bearer x");
        let answer = nobody.send(request).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "unauthenticated");
    }
    assert!(upstream.seen().is_empty());
    for who in [&nobody, &ada] {
        let request = who
            .request(Method::POST, "/api/proxy/open/door?a=1&tenant_id=evil")
            .header("authorization", "Bearer x");
        assert_eq!(text(who.send(request).await).await, "none");
        assert_eq!(upstream.seen().pop().unwrap().target, "/open/door?a=1");
    }
}

#[tokio::test]
async fn with_the_callers_own_credentials_no_tenant_is_made_up() {
    let upstream = Upstream::start(echo).await;
    let lines = "auth = [\"session\", \"caller\"]\n\
        tenant = { query = \"tenant_id\", header = \"X-Tenant-Id\", body = \"tenant_id\" }";
    let (site, _ada, _folder) = site(&upstream.origin, lines).await;
    let client = reqwest::Client::new();
    let answer = client
        .post(format!("{}/api/proxy/x?a=1&Tenant_Id=evil", site.origin))
        .header("authorization", "Bearer their-own")
        .header("x-tenant-id", "evil")
        .json(&json!({ "tenant_id": "evil", "b": 2 }))
        .send()
        .await
        .unwrap();
    assert_eq!(text(answer).await, "Bearer their-own");
    let seen = upstream.seen().pop().unwrap();
    assert_eq!((seen.target.as_str(), seen.body.as_str()), ("/x?a=1", "{\"b\":2}"));
    assert!(!seen.headers.contains_key("x-tenant-id"));
}

/// A token endpoint for machine clients: counts, and answers as it is told.
async fn token_endpoint(life: u64) -> (String, Arc<AtomicUsize>, Arc<AtomicU16>) {
    let (calls, status) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU16::new(200)));
    let (counted, told) = (calls.clone(), status.clone());
    let answer = move |headers: HeaderMap, Form(form): Form<Vec<(String, String)>>| async move {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let code = StatusCode::from_u16(told.load(Ordering::SeqCst)).unwrap();
        if !code.is_success() {
            return (code, Json(json!({ "error": "invalid_client" }))).into_response();
        }
        assert!(headers["authorization"].to_str().unwrap().starts_with("Basic "));
        let scope = form.iter().find(|(name, _)| name == "scope").map(|(_, scope)| scope.clone());
        let body = json!({
            "access_token": format!("machine-{number}"), "token_type": "Bearer",
            "expires_in": life, "scope": scope,
        });
        let cookies = [("set-cookie", "affinity=node-7; HttpOnly"), ("x-other", "y")];
        (cookies, Json(body)).into_response()
    };
    let origin = serve(Router::new().route("/token", post(answer))).await;
    (format!("{origin}/token"), calls, status)
}

fn machine(token_url: &str, more: &str) -> String {
    format!(
        "[machine]\ntoken_url = \"{token_url}\"\nclient_id = \"svc\"\nclient_secret = \"s\"\nscopes = [\"api\"]\n{more}\n"
    )
}

#[tokio::test]
async fn breezeways_own_token_is_had_once_for_everybody() {
    let (token_url, calls, status) = token_endpoint(3600).await;
    let upstream = Upstream::start(echo).await;
    let folder = tempfile::tempdir().unwrap();
    let backend = with_backend(
        &upstream.origin,
        "auth = [\"client_credentials\"]\nforward_cookies = [\"affinity\"]",
    );
    let config = format!("{backend}{}", machine(&token_url, ""));
    let site = Site::start_with(folder.path(), &config).await;
    let nobody = site.browser();
    assert_eq!(nobody.get("/api/proxy/x").await.status(), StatusCode::UNAUTHORIZED);
    let ada = site.signed_in("ada").await;
    ada.cookies.lock().unwrap().retain(|name, _| name == "breezeway");
    status.store(503, Ordering::SeqCst);
    let down = ada.get("/api/proxy/x").await;
    assert_eq!(down.status(), StatusCode::BAD_GATEWAY);
    status.store(200, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    calls.store(0, Ordering::SeqCst);

    let answers = (0..30).map(|_| async { text(ada.get("/api/proxy/x").await).await });
    let answers = futures::future::join_all(answers).await;
    assert!(answers.iter().all(|answer| answer == "Bearer machine-0"), "{answers:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let seen = upstream.seen().pop().unwrap();
    assert_eq!(seen.headers["cookie"], "affinity=node-7");
    assert!(ada.cookies.lock().unwrap().len() == 1, "the authorization server's cookies stay here");
}

#[tokio::test]
async fn a_token_that_is_still_good_outlives_trouble_at_the_authorization_server() {
    let (token_url, _, status) = token_endpoint(8).await;
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "/refused" => Response::builder().status(401).body("the backend's".into()).unwrap(),
        _ => echo(seen),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let backend = with_backend(&upstream.origin, "auth = [\"client_credentials\"]");
    let config = format!("{backend}{}", machine(&token_url, ""));
    let site = Site::start_with(folder.path(), &config).await;
    let ada = site.signed_in("ada").await;
    assert_eq!(text(ada.get("/api/proxy/x").await).await, "Bearer machine-0");
    for trouble in [503, 400, 401, 429] {
        status.store(trouble, Ordering::SeqCst);
        let answer = ada.get("/api/proxy/refused").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(text(answer).await, "the backend's", "and not the authorization server's");
    }
    // In its last quarter.
    tokio::time::sleep(Duration::from_millis(6_300)).await;
    for _ in 0..5 {
        assert_eq!(text(ada.get("/api/proxy/x").await).await, "Bearer machine-0");
    }
}

#[tokio::test]
async fn a_machine_signs_in_and_never_sees_its_token() {
    let (token_url, calls, status) = token_endpoint(2).await;
    let upstream = Upstream::start(echo).await;
    let folder = tempfile::tempdir().unwrap();
    let backend = with_backend(&upstream.origin, "tenant = { query = \"t\" }");
    let config = format!("{backend}{}", machine(&token_url, "tenant = \"harbor\""));
    let site = Site::start_with(folder.path(), &config).await;
    let client = site.browser();
    assert_eq!(client.get("/api/proxy/x").await.status(), StatusCode::UNAUTHORIZED);
    let answer = client.send(client.request(Method::POST, "/api/auth")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let set: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert!(set.len() == 1 && set[0].to_str().unwrap().starts_with("breezeway="), "{set:?}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body, json!({ "token_type": "Bearer", "expires_in": 2, "scope": "api" }));

    assert_eq!(text(client.get("/api/proxy/x").await).await, "Bearer machine-0");
    assert_eq!(upstream.seen().pop().unwrap().target, "/x?t=harbor");
    let session: Value = client.get("/api/session").await.json().await.unwrap();
    assert_eq!((&session["subject"], &session["tenant"]), (&json!("svc"), &json!("harbor")));
    tokio::time::sleep(Duration::from_millis(1_700)).await;
    assert_eq!(text(client.get("/api/proxy/x").await).await, "Bearer machine-1");
    assert_eq!(calls.load(Ordering::SeqCst), 2);

    for refused in [400, 401, 403, 429, 503] {
        status.store(refused, Ordering::SeqCst);
        let other = site.browser();
        tokio::time::sleep(Duration::from_millis(2_000)).await;
        let answer = other.send(other.request(Method::POST, "/api/auth")).await;
        assert_eq!(answer.status().as_u16(), refused);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"], "Authentication failed");
        assert!(other.cookies.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn over_https_the_cookie_is_for_this_host_and_browsers_are_told_to_stay() {
    let (token_url, _, _) = token_endpoint(3600).await;
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = format!("[sandbox]\nenabled = false\n{}", machine(&token_url, ""));
    let site = Site::start_behind(listener, folder.path(), &config, "https://app.example").await;
    let ask = |method: Method, path: &str| {
        let request = reqwest::Client::new().request(method, format!("{}{path}", site.origin));
        request.header("host", "app.example").header("sec-fetch-site", "same-origin")
    };
    let answer = ask(Method::POST, "/api/auth").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let hsts = answer.headers()["strict-transport-security"].to_str().unwrap();
    assert!(hsts.starts_with("max-age="), "{hsts}");
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let (pair, attributes) = cookie.split_once(';').unwrap();
    assert!(pair.starts_with("__Host-breezeway="), "{cookie}");
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(attributes.contains(attribute), "{cookie}");
    }
    assert!(!attributes.contains("Domain"), "{cookie}");
    let session = ask(Method::GET, "/api/session").header("cookie", pair).send().await.unwrap();
    assert_eq!(session.status(), StatusCode::OK);
    let plain = pair.replace("__Host-", "");
    let other = ask(Method::GET, "/api/session").header("cookie", plain).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED, "a neighbour's name is not ours");
}

#[tokio::test]
async fn a_machine_that_is_not_set_up_or_not_reachable_is_told_apart() {
    let upstream = Upstream::start(echo).await;
    let (none, _ada, _folder) = site(&upstream.origin, "").await;
    let client = none.browser();
    let answer = client.send(client.request(Method::POST, "/api/auth")).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"], "Server configuration error");

    let folder = tempfile::tempdir().unwrap();
    let config = machine("http://127.0.0.1:9/token", "");
    let gone = Site::start_with(folder.path(), &config).await;
    let client = gone.browser();
    let answer = client.send(client.request(Method::POST, "/api/auth")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(!text(answer).await.contains("127.0.0.1"));

    let (sandbox, _folder) = Site::start().await;
    let client = sandbox.browser();
    let answer = client.send(client.request(Method::POST, "/api/auth")).await;
    assert_eq!(answer.status(), StatusCode::OK, "the checked-in file has a machine");
    assert_eq!(client.get("/api/brain/django-crm/contacts").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn sessions_of_one_machine_are_not_each_others() {
    let (site, _folder) = Site::start().await;
    let (one, two) = (site.browser(), site.browser());
    for client in [&one, &two] {
        let answer = client.send(client.request(Method::POST, "/api/auth")).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let sessions: Value = one.get("/api/sessions").await.json().await.unwrap();
    assert_eq!(sessions.as_array().unwrap().len(), 1);
    one.send(one.request(Method::DELETE, "/api/sessions")).await;
    assert_eq!(two.get("/api/session").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_site_that_makes_its_name_point_here_signs_nobody_in() {
    let (site, _folder) = Site::start().await;
    let http = reqwest::Client::new();
    let request = http
        .post(format!("{}/api/auth", site.origin))
        .header("host", "evil.test")
        .header("origin", "http://evil.test")
        .header("sec-fetch-site", "same-origin");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_that_a_backend_no_longer_takes_is_renewed_once() {
    let upstream = Upstream::start(refusing_the_first(|seen| seen.body.clone())).await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    let answer = ada.send(ada.request(Method::POST, "/api/proxy/x").body("again")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(text(answer).await, "again");
    let seen = upstream.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].headers["authorization"], seen[1].headers["authorization"]);
    assert_eq!(seen[0].headers["x-request-id"], seen[1].headers["x-request-id"]);
    assert_eq!(ada.get("/api/proxy/x").await.status(), StatusCode::OK);
    assert_eq!(upstream.seen().len(), 3, "the new token is used from now on");
}

#[tokio::test]
async fn a_body_that_is_gone_is_not_sent_again() {
    let upstream = Upstream::start(refusing_the_first(|seen| seen.body.clone())).await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>("streamed")]);
    let request = ada.request(Method::POST, "/api/proxy/x");
    let answer = ada.send(request.body(reqwest::Body::wrap_stream(pieces))).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_backend_that_refuses_every_token_is_not_asked_for_ever() {
    let upstream =
        Upstream::start(|_| Response::builder().status(401).body("no".into()).unwrap()).await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    for _ in 0..5 {
        let answer = ada.get("/api/proxy/x").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(text(answer).await, "no", "the backend's own words");
    }
    let tokens: std::collections::BTreeSet<_> =
        upstream.seen().iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert_eq!(tokens.len(), 2, "one renewal, not one per request");
    assert_eq!(ada.get("/api/session").await.status(), StatusCode::OK, "still signed in");
}
