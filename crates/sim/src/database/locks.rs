//! Locks as the server keeps them: on rows for the length of a transaction, by session for elections. First come, first
//! served.

use futures::channel::oneshot;
use std::collections::{BTreeMap, VecDeque};

/// What can be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    /// The right to be active, by logical node.
    Election(usize),
    /// The right to write under an index.
    Index(u32),
    /// The epoch rows of a logical node.
    Epochs(usize),
    /// The watermark row of an index.
    Watermark(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
}

/// A session or a transaction.
pub(crate) type Owner = u64;

#[derive(Default)]
pub(crate) struct Locks(BTreeMap<Resource, Lock>);

#[derive(Default)]
struct Lock {
    holders: Vec<(Owner, Mode)>,
    queue: VecDeque<(Owner, Mode, oneshot::Sender<()>)>,
}

impl Locks {
    /// Resolves when the lock is granted.
    pub(crate) fn acquire(&mut self, owner: Owner, resource: Resource, mode: Mode) -> oneshot::Receiver<()> {
        let (granted, receiver) = oneshot::channel();
        let lock = self.0.entry(resource).or_default();
        lock.queue.push_back((owner, mode, granted));
        lock.grant();
        receiver
    }

    /// Everything that the owner holds or waits for.
    pub(crate) fn release(&mut self, owner: Owner) {
        for lock in self.0.values_mut() {
            lock.holders.retain(|(holder, _)| *holder != owner);
            lock.queue.retain(|(waiter, ..)| *waiter != owner);
            lock.grant();
        }
    }

    pub(crate) fn holder(&self, resource: Resource) -> Option<Owner> {
        self.0.get(&resource)?.holders.iter().find(|(_, mode)| *mode == Mode::Exclusive).map(|(owner, _)| *owner)
    }

    pub(crate) fn waiting(&self, resource: Resource) -> usize {
        self.0.get(&resource).map_or(0, |lock| lock.queue.len())
    }
}

impl Lock {
    fn grant(&mut self) {
        while let Some((owner, mode, _)) = self.queue.front() {
            let is_free = match mode {
                Mode::Shared => self.holders.iter().all(|(_, held)| *held == Mode::Shared),
                Mode::Exclusive => self.holders.iter().all(|(holder, _)| holder == owner),
            };
            if !is_free {
                return;
            }
            if let Some((owner, mode, granted)) = self.queue.pop_front() {
                self.holders.push((owner, mode));
                if granted.send(()).is_err() {
                    self.holders.retain(|(holder, _)| *holder != owner);
                }
            }
        }
    }
}
