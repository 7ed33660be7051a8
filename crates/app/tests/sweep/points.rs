//! The places at which a process may be aborted, each before and after: what is written to which table, or sent.

use demo::Kind::{self, Manager, Mediator, Participant, Sequencer};

/// Is sent where nothing else happens for some seconds that would tell the time.
pub(crate) const ASK: &str = "send request for the time";

/// What the workload passes, and what a process passes that takes over or begins again while it runs.
pub(crate) const SWEPT: &[(Kind, &str)] = &[
    // Submission.
    (Participant, "insert participant_in_flight"),
    (Participant, "send confirmation request"),
    (Participant, "update participant_in_flight"),
    (Participant, "delete participant_in_flight"),
    // Sequencing.
    (Sequencer, "insert sequencer_events"),
    (Sequencer, "insert sequencer_recipients"),
    (Sequencer, "update sequencer_watermarks"),
    // Validation and response.
    (Participant, "send response"),
    (Participant, "insert participant_clean"),
    (Participant, ASK),
    // Verdict.
    (Mediator, "insert mediator_uuids"),
    (Mediator, "delete mediator_uuids"),
    (Mediator, "insert mediator_verdicts"),
    (Mediator, "send verdict"),
    (Mediator, "update mediator_verdicts"),
    (Mediator, "insert mediator_clean"),
    (Mediator, ASK),
    // Commit.
    (Participant, "insert participant_acceptances"),
    (Participant, "insert ledger_completions"),
    (Participant, "insert ledger_contracts"),
    (Participant, "update ledger_contracts"),
    (Participant, "insert ledger_updates"),
    (Participant, "update ledger_end"),
    // Change of topology.
    (Participant, "send topology request"),
    (Manager, "insert manager_answers"),
    (Manager, "send registration"),
    (Manager, "delete manager_answers"),
    (Manager, "insert manager_queue"),
    (Manager, "send topology broadcast"),
    (Manager, "delete manager_queue"),
    (Manager, "insert manager_clean"),
    (Manager, ASK),
    (Manager, "insert identity_topology"),
    (Mediator, "insert identity_topology"),
    (Sequencer, "insert identity_topology"),
    (Participant, "insert identity_topology"),
    (Participant, "insert ledger_parties"),
    // Taking over, and connecting again.
    (Manager, "update store_epochs"),
    (Mediator, "update store_epochs"),
    (Participant, "update store_epochs"),
    (Manager, "insert node_replicas"),
    (Manager, "delete node_replicas"),
    (Mediator, "insert node_replicas"),
    (Mediator, "delete node_replicas"),
    (Participant, "insert node_replicas"),
    (Participant, "delete node_replicas"),
    (Sequencer, "insert sequencer_beats"),
    (Sequencer, "insert sequencer_nonces"),
    (Sequencer, "delete sequencer_nonces"),
    (Sequencer, "insert sequencer_tokens"),
    (Sequencer, "delete sequencer_tokens"),
    (Sequencer, "insert sequencer_acknowledgements"),
    (Manager, "send acknowledgement"),
    (Mediator, "send acknowledgement"),
    (Participant, "send acknowledgement"),
];

/// One write or send of each step of a transaction.
pub(crate) const SWEPT_ON_POSTGRESQL: &[(Kind, &str)] = &[
    (Participant, "insert participant_in_flight"),
    (Participant, "send confirmation request"),
    (Sequencer, "insert sequencer_events"),
    (Participant, "send response"),
    (Mediator, "insert mediator_verdicts"),
    (Mediator, "send verdict"),
    (Participant, "insert participant_acceptances"),
    (Participant, "update store_epochs"),
];

/// What is passed only where a network is founded, a participant is connected, or a package comes: reached, but no process
/// is aborted there.
pub(crate) const FOUNDING: &[(Kind, &str)] = &[
    (Manager, "insert identity_keys"),
    (Manager, "insert identity_settings"),
    (Mediator, "insert identity_keys"),
    (Mediator, "insert identity_settings"),
    (Sequencer, "insert identity_keys"),
    (Sequencer, "insert identity_settings"),
    (Sequencer, "insert sequencer_members"),
    (Sequencer, "insert sequencer_watermarks"),
    (Participant, "insert identity_keys"),
    (Participant, "insert identity_settings"),
    (Participant, "insert ledger_end"),
    (Participant, "insert ledger_packages"),
    (Participant, "insert participant_dars"),
    (Participant, "insert participant_synchronizers"),
];
