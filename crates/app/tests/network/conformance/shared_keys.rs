//! Contract keys of LF 2.3, of which several contracts may have the same. No compiler makes such packages here, so the
//! model is the engine's own.

use super::world::{Model, World, created, dar, party, record, returned};
use transaction::Value;

const SOURCE: &str = include_str!("../../../../engine/src/tests/shared_keys.lf");

/// The model with the field's package of pairs.
pub(super) fn model() -> Vec<u8> {
    let pairs = lf::tuple2().package;
    let examples = lf::read_dar(&dar("CantonExamples.38731509.dar").unwrap()).unwrap();
    let payload = examples.packages.iter().find(|package| *package.package.id() == pairs).unwrap().payload.clone();
    let source = SOURCE.replace("TUPLES", &format!("'{pairs}'"));
    let (name, version) = ("shared-keys".parse().unwrap(), "1.0.0".parse().unwrap());
    let main = lf::assemble_payload(&source, &name, &version).unwrap();
    lf::write_dar(&main, &[&payload]).unwrap()
}

/// The balances of the accounts that a teller finds.
fn balances(found: &Value) -> Vec<i64> {
    let Value::List(pairs) = found else { panic!("no list: {found:?}") };
    let balance = |pair: &Value| {
        let Value::Record(pair) = pair else { panic!("no pair: {pair:?}") };
        let Value::Record(account) = &pair.fields[1].value else { panic!("no account: {pair:?}") };
        let Value::Int64(balance) = account.fields[2].value else { panic!("no balance: {account:?}") };
        balance
    };
    pairs.iter().map(balance).collect()
}

pub(super) async fn all(world: &World, model: &Model) {
    let [alice] = world.parties([("alice", 0)]).await;
    let account = |balance| model.create("Keys", "Account", [party(&alice), Value::text("k"), Value::Int64(balance)]);
    let teller = world.one(0, &[&alice], model.create("Keys", "Teller", [party(&alice)])).await;
    let tell = async |choice: &str, argument: &Value| {
        world.submit(0, &[&alice], vec![model.exercise_with("Keys", "Teller", &teller, choice, argument)]).await
    };
    let ask = |count| record([Value::text("k"), Value::Int64(count)]);
    let query = async |count| balances(&returned(&tell("Query", &ask(count)).await.unwrap()));
    assert_eq!(query(9).await, [0_i64; 0]);
    for balance in 1..=3 {
        world.one(0, &[&alice], account(balance)).await;
    }
    // The newest come first.
    assert_eq!(query(2).await, [3, 2]);
    assert_eq!(query(9).await, [3, 2, 1]);
    // Who creates one does not wait for others who do.
    let acting = [alice.as_str()];
    let (one, other) =
        tokio::join!(world.submit(0, &acting, vec![account(4)]), world.submit(0, &acting, vec![account(4)]));
    assert_eq!((created(&one.unwrap()).len(), created(&other.unwrap()).len()), (1, 1));
    assert_eq!(query(9).await, [4, 4, 3, 2, 1]);
    // Within a transaction the contracts that it made come first, and those that it archived are gone.
    let turned = returned(&tell("Turn", &Value::text("k")).await.unwrap());
    assert_eq!(turned, Value::Int64(4 + 100 + 1000 * 4));
    assert_eq!(query(9).await, [4, 3, 2, 1]);
}
