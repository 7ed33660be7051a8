//! The same work in plain Rust: the same algorithms over the same shapes of data. Inputs go through `black_box`, so that
//! nothing is computed when this program is compiled.

use base::{ContractId, Hash, ParticipantId, PartyId, Timestamp};
use std::{hint::black_box, rc::Rc};
use transaction::{Parties, seed};

/// The number of calls that it takes.
pub(crate) fn nfib(n: i64) -> i64 {
    if black_box(n) < 2 { 1 } else { nfib(n - 1) + nfib(n - 2) + 1 }
}

/// The numbers of Fibonacci as slowly as the definition says; it takes as many calls as [`nfib`] counts.
pub(crate) fn fibonacci(n: i64) -> i64 {
    if black_box(n) < 2 { n } else { fibonacci(n - 2) + fibonacci(n - 1) }
}

/// A list as models have it: shared and never changed.
enum List {
    Nil,
    Cons(i64, Rc<List>),
}

fn cons(number: i64, rest: &Rc<List>) -> Rc<List> {
    Rc::new(List::Cons(number, rest.clone()))
}

fn next(n: i64) -> i64 {
    n.wrapping_mul(1_103_515_245).wrapping_add(12_345) % 2_147_483_648
}

fn numbers(count: i64) -> Rc<List> {
    let (mut found, mut last) = (Rc::new(List::Nil), 1);
    for _ in 0..count {
        last = next(last);
        found = cons(last, &found);
    }
    found
}

fn part(below: bool, bound: i64, mut all: &Rc<List>) -> Rc<List> {
    let mut found = Rc::new(List::Nil);
    while let List::Cons(number, rest) = &**all {
        if (*number < bound) == below {
            found = cons(*number, &found);
        }
        all = rest;
    }
    found
}

fn sort(all: &Rc<List>, sorted: Rc<List>) -> Rc<List> {
    match &**all {
        List::Nil => sorted,
        List::Cons(bound, rest) => {
            let above = sort(&part(false, *bound, rest), sorted);
            sort(&part(true, *bound, rest), cons(*bound, &above))
        }
    }
}

/// Makes so many numbers, sorts them, and folds them into one that depends on their order.
pub(crate) fn sorting(count: i64) -> i64 {
    let sorted = sort(&numbers(black_box(count)), Rc::new(List::Nil));
    let (mut all, mut found) = (&sorted, 0);
    while let List::Cons(number, rest) = &**all {
        found = next(found + number);
        all = rest;
    }
    found
}

/// An Iou as a program of its own would have it.
#[derive(Clone)]
struct Iou {
    id: ContractId,
    issuer: PartyId,
    owner: PartyId,
    currency: String,
    amount: i128,
}

/// Passes an Iou between two parties, with the seeds and ids that the ledger asks for and a record of what happened.
pub(crate) fn pass(times: u32, issuer: &PartyId, owner: &PartyId, participant: &ParticipantId) -> usize {
    let preparation = Timestamp::EPOCH;
    let root = seed::transaction_seed(&Hash([black_box(1); 32]), participant, preparation);
    let parties: Parties = [issuer.clone(), owner.clone()].into();
    let create = |seed: &Hash, owner: &PartyId| Iou {
        id: seed::local_contract_id(seed, preparation, &parties),
        issuer: issuer.clone(),
        owner: owner.clone(),
        currency: "EUR".to_owned(),
        amount: 100_0000000000,
    };
    let mut log = vec![create(&root, owner)];
    for n in 0..times {
        let last = &log[log.len() - 1];
        let (to, amount) = (if last.owner == *owner { issuer } else { owner }, last.amount);
        let exercise = seed::node_seed(&root, n);
        let made = create(&seed::node_seed(&exercise, 0), to);
        assert!(amount > 0 && made.issuer == last.issuer && made.currency == last.currency && made.id != last.id);
        log.push(made);
    }
    log.len()
}
