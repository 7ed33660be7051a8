//! Files and overrides to a [`Config`].

use crate::{
    block::{Problem, Problems},
    model::Config,
    read,
};
use hocon::{Include, IncludeKind, Loader, Unresolved, merge, parse};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes of one configuration file.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Why there is no configuration. Its text lists every problem, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError(pub Vec<String>);

impl std::error::Error for LoadError {}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// Reads `files`, later over earlier, then `overrides` (`key`, `value`; of one key given twice the first wins), resolves
/// substitutions with `environment`, and reads the keys below `canton` or `concordat`. Also returns warnings.
pub fn load(
    files: &[PathBuf],
    overrides: &[(String, String)],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(Config, Vec<Problem>), LoadError> {
    let merged = merge_files(files, overrides).map_err(|problem| LoadError(vec![problem]))?;
    let resolved = hocon::resolve(&merged, environment).map_err(|e| LoadError(vec![e.to_string()]))?;
    let mut problems = Problems::default();
    let config = read::config(&resolved, &mut problems);
    if problems.errors.is_empty() {
        Ok((config, problems.warnings))
    } else {
        Err(LoadError(problems.errors.iter().map(ToString::to_string).collect()))
    }
}

fn merge_files(files: &[PathBuf], overrides: &[(String, String)]) -> Result<Unresolved, String> {
    let mut merged: Option<Unresolved> = None;
    let mut put = |over: Unresolved| {
        merged = Some(match merged.take() {
            Some(under) => merge(under, over),
            None => over,
        });
    };
    for file in files {
        let text = read_file(file).map_err(|e| format!("{}: {e}", file.display()))?;
        put(parse(&file.to_string_lossy(), &text, &mut Files).map_err(|e| e.to_string())?);
    }
    for (key, value) in overrides.iter().rev() {
        let text = format!("{key} = {value:?}");
        put(parse("command line", &text, &mut hocon::NoIncludes).map_err(|e| e.to_string())?);
    }
    merged.ok_or_else(|| "no configuration is given; name a file with -c, or a key with -C".into())
}

fn read_file(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("the file is larger than {MAX_FILE_BYTES} bytes")));
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
