//! HTTP behaviour, tried on the real router with real upstreams, all listening on loopback, and the
//! program itself as a shell starts it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod auth;
mod branches;
mod changes;
mod channels;
mod chat;
mod chat_api;
mod command;
mod data;
mod feed;
mod files;
mod gateway;
mod library;
mod lost;
mod manage;
mod pages;
mod provider;
mod providers;
mod refresh;
mod sessions;
mod support;
mod tools;
mod wire;
