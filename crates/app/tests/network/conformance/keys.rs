//! Contract keys.

use super::world::{Model, World, created, exercised, id, party, text_key};
use canton_proto::com::daml::ledger::api::v2::{Command, admin::CommandState};
use transaction::Value;

fn text(model: &Model, owner: &str, key: &str, observers: &[&str]) -> Command {
    let observers = observers.iter().map(|observer| party(observer)).collect::<Vec<_>>();
    model.create("Test", "TextKey", [party(owner), Value::text(key), Value::list(observers)])
}

/// 18: one contract has a key, and after it was consumed none; keys are their maintainers'.
async fn a_key_has_one_active_contract(world: &World, model: &Model) {
    let [alice, bob] = world.parties([("alice", 0), ("bob", 1)]).await;
    let first = world.one(0, &[&alice], text(model, &alice, "k1", &[])).await;
    assert_eq!(world.code(0, &alice, text(model, &alice, "k1", &[])).await, "DUPLICATE_CONTRACT_KEY");
    let mut operations = Vec::new();
    for (n, owner) in [(0, &alice), (1, &bob)] {
        operations.push(world.one(n, &[owner], model.create("Test", "TextKeyOperations", [party(owner)])).await);
    }
    let operate = |n: usize, choice: &str, fields: Vec<Value>| {
        model.exercise("Test", "TextKeyOperations", &operations[n], choice, fields)
    };
    let [k1, k2] = ["k1", "k2"].map(|key| text_key(&alice, key));
    let lookup = |n, key: &Value, found: Value| operate(n, "TKOLookup", vec![key.clone(), found]);
    assert_eq!(world.code(0, &alice, lookup(0, &k1, Value::some(id(&first)))).await, "");
    assert_eq!(world.code(0, &alice, lookup(0, &k2, Value::none())).await, "");
    assert_ne!(world.code(0, &alice, lookup(0, &k1, Value::none())).await, "");
    assert_eq!(world.code(1, &bob, lookup(1, &k1, Value::none())).await, "DAML_AUTHORIZATION_ERROR");
    let fetch = |key: &Value| operate(0, "TKOFetch", vec![key.clone(), id(&first)]);
    assert_eq!(world.code(0, &alice, fetch(&k1)).await, "");
    assert_eq!(world.code(0, &alice, fetch(&k2)).await, "CONTRACT_KEY_NOT_FOUND");
    assert_eq!(world.code(0, &alice, operate(0, "TKOConsumeAndLookup", vec![id(&first), k1])).await, "");
    assert_eq!(world.code(0, &alice, text(model, &alice, "k1", &[])).await, "");
    let wrong = model.create("Test", "MaintainerNotSignatory", [party(&alice), party(&bob)]);
    assert_eq!(world.code(0, &alice, wrong).await, "DAML_AUTHORIZATION_ERROR");
}

/// 19 and 20: a key is free as soon as its contract is consumed.
async fn keys_are_free_again_within_a_transaction(world: &World, model: &Model) {
    let [alice] = world.parties([("alice", 0)]).await;
    let fields = [party(&alice), Value::text("k")];
    let delegated = world.one(0, &[&alice], model.create("Test", "Delegated", fields)).await;
    let choose = |contract: &str, choice: &str, fields: Vec<Value>| {
        vec![model.exercise("Test", "Delegated", contract, choice, fields)]
    };
    let transaction = world.submit(0, &[&alice], choose(&delegated, "Recreate", vec![])).await.unwrap();
    assert_eq!(transaction.events.len(), 2);
    let again = created(&transaction).remove(0);
    assert!(again.contract_key.is_some() && again.contract_id != delegated);
    for _ in 0..2 {
        let transient = choose(&again.contract_id, "CreateAnotherAndArchive", vec![Value::text("k2")]);
        assert_eq!(world.submit(0, &[&alice], transient).await.err(), None);
    }
}

/// 11 and 12: what a `try` undoes it undoes for keys, too.
async fn keys_are_rolled_back(world: &World, semantic: &Model) {
    let [alice] = world.parties([("alice", 0)]).await;
    let make = |entity: &str| semantic.create("Exceptions", entity, [party(&alice)]);
    let tester = world.one(0, &[&alice], make("ExceptionTester")).await;
    let run = |choice: &str| semantic.exercise("Exceptions", "ExceptionTester", &tester, choice, []);
    assert_eq!(world.code(0, &alice, run("DuplicateKey")).await, "");
    assert_eq!(world.code(0, &alice, run("FetchKey")).await, "CONTRACT_KEY_NOT_FOUND");
    assert_eq!(world.code(0, &alice, make("WithSimpleKey")).await, "");
    assert_eq!(world.code(0, &alice, run("DuplicateKey")).await, "DUPLICATE_CONTRACT_KEY");
    assert_eq!(world.code(0, &alice, run("FetchKey")).await, "");
}

