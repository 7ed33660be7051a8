//! The engine behind the [`Interpreter`] door.

use crate::{Dar, DarPackage, Interpretation, InterpretationError, Interpreted, Interpreter, Lookup};
use base::{Coded, ContractId, Identifier, Name, PackageId, codes};
use engine::{
    Command, Engine, KeyOf, Outcome, PackageRef, Question, Replay, RootAction, Run, Step, Submission, TypeRef,
};
use ledger_api::{CommandKind, Enrich, TemplateRef};
use participant_core::Reinterpret;
use protocol::{Contract, tree::Action};
use std::{collections::BTreeMap, sync::Arc};
use transaction::{ContractInstance, Transaction, Value};

/// Operations of the machine that one interpretation may take; some seconds of work.
const BUDGET: u64 = 1_000_000_000;

/// So many contracts of one key can be found at once.
const MAX_OF_KEY: usize = 10_000;

/// Runs compiled Daml. Cheap to clone: all clones are one and the same.
#[derive(Clone, Default, Debug)]
pub struct DamlEngine(Engine);

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn refused(error: impl Coded) -> InterpretationError {
    InterpretationError { code: error.code(), message: error.to_string() }
}

/// What answers the questions of a run.
trait Answers {
    fn contract(&mut self, id: &ContractId) -> Option<ContractInstance>;
    fn key(&mut self, key: &KeyOf, limit: usize) -> Result<Vec<ContractId>, InterpretationError>;
}

/// Those of a submission, and what was found.
struct Finding<'a> {
    lookup: Lookup<'a>,
    contracts: BTreeMap<ContractId, Contract>,
}

impl Answers for Finding<'_> {
    fn contract(&mut self, id: &ContractId) -> Option<ContractInstance> {
        // What was found by its key is not read once more.
        if let Some(contract) = self.contracts.get(id) {
            return Some(contract.instance.clone());
        }
        let contract = self.lookup.by_id(id)?;
        let instance = contract.instance.clone();
        self.contracts.insert(id.clone(), contract);
        Some(instance)
    }

    fn key(&mut self, key: &KeyOf, limit: usize) -> Result<Vec<ContractId>, InterpretationError> {
        let found = self.lookup.by_key(&key.hash, limit.min(MAX_OF_KEY + 1));
        if found.len() > MAX_OF_KEY {
            let message = format!(
                "more than {MAX_OF_KEY} contracts of {} have the key that is asked for; ask for fewer at once",
                key.template
            );
            return Err(InterpretationError { code: codes::DAML_INTERPRETATION_ERROR, message });
        }
        let ids = found.iter().map(|contract| contract.id.clone()).collect();
        self.contracts.extend(found.into_iter().map(|contract| (contract.id.clone(), contract)));
        Ok(ids)
    }
}

/// Those of a view: what it has, and nothing else.
struct Given<'a>(&'a Reinterpret);

impl Answers for Given<'_> {
    fn contract(&mut self, id: &ContractId) -> Option<ContractInstance> {
        self.0.contracts.get(id).map(|contract| contract.instance.clone())
    }

    fn key(&mut self, key: &KeyOf, limit: usize) -> Result<Vec<ContractId>, InterpretationError> {
        match self.0.keys.get(&key.hash) {
            Some(state) if state.exhaustive || state.contracts.len() >= limit => {
                Ok(state.contracts.iter().take(limit).cloned().collect())
            }
            _ => {
                let message = format!("it does not say which contracts of {} have a key", key.template);
                Err(InterpretationError { code: codes::DAML_INTERPRETATION_ERROR, message })
            }
        }
    }
}

/// Runs to the end; a package that is missing stays missing.
fn finish(mut run: Run, answers: &mut impl Answers) -> Result<Outcome, InterpretationError> {
    loop {
        match run.step(BUDGET) {
            Step::Done(outcome) => return Ok(*outcome),
            Step::Need(Question::Contract(id)) => run.answer_contract(answers.contract(&id)).map_err(refused)?,
            Step::Need(Question::Key { key, limit }) => {
                run.answer_key(answers.key(&key, limit)?).map_err(refused)?;
            }
            // Stepping on says that nobody gave it.
            Step::Need(Question::Package(_)) => {}
            Step::Interrupted => {
                let message = "the interpretation takes too long; divide the work over several commands".into();
                return Err(InterpretationError { code: codes::DAML_INTERPRETATION_ERROR, message });
            }
            Step::Error(error) => return Err(refused(error)),
        }
    }
}

fn type_ref(template: &TemplateRef) -> TypeRef {
    let package = match &template.package {
        ledger_api::PackageRef::Id(id) => PackageRef::Id(id.clone()),
        ledger_api::PackageRef::Name(name) => PackageRef::Name(name.clone()),
    };
    TypeRef { package, module: template.module.clone(), entity: template.entity.clone() }
}

