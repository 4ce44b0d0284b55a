//! Server functions over chat: conversations and what can be done with them, replies and theirs.
//!
//! Plain forms use the same functions: they are sent on to a page afterwards.

use leptos::prelude::*;

use super::wire::Started;
use crate::error::Failure;

/// Starts a run that takes up the unfinished reply `message` again, from what it has.
#[server(prefix = "/api/fn", endpoint = "chat/start_run")]
pub async fn start_run(message: String) -> Result<Started, Failure> {
    use crate::{
        server::context::{app, caller, failing, follow_form, with_parts},
        ui::reader::Habits,
    };
    let habits = with_parts(|parts| Habits::of(&parts.headers));
    let started = failing(app().chat.resume(&caller(), &message, habits).await)?;
    follow_form(&format!("/chat/{}/live", started.conversation));
    Ok(started)
}

/// Begins another reply beside `message`, to the same question.
#[server(prefix = "/api/fn", endpoint = "chat/regenerate")]
pub async fn regenerate(message: String) -> Result<Started, Failure> {
    use crate::{
        server::context::{app, caller, failing, follow_form, with_parts},
        ui::reader::Habits,
    };
    let habits = with_parts(|parts| Habits::of(&parts.headers));
    let started = failing(app().chat.regenerate(&caller(), &message, habits).await)?;
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

/// Calls a conversation otherwise.
#[server(prefix = "/api/fn", endpoint = "chat/rename")]
pub async fn rename(conversation: String, title: String) -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    failing(app().chat.rename(&caller(), &conversation, &title).await)?;
    follow_form(&format!("/chat/{conversation}"));
    Ok(())
}

/// Puts a conversation above the others, or back among them.
#[server(prefix = "/api/fn", endpoint = "chat/pin")]
pub async fn pin(conversation: String, pinned: bool) -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    failing(app().chat.pin(&caller(), &conversation, pinned).await)?;
    follow_form(&format!("/chat/{conversation}"));
    Ok(())
}

/// Deletes a conversation; for an hour it can be restored.
#[server(prefix = "/api/fn", endpoint = "chat/delete")]
pub async fn delete(conversation: String) -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    failing(app().chat.delete(&caller(), &conversation).await)?;
    follow_form(&format!("/chat?deleted={conversation}"));
    Ok(())
}

/// Gives a conversation back that was deleted.
#[server(prefix = "/api/fn", endpoint = "chat/restore")]
pub async fn restore(conversation: String) -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    failing(app().chat.restore(&caller(), &conversation).await)?;
    follow_form(&format!("/chat/{conversation}"));
    Ok(())
}

/// Lets others read a conversation as it is now.
#[server(prefix = "/api/fn", endpoint = "chat/share")]
pub async fn share(conversation: String) -> Result<String, Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    let link = failing(app().chat.share(&caller(), &conversation).await)?;
    follow_form(&format!("/chat/{conversation}"));
    Ok(link)
}

/// Takes the link to a conversation back.
#[server(prefix = "/api/fn", endpoint = "chat/withdraw")]
pub async fn withdraw(conversation: String) -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    failing(app().chat.withdraw(&caller(), &conversation).await)?;
    follow_form(&format!("/chat/{conversation}"));
    Ok(())
}

/// Keeps what the caller thinks of a reply: `good`, `bad`, or anything else to take it back.
#[server(prefix = "/api/fn", endpoint = "chat/rate")]
pub async fn rate(
    message: String,
    #[server(default)] rating: String,
    #[server(default)] note: String,
) -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing, follow_form};
    let is_good = match rating.as_str() {
        "good" => Some(true),
        "bad" => Some(false),
        _ => None,
    };
    let conversation = failing(app().chat.rate(&caller(), &message, is_good, &note).await)?;
    follow_form(&format!("/chat/{conversation}#m-{message}"));
    Ok(())
}

/// Takes note that the caller has seen a conversation's last reply.
#[server(prefix = "/api/fn", endpoint = "chat/see")]
pub async fn see(conversation: String) -> Result<(), Failure> {
    use crate::server::context::{app, caller, failing};
    failing(app().chat.see(&caller(), &conversation).await)
}
