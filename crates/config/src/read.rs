//! From the key tree to what nodes need, with the defaults and the rules that depend on several keys.

use crate::{
    auth,
    model::*,
    place::{self, Door, Tenant},
    problem::{Code, Problems},
    storage::storage,
    tls,
    tree::Tree,
};
use std::{collections::BTreeMap, time::Duration};

const MAX_NAME_CHARS: usize = 30;
/// From one node of a kind to the next.
const PORT_STEP: u16 = 10;

pub(crate) fn config(tree: &mut Tree, problems: &mut Problems) -> Config {
    let allow_plaintext = tree.read("parameters.allow-plaintext").unwrap_or_default();
    let ports_file = tree.read::<String>("parameters.ports-file").map(Into::into);
    let mut config = Config { allow_plaintext, ports_file, ..Config::default() };
    for (i, (name, tree)) in (0..).zip(tree.named("participants")) {
        let node = common("participants", name, tree, port(4002, i), problems);
        let ledger_api = api(tree, "ledger-api", port(4001, i), problems);
        let (auth_services, admin_token) = (auth::services(tree, problems), tree.secret("ledger-api.admin-token"));
        let participant = Participant { node, ledger_api, auth_services, admin_token };
        config.participants.insert(name.clone(), participant);
    }
    for (i, (name, tree)) in (0..).zip(tree.named("sequencers")) {
        let node = sequencer("sequencers", name, tree, (port(4401, i), port(4402, i)), problems);
        config.sequencers.insert(name.clone(), node);
    }
    for (i, (name, tree)) in (0..).zip(tree.named("mediators")) {
        let node = common("mediators", name, tree, port(4602, i), problems);
        config.mediators.insert(name.clone(), Mediator { node });
    }
    for (i, (name, tree)) in (0..).zip(tree.named("domain-managers")) {
        let node = common("domain-managers", name, tree, port(4801, i), problems);
        config.managers.insert(name.clone(), Manager { node, parameters: parameters(tree) });
    }
    for (i, (name, tree)) in (0..).zip(tree.named("domains")) {
        let node = sequencer("domains", name, tree, (port(4201, i), port(4202, i)), problems);
        config.domains.insert(name.clone(), node);
    }
    remotes(tree, &mut config, problems);
    place::check(&std::mem::take(&mut problems.tenants), problems);
    names_are_unique(tree, problems);
    config.health = health(tree, problems);
    place::check_ports(&std::mem::take(&mut problems.doors), problems);
    if tree.text("parameters.clock.type").is_some_and(|clock| clock != "wall-clock") {
        let (origin, path) = tree.place("parameters.clock.type");
        problems.unsupported(&origin, &path, "only the wall clock is supported by this version");
    }
    config
}

fn port(first: u16, index: u16) -> u16 {
    first.saturating_add(index.saturating_mul(PORT_STEP))
}

fn common(kind: &'static str, name: &str, tree: &mut Tree, admin_port: u16, problems: &mut Problems) -> NodeCommon {
    let well_formed = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !well_formed || name.is_empty() || name.len() > MAX_NAME_CHARS {
        let text = format!("the node name {name:?} is not 1 to {MAX_NAME_CHARS} of a-z, A-Z, 0-9, - and _");
        problems.error(Code::NodeName, &tree.origin, &tree.path, text);
    }
    let (storage, at) = match own_storage(tree) {
        Some(keys) => (storage(tree, keys, problems), tree.place(keys)),
        None => (Storage::Memory, tree.place("storage")),
    };
    let admin_api = api(tree, "admin-api", admin_port, problems);
    let replication = replication(tree, &storage, problems);
    let identifier = identifier(name, tree, problems);
    let mut health = |key: &str| tree.block(key).map(|server| health_server(server, problems));
    let (grpc_health, http_health) = (health("monitoring.grpc-health-server"), health("monitoring.http-health-server"));
    problems.tenants.push(Tenant {
        kind,
        storage: storage.clone(),
        replicated: replication.enabled,
        origin: at.0,
        path: at.1,
    });
    NodeCommon { name: name.to_owned(), storage, admin_api, identifier, replication, grpc_health, http_health }
}

fn identifier(name: &str, tree: &Tree, problems: &mut Problems) -> Identifier {
    let key = "init.identity.node-identifier";
    match tree.text(&format!("{key}.type")) {
        Some("random") => Identifier::Random,
        Some("explicit") => {
            let key = format!("{key}.name");
            if tree.lacks(&key) {
                tree.error(&key, Code::MissingKey, problems, "an explicit identifier wants its name");
            }
            Identifier::Name(tree.read(&key).unwrap_or_default())
        }
        _ => Identifier::Name(name.to_owned()),
    }
}

