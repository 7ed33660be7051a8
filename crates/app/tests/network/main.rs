//! Processes of the binary over configuration files, as their users run them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod balancer;
mod changing;
mod commands;
mod conformance;
mod console;
mod examples;
mod harness;
mod health;
mod keys;
mod managing;
mod manual;
mod model;
mod operate;
mod retries;
mod scripts;
mod sessions;
mod simple;
mod tls;
mod tokens;
