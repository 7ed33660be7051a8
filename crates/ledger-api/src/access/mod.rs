//! Who may call: bearer tokens (JSON web tokens) and what they allow.
//!
//! A [`Guard`] checks the token of each call before the call reaches its service, and refuses at once what needs an
//! administrator; where it depends on the parties of a request, the service asks the [`Access`] that comes with it.
//! `token` reads and verifies, `claims` says what a token allows: both pure. Nothing about a refusal reaches the caller.

mod claims;
mod guard;
#[cfg(test)]
mod tests;
mod token;

pub(crate) use claims::Access;
pub use guard::Guard;
pub(crate) use guard::{Guarded, bearer};
pub use token::{AuthService, Tokens};
