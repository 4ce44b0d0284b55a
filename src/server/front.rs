//! Where every request comes in.
//!
//! What goes on to a backend takes the short way: session, admission, proxy. Everything else goes
//! through the router, whose table, layers and boxes cost more than passing a request on does
//! (`docs/performance.md`). Around both stands the same envelope.

use std::panic::AssertUnwindSafe;

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tower::ServiceExt;
use tracing::Instrument;

use super::{
    client::{ClientAddress, Peer},
    errors::{self, Asker},
    observe::Watched,
    router::router,
    security,
    state::App,
};
use crate::{
    channels,
    error::{Error, Result},
    proxy,
};

/// All that this server answers, for one runtime. Cheap to clone.
#[derive(Clone)]
pub struct Front {
    app: App,
    router: Router,
}

impl Front {
    /// The front of these services.
    pub fn new(app: App) -> Self {
        Self { router: router(app.clone()), app }
    }

    /// Answers a request: with a name, errors in words, and the headers that all answers carry.
    pub async fn answer(&self, peer: Peer, mut request: Request) -> Response {
        let app = &self.app;
        let watched = Watched::begin(&mut request);
        let reader = app.widgets.reader(&request);
        let (asker, request) = Asker::of(request, watched.id.clone());
        let answer = async {
            let response = guarded(self.route(peer, request)).await;
            errors::render(app, asker, response).await
        };
        let mut response = answer.instrument(watched.span.clone()).await;
        security::set_headers(app, response.headers_mut());
        if let Some(origin) = reader {
            channels::let_read(origin, response.headers_mut());
        }
        watched.end(&mut response);
        response
    }

    async fn route(&self, peer: Peer, mut request: Request) -> Response {
        if let Err(error) = security::check_target(&request) {
            return error.into_response();
        }
        if proxy::takes(request.uri().path()) {
            return self.pass_on(peer, request).await.unwrap_or_else(IntoResponse::into_response);
        }
        request.extensions_mut().insert(peer);
        match self.app.widgets.preflight(&request) {
            Some(preflight) => preflight,
            None => {
                let response = self.router.clone().oneshot(request).await.into_response();
                errors::named_here(response)
            }
        }
    }

    async fn pass_on(&self, Peer(peer): Peer, request: Request) -> Result<Response> {
        let trusted = &self.app.config.server.trusted_proxies;
        let client = ClientAddress::of(peer, request.headers(), trusted);
        let caller = self.app.sessions.caller_of(request.headers()).await?;
        security::prove_same_origin(&self.app, &caller, &request)?;
        proxy::answer(&self.app, &caller, client, request).await
    }
}

/// A panic is a fault of ours like any other: the one who asked is told, and the connection stays.
async fn guarded(answer: impl Future<Output = Response>) -> Response {
    let panicked = |_| Error::internal("a handler panicked").into_response();
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(panicked)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let answer = guarded(async { panic!("on purpose") }).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let answer = guarded(async { StatusCode::NO_CONTENT.into_response() }).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }
}
