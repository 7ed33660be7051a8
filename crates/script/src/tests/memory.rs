//! The ledger in memory, with the project's own model.

use crate::{
    Action, Event, LedgerError, MemoryLedger, ScriptLedger, Submission, SubmitError, Unusable, User, UserRight,
    Visibility,
};
use base::{ContractId, Name, PackageName, PartyId, Timestamp, UserId};
use engine::{Command, Engine, EngineError, PackageRef, TypeRef};
use transaction::{Numeric, Parties, Value};

fn engine() -> Engine {
    let engine = Engine::new();
    for package in lf::read_dar(&lf::models::iou()).unwrap().packages {
        engine.add_package(package.package);
    }
    engine
}

fn ledger(visibility: Visibility) -> MemoryLedger {
    let mut ledger = MemoryLedger::new(&engine(), visibility);
    for party in ["issuer", "owner", "other"] {
        ledger.allocate_party(party).unwrap();
    }
    ledger
}

fn party(name: &str) -> PartyId {
    PartyId::new(name).unwrap()
}

fn parties(names: &[&str]) -> Parties {
    names.iter().map(|name| party(name)).collect()
}

fn name() -> PackageName {
    PackageName::new("concordat-iou").unwrap()
}

fn ty(entity: &str) -> TypeRef {
    TypeRef { package: PackageRef::Name(name()), module: "Iou".parse().unwrap(), entity: entity.parse().unwrap() }
}

fn by(act_as: &[&str], commands: Vec<Command>) -> Submission {
    Submission {
        act_as: parties(act_as),
        read_as: Parties::new(),
        commands,
        preferences: Vec::new(),
        disclosed: Vec::new(),
    }
}

fn offer(owner: &str) -> Command {
    let amount = Numeric::parse("2.5", 10).unwrap();
    let iou = Value::record([party("issuer").into(), party(owner).into(), Value::text("EUR"), amount.into()]);
    Command::Create { template: ty("IouOffer"), argument: Value::record([iou]) }
}

fn exercise(entity: &str, id: &ContractId, choice: &str) -> Command {
    let choice = Name::new(choice).unwrap();
    Command::Exercise { template: ty(entity), contract_id: id.clone(), choice, argument: Value::record([]) }
}

/// The contract of an offer.
fn offered(ledger: &mut MemoryLedger) -> ContractId {
    ledger.submit(&by(&["issuer"], vec![offer("owner")])).unwrap().remove(0).contract_id
}

fn refused(ledger: &mut MemoryLedger, submission: &Submission) -> SubmitError {
    ledger.submit(submission).unwrap_err().error
}

#[test]
fn commands_give_their_events_in_order() {
    let mut ledger = ledger(Visibility::Stakeholders);
    let id = offered(&mut ledger);
    let events = ledger.submit(&by(&["owner"], vec![exercise("IouOffer", &id, "Accept")])).unwrap();
    let shown: Vec<_> = events.iter().map(|Event { depth, template, .. }| (*depth, template.entity.as_str())).collect();
    assert_eq!(shown, [(0, "IouOffer"), (1, "Iou")]);
    let Action::Exercised { result, .. } = &events[0].action else { panic!("not an exercise") };
    assert_eq!(*result, Value::ContractId(events[1].contract_id.clone()));
    assert!(!events[1].contract_id.is_local());
    let active = ledger.active_contracts(&parties(&["owner"])).unwrap();
    assert_eq!(active.iter().map(|contract| &contract.contract_id).collect::<Vec<_>>(), [&events[1].contract_id]);
    assert!(ledger.active_contracts(&parties(&["other"])).unwrap().is_empty());
    assert!(ledger.contract(&parties(&["owner"]), &id).unwrap().is_none());
}

