//! What the keyboard opens: the palette and the sheet of shortcuts. Only the page's script shows them.

use leptos::prelude::*;

use crate::chat::view::Prompt;

/// Keys, the same on a Mac where they differ, and what they do.
const SHORTCUTS: &[(&str, &str, &str)] = &[
    ("Enter", "", "Send"),
    ("Shift Enter", "", "New line"),
    ("Esc", "", "Stop the reply"),
    ("↑", "", "In an empty message: change your last one"),
    ("/", "", "Write a message; in it, choose a saved prompt"),
    ("Ctrl K", "⌘ K", "Find a conversation or a command"),
    ("Ctrl Shift O", "⌘ ⇧ O", "New chat"),
    ("Ctrl Shift ;", "⌘ ⇧ ;", "Copy the last reply"),
    ("?", "", "Show this sheet"),
];

/// Commands of the palette: what the script calls them, and what people do.
const COMMANDS: &[(&str, &str)] = &[
    ("new", "New chat"),
    ("rename", "Rename this conversation"),
    ("export", "Export this conversation as Markdown"),
    ("shortcuts", "Keyboard shortcuts"),
];

pub(super) fn dialogs() -> impl IntoView {
    let shortcut = |(keys, on_mac, words): &(&'static str, &'static str, &'static str)| {
        let on_mac = Some(*on_mac).filter(|keys| !keys.is_empty());
        view! {
            <div>
                <dt>
                    <kbd data-mac=on_mac>{*keys}</kbd>
                </dt>
                <dd>{*words}</dd>
            </div>
        }
    };
    let command = |(name, words): &(&'static str, &'static str)| {
        view! {
            <button type="button" data-command=*name>
                {*words}
            </button>
        }
    };
    view! {
        <dialog id="palette" class="palette" aria-label="Find a conversation or a command">
            <input
                type="text"
                role="searchbox"
                placeholder="Find a conversation or a command"
                aria-label="Find a conversation or a command"
                autocomplete="off"
                autofocus
            />
            <div class="commands">{COMMANDS.iter().map(command).collect_view()}</div>
            <div class="found"></div>
            <p class="visually-hidden" role="status"></p>
        </dialog>
        <dialog id="shortcuts" class="shortcuts" aria-labelledby="shortcuts-title">
            <form method="dialog">
                <h2 id="shortcuts-title">"Keyboard shortcuts"</h2>
                <dl>{SHORTCUTS.iter().map(shortcut).collect_view()}</dl>
                // Who speaks to the computer says such keys by accident (WCAG 2.2, 2.1.4).
                <label>
                    <input id="single-keys" type="checkbox" checked />
                    "Use / and ? as shortcuts"
                </label>
                <button class="button" autofocus>
                    "Close"
                </button>
            </form>
        </dialog>
        <p id="said" class="visually-hidden" role="status"></p>
    }
}

/// What the composer offers after a slash.
pub(super) fn prompt_list(prompts: &[Prompt]) -> impl IntoView + use<> {
    let prompts = prompts.iter().enumerate().map(prompt).collect_view();
    view! {
        <ul id="prompts" class="prompt-list" role="listbox" aria-label="Saved prompts" hidden>
            {prompts}
        </ul>
    }
}

fn prompt((index, prompt): (usize, &Prompt)) -> impl IntoView + use<> {
    let Prompt { name, text, .. } = prompt.clone();
    let (id, written) = (format!("prompt-{index}"), text.clone());
    view! {
        <li id=id role="option" data-name=name.clone() data-text=written>
            <strong>{format!("/{name}")}</strong>
            <span dir="auto">{text}</span>
        </li>
    }
}

/// The page's script.
pub(super) fn script() -> impl IntoView {
    let nonce = leptos::nonce::use_nonce();
    view! { <script type="module" src="/chat.js" nonce=nonce></script> }
}
