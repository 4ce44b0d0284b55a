//! Making, changing and deleting records by the console's forms.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU16, Ordering},
};

use axum::response::Response;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Browser, Seen, Site, Upstream, eventually, location, with_backend};

const CONTACTS: &str = "/data/django-crm/contacts";

/// A backend of one record, which remembers what it is told.
#[derive(Clone)]
struct Shelf {
    record: Arc<Mutex<Option<Value>>>,
    /// What it answers to writes instead of doing them.
    refuses: Arc<AtomicU16>,
    /// Whether it has names for the states of its record.
    is_tagged: bool,
}

impl Shelf {
    fn of(record: Value) -> Self {
        let record = Arc::new(Mutex::new(Some(record)));
        Self { record, refuses: Arc::default(), is_tagged: false }
    }

    fn set(&self, name: &str, value: Value) {
        self.record.lock().unwrap().as_mut().unwrap()[name] = value;
    }

    fn get(&self, name: &str) -> Value {
        self.record.lock().unwrap().as_ref().map_or(Value::Null, |record| record[name].clone())
    }

    fn refuse_with(&self, status: u16) {
        self.refuses.store(status, Ordering::Relaxed);
    }

    fn answer(&self, seen: &Seen) -> Response {
        let refuses = self.refuses.load(Ordering::Relaxed);
        if seen.method != Method::GET && refuses != 0 {
            let said = json!({ "name": ["That name is taken."], "owner": ["Nobody has it."] });
            return answered(refuses, &said, None);
        }
        let mut record = self.record.lock().unwrap();
        let tag = self.is_tagged.then(|| {
            format!("\"{}\"", record.clone().unwrap_or_default()["name"]).replace("\"\"", "\"")
        });
        let wanted = seen.headers.get("if-match").map(|tag| tag.to_str().unwrap().to_owned());
        if wanted.is_some() && wanted != tag {
            return answered(412, &json!({}), tag);
        }
        match (seen.method.as_str(), record.as_mut()) {
            ("POST", _) => {
                let mut made: Value = serde_json::from_str(&seen.body).unwrap();
                made["id"] = json!(8);
                *record = Some(made.clone());
                answered(201, &made, None)
            }
            (_, None) => answered(404, &json!({ "detail": "Not found." }), None),
            ("DELETE", _) => {
                *record = None;
                answered(204, &Value::Null, None)
            }
            ("PATCH", Some(record)) => {
                let new: Value = serde_json::from_str(&seen.body).unwrap();
                for (name, value) in new.as_object().unwrap() {
                    record[name] = value.clone();
                }
                record["stamp"] = json!(record["stamp"].as_u64().unwrap_or(0) + 1);
                answered(200, record, None)
            }
            (_, Some(_)) if seen.target.starts_with("/contacts?") => {
                answered(200, &json!({ "count": 1, "results": [*record] }), None)
            }
            (_, Some(record)) => answered(200, record, tag),
        }
    }
}

fn answered(status: u16, body: &Value, tag: Option<String>) -> Response {
    let mut answer = Response::builder().status(status).header("content-type", "application/json");
    if let Some(tag) = tag {
        answer = answer.header("etag", tag);
    }
    answer.body(body.to_string().into()).unwrap()
}

/// A site over a shelf, where changes wait for `undo`.
async fn over(shelf: &Shelf, undo: &str) -> (Site, tempfile::TempDir, Upstream) {
    let own = shelf.clone();
    let upstream = Upstream::start(move |seen| own.answer(seen)).await;
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &configured(&upstream.origin, undo)).await;
    (site, folder, upstream)
}

fn configured(origin: &str, undo: &str) -> String {
    let text = with_backend(origin, "");
    let fields = "fields = [{ name = \"name\", required = true, max_length = 20, sortable = true }, \
                  \"email\", { name = \"size\", type = \"decimal\" }, \
                  { name = \"stamp\", read_only = true }]";
    let (before, _) = text.split_once("fields = [").unwrap();
    format!("[data]\nundo = \"{undo}\"\nadmins = [\"admin\"]\n{before}{fields}\n")
}

fn ada() -> Value {
    json!({ "id": 7, "name": "Ada", "email": "ada@a.example", "size": "1.50", "secret": "kept" })
}

async fn page(browser: &Browser, path: &str) -> String {
    browser.open(path).await.text().await.unwrap()
}

/// The value of a hidden field of a page.
fn hidden(page: &str, name: &str) -> String {
    let marker = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&marker).unwrap_or_else(|| panic!("no {name}: {page}"));
    let value = rest.split('"').next().unwrap();
    value.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&amp;", "&")
}

/// Fills in a record's form as its page has it, and sends it.
async fn edit(browser: &Browser, record: &str, values: &[(&str, &str)]) -> reqwest::Response {
    let form = page(browser, &format!("{record}/edit")).await;
    send_edit(browser, record, &form, values).await
}

