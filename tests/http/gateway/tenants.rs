//! Whose data a call is about: the session's tenant, once, whatever a client writes.

use axum::{body::Body, response::Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{cookie, site};
use crate::{
    support::{Browser, Site, Upstream, with_backend},
    wire::{Recorder, head, raw, status},
};

fn ok() -> Response<Body> {
    Response::new("ok".into())
}

#[tokio::test]
async fn every_spelling_in_a_query_gives_way() {
    let upstream = Recorder::start().await;
    let (site, ada, _folder) = site(&upstream.origin, "tenant = { query = \"tenant_id\" }").await;
    let spellings = [
        "tenant_id=evil",
        "tenant_id=evil&tenant_id=worse",
        "tenant_id",
        "TENANT_ID=evil",
        "Tenant_Id=evil",
        "tenant%5fid=evil",
        "tenant%5Fid=evil",
        "%74enant_id=evil",
        "tenant%255fid=evil",
        "tenant%u005fid=evil",
        "tenant_id[]=evil",
        "tenant_id[0]=evil",
        "tenant_id%5B%5D=evil",
        "tenant_id[a][b]=evil",
        "tenant[id=evil",
        "tenant-id=evil",
        "tenant.id=evil",
        "tenant+id=evil",
        "tenant%20id=evil",
        "+tenant_id=evil",
        "tenant_id%20=evil",
        "tenant_id%00=evil",
        "tenant_id%00x=evil",
        "%0atenant_id=evil",
        "tenantId=evil",
        "x;tenant_id=evil",
        "tenant_id=evil;x",
        "%ef%bd%94enant_id=evil",
        "tenant_id%e2%80%8b=evil",
        "%22tenant_id%22=evil",
        "a=b&&&tenant_id=evil",
    ];
    for spelling in spellings {
        let line = format!("GET /api/proxy/x?q=tenant_id%3D1&{spelling}&page=2");
        let answer = raw(&site, head(&site, &cookie(&ada), &line, "").as_bytes()).await;
        assert_eq!(status(&answer), 200, "{spelling}");
        let seen = upstream.seen().pop().unwrap();
        let target = seen.split(' ').nth(1).unwrap();
        assert!(!target.contains("evil") && !target.contains("worse"), "{spelling} gave {target}");
        assert!(target.starts_with("/x?q=tenant_id%3D1&"), "{target}");
        assert!(target.ends_with("&page=2&tenant_id=harbor"), "{spelling} gave {target}");
    }
}

#[tokio::test]
async fn the_body_says_the_tenant_once() {
    let upstream = Upstream::start(|_| ok()).await;
    let lines = "tenant = { query = \"tenant_id\", body = \"tenant_id\" }";
    let (_site, ada, _folder) = site(&upstream.origin, lines).await;
    let post = |body: &'static str, kind: &str| {
        ada.request(Method::POST, "/api/proxy/x").header("content-type", kind).body(body)
    };
    for body in [
        r#"{"name":"n"}"#,
        r#"{"tenant_id":"evil","name":"n"}"#,
        r#"{"tenant\u005fid":"evil","name":"n"}"#,
        r#"{"TenantId":"evil","tenant-id":"evil","tenant_id ":"evil","name":"n"}"#,
        r#"{"tenant_id":{"a":["evil"]},"name":"n"}"#,
    ] {
        assert_eq!(ada.send(post(body, "application/json")).await.status(), StatusCode::OK);
        let seen: Value = serde_json::from_str(&upstream.seen().pop().unwrap().body).unwrap();
        assert_eq!(seen, json!({ "name": "n", "tenant_id": "harbor" }), "{body}");
    }
    let form = "application/x-www-form-urlencoded";
    ada.send(post("a=1&tenant%5fid=evil&b=%20", form)).await;
    assert_eq!(upstream.seen().pop().unwrap().body, "a=1&b=%20&tenant%5Fid=harbor");

    let calls = upstream.seen().len();
    for (body, kind, status) in [
        (r#"{"a":1,"a":2}"#, "application/json", 400),
        (r#"{"tenant_id":"evil","tenant_id":"harbor"}"#, "application/json", 400),
        (r#"[{"tenant_id":"evil"}]"#, "application/json", 400),
        (r#"{"a":1}{"tenant_id":"evil"}"#, "application/json", 400),
        ("\u{feff}{}", "application/json", 400),
        ("tenant_id=evil", "text/plain", 415),
        ("<tenant_id>evil</tenant_id>", "application/xml", 415),
        ("--x\r\n\r\nevil\r\n--x--", "multipart/form-data", 400),
    ] {
        let answer = ada.send(post(body, kind)).await;
        assert_eq!(answer.status().as_u16(), status, "{body}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["request_id"].is_string(), "{body}");
    }
    let compressed = post("x", "application/json").header("content-encoding", "gzip");
    assert_eq!(ada.send(compressed).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let untyped = ada.request(Method::POST, "/api/proxy/x").body("tenant_id=evil");
    assert_eq!(ada.send(untyped).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(upstream.seen().len(), calls);

    ada.send(ada.request(Method::DELETE, "/api/proxy/x")).await;
    assert_eq!(upstream.seen().pop().unwrap().target, "/x?tenant_id=harbor");
}

#[tokio::test]
async fn multipart_says_the_tenant_once_and_keeps_its_files() {
    let upstream = Upstream::start(|_| ok()).await;
    let (_site, ada, _folder) = site(&upstream.origin, "tenant = { body = \"tenant_id\" }").await;
    let part = |head: &str, content: &str| {
        format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    };
    let file = "y".repeat(300_000);
    let form = [
        part("name=\"tenant_id\"", "evil"),
        part("name=\"Tenant-Id[]\"", "evil"),
        part("name=\"tenantId\"; filename=\"evil.txt\"\r\nContent-Type: text/plain", "evil"),
        part("name=tenant_id", "evil"),
        part("name=\"note\"", "kept"),
        part("name=\"file\"; filename=\"a%22b.bin\"\r\nContent-Type: x/y\r\nX-Evil: evil", &file),
        "--b--\r\n".to_owned(),
    ];
    let request = ada
        .request(Method::POST, "/api/proxy/x")
        .header("content-type", "multipart/form-data; boundary=b")
        .body(form.concat());
    let answer = ada.send(request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let seen = upstream.seen().pop().unwrap();
    assert!(!seen.body.contains("evil"), "{:.2000}", seen.body);
    assert_eq!(seen.body.matches("name=\"tenant_id\"\r\n\r\nharbor\r\n").count(), 1);
    assert!(seen.body.contains("name=\"note\"\r\n\r\nkept\r\n"));
    assert!(seen.body.contains("name=\"file\"; filename=\"a%22b.bin\""));
    assert!(seen.body.contains(&format!("content-type: x/y\r\n\r\n{file}\r\n--")));

    for broken in [
        "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\ncut",
        "--x\r\n\r\nb\r\n--x--\r\n",
    ] {
        let request = ada
            .request(Method::POST, "/api/proxy/x")
            .header("content-type", "multipart/form-data; boundary=x")
            .body(broken);
        assert_eq!(ada.send(request).await.status(), StatusCode::BAD_REQUEST, "{broken}");
    }
}

#[tokio::test]
async fn an_identity_without_a_tenant_gets_nothing() {
    let upstream = Upstream::start(|_| ok()).await;
    let folder = tempfile::tempdir().unwrap();
    for rule in ["query = \"t\"", "header = \"X-T\"", "body = \"t\""] {
        let config = format!(
            "[auth]\ntenant_claim = \"no_such_claim\"\n{}",
            with_backend(&upstream.origin, &format!("tenant = {{ {rule} }}"))
        );
        let site = Site::start_with(folder.path(), &config).await;
        let ada = site.signed_in("ada").await;
        for path in ["/api/proxy/x", "/api/brain/crm/contacts"] {
            let answer = ada.get(path).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{rule}");
            let body: Value = answer.json().await.unwrap();
            assert!(body["error"].as_str().unwrap().contains("belongs to no tenant"), "{body}");
        }
        assert_eq!(site.browser().get("/api/proxy/x").await.status(), StatusCode::UNAUTHORIZED);
    }
    assert!(upstream.seen().is_empty());
}

/// Every answer tells whose it is: what the query, the header, the body and the token say.
#[tokio::test]
async fn two_tenants_hammering_at_once_never_meet() {
    let upstream = Upstream::start(|seen| {
        let header = seen.headers["x-tenant-id"].to_str().unwrap();
        let token = seen.headers["authorization"].to_str().unwrap();
        Response::new(format!("{} {header} {} {token}", seen.target, seen.body).into())
    })
    .await;
    let lines = "tenant = { query = \"tenant_id\", header = \"X-Tenant-Id\", body = \"tenant_id\" }\n\
                 csrf = \"none\"";
    let (site, ada, _folder) = site(&upstream.origin, lines).await;
    let chen = site.signed_in("chen").await;
    let (ada, chen) = (&(token_of(&ada).await, ada), &(token_of(&chen).await, chen));
    assert_ne!(ada.0, chen.0);
    let calls = (0..400).map(|number| {
        let ((token, who), own, other) =
            if number % 2 == 0 { (ada, "harbor", "summit") } else { (chen, "summit", "harbor") };
        async move {
            let path = match number % 3 {
                0 => format!("/api/brain/crm/contacts?n={number}&tenant_id={other}"),
                _ => format!("/api/proxy/x?n={number}&tenant_id={other}"),
            };
            let answer = match number % 4 {
                0 | 1 => who.get(&path).await,
                _ => {
                    let body = json!({ "tenant_id": other, "n": number });
                    who.send(who.request(Method::POST, &path).json(&body)).await
                }
            };
            assert_eq!(answer.status(), StatusCode::OK);
            let text = answer.text().await.unwrap();
            assert!(text.contains(&format!("n={number}&tenant_id={own} {own} ")), "{text}");
            assert!(!text.contains(other) && text.ends_with(token.as_str()), "{text}");
        }
    });
    futures::future::join_all(calls).await;
    assert_eq!(upstream.seen().len(), 402);
}

/// What the backend is sent as this browser's token.
async fn token_of(browser: &Browser) -> String {
    let seen = browser.get("/api/proxy/token").await.text().await.unwrap();
    let (_, token) = seen.rsplit_once(" Bearer ").unwrap();
    format!("Bearer {token}")
}
