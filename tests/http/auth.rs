//! Signing in and out, and what a session is worth.

use std::{path::Path, time::Duration};

use axum::{body::Body, response::Response};
use breezeway::sandbox::{Sandbox, SandboxOptions};
use reqwest::{Method, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    provider::Provider,
    support::{Seen, Site, Upstream, location, with_backend},
};

#[tokio::test]
async fn a_session_tells_who_is_there_and_never_a_token() {
    let (site, _folder) = Site::start().await;
    assert_eq!(site.browser().get("/api/session").await.status(), StatusCode::UNAUTHORIZED);

    let ada = site.signed_in("ada").await;
    let text = ada.get("/api/session").await.text().await.unwrap();
    let session: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(session["name"], "Ada Park");
    assert_eq!(session["tenant"], "harbor");
    assert_eq!(session["roles"], serde_json::json!(["admin"]));
    assert!(session["ends_at"].as_i64() > session["idle_ends_at"].as_i64());
    assert!(!text.contains("token") && !text.contains("eyJ"), "{text}");
}

#[tokio::test]
async fn the_cookie_is_shut_to_scripts_and_changes_at_every_sign_in() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let first = ada.cookies.lock().unwrap()["breezeway"].clone();
    ada.sign_in("ben").await;
    let second = ada.cookies.lock().unwrap()["breezeway"].clone();
    assert_ne!(first, second);

    let browser = site.browser();
    let leave = browser.get("/auth/login").await;
    let back = browser.consent(&location(&leave).unwrap(), "ada").await;
    let home = browser.get(&back).await;
    for answer in [&leave, &home] {
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"), "{cookie}");
            assert!(!cookie.contains("Domain"), "{cookie}");
        }
    }
    let set =
        |answer: &reqwest::Response| answer.headers().get_all(header::SET_COOKIE).iter().count();
    assert!(set(&leave) == 1 && set(&home) >= 1);

    let stale = site.browser();
    stale.cookies.lock().unwrap().insert("breezeway".to_owned(), first);
    assert_eq!(stale.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_answer_of_a_sign_in_works_once_and_in_one_browser() {
    let (site, _folder) = Site::start().await;
    let (victim, attacker) = (site.browser(), site.browser());
    let leave = attacker.get("/auth/login").await;
    let back = attacker.consent(&location(&leave).unwrap(), "ada").await;

    let refused = victim.get(&back).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(victim.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);

    assert_eq!(attacker.get(&back).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(attacker.get(&back).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_answer_from_another_issuer_is_refused() {
    let (site, _folder) = Site::start().await;
    let browser = site.browser();
    // Each has an answer of its own: one that was refused is used up.
    for issuer in [Some("iss=https%3A%2F%2Fevil.test"), Some("iss="), None] {
        let leave = browser.get("/auth/login").await;
        let back = browser.consent(&location(&leave).unwrap(), "ada").await;
        assert!(back.contains("&iss="), "{back}");
        let changed: Vec<_> = back
            .split('&')
            .filter_map(|pair| if pair.starts_with("iss=") { issuer } else { Some(pair) })
            .collect();
        let answer = browser.get(&changed.join("&")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{issuer:?}");
    }
    assert_eq!(browser.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_id_token_that_is_not_one_for_us_signs_nobody_in() {
    let (provider, site, _folder) = Provider::start().await;
    let browser = site.browser();
    let sign_in = async |make: &dyn Fn(&str) -> String| {
        let departure = location(&browser.get("/auth/login").await).unwrap();
        let departure = url::Url::parse(&departure).unwrap();
        let parameter = |name: &str| {
            departure.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
        };
        provider.answer(make(&parameter("nonce")));
        browser.get(&format!("/auth/callback?code=x&state={}", parameter("state"))).await
    };
    type Change = fn(&mut Value, &mut Value);
    let without = |nonce: &str, name: &'static str| {
        provider.id_token(nonce, |_, claims| {
            claims.as_object_mut().unwrap().remove(name);
        })
    };
    let stranger = provider.with_another_key();
    let wrong: [(&str, Change); 10] = [
        ("another nonce", |_, claims| claims["nonce"] = json!("other")),
        ("another party's", |_, claims| claims["azp"] = json!("d")),
        ("another audience", |_, claims| claims["aud"] = json!("d")),
        ("several audiences and no party", |_, claims| claims["aud"] = json!(["c", "d"])),
        ("another issuer", |_, claims| claims["iss"] = json!("https://evil.test")),
        ("over", |_, claims| claims["exp"] = json!(1_000)),
        ("not yet", |_, claims| claims["nbf"] = json!(9_999_999_999_u64)),
        ("unsigned", |head, _| head["alg"] = json!("none")),
        ("symmetric", |head, _| head["alg"] = json!("HS256")),
        ("an unknown key", |head, _| head["kid"] = json!("other")),
    ];
    for (what, change) in wrong {
        let answer = sign_in(&|nonce| provider.id_token(nonce, change)).await;
        assert_ne!(answer.status(), StatusCode::SEE_OTHER, "{what}");
        assert!(answer.status().is_client_error() || answer.status().is_server_error(), "{what}");
    }
    for claim in ["nonce", "aud", "iss", "exp", "sub"] {
        let answer = sign_in(&|nonce| without(nonce, claim)).await;
        assert_ne!(answer.status(), StatusCode::SEE_OTHER, "without {claim}");
    }
    let answer = sign_in(&|nonce| stranger.id_token(nonce, |_, _| {})).await;
    assert_ne!(answer.status(), StatusCode::SEE_OTHER, "a stranger's");
    assert_eq!(browser.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);

    let right: [Change; 3] = [
        |_, _| {},
        |_, claims| claims["azp"] = json!("c"),
        |_, claims| {
            claims["aud"] = json!(["c", "d"]);
            claims["azp"] = json!("c");
        },
    ];
    for change in right {
        let answer = sign_in(&|nonce| provider.id_token(nonce, change)).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(browser.get("/api/session").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_at_its_end_whoever_does() {
    for (ends, is_in_use) in [("idle = \"2s\"", false), ("idle = \"2s\"\nabsolute = \"2s\"", true)]
    {
        let folder = tempfile::tempdir().unwrap();
        let config =
            include_str!("../../Leptos.toml").replace("[session]", &format!("[session]\n{ends}"));
        let site = Site::start_with(folder.path(), &config).await;
        let ada = site.signed_in("ada").await;
        if is_in_use {
            // As if it had been used at the very end of its idle time.
            let later = "UPDATE sessions SET expires_at = expires_at + 3600000";
            sqlx::query(later).execute(site.app.store.pool()).await.unwrap();
        }
        assert_eq!(ada.get("/api/session").await.status(), StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(ada.get("/api/session").await.status(), StatusCode::UNAUTHORIZED, "{ends}");
        let answer = ada.get("/api/brain/django-crm/contacts").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{ends}");
    }
}

#[tokio::test]
async fn several_tabs_can_sign_in_at_once() {
    let (site, _folder) = Site::start().await;
    let browser = site.browser();
    let mut departures = Vec::new();
    for _ in 0..3 {
        departures.push(location(&browser.get("/auth/login").await).unwrap());
    }
    for departure in departures {
        let back = browser.consent(&departure, "ada").await;
        assert_eq!(browser.get(&back).await.status(), StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_for_good() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let cookie = ada.cookies.lock().unwrap()["breezeway"].clone();

    assert_eq!(ada.get("/auth/logout").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ada.get("/api/session").await.status(), StatusCode::OK);

    let out = ada.post_form("/auth/logout", &[]).await;
    assert_eq!(out.status(), StatusCode::SEE_OTHER);
    let provider = location(&out).unwrap();
    assert!(provider.contains("/sandbox/end-session") && !provider.contains("token"), "{provider}");
    assert!(ada.cookies.lock().unwrap().get("breezeway").is_none());

    ada.cookies.lock().unwrap().insert("breezeway".to_owned(), cookie);
    assert_eq!(ada.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ada.get("/api/proxy/api/django-crm/contacts").await.status(), 401);
}

#[tokio::test]
async fn the_server_function_signs_out_too() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let out = ada.post_form("/api/fn/session/sign_out", &[]).await;
    assert_eq!(out.status(), StatusCode::FOUND);
    assert!(location(&out).unwrap().contains("/sandbox/end-session"));
    assert_eq!(ada.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_change_needs_proof_that_our_own_page_asked_for_it() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let cookie = format!("breezeway={}", ada.cookies.lock().unwrap()["breezeway"]);
    let http = reqwest::Client::new();
    for headers in [
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("origin", "https://evil.test")],
        vec![("origin", "null")],
        vec![],
    ] {
        let mut request =
            http.post(format!("{}/auth/logout", site.origin)).header("cookie", &cookie);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert_eq!(ada.get("/api/session").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_provider_that_is_down_is_told_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        "[auth]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"c\"\n[sandbox]\nenabled = false\n";
    let site = Site::start_with(folder.path(), config).await;
    let browser = site.browser();
    let request = browser.request(Method::GET, "/auth/login").header(header::ACCEPT, "text/html");
    let answer = browser.send(request).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page = answer.text().await.unwrap();
    assert!(page.contains("sign-in service cannot be reached"), "{page}");
    assert!(!page.contains("127.0.0.1:9"));
}

/// An identity provider whose access tokens end after `life`, and the `[auth]` table for it.
async fn provider(listener: &TcpListener, folder: &Path, life: Duration) -> (Sandbox, String) {
    let site = format!("http://{}", listener.local_addr().unwrap());
    let options = SandboxOptions {
        redirect_uris: vec![format!("{site}/auth/callback")],
        access_token_life: life,
        ..SandboxOptions::new("http://provider.invalid", folder.join("provider"))
    };
    let sandbox = Sandbox::start(options, CancellationToken::new()).await.unwrap();
    let endpoints = sandbox.endpoints();
    let (id, secret) = sandbox.client();
    let auth = format!(
        "[auth]\nissuer = \"{}\"\nauthorize_url = \"{}sandbox/authorize\"\ntoken_url = \"{}\"\n\
         jwks_url = \"{}\"\nclient_id = \"{id}\"\nclient_secret = \"{}\"\n",
        endpoints.issuer,
        sandbox.api_url(),
        endpoints.token_url,
        endpoints.jwks_url,
        secret.expose_secret(),
    );
    (sandbox, auth)
}

fn echoing_bearer(seen: &Seen) -> Response<Body> {
    Response::new(seen.headers["authorization"].to_str().unwrap().to_owned().into())
}

#[tokio::test]
async fn a_short_token_is_refreshed_once_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_provider, auth) = provider(&listener, folder.path(), Duration::from_secs(4)).await;
    let upstream = Upstream::start(echoing_bearer).await;
    let config = format!("{}{auth}", with_backend(&upstream.origin, ""));
    let site = Site::start_on(listener, folder.path(), &config).await;
    let ada = site.signed_in("ada").await;

    let first = ada.get("/api/proxy/x").await.text().await.unwrap();
    assert!(first.starts_with("Bearer eyJ"), "{first}");
    assert_eq!(ada.get("/api/proxy/x").await.text().await.unwrap(), first);

    // The provider revokes the whole family when a refresh token is used twice, so a second
    // exchange would show as a refusal here or in the next round.
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(3_100)).await;
        let calls = (0..20).map(|_| async { ada.get("/api/proxy/x").await.text().await.unwrap() });
        let tokens = futures::future::join_all(calls).await;
        assert!(tokens[0].starts_with("Bearer eyJ"), "{}", tokens[0]);
        assert!(tokens.iter().all(|token| *token == tokens[0]), "one refresh serves all");
        assert_ne!(tokens[0], first);
    }
}

#[tokio::test]
async fn a_provider_that_ends_the_grant_ends_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (provider, auth) = provider(&listener, folder.path(), Duration::from_secs(2)).await;
    let upstream = Upstream::start(echoing_bearer).await;
    let config = format!("{}{auth}", with_backend(&upstream.origin, ""));
    let site = Site::start_on(listener, folder.path(), &config).await;
    let ada = site.signed_in("ada").await;
    assert_eq!(ada.get("/api/proxy/x").await.status(), StatusCode::OK);

    let database = folder.path().join("provider/sandbox.db");
    let provider_rows = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
    sqlx::query("DELETE FROM refresh_tokens").execute(&provider_rows).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert_eq!(ada.get("/api/proxy/x").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ada.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
    drop(provider);
}
