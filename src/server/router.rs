//! The table of everything this server answers by itself, and the layers around it.

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state, map_response},
    response::{IntoResponse, Redirect, Response},
};
use leptos_axum::{LeptosRoutes, generate_route_list};
use tower_http::{CompressionLevel, compression::CompressionLayer};
use tower_sessions::Session;
use url::form_urlencoded;

use super::{assets, client::ClientAddress, errors, health, html, security, state::App};
use crate::{
    app::{Pages, shell},
    auth,
    channels::{self, Widgets},
    chat, data,
    error::Result,
    session::{self, Caller},
};

/// All routes, for one runtime.
pub fn router(app: App) -> Router {
    let root = std::path::PathBuf::from(&*app.leptos.site_root);
    let sandbox = app.sandbox.as_ref().map(|sandbox| sandbox.browser_routes());
    let routes = Router::new()
        .merge(pages(&app))
        .merge(auth::routes::routes())
        .merge(session::routes::routes())
        .merge(channels::routes::routes())
        .merge(chat::routes::routes())
        .merge(data::routes::routes())
        .merge(health::routes())
        .merge(assets::routes(&app.leptos))
        .fallback(move |request| assets::fallback(root.clone(), request));
    let routes = routes
        .layer(from_fn_with_state(app.clone(), admit))
        .layer(session::cookie::layer(&app.config, &app.sessions));
    let routes = match sandbox {
        // The sandbox's pages have a cookie and a form protection of their own.
        Some(sandbox) => routes.nest_service("/sandbox", sandbox),
        None => routes,
    };
    routes.with_state(app)
}

/// Middleware: the cookie becomes a caller, and an unsafe request proves that it comes from our own
/// pages.
async fn admit(
    State(app): State<App>,
    session: Session,
    ClientAddress(client): ClientAddress,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    let caller = match app.sessions.caller(&session).await? {
        caller if caller.session().is_some() && !Widgets::is_visit(&request) => caller,
        _ => app.widgets.admit(&request, client)?,
    };
    let mut response = match security::prove_same_origin(&app, &caller, &request) {
        Ok(()) => {
            request.extensions_mut().insert(caller.clone());
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    if errors::is_error(&response) {
        response.extensions_mut().insert(caller);
    }
    Ok(response)
}

/// Server-rendered pages and server functions, compressed.
fn pages(app: &App) -> Router<App> {
    let options = app.leptos.clone();
    let table = generate_route_list(Pages);
    let view = move || shell(options.clone(), Pages);
    Router::new()
        .leptos_routes_with_context(app, table, html::page_context(app), view)
        .layer(from_fn(require_sign_in))
        .layer(map_response(errors::of_server_function))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
}

/// Middleware: pages that belong to a person send everybody else to sign in, and back.
async fn require_sign_in(caller: Caller, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_personal = ["/chat", "/data", "/settings"].iter().any(|page| {
        path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if !is_personal || caller.session().is_some() {
        return next.run(request).await;
    }
    let here = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let here: String = form_urlencoded::byte_serialize(here.as_bytes()).collect();
    Redirect::to(&format!("/auth/login?return_to={here}")).into_response()
}
