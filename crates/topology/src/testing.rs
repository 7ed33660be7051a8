//! A network with keys from fixed seeds, for tests of this room and those above.

use crate::{
    Mapping, Operation, Parameters, Permission, Side, SignedTopologyTransaction, TopologyState, TopologyTransaction,
    build,
};
use base::{
    Fingerprint, Hash, MediatorId, MemberId, PackageId, ParticipantId, PartyId, SequencerId, SynchronizerId, Timestamp,
    Uid,
};
use crypto::{
    HashBuilder, HashPurpose, Signature,
    private::{DecryptionKey, SigningKey},
};

/// A synchronizer with its manager `DOM::sync`, one sequencer, one mediator, and participants `p0`, `p1`, … that
/// take part; in force since [`Network::START`].
pub struct Network {
    /// The synchronizer.
    pub synchronizer: SynchronizerId,
    /// Its sequencer.
    pub sequencer: SequencerId,
    /// Its mediator.
    pub mediator: MediatorId,
    /// Its participants.
    pub participants: Vec<ParticipantId>,
    /// Everything applied so far.
    pub state: TopologyState,
    next: Timestamp,
}

fn seed(name: &str) -> Hash {
    HashBuilder::new(HashPurpose::Salt).add_str(name).finish()
}

/// The key that belongs to a name in every test.
#[must_use]
pub fn key(name: &str) -> SigningKey {
    SigningKey::generate(seed(name).as_bytes())
}

/// The same for encryption.
#[must_use]
pub fn decryption_key(name: &str) -> DecryptionKey {
    DecryptionKey::generate(seed(name).as_bytes())
}

/// The namespace's root key of a node's name.
#[must_use]
pub fn root(name: &str) -> SigningKey {
    key(&format!("{name} root"))
}

/// An identifier in the namespace of a node's name.
///
/// # Panics
/// If `id` is not the name of an identifier.
#[must_use]
pub fn uid(id: &str, node: &str) -> Uid {
    Uid::new(id, build::namespace_of(root(node).public())).expect("test names are valid")
}

/// A transaction with the serial that comes next, signed by the keys.
#[must_use]
pub fn sign(state: &TopologyState, mapping: Mapping, keys: &[&SigningKey]) -> SignedTopologyTransaction {
    signed(state, Operation::AddReplace, mapping, keys)
}

/// A removal with the serial that comes next, signed by the keys.
#[must_use]
pub fn remove(state: &TopologyState, mapping: Mapping, keys: &[&SigningKey]) -> SignedTopologyTransaction {
    signed(state, Operation::Remove, mapping, keys)
}

fn signed(
    state: &TopologyState,
    operation: Operation,
    mapping: Mapping,
    keys: &[&SigningKey],
) -> SignedTopologyTransaction {
    let transaction = TopologyTransaction { operation, serial: state.next_serial(&mapping.key()), mapping };
    let hash = transaction.hash();
    transaction.signed(keys.iter().map(|key| key.sign(&hash)).collect())
}

impl Network {
    /// When the first transactions are sequenced.
    pub const START: Timestamp = Timestamp::EPOCH;

    /// A network with so many participants.
    #[must_use]
    pub fn new(participants: usize) -> Self {
        let synchronizer = SynchronizerId(uid("sync", "sync"));
        let mut network = Self {
            sequencer: SequencerId(uid("sequencer", "sync")),
            mediator: MediatorId(uid("mediator", "sync")),
            participants: (0..participants).map(|n| ParticipantId(uid(&format!("p{n}"), &format!("p{n}")))).collect(),
            state: TopologyState::of(synchronizer.clone()),
            synchronizer,
            next: Self::START,
        };
        let (manager, sequencer, mediator) = (key("sync"), key("sequencer"), key("mediator"));
        let root = root("sync");
        let mut mappings = build::manager(
            &network.synchronizer,
            root.public(),
            std::slice::from_ref(manager.public()),
            Parameters::default(),
        );
        mappings.extend(build::sequencer(&network.sequencer, std::slice::from_ref(sequencer.public())));
        mappings.extend(build::mediator(
            &network.mediator,
            &network.synchronizer,
            std::slice::from_ref(mediator.public()),
        ));
        let mut transactions: Vec<_> = mappings.into_iter().map(|m| sign(&network.state, m, &[&root])).collect();
        for participant in &network.participants {
            transactions.extend(network.joining(participant));
        }
        network.apply_all(transactions);
        network
    }

    /// All transactions with which a participant comes to be and is admitted.
    #[must_use]
    pub fn joining(&self, participant: &ParticipantId) -> Vec<SignedTopologyTransaction> {
        let name = participant.0.name();
        let own_root = root(name);
        let own = [key(name).public().clone(), decryption_key(name).public().clone()];
        let mut mappings = build::participant(participant, own_root.public(), &own);
        mappings.push(build::join(participant, &self.synchronizer));
        let mut signed: Vec<_> = mappings.into_iter().map(|m| sign(&self.state, m, &[&own_root])).collect();
        signed.push(sign(&self.state, build::admit(participant, &self.synchronizer), &[&root("sync")]));
        signed
    }

    /// Applies transactions, all of which must be accepted, in one message, and waits out the delay.
    ///
    /// # Panics
    /// If one is rejected.
    pub fn apply_all(&mut self, transactions: Vec<SignedTopologyTransaction>) {
        for outcome in self.state.apply(self.next, transactions) {
            let stored = outcome.map_err(|rejected| rejected.1).expect("test transactions are acceptable");
            self.next = self.next.max(stored.effective);
        }
        self.next = self.next.saturating_add(std::time::Duration::from_millis(1));
    }

    /// Has a participant host the party `name` of its own namespace.
    pub fn host(&mut self, name: &str, participant: usize, permission: Permission) -> PartyId {
        let id = self.participants[participant].clone();
        let party = uid(name, id.0.name());
        let mapping = build::party(&party, &id, permission);
        let signed = sign(&self.state, mapping, &[&root(id.0.name())]);
        self.apply_all(vec![signed]);
        party.party()
    }

    /// Has a second participant host a party of another's namespace; both agree.
    ///
    /// # Panics
    /// If the party is not an identifier.
    pub fn host_also(&mut self, party: &PartyId, owner: usize, participant: usize, permission: Permission) {
        let (owner, participant) = (self.participants[owner].clone(), self.participants[participant].clone());
        let party: Uid = party.as_str().parse().expect("test parties are identifiers");
        let mapping =
            Mapping::PartyToParticipant { side: Side::Both, party, participant: participant.clone(), permission };
        let signed = sign(&self.state, mapping, &[&root(owner.0.name()), &root(participant.0.name())]);
        self.apply_all(vec![signed]);
    }

    /// Has a participant vet exactly these packages.
    pub fn vet(&mut self, participant: usize, packages: impl IntoIterator<Item = PackageId>) {
        let id = self.participants[participant].clone();
        let signed = sign(&self.state, build::vetting(&id, packages), &[&root(id.0.name())]);
        self.apply_all(vec![signed]);
    }

    /// A time at which everything applied so far is in force.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.next
    }

    /// A member's signature with the key of its name.
    #[must_use]
    pub fn signature(&self, member: &MemberId, hash: &Hash) -> Signature {
        key(member.uid.name()).sign(hash)
    }

    /// The fingerprint of a member's key.
    #[must_use]
    pub fn fingerprint(&self, member: &MemberId) -> Fingerprint {
        key(member.uid.name()).public().fingerprint().clone()
    }
}
