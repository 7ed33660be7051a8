//! Which synchronizers the participant knows, and to which of them it is connected.

use crate::{
    ParticipantError,
    active::Active,
    onboarding,
    store::{self, Registered, SynchronizerConfig},
};
use base::SynchronizerId;
use sequencer_client::{ClientConfig, Synchronizer};
use std::{sync::Arc, time::Duration};
use telemetry::Trouble;

/// Between two attempts to reach a synchronizer for the first time.
const RETRY: Duration = Duration::from_secs(1);

impl Active {
    /// Connects to a synchronizer that is not left to operators: the one that was connected, or else the one with the
    /// highest priority. From now on the others are not connected.
    pub async fn reconnect(self: &Arc<Self>) -> Result<(), ParticipantError> {
        let _alone = self.changing.lock().await;
        let known = store::synchronizers(&self.db).await?;
        let mut own = known.iter().filter(|r| !r.config.manual_connect);
        let chosen = own.clone().find(|r| r.connected).or_else(|| own.next()).map(|r| r.config.alias.clone());
        let mut rows = Vec::new();
        for registered in known {
            let connected = chosen.as_ref() == Some(&registered.config.alias);
            if !connected && !registered.config.manual_connect {
                tracing::warn!(alias = registered.config.alias, "not connected: {chosen:?} is");
            }
            if registered.connected != connected {
                rows.push(store::synchronizer_row(&Registered { connected, ..registered }));
            }
        }
        if !rows.is_empty() {
            self.db.commit(&self.epoch, rows).await?;
        }
        match chosen {
            Some(chosen) => self.resume(&chosen).await,
            None => Ok(()),
        }
    }

    /// Connects now where the participant was connected before, and otherwise as soon as the synchronizer answers.
    async fn resume(self: &Arc<Self>, alias: &str) -> Result<(), ParticipantError> {
        let registered = self.registered(alias).await?;
        if store::clean(&self.db, &registered.synchronizer).await?.is_some() {
            return self.connect(&registered, self.client_of(&registered.config)?).await;
        }
        let (this, alias) = (self.clone(), alias.to_owned());
        let mut trouble = Trouble::new("the synchronizer cannot be connected");
        let attempts = async move {
            while trouble.note(this.enter(&alias).await).is_none() {
                tokio::time::sleep(RETRY).await;
            }
        };
        self.tasks.spawn_cancellable("connect", attempts).detach();
        Ok(())
    }

    /// Onboards and connects, unless the synchronizer is not to be connected any more.
    async fn enter(self: &Arc<Self>, alias: &str) -> Result<(), ParticipantError> {
        let _alone = self.changing.lock().await;
        let registered = self.registered(alias).await?;
        if !registered.connected {
            return Ok(());
        }
        let client = self.client_of(&registered.config)?;
        check_synchronizer(alias, &registered.synchronizer, &client).await?;
        self.connect_registered(registered).await.map(drop)
    }

    /// Registers a synchronizer without connecting to it. `expected` is which one it has to be. The same again changes
    /// nothing.
    pub async fn register(
        &self,
        config: SynchronizerConfig,
        expected: Option<&SynchronizerId>,
    ) -> Result<Registered, ParticipantError> {
        let _alone = self.changing.lock().await;
        let (registered, before) = self.checked(config, expected).await?;
        match before {
            Some(before) if before.config == registered.config => return Ok(before),
            Some(before) => return Err(ParticipantError::AlreadyRegistered(before.config.alias)),
            None => {}
        }
        self.store(&registered).await?;
        Ok(registered)
    }

    /// Registers a synchronizer in place of what the alias stood for, and connects to it. Connecting again changes
    /// nothing.
    pub async fn register_and_connect(
        self: &Arc<Self>,
        config: SynchronizerConfig,
        expected: Option<&SynchronizerId>,
    ) -> Result<Registered, ParticipantError> {
        let _alone = self.changing.lock().await;
        let (registered, before) = self.checked(config, expected).await?;
        if let Some(before) = before.filter(|before| before.synchronizer != registered.synchronizer) {
            return Err(ParticipantError::AlreadyRegistered(before.config.alias));
        }
        self.connect_registered(registered).await
    }

    /// Changes what is registered under the alias. A connection that stands keeps what it was made with.
    pub async fn modify(
        &self,
        config: SynchronizerConfig,
        expected: Option<&SynchronizerId>,
    ) -> Result<(), ParticipantError> {
        let _alone = self.changing.lock().await;
        self.client_of(&config)?;
        let before = self.registered(&config.alias).await?;
        if let Some(expected) = expected.filter(|expected| **expected != before.synchronizer) {
            return Err(other(&config.alias, expected, &before.synchronizer));
        }
        self.store(&Registered { config, ..before }).await
    }

