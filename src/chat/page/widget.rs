//! The chat within a frame on somebody else's page: one conversation, without the site around it.

use leptos::prelude::*;
use leptos_meta::Title;
use uuid::Uuid;

use super::dialogs::script;
use crate::{
    chat::{document::TURNS, island::Conversation, render::turns, service::Conversation as Talk},
    error::Result,
    server::state::App,
    session::{Caller, Identity},
    ui::{header::Embedded, html::escaped, icon::Icon},
};

/// How the page around wants it to look.
#[derive(Debug, Clone)]
pub struct WidgetLook {
    /// What the visitor's address says, for the way to a new conversation.
    pub address: String,
    /// What stands above it.
    pub title: String,
    /// What is said before the first message, as plain text; the assistant's own words where empty.
    pub greeting: String,
}

/// What a widget shows.
#[derive(Clone)]
pub struct WidgetChat {
    talk: Talk,
    turns: String,
    assistant: String,
    greeting: String,
    drafts: String,
    look: WidgetLook,
}

impl WidgetChat {
    /// The visitor's last conversation, or a new one.
    pub async fn of(app: &App, caller: &Caller, is_new: bool, look: WidgetLook) -> Result<Self> {
        let last = app.chat.conversations(caller, None, 1).await?.lines.into_iter().next();
        let talk = match last.filter(|_| !is_new) {
            Some(last) => app.chat.conversation(caller, &last.id, None).await?,
            None => Talk::default(),
        };
        let assistant = app.chat.answerer(caller)?;
        let greeting = match look.greeting.as_str() {
            "" => super::greeting(Some(assistant)),
            words => format!("<h2>{}</h2><p>{}</p>", escaped(&look.title), escaped(words)),
        };
        Ok(Self {
            turns: turns(&talk.messages, |name| app.chat.who(name)),
            assistant: assistant.title.clone(),
            drafts: caller.identity().map(Identity::tag).unwrap_or_default(),
            talk,
            greeting,
            look,
        })
    }

    /// The page. Its forms need its script, which says who asks.
    pub fn view(&self) -> impl IntoView + use<> {
        provide_context(Embedded);
        let Self { talk, turns, assistant, greeting, drafts, look } = self.clone();
        let running = talk.messages.iter().find_map(|message| message.run.clone());
        let after = super::last_of(&talk.messages);
        let nonce = leptos::nonce::use_nonce();
        view! {
            <Title text=look.title.clone() />
            <script src="/widget-page.js" nonce=nonce></script>
            <main id="main" class="chat widget" tabindex="-1">
                <section class="conversation" aria-label="Conversation">
                    <header class="conversation-bar">
                        <h1>{look.title}</h1>
                        <a
                            class="button"
                            data-variant="quiet"
                            data-shape="icon"
                            href=format!("{}&new=1", look.address)
                        >
                            <Icon name="plus" />
                            <span class="visually-hidden">"New chat"</span>
                        </a>
                        <button
                            class="button"
                            data-variant="quiet"
                            data-shape="icon"
                            type="button"
                            data-close
                        >
                            <Icon name="close" />
                            <span class="visually-hidden">"Close"</span>
                        </button>
                    </header>
                    <Conversation
                        id=talk.line.id
                        assistant
                        greeting
                        cursor=talk.cursor.to_string()
                        begun=!talk.messages.is_empty()
                        after
                        beside=String::new()
                        text=String::new()
                        accept=String::new()
                        most=String::new()
                        running=running.map(|run| run.id).unwrap_or_default()
                        request_id=Uuid::new_v4().simple().to_string()
                        drafts
                    >
                        <div class="contents" id=TURNS inner_html=turns></div>
                    </Conversation>
                </section>
                <p id="said" class="visually-hidden" role="status"></p>
            </main>
            {script()}
        }
    }
}
