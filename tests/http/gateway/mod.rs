//! What crosses between browsers and backends, and what stays behind.

mod bodies;
mod credentials;
mod csrf;
mod headers;
mod resources;
mod targets;
mod tenants;

use tempfile::TempDir;

use crate::support::{Browser, Site, with_backend};

/// A site whose one backend is at `origin`, set up by `lines`, and Ada signed in.
async fn site(origin: &str, lines: &str) -> (Site, Browser, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start_with(folder.path(), &with_backend(origin, lines)).await;
    let ada = site.signed_in("ada").await;
    (site, ada, folder)
}

/// The value of a browser's session cookie.
fn cookie(browser: &Browser) -> String {
    browser.cookies.lock().unwrap()["breezeway"].clone()
}
