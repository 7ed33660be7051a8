//! Runs one script: evaluates up to a question, has the ledger answer it, and goes on with the answer.

use crate::{
    RunError, ScriptLedger, SubmitError, SubmitFailure, constructors,
    error::{Failure, malformed},
    library::{Generation, Library},
    question,
    request::{Asked, Reader, Request},
    submit_error, tree,
};
use base::Identifier;
use engine::{Engine, EngineError, Evaluation, Progress, Term};

/// Scripts in scripts: what catches failures nests no deeper.
const MAX_NESTED: usize = 10_000;
/// Operations of the machine between two looks at what was printed.
const BUDGET: u64 = 1_000_000;
/// As how many operations a question counts.
const QUESTION: u64 = 1_000;
/// Texts that are kept of what a script prints.
const MAX_TRACES: usize = 10_000;

/// A script that waits for one that it runs.
enum Frame {
    /// What is asked to give how the inner script ended.
    Asked { what: Catches, resume: Term },
    /// The older library's: the inner script gives how to go on, and so does the function for an exception.
    Handler { handle: Term, next: Option<Term> },
}

/// Which ends of an inner script the outer one handles.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Catches {
    Exceptions,
    Statuses,
    Commands,
}

/// How a question is answered.
pub(crate) enum Answer {
    Value(Term),
    /// The script that it goes on with, which gives how to go on.
    Step(Term),
}

/// One script on its way.
pub(crate) struct Runner<'a, L> {
    pub(crate) engine: &'a Engine,
    pub(crate) library: &'a Library,
    pub(crate) ledger: &'a mut L,
    frames: Vec<Frame>,
    /// The call stack of the last question.
    locations: Vec<String>,
    /// Whether that question is being answered; otherwise the script is evaluated.
    asking: bool,
    /// What the script printed.
    traces: Vec<String>,
    /// How many operations of the machine are left.
    operations: u64,
    /// How many names of parties are made up.
    pub(crate) made_up: u32,
}

/// How a script failed, for people.
pub(crate) struct Failed {
    pub(crate) message: String,
    pub(crate) locations: Vec<String>,
    pub(crate) asking: bool,
    pub(crate) transaction: Option<String>,
}

impl<'a, L: ScriptLedger> Runner<'a, L> {
    pub(crate) fn new(engine: &'a Engine, library: &'a Library, ledger: &'a mut L, operations: u64) -> Self {
        Self {
            engine,
            library,
            ledger,
            frames: Vec::new(),
            locations: Vec::new(),
            asking: false,
            traces: Vec::new(),
            operations,
            made_up: 0,
        }
    }

    pub(crate) fn take_traces(&mut self) -> Vec<String> {
        std::mem::take(&mut self.traces)
    }

