//! `ARCHITECTURE.md` against `cargo metadata`.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

/// What rooms of floors 0 to 2 must not reach, not even through others.
const IMPURE: [&str; 9] =
    ["tokio", "tonic", "hyper", "rand", "getrandom", "rusqlite", "tokio-postgres", "rustix", "mio"];
/// Crates that only one room may use.
const ONLY_IN: [(&str, &[&str]); 6] = [
    ("tokio-postgres", &["store", "testkit"]),
    ("rusqlite", &["store"]),
    ("hocon", &["config"]),
    ("aws-lc-rs", &["crypto", "identity"]),
    ("clap", &["app", "bench", "chaos", "sim"]),
    ("ratatui", &["app"]),
];

struct Map {
    floors: BTreeMap<String, u32>,
    edges: BTreeSet<(String, String)>,
}

fn read_map() -> Map {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut floors = BTreeMap::new();
    let mut edges = BTreeSet::new();
    for line in text.lines() {
        // | 3 | `store` | what it holds |
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, floor, room, _, _] = cells[..]
            && let Ok(floor) = floor.parse()
        {
            floors.insert(room.trim_matches('`').to_owned(), floor);
        }
        // - `store` → `tasks`: why
        if let Some(edge) = line.strip_prefix("- `")
            && let Some((from, rest)) = edge.split_once("` → `")
            && let Some((to, _)) = rest.split_once('`')
        {
            edges.insert((from.to_owned(), to.to_owned()));
        }
    }
    Map { floors, edges }
}

fn metadata(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("json")
}

/// Name and direct dependencies (without those of tests) of every room.
fn rooms() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
            let names = dependencies.filter(|d| d["kind"].is_null()).map(|d| text(&d["name"])).collect();
            (text(&package["name"]), names)
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[test]
fn every_room_is_on_the_map_and_the_map_has_no_other() {
    let map = read_map();
    let on_map: BTreeSet<_> = map.floors.keys().cloned().collect();
    let real: BTreeSet<_> = rooms().into_keys().collect();
    assert_eq!(on_map, real, "left: ARCHITECTURE.md, right: the workspace");
}

#[test]
fn imports_point_down() {
    let map = read_map();
    let mut unused = map.edges.clone();
    let mut wrong = Vec::new();
    for (room, dependencies) in rooms() {
        for dependency in dependencies.iter().filter(|d| map.floors.contains_key(*d)) {
            let edge = (room.clone(), dependency.clone());
            let (from, to) = (map.floors[&room], map.floors[dependency]);
            if from == to {
                if !unused.remove(&edge) {
                    wrong.push(format!("{room} → {dependency} stays on floor {from}, and is not listed"));
                }
            } else if to > from {
                wrong.push(format!("{room} (floor {from}) → {dependency} (floor {to}) points up"));
            }
        }
    }
    wrong.extend(unused.iter().map(|(from, to)| format!("{from} → {to} is listed, but not used")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_with_one_home_stay_there() {
    let mut wrong = Vec::new();
    for (room, dependencies) in rooms() {
        for (name, homes) in ONLY_IN {
            if dependencies.contains(name) && !homes.contains(&room.as_str()) {
                wrong.push(format!("{room} uses {name}, which belongs in {}", homes.join(" or ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_lower_floors_are_pure() {
    let map = read_map();
    let metadata = metadata(&["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let name_of = |id: &str| -> String {
        let packages = metadata["packages"].as_array().expect("packages");
        packages.iter().find(|p| p["id"] == id).map(|p| text(&p["name"])).unwrap_or_default()
    };
    let names: BTreeMap<String, String> =
        nodes.iter().map(|n| text(&n["id"])).map(|id| (id.clone(), name_of(&id))).collect();
    // Normal dependencies only: build scripts and tests may do what they like.
    let edges: BTreeMap<String, Vec<String>> = nodes
        .iter()
        .map(|node| {
            let deps = node["deps"].as_array().expect("deps").iter();
            let normal = deps.filter(|d| d["dep_kinds"].as_array().expect("kinds").iter().any(|k| k["kind"].is_null()));
            (text(&node["id"]), normal.map(|d| text(&d["pkg"])).collect())
        })
        .collect();
    let mut wrong = Vec::new();
    for (id, name) in &names {
        let Some(floor) = map.floors.get(name) else { continue };
        let mut reached = BTreeSet::new();
        let mut open = vec![id.clone()];
        while let Some(id) = open.pop() {
            // `zip` has a random source for archives that it encrypts; nothing here does.
            if reached.insert(id.clone()) && names[&id] != "zip" {
                open.extend(edges[&id].iter().cloned());
            }
        }
        for reached in reached.iter().map(|id| names[id].as_str()) {
            if *floor <= 2 && IMPURE.contains(&reached) {
                wrong.push(format!("{name} reaches {reached}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Features with which tests take a safeguard away are in nobody's default and in nobody's needs.
#[test]
fn products_have_no_switches_for_tests() {
    let metadata = metadata(&["--no-deps"]);
    for package in metadata["packages"].as_array().expect("packages") {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let needed = dependencies.filter(|d| d["kind"] != "dev").flat_map(|d| d["features"].as_array()).flatten();
        let default = package["features"]["default"].as_array().into_iter().flatten();
        let switches: Vec<_> =
            needed.chain(default).map(text).filter(|feature| feature.contains("-for-tests")).collect();
        assert!(switches.is_empty(), "{}: {switches:?}", package["name"]);
    }
}

/// Two crypto libraries in one graph make every use of TLS panic.
#[test]
fn ring_is_absent() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--workspace", "--edges", "normal", "--prefix", "none", "--invert", "ring"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(!tree.contains("ring v"), "{tree}");
}
