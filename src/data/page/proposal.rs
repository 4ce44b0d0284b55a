//! `/data/-/changes/{id}`: a change that an assistant proposes, as a form; or what has become of it.

use std::slice;

use leptos::prelude::*;
use leptos_meta::Title;
use url::form_urlencoded::byte_serialize;

use super::{
    address,
    form::{FormView, Typed, Wanted, edit_form, new_form, page, title_of},
    pending, script,
};
use crate::{
    data::{
        changes::{Change, Deed, State},
        form::Opened,
        options,
        resources::{change_address, record_address},
        service::Resource,
    },
    error::Result,
    server::state::App,
    session::Caller,
    ui::{icon::Icon, reader::Reader},
};

const NOTE: &str = "An assistant has filled this in. Nothing is written before you confirm it.";

pub(super) async fn change_page(
    app: App,
    caller: Caller,
    id: String,
    reader: Reader,
) -> Result<impl IntoView> {
    let change = app.changes.find(&caller, &id).await?;
    let resource = app.data().resource(&caller, &change.group, &change.name).await?;
    let back = match change.message.as_str() {
        "" => None,
        message => app.chat.place_of(&caller, message).await?,
    };
    if change.can_be_confirmed() {
        let form = proposal_form(&app, &resource, &change, back, None);
        let first = options::first(&app.data(), &caller, &resource).await;
        return Ok(page(form.offering(first, &resource, None)).into_any());
    }
    Ok(state(&reader, &resource, &change, back).into_any())
}

/// The form of a change that waits for the person; `back` is where it was proposed.
pub fn proposal_form(
    app: &App,
    resource: &Resource,
    change: &Change,
    back: Option<String>,
    typed: Option<&Typed>,
) -> FormView {
    let mut opened = change.opened.clone();
    let wanted = Wanted::of(slice::from_ref(change), &mut opened);
    let form = match change.deed {
        Deed::Create => {
            let start = Opened { values: change.values.clone(), ..opened };
            let refusal = change.outcome.refusal.clone().unwrap_or_default();
            let refused = Typed { form: Vec::new(), refusal };
            let typed = typed.or((change.state == State::Refused).then_some(&refused));
            new_form(app, resource, "", &start, typed)
        }
        _ => {
            let title = title_of(&resource.config, &change.record, Some(&change.title));
            edit_form(app, resource, &change.record, &title, &opened, &wanted, typed)
        }
    };
    let back = back.unwrap_or_else(|| address(&resource.config));
    let hidden = vec![("do", "confirm".to_owned())];
    form.sent_to(change_address(&change.id), back, hidden, Some(NOTE))
}

/// What has become of a change.
fn state(
    reader: &Reader,
    resource: &Resource,
    change: &Change,
    back: Option<String>,
) -> impl IntoView + use<> {
    let list = address(&resource.config);
    let record = match change.record.as_str() {
        "" => list,
        id => record_address(&list, id),
    };
    let words = match change.state {
        State::Done => Some("This is done."),
        State::Dropped if change.outcome.is_replaced => {
            Some("You have written something else in its place.")
        }
        State::Dropped if change.outcome.is_unclear => {
            Some("This was given up. The backend did not say whether it was done.")
        }
        State::Dropped | State::Invalid => Some("This was taken back. Nothing was written by it."),
        State::Draft => Some("This waits together with others."),
        _ => None,
    };
    let words = words.map(|words| view! { <p>{words}</p> });
    let is_open = words.is_none();
    let notice = is_open.then(|| pending::bar(reader, slice::from_ref(change), resource));
    let back = back.map(|back| {
        view! {
            <a class="button" href=back>
                <Icon name="chevron-left" />
                "Back to the conversation"
            </a>
        }
    });
    let title = change.title.clone();
    view! {
        <Title text=title.clone() />
        <main id="main" class="page" data-width="narrow" tabindex="-1">
            <div class="page-head">
                <h1>{title}</h1>
            </div>
            {words}
            {notice}
            <div class="actions">
                {back}
                <a class="button" href=record>
                    {if change.record.is_empty() { "Go to the list" } else { "Go to the record" }}
                </a>
            </div>
            {script()}
        </main>
    }
}

/// The way from what is at `address` to a question about it.
pub(super) fn ask_about(address: &str) -> impl IntoView + use<> {
    let about: String = byte_serialize(address.as_bytes()).collect();
    view! {
        <a class="button" href=format!("/chat?about={about}")>
            <Icon name="quote" />
            "Ask about this"
        </a>
    }
}
