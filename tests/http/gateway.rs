//! What crosses between browsers and backends, and what stays behind.

use axum::{body::Body, response::Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Seen, Site, Upstream, with_backend};

fn echo(seen: &Seen) -> Response<Body> {
    Response::builder()
        .header("content-type", "application/json")
        .header("set-cookie", "upstream=1")
        .header("access-control-allow-origin", "*")
        .header("x-secret", "1")
        .header("etag", "\"v1\"")
        .body(json!({ "target": seen.target }).to_string().into())
        .unwrap()
}

#[tokio::test]
async fn a_backend_sees_the_session_and_nothing_a_client_made_up() {
    let upstream = Upstream::start(echo).await;
    let folder = tempfile::tempdir().unwrap();
    let tenant = "tenant = { query = \"tenant_id\", header = \"X-Tenant-Id\" }";
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, tenant)).await;
    let ada = site.signed_in("ada").await;

    let request = ada
        .request(Method::GET, "/api/proxy/a%20b?x=1&Tenant%5Fid=evil&y=%2F")
        .header("authorization", "Bearer made-up")
        .header("x_tenant_id", "evil")
        .header("x-tenant-id", "evil")
        .header("x-forwarded-for", "1.2.3.4")
        .header("connection", "close, authorization, x-tenant-id")
        .header("if-none-match", "\"v0\"");
    let answer = ada.send(request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    for stays in ["set-cookie", "access-control-allow-origin", "x-secret"] {
        assert!(!answer.headers().contains_key(stays), "{stays} came through");
    }
    assert_eq!(answer.headers()["etag"], "\"v1\"");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(answer.headers()["content-security-policy"].to_str().unwrap().starts_with("sandbox"));

    let seen = &upstream.seen()[0];
    assert_eq!(seen.method, Method::GET);
    assert_eq!(seen.target, "/a%20b?x=1&y=%2F&tenant_id=harbor");
    assert!(seen.headers["authorization"].to_str().unwrap().starts_with("Bearer eyJ"));
    assert_eq!(seen.headers["x-tenant-id"], "harbor");
    assert_eq!(seen.headers["if-none-match"], "\"v0\"");
    assert_eq!(seen.headers["host"], upstream.origin.strip_prefix("http://").unwrap());
    for stays in ["cookie", "x_tenant_id", "x-forwarded-for", "sec-fetch-site"] {
        assert!(!seen.headers.contains_key(stays), "{stays} went through");
    }
}

#[tokio::test]
async fn without_a_session_nothing_is_called_but_public_paths() {
    let upstream = Upstream::start(echo).await;
    let folder = tempfile::tempdir().unwrap();
    let public = "public_paths = [\"/open\"]\ntenant = { query = \"tenant_id\" }";
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, public)).await;
    let nobody = site.browser();
    for path in ["/api/proxy/x", "/api/proxy/opener", "/api/brain/crm/contacts"] {
        let request = nobody.request(Method::GET, path).header("authorization", "Bearer x");
        assert_eq!(nobody.send(request).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert!(upstream.seen().is_empty());

    assert_eq!(nobody.get("/api/proxy/open/door").await.status(), StatusCode::OK);
    let seen = &upstream.seen()[0];
    assert_eq!(seen.target, "/open/door");
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn paths_that_lead_elsewhere_are_refused_before_any_call() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let upstream = Upstream::start(echo).await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    let ada = site.signed_in("ada").await;
    let cookie = ada.cookies.lock().unwrap()["breezeway"].clone();
    let tricks = [
        "/../admin",
        "/%2e%2e/admin",
        "/.%2E/admin",
        "/a/..%2fadmin",
        "/..%5cadmin",
        "/a//b",
        "//evil.test/x",
        "/x%00",
        "/x%0d%0aA:b",
        "/..\\admin",
        "/a/..;/b",
        "/x%",
    ];
    for trick in tricks {
        // A raw socket, because a well-behaved client would tidy the path up.
        let address = site.origin.strip_prefix("http://").unwrap();
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /api/proxy{trick} HTTP/1.1\r\nhost: {address}\r\ncookie: breezeway={cookie}\r\n\
             connection: close\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status == "400" || status == "404", "{trick} answered {status}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

#[tokio::test]
async fn errors_of_ours_have_one_shape() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend("http://127.0.0.1:9", "")).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.get("/api/proxy/x").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["code"], "unavailable");
    assert_eq!(body["request_id"], id);
    assert!(body["error"].as_str().unwrap().contains("cannot be reached"));
    assert!(!body.to_string().contains("127.0.0.1"));

    for (method, path, status) in [
        (Method::GET, "/api/brain/crm/nothing", 404),
        (Method::DELETE, "/api/brain/crm/contacts", 405),
        (Method::TRACE, "/api/proxy/x", 405),
        (Method::GET, "/pkg/missing.js", 404),
        (Method::GET, "/nowhere", 404),
    ] {
        let answer = ada.send(ada.request(method.clone(), path)).await;
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["error"].is_string() && body["request_id"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn a_declared_resource_is_read_with_the_persons_own_tenant() {
    let (site, _folder) = Site::start().await;
    let (ada, chen) = (site.signed_in("ada").await, site.signed_in("chen").await);
    let path = "/api/brain/django-crm/contacts?page_size=200&tenant_id=summit";
    let of_ada: Value = ada.get(path).await.json().await.unwrap();
    let of_chen: Value = chen.get(path).await.json().await.unwrap();
    let emails = |list: &Value| -> Vec<String> {
        let rows = list["results"].as_array().unwrap();
        rows.iter().map(|row| row["email"].as_str().unwrap().to_owned()).collect()
    };
    let (of_ada, of_chen) = (emails(&of_ada), emails(&of_chen));
    assert!(of_ada.len() > 100 && of_chen.len() > 100);
    assert!(of_ada.iter().all(|email| !of_chen.contains(email)));

    let one: Value = ada.get("/api/brain/django-crm/contacts/1").await.json().await.unwrap();
    assert_eq!(one["id"], 1);
    assert_eq!(chen.get("/api/brain/django-crm/contacts/1").await.status(), StatusCode::NOT_FOUND);
}
