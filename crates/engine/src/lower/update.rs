//! Lowering of updates. An update action is a function of the token; where it is run at once, no function is made.

use super::context::{HIDDEN, Lowering, Task, count, ill_typed};
use crate::{
    EngineError,
    code::{GlobalRef, Op},
    registry::Key,
    run::Stop,
};
use lf::{ByKey, Expr, ExprId, NameId, RefId, Update};

/// The token's name: no model mentions it.
const TOKEN: NameId = NameId(u32::MAX - 1);

impl Lowering<'_> {
    /// An update as a value: what stands directly in it is evaluated now, the rest when it is run.
    pub(super) fn action(&mut self, id: ExprId, update: &Update, tail: bool) {
        let first = match update {
            Update::Pure { value, .. } => Some(*value),
            Update::Block { bindings, .. } => bindings.first().map(|binding| binding.bound),
            Update::LedgerTimeLt(time) => Some(*time),
            _ => None,
        };
        let function = |body: Task| [Task::Begin(vec![TOKEN]), body, Task::End];
        let Some(first) = first else {
            let known = matches!(
                update,
                Update::Create { .. }
                    | Update::Exercise { .. }
                    | Update::ExerciseInterface { .. }
                    | Update::Fetch { .. }
                    | Update::FetchInterface { .. }
                    | Update::FetchByKey(ByKey { key: None, .. })
                    | Update::LookupByKey(ByKey { key: None, .. })
                    | Update::QueryNByKey(_)
            );
            if known {
                // Without the token the ledger function stays partial.
                self.plan([Task::Action(id), Task::Return(tail)]);
            } else {
                self.plan(function(Task::Run(id, true)).into_iter().chain([Task::Return(tail)]));
            }
            return;
        };
        let mut tasks = vec![Task::Expr(first, false), Task::Bind(HIDDEN), Task::Begin(vec![TOKEN])];
        match update {
            Update::Pure { .. } => tasks.push(Task::Variable(HIDDEN, true)),
            Update::Block { .. } => tasks.push(Task::Block(id)),
            _ => tasks.extend([Task::Variable(HIDDEN, false), Task::Op(Op::TimeLess), Task::Return(true)]),
        }
        tasks.extend([Task::End, Task::Leave(1, tail), Task::Return(tail)]);
        self.plan(tasks);
    }

    /// The rest of a block whose first action is made already and stands in [`HIDDEN`].
    pub(super) fn block(&mut self, id: ExprId) {
        let Expr::Update(update) = self.loaded.package.expr(id) else { return };
        let Update::Block { bindings, body } = &**update else { return };
        let mut tasks = vec![Task::Op(Self::unit()), Task::Variable(HIDDEN, false), Task::Call(1, false)];
        tasks.extend(bindings.first().map(|first| Task::Bind(first.binder.0)));
        for binding in bindings.iter().skip(1) {
            tasks.extend([Task::Run(binding.bound, false), Task::Bind(binding.binder.0)]);
        }
        tasks.extend([Task::Run(*body, true), Task::Leave(count(bindings.len()), true)]);
        self.plan(tasks);
    }

    /// Pushes the arguments of a ledger function (with the token if it is to be run) and applies it.
    pub(super) fn ledger_action(&mut self, id: ExprId, tail: Option<bool>) -> Result<(), Stop> {
        let Expr::Update(update) = self.loaded.package.expr(id) else { return Ok(()) };
        let (global, arguments) = match &**update {
            Update::Create { template, argument } => (self.template(*template, Key::Create)?, vec![*argument]),
            Update::Fetch { template, contract_id } => (self.template(*template, Key::Fetch)?, vec![*contract_id]),
            Update::FetchInterface { interface, contract_id } => (self.interface(*interface)?, vec![*contract_id]),
            Update::Exercise { template, choice, contract_id, argument } => {
                let (id, name) = (self.reference(*template), self.loaded.package.name(*choice));
                let global = self.registry.need(&id.package)?.choice(id, name);
                let global = global.ok_or_else(|| ill_typed(format!("{id} has no choice {name}")))?;
                (global, vec![*contract_id, *argument])
            }
            Update::ExerciseInterface { interface, choice, contract_id, argument, .. } => {
                let (id, name) = (self.reference(*interface), self.loaded.package.name(*choice));
                let global = self.registry.need(&id.package)?.interface_choice(id, name);
                let global = global.ok_or_else(|| ill_typed(format!("{id} has no choice {name}")))?;
                (global, vec![*contract_id, *argument])
            }
            Update::FetchByKey(by_key) => (self.template(by_key.template, Key::FetchFound)?, Vec::new()),
            Update::LookupByKey(by_key) => (self.template(by_key.template, Key::Lookup)?, Vec::new()),
            Update::QueryNByKey(by_key) => (self.template(by_key.template, Key::Query)?, Vec::new()),
            _ => return Ok(()),
        };
        let mut given = count(arguments.len());
        let mut tasks = Vec::new();
        if tail.is_some() {
            tasks.push(Task::Op(Self::unit()));
            given += 1;
        }
        tasks.extend(self.ordered(arguments.into_iter()));
        tasks.extend([Task::Op(Op::Global(global)), Task::Call(given, tail.unwrap_or(false))]);
        self.plan(tasks);
        Ok(())
    }

    /// An expression that is an update action, run at once.
    pub(super) fn run(&mut self, id: ExprId, tail: bool) -> Result<(), Stop> {
        let loaded = self.loaded;
        match loaded.package.expr(id) {
            Expr::Update(update) => self.run_update(id, update, tail),
            Expr::TypeApp { types, .. } if loaded.package.language_version().is_v1() && self.has_scale(types) => {
                self.plan([Task::Op(Self::unit()), Task::Expr(id, false), Task::Call(1, tail)]);
                Ok(())
            }
            Expr::TypeApp { function: inner, .. } | Expr::TypeAbs { body: inner, .. } => {
                self.plan([Task::Run(*inner, tail)]);
                Ok(())
            }
            Expr::Case { scrutinee, alternatives } => self.case(*scrutinee, alternatives, tail, Task::Run),
            Expr::Let { bindings, body } => {
                let bound = bindings.iter().flat_map(|b| [Task::Expr(b.bound, false), Task::Bind(b.binder.0)]);
                let mut tasks: Vec<_> = bound.collect();
                let names = count(bindings.len());
                tasks.extend([Task::Run(*body, tail), Task::Leave(names, tail)]);
                self.plan(tasks);
                Ok(())
            }
            _ => {
                self.plan([Task::Op(Self::unit()), Task::Expr(id, false), Task::Call(1, tail)]);
                Ok(())
            }
        }
    }

    fn run_update(&mut self, id: ExprId, update: &Update, tail: bool) -> Result<(), Stop> {
        match update {
            Update::Pure { value, .. } => self.plan([Task::Expr(*value, tail)]),
            Update::Embed { body, .. } => self.plan([Task::Run(*body, tail)]),
            Update::Block { bindings, body } => {
                let bound = bindings.iter().flat_map(|b| [Task::Run(b.bound, false), Task::Bind(b.binder.0)]);
                let mut tasks: Vec<_> = bound.collect();
                let names = count(bindings.len());
                tasks.extend([Task::Run(*body, tail), Task::Leave(names, tail)]);
                self.plan(tasks);
            }
            Update::CreateInterface { argument, .. } => {
                let tasks = [Task::Op(Self::unit()), Task::Expr(*argument, false)];
                self.plan(tasks.into_iter().chain([Task::Op(Op::CreateOf), Task::Call(2, tail)]));
            }
            Update::GetTime => self.leaf(Op::Time, tail),
            Update::LedgerTimeLt(time) => {
                self.plan([Task::Expr(*time, false), Task::Op(Op::TimeLess), Task::Return(tail)]);
            }
            Update::TryCatch { body, binder, handler, .. } => self.plan([
                Task::Begin(vec![TOKEN]),
                Task::Run(*body, true),
                Task::End,
                Task::Begin(vec![*binder]),
                Task::Expr(*handler, true),
                Task::End,
                Task::Op(Op::Try),
                Task::Return(tail),
            ]),
            Update::Create { .. }
            | Update::Exercise { .. }
            | Update::ExerciseInterface { .. }
            | Update::Fetch { .. }
            | Update::FetchInterface { .. } => self.ledger_action(id, Some(tail))?,
            Update::FetchByKey(by_key) => self.run_by_key(by_key, Key::FetchFound, tail)?,
            Update::LookupByKey(by_key) => self.run_by_key(by_key, Key::Lookup, tail)?,
            Update::ExerciseByKey { template, choice, key, argument } => {
                let (id, name) = (self.reference(*template), self.loaded.package.name(*choice));
                let exercise = self.registry.need(&id.package)?.choice(id, name);
                let exercise = exercise.ok_or_else(|| ill_typed(format!("{id} has no choice {name}")))?;
                let find = self.template(*template, Key::Find)?;
                self.plan([
                    Task::Op(Self::unit()),
                    Task::Expr(*argument, false),
                    Task::Op(Self::unit()),
                    Task::Expr(*key, false),
                    Task::Op(Op::Global(find)),
                    Task::Call(2, false),
                    Task::Op(Op::Global(exercise)),
                    Task::Call(3, tail),
                ]);
            }
            _ => return Err(Stop::error(EngineError::Unsupported("an action of another version".into()))),
        }
        Ok(())
    }

    /// Runs a function of a key and the token.
    fn run_by_key(&mut self, by_key: &ByKey, kind: impl Fn(u32, u32) -> Key, tail: bool) -> Result<(), Stop> {
        let function = self.template(by_key.template, kind)?;
        let Some(key) = by_key.key else {
            return Err(ill_typed("an action by key is run without a key"));
        };
        self.plan([
            Task::Op(Self::unit()),
            Task::Expr(key, false),
            Task::Op(Op::Global(function)),
            Task::Call(2, tail),
        ]);
        Ok(())
    }

    fn template(&self, reference: RefId, key: impl Fn(u32, u32) -> Key) -> Result<GlobalRef, Stop> {
        let id = self.reference(reference);
        let loaded = self.registry.need(&id.package)?;
        let found = loaded.template(id).and_then(|((m, t), _)| loaded.global(key(m, t)));
        found.ok_or_else(|| ill_typed(format!("there is no template {id}")))
    }

    fn interface(&self, reference: RefId) -> Result<GlobalRef, Stop> {
        let id = self.reference(reference);
        let loaded = self.registry.need(&id.package)?;
        let found = loaded.interface(id).and_then(|((m, i), _)| loaded.global(Key::FetchInterface(m, i)));
        found.ok_or_else(|| ill_typed(format!("there is no interface {id}")))
    }
}
