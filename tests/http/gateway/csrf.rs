//! Drupal's CSRF tokens, which are only good with the cookie they came with.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{body::Body, response::Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{refusing_the_first, site};
use crate::support::{Browser, Seen, Site, Upstream, serve};

/// What Drupal remembers: the token's seed by session cookie, and how often a session was begun.
#[derive(Default)]
struct Drupal {
    sessions: BTreeMap<String, String>,
    begun: usize,
    /// Tokens that are no longer taken.
    void: Vec<String>,
    /// Refuses everything for another reason.
    forbids: bool,
}

/// As Drupal core behaves: no cookie, no match; a stray cookie on a JSON:API write, 403.
fn drupal(state: Arc<Mutex<Drupal>>) -> impl Fn(&Seen) -> Response<Body> {
    move |seen| {
        let mut drupal = state.lock().unwrap();
        let cookie = seen.headers.get("cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
        let bearer = seen.headers["authorization"].to_str().unwrap().to_owned();
        let refuse = |message: &str| {
            let body = json!({ "message": message }).to_string();
            Response::builder().status(403).body(body.into()).unwrap()
        };
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        match (seen.method.as_str(), path) {
            ("POST", "/api/deepchat/session") => {
                std::thread::sleep(Duration::from_millis(20));
                drupal.begun += 1;
                let number = drupal.begun;
                let id = cookie.unwrap_or_else(|| format!("SSESSabc=s{number}"));
                let token = format!("t{number}/+={}", &bearer[bearer.len() - 6..]);
                drupal.sessions.insert(id.clone(), token.clone());
                Response::builder()
                    .header("content-type", "text/plain;charset=UTF-8")
                    .header("set-cookie", format!("{id}; path=/; HttpOnly; SameSite=Lax"))
                    .header("set-cookie", "tracker=1; path=/")
                    .body(token.into())
                    .unwrap()
            }
            ("POST", "/api/deepchat") if drupal.forbids => {
                refuse("The 'access deepchat api' permission is required.")
            }
            ("POST", "/api/deepchat") => {
                let tokens: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
                    .filter(|(key, _)| key == "token")
                    .map(|(_, token)| token.into_owned())
                    .collect();
                let fits = cookie.as_ref().and_then(|id| drupal.sessions.get(id));
                match (tokens.as_slice(), fits) {
                    ([], _) => refuse("'csrf_token' URL query argument is missing."),
                    ([token], Some(fits)) if token == fits && !drupal.void.contains(token) => {
                        let body = json!({ "cookie": cookie, "token": token, "body": seen.body });
                        Response::new(body.to_string().into())
                    }
                    _ => refuse("'csrf_token' URL query argument is invalid."),
                }
            }
            _ if cookie.is_some() => refuse("X-CSRF-Token request header is missing"),
            _ => Response::new("{}".into()),
        }
    }
}

async fn talk(browser: &Browser, path: &str) -> (StatusCode, Value) {
    let request = browser.request(Method::POST, path).json(&json!({ "stream": 1 }));
    let answer = browser.send(request).await;
    let status = answer.status();
    (status, answer.json().await.unwrap())
}

const DEEPCHAT: &str = "/api/proxy/api/deepchat";

#[tokio::test]
async fn a_token_is_had_once_per_session_and_sent_with_its_cookie() {
    let state = Arc::new(Mutex::new(Drupal::default()));
    let upstream = Upstream::start(drupal(state.clone())).await;
    let (site, ada, _folder) = site(&upstream.origin, "csrf = \"drupal\"").await;
    let ben = site.signed_in("ben").await;
    let calls = (0..20).map(|n| {
        let who = if n % 2 == 0 { &ada } else { &ben };
        async move { (n % 2, talk(who, &format!("{DEEPCHAT}?a=1&token=evil&t%6fken=evil")).await) }
    });
    let answers = futures::future::join_all(calls).await;
    let mut pairs = BTreeMap::new();
    for (who, (status, answer)) in answers {
        assert_eq!(status, StatusCode::OK, "{answer}");
        let pair = (answer["cookie"].to_string(), answer["token"].to_string());
        assert_eq!(*pairs.entry(who).or_insert_with(|| pair.clone()), pair, "one for everybody");
    }
    assert_ne!(pairs[&0], pairs[&1], "two people share nothing");
    assert_eq!(state.lock().unwrap().begun, 2);
    let call = upstream.seen().into_iter().find(|seen| seen.target.contains("a=1")).unwrap();
    assert!(call.target.starts_with("/api/deepchat?a=1&token=t"), "{}", call.target);
    assert!(call.target.contains("%2F%2B%3D"), "sent encoded: {}", call.target);
    assert!(!call.headers["cookie"].to_str().unwrap().contains("tracker"));
}

#[tokio::test]
async fn cookies_go_with_the_calls_that_need_them_and_with_no_other() {
    let state = Arc::new(Mutex::new(Drupal::default()));
    let upstream = Upstream::start(drupal(state.clone())).await;
    let (_site, ada, _folder) = site(&upstream.origin, "csrf = \"drupal\"").await;
    assert_eq!(talk(&ada, DEEPCHAT).await.0, StatusCode::OK);
    for method in [Method::POST, Method::PATCH, Method::DELETE, Method::GET] {
        let write = ada.request(method.clone(), "/api/proxy/jsonapi/node/article").json(&json!({}));
        assert_eq!(ada.send(write).await.status(), StatusCode::OK, "{method}");
        assert!(!upstream.seen().pop().unwrap().headers.contains_key("cookie"));
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_any_other_refusal_passed_on() {
    let state = Arc::new(Mutex::new(Drupal::default()));
    let upstream = Upstream::start(drupal(state.clone())).await;
    let (_site, ada, _folder) = site(&upstream.origin, "csrf = \"drupal\"").await;
    let (_, first) = talk(&ada, DEEPCHAT).await;
    state.lock().unwrap().void.push(first["token"].as_str().unwrap().to_owned());
    let (status, second) = talk(&ada, DEEPCHAT).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(first["token"], second["token"]);
    assert_eq!(first["cookie"], second["cookie"], "the same session goes on");
    assert_eq!(second["body"], "{\"stream\":1}", "the body was sent again");

    state.lock().unwrap().forbids = true;
    let before = upstream.seen().len();
    let (status, refused) = talk(&ada, DEEPCHAT).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(refused["message"], "The 'access deepchat api' permission is required.");
    assert_eq!(upstream.seen().len(), before + 1);

    state.lock().unwrap().forbids = false;
    let begun = state.lock().unwrap().begun;
    let everything = (0..99).flat_map(|n| {
        upstream.seen().into_iter().filter_map(move |seen| {
            let bearer = seen.headers["authorization"].to_str().unwrap().to_owned();
            (n > 0).then(|| format!("t{n}/+={}", &bearer[bearer.len() - 6..]))
        })
    });
    state.lock().unwrap().void.extend(everything);
    let (status, refused) = talk(&ada, DEEPCHAT).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "one retry and no more: {refused}");
    assert_eq!(state.lock().unwrap().begun, begun + 1);
}

#[tokio::test]
async fn a_stream_that_cannot_be_sent_again_leaves_no_stale_token_behind() {
    let state = Arc::new(Mutex::new(Drupal::default()));
    let upstream = Upstream::start(drupal(state.clone())).await;
    let (_site, ada, _folder) = site(&upstream.origin, "csrf = \"drupal\"").await;
    let stream = async || {
        let pieces = futures::stream::iter([Ok::<_, std::io::Error>("{}")]);
        let body = reqwest::Body::wrap_stream(pieces);
        ada.send(ada.request(Method::POST, DEEPCHAT).body(body)).await
    };
    let first: Value = stream().await.json().await.unwrap();
    state.lock().unwrap().void.push(first["token"].as_str().unwrap().to_owned());
    assert_eq!(stream().await.status(), StatusCode::FORBIDDEN);
    assert_eq!(stream().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_sandboxs_drupal_is_satisfied() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let body = json!({
        "assistant_id": "x", "stream": 0, "messages": [{ "role": "user", "text": "Hello" }],
    });
    let answer = ada.send(ada.request(Method::POST, DEEPCHAT).json(&body)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.json::<Value>().await.unwrap()["html"].is_string());

    let token = ada.send(ada.request(Method::POST, "/api/chat/session")).await;
    assert_eq!(token.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(token.headers()["cache-control"], "no-store");
    let token = token.text().await.unwrap();
    assert_eq!(token.len(), 43, "{token}");
    let again = ada.send(ada.request(Method::POST, "/api/chat/session")).await;
    assert_eq!(again.text().await.unwrap(), token, "the caller's own");
    let ben = site.signed_in("ben").await;
    let other = ben.send(ben.request(Method::POST, "/api/chat/session")).await;
    assert_ne!(other.text().await.unwrap(), token);
    let nobody = site.browser();
    let refused = nobody.send(nobody.request(Method::POST, "/api/chat/session")).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_header_form_sends_a_header_and_the_cookies_that_came_with_it() {
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "/session/token" => {
            Response::builder().header("set-cookie", "sid=1; HttpOnly").body("tok".into()).unwrap()
        }
        _ => {
            let header = |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap());
            let body = json!({ "token": header("x-csrf-token"), "cookie": header("cookie") });
            Response::new(body.to_string().into())
        }
    })
    .await;
    let lines = "csrf = { header = \"X-CSRF-Token\", url = \"/session/token\" }";
    let (_site, ada, _folder) = site(&upstream.origin, lines).await;
    for _ in 0..2 {
        let request =
            ada.request(Method::PATCH, "/api/proxy/node/1").header("x-csrf-token", "evil");
        let seen: Value = ada.send(request).await.json().await.unwrap();
        assert_eq!(seen, json!({ "token": "tok", "cookie": "sid=1" }));
    }
    let read: Value = ada.get("/api/proxy/node/1").await.json().await.unwrap();
    assert_eq!(read, json!({ "token": null, "cookie": null }));
    let tokens = upstream.seen().iter().filter(|seen| seen.target == "/session/token").count();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn an_upload_whose_token_is_refused_for_the_access_token_gets_another_one() {
    let upstream = Upstream::start(refusing_the_first(|_| "token".to_owned())).await;
    let (_site, ada, _folder) = site(&upstream.origin, "csrf = \"drupal\"").await;
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>("streamed")]);
    let request = ada.request(Method::POST, DEEPCHAT);
    let answer = ada.send(request.body(reqwest::Body::wrap_stream(pieces))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let targets: Vec<_> =
        upstream.seen().into_iter().map(|seen| (seen.target, seen.body)).collect();
    let [refused, token, call] = targets.as_slice() else { panic!("{targets:?}") };
    assert_eq!((refused, &*token.0), (token, "/api/deepchat/session"));
    assert_eq!(call.1, "streamed");
}

#[tokio::test]
async fn a_backend_that_gives_no_token_keeps_nobody_waiting_for_the_others() {
    let upstream = axum::Router::new()
        .route("/api/deepchat/session", axum::routing::any(std::future::pending::<()>));
    let origin = serve(upstream).await;
    let lines = "csrf = \"drupal\"\ntimeouts = { first_byte = \"1s\" }";
    let (_site, ada, _folder) = site(&origin, lines).await;
    let calls = futures::future::join_all((0..6).map(|_| talk(&ada, DEEPCHAT)));
    let answers = tokio::time::timeout(Duration::from_secs(5), calls).await.expect("one by one");
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::GATEWAY_TIMEOUT));
}
