//! The registered members and the topology that this sequencer has seen. Both follow the sequencer's own events: it is
//! a member of the synchronizer itself.

use crate::store;
use ::store::{Db, Result, StoreError};
use base::MemberId;
use sequencer_core::{MemberNumber, Members};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};
use topology::TopologyState;

/// Numbers of members and their highest epochs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registry {
    inner: Arc<RwLock<Inner>>,
}

struct Inner {
    members: Arc<Members>,
    topology: TopologyState,
    epochs: BTreeMap<MemberId, i64>,
}

impl Registry {
    pub(crate) async fn load(db: &Db, topology: TopologyState) -> Result<Self> {
        let members = store::members(db).await?;
        let by_number: BTreeMap<MemberNumber, i64> = store::epochs(db).await?.into_iter().collect();
        let epochs = members.iter().filter_map(|(m, n)| Some((m.clone(), *by_number.get(n)?))).collect();
        let inner = Inner { members: Arc::new(members), topology, epochs };
        let registry = Self { inner: Arc::new(RwLock::new(inner)) };
        registry.register(db).await?;
        Ok(registry)
    }

    pub(crate) fn members(&self) -> Arc<Members> {
        self.read(|inner| inner.members.clone())
    }

    /// The highest epoch that this member has sent with.
    pub(crate) fn epoch(&self, member: &MemberId) -> i64 {
        self.read(|inner| inner.epochs.get(member).copied().unwrap_or(0))
    }

    pub(crate) fn saw_epoch(&self, member: &MemberId, epoch: i64) {
        if self.epoch(member) < epoch {
            self.write(|inner| inner.epochs.insert(member.clone(), epoch));
        }
    }

    /// Looks at the topology.
    pub(crate) fn topology<T>(&self, look: impl FnOnce(&TopologyState) -> T) -> T {
        self.read(|inner| look(&inner.topology))
    }

    /// Changes the topology.
    pub(crate) fn change_topology<T>(&self, change: impl FnOnce(&mut TopologyState) -> T) -> T {
        self.write(|inner| change(&mut inner.topology))
    }

    /// Gives numbers to all members that the topology knows and that have none yet. All sequencers do this, so a
    /// conflict only means that another was faster.
    pub(crate) async fn register(&self, db: &Db) -> Result<()> {
        loop {
            let known = self.members();
            let wanted = self.topology(|t| t.head().known_members());
            let new: Vec<&MemberId> = wanted.iter().filter(|m| known.number(m).is_none()).collect();
            if new.is_empty() {
                return Ok(());
            }
            let highest = known.iter().map(|(_, n)| *n).max().unwrap_or(0);
            let result = db.commit(&db.own(), vec![store::member_rows(new.into_iter(), highest)]).await;
            if let Err(error) = result
                && !matches!(error, StoreError::Conflict { .. } | StoreError::Contention(_))
            {
                return Err(error);
            }
            let members = Arc::new(store::members(db).await?);
            self.write(|inner| inner.members = members);
        }
    }

    /// Whether the member may authenticate: it is known, and active where that matters.
    pub(crate) fn may_authenticate(&self, member: &MemberId) -> bool {
        self.topology(|t| t.head().is_active(member)) && self.members().number(member).is_some()
    }

    fn read<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner))
    }
}
