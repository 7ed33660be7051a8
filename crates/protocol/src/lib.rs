//! What nodes say to each other, and how it is encoded. Pure: values in, values out.
//!
//! [`sequencing`] holds what goes through a sequencer (submissions, envelopes, recipients, events). The sequencer
//! knows nothing else of this room: the content of an envelope is bytes to it.
//! [`tree`] cuts transactions into views under one root hash; [`message`] holds the contents of envelopes;
//! [`ConfirmationRequest`] puts both together and encrypts the views; [`decrypt_views`] and
//! [`check_recipients`] are the receivers' counterpart.
//! [`Rule`] names what the receivers check.
//! [`apply_topology`] is what every member does with a manager's message. An [`Alarm`] says that somebody misbehaves.

mod alarm;
mod contract;
mod encryption;
pub mod message;
mod recipients_check;
mod request;
mod rule;
pub mod sequencing;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod topology_message;
pub mod tree;

pub use alarm::Alarm;
pub use contract::{Contract, contract_salt};
pub use encryption::decrypt_views;
pub use recipients_check::{ReceivedView, RecipientsCheck, check_recipients};
pub use request::ConfirmationRequest;
pub use rule::Rule;
pub use topology_message::{TopologyRefused, apply_topology, take_topology};
