//! One file per service.

mod command;
mod completion;
mod inspection;
mod package;
mod party;
mod state;
mod update;
mod user;
mod version;
