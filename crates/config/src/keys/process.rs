//! What is said once for the process.

use super::*;

const HEALTH: &[Key] = &[
    block(
        "server",
        &[&[text("address", "0.0.0.0", "Host name or IP address to listen on."), port("port", "", "TCP port.")]],
        "Where it answers.",
    ),
    block(
        "check",
        &[&[
            choice(
                "type",
                &["always-healthy", "is-active", "ping"],
                "",
                "is-active: 200 on the active replica only. ping: a participant submits to itself.",
            ),
            text("node", "", "is-active: the node that counts; the only one or the first participant if absent."),
            text("participant", "", "ping: who pings. is-active: older spelling of node."),
            time("interval", "30s", "ping: how often."),
            time("timeout", "10s", "ping: limit."),
        ]],
        "What /health answers.",
    ),
];

const REPORTER: &[Key] = &[
    choice("type", &["prometheus", "jmx", "csv", "graphite"], "prometheus", "To whom."),
    text("address", "localhost", "Host."),
    port("port", "", "9100 for prometheus, 2003 for graphite."),
    text("directory", "", "csv: where to write."),
    time("interval", "", "5s for csv, 30s for graphite."),
    text("prefix", "", "graphite: begins every name."),
    list(
        "filters",
        &[&[
            text("starts-with", "", "Of a name."),
            text("contains", "", "In a name."),
            text("ends-with", "", "Of a name."),
        ]],
        "What to report.",
    ),
];

const TRACER: &[Key] = &[
    block(
        "exporter",
        &[&[
            choice("type", &["disabled", "jaeger", "zipkin", "otlp"], "disabled", "To whom."),
            text("address", "localhost", "Host."),
            port("port", "", "14250 for jaeger, 9411 for zipkin, 4318 for otlp."),
        ]],
        "Where spans go.",
    ),
    block(
        "sampler",
        &[&[
            choice("type", &["always-on", "always-off", "trace-id-ratio"], "always-on", "Which traces."),
            decimal("ratio", "1.0", "trace-id-ratio: share of traces."),
            flag("parent-based", "true", "Follow the caller's decision."),
        ]],
        "Which traces are kept.",
    ),
    block(
        "batch-span-processor",
        &[&[
            number("batch-size", "", "Spans sent together."),
            time("schedule-delay", "", "How long to wait for more."),
        ]],
        "How they are sent.",
    ),
];

const LOGGING: &[Key] = &[
    block(
        "api",
        &[&[
            flag("message-payloads", "false", "Log what messages say."),
            number("max-method-length", "30", "Characters."),
            number("max-message-lines", "20", "Lines."),
            number("max-string-length", "250", "Characters."),
            number("max-metadata-size", "200", "Characters."),
            number("warn-beyond-load", "5", "Calls at a time."),
        ]],
        "Calls of the APIs.",
    ),
    flag("event-details", "false", "Log what events say."),
    flag("log-config-on-startup", "true", "See config show."),
    flag("log-config-with-defaults", "false", "See config show."),
    open("jvm-gc", &[], "Of the field."),
    time("delay-logging-threshold", "20s", "Log a synchronizer that is behind by more."),
    open("query-cost", &[], "Of the field."),
];

const MONITORING: &[Key] = &[
    optional("health", &[HEALTH], "HTTP health of the process, for load balancers."),
    block(
        "metrics",
        &[&[
            list("reporters", &[REPORTER], "Who is told."),
            flag("report-jvm-metrics", "false", "Of the field."),
            open("jvm-metrics", &[], "Of the field."),
            open("qualifiers", &[], "Of the field."),
            list(
                "histograms",
                &[&[text("name", "", "Of the metric."), text("aggregation", "", "Of its values.")]],
                "Buckets.",
            ),
        ]],
        "Metrics.",
    )
    .idle(),
    block(
        "tracing",
        &[&[
            choice("propagation", &["enabled", "disabled"], "enabled", "Whether traces cross nodes."),
            block("tracer", &[TRACER], "Spans."),
        ]],
        "Traces.",
    )
    .idle(),
    block("logging", &[LOGGING], "What is logged.").idle(),
    time("delay-logging-threshold", "20s", "Log a synchronizer that is behind by more.").idle(),
    optional("log-query-cost", &[&[time("every", "60s", "How often.")]], "Log expensive queries.").idle(),
    block(
        "deadlock-detection",
        &[&[
            flag("enabled", "true", "Whether it runs."),
            time("interval", "3s", "How often it looks."),
            time("warn-interval", "10s", "How often it warns."),
        ]],
        "Of the field.",
    )
    .idle(),
    number("dump-num-rolling-log-files", "0", "Log files in a health dump.").idle(),
    time("health-dump-metric-frequency", "10m", "Of the field.").idle(),
    number("max-recent-errors", "200", "Errors kept.").idle(),
];

