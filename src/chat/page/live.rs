//! The page on which a reply arrives without a script: the answer is not finished before the reply is.

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Response, StatusCode, header::CONTENT_LENGTH},
    response::{IntoResponse, Redirect},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use leptos::{prelude::*, server_fn::ServerFn};
use leptos_meta::Title;

use super::{LISTED, bar::bar, sidebar::sidebar};
use crate::{
    chat::{
        api::StopRun,
        render::{around, body, step, turns},
        service::Events,
        view::{Listing, MessageView, StepView, Who},
        wire::RunEvent,
    },
    error::{Error, Result},
    server::{extract::Path, html, state::App},
    session::Caller,
    ui::{html::escaped, icon::Icon, zone::Zone},
};

/// Stands in a rendered page where the reply is to be streamed.
const REPLY_GOES_HERE: &str = "<reply-goes-here></reply-goes-here>";
const LARGEST_PAGE: usize = 64 << 20;

/// `GET /chat/{id}/live`: the conversation, with the reply arriving as part of the page. A browser
/// shows what it has of a page while the rest is on its way, so this needs no script. Superseded
/// text is hidden by the style sheet as soon as its finished block follows.
pub(in crate::chat) async fn live(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response<Body>> {
    let (head, _) = request.into_parts();
    let mut talk = app.chat.conversation(&caller, &id, None).await?;
    let listing = app.chat.conversations(&caller, None, LISTED).await?;
    let running = talk.messages.pop_if(|last| last.run.is_some());
    let Some((reply, cursor)) = running.and_then(|reply| reply.run.clone().map(|run| (reply, run)))
    else {
        return Ok(Redirect::to(&format!("/chat/{id}")).into_response());
    };
    let events = app.chat.follow(&caller, &cursor.id, cursor.after).await?;
    let who = app.chat.who(reply.assistant.as_deref());
    let assistant = who.title.clone();
    let (begin, end) = around(&reply, &assistant);
    let turns = turns(&talk.messages, |name| app.chat.who(name));
    let turns = format!("{turns}{begin}{REPLY_GOES_HERE}{end}");
    let title = talk.line.title;
    let page =
        Live { listing, conversation: talk.line.id, title, turns, assistant, run: cursor.id };
    let rendered = html::page(&app, head, StatusCode::OK, move || page.view()).await;
    stream_into(rendered, reply, who, events, id).await
}

#[derive(Clone)]
struct Live {
    listing: Listing,
    conversation: String,
    title: String,
    /// The messages, with the place where the reply goes.
    turns: String,
    assistant: String,
    run: String,
}

impl Live {
    fn view(&self) -> impl IntoView + use<> {
        let Self { listing, conversation, title, turns, assistant, run } = self.clone();
        view! {
            <Title text=title.clone() />
            <main id="main" class="chat" tabindex="-1">
                {sidebar(&listing, &conversation, &Zone::of_page())}
                <section class="conversation" aria-label="Conversation">
                    {bar(title, ())}
                    <form class="live-controls" method="post" action=StopRun::url()>
                        <input type="hidden" name="run" value=run />
                        <span class="writing">{format!("{assistant} is writing…")}</span>
                        <button class="button">
                            <Icon name="stop" />
                            "Stop"
                        </button>
                    </form>
                    <div class="log" role="log" aria-live="off" aria-label="Messages" tabindex="0">
                        <div class="messages" inner_html=turns></div>
                    </div>
                    <form class="composer" method="get" action=format!("/chat/{conversation}")>
                        <button class="button" data-variant="primary">
                            "Go on with this conversation"
                        </button>
                    </form>
                </section>
            </main>
        }
    }
}

/// Cuts the page where the reply goes, and sends first the one half, then the reply as it is
/// written, then the other half.
async fn stream_into(
    page: Response<Body>,
    reply: MessageView,
    who: Who,
    events: Events,
    conversation: String,
) -> Result<Response<Body>> {
    let (mut head, body) = page.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    let body = to_bytes(body, LARGEST_PAGE).await.map_err(Error::internal)?;
    let body = String::from_utf8(body.to_vec()).map_err(Error::internal)?;
    let (before, after) = body
        .split_once(REPLY_GOES_HERE)
        .ok_or_else(|| Error::internal(format!("the page of {conversation} has no reply in it")))?;
    let mut arriving = Arriving::of(who);
    let before = format!("{before}{}", arriving.begin(&reply));
    let arriving = stream::unfold((events, arriving), |(mut events, mut arriving)| async move {
        let (_, event) = events.next().await?;
        Some((arriving.piece(event), (events, arriving)))
    });
    let pieces = stream::once(std::future::ready(before))
        .chain(arriving)
        .chain(stream::once(std::future::ready(after.to_owned())))
        .map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from(piece)));
    Ok(Response::from_parts(head, Body::from_stream(pieces)))
}

