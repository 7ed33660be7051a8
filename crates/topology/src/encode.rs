//! Topology transactions to and from their protobuf messages.

use crate::{
    Malformed, Mapping, Operation, Parameters, Permission, Side, TopologyTransaction, TrustLevel, transaction::VERSION,
};
use base::PackageId;
use crypto::PublicKey;
use std::time::Duration;
use wire::concordat::topology::v1::{self as proto, topology_transaction::Mapping as Wire};

/// Packages that one participant may vet.
const MAX_VETTED: usize = 100_000;

impl From<&TopologyTransaction> for proto::TopologyTransaction {
    fn from(transaction: &TopologyTransaction) -> Self {
        let operation = match transaction.operation {
            Operation::AddReplace => proto::Operation::AddReplace,
            Operation::Remove => proto::Operation::Remove,
        };
        Self {
            version: VERSION,
            operation: operation.into(),
            serial: transaction.serial,
            mapping: Some((&transaction.mapping).into()),
        }
    }
}

impl TryFrom<&proto::TopologyTransaction> for TopologyTransaction {
    type Error = Malformed;
    fn try_from(message: &proto::TopologyTransaction) -> Result<Self, Malformed> {
        Malformed::check_version("topology transaction", message.version, VERSION)?;
        let operation = match message.operation() {
            proto::Operation::AddReplace => Operation::AddReplace,
            proto::Operation::Remove => Operation::Remove,
            proto::Operation::Unspecified => {
                return Err(Malformed::Unknown { field: "operation", value: message.operation });
            }
        };
        if message.serial == 0 {
            return Err(Malformed::Bounds { field: "serial", why: "serials begin with 1" });
        }
        let mapping = message.mapping.as_ref().ok_or(Malformed::Missing("mapping"))?.try_into()?;
        Ok(Self { operation, serial: message.serial, mapping })
    }
}

impl From<&Mapping> for Wire {
    fn from(mapping: &Mapping) -> Self {
        match mapping {
            Mapping::NamespaceDelegation { namespace, target, is_root } => {
                Self::NamespaceDelegation(proto::NamespaceDelegation {
                    namespace: namespace.to_string(),
                    target: Some(target.into()),
                    is_root: *is_root,
                })
            }
            Mapping::IdentifierDelegation { uid, target } => Self::IdentifierDelegation(proto::IdentifierDelegation {
                uid: uid.to_string(),
                target: Some(target.into()),
            }),
            Mapping::OwnerToKey { member, key } => {
                Self::OwnerToKey(proto::OwnerToKey { member: member.to_string(), key: Some(key.into()) })
            }
            Mapping::PartyToParticipant { side, party, participant, permission } => {
                Self::PartyToParticipant(proto::PartyToParticipant {
                    side: proto::Side::from(*side).into(),
                    party: party.to_string(),
                    participant: participant.to_string(),
                    permission: proto::Permission::from(*permission).into(),
                })
            }
            Mapping::ParticipantState { side, synchronizer, participant, permission, trust } => {
                Self::ParticipantState(proto::ParticipantState {
                    side: proto::Side::from(*side).into(),
                    synchronizer: synchronizer.to_string(),
                    participant: participant.to_string(),
                    permission: proto::Permission::from(*permission).into(),
                    trust_level: proto::TrustLevel::from(*trust).into(),
                })
            }
            Mapping::MediatorState { side, synchronizer, mediator } => Self::MediatorState(proto::MediatorState {
                side: proto::Side::from(*side).into(),
                synchronizer: synchronizer.to_string(),
                mediator: mediator.to_string(),
            }),
            Mapping::VettedPackages { participant, packages } => Self::VettedPackages(proto::VettedPackages {
                participant: participant.to_string(),
                packages: packages.iter().map(|p| proto::VettedPackage { package_id: p.as_str().to_owned() }).collect(),
            }),
            Mapping::Parameters { synchronizer, parameters } => Self::Parameters(proto::SynchronizerParametersState {
                synchronizer: synchronizer.to_string(),
                parameters: Some(parameters.into()),
            }),
        }
    }
}