const CONSOLE_TIMEOUTS: &[Key] = &[
    time_or_inf("bounded", "1m", "For commands that end."),
    time_or_inf("unbounded", "Inf", "For commands that may not end."),
    time_or_inf("ledger-command", "1m", "For commands of the Ledger API."),
    time_or_inf("ping", "20s", "For a ping."),
    time_or_inf("testing-bong", "1m", "For a bong."),
];

const PROCESSING_TIMEOUTS: &[Key] = &[
    time_or_inf("unbounded", "Inf", "For what may not end."),
    time_or_inf("io", "Inf", "For files and databases."),
    time_or_inf("default", "1m", "For the rest."),
    time_or_inf("network", "2m", "For other nodes."),
    time_or_inf("shutdown-processing", "60s", "For work at the end."),
    time_or_inf("shutdown-network", "9s", "For other nodes at the end."),
    time_or_inf("shutdown-short", "3s", "For short work at the end."),
    time_or_inf("closing", "10s", "For ending connections."),
    time_or_inf("verify-active", "30s", "For finding out who is active."),
    time_or_inf("active-init", "1m", "How long a passive replica waits for the active one to be initialized."),
    time_or_inf("active-init-retry-delay", "50ms", "How often it looks."),
    time_or_inf("sequencer-info", "30s", "For asking a sequencer who it is."),
    time_or_inf("storage-max-retry-interval", "10s", "Between two attempts at a database."),
    time_or_inf("topology-dispatching", "30s", "For sending topology."),
    time_or_inf("topology-synchronization", "30s", "For seeing topology."),
    time_or_inf("slow-future-warn", "5s", "Log what takes longer."),
    time_or_inf("topology-change-warn-delay", "5s", "Log what takes longer."),
];

const PARAMETERS: &[Key] = &[
    flag("fail-on-unknown-config-keys", "true", "Whether an unknown key is an error; else it is a warning."),
    flag("allow-plaintext", "false", "Whether APIs may be reached from other machines without TLS."),
    block(
        "clock",
        &[&[
            choice("type", &["wall-clock", "sim-clock", "remote-clock"], "wall-clock", "Which clock."),
            time("skew", "0s", "How far it is off, for tests."),
        ]],
        "The process's clock.",
    ),
    flag("manual-start", "false", "Whether nodes wait to be started by the console.").idle(),
    number("startup-parallelism", "", "Nodes started side by side.").idle(),
    flag("non-standard-config", "false", "Whether what is not supported for production may be used.").idle(),
    flag("dev-version-support", "false", "Versions in development.").idle(),
    flag("beta-version-support", "false", "Versions in test.").idle(),
    flag("alpha-version-support", "false", "Versions in test.").idle(),
    text("ports-file", "", "Where to write the ports of all nodes, as JSON, once they have started."),
    flag("exit-on-fatal-failures", "true", "Whether a node that is dead ends the process.").idle(),
    open("startup-memory-check-config", &[], "Of the field.").idle(),
    flag("enable-additional-consistency-checks", "false", "Of the field.").idle(),
    block(
        "retention-period-defaults",
        &[&[
            time("sequencer", "7d", "Of sequencers."),
            time("mediator", "7d", "Of mediators."),
            time("unauthenticated-members", "1h", "Of members that never authenticated."),
        ]],
        "How long data is kept when it is pruned.",
    )
    .idle(),
    block(
        "timeouts",
        &[&[
            block("console", &[CONSOLE_TIMEOUTS], "Of console commands."),
            block("processing", &[PROCESSING_TIMEOUTS], "Of nodes."),
        ]],
        "Limits.",
    )
    .idle(),
];

/// Beside the nodes.
pub(super) const PROCESS: &[Key] = &[
    block("monitoring", &[MONITORING], "How others see that the process is well."),
    block("parameters", &[PARAMETERS], "Of the process."),
    block(
        "features",
        &[&[
            flag("enable-preview-commands", "false", "New console commands."),
            flag("enable-testing-commands", "false", "Console commands for tests."),
            flag("enable-repair-commands", "false", "Console commands that repair."),
        ]],
        "What the console offers.",
    )
    .idle(),
];
