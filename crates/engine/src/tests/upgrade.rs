//! Contracts of one version of a package, used under another.

use super::*;
use base::{Coded, codes};

/// Version 2 adds an optional field and lets it be a signatory; version 3 has another observer.
const V1: &str = "module U {
  record @serializable Nothing = {};
  record @serializable T = { p: Party, q: Party };
  template (this: T) = {
    signatories Cons @Party [U:T {p} this] (Nil @Party);
    observers Cons @Party [U:T {q} this] (Nil @Party);
    choice @nonConsuming Show (self) (arg: U:Nothing) : U:T, controllers Cons @Party [U:T {p} this] (Nil @Party)
      to upure @U:T this;
  };
}";
const V2: &str = "module U {
  record @serializable Nothing = {};
  record @serializable T = { p: Party, q: Party, extra: Option Party };
  template (this: T) = {
    signatories Cons @Party [U:T {p} this] (case U:T {extra} this of None -> Nil @Party
      | Some e -> Cons @Party [e] (Nil @Party));
    observers Cons @Party [U:T {q} this] (Nil @Party);
    choice @nonConsuming Show (self) (arg: U:Nothing) : U:T, controllers Cons @Party [U:T {p} this] (Nil @Party)
      to upure @U:T (U:T { this with extra = Some @Party (U:T {q} this) });
  };
}";
const V3: &str = "module U {
  record @serializable Nothing = {};
  record @serializable T = { p: Party, q: Party };
  template (this: T) = {
    signatories Cons @Party [U:T {p} this] (Nil @Party);
    observers Nil @Party;
    choice @nonConsuming Show (self) (arg: U:Nothing) : U:T, controllers Cons @Party [U:T {p} this] (Nil @Party)
      to upure @U:T this;
  };
}";

fn ledger() -> Ledger {
    Ledger::of_model(&[(V1, "1.0.0"), (V2, "1.10.0"), (V3, "1.9.0")])
}

impl Ledger {
    fn version(&mut self, version: &str) {
        let all = self.engine.packages_named(&base::PackageName::new("model").unwrap());
        self.main = all.into_iter().find(|(v, _)| v.as_str() == version).unwrap().1;
    }

    fn show(&mut self, id: &ContractId) -> Result<Value, EngineError> {
        let command = self.exercise("U", "T", id, "Show", Value::record([]));
        let transaction = self.submit(&["alice"], vec![command])?;
        match node(&transaction, 0) {
            Node::Exercise(exercise) => {
                let Identifier { package, .. } = &exercise.template;
                assert_eq!(package, &self.main);
                Ok(exercise.result.clone().unwrap())
            }
            other => panic!("{other:?}"),
        }
    }

    fn make(&mut self, fields: &[Value], act_as: &[&str]) -> ContractId {
        let command = self.create("U", "T", Value::record(fields.iter().cloned()));
        created(&self.submit(act_as, vec![command]).unwrap()).remove(0)
    }
}

#[test]
fn versions_are_ordered_by_number() {
    let versions = ledger().engine.packages_named(&base::PackageName::new("model").unwrap());
    assert_eq!(versions.iter().map(|(v, _)| v.as_str()).collect::<Vec<_>>(), ["1.0.0", "1.9.0", "1.10.0"]);
}

#[test]
fn an_old_contract_is_used_under_a_new_version() {
    let mut ledger = ledger();
    let fields = [party("alice").into(), party("bob").into()];
    let id = ledger.make(&fields, &["alice"]);
    assert_eq!(ledger.show(&id).unwrap(), Value::record(fields.clone()));
    ledger.version("1.10.0");
    let [p, q] = fields;
    assert_eq!(ledger.show(&id).unwrap(), Value::record([p, q, Value::some(party("bob").into())]));
    ledger.version("1.9.0");
    assert_eq!(ledger.show(&id).unwrap_err().code(), codes::INTERPRETATION_UPGRADE_ERROR_VALIDATION_FAILED);
}

#[test]
fn a_new_contract_is_used_under_an_old_version_if_nothing_is_lost() {
    let mut ledger = ledger();
    ledger.version("1.10.0");
    let fields = [party("alice").into(), party("bob").into()];
    let plain = ledger.make(&fields, &["alice"]);
    let [p, q] = fields.clone();
    let more = ledger.make(&[p, q, Value::some(party("carol").into())], &["alice", "carol"]);
    ledger.version("1.0.0");
    assert_eq!(ledger.show(&plain).unwrap(), Value::record(fields));
    assert_eq!(ledger.show(&more).unwrap_err().code(), codes::INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED);
}

