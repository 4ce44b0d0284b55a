//! The console's pages.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::response::Response;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

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
    assert!(nothing.contains("Nothing matches “zzyzx”") && nothing.contains("Show all contacts"));
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
async fn a_list_is_narrowed_by_its_address() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let deals = "/data/django-crm/deals";
    let open =
        async |query: &str| ada.open(&format!("{deals}?{query}")).await.text().await.unwrap();
    let page = open("f.stage=Won&f.stage=Lost&f.amount.from=10000&sort=-amount&page_size=50").await;
    assert!(page.contains("Stage: Won or Lost") && page.contains("Amount from 10,000"), "{page}");
    assert!(!page.contains(">Proposal</span>") && page.contains(">Won</span>"));
    // A chip takes one filter away and keeps everything else.
    assert!(
        page.contains("href=\"?f.stage=Won&amp;f.stage=Lost&amp;sort=-amount&amp;page_size=50\"")
    );
    assert!(page.contains("<tfoot>") && page.contains("Total"));

    let none = open("f.stage=Won&f.amount.to=1").await;
    assert!(none.contains("No deals pass these filters") && none.contains("Show all deals"));
    let columns = open("columns=company,name&density=compact").await;
    assert!(
        columns.contains("data-density=\"compact\"") && !columns.contains("data-label=\"Stage\"")
    );
    let (company, name) = (columns.find("?sort=company&"), columns.find("?sort=name&"));
    assert!(company.is_some() && company < name, "{columns}");
    // What it cannot be narrowed by is not passed on.
    assert!(open("f.notes.has=x&f.tenant_id=summit").await.contains("120 records"));
}

#[tokio::test]
async fn figures_are_written_as_the_browser_asks() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let request = ada
        .request(Method::GET, "/data/django-crm/deals?sort=-amount")
        .header("accept-language", "de-DE,en;q=0.5");
    let page = ada.send(request).await.text().await.unwrap();
    let is_german = [".000,00 EUR<", ".500,00 EUR<"].iter().any(|end| page.contains(end));
    assert!(is_german, "{page}");
}

#[tokio::test]
async fn roles_decide_what_is_seen_and_the_server_enforces_it() {
    let folder = tempfile::tempdir().unwrap();
    let roles =
        "[resources.django-crm.contacts]\nroles = { all = [\"admin\"], read = [\"member\"] }";
    let text = include_str!("../../Leptos.toml")
        .replace("[resources.django-crm.contacts]", roles)
        .replace(
            "[resources.billing.usage]",
            "[resources.billing.usage]\nroles = { all = [\"auditor\"] }",
        );
    let site = Site::start_with(folder.path(), &text).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let list = "/data/django-crm/contacts";
    assert_eq!(ada.open(list).await.status(), StatusCode::OK);
    let refused = ben.open(list).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().await.unwrap().contains("You are not allowed to see contacts."));
    assert_eq!(ben.open(&format!("{list}/1")).await.status(), StatusCode::OK);
    assert_eq!(ada.open(&format!("{list}/1")).await.status(), StatusCode::FORBIDDEN);

    let index = ada.open("/data").await.text().await.unwrap();
    assert!(
        index.contains("/data/django-crm/contacts\"") && !index.contains("/data/billing/usage")
    );
    assert_eq!(ada.open("/data/billing/usage").await.status(), StatusCode::FORBIDDEN);

    let brain = "/api/brain/django-crm/contacts";
    assert_eq!(ada.get(brain).await.status(), StatusCode::OK);
    assert_eq!(ben.get(brain).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(ben.get(&format!("{brain}/1")).await.status(), StatusCode::OK);
    let delete = ben.request(Method::DELETE, &format!("{brain}/1"));
    assert_eq!(ben.send(delete).await.status(), StatusCode::FORBIDDEN);
    let catalogue: Value = ben.get("/api/brain").await.json().await.unwrap();
    assert_eq!(catalogue[0]["resources"][0]["actions"], json!(["read"]));
}

