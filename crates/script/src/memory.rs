//! A ledger in memory: contracts and who sees them, time that stands still, users, vetted packages. A state machine:
//! it reads no clock, and the same calls give the same contract ids.

mod packages;
mod submit;
mod users;

use crate::{
    ActiveContract, Event, LedgerError, PackageVersionName, ScriptLedger, Submission, SubmitFailure, User, UserRight,
    View,
};
use base::{ContractId, Identifier, PackageId, PartyId, Timestamp, UserId};
use engine::{Engine, EngineError};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use transaction::{ContractInstance, Parties, Value};

/// Who may use a contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visibility {
    /// Its stakeholders, and whoever gives it with the commands.
    Stakeholders,
    /// Everybody who has ever seen it, as in ledgers before explicit disclosure.
    Witnesses,
}

/// A contract that was ever created.
#[derive(Clone, Debug)]
struct Contract {
    instance: ContractInstance,
    created: Timestamp,
    active: bool,
    /// Stakeholders and, if they count, all that saw it.
    visible_to: Parties,
}

/// The ledger.
#[derive(Debug)]
pub struct MemoryLedger {
    engine: Engine,
    visibility: Visibility,
    time: Timestamp,
    contracts: BTreeMap<ContractId, Contract>,
    /// All contracts in the order of their creation.
    order: Vec<ContractId>,
    parties: Parties,
    users: BTreeMap<UserId, (User, BTreeSet<UserRight>)>,
    unvetted: BTreeSet<PackageId>,
    /// Of submissions, so that contract ids differ.
    count: u64,
}

/// Operations of the machine that a view may take.
const VIEW_BUDGET: u64 = 100_000_000;

/// What [`ScriptLedger::view`] gives for a contract that is seen as one of a template.
pub fn view(
    engine: &Engine,
    template: &Identifier,
    contract: &ActiveContract,
    interface: &Identifier,
) -> Result<Option<View>, LedgerError> {
    if !engine.interfaces_of(template).contains(interface) {
        return Ok(None);
    }
    match engine.interface_view(template, &contract.argument, interface, VIEW_BUDGET) {
        Ok(view) => Ok(Some(Some(view))),
        // What the model refuses has no view; everything else is somebody's mistake.
        Err(EngineError::Failure { .. } | EngineError::User(_)) => Ok(Some(None)),
        Err(error) => Err(error.into()),
    }
}

impl MemoryLedger {
    /// An empty ledger at the epoch, with all packages of the engine vetted.
    #[must_use]
    pub fn new(engine: &Engine, visibility: Visibility) -> Self {
        Self {
            engine: engine.clone(),
            visibility,
            time: Timestamp::EPOCH,
            contracts: BTreeMap::new(),
            order: Vec::new(),
            parties: Parties::new(),
            users: BTreeMap::new(),
            unvetted: BTreeSet::new(),
            count: 0,
        }
    }

    fn shown(&self, id: &ContractId, contract: &Contract) -> ActiveContract {
        ActiveContract {
            contract_id: id.clone(),
            template: contract.instance.template.clone(),
            package_name: contract.instance.package_name.clone(),
            argument: contract.instance.argument.clone(),
            blob: submit::blob(id, &contract.instance),
        }
    }
}

impl ScriptLedger for MemoryLedger {
    fn submit(&mut self, submission: &Submission) -> Result<Vec<Event>, Box<SubmitFailure>> {
        self.do_submit(submission)
    }

    fn active_contracts(&mut self, parties: &Parties) -> Result<Vec<ActiveContract>, LedgerError> {
        let all = self.order.iter().filter_map(|id| Some((id, self.contracts.get(id)?)));
        let theirs = all.filter(|(_, c)| self.is_usable(c) && !c.instance.stakeholders.is_disjoint(parties));
        Ok(theirs.map(|(id, contract)| self.shown(id, contract)).collect())
    }

    fn contract(&mut self, parties: &Parties, id: &ContractId) -> Result<Option<ActiveContract>, LedgerError> {
        let found = self.contracts.get(id).filter(|contract| self.is_usable(contract));
        let theirs = found.filter(|contract| !contract.instance.stakeholders.is_disjoint(parties));
        Ok(theirs.map(|contract| self.shown(id, contract)))
    }

    fn contracts_by_key(
        &mut self,
        parties: &Parties,
        template: &Identifier,
        key: &Value,
        limit: usize,
    ) -> Result<Vec<ActiveContract>, LedgerError> {
        let key = self.engine.key(template, key)?;
        let all = self.of_key(&key).filter_map(|id| Some((id, self.contracts.get(id)?)));
        let theirs = all.filter(|(_, contract)| !contract.instance.stakeholders.is_disjoint(parties));
        Ok(theirs.take(limit).map(|(id, contract)| self.shown(id, contract)).collect())
    }

    fn view(&mut self, contract: &ActiveContract, interface: &Identifier) -> Result<Option<View>, LedgerError> {
        let mut template = contract.template.clone();
        if let Some(preferred) = self.resolution(&[]).get(&contract.package_name) {
            template.package = preferred.clone();
        }
        view(&self.engine, &template, contract, interface)
    }

    fn allocate_party(&mut self, hint: &str) -> Result<PartyId, LedgerError> {
        let party = PartyId::new(hint)?;
        if !self.parties.insert(party.clone()) {
            return Err(LedgerError::PartyExists(hint.to_owned()));
        }
        Ok(party)
    }

    fn parties(&mut self) -> Result<Parties, LedgerError> {
        Ok(self.parties.clone())
    }

    fn time(&mut self) -> Result<Timestamp, LedgerError> {
        Ok(self.time)
    }

    fn set_time(&mut self, time: Timestamp) -> Result<(), LedgerError> {
        self.time = time;
        Ok(())
    }

    /// Time stands still, and nobody else uses the ledger.
    fn sleep(&mut self, _: Duration) -> Result<(), LedgerError> {
        Ok(())
    }

    fn create_user(&mut self, user: User, rights: BTreeSet<UserRight>) -> Result<bool, LedgerError> {
        Ok(self.add_user(user, rights))
    }

    fn user(&mut self, id: &UserId) -> Result<Option<User>, LedgerError> {
        Ok(self.users.get(id).map(|(user, _)| user.clone()))
    }

    fn delete_user(&mut self, id: &UserId) -> Result<bool, LedgerError> {
        Ok(self.users.remove(id).is_some())
    }

    fn users(&mut self) -> Result<Vec<User>, LedgerError> {
        Ok(self.users.values().map(|(user, _)| user.clone()).collect())
    }

    fn grant(&mut self, id: &UserId, rights: &[UserRight]) -> Result<Option<Vec<UserRight>>, LedgerError> {
        Ok(self.change_rights(id, rights, |all, right| all.insert(right.clone())))
    }

    fn revoke(&mut self, id: &UserId, rights: &[UserRight]) -> Result<Option<Vec<UserRight>>, LedgerError> {
        Ok(self.change_rights(id, rights, BTreeSet::remove))
    }

    fn rights(&mut self, id: &UserId) -> Result<Option<Vec<UserRight>>, LedgerError> {
        Ok(self.users.get(id).map(|(_, rights)| rights.iter().cloned().collect()))
    }

    fn packages(&mut self, vetted: bool) -> Result<Vec<PackageVersionName>, LedgerError> {
        Ok(self.all_packages(vetted))
    }

    fn vet(&mut self, packages: &[PackageVersionName], vetted: bool) -> Result<(), LedgerError> {
        self.change_vetting(packages, vetted)
    }
}
