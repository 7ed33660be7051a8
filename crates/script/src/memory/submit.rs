//! Submissions: interpreted with the contracts that the parties may use, and applied.

use super::{Contract, MemoryLedger, Visibility};
use crate::{Event, Submission, SubmitError, SubmitFailure, Unusable, tree};
use base::{ContractId, Fingerprint, Hash, Namespace, PackageId, PackageName, ParticipantId, Uid};
use engine::{Command, EngineError, KeyOf, Outcome, PackageRef, Question, Run, Step, TypeRef};
use std::collections::BTreeMap;
use transaction::{
    ContractInstance, Node, Parties, Transaction,
    codec::{Reader, Writer},
};

/// Operations of the machine for one submission: minutes of work, so that none runs forever.
const BUDGET: u64 = 10_000_000_000;

/// Contracts that come with the commands.
type Disclosed = BTreeMap<ContractId, ContractInstance>;

/// A contract for those who do not see it.
pub(super) fn blob(id: &ContractId, instance: &ContractInstance) -> Vec<u8> {
    let mut writer = Writer::versioned();
    writer.bytes(id.as_bytes());
    writer.bytes(&instance.encode());
    writer.finish()
}

fn read_blob(blob: &[u8]) -> Option<(ContractId, ContractInstance)> {
    let mut reader = Reader::new(blob);
    reader.version().ok()?;
    let id = ContractId::new(reader.bytes().ok()?).ok()?;
    let instance = ContractInstance::decode(reader.bytes().ok()?).ok()?;
    reader.finish().ok()?;
    Some((id, instance))
}

impl From<SubmitError> for Box<SubmitFailure> {
    fn from(error: SubmitError) -> Self {
        Self::new(SubmitFailure { error, transaction: None, exception: None })
    }
}

/// Who interprets; part of the seeds of contract ids.
fn participant() -> ParticipantId {
    let namespace = Namespace(Fingerprint::of(&crypto::sha256(b"scripts")));
    ParticipantId(Uid::new("script", namespace).expect("a constant name is valid"))
}

/// How a command names its template.
fn type_ref(command: &Command) -> &TypeRef {
    match command {
        Command::Create { template, .. }
        | Command::Exercise { template, .. }
        | Command::ExerciseByKey { template, .. }
        | Command::CreateAndExercise { template, .. } => template,
    }
}

impl MemoryLedger {
    /// Whether the contract is there at this time.
    pub(super) fn is_usable(&self, contract: &Contract) -> bool {
        contract.active && contract.created <= self.time
    }

    pub(super) fn do_submit(&mut self, submission: &Submission) -> Result<Vec<Event>, Box<SubmitFailure>> {
        let parties = &submission.act_as | &submission.read_as;
        let unknown = &parties - &self.parties;
        if !unknown.is_empty() {
            return Err(SubmitError::UnknownParties(unknown).into());
        }
        let resolution = self.resolution(&submission.preferences);
        if let Some(name) = submission.commands.iter().find_map(|command| match &type_ref(command).package {
            PackageRef::Name(name) if !resolution.contains_key(name) => Some(name),
            _ => None,
        }) {
            return Err(SubmitError::UnresolvedPackageName(name.clone()).into());
        }
        let disclosed: Option<Disclosed> = submission.disclosed.iter().map(|blob| read_blob(blob)).collect();
        let disclosed = disclosed.ok_or(SubmitError::Disclosure)?;
        self.check_disclosed(&disclosed)?;
        let outcome = self.interpret(submission, resolution, &disclosed)?;
        let refuse = |error, transaction| {
            Err(Box::new(SubmitFailure { error, transaction: Some(transaction), exception: None }))
        };
        if let Some(package) = outcome.packages.iter().find(|package| self.unvetted.contains(package)) {
            return refuse(SubmitError::NotVetted(package.clone()), outcome.transaction);
        }
        let transaction = outcome.transaction.map_contract_ids(suffixed);
        let blinding = transaction.blinding();
        let informed = blinding.disclosure.iter().flatten().cloned().collect::<Parties>();
        let unknown = &informed - &self.parties;
        if !unknown.is_empty() {
            return refuse(SubmitError::UnknownParties(unknown), transaction);
        }
        self.apply(&transaction);
        Ok(tree::events(&transaction))
    }

    /// Contracts that come with the commands must be those of the ledger, and still there.
    fn check_disclosed(&self, disclosed: &Disclosed) -> Result<(), Box<SubmitFailure>> {
        for (id, instance) in disclosed {
            match self.contracts.get(id) {
                Some(contract) if contract.instance == *instance => {}
                _ => return Err(SubmitError::Disclosure.into()),
            }
            self.usable(id, None)?;
        }
        Ok(())
    }

