//! Servers, and the clients of servers.

use super::*;

const KEY_PAIR: &[Key] = &[
    file("cert-chain-file", "Certificate chain, PEM."),
    file("private-key-file", "Private key of the certificate, PKCS#8 PEM."),
];

const TLS_COMMON: &[Key] = &[
    choice("minimum-server-protocol-version", &["TLSv1.2", "TLSv1.3"], "TLSv1.2", "Older protocols are not spoken."),
    texts("ciphers", "Allowed cipher suites; those of the implementation if absent.").refused(),
];

const TLS_SERVER: &[Key] = &[
    flag("enabled", "true", "Whether the block applies."),
    file("trust-collection-file", "Certificates that clients may be signed by, PEM."),
    text("secrets-url", "", "Where to fetch the secret for encrypted keys.").refused(),
    flag("enable-cert-revocation-checking", "false", "Ask for revoked certificates.").refused(),
    block(
        "client-auth",
        &[&[
            choice("type", &["none", "optional", "require"], "optional", "Whether clients must show a certificate."),
            optional("admin-client", &[KEY_PAIR], "What this process itself shows to its server."),
        ]],
        "Certificates of clients.",
    ),
];

const TLS_CLIENT: &[Key] = &[
    flag("enabled", "true", "Whether the block applies."),
    file("trust-collection-file", "Certificates that the server may be signed by, PEM."),
    optional("client-cert", &[KEY_PAIR], "What this client shows to the server."),
];

const KEEP_ALIVE_CLIENT: &[Key] = &[
    time("time", "40s", "Ping a silent server after this long."),
    time("timeout", "20s", "Give the server up when it does not answer the ping for so long."),
];

const ADDRESS: &[Key] = &[text("address", "127.0.0.1", "Host name or IP address to listen on.")];

const SERVER: &[Key] = &[
    block(
        "keep-alive-server",
        &[&[
            time("time", "", "Ping a silent client after this long; 40s, for the Ledger API 10m."),
            time("timeout", "20s", "Give the client up when it does not answer the ping for so long."),
            time("permit-keep-alive-time", "", "Clients may ping so often; 20s, for the Ledger API 10s."),
            flag("permit-keep-alive-without-calls", "", "Whether idle clients may ping; for the Ledger API they may."),
        ]],
        "Pings that find dead connections.",
    )
    .idle(),
    number("max-inbound-message-size", "10485760", "Bytes of a message to the server.").idle(),
];

const AUTH_SERVICE: &[Key] = &[
    choice(
        "type",
        &[
            "wildcard",
            "unsafe-jwt-hmac-256",
            "jwt-rs-256-crt",
            "jwt-es-256-crt",
            "jwt-es-512-crt",
            "jwt-rs-256-jwks",
            "jwt-jwks",
        ],
        "",
        "How tokens are checked; wildcard lets everybody in.",
    ),
    secret("secret", "Shared secret of unsafe-jwt-hmac-256; for tests only."),
    file("certificate", "Certificate that tokens are signed with."),
    text("url", "", "Where the JSON web key set is."),
    text("target-audience", "", "Tokens must be for this audience."),
    text("target-scope", "", "Tokens must have this scope."),
];

const AUTH_SERVICES: Key = list("auth-services", &[AUTH_SERVICE], "Who may call; everybody if empty.");
const AUTH: &[Key] = &[AUTH_SERVICES];
const ADMIN_AUTH: &[Key] = &[AUTH_SERVICES.refused()];

const TLS: &[Key] = &[optional(
    "tls",
    &[KEY_PAIR, TLS_SERVER, TLS_COMMON],
    "Encryption of the server. Renewed files are used by themselves.",
)];

const PORT: &[Key] = &[port("port", "", "TCP port; 0 picks a free one. Counted up from the default of the kind.")];

const ADMIN: &[Key] = &[
    block(
        "admin-token-config",
        &[&[
            secret("fixed-admin-token", "A token that administrators present."),
            time("admin-token-duration", "5m", "How long a generated token is valid."),
        ]],
        "Tokens of administrators.",
    )
    .idle(),
    time("max-token-lifetime", "5m", "Tokens may not be valid for longer.").idle(),
];

