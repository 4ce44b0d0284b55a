//! The console's pages and server functions.

use axum::response::Response;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::{Site, Upstream, with_backend};

#[tokio::test]
async fn a_list_is_rendered_with_search_order_and_pages_in_the_address() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let page = ada.open("/data/django-crm/contacts").await.text().await.unwrap();
    assert!(page.contains("<h1>Contacts<") && page.contains("240 records"), "{page}");
    assert_eq!(page.matches("<th scope=\"row\">").count(), 25);

    let sorted =
        ada.open("/data/django-crm/contacts?sort=-name&page=2").await.text().await.unwrap();
    assert!(sorted.contains("aria-sort=\"descending\""));
    assert!(sorted.contains("aria-current=\"page\" aria-label=\"Page 2\""), "{sorted}");

    let found = ada.open("/data/django-crm/contacts?q=globex").await.text().await.unwrap();
    assert!(found.contains("matches") && found.to_lowercase().contains("globex"));

    let beyond = ada.open("/data/django-crm/contacts?page=999").await.text().await.unwrap();
    assert!(beyond.contains("href=\"/data/django-crm/contacts\"") && beyond.contains("whole list"));

    let nothing = ada.open("/data/django-crm/contacts?q=zzyzx").await.text().await.unwrap();
    assert!(nothing.contains("Nothing matches “zzyzx”") && nothing.contains("Clear search"));
}

#[tokio::test]
async fn a_record_has_a_page_and_a_missing_one_says_so() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let page = ada.open("/data/django-crm/contacts/1").await.text().await.unwrap();
    assert!(page.contains("Back to contacts") && page.contains("mailto:"), "{page}");

    for path in [
        "/data/django-crm/contacts/999999",
        "/data/django-crm/nothing",
        "/data/django-crm/contacts?page=99",
    ] {
        let answer = ada.open(path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text().await.unwrap().contains("Error 404"));
    }
    let answer = ada.open("/data/django-crm/contacts?sort=notes").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_a_backend_says_cannot_become_markup() {
    let upstream = Upstream::start(|_| {
        Response::new(
            r#"{"count":1,"results":[{"id":"<i>/..","name":"<script>alert(1)</script>","email":"\"><b>"}]}"#
                .into(),
        )
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    let ada = site.signed_in("ada").await;
    let page = ada.open("/data/crm/contacts").await.text().await.unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    assert!(!page.contains("<script>alert(1)") && !page.contains("\"><b>"));
    assert!(page.contains("/data/crm/contacts/%3Ci%3E%2F.."));
}

#[tokio::test]
async fn a_backend_that_is_down_is_told_and_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend("http://127.0.0.1:9", "")).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.open("/data/crm/contacts").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page = answer.text().await.unwrap();
    assert!(page.contains("The list cannot be shown") && page.contains("Retry"), "{page}");
    assert!(!page.contains("127.0.0.1:9"));
}

#[tokio::test]
async fn server_functions_list_and_read_with_the_right_status() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let call = |browser: &crate::support::Browser, name: &str, form: &[(&str, &str)]| {
        browser.request(Method::POST, &format!("/api/fn/data/{name}")).form(form)
    };
    let list = [("group", "django-crm"), ("name", "contacts"), ("query[page_size]", "5")];
    let found: Value = ada.send(call(&ada, "list", &list)).await.json().await.unwrap();
    assert_eq!(found["rows"].as_array().unwrap().len(), 5);
    assert_eq!(found["total"], 240);

    let read = [("group", "django-crm"), ("name", "contacts"), ("id", "1")];
    let record: Value = ada.send(call(&ada, "read", &read)).await.json().await.unwrap();
    assert!(record["title"].is_string());

    let missing = [("group", "django-crm"), ("name", "contacts"), ("id", "999999")];
    assert_eq!(ada.send(call(&ada, "read", &missing)).await.status(), StatusCode::NOT_FOUND);
    let incomplete = ada.send(call(&ada, "read", &missing[..1])).await;
    assert_eq!(incomplete.status(), StatusCode::BAD_REQUEST);
    assert!(incomplete.text().await.unwrap().contains("\"code\":\"bad_request\""));
    let unknown = ada.send(call(&ada, "nope", &missing)).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(unknown.text().await.unwrap().contains("\"code\":\"not_found\""));
    let nobody = site.browser();
    let refused = nobody.send(call(&nobody, "list", &list)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.text().await.unwrap().contains("\"code\":\"unauthenticated\""));
}
