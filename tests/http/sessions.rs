//! Sessions that people can see and end, and that a provider can end.

use std::time::Duration;

use breezeway::store::Engine;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    provider::Provider,
    support::{Browser, Site, eventually},
};

async fn ids(browser: &Browser) -> Vec<(String, bool)> {
    let lines: Vec<Value> = browser.get("/api/sessions").await.json().await.unwrap();
    let line = |line: &Value| (line["id"].as_str().unwrap().to_owned(), line["is_here"] == true);
    lines.iter().map(line).collect()
}

#[tokio::test]
async fn one_sees_ones_own_sessions_and_ends_them() {
    let (site, _folder) = Site::start().await;
    let (here, there, third) =
        (site.signed_in("ada").await, site.signed_in("ada").await, site.signed_in("ada").await);
    let ben = site.signed_in("ben").await;
    let seen = ids(&here).await;
    assert_eq!(seen.len(), 3);
    assert_eq!(seen.iter().filter(|(_, is_here)| *is_here).count(), 1);
    assert_eq!(ids(&ben).await.len(), 1, "nobody sees anybody else's");

    let bens = ids(&ben).await[0].0.clone();
    let foreign = here.request(Method::DELETE, &format!("/api/sessions/{bens}"));
    assert_eq!(here.send(foreign).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(ben.get("/api/session").await.status(), StatusCode::OK);

    let other = ids(&there).await.into_iter().find(|(_, is_here)| *is_here).unwrap().0;
    let end = here.request(Method::DELETE, &format!("/api/sessions/{other}"));
    assert_eq!(here.send(end).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(there.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        there.get("/api/brain/django-crm/contacts").await.status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(third.get("/api/session").await.status(), StatusCode::OK);

    let others: Value =
        here.send(here.request(Method::DELETE, "/api/sessions")).await.json().await.unwrap();
    assert_eq!(others["ended"], 1);
    assert_eq!(third.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(here.get("/api/session").await.status(), StatusCode::OK);
    assert_eq!(site.browser().get("/api/sessions").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_page_works_without_a_script() {
    let (site, _folder) = Site::start().await;
    let (here, there) = (site.signed_in("ada").await, site.signed_in("ada").await);
    let page = here.open("/settings/sessions").await.text().await.unwrap();
    assert!(page.contains("This browser") && page.contains("Sign out everywhere else"), "{page}");
    assert!(!page.contains(&here.cookies.lock().unwrap()["breezeway"]), "no cookie in the page");
    let id = ids(&there).await.into_iter().find(|(_, is_here)| *is_here).unwrap().0;
    let ended = here.post_form("/api/fn/session/end", &[("id", &id)]).await;
    assert_eq!(ended.headers()[header::LOCATION], "/settings/sessions?ended=1");
    assert_eq!(there.get("/api/session").await.status(), StatusCode::UNAUTHORIZED);
    let again = here.post_form("/api/fn/session/end_others", &[]).await;
    assert_eq!(again.headers()[header::LOCATION], "/settings/sessions?ended=0");
    let nobody = site.browser();
    let asked = nobody.get("/settings/sessions").await;
    assert!(asked.headers()[header::LOCATION].to_str().unwrap().starts_with("/auth/login"));
}

#[tokio::test]
async fn signing_out_takes_the_refresh_token_back_at_the_provider() {
    let (site, folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let path = folder.path().join("sandbox.db");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let revoked = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM revoked").fetch_one(&pool).await.unwrap()
    };
    assert_eq!(revoked().await, 0);
    ada.post_form("/auth/logout", &[]).await;
    eventually("the revocation", async || revoked().await == 1).await;
}

#[tokio::test]
async fn signing_out_is_done_also_for_who_does_not_wait_for_it() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let pool = site.app.store.pool();
    let left = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM sessions").fetch_one(pool).await.unwrap()
    };
    let mut busy = site.app.store.begin().await.unwrap();
    if site.app.store.engine() == Engine::Postgres {
        let lock = "LOCK TABLE sessions IN EXCLUSIVE MODE";
        sqlx::query(lock).execute(&mut *busy).await.unwrap();
    }
    let request = ada.request(Method::POST, "/auth/logout").timeout(Duration::from_millis(500));
    assert!(request.send().await.unwrap_err().is_timeout(), "it waits for the database");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(left().await, 1);
    busy.rollback().await.unwrap();
    eventually("the end of the session", async || left().await == 0).await;
}

#[tokio::test]
async fn signing_in_too_often_has_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[limits]\nper_address = \"4/1h\"\nper_account = \"3/1h\"\n\
        [machine]\ntoken_url = \"sandbox\"\n";
    let site = Site::start_with(folder.path(), config).await;
    let client = site.browser();
    let from = |path: &str, method: Method, chain: &str| {
        client.send(client.request(method, path).header("x-forwarded-for", chain.to_owned()))
    };
    for n in 0..4 {
        // What stands left of the last hop is made up anew each time, and does not help.
        let answer = from("/auth/login", Method::GET, &format!("6.6.6.{n}, 198.51.100.1")).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    }
    for path in ["/auth/login", "/auth/callback?state=x&code=y"] {
        let refused = from(path, Method::GET, "6.6.6.9, 198.51.100.1").await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(wait > 60 && wait <= 900, "{wait}");
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["code"], "too_many_requests");
    }
    let neighbour = from("/auth/login", Method::GET, "198.51.100.2").await;
    assert_eq!(neighbour.status(), StatusCode::SEE_OTHER);

    for n in 0..3 {
        let answer = from("/api/auth", Method::POST, &format!("198.51.101.{n}")).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let account = from("/api/auth", Method::POST, "198.51.101.9").await;
    assert_eq!(account.status(), StatusCode::TOO_MANY_REQUESTS, "the account is what is tried");
    assert!(account.headers().contains_key("retry-after"));
}

/// Puts a session into the database as signing in does; answers its cookie.
async fn session(site: &Site, issuer: &str, subject: &str, sid: &str) -> Browser {
    let id = tower_sessions::session::Id::default();
    let identity = json!({ "identity": {
        "issuer": issuer, "subject": subject, "name": subject, "tenant": null, "roles": [],
    } });
    let key: String = {
        use sha2::{Digest, Sha256};
        Sha256::digest(id.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let now = breezeway::store::now();
    sqlx::query(
        "INSERT INTO sessions (id, data, created_at, last_seen_at, expires_at, issuer, subject,
         provider_session) VALUES ($1, $2, $3, $3, $4, $5, $6, $7)",
    )
    .bind(key)
    .bind(identity.to_string())
    .bind(now)
    .bind(now + 3_600_000)
    .bind(issuer)
    .bind(subject)
    .bind(sid)
    .execute(site.app.store.pool())
    .await
    .unwrap();
    let browser = site.browser();
    browser.cookies.lock().unwrap().insert("breezeway".to_owned(), id.to_string());
    assert_eq!(browser.get("/api/session").await.status(), StatusCode::OK);
    browser
}

async fn bring(site: &Site, token: &str) -> reqwest::Response {
    let request = reqwest::Client::new().post(format!("{}/auth/backchannel-logout", site.origin));
    request.form(&[("logout_token", token)]).send().await.unwrap()
}

#[tokio::test]
async fn a_provider_ends_the_sessions_it_names() {
    let (provider, site, _folder) = Provider::start().await;
    let issuer = &provider.issuer;
    let first = session(&site, issuer, "ada", "s1").await;
    let second = session(&site, issuer, "ada", "s2").await;
    let ben = session(&site, issuer, "ben", "s3").await;
    let elsewhere = session(&site, "https://other.test", "ada", "s1").await;
    let is_in = async |browser: &Browser| browser.get("/api/session").await.status() == 200;

    let token = provider.logout_token(|_, claims| claims["sid"] = json!("s1"));
    let answer = bring(&site, &token).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(!is_in(&first).await && is_in(&second).await && is_in(&ben).await);
    assert_eq!(bring(&site, &token).await.status(), StatusCode::BAD_REQUEST, "used before");

    let by_sid = provider.logout_token(|_, claims| {
        claims["sid"] = json!("s3");
        claims.as_object_mut().unwrap().remove("sub");
    });
    assert_eq!(bring(&site, &by_sid).await.status(), StatusCode::OK);
    assert!(!is_in(&ben).await && is_in(&second).await);
    assert_eq!(bring(&site, &provider.logout_token(|_, _| {})).await.status(), StatusCode::OK);
    assert!(!is_in(&second).await);
    assert!(is_in(&elsewhere).await, "another provider's people are not its own to end");
}

#[tokio::test]
async fn a_logout_token_that_is_not_one_ends_nothing() {
    let (provider, site, _folder) = Provider::start().await;
    let ada = session(&site, &provider.issuer, "ada", "s1").await;
    let changed = |change: &dyn Fn(&mut Value, &mut Value)| provider.logout_token(change);
    let drop = |name: &'static str| {
        provider.logout_token(move |_, claims| {
            claims.as_object_mut().unwrap().remove(name);
        })
    };
    let stranger = provider.with_another_key();
    let unsigned = {
        let token = changed(&|head, _| head["alg"] = json!("none"));
        let (signed, _) = token.rsplit_once('.').unwrap();
        format!("{signed}.")
    };
    let wrong = [
        ("none", unsigned),
        ("symmetric", changed(&|head, _| head["alg"] = json!("HS256"))),
        ("an ID token", changed(&|head, _| head["typ"] = json!("JWT"))),
        (
            "no type",
            changed(&|head, _| {
                head.as_object_mut().unwrap().remove("typ");
            }),
        ),
        ("a stranger's", stranger.logout_token(|_, _| {})),
        ("unknown key", changed(&|head, _| head["kid"] = json!("other"))),
        ("with a nonce", changed(&|_, claims| claims["nonce"] = json!("n"))),
        ("without events", drop("events")),
        ("other events", changed(&|_, claims| claims["events"] = json!({ "x": {} }))),
        (
            "event no object",
            changed(&|_, claims| {
                claims["events"] =
                    json!({ "http://schemas.openid.net/event/backchannel-logout": 1 })
            }),
        ),
        ("without jti", drop("jti")),
        ("without iat", drop("iat")),
        ("without exp", drop("exp")),
        ("without aud", drop("aud")),
        ("about nobody", drop("sub")),
        ("other audience", changed(&|_, claims| claims["aud"] = json!("d"))),
        ("other issuer", changed(&|_, claims| claims["iss"] = json!("https://evil.test"))),
        ("ended", changed(&|_, claims| claims["exp"] = json!(1_000))),
        ("from the future", changed(&|_, claims| claims["iat"] = json!(9_999_999_999_u64))),
        ("no token", "x".to_owned()),
        ("empty", String::new()),
    ];
    for (what, token) in wrong {
        let answer = bring(&site, &token).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{what}");
    }
    let bare = reqwest::Client::new().post(format!("{}/auth/backchannel-logout", site.origin));
    assert_eq!(bare.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(ada.get("/api/session").await.status(), StatusCode::OK);
}
