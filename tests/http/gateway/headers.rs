//! Which headers cross, in either direction, and what an upgrade gets.

use axum::{body::Body, response::Response};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{cookie, site};
use crate::{
    support::{Seen, Site, Upstream, with_backend},
    wire::{Recorder, head, raw, status},
};

fn echo(seen: &Seen) -> Response<Body> {
    Response::builder()
        .header("content-type", "application/json")
        .header("set-cookie", "upstream=1")
        .header("set-cookie", "breezeway=evil; Path=/")
        .header("access-control-allow-origin", "*")
        .header("access-control-allow-credentials", "true")
        .header("connection", "x-total-count")
        .header("x-total-count", "7")
        .header("x-secret", "1")
        .header("server", "secret/1.0")
        .header("x-powered-by", "php")
        .header("strict-transport-security", "max-age=0")
        .header("content-security-policy", "default-src *")
        .header("clear-site-data", "\"*\"")
        .header("cache-control", "public, max-age=60")
        .header("etag", "\"v1\"")
        .body(json!({ "target": seen.target }).to_string().into())
        .unwrap()
}

#[tokio::test]
async fn a_client_cannot_take_our_own_headers_away() {
    let upstream = Recorder::start().await;
    let (site, ada, _folder) = site(&upstream.origin, "").await;
    let ours = ["x-request-id", "authorization", "x-forwarded-for", "forwarded", "host"];
    let named = format!("connection: {}\r\n", ours.join(", "));
    let request = head(&site, &cookie(&ada), "GET /api/proxy/x", &named);
    assert_eq!(status(&raw(&site, request.as_bytes()).await), 200);
    let seen = upstream.seen().pop().unwrap();
    for name in ours {
        assert!(seen.contains(&format!("\r\n{name}: ")), "{name} {seen}");
    }
}