impl TryFrom<&Wire> for Mapping {
    type Error = Malformed;
    fn try_from(wire: &Wire) -> Result<Self, Malformed> {
        let key = |key: &Option<_>| {
            PublicKey::try_from(key.as_ref().ok_or(Malformed::Missing("key"))?).map_err(Malformed::from)
        };
        Ok(match wire {
            Wire::NamespaceDelegation(m) => Self::NamespaceDelegation {
                namespace: m.namespace.parse()?,
                target: key(&m.target)?,
                is_root: m.is_root,
            },
            Wire::IdentifierDelegation(m) => {
                Self::IdentifierDelegation { uid: m.uid.parse()?, target: key(&m.target)? }
            }
            Wire::OwnerToKey(m) => Self::OwnerToKey { member: m.member.parse()?, key: key(&m.key)? },
            Wire::PartyToParticipant(m) => Self::PartyToParticipant {
                side: m.side().try_into()?,
                party: m.party.parse()?,
                participant: participant(&m.participant)?,
                permission: m.permission().try_into()?,
            },
            Wire::ParticipantState(m) => Self::ParticipantState {
                side: m.side().try_into()?,
                synchronizer: base::SynchronizerId(m.synchronizer.parse()?),
                participant: participant(&m.participant)?,
                permission: m.permission().try_into()?,
                trust: m.trust_level().try_into()?,
            },
            Wire::MediatorState(m) => Self::MediatorState {
                side: m.side().try_into()?,
                synchronizer: base::SynchronizerId(m.synchronizer.parse()?),
                mediator: base::MediatorId(m.mediator.parse()?),
            },
            Wire::VettedPackages(m) => {
                Malformed::check_length("packages", m.packages.len(), MAX_VETTED)?;
                let packages = m.packages.iter().map(|p| PackageId::new(&p.package_id)).collect::<Result<_, _>>()?;
                Self::VettedPackages { participant: participant(&m.participant)?, packages }
            }
            Wire::Parameters(m) => Self::Parameters {
                synchronizer: base::SynchronizerId(m.synchronizer.parse()?),
                parameters: m.parameters.as_ref().ok_or(Malformed::Missing("parameters"))?.into(),
            },
        })
    }
}

fn participant(text: &str) -> Result<base::ParticipantId, Malformed> {
    Ok(base::ParticipantId(text.parse()?))
}

/// Both directions between one of our enumerations and the message's, whose zero is refused.
macro_rules! enumeration {
    ($($ours:ident { $($case:ident),* })*) => {$(
        impl From<$ours> for proto::$ours {
            fn from(value: $ours) -> Self {
                match value { $($ours::$case => Self::$case),* }
            }
        }
        impl TryFrom<proto::$ours> for $ours {
            type Error = Malformed;
            fn try_from(value: proto::$ours) -> Result<Self, Malformed> {
                match value {
                    $(proto::$ours::$case => Ok(Self::$case),)*
                    proto::$ours::Unspecified => Err(Malformed::Unknown { field: stringify!($ours), value: 0 }),
                }
            }
        }
    )*};
}
enumeration! {
    Side { From, To, Both }
    Permission { Disabled, Observation, Confirmation, Submission }
    TrustLevel { Ordinary, Vip }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl From<&Parameters> for proto::SynchronizerParameters {
    fn from(p: &Parameters) -> Self {
        Self {
            confirmation_response_timeout: micros(p.confirmation_response_timeout),
            mediator_reaction_timeout: micros(p.mediator_reaction_timeout),
            assignment_exclusivity_timeout: micros(p.assignment_exclusivity_timeout),
            topology_change_delay: micros(p.topology_change_delay),
            ledger_time_record_time_tolerance: micros(p.ledger_time_record_time_tolerance),
            mediator_deduplication_timeout: micros(p.mediator_deduplication_timeout),
            reconciliation_interval: micros(p.reconciliation_interval),
            max_rate_per_participant: p.max_rate_per_participant,
            max_request_bytes: p.max_request_bytes,
        }
    }
}

/// Values are taken as they are; [`Parameters::check`] judges them before they can take effect.
impl From<&proto::SynchronizerParameters> for Parameters {
    fn from(m: &proto::SynchronizerParameters) -> Self {
        Self {
            confirmation_response_timeout: Duration::from_micros(m.confirmation_response_timeout),
            mediator_reaction_timeout: Duration::from_micros(m.mediator_reaction_timeout),
            assignment_exclusivity_timeout: Duration::from_micros(m.assignment_exclusivity_timeout),
            topology_change_delay: Duration::from_micros(m.topology_change_delay),
            ledger_time_record_time_tolerance: Duration::from_micros(m.ledger_time_record_time_tolerance),
            mediator_deduplication_timeout: Duration::from_micros(m.mediator_deduplication_timeout),
            reconciliation_interval: Duration::from_micros(m.reconciliation_interval),
            max_rate_per_participant: m.max_rate_per_participant,
            max_request_bytes: m.max_request_bytes,
        }
    }
}
