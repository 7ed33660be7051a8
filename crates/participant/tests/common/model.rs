//! Models that others compiled, and what is done with them.

use super::{PATIENCE, World};
use base::{ContractId, DottedName, Name, PartyId};
use ledger_api::{CommandKind, PackageRef, TemplateRef};
use participant::{DamlEngine, Interpreter};
use std::{fs, sync::Arc};
use transaction::Value;

/// So many participants with a DAR and the real engine; nothing where the data is missing.
pub async fn world(participants: usize, dar: &str) -> Option<World> {
    let dar = fs::read(testkit::test_data()?.join("dars").join(dar)).unwrap();
    let engine = |_| Arc::new(DamlEngine::default()) as Arc<dyn Interpreter>;
    let world = World::of((0..participants).map(engine).collect(), &[]).await;
    world.upload(&dar).await;
    Some(world)
}

/// Templates of one package.
pub struct Model(pub &'static str);

impl Model {
    pub fn template(&self, module: &str, entity: &str) -> TemplateRef {
        let name = |text: &str| text.parse::<DottedName>().unwrap();
        TemplateRef { package: PackageRef::Name(self.0.parse().unwrap()), module: name(module), entity: name(entity) }
    }

    pub fn create(&self, module: &str, entity: &str, argument: impl IntoIterator<Item = Value>) -> CommandKind {
        CommandKind::Create { template: self.template(module, entity), argument: Value::record(argument) }
    }

    pub fn exercise(
        &self,
        module: &str,
        entity: &str,
        contract: &ContractId,
        choice: &str,
        argument: impl IntoIterator<Item = Value>,
    ) -> CommandKind {
        CommandKind::Exercise {
            template: self.template(module, entity),
            contract: contract.clone(),
            choice: Name::new(choice).unwrap(),
            argument: Value::record(argument),
        }
    }
}

impl World {
    pub async fn commit(&self, n: usize, command: &str, act_as: &PartyId, kind: CommandKind) {
        self.participants[n].submit(command, act_as, kind).await.unwrap();
        self.participants[n].committed(command).await;
    }

    /// Active contracts of a template with a word in them, as participant `n` sees them now.
    async fn find(&self, n: usize, entity: &str, word: &str) -> Vec<ContractId> {
        let ledger = &self.participants[n].ledger;
        let end = ledger.end().await.unwrap();
        let all = ledger.active_contracts(end, (0, -1), 1000).await.unwrap().into_iter().map(|a| a.contract);
        all.filter(|c| {
            c.instance.template.entity.to_string() == entity && format!("{:?}", c.instance.argument).contains(word)
        })
        .map(|c| c.id)
        .collect()
    }

    /// Active contracts of a template, as participant `n` sees them now.
    pub async fn active(&self, n: usize, entity: &str) -> Vec<ContractId> {
        self.find(n, entity, "").await
    }

    /// The contract of a template with a word in it, once participant `n` sees one.
    pub async fn containing(&self, n: usize, entity: &str, word: &str) -> ContractId {
        let mut more = self.participants[n].ledger.listen();
        let found = async {
            loop {
                if let Some(id) = self.find(n, entity, word).await.pop() {
                    return id;
                }
                more.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("participant {n} never saw a {entity}"))
    }

    /// The contract of a template, once participant `n` sees one.
    pub async fn contract(&self, n: usize, entity: &str) -> ContractId {
        self.containing(n, entity, "").await
    }
}

/// One hundred of a currency.
pub fn amount(currency: &str) -> Value {
    Value::record([Value::Numeric(transaction::Numeric::from_i64(100, 10).unwrap()), Value::text(currency)])
}

pub fn party(party: &PartyId) -> Value {
    Value::Party(party.clone())
}
