//! An engine that knows one template: its signatory, its observer, any content; `Archive` by the signatory.

use base::{ContractId, Identifier, Name, PackageId, PartyId};
use ledger_api::{CommandKind, Enrich, PackageRef, Plain, TemplateRef};
use participant::{Dar, DarPackage, Interpretation, InterpretationError, Interpreted, Interpreter, Lookup};
use participant_core::Reinterpret;
use protocol::tree::Action;
use std::collections::BTreeMap;
use transaction::{ContractInstance, Create, Exercise, Node, NodeId, NodeVersion, Parties, Transaction, Value, seed};

pub struct OneTemplate;

fn template() -> Identifier {
    "pkg:M:T".parse().unwrap()
}

fn template_ref() -> TemplateRef {
    let id = template();
    TemplateRef { package: PackageRef::Id(id.package), module: id.module, entity: id.entity }
}

pub fn create(signatory: &PartyId, observer: &PartyId, number: i64) -> CommandKind {
    create_with(signatory, observer, Value::Int64(number))
}

pub fn create_text(signatory: &PartyId, observer: &PartyId, text: &str) -> CommandKind {
    create_with(signatory, observer, Value::Text(text.into()))
}

fn create_with(signatory: &PartyId, observer: &PartyId, content: Value) -> CommandKind {
    let fields = [Value::Party(signatory.clone()), Value::Party(observer.clone()), content];
    CommandKind::Create { template: template_ref(), argument: Value::record(fields) }
}

pub fn archive(contract: &ContractId) -> CommandKind {
    let (contract, choice) = (contract.clone(), Name::new("Archive").unwrap());
    CommandKind::Exercise { template: template_ref(), contract, choice, argument: Value::Unit }
}

fn instance(argument: &Value) -> ContractInstance {
    let Value::Record(record) = argument else { panic!("a record") };
    let party = |n: usize| match &record.fields[n].value {
        Value::Party(party) => party.clone(),
        other => panic!("{other:?} is no party"),
    };
    let signatories: Parties = [party(0)].into();
    let stakeholders = [party(0), party(1)].into();
    let package_name = "pkg".parse().unwrap();
    ContractInstance {
        template: template(),
        package_name,
        argument: argument.clone(),
        signatories,
        stakeholders,
        key: None,
    }
}

fn created(instance: ContractInstance, seed: &base::Hash, at: base::Timestamp) -> Node {
    let contract_id = seed::local_contract_id(seed, at, &instance.stakeholders);
    Node::Create(Create { contract_id, instance, version: NodeVersion::V2_1 })
}

fn archived(contract_id: &ContractId, instance: &ContractInstance) -> Node {
    Node::Exercise(Exercise {
        contract_id: contract_id.clone(),
        package_name: instance.package_name.clone(),
        template: template(),
        interface: None,
        choice: Name::new("Archive").unwrap(),
        consuming: true,
        actors: instance.signatories.clone(),
        argument: Value::Unit,
        signatories: instance.signatories.clone(),
        stakeholders: instance.stakeholders.clone(),
        choice_observers: Parties::new(),
        choice_authorizers: None,
        children: vec![],
        result: Some(Value::Unit),
        key: None,
        by_key: false,
        version: NodeVersion::V2_1,
    })
}

impl Enrich for OneTemplate {
    fn contract(&self, template: &Identifier, argument: &Value) -> Value {
        Plain.contract(template, argument)
    }
    fn choice_argument(&self, owner: &Identifier, choice: &Name, argument: &Value) -> Value {
        Plain.choice_argument(owner, choice, argument)
    }
    fn choice_result(&self, owner: &Identifier, choice: &Name, result: &Value) -> Value {
        Plain.choice_result(owner, choice, result)
    }
}

impl Interpreter for OneTemplate {
    fn interpret(&self, input: &Interpretation, lookup: Lookup<'_>) -> Result<Interpreted, InterpretationError> {
        let transaction_seed = seed::transaction_seed(&input.seed, &input.participant, input.preparation_time);
        let mut contracts = BTreeMap::new();
        let mut nodes = Vec::new();
        for (n, command) in (0..).zip(&input.commands) {
            let node_seed = seed::node_seed(&transaction_seed, n);
            nodes.push(match command {
                CommandKind::Create { argument, .. } => created(instance(argument), &node_seed, input.preparation_time),
                CommandKind::Exercise { contract, .. } => {
                    let found = lookup.by_id(contract).ok_or_else(|| InterpretationError {
                        code: base::codes::CONTRACT_NOT_FOUND,
                        message: format!("contract {contract} is not active"),
                    })?;
                    let node = archived(contract, &found.instance);
                    contracts.insert(contract.clone(), found);
                    node
                }
                CommandKind::CreateAndExercise { .. } | CommandKind::ExerciseByKey { .. } => {
                    panic!("not used in these tests")
                }
            });
        }
        let roots = (0..u32::try_from(nodes.len()).unwrap()).map(NodeId).collect();
        let transaction = Transaction::new(nodes, roots).unwrap();
        let packages = [template().package].into();
        Ok(Interpreted { transaction, seed: transaction_seed, contracts, packages })
    }

    fn reinterpret(&self, input: &Reinterpret) -> Result<Transaction, String> {
        let node = match &input.action {
            Action::Create { seed } => {
                let argument = &input.created.as_ref().ok_or("no instance")?.argument;
                created(instance(argument), seed, input.preparation_time)
            }
            Action::Exercise { contract, .. } => {
                archived(contract, &input.contracts.get(contract).ok_or("no contract")?.instance)
            }
            Action::Fetch { .. } => return Err("not used in these tests".into()),
        };
        Transaction::new(vec![node], vec![NodeId(0)]).map_err(|e| e.to_string())
    }

    fn read_dar(&self, dar: &[u8]) -> Result<Dar, InterpretationError> {
        let payload = bytes::Bytes::copy_from_slice(dar);
        Ok(Dar { packages: vec![DarPackage { id: template().package, name: None, payload }] })
    }

    fn add_package(&self, _: &PackageId, _: &[u8]) -> Result<(), InterpretationError> {
        Ok(())
    }

    fn has_package(&self, _: &PackageId) -> bool {
        true
    }
}
