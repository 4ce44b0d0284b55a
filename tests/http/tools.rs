//! Assistants with tools: what they look at, what they propose, and what they cannot do.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, response::Response};
use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Browser, Seen, Site, Upstream, delta, eventually, location, postgres, spoken, with_backend,
};

/// Contacts, as a backend keeps them.
#[derive(Clone)]
struct Contacts {
    records: Arc<Mutex<Vec<Value>>>,
    /// What it answers to whatever it is asked.
    refuses: Arc<AtomicU16>,
    /// Whether its lists take their time.
    is_slow: bool,
}

impl Contacts {
    fn new() -> Self {
        let ada = json!({
            "id": 7, "name": "Ada <b>", "email": "ada@a.example", "city": "Porto", "pin": "4-711",
        });
        let records = Arc::new(Mutex::new(vec![ada]));
        Self { records, refuses: Arc::default(), is_slow: false }
    }

    fn refuse_with(&self, status: u16) {
        self.refuses.store(status, Ordering::Relaxed);
    }

    fn answer(&self, seen: &Seen) -> Response<Body> {
        let refuses = self.refuses.load(Ordering::Relaxed);
        if refuses != 0 {
            let said = json!({ "name": ["That name is taken."], "detail": "internal: 10.0.0.7" });
            return answered(refuses, &said);
        }
        let path = seen.target.split('?').next().unwrap();
        let id = path.rsplit('/').next().unwrap().parse::<u64>();
        let mut records = self.records.lock().unwrap();
        let found = records.iter_mut().find(|record| Ok(record["id"].as_u64().unwrap()) == id);
        match (seen.method.as_str(), id.is_ok(), found) {
            ("POST", ..) => {
                let mut made: Value = serde_json::from_str(&seen.body).unwrap();
                made["id"] = json!(8);
                records.push(made.clone());
                answered(201, &made)
            }
            ("PATCH", _, Some(record)) => {
                let new: Value = serde_json::from_str(&seen.body).unwrap();
                for (name, value) in new.as_object().unwrap() {
                    record[name] = value.clone();
                }
                answered(200, record)
            }
            (_, true, Some(record)) => answered(200, record),
            (_, true, None) => answered(404, &json!({ "detail": "Not found." })),
            (_, false, _) if self.is_slow => after_a_while(&json!({ "count": 0, "results": [] })),
            (_, false, _) => answered(200, &json!({ "count": records.len(), "results": *records })),
        }
    }
}

fn answered(status: u16, body: &Value) -> Response<Body> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(body.to_string().into()).unwrap()
}

fn after_a_while(body: &Value) -> Response<Body> {
    let mut answer = spoken(vec![body.to_string()], Duration::from_secs(20));
    answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
    answer
}

/// A site over contacts, whose assistant does what a script says.
struct Place {
    site: Site,
    upstream: Upstream,
    contacts: Contacts,
    folder: TempDir,
}

const OWN: &str = "auth = [\"session\"]\ntenant = { query = \"tenant_id\" }";
const TOOLS: &str = "tools = [\"crm.contacts:read,create,update\"]";

fn configured(origin: &str) -> String {
    let text = with_backend(origin, OWN);
    let text = text.replace("titles = false\n", &format!("titles = false\n{TOOLS}\n"));
    let (before, _) = text.split_once("fields = [").unwrap();
    format!(
        "{before}fields = [{{ name = \"name\", required = true, max_length = 20 }}, \
         {{ name = \"email\" }}, {{ name = \"city\", filterable = true }}]\n"
    )
}

impl Place {
    /// `script` gets what the provider is asked, and answers its stream.
    async fn new(script: impl Fn(&Value) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self::over(Contacts::new(), |text| text, script).await
    }