fn command(command: &CommandKind) -> Command {
    match command.clone() {
        CommandKind::Create { template, argument } => Command::Create { template: type_ref(&template), argument },
        CommandKind::Exercise { template, contract, choice, argument } => {
            Command::Exercise { template: type_ref(&template), contract_id: contract, choice, argument }
        }
        CommandKind::ExerciseByKey { template, key, choice, argument } => {
            Command::ExerciseByKey { template: type_ref(&template), key, choice, argument }
        }
        CommandKind::CreateAndExercise { template, argument, choice, choice_argument } => Command::CreateAndExercise {
            template: type_ref(&template),
            create_argument: argument,
            choice,
            choice_argument,
        },
    }
}

/// The action and the seed of its node.
fn root(input: &Reinterpret) -> Result<(RootAction, Option<base::Hash>), String> {
    // The key of a contract that is to be found by it.
    let key = |contract: &ContractId, by_key: bool| match input.contracts.get(contract).map(|c| &c.instance.key) {
        _ if !by_key => Ok(None),
        Some(Some(key)) => Ok(Some(key.value.clone())),
        _ => Err(format!("contract {contract} is found by its key, but has none")),
    };
    Ok(match input.action.clone() {
        Action::Create { seed } => {
            let created = input.created.clone().ok_or("the view creates nothing")?;
            (RootAction::Create { template: created.template, argument: created.argument }, Some(seed))
        }
        Action::Exercise { seed, contract, template, interface, choice, argument, by_key, .. } => {
            let by_key = key(&contract, by_key)?;
            (RootAction::Exercise { template, interface, contract_id: contract, choice, argument, by_key }, Some(seed))
        }
        Action::Fetch { contract, template, interface, by_key, .. } => {
            let by_key = key(&contract, by_key)?;
            (RootAction::Fetch { template, interface, contract_id: contract, by_key }, None)
        }
    })
}

impl Interpreter for DamlEngine {
    fn interpret(&self, input: &Interpretation, lookup: Lookup<'_>) -> Result<Interpreted, InterpretationError> {
        let submission = Submission {
            act_as: input.act_as.clone(),
            commands: input.commands.iter().map(command).collect(),
            preferences: BTreeMap::new(),
            ledger_time: input.ledger_time,
            preparation_time: input.preparation_time,
            submission_seed: input.seed,
            participant: input.participant.clone(),
        };
        let mut finding = Finding { lookup, contracts: BTreeMap::new() };
        let outcome = finish(self.0.submit(submission).map_err(refused)?, &mut finding)?;
        let contracts = finding.contracts;
        let Outcome { transaction, seed, packages, .. } = outcome;
        Ok(Interpreted { transaction, seed, contracts, packages })
    }

    fn reinterpret(&self, input: &Reinterpret) -> Result<Transaction, String> {
        let (root, seed) = root(input)?;
        let replay = Replay {
            root,
            authorizers: input.authorizers.clone(),
            seed,
            ledger_time: input.ledger_time,
            preparation_time: input.preparation_time,
        };
        let run = self.0.reinterpret(replay).map_err(|e| e.to_string())?;
        finish(run, &mut Given(input)).map(|outcome| outcome.transaction).map_err(|e| e.message)
    }

    fn read_dar(&self, dar: &[u8]) -> Result<Dar, InterpretationError> {
        let dar = lf::read_dar(dar).map_err(refused)?;
        crate::upload::check(&self.0, &dar)?;
        let package = |read: lf::DarPackage| {
            let metadata = read.package.metadata();
            DarPackage {
                id: read.package.id().clone(),
                name: Some((metadata.name.clone(), metadata.version.clone())),
                payload: bytes::Bytes::from_owner(read.payload),
            }
        };
        Ok(Dar { packages: dar.packages.into_iter().map(package).collect() })
    }

    fn add_package(&self, id: &PackageId, payload: &[u8]) -> Result<(), InterpretationError> {
        if self.has_package(id) {
            return Ok(());
        }
        let package = lf::read_package(payload).map_err(refused)?;
        if package.id() != id {
            let message = format!("package {id} is stored with the content of {}", package.id());
            return Err(InterpretationError { code: codes::STORED_DATA_CORRUPT, message });
        }
        self.0.add_package(Arc::new(package));
        // Now, so that whoever takes over has it.
        let _ = self.0.compile(id);
        Ok(())
    }

    fn has_package(&self, id: &PackageId) -> bool {
        self.0.has_package(id)
    }
}

impl Enrich for DamlEngine {
    fn contract(&self, template: &Identifier, argument: &Value) -> Value {
        self.0.enrich_contract(template, argument)
    }

    fn choice_argument(&self, owner: &Identifier, choice: &Name, argument: &Value) -> Value {
        self.0.enrich_choice_argument(owner, choice, argument)
    }

    fn choice_result(&self, owner: &Identifier, choice: &Name, result: &Value) -> Value {
        self.0.enrich_choice_result(owner, choice, result)
    }
}
