//! Files that people add to their messages: taken in, told to each provider in its own form, given
//! back to their owner alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{body::Body, response::Response};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    feed,
    support::{Browser, Seen, Site, Upstream, delta, eventually, spoken, with_backend},
};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n not really a picture";

/// A provider that says "Seen.", and an assistant with these settings.
async fn site(settings: &str) -> (Site, Upstream, TempDir) {
    let upstream = Upstream::start(|_| {
        spoken(vec![delta("Seen."), "data: [DONE]\n\n".to_owned()], Duration::ZERO)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let text = with_backend(&upstream.origin, "")
        .replace("titles = false\n", &format!("titles = false\n{settings}\n"));
    let site = Site::start_with(folder.path(), &text).await;
    (site, upstream, folder)
}

fn upload(browser: &Browser, name: &str, bytes: &[u8]) -> RequestBuilder {
    let path = format!("/api/chat/files?name={name}&assistant=");
    browser.request(Method::POST, &path).body(bytes.to_vec())
}

async fn uploaded(browser: &Browser, name: &str, bytes: &[u8]) -> Value {
    let answer = browser.send(upload(browser, name, bytes)).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.json().await.unwrap()
}

/// A field of a form: its name, the name of its file where it is one, and what it holds.
type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

/// A form with files, as browsers send it.
fn form(browser: &Browser, path: &str, accept: &str, parts: &[Part<'_>]) -> RequestBuilder {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        let head =
            format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--limit--\r\n");
    browser
        .request(Method::POST, path)
        .header("content-type", "multipart/form-data; boundary=limit")
        .header("accept", accept)
        .body(body)
}

async fn refused(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn asked(upstream: &Upstream) -> Value {
    eventually("the provider is asked", async || !upstream.seen().is_empty()).await;
    serde_json::from_str(&upstream.seen().last().unwrap().body).unwrap()
}

fn stored(folder: &TempDir) -> usize {
    std::fs::read_dir(folder.path().join("files")).map_or(0, Iterator::count)
}

const ALL: &str = "files = [\"image/*\", \"text/*\", \"application/pdf\"]\nmax_file = \"1KiB\"";

#[tokio::test]
async fn files_are_sent_with_a_question_and_stay_with_it() {
    let (site, upstream, folder) = site(ALL).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let notes = uploaded(&ada, "notes.md", "# Grüße".as_bytes()).await;
    assert_eq!((&notes["name"], &notes["kind"]), (&json!("notes.md"), &json!("text/markdown")));
    let picture = uploaded(&ada, "sea.txt", PNG).await;
    assert_eq!(picture["kind"], "image/png", "it is what it is, whatever it is called");
    let (notes, picture) = (notes["id"].as_str().unwrap(), picture["id"].as_str().unwrap());

    let stolen = ben.request(Method::POST, "/chat").form(&[("text", "Mine"), ("file", notes)]);
    assert_eq!(refused(stolen).await.0, StatusCode::NOT_FOUND);
    let fields = [("text", "Look"), ("file", notes), ("file", picture)];
    let answer = ada.send(ada.request(Method::POST, "/chat").form(&fields)).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let id = answer.headers()["breezeway-conversation-id"].to_str().unwrap().to_owned();
    feed::to_the_end(feed::open(&ada, &id, "0.0.0").await).await;
    let content = &asked(&upstream).await["messages"][0]["content"];
    let url = content[0]["image_url"]["url"].as_str().unwrap();
    assert!(url.starts_with("data:image/png;base64,iVBORw0KGgo"), "{content}");
    assert_eq!(content[1]["text"], "File notes.md:\n\n# Grüße\n\nLook");

    let page = ada.open(&format!("/chat/{id}")).await.text().await.unwrap();
    assert!(page.contains(&format!("<img loading=\"lazy\" src=\"/api/chat/files/{picture}\"")));
    assert!(page.contains("notes.md"));
    let shown = ada.get(&format!("/api/chat/files/{picture}")).await;
    assert_eq!(shown.headers()["content-type"], "image/png");
    assert!(shown.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
    assert_eq!(shown.bytes().await.unwrap(), PNG);
    let kept = ada.get(&format!("/api/chat/files/{notes}")).await;
    assert_eq!(kept.headers()["content-type"], "application/octet-stream");
    let disposition = kept.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.starts_with("attachment; filename*=UTF-8''notes"), "{disposition}");
    for file in [notes, picture] {
        let path = format!("/api/chat/files/{file}");
        assert_eq!(ben.get(&path).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(site.browser().get(&path).await.status(), StatusCode::UNAUTHORIZED);
        let removed = ada.send(ada.request(Method::DELETE, &path)).await;
        assert_eq!(removed.status(), StatusCode::NOT_FOUND, "it belongs to its message");
    }
    let again = ada.request(Method::POST, "/chat").form(&[("text", "Again"), ("file", notes)]);
    assert_eq!(refused(again).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(stored(&folder), 2);

    // A question in other words keeps its files.
    let question = page.split("data-role=\"user\"").nth(1).unwrap();
    let question = question.split("id=\"m-").nth(1).unwrap().split('"').next().unwrap();
    let fields = [("text", "Look well"), ("conversation", id.as_str()), ("beside", question)];
    ada.post_form("/chat", &fields).await;
    eventually("it is asked again", async || upstream.seen().len() == 2).await;
    let content = &asked(&upstream).await["messages"][0]["content"];
    assert_eq!(content[1]["text"], "File notes.md:\n\n# Grüße\n\nLook well");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_and_leaves_nothing() {
    let (site, upstream, folder) = site(ALL).await;
    let ada = site.signed_in("ada").await;
    let (status, error) = refused(upload(&ada, "big.txt", &[b'x'; 1_025])).await;
    assert_eq!((status, &error["field"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("files")));
    assert!(error["error"].as_str().unwrap().contains("1KiB at most"), "{error}");
    let (status, error) = refused(upload(&ada, "program.txt", b"MZ\x90\x00\x03\x00")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(error["error"].as_str().unwrap().contains("takes image/*, text/*"), "{error}");
    let nobody = site.browser();
    assert_eq!(refused(upload(&nobody, "a.txt", b"a")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(stored(&folder), 0);

    let unsent = uploaded(&ada, "a.txt", b"a").await;
    let path = format!("/api/chat/files/{}", unsent["id"].as_str().unwrap());
    let removed = ada.send(ada.request(Method::DELETE, &path)).await;
    assert_eq!((removed.status(), stored(&folder)), (StatusCode::NO_CONTENT, 0));
    let gone = ada
        .request(Method::POST, "/api/chat")
        .json(&json!({ "message": "Hi", "files": [unsent["id"]] }));
    assert_eq!(refused(gone).await.0, StatusCode::NOT_FOUND);
    assert!(upstream.seen().is_empty());

    let (site, _upstream, folder) = self::site("").await;
    let ada = site.signed_in("ada").await;
    let (status, error) = refused(upload(&ada, "a.txt", b"a")).await;
    assert_eq!(
        (status, error["error"].as_str().unwrap()),
        (StatusCode::BAD_REQUEST, "up takes no files.")
    );
    assert_eq!(stored(&folder), 0);
}

#[tokio::test]
async fn too_many_files_and_too_much_of_them_are_refused() {
    let settings = format!("{ALL}\nmax_files = 1");
    let (site, _upstream, _folder) = site(&settings).await;
    let ada = site.signed_in("ada").await;
    let (one, two) = (uploaded(&ada, "a", b"a").await, uploaded(&ada, "b", b"b").await);
    let both = json!({ "message": "Hi", "files": [one["id"], two["id"]] });
    let (status, error) = refused(ada.request(Method::POST, "/api/chat").json(&both)).await;
    assert_eq!((status, &error["field"]), (StatusCode::BAD_REQUEST, &json!("files")));

    let upstream = Upstream::start(|_| spoken(Vec::new(), Duration::ZERO)).await;
    let folder = tempfile::tempdir().unwrap();
    let text = with_backend(&upstream.origin, "")
        .replace("titles = false\n", &format!("titles = false\n{ALL}\n"))
        .replace("default = \"up\"\n", "default = \"up\"\nfiles_per_person = \"10B\"\n");
    let site = Site::start_with(folder.path(), &text).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    uploaded(&ada, "a", b"12345678").await;
    let (status, error) = refused(upload(&ada, "b", b"123")).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(error["error"].as_str().unwrap().contains("no more room"), "{error}");
    uploaded(&ben, "b", b"123").await;
}

#[tokio::test]
async fn forms_bring_files_along() {
    let (site, upstream, folder) = site(ALL).await;
    let ada = site.signed_in("ada").await;
    // The composer's own, without a script; its field of files may be empty.
    let parts: [Part<'_>; 4] = [
        ("text", None, b""),
        ("conversation", None, b""),
        ("files", Some(""), b""),
        ("files", Some("table.csv"), b"a,b\n1,2"),
    ];
    let answer = ada.send(form(&ada, "/chat", "text/html", &parts)).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(asked(&upstream).await["messages"][0]["content"], "File table.csv:\n\na,b\n1,2\n\n");
    assert_eq!(stored(&folder), 1);

    // DeepChat's: earlier messages as JSON, the newest one without text.
    let parts: [Part<'_>; 4] = [
        ("message1", None, br#"{"role":"user","text":"One"}"#),
        ("message2", None, br#"{"role":"ai","text":"Two"}"#),
        ("stream", None, b"true"),
        ("files", Some("offer.pdf"), b"%PDF-1.7 ..."),
    ];
    let answer = ada.send(form(&ada, "/api/chat", "*/*", &parts)).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(answer.text().await.unwrap().contains("Seen."));
    let messages = asked(&upstream).await["messages"].clone();
    assert_eq!(messages.as_array().unwrap().len(), 3);
    let file = &messages[2]["content"][0]["file"];
    assert_eq!(file["filename"], "offer.pdf");
    assert!(file["file_data"].as_str().unwrap().starts_with("data:application/pdf;base64,JVBER"));

    // What is refused is told on a page that keeps the words.
    let long = [b'x'; 2_000];
    let parts: [Part<'_>; 2] = [("text", None, b"Keep <me>"), ("files", Some("long.txt"), &long)];
    let answer = ada.send(form(&ada, "/chat", "text/html", &parts)).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let page = answer.text().await.unwrap();
    assert!(page.contains("too large") && page.contains("Keep &lt;me&gt;"), "{page}");
}

#[tokio::test]
async fn files_go_with_their_conversation() {
    let (site, _upstream, folder) = site(ALL).await;
    let ada = site.signed_in("ada").await;
    let file = uploaded(&ada, "a.txt", b"a").await;
    let id = file["id"].as_str().unwrap();
    let fields = [("text", "Look"), ("file", id)];
    let answer = ada.send(ada.request(Method::POST, "/chat").form(&fields)).await;
    let conversation = answer.headers()["breezeway-conversation-id"].to_str().unwrap().to_owned();
    feed::to_the_end(feed::open(&ada, &conversation, "0.0.0").await).await;
    ada.post_form("/api/fn/chat/delete", &[("conversation", &conversation)]).await;
    ada.post_form("/api/fn/chat/restore", &[("conversation", &conversation)]).await;
    assert_eq!(ada.get(&format!("/api/chat/files/{id}")).await.bytes().await.unwrap(), "a");

    // Long after, the row is gone, and so is what lies on the disk.
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    let on_disk = folder.path().join("files").join(id);
    std::fs::File::open(&on_disk).unwrap().set_modified(long_ago).unwrap();
    site.app.chat.prune().await.unwrap();
    assert!(on_disk.exists(), "what is in a message stays");
    let deleted = "DELETE FROM conversations";
    sqlx::query(deleted).execute(site.app.store.pool()).await.unwrap();
    site.app.chat.prune().await.unwrap();
    assert!(!on_disk.exists());
}

#[tokio::test]
async fn every_provider_is_told_of_files_in_its_own_form() {
    for (provider, pointer, value) in [
        ("anthropic", "/messages/0/content/0/source/media_type", json!("image/png")),
        ("anthropic", "/messages/0/content/1/source/data", json!("words")),
        ("ollama", "/messages/0/images/0", json!("iVBORw0KGgogbm90IHJlYWxseSBhIHBpY3R1cmU=")),
        ("ollama", "/messages/0/content", json!("File a.txt:\n\nwords\n\nLook")),
        ("json", "/messages/0/files/1/name", json!("a.txt")),
        ("json", "/messages/0/files/0/type", json!("image")),
    ] {
        let upstream = Upstream::start(|_| spoken(Vec::new(), Duration::ZERO)).await;
        let folder = tempfile::tempdir().unwrap();
        let titles = if provider == "json" { "path = \"/chat\"\n" } else { "titles = false\n" };
        let text = with_backend(&upstream.origin, "")
            .replace("\"openai\"", &format!("\"{provider}\""))
            .replace("titles = false\n", &format!("{titles}files = [\"image/*\", \"text/*\"]\n"));
        let site = Site::start_with(folder.path(), &text).await;
        let ada = site.signed_in("ada").await;
        let picture = uploaded(&ada, "p.png", PNG).await;
        let words = uploaded(&ada, "a.txt", b"words").await;
        let question = json!({ "message": "Look", "files": [picture["id"], words] });
        ada.send(ada.request(Method::POST, "/api/chat").json(&question)).await;
        let body = asked(&upstream).await;
        assert_eq!(body.pointer(pointer), Some(&value), "{provider}: {body}");
    }
}

/// A service of this kind that takes files at `/files`, when it is `ready`.
async fn taking_files(
    settings: &str,
    answer: Value,
    ready: &Arc<AtomicBool>,
) -> (Site, Upstream, TempDir) {
    let ready = ready.clone();
    let upstream = Upstream::start(move |request| {
        let (status, body) = match request.target.starts_with("/files") {
            true if !ready.load(Relaxed) => {
                (422, json!({ "message": "secret words of the service" }))
            }
            true => (201, answer.clone()),
            false => (200, json!({ "text": "Seen." })),
        };
        let response =
            Response::builder().status(status).header("content-type", "application/json");
        response.body(Body::from(body.to_string())).unwrap()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let assistant = format!("{settings}\nfiles = [\"*/*\"]\nupload = \"/files\"\n");
    let text = with_backend(&upstream.origin, "")
        .replace("provider = \"openai\"\n", "")
        .replace("titles = false\n", &assistant);
    (Site::start_with(folder.path(), &text).await, upstream, folder)
}

fn mentioned(request: &Seen) -> Value {
    let body: Value = serde_json::from_str(&request.body).unwrap();
    body["messages"][0]["files"].clone()
}

#[tokio::test]
async fn a_service_that_takes_files_apart_is_given_each_once() {
    let ready = Arc::new(AtomicBool::new(false));
    let said = json!({ "id": "f9", "url": "/stored/f9" });
    let (site, upstream, _folder) =
        taking_files("provider = \"json\"\npath = \"/chat\"", said, &ready).await;
    let ada = site.signed_in("ada").await;
    let notes = uploaded(&ada, "notes.md", "# Grüße".as_bytes()).await;
    let picture = uploaded(&ada, "sea.png", PNG).await;
    let (notes, picture) = (notes["id"].as_str().unwrap(), picture["id"].as_str().unwrap());
    let fields = [("text", "Look"), ("file", notes), ("file", picture)];
    let answer = ada.send(ada.request(Method::POST, "/chat").form(&fields)).await;
    let id = answer.headers()["breezeway-conversation-id"].to_str().unwrap().to_owned();
    let path = format!("/api/chat/conversations/{id}/messages");
    let reply = async || ada.get(&path).await.json::<Vec<Value>>().await.unwrap().remove(1);
    eventually("the refusal is told", async || reply().await["state"] == "failed").await;
    assert!(!reply().await.to_string().contains("secret"), "{}", reply().await);
    assert_eq!(upstream.seen().len(), 1, "it was not asked about what it does not have");

    ready.store(true, Relaxed);
    let message = reply().await["id"].as_str().unwrap().to_owned();
    ada.post_form("/api/fn/chat/start_run", &[("message", &message)]).await;
    eventually("it is answered", async || reply().await["text"] == "Seen.").await;
    let seen = upstream.seen();
    let targets: Vec<&str> = seen.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/files", "/files", "/files", "/chat"]);
    let form = &seen[1];
    assert!(
        form.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("multipart/form-data; boundary=")
    );
    assert!(
        form.body.contains("name=\"file\"; filename=\"notes.md\"\r\nContent-Type: text/markdown")
    );
    assert!(form.body.contains("\r\n\r\n# Grüße\r\n"), "{}", form.body);
    let files = json!([
        { "type": "any", "name": "notes.md", "id": "f9", "url": "/stored/f9" },
        { "type": "image", "name": "sea.png", "id": "f9", "url": "/stored/f9" },
    ]);
    assert_eq!(mentioned(&seen[3]), files);

    let again = [("text", "And now?"), ("conversation", id.as_str())];
    ada.post_form("/chat", &again).await;
    eventually("it is asked again", async || upstream.seen().len() == 5).await;
    assert_eq!(mentioned(&upstream.seen()[4]), files, "it has them already");
}

#[tokio::test]
async fn drupal_is_given_files_as_it_takes_them() {
    let entity = json!({
        "fid": [{ "value": 7 }], "uuid": [{ "value": "u" }], "uri": [{ "url": "/sites/a.txt" }],
    });
    let ready = Arc::new(AtomicBool::new(true));
    let (site, upstream, _folder) = taking_files("provider = \"drupal\"", entity, &ready).await;
    let ada = site.signed_in("ada").await;
    let notes = uploaded(&ada, "a.txt", b"one").await;
    let fields = [("text", "Look"), ("file", notes["id"].as_str().unwrap())];
    ada.send(ada.request(Method::POST, "/chat").form(&fields)).await;
    eventually("it is asked", async || upstream.seen().len() == 2).await;
    let seen = upstream.seen();
    assert_eq!((seen[0].target.as_str(), seen[0].body.as_str()), ("/files?_format=json", "one"));
    assert_eq!(seen[0].headers["content-disposition"], "file; filename=\"a.txt\"");
    let file =
        json!({ "type": "any", "name": "a.txt", "fid": 7, "uuid": "u", "url": "/sites/a.txt" });
    assert_eq!(mentioned(&seen[1]), json!([file]));
}