async fn send_edit(
    browser: &Browser,
    record: &str,
    form: &str,
    values: &[(&str, &str)],
) -> reqwest::Response {
    let (opened, replaces) = (hidden(form, "opened"), hidden(form, "replaces"));
    let mut fields =
        vec![("opened", opened.as_str()), ("replaces", replaces.as_str()), ("title", "Ada")];
    fields.extend_from_slice(values);
    browser.post_form(&format!("{record}/edit"), &fields).await
}

async fn delete(browser: &Browser, record: &str) -> reqwest::Response {
    let opened = hidden(&page(browser, record).await, "opened");
    let fields = [("opened", opened.as_str()), ("title", "Ada")];
    browser.post_form(&format!("{record}/delete"), &fields).await
}

/// The address of the first change on a page.
fn change_on(page: &str) -> String {
    let (_, rest) = page.split_once("action=\"/data/-/changes/").expect("a change");
    format!("/data/-/changes/{}", rest.split('"').next().unwrap())
}

async fn decide(browser: &Browser, change: &str, what: &str) -> reqwest::Response {
    browser.post_form(change, &[("do", what)]).await
}

fn writes(upstream: &Upstream) -> Vec<Seen> {
    upstream.seen().into_iter().filter(|seen| seen.method != Method::GET).collect()
}

const RECORD: &str = "/data/crm/contacts/7";

#[tokio::test]
async fn a_record_is_made_once_however_often_its_form_is_sent() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let form = page(&ada, &format!("{CONTACTS}/-/new")).await;
    assert!(form.contains("New contact") && form.contains("name=\"v.email\""), "{form}");
    let request = hidden(&form, "request");
    let post = async |fields: &[(&str, &str)]| {
        let mut all = vec![("request", request.as_str())];
        all.extend_from_slice(fields);
        ada.post_form(&format!("{CONTACTS}/-/new"), &all).await
    };

    // Held to the rules here, and nothing typed is lost.
    let wrong = post(&[("v.name", ""), ("v.email", "nobody"), ("v.city", "Porto")]).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let wrong = wrong.text().await.unwrap();
    assert!(wrong.contains("2 fields need another look") && wrong.contains("value=\"Porto\""));
    assert!(wrong.contains("Fill this in.") && wrong.contains("Write an address such as"));
    assert_eq!(hidden(&wrong, "request"), request);

    let right = [("v.name", "Zoë & Co"), ("v.email", "zoe@z.example"), ("v.notes", "a\r\nb")];
    let made = post(&right).await;
    assert_eq!(made.status(), StatusCode::SEE_OTHER);
    let place = location(&made).unwrap();
    let record = page(&ada, &place).await;
    assert!(record.contains("Zoë &amp; Co") && record.contains("made it"), "{record}");
    assert_eq!(location(&post(&right).await).unwrap(), place, "sent twice");
    assert!(page(&ada, CONTACTS).await.contains("241 records"));
}

#[tokio::test]
async fn what_a_backend_refuses_is_told_at_its_fields() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "0s").await;
    let ada = site.signed_in("ada").await;
    shelf.refuse_with(400);
    let new = page(&ada, "/data/crm/contacts/-/new").await;
    let request = hidden(&new, "request");
    let fields = [("request", request.as_str()), ("v.name", "Bo"), ("v.email", "b@b.example")];
    let refused = ada.post_form("/data/crm/contacts/-/new", &fields).await.text().await.unwrap();
    assert!(refused.contains("That name is taken.") && refused.contains("value=\"Bo\""));
    assert!(refused.contains("owner: Nobody has it."), "what the form does not have: {refused}");
    shelf.refuse_with(0);
    let made = ada.post_form("/data/crm/contacts/-/new", &fields).await;
    assert_eq!(location(&made).unwrap(), "/data/crm/contacts/8");

    shelf.refuse_with(400);
    let record = "/data/crm/contacts/8";
    edit(&ada, record, &[("v.name", "Bob"), ("v.size", "2")]).await;
    let shown = page(&ada, record).await;
    assert!(shown.contains("was not saved") && shown.contains("That name is taken."), "{shown}");
    let form = page(&ada, &format!("{record}/edit")).await;
    assert!(form.contains("value=\"Bob\"") && form.contains("That name is taken."));
    shelf.refuse_with(0);
    send_edit(&ada, record, &form, &[("v.name", "Bobby"), ("v.size", "2")]).await;
    assert_eq!((shelf.get("name"), shelf.get("size")), (json!("Bobby"), json!(2)));
    assert!(!page(&ada, record).await.contains("was not saved"));
}

