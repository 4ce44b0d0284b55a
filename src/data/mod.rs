//! Declared resources and the pages over them.
//!
//! A resource is a table in `Leptos.toml`, not code: from it come the API route, the list and the
//! record page.
//!
//! | module | answers |
//! |---|---|
//! | `resources` | what is declared? |
//! | `access` | who may do what with it? |
//! | `fields` | what do its records hold? |
//! | `query` | which part of a list does an address ask for? |
//! | `style` | how is a backend asked for that, and what did it answer? |
//! | `value`, `present` | what does a value mean, and how do people read it? |
//! | `service` | all of it, in order |
//! | `page` | the pages |

pub mod island;

#[cfg(feature = "ssr")]
pub mod access;
#[cfg(feature = "ssr")]
mod fields;
#[cfg(feature = "ssr")]
pub mod page;
#[cfg(feature = "ssr")]
mod present;
#[cfg(feature = "ssr")]
mod query;
#[cfg(feature = "ssr")]
mod resources;
#[cfg(feature = "ssr")]
mod service;
#[cfg(feature = "ssr")]
mod style;
#[cfg(feature = "ssr")]
mod value;

#[cfg(feature = "ssr")]
pub use {fields::KnownFields, resources::Resources, service::Data};
