//! Answers questions: calls the ledger and makes what it gives values of the library.

use crate::{
    Action, ActiveContract, Event, RunError, ScriptLedger, Submission, UserRight,
    commands::Taken,
    error::{Failure, malformed},
    library::Generation,
    request::{Expected, Kind, Request, Submit},
    runner::{Answer, Runner},
    submit_error, tree,
};
use base::{Identifier, UserId};
use engine::{Command, EngineError, Term};
use transaction::{Parties, Value};

impl<L: ScriptLedger> Runner<'_, L> {
    pub(crate) fn answer(&mut self, request: Request) -> Result<Answer, Failure> {
        let engine = self.engine;
        Ok(Answer::Value(match request {
            Request::Submit(all) => {
                let results = all.into_iter().map(|one| self.submit(one)).collect::<Result<Vec<_>, _>>()?;
                Term::list(results)
            }
            Request::SubmitCommands { kind, submission, commands } => {
                return self.submit_commands(kind, submission, &commands);
            }
            Request::Throw(exception) => return Err(Failure::Thrown(exception)),
            Request::Fail(error) => return Err(error.into()),
            Request::Query(parties, template) => {
                let mut found = Vec::new();
                for contract in self.ledger.active_contracts(&parties)? {
                    if contract.template == template {
                        let argument = self.library.any_template(engine, &template, &contract.argument)?;
                        found.push(self.library.tuple(engine, [Term::contract_id(contract.contract_id), argument])?);
                    }
                }
                Term::list(found)
            }
            Request::QueryContractId(parties, template, id) => {
                let contract = self.ledger.contract(&parties, &id)?;
                let same = |id: &Identifier| id.module == template.module && id.entity == template.entity;
                let contract = contract.filter(|contract| same(&contract.template));
                Term::optional(contract.map(|contract| self.contract(&template, &contract)).transpose()?)
            }
            Request::QueryDisclosure(parties, id) => {
                let contract = self.ledger.contract(&parties, &id)?;
                let both = contract.map(|contract| {
                    let template = self.library.type_rep(engine, &contract.template)?;
                    self.library.tuple(engine, [template, Term::text(&hex::encode(&contract.blob))])
                });
                Term::optional(both.transpose()?)
            }
            Request::QueryInterface(parties, interface) => {
                let mut found = Vec::new();
                for contract in self.ledger.active_contracts(&parties)? {
                    if let Some(view) = self.ledger.view(&contract, &interface)? {
                        let view = view.map(|view| engine.view_term(&interface, &view)).transpose()?;
                        let id = Term::contract_id(contract.contract_id);
                        found.push(self.library.tuple(engine, [id, Term::optional(view)])?);
                    }
                }
                Term::list(found)
            }
            Request::QueryInterfaceContractId(parties, interface, id) => {
                let view = match self.ledger.contract(&parties, &id)? {
                    Some(contract) => self.ledger.view(&contract, &interface)?.flatten(),
                    None => None,
                };
                Term::optional(view.map(|view| engine.view_term(&interface, &view)).transpose()?)
            }
            Request::QueryKey(parties, template, key) => {
                Term::optional(self.of_key(&parties, &template, &key, 1)?.pop())
            }
            Request::QueryKeys(parties, template, key, limit) => {
                Term::list(self.of_key(&parties, &template, &key, limit)?)
            }
            other => self.manage(other)?,
        }))
    }

    /// Contracts that were asked for by their key, with their ids.
    fn of_key(
        &mut self,
        parties: &Parties,
        template: &Identifier,
        key: &Value,
        limit: usize,
    ) -> Result<Vec<Term>, Failure> {
        let mut found = Vec::new();
        for contract in self.ledger.contracts_by_key(parties, template, key, limit)? {
            let argument = self.library.any_template(self.engine, template, &contract.argument)?;
            found.push(self.library.tuple(self.engine, [Term::contract_id(contract.contract_id), argument])?);
        }
        Ok(found)
    }

    /// A contract that was asked for by its id: the newer library gets what it takes to disclose it, too.
    fn contract(&self, template: &Identifier, contract: &ActiveContract) -> Result<Term, RunError> {
        let argument = self.library.any_template(self.engine, template, &contract.argument)?;
        if self.library.generation == Generation::Constructors {
            return Ok(argument);
        }
        let template = self.library.type_rep(self.engine, &contract.template)?;
        self.library.tuple(self.engine, [argument, template, Term::text(&hex::encode(&contract.blob))])
    }

    /// Questions about everything but contracts.
    fn manage(&mut self, request: Request) -> Result<Term, Failure> {
        Ok(match request {
            Request::AllocateParty { name, hint } => {
                let hint = self.party_hint(name, hint);
                Term::party(self.ledger.allocate_party(&hint)?)
            }
            Request::Parties => {
                let mut all = Vec::new();
                for party in self.ledger.parties()? {
                    let mut fields = vec![("party", Term::party(party)), ("isLocal", Term::bool(true))];
                    if self.library.has_field(self.engine, "PartyDetails", "displayName") {
                        fields.push(("displayName", Term::optional(None)));
                    }
                    all.push(self.library.record(self.engine, "PartyDetails", &fields)?);
                }
                Term::list(all)
            }
            Request::Time => Term::timestamp(self.ledger.time()?),
            Request::SetTime(time) => {
                self.ledger.set_time(time)?;
                Term::unit()
            }
            Request::Sleep(time) => {
                self.ledger.sleep(time)?;
                Term::unit()
            }
            Request::Packages { vetted } => {
                let mut all = Vec::new();
                for (name, version) in self.ledger.packages(vetted)? {
                    let fields = [("name", Term::text(name.as_str())), ("version", Term::text(version.as_str()))];
                    all.push(self.library.record(self.engine, "PackageName", &fields)?);
                }
                Term::list(all)
            }
            Request::Vet(packages, vetted) => {
                self.ledger.vet(&packages, vetted)?;
                Term::unit()
            }
            Request::KeyPair => {
                self.made_up += 1;
                let seed = crypto::sha256(format!("key pair {}", self.made_up).as_bytes());
                let pair = crypto::secp256k1_key_pair(seed.as_bytes());
                let (private, public) = pair.ok_or(EngineError::Secp256k1(crypto::Secp256k1Error::Key))?;
                let (private, public) = (Term::text(&hex::encode(private)), Term::text(&hex::encode(public)));
                let fields = [("privateKey", private), ("publicKey", public)];
                self.library.record(self.engine, "Secp256k1KeyPair", &fields)?
            }
            Request::Sign { key, digest } => {
                let signature = crypto::secp256k1_sign(&key, &digest).map_err(EngineError::Secp256k1)?;
                Term::text(&hex::encode(signature))
            }
            other => self.users(other)?,
        })
    }

    fn users(&mut self, request: Request) -> Result<Term, Failure> {
        let done = |there_was: bool| Term::optional(there_was.then(Term::unit));
        Ok(match request {
            Request::ValidateUserId(text) => {
                Term::optional(UserId::new(text).err().map(|error| Term::text(&error.to_string())))
            }
            Request::CreateUser(user, rights) => done(self.ledger.create_user(user, rights)?),
            Request::DeleteUser(id) => done(self.ledger.delete_user(&id)?),
            Request::User(id) => {
                let user = self.ledger.user(&id)?;
                Term::optional(user.map(|user| self.user(&user)).transpose()?)
            }
            Request::Users => {
                let users = self.ledger.users()?;
                Term::list(users.iter().map(|user| self.user(user)).collect::<Result<Vec<_>, _>>()?)
            }
            Request::Grant(id, rights) => {
                let given = self.ledger.grant(&id, &rights)?;
                self.rights(given)?
            }
            Request::Revoke(id, rights) => {
                let taken = self.ledger.revoke(&id, &rights)?;
                self.rights(taken)?
            }
            Request::Rights(id) => {
                let rights = self.ledger.rights(&id)?;
                self.rights(rights)?
            }
            _ => return Err(RunError::Question("something out of place".into()).into()),
        })
    }

    fn user(&self, user: &crate::User) -> Result<Term, RunError> {
        let (engine, library) = (self.engine, self.library);
        let id = library.record(engine, "UserId", &[("unpack", Term::text(user.id.as_str()))])?;
        let party = Term::optional(user.primary_party.clone().map(Term::party));
        library.record(engine, "User", &[("userId", id), ("primaryParty", party)])
    }

    fn rights(&self, rights: Option<Vec<UserRight>>) -> Result<Term, RunError> {
        let right = |right: &UserRight| {
            let (name, value) = match right {
                UserRight::ParticipantAdmin => ("ParticipantAdmin", Term::unit()),
                UserRight::CanActAs(party) => ("CanActAs", Term::party(party.clone())),
                UserRight::CanReadAs(party) => ("CanReadAs", Term::party(party.clone())),
                UserRight::CanReadAsAnyParty => ("CanReadAsAnyParty", Term::unit()),
            };
            self.library.construct(self.engine, "UserRight", name, value)
        };
        let rights = rights.map(|rights| rights.iter().map(right).collect::<Result<Vec<_>, _>>()).transpose()?;
        Ok(Term::optional(rights.map(Term::list)))
    }

    /// The hint of the script, or the wanted name with something that makes it unique.
    fn party_hint(&mut self, name: String, hint: String) -> String {
        if !hint.is_empty() {
            return hint;
        }
        let name = if name.is_empty() { "party".to_owned() } else { name };
        self.made_up += 1;
        let unique = crypto::sha256(format!("{name} {}", self.made_up).as_bytes()).to_hex();
        format!("{name}-{}", &unique[..8])
    }

    /// One submission of a list that is answered together.
    fn submit(&mut self, submit: Submit) -> Result<Term, Failure> {
        let Submit { submission, known_from, expected } = submit;
        match (self.ledger.submit(&submission), expected) {
            (Ok(events), Expected::Failure) => Err(Failure::MustFail(events)),
            (Ok(mut events), _) => {
                tree::as_known(&mut events, &known_from);
                let results = self.results(&events)?;
                let tree = tree::term(self.engine, self.library, &events)?;
                let both = self.library.tuple(self.engine, [Term::list(results), tree])?;
                Ok(self.library.either(self.engine, Ok(both))?)
            }
            (Err(failure), Expected::Success) => Err(Failure::Submit(failure)),
            (Err(failure), _) if failure.is_defect() => Err(Failure::Submit(failure)),
            (Err(failure), _) => {
                let failure = submit_error::term(self.engine, self.library, &failure)?;
                Ok(self.library.either(self.engine, Err(failure))?)
            }
        }
    }

    /// What the commands gave.
    fn results(&self, events: &[Event]) -> Result<Vec<Term>, RunError> {
        let result = |event: &Event| {
            let value = self.result(event)?;
            let name = match &event.action {
                Action::Created { .. } => "CreateResult",
                Action::Exercised { .. } => "ExerciseResult",
            };
            self.library.construct(self.engine, "CommandResult", name, value)
        };
        events.iter().filter(|event| event.depth == 0).map(result).collect()
    }

    /// The contract id of a create, the result of an exercise.
    fn result(&self, event: &Event) -> Result<Term, RunError> {
        match &event.action {
            Action::Created { .. } => Ok(Term::contract_id(event.contract_id.clone())),
            Action::Exercised { interface, choice, result, .. } => {
                let owner = interface.as_ref().unwrap_or(&event.template);
                Ok(self.engine.choice_result_term(owner, choice, result)?)
            }
        }
    }

    /// Commands of the older library: what they give is put into them, and then they are how the script goes on.
    fn submit_commands(&mut self, kind: Kind, mut submission: Submission, commands: &Term) -> Result<Answer, Failure> {
        let Taken { commands, known_from, steps, last } = self.take_commands(commands)?;
        submission.commands = commands;
        match (self.ledger.submit(&submission), kind) {
            (Ok(events), Kind::MustFail) => Err(Failure::MustFail(events)),
            (Err(failure), Kind::MustFail) if !failure.is_defect() => Ok(Answer::Value(Term::unit())),
            (Err(failure), _) => Err(Failure::Submit(failure)),
            (Ok(mut events), kind) => {
                tree::as_known(&mut events, &known_from);
                if kind == Kind::Tree {
                    return Ok(Answer::Value(tree::term(self.engine, self.library, &events)?));
                }
                let mut roots = events.iter().filter(|event| event.depth == 0);
                let mut results = Vec::new();
                for command in &submission.commands {
                    // Of the two events of a create with an exercise, this library takes the second one.
                    let skipped = usize::from(matches!(command, Command::CreateAndExercise { .. }));
                    let event = roots.nth(skipped).ok_or_else(|| malformed("what the ledger answered"))?;
                    results.push(self.result(event)?);
                }
                self.fill(steps, last, results).map(Answer::Step)
            }
        }
    }
}