#[test]
fn a_package_name_means_the_preferred_or_the_highest_version() {
    let mut ledger = ledger();
    let model = base::PackageName::new("model").unwrap();
    let template = TypeRef { package: PackageRef::Name(model.clone()), ..ledger.ty("U", "T") };
    let argument = Value::record([party("alice").into(), party("bob").into()]);
    let submission = ledger.submission(&["alice"], vec![Command::Create { template, argument }]);
    let used = |ledger: &Ledger, submission: Submission| {
        drive(ledger.engine.submit(submission).unwrap(), &BTreeMap::new()).unwrap().packages
    };
    let first = ledger.main.clone();
    let preferring = Submission { preferences: [(model, first.clone())].into(), ..submission.clone() };
    assert_eq!(used(&ledger, preferring), [first].into());
    ledger.version("1.10.0");
    assert_eq!(used(&ledger, submission), [ledger.main.clone()].into());
    let nobody = base::PackageName::new("nobody").unwrap();
    let template = TypeRef { package: PackageRef::Name(nobody), ..ledger.ty("U", "T") };
    let error = ledger.submit(&["alice"], vec![Command::Create { template, argument: Value::Unit }]).unwrap_err();
    assert_eq!(error.code(), codes::UNRESOLVED_PACKAGE_NAME);
}

/// A production lineage: the license of the oldest version gets metadata, which only newer versions know.
#[test]
fn a_contract_of_a_production_model_is_used_under_its_newer_versions() {
    let Some((engine, old)) = load("splice-amulet-0.1.0.a3c655d4.dar") else { return };
    let dar = lf::read_dar(&fs::read(dars().unwrap().join("splice-amulet-0.1.4.262246c4.dar")).unwrap()).unwrap();
    dar.packages.iter().for_each(|package| engine.add_package(package.package.clone()));
    let mut ledger = Ledger { engine, main: old.clone(), contracts: BTreeMap::new(), count: 0 };
    let (module, entity) = ("Splice.ValidatorLicense", "ValidatorLicense");
    let everybody = ["dso", "sponsor", "validator"];
    let license = ["validator", "sponsor", "dso"].map(|name| party(name).into());
    let create = ledger.create(module, entity, Value::record(license.into_iter().chain([Value::none()])));
    let first = created(&ledger.submit(&everybody, vec![create]).unwrap()).remove(0);
    let mut exercise = |preferred: &PackageId, id: &ContractId, choice: &str, argument: Value| {
        let amulet = base::PackageName::new("splice-amulet").unwrap();
        let package = PackageRef::Name(amulet.clone());
        let template = TypeRef { package, module: module.parse().unwrap(), entity: entity.parse().unwrap() };
        let command = Command::Exercise { template, contract_id: id.clone(), choice: name(choice), argument };
        let mut submission = ledger.submission(&everybody, vec![command]);
        submission.preferences.insert(amulet, preferred.clone());
        let outcome = drive(ledger.engine.submit(submission)?, &ledger.contracts)?;
        for (_, node) in outcome.transaction.nodes() {
            if let Node::Create(create) = node {
                ledger.contracts.insert(create.contract_id.clone(), create.instance.clone());
            }
        }
        Ok::<_, EngineError>(outcome.transaction)
    };
    let metadata = Value::record([Value::text("0.1.4"), Value::text("somebody@example.com")]);
    let update = "ValidatorLicense_UpdateMetadata";
    let unknown = exercise(&old, &first, update, metadata.clone()).unwrap_err();
    assert_eq!(unknown.code(), codes::COMMAND_PREPROCESSING_FAILED);
    let transaction = exercise(&dar.main, &first, update, metadata).unwrap();
    let second = created(&transaction).remove(0);
    let instance = transaction.nodes().find_map(|(_, node)| match node {
        Node::Create(create) => Some(&create.instance),
        _ => None,
    });
    assert_eq!(instance.unwrap().template.package, dar.main);
    // The old version has no place for what the new one wrote.
    let withdraw = Value::record([Value::text("done")]);
    let lost = exercise(&old, &second, "ValidatorLicense_Withdraw", withdraw.clone()).unwrap_err();
    assert_eq!(lost.code(), codes::INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED);
    exercise(&dar.main, &second, "ValidatorLicense_Withdraw", withdraw.clone()).unwrap();
    exercise(&old, &first, "ValidatorLicense_Withdraw", withdraw).unwrap();
}