    /// Runs a definition that is a script to its end.
    pub(crate) fn run(&mut self, definition: &Identifier) -> Result<Term, Failed> {
        let begin = self.engine.evaluate(definition).map_err(Failure::from);
        let script = begin.and_then(|evaluation| self.evaluate(evaluation));
        let mut step = script.and_then(|script| self.start(&script));
        loop {
            let next = step.and_then(|step| self.advance(&step));
            match next {
                Ok(Next::Step(next)) => step = Ok(next),
                Ok(Next::End(value)) => match self.frames.pop() {
                    None => return Ok(value),
                    Some(frame) => step = self.ended(frame, value),
                },
                Err(failure) => step = Ok(self.unwind(failure)?),
            }
        }
    }

    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader { engine: self.engine, library: self.library }
    }

    /// Evaluates to the end.
    pub(crate) fn evaluate(&mut self, mut evaluation: Evaluation) -> Result<Term, Failure> {
        loop {
            let progress = evaluation.step(BUDGET);
            let room = MAX_TRACES - self.traces.len();
            self.traces.extend(evaluation.take_traces().iter().take(room).map(ToString::to_string));
            match progress {
                Progress::Done(value) => return Ok(value),
                Progress::Thrown(exception) => return Err(Failure::Thrown(exception)),
                Progress::Error(error) => return Err(error.into()),
                Progress::Interrupted => self.spend(BUDGET)?,
            }
        }
    }

    /// Counts operations.
    fn spend(&mut self, operations: u64) -> Result<(), EngineError> {
        if self.operations == 0 {
            return Err(EngineError::Limit("the script takes too many operations"));
        }
        self.operations = self.operations.saturating_sub(operations);
        Ok(())
    }

    pub(crate) fn apply(&mut self, function: &Term, arguments: Vec<Term>) -> Result<Term, Failure> {
        self.evaluate(self.engine.apply(function, arguments))
    }

    /// The first step of a script.
    fn start(&mut self, script: &Term) -> Result<Term, Failure> {
        let begin = self.reader().unwrap(script)?;
        self.apply(&begin, vec![Term::unit()])
    }

    /// Does one step: it asks something, or is the end.
    fn advance(&mut self, step: &Term) -> Result<Next, Failure> {
        let (constructor, inner) = step.as_constructor().ok_or_else(|| malformed("a step of the script"))?;
        match constructor.as_str() {
            // The value comes with a state that nobody uses.
            "Pure" => Ok(Next::End(self.reader().field(&inner, "_1")?)),
            "Free" => {
                self.spend(QUESTION)?;
                let Asked { request, resume, locations } = match self.library.generation {
                    Generation::Questions => question::read(self.reader(), &inner)?,
                    Generation::Constructors => constructors::read(self.reader(), &inner)?,
                };
                self.locations = locations;
                if let Some(next) = self.nested(&request, &resume)? {
                    return Ok(Next::Step(next));
                }
                self.asking = true;
                let answer = self.answer(request)?;
                self.asking = false;
                match answer {
                    Answer::Value(answer) => self.apply(&resume, vec![answer]).map(Next::Step),
                    Answer::Step(next) => Ok(Next::Step(next)),
                }
            }
            _ => Err(malformed("a step of the script").into()),
        }
    }

    /// Begins a script in the script, if that is what is asked.
    fn nested(&mut self, request: &Request, resume: &Term) -> Result<Option<Term>, Failure> {
        let (what, act) = match request {
            Request::Catch(act) => (Catches::Exceptions, act),
            Request::TryFailureStatus(act) => (Catches::Statuses, act),
            Request::TryCommands(act) => (Catches::Commands, act),
            Request::CatchWith { act, handle, next } => {
                self.push(Frame::Handler { handle: handle.clone(), next: next.clone() })?;
                return self.apply(act, vec![Term::unit()]).map(Some);
            }
            _ => return Ok(None),
        };
        self.push(Frame::Asked { what, resume: resume.clone() })?;
        // Only commands come as a script, the others as what gives one.
        let script = if what == Catches::Commands { act.clone() } else { self.apply(act, vec![Term::unit()])? };
        self.start(&script).map(Some)
    }

    fn push(&mut self, frame: Frame) -> Result<(), Failure> {
        if self.frames.len() >= MAX_NESTED {
            return Err(EngineError::Limit("scripts in scripts are nested too deeply").into());
        }
        self.frames.push(frame);
        Ok(())
    }

    /// An inner script ended well.
    fn ended(&mut self, frame: Frame, value: Term) -> Result<Term, Failure> {
        match frame {
            Frame::Handler { next, .. } => self.go_on(next.as_ref(), value),
            Frame::Asked { resume, .. } => {
                let answer = self.library.either(self.engine, Ok(value))?;
                self.apply(&resume, vec![answer])
            }
        }
    }

    /// Finds the outer script that handles a failure, and goes on there.
    fn unwind(&mut self, failure: Failure) -> Result<Term, Failed> {
        let mut failure = failure;
        let mut asking = std::mem::take(&mut self.asking);
        loop {
            let handled = match (self.frames.pop(), &failure) {
                (None, _) => return Err(self.failed(failure, asking)),
                (Some(Frame::Handler { handle, next }), Failure::Thrown(exception)) => {
                    self.handle(&handle, next.as_ref(), exception)
                }
                (Some(Frame::Asked { what: Catches::Exceptions, resume, .. }), Failure::Thrown(exception)) => {
                    self.resume(&resume, exception.clone()).map(Some)
                }
                (Some(Frame::Asked { what: Catches::Statuses, resume, .. }), _) => self.statuses(&resume, &failure),
                (Some(Frame::Asked { what: Catches::Commands, resume, .. }), _) => self.commands(&resume, &failure),
                (Some(_), _) => Ok(None),
            };
            match handled {
                Ok(Some(next)) => return Ok(next),
                Ok(None) => {}
                Err(other) => (failure, asking) = (other, false),
            }
        }
    }

    fn handle(&mut self, handle: &Term, next: Option<&Term>, exception: &Term) -> Result<Option<Term>, Failure> {
        let handled = self.apply(handle, vec![exception.clone()])?;
        let handled = handled.as_optional().ok_or_else(|| malformed("a handler"))?;
        handled.map(|handled| self.go_on(next, handled)).transpose()
    }

    /// How the older library goes on after an inner script.
    fn go_on(&mut self, next: Option<&Term>, value: Term) -> Result<Term, Failure> {
        match next {
            Some(next) => self.apply(next, vec![value]),
            None => Ok(value),
        }
    }

    /// Goes on after a failure.
    fn resume(&mut self, resume: &Term, failure: Term) -> Result<Term, Failure> {
        let answer = self.library.either(self.engine, Err(failure))?;
        self.apply(resume, vec![answer])
    }

    fn statuses(&mut self, resume: &Term, failure: &Failure) -> Result<Option<Term>, Failure> {
        let status = match failure {
            Failure::Thrown(exception) => {
                let error = self.unhandled(exception);
                submit_error::status(self.engine, self.library, &error)
            }
            Failure::Run(RunError::Engine(error)) => submit_error::status(self.engine, self.library, error),
            _ => None,
        };
        status.map(|status| self.resume(resume, status?)).transpose()
    }

    fn commands(&mut self, resume: &Term, failure: &Failure) -> Result<Option<Term>, Failure> {
        let (name, class, message) = match failure {
            Failure::Submit(failure) => ("Submit", class(failure), failure.error.to_string()),
            Failure::MustFail(_) => ("Submit", "MustFail", MUST_FAIL.to_owned()),
            Failure::Call(error) => ("Call", "Call", error.to_string()),
            Failure::Thrown(_) | Failure::Run(_) => return Ok(None),
        };
        let parts = [Term::text(name), Term::text(class), Term::text(&message)];
        let failure = self.library.tuple(self.engine, parts)?;
        self.resume(resume, failure).map(Some)
    }

    /// What an exception is for those who do not handle it.
    fn unhandled(&mut self, exception: &Term) -> EngineError {
        let id = exception.as_any().map(|(id, _)| format!("{}:{}", id.module, id.entity));
        let message = self.engine.exception_message(exception).map_err(Failure::from);
        let message = message.and_then(|evaluation| self.evaluate(evaluation));
        let message = message.ok().and_then(|message| message.as_text().map(str::to_owned));
        EngineError::Failure {
            error_id: format!("UNHANDLED_EXCEPTION/{}", id.unwrap_or_default()),
            category: lf::FailureCategory::InvalidGivenCurrentSystemStateOther.number(),
            message: message.unwrap_or_else(|| "(the message of the exception could not be computed)".to_owned()),
            metadata: Vec::new(),
        }
    }

    fn failed(&mut self, failure: Failure, asking: bool) -> Failed {
        let (message, transaction) = match failure {
            Failure::Thrown(exception) => (self.unhandled(&exception).to_string(), None),
            Failure::Call(error) => (error.to_string(), None),
            Failure::Submit(failure) => {
                let transaction = failure.transaction.as_ref().filter(|transaction| !transaction.is_empty());
                (failure.error.to_string(), transaction.map(tree::text))
            }
            Failure::MustFail(events) => (MUST_FAIL.to_owned(), Some(tree::text_of_events(&events))),
            Failure::Run(error) => (error.to_string(), None),
        };
        Failed { message, locations: std::mem::take(&mut self.locations), asking, transaction }
    }
}

/// Where a script stands after a step.
enum Next {
    Step(Term),
    End(Term),
}

const MUST_FAIL: &str = "the submission had to fail, but it succeeded";

/// The kind of an error, as scripts that test the library look at it.
fn class(failure: &SubmitFailure) -> &str {
    match &failure.error {
        SubmitError::Engine(error) => base::Coded::code(error).id,
        SubmitError::Unusable { .. } => "CONTRACT_NOT_FOUND",
        SubmitError::UnknownParties(_) => "UNKNOWN_PARTIES",
        SubmitError::UnresolvedPackageName(_) => "UNRESOLVED_PACKAGE_NAME",
        SubmitError::NotVetted(_) => "NOT_VETTED",
        SubmitError::Disclosure => "DISCLOSURE",
        SubmitError::Refused { code, .. } => code.as_deref().unwrap_or("REFUSED"),
    }
}