#[tokio::test]
async fn a_change_waits_can_be_taken_back_and_sends_only_what_is_new() {
    let shelf = Shelf::of(ada());
    let (site, _folder, upstream) = over(&shelf, "1h").await;
    let ada = site.signed_in("ada").await;
    let touched = [("v.name", "Ada L."), ("v.email", "ada@a.example"), ("v.size", "1.50")];
    let answer = edit(&ada, RECORD, &touched).await;
    assert_eq!(location(&answer).unwrap(), RECORD);
    let waiting = page(&ada, RECORD).await;
    assert!(waiting.contains("will be saved") && waiting.contains("<h1>Ada L.</h1>"), "{waiting}");
    let list = page(&ada, "/data/crm/contacts").await;
    assert!(list.contains("data-change=\"update\"") && list.contains(">Ada L.</a>"), "{list}");
    assert!(page(&ada, "/data/-/changes").await.contains("will be saved"));
    assert!(writes(&upstream).is_empty());

    let change = change_on(&waiting);
    let ben = site.signed_in("ben").await;
    assert_eq!(decide(&ben, &change, "again").await.status(), StatusCode::NOT_FOUND);
    decide(&ada, &change, "undo").await;
    assert!(!page(&ada, RECORD).await.contains("will be saved"));

    edit(&ada, RECORD, &touched).await;
    let change = change_on(&page(&ada, RECORD).await);
    decide(&ada, &change, "again").await;
    let writes = writes(&upstream);
    assert_eq!(writes.len(), 1);
    assert_eq!(
        (writes[0].method.as_str(), writes[0].body.as_str()),
        ("PATCH", r#"{"name":"Ada L."}"#)
    );
    assert_eq!(decide(&ada, &change, "undo").await.status(), StatusCode::CONFLICT);
    let done = page(&ada, RECORD).await;
    assert!(done.contains("changed it") && done.contains("<del>Ada</del>"), "{done}");
    assert!(!done.contains("will be saved"));
}

#[tokio::test]
async fn a_change_is_done_when_its_time_has_come_and_the_tab_is_closed() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "300ms").await;
    let ada = site.signed_in("ada").await;
    edit(&ada, RECORD, &[("v.name", "Ada L.")]).await;
    eventually("the change", async || shelf.get("name") == "Ada L.").await;
    assert_eq!(shelf.get("secret"), "kept");
    assert_eq!(location(&delete(&ada, RECORD).await).unwrap(), "/data/crm/contacts");
    eventually("the deletion", async || shelf.record.lock().unwrap().is_none()).await;
}

#[tokio::test]
async fn what_waits_outlives_the_server() {
    let shelf = Shelf::of(ada());
    let (site, folder, upstream) = over(&shelf, "700ms").await;
    let ada = site.signed_in("ada").await;
    edit(&ada, RECORD, &[("v.name", "Ada L.")]).await;
    drop(site);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let again = Site::start_with(folder.path(), &configured(&upstream.origin, "700ms")).await;
    eventually("the change", async || {
        again.app.jobs.run().await.unwrap();
        shelf.get("name") == "Ada L."
    })
    .await;
    assert_eq!(writes(&upstream).len(), 1);
}

#[tokio::test]
async fn nobody_writes_over_what_somebody_else_has_written() {
    for is_tagged in [false, true] {
        let shelf = Shelf { is_tagged, ..Shelf::of(ada()) };
        let (site, _folder, upstream) = over(&shelf, "1h").await;
        let ada = site.signed_in("ada").await;
        let form = page(&ada, &format!("{RECORD}/edit")).await;
        // Another field: both changes are kept.
        shelf.set("email", json!("new@a.example"));
        send_edit(&ada, RECORD, &form, &[("v.name", "Ada L.")]).await;
        decide(&ada, &change_on(&page(&ada, RECORD).await), "again").await;
        assert_eq!(
            (shelf.get("name"), shelf.get("email")),
            (json!("Ada L."), json!("new@a.example"))
        );
        let sent = writes(&upstream)[0].headers.contains_key("if-match");
        assert_eq!(sent, is_tagged);

        // The same field: the person decides, field by field.
        let form = page(&ada, &format!("{RECORD}/edit")).await;
        shelf.set("name", json!("Adele"));
        send_edit(&ada, RECORD, &form, &[("v.name", "Ada M."), ("v.size", "3")]).await;
        decide(&ada, &change_on(&page(&ada, RECORD).await), "again").await;
        assert_eq!(shelf.get("name"), "Adele");
        let both = page(&ada, RECORD).await;
        assert!(both.contains("somebody else has changed it since"), "{both}");
        for text in [">Ada L.<", ">Adele<", ">Ada M.<"] {
            assert!(both.contains(text), "{text}: {both}");
        }
        let change = change_on(&both);
        ada.post_form(&change, &[("do", "choose"), ("pick.name", "theirs")]).await;
        decide(&ada, &change_on(&page(&ada, RECORD).await), "again").await;
        assert_eq!((shelf.get("name"), shelf.get("size")), (json!("Adele"), json!("3")));

        let form = page(&ada, &format!("{RECORD}/edit")).await;
        shelf.set("name", json!("Adelina"));
        send_edit(&ada, RECORD, &form, &[("v.name", "Ada N.")]).await;
        decide(&ada, &change_on(&page(&ada, RECORD).await), "again").await;
        let change = change_on(&page(&ada, RECORD).await);
        ada.post_form(&change, &[("do", "choose"), ("pick.name", "mine")]).await;
        decide(&ada, &change_on(&page(&ada, RECORD).await), "again").await;
        assert_eq!(shelf.get("name"), "Ada N.");
    }
}

