//! The pooled HTTP client of one backend.

use std::time::Duration;

use axum::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::error::{Error, Result};

/// How long the head of an answer may be, and how much of a body waits in memory, in bytes.
const LARGEST_HEAD: usize = 16 << 10;
const POOL_IDLE: Duration = Duration::from_secs(60);

/// Connections that are kept open between calls.
pub type Http = Client<HttpsConnector<HttpConnector>, Body>;

/// A client that waits at most `connect` for a connection.
pub fn client(connect: Duration) -> Result<Http> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(connect));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let https = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(Error::internal)?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .http1_max_buf_size(LARGEST_HEAD)
        .build(https))
}
