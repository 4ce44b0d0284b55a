//! Ways in for messages other than the page, and the work that is done later.
//!
//! | module | what it is |
//! |---|---|
//! | `widget` | a chat on somebody else's site, let in by a token |
//! | `webhook` | messages that another service posts, proved by a signature |
//! | `deliveries` | answering those messages, once, whatever crashes |
//! | `jobs` | what has to be done every minute, by whoever calls for it |
//! | `routes` | the addresses of all of it |

#[cfg(feature = "ssr")]
mod deliveries;
#[cfg(feature = "ssr")]
pub mod jobs;
#[cfg(feature = "ssr")]
mod outbound;
#[cfg(feature = "ssr")]
pub mod routes;
#[cfg(feature = "ssr")]
mod store;
#[cfg(feature = "ssr")]
mod webhook;
#[cfg(feature = "ssr")]
mod widget;

#[cfg(feature = "ssr")]
pub use {
    deliveries::Deliveries,
    widget::{Widgets, let_read},
};
