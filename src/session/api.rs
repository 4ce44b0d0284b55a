//! Server functions over the session: who am I, sign out, end sessions elsewhere.

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
    let hop = failing(app().sign_out(&session, &caller()).await)?;
    follow(hop);
    Ok(())
}

/// Ends one of one's own sessions. A browser goes back to the list.
#[server(prefix = "/api/fn", endpoint = "session/end")]
pub async fn end_session(id: String) -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    failing(app().auth.end_session(&caller(), &id).await)?;
    follow_form("/settings/sessions?ended=1");
    Ok(())
}

/// Ends all of one's own sessions but this one. A browser goes back to the list.
#[server(prefix = "/api/fn", endpoint = "session/end_others")]
pub async fn end_other_sessions() -> Result<usize, Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    let count = failing(app().auth.end_other_sessions(&caller()).await)?;
    follow_form(&format!("/settings/sessions?ended={count}"));
    Ok(count)
}
