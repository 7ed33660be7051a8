//! Files and overrides to a [`Config`].

use crate::{
    model::Config,
    problem::{Code, Problem, Problems},
    read,
    show::render_all,
    tree::{self, Tree},
};
use hocon::{Include, IncludeKind, Kind, Loader, Origin, Unresolved, Value, merge, parse};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes of one configuration file.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// The key of everything, in two spellings.
const ROOTS: [&str; 2] = ["canton", "concordat"];

/// Why there is no configuration. Its text lists every problem, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError(pub Vec<Problem>);

impl std::error::Error for LoadError {}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Reads `files`, later over earlier, then `overrides` (`key`, `value`; of one key given twice the first wins), resolves
/// substitutions with `environment`, and reads the keys below `canton` or `concordat`. Also returns warnings. What is
/// asked for and cannot be done by this version is in [`Config::unsupported`].
pub fn load(
    files: &[PathBuf],
    overrides: &[(String, String)],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(Config, Vec<Problem>), LoadError> {
    let (config, warnings, _) = read_all(files, overrides, environment)?;
    Ok((config, warnings))
}

/// The same input with every key and the value that counts, as HOCON; secrets are masked.
pub fn show(
    files: &[PathBuf],
    overrides: &[(String, String)],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, LoadError> {
    let (_, _, tree) = read_all(files, overrides, environment)?;
    Ok(render_all(&tree))
}

fn read_all(
    files: &[PathBuf],
    overrides: &[(String, String)],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(Config, Vec<Problem>, Tree), LoadError> {
    let merged = merge_files(files, overrides).map_err(|problem| LoadError(vec![problem]))?;
    let resolved =
        hocon::resolve(&merged, environment).map_err(|e| LoadError(vec![of_hocon(e, Code::Substitution)]))?;
    let mut problems = Problems::default();
    let (name, root) = root(resolved);
    let mut tree = tree::read(&root, name, &mut problems);
    let mut config = read::config(&mut tree, &mut problems);
    if config.is_empty() && problems.errors.is_empty() {
        let text =
            "no node is configured; add one below participants, sequencers, mediators, domain-managers or domains";
        problems.error(Code::NoNode, &root.origin, &[name.to_owned()], text);
    }
    config.unsupported = problems.unsupported;
    if problems.errors.is_empty() { Ok((config, problems.warnings, tree)) } else { Err(LoadError(problems.errors)) }
}

/// What stands below `canton`, `concordat`, or both.
fn root(resolved: Value) -> (&'static str, Value) {
    let origin = resolved.origin.clone();
    let mut fields = match resolved.kind {
        Kind::Object(fields) => fields,
        _ => Default::default(),
    };
    match ROOTS.map(|name| fields.remove(name)) {
        [Some(canton), Some(concordat)] => (ROOTS[0], hocon::overlay(canton, concordat)),
        [None, Some(concordat)] => (ROOTS[1], concordat),
        [canton, None] => (ROOTS[0], canton.unwrap_or(Value { origin, kind: Kind::Object(Default::default()) })),
    }
}

fn of_hocon(error: hocon::Error, otherwise: Code) -> Problem {
    let code = if error.is_file { Code::File } else { otherwise };
    Problem { code, origin: error.origin, key: error.key, text: error.problem }
}

fn merge_files(files: &[PathBuf], overrides: &[(String, String)]) -> Result<Unresolved, Problem> {
    let mut merged: Option<Unresolved> = None;
    let mut put = |over: Unresolved| {
        merged = Some(match merged.take() {
            Some(under) => merge(under, over),
            None => over,
        });
    };
    let at = |file: &str| Origin { file: file.into(), line: 1 };
    let problem = |origin, text: String| Problem { code: Code::File, origin, key: String::new(), text };
    for file in files {
        let name = file.to_string_lossy();
        let text = read_file(file).map_err(|e| problem(at(&name), format!("the file cannot be read: {e}")))?;
        put(parse(&name, &text, &mut Files).map_err(|e| of_hocon(e, Code::Syntax))?);
    }
    for (key, value) in overrides.iter().rev() {
        let text = format!("{key} = {}", hocon::quote(value));
        put(parse("command line", &text, &mut hocon::NoIncludes).map_err(|e| of_hocon(e, Code::Syntax))?);
    }
    let nothing = "no configuration is given; name a file with -c, or a key with -C";
    merged.ok_or_else(|| problem(at("command line"), nothing.to_owned()))
}

fn read_file(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    fs::read_to_string(path)
}

/// Includes from the file system, relative to the including file.
struct Files;

impl Loader for Files {
    fn load(&mut self, include: &Include) -> Result<Option<(Arc<str>, String)>, String> {
        if matches!(include.kind, IncludeKind::Url | IncludeKind::Classpath) {
            return Err("only files can be included".into());
        }
        let folder = Path::new(include.from.as_ref()).parent().unwrap_or_else(|| Path::new(""));
        let path = folder.join(&include.name);
        match read_file(&path) {
            Ok(text) => Ok(Some((path.to_string_lossy().as_ref().into(), text))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }
}
