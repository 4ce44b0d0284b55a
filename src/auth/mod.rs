//! Signing in and out with an OAuth 2.0 / OpenID Connect provider.
//!
//! `provider` talks to the provider, `id_token` checks what it signed, `attempt` remembers a
//! sign-in between leaving and coming back, `machine` signs Breezeway itself in, `renewal` gets new
//! tokens for grants that end, `service` puts them together, `routes` are the addresses a browser
//! visits.

#[cfg(feature = "ssr")]
mod attempt;
#[cfg(feature = "ssr")]
mod http;
#[cfg(feature = "ssr")]
mod id_token;
#[cfg(feature = "ssr")]
pub mod limits;
#[cfg(feature = "ssr")]
mod machine;
#[cfg(feature = "ssr")]
mod provider;
#[cfg(feature = "ssr")]
mod renewal;
#[cfg(feature = "ssr")]
mod return_to;
#[cfg(feature = "ssr")]
pub mod routes;
#[cfg(feature = "ssr")]
pub mod service;

#[cfg(feature = "ssr")]
pub use {
    machine::{MachineToken, MachineTokens},
    provider::{Provider, Source},
    renewal::Renewer,
    service::Auth,
};
