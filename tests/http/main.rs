//! HTTP behaviour, tried on the real router with real upstreams, all listening on loopback.

mod auth;
mod chat;
mod data;
mod gateway;
mod pages;
mod support;
