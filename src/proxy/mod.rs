//! Passing requests through to backends: `/api/proxy` for any path, `/api/brain` for declared
//! resources.

#[cfg(feature = "ssr")]
mod answer;
#[cfg(feature = "ssr")]
mod routes;

#[cfg(feature = "ssr")]
pub use routes::{answer, takes};
