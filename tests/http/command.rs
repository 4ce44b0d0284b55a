//! The program as a shell starts it: what it says and how it ends.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use axum::response::Response;

use crate::support::Upstream;

/// Runs the program to its end, on the checked-in configuration and the data in `folder`.
fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    fs::write(folder.join("Leptos.toml"), include_str!("../../Leptos.toml")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_breezeway"))
        .args(arguments)
        .current_dir(folder)
        .env("BREEZEWAY__SERVER__DATA_DIR", folder.join("data"))
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// Starts the program, which `command` leads to, on the checked-in configuration and the data in
/// `folder`; it is up when this returns.
fn start(folder: &Path, command: &mut Command) -> Child {
    fs::write(folder.join("Leptos.toml"), include_str!("../../Leptos.toml")).unwrap();
    let mut server = command
        .current_dir(folder)
        .env("BREEZEWAY__SERVER__DATA_DIR", folder.join("data"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("Breezeway is at")));
    server
}

fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_good_configuration_is_shown_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let provider = [
        ("BREEZEWAY__AUTH__ISSUER", "https://id.example.com"),
        ("BREEZEWAY__AUTH__CLIENT_ID", "breezeway"),
        ("BREEZEWAY__AUTH__CLIENT_SECRET", "hush"),
    ];
    let output = run(folder.path(), &["check"], &provider);
    let shown = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(shown.contains("[resources.django-crm.contacts]"), "{shown}");
    assert!(shown.contains("client_secret") && !shown.contains("hush"), "{shown}");
}

#[test]
fn every_problem_of_a_configuration_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.toml"), "[server]\ndata_dri = \"x\"\n\n[sesion]\n").unwrap();
    for command in ["check", "serve", "migrate"] {
        let said = complaint(&run(folder.path(), &[command, "--config", "bad.toml"], &[]));
        assert!(said.contains("bad.toml:2: server.data_dri"), "{said}");
        assert!(said.contains("bad.toml:4: sesion"), "{said}");
    }
    let said = complaint(&run(folder.path(), &["serve", "--config", "none.toml"], &[]));
    assert!(said.contains("none.toml: there is no such file"), "{said}");
}

#[test]
fn an_address_in_use_and_a_folder_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = complaint(&run(folder.path(), &["serve"], &[("LEPTOS_SITE_ADDR", &address)]));
    assert!(said.contains(&format!("{address} is in use")), "{said}");

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let not_a_folder = ("BREEZEWAY__SERVER__DATA_DIR", file.to_str().unwrap());
    let said = complaint(&run(folder.path(), &["serve"], &[not_a_folder]));
    assert!(said.contains("cannot be created or written"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn connections_are_as_many_as_the_system_allows() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(
        folder.path(),
        Command::new("sh")
            .args(["-c", "ulimit -Sn 64; exec \"$0\" serve", env!("CARGO_BIN_EXE_breezeway")])
            .env("BREEZEWAY__SERVER__ADDRESS", "127.0.0.1:0")
            .env("BREEZEWAY__SERVER__PUBLIC_URL", "http://127.0.0.1:1"),
    );
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let [soft, hard] = files.split_whitespace().skip(3).take(2).collect::<Vec<_>>()[..] else {
        panic!("{files}")
    };
    assert!(soft == hard && soft != "64", "{files}");
}

#[test]
fn pages_are_shown_where_only_the_program_was_put() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = folder.path().join("breezeway");
    fs::hard_link(env!("CARGO_BIN_EXE_breezeway"), &program).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut server = start(
        folder.path(),
        Command::new(&program)
            .arg("serve")
            .env("LEPTOS_SITE_ADDR", free.to_string())
            .stderr(fs::File::create(folder.path().join("said")).unwrap()),
    );
    let page = home_page(free);
    server.kill().unwrap();
    server.wait().unwrap();
    let said = fs::read_to_string(folder.path().join("said")).unwrap();
    assert!(said.contains("the site's files are not there"), "{said}");
    assert!(page.unwrap().starts_with("HTTP/1.1 200 OK"), "{said}");
}

