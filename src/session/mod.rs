//! One browser's signed-in state, and the tokens it holds.
//!
//! The cookie carries a random id and nothing else. `sessions` remembers who signed in, `grants`
//! keeps the tokens (encrypted) and refreshes them, `caller` says who a request acts for.

pub mod api;
pub mod wire;

#[cfg(feature = "ssr")]
pub mod caller;
#[cfg(feature = "ssr")]
pub mod cookie;
#[cfg(feature = "ssr")]
mod device;
#[cfg(feature = "ssr")]
pub mod grants;
#[cfg(feature = "ssr")]
pub mod identity;
#[cfg(feature = "ssr")]
pub mod page;
#[cfg(feature = "ssr")]
pub mod routes;
#[cfg(feature = "ssr")]
pub mod seal;
#[cfg(feature = "ssr")]
pub mod sessions;
#[cfg(feature = "ssr")]
mod store;

#[cfg(feature = "ssr")]
pub use {
    caller::{ActiveSession, Caller, ChannelCaller},
    grants::{Grant, Grants},
    identity::Identity,
    sessions::{Arrival, Sessions},
    store::{Ended, SessionKey},
};
