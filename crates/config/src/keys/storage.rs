//! Databases, and the replicas that share them.

use super::*;

const PROPERTIES: &[Key] = &[
    text("serverName", "localhost", "Host of the server."),
    port("portNumber", "5432", "Its port."),
    text("databaseName", "", "The database."),
    text("user", "", "Who connects."),
    secret("password", "The user's password."),
    text("url", "", "jdbc:postgresql://host:port/database, instead of the keys above."),
    text("currentSchema", "public", "Nodes may share a database, each logical node with a schema of its own."),
    text("ssl", "", "Whether to encrypt."),
    text("sslmode", "", "How strictly to encrypt."),
    text("sslrootcert", "", "Certificates that the server may be signed by."),
    text("sslcert", "", "What this client shows to the server."),
    secret("sslkey", "The key of sslcert."),
];

const CONFIG: &[Key] = &[
    text("file", "", "sqlite: the database file, which processes of one machine may share."),
    text("dataSourceClass", "", "Of the field's driver; not looked at."),
    text("driver", "", "Of the field's driver; not looked at."),
    text("url", "", "postgres: jdbc:postgresql://host:port/database, instead of properties."),
    text("user", "", "postgres: who connects, where url is given."),
    secret("password", "postgres: the user's password, where url is given."),
    open("properties", &[PROPERTIES], "postgres: where the server is and who connects."),
    number("numThreads", "", "Connections; wins over parameters.max-connections."),
    number("queueSize", "", "Queries that wait.").idle(),
    number("connectionTimeout", "", "Limit for connecting, in milliseconds.").idle(),
];

const PARAMETERS: &[Key] = &[
    key("max-connections", Shape::Number(1, 1_000), "", "Connections of the node; 8 if absent."),
    block(
        "connection-allocation",
        &[&[
            number("num-reads", "", "Connections that read."),
            number("num-writes", "", "Connections that write."),
            number("num-ledger-api", "", "Connections of the Ledger API."),
        ]],
        "How connections are divided.",
    )
    .idle(),
    flag("fail-fast-on-startup", "true", "Whether a missing database ends the start.").idle(),
    flag("migrate-and-start", "false", "Tables are always brought to the newest version at the start.").idle(),
    texts("migrations-paths", "Where the field keeps its migrations.").idle(),
    texts("repeatable-migrations-paths", "Where the field keeps its migrations.").idle(),
    secret("ledger-api-jdbc-url", "A database of its own for the Ledger API.").idle(),
    time("connection-timeout", "5s", "Limit for connecting.").idle(),
    time("failed-to-fatal-delay", "5m", "After this long without a database the node is dead.").idle(),
    time("warn-on-slow-query", "", "Log queries that take longer.").idle(),
    time("warn-on-slow-query-interval", "5s", "How often that is looked at.").idle(),
    flag("unsafe-clean-on-validation-error", "false", "Empty a database whose tables are not as expected.").idle(),
    flag("unsafe-baseline-on-migrate", "false", "Take a database as it is.").idle(),
];

/// `storage` of a node.
pub(super) const STORAGE: Key = block(
    "storage",
    &[&[
        choice("type", &["memory", "sqlite", "postgres", "h2", "oracle"], "memory", "Which database."),
        open("config", &[CONFIG], "How to reach it."),
        block("parameters", &[PARAMETERS], "How much of it to use."),
    ]],
    "Where the node keeps its state.",
);

/// How soon another replica takes over.
pub(super) const HA: Key = block(
    "ha",
    &[&[choice(
        "profile",
        &["fast", "balanced", "tolerant"],
        "balanced",
        "How long a silent active replica is waited for: 300 ms, 1 s or 5 s.",
    )]],
    "How fast a dead replica is noticed.",
);

const LOCK: &[Key] = &[
    time("health-check-period", "5s", "How often the lock is looked at."),
    time("health-check-timeout", "15s", "Limit for that."),
];

const CONNECTION: &[Key] = &[
    time("passive-check-period", "15s", "How often a passive replica tries."),
    time("health-check-period", "5s", "How often a connection is looked at."),
    time("health-check-timeout", "15s", "Limit for that."),
    time("connection-timeout", "10s", "Limit for connecting."),
    time("keep-alive-idle", "10s", "Probe a silent connection after this long."),
    time("keep-alive-interval", "1s", "Between two probes."),
    number("keep-alive-count", "5", "Probes without an answer that end a connection."),
    time("client-connection-check-interval", "5s", "How often the server looks whether the client lives."),
    number("initial-acquisition-max-retries", "5", "Attempts to become active at the start."),
    time("initial-acquisition-interval", "200ms", "Between two of them."),
    block("lock", &[LOCK], "The lock of the active replica."),
];

