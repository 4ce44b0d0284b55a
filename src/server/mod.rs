//! The server around the rooms: router table, state, security headers, errors, health, runtimes.

#[cfg(feature = "ssr")]
pub mod assets;
#[cfg(feature = "ssr")]
pub mod client;
#[cfg(feature = "ssr")]
pub mod command;
#[cfg(feature = "ssr")]
pub mod context;
#[cfg(feature = "ssr")]
mod descriptors;
#[cfg(feature = "ssr")]
mod errors;
#[cfg(feature = "ssr")]
pub mod extract;
#[cfg(feature = "ssr")]
pub mod front;
#[cfg(feature = "ssr")]
mod health;
#[cfg(feature = "ssr")]
pub mod html;
#[cfg(feature = "ssr")]
mod listen;
#[cfg(feature = "ssr")]
pub mod observe;
#[cfg(feature = "ssr")]
pub mod router;
#[cfg(feature = "ssr")]
pub mod security;
#[cfg(feature = "ssr")]
pub mod serve;
#[cfg(feature = "ssr")]
pub mod state;