    /// Connects to a registered synchronizer. If no sequencer answers and `retry` is set, it says `false` and goes on
    /// trying.
    pub async fn reconnect_to(self: &Arc<Self>, alias: &str, retry: bool) -> Result<bool, ParticipantError> {
        let _alone = self.changing.lock().await;
        let registered = self.registered(alias).await?;
        if self.connection().is_some_and(|connection| connection.synchronizer == registered.synchronizer) {
            return Ok(true);
        }
        let client = self.client_of(&registered.config)?;
        match check_synchronizer(alias, &registered.synchronizer, &client).await {
            Ok(()) => self.connect_registered(registered).await.map(|_| true),
            Err(ParticipantError::Client(error)) if retry => {
                tracing::info!(alias, "no sequencer answers, which is tried again: {error}");
                self.check_second(&registered.synchronizer).await?;
                let registered = Registered { connected: true, ..registered };
                self.store(&registered).await?;
                self.resume(alias).await.map(|()| false)
            }
            Err(error) => Err(error),
        }
    }

    /// Connects to all registered synchronizers that are not left to operators.
    pub async fn reconnect_all(self: &Arc<Self>, ignore_failures: bool) -> Result<(), ParticipantError> {
        for registered in store::synchronizers(&self.db).await? {
            let alias = registered.config.alias;
            if registered.config.manual_connect {
                continue;
            }
            match self.reconnect_to(&alias, ignore_failures).await {
                Err(error) if ignore_failures => tracing::warn!(alias, "not connected: {error}"),
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }

    /// Ends the connection to a registered synchronizer, if it is connected.
    pub async fn disconnect(&self, alias: &str) -> Result<(), ParticipantError> {
        let _alone = self.changing.lock().await;
        let registered = self.registered(alias).await?;
        self.store(&Registered { connected: false, ..registered.clone() }).await?;
        if self.connection().is_some_and(|connection| connection.synchronizer == registered.synchronizer) {
            self.leave().await;
        }
        Ok(())
    }

    async fn connect_registered(self: &Arc<Self>, registered: Registered) -> Result<Registered, ParticipantError> {
        self.check_second(&registered.synchronizer).await?;
        let registered = Registered { connected: true, ..registered };
        let client = self.client_of(&registered.config)?;
        onboarding::onboard(self, &registered, &client).await?;
        self.store(&registered).await?;
        self.connect(&registered, client).await?;
        Ok(registered)
    }

    /// What a configuration comes to, and what its alias or its synchronizer stand for now.
    async fn checked(
        &self,
        config: SynchronizerConfig,
        expected: Option<&SynchronizerId>,
    ) -> Result<(Registered, Option<Registered>), ParticipantError> {
        if config.alias.is_empty() || config.alias.contains(char::is_whitespace) {
            let text = format!("{:?} is no alias; it is one word", config.alias);
            return Err(ParticipantError::Connection(text));
        }
        let found = Synchronizer::at(&self.client_of(&config)?).await?.id;
        if let Some(expected) = expected.filter(|expected| **expected != found) {
            return Err(other(&config.alias, expected, &found));
        }
        let known = store::synchronizers(&self.db).await?;
        let is_it = |r: &Registered| r.config.alias == config.alias || r.synchronizer == found;
        let before = known.into_iter().find(is_it);
        if let Some(before) = before.as_ref().filter(|before| before.config.alias != config.alias) {
            return Err(ParticipantError::AlreadyRegistered(before.config.alias.clone()));
        }
        let connected = before.as_ref().is_some_and(|before| before.connected);
        Ok((Registered { config, synchronizer: found, connected }, before))
    }

    async fn registered(&self, alias: &str) -> Result<Registered, ParticipantError> {
        let known = store::synchronizers(&self.db).await?;
        let found = known.into_iter().find(|registered| registered.config.alias == alias);
        found.ok_or_else(|| ParticipantError::UnknownAlias(alias.to_owned()))
    }

    async fn check_second(&self, synchronizer: &SynchronizerId) -> Result<(), ParticipantError> {
        let known = store::synchronizers(&self.db).await?;
        match known.into_iter().find(|other| other.connected && other.synchronizer != *synchronizer) {
            Some(other) => Err(ParticipantError::SecondSynchronizer(other.config.alias)),
            None => Ok(()),
        }
    }

    async fn store(&self, registered: &Registered) -> Result<(), ParticipantError> {
        self.db.commit(&self.epoch, vec![store::synchronizer_row(registered)]).await?;
        Ok(())
    }

    /// How the sequencers of a synchronizer are called.
    fn client_of(&self, config: &SynchronizerConfig) -> Result<ClientConfig, ParticipantError> {
        Ok(self.client.reaching(config.sequencers.clone(), config.trust.as_deref())?)
    }
}

fn other(alias: &str, expected: &SynchronizerId, found: &SynchronizerId) -> ParticipantError {
    let (expected, found) = (expected.to_string(), found.to_string());
    ParticipantError::OtherSynchronizer { alias: alias.to_owned(), expected, found }
}

async fn check_synchronizer(
    alias: &str,
    expected: &SynchronizerId,
    client: &ClientConfig,
) -> Result<(), ParticipantError> {
    let found = Synchronizer::at(client).await?.id;
    if found == *expected { Ok(()) } else { Err(other(alias, expected, &found)) }
}
