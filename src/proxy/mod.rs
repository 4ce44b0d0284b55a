//! Passing requests through to backends: `/api/proxy` for any path, `/api/brain` for declared
//! resources.

#[cfg(feature = "ssr")]
pub mod routes;
