//! Declared resources: list, read, create, update, delete, and the last good answer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{body::Body, response::Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::site;
use crate::support::{Site, Upstream};

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

#[tokio::test]
async fn all_twenty_four_resources_are_there() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let groups: Value = ada.get("/api/brain").await.json().await.unwrap();
    let resources: Vec<&Value> = groups
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["resources"].as_array().unwrap())
        .collect();
    assert_eq!(resources.len(), 24);
    for resource in resources {
        let path = resource["path"].as_str().unwrap();
        let answer = ada.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let list: Value = answer.json().await.unwrap();
        let first = &list["results"][0]["id"];
        let one: Value = ada.get(&format!("{path}/{first}")).await.json().await.unwrap();
        assert_eq!(one["id"], *first, "{path}");
    }
    assert_eq!(site.browser().get("/api/brain").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_record_is_created_changed_and_deleted() {
    let (site, _folder) = Site::start().await;
    let (ada, chen) = (site.signed_in("ada").await, site.signed_in("chen").await);
    let list = "/api/brain/django-crm/contacts";
    let body = json!({ "name": "Grace Test", "email": "grace@example.org", "tenant_id": "summit" });
    let made = ada.send(ada.request(Method::POST, list).json(&body)).await;
    assert_eq!(made.status(), StatusCode::CREATED, "{}", made.text().await.unwrap());
    let made: Value = made.json().await.unwrap();
    let one = format!("{list}/{}", made["id"]);

    let change = json!({ "name": "Grace Changed" });
    let changed = ada.send(ada.request(Method::PATCH, &one).json(&change)).await;
    assert_eq!(changed.status(), StatusCode::OK);
    let seen: Value = ada.get(&one).await.json().await.unwrap();
    assert_eq!(seen["name"], "Grace Changed");
    let whole = json!({ "name": "Grace Put", "email": "put@example.org" });
    let put = ada.send(ada.request(Method::PUT, &one).json(&whole)).await;
    assert_eq!(put.status(), StatusCode::OK, "{}", put.text().await.unwrap());

    for method in [Method::PATCH, Method::DELETE] {
        let others = chen.send(chen.request(method, &one).json(&change)).await;
        assert_eq!(others.status(), StatusCode::NOT_FOUND);
    }
    let wrong = ada.send(ada.request(Method::POST, list).json(&json!({ "email": "x" }))).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let wrong: Value = wrong.json().await.unwrap();
    assert!(
        wrong["name"].is_array() || wrong["email"].is_array(),
        "the backend's own words: {wrong}"
    );

    assert_eq!(ada.send(ada.request(Method::DELETE, &one)).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(ada.get(&one).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn methods_that_are_not_declared_are_refused_with_those_that_are() {
    let upstream = Upstream::start(|_| Response::new("{}".into())).await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    for (method, path, allow) in [
        (Method::DELETE, "/api/brain/crm/contacts", "GET, POST, HEAD, OPTIONS"),
        (Method::POST, "/api/brain/crm/contacts/1", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"),
    ] {
        let answer = ada.send(ada.request(method, path)).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], allow);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["code"], "method_not_allowed");
    }
    let options = ada.send(ada.request(Method::OPTIONS, "/api/brain/crm/contacts")).await;
    assert_eq!(options.status(), StatusCode::NO_CONTENT);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_read_only_resource_takes_no_writes() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let path = "/api/brain/analytics/overview";
    let answer = ada.send(ada.request(Method::POST, path).json(&json!({}))).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()["allow"], "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn when_the_backend_is_down_the_last_good_answer_is_shown_to_whom_it_belongs() {
    let is_down = Arc::new(AtomicBool::new(false));
    let flag = is_down.clone();
    let upstream = Upstream::start(move |seen| {
        if flag.load(Ordering::SeqCst) {
            return Response::builder().status(503).body(Body::empty()).unwrap();
        }
        let body = format!("{{\"for\":\"{}\"}}", seen.target);
        Response::builder().header("content-type", "application/json").body(body.into()).unwrap()
    })
    .await;
    let (site, ada, _folder) = site(&upstream.origin, "tenant = { query = \"t\" }").await;
    let (chen, path) = (site.signed_in("chen").await, "/api/brain/crm/contacts?page=1");
    let good = ada.get(path).await;
    assert!(!good.headers().contains_key("x-breezeway-stale"));
    let good = good.text().await.unwrap();
    is_down.store(true, Ordering::SeqCst);

    let stale = ada.get(path).await;
    assert_eq!(stale.status(), StatusCode::OK);
    assert_eq!(stale.headers()["warning"], "110 - \"Response is Stale\"");
    let age: u64 = stale.headers()["x-breezeway-stale"].to_str().unwrap().parse().unwrap();
    assert!(age < 60);
    assert_eq!(stale.headers()["content-type"], "application/json");
    assert_eq!(stale.headers()["cache-control"], "no-store");
    assert_eq!(stale.text().await.unwrap(), good);

    assert_eq!(chen.get(path).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(site.browser().get(path).await.status(), StatusCode::UNAUTHORIZED);
    let other = ada.get("/api/brain/crm/contacts?page=2").await;
    assert_eq!(other.status(), StatusCode::SERVICE_UNAVAILABLE);
    let write = ada.request(Method::POST, "/api/brain/crm/contacts").json(&json!({}));
    let write = ada.send(write).await;
    assert_eq!(write.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = write.json().await.unwrap();
    assert_eq!(body["code"], "unavailable");
}

#[tokio::test]
async fn what_is_kept_for_an_outage_may_come_in_chunks_and_in_versions() {
    let is_down = Arc::new(AtomicBool::new(false));
    let flag = is_down.clone();
    let upstream = Upstream::start(move |seen| {
        if flag.load(Ordering::SeqCst) {
            return Response::builder().status(502).body(Body::empty()).unwrap();
        }
        let version = seen.headers["x-api-version"].to_str().unwrap().to_owned();
        let pieces = ["version ".to_owned(), version].map(Ok::<_, std::convert::Infallible>);
        Response::new(Body::from_stream(futures::stream::iter(pieces)))
    })
    .await;
    let lines = "forward_headers = [\"X-Api-Version\"]";
    let (_site, ada, _folder) = site(&upstream.origin, lines).await;
    let ask = |version: &'static str| {
        let request = ada.request(Method::GET, "/api/brain/crm/contacts");
        ada.send(request.header("x-api-version", version))
    };
    assert_eq!(ask("1").await.text().await.unwrap(), "version 1");
    is_down.store(true, Ordering::SeqCst);
    let stale = ask("1").await;
    assert!(stale.headers().contains_key("x-breezeway-stale"), "{stale:?}");
    assert_eq!(stale.text().await.unwrap(), "version 1");
    assert_eq!(ask("2").await.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn the_catalogue_lists_what_would_be_answered_and_nothing_else() {
    let upstream = Upstream::start(|_| Response::new("[]".into())).await;
    let (site, ada, _folder) = site(&upstream.origin, "auth = [\"session\", \"caller\"]").await;
    let nobody = site.browser();
    assert_eq!(ada.get("/api/brain").await.status(), StatusCode::OK);
    assert_eq!(nobody.get("/api/brain").await.status(), StatusCode::UNAUTHORIZED);
    for path in ["/api/brain", "/api/brain/crm/contacts"] {
        let request = nobody.request(Method::GET, path).header("authorization", "Bearer own");
        assert_eq!(nobody.send(request).await.status(), StatusCode::OK, "{path}");
    }

    let lines = "auth = [\"none\"]\ntenant = { query = \"t\" }";
    let (site, ada, _folder) = super::site(&upstream.origin, lines).await;
    assert_ne!(ada.get("/api/brain").await.text().await.unwrap(), "[]");
    for path in ["/api/brain", "/api/brain/crm/contacts"] {
        let answer = site.browser().get(path).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn where_a_new_record_is_leads_to_its_own_address() {
    let upstream = Upstream::start(|seen| {
        let host = seen.headers["host"].to_str().unwrap();
        let location = match seen.target.split('?').next().unwrap() {
            "/contacts" => format!("http://{host}/contacts/7/"),
            _ => format!("http://{host}/elsewhere/7"),
        };
        Response::builder().status(201).header("location", location).body(Body::empty()).unwrap()
    })
    .await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    let made = ada.send(ada.request(Method::POST, "/api/brain/crm/contacts")).await;
    assert_eq!(made.headers()["location"], "/api/brain/crm/contacts/7/");
    let changed = ada.send(ada.request(Method::PUT, "/api/brain/crm/contacts/7")).await;
    assert!(!changed.headers().contains_key("location"), "a place that has no address here");
}

#[tokio::test]
async fn no_id_is_not_a_record() {
    let upstream = Upstream::start(|_| Response::new("{}".into())).await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    for method in [Method::DELETE, Method::GET, Method::PUT] {
        let answer = ada.send(ada.request(method, "/api/brain/crm/contacts//")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn what_one_may_no_longer_see_is_not_shown_in_an_outage() {
    let status = Arc::new(std::sync::atomic::AtomicU16::new(200));
    let told = status.clone();
    let upstream = Upstream::start(move |_| {
        let status = told.load(Ordering::SeqCst);
        Response::builder().status(status).body("{\"secret\":1}".into()).unwrap()
    })
    .await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    let path = "/api/brain/crm/contacts";
    for (status_now, seen) in [(200, 200), (503, 200), (403, 403), (503, 503)] {
        status.store(status_now, Ordering::SeqCst);
        assert_eq!(ada.get(path).await.status().as_u16(), seen, "after {status_now}");
    }
}