#[tokio::test]
async fn while_a_backend_is_down_its_last_good_list_is_shown() {
    let is_down = Arc::new(AtomicBool::new(false));
    let down = is_down.clone();
    let upstream = Upstream::start(move |_| {
        let status = if down.load(Ordering::Relaxed) { 503 } else { 200 };
        let body = r#"{"count":1,"results":[{"id":1,"name":"Imani Cole","email":"i@b.example"}]}"#;
        Response::builder().status(status).body(body.into()).unwrap()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    let ada = site.signed_in("ada").await;
    let list = async |query: &str| ada.open(&format!("/data/crm/contacts{query}")).await;
    let good = list("").await.text().await.unwrap();
    assert!(good.contains("Imani Cole") && !good.contains("Showing data from"));

    is_down.store(true, Ordering::Relaxed);
    let stale = list("").await;
    assert_eq!(stale.status(), StatusCode::OK);
    let stale = stale.text().await.unwrap();
    assert!(stale.contains("Imani Cole") && stale.contains("Showing data from"), "{stale}");
    // What was never seen cannot be shown, and somebody else's is not.
    let never = list("?q=x").await;
    assert_eq!(never.status(), StatusCode::SERVICE_UNAVAILABLE);
    let ben = site.signed_in("ben").await;
    assert_eq!(ben.open("/data/crm/contacts").await.status(), StatusCode::SERVICE_UNAVAILABLE);

    is_down.store(false, Ordering::Relaxed);
    assert!(!list("").await.text().await.unwrap().contains("Showing data from"));
}

#[tokio::test]
async fn fields_that_nobody_declared_are_worked_out() {
    let folder = tempfile::tempdir().unwrap();
    let extra =
        "[resources.found.deals]\nbackend = \"sandbox\"\npath = \"/api/django-crm/deals\"\n";
    let site =
        Site::start_with(folder.path(), &(include_str!("../../Leptos.toml").to_owned() + extra))
            .await;
    let ada = site.signed_in("ada").await;
    let page = ada.open("/data/found/deals").await.text().await.unwrap();
    assert!(page.contains("120 records") && page.contains("data-label=\"Close date\""), "{page}");
    assert!(page.contains("<span class=\"pill\" data-tone=\"plain\">Won</span>"));
    // Who may not write is not told what can be written, so the records must tell.
    let dana = site.signed_in("dana").await;
    let page = dana.open("/data/found/deals").await.text().await.unwrap();
    assert!(page.contains("data-label=\"Close date\"") && page.contains("data-align=\"end\""));
}

#[tokio::test]
async fn a_list_that_is_not_counted_is_paged_all_the_same() {
    let upstream = Upstream::start(|seen| {
        let last = seen.target.contains("page%5Boffset%5D=50");
        let row =
            |id| json!({ "id": format!("u-{id}"), "attributes": { "name": format!("N{id}") } });
        let mut answer = json!({ "data": [row(1), row(2)], "links": {} });
        if !last {
            answer["links"]["next"] = json!({ "href": "https://elsewhere.example" });
        }
        Response::new(answer.to_string().into())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let text = with_backend(&upstream.origin, "")
        .replace("path = \"/contacts\"", "path = \"/contacts\"\nstyle = \"jsonapi\"");
    let site = Site::start_with(folder.path(), &text).await;
    let ada = site.signed_in("ada").await;
    let page = ada.open("/data/crm/contacts?page=2").await.text().await.unwrap();
    assert!(
        page.contains("Page 2") && page.contains("href=\"?page=3\"") && page.contains(">N1</a>")
    );
    let last = ada.open("/data/crm/contacts?page=3").await.text().await.unwrap();
    assert!(!last.contains("?page=4") && last.contains("href=\"?page=2\""));
    assert_eq!(upstream.seen()[0].headers["accept"], "application/vnd.api+json");
}

#[tokio::test]
async fn a_whole_list_leaves_as_a_file() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let answer =
        ada.get("/data/django-crm/deals/-/export.csv?f.stage=Won&f.stage=Lost&sort=name").await;
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"deals.csv\"");
    let text = answer.text().await.unwrap();
    let text = text.strip_prefix('\u{feff}').expect("a mark for spreadsheets");
    assert!(text.starts_with("id,name,company,contact,stage,"), "{text}");
    let won = |line: &str| line.contains(",Won,") || line.contains(",Lost,");
    assert!(text.lines().skip(1).all(won) && text.lines().count() > 5, "{text}");

    // More than the backend gives on one page.
    let all = ada.get("/data/django-crm/contacts/-/export.csv?columns=name,email").await;
    let all = all.text().await.unwrap();
    assert_eq!(all.lines().count(), 241);
    assert!(all.contains("id,name,email\r\n"));

    let nobody = site.browser().get("/data/django-crm/deals/-/export.csv").await;
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_export_that_breaks_off_is_seen_to() {
    let upstream = Upstream::start(|seen| {
        if seen.target.contains("page=2") {
            return Response::builder().status(500).body("x".into()).unwrap();
        }
        let rows: Vec<Value> = (0..200).map(|id| json!({ "id": id, "name": "=1+1" })).collect();
        Response::new(json!({ "count": 400, "next": "x", "results": rows }).to_string().into())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    let ada = site.signed_in("ada").await;
    let answer = ada.get("/data/crm/contacts/-/export.csv").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.is_err(), "half a list must not pass for a whole one");
}

#[tokio::test]
async fn a_list_of_unknown_length_is_exported_to_its_end() {
    let upstream = Upstream::start(|seen| {
        let query: std::collections::HashMap<String, u64> = seen
            .target
            .split(['?', '&'])
            .filter_map(|pair| pair.split_once('='))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect();
        let (page, size) = (query["p"], query["n"].min(50));
        let ids = (page - 1) * size..(page * size).min(120);
        let rows: Vec<Value> =
            ids.map(|id| json!({ "id": format!("={id}"), "name": "x" })).collect();
        Response::new(Value::Array(rows).to_string().into())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("{}style = {{ page = \"p\", size = \"n\" }}\n", with_backend(&upstream.origin, ""));
    let site = Site::start_with(folder.path(), &text).await;
    let ada = site.signed_in("ada").await;
    let file = ada.get("/data/crm/contacts/-/export.csv").await.text().await.unwrap();
    assert_eq!(file.lines().count(), 121, "{file}");
    assert!(file.contains("\n'=119,") && !file.contains("\n="), "ids are no formulas");
}

#[tokio::test]
async fn a_list_whose_pages_nobody_counts_is_gone_through_to_its_end() {
    let upstream = Upstream::start(|seen| {
        let begins = seen.target.split(['?', '&']).find_map(|pair| pair.strip_prefix("cursor="));
        let begins: u64 = begins.map_or(0, |cursor| cursor.parse().unwrap());
        let rows: Vec<Value> = (begins..(begins + 10).min(25))
            .map(|id| json!({ "id": id, "name": format!("n{id}") }))
            .collect();
        let next = (begins + 10 < 25).then(|| format!("http://b/contacts?cursor={}", begins + 10));
        let answer = json!({ "next": next, "previous": null, "results": rows });
        Response::builder()
            .header("content-type", "application/json")
            .body(answer.to_string().into())
            .unwrap()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(&upstream.origin, "")).await;
    let ada = site.signed_in("ada").await;
    let second = "\"?page=2&amp;cursor=10\" rel=\"next\"";
    let first = ada.open("/data/crm/contacts").await.text().await.unwrap();
    assert!(first.contains(">n9<") && first.contains(second), "{first}");
    let last = ada.open("/data/crm/contacts?page=3&cursor=20").await.text().await.unwrap();
    assert!(last.contains(">n24<") && !last.contains("rel=\"next\""), "{last}");
    assert!(last.contains("First page"), "{last}");
    let file = ada.get("/data/crm/contacts/-/export.csv").await.text().await.unwrap();
    assert_eq!(file.lines().count(), 26, "{file}");
}

#[tokio::test]
async fn what_a_list_comes_to_is_told_in_numbers_and_charts() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let open = async |path: &str| ada.open(path).await.text().await.unwrap();
    let list = open("/data/analytics/traffic").await;
    assert!(list.contains("/data/analytics/traffic/-/summary"), "{list}");
    let all = open("/data/analytics/traffic/-/summary").await;
    assert!(all.contains("<svg class=\"chart\"") && all.contains("The numbers"), "{all}");
    assert!(all.contains("Sessions") && all.contains("class=\"tile\""));
    let some = open("/data/analytics/traffic/-/summary?f.channel=Search").await;
    assert!(some.contains("matches") && some != all);
    let none = ada.open("/data/django-crm/contacts/-/summary").await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    let home = open("/").await;
    assert!(home.contains("At a glance") && home.contains("class=\"tile\""), "{home}");
}

#[tokio::test]
async fn lists_are_kept_under_names_and_on_the_first_page() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let deals = "/data/django-crm/deals";
    let keep = [("query", "f.stage=Won&sort=-amount"), ("name", "Won <b>"), ("shared", "1")];
    let kept = ada.post_form(&format!("{deals}/-/views"), &keep).await;
    assert_eq!(
        kept.headers()["location"].to_str().unwrap(),
        "/data/django-crm/deals?f.stage=Won&sort=-amount"
    );
    let own = [("query", "q=x"), ("name", "Mine")];
    ada.post_form(&format!("{deals}/-/views"), &own).await;
    let ben = site.signed_in("ben").await;
    let chen = site.signed_in("chen").await;
    let seen = async |who: &crate::support::Browser| who.open(deals).await.text().await.unwrap();
    let (adas, bens, chens) = (seen(&ada).await, seen(&ben).await, seen(&chen).await);
    assert!(adas.contains("Won &lt;b&gt;") && adas.contains(">Mine<"), "{adas}");
    assert!(bens.contains("Won &lt;b&gt;") && !bens.contains(">Mine<"));
    assert!(!chens.contains("Won &lt;b&gt;"), "another tenant's");
    let (_, rest) = adas.split_once("name=\"remove\" value=\"").unwrap();
    let id = rest.split('"').next().unwrap();
    ben.post_form(&format!("{deals}/-/views"), &[("remove", id)]).await;
    assert!(seen(&ada).await.contains(">Mine<"));
    ada.post_form(&format!("{deals}/-/views"), &[("remove", id)]).await;
    assert!(!seen(&ada).await.contains(">Mine<"));
    let nameless = ada.post_form(&format!("{deals}/-/views"), &[("name", " ")]).await;
    assert_eq!(nameless.status(), StatusCode::BAD_REQUEST);

    let home = async || ada.open("/").await.text().await.unwrap();
    assert!(!home().await.contains("Pinned"));
    ada.post_form(&format!("{deals}/-/views"), &[("pin", "1")]).await;
    let pinned = home().await;
    assert!(pinned.contains("Pinned") && pinned.contains("Deals</strong>"), "{pinned}");
    ada.post_form(&format!("{deals}/-/views"), &[("pin", "0")]).await;
    assert!(!home().await.contains("Pinned"));
}

#[tokio::test]
async fn relations_are_found_by_words_and_files_put_in_their_place() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let found = ada.get("/data/django-crm/deals/-/options/contact?q=globex").await;
    let found: Value = found.json().await.unwrap();
    let names: Vec<&str> =
        found.as_array().unwrap().iter().map(|one| one["value"].as_str().unwrap()).collect();
    assert!(!names.is_empty() && names.len() <= 20, "{found}");
    let form = ada.open("/data/django-crm/deals/3/edit").await.text().await.unwrap();
    assert!(form.contains("<datalist") && form.contains("/-/options/contact"), "{form}");
    let none = ada.get("/data/django-crm/deals/-/options/name").await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);

    let upstream = Upstream::start(|seen| match seen.method.as_str() {
        "PATCH" if seen.body.contains("refuse") => {
            Response::builder().status(400).body(r#"{"photo": ["Too dull."]}"#.into()).unwrap()
        }
        "PATCH" => Response::new(r#"{"id": 7, "photo": "https://x.example/new.png"}"#.into()),
        _ => Response::new(r#"{"id": 7, "name": "Ada", "photo": null}"#.into()),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let text = with_backend(&upstream.origin, "");
    let (before, _) = text.split_once("fields = [").unwrap();
    let fields =
        "fields = [\"name\", { name = \"photo\", type = \"image\", max_size = \"1 KiB\" }]";
    let site = Site::start_with(folder.path(), &format!("{before}{fields}\n")).await;
    let ada = site.signed_in("ada").await;
    let send = async |kind: &str, content: &str| {
        let body = format!(
            "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\
             content-type: {kind}\r\n\r\n{content}\r\n--b--\r\n"
        );
        let request = ada
            .request(Method::POST, "/data/crm/contacts/7/files/photo")
            .header("accept", "text/html")
            .header("content-type", "multipart/form-data; boundary=b");
        ada.send(request.body(body)).await
    };
    assert!(ada.open("/data/crm/contacts/7").await.text().await.unwrap().contains("Upload"));
    assert_eq!(send("image/png", "PNG").await.status(), StatusCode::SEE_OTHER);
    let sent = upstream.seen().into_iter().find(|seen| seen.method == Method::PATCH).unwrap();
    assert!(sent.body.contains("name=\"photo\"; filename=\"a.png\"") && sent.body.contains("PNG"));
    let history = ada.open("/data/crm/contacts/7").await.text().await.unwrap();
    assert!(history.contains("changed it") && history.contains("new.png"), "{history}");
    assert_eq!(send("text/html", "x").await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send("image/png", &"x".repeat(2_000)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let refused = send("image/png", "refuse").await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(refused.text().await.unwrap().contains("Photo: Too dull."));
}

#[tokio::test]
async fn admins_see_what_everybody_has_changed() {
    let (site, _folder) = Site::start().await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    for (id, who) in [("4", &ada), ("5", &ben)] {
        let run = [("run", "win"), ("title", "Forged title")];
        who.post_form(&format!("/data/django-crm/deals/{id}/run"), &run).await;
    }
    for who in [&ada, &ben] {
        who.post_form("/auth/logout", &[]).await;
    }
    ada.sign_in("ada").await;
    ben.sign_in("ben").await;
    let all = ada.open("/data/-/history").await.text().await.unwrap();
    assert!(all.contains("Ada Park") && all.contains("Ben Ortiz"), "{all}");
    assert!(!all.contains("Forged title"), "{all}");
    let bens = ada.open("/data/-/history?person=Ben+Ortiz").await.text().await.unwrap();
    assert!(bens.contains("Take away") && bens.matches("<li><p>").count() == 1, "{bens}");
    assert!(ada.open("/data").await.text().await.unwrap().contains("/data/-/history"));
    assert_eq!(ben.open("/data/-/history").await.status(), StatusCode::FORBIDDEN);
    assert!(!ben.open("/data").await.text().await.unwrap().contains("/data/-/history"));
    // Another tenant's admin sees their own.
    let chen = site.signed_in("chen").await;
    assert!(chen.open("/data/-/history").await.text().await.unwrap().contains("Nothing yet"));
}