#[tokio::test]
async fn a_record_that_has_changed_is_not_deleted_unseen() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "1h").await;
    let ada = site.signed_in("ada").await;
    delete(&ada, RECORD).await;
    let list = page(&ada, "/data/crm/contacts").await;
    assert!(list.contains("will be deleted") && list.contains("data-change=\"delete\""), "{list}");
    shelf.set("email", json!("new@a.example"));
    decide(&ada, &change_on(&list), "again").await;
    let list = page(&ada, "/data/crm/contacts").await;
    assert!(list.contains("somebody else has changed it since") && list.contains("new@a.example"));
    decide(&ada, &change_on(&list), "choose").await;
    decide(&ada, &change_on(&page(&ada, "/data/crm/contacts").await), "again").await;
    assert!(shelf.record.lock().unwrap().is_none());
    let gone = ada.open(RECORD).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn while_a_backend_is_out_a_change_is_kept_and_sent_again() {
    let shelf = Shelf::of(ada());
    let (site, _folder, upstream) = over(&shelf, "0s").await;
    let ada = site.signed_in("ada").await;
    let form = page(&ada, &format!("{RECORD}/edit")).await;
    shelf.refuse_with(503);
    send_edit(&ada, RECORD, &form, &[("v.name", "Ada L.")]).await;
    let held = page(&ada, RECORD).await;
    assert!(held.contains("was not saved") && held.contains("Send again"), "{held}");
    shelf.refuse_with(0);
    decide(&ada, &change_on(&held), "again").await;
    assert_eq!(shelf.get("name"), "Ada L.");

    // Whether it was made is not known, so it is not made again by itself.
    shelf.refuse_with(502);
    let request = hidden(&page(&ada, "/data/crm/contacts/-/new").await, "request");
    let fields = [("request", request.as_str()), ("v.name", "Bo")];
    let unclear = ada.post_form("/data/crm/contacts/-/new", &fields).await.text().await.unwrap();
    assert!(unclear.contains("did not say whether it was done"), "{unclear}");
    assert!(unclear.contains("value=\"Bo\""), "{unclear}");
    let posts = writes(&upstream).into_iter().filter(|seen| seen.method == Method::POST);
    let posts: Vec<Seen> = posts.collect();
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].headers["idempotency-key"], request.as_str());
}

#[tokio::test]
async fn signing_out_does_what_waits_and_an_ended_session_keeps_it() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "1h").await;
    let ada = site.signed_in("ada").await;
    edit(&ada, RECORD, &[("v.name", "Ada L.")]).await;
    ada.post_form("/auth/logout", &[]).await;
    assert_eq!(shelf.get("name"), "Ada L.");

    ada.sign_in("ada").await;
    let form = page(&ada, &format!("{RECORD}/edit")).await;
    let elsewhere = site.signed_in("ada").await;
    edit(&ada, RECORD, &[("v.name", "Ada M.")]).await;
    let ended = elsewhere.send(elsewhere.request(Method::DELETE, "/api/sessions")).await;
    assert!(ended.status().is_success());
    let waiting = page(&elsewhere, "/data/-/changes").await;
    assert!(waiting.contains("will be saved"), "a person's changes follow them: {waiting}");

    // A form whose session has ended keeps what was written.
    let kept = send_edit(&ada, RECORD, &form, &[("v.name", "Kept <b>")]).await;
    assert_eq!(kept.status(), StatusCode::UNAUTHORIZED);
    let kept = kept.text().await.unwrap();
    assert!(kept.contains("Sign in again") && kept.contains("Kept &lt;b&gt;"), "{kept}");
    assert!(!hidden(&kept, "opened").is_empty());
}

