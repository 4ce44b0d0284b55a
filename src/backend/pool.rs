//! Connections to one backend, kept open between calls and driven by whoever uses them.
//!
//! A connection is polled by the request that it serves, not by a task of its own: an answer then
//! costs no wake-ups between tasks, which is a fifth of passing on a small one
//! (`docs/performance.md`). Nobody polls an idle connection, so it is looked at before it is used
//! again: one that the backend has closed meanwhile is thrown away.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use axum::{
    BoxError,
    body::Body,
    http::{Request, Response, Uri},
};
use bytes::Bytes;
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    client::conn::http1::{Builder, Connection, SendRequest},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

use crate::error::{Error, Result};

/// How long the head of an answer may be, and how much of a body waits in memory, in bytes.
const LARGEST_HEAD: usize = 16 << 10;
/// How long a connection is kept for the next call.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How many connections are kept.
const MOST_KEPT: usize = 256;

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// The connections of one backend and one runtime. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Connections>);

struct Connections {
    origin: Uri,
    connector: HttpsConnector<HttpConnector>,
    /// How long it may take to have one, the name's address and TLS included.
    connect: Duration,
    idle: Mutex<VecDeque<Idle>>,
}

struct Idle {
    line: Line,
    since: Instant,
}

/// A connection and the way to put a request on it.
struct Line {
    sender: SendRequest<Body>,
    connection: Pin<Box<Connection<Stream, Body>>>,
}

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection came about, so nothing was sent.
    #[error("no connection could be made")]
    Connect(#[source] BoxError),
    /// The connection broke off.
    #[error("the connection broke off")]
    Broken {
        /// Whether it had served a call before: the backend may just have closed it.
        reused: bool,
        /// What happened to it.
        #[source]
        cause: hyper::Error,
    },
}

/// What came of putting a request on a connection.
enum Sent {
    Answer(Response<Incoming>, Line),
    /// The connection was gone before any of the request was written.
    Unsent(Request<Body>, hyper::Error),
    Broken(hyper::Error),
}

impl Pool {
    /// Connections to `origin`, each to be had within `connect`.
    pub fn new(origin: Uri, connect: Duration) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(connect));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(Error::internal)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self(Arc::new(Connections { origin, connector, connect, idle: Mutex::default() })))
    }

    /// Sends a request, whose target is a path, and answers once the head of the answer is here.
    ///
    /// A request that was not sent, because the connection it was put on had been closed, is put on
    /// another one. One that may have been sent is not sent again.
    pub async fn call(&self, mut request: Request<Body>) -> Result<Response<Answer>, CallError> {
        while let Some(line) = self.take() {
            match line.send(request).await {
                Sent::Answer(answer, line) => return Ok(self.answer(answer, line)),
                Sent::Unsent(unsent, _) => request = unsent,
                Sent::Broken(cause) => return Err(CallError::Broken { reused: true, cause }),
            }
        }
        // Boxed, as it is rare and large: a future is as large as the largest it may wait for.
        let open = Box::pin(timeout(self.0.connect, self.open()));
        let line = open.await.map_err(|late| CallError::Connect(late.into()))??;
        match line.send(request).await {
            Sent::Answer(answer, line) => Ok(self.answer(answer, line)),
            Sent::Unsent(_, cause) | Sent::Broken(cause) => {
                Err(CallError::Broken { reused: false, cause })
            }
        }
    }

    async fn open(&self) -> Result<Line, CallError> {
        let mut connector = self.0.connector.clone();
        poll_fn(|cx| connector.poll_ready(cx)).await.map_err(CallError::Connect)?;
        let stream = connector.call(self.0.origin.clone()).await.map_err(CallError::Connect)?;
        let mut builder = Builder::new();
        // Bodies are copied behind their head, which for small ones is cheaper than gathering.
        builder.max_buf_size(LARGEST_HEAD).writev(false);
        let (sender, connection) =
            builder.handshake(stream).await.map_err(|cause| CallError::Connect(cause.into()))?;
        Ok(Line { sender, connection: Box::pin(connection) })
    }

    /// The connection that was used last and is still open.
    fn take(&self) -> Option<Line> {
        loop {
            let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop_back()?;
            let mut line = idle.line;
            if idle.since.elapsed() < KEPT_FOR && line.is_open() {
                return Some(line);
            }
        }
    }

    fn keep(&self, line: Line) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle.len() >= MOST_KEPT
            || idle.front().is_some_and(|oldest| oldest.since.elapsed() > KEPT_FOR)
        {
            idle.pop_front();
        }
        idle.push_back(Idle { line, since: Instant::now() });
    }

    fn answer(&self, answer: Response<Incoming>, line: Line) -> Response<Answer> {
        answer.map(|body| {
            let mut answer = Answer { body, line: Some(line), pool: self.clone() };
            if answer.body.is_end_stream() {
                answer.release();
            }
            answer
        })
    }
}

