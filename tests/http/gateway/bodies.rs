//! Bodies of every kind and size, on their way up and down.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::{any, post},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::{sync::mpsc, time::timeout};

use super::{cookie, site};
use crate::{
    support::{Upstream, eventually, serve},
    wire::{Recorder, head, raw, status},
};

fn stream_of(events: mpsc::Receiver<&'static str>) -> Body {
    let pieces = stream::unfold(events, |mut events| async move {
        let event = events.recv().await?;
        Some((Ok::<_, Infallible>(Bytes::from_static(event.as_bytes())), events))
    });
    Body::from_stream(pieces)
}

#[tokio::test]
async fn an_upload_reaches_the_backend_while_it_is_still_being_sent() {
    let (arrived, mut arrivals) = mpsc::channel(100);
    let upload = async move |State(arrived): State<mpsc::Sender<usize>>, body: Body| {
        let mut body = body.into_data_stream();
        let mut total = 0;
        while let Some(piece) = body.next().await {
            total += piece.unwrap().len();
            let _ = arrived.send(total).await;
        }
        total.to_string()
    };
    let router = Router::new().route("/up", post(upload)).with_state(arrived);
    let (_site, ada, _folder) = site(&serve(router).await, "").await;
    let (send, pieces) = mpsc::channel(1);
    let request = ada
        .request(Method::POST, "/api/proxy/up")
        .header("content-type", "application/octet-stream")
        .body(reqwest::Body::wrap_stream(stream_of(pieces).into_data_stream()));
    let sending = ada.send(request);
    let talking = async {
        send.send("first").await.unwrap();
        let soon = Duration::from_secs(5);
        assert_eq!(timeout(soon, arrivals.recv()).await.unwrap(), Some(5), "not held back");
        send.send("second").await.unwrap();
        drop(send);
    };
    let (answer, ()) = tokio::join!(sending, talking);
    assert_eq!(answer.text().await.unwrap(), "11");
}