#[tokio::test]
async fn who_may_not_change_is_not_asked_to() {
    let (site, _folder) = Site::start().await;
    let dana = site.signed_in("dana").await;
    let record = format!("{CONTACTS}/241");
    let opened = hidden(&page(&dana, &record).await, "opened");
    let fields = [("opened", opened.as_str()), ("v.name", "Mine")];
    dana.post_form(&format!("{record}/edit"), &fields).await;
    let waiting = page(&dana, &record).await;
    decide(&dana, &change_on(&waiting), "again").await;
    let refused = page(&dana, &record).await;
    assert!(refused.contains("was not saved") && refused.contains("permission"), "{refused}");

    let shelf = Shelf::of(ada());
    let own = shelf.clone();
    let upstream = Upstream::start(move |seen| own.answer(seen)).await;
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{}\nactions = [\"list\", \"read\"]\n", configured(&upstream.origin, "0s"));
    let site = Site::start_with(folder.path(), &text).await;
    let ada = site.signed_in("ada").await;
    let shown = page(&ada, RECORD).await;
    assert!(!shown.contains("Edit") && !shown.contains("Delete"), "{shown}");
    assert_eq!(ada.open(&format!("{RECORD}/edit")).await.status(), StatusCode::FORBIDDEN);
    let fields = [("opened", "{\"values\":{}}"), ("v.name", "Mine")];
    let refused = ada.post_form(&format!("{RECORD}/edit"), &fields).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(writes(&upstream).is_empty());
}

/// Waits until nothing of the batch that a page is about is left to be done.
async fn batch_over(browser: &Browser, batch: &str) -> String {
    eventually("the batch", async || {
        let state = browser.get(&format!("{batch}/state")).await.json::<Value>().await.unwrap();
        state["left"] == 0
    })
    .await;
    page(browser, batch).await
}

fn batch_on(page: &str) -> String {
    let (_, rest) = page.split_once("action=\"/data/-/batches/").expect("a batch");
    format!("/data/-/batches/{}", rest.split('"').next().unwrap())
}

async fn import(browser: &Browser, list: &str, text: &str) -> reqwest::Response {
    let boundary = "----test";
    let body = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\
         content-type: text/csv\r\n\r\n{text}\r\n--{boundary}--\r\n"
    );
    let request = browser
        .request(Method::POST, &format!("{list}/-/import"))
        .header("accept", "text/html")
        .header("content-type", format!("multipart/form-data; boundary={boundary}"));
    browser.send(request.body(body)).await
}

