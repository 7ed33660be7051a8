//! Dynamic synchronizer parameters (spec/protocol.md §6.6).

use base::{Timestamp, limits};
use std::time::Duration;

/// What all members of a synchronizer go by. Read from the topology snapshot at the time of the request concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// Participants answer a request within this time after its sequencing.
    pub confirmation_response_timeout: Duration,
    /// The mediator's verdict is sequenced within this time after the responses' deadline.
    pub mediator_reaction_timeout: Duration,
    /// For this long only the original submitter may assign.
    pub assignment_exclusivity_timeout: Duration,
    /// From a topology transaction's sequencing to its effect (ε). It can never be changed.
    pub topology_change_delay: Duration,
    /// How far ledger time and record time may differ.
    pub ledger_time_record_time_tolerance: Duration,
    /// How long the mediator remembers request uuids; at least twice the tolerance.
    pub mediator_deduplication_timeout: Duration,
    /// Distance of commitment periods.
    pub reconciliation_interval: Duration,
    /// Requests per second that a participant may submit.
    pub max_rate_per_participant: u32,
    /// Bytes of one submission.
    pub max_request_bytes: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            confirmation_response_timeout: Duration::from_secs(30),
            mediator_reaction_timeout: Duration::from_secs(30),
            assignment_exclusivity_timeout: Duration::from_secs(60),
            topology_change_delay: Duration::from_millis(250),
            ledger_time_record_time_tolerance: Duration::from_secs(60),
            mediator_deduplication_timeout: Duration::from_secs(120),
            reconciliation_interval: Duration::from_secs(60),
            max_rate_per_participant: 1_000_000,
            max_request_bytes: limits::MAX_MESSAGE_BYTES as u64,
        }
    }
}

/// Parameters contradict each other or lie out of bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// A uuid could be used again while an old request with it is still acceptable.
    #[error(
        "mediator deduplication timeout {timeout:?} is less than twice the ledger time record time tolerance {tolerance:?}"
    )]
    DeduplicationTooShort {
        /// As given.
        timeout: Duration,
        /// As given.
        tolerance: Duration,
    },
    /// A timeout is zero or longer than ten days.
    #[error("{name} of {value:?} is not between 1 µs and ten days")]
    OutOfBounds {
        /// Which parameter.
        name: &'static str,
        /// As given.
        value: Duration,
    },
    /// A limit is zero, or a request may be larger than a message.
    #[error("{0} is zero or larger than this version can carry")]
    BadLimit(&'static str),
}

impl Parameters {
    const LONGEST: Duration = Duration::from_secs(10 * 24 * 3600);

    /// Checks each value and how they fit together.
    pub fn check(&self) -> Result<(), ParametersError> {
        for (name, value) in [
            ("confirmation response timeout", self.confirmation_response_timeout),
            ("mediator reaction timeout", self.mediator_reaction_timeout),
            ("ledger time record time tolerance", self.ledger_time_record_time_tolerance),
            ("mediator deduplication timeout", self.mediator_deduplication_timeout),
            ("reconciliation interval", self.reconciliation_interval),
        ] {
            if value < Duration::from_micros(1) || value > Self::LONGEST {
                return Err(ParametersError::OutOfBounds { name, value });
            }
        }
        for (name, value) in [
            ("topology change delay", self.topology_change_delay),
            ("assignment exclusivity timeout", self.assignment_exclusivity_timeout),
        ] {
            if value > Self::LONGEST {
                return Err(ParametersError::OutOfBounds { name, value });
            }
        }
        let (timeout, tolerance) = (self.mediator_deduplication_timeout, self.ledger_time_record_time_tolerance);
        if timeout < tolerance * 2 {
            return Err(ParametersError::DeduplicationTooShort { timeout, tolerance });
        }
        if self.max_rate_per_participant == 0 {
            return Err(ParametersError::BadLimit("max rate per participant"));
        }
        if !(1..=limits::MAX_MESSAGE_BYTES as u64).contains(&self.max_request_bytes) {
            return Err(ParametersError::BadLimit("max request size"));
        }
        Ok(())
    }

    /// Until when participants' responses to a request count.
    #[must_use]
    pub fn response_deadline(&self, request: Timestamp) -> Timestamp {
        request.saturating_add(self.confirmation_response_timeout)
    }

    /// Until when a verdict on a request counts; also the verdict's max sequencing time.
    #[must_use]
    pub fn decision_time(&self, request: Timestamp) -> Timestamp {
        self.response_deadline(request).saturating_add(self.mediator_reaction_timeout)
    }

    /// How old the topology that a submission refers to may be.
    #[must_use]
    pub fn topology_timestamp_tolerance(&self) -> Duration {
        (self.confirmation_response_timeout + self.mediator_reaction_timeout) * 2
    }
}