#[tokio::test]
async fn a_body_of_any_kind_arrives_as_it_was() {
    let upstream = Upstream::start(|seen| {
        let mut answer = Response::new(Body::from(seen.body.clone()));
        answer.headers_mut().insert("content-type", seen.headers["content-type"].clone());
        answer
    })
    .await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    let large = "x".repeat(3 << 20);
    for (kind, body) in [
        ("application/json", r#"{"a":1.10,"a":2}"#),
        ("application/json", "{broken"),
        ("application/vnd.api+json", "{}"),
        ("application/x-ndjson", "{}\n{}\n"),
        ("text/plain; charset=utf-8", "grüße"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n",
        ),
        ("application/octet-stream", large.as_str()),
    ] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let request = ada.request(method, "/api/proxy/x").header("content-type", kind);
            let answer = ada.send(request.body(body.to_owned())).await;
            assert_eq!(answer.headers()["content-type"], kind);
            assert!(answer.text().await.unwrap() == body, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let upstream = Upstream::start(|_| Response::new("ok".into())).await;
    let (site, ada, _folder) = site(&upstream.origin, "max_body = \"600KiB\"").await;
    let post = || ada.request(Method::POST, "/api/proxy/x");
    assert_eq!(ada.send(post().body(vec![b'x'; 600 << 10])).await.status(), StatusCode::OK);
    let calls = upstream.seen().len();

    let announced = ada.send(post().body(vec![b'x'; (600 << 10) + 1])).await;
    assert_eq!(announced.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let body: Value = announced.json().await.unwrap();
    assert_eq!(body["code"], "too_large");

    let pieces = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![b'x'; 64 << 10])));
    let endless = ada.send(post().body(reqwest::Body::wrap_stream(pieces.take(20)))).await;
    assert_eq!(endless.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(upstream.seen().len(), calls, "the backend has seen no whole request");

    let lying = head(&site, &cookie(&ada), "POST /api/proxy/x", "content-length: 99999999999\r\n");
    assert_eq!(status(&raw(&site, lying.as_bytes()).await), 413);
}

#[tokio::test]
async fn what_is_framed_in_two_ways_never_reaches_a_backend_as_it_is() {
    let upstream = Recorder::start().await;
    let (site, ada, _folder) = site(&upstream.origin, "").await;
    for headers in [
        "content-length: +4\r\n\r\nabcd",
        "content-length: 4, 4\r\n\r\nabcd",
        "content-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "content-length: -1\r\n\r\n",
        "content-length: 4x\r\n\r\nabcd",
    ] {
        let request = head(&site, &cookie(&ada), "POST /api/proxy/x", "");
        let request = request.strip_suffix("\r\n").unwrap().to_owned() + headers;
        let answer = raw(&site, request.as_bytes()).await;
        assert!(matches!(status(&answer), 400 | 501), "{headers:?} {answer}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
    // Both at once: the length is dropped, and the connection ends behind the request.
    let both = "content-length: 4\r\ntransfer-encoding: chunked\r\n";
    let smuggled = head(&site, &cookie(&ada), "GET /api/proxy/smuggled", "");
    let request = head(&site, &cookie(&ada), "POST /api/proxy/x", both)
        .replace("connection: close\r\n", "")
        + "5\r\nhello\r\n0\r\n\r\n"
        + &smuggled;
    let answer = raw(&site, request.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    let seen = upstream.seen();
    assert!(matches!(seen.as_slice(), [one] if one.starts_with("POST /x ")), "{seen:?}");
    assert!(!seen[0].contains("smuggled") && !seen[0].contains("content-length"), "{seen:?}");
    let huge = format!("x-huge: {}\r\n", "y".repeat(500_000));
    let answer = raw(&site, head(&site, &cookie(&ada), "GET /api/proxy/x", &huge).as_bytes()).await;
    assert_eq!(status(&answer), 431, "{answer:.200}");
    let many = (0..150).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let answer = raw(&site, head(&site, &cookie(&ada), "GET /api/proxy/x", &many).as_bytes()).await;
    assert_eq!(status(&answer), 431, "{answer:.200}");
}

#[tokio::test]
async fn compressed_answers_ranges_and_conditions_pass_untouched() {
    let router = Router::new().route(
        "/file",
        any(|headers: axum::http::HeaderMap| async move {
            let says = |name: &str, value: &str| headers.get(name).is_some_and(|v| v == value);
            if says("if-none-match", "\"v1\"") {
                return (StatusCode::NOT_MODIFIED, [("etag", "\"v1\"")]).into_response();
            }
            if says("range", "bytes=0-3") {
                let range = [("content-range", "bytes 0-3/10"), ("accept-ranges", "bytes")];
                return (StatusCode::PARTIAL_CONTENT, range, "0123").into_response();
            }
            assert_eq!(headers["accept-encoding"], "br, gzip");
            let encoding =
                [("content-encoding", "br"), ("etag", "\"v1\""), ("vary", "accept-encoding")];
            (encoding, [0x8b, 0x02, 0x80, 0x6f, 0x6b, 0x03]).into_response()
        }),
    );
    let (_site, ada, _folder) = site(&serve(router).await, "").await;
    let get = |name: &str, value: &str| {
        ada.request(Method::GET, "/api/proxy/file").header(name.to_owned(), value.to_owned())
    };
    let packed = ada.send(get("accept-encoding", "br, gzip")).await;
    assert_eq!(packed.headers()["content-encoding"], "br");
    assert_eq!(packed.headers()["etag"], "\"v1\"");
    assert_eq!(packed.headers()["vary"], "accept-encoding");
    assert_eq!(packed.bytes().await.unwrap().as_ref(), [0x8b, 0x02, 0x80, 0x6f, 0x6b, 0x03]);

    let part = ada.send(get("range", "bytes=0-3")).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], "bytes 0-3/10");
    assert_eq!(part.text().await.unwrap(), "0123");

    let same = ada.send(get("if-none-match", "\"v1\"")).await;
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    assert!(same.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn events_are_passed_on_one_by_one_and_a_client_that_leaves_ends_the_stream() {
    struct Open(Arc<AtomicBool>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.store(false, Ordering::SeqCst);
        }
    }
    let is_open = Arc::new(AtomicBool::new(false));
    let (send, events) = mpsc::channel(1);
    let source = Arc::new(std::sync::Mutex::new(Some(events)));
    let flag = is_open.clone();
    let router = Router::new().fallback(move || {
        let (events, open) = (source.lock().unwrap().take().unwrap(), Open(flag.clone()));
        flag.store(true, Ordering::SeqCst);
        let body = Body::from_stream(stream_of(events).into_data_stream().inspect(move |_| {
            let _ = &open;
        }));
        async move { ([("content-type", "application/json")], body) }
    });
    let lines = "stream_paths = [\"/v1/chat/completions\"]";
    let (_site, ada, _folder) = site(&serve(router).await, lines).await;
    send.send("data: one\n\n").await.unwrap();
    let mut answer = ada.get("/api/proxy/v1/chat/completions").await;
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let soon = Duration::from_secs(5);
    let first = timeout(soon, answer.chunk()).await.unwrap().unwrap().unwrap();
    assert_eq!(first, "data: one\n\n");
    send.send("data: two\n\n").await.unwrap();
    let second = timeout(soon, answer.chunk()).await.unwrap().unwrap().unwrap();
    assert_eq!(second, "data: two\n\n");
    assert!(is_open.load(Ordering::SeqCst));
    drop(answer);
    eventually("the end of the backend's stream", async || !is_open.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn an_event_stream_is_known_by_its_type() {
    let router = Router::new().route(
        "/events",
        any(|| async { ([("content-type", "text/event-stream; charset=utf-8")], "data: x\n\n") }),
    );
    let (_site, ada, _folder) = site(&serve(router).await, "").await;
    let answer = ada.get("/api/proxy/events").await;
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    assert_eq!(answer.text().await.unwrap(), "data: x\n\n");
}

#[tokio::test]
async fn a_silent_backend_is_a_timeout_and_a_slow_upload_is_none() {
    let router =
        Router::new()
            .route("/silent", any(|| async { std::future::pending::<&'static str>().await }))
            .route(
                "/up",
                post(|body: Body| async move {
                    body.collect().await.unwrap().to_bytes().len().to_string()
                }),
            );
    let lines = "timeouts = { first_byte = \"1s\", idle = \"1s\" }";
    let (_site, ada, _folder) = site(&serve(router).await, lines).await;
    let silent = ada.get("/api/proxy/silent").await;
    assert_eq!(silent.status(), StatusCode::GATEWAY_TIMEOUT);
    let body: Value = silent.json().await.unwrap();
    assert_eq!(body["code"], "timeout");

    let pieces = stream::unfold(0, |n| async move {
        tokio::time::sleep(Duration::from_millis(600)).await;
        (n < 4).then(|| (Ok::<_, Infallible>(Bytes::from_static(b"piece")), n + 1))
    });
    let request = ada.request(Method::POST, "/api/proxy/up");
    let slow = ada.send(request.body(reqwest::Body::wrap_stream(pieces))).await;
    assert_eq!(slow.text().await.unwrap(), "20", "a slow upload is not a silent backend");
}

#[tokio::test]
async fn an_answer_may_be_slow_as_long_as_it_does_not_fall_silent() {
    let router = Router::new().route(
        "/slow",
        any(|| async {
            let pieces = stream::unfold(0, |n| async move {
                match n {
                    0 => {}
                    1..=4 => tokio::time::sleep(Duration::from_millis(600)).await,
                    _ => std::future::pending().await,
                }
                Some((Ok::<_, Infallible>(Bytes::from_static(b"piece")), n + 1))
            });
            Body::from_stream(pieces)
        }),
    );
    let (_site, ada, _folder) = site(&serve(router).await, "timeouts = { idle = \"1s\" }").await;
    let mut answer = ada.get("/api/proxy/slow").await;
    let mut read = 0;
    let broken = loop {
        match timeout(Duration::from_secs(10), answer.chunk()).await.expect("waited for ever") {
            Ok(Some(piece)) => read += piece.len(),
            Ok(None) => panic!("a broken answer passed for a whole one"),
            Err(broken) => break broken,
        }
    };
    assert_eq!(read, 25, "{broken}");
}

#[tokio::test]
async fn what_a_backend_says_when_it_fails_stays_here() {
    let secret = "Traceback: password=hunter2";
    let upstream = Upstream::start(move |seen| {
        let code = seen.target.trim_start_matches('/').parse().unwrap();
        let answer = Response::builder().status::<u16>(code).header("retry-after", "7");
        answer.header("content-type", "text/plain").body(secret.into()).unwrap()
    })
    .await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    for code in [500, 501, 502, 503, 504, 507, 599] {
        let answer = ada.get(&format!("/api/proxy/{code}")).await;
        assert_eq!(answer.status().as_u16(), code);
        assert_eq!(answer.headers()["retry-after"], "7");
        let body: Value = answer.json().await.unwrap();
        assert!(!body.to_string().contains("hunter2"), "{body}");
        assert!(body["request_id"].is_string() && body["code"].is_string(), "{body}");
    }
    for code in [400, 401, 403, 404, 409, 410, 418, 422, 429] {
        let answer = ada.get(&format!("/api/proxy/{code}")).await;
        assert_eq!(answer.status().as_u16(), code);
        assert_eq!(answer.text().await.unwrap(), secret, "what a client did wrong is told");
    }
    let (_site, ada, _folder) = site(&upstream.origin, "show_errors = true").await;
    let shown = ada.get("/api/proxy/500").await;
    assert_eq!(shown.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(shown.text().await.unwrap(), secret);
}

#[tokio::test]
async fn a_backend_that_hangs_up_on_a_post_is_called_once() {
    let upstream = Recorder::answering("").await;
    let (_site, ada, _folder) = site(&upstream.origin, "").await;
    let answer = ada.send(ada.request(Method::POST, "/api/proxy/x").body("pay")).await;
    assert_eq!(answer.status(), 502);
    assert_eq!(upstream.seen().len(), 1);
}
