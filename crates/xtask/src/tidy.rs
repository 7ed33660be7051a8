//! Tidy sources: sizes, and words that belong in one place.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The wall for one file, in lines.
const MAX_LINES: usize = 800;

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut open = vec![root];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a folder").map(|e| e.expect("an entry").path()) {
            if entry.is_dir() {
                open.push(entry);
            } else if entry.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&entry).expect("utf-8");
                found.push((entry, text));
            }
        }
    }
    found
}

fn room(path: &Path) -> String {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let below = path.strip_prefix(crates).expect("below crates");
    below.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned()).unwrap_or_default()
}

/// The code without comments, without what follows `#[cfg(test)]`.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|l| !l.contains("#[cfg(test)]"));
    lines.enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")).map(|(i, l)| (i + 1, l))
}

fn only_in(word: &str, homes: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let is_test = path.file_name().is_some_and(|n| n == "tests.rs" || n == "build.rs")
            || path.components().any(|c| c.as_os_str() == "tests");
        if is_test || homes.contains(&room(&path).as_str()) || room(&path) == "xtask" {
            continue;
        }
        let found = code(&text).filter(|(_, line)| line.contains(word));
        wrong.extend(found.map(|(n, _)| format!("{}:{n}: {word} belongs in {}", path.display(), homes.join(" or "))));
    }
    wrong
}

#[test]
fn no_file_is_too_long() {
    let long = sources().into_iter().filter(|(_, text)| text.lines().count() > MAX_LINES);
    let long: Vec<_> = long.map(|(path, text)| format!("{}: {}", path.display(), text.lines().count())).collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn words_stay_where_they_belong() {
    let mut wrong = Vec::new();
    wrong.extend(only_in("Status::new(", &["rpc"]));
    wrong.extend(only_in("Status::internal(", &["rpc"]));
    wrong.extend(only_in("Status::unavailable(", &["rpc"]));
    wrong.extend(only_in("Status::invalid_argument(", &["rpc"]));
    wrong.extend(only_in("Status::unimplemented(", &["rpc"]));
    wrong.extend(only_in("env::args", &["app"]));
    wrong.extend(only_in("env::var", &["app", "testkit"]));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sql_stands_in_folders_named_store() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let in_store = room(&path) == "store"
            || ["testkit", "xtask"].contains(&room(&path).as_str())
            || path.components().any(|c| c.as_os_str() == "store")
            || path.file_name().is_some_and(|n| n == "store.rs");
        if in_store {
            continue;
        }
        for (n, line) in code(&text) {
            let lower = line.to_lowercase();
            let begins = ["\"select ", "\"insert into ", "\"delete from ", "\"create table "];
            let updates = lower.contains("\"update ") && lower.contains(" set ");
            if updates || begins.iter().any(|s| lower.contains(s)) {
                wrong.push(format!("{}:{n}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
