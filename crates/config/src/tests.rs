use super::*;
use std::{fs, path::PathBuf, time::Duration};

fn load_text(text: &str) -> Result<(Config, Vec<Problem>), Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.conf");
    fs::write(&file, text).unwrap();
    load(&[file], &[], &|_| None).map_err(|e| e.0.iter().map(ToString::to_string).collect())
}

#[test]
fn reads_every_kind_with_defaults() {
    let (config, warnings) = load_text(
        r"
        _shared.storage { type = postgres, config.properties { serverName = db, user = u, password = hunter2 } }
        canton {
          participants.p1 { storage = ${_shared.storage}, storage.config.properties.databaseName = p
                            ledger-api.port = 7, ha.profile = fast }
          participants.p2 { storage { type = sqlite, config.file = p2.db }, replication.forward-when-passive = false }
          sequencers.s { storage { type = sqlite, config.file = s.db }, sequencer.high-availability.total-node-count = 3 }
          mediators.m { admin-api.port = 9 }
          domain-managers.d { init.domain-parameters { protocol-version = 7, mediator-reaction-timeout = 2.5s } }
          domains.mydomain {}
          remote-sequencers.rs { admin-api { address = h, port = 1 }, public-api { address = h, port = 2 } }
        }",
    )
    .unwrap();
    let p1 = &config.participants["p1"];
    assert_eq!((p1.ledger_api.port, p1.node.admin_api.port, p1.node.replication.profile), (7, 4002, HaProfile::Fast));
    assert!(p1.node.replication.enabled);
    let Storage::Postgres(postgres) = &p1.node.storage else { panic!("postgres") };
    assert_eq!((postgres.database.as_str(), postgres.port), ("p", 5432));
    assert!(!format!("{config:?}").contains("hunter2"));
    let p2 = &config.participants["p2"];
    assert_eq!(p2.node.storage, Storage::Sqlite { path: PathBuf::from("p2.db") });
    assert!(!p2.node.replication.forward_when_passive);
    assert_eq!(config.sequencers["s"].options, SequencerOptions { high_availability: true, total_node_count: 3 });
    assert!(!config.mediators["m"].node.replication.enabled);
    assert_eq!(config.managers["d"].parameters.mediator_reaction_timeout, Duration::from_millis(2500));
    assert_eq!(config.remotes["rs"].second_api, Some(Api { address: "h".into(), port: 2, tls: None }));
    assert_eq!(config.domains.len(), 1);
    assert_eq!(warnings, []);
}

#[test]
fn reports_all_problems_at_once_with_line_and_key() {
    let problems = load_text(
        "canton.participants.p {\n ledger-api.prt = 1\n admin-api.port = -1\n replication.enabled = true\n storage.type = mongo\n}\n",
    )
    .unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    let all = problems.join("\n");
    for part in [
        "t.conf:2: canton.participants.p.ledger-api.prt: unknown key; did you mean port?",
        "t.conf:3: canton.participants.p.admin-api.port: \"-1\": a port is",
        "t.conf:4: canton.participants.p.replication.enabled: memory storage cannot be shared",
        "t.conf:5: canton.participants.p.storage.type: \"mongo\": one of memory, sqlite",
    ] {
        assert!(all.contains(part), "{part}\n{all}");
    }
}

#[test]
fn refuses_what_would_be_unsafe_or_empty() {
    assert!(load_text("x = 1").unwrap_err()[0].contains("no node"));
    assert!(load_text("canton.sequencers.s { storage {type = sqlite, config.file = f}\n sequencer.high-availability.total-node-count = 32 }").is_err());
    assert!(load_text("canton.participants.\"a b\" {}").is_err());
}

#[test]
fn of_one_override_given_twice_the_first_wins() {
    let overrides = ["1", "2"].map(|port| ("canton.participants.p.ledger-api.port".to_owned(), port.to_owned()));
    let (config, _) = load(&[], &overrides, &|_| None).unwrap();
    assert_eq!(config.participants["p"].ledger_api.port, 1);
}