fn home_page(server: SocketAddr) -> io::Result<String> {
    let mut connection = TcpStream::connect(server)?;
    write!(connection, "GET / HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_sandbox_needs_to_be_asked_for_where_others_can_reach_it() {
    let folder = tempfile::tempdir().unwrap();
    let public = ("BREEZEWAY__SERVER__PUBLIC_URL", "https://app.example.com");
    let said = complaint(&run(folder.path(), &["serve"], &[public]));
    assert!(said.contains("is the sandbox, which is not enabled"), "{said}");
    let allowed = ("BREEZEWAY__SANDBOX__ENABLED", "true");
    assert!(run(folder.path(), &["check"], &[public, allowed]).status.success());
}

#[test]
fn migrating_makes_the_database_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = run(folder.path(), &["migrate"], &[]);
        assert!(output.status.success(), "{output:?}");
    }
    assert!(folder.path().join("data/breezeway.db").exists());
    fs::write(folder.path().join("data/breezeway.db"), "not a database").unwrap();
    let said = complaint(&run(folder.path(), &["migrate"], &[]));
    assert!(said.contains("cannot be opened"), "{said}");
}

#[tokio::test]
async fn a_collection_is_described_to_be_pasted() {
    let upstream = Upstream::start(|seen| {
        if !seen.headers.contains_key("authorization") {
            return Response::builder().status(401).body("".into()).unwrap();
        }
        let path = seen.target.split('?').next().unwrap_or_default();
        match (seen.method.as_str(), path) {
            ("GET", "/openapi.json") => Response::new(DOCUMENT.into()),
            ("GET", "/people") => {
                let mut rows = [("Ada", 1), ("Bo", 2), ("Cy", 3)];
                if seen.target.contains("ordering=-name") {
                    rows.reverse();
                }
                let rows: Vec<_> = rows
                    .iter()
                    .map(|(name, id)| serde_json::json!({ "id": id, "name": name, "age": 40 + id }))
                    .collect();
                let body = serde_json::json!({ "count": 3, "next": null, "results": rows });
                Response::new(body.to_string().into())
            }
            _ => Response::builder().status(404).body("".into()).unwrap(),
        }
    })
    .await;
    const DOCUMENT: &str = r#"{"openapi": "3.1.0", "paths": {"/people": {
        "get": {"responses": {"200": {"content": {"application/json": {"schema": {"type": "object",
            "properties": {"results": {"type": "array", "items": {"type": "object", "properties": {
                "id": {"type": "integer", "readOnly": true}, "name": {"type": "string"},
                "age": {"type": "integer"}}}}}}}}}}},
        "post": {"requestBody": {"content": {"application/json": {"schema": {"type": "object",
            "required": ["name"], "properties": {"name": {"type": "string", "maxLength": 30},
            "age": {"type": "integer", "minimum": 0}}}}}}, "responses": {}}}}}"#;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("Leptos.toml");
    let text = format!(
        "[sandbox]\nenabled = false\n[auth]\nissuer = \"https://id.example\"\nclient_id = \"x\"\n\
         [backends.b]\nurl = \"{}\"\n[resources.g.people]\nbackend = \"b\"\npath = \"/people\"\n",
        upstream.origin
    );
    std::fs::write(&config, text).unwrap();
    let run = async |extra: Vec<String>| {
        let config = config.clone();
        tokio::task::spawn_blocking(move || {
            std::process::Command::new(env!("CARGO_BIN_EXE_breezeway"))
                .args(["resources", "describe", "g.people", "--config"])
                .arg(config)
                .args(extra)
                .output()
                .unwrap()
        })
        .await
        .unwrap()
    };
    let refused = run(Vec::new()).await;
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("who asks"));
    let told = run(vec!["--header".into(), "Authorization: Bearer x".into()]).await;
    let toml = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(toml.contains("[resources.g.people]\nbackend = \"b\""), "{toml}");
    let name = "{ name = \"name\", sortable = true, required = true, max_length = 30 }";
    assert!(toml.contains(name), "{toml}");
    assert!(toml.contains("type = \"integer\"") && toml.contains("min = 0"), "{toml}");
    assert!(toml.contains("# openapi = \"/openapi.json\""), "{toml}");
}
