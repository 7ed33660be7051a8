//! The field's own configuration files, as test data: what loads, and how what is wrong is reported.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use config::{Code, Config, LoadError, Problem, load};
use std::{fs, path::PathBuf};

fn test_data() -> Option<PathBuf> {
    testkit::test_data().map(|data| data.join("configs"))
}

/// What the files ask for: variables and certificates.
struct Surroundings {
    certificates: tempfile::TempDir,
}

impl Surroundings {
    fn new() -> Self {
        let certificates = tempfile::tempdir().unwrap();
        for name in ["ledger-api", "admin-api", "public-api"] {
            for extension in ["crt", "pem"] {
                fs::write(certificates.path().join(format!("{name}.{extension}")), "").unwrap();
            }
        }
        for name in ["root-ca.crt", "jwt.crt"] {
            fs::write(certificates.path().join(name), "").unwrap();
        }
        Self { certificates }
    }

    fn get(&self, name: &str) -> Option<String> {
        let file = |name: &str| Some(self.certificates.path().join(name).to_string_lossy().into_owned());
        match name {
            "POSTGRES_USER" => Some("u".into()),
            "POSTGRES_PASSWORD" => Some("hunter2".into()),
            "TLS_CERT_LOCATION" => file(""),
            "JWT_CERTIFICATE_FILE" => file("jwt.crt"),
            "JWT_URL" => Some("http://127.0.0.1:1/keys".into()),
            _ => None,
        }
    }

    fn load(&self, files: &[PathBuf]) -> Result<(Config, Vec<Problem>), LoadError> {
        load(files, &[], &|name| self.get(name))
    }
}

fn keys(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|p| p.key.as_str()).collect()
}

#[test]
fn nodes_of_the_pack_load() {
    let Some(data) = test_data() else { return };
    let (pack, around) = (data.join("pack"), Surroundings::new());
    for file in [
        "participant.conf",
        "sequencer.conf",
        "mediator.conf",
        "manager.conf",
        "domain.conf",
        "sandbox.conf",
        "remote/participant.conf",
        "remote/sequencer.conf",
        "remote/mediator.conf",
        "remote/manager.conf",
        "remote/domain.conf",
    ] {
        let (config, _) = around.load(&[pack.join(file)]).unwrap_or_else(|e| panic!("{file}\n{e}"));
        assert_eq!(keys(&config.unsupported), Vec::<&str>::new(), "{file}");
        assert!(!format!("{config:?}").contains("hunter2"), "{file}");
    }
    let (config, warnings) = around.load(&[pack.join("participant.conf")]).unwrap();
    let participant = &config.participants["participant"];
    let config::Storage::Postgres(postgres) = &participant.node.storage else { panic!("postgres") };
    let shown = (postgres.host.as_str(), postgres.port, postgres.database.as_str(), postgres.user.as_str());
    assert_eq!(shown, ("localhost", 5432, "canton_participant", "u"));
    assert_eq!(postgres.max_connections, Some(18));
    assert_eq!((participant.ledger_api.port, participant.node.admin_api.port), (10001, 10002));
    let tls = participant.node.admin_api.tls.as_deref().unwrap();
    assert_eq!(tls.client_auth, config::ClientAuth::Require);
    assert!(tls.admin_client.is_some() && participant.ledger_api.tls.is_some());
    assert_eq!(participant.node.grpc_health.as_ref().unwrap().port, 10003);
    // Each key without effect is named once.
    let mut named = keys(&warnings);
    named.sort_unstable();
    named.dedup();
    assert_eq!(named.len(), warnings.len());
}

#[test]
fn parts_of_the_pack_load_beside_a_node() {
    let Some(data) = test_data() else { return };
    let (dir, around) = (tempfile::tempdir().unwrap(), Surroundings::new());
    for (part, node) in [
        ("jwt/certificate.conf", "participants.p.ledger-api.auth-services = ${_shared.ledger-api.auth-services}"),
        ("jwt/jwks.conf", "participants.p.ledger-api.auth-services = ${_shared.ledger-api.auth-services}"),
        ("jwt/unsafe-hmac256.conf", "participants.p.ledger-api.auth-services = ${_shared.ledger-api.auth-services}"),
        ("storage/h2.conf", "participants.p.storage = ${_shared.storage}"),
        ("storage/memory.conf", "participants.p.storage = ${_shared.storage}"),
        (
            "storage/postgres.conf",
            "mediators.m.storage = ${_shared.storage}, mediators.m.storage.config.properties.databaseName = d",
        ),
        ("misc/debug.conf", "participants.p {}"),
        ("misc/dev.conf", "participants.p {}"),
        (
            "misc/dev-protocol.conf",
            "participants.p.parameters = ${_shared.participant-dev-params}, domains.d.init.domain-parameters = ${_shared.domain-dev-params}",
        ),
        (
            "misc/low-latency-sequencer.conf",
            "sequencers.s.sequencer { writer = ${_shared.sequencer-writer}, reader = ${_shared.sequencer-reader} }",
        ),
        ("monitoring/prometheus.conf", "participants.p {}"),
        ("monitoring/tracing.conf", "participants.p {}"),
        ("tls/mtls-admin-api.conf", "participants.p.admin-api.tls = ${_shared.admin-api-mtls}"),
        ("tls/tls-ledger-api.conf", "participants.p.ledger-api.tls = ${_shared.ledger-api-tls}"),
        ("tls/tls-public-api.conf", "domains.d.public-api.tls = ${_shared.public-api-tls}"),
    ] {
        let own = dir.path().join("own.conf");
        fs::write(&own, format!("canton {{ {node} }}")).unwrap();
        let (config, _) = around.load(&[data.join("pack").join(part), own]).unwrap_or_else(|e| panic!("{part}\n{e}"));
        let refused = ["jwt/jwks.conf", "storage/h2.conf"].iter().any(|refused| part.starts_with(refused));
        assert_eq!(config.unsupported.len(), usize::from(refused), "{part}: {:?}", config.unsupported);
    }
}

