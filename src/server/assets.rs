//! The site's files: hashed ones under `/pkg`, the rest as they are. Compressed when they were
//! built, never per request; what is not there is a 404 and never a page.

use std::path::Path;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use leptos::config::LeptosOptions;
use tower::ServiceExt;
use tower_http::services::ServeDir;

use super::state::App;
use crate::error::{Error, Result};

/// `/pkg/…`, cached for good because every name holds a hash of the content.
pub fn routes(options: &LeptosOptions) -> Router<App> {
    let folder = Path::new(&*options.site_root).join(&*options.site_pkg_dir);
    let prefix = format!("/{}", options.site_pkg_dir);
    let hashed = options.hash_files;
    Router::new().nest(
        &prefix,
        Router::new()
            .fallback(move |request| serve(folder.clone(), request))
            .layer(from_fn(move |request, next| cached(hashed, request, next))),
    )
}

/// Where the style sheet is. Found once: its hashed name is in a file beside the program.
pub fn stylesheet(options: &LeptosOptions) -> String {
    let LeptosOptions { output_name, site_pkg_dir, hash_file, .. } = options;
    let names = std::env::current_exe().map(|program| program.with_file_name(&**hash_file));
    let names = names.and_then(std::fs::read_to_string).unwrap_or_default();
    let hash = names.lines().find_map(|line| line.trim().strip_prefix("css:"));
    match hash.filter(|_| options.hash_files) {
        Some(hash) => format!("/{site_pkg_dir}/{output_name}.{}.css", hash.trim()),
        None => format!("/{site_pkg_dir}/{output_name}.css"),
    }
}

/// Any other file of the site, or 404.
pub async fn fallback(root: std::path::PathBuf, request: Request) -> Result<Response> {
    serve(root, request).await
}

async fn serve(folder: std::path::PathBuf, request: Request) -> Result<Response> {
    let files = ServeDir::new(folder)
        .append_index_html_on_directories(false)
        .precompressed_br()
        .precompressed_gzip();
    let mut response = match files.oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    };
    if response.status().is_client_error() {
        return Err(Error::not_found(
            "The address may be mistyped, or what it showed was removed.",
        ));
    }
    // To be asked for again, which costs a few bytes when nothing has changed.
    let checked = HeaderValue::from_static("no-cache");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(checked);
    Ok(response)
}

async fn cached(hashed: bool, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if hashed && response.status().is_success() {
        let for_good = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(header::CACHE_CONTROL, for_good);
    }
    response
}
