//! The writes of the Ledger API.

use crate::{
    ParticipantError,
    active::Active,
    interpreter::{InterpretationError, Interpreter},
    onboarding,
    packages::{self, CHANGED},
    store::{self},
    submit,
};
use ::ledger::{Command, User, delete_user, user_rows};
use ::store::{Db, StoreError};
use base::{ParticipantId, PartyId, Uid, UserId};
use bytes::Bytes;
use identity::random;
use ledger_api::{Commands, ConnectedSynchronizer, PartyHint, Refusal, Writes};
use participant_core::InFlight;
use std::sync::Arc;
use tasks::Tasks;
use tokio::sync::watch;

/// One replica's end of the Ledger API: writes where it is active.
pub struct ParticipantWrites {
    db: Db,
    interpreter: Arc<dyn Interpreter>,
    /// What this replica does while it is active.
    here: watch::Receiver<Option<Arc<Active>>>,
    /// Known from the first time on that anybody asked.
    participant: watch::Sender<Option<ParticipantId>>,
    tasks: Tasks,
}

impl ParticipantWrites {
    /// `here` holds the active part while it is this replica.
    #[must_use]
    pub fn new(
        db: Db,
        interpreter: Arc<dyn Interpreter>,
        here: watch::Receiver<Option<Arc<Active>>>,
        participant: watch::Sender<Option<ParticipantId>>,
        tasks: Tasks,
    ) -> Self {
        Self { db, interpreter, here, participant, tasks }
    }

    /// Work of the interpreter takes a while, and must not hold up others.
    async fn interpreting<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Interpreter) -> Result<T, InterpretationError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let interpreter = self.interpreter.clone();
        let result = self.tasks.spawn_blocking("packages", move || work(interpreter.as_ref())).await;
        result.map_err(|_| refusal(ParticipantError::Passive))?.map_err(|e| Box::new(e) as Refusal)
    }

    fn here(&self) -> Result<Arc<Active>, Refusal> {
        self.here.borrow().clone().ok_or_else(|| refusal(ParticipantError::Passive))
    }
}

fn refusal(error: impl Into<ParticipantError>) -> Refusal {
    Box::new(error.into())
}

#[tonic::async_trait]
impl Writes for ParticipantWrites {
    fn participant(&self) -> Option<ParticipantId> {
        self.participant.borrow().clone()
    }

    async fn synchronizers(&self) -> Result<Vec<ConnectedSynchronizer>, Refusal> {
        let registered = store::synchronizers(&self.db).await.map_err(refusal)?;
        let connected = registered.into_iter().filter(|r| r.connected);
        Ok(connected.map(|r| ConnectedSynchronizer { alias: r.config.alias, id: r.synchronizer }).collect())
    }

    async fn in_flight(&self) -> Result<Vec<Command>, Refusal> {
        let rows = store::in_flight(&self.db).await.map_err(refusal)?;
        let command = |row: InFlight| Command {
            user: row.submitter.user,
            act_as: row.submitter.act_as,
            command: row.submitter.command,
            submission: row.submitter.submission,
        };
        Ok(rows.into_iter().map(command).collect())
    }

    async fn submit(&self, commands: Commands) -> Result<(), Refusal> {
        submit::submit(&self.here()?, commands).await
    }

    async fn allocate_party(&self, hint: PartyHint) -> Result<PartyId, Refusal> {
        let active = self.here()?;
        let name = hint.unwrap_or_else(|| format!("party-{}", random::id()));
        let party = Uid::new(&name, active.me.0.namespace().clone()).map_err(refusal)?;
        let known = active.ledger.parties().await.map_err(refusal)?;
        if known.iter().any(|p| p.party == party.party()) {
            return Err(refusal(ParticipantError::PartyExists(party.to_string())));
        }
        onboarding::host(&active, &party).await.map_err(refusal)?;
        Ok(party.party())
    }

    async fn upload_dar(&self, dar: Bytes, validate_only: bool) -> Result<(), Refusal> {
        if validate_only {
            return self.interpreting(move |interpreter| interpreter.read_dar(&dar)).await.map(|_| ());
        }
        let active = self.here()?;
        let bytes = dar.clone();
        let dar = Arc::new(self.interpreting(move |interpreter| interpreter.read_dar(&dar)).await?);
        let now = active.db.now().await.map_err(refusal)?;
        active.db.commit(&active.epoch, packages::rows(&bytes, &dar, now)).await.map_err(refusal)?;
        active.db.notify(CHANGED);
        let ids = dar.packages.iter().map(|p| p.id.clone()).collect();
        let add = move |interpreter: &dyn Interpreter| {
            dar.packages.iter().try_for_each(|package| interpreter.add_package(&package.id, &package.payload))
        };
        self.interpreting(add).await?;
        onboarding::vet(&active, &ids).await.map_err(refusal)
    }

    async fn put_user(&self, user: User, is_new: bool) -> Result<(), Refusal> {
        let active = self.here()?;
        match active.db.commit(&active.epoch, user_rows(&user, is_new)).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict { .. }) => Err(refusal(ParticipantError::UserExists)),
            Err(error) => Err(refusal(error)),
        }
    }

    async fn delete_user(&self, user: UserId) -> Result<(), Refusal> {
        let active = self.here()?;
        match active.db.commit(&active.epoch, delete_user(&user)).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict { .. }) => Err(refusal(ParticipantError::NoUser)),
            Err(error) => Err(refusal(error)),
        }
    }
}