/// The reference sequencer keeps what it orders in the storage of its driver.
fn own_storage(tree: &Tree) -> Option<&'static str> {
    let is_reference = tree.text("sequencer.type") == Some("reference");
    let keys = if is_reference && tree.block("sequencer.config.storage").is_some() {
        "sequencer.config.storage"
    } else {
        "storage"
    };
    tree.block(keys).map(|_| keys)
}

fn sequencer(kind: &'static str, name: &str, tree: &mut Tree, ports: (u16, u16), problems: &mut Problems) -> Sequencer {
    let node = common(kind, name, tree, ports.1, problems);
    let public_api = api(tree, "public-api", ports.0, problems);
    if let Some(other) = tree.text("sequencer.type").filter(|t| !["database", "reference"].contains(t)) {
        let text = format!("the {other} sequencer is not supported; use the database sequencer");
        tree.error("sequencer.type", Code::NotSupported, problems, text);
    }
    let key = "sequencer.high-availability.enabled";
    let high_availability = tree.or_set(key, &node.storage.can_be_shared().to_string()).unwrap_or_default();
    if high_availability && !node.storage.can_be_shared() {
        not_shared(tree, key, problems);
    }
    if let Some(tenant) = problems.tenants.last_mut() {
        tenant.replicated &= high_availability;
    }
    let total_node_count = tree.read("sequencer.high-availability.total-node-count").unwrap_or_default();
    let options = SequencerOptions { high_availability, total_node_count };
    Sequencer { node, public_api, options, parameters: parameters(tree) }
}

fn not_shared(tree: &Tree, key: &str, problems: &mut Problems) {
    let text = "memory storage cannot be shared with another process; use sqlite or postgres";
    tree.error(key, Code::InvalidValue, problems, text);
}

/// A block with an address and a port that has no default.
fn health_server(tree: &Tree, problems: &mut Problems) -> Api {
    if tree.lacks("port") {
        tree.error("port", Code::MissingKey, problems, "a health server wants a port to answer on");
    }
    let server = Api {
        address: tree.read("address").unwrap_or_default(),
        port: tree.read("port").unwrap_or_default(),
        tls: None,
    };
    door(tree, "port", &server, problems);
    server
}

fn door(tree: &Tree, key: &str, api: &Api, problems: &mut Problems) {
    let (origin, path) = tree.place(key);
    problems.doors.push(Door { address: api.address.clone(), port: api.port, origin, path });
}

fn api(tree: &mut Tree, key: &str, port: u16, problems: &mut Problems) -> Api {
    let api = Api {
        tls: tree.block(&format!("{key}.tls")).and_then(|tree| tls::server(tree, problems)).map(Box::new),
        address: tree.read(&format!("{key}.address")).unwrap_or_default(),
        port: tree.or_set(&format!("{key}.port"), &port.to_string()).unwrap_or_default(),
    };
    door(tree, &format!("{key}.port"), &api, problems);
    api
}

fn replication(tree: &mut Tree, storage: &Storage, problems: &mut Problems) -> Replication {
    let shared = storage.can_be_shared();
    let replicated = tree.block("replication").is_some();
    let enabled =
        if replicated { tree.or_set("replication.enabled", &shared.to_string()).unwrap_or(shared) } else { shared };
    if enabled && !shared {
        not_shared(tree, "replication.enabled", problems);
    }
    Replication {
        enabled,
        forward_when_passive: tree.read("replication.forward-when-passive").unwrap_or(true),
        profile: match tree.text("ha.profile") {
            Some("fast") => HaProfile::Fast,
            Some("tolerant") => HaProfile::Tolerant,
            _ => HaProfile::Balanced,
        },
        advertised_address: tree.read("replication.advertised-address"),
    }
}

fn parameters(tree: &Tree) -> SynchronizerParameters {
    let mut parameters = SynchronizerParameters::default();
    let targets = [
        ("participant-response-timeout", &mut parameters.participant_response_timeout),
        ("mediator-reaction-timeout", &mut parameters.mediator_reaction_timeout),
        ("topology-change-delay", &mut parameters.topology_change_delay),
        ("ledger-time-record-time-tolerance", &mut parameters.ledger_time_record_time_tolerance),
    ];
    for (key, target) in targets {
        *target = tree.read(&format!("init.domain-parameters.{key}")).unwrap_or(*target);
    }
    parameters
}