#[test]
fn refuses_two_kinds_of_nodes_in_one_place() {
    let sqlite = |file: &str| format!("storage {{ type = sqlite, config.file = {file:?} }}");
    let postgres = |schema: &str| {
        format!(
            "storage {{ type = postgres, config.properties {{ databaseName = d, user = u, currentSchema = {schema} }} }}"
        )
    };
    let load = |one: &str, other: &str| load_text(&format!("canton {{\n{one}\n{other}\n}}")).map(|_| ());
    for (one, other) in [
        (format!("participants.p {{ {} }}", sqlite("a.db")), format!("mediators.m {{ {} }}", sqlite("./a.db"))),
        (format!("participants.p {{ {} }}", sqlite("a-mediator.db")), format!("domains.d {{ {} }}", sqlite("a.db"))),
        (format!("sequencers.s {{ {} }}", postgres("x")), format!("mediators.m {{ {} }}", postgres("x"))),
        (format!("domains.d {{ {} }}", postgres("x")), format!("mediators.m {{ {} }}", postgres("x_mediator"))),
        (
            format!("participants.p {{ {} }}", sqlite("a.db")),
            format!("participants.q {{ {}, replication.enabled = no }}", sqlite("a.db")),
        ),
    ] {
        let problems = load(&one, &other).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("t.conf:"), "{problems:?}");
        assert!(
            problems[0].contains(".storage: ") && problems[0].contains("is the storage of canton."),
            "{problems:?}"
        );
    }
    load(&format!("domains.d {{ {} }}", postgres("x")), &format!("mediators.m {{ {} }}", postgres("y"))).unwrap();
    load(&format!("mediators.m {{ {} }}", sqlite("a.db")), &format!("mediators.n {{ {} }}", sqlite("a.db"))).unwrap();
    load("mediators.m {}", "sequencers.s {}").unwrap();
}

#[test]
fn each_node_inside_a_simple_synchronizer_has_a_place_of_its_own() {
    let file = Storage::Sqlite { path: PathBuf::from("/data/my.domain.db") };
    assert_eq!(file.part("mediator"), Storage::Sqlite { path: PathBuf::from("/data/my.domain-mediator.db") });
    let (config, _) =
        load_text("canton.domains.d.storage { type = postgres, config.properties { databaseName = d, user = u } }")
            .unwrap();
    let Storage::Postgres(postgres) = config.domains["d"].node.storage.part("manager") else { panic!("postgres") };
    assert_eq!(postgres.schema(), "public_manager");
}

#[test]
fn every_default_is_a_value_of_its_key_and_every_name_is_there_once() {
    fn check(groups: keys::Groups) {
        let keys: Vec<_> = groups.iter().copied().flatten().collect();
        let mut names: Vec<_> = keys.iter().flat_map(|k| [Some(k.name), k.alias]).flatten().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
        for key in keys {
            if !key.default.is_empty() {
                scalar::check(&key.shape, key.default).unwrap_or_else(|e| panic!("{}: {e}", key.name));
            }
            assert!(key.doc.ends_with('.') && key.doc.len() > 2, "{}: {}", key.name, key.doc);
            check(key.inside());
        }
    }
    check(keys::ROOT);
}