/// Commands name contracts by their keys, also on a participant that hosts none of the maintainers.
async fn contracts_are_used_by_their_keys(world: &World, model: &Model) {
    let [alice, bob] = world.parties([("alice", 0), ("bob", 1)]).await;
    let contract = world.one(0, &[&alice], text(model, &alice, "k", &[&bob])).await;
    let operations = world.one(1, &[&bob], model.create("Test", "TextKeyOperations", [party(&bob)])).await;
    let key = text_key(&alice, "k");
    let fetch = || {
        let fields = [key.clone(), id(&contract)];
        model.exercise("Test", "TextKeyOperations", &operations, "TKOFetch", fields)
    };
    let fetched = world.submit(1, &[&bob], vec![fetch()]).await.unwrap();
    assert_eq!(exercised(&fetched).len(), 1);
    let by_key = || vec![model.exercise_by_key("Test", "TextKey", &key, "TextKeyChoice")];
    let used = world.submit(0, &[&alice], by_key()).await.unwrap();
    assert_eq!(exercised(&used)[0].contract_id, contract);
    assert_eq!(world.submit(0, &[&alice], by_key()).await.unwrap_err().0, "CONTRACT_KEY_NOT_FOUND");
    world.seen(&bob, &used.update_id).await;
    assert_eq!(world.code(1, &bob, fetch()).await, "CONTRACT_KEY_NOT_FOUND");
}

/// Who does not see a contract believes that its key is free. The maintainer's participant knows better.
async fn what_is_said_of_keys_is_checked_by_their_maintainers(world: &World, model: &Model) {
    let [alice, bob] = world.parties([("alice", 0), ("bob", 1)]).await;
    let delegation = model.create("Test", "Delegation", [party(&alice), party(&bob)]);
    let delegation = world.one(0, &[&alice], delegation).await;
    let look = |choice: &str| {
        let fields = [party(&alice), Value::text("k")];
        model.exercise("Test", "Delegation", &delegation, choice, fields)
    };
    assert_eq!(world.code(1, &bob, look("LookupByKeyDelegated")).await, "");
    let fields = [party(&alice), Value::text("k")];
    let hidden = world.one(0, &[&alice], model.create("Test", "Delegated", fields)).await;
    assert_eq!(world.code(1, &bob, look("LookupByKeyDelegated")).await, "LOCAL_VERDICT_INCONSISTENT_KEY");
    // It was completed, and is known as such.
    let last = world.participants[1].status_of("command-").await.remove(0);
    assert_eq!((last.1, last.2), (CommandState::Failed, 0));
    assert_eq!(world.code(1, &bob, look("FetchByKeyDelegated")).await, "CONTRACT_KEY_NOT_FOUND");
    let archive = model.exercise("Test", "Delegated", &hidden, "Archive", []);
    assert_eq!(world.code(0, &alice, archive).await, "");
    assert_eq!(world.code(1, &bob, look("LookupByKeyDelegated")).await, "");
}

/// Two participants create a contract of one key at the same time: one does, and the other is told.
async fn one_of_two_gets_the_key(world: &World, model: &Model) {
    let [alice, bob] = world.parties([("alice", 0), ("bob", 1)]).await;
    let creator = model.create("Test", "WithKeyCreatorAlternative", [party(&alice), party(&bob)]);
    let creator = world.one(0, &[&alice], creator).await;
    let choice = "WithKeyCreatorAlternative_DiscloseCreate";
    for _ in 0..5 {
        let own = model.create("Test", "WithKey", [party(&alice)]);
        let theirs = model.exercise("Test", "WithKeyCreatorAlternative", &creator, choice, []);
        let (alices, bobs) = ([alice.as_str()], [bob.as_str()]);
        let ends = tokio::join!(world.submit(0, &alices, vec![own]), world.submit(1, &bobs, vec![theirs]));
        let (winner, loser) = match ends {
            (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser.0),
            other => panic!("not one of two: {other:?}"),
        };
        let codes = ["DUPLICATE_CONTRACT_KEY", "LOCAL_VERDICT_DUPLICATE_KEY", "LOCAL_VERDICT_LOCKED_KEYS"];
        assert!(codes.contains(&loser.as_str()), "{loser}");
        // The key is there, and free again once its contract is archived.
        world.seen(&alice, &winner.update_id).await;
        let archive = model.exercise_by_key("Test", "WithKey", &party(&alice), "Archive");
        assert_eq!(world.code(0, &alice, archive).await, "");
    }
}

pub(super) async fn all(world: &World, semantic: &Model, model: &Model) {
    a_key_has_one_active_contract(world, model).await;
    keys_are_free_again_within_a_transaction(world, model).await;
    keys_are_rolled_back(world, semantic).await;
    contracts_are_used_by_their_keys(world, model).await;
    what_is_said_of_keys_is_checked_by_their_maintainers(world, model).await;
    one_of_two_gets_the_key(world, model).await;
}