fn remotes(tree: &mut Tree, config: &mut Config, problems: &mut Problems) {
    let kinds = [
        ("remote-participants", RemoteKind::Participant, Some("ledger-api")),
        ("remote-sequencers", RemoteKind::Sequencer, Some("public-api")),
        ("remote-mediators", RemoteKind::Mediator, None),
        ("remote-domain-managers", RemoteKind::Manager, None),
        ("remote-domains", RemoteKind::Domain, Some("public-api")),
    ];
    for (key, kind, second) in kinds {
        for (name, tree) in tree.named(key) {
            let mut api_of = |api: &str| {
                let port = tree.read(&format!("{api}.port"));
                if tree.lacks(&format!("{api}.port")) {
                    let text = "the port of the remote node is missing";
                    tree.error(&format!("{api}.port"), Code::MissingKey, problems, text);
                }
                let address = tree.read(&format!("{api}.address")).unwrap_or_default();
                Api { address, port: port.unwrap_or_default(), tls: None }
            };
            let (admin_api, second_api) = (api_of("admin-api"), second.map(&mut api_of));
            let admin_tls = tree.block("admin-api.tls").and_then(tls::client);
            let token = tree.secret("token");
            let remote = Remote { name: name.clone(), kind, admin_api, admin_tls, second_api, token };
            config.remotes.insert(name.clone(), remote);
        }
    }
}

const LOCAL: [&str; 5] = ["participants", "sequencers", "mediators", "domain-managers", "domains"];

fn names_are_unique(tree: &mut Tree, problems: &mut Problems) {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for kind in LOCAL {
        for (name, tree) in tree.named(kind) {
            if let Some(other) = taken.insert(name.clone(), hocon::show_path(&tree.path)) {
                let text = format!("the name is taken by {other}; nodes of a process have names of their own");
                problems.error(Code::NodeName, &tree.origin, &tree.path, text);
            }
        }
    }
}

/// Of the check by pings, in seconds, where nothing is said: between two, and for an answer.
const PING_INTERVAL: u64 = 30;
const PING_TIMEOUT: u64 = 10;

fn health(tree: &mut Tree, problems: &mut Problems) -> Option<Health> {
    let names: Vec<String> =
        LOCAL.iter().flat_map(|kind| tree.named(kind).map(|(n, _)| n.clone()).collect::<Vec<_>>()).collect();
    let participants: Vec<String> = tree.named("participants").map(|(name, _)| name.clone()).collect();
    let health = tree.block("monitoring.health")?;
    if health.lacks("check.type") {
        let text = "what is to be checked is missing: always-healthy, is-active or ping";
        health.error("check.type", Code::MissingKey, problems, text);
    }
    let server = health_server(health.block("server")?, problems);
    let mut known = |key: &'static str, of: &[String]| -> Option<String> {
        let name: String = health.read(key)?;
        if !of.contains(&name) {
            let text = format!("{name:?} is none of this process's nodes; they are {}", of.join(", "));
            health.error(key, Code::InvalidValue, problems, text);
        }
        Some(name)
    };
    let check = match health.text("check.type") {
        Some("always-healthy") => HealthCheck::AlwaysHealthy,
        Some("ping") => {
            let participant = known("check.participant", &participants).or_else(|| participants.first().cloned());
            let participant = participant.unwrap_or_else(|| {
                let text = "no participant runs here that could be pinged; use is-active or always-healthy";
                health.error("check.type", Code::InvalidValue, problems, text);
                String::new()
            });
            let read = |key, usual| health.read(key).unwrap_or(Duration::from_secs(usual));
            let (interval, timeout) = (read("check.interval", PING_INTERVAL), read("check.timeout", PING_TIMEOUT));
            HealthCheck::Ping { participant, interval, timeout }
        }
        Some(_) => {
            let named = known("check.node", &names).or_else(|| known("check.participant", &names));
            let only = names.first().filter(|_| names.len() == 1);
            let node = named.or_else(|| only.or(participants.first()).cloned()).unwrap_or_else(|| {
                let text = "several nodes run here and none is a participant; say which one counts";
                health.error("check.node", Code::MissingKey, problems, text);
                String::new()
            });
            HealthCheck::IsActive { node }
        }
        None => HealthCheck::AlwaysHealthy,
    };
    Some(Health { server, check })
}