#[test]
fn who_does_not_see_a_contract_cannot_use_it() {
    let mut ledger = ledger(Visibility::Stakeholders);
    let id = offered(&mut ledger);
    let mut withdraw = by(&["other"], vec![exercise("IouOffer", &id, "Accept")]);
    let error = refused(&mut ledger, &withdraw);
    let SubmitError::Unusable { why: Unusable::NotVisible { act_as, stakeholders, .. }, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((act_as, stakeholders), (parties(&["other"]), parties(&["issuer", "owner"])));
    // Reading for those who see it, or having it disclosed, lets the model decide.
    withdraw.read_as = parties(&["owner"]);
    assert!(matches!(refused(&mut ledger, &withdraw), SubmitError::Engine(EngineError::Authorization(_))));
    withdraw.read_as = Parties::new();
    let blob = ledger.contract(&parties(&["owner"]), &id).unwrap().unwrap().blob;
    withdraw.disclosed = vec![blob.clone()];
    assert!(matches!(refused(&mut ledger, &withdraw), SubmitError::Engine(EngineError::Authorization(_))));
    withdraw.disclosed = vec![blob[1..].to_vec()];
    assert!(matches!(refused(&mut ledger, &withdraw), SubmitError::Disclosure));
    ledger.submit(&by(&["owner"], vec![exercise("IouOffer", &id, "Accept")])).unwrap();
    withdraw.disclosed = vec![blob];
    let error = refused(&mut ledger, &withdraw);
    assert!(matches!(error, SubmitError::Unusable { why: Unusable::NotActive, .. }), "{error}");
}

#[test]
fn witnesses_use_what_they_have_seen_where_ledgers_allow_it() {
    for visibility in [Visibility::Stakeholders, Visibility::Witnesses] {
        let mut ledger = ledger(visibility);
        let offer = offered(&mut ledger);
        let last = |ledger: &mut MemoryLedger, act_as: &[&str], command| {
            ledger.submit(&by(act_as, vec![command])).unwrap().pop().unwrap().contract_id
        };
        let iou = last(&mut ledger, &["owner"], exercise("IouOffer", &offer, "Accept"));
        let Command::Exercise { template, contract_id, choice, .. } = exercise("Iou", &iou, "Transfer") else {
            panic!()
        };
        let argument = Value::record([party("other").into()]);
        let transfer = Command::Exercise { template, contract_id, choice, argument };
        let transfer = last(&mut ledger, &["owner"], transfer);
        // `other` refuses, and sees how the iou goes back to `owner`.
        let back = last(&mut ledger, &["other"], exercise("IouTransfer", &transfer, "RejectTransfer"));
        let error = refused(&mut ledger, &by(&["other"], vec![exercise("Iou", &back, "Settle")]));
        match (visibility, &error) {
            (Visibility::Stakeholders, SubmitError::Unusable { why: Unusable::NotVisible { .. }, .. })
            | (Visibility::Witnesses, SubmitError::Engine(EngineError::Authorization(_))) => {}
            _ => panic!("{visibility:?}: {error}"),
        }
        assert!(ledger.contract(&parties(&["other"]), &back).unwrap().is_none());
    }
}

#[test]
fn contracts_of_the_future_are_not_there_yet() {
    let mut ledger = ledger(Visibility::Stakeholders);
    let noon = Timestamp::from_micros(43_200_000_000).unwrap();
    ledger.set_time(noon).unwrap();
    assert_eq!(ledger.time().unwrap(), noon);
    let id = offered(&mut ledger);
    ledger.set_time(Timestamp::EPOCH).unwrap();
    let error = refused(&mut ledger, &by(&["owner"], vec![exercise("IouOffer", &id, "Accept")]));
    assert!(matches!(error, SubmitError::Unusable { why: Unusable::NotEffective(at), .. } if at == noon), "{error}");
    assert!(ledger.active_contracts(&parties(&["owner"])).unwrap().is_empty());
}

#[test]
fn parties_must_be_allocated() {
    let mut ledger = ledger(Visibility::Stakeholders);
    assert!(matches!(ledger.allocate_party("owner"), Err(LedgerError::PartyExists(_))));
    assert!(matches!(ledger.allocate_party("ä"), Err(LedgerError::Invalid(_))));
    let error = refused(&mut ledger, &by(&["nobody"], vec![offer("owner")]));
    assert!(matches!(error, SubmitError::UnknownParties(who) if who == parties(&["nobody"])));
    let error = refused(&mut ledger, &by(&["issuer"], vec![offer("nobody")]));
    assert!(matches!(error, SubmitError::UnknownParties(who) if who == parties(&["nobody"])));
    assert_eq!(ledger.parties().unwrap(), parties(&["issuer", "other", "owner"]));
}

#[test]
fn only_vetted_packages_are_used() {
    let mut ledger = ledger(Visibility::Stakeholders);
    let package = ledger.packages(true).unwrap().remove(0);
    ledger.vet(std::slice::from_ref(&package), false).unwrap();
    assert_eq!((ledger.packages(true).unwrap().len(), ledger.packages(false).unwrap().len()), (0, 1));
    let error = refused(&mut ledger, &by(&["issuer"], vec![offer("owner")]));
    assert!(matches!(error, SubmitError::UnresolvedPackageName(unresolved) if unresolved == name()));
    // By its id the package is found, and refused in the end.
    let id = engine().packages_named(&name()).remove(0).1;
    let Command::Create { template, argument } = offer("owner") else { panic!("not a create") };
    let template = TypeRef { package: PackageRef::Id(id.clone()), ..template };
    let error = refused(&mut ledger, &by(&["issuer"], vec![Command::Create { template, argument }]));
    assert!(matches!(error, SubmitError::NotVetted(package) if package == id));
    ledger.vet(&[package], true).unwrap();
    offered(&mut ledger);
    let unknown = (name(), "9.9.9".parse().unwrap());
    assert!(matches!(ledger.vet(&[unknown], true), Err(LedgerError::UnknownPackage(..))));
}

#[test]
fn users_have_rights() {
    let mut ledger = ledger(Visibility::Stakeholders);
    let id = UserId::new("alice").unwrap();
    let user = || User { id: id.clone(), primary_party: Some(party("owner")) };
    let (admin, act) = (UserRight::ParticipantAdmin, UserRight::CanActAs(party("owner")));
    assert!(ledger.create_user(user(), [admin.clone()].into()).unwrap());
    assert!(!ledger.create_user(user(), [].into()).unwrap());
    assert_eq!(ledger.user(&id).unwrap(), Some(user()));
    assert_eq!(ledger.users().unwrap(), [user()]);
    assert_eq!(ledger.grant(&id, &[admin.clone(), act.clone()]).unwrap(), Some(vec![act.clone()]));
    assert_eq!(ledger.revoke(&id, std::slice::from_ref(&admin)).unwrap(), Some(vec![admin.clone()]));
    assert_eq!(ledger.revoke(&id, &[admin]).unwrap(), Some(vec![]));
    assert_eq!(ledger.rights(&id).unwrap(), Some(vec![act]));
    assert!(ledger.delete_user(&id).unwrap());
    assert!(!ledger.delete_user(&id).unwrap());
    assert_eq!((ledger.user(&id).unwrap(), ledger.rights(&id).unwrap()), (None, None));
}
