//! Bytes on sockets: requests that no well-behaved client sends, and an upstream that keeps every
//! byte it was sent.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::Site;

/// Sends `request` as it stands and reads until the server closes or a moment passes.
pub async fn raw(site: &Site, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(address(site)).await.unwrap();
    // A server that refuses early may close before everything is written.
    let _ = socket.write_all(request).await;
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    let _ = tokio::time::timeout(std::time::Duration::from_secs(3), read).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// `host:port` of a site.
pub fn address(site: &Site) -> &str {
    site.origin.strip_prefix("http://").unwrap()
}

/// A request line and headers of a signed-in browser, which closes the connection after it.
pub fn head(site: &Site, cookie: &str, line: &str, headers: &str) -> String {
    let host = address(site);
    format!(
        "{line} HTTP/1.1\r\nhost: {host}\r\ncookie: breezeway={cookie}\r\n\
         sec-fetch-site: same-origin\r\nconnection: close\r\n{headers}\r\n"
    )
}

/// The status in an answer's first line; 0 when there is none.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// An upstream that keeps what it was sent, one text per request, and answers the same to each.
pub struct Recorder {
    pub origin: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// Answers 200 with `ok`.
    pub async fn start() -> Self {
        Self::answering(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nok",
        )
        .await
    }

    /// Answers with these bytes, and hangs up where there are none.
    pub async fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, kept.clone(), answer));
            }
        });
        Self { origin, seen }
    }

    /// Every request so far, byte for byte.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Reads requests whose bodies have a length or are chunked.
async fn serve(mut socket: TcpStream, seen: Arc<Mutex<Vec<String>>>, answer: &str) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = end_of_request(&bytes) {
                break end;
            }
            let mut more = [0; 4096];
            match socket.read(&mut more).await {
                Ok(0) | Err(_) => return,
                Ok(count) => bytes.extend_from_slice(&more[..count]),
            }
        };
        let rest = bytes.split_off(end);
        let request = String::from_utf8_lossy(&bytes).into_owned();
        seen.lock().unwrap().push(request);
        bytes = rest;
        if answer.is_empty() || socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn end_of_request(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    if text.contains("transfer-encoding: chunked") {
        let body = &bytes[head..];
        let end = body.windows(5).position(|five| five == b"0\r\n\r\n")?;
        return Some(head + end + 5);
    }
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.trim().parse().unwrap());
    (bytes.len() >= head + length).then_some(head + length)
}
