//! Who is on a network: namespaces, unique identifiers, members (spec/protocol.md §6.1).

use crate::{PartyId, id::InvalidId, limits};
use std::{fmt, str::FromStr, sync::Arc};

/// Fingerprint of a public key: `1220` and the hex of a SHA-256 hash, 68 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Arc<str>);

impl Fingerprint {
    /// Checks the form `1220` + 64 lower-case hex digits.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
        let text = text.as_ref();
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() == 68 && text.starts_with("1220") && digits(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::new("fingerprint", text, "it is not 1220 and 64 lower-case hex digits"))
        }
    }

    /// The multihash text of a SHA-256 hash.
    #[must_use]
    pub fn of(hash: &crate::Hash) -> Self {
        Self(format!("1220{hash}").into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Fingerprint of the root signing key that controls everything under it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(pub Fingerprint);

/// A unique identifier `name::namespace`; whoever holds the namespace's key controls it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid {
    name: Arc<str>,
    namespace: Namespace,
}

impl Uid {
    /// `name` is 1 to 185 characters out of letters, digits, `-` and `_`.
    pub fn new(name: &str, namespace: Namespace) -> Result<Self, InvalidId> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || name.len() > limits::MAX_UID_NAME_CHARS || !name.chars().all(allowed) {
            return Err(InvalidId::new("unique identifier name", name, "it is not 1 to 185 of a-z, A-Z, 0-9, - and _"));
        }
        Ok(Self { name: name.into(), namespace })
    }

    /// The part before `::`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The part after `::`.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The party with this identifier; for a participant its admin party.
    #[must_use]
    pub fn party(&self) -> PartyId {
        PartyId::new(self.to_string()).expect("185 + 2 + 68 characters, all of them allowed in a party")
    }
}

/// What a member is. The three-letter code begins the member's text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MemberKind {
    /// `PAR`
    Participant,
    /// `MED`
    Mediator,
    /// `SEQ`
    Sequencer,
    /// `DOM`: the synchronizer's topology manager.
    Manager,
}

impl MemberKind {
    /// The three-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Participant => "PAR",
            Self::Mediator => "MED",
            Self::Sequencer => "SEQ",
            Self::Manager => "DOM",
        }
    }
}

/// A member of a synchronizer: whoever sends through it or receives from it. Shown as `PAR::name::namespace`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId {
    /// What it is.
    pub kind: MemberKind,
    /// Which one.
    pub uid: Uid,
}

impl FromStr for Namespace {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Fingerprint::new(text).map(Self)
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::new(text)
    }
}

impl FromStr for Uid {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (name, namespace) = text
            .split_once("::")
            .ok_or_else(|| InvalidId::new("unique identifier", text, "it is not name::namespace"))?;
        Self::new(name, namespace.parse()?)
    }
}

impl FromStr for MemberId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::new("member", text, "it is not PAR, MED, SEQ or DOM, then ::name::namespace");
        let (code, uid) = text.split_once("::").ok_or_else(invalid)?;
        let kind = match code {
            "PAR" => MemberKind::Participant,
            "MED" => MemberKind::Mediator,
            "SEQ" => MemberKind::Sequencer,
            "DOM" => MemberKind::Manager,
            _ => return Err(invalid()),
        };
        Ok(Self { kind, uid: uid.parse()? })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.name, self.namespace)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.kind.code(), self.uid)
    }
}

/// Debug output is the display text: these are read by people in logs.
macro_rules! debug_as_display {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
debug_as_display!(Fingerprint, Namespace, Uid, MemberId);

/// A member of one known kind: a [`Uid`] that cannot be passed where another kind is due.
macro_rules! member_id {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uid);

        impl $name {
            /// This member among all kinds of members.
            #[must_use]
            pub fn member(&self) -> MemberId {
                MemberId { kind: MemberKind::$kind, uid: self.0.clone() }
            }
        }

        impl TryFrom<MemberId> for $name {
            type Error = InvalidId;
            fn try_from(member: MemberId) -> Result<Self, InvalidId> {
                if member.kind == MemberKind::$kind {
                    Ok(Self(member.uid))
                } else {
                    Err(InvalidId::new(stringify!($name), &member.to_string(), "it is a member of another kind"))
                }
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
member_id!(
    /// A participant, by its uid (shown without the member code).
    ParticipantId, Participant
);
member_id!(
    /// A mediator, by its uid.
    MediatorId, Mediator
);
member_id!(
    /// A logical sequencer, by its uid; all its replicas share it.
    SequencerId, Sequencer
);
member_id!(
    /// A synchronizer, by its uid; its manager is the member `DOM::uid`.
    SynchronizerId, Manager
);

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace() -> String {
        format!("1220{}", "ab".repeat(32))
    }

    #[test]
    fn text_round_trips() {
        let text = format!("PAR::participant1::{}", namespace());
        let member: MemberId = text.parse().unwrap();
        assert_eq!(member.to_string(), text);
        let participant = ParticipantId::try_from(member.clone()).unwrap();
        assert_eq!(participant.member(), member);
        assert_eq!(participant.0.party().as_str(), format!("participant1::{}", namespace()));
        assert!(MediatorId::try_from(member).is_err());
    }

    #[test]
    fn refuses_other_forms() {
        for bad in [
            "",
            "PAR",
            "XXX::a::b",
            "PAR::a",
            &format!("PAR::::{}", namespace()),
            &format!("PAR::a:b::{}", namespace()),
        ] {
            assert!(bad.parse::<MemberId>().is_err(), "{bad}");
        }
        assert!(Fingerprint::new(format!("1220{}", "AB".repeat(32))).is_err());
        assert!(Uid::new(&"a".repeat(186), namespace().parse().unwrap()).is_err());
    }
}