#[tokio::test]
async fn many_records_are_changed_at_once_and_had_back() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let to = format!("{CONTACTS}/-/bulk");
    let all = [("all", "1"), ("query", "q=globex"), ("do", "delete")];
    let back = ada.post_form(&to, &all).await;
    assert_eq!(location(&back).unwrap(), format!("{CONTACTS}?q=globex"));
    let list = page(&ada, CONTACTS).await;
    assert!(list.contains("Deleting") && list.contains("Undo"), "{list}");
    let batch = batch_on(&list);
    let ben = site.signed_in("ben").await;
    assert_eq!(ben.get(&batch).await.status(), StatusCode::NOT_FOUND);
    decide(&ada, &batch, "stop").await;
    assert!(!page(&ada, CONTACTS).await.contains("Deleting"));
    assert!(page(&ada, CONTACTS).await.contains("240 records"));

    // Values for some of them, held to the same rules as one's.
    let some = [("id", "1"), ("id", "2"), ("id", "999999")];
    let mut form = some.to_vec();
    form.push(("do", "edit"));
    let ask = ada.post_form(&to, &form).await.text().await.unwrap();
    assert!(ask.contains("Change 3 contacts") && ask.contains("Change city"), "{ask}");
    let set = |city: &'static str| {
        let mut form = some.to_vec();
        form.extend([("do", "set"), ("set", "city"), ("v.city", city), ("v.name", "ignored")]);
        form
    };
    let long = "x".repeat(81);
    let wrong = ada.post_form(&to, &set(long.clone().leak())).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().await.unwrap().contains("At most 80 characters"));
    ada.post_form(&to, &set("Porto")).await;
    let batch = batch_on(&page(&ada, CONTACTS).await);
    decide(&ada, &batch, "confirm").await;
    let report = batch_over(&ada, &batch).await;
    assert!(report.contains("2 done · 1 did not work out"), "{report}");
    assert!(report.contains("no longer there"), "{report}");
    for id in [1, 2] {
        let record = page(&ada, &format!("{CONTACTS}/{id}")).await;
        assert!(record.contains("Porto") && record.contains("changed it"), "{record}");
    }
    decide(&ada, &batch, "close").await;
    assert!(!page(&ada, CONTACTS).await.contains("Changing 3"));

    let nothing = ada.post_form(&to, &[("do", "delete")]).await;
    assert_eq!(nothing.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_file_is_looked_at_before_anything_is_written() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let text = "id,name,email,city,unknown\n\
                ,Zoë Quist,zoe@quist.example,Porto,x\n\
                ,,nobody@quist.example,,\n\
                1,,,Faro,\n\
                ,Max Quist,no-address,,\n";
    let answer = import(&ada, CONTACTS, text).await;
    let batch = location(&answer).unwrap();
    let preview = page(&ada, &batch).await;
    assert!(preview.contains("nothing is written yet") && preview.contains("Import 2 records"));
    let report = ada.get(&format!("{batch}/report.csv")).await.text().await.unwrap();
    assert!(
        report.contains("line,id,record,problem\r\n") && report.lines().count() > 1,
        "{report}"
    );
    assert!(preview.contains("Name: Fill this in.") && preview.contains("Changes #1"), "{preview}");
    assert!(preview.contains("passed over") && preview.contains("unknown"), "{preview}");
    assert!(page(&ada, CONTACTS).await.contains("240 records"));

    decide(&ada, &batch, "confirm").await;
    let report = batch_over(&ada, &batch).await;
    assert!(report.contains("2 done · 2 left out"), "{report}");
    assert!(page(&ada, CONTACTS).await.contains("241 records"));
    let first = page(&ada, &format!("{CONTACTS}/1")).await;
    assert!(first.contains("Faro") && first.contains("mailto:"), "what was empty is kept: {first}");

    let answer = import(&ada, CONTACTS, "name\nA\n").await;
    let batch = location(&answer).unwrap();
    assert!(page(&ada, &batch).await.contains("E-mail: Fill this in."));
    decide(&ada, &batch, "stop").await;
    for (wrong, why) in [("nothing\n1\n", "names no field"), ("", "names no field")] {
        let answer = import(&ada, CONTACTS, wrong).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(answer.text().await.unwrap().contains(why));
    }
    let dana = site.signed_in("dana").await;
    assert_eq!(dana.get(&batch).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_only_the_backend_knows_can_be_asked_of_it() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let deal = "/data/django-crm/deals/3";
    assert!(page(&ada, deal).await.contains("Mark as won"));
    let answer = ada.post_form(&format!("{deal}/run"), &[("run", "win"), ("title", "It")]).await;
    assert_eq!(location(&answer).unwrap(), deal);
    let waiting = page(&ada, deal).await;
    assert!(waiting.contains("“Mark as won” of “It” will be done"), "{waiting}");
    decide(&ada, &change_on(&waiting), "again").await;
    let won = page(&ada, deal).await;
    assert!(won.contains(">Won</span>") && won.contains("did “Mark as won”"), "{won}");
    let unknown = ada.post_form(&format!("{deal}/run"), &[("run", "explode")]).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let many = [("id", "4"), ("id", "5"), ("do", "run lose")];
    ada.post_form("/data/django-crm/deals/-/bulk", &many).await;
    let batch = batch_on(&page(&ada, "/data/django-crm/deals").await);
    decide(&ada, &batch, "confirm").await;
    assert!(batch_over(&ada, &batch).await.contains("2 done"));
    assert!(page(&ada, "/data/django-crm/deals/5").await.contains(">Lost</span>"));
}

#[tokio::test]
async fn a_form_opened_over_a_change_does_not_write_over_others() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "1h").await;
    let ada = site.signed_in("ada").await;
    edit(&ada, RECORD, &[("v.name", "Ada L.")]).await;
    shelf.set("name", json!("Adele"));
    // Opened again, with what was wanted filled in, and something else changed.
    let form = page(&ada, &format!("{RECORD}/edit")).await;
    assert!(form.contains("value=\"Ada L.\"") && form.contains("is filled in"), "{form}");
    send_edit(&ada, RECORD, &form, &[("v.name", "Ada L."), ("v.size", "3")]).await;
    let waiting = page(&ada, RECORD).await;
    assert_eq!(waiting.matches("will be saved").count(), 1, "{waiting}");
    decide(&ada, &change_on(&waiting), "again").await;
    assert_eq!((shelf.get("name"), shelf.get("size")), (json!("Adele"), json!("1.50")));
    assert!(page(&ada, RECORD).await.contains("somebody else has changed it since"));
}

#[tokio::test]
async fn two_forms_of_one_record_do_not_lose_each_others_changes() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "1h").await;
    let ada = site.signed_in("ada").await;
    let form = page(&ada, &format!("{RECORD}/edit")).await;
    send_edit(&ada, RECORD, &form, &[("v.name", "Ada L.")]).await;
    send_edit(&ada, RECORD, &form, &[("v.size", "3")]).await;
    send_edit(&ada, RECORD, &form, &[("v.name", "Ada"), ("v.size", "1.50")]).await;
    // Deleting does first what was wanted before, so that undoing it loses nothing.
    delete(&ada, RECORD).await;
    assert_eq!((shelf.get("name"), shelf.get("size")), (json!("Ada L."), json!("3")));
    decide(&ada, &change_on(&page(&ada, "/data/crm/contacts").await), "again").await;
    assert!(shelf.record.lock().unwrap().is_none(), "one's own changes are no conflict");
}

