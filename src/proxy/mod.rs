//! Passing requests through to backends: `/api/proxy` for any path, `/api/brain` for declared
//! resources.

#[cfg(feature = "ssr")]
mod answer;
#[cfg(feature = "ssr")]
mod last_good;
#[cfg(feature = "ssr")]
mod routes;

#[cfg(feature = "ssr")]
pub use {
    last_good::LastGood,
    routes::{answer, takes},
};