    async fn over(
        contacts: Contacts,
        configure: impl FnOnce(String) -> String,
        script: impl Fn(&Value) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        let own = contacts.clone();
        let upstream = Upstream::start(move |seen| match seen.target.starts_with("/v1/") {
            true => spoken(script(&read(seen)), Duration::from_millis(1)),
            false => own.answer(seen),
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let text = configure(configured(&upstream.origin));
        let site = Site::start_with(folder.path(), &text).await;
        Self { site, upstream, contacts, folder }
    }

    /// What the provider was asked.
    fn asked(&self) -> Vec<Value> {
        let seen = self.upstream.seen();
        seen.iter().filter(|seen| seen.target.starts_with("/v1/")).map(read).collect()
    }

    /// What the backend was asked.
    fn called(&self) -> Vec<Seen> {
        let seen = self.upstream.seen().into_iter();
        seen.filter(|seen| seen.target.starts_with("/contacts")).collect()
    }

    fn writes(&self) -> Vec<(String, String)> {
        let writes = self.called().into_iter().filter(|seen| seen.method != Method::GET);
        writes.map(|seen| (seen.method.to_string(), seen.body)).collect()
    }
}

fn read(seen: &Seen) -> Value {
    serde_json::from_str(&seen.body).unwrap()
}

/// A reply that says this.
fn said(text: &str) -> Vec<String> {
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    vec![delta(text), end.to_owned()]
}

/// A reply that says this and then calls tools, whose arguments come in pieces.
fn calls(text: &str, calls: &[(&str, &str)]) -> Vec<String> {
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({ "choices": [{ "delta": delta, "finish_reason": reason }] });
        format!("data: {choice}\n\n")
    };
    let piece = |call: Value| chunk(json!({ "tool_calls": [call] }), Value::Null);
    let mut pieces = vec![delta(text)];
    for (index, (name, arguments)) in calls.iter().enumerate() {
        let function = json!({ "name": name, "arguments": "" });
        let id = format!("call-{index}");
        pieces.push(piece(json!({ "index": index, "id": id, "function": function })));
        for letters in arguments.as_bytes().chunks(5) {
            let letters = std::str::from_utf8(letters).unwrap();
            pieces.push(piece(json!({ "index": index, "function": { "arguments": letters } })));
        }
    }
    pieces.push(chunk(json!({}), json!("tool_calls")));
    pieces
}

fn messages(asked: &Value) -> &[Value] {
    asked["messages"].as_array().unwrap()
}

/// What came of the calls for the reply that is written.
fn results(asked: &Value) -> Vec<&str> {
    let results = messages(asked).iter().filter(|message| message["role"] == "tool");
    results.map(|message| message["content"].as_str().unwrap()).collect()
}

/// What was asked last.
fn question(asked: &Value) -> &str {
    let mut questions = messages(asked).iter().rev();
    questions.find(|message| message["role"] == "user").unwrap()["content"].as_str().unwrap()
}

/// One round of calls, and a reply when they are done.
fn once(
    these: &'static [(&'static str, &'static str)],
    reply: &'static str,
) -> impl Fn(&Value) -> Vec<String> + Send + Sync + 'static {
    move |asked| if results(asked).is_empty() { calls("", these) } else { said(reply) }
}

/// A reply as it streamed, and the page after it.
struct Told {
    conversation: String,
    events: Vec<Value>,
    page: String,
}

impl Told {
    fn steps(&self) -> Vec<&Value> {
        self.events.iter().filter_map(|event| event.get("step")).collect()
    }

    fn state(&self) -> &str {
        self.events.last().unwrap()["end"]["state"].as_str().unwrap()
    }

    /// The address of the change that the last step proposes.
    fn change(&self) -> String {
        let step = self.steps().pop().expect("a step");
        let id = step["found"]["proposal"]["change"].as_str().expect("a proposal");
        format!("/data/-/changes/{id}")
    }
}

fn ask(browser: &Browser, body: &Value) -> reqwest::RequestBuilder {
    let request = browser.request(Method::POST, "/api/chat?view=blocks");
    request.header("accept", "text/event-stream").json(body)
}

fn header(response: &reqwest::Response, name: &str) -> String {
    response.headers()[name].to_str().unwrap().to_owned()
}

fn events(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|data| serde_json::from_str(data).unwrap()).collect()
}

async fn page(browser: &Browser, path: &str) -> String {
    browser.open(path).await.text().await.unwrap()
}