#[tokio::test]
async fn a_form_sent_again_with_other_values_makes_another_record() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let request = hidden(&page(&ada, &format!("{CONTACTS}/-/new")).await, "request");
    let post = async |name: &str| {
        let email = format!("{name}@z.example");
        let fields = [("request", request.as_str()), ("v.name", name), ("v.email", &email)];
        location(&ada.post_form(&format!("{CONTACTS}/-/new"), &fields).await).unwrap()
    };
    let (first, second) = (post("first").await, post("second").await);
    assert_ne!(first, second);
    assert!(page(&ada, &second).await.contains("<h1>second</h1>"));
}

#[tokio::test]
async fn what_a_person_may_not_see_is_not_in_the_history_either() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "0s").await;
    let ada = site.signed_in("ada").await;
    edit(&ada, RECORD, &[("v.size", "999")]).await;
    assert!(page(&ada, RECORD).await.contains(">999<"));
    shelf.record.lock().unwrap().as_mut().unwrap().as_object_mut().unwrap().remove("size");
    let hidden = page(&ada, RECORD).await;
    assert!(hidden.contains("changed it") && !hidden.contains("999"), "{hidden}");
}

#[tokio::test]
async fn a_backend_that_takes_records_whole_gets_them_to_the_last_digit() {
    let seen = Arc::new(Mutex::new(String::new()));
    let own = seen.clone();
    let upstream = Upstream::start(move |seen| {
        if seen.method == Method::PUT {
            own.lock().unwrap().clone_from(&seen.body);
        }
        Response::new(r#"{"id": 7, "name": "Ada", "big": 12345678901234567890123.50}"#.into())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let text = configured(&upstream.origin, "0s");
    let text = format!("{text}style = {{ like = \"drf\", update = \"put\" }}\n");
    let site = Site::start_with(folder.path(), &text).await;
    let ada = site.signed_in("ada").await;
    edit(&ada, RECORD, &[("v.name", "Ada L.")]).await;
    let sent = seen.lock().unwrap().clone();
    assert_eq!(sent, r#"{"big":12345678901234567890123.50,"id":7,"name":"Ada L."}"#);
}

#[tokio::test]
async fn a_form_over_a_change_that_is_saved_meanwhile_is_no_clash() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "1h").await;
    let ada = site.signed_in("ada").await;
    // Opened while a change waits, and sent when it is saved.
    let opened_over = async |name: &str| {
        edit(&ada, RECORD, &[("v.name", name)]).await;
        let form = page(&ada, &format!("{RECORD}/edit")).await;
        decide(&ada, &change_on(&page(&ada, RECORD).await), "again").await;
        assert_eq!(shelf.get("name"), name);
        form
    };
    let saved = async || decide(&ada, &change_on(&page(&ada, RECORD).await), "again").await;

    let form = opened_over("Ada B").await;
    send_edit(&ada, RECORD, &form, &[("v.name", "Ada C")]).await;
    saved().await;
    assert_eq!(shelf.get("name"), "Ada C", "{}", page(&ada, RECORD).await);

    // Back to what it was before, with something else and alone.
    let form = opened_over("Ada D").await;
    send_edit(&ada, RECORD, &form, &[("v.name", "Ada C"), ("v.email", "c@a.example")]).await;
    saved().await;
    assert_eq!((shelf.get("name"), shelf.get("email")), (json!("Ada C"), json!("c@a.example")));
    let form = opened_over("Ada E").await;
    send_edit(&ada, RECORD, &form, &[("v.name", "Ada C")]).await;
    saved().await;
    assert_eq!(shelf.get("name"), "Ada C");
}

#[tokio::test]
async fn whoever_has_just_changed_a_record_can_delete_it() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "1h").await;
    let ada = site.signed_in("ada").await;
    edit(&ada, RECORD, &[("v.name", "Ada L."), ("v.size", "2")]).await;
    delete(&ada, RECORD).await;
    assert_eq!(shelf.get("name"), "Ada L.", "what waited was done first");
    decide(&ada, &change_on(&page(&ada, "/data/-/changes").await), "again").await;
    assert!(shelf.record.lock().unwrap().is_none(), "{}", page(&ada, RECORD).await);
}

#[tokio::test]
async fn history_tells_only_what_has_become_another_value() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "0s").await;
    let ada = site.signed_in("ada").await;
    let text = "id,name,email\n7,Ada,new@a.example\n";
    let answer = import(&ada, "/data/crm/contacts", text).await;
    let batch = location(&answer).unwrap();
    ada.post_form(&batch, &[("do", "confirm")]).await;
    eventually("the import", async || shelf.get("email") == "new@a.example").await;
    eventually("the history", async || page(&ada, RECORD).await.contains("<ins>")).await;
    let record = page(&ada, RECORD).await;
    assert_eq!(record.matches("<ins>").count(), 1, "{record}");
}

