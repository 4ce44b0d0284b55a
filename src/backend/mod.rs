//! The only place that talks to a backend.
//!
//! Given a caller, a backend and a request it checks the target, strips and then sets headers, adds
//! the tenant, the credentials and the CSRF token, sends, and hands the answer back as a stream.
//!
//! | module | answers |
//! |---|---|
//! | `target` | may this path be asked for, and where is it? |
//! | `headers` | what crosses, in either direction? |
//! | `tenant` | whose data? |
//! | `credentials` | who asks? |
//! | `csrf` | which token and cookies does the backend want besides? |
//! | `body` | how do bytes pass without being gathered? |
//! | `silence` | when has nothing come for too long? |
//! | `pool` | on which connection? |
//! | `last_good` | what did it answer before it went down? |
//! | `client` | all of it, in order |

#[cfg(feature = "ssr")]
mod body;
#[cfg(feature = "ssr")]
mod call;
#[cfg(feature = "ssr")]
mod client;
#[cfg(feature = "ssr")]
mod credentials;
#[cfg(feature = "ssr")]
mod csrf;
#[cfg(feature = "ssr")]
mod headers;
#[cfg(feature = "ssr")]
mod last_good;
#[cfg(feature = "ssr")]
mod pool;
#[cfg(feature = "ssr")]
mod silence;
#[cfg(feature = "ssr")]
pub mod target;
#[cfg(feature = "ssr")]
mod tenant;

#[cfg(feature = "ssr")]
pub use {
    body::IdleBody,
    call::Call,
    client::{Backend, Backends, read, refusal},
    last_good::{LastGood, Question, age},
    silence::Silence,
};
