//! Declared resources and the pages over them.
//!
//! A resource is a table in `Leptos.toml`, not code: from it come the API route, the list and the
//! record page.
//!
//! | module | answers |
//! |---|---|
//! | `resources` | what is declared? |
//! | `access` | who may do what with it? |
//! | `fields`, `openapi` | what do its records hold? |
//! | `describe` | how would it be declared? |
//! | `query` | which part of a list does an address ask for? |
//! | `style` | how is a backend asked for that, and what did it answer? |
//! | `value`, `present` | what does a value mean, and how do people read it? |
//! | `options`, `files` | what can a relation lead to, and how does a file get there? |
//! | `form`, `rules` | how is it entered, and what may it be? |
//! | `refusal` | why does a backend not take it? |
//! | `export`, `import` | how does a list leave as a file, and come as one? |
//! | `views` | under which names are lists kept? |
//! | `summary` | what does a list come to? |
//! | `changes` | what is still to be done, and what was done? |
//! | `tools`, `about` | what can assistants do with it, and what is a question about? |
//! | `service` | all of it, in order |
//! | `page`, `routes` | the pages, and what their forms are sent to |

pub mod about;
pub mod access;
mod changes;
mod describe;
mod export;
mod fields;
mod files;
mod form;
mod import;
mod openapi;
mod options;
pub mod page;
mod present;
mod query;
mod refusal;
mod resources;
pub mod routes;
mod rules;
mod service;
mod style;
mod summary;
pub mod tools;
mod value;
mod views;

pub use {
    changes::{Changes, Deed, Standing},
    describe::describe,
    fields::KnownFields,
    resources::Resources,
    service::Data,
    views::Views,
};
