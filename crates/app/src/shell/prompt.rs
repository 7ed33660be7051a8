//! Where commands are typed: at a terminal with history and completion, or through a pipe.

use super::{Shell, ShellError};
use ::console::{Host as _, Interpreter, is_open};
use rustyline::{
    Context, Editor, Helper,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};
use std::{
    io::{BufRead as _, IsTerminal as _},
    path::Path,
};

const PROMPT: &str = "@ ";

/// Reads and runs entries until they end. At a terminal errors are shown and forgotten; of a pipe it is told whether
/// all entries went well.
pub(super) fn run(shell: Shell, history: Option<&Path>) -> Result<bool, ShellError> {
    let names = shell.names();
    let mut interpreter = Interpreter::new(shell);
    if std::io::stdin().is_terminal() {
        typed(&mut interpreter, names, history)?;
        return Ok(true);
    }
    let (mut entry, mut all_well) = (String::new(), true);
    for line in std::io::stdin().lock().lines() {
        entry.push_str(&line.map_err(ReadlineError::from)?);
        entry.push('\n');
        if is_open(&entry) {
            continue;
        }
        match enter(&mut interpreter, &std::mem::take(&mut entry)) {
            Entered::Done(well) => all_well &= well,
            Entered::Leave => return Ok(all_well),
        }
    }
    // What is left is open, and the parser says so.
    Ok(matches!(enter(&mut interpreter, &entry), Entered::Done(true) | Entered::Leave) && all_well)
}

fn typed(
    interpreter: &mut Interpreter<Shell>,
    names: Vec<String>,
    history: Option<&Path>,
) -> Result<(), ReadlineError> {
    let mut editor = Editor::<Names, FileHistory>::new()?;
    editor.set_helper(Some(Names(names)));
    if let Some(path) = history {
        // There is none yet, or it cannot be read: the prompt works without.
        let _ = editor.load_history(path);
    }
    interpreter.host.print("Concordat's console. `help` lists what there is, the tabulator completes, `exit` leaves.");
    loop {
        match editor.readline(PROMPT) {
            Ok(entry) => {
                editor.add_history_entry(entry.as_str())?;
                if matches!(enter(interpreter, &entry), Entered::Leave) {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error),
        }
    }
    if let Some(path) = history
        && let Err(error) = editor.save_history(path)
    {
        tracing::warn!("{}: what was typed cannot be kept: {error}", path.display());
    }
    Ok(())
}

enum Entered {
    /// Whether it went well.
    Done(bool),
    Leave,
}

fn enter(interpreter: &mut Interpreter<Shell>, entry: &str) -> Entered {
    let entry = entry.trim();
    if ["exit", "exit()", "quit"].contains(&entry) {
        return Entered::Leave;
    }
    let about = entry.strip_prefix("help(\"").and_then(|rest| rest.strip_suffix("\")"));
    let outcome = match about {
        None if entry != "help" => interpreter.run(entry, true).map_err(|error| error.to_string()),
        about => interpreter.host.help(about),
    };
    match outcome {
        Ok(()) => Entered::Done(true),
        Err(error) => {
            crate::note(&format!("ERROR {error}"));
            Entered::Done(false)
        }
    }
}

/// All that can be typed, as paths joined by dots.
struct Names(Vec<String>);

impl Names {
    /// Where the name under the cursor begins, and how its last part can go on.
    fn complete(&self, line: &str) -> (usize, Vec<String>) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let typed = &line[line.trim_end_matches(is_name).len()..];
        let last = typed.rfind('.').map_or(0, |dot| dot + 1);
        let part = |name: &String| Some(name.strip_prefix(&typed[..last])?.split('.').next()?.to_owned());
        let fits = |part: &String| part.starts_with(&typed[last..]);
        let mut parts: Vec<String> = self.0.iter().filter_map(part).filter(fits).collect();
        parts.sort();
        parts.dedup();
        (line.len() - typed.len() + last, parts)
    }
}

impl Completer for Names {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(Self::complete(self, line.get(..at).unwrap_or_default()))
    }
}

impl Validator for Names {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_open(context.input()) { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Hinter for Names {
    type Hint = String;
}
impl Highlighter for Names {}
impl Helper for Names {}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn names_are_completed_part_by_part() {
        let names =
            ["participant1.domains.connect", "participant1.domains.connect_multi", "participant2.name", "nodes.all"];
        let names = Names(names.map(String::from).to_vec());
        let complete = |line: &str| {
            let (at, parts) = names.complete(line);
            (line[..at].to_owned(), parts.join(" "))
        };
        assert_eq!(complete("part"), (String::new(), "participant1 participant2".into()));
        assert_eq!(complete("f(participant1.d"), ("f(participant1.".into(), "domains".into()));
        assert_eq!(
            complete("é participant1.domains.c"),
            ("é participant1.domains.".into(), "connect connect_multi".into())
        );
        assert_eq!(complete("participant3.d").1, "");
    }
}
