//! Server functions over the session: who am I, sign out.

use leptos::prelude::*;

use super::wire::SessionInfo;
use crate::error::Failure;

/// Who is signed in; 401 when nobody is.
#[server(prefix = "/api/fn", endpoint = "session/who_am_i")]
pub async fn who_am_i() -> Result<SessionInfo, Failure> {
    use crate::server::context::{caller, failing};
    let caller = caller();
    failing(caller.signed_in().map(|session| session.info()))
}

/// Signs out, here and at the provider. A browser is redirected.
#[server(prefix = "/api/fn", endpoint = "session/sign_out")]
pub async fn sign_out() -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing, follow};
    let session = failing(crate::server::context::session().await)?;
    let hop = failing(app().auth.sign_out(&session, &caller()).await)?;
    follow(hop);
    Ok(())
}