async fn talk(browser: &Browser, body: Value) -> Told {
    let answer = browser.send(ask(browser, &body)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let conversation = header(&answer, "breezeway-conversation-id");
    let events = events(&answer.text().await.unwrap());
    let page = page(browser, &format!("/chat/{conversation}")).await;
    Told { conversation, events, page }
}

async fn decide(browser: &Browser, change: &str, fields: &[(&str, &str)]) -> reqwest::Response {
    browser.post_form(change, fields).await
}

// === Looking ===

const LOOKS: &[(&str, &str)] = &[
    ("list_crm_contacts", r#"{ "search": "globex", "filters": { "city": "Porto" } }"#),
    ("read_crm_contacts", r#"{ "id": 7 }"#),
];

#[tokio::test]
async fn a_question_is_answered_from_what_the_person_may_see() {
    let place = Place::new(|asked| match results(asked).len() {
        0 => calls("Let me see.", LOOKS),
        _ => said("There is **one**."),
    })
    .await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Who is at Globex?" })).await;

    assert_eq!(told.state(), "done");
    let steps = told.steps();
    let headlines: Vec<_> = steps.iter().map(|step| step["headline"].as_str().unwrap()).collect();
    let list = "Looked at Contacts (1)";
    assert_eq!(headlines, [list, "Looked at contact 7"]);
    assert_eq!(steps[0]["title"], "globex, City “Porto”");
    assert_eq!(steps[0]["found"]["rows"]["rows"], json!([["Ada <b>", "ada@a.example", "Porto"]]));

    // The way of the pages: the person's own credentials and tenant.
    let called = place.called();
    assert!(called[0].target.contains("search=globex"), "{}", called[0].target);
    assert!(called.iter().all(|seen| seen.target.contains("tenant_id=harbor")));
    let bearer = called[0].headers["authorization"].to_str().unwrap();
    assert!(bearer.starts_with("Bearer ") && place.writes().is_empty());

    // What the provider was told: the tools, and what came of its calls as their results alone.
    let asked = place.asked();
    assert_eq!(asked.len(), 2);
    let tools = asked[0]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| &tool["function"]["name"]).collect();
    let verbs = ["list", "read", "create", "update"].map(|verb| format!("{verb}_crm_contacts"));
    assert_eq!(names, verbs.each_ref());
    let messages = messages(&asked[1]);
    let [system, .., round, first, second] = messages else { panic!("{messages:?}") };
    assert!(system["role"] == "system" && !system.to_string().contains("Ada"), "{system}");
    assert_eq!(
        (&round["content"], &round["tool_calls"][1]["id"]),
        (&json!("Let me see."), &second["tool_call_id"])
    );
    let rows: Value = serde_json::from_str(first["content"].as_str().unwrap()).unwrap();
    assert_eq!((&rows["total"], &rows["rows"][0]["name"]), (&json!(1), &json!("Ada <b>")));
    assert!(!asked[1].to_string().contains("4-711"), "what is not declared is told to nobody");

    // The page says the same, and nothing that was found becomes markup.
    for text in [list, "Looked at contact 7", "<strong>one</strong>", "Ada &lt;b&gt;"] {
        assert!(told.page.contains(text), "{text}: {}", told.page);
    }
    assert!(!told.page.contains("Ada <b>"));
    let place_of = |text: &str| told.page.find(text).unwrap();
    assert!(place_of("<p>Let me see.</p>") < place_of("<details class=\"step\""));
    assert!(place_of("Looked at contact 7") < place_of("<strong>one</strong>"));
}

#[tokio::test]
async fn later_questions_are_told_what_was_done_and_not_what_was_found() {
    let place = Place::new(|asked| match (question(asked), results(asked).len()) {
        ("Who?", 0) => calls("", LOOKS),
        _ => said("One."),
    })
    .await;
    let ada = place.site.signed_in("ada").await;
    let first = talk(&ada, json!({ "message": "Who?" })).await;
    let body = json!({ "message": "Sure?", "conversation_id": first.conversation });
    talk(&ada, body).await;
    let asked = place.asked().pop().unwrap();
    let system = messages(&asked)[0]["content"].as_str().unwrap();
    let memory = "- For an earlier reply: Looked at Contacts (1); Looked at contact 7";
    assert!(system.ends_with(memory), "{system}");
    assert!(!asked["messages"].to_string().contains("ada@a.example"));
    assert!(results(&asked).is_empty());
}

#[tokio::test]
async fn others_read_that_something_was_looked_at_and_not_what_was_found() {
    let place = Place::new(once(LOOKS, "One.")).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Who?" })).await;
    let id = told.conversation.as_str();
    ada.post_form("/api/fn/chat/share", &[("conversation", id)]).await;
    let shown = page(&ada, &format!("/chat/{id}")).await;
    let (_, link) = shown.split_once(&format!("value=\"{}/shared/", place.site.origin)).unwrap();
    let link = format!("/shared/{}", link.split('"').next().unwrap());
    let ben = place.site.signed_in("ben").await;
    let read = page(&ben, &link).await;
    assert!(read.contains("Looked at Contacts (1)") && read.contains("One."), "{read}");
    for data in ["globex", "ada@a.example", "Ada &lt;b&gt;", "<details class=\"step\""] {
        assert!(!read.contains(data), "{data}: {read}");
    }

    let markdown = ada.get(&format!("/chat/{id}/export.md")).await.text().await.unwrap();
    assert!(markdown.contains("> Looked at contact 7\n\nOne."), "{markdown}");
    let all: Value = ada.get(&format!("/chat/{id}/export.json")).await.json().await.unwrap();
    let step = &all["messages"][1]["steps"][1];
    assert_eq!(step["found"]["record"]["fields"][1], json!(["Email", "ada@a.example"]));
}

#[tokio::test]
async fn what_cannot_be_done_is_told_to_the_assistant_and_is_no_failure() {
    let these: &[(&str, &str)] = &[
        ("list_crm_contacts", r#"{ "search": "#),
        ("drop_crm_contacts", "{}"),
        ("read_crm_contacts", "{}"),
        ("read_crm_contacts", r#"{ "id": "404" }"#),
        ("list_crm_contacts", r#"{ "filters": { "age": 3 } }"#),
        ("create_crm_contacts", r#"{ "values": { "name": "a name that is much too long" } }"#),
        ("update_crm_contacts", r#"{ "id": "7", "values": { "city": "Porto" } }"#),
    ];
    let place = Place::new(once(these, "I could not.")).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Try" })).await;
    assert_eq!(told.state(), "done");
    let asked = place.asked().pop().unwrap();
    let expected = [
        "are not one JSON object",
        "There is no such tool. There are: list_crm_contacts,",
        "`id` is missing",
        "There is nothing here",
        "There is no filter `age`; there are city.",
        "name: At most 20 characters",
        "nothing would change",
    ];
    let results = results(&asked);
    assert_eq!(results.len(), expected.len());
    for (result, words) in results.iter().zip(expected) {
        assert!(result.contains(words), "{words}: {result}");
    }
    // Arguments that are no JSON are never sent back as they were.
    let round = messages(&asked).iter().find(|it| it["tool_calls"].is_array()).unwrap();
    assert_eq!(round["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(told.page.matches("data-failed><summary").count(), these.len());
    assert!(place.writes().is_empty() && !told.page.contains("class=\"proposal\""));
}

#[tokio::test]
async fn what_a_backend_says_in_its_trouble_stays_here() {
    let place = Place::new(once(&LOOKS[..1], "It is out.")).await;
    place.contacts.refuse_with(500);
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Who?" })).await;
    assert_eq!(told.state(), "done");
    let asked = place.asked().pop().unwrap();
    assert!(!results(&asked)[0].is_empty() && !results(&asked)[0].contains("10.0.0.7"));
    assert!(told.page.contains("Tried to look at Contacts") && !told.page.contains("10.0.0.7"));
}

#[tokio::test]
async fn there_is_an_end_to_asking() {
    let place = Place::new(|_| calls("", &LOOKS[..1])).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Go on" })).await;
    let asked = place.asked();
    assert_eq!((asked.len(), place.called().len(), told.steps().len()), (8, 7, 7));
    assert!(asked[6].get("tool_choice").is_none());
    assert_eq!(asked[7]["tool_choice"], "none");
    assert_eq!(told.state(), "interrupted");

    let place = Place::new(|asked| match results(asked).len() {
        0 => calls("", &[LOOKS[1]; 20]),
        _ => said("Enough."),
    })
    .await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "All at once" })).await;
    let asked = place.asked().pop().unwrap();
    assert_eq!((results(&asked).len(), told.steps().len()), (20, 16));
    assert!(results(&asked)[16].contains("no more calls"));
    assert_eq!((&asked["tool_choice"], told.state()), (&json!("none"), "done"));
}

#[tokio::test]
async fn a_reply_can_be_stopped_while_something_is_looked_at() {
    let contacts = Contacts { is_slow: true, ..Contacts::new() };
    let place = Place::over(contacts, |text| text, |_| calls("Let me see.", &LOOKS[..1])).await;
    let ada = place.site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Who?" }))).await;
    let run = header(&answer, "breezeway-run-id");
    eventually("the call", async || !place.called().is_empty()).await;
    let stop = ada.request(Method::POST, &format!("/api/chat/runs/{run}/stop"));
    assert_eq!(ada.send(stop).await.status(), StatusCode::NO_CONTENT);
    let events = events(&answer.text().await.unwrap());
    assert_eq!(events.last().unwrap()["end"]["state"], "stopped");
    assert!(events.iter().any(|event| event["text"]["text"] == "Let me see."), "{events:?}");
    assert_eq!(place.asked().len(), 1);
}

#[tokio::test]
async fn a_model_that_thinks_gets_its_thoughts_back() {
    let script = |asked: &Value| {
        let think = |text: &str| {
            let choice = json!({ "delta": { "reasoning_content": text } });
            format!("data: {}\n\n", json!({ "choices": [choice] }))
        };
        let (number, reply) = match results(asked).len() {
            0 => ("one", calls("", &[("list_crm_contacts", "{}")])),
            1 => ("two", calls("", &[("list_crm_contacts", "{\"search\":\"globex\"}")])),
            _ => ("three", said("Two of them.")),
        };
        [vec![think("Number "), think(number)], reply].concat()
    };
    let place = Place::new(script).await;
    let browser = place.site.signed_in("ada").await;
    let told = talk(&browser, json!({ "message": "Who is at Globex?" })).await;
    assert_eq!(told.state(), "done");
    let asked = place.asked();
    let rounds = |asked: &Value| -> Vec<Value> {
        let rounds = messages(asked).iter().filter(|message| message["tool_calls"].is_array());
        rounds.map(|round| round["reasoning_content"].clone()).collect()
    };
    assert_eq!(rounds(&asked[1]), ["Number one"]);
    assert_eq!(rounds(&asked[2]), ["Number one", "Number two"]);
    // The next question begins anew.
    talk(&browser, json!({ "message": "And now?", "conversation_id": told.conversation })).await;
    assert!(!place.asked()[3].to_string().contains("Number"));
}

#[tokio::test]
async fn what_was_done_outlives_a_crash() {
    let place = Place::new(|asked| match results(asked).len() {
        0 => calls("", LOOKS),
        // No end: the connection is there until the site goes.
        _ => (0..2_000).map(|n| delta(&format!("w{n} "))).collect(),
    })
    .await;
    if postgres(place.folder.path()).await.is_some() {
        return; // A folder does not hold the database; `lost` kills the program.
    }
    let ada = place.site.signed_in("ada").await;
    let answer = ada.send(ask(&ada, &json!({ "message": "Who?" }))).await;
    let conversation = header(&answer, "breezeway-conversation-id");
    let mut stream = answer.bytes_stream();
    let mut seen = String::new();
    while !seen.contains("w9 ") {
        seen.push_str(&String::from_utf8_lossy(&stream.next().await.unwrap().unwrap()));
    }
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(place.folder.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let after = Site::start_with(copy.path(), &configured(&place.upstream.origin)).await;
    let again = Browser::new(&after.origin);
    *again.cookies.lock().unwrap() = ada.cookies.lock().unwrap().clone();
    let page = page(&again, &format!("/chat/{conversation}")).await;
    assert!(page.contains("data-state=\"interrupted\"") && page.contains("w0 w1 w2"), "{page}");
    assert!(page.find("Looked at contact 7").unwrap() < page.find("w0 w1").unwrap(), "{page}");
}

// === Proposing ===

const MAKES: &[(&str, &str)] =
    &[("create_crm_contacts", r#"{ "values": { "name": "Bo", "city": "Lisbon" } }"#)];
const CHANGES: &[(&str, &str)] =
    &[("update_crm_contacts", r#"{ "id": "7", "values": { "city": "Lisbon" } }"#)];

#[tokio::test]
async fn nothing_is_written_before_the_person_says_so_and_then_once() {
    let place = Place::new(once(MAKES, "Have a look.")).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Make a contact" })).await;
    let shown = "Shown to the person for confirmation; nothing is written yet.";
    assert_eq!(results(&place.asked()[1]), [shown]);
    let change = told.change();
    let form = format!("action=\"{change}\"");
    assert!(told.page.contains("Create it") && told.page.contains(&form), "{}", told.page);
    assert!(told.page.contains("<ins>Lisbon</ins>"));
    let list = page(&ada, "/data/crm/contacts").await;
    let all = page(&ada, "/data/-/changes").await;
    assert!(!list.contains(&form) && !all.contains(&form), "it is nobody's open change yet");

    let ben = place.site.signed_in("ben").await;
    for what in ["confirm", "undo"] {
        let answer = decide(&ben, &change, &[("do", what)]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{what}");
    }

    // The form holds to the rules, and loses nothing.
    let form = page(&ada, &change).await;
    assert!(form.contains("value=\"Bo\"") && form.contains("Nothing is written before"), "{form}");
    let long = [("do", "confirm"), ("v.name", "a name that is much too long"), ("v.city", "Faro")];
    let refused = decide(&ada, &change, &long).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let refused = refused.text().await.unwrap();
    assert!(refused.contains("value=\"Faro\"") && refused.contains("At most 20"), "{refused}");
    assert!(place.writes().is_empty());

    let mine = [("do", "confirm"), ("v.name", "Bo"), ("v.email", ""), ("v.city", "Faro")];
    for _ in 0..2 {
        let answer = decide(&ada, &change, &mine).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let back = location(&answer).unwrap();
        assert!(back.starts_with(&format!("/chat/{}#m-", told.conversation)), "{back}");
    }
    let writes = place.writes();
    let [(method, body)] = writes.as_slice() else { panic!("{writes:?}") };
    let made: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (method.as_str(), &made["name"], &made["city"]),
        ("POST", &json!("Bo"), &json!("Faro"))
    );
    let after = page(&ada, &format!("/chat/{}", told.conversation)).await;
    assert!(after.contains("Done, with what you changed."), "{after}");
    assert!(after.contains("/data/crm/contacts/8") && !after.contains("Create it"), "{after}");
}

#[tokio::test]
async fn a_change_is_proposed_beside_what_is_there() {
    let place = Place::new(once(CHANGES, "Have a look.")).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Move her" })).await;
    assert_eq!(told.steps()[0]["headline"], "Proposed to change contact 7: City");
    assert!(told.page.contains("<del>Porto</del>"), "{}", told.page);
    let change = told.change();

    // As a page with scripts asks for it.
    let request = ada.request(Method::POST, &change).header("accept", "application/json");
    let answer = ada.send(request.form(&[("do", "confirm")])).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(place.writes(), [("PATCH".to_owned(), r#"{"city":"Lisbon"}"#.to_owned())]);
    let after = page(&ada, &format!("/chat/{}", told.conversation)).await;
    assert!(after.contains(">Done.<") && after.contains("/data/crm/contacts/7"), "{after}");
    assert!(page(&ada, &change).await.contains("This is done."));

    // The next question is told what has become of it.
    let body = json!({ "message": "And?", "conversation_id": told.conversation });
    let again = talk(&ada, body).await;
    let asked = place.asked();
    let system = messages(&asked[2])[0]["content"].as_str().unwrap();
    assert!(system.contains("contact 7: City (confirmed and done)"), "{system}");
    // What would change nothing is not proposed.
    assert!(again.steps()[0]["found"].get("trouble").is_some(), "{:?}", again.steps());
}

#[tokio::test]
async fn what_is_taken_back_is_never_written() {
    let place = Place::new(once(MAKES, "Have a look.")).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Make a contact" })).await;
    let change = told.change();
    let answer = decide(&ada, &change, &[("do", "undo")]).await;
    let back = location(&answer).unwrap();
    assert!(back.starts_with(&format!("/chat/{}#m-", told.conversation)), "{back}");
    decide(&ada, &change, &[("do", "confirm")]).await;
    decide(&ada, &change, &[("do", "again")]).await;
    assert!(place.writes().is_empty());
    let after = page(&ada, &format!("/chat/{}", told.conversation)).await;
    assert!(after.contains("Taken back.") && !after.contains("Create it"), "{after}");
}

/// The notes of the contact, and a proposal of new ones.
const REWRITES: &[(&str, &str)] = &[
    ("read_crm_contacts", r#"{ "id": "7" }"#),
    ("update_crm_contacts", r#"{ "id": "7", "values": { "city": "Lisbon", "email": "short" } }"#),
];

#[tokio::test]
async fn what_was_not_told_whole_is_not_written_over() {
    let contacts = Contacts::new();
    contacts.records.lock().unwrap()[0]["email"] = json!("x".repeat(5_000));
    let place = Place::over(contacts, |text| text, once(REWRITES, "Have a look.")).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Shorten the address" })).await;
    let asked = place.asked().pop().unwrap();
    let [read, update] = results(&asked)[..] else { panic!("{asked:?}") };
    assert!(read.contains("Not whole") && read.contains("`email`"), "{read}");
    assert!(update.contains("`email` is longer than you were told"), "{update}");
    assert!(!told.page.contains("class=\"proposal\""), "{}", told.page);
}

#[tokio::test]
async fn nobody_says_yes_to_what_they_have_not_seen() {
    let place = Place::new(|asked| match results(asked).len() {
        0 => {
            let values = json!({ "name": "Bo", "city": format!("Porto{}!", " ".repeat(1_500)) });
            calls("", &[("create_crm_contacts", &json!({ "values": values }).to_string())])
        }
        _ => said("Have a look."),
    })
    .await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Make a contact" })).await;
    assert!(told.page.contains("See all of it") && !told.page.contains("Create it"));
    let form = page(&ada, &told.change()).await;
    assert!(form.contains("!\""), "the form holds all of it: {form}");
}

#[tokio::test]
async fn what_was_filled_in_is_kept_when_it_was_decided_on_elsewhere() {
    let place = Place::new(once(MAKES, "Have a look.")).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Make a contact" })).await;
    let change = told.change();
    decide(&ada, &change, &[("do", "confirm")]).await;
    let late = decide(&ada, &change, &[("do", "confirm"), ("v.name", "Bo of Faro")]).await;
    assert_eq!(late.status(), StatusCode::CONFLICT);
    let late = late.text().await.unwrap();
    assert!(late.contains("Bo of Faro") && !late.contains("Send again"), "{late}");
    assert_eq!(place.writes().len(), 1);
    let gone = "/data/-/changes/0123456789abcdef0123456789abcdef";
    let gone = decide(&ada, gone, &[("do", "confirm"), ("v.name", "Bo of Faro")]).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert!(gone.text().await.unwrap().contains("Bo of Faro"));
}

#[tokio::test]
async fn what_the_person_writes_instead_is_not_called_taken_back() {
    let place = Place::new(once(MAKES, "Have a look.")).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Make a contact" })).await;
    place.contacts.refuse_with(400);
    decide(&ada, &told.change(), &[("do", "confirm")]).await;
    place.contacts.refuse_with(0);
    let change = told.change();
    let id = change.rsplit('/').next().unwrap();
    let form =
        [("replaces", id), ("opened", "{\"values\":{\"city\":\"Porto\"}}"), ("v.city", "Faro")];
    ada.post_form("/data/crm/contacts/7/edit", &form).await;
    let chat = page(&ada, &format!("/chat/{}", told.conversation)).await;
    assert!(chat.contains("You have written something else in its place."), "{chat}");
}

#[tokio::test]
async fn what_a_backend_refuses_can_be_corrected() {
    let place = Place::new(once(MAKES, "Have a look.")).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Make a contact" })).await;
    let change = told.change();
    place.contacts.refuse_with(400);
    let answer = decide(&ada, &change, &[("do", "confirm")]).await;
    assert_eq!(location(&answer).unwrap(), change, "the form says why");
    let form = page(&ada, &change).await;
    assert!(form.contains("That name is taken.") && form.contains("value=\"Bo\""), "{form}");
    let chat = page(&ada, &format!("/chat/{}", told.conversation)).await;
    assert!(chat.contains("It was not taken.") && chat.contains("Correct it"), "{chat}");
    place.contacts.refuse_with(0);
    decide(&ada, &change, &[("do", "confirm"), ("v.name", "Bo II"), ("v.city", "Lisbon")]).await;
    let chat = page(&ada, &format!("/chat/{}", told.conversation)).await;
    assert!(chat.contains("Done, with what you changed."), "{chat}");
    assert_eq!(place.contacts.records.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn clients_that_show_words_are_told_where_to_decide() {
    let place = Place::new(once(MAKES, "Have a look.")).await;
    let ada = place.site.signed_in("ada").await;
    let request = ada.request(Method::POST, "/api/chat").json(&json!({ "message": "Make one" }));
    let whole: Value = ada.send(request).await.json().await.unwrap();
    let text = whole["text"].as_str().unwrap();
    let (link, after) = text.split_once(")\n\n").unwrap();
    assert!(link.contains("](/data/-/changes/") && after == "Have a look.", "{text}");
    // Who reads it later is told as well.
    let list =
        format!("/api/chat/conversations/{}/messages", whole["_sessionId"].as_str().unwrap());
    let history: Value = ada.open(&list).await.json().await.unwrap();
    assert_eq!(history[1]["text"], text);
}

// === Who has tools ===

#[tokio::test]
async fn tools_are_what_ones_roles_allow() {
    let for_chiefs =
        |text: String| format!("{text}roles = {{ create = [\"chief\"], update = [\"chief\"] }}\n");
    let place = Place::over(Contacts::new(), for_chiefs, once(MAKES, "No.")).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Make a contact" })).await;
    let asked = place.asked();
    assert_eq!(asked[0]["tools"].as_array().unwrap().len(), 2);
    assert!(results(&asked[1])[0].starts_with("There is no such tool."));
    assert!(!told.page.contains("class=\"proposal\""));

    let for_admins = |text: String| format!("{text}roles = {{ all = [\"admin\"] }}\n");
    let place = Place::over(Contacts::new(), for_admins, |_| said("Hi.")).await;
    let ben = place.site.signed_in("ben").await;
    talk(&ben, json!({ "message": "Hi" })).await;
    assert!(place.asked()[0].get("tools").is_none());
}

#[tokio::test]
async fn channels_have_no_tools() {
    let channel = |text: String| {
        let text = text.replace("\"session\"", "\"session\", { bearer = \"configured\" }");
        format!("[channels.web]\ntoken = \"a-token-of-a-site\"\ntenant = \"harbor\"\n{text}")
    };
    let place = Place::over(Contacts::new(), channel, |_| calls("Hi.", LOOKS)).await;
    let request = reqwest::Client::new().post(format!("{}/api/chat", place.site.origin));
    let request = request.header("authorization", "Bearer a-token-of-a-site");
    let answer = request.json(&json!({ "message": "Who?" })).send().await.unwrap();
    let whole: Value = answer.json().await.unwrap();
    assert_eq!(whole["text"], "Hi.", "{whole}");
    let asked = place.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].get("tools").is_none() && !asked[0].to_string().contains("propose"));
    assert!(place.called().is_empty());
}

// === Other services ===

#[tokio::test]
async fn anthropic_calls_in_its_own_words() {
    let event =
        |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap());
    let script = move |asked: &Value| {
        let told = asked["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
        let end = |reason: &str| {
            event(json!({ "type": "message_delta", "delta": { "stop_reason": reason } }))
                + &event(json!({ "type": "message_stop" }))
        };
        if told.contains("tool_result") {
            let text = json!({ "type": "text_delta", "text": "There is one." });
            let delta = json!({ "type": "content_block_delta", "index": 0, "delta": text });
            return vec![event(delta), end("end_turn")];
        }
        let name = "list_crm_contacts";
        let block = json!({ "type": "tool_use", "id": "toolu_1", "name": name, "input": {} });
        let piece = |text: &str| {
            let delta = json!({ "type": "input_json_delta", "partial_json": text });
            event(json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
        };
        vec![
            event(json!({ "type": "message_start", "message": { "content": [] } })),
            event(json!({ "type": "content_block_start", "index": 0, "content_block": block })),
            piece(""),
            piece("{\"search\": \"gl"),
            piece("obex\"}"),
            event(json!({ "type": "content_block_stop", "index": 0 })),
            end("tool_use"),
        ]
    };
    let anthropic = |text: String| text.replace("\"openai\"", "\"anthropic\"");
    let place = Place::over(Contacts::new(), anthropic, script).await;
    let ada = place.site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "Who?" })).await;
    assert_eq!(told.state(), "done");
    assert_eq!(told.steps()[0]["headline"], "Looked at Contacts (1)");
    assert_eq!(told.steps()[0]["title"], "globex");
    assert!(told.page.contains("<p>There is one.</p>"), "{}", told.page);
    let asked = place.asked();
    assert_eq!(asked[0]["tools"][0]["input_schema"]["type"], "object");
    let [.., used, result] = messages(&asked[1]) else { panic!("{asked:?}") };
    let used = &used["content"][0];
    assert_eq!(
        (&used["type"], &used["input"]),
        (&json!("tool_use"), &json!({ "search": "globex" }))
    );
    assert_eq!(
        (&result["role"], &result["content"][0]["tool_use_id"]),
        (&json!("user"), &json!("toolu_1"))
    );
}

#[tokio::test]
async fn the_sandbox_goes_the_same_way() {
    let (site, _folder) = Site::start().await;
    let ada = site.signed_in("ada").await;
    let told = talk(&ada, json!({ "message": "how many contacts at Globex?" })).await;
    assert!(told.page.contains("<bdi>Company “Globex”</bdi>"), "{}", told.page);
    assert!(told.page.contains("where company is Globex."), "{}", told.page);

    let order = "make a contact Kim Roe, kim@roe.example, city Porto";
    let told = talk(&ada, json!({ "message": order })).await;
    assert!(told.page.contains("Proposed a new contact"), "{}", told.page);
    assert!(page(&ada, "/data/django-crm/contacts").await.contains("240 records"));
    decide(&ada, &told.change(), &[("do", "confirm")]).await;
    let list = page(&ada, "/data/django-crm/contacts?q=Kim%20Roe").await;
    assert!(list.contains("kim@roe.example"), "{list}");

    let told = talk(&ada, json!({ "message": "set the amount of deal 3 to 4321" })).await;
    let step = told.steps().pop().unwrap().clone();
    assert_eq!(step["headline"], "Proposed to change deal 3: Amount", "{step}");

    // What needs no tool, or has none, is answered as ever.
    let told = talk(&ada, json!({ "message": "how many invoices?" })).await;
    assert!(told.steps().is_empty() && told.page.contains(" invoices</strong>"), "{}", told.page);
}

// === About this ===

#[tokio::test]
async fn a_question_says_what_it_is_about() {
    let place = Place::new(|_| said("I see.")).await;
    let ada = place.site.signed_in("ada").await;
    let list = page(&ada, "/data/crm/contacts?q=ada").await;
    let link = "/chat?about=%2Fdata%2Fcrm%2Fcontacts%3Fq%3Dada";
    assert!(list.contains(&format!("href=\"{link}\"")), "{list}");
    assert!(
        page(&ada, "/data/crm/contacts/7")
            .await
            .contains("/chat?about=%2Fdata%2Fcrm%2Fcontacts%2F7")
    );

    let chat = page(&ada, link).await;
    assert!(chat.contains("Contacts, in part") && chat.contains("name=\"about\""), "{chat}");
    for other in ["/data/crm/nope", "/data/-/changes", "https://evil.example/data/crm/contacts"] {
        let chat = page(&ada, &format!("/chat?about={other}")).await;
        assert!(!chat.contains("name=\"about\""), "{other}: {chat}");
    }

    let about = "/data/crm/contacts?q=ada";
    let fields = [("text", "How many?"), ("conversation", ""), ("about", about)];
    let asked = ada.post_form("/chat", &fields).await;
    let live = location(&asked).unwrap();
    let conversation = live.strip_suffix("/live").unwrap().to_owned();
    eventually("the reply", async || page(&ada, &conversation).await.contains("I see.")).await;
    let shown = page(&ada, &conversation).await;
    assert!(shown.contains("href=\"/data/crm/contacts?q=ada\""), "{shown}");
    let question = "About Contacts, in part: /data/crm/contacts?q=ada\n\nHow many?";
    assert_eq!(self::question(&place.asked()[0]), question);

    // What may not be seen is not said.
    let fields = [("text", "Hm?"), ("conversation", ""), ("about", "/data/crm/nope")];
    ada.post_form("/chat", &fields).await;
    eventually("the question", async || place.asked().len() == 2).await;
    assert_eq!(self::question(&place.asked()[1]), "Hm?");
}
