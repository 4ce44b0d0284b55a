//! Breezeway stands between people's browsers and the backends a team already has.
//!
//! The map of the house, one room each: [`config`] reads `Leptos.toml`; [`store`] is the database;
//! [`session`] and [`auth`] know who is calling; [`backend`] talks to upstream services; [`proxy`],
//! [`chat`] and [`data`] are what people come for; [`sandbox`] is a backend to try it all with;
//! [`server`] puts the rooms together; [`ui`] and [`app`] are the frame of every page.
//!
//! The crate is built twice. With `ssr` it is the server. With `hydrate` it is what browsers load:
//! the islands, and the types that cross the network. In every room the role files say which half a
//! line runs in (`docs/architecture.md`).

#![recursion_limit = "256"]

pub mod auth;
pub mod backend;
pub mod channels;
pub mod chat;
#[cfg(feature = "ssr")]
pub mod data;
pub mod error;
pub mod proxy;
pub mod server;
pub mod session;
pub mod ui;

#[cfg(feature = "ssr")]
pub mod app;
#[cfg(feature = "ssr")]
pub mod config;
#[cfg(feature = "ssr")]
pub mod sandbox;
#[cfg(feature = "ssr")]
pub mod store;

/// Wakes the islands of a page.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    #[cfg(debug_assertions)]
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
}
