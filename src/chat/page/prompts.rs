//! `/settings/prompts`: texts that people write often, and the names they call them with.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{
    chat::view::Prompt,
    server::context,
    ui::{html::escaped, icon::Icon, page::awaited},
};

/// Where prompts are seen and changed.
pub(in crate::chat) const PATH: &str = "/settings/prompts";

/// `/settings/prompts`
#[component]
pub fn PromptsPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    awaited(async move {
        let prompts = app.chat.prompts(&caller).await?;
        Ok(prompts_page(prompts, None))
    })
}

/// What was typed and could not be saved, and why.
#[derive(Debug, Clone)]
pub(in crate::chat) struct Unsaved {
    pub prompt: Prompt,
    pub problem: String,
}

pub(in crate::chat) fn prompts_page(
    prompts: Vec<Prompt>,
    unsaved: Option<Unsaved>,
) -> impl IntoView {
    let problem = unsaved.as_ref().map(|unsaved| {
        let problem = unsaved.problem.clone();
        view! {
            <div class="notice" data-kind="error" role="alert">
                <Icon name="warning" />
                <div>{problem} " What you typed is kept below."</div>
            </div>
        }
    });
    let draft = unsaved.map(|unsaved| unsaved.prompt);
    let of_draft = draft.clone().filter(|draft| !draft.id.is_empty());
    let new = draft.filter(|draft| draft.id.is_empty()).unwrap_or_default();
    let is_empty = prompts.is_empty();
    let known = prompts.into_iter().map(|prompt| {
        let typed = of_draft.clone().filter(|draft| draft.id == prompt.id);
        let is_open = typed.is_some();
        item(prompt.clone(), typed.unwrap_or(prompt), is_open)
    });
    view! {
        <Title text="Saved prompts" />
        <main id="main" class="page" data-width="narrow" tabindex="-1">
            <h1>"Saved prompts"</h1>
            <p>"Texts you write often. In a message, type a slash and the name, or choose “Use” here."</p>
            {problem}
            {is_empty.then(|| view! { <p class="empty">"You have none yet."</p> })}
            <ul class="prompts" role="list">{known.collect_view()}</ul>
            <section class="panel" aria-labelledby="new-prompt">
                <h2 id="new-prompt">"A new prompt"</h2>
                {fields(new)}
            </section>
        </main>
    }
}

fn item(prompt: Prompt, typed: Prompt, is_open: bool) -> impl IntoView {
    let text: String = url::form_urlencoded::byte_serialize(prompt.text.as_bytes()).collect();
    view! {
        <li class="panel">
            <div class="panel-head">
                <h2>{format!("/{}", prompt.name)}</h2>
                <a class="button" href=format!("/chat?text={text}")>
                    "Use"
                </a>
                <form method="post" action=PATH>
                    <input type="hidden" name="id" value=prompt.id />
                    <button class="button" data-variant="quiet" name="delete" value="true">
                        <Icon name="trash" />
                        <span class="visually-hidden">{format!("Delete /{}", prompt.name)}</span>
                    </button>
                </form>
            </div>
            <p class="prompt-text" dir="auto">
                {prompt.text}
            </p>
            <details open=is_open>
                <summary>"Change"</summary>
                {fields(typed)}
            </details>
        </li>
    }
}

fn fields(prompt: Prompt) -> impl IntoView {
    let Prompt { id, name, text } = prompt;
    let of = |field: &str| format!("{field}-{}", if id.is_empty() { "new" } else { &id });
    let (name_id, text_id) = (of("name"), of("text"));
    view! {
        <form class="field" method="post" action=PATH>
            <input type="hidden" name="id" value=id />
            <label for=name_id.clone()>"Name"</label>
            <input id=name_id name="name" value=name required maxlength="41" autocomplete="off" />
            <label for=text_id.clone()>"Text"</label>
            <textarea
                id=text_id
                name="text"
                rows="4"
                dir="auto"
                required
                inner_html=escaped(&text)
            ></textarea>
            <div class="actions">
                <button class="button" data-variant="primary">
                    "Save"
                </button>
            </div>
        </form>
    }
}
