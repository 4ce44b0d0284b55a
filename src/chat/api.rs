//! Server functions over chat: the list of conversations, taking up a reply again, stopping one.
//!
//! Plain forms use the same functions: they are sent on to a page afterwards.

use leptos::prelude::*;

use super::wire::{ConversationLine, Started};
use crate::error::Failure;

/// The caller's conversations, last changed first.
#[server(prefix = "/api/fn", endpoint = "chat/conversations")]
pub async fn list_conversations() -> Result<Vec<ConversationLine>, Failure> {
    use crate::server::context::{app, caller, failing};
    failing(app().chat.conversations(&caller()).await)
}

/// Starts a run that takes up the unfinished reply `message` again, from what it has.
#[server(prefix = "/api/fn", endpoint = "chat/start_run")]
pub async fn start_run(message: String) -> Result<Started, Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    let started = failing(app().chat.resume(&caller(), &message).await)?;
    follow_form(&format!("/chat/{}/live", started.conversation));
    Ok(started)
}

/// Begins another reply beside `message`, to the same question.
#[server(prefix = "/api/fn", endpoint = "chat/regenerate")]
pub async fn regenerate(message: String) -> Result<Started, Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    let started = failing(app().chat.regenerate(&caller(), &message).await)?;
    follow_form(&format!("/chat/{}/live", started.conversation));
    Ok(started)
}

/// Shows the branch that `message` is on.
#[server(prefix = "/api/fn", endpoint = "chat/choose_branch")]
pub async fn choose_branch(message: String) -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    let conversation = failing(app().chat.show_branch(&caller(), &message).await)?;
    follow_form(&format!("/chat/{conversation}#m-{message}"));
    Ok(())
}

/// Stops a run. What it has written is kept.
#[server(prefix = "/api/fn", endpoint = "chat/stop_run")]
pub async fn stop_run(run: String) -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    let conversation = failing(app().chat.stop(&caller(), &run).await)?;
    follow_form(&format!("/chat/{conversation}"));
    Ok(())
}
