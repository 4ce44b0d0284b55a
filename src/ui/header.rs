//! The bar at the top of every page.

use leptos::{prelude::*, server_fn::ServerFn};

use super::icon::Icon;
use crate::{
    server::context,
    session::{Identity, api::SignOut},
};

/// In the context of a page that stands within another site's: it has no header.
#[derive(Debug, Clone, Copy)]
pub struct Embedded;

/// Brand, places to go, and the account menu.
#[component]
pub fn SiteHeader() -> impl IntoView {
    use_context::<Embedded>().is_none().then(header)
}

fn header() -> impl IntoView {
    let caller = context::caller();
    let identity = caller.identity().cloned();
    let path = context::with_parts(|parts| parts.uri.path().to_owned());
    let is_demo = context::app().sandbox.is_some();
    view! {
        <header class="site">
            <a class="brand" href="/">
                <Icon name="breezeway" />
                "Breezeway"
            </a>
            {is_demo
                .then(|| {
                    view! {
                        <span class="demo-mark">
                            "Demo" <span class="wide-text">": sandbox data"</span>
                        </span>
                    }
                })}
            {identity
                .map(|identity| {
                    view! {
                        <nav aria-label="Main">
                            <Place href="/chat" title="Chat" path=path.clone() />
                            <Place href="/data" title="Data" path=path />
                        </nav>
                        <Account identity />
                    }
                })}
        </header>
    }
}

#[component]
fn Place(href: &'static str, title: &'static str, path: String) -> impl IntoView {
    let is_here =
        path.strip_prefix(href).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    view! {
        <a href=href aria-current=is_here.then_some("page")>
            {title}
        </a>
    }
}

#[component]
fn Account(identity: Identity) -> impl IntoView {
    let initials: String =
        identity.name.split_whitespace().filter_map(|word| word.chars().next()).take(2).collect();
    let roles = identity.roles.join(", ");
    let place = match identity.tenant {
        Some(tenant) if roles.is_empty() => tenant,
        Some(tenant) => format!("{tenant} · {roles}"),
        None => roles,
    };
    view! {
        <details class="account">
            <summary>
                <span class="avatar" aria-hidden="true">
                    {initials}
                </span>
                <span class="wide-text">{identity.name.clone()}</span>
                <Icon name="chevron-down" />
            </summary>
            <div class="menu">
                <p>
                    <strong>{identity.name}</strong>
                    {place}
                </p>
                <a class="button" data-variant="quiet" href="/settings/sessions">
                    <Icon name="devices" />
                    "Where you are signed in"
                </a>
                <form method="post" action=SignOut::url()>
                    <button class="button" data-variant="quiet">
                        <Icon name="sign-out" />
                        "Sign out"
                    </button>
                </form>
            </div>
        </details>
    }
}
