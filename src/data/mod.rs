//! Declared resources and the pages over them.
//!
//! A resource is a table in `Leptos.toml`, not code: from it come the API route, the list and the
//! record page.

pub mod api;
pub mod island;
pub mod wire;

#[cfg(feature = "ssr")]
pub mod page;
#[cfg(feature = "ssr")]
mod present;
#[cfg(feature = "ssr")]
mod resources;
#[cfg(feature = "ssr")]
mod service;

#[cfg(feature = "ssr")]
pub use {resources::Resources, service::Data};
