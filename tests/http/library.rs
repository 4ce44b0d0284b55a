//! What becomes of many conversations: they are listed by the page, found by their words, entitled,
//! taken along, shown to others, and some of them are not kept.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    feed,
    support::{Browser, Site, Upstream, delta, eventually, location, spoken, with_backend},
};

async fn page(browser: &Browser, path: &str) -> String {
    browser.open(path).await.text().await.unwrap()
}

async fn answered(browser: &Browser, text: &str, conversation: Option<&str>) -> String {
    let id = feed::ask(browser, text, conversation).await;
    feed::to_the_end(feed::open(browser, &id, "0.0.0").await).await;
    id
}

async fn list(browser: &Browser, path: &str) -> Vec<Value> {
    browser.get(path).await.json().await.unwrap()
}

async fn act(browser: &Browser, action: &str, fields: &[(&str, &str)]) -> reqwest::Response {
    browser.post_form(&format!("/api/fn/chat/{action}"), fields).await
}

#[tokio::test]
async fn words_are_found_in_titles_and_messages_of_ones_own() {
    let (site, _upstream, _folder) =
        feed::site(&["The lighthouse keeper sails to Zürich."], Duration::ZERO).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let id = answered(&ada, "A <b>question</b> of harbours", None).await;
    answered(&ada, "Something else", None).await;
    answered(&ben, "A question of harbours", None).await;
    let find = async |words: &str| {
        let query = url::form_urlencoded::byte_serialize(words.as_bytes()).collect::<String>();
        page(&ada, &format!("/chat/all?q={query}")).await
    };
    eventually("replies are in the index", async || {
        find("lighthouse").await.contains("Found in 2 conversations")
    })
    .await;
    for words in ["harb", "QUESTION harbours", "question of har"] {
        let found = find(words).await;
        assert!(found.contains("Found in one conversation"), "{words}: {found}");
        assert!(found.contains(&format!("href=\"/chat/{id}\"")), "{words}: {found}");
    }
    let found = find("harbours").await;
    assert!(found.contains("<mark>harbours</mark>"), "{found}");
    assert!(found.contains("&lt;b&gt;"), "what people write is no markup: {found}");
    assert!(find("zurich keeper").await.contains("<mark>Zürich</mark>"), "accents are not needed");
    for none in ["nowhere", "lighthou keeper", "\"", "who:", "a* OR b", "NEAR(", "\u{0}"] {
        let query = url::form_urlencoded::byte_serialize(none.as_bytes()).collect::<String>();
        let answer = ada.open(&format!("/chat/all?q={query}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{none:?}");
        assert!(answer.text().await.unwrap().contains("Nothing was found"), "{none:?}");
    }
    answered(&ada, &"y z ".repeat(2_000), None).await;
    let parts = "y.z.".repeat(8);
    eventually("what looks like an address is found", async || {
        find(&parts).await.contains("Found in one conversation")
    })
    .await;
    act(&ada, "rename", &[("conversation", &id), ("title", "Moorings")]).await;
    assert!(find("moorings").await.contains("<mark>Moorings</mark>"), "by its new title");
    act(&ada, "delete", &[("conversation", &id)]).await;
    assert!(find("moorings").await.contains("Nothing was found"));
    let palette = ada.get("/chat/find?q=lighthouse").await.text().await.unwrap();
    assert!(palette.contains("<mark>lighthouse</mark>") && !palette.contains("<html"), "{palette}");
}

#[tokio::test]
async fn a_message_of_another_branch_is_found_and_shown() {
    let (site, _upstream, _folder) = feed::site(&["Yes."], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let id = answered(&ada, "Windmills", None).await;
    let shown = page(&ada, &format!("/chat/{id}")).await;
    let question = shown.split("data-role=\"user\"").nth(1).unwrap();
    let question = question.split("id=\"m-").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let fields = [("text", "Watermills"), ("conversation", &id), ("beside", &question)];
    ada.post_form("/chat", &fields).await;
    feed::to_the_end(feed::open(&ada, &id, "0.0.0").await).await;
    let at = format!("/chat/{id}?at={question}");
    assert!(page(&ada, &at).await.contains("is in another version"));
    act(&ada, "choose_branch", &[("message", &question)]).await;
    let shown = page(&ada, &at).await;
    assert!(shown.contains("Windmills") && !shown.contains("is in another version"), "{shown}");
}

#[tokio::test]
async fn the_list_goes_on_by_pages_and_days() {
    let (site, _upstream, _folder) = feed::site(&["Yes."], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let mut ids = Vec::new();
    for number in 0..105 {
        ids.push(feed::ask(&ada, &format!("Question {number}"), None).await);
    }
    act(&ada, "pin", &[("conversation", &ids[0]), ("pinned", "true")]).await;
    let first = page(&ada, "/chat/all").await;
    assert!(first.contains("data-day=\"today\"") && first.contains("Question 104"));
    let (pinned, rest) = first.split_once("data-day=\"today\"").unwrap();
    assert!(pinned.contains(&ids[0]) && !rest.contains(&ids[0]), "pinned ones stand apart");
    let (_, older) = first.split_once("/chat/all?before=").expect("a link to older ones");
    let older = format!("/chat/all?before={}", older.split('"').next().unwrap());
    let second = page(&ada, &older).await;
    for id in &ids[1..5] {
        assert!(second.contains(id) && !first.contains(id), "every one once");
    }
    assert!(!second.contains(&ids[0]) && !second.contains("/chat/all?before="), "{second}");
    assert_eq!(ada.open("/chat/all?before=x").await.status(), StatusCode::BAD_REQUEST);

    let all = list(&ada, "/api/chat/conversations").await;
    assert_eq!(all.len(), 105);
    let last = &all[49];
    let before = format!("{}.{}", last["updated_at"], last["id"].as_str().unwrap());
    let rest = list(&ada, &format!("/api/chat/conversations?before={before}")).await;
    assert_eq!(rest, all[50..]);
}

#[tokio::test]
async fn what_was_not_seen_is_marked() {
    let (site, _upstream, _folder) = feed::site(&["Yes."], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let id = answered(&ada, "One", None).await;
    let unread = async || list(&ada, "/api/chat/conversations").await[0]["unread"] == true;
    assert!(unread().await);
    assert!(page(&ada, "/chat").await.contains("New reply"));
    let early = ada.request(Method::GET, &format!("/chat/{id}")).header("sec-purpose", "prefetch");
    ada.send(early).await;
    assert!(unread().await, "a browser that looks ahead is nobody");
    page(&ada, &format!("/chat/{id}")).await;
    assert!(!unread().await);
    feed::ask(&ada, "Two", Some(&id)).await;
    eventually("its next reply is marked", unread).await;
    act(&ada, "see", &[("conversation", &id)]).await;
    assert!(!unread().await);
}

#[tokio::test]
async fn a_temporary_conversation_leaves_nothing() {
    let (site, _upstream, _folder) = feed::site(&["Secretly."], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let fields = [("text", "Between us"), ("temporary", "true")];
    let asked = ada.post_form("/chat", &fields).await;
    let live = location(&asked).unwrap();
    page(&ada, &live).await;
    let path = live.trim_end_matches("/live");
    let shown = page(&ada, path).await;
    assert!(shown.contains("Secretly.") && shown.contains("class=\"temporary\""), "{shown}");
    assert!(list(&ada, "/api/chat/conversations").await.is_empty());
    answered(&ada, "Another", None).await;
    eventually("others are found", async || {
        page(&ada, "/chat/all?q=secretly").await.contains("Found in one conversation")
    })
    .await;
    assert!(page(&ada, "/chat/all?q=between").await.contains("Nothing was found"));
}

#[tokio::test]
async fn a_conversation_is_taken_along() {
    let (site, _upstream, _folder) = feed::site(&["**Yes.**\n"], Duration::ZERO).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let id = answered(&ada, "Is it so?", None).await;
    let markdown = ada.get(&format!("/chat/{id}/export.md")).await;
    assert!(markdown.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let markdown = markdown.text().await.unwrap();
    assert!(markdown.starts_with("# Is it so?\n\n## You, "), "{markdown}");
    assert!(markdown.contains("\n\nIs it so?\n\n## up, ") && markdown.ends_with("**Yes.**\n"));

    let all: Value = ada.get(&format!("/chat/{id}/export.json")).await.json().await.unwrap();
    let messages = all["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1]["parent"], messages[0]["id"]);
    assert_eq!((&messages[1]["text"], &messages[1]["shown"]), (&"**Yes.**\n".into(), &true.into()));
    let reply = messages[1]["id"].as_str().unwrap();
    let text = ada.get(&format!("/api/chat/messages/{reply}")).await.text().await.unwrap();
    assert_eq!(text, "**Yes.**\n");
    for path in [
        format!("/chat/{id}/export.md"),
        format!("/chat/{id}/export.json"),
        format!("/api/chat/messages/{reply}"),
    ] {
        assert_eq!(ben.get(&path).await.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(site.browser().get(&path).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_link_shows_what_was_shared_to_those_it_is_for() {
    let (site, _upstream, _folder) = feed::site(&["As it was."], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let id = answered(&ada, "For others", None).await;
    act(&ada, "share", &[("conversation", &id)]).await;
    let shown = page(&ada, &format!("/chat/{id}")).await;
    let (_, link) = shown.split_once(&format!("value=\"{}/shared/", site.origin)).unwrap();
    let link = format!("/shared/{}", link.split('"').next().unwrap());
    feed::ask(&ada, "Not for others", Some(&id)).await;

    let (ben, chen) = (site.signed_in("ben").await, site.signed_in("chen").await);
    let read = page(&ben, &link).await;
    assert!(read.contains("For others") && read.contains("As it was."), "{read}");
    assert!(!read.contains("Not for others") && !read.contains("data-act"), "{read}");
    assert!(read.contains("noindex"));
    assert_eq!(chen.open(&link).await.status(), StatusCode::NOT_FOUND, "another tenant");
    assert_eq!(site.browser().get(&link).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ben.get(&format!("/chat/{id}")).await.status(), StatusCode::NOT_FOUND);
    act(&ben, "withdraw", &[("conversation", &id)]).await;
    assert_eq!(ben.open(&link).await.status(), StatusCode::OK, "not theirs to withdraw");
    act(&ada, "share", &[("conversation", &id)]).await;
    assert!(
        page(&ben, &link).await.contains("Not for others"),
        "the same link, brought up to date"
    );
    act(&ada, "withdraw", &[("conversation", &id)]).await;
    assert_eq!(ben.open(&link).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn where_nothing_is_shared_nothing_can_be_and_where_anybody_may_read_anybody_can() {
    for (share, status) in [("off", StatusCode::NOT_FOUND), ("anyone", StatusCode::OK)] {
        let upstream = Upstream::start(|_| spoken(vec![delta("Yes.")], Duration::ZERO)).await;
        let folder = tempfile::tempdir().unwrap();
        let text = with_backend(&upstream.origin, "")
            .replace("default = \"up\"\n", &format!("default = \"up\"\nshare = \"{share}\"\n"));
        let site = Site::start_with(folder.path(), &text).await;
        let ada = site.signed_in("ada").await;
        let id = answered(&ada, "For all", None).await;
        let fields = [("conversation", id.as_str())];
        let request = ada.request(Method::POST, "/api/fn/chat/share").form(&fields);
        let link = ada.send(request.header("accept", "application/json")).await;
        assert_eq!(link.status().is_success(), share == "anyone");
        let link: String = link.json().await.unwrap_or_default();
        let read = site.browser().get(&format!("/shared/{link}")).await;
        assert_eq!(read.status(), status, "{share}");
    }
}

#[tokio::test]
async fn an_assistant_gives_a_title_and_a_person_has_the_last_word() {
    let upstream = Upstream::start(|seen| {
        let is_task = seen.body.contains("Give the conversation below a title");
        let words = if is_task { "\"A short title.\"\n" } else { "A reply." };
        spoken(vec![delta(words), "data: [DONE]\n\n".to_owned()], Duration::ZERO)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let text = with_backend(&upstream.origin, "").replace("titles = false\n", "");
    let site = Site::start_with(folder.path(), &text).await;
    let ada = site.signed_in("ada").await;
    let id = feed::ask(&ada, "A long question that nobody wants to read in a list", None).await;
    let mut frames = feed::open(&ada, &id, "0.0.0").await;
    eventually("an open page is told", async || {
        let frame = futures::StreamExt::next(&mut frames).await.unwrap();
        frame.0 == "title" && frame.1 == "A short title"
    })
    .await;
    assert!(upstream.seen()[1].body.contains("A reply."), "the reply is told, too");
    act(&ada, "rename", &[("conversation", &id), ("title", "My own")]).await;
    answered(&ada, "More", Some(&id)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(list(&ada, "/api/chat/conversations").await[0]["title"], "My own");
    assert_eq!(upstream.seen().len(), 3, "nobody is asked for a title that is there");
}

#[tokio::test]
async fn replies_are_rated() {
    let (site, _upstream, _folder) = feed::site(&["Yes."], Duration::ZERO).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let id = answered(&ada, "Well?", None).await;
    let path = format!("/chat/{id}");
    let shown = page(&ada, &path).await;
    let (_, reply) = shown.split_once("name=\"message\" value=\"").unwrap();
    let reply = reply.split('"').next().unwrap().to_owned();
    let pressed = |page: &str, words: &str| {
        page.split("<button")
            .any(|one| one.contains(words) && one.contains("aria-pressed=\"true\""))
    };
    assert!(!pressed(&shown, "Good reply") && !pressed(&shown, "Bad reply"));
    act(&ada, "rate", &[("message", &reply), ("rating", "bad"), ("note", "<too> short")]).await;
    let shown = page(&ada, &path).await;
    assert!(pressed(&shown, "Bad reply") && shown.contains("&lt;too&gt; short"), "{shown}");
    act(&ben, "rate", &[("message", &reply), ("rating", "good")]).await;
    assert!(pressed(&page(&ada, &path).await, "Bad reply"), "nobody else's to rate");
    act(&ada, "rate", &[("message", &reply), ("rating", "")]).await;
    let shown = page(&ada, &path).await;
    assert!(!pressed(&shown, "Bad reply") && !shown.contains("too&gt;"), "{shown}");
}

#[tokio::test]
async fn a_long_conversation_opens_at_its_end_and_goes_back() {
    let (site, _upstream, _folder) = feed::site(&["The end."], Duration::ZERO).await;
    let ada = site.signed_in("ada").await;
    let role = |number: usize| if number.is_multiple_of(2) { "user" } else { "ai" };
    let messages: Vec<Value> = std::iter::once(json!({ "role": "user", "text": "Begin" }))
        .chain(
            (1..200)
                .map(|number| json!({ "role": role(number), "text": format!("said {number}.") })),
        )
        .chain([json!({ "role": "user", "text": "And now?" })])
        .collect();
    let request = ada.request(Method::POST, "/api/chat").json(&json!({ "messages": messages }));
    let answer: Value = ada.send(request).await.json().await.unwrap();
    let path = format!("/chat/{}", answer["_sessionId"].as_str().unwrap());
    let said = |page: &str| -> Vec<usize> {
        let numbers = page.split("said ").skip(1).filter_map(|rest| rest.split('.').next());
        numbers.filter_map(|number| number.parse().ok()).collect()
    };
    let end = page(&ada, &path).await;
    assert_eq!(said(&end), (142..200).collect::<Vec<_>>());
    assert!(end.contains("The end.") && end.contains("And now?"));

    // Without a script, page by page.
    let link = |page: &str| {
        let (_, rest) = page.split_once("href=\"?before=")?;
        Some(rest.split('"').next().unwrap().to_owned())
    };
    let first = link(&end).unwrap();
    let earlier = page(&ada, &format!("{path}?before={first}")).await;
    assert_eq!(said(&earlier), (82..142).collect::<Vec<_>>());
    assert!(earlier.contains("Latest messages") && !end.contains("Latest messages"));
    let after = |page: &str| {
        let (_, rest) = page.split_once("name=\"after\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    assert_eq!(after(&earlier), after(&end), "what is sent from here goes to the end");

    // With one, piece by piece.
    let (mut before, mut told) = (first.clone(), Vec::new());
    loop {
        let older = ada.get(&format!("/chat/older?before={before}")).await;
        let has_older = older.headers()["breezeway-has-older"] == "true";
        let html = older.text().await.unwrap();
        told.splice(0..0, said(&html));
        let (_, rest) = html.split_once("id=\"m-").unwrap();
        before = rest.split('"').next().unwrap().to_owned();
        if !has_older {
            break;
        }
    }
    assert_eq!(told, (1..142).collect::<Vec<_>>());
    let wanted = page(&ada, &format!("{path}?at={before}")).await;
    assert_eq!(said(&wanted).len(), 199, "as far back as what is wanted");

    let ben = site.signed_in("ben").await;
    let stolen = ben.get(&format!("/chat/older?before={first}")).await;
    assert_eq!(stolen.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn prompts_are_kept_under_their_names() {
    let (site, _upstream, _folder) = feed::site(&["Yes."], Duration::ZERO).await;
    let (ada, ben) = (site.signed_in("ada").await, site.signed_in("ben").await);
    let save = async |browser: &Browser, fields: &[(&str, &str)]| {
        browser.post_form("/settings/prompts", fields).await
    };
    assert!(page(&ada, "/settings/prompts").await.contains("You have none yet."));
    let saved = save(&ada, &[("name", "/Report"), ("text", "Write a <report>.\nBriefly.")]).await;
    assert_eq!(location(&saved).as_deref(), Some("/settings/prompts"));
    let shown = page(&ada, "/settings/prompts").await;
    assert!(shown.contains("/report") && shown.contains("Write a &lt;report&gt;."), "{shown}");
    let (_, id) = shown.split_once("name=\"id\" value=\"").unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    assert!(page(&ada, "/chat").await.contains("data-name=\"report\""), "offered in the composer");
    assert!(!page(&ben, "/chat").await.contains("data-name"), "to nobody else");

    for (name, status) in [("two words", StatusCode::BAD_REQUEST), ("REPORT", StatusCode::CONFLICT)]
    {
        let refused = save(&ada, &[("name", name), ("text", "Keep <me>")]).await;
        assert_eq!(refused.status(), status);
        let kept = refused.text().await.unwrap();
        assert!(kept.contains("role=\"alert\"") && kept.contains("Keep &lt;me&gt;"), "{kept}");
        assert!(kept.contains(&format!("value=\"{name}\"")), "{kept}");
    }
    let twice = [("name", "twice"), ("text", "At once")];
    let answers = futures::future::join_all((0..8).map(|_| save(&ben, &twice))).await;
    let of_status = |status| answers.iter().filter(|answer| answer.status() == status).count();
    assert_eq!((of_status(StatusCode::SEE_OTHER), of_status(StatusCode::CONFLICT)), (1, 7));
    save(&ben, &[("id", &id), ("name", "mine"), ("text", "Mine now")]).await;
    save(&ben, &[("id", &id), ("delete", "true")]).await;
    save(&ada, &[("id", &id), ("name", "report"), ("text", "Shorter.")]).await;
    let shown = page(&ada, "/settings/prompts").await;
    assert!(shown.contains("Shorter.") && !shown.contains("Mine now"), "{shown}");
    save(&ada, &[("id", &id), ("delete", "true")]).await;
    assert!(page(&ada, "/settings/prompts").await.contains("You have none yet."));
    assert_eq!(
        save(&site.browser(), &[("name", "a"), ("text", "b")]).await.status(),
        StatusCode::UNAUTHORIZED
    );
}