#[tokio::test]
async fn a_backend_sees_the_session_and_nothing_a_client_made_up() {
    let upstream = Recorder::start().await;
    let tenant = "tenant = { query = \"tenant_id\", header = \"X-Tenant-Id\" }";
    let (site, ada, _folder) = site(&upstream.origin, tenant).await;
    let made_up = "Authorization: Bearer made-up\r\nProxy-Authorization: Basic eA==\r\n\
        X-Tenant-Id: evil\r\nX_Tenant_Id: evil\r\nx-TENANT-id: evil\r\n\
        X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-Host: evil.test\r\n\
        X-Forwarded-Proto: gopher\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-User: evil\r\n\
        X_Forwarded_User: evil\r\nX-Forwarded-Uri: /evil\r\nX-Forwarded-Port: 6\r\n\
        Forwarded: for=6.6.6.6;host=evil.test\r\nX-Real-IP: 6.6.6.6\r\nX_Real_Ip: 6.6.6.6\r\n\
        X-Client-IP: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\nX-Original-URL: /evil\r\nX-Rewrite-URL: /evil\r\n\
        X-HTTP-Method-Override: EVIL\r\nX-Remote-User: evil\r\nRemote-User: evil\r\nX-User: evil\r\n\
        Via: 1.1 evil\r\nTE: trailers\r\nTrailer: evil\r\nKeep-Alive: evil=1\r\nProxy-Connection: evil\r\n\
        Expect: evil\r\nOrigin: https://evil.test\r\nReferer: https://evil.test\r\nX-Request-Id: evil\r\n";
    let line = "GET /api/proxy/a%20b?x=1&Tenant%5Fid=evil&y=%2F";
    let answer = raw(&site, head(&site, &cookie(&ada), line, made_up).as_bytes()).await;
    assert_eq!(status(&answer), 200, "{answer}");

    let seen = upstream.seen().pop().unwrap();
    assert!(seen.starts_with("GET /a%20b?x=1&y=%2F&tenant_id=harbor HTTP/1.1\r\n"), "{seen}");
    assert_eq!(seen.matches("harbor").count(), 2, "{seen}");
    assert!(seen.contains("\r\nx-tenant-id: harbor\r\n"));
    assert!(seen.contains("\r\nauthorization: Bearer eyJ"));
    assert!(seen.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"));
    assert!(seen.contains("\r\nx-real-ip: 127.0.0.1\r\n"));
    assert!(seen.contains("\r\nx-forwarded-proto: http\r\n"));
    let host = site.origin.strip_prefix("http://").unwrap();
    assert!(seen.contains(&format!("\r\nx-forwarded-host: {host}\r\n")));
    let forwarded = format!("\r\nforwarded: for=127.0.0.1;host=\"{host}\";proto=http\r\n");
    assert!(seen.contains(&forwarded));
    for word in ["evil", "6.6.6.6", "made-up", "cookie", &cookie(&ada), "sec-fetch", "gopher"] {
        assert!(!seen.contains(word), "{word} in {seen}");
    }
}

#[tokio::test]
async fn what_a_connection_keeps_to_itself_is_stripped_before_ours_is_set() {
    let upstream = Recorder::start().await;
    let tenant = "tenant = { header = \"X-Tenant-Id\" }";
    let (site, ada, _folder) = site(&upstream.origin, tenant).await;
    for named in
        ["Authorization", "X-Tenant-Id", "Host", "x-forwarded-for, authorization", "accept"]
    {
        let host = site.origin.strip_prefix("http://").unwrap();
        let request = format!(
            "GET /api/proxy/x HTTP/1.1\r\nhost: {host}\r\ncookie: breezeway={}\r\n\
             accept: text/x\r\nconnection: close, {named}\r\n\r\n",
            cookie(&ada)
        );
        assert_eq!(status(&raw(&site, request.as_bytes()).await), 200);
        let seen = upstream.seen().pop().unwrap();
        for kept in
            ["authorization: Bearer", "x-tenant-id: harbor", "host: 127", "x-forwarded-for: 127"]
        {
            assert!(seen.contains(&format!("\r\n{kept}")), "{named} took {kept} from {seen}");
        }
        assert_eq!(seen.contains("text/x"), named != "accept");
        assert!(!seen.contains("connection: close, "), "{seen}");
    }
}

#[tokio::test]
async fn useful_headers_are_passed_on() {
    let upstream = Upstream::start(echo).await;
    let lines = "forward_headers = [\"X-Api-Version\"]\nexpose_headers = [\"X-Secret\"]";
    let (_site, ada, _folder) = site(&upstream.origin, lines).await;
    let sent = [
        ("accept-language", "de"),
        ("if-none-match", "\"v0\""),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=b"),
        ("x-api-version", "2"),
        ("user-agent", "test"),
    ];
    let request = ada.request(Method::GET, "/api/proxy/x");
    let request = sent.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = ada.send(request).await;
    let seen = upstream.seen().pop().unwrap();
    for (name, value) in sent {
        assert_eq!(seen.headers[name], value);
    }
    assert_eq!(seen.headers["x-request-id"], answer.headers()["x-request-id"]);
    assert_eq!(answer.headers()["x-secret"], "1");
}

#[tokio::test]
async fn a_backend_says_nothing_to_browsers_that_is_ours_to_say() {
    let upstream = Upstream::start(echo).await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    let answer = ada.get("/api/proxy/x").await;
    assert_eq!(answer.status(), StatusCode::OK);
    for stays in [
        "set-cookie",
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "x-total-count",
        "x-secret",
        "server",
        "x-powered-by",
        "clear-site-data",
    ] {
        assert!(!answer.headers().contains_key(stays), "{stays} came through");
    }
    assert!(!answer.headers().contains_key("strict-transport-security"));
    assert_eq!(answer.headers()["etag"], "\"v1\"");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["content-security-policy"], "sandbox; default-src 'none'");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn what_a_backend_answers_is_never_run_as_a_program() {
    let upstream = Upstream::start(echo).await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    for purpose in ["script", "worker", "sharedworker", "serviceworker", "audioworklet"] {
        let request = ada.request(Method::GET, "/api/proxy/x.js").header("sec-fetch-dest", purpose);
        assert_eq!(ada.send(request).await.status(), StatusCode::FORBIDDEN, "{purpose}");
    }
    assert!(upstream.seen().is_empty());
    for purpose in ["empty", "image", "document", "iframe"] {
        let request =
            ada.request(Method::GET, "/api/proxy/x.svg").header("sec-fetch-dest", purpose);
        let answer = ada.send(request).await;
        assert_eq!(answer.status(), StatusCode::OK, "{purpose}");
        assert!(
            answer.headers()["content-security-policy"].to_str().unwrap().starts_with("sandbox")
        );
    }
}

#[tokio::test]
async fn only_trusted_proxies_say_where_a_client_is() {
    let upstream = Upstream::start(echo).await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[server]\ntrusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n{}",
        with_backend(&upstream.origin, "")
    );
    let site = Site::start_with(folder.path(), &config).await;
    let ada = site.signed_in("ada").await;
    for (chain, client) in [
        ("198.51.100.7", "198.51.100.7"),
        ("6.6.6.6, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("6.6.6.6, 2001:db8::7, 10.1.2.3", "2001:db8::7"),
        ("6.6.6.6, nonsense, 10.1.2.3", "10.1.2.3"),
    ] {
        let request = ada.request(Method::GET, "/api/proxy/x").header("x-forwarded-for", chain);
        ada.send(request).await;
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(seen.headers["x-forwarded-for"], client, "{chain}");
        assert_eq!(seen.headers["x-real-ip"], client);
    }
}

#[tokio::test]
async fn an_upgrade_is_refused_and_never_passed_on() {
    let upstream = Recorder::start().await;
    let (site, ada, _folder) = site(&upstream.origin, "").await;
    let host = site.origin.strip_prefix("http://").unwrap();
    let request = |headers: &str| {
        let cookie = cookie(&ada);
        format!(
            "GET /api/proxy/x HTTP/1.1\r\nhost: {host}\r\ncookie: breezeway={cookie}\r\n{headers}\r\n"
        )
    };
    for headers in [
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAA\r\n",
        "connection: keep-alive, Upgrade\r\nupgrade: foo\r\n",
        "connection: upgrade\r\nupgrade: h2c, websocket\r\n",
    ] {
        let answer = raw(&site, request(headers).as_bytes()).await;
        assert_eq!(status(&answer), 501, "{headers} {answer}");
        assert!(answer.contains("\"code\":\"not_implemented\""), "{answer}");
    }
    assert!(upstream.seen().is_empty());
    // An offer that may be passed by, with a second request right behind it.
    let offer = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAAA\r\n";
    let two = request(offer) + &request("connection: close\r\n");
    let answer = raw(&site, two.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    for seen in upstream.seen() {
        assert!(!seen.to_lowercase().contains("upgrade") && !seen.contains("h2c"), "{seen}");
    }
}

#[tokio::test]
async fn a_redirection_of_the_backend_stays_on_this_server() {
    let upstream = Upstream::start(|seen| {
        let host = seen.headers["host"].to_str().unwrap().to_owned();
        let location = match seen.target.as_str() {
            "/base/absolute" => format!("http://{host}/base/there?x=1"),
            "/base/path" => "/base/there".to_owned(),
            "/base/relative" => "there".to_owned(),
            _ => "https://files.example/signed?x=1".to_owned(),
        };
        Response::builder().status(302).header("location", location).body(Body::empty()).unwrap()
    })
    .await;
    let (_site, ada, _folder) = site(&format!("{}/base", upstream.origin), "").await;
    for (path, location) in [
        ("absolute", "/api/proxy/there?x=1"),
        ("path", "/api/proxy/there"),
        ("relative", "there"),
        ("elsewhere", "https://files.example/signed?x=1"),
    ] {
        let answer = ada.get(&format!("/api/proxy/{path}")).await;
        assert_eq!(answer.status(), StatusCode::FOUND);
        assert_eq!(answer.headers()["location"], location);
    }
}