#[tokio::test]
async fn many_are_changed_only_as_they_were_shown() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let bulk = async |fields: &[(&str, &str)]| {
        let mut all = vec![("all", "1"), ("do", "delete"), ("request", "0123456789abcdef0123")];
        all.extend_from_slice(fields);
        ada.post_form(&format!("{CONTACTS}/-/bulk"), &all).await
    };
    for odd in [("query", "f.nobody=knows"), ("count", "12")] {
        let answer = bulk(&[odd]).await;
        assert_eq!(answer.status(), StatusCode::CONFLICT, "{odd:?}");
        assert!(answer.text().await.unwrap().contains("Nothing was changed."));
    }
    assert!(!page(&ada, "/data/-/changes").await.contains("Deleting"));
    // Clicked twice, it is wanted once.
    for _ in 0..2 {
        assert_eq!(bulk(&[("query", "q=globex")]).await.status(), StatusCode::SEE_OTHER);
    }
    let changes = page(&ada, "/data/-/changes").await;
    assert_eq!(changes.matches("Deleting").count(), 1, "{changes}");
}

#[tokio::test]
async fn a_form_over_many_loses_nothing_that_was_typed() {
    let shelf = Shelf::of(ada());
    let (site, _folder, upstream) = over(&shelf, "0s").await;
    let ada = site.signed_in("ada").await;
    let bulk = "/data/crm/contacts/-/bulk";
    let typed = [
        ("id", "7"),
        ("do", "set"),
        ("set", "email"),
        ("set", "size"),
        ("v.email", "many@a.example"),
        ("v.size", "large"),
    ];
    let wrong = ada.post_form(bulk, &typed).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let wrong = wrong.text().await.unwrap();
    assert!(wrong.contains("One field needs another look.") && wrong.contains("many@a.example"));
    assert_eq!(wrong.matches(" checked").count(), 2, "{wrong}");
    let nothing = ada.post_form(bulk, &[("id", "7"), ("do", "set")]).await.text().await.unwrap();
    assert!(nothing.contains("Nothing is ticked"), "{nothing}");
    assert!(writes(&upstream).is_empty());
}

#[tokio::test]
async fn what_may_have_been_done_before_a_crash_is_not_done_again() {
    let made = Arc::new(AtomicU16::new(0));
    let seen = made.clone();
    let upstream = Upstream::start(move |asked| {
        if asked.method != Method::POST {
            return answered(200, &json!({ "count": 0, "results": [] }), None);
        }
        seen.fetch_add(1, Ordering::Relaxed);
        let never = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        Response::builder()
            .status(201)
            .header("content-type", "application/json")
            .body(axum::body::Body::from_stream(never))
            .unwrap()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let text = configured(&upstream.origin, "0s");
    let site = Site::start_with(folder.path(), &text).await;
    let ada = Arc::new(site.signed_in("ada").await);
    let sender = ada.clone();
    let sending = tokio::spawn(async move {
        let form =
            [("request", "0123456789abcdef0123"), ("v.name", "Bo"), ("v.email", "b@b.example")];
        sender.post_form("/data/crm/contacts/-/new", &form).await
    });
    eventually("the request", async || made.load(Ordering::Relaxed) == 1).await;
    drop(site);
    sending.abort();
    let again = Site::start_with(folder.path(), &text).await;
    again.app.changes.recover().await.unwrap();
    let after = Browser::new(&again.origin);
    *after.cookies.lock().unwrap() = ada.cookies.lock().unwrap().clone();
    eventually("its end", async || {
        page(&after, "/data/-/changes").await.contains("did not say whether it was done")
    })
    .await;
    assert_eq!(made.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_programs_write_is_in_the_history_without_values() {
    let shelf = Shelf::of(ada());
    let (site, _folder, _upstream) = over(&shelf, "0s").await;
    let ada = site.signed_in("ada").await;
    let write = async |method: Method, path: &str| {
        let request = ada.request(method, path).header("content-type", "application/json");
        ada.send(request.body(r#"{"name":"By hand"}"#)).await.status()
    };
    assert_eq!(write(Method::PATCH, "/api/brain/crm/contacts/7").await, StatusCode::OK);
    shelf.refuse_with(400);
    assert_eq!(write(Method::PUT, "/api/brain/crm/contacts/7").await, StatusCode::BAD_REQUEST);
    let record = page(&ada, RECORD).await;
    assert_eq!(record.matches("changed it").count(), 1, "{record}");
    shelf.refuse_with(0);
    assert_eq!(write(Method::POST, "/api/brain/crm/contacts").await, StatusCode::CREATED);
    let all = page(&ada, "/data/-/history").await;
    assert!(all.contains(" made ") && all.contains("href=\"/data/crm/contacts\""), "{all}");
}
