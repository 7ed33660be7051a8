//! `concordat script test`: the scripts of a DAR as tests.

mod live;
mod messages;
mod users;

use crate::cli::{ScriptOutput, ScriptTest};
use base::{PackageName, PackageVersion};
use live::LiveLedger;
use rpc::Bearer;
use script::{Failure, LedgerError, RunError, Script, Tests};
use serde_json::json;
use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// Nothing was run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptTestError {
    #[error("{} cannot be read", file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("{} has no scripts that can be run", file.display())]
    Dar { file: PathBuf, source: Box<RunError> },
    #[error("{} has no scripts in its main package", .0.display())]
    None(PathBuf),
    #[error("the participant at {uri} cannot be used")]
    Participant { uri: String, source: Box<LedgerError> },
    #[error("{} holds no token", .0.display())]
    Token(PathBuf),
    #[error("none of the {count} scripts of {} has {filter:?} in its name", file.display())]
    Filtered { file: PathBuf, filter: String, count: usize },
}

/// How a script ended.
struct Run {
    name: String,
    failure: Option<Failure>,
    time: Duration,
}

/// How often programs' users are told that something goes on.
const PROGRESS: Duration = Duration::from_secs(5);

/// Runs the scripts and prints how they ended. Whether all passed.
pub(crate) fn run(options: &ScriptTest, runtime: Handle) -> Result<bool, ScriptTestError> {
    let (dar, tests) = read(&options.dar)?;
    let scripts = selected(options, tests.scripts())?;
    let mut live = match options.port {
        None => None,
        Some(port) => {
            let scheme = if options.tls { "https" } else { "http" };
            let uri = format!("{scheme}://{}:{port}", options.host.as_deref().unwrap_or("localhost"));
            let bearer = match &options.access_token_file {
                None => Bearer::default(),
                Some(path) => token(path)?,
            };
            let ledger = LiveLedger::new(runtime, &uri, bearer, tests.engine(), dar);
            Some(ledger.map_err(|error| ScriptTestError::Participant { uri, source: error.into() })?)
        }
    };
    let begin = Instant::now();
    let mut told = begin;
    let mut runs = Vec::new();
    for script in &scripts {
        let start = Instant::now();
        let outcome = match &mut live {
            Some(ledger) => tests.run_against(script, ledger),
            None => tests.run(script),
        };
        let run = Run { name: script.name(), failure: outcome.failure, time: start.elapsed() };
        if options.output == ScriptOutput::Table {
            crate::print(&line(&run, &outcome.traces));
        } else if told.elapsed() >= PROGRESS {
            told = Instant::now();
            crate::note(&format!("{} of {} scripts done", runs.len() + 1, scripts.len()));
        }
        runs.push(run);
    }
    let failed = runs.iter().filter(|run| run.failure.is_some()).count();
    match options.output {
        ScriptOutput::Table => {
            let seconds = begin.elapsed().as_secs_f64();
            crate::print(&format!("{} passed, {failed} failed, {seconds:.1} s", runs.len() - failed));
        }
        ScriptOutput::Json => crate::print(&json(&runs, failed)),
        ScriptOutput::Junit => crate::print(&junit(&options.dar.to_string_lossy(), &runs, failed)),
    }
    Ok(failed == 0)
}

/// A DAR, or one of what LF text declares, and its scripts.
fn read(file: &Path) -> Result<(Vec<u8>, Tests), ScriptTestError> {
    let bytes = fs::read(file).map_err(|source| ScriptTestError::Read { file: file.to_owned(), source })?;
    let is_text = file.extension().is_some_and(|extension| extension == "lf");
    let dar = if is_text { assembled(&bytes) } else { Ok(bytes) };
    let both = dar.and_then(|dar| Tests::of_dar(&dar).map(|tests| (dar, tests)));
    both.map_err(|error| ScriptTestError::Dar { file: file.to_owned(), source: error.into() })
}

/// The scripts that are wanted, at least one.
fn selected<'a>(options: &ScriptTest, all: &'a [Script]) -> Result<Vec<&'a Script>, ScriptTestError> {
    let file = options.dar.clone();
    let wanted = |script: &&Script| options.filter.as_ref().is_none_or(|filter| script.name().contains(filter));
    let scripts: Vec<_> = all.iter().filter(wanted).collect();
    match &options.filter {
        _ if all.is_empty() => Err(ScriptTestError::None(file)),
        Some(filter) if scripts.is_empty() => {
            Err(ScriptTestError::Filtered { file, filter: filter.clone(), count: all.len() })
        }
        _ => Ok(scripts),
    }
}

/// The token in a file.
fn token(file: &Path) -> Result<Bearer, ScriptTestError> {
    let read = |source| ScriptTestError::Read { file: file.to_owned(), source };
    let text = fs::read_to_string(file).map_err(read)?;
    Bearer::new(&text).ok_or_else(|| ScriptTestError::Token(file.to_owned()))
}

/// A DAR of what LF text declares.
fn assembled(source: &[u8]) -> Result<Vec<u8>, RunError> {
    let name = PackageName::new("scripts").expect("the name is one");
    let version = PackageVersion::new("1.0.0").expect("the version is one");
    Ok(lf::assemble(&String::from_utf8_lossy(source), &name, &version)?)
}

/// The end of a script, and below it what it printed and why it failed.
fn line(run: &Run, traces: &[String]) -> String {
    let verdict = if run.failure.is_none() { "ok  " } else { "FAIL" };
    let mut text = format!("{verdict} {} ({} ms)", run.name, run.time.as_millis());
    for trace in traces.iter().flat_map(|trace| trace.lines()) {
        let _ = write!(text, "\n     | {trace}");
    }
    for line in
        run.failure.iter().flat_map(|failure| failure.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
    {
        let _ = write!(text, "\n     {line}");
    }
    text
}

fn json(runs: &[Run], failed: usize) -> String {
    let script = |run: &Run| {
        json!({
            "name": run.name,
            "ok": run.failure.is_none(),
            "error": run.failure.as_ref().map(ToString::to_string),
            "ms": u64::try_from(run.time.as_millis()).unwrap_or(u64::MAX),
        })
    };
    let scripts: Vec<_> = runs.iter().map(script).collect();
    format!("{:#}", json!({ "passed": runs.len() - failed, "failed": failed, "scripts": scripts }))
}

fn junit(suite: &str, runs: &[Run], failed: usize) -> String {
    let total: f64 = runs.iter().map(|run| run.time.as_secs_f64()).sum();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (suite, tests) = (escaped(suite), runs.len());
    let _ = writeln!(text, "<testsuite name=\"{suite}\" tests=\"{tests}\" failures=\"{failed}\" time=\"{total:.3}\">");
    for run in runs {
        let (module, name) = run.name.split_once(':').unwrap_or(("", &run.name));
        let (module, name, seconds) = (escaped(module), escaped(name), run.time.as_secs_f64());
        let _ = write!(text, "  <testcase classname=\"{module}\" name=\"{name}\" time=\"{seconds:.3}\"");
        let _ = match &run.failure {
            None => writeln!(text, "/>"),
            Some(failure) => {
                let (message, all) = (escaped(&failure.message), escaped(&failure.to_string()));
                writeln!(text, ">\n    <failure message=\"{message}\">{all}</failure>\n  </testcase>")
            }
        };
    }
    text + "</testsuite>"
}

/// Text as XML has it. Control characters, which XML cannot have at all, become question marks.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push('\t'),
            c if c.is_control() => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}
