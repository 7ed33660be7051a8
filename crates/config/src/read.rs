//! The keys of each block and their defaults (spec/surface.md §1.2).

use crate::{
    block::{Block, Problems},
    model::*,
    place::{self, Tenant},
};
use hocon::{Kind, Value};
use std::{collections::BTreeMap, path::PathBuf};

/// Index rows and locks exist for so many sequencers at most.
const MAX_NODE_COUNT: u32 = 31;
const MAX_NAME_CHARS: usize = 30;

pub(crate) fn config(root: &Value, problems: &mut Problems) -> Config {
    let mut config = Config::default();
    let Kind::Object(keys) = &root.kind else { return config };
    for name in ["canton", "concordat"] {
        if let Some(value) = keys.get(name)
            && let Some(block) = Block::new(value, vec![name.to_owned()], problems)
        {
            nodes(block, &mut config, problems);
        }
    }
    place::check(&std::mem::take(&mut problems.tenants), problems);
    let any = !(config.participants.is_empty()
        && config.sequencers.is_empty()
        && config.mediators.is_empty()
        && config.managers.is_empty()
        && config.domains.is_empty()
        && config.remotes.is_empty());
    if !any && problems.errors.is_empty() {
        problems.error(
            &root.origin,
            &["canton".to_owned()],
            "no node is configured; add one below participants, sequencers, mediators, domain-managers or domains",
        );
    }
    config
}

fn nodes(mut block: Block<'_>, config: &mut Config, problems: &mut Problems) {
    // Default ports, by kind; the second and further nodes of a kind get ports 10 higher each.
    for (i, (name, b)) in (0..).zip(block.named("participants", problems)) {
        let node = participant(&name, b, 10 * i, problems);
        config.participants.insert(name, node);
    }
    for (i, (name, b)) in (0..).zip(block.named("sequencers", problems)) {
        let node = sequencer(&name, b, (4401, 4402), 10 * i, false, problems);
        config.sequencers.insert(name, node);
    }
    for (i, (name, b)) in (0..).zip(block.named("domains", problems)) {
        let node = sequencer(&name, b, (4201, 4202), 10 * i, true, problems);
        config.domains.insert(name, node);
    }
    for (i, (name, mut b)) in (0..).zip(block.named("mediators", problems)) {
        let node = common("mediators", &name, &mut b, 4602 + 10 * i, problems);
        b.without_effect(
            &["init", "time-tracker", "sequencer-client", "caching", "parameters", "monitoring", "crypto"],
            problems,
        );
        b.finish(problems);
        config.mediators.insert(name, Mediator { node });
    }
    for (i, (name, mut b)) in (0..).zip(block.named("domain-managers", problems)) {
        let node = common("domain-managers", &name, &mut b, 4801 + 10 * i, problems);
        let parameters = init_parameters(&mut b, problems);
        b.without_effect(
            &["topology", "time-tracker", "sequencer-client", "caching", "parameters", "monitoring", "crypto"],
            problems,
        );
        b.finish(problems);
        config.managers.insert(name, Manager { node, parameters });
    }
    remotes(&mut block, config, problems);
    block.without_effect(&["monitoring", "parameters", "features"], problems);
    block.finish(problems);
}

fn participant(name: &str, mut block: Block<'_>, shift: u16, problems: &mut Problems) -> Participant {
    let node = common("participants", name, &mut block, 4002 + shift, problems);
    let ledger_api = api(&mut block, "ledger-api", 4001 + shift, &[], problems);
    block.without_effect(
        &[
            "init",
            "http-ledger-api",
            "time-tracker",
            "sequencer-client",
            "caching",
            "parameters",
            "monitoring",
            "crypto",
        ],
        problems,
    );
    block.finish(problems);
    Participant { node, ledger_api }
}

fn sequencer(
    name: &str,
    mut block: Block<'_>,
    ports: (u16, u16),
    shift: u16,
    is_domain: bool,
    problems: &mut Problems,
) -> Sequencer {
    let kind = if is_domain { "domains" } else { "sequencers" };
    let node = common(kind, name, &mut block, ports.1 + shift, problems);
    let public_api = api(&mut block, "public-api", ports.0 + shift, &[], problems);
    let options = sequencer_options(&mut block, node.storage.can_be_shared(), problems);
    if let Some(tenant) = problems.tenants.last_mut() {
        tenant.replicated &= options.high_availability;
    }
    let parameters = if is_domain { init_parameters(&mut block, problems) } else { SynchronizerParameters::default() };
    let mut without_effect =
        vec!["health", "sequencer-client", "time-tracker", "caching", "parameters", "monitoring", "crypto"];
    without_effect.extend(if is_domain { &["topology", "service-agreement"][..] } else { &["init"] });
    block.without_effect(&without_effect, problems);
    block.finish(problems);
    Sequencer { node, public_api, options, parameters }
}

