//! What goes with every page.

use reqwest::{Method, StatusCode, header};

use crate::support::{Site, location};

#[tokio::test]
async fn every_page_has_a_policy_without_inline_code() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    for path in ["/", "/chat", "/data", "/data/django-crm/contacts", "/nowhere"] {
        let page = ada.open(path).await;
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("'nonce-"), "{policy}");
        assert!(!policy.contains("unsafe-inline"));
        assert_eq!(page.headers()["x-content-type-options"], "nosniff");
        assert_eq!(page.headers()["cache-control"], "no-store", "{path}");
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        let text = page.text().await.unwrap();
        assert!(text.contains(&format!("nonce=\"{nonce}\"")), "{path}");
        assert!(!text.contains(" style=\"") && !text.contains("onclick"), "{path}");
    }
}

#[tokio::test]
async fn personal_pages_lead_to_sign_in_and_back() {
    let (site, _folder) = Site::start().await;
    let browser = site.browser();
    let answer = browser.get("/data/django-crm/contacts?q=a%20b").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let login = location(&answer).unwrap();
    assert_eq!(login, "/auth/login?return_to=%2Fdata%2Fdjango-crm%2Fcontacts%3Fq%3Da%2520b");
    let leave = browser.get(&login).await;
    let back = browser.consent(&location(&leave).unwrap(), "ada").await;
    let home = browser.get(&back).await;
    assert_eq!(location(&home).unwrap(), "/data/django-crm/contacts?q=a%20b");
}

#[tokio::test]
async fn an_error_is_a_page_for_people_and_json_for_programs() {
    let (site, _folder) = Site::start().await;
    let browser = site.browser();
    let page = browser.open("/nowhere").await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    assert!(page.text().await.unwrap().contains("There is no such page"));
    let json = browser.get("/nowhere").await;
    assert_eq!(json.status(), StatusCode::NOT_FOUND);
    assert!(json.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("application/json"));
}

#[tokio::test]
async fn an_error_page_knows_who_is_signed_in() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let page = ada.open("/nowhere").await.text().await.unwrap();
    assert!(page.contains("Ada Park") && page.contains("Sign out"), "{page}");
}

#[tokio::test]
async fn a_form_that_cannot_be_sent_keeps_its_text() {
    let (site, _folder) = Site::start().await;
    let browser = site.browser();
    let request = browser
        .request(Method::POST, "/chat")
        .header(header::ACCEPT, "text/html")
        .form(&[("text", "What about </textarea><Globex>?")]);
    let answer = browser.send(request).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let page = answer.text().await.unwrap();
    assert!(
        page.contains("What about &lt;/textarea&gt;&lt;Globex&gt;?")
            && page.contains("Sign in again"),
        "{page}"
    );
}

#[tokio::test]
async fn what_no_handler_can_read_is_an_error_of_ours() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    for path in ["/api/chat/runs/1/events?after=x", "/api/chat/runs/%ff/events"] {
        let answer = ada.get(path).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["code"], "bad_request", "{path}");
        assert!(body["request_id"].is_string(), "{path}");
    }
    let form = ada.request(Method::POST, "/chat").header("accept", "text/html");
    let answer = ada.send(form.header("content-type", "multipart/form-data").body("text")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.text().await.unwrap().contains("The form has no boundary"));
}
