//! Where a request may lead: never out of the backend's prefix, never to another host.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{cookie, site};
use crate::{
    support::Upstream,
    wire::{Recorder, address, head, raw, status},
};

#[tokio::test]
async fn paths_that_lead_elsewhere_are_refused_before_any_call() {
    let upstream = Recorder::start().await;
    let (site, ada, _folder) = site(&format!("{}/base", upstream.origin), "").await;
    let tricks = [
        "/..",
        "/.",
        "/../admin",
        "/a/../admin",
        "/./a",
        "/a/.", // steps
        "/%2e%2e/admin",
        "/.%2E/admin",
        "/%2e./admin",
        "/%2e",
        "/a/%2E%2E", // encoded steps
        "/..;/admin",
        "/..;a=b/admin",
        "/a/..;/b",
        "/%2e%2e;/a",
        "/..%3b/a", // with parameters
        "/..%20/a",
        "/%20../a",
        "/..%09/a", // with blanks
        "/%c0%ae%c0%ae/admin",
        "/%e0%80%ae%e0%80%ae/a",
        "/%c0%af",
        "/a%c1%9cb", // overlong UTF-8
        "/..%2fadmin",
        "/a/..%2Fadmin",
        "/..%5cadmin",
        "/a%2fb",
        "/a%5Cb",
        "/%2f%2fevil.test",
        "//evil.test/x",
        "///evil.test",
        "/a//b",
        "/a//",
        "/http://evil.test",
        "//", // doubled
        "/..\\admin",
        "/a\\b",
        "\\\\evil.test", // backslashes
        "/x%00",
        "/x%0d%0aA:b",
        "/x%0a",
        "/x%7f",
        "/x%1f", // control characters
        "/x%",
        "/x%z",
        "/x%zz",
        "/x%2",
        "/x%u002e", // escapes that are none
    ];
    for trick in tricks {
        let request = head(&site, &cookie(&ada), &format!("GET /api/proxy{trick}"), "");
        let answer = raw(&site, request.as_bytes()).await;
        // `\\…` right behind the mount is no path of the proxy's at all.
        let expected = if trick.starts_with('\\') { 404 } else { 400 };
        assert_eq!(status(&answer), expected, "{trick} {answer}");
    }
    for resource in ["..", "%2e%2e", "a%2fb", "%2e%2e%2fadmin", "x%00", "..;"] {
        let line = format!("GET /api/brain/crm/contacts/{resource}");
        let answer = raw(&site, head(&site, &cookie(&ada), &line, "").as_bytes()).await;
        assert!(matches!(status(&answer), 400 | 404), "{resource} {answer}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

#[tokio::test]
async fn a_method_that_the_backend_does_not_take_is_told_in_its_own_words() {
    let upstream = Recorder::answering(
        "HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\ncontent-length: 3\r\n\r\nown",
    )
    .await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    let answer = ada.send(ada.request(Method::DELETE, "/api/proxy/x")).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()["allow"], "GET");
    assert_eq!(answer.text().await.unwrap(), "own");
}

#[tokio::test]
async fn what_is_legitimately_encoded_arrives_unchanged() {
    let upstream = Recorder::start().await;
    let (site, ada, _folder) = site(&format!("{}/base", upstream.origin), "").await;
    let targets = [
        "/a%20b",
        "/%252e%252e/x",
        "/%252f",
        "/a..b/...",
        "/@evil.test/",
        "/:80@evil.test",
        "/x%3Ftenant_id=o",
        "/x%23y",
        "/%e4%b8%ad?q=%E6%96%87",
        "/a;v=1/b,c",
        "/?",
        "/x?a=b&&c==;d%zz",
        "/x?url=http://evil.test/../..",
        "/x?a=/../%2e%2e",
        "/x?%00",
        "/contacts/",
    ];
    for target in targets {
        let request = head(&site, &cookie(&ada), &format!("GET /api/proxy{target}"), "");
        assert_eq!(status(&raw(&site, request.as_bytes()).await), 200, "{target}");
        let seen = upstream.seen().pop().unwrap();
        let expected = target.strip_suffix('?').unwrap_or(target);
        assert!(seen.starts_with(&format!("GET /base{expected} HTTP/1.1\r\n")), "{target}\n{seen}");
        let host = upstream.origin.strip_prefix("http://").unwrap();
        assert!(seen.contains(&format!("\r\nhost: {host}\r\n")), "{seen}");
    }
    for bare in ["/api/proxy", "/api/proxy/"] {
        assert_eq!(ada.get(bare).await.status(), StatusCode::OK);
        assert!(upstream.seen().pop().unwrap().starts_with("GET /base/ HTTP/1.1"));
    }
}

#[tokio::test]
async fn a_request_names_one_host() {
    let upstream = Recorder::start().await;
    let (site, ada, _folder) = site(&upstream.origin, "").await;
    let (here, cookie) = (address(&site).to_owned(), cookie(&ada));
    let tricks = [
        ("GET http://evil.test/api/proxy/x HTTP/1.1", format!("host: {here}")),
        ("GET http://a@evil.test/api/proxy/x HTTP/1.1", format!("host: {here}")),
        ("GET /api/proxy/x HTTP/1.1", format!("host: {here}\r\nhost: evil.test")),
        ("GET /api/proxy/x HTTP/1.1", "x: y".to_owned()),
        ("GET /api/proxy/x HTTP/1.1", "host: a@evil.test".to_owned()),
        ("GET /api/proxy/x HTTP/1.1", "host: a@evil/..".to_owned()),
        ("GET /api/proxy/x HTTP/1.1", "host: ".to_owned()),
    ];
    for (line, headers) in tricks {
        let request = format!(
            "{line}\r\n{headers}\r\ncookie: breezeway={cookie}\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(status(&raw(&site, request.as_bytes()).await), 400, "{request}");
    }
    assert!(upstream.seen().is_empty());
    let right = format!(
        "GET http://{here}/api/proxy/x HTTP/1.1\r\nhost: {here}\r\ncookie: breezeway={cookie}\r\n\
         connection: close\r\n\r\n"
    );
    assert_eq!(status(&raw(&site, right.as_bytes()).await), 200);
}

#[tokio::test]
async fn every_method_of_a_backend_is_passed_on_and_no_other() {
    let upstream = Upstream::start(|_| axum::response::Response::new("ok".into())).await;
    let (site, ada, _folder) = site(&upstream.origin, "").await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let method: Method = method.parse().unwrap();
        let answer = ada.send(ada.request(method.clone(), "/api/proxy/x")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{method}");
        assert_eq!(upstream.seen().pop().unwrap().method, method);
    }
    let calls = upstream.seen().len();
    for line in ["TRACE /api/proxy/x", "PROPFIND /api/proxy/x", "FOO /api/proxy/x"] {
        let answer = raw(&site, head(&site, &cookie(&ada), line, "").as_bytes()).await;
        assert_eq!(status(&answer), 405, "{line} {answer}");
        assert!(answer.to_lowercase().contains("\r\nallow: "), "{answer}");
        assert!(answer.contains("\"code\":\"method_not_allowed\""), "{answer}");
    }
    let connect = "CONNECT evil.test:443 HTTP/1.1\r\nhost: evil.test:443\r\n\r\n";
    assert_eq!(status(&raw(&site, connect.as_bytes()).await), 405);
    assert_eq!(upstream.seen().len(), calls);
}

#[tokio::test]
async fn errors_of_ours_have_one_shape() {
    let (_site, ada, _folder) = site("http://127.0.0.1:9", "").await;
    let answer = ada.get("/api/proxy/x").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["code"], "unavailable");
    assert_eq!(body["request_id"], id);
    assert!(body["error"].as_str().unwrap().contains("cannot be reached"));
    assert!(!body.to_string().contains("127.0.0.1"));

    for (method, path, status, code) in [
        (Method::GET, "/api/brain/crm/nothing", 404, "not_found"),
        (Method::DELETE, "/api/brain/crm/contacts", 405, "method_not_allowed"),
        (Method::TRACE, "/api/proxy/x", 405, "method_not_allowed"),
        (Method::GET, "/pkg/missing.js", 404, "not_found"),
        (Method::GET, "/nowhere", 404, "not_found"),
    ] {
        let answer = ada.send(ada.request(method.clone(), path)).await;
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["error"].is_string() && body["request_id"].is_string(), "{body}");
        assert_eq!(body["code"], code, "{body}");
    }
}
