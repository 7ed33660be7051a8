//! The three leaves that describe a request as a whole (spec/protocol.md §2.1).

use super::leaf::{
    LeafContent, Salt, get_option, get_parties, get_salt, get_time, put_option, put_parties, put_salt, put_time,
};
use base::{CommandId, MediatorId, ParticipantId, SubmissionId, SynchronizerId, Timestamp, UserId, WorkflowId};
use crypto::HashPurpose;
use std::{fmt, time::Duration};
use transaction::{
    DecodeError, Parties,
    codec::{Reader, Writer},
};

/// How far back a submission must not be a duplicate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DeduplicationPeriod {
    /// So long before now.
    Duration(Duration),
    /// Everything after this ledger offset.
    Offset(u64),
}

/// Random bytes that make a request unique; the mediator refuses to see them twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestUuid(pub [u8; 16]);

/// Who submits what; seen by those who see a top-level view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubmitterMetadata {
    /// See [`Salt`].
    pub salt: Salt,
    /// The submitting parties. Not empty.
    pub act_as: Parties,
    /// The application's user.
    pub user: UserId,
    /// Chosen by the application.
    pub command: CommandId,
    /// Tells retries apart.
    pub submission: Option<SubmissionId>,
    /// The participant that submits, and signs the root hash.
    pub participant: ParticipantId,
    /// As asked for by the application.
    pub deduplication: DeduplicationPeriod,
    /// A request sequenced later is a replay.
    pub max_sequencing_time: Timestamp,
}

/// What everybody sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommonMetadata {
    /// See [`Salt`].
    pub salt: Salt,
    /// Where.
    pub synchronizer: SynchronizerId,
    /// Who collects the responses.
    pub mediator: MediatorId,
    /// Never used before.
    pub uuid: RequestUuid,
}

/// What every participant sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParticipantMetadata {
    /// See [`Salt`].
    pub salt: Salt,
    /// The model's time.
    pub ledger_time: Timestamp,
    /// When it was interpreted; part of the contracts' ids.
    pub preparation_time: Timestamp,
    /// The application's label.
    pub workflow: Option<WorkflowId>,
}

impl LeafContent for SubmitterMetadata {
    const PURPOSE: HashPurpose = HashPurpose::SubmitterMetadata;
    const NAME: &'static str = "submitter metadata";

    fn write(&self, w: &mut Writer) {
        put_salt(w, self.salt);
        put_parties(w, &self.act_as);
        w.text(self.user.as_str());
        w.text(self.command.as_str());
        put_option(w, self.submission.as_ref(), |w, id| w.text(id.as_str()));
        w.text(&self.participant.to_string());
        match self.deduplication {
            DeduplicationPeriod::Duration(duration) => {
                w.byte(0);
                w.unsigned(duration.as_micros());
            }
            DeduplicationPeriod::Offset(offset) => {
                w.byte(1);
                w.unsigned(offset.into());
            }
        }
        put_time(w, self.max_sequencing_time);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let salt = get_salt(r)?;
        let act_as = get_parties(r)?;
        if act_as.is_empty() {
            return Err(r.invalid("nobody acts"));
        }
        Ok(Self {
            salt,
            act_as,
            user: r.parsed()?,
            command: r.parsed()?,
            submission: get_option(r, |r| r.parsed())?,
            participant: ParticipantId(r.parsed()?),
            deduplication: {
                let kind = r.byte()?;
                let number = u64::try_from(r.unsigned()?).map_err(|e| r.invalid(e))?;
                match kind {
                    0 => DeduplicationPeriod::Duration(Duration::from_micros(number)),
                    1 => DeduplicationPeriod::Offset(number),
                    other => return Err(r.invalid(format_args!("{other} is no kind of deduplication period"))),
                }
            },
            max_sequencing_time: get_time(r)?,
        })
    }
}

impl LeafContent for CommonMetadata {
    const PURPOSE: HashPurpose = HashPurpose::CommonMetadata;
    const NAME: &'static str = "common metadata";

    fn write(&self, w: &mut Writer) {
        put_salt(w, self.salt);
        w.text(&self.synchronizer.to_string());
        w.text(&self.mediator.to_string());
        w.raw(&self.uuid.0);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            salt: get_salt(r)?,
            synchronizer: SynchronizerId(r.parsed()?),
            mediator: MediatorId(r.parsed()?),
            uuid: RequestUuid(r.take(16)?.try_into().expect("16 bytes were taken")),
        })
    }
}

impl LeafContent for ParticipantMetadata {
    const PURPOSE: HashPurpose = HashPurpose::ParticipantMetadata;
    const NAME: &'static str = "participant metadata";

    fn write(&self, w: &mut Writer) {
        put_salt(w, self.salt);
        put_time(w, self.ledger_time);
        put_time(w, self.preparation_time);
        put_option(w, self.workflow.as_ref(), |w, id| w.text(id.as_str()));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            salt: get_salt(r)?,
            ledger_time: get_time(r)?,
            preparation_time: get_time(r)?,
            workflow: get_option(r, |r| r.parsed())?,
        })
    }
}

impl fmt::Display for RequestUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RequestUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
