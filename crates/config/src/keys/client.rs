//! How members use a synchronizer.

use super::{api::KEEP_ALIVE, *};

const SEQUENCER_CLIENT: &[Key] = &[
    number("event-inbox-size", "100", "Events that wait to be worked on."),
    time("startup-connection-retry-delay", "1s", "Between two attempts at the start."),
    time("initial-connection-retry-delay", "50ms", "Before the first attempt to connect again."),
    time("max-connection-retry-delay", "30s", "Between two attempts at most."),
    time("warn-disconnect-delay", "5s", "After this long without connection a warning is logged."),
    number("handshake-retry-attempts", "50", "Attempts to agree on a protocol."),
    time("handshake-retry-delay", "5s", "Between two of them."),
    time("default-max-sequencing-time-offset", "5m", "How long a message may take to be sequenced."),
    time("acknowledgement-interval", "1m", "How often the member says what it has worked on."),
    KEEP_ALIVE,
    block(
        "auth-token",
        &[&[
            time("refresh-auth-token-before-expiry", "20s", "How early a token is renewed."),
            number("retries", "20", "Attempts to get one."),
            time("pause-retries", "500ms", "Between two of them."),
        ]],
        "Authentication of the member.",
    ),
    number("maximum-in-flight-event-batches", "20", "Batches of events in work."),
    number("override-max-request-size", "", "Bytes of a request, instead of the synchronizer's parameter."),
    flag("use-new-connection-pool", "true", "Of the field's client."),
];

const TIME_TRACKER: &[Key] = &[
    time("observation-latency", "250ms", "How long an event may be on its way."),
    time("patience-duration", "500ms", "How long to wait for an event before asking for the time."),
    time("min-observation-duration", "24h", "Time is observed so often at least."),
    block(
        "time-request",
        &[&[
            time("initial-retry-delay", "200ms", "Before asking again."),
            time("max-retry-delay", "5s", "Before asking again, at most."),
            time("max-sequencing-delay", "10s", "How long the request may take to be sequenced."),
        ]],
        "Asking for the time.",
    ),
];

/// `sequencer-client`, `time-tracker` and `caching` of a member.
pub(super) const CLIENT: &[Key] = &[
    block("sequencer-client", &[SEQUENCER_CLIENT], "How the node uses sequencers.").idle(),
    block("time-tracker", &[TIME_TRACKER], "How the node learns the time of the synchronizer.").idle(),
    open("caching", &[], "Sizes of caches.").idle(),
];
