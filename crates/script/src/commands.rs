//! Commands of the older library: a free applicative functor, taken apart to be submitted and filled with results.

use crate::{
    ScriptLedger,
    error::{Failure, malformed},
    runner::Runner,
};
use base::PackageId;
use engine::{Command, Term};

/// Commands that were taken apart.
pub(crate) struct Taken {
    pub(crate) commands: Vec<Command>,
    /// The packages from which the script knows the templates of the root events.
    pub(crate) known_from: Vec<PackageId>,
    /// For each command the function that takes its result.
    pub(crate) steps: Vec<Term>,
    /// A function of what these functions give, in order.
    pub(crate) last: Term,
}

impl<L: ScriptLedger> Runner<'_, L> {
    /// Either a pure value, or a function that is given a function of the first command and the rest.
    pub(crate) fn take_commands(&mut self, commands: &Term) -> Result<Taken, Failure> {
        let pair = self.engine.pairing(self.library.ty("Tuple2")?)?;
        let (mut all, mut known_from, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = commands.clone();
        loop {
            let (constructor, value) = rest.as_constructor().ok_or_else(|| malformed("a list of commands"))?;
            match constructor.as_str() {
                "PureA" => return Ok(Taken { commands: all, known_from, steps, last: value }),
                "Ap" => {
                    let both = self.apply(&value, vec![pair.clone()])?;
                    let reader = self.reader();
                    let first = reader.field(&both, "_1")?;
                    let (command, package) = reader.command(&first, true)?;
                    let (_, fields) = first.as_constructor().ok_or_else(|| malformed("a command"))?;
                    let step = reader.field(&fields, "continueC").or_else(|_| reader.field(&fields, "continueE"))?;
                    let roots = if matches!(command, Command::CreateAndExercise { .. }) { 2 } else { 1 };
                    known_from.extend(std::iter::repeat_n(package, roots));
                    all.push(command);
                    steps.push(step);
                    rest = reader.field(&both, "_2")?;
                }
                _ => return Err(malformed("a list of commands").into()),
            }
        }
    }

    /// Gives the commands their results. The innermost function takes the last command's first.
    pub(crate) fn fill(&mut self, steps: Vec<Term>, last: Term, results: Vec<Term>) -> Result<Term, Failure> {
        let mut function = last;
        for (step, result) in steps.into_iter().zip(results).rev() {
            let value = self.apply(&step, vec![result])?;
            function = self.apply(&function, vec![value])?;
        }
        Ok(function)
    }
}