impl Line {
    /// Puts a request on the connection and drives it until the head of the answer is here.
    async fn send(mut self, request: Request<Body>) -> Sent {
        let mut answer = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        let outcome = poll_fn(|cx| {
            // Whether the connection has ended is for the answer to say.
            let _ = connection.as_mut().poll(cx);
            answer.as_mut().poll(cx)
        })
        .await;
        match outcome {
            Ok(answer) => Sent::Answer(answer, self),
            Err(mut error) => match error.take_message() {
                Some(request) => Sent::Unsent(request, error.into_error()),
                None => Sent::Broken(error.into_error()),
            },
        }
    }

    /// Whether the backend has not closed it, as far as can be known without waiting.
    fn is_open(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.connection.as_mut().poll(&mut nobody).is_pending() && self.sender.is_ready()
    }
}

/// The body of an answer, still arriving. Dropping it before its end closes the connection, and so
/// tells the backend that nobody listens.
pub struct Answer {
    body: Incoming,
    line: Option<Line>,
    pool: Pool,
}

impl Answer {
    /// Gives the connection back, as the body has come whole.
    fn release(&mut self) {
        if let Some(mut line) = self.line.take()
            && line.is_open()
        {
            self.pool.keep(line);
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending()
            && let Some(line) = &mut self.line
        {
            // An error of the connection reaches us through the body.
            let _ = line.connection.as_mut().poll(cx);
            frame = Pin::new(&mut self.body).poll_frame(cx);
        }
        // Only a body with a length knows its end before it is asked for more.
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.release();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Accepts connections; on each, answers as often as `per_connection` says and hangs up.
    async fn server(answer: &'static str, per_connection: usize) -> (Pool, Arc<Mutex<usize>>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let connections = Arc::new(Mutex::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                *counted.lock().unwrap() += 1;
                tokio::spawn(async move {
                    for _ in 0..per_connection {
                        let mut seen = Vec::new();
                        while !seen.ends_with(b"\r\n\r\n") {
                            let mut more = [0; 1024];
                            match socket.read(&mut more).await {
                                Ok(0) | Err(_) => return,
                                Ok(count) => seen.extend_from_slice(&more[..count]),
                            }
                        }
                        socket.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        (Pool::new(origin, Duration::from_secs(1)).unwrap(), connections)
    }

    fn get() -> Request<Body> {
        Request::builder().uri("/x").header("host", "h").body(Body::empty()).unwrap()
    }

    async fn text(answer: Response<Answer>) -> String {
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    #[tokio::test]
    async fn a_connection_serves_call_after_call() {
        let (pool, connections) = server(OK, 100).await;
        for _ in 0..10 {
            assert_eq!(text(pool.call(get()).await.unwrap()).await, "ok");
        }
        assert_eq!(*connections.lock().unwrap(), 1);
        let both = tokio::join!(pool.call(get()), pool.call(get()));
        assert_eq!(text(both.0.unwrap()).await + &text(both.1.unwrap()).await, "okok");
        assert_eq!(*connections.lock().unwrap(), 2);
    }

    #[tokio::test]
    async fn an_answer_without_a_body_gives_its_connection_back() {
        let (pool, connections) = server("HTTP/1.1 204 No Content\r\n\r\n", 100).await;
        for _ in 0..5 {
            assert_eq!(pool.call(get()).await.unwrap().status(), 204);
        }
        assert_eq!(*connections.lock().unwrap(), 1);
    }

    #[tokio::test]
    async fn an_answer_in_chunks_gives_its_connection_back() {
        let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        let (pool, connections) = server(chunks, 100).await;
        for _ in 0..5 {
            assert_eq!(text(pool.call(get()).await.unwrap()).await, "ok");
        }
        assert_eq!(*connections.lock().unwrap(), 1);
    }

    #[tokio::test]
    async fn an_answer_that_ends_with_its_connection_gives_none_back() {
        let (pool, connections) = server("HTTP/1.1 200 OK\r\n\r\nok", 1).await;
        for _ in 0..3 {
            assert_eq!(text(pool.call(get()).await.unwrap()).await, "ok");
        }
        assert_eq!(*connections.lock().unwrap(), 3);
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_meanwhile_is_not_used() {
        let (pool, connections) = server(OK, 1).await;
        for _ in 0..5 {
            assert_eq!(text(pool.call(get()).await.unwrap()).await, "ok");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(*connections.lock().unwrap(), 5);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_hears_out_closes_its_connection() {
        let long = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";
        let (pool, connections) = server(long, 100).await;
        drop(pool.call(get()).await.unwrap());
        drop(pool.call(get()).await.unwrap());
        assert_eq!(*connections.lock().unwrap(), 2);
    }

    #[tokio::test]
    async fn one_that_breaks_off_says_so() {
        let (pool, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", 1).await;
        let answer = pool.call(get()).await.unwrap();
        assert!(answer.into_body().collect().await.is_err());
        let (pool, _) = server("", 1).await;
        assert!(matches!(pool.call(get()).await, Err(CallError::Broken { reused: false, .. })));
        let nowhere = Pool::new("http://127.0.0.1:9/".parse().unwrap(), Duration::from_secs(1));
        assert!(matches!(nowhere.unwrap().call(get()).await, Err(CallError::Connect(_))));
    }
}
