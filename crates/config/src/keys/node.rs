//! The kinds of nodes.

use super::{
    api::{ADMIN_API, JSON_API, LEDGER_API, PUBLIC_API, REMOTE_ADMIN, remote},
    client::CLIENT,
    storage::{HA, REPLICATION, SEQUENCER, STORAGE},
    *,
};

const HEALTH_SERVER: &[Key] =
    &[text("address", "0.0.0.0", "Host name or IP address to listen on."), port("port", "", "TCP port.")];

const COMMON: &[Key] = &[
    STORAGE,
    ADMIN_API,
    HA,
    open("crypto", &[], "Schemes, and where private keys are kept. Keys are Ed25519 in the node's storage.").idle(),
    block(
        "monitoring",
        &[&[
            optional(
                "grpc-health-server",
                &[HEALTH_SERVER, &[number("parallelism", "4", "Threads.").idle()]],
                "gRPC health of this node on a port of its own.",
            ),
            optional("http-health-server", &[HEALTH_SERVER], "HTTP health of this node."),
        ]],
        "How others see that it is well.",
    ),
    open(
        "topology",
        &[&[
            flag("require-participant-certificate", "false", "Participants must show a certificate."),
            flag("open", "true", "Participants may join by themselves."),
        ]],
        "Who may join.",
    )
    .idle(),
];

const NODE_IDENTIFIER: Key = block(
    "node-identifier",
    &[&[
        choice(
            "type",
            &["config", "random", "explicit"],
            "config",
            "config: the name of the node in the configuration.",
        ),
        text("name", "", "The name, if it is explicit."),
    ]],
    "The name in the identifier that the node gives itself at its first start.",
);

const IDENTITY: &[Key] = &[
    flag("generate-legal-identity-certificate", "false", "Of the field.").idle(),
    flag("generate-intermediate-key", "false", "Of the field.").idle(),
];

const INIT_IDENTITY: Key = block("identity", &[IDENTITY, &[NODE_IDENTIFIER]], "The node's identifier and keys.");
/// Sequencers and mediators are named when a synchronizer is founded with them.
const NAMED_BY_OTHERS: Key = block("identity", &[IDENTITY, IDLE_IDENTIFIER], "The node's identifier and keys.");
const IDLE_IDENTIFIER: &[Key] = &[NODE_IDENTIFIER.idle()];
const AUTO_INIT: Key = flag("auto-init", "true", "Whether the node makes its keys by itself.").idle();

const DOMAIN_PARAMETERS: &[Key] = &[
    text("protocol-version", "7", "The field's protocol version; nodes of this system speak their own."),
    time("participant-response-timeout", "30s", "How long participants have to respond."),
    time("mediator-reaction-timeout", "30s", "How long the mediator has to decide after that."),
    time("topology-change-delay", "250ms", "From sequencing to effect of a topology change."),
    time("ledger-time-record-time-tolerance", "60s", "How far ledger time may lie from record time."),
    time("reconciliation-interval", "60s", "Between two commitments.").idle(),
    number("max-rate-per-participant", "1000000", "Messages of a participant in a second.").idle(),
    number("max-inbound-message-size", "10485760", "Bytes of a request.").idle(),
    flag("unique-contract-keys", "true", "Of the field.").idle(),
    texts("required-signing-key-schemes", "Schemes that all members know.").idle(),
    texts("required-encryption-key-schemes", "Schemes that all members know.").idle(),
    texts("required-symmetric-key-schemes", "Schemes that all members know.").idle(),
    texts("required-hash-algorithms", "Algorithms that all members know.").idle(),
    texts("required-crypto-key-formats", "Formats that all members know.").idle(),
    flag("dev-version-support", "false", "Versions in development.").idle(),
    flag("beta-version-support", "false", "Versions in test.").idle(),
    flag("dont-warn-on-deprecated-pv", "false", "Of the field.").idle(),
    flag("reset-stored-static-config", "false", "Take static parameters from the file again.").idle(),
];

const DOMAIN_INIT: Key = block(
    "init",
    &[&[
        AUTO_INIT,
        INIT_IDENTITY,
        block("domain-parameters", &[DOMAIN_PARAMETERS], "What a new synchronizer begins with."),
    ]],
    "The first start.",
);

const PLAIN_INIT: Key = block("init", &[&[AUTO_INIT, NAMED_BY_OTHERS]], "The first start.");

const IDLE_PARAMETERS: Key = open("parameters", &[], "Tuning of the field's node.").idle();

const PARTICIPANT: &[Key] = &[
    LEDGER_API,
    JSON_API,
    REPLICATION,
    block(
        "init",
        &[&[
            AUTO_INIT,
            INIT_IDENTITY,
            block(
                "ledger-api",
                &[&[time("max-deduplication-duration", "7d", "How long commands are told from their repetition.")]],
                "Of the Ledger API.",
            )
            .idle(),
            block("parameters", &[&[flag("unique-contract-keys", "true", "Of the field.")]], "Of the field.").idle(),
        ]],
        "The first start.",
    ),
    optional("testing-time", &[&[choice("type", &["monotonic-time"], "monotonic-time", "Which clock.")]], "For tests.")
        .refused(),
    block("parameters", &[PARTICIPANT_PARAMETERS], "Tuning of the participant.").idle(),
];