const LEDGER: &[Key] = &[
    time("management-service-timeout", "2m", "Limit for a management command.").idle(),
    time("configuration-load-timeout", "10s", "Limit for loading the ledger configuration.").idle(),
    time("database-connection-timeout", "30s", "Limit for connecting to the database.").idle(),
    time("api-stream-shutdown-timeout", "5s", "Limit for ending streams at shutdown.").idle(),
    time("initial-synchronization-timeout", "10s", "Limit for catching up at the start.").idle(),
    flag("enable-explicit-disclosure", "true", "Commands may bring contracts along.").idle(),
    flag("enable-command-inspection", "true", "The state of commands can be asked for.").idle(),
    secret("admin-token", "A token that may do everything, where callers need one; unsafe."),
    flag("synchronize-vetting-on-upload", "false", "An upload waits until its packages are vetted.").idle(),
    time("max-token-lifetime", "5m", "Tokens may not be valid for longer.").idle(),
    block(
        "command-service",
        &[&[
            time("default-tracking-timeout", "5m", "How long a caller that sets no deadline waits."),
            number("max-commands-in-flight", "256", "Commands that may wait for their outcome."),
        ]],
        "Commands with an answer.",
    )
    .idle(),
    block(
        "user-management-service",
        &[&[
            flag("enabled", "true", "Whether there are users."),
            number("max-cache-size", "100", "Users kept in memory."),
            number("cache-expiry-after-write-in-seconds", "5", "Seconds that a user is kept."),
            number("max-users-page-size", "1000", "Users in one answer."),
            number("max-rights-per-user", "1000", "Rights of one user."),
            text("additional-admin-user-id", "", "A second administrator, created at the start."),
        ]],
        "Users.",
    )
    .idle(),
    block(
        "party-management-service",
        &[&[number("max-parties-page-size", "10000", "Parties in one answer.")]],
        "Parties.",
    )
    .idle(),
    block(
        "rate-limit",
        &[&[
            number("max-api-services-queue-size", "20000", "Calls that wait."),
            number("max-api-services-index-db-queue-size", "1000", "Queries that wait."),
            number("max-used-heap-space-percentage", "100", "Share of memory in use."),
            number("min-free-heap-space-bytes", "0", "Memory that stays free."),
            number("max-streams", "1000", "Open streams."),
        ]],
        "When calls are turned away.",
    )
    .idle(),
    open(
        "index-service",
        &[&[
            number("buffered-events-processing-parallelism", "8", "Lookups side by side."),
            number("buffered-streams-page-size", "100", "Updates fetched at once from memory."),
            number("max-contract-state-cache-size", "10000", "Contracts kept in memory."),
            number("max-contract-key-state-cache-size", "10000", "Keys kept in memory."),
            number("max-transactions-in-memory-fan-out-buffer-size", "1000", "Updates kept in memory."),
            number("completions-page-size", "1000", "Completions fetched at once."),
        ]],
        "Reading the index.",
    )
    .idle(),
    open("postgres-data-source", &[&[text("synchronous-commit", "", "Commit mode of the index.")]], "Its database.")
        .idle(),
    open("identity-provider-management", &[], "Further identity providers.").idle(),
];

const PUBLIC: &[Key] = &[
    time("nonce-expiration-time", "1m", "How long a challenge to a member is valid.").idle(),
    time("token-expiration-time", "1h", "How long a member stays authenticated.").idle(),
    number("override-max-request-size", "", "Bytes of a request, instead of the synchronizer's parameter.").idle(),
];

/// `admin-api` of a node.
pub(super) const ADMIN_API: Key =
    block("admin-api", &[ADDRESS, PORT, TLS, ADMIN_AUTH, SERVER, ADMIN], "Where the node is administered.");

/// `ledger-api` of a participant.
pub(super) const LEDGER_API: Key =
    block("ledger-api", &[ADDRESS, PORT, TLS, AUTH, SERVER, LEDGER], "Where applications connect.");

/// `public-api` of a sequencer or simple synchronizer.
pub(super) const PUBLIC_API: Key =
    block("public-api", &[ADDRESS, PORT, TLS, SERVER, PUBLIC], "Where members of the synchronizer connect.");

/// An API of a remote node.
pub(super) const fn remote(name: &'static str, doc: &'static str) -> Key {
    optional(name, &[REMOTE, IDLE_TLS], doc)
}

/// The admin API of a remote node.
pub(super) const REMOTE_ADMIN: Key = optional("admin-api", &[REMOTE, &[REMOTE_TLS]], "Where it is administered.");

const IDLE_TLS: &[Key] = &[REMOTE_TLS.idle()];
const REMOTE_TLS: Key = optional("tls", &[TLS_CLIENT, TLS_COMMON], "Encryption.");

const REMOTE: &[Key] = &[
    text("address", "127.0.0.1", "Host name or IP address."),
    port("port", "", "TCP port."),
    flag("transport-security", "false", "Whether the public API is encrypted.").idle(),
    optional(
        "custom-trust-certificates",
        &[&[file("pem-file", "Certificates that the server may be signed by, PEM.")]],
        "Instead of those of the system.",
    )
    .idle(),
    block("keep-alive-client", &[KEEP_ALIVE_CLIENT], "Pings that find a dead server.").idle(),
    number("max-inbound-message-size", "10485760", "Bytes of an answer.").idle(),
];

/// `keep-alive-client` of a sequencer client.
pub(super) const KEEP_ALIVE: Key =
    block("keep-alive-client", &[KEEP_ALIVE_CLIENT], "Pings that find a dead sequencer.");

/// The JSON API in the process.
pub(super) const JSON_API: Key = optional(
    "http-ledger-api",
    &[&[
        flag("enabled", "true", "Whether it is served."),
        text("address", "127.0.0.1", "Host name or IP address to listen on."),
        port("port", "", "TCP port."),
        text("port-file", "", "Where to write the port."),
        text("path-prefix", "", "Begins every path."),
        time("request-timeout", "20s", "Limit for a request."),
        open("server", &[], "Its server (older spelling)."),
        open("websocket-config", &[], "Streams over WebSocket."),
        flag("allow-insecure-tokens", "false", "Whether tokens may come unencrypted."),
    ]],
    "The JSON Ledger API.",
)
.refused()
.or("http-ledger-api-experimental");