const CONNECTION_POOL: Key = block(
    "connection-pool",
    &[&[
        time("health-check-period", "5s", "How often the pool is looked at."),
        time("active-timeout", "15s", "How long a replica may lose its connection and stay active."),
        time("initial-locked-connection-timeout", "15s", "Limit for the first connection."),
        time("initial-must-remain-active-connection-timeout", "1m", "Limit for connecting again."),
        block("connection", &[CONNECTION], "Connections that hold a lock."),
    ]],
    "The field's election; ha.profile takes its place.",
)
.idle();

/// `replication` of a participant, mediator or manager.
pub(super) const REPLICATION: Key = block(
    "replication",
    &[&[
        flag("enabled", "", "Whether other processes may run replicas of this node; true unless storage is memory."),
        flag("forward-when-passive", "true", "Whether a passive replica passes writes on to the active one."),
        text(
            "advertised-address",
            "",
            "Host under which the other replicas reach this one, and that is in its certificate; its own address if absent.",
        ),
        CONNECTION_POOL,
    ]],
    "Replicas of the node.",
);

const WRITER: &[Key] = &[
    choice("type", &["low-latency", "high-throughput"], "low-latency", "What the values below begin with."),
    number("payload-queue-size", "1000", "Payloads that wait."),
    number("payload-write-batch-max-size", "", "Payloads written together."),
    time("payload-write-batch-max-duration", "", "How long a batch waits to fill."),
    number("payload-write-max-concurrency", "", "Batches written side by side."),
    time("payload-to-event-margin", "60s", "From a payload to its event at most."),
    number("event-write-batch-max-size", "", "Events written together."),
    time("event-write-batch-max-duration", "", "How long a batch waits to fill."),
    number("event-write-max-concurrency", "1", "Batches written side by side."),
    choice("commit-mode-validation", &["synchronous", "local"], "synchronous", "Expected commit mode of the database."),
    number("max-sql-in-list-size", "250", "Values in one statement."),
    time("checkpoint-interval", "30s", "Between two checkpoints."),
];

const READER: &[Key] = &[
    number("read-batch-size", "100", "Events read together."),
    time("checkpoint-interval", "5s", "Between two checkpoints."),
    time("polling-interval", "", "How often other sequencers' events are looked for."),
    number("payload-batch-size", "10", "Payloads read together."),
    number("payload-fetch-parallelism", "2", "Batches read side by side."),
    number("event-generation-parallelism", "4", "Events made side by side."),
];

const HIGH_AVAILABILITY: &[Key] = &[
    flag("enabled", "", "Whether other sequencers may share the database; true unless storage is memory."),
    key("total-node-count", Shape::Number(1, 31), "10", "Sequencers that time is divided between; never changes."),
    time("keep-alive-interval", "50ms", "How often a sequencer shows that it lives.").idle(),
    time("online-check-interval", "5s", "How often others are looked at.").idle(),
    time("offline-duration", "8s", "After this long a silent sequencer is offline.").idle(),
    CONNECTION_POOL,
    block(
        "exclusive-storage",
        &[&[number("max-connections", "2", "Connections."), CONNECTION_POOL]],
        "Connections of the one sequencer that prunes.",
    )
    .idle(),
];

/// `sequencer` of a sequencer or simple synchronizer.
pub(super) const SEQUENCER: Key = block(
    "sequencer",
    &[&[
        choice(
            "type",
            &["database", "reference", "BFT", "fabric", "ethereum", "community-database"],
            "database",
            "How events are ordered. reference is the database sequencer on its config.storage.",
        ),
        block("writer", &[WRITER], "How events are written.").idle(),
        block("reader", &[READER], "How events are read.").idle(),
        block("high-availability", &[HIGH_AVAILABILITY], "Sequencers that share a database."),
        open("config", &[&[Key { shape: Shape::Optional(STORAGE.inside()), ..STORAGE }]], "Of a driver."),
        open("pruning", &[], "How old events are removed.").idle(),
        open("block", &[], "Of a driver.").idle(),
    ]],
    "How events are ordered.",
);