const PARTICIPANT_PARAMETERS: &[Key] = &[
    block(
        "admin-workflow",
        &[&[
            number("retries", "10", "Attempts."),
            time("submission-timeout", "1h", "Limit for a ping."),
            flag("autoload-dar", "true", "Of the field."),
            number("bong-test-max-level", "0", "Of the field."),
        ]],
        "Ping.",
    ),
    choice("party-change-notification", &["via-domain", "eager"], "via-domain", "When a new party is known."),
    number("max-unzipped-dar-size", "1073741824", "Bytes of a DAR's content."),
    block(
        "batching",
        &[&[
            number("max-items-in-sql-clause", "100", "Values in a statement."),
            number("parallelism", "8", "Side by side."),
        ]],
        "Database batches.",
    ),
    open(
        "stores",
        &[&[
            number("max-pruning-batch-size", "1000", "Rows removed together."),
            number("ledger-api-pruning-batch-size", "50000", "Rows removed together."),
            time("pruning-metric-update-interval", "1h", "How often the metric is renewed."),
        ]],
        "Removing old data.",
    ),
    text("minimum-protocol-version", "5", "Older protocols are not spoken."),
    text("initial-protocol-version", "latest", "Of the field."),
    flag("dev-version-support", "false", "Versions in development."),
    flag("beta-version-support", "false", "Versions in test."),
    time("warn-if-overloaded-for", "20s", "When to log that calls are turned away."),
    open("ledger-api-server-parameters", &[&[text("contract-id-seeding", "strong", "Of the field.")]], "Of the field."),
    open("ledger-api-server", &[], "Of the field."),
    open("engine", &[], "Of the field's engine."),
    open(
        "command-progress-tracker",
        &[&[
            flag("enabled", "true", "Whether the state of commands can be asked for."),
            number("max-failed", "100", "Failed ones kept."),
            number("max-pending", "1000", "Pending ones kept."),
            number("max-succeeded", "100", "Others kept."),
        ]],
        "The state of commands.",
    ),
    optional(
        "watchdog",
        &[&[
            flag("enabled", "true", "Whether it runs."),
            time("check-interval", "15s", "How often it looks."),
            time("kill-delay", "30s", "How long it waits then."),
        ]],
        "Ends the process of a node that is dead.",
    ),
    open("caching", &[], "Sizes of caches."),
    flag("enable-additional-consistency-checks", "false", "Of the field."),
];

const DOMAIN: &[Key] = &[
    DOMAIN_INIT,
    PUBLIC_API,
    SEQUENCER,
    IDLE_PARAMETERS,
    flag("audit-logging", "false", "Of the field.").idle(),
    optional("service-agreement", &[&[text("id", "", "Its name."), text("file", "", "Its text.")]], "To be accepted.")
        .idle(),
];

const SEQUENCER_NODE: &[Key] = &[
    PUBLIC_API,
    SEQUENCER,
    PLAIN_INIT,
    IDLE_PARAMETERS,
    block("health", &[&[time("backend-check-period", "5s", "How often the database is looked at.")]], "Of the field.")
        .idle(),
];

const MEDIATOR: &[Key] = &[REPLICATION, PLAIN_INIT, IDLE_PARAMETERS];
const MANAGER: &[Key] = &[REPLICATION, DOMAIN_INIT, IDLE_PARAMETERS];

/// Local nodes by kind.
pub(super) const NODES: &[Key] = &[
    named("participants", &[COMMON, CLIENT, PARTICIPANT], "Participants, by name. Ports count up from 4001 and 4002."),
    named("sequencers", &[COMMON, CLIENT, SEQUENCER_NODE], "Sequencers, by name. Ports count up from 4401 and 4402."),
    named("mediators", &[COMMON, CLIENT, MEDIATOR], "Mediators, by name. Ports count up from 4602."),
    named("domain-managers", &[COMMON, CLIENT, MANAGER], "Synchronizer managers, by name. Ports count up from 4801."),
    named(
        "domains",
        &[COMMON, CLIENT, DOMAIN],
        "Simple synchronizers with sequencer, mediator and manager inside, by name. Ports count up from 4201 and 4202.",
    )
    .or("synchronizers"),
];

const TOKEN: Key = secret("token", "Shown to the remote node.");
const REMOTE_PUBLIC: Key = remote("public-api", "Where members connect.");
const REMOTE_TOKEN: &[Key] = &[TOKEN.idle()];
const REMOTE_HEALTH: &[Key] = &[
    open("grpc-health", &[], "Where it says whether it is well.").idle(),
    open("http-health", &[], "Where it says whether it is well.").idle(),
];

/// Nodes of other processes by kind.
pub(super) const REMOTES: &[Key] = &[
    named(
        "remote-participants",
        &[&[REMOTE_ADMIN, remote("ledger-api", "Where applications connect."), TOKEN], REMOTE_HEALTH],
        "Participants of other processes.",
    ),
    named(
        "remote-sequencers",
        &[&[REMOTE_ADMIN, REMOTE_PUBLIC], REMOTE_TOKEN, REMOTE_HEALTH],
        "Sequencers of other processes.",
    ),
    named("remote-mediators", &[&[REMOTE_ADMIN], REMOTE_TOKEN, REMOTE_HEALTH], "Mediators of other processes."),
    named(
        "remote-domain-managers",
        &[&[REMOTE_ADMIN], REMOTE_TOKEN, REMOTE_HEALTH],
        "Synchronizer managers of other processes.",
    ),
    named(
        "remote-domains",
        &[&[REMOTE_ADMIN, REMOTE_PUBLIC], REMOTE_TOKEN, REMOTE_HEALTH],
        "Simple synchronizers of other processes.",
    )
    .or("remote-synchronizers"),
];
