//! A member's end of the sequencer. Participant, mediator and manager enter.
//!
//! [`Client`] authenticates, sends and acknowledges; [`Client::subscribe`] gives the member's events in order, whichever
//! endpoint serves them; [`Ticker`] asks for the time when nothing else tells it. All sequencers of a synchronizer serve
//! the same stream, so a client that loses one goes on at the next: nothing is lost, nothing comes twice.
//!
//! What is absent: a store of sequenced events. A member recovers by subscribing from its clean point, and acknowledges
//! no further than that, so the sequencer keeps what is needed.

mod acknowledger;
mod client;
mod error;
mod subscription;
mod ticker;

pub use acknowledger::Acknowledger;
pub use client::{Client, ClientConfig, Member, Synchronizer};
pub use error::{ClientError, SendError};
pub use subscription::{Keys, Received, SubscriptionError, TopologyKeys};
pub use ticker::{TickPlanner, Ticker};
