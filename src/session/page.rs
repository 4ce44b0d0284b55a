//! `/settings/sessions`: where am I signed in?

use leptos::{prelude::*, server_fn::ServerFn};
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{
    Caller,
    api::{EndOtherSessions, EndSession},
    wire::SessionLine,
};
use crate::{
    error::Result,
    server::{context, state::App},
    ui::{icon::Icon, page::awaited},
};

const MOMENT: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day] [hour]:[minute] UTC");

/// `/settings/sessions`
#[component]
pub fn SessionsPage() -> impl IntoView {
    let ended = use_query_map().read().get("ended").and_then(|count| count.parse().ok());
    awaited(sessions(context::app(), context::caller(), ended))
}

async fn sessions(app: App, caller: Caller, ended: Option<usize>) -> Result<impl IntoView> {
    let lines = app.sessions.of_person(&caller).await?;
    let others = lines.iter().filter(|line| !line.is_here).count();
    Ok(view! {
        <Title text="Sessions" />
        <main id="main" class="page" data-width="narrow" tabindex="-1">
            <div class="page-head">
                <h1>"Where you are signed in"</h1>
                {(others > 0).then(end_others)}
            </div>
            {ended.map(notice)}
            <section class="panel">
                <ul class="sessions" role="list">
                    {lines.into_iter().map(line).collect_view()}
                </ul>
            </section>
            {(others == 0).then(|| view! { <p>"You are signed in nowhere else."</p> })}
        </main>
    })
}

fn notice(ended: usize) -> impl IntoView {
    let text = match ended {
        1 => "One session was ended. That browser has to sign in again.".to_owned(),
        count => format!("{count} sessions were ended. Those browsers have to sign in again."),
    };
    view! {
        <div class="notice" data-kind="info" role="status">
            <Icon name="check" />
            <div>{text}</div>
        </div>
    }
}

fn end_others() -> impl IntoView {
    view! {
        <form method="post" action=EndOtherSessions::url()>
            <button class="button">
                <Icon name="sign-out" />
                "Sign out everywhere else"
            </button>
        </form>
    }
}

fn line(line: SessionLine) -> impl IntoView {
    let SessionLine { id, device, since, last_used, is_here } = line;
    let end = format!("Sign out {device}");
    view! {
        <li>
            <div>
                <strong>{device}</strong>
                {is_here.then(|| view! { <span class="tag">"This browser"</span> })}
                <p>
                    "Signed in " {moment(since)} ", last used " {moment(last_used)}
                </p>
            </div>
            {(!is_here)
                .then(|| {
                    view! {
                        <form method="post" action=EndSession::url()>
                            <input type="hidden" name="id" value=id />
                            <button class="button" data-variant="quiet" aria-label=end>
                                "Sign out"
                            </button>
                        </form>
                    }
                })}
        </li>
    }
}

fn moment(seconds: i64) -> impl IntoView {
    let text = OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(MOMENT).ok())
        .unwrap_or_default();
    let machine = text.replace(" UTC", "Z").replace(' ', "T");
    view! { <time datetime=machine>{text}</time> }
}