#[test]
fn simple_topology_and_the_replicated_example_load() {
    let Some(data) = test_data() else { return };
    let around = Surroundings::new();
    let (config, _) = around.load(&[data.join("examples/simple-topology.conf")]).unwrap();
    assert_eq!((config.participants.len(), config.domains.len(), config.unsupported.len()), (2, 1, 0));
    let ha = data.join("ha-example");
    for name in ["participant-a", "participant-b", "mediator-a", "mediator-b", "sequencer-a", "sequencer-b"] {
        let files =
            [ha.join("postgres.conf"), ha.join(format!("{name}.conf")), ha.join(format!("admin/remote-{name}.conf"))];
        let (config, _) = around.load(&files).unwrap_or_else(|e| panic!("{name}\n{e}"));
        assert_eq!(config.unsupported, [], "{name}");
        assert_eq!(config.remotes.len(), 1, "{name}");
    }
    // Files may come in any order, and all nodes may run in one process.
    let all = ["participant-a", "participant-b", "mediator-a", "mediator-b", "sequencer-a", "sequencer-b", "postgres"];
    let files: Vec<_> = all.iter().map(|name| ha.join(format!("{name}.conf"))).collect();
    let (config, _) = around.load(&files).unwrap();
    for sequencer in config.sequencers.values() {
        // The reference sequencer's storage is that of its driver.
        let config::Storage::Postgres(postgres) = &sequencer.node.storage else { panic!("postgres") };
        assert_eq!(postgres.database, "driver");
        assert!(sequencer.options.high_availability);
    }
}

#[test]
fn what_is_wrong_is_reported_with_code_line_and_key() {
    let Some(data) = test_data() else { return };
    let (folder, around) = (data.join("invalid"), Surroundings::new());
    type Expected = &'static [(Code, u32, &'static str)];
    let table: &[(&str, Expected)] = &[
        (
            "bft-sequencer-misconfigured-authentication.conf",
            &[
                (Code::NotSupported, 33, "canton.sequencers.sequencer1.sequencer.type"),
                (Code::NotSupported, 64, "canton.sequencers.sequencer2.sequencer.type"),
            ],
        ),
        ("bort.conf", &[(Code::UnknownKey, 4, "canton.synchronizers.mysynchronizer.public-api.bort")]),
        ("duplicate-storage-with-replication.conf", &[]),
        (
            "duplicate-storage-without-replication.conf",
            &[(Code::SharedStorage, 15, "canton.participants.participant2.storage")],
        ),
        // Its include is optional, so that it names no node.
        ("include-missing-file.conf", &[(Code::NoNode, 1, "canton")]),
        (
            "invalid-node-names.conf",
            &[
                (Code::NodeName, 3, "canton.participants.\"my participant\""),
                (Code::NodeName, 5, "canton.participants.\"my`participant\""),
                (Code::NodeName, 7, "canton.participants.myparticipant012345678901234567890123456789"),
            ],
        ),
        ("missing-bracket.conf", &[(Code::Syntax, 1, "")]),
        ("negative-port.conf", &[(Code::InvalidValue, 5, "canton.participants.participant1.admin-api.port")]),
        // The key exists in the field's version 2.
        ("no-longer-existing-allowed-key.conf", &[]),
        ("no-longer-existing-key.conf", &[]),
        ("no-manual-start.conf", &[(Code::NoNode, 1, "canton")]),
        ("require-missing-file.conf", &[(Code::File, 2, "")]),
        (
            "storage-url-with-password.conf",
            &[
                (Code::PasswordInUrl, 6, "canton.participants.participant1.storage.config.properties.url"),
                (Code::PasswordInUrl, 6, "canton.participants.participant2.storage.config.properties.url"),
                (Code::SharedStorage, 2, "canton.participants.participant2.storage"),
            ],
        ),
        ("undefined-env-var.conf", &[(Code::Substitution, 1, "value")]),
        ("unknown-key-allowed-in-nested-config.conf", &[]),
        ("unknown-key-in-nested-config.conf", &[(Code::UnknownKey, 4, "canton.monitoring.this-is-not-a-key")]),
    ];
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, table.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, expected) in table {
        let found = match around.load(&[folder.join(name)]) {
            Ok(_) => Vec::new(),
            Err(LoadError(problems)) => problems,
        };
        let found: Vec<_> = found.iter().map(|p| (p.code, p.origin.line, p.key.as_str())).collect();
        assert_eq!(found, *expected, "{name}");
    }
    let (_, warnings) = around.load(&[folder.join("unknown-key-allowed-in-nested-config.conf")]).unwrap();
    assert!(warnings.iter().any(|w| w.code == Code::UnknownKey && w.origin.line == 4), "{warnings:?}");
}