fn common(
    kind: &'static str,
    name: &str,
    block: &mut Block<'_>,
    admin_port: u16,
    problems: &mut Problems,
) -> NodeCommon {
    let well_formed = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !well_formed || name.is_empty() || name.len() > MAX_NAME_CHARS {
        problems.error(
            block.origin,
            &block.path(""),
            format!("the node name {name:?} is not 1 to {MAX_NAME_CHARS} of a-z, A-Z, 0-9, - and _"),
        );
    }
    let storage = storage(block, problems);
    let admin_api = api(block, "admin-api", admin_port, &[], problems);
    let replication = replication(block, &storage, problems);
    let node = NodeCommon { name: name.to_owned(), storage, admin_api, replication };
    problems.tenants.push(Tenant::new(kind, &node, node.replication.enabled, block.at("storage")));
    node
}

fn api(block: &mut Block<'_>, key: &'static str, port: u16, more: &[&'static str], problems: &mut Problems) -> Api {
    let mut api = Api { address: "127.0.0.1".into(), port };
    if let Some(mut b) = block.block(key, problems) {
        api.address = b.text("address", problems).unwrap_or(api.address);
        api.port = b.port("port", problems).unwrap_or(api.port);
        for refused in ["tls", "auth-services"] {
            if b.value(refused).is_some() {
                b.error(
                    refused,
                    problems,
                    "is not supported by this version yet, and leaving it out silently would be unsafe",
                );
            }
        }
        b.without_effect(&["keep-alive-server", "max-inbound-message-size"], problems);
        b.without_effect(more, problems);
        b.finish(problems);
    }
    api
}

fn storage(block: &mut Block<'_>, problems: &mut Problems) -> Storage {
    let Some(mut b) = block.block("storage", problems) else { return Storage::Memory };
    let kind = b.text("type", problems).unwrap_or_else(|| "memory".into()).to_lowercase();
    let mut max_connections = None;
    if let Some(mut parameters) = b.block("parameters", problems) {
        max_connections = parameters.number("max-connections", problems);
        parameters.without_effect(
            &[
                "connection-allocation",
                "fail-fast-on-startup",
                "migrate-and-start",
                "ledger-api-jdbc-url",
                "connection-timeout",
            ],
            problems,
        );
        parameters.finish(problems);
    }
    let settings = b.block("config", problems);
    let storage = match (kind.as_str(), settings) {
        ("memory", _) => Storage::Memory,
        ("sqlite", settings) => sqlite(&b, settings, problems),
        ("postgres", settings) => postgres(&b, settings, max_connections, problems),
        ("h2" | "oracle", _) => {
            b.error("type", problems, format!("{kind} is not supported; use memory, sqlite or postgres"));
            Storage::Memory
        }
        _ => {
            b.error("type", problems, format!("unknown storage type {kind:?}; use memory, sqlite or postgres"));
            Storage::Memory
        }
    };
    b.finish(problems);
    storage
}

fn sqlite(b: &Block<'_>, settings: Option<Block<'_>>, problems: &mut Problems) -> Storage {
    let mut path = None;
    if let Some(mut settings) = settings {
        path = settings.text("file", problems).map(PathBuf::from);
        settings.finish(problems);
    }
    match path {
        Some(path) => Storage::Sqlite { path },
        None => {
            b.error("config", problems, "storage of type sqlite wants config.file, the database file");
            Storage::Memory
        }
    }
}

/// Unknown keys beside the ones read here are settings of other drivers, and tolerated.
fn postgres(
    b: &Block<'_>,
    settings: Option<Block<'_>>,
    max_connections: Option<u32>,
    problems: &mut Problems,
) -> Storage {
    let Some(mut settings) = settings else {
        b.error(
            "config",
            problems,
            "storage of type postgres wants config.properties with serverName, databaseName and user",
        );
        return Storage::Memory;
    };
    let mut p = settings.block("properties", problems);
    let mut text = |key| p.as_mut().and_then(|p| p.text(key, problems));
    let postgres = Postgres {
        host: text("serverName").unwrap_or_else(|| "localhost".into()),
        database: text("databaseName").unwrap_or_default(),
        user: text("user").unwrap_or_default(),
        schema: text("currentSchema"),
        port: p.as_mut().and_then(|p| p.port("portNumber", problems)).unwrap_or(5432),
        password: p.as_mut().and_then(|p| p.secret("password", problems)),
        max_connections,
    };
    if postgres.database.is_empty() {
        b.error("config", problems, "config.properties.databaseName is missing");
    }
    if postgres.user.is_empty() {
        b.error("config", problems, "config.properties.user is missing");
    }
    Storage::Postgres(Box::new(postgres))
}

fn replication(block: &mut Block<'_>, storage: &Storage, problems: &mut Problems) -> Replication {
    let mut replication = Replication {
        enabled: storage.can_be_shared(),
        forward_when_passive: true,
        profile: HaProfile::default(),
        advertised_address: None,
    };
    if let Some(mut b) = block.block("ha", problems) {
        let profile = b.parsed("profile", problems, |t| match t {
            "fast" => Ok(HaProfile::Fast),
            "balanced" => Ok(HaProfile::Balanced),
            "tolerant" => Ok(HaProfile::Tolerant),
            _ => Err("fast, balanced or tolerant is expected".into()),
        });
        replication.profile = profile.unwrap_or_default();
        b.finish(problems);
    }
    if let Some(mut b) = block.block("replication", problems) {
        if let Some(enabled) = b.flag("enabled", problems) {
            if enabled && !storage.can_be_shared() {
                b.error(
                    "enabled",
                    problems,
                    "memory storage cannot be shared with another replica; use sqlite or postgres",
                );
            }
            replication.enabled = enabled;
        }
        if let Some(forward) = b.flag("forward-when-passive", problems) {
            replication.forward_when_passive = forward;
        }
        replication.advertised_address = b.text("advertised-address", problems);
        b.without_effect(&["connection-pool"], problems);
        b.finish(problems);
    }
    replication
}

fn sequencer_options(block: &mut Block<'_>, shared: bool, problems: &mut Problems) -> SequencerOptions {
    let mut options = SequencerOptions { high_availability: shared, ..SequencerOptions::default() };
    let Some(mut b) = block.block("sequencer", problems) else { return options };
    b.parsed("type", problems, |t| match t {
        "database" | "reference" => Ok(()),
        _ => Err("only the database sequencer is supported".into()),
    });
    if let Some(mut ha) = b.block("high-availability", problems) {
        if let Some(enabled) = ha.flag("enabled", problems) {
            if enabled && !shared {
                ha.error(
                    "enabled",
                    problems,
                    "memory storage cannot be shared with another sequencer; use sqlite or postgres",
                );
            }
            options.high_availability = enabled;
        }
        if let Some(count) = ha.number("total-node-count", problems) {
            if !(1..=MAX_NODE_COUNT).contains(&count) {
                ha.error("total-node-count", problems, format!("{count} is not 1 to {MAX_NODE_COUNT}"));
            }
            options.total_node_count = count.clamp(1, MAX_NODE_COUNT);
        }
        ha.without_effect(
            &[
                "keep-alive-interval",
                "online-check-interval",
                "offline-duration",
                "connection-pool",
                "exclusive-storage",
            ],
            problems,
        );
        ha.finish(problems);
    }
    b.without_effect(&["writer", "reader", "pruning", "config"], problems);
    b.finish(problems);
    options
}

fn init_parameters(block: &mut Block<'_>, problems: &mut Problems) -> SynchronizerParameters {
    let mut parameters = SynchronizerParameters::default();
    let Some(mut init) = block.block("init", problems) else { return parameters };
    if let Some(mut b) = init.block("domain-parameters", problems) {
        let targets: [(&'static str, &mut std::time::Duration); 4] = [
            ("participant-response-timeout", &mut parameters.participant_response_timeout),
            ("mediator-reaction-timeout", &mut parameters.mediator_reaction_timeout),
            ("topology-change-delay", &mut parameters.topology_change_delay),
            ("ledger-time-record-time-tolerance", &mut parameters.ledger_time_record_time_tolerance),
        ];
        for (key, target) in targets {
            *target = b.duration(key, problems).unwrap_or(*target);
        }
        b.text("protocol-version", problems);
        b.without_effect(
            &[
                "reconciliation-interval",
                "max-rate-per-participant",
                "max-inbound-message-size",
                "unique-contract-keys",
            ],
            problems,
        );
        b.finish(problems);
    }
    init.without_effect(&["identity"], problems);
    init.finish(problems);
    parameters
}

fn remotes(block: &mut Block<'_>, config: &mut Config, problems: &mut Problems) {
    let kinds = [
        ("remote-participants", RemoteKind::Participant, Some("ledger-api")),
        ("remote-sequencers", RemoteKind::Sequencer, Some("public-api")),
        ("remote-mediators", RemoteKind::Mediator, None),
        ("remote-domain-managers", RemoteKind::Manager, None),
        ("remote-domains", RemoteKind::Domain, Some("public-api")),
    ];
    let mut remotes = BTreeMap::new();
    for (key, kind, second) in kinds {
        for (name, mut b) in block.named(key, problems) {
            let mut api_of = |key: &'static str, b: &mut Block<'_>| {
                if b.block(key, problems).is_none() {
                    b.error(key, problems, "address and port of the remote node are missing");
                }
                api(b, key, 0, &["keep-alive-client", "transport-security", "custom-trust-certificates"], problems)
            };
            let admin_api = api_of("admin-api", &mut b);
            let second_api = second.map(|key| api_of(key, &mut b));
            b.without_effect(&["token"], problems);
            b.finish(problems);
            remotes.insert(name.clone(), Remote { name, kind, admin_api, second_api });
        }
    }
    config.remotes = remotes;
}
