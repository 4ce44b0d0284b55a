//! What crosses between browsers and backends, and what stays behind.

mod bodies;
mod credentials;
mod csrf;
mod headers;
mod resources;
mod targets;
mod tenants;

use std::sync::OnceLock;

use axum::{body::Body, response::Response};
use tempfile::TempDir;

use crate::support::{Browser, Seen, Site, with_backend};

/// A site whose one backend is at `origin`, set up by `lines`, and Ada signed in.
async fn site(origin: &str, lines: &str) -> (Site, Browser, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(origin, lines)).await;
    let ada = site.signed_in("ada").await;
    (site, ada, folder)
}

/// Refuses the first access token it sees, and no other; says `body` either way.
fn refusing_the_first(body: impl Fn(&Seen) -> String) -> impl Fn(&Seen) -> Response<Body> {
    let first = OnceLock::new();
    move |seen| {
        let used = &seen.headers["authorization"];
        let status = if first.get_or_init(|| used.clone()) == used { 401 } else { 200 };
        Response::builder().status(status).body(body(seen).into()).unwrap()
    }
}

/// The value of a browser's session cookie.
fn cookie(browser: &Browser) -> String {
    browser.cookies.lock().unwrap()["breezeway"].clone()
}
