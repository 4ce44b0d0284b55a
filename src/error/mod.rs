//! What went wrong, in words that can be shown to people.
//!
//! Every room reports trouble as an [`Error`]: a [`Kind`] that decides the HTTP status, a sentence
//! for the person, and the cause, which is logged once at the boundary and never leaves the server.
//! Build errors with the named constructors: `Error::not_found("…")`, `Error::internal(cause)`.

#[cfg(feature = "ssr")]
mod server;
mod wire;

#[cfg(feature = "ssr")]
pub use server::{Error, Result};
pub use wire::{Failure, Kind};
