//! What clients ask for, and the interpreter that both participants run: contracts that are created, and passed on by
//! either party, so that both participants confirm and race.

use base::{CommandId, ContractId, Hash, ParticipantId, PartyId, SubmissionId, Timestamp, UserId};
use crypto::{
    Secret,
    private::{DecryptionKey, SigningKey},
};
use participant_core::Reinterpret;
use protocol::{
    ConfirmationRequest, Contract,
    testing::{Scenario, create, exercise, instance},
    tree::{
        Action, CommonMetadata, DeduplicationPeriod, Input, ParticipantMetadata, RequestUuid, Salt, SubmitterMetadata,
    },
};
use std::{collections::BTreeMap, time::Duration};
use topology::{
    StoredTransaction,
    testing::{decryption_key, key},
};
use transaction::{ContractInstance, Node, Parties, Transaction, TransactionBuilder, Value};

/// Longer than any simulation.
const DEDUPLICATION: Duration = Duration::from_secs(7 * 24 * 3600);
const NO_SALT: Salt = Salt(Hash([0; 32]));

/// What does not change in a simulation, nor from one to the next: identities, parties, topology.
pub(crate) struct Setup {
    pub(crate) scenario: Scenario,
    pub(crate) topology: Vec<StoredTransaction>,
    /// Of each participant: what it signs and decrypts with.
    keys: Vec<(SigningKey, DecryptionKey)>,
    pub(crate) mediator_key: SigningKey,
}

/// One command. All attempts at it have the same change id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Command {
    /// Which participant's party acts.
    pub(crate) actor: usize,
    /// Names the command, and the contract that it creates.
    pub(crate) number: u64,
    /// The contract to pass on; else a new one is created.
    pub(crate) spends: Option<ContractId>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let scenario = Scenario::new();
        let topology = scenario.network.state.for_catch_up(Timestamp::MIN);
        let names = scenario.network.participants.iter().map(|participant| participant.0.name());
        let keys = names.map(|name| (key(name), decryption_key(name))).collect();
        Self { topology, keys, mediator_key: key(scenario.network.mediator.0.name()), scenario }
    }

    pub(crate) fn participant(&self, number: usize) -> &ParticipantId {
        &self.scenario.network.participants[number]
    }

    pub(crate) fn signing_key(&self, participant: usize) -> &SigningKey {
        &self.keys[participant].0
    }

    pub(crate) fn decryption_key(&self, participant: usize) -> &DecryptionKey {
        &self.keys[participant].1
    }

    fn party(&self, number: usize) -> &PartyId {
        if number == 0 { &self.scenario.alice } else { &self.scenario.bob }
    }

    fn act_as(&self, command: &Command) -> Parties {
        [self.party(command.actor).clone()].into()
    }

    /// Under which acceptances are noted.
    pub(crate) fn change(&self, command: &Command) -> Hash {
        transaction::hash_change_id(&user(), &command_id(command), &self.act_as(command))
    }

    /// Interprets the command, and makes its result into a request.
    pub(crate) fn request(
        &self,
        command: &Command,
        submission: SubmissionId,
        spends: Option<Contract>,
        now: Timestamp,
        random: impl Fn() -> [u8; 32],
    ) -> Result<ConfirmationRequest, String> {
        let network = &self.scenario.network;
        let number = i64::try_from(command.number).unwrap_or(i64::MAX);
        let mut builder = TransactionBuilder::default();
        match &spends {
            None => {
                let (me, other) = (self.party(command.actor), self.party(1 - command.actor));
                builder.leaf(create(local(number)?, instance(&[me], &[other], number)));
            }
            Some(contract) => {
                pass_on(&mut builder, &contract.id, &contract.instance, self.party(command.actor), number)?;
            }
        }
        let transaction = builder.finish();
        let contracts: BTreeMap<_, _> = spends.into_iter().map(|contract| (contract.id.clone(), contract)).collect();
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&random()[..16]);
        let input = Input {
            snapshot: network.state.snapshot(now),
            transaction: &transaction,
            transaction_seed: Hash(random()),
            salt_seed: Hash(random()),
            contracts: &contracts,
            submitter: SubmitterMetadata {
                salt: NO_SALT,
                act_as: self.act_as(command),
                user: user(),
                command: command_id(command),
                submission: Some(submission),
                participant: self.participant(command.actor).clone(),
                deduplication: DeduplicationPeriod::Duration(DEDUPLICATION),
                max_sequencing_time: now.saturating_add(Duration::from_secs(60)),
            },
            common: CommonMetadata {
                salt: NO_SALT,
                synchronizer: network.synchronizer.clone(),
                mediator: network.mediator.clone(),
                uuid: RequestUuid(uuid),
            },
            participant: ParticipantMetadata { salt: NO_SALT, ledger_time: now, preparation_time: now, workflow: None },
        };
        ConfirmationRequest::build(input, &Secret::new(random())).map_err(|e| e.to_string())
    }
}

fn user() -> UserId {
    "simulated".parse().expect("a user id")
}

fn command_id(command: &Command) -> CommandId {
    format!("command-{}", command.number).parse().expect("a command id")
}

fn local(number: i64) -> Result<ContractId, String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    ContractId::v1(&Hash(bytes), &[]).map_err(|e| e.to_string())
}

/// The actor uses up the contract, which makes one like it with another number.
fn pass_on(
    builder: &mut TransactionBuilder,
    id: &ContractId,
    contract: &ContractInstance,
    actor: &PartyId,
    number: i64,
) -> Result<(), String> {
    let mut node = exercise(id, contract, actor, true);
    if let Node::Exercise(exercise) = &mut node {
        exercise.argument = Value::Int64(number);
    }
    builder.open(node);
    let next = ContractInstance { argument: Value::record([Value::Int64(number)]), ..contract.clone() };
    builder.leaf(create(local(number)?, next));
    builder.close();
    Ok(())
}

/// What a participant finds when it interprets an action of a request for itself.
pub(crate) fn reinterpret(ask: &Reinterpret) -> Result<Transaction, String> {
    let mut builder = TransactionBuilder::default();
    match (&ask.action, &ask.created) {
        (Action::Create { .. }, Some(created)) => {
            let number = number_of(created).ok_or("a contract without its number")?;
            builder.leaf(create(local(number)?, created.clone()));
        }
        (Action::Exercise { contract, argument: Value::Int64(number), actors, .. }, _) => {
            let input = ask.contracts.get(contract).ok_or("a contract that is not there")?;
            let actor = actors.first().ok_or("nobody acts")?;
            pass_on(&mut builder, contract, &input.instance, actor, *number)?;
        }
        other => return Err(format!("nobody asks for {other:?}")),
    }
    Ok(builder.finish())
}

fn number_of(contract: &ContractInstance) -> Option<i64> {
    match &contract.argument {
        Value::Record(record) => match record.fields.first()?.value {
            Value::Int64(number) => Some(number),
            _ => None,
        },
        _ => None,
    }
}
