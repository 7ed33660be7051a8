//! What the participant does for this room.

use crate::convert::Commands;
use base::{Coded, Identifier, Name, ParticipantId, PartyId, SynchronizerId, UserId};
use bytes::Bytes;
use ledger::{Command, User};
use transaction::Value;

/// Why the participant refuses.
pub type Refusal = Box<dyn Coded + Send + Sync>;

/// A wish for the beginning of a new party's id.
pub type PartyHint = Option<String>;

/// A synchronizer that the participant is connected to.
#[derive(Debug, Clone)]
pub struct ConnectedSynchronizer {
    /// The participant's own name for it.
    pub alias: String,
    /// Its id.
    pub id: SynchronizerId,
}

/// Writes of the Ledger API. A replica that is not active refuses them as such, so that they are passed on; it answers the
/// first three.
#[tonic::async_trait]
pub trait Writes: Send + Sync + 'static {
    /// The participant; none before it has an identity.
    fn participant(&self) -> Option<ParticipantId>;

    /// The synchronizers it is connected to.
    async fn synchronizers(&self) -> Result<Vec<ConnectedSynchronizer>, Refusal>;

    /// The submissions that are registered and not completed.
    async fn in_flight(&self) -> Result<Vec<Command>, Refusal>;

    /// Interprets and registers a submission. When it returns, exactly one completion will follow, whatever dies; a
    /// refusal means that there is none and never will be.
    async fn submit(&self, commands: Commands) -> Result<(), Refusal>;

    /// Makes a new party that is hosted here, and waits until it can act.
    async fn allocate_party(&self, hint: PartyHint) -> Result<PartyId, Refusal>;

    /// Stores and vets the packages of a DAR; with `validate_only` just says whether it could.
    async fn upload_dar(&self, dar: Bytes, validate_only: bool) -> Result<(), Refusal>;

    /// Stores a user; as a new one it must not exist.
    async fn put_user(&self, user: User, is_new: bool) -> Result<(), Refusal>;

    /// Removes a user.
    async fn delete_user(&self, user: UserId) -> Result<(), Refusal>;
}

/// Puts type ids and labels back into values, by their types.
pub trait Enrich: Send + Sync + 'static {
    /// The argument of a contract.
    fn contract(&self, template: &Identifier, argument: &Value) -> Value;
    /// The argument of a choice, of a template or an interface.
    fn choice_argument(&self, owner: &Identifier, choice: &Name, argument: &Value) -> Value;
    /// The result of a choice.
    fn choice_result(&self, owner: &Identifier, choice: &Name, result: &Value) -> Value;
}

/// Shows values as they are stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Enrich for Plain {
    fn contract(&self, _: &Identifier, argument: &Value) -> Value {
        argument.clone()
    }

    fn choice_argument(&self, _: &Identifier, _: &Name, argument: &Value) -> Value {
        argument.clone()
    }

    fn choice_result(&self, _: &Identifier, _: &Name, result: &Value) -> Value {
        result.clone()
    }
}
