//! The `storage` block.

use crate::{
    model::{Postgres, Storage},
    problem::{Code, Problems},
    tree::Tree,
};
use std::path::PathBuf;

const JDBC: &str = "jdbc:postgresql://";

pub(crate) fn storage(tree: &Tree, keys: &str, problems: &mut Problems) -> Storage {
    let Some(tree) = tree.block(keys) else { return Storage::Memory };
    match tree.text("type") {
        Some("sqlite") => {
            if tree.lacks("config.file") {
                let text = "storage of type sqlite wants config.file, the database file";
                tree.error("config.file", Code::MissingKey, problems, text);
            }
            tree.text("config.file").map_or(Storage::Memory, |path| Storage::Sqlite { path: PathBuf::from(path) })
        }
        Some("postgres") => postgres(tree, problems),
        Some(other @ ("h2" | "oracle")) => {
            let (origin, path) = tree.place("type");
            let text = format!("{other} is not supported by this version; use memory, sqlite or postgres");
            problems.unsupported(&origin, &path, text);
            Storage::Memory
        }
        _ => Storage::Memory,
    }
}

fn postgres(tree: &Tree, problems: &mut Problems) -> Storage {
    // The field takes the user either beside a url or among the properties.
    let either = |key: &str| {
        let keys = [format!("config.properties.{key}"), format!("config.{key}")];
        keys.into_iter().find(|key| tree.text(key).is_some() || tree.secret(key).is_some())
    };
    let mut postgres = Postgres {
        host: tree.read("config.properties.serverName").unwrap_or_default(),
        port: tree.read("config.properties.portNumber").unwrap_or_default(),
        database: tree.read("config.properties.databaseName").unwrap_or_default(),
        user: either("user").and_then(|key| tree.read(&key)).unwrap_or_default(),
        password: either("password").and_then(|key| tree.secret(&key)),
        schema: tree.read("config.properties.currentSchema"),
        max_connections: tree.read("config.numThreads").or_else(|| tree.read("parameters.max-connections")),
    };
    let mut encryption: Vec<(String, String)> = ["ssl", "sslmode"]
        .iter()
        .filter_map(|key| Some((format!("config.properties.{key}"), tree.read(&format!("config.properties.{key}"))?)))
        .collect();
    if let Some(key) = either("url") {
        let url: String = tree.read(&key).unwrap_or_default();
        match Url::parse(&url) {
            Ok(url) => {
                if url.parameter("password").is_some() {
                    let text = "the password would be shown wherever the url is; give it as the key password beside it";
                    tree.error(&key, Code::PasswordInUrl, problems, text);
                }
                let own = |name: &str| url.parameter(name).map(str::to_owned);
                postgres.user = own("user").unwrap_or(postgres.user);
                postgres.schema = own("currentSchema").or(postgres.schema);
                encryption.extend(["ssl", "sslmode"].iter().filter_map(|name| Some((key.clone(), own(name)?))));
                postgres.host = url.host;
                postgres.port = url.port;
                postgres.database = url.database;
            }
            Err(why) => tree.error(&key, Code::InvalidValue, problems, why),
        }
    }
    for (key, missing) in [("databaseName", postgres.database.is_empty()), ("user", postgres.user.is_empty())] {
        if missing {
            let key = format!("config.properties.{key}");
            tree.error(&key, Code::MissingKey, problems, "storage of type postgres wants it");
        }
    }
    for (key, value) in encryption {
        if !["false", "disable", "allow", "prefer"].contains(&value.as_str()) {
            let (origin, path) = tree.place(&key);
            problems.unsupported(
                &origin,
                &path,
                "encrypted connections to the database are not supported by this version",
            );
        }
    }
    Storage::Postgres(Box::new(postgres))
}

/// `jdbc:postgresql://host:port/database?name=value&…`
struct Url {
    host: String,
    port: u16,
    database: String,
    parameters: Vec<(String, String)>,
}

impl Url {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("write {JDBC}host:port/database");
        let rest = text.strip_prefix(JDBC).ok_or_else(expected)?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (address, database) = rest.split_once('/').ok_or_else(expected)?;
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| expected())?),
            None => (address, 5432),
        };
        if address.contains(',') {
            return Err("several hosts are not supported in a url; name one that follows the primary".to_owned());
        }
        if host.is_empty() || database.is_empty() {
            return Err(expected());
        }
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        };
        let parameters = parameters.split('&').filter(|p| !p.is_empty()).map(pair).collect();
        Ok(Self { host: host.into(), port, database: database.into(), parameters })
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}
