//! Conversations and the replies written into them.
//!
//! A reply is a *run*: a task of the server's own that reads the provider, appends numbered events
//! to a log and finishes the message. Requests only start runs and read their logs, so a reader may
//! come, go and come back without the run noticing.

pub mod api;
mod client;
mod document;
pub mod island;
pub mod sse;
pub mod wire;

#[cfg(feature = "ssr")]
mod about;
#[cfg(feature = "ssr")]
pub mod feed;
#[cfg(feature = "ssr")]
pub mod files;
#[cfg(feature = "ssr")]
mod frames;
#[cfg(feature = "ssr")]
mod intake;
#[cfg(feature = "ssr")]
pub mod list;
#[cfg(feature = "ssr")]
mod live;
#[cfg(feature = "ssr")]
mod log;
#[cfg(feature = "ssr")]
pub mod markdown;
#[cfg(feature = "ssr")]
pub mod page;
#[cfg(feature = "ssr")]
pub mod provider;
#[cfg(feature = "ssr")]
mod render;
#[cfg(feature = "ssr")]
mod reply;
#[cfg(feature = "ssr")]
mod retry;
#[cfg(feature = "ssr")]
pub mod routes;
#[cfg(feature = "ssr")]
mod run;
#[cfg(feature = "ssr")]
pub mod service;
#[cfg(feature = "ssr")]
mod store;
#[cfg(feature = "ssr")]
mod tools;
#[cfg(feature = "ssr")]
pub mod transcript;
#[cfg(feature = "ssr")]
mod upload;
#[cfg(feature = "ssr")]
mod view;

#[cfg(feature = "ssr")]
pub use {log::RunLog, service::Chat, tools::Tools};