    /// A contract that can be used at this time, by these parties; `None` if there never was one.
    fn usable(
        &self,
        id: &ContractId,
        parties: Option<(&Parties, &Parties)>,
    ) -> Result<Option<&Contract>, Box<SubmitFailure>> {
        let Some(contract) = self.contracts.get(id) else { return Ok(None) };
        let unseen = parties.filter(|(act_as, read_as)| {
            contract.visible_to.is_disjoint(act_as) && contract.visible_to.is_disjoint(read_as)
        });
        let why = if contract.created > self.time {
            Unusable::NotEffective(contract.created)
        } else if !contract.active {
            Unusable::NotActive
        } else if let Some((act_as, read_as)) = unseen {
            let stakeholders = contract.instance.stakeholders.clone();
            Unusable::NotVisible { act_as: act_as.clone(), read_as: read_as.clone(), stakeholders }
        } else {
            return Ok(Some(contract));
        };
        Err(SubmitError::Unusable { id: id.clone(), template: contract.instance.template.clone(), why }.into())
    }

    fn interpret(
        &mut self,
        submission: &Submission,
        resolution: BTreeMap<PackageName, PackageId>,
        disclosed: &Disclosed,
    ) -> Result<Outcome, Box<SubmitFailure>> {
        self.count += 1;
        let failed = |error: EngineError| Box::<SubmitFailure>::from(SubmitError::from(error));
        let run = self.engine.submit(engine::Submission {
            act_as: submission.act_as.clone(),
            commands: submission.commands.clone(),
            preferences: resolution.clone(),
            ledger_time: self.time,
            preparation_time: self.time,
            submission_seed: seed(self.count),
            participant: participant(),
        });
        let mut run = run.map_err(failed)?.resolving(resolution);
        // Why a contract that the model asked for cannot be used.
        let mut refused = None;
        loop {
            match run.step(BUDGET) {
                Step::Done(outcome) => return Ok(*outcome),
                Step::Interrupted => {
                    return Err(failed(EngineError::Limit("the submission takes too many operations")));
                }
                Step::Need(Question::Package(id)) => return Err(failed(EngineError::MissingPackage(id))),
                Step::Need(Question::Key { key, limit }) => {
                    run.answer_key(self.of_key(&key).take(limit).cloned().collect()).map_err(failed)?;
                }
                Step::Need(Question::Contract(id)) => {
                    let found = match disclosed.get(&id) {
                        Some(instance) => Some(instance.clone()),
                        None => match self.usable(&id, Some((&submission.act_as, &submission.read_as))) {
                            Ok(contract) => contract.map(|contract| contract.instance.clone()),
                            Err(error) => {
                                refused = Some(error);
                                None
                            }
                        },
                    };
                    run.answer_contract(found).map_err(failed)?;
                }
                Step::Error(error) => return Err(failure(&mut run, error, refused)),
            }
        }
    }

    /// The active contracts of a key, the newest first.
    pub(super) fn of_key(&self, key: &KeyOf) -> impl Iterator<Item = &ContractId> {
        let hash = key.hash;
        self.order.iter().rev().filter(move |id| {
            let contract = self.contracts.get(*id).filter(|contract| self.is_usable(contract));
            contract.and_then(|contract| contract.instance.key.as_ref()).is_some_and(|key| key.hash == hash)
        })
    }

    fn apply(&mut self, transaction: &Transaction) {
        let undone = transaction.rolled_back();
        let blinding = transaction.blinding();
        for ((id, node), undone) in transaction.nodes().zip(undone) {
            match node {
                Node::Create(create) if !undone => {
                    let instance = create.instance.clone();
                    let mut visible_to = instance.stakeholders.clone();
                    if self.visibility == Visibility::Witnesses {
                        visible_to.extend(blinding.witnesses(id).into_iter().flatten().cloned());
                    }
                    let contract = Contract { instance, created: self.time, active: true, visible_to };
                    self.contracts.insert(create.contract_id.clone(), contract);
                    self.order.push(create.contract_id.clone());
                }
                Node::Exercise(exercise) if exercise.consuming && !undone => {
                    if let Some(contract) = self.contracts.get_mut(&exercise.contract_id) {
                        contract.active = false;
                    }
                }
                _ => {}
            }
        }
        if self.visibility == Visibility::Witnesses {
            for (id, parties) in blinding.divulgence {
                if let Some(contract) = self.contracts.get_mut(&id) {
                    contract.visible_to.extend(parties);
                }
            }
        }
    }
}

/// What ended a run; for a contract that cannot be used, why.
fn failure(run: &mut Run, error: EngineError, refused: Option<Box<SubmitFailure>>) -> Box<SubmitFailure> {
    let exception = run.uncaught();
    let transaction = Some(run.abandon());
    let error = match (error, refused.map(|refused| refused.error)) {
        (EngineError::ContractNotFound(missing), Some(SubmitError::Unusable { id, template, why }))
            if id == missing =>
        {
            SubmitError::Unusable { id, template, why }
        }
        (error, _) => SubmitError::Engine(error),
    };
    Box::new(SubmitFailure { error, transaction, exception })
}

/// What makes contract ids differ.
fn seed(count: u64) -> Hash {
    crypto::sha256(format!("submission {count}").as_bytes())
}

/// The id that a contract of a transaction has on the ledger.
fn suffixed(id: &ContractId) -> ContractId {
    if id.is_local() {
        let suffix = crypto::sha256(id.as_bytes());
        ContractId::new(&[id.as_bytes(), &suffix.as_bytes()[..4]].concat()).unwrap_or_else(|_| id.clone())
    } else {
        id.clone()
    }
}
