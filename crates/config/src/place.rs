//! Nodes that would share tables or ports they must not share.

use crate::{
    model::Storage,
    problem::{Code, Problems},
};
use hocon::{Origin, show_path};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The nodes inside a simple synchronizer, each in a place of its own.
pub(crate) const PARTS: [&str; 3] = ["sequencer", "mediator", "manager"];

/// What holds one set of tables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    File(PathBuf),
    Schema { host: String, port: u16, database: String, schema: String },
}

/// A configured node and where its storage is configured.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// The block that names it, such as `participants`.
    pub(crate) kind: &'static str,
    pub(crate) storage: Storage,
    pub(crate) replicated: bool,
    pub(crate) origin: Origin,
    pub(crate) path: Vec<String>,
}

/// A port of this process and where it is configured.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) origin: Origin,
    pub(crate) path: Vec<String>,
}

/// Refuses two servers on one port.
pub(crate) fn check_ports(doors: &[Door], problems: &mut Problems) {
    for (at, door) in doors.iter().enumerate().filter(|(_, door)| door.port != 0) {
        if let Some(other) = doors[..at].iter().find(|other| other.port == door.port && other.meets(door)) {
            let text = format!("port {} is that of {} too ({})", door.port, show_path(&other.path), other.origin);
            problems.error(Code::SharedPort, &door.origin, &door.path, text);
        }
    }
}

impl Door {
    fn meets(&self, other: &Self) -> bool {
        let name =
            |door: &Self| if door.address == "localhost" { "127.0.0.1".to_owned() } else { door.address.clone() };
        let (own, others) = (name(self), name(other));
        let is_any = |address: &str| ["0.0.0.0", "::"].contains(&address);
        own == others || is_any(&own) || is_any(&others)
    }
}

/// Refuses nodes of two kinds in one place, and two nodes of a kind that are not replicas of each other.
pub(crate) fn check(tenants: &[Tenant], problems: &mut Problems) {
    let mut taken: BTreeMap<Place, &Tenant> = BTreeMap::new();
    for tenant in tenants {
        let mut places: Vec<Place> = place(&tenant.storage).into_iter().collect();
        if tenant.kind == "domains" {
            places.extend(PARTS.iter().filter_map(|part| place(&tenant.storage.part(part))));
        }
        let clash = places.iter().find_map(|place| Some((place, taken.get(place)?)));
        if let Some((place, other)) = clash
            && let Some(why) = clashes(other, tenant)
        {
            let text =
                format!("{} is the storage of {} too ({}), {why}", show(place), show_path(&other.path), other.origin);
            problems.error(Code::SharedStorage, &tenant.origin, &tenant.path, text);
        }
        for place in places {
            taken.entry(place).or_insert(tenant);
        }
    }
}

fn clashes(one: &Tenant, other: &Tenant) -> Option<&'static str> {
    if one.kind != other.kind {
        Some(
            "which is a node of another kind; give each kind a file or schema (config.properties.currentSchema) of its own",
        )
    } else if !(one.replicated && other.replicated) {
        Some(
            "and only replicas of one node may share it; turn replication on for both \
             (sequencers: sequencer.high-availability.enabled), or give each a storage of its own",
        )
    } else {
        None
    }
}

fn place(storage: &Storage) -> Option<Place> {
    match storage {
        Storage::Memory => None,
        Storage::Sqlite { path } => Some(Place::File(full(path))),
        Storage::Postgres(postgres) => Some(Place::Schema {
            host: postgres.host.to_lowercase(),
            port: postgres.port,
            database: postgres.database.clone(),
            schema: postgres.schema().to_owned(),
        }),
    }
}

/// The same for all spellings of a path whose folder exists.
fn full(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (absolute.parent().and_then(|folder| folder.canonicalize().ok()), absolute.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => absolute,
    }
}

fn show(place: &Place) -> String {
    match place {
        Place::File(path) => format!("the file {}", path.display()),
        Place::Schema { host, port, database, schema } => {
            format!("schema {schema} of database {database} at {host}:{port}")
        }
    }
}
