//! The only place that talks to a backend.
//!
//! Given a caller, a backend and a request it checks the target, strips and then sets headers, adds
//! the tenant and the credentials, sends, and hands the answer back as a stream.

#[cfg(feature = "ssr")]
mod client;
#[cfg(feature = "ssr")]
mod headers;
#[cfg(feature = "ssr")]
mod idle;
#[cfg(feature = "ssr")]
mod target;
#[cfg(feature = "ssr")]
mod tenant;

#[cfg(feature = "ssr")]
pub use client::{Backends, Call, read};
#[cfg(feature = "ssr")]
pub use headers::response_headers;