const BEGIN_THOUGHTS: &str =
    "<details class=\"reasoning\" open><summary>Thoughts</summary><div class=\"thought\">";
const END_THOUGHTS: &str = "</div></details>";
const BEGIN_BODY: &str = "<div class=\"markdown\" dir=\"auto\">";
const BEGIN_OPEN: &str = "<div class=\"open\">";

/// A reply's HTML in the order it is written. What a page has sent it cannot take back, so an open
/// block is written as text first and again, finished, after it; a block of a reply in HTML once
/// another follows it.
struct Arriving {
    who: Who,
    stage: Stage,
    open: String,
    blocks: Vec<String>,
    written: usize,
}

#[derive(Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Thinking,
    Replying,
}

impl Arriving {
    fn of(who: Who) -> Self {
        Self { who, stage: Stage::Before, open: String::new(), blocks: Vec::new(), written: 0 }
    }

    /// What has arrived before the page was asked for.
    fn begin(&mut self, reply: &MessageView) -> String {
        let mut html = String::new();
        if !reply.reasoning.is_empty() {
            html += &self.enter(Stage::Thinking);
            html += &escaped(&reply.reasoning);
        }
        if !reply.html.is_empty() || !reply.text.is_empty() {
            html += &self.enter(Stage::Replying);
            html += &self.finished(&body(reply, &self.who));
            html += &escaped(&reply.text);
            self.open.clone_from(&reply.text);
        }
        html
    }

    fn piece(&mut self, event: RunEvent) -> String {
        match event {
            RunEvent::Reasoning { text } => self.enter(Stage::Thinking) + &escaped(&text),
            RunEvent::Text { text } => {
                self.open.push_str(&text);
                self.enter(Stage::Replying) + &escaped(&text)
            }
            RunEvent::Block { html, length } => {
                self.open.drain(..length.min(self.open.len()));
                let rest = escaped(&self.open);
                self.finished(&html) + &rest
            }
            RunEvent::Html { keep, blocks } => {
                self.blocks.truncate(keep);
                self.blocks.extend(blocks);
                self.write_up_to(self.blocks.len().saturating_sub(1))
            }
            RunEvent::Step(done) => {
                let done = step(&StepView::new(*done), &self.who);
                self.finished(&done) + &escaped(&self.open)
            }
            RunEvent::Whole { html, .. } => self.finished(&html),
            RunEvent::Wait { .. } => {
                "<p class=\"writing\">The assistant is busy, and is asked again soon.</p>"
                    .to_owned()
            }
            RunEvent::End(outcome) => {
                let rest = self.write_up_to(self.blocks.len());
                let end = match self.stage {
                    Stage::Before => "",
                    Stage::Thinking => END_THOUGHTS,
                    Stage::Replying => "</div></div>",
                };
                let problem = outcome.problem.map(|text| format!("<p>{}</p>", escaped(&text)));
                format!("{rest}{end}{}", problem.unwrap_or_default())
            }
        }
    }

    fn enter(&mut self, stage: Stage) -> String {
        if self.stage == stage || self.stage == Stage::Replying {
            return String::new();
        }
        let end = if self.stage == Stage::Thinking { END_THOUGHTS } else { "" };
        let begin = match stage {
            Stage::Thinking => BEGIN_THOUGHTS.to_owned(),
            _ => format!("{BEGIN_BODY}{BEGIN_OPEN}"),
        };
        self.stage = stage;
        format!("{end}{begin}")
    }

    /// A finished block, behind the text that it supersedes.
    fn finished(&mut self, html: &str) -> String {
        let begin = self.enter(Stage::Replying);
        format!("{begin}</div>{html}{BEGIN_OPEN}")
    }

    fn write_up_to(&mut self, end: usize) -> String {
        let fresh = self.blocks.get(self.written..end).unwrap_or_default().concat();
        self.written = self.written.max(end);
        if fresh.is_empty() { fresh } else { self.finished(&fresh) }
    }
}