#[test]
fn what_is_shown_loads_again_and_hides_secrets() {
    let text = "canton {
      participants.p {
        storage { type = postgres, config.properties { databaseName = d, user = u, password = hunter2, note = \"a b\" } }
        caching.x = 1
        ledger-api.auth-services = [{ type = unsafe-jwt-hmac-256, secret = hunter2 }]
      }
      synchronizers.d {}
    }";
    let dir = tempfile::tempdir().unwrap();
    let shown = |text: &str| {
        let file = dir.path().join("t.conf");
        fs::write(&file, text).unwrap();
        show(&[file], &[], &|_| None).unwrap()
    };
    let once = shown(text);
    for part in [
        "    d {",
        "port = 4001",
        "note = \"a b\"",
        "password = \"****\"",
        "secret = \"****\"",
        "caching {  # no effect",
    ] {
        assert!(once.contains(part), "{part}\n{once}");
    }
    assert!(!once.contains("hunter2") && !once.contains("sequencer-client"), "{once}");
    assert_eq!(shown(&once), once);
}

#[test]
fn keys_are_explained() {
    let text = explain("canton.participants.p1.ledger-api.address").unwrap();
    for part in ["canton.participants.<name>.ledger-api.address", "default: 127.0.0.1", "type: text"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(explain("synchronizers.d.public-api").unwrap().contains("\n  port: port"));
    assert!(explain("").unwrap().contains("participants"));
    assert!(explain("canton.participants.p.legder-api").unwrap_err().contains("did you mean ledger-api?"));
    assert!(schema().contains("canton.participants.<name>.ledger-api.port: port"));
}

#[test]
fn a_key_without_effect_is_named_once() {
    let (_, warnings) =
        load_text("canton { mediators { a.caching.x = 1, b.caching.x = 2 }, participants.p.caching.x = 1 }").unwrap();
    let keys: Vec<_> = warnings.iter().map(|w| w.key.as_str()).collect();
    assert_eq!(keys, ["canton.participants.p.caching", "canton.mediators.a.caching"]);
}

#[test]
fn both_roots_are_read_as_one() {
    let (config, _) =
        load_text("concordat.mediators.m.admin-api.port = 1\ncanton.mediators.m.ha.profile = fast").unwrap();
    let node = &config.mediators["m"].node;
    assert_eq!((node.admin_api.port, node.replication.profile), (1, HaProfile::Fast));
    assert!(
        load_text("concordat.mediators.m { admin-api.prt = 1 }").unwrap_err()[0]
            .contains("concordat.mediators.m.admin-api.prt")
    );
    let twice = load_text("canton { domains.a {}, synchronizers.b {} }").unwrap_err();
    assert!(twice[0].contains("CONFIG_TWO_SPELLINGS"), "{twice:?}");
}

#[test]
fn the_health_check_names_a_node_of_the_process() {
    let check = |nodes: &str, check: &str| {
        load_text(&format!("canton {{ {nodes}, monitoring.health {{ server.port = 1, check {{ {check} }} }} }}"))
            .map(|(config, _)| config.health.unwrap().check)
    };
    let active = |node: &str| Ok(HealthCheck::IsActive { node: node.into() });
    assert_eq!(check("mediators.m {}", "type = is-active"), active("m"));
    assert_eq!(check("mediators.m {}, participants.p {}", "type = is-active"), active("p"));
    assert_eq!(check("mediators.m {}, participants.p {}", "type = is-active, node = m"), active("m"));
    assert_eq!(check("mediators.m {}", "type = always-healthy"), Ok(HealthCheck::AlwaysHealthy));
    for (nodes, wrong) in [
        ("mediators.m {}, sequencers.s {}", "type = is-active"),
        ("mediators.m {}", "type = is-active, node = x"),
        ("mediators.m {}", "node = m"),
    ] {
        assert_eq!(check(nodes, wrong).unwrap_err().len(), 1, "{wrong}");
    }
}

#[test]
fn two_servers_on_one_port_are_refused() {
    let load = |nodes: &str| load_text(&format!("canton {{ {nodes} }}")).map(|_| ());
    load("mediators.m.admin-api.port = 0, domain-managers.d.admin-api.port = 0").unwrap();
    load("mediators.m.admin-api { address = 10.0.0.1, port = 9 }, domain-managers.d.admin-api.port = 9").unwrap();
    for nodes in [
        "mediators.m.admin-api.port = 9, domain-managers.d.admin-api { address = localhost, port = 9 }",
        "mediators.m.admin-api.port = 9, domain-managers.d.admin-api { address = 0.0.0.0, port = 9 }",
        "participants { a.ledger-api.port = 4012, b {} }",
        "mediators.m.admin-api.port = 9, monitoring.health { server.port = 9, check.type = always-healthy }",
    ] {
        let problems = load(nodes).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains("CONFIG_SHARED_PORT"), "{problems:?}");
    }
}

#[test]
fn nodes_are_called_as_configured() {
    let identifier = |keys: &str| {
        load_text(&format!("canton.participants.p {{ init.identity.node-identifier {{ {keys} }} }}"))
            .map(|(config, _)| config.participants["p"].node.identifier.clone())
    };
    assert_eq!(identifier(""), Ok(Identifier::Name("p".into())));
    assert_eq!(identifier("type = explicit, name = bank"), Ok(Identifier::Name("bank".into())));
    assert_eq!(identifier("type = random"), Ok(Identifier::Random));
    assert!(identifier("type = explicit").unwrap_err()[0].contains("CONFIG_MISSING_KEY"));
}

/// Whatever stands at a key is read or refused at that key, never worse.
#[test]
fn nonsense_is_refused_where_it_stands() {
    let nonsense = ["[1]", "-1", "\"\"", "x", "99999999999999999999", "1e400 h", "2.5", "5 parsecs", "Inf", "null"];
    // The other kinds of nodes have the keys of these.
    let others = ["sequencers", "mediators", "domain-managers"].map(|kind| format!("canton.{kind}"));
    let schema = schema();
    let keys = schema.lines().filter_map(|line| line.split_once(": "));
    let keys = keys.filter(|(key, _)| !key.contains("<n>") && !others.iter().any(|other| key.starts_with(other)));
    for (n, (key, kind)) in keys.enumerate() {
        let path = key.replace("<name>", "n");
        let load = |value: &str| load_text(&format!("canton.mediators.other {{}}\n{path} = {value}"));
        if let Err(problems) = load(nonsense[n % nonsense.len()]) {
            assert!(problems.iter().all(|p| p.contains(": canton.")), "{problems:?}");
        }
        let is_word = !["block", "list", "optional"].iter().any(|word| kind.starts_with(word));
        if is_word {
            let problems = load("{ zzz = 1 }").unwrap_err();
            assert!(problems.iter().any(|p| p.contains(&format!("t.conf:2: {path}: "))), "{path}: {problems:?}");
        }
    }
}
