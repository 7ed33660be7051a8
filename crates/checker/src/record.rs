//! The history format.

use serde::{Deserialize, Serialize};

/// One line of a history. Times are microseconds of one clock, that of the recording program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// A client begins to submit a command, or to submit it again after it could not learn the outcome.
    Submit {
        /// When.
        at: i64,
        /// Command id; every attempt of one command carries the same.
        command: String,
        /// The logical participant it is submitted at.
        participant: String,
        /// All logical participants that must see its effect if it commits.
        stakeholders: Vec<String>,
    },
    /// A client learns something about a command.
    Answer {
        /// When.
        at: i64,
        /// Command id.
        command: String,
        /// The attempt that it learns about; absent if it learns about all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        submission: Option<String>,
        /// What it learns.
        outcome: Outcome,
    },
    /// A replica's update stream shows a transaction.
    Update {
        /// Logical participant.
        participant: String,
        /// Which of its replicas answered.
        replica: String,
        /// Position in the stream of this participant.
        offset: i64,
        /// Names the transaction on the whole network.
        update_id: String,
        /// Present where the participant submitted it.
        command: Option<String>,
        /// Sequencing time.
        record_time: i64,
        /// Contracts that it created.
        created: Vec<Contract>,
        /// Contracts that it archived.
        archived: Vec<Contract>,
    },
    /// A replica's completion stream shows the end of a submission.
    Completion {
        /// Logical participant.
        participant: String,
        /// Which of its replicas answered.
        replica: String,
        /// Position in the stream of this participant.
        offset: i64,
        /// Command id.
        command: String,
        /// Names the attempt, if its client gave it a name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        submission: Option<String>,
        /// The update it caused; none if it was rejected.
        update_id: Option<String>,
    },
    /// What the mediator stored about a request whose stakeholders are all read.
    Verdict {
        /// Sequencing time of the request.
        record_time: i64,
        /// Whether it is to take effect.
        approved: bool,
    },
    /// A client that follows a participant's updates while things happen was shown one. It is shown each once, in order.
    Seen {
        /// Logical participant.
        participant: String,
        /// Position in the stream of this participant.
        offset: i64,
        /// Names the transaction on the whole network.
        update_id: String,
    },
    /// A client asked for the end of a participant's ledger, after the answer to its last such question.
    LedgerEnd {
        /// Logical participant.
        participant: String,
        /// The answer.
        offset: i64,
    },
    /// Everything that a replica says is active at its ledger end.
    Active {
        /// Logical participant.
        participant: String,
        /// Replica.
        replica: String,
        /// Contract ids.
        contracts: Vec<String>,
    },
    /// The recording program has read everything a replica shows, up to its ledger end.
    ReadToEnd {
        /// Logical participant.
        participant: String,
        /// Replica.
        replica: String,
    },
}

/// What a client learns about a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It took effect.
    Committed {
        /// The update.
        update_id: String,
    },
    /// It certainly had no effect.
    Rejected {
        /// Error code.
        code: String,
    },
    /// It may or may not have taken effect.
    Unknown,
}

/// A contract as a stream shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Contract {
    /// Contract id.
    pub id: String,
    /// The logical participants that host a stakeholder.
    pub stakeholders: Vec<String>,
    /// Anything that says what the contract contains: its argument, or a hash of it.
    pub content: String,
}

/// A line is no record.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the history is no record: {source}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// What the JSON reader says.
    pub source: serde_json::Error,
}

/// Reads a history, one JSON object a line; blank lines are skipped.
pub fn parse(text: &str) -> Result<Vec<Record>, ParseError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(i, line)| serde_json::from_str(line).map_err(|source| ParseError { line: i + 1, source })).collect()
}
