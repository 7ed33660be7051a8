//! Requests about contract keys, at the participant of a maintainer: Carol, whose contracts Alice uses.

use super::{
    answer, published,
    world::{MILLI, World, no},
};
use base::{ErrorCode, codes};
use protocol::{
    ConfirmationRequest,
    message::{RequestId, Verdict},
    testing::{Scenario, by_key, create, exercise, fetch, instance, keyed, local_id, lookup, secret},
    tree::{KeyState, Leaf},
};
use transaction::{ContractInstance, Node, TransactionBuilder};

struct Keys {
    world: World,
    /// A contract of Carol with a key.
    like: ContractInstance,
    requests: u8,
}

impl Keys {
    fn new() -> Self {
        let mut scenario = Scenario::new();
        let (alice, carol) = (scenario.alice.clone(), scenario.carol.clone());
        let like = keyed(instance(&[&carol], &[&alice], 1), &carol, "k");
        scenario.contract(100, &[&carol], &[&alice]);
        let mut world = World::of(scenario, 2);
        world.activate();
        Self { world, like, requests: 0 }
    }

    /// With Carol's authority Alice does these things, one after the other or each in a view of its own.
    fn request(&mut self, nodes: Vec<Node>, apart: bool) -> ConfirmationRequest {
        let scenario = &self.world.scenario;
        let tool = scenario.contracts.values().find(|contract| contract.instance.key.is_none()).unwrap();
        let open = || exercise(&tool.id, &tool.instance, &scenario.alice, false);
        let mut builder = TransactionBuilder::default();
        if !apart {
            builder.open(open());
        }
        for node in nodes {
            if apart {
                builder.open(open());
            }
            let is_inner = node.is_inner();
            if is_inner {
                builder.open(node);
                builder.close();
            } else {
                builder.leaf(node);
            }
            if apart {
                builder.close();
            }
        }
        if !apart {
            builder.close();
        }
        self.requests += 1;
        self.world.scenario.request(&builder.finish(), self.requests)
    }

    /// Carol's participant gets the request and answers.
    fn ask(&mut self, nodes: Vec<Node>) -> (ConfirmationRequest, RequestId, Option<ErrorCode>) {
        let request = self.request(nodes, false);
        let (id, effects) = self.world.arrive(&request);
        (request, id, answer(&effects))
    }

    /// It is approved, and what it creates can be used.
    fn commit(&mut self, request: &ConfirmationRequest, id: RequestId) {
        let effects = self.world.verdict(request, id, Verdict::Approve);
        let update = published(&effects)[0].update.as_ref().unwrap();
        let contracts = update.contracts.iter().map(|contract| (contract.id.clone(), contract.clone()));
        self.world.scenario.contracts.extend(contracts.collect::<Vec<_>>());
    }

    fn made(&self) -> Node {
        create(local_id(self.requests), self.like.clone())
    }
}

#[test]
fn who_says_that_a_key_is_free_is_right_waits_or_is_refused() {
    let mut keys = Keys::new();
    let (free, made) = (lookup(&keys.like, None), keys.made());
    let (first, id, code) = keys.ask(vec![free.clone(), made]);
    assert_eq!(code, None);
    // Until it is decided nobody knows.
    for node in [keys.made(), free.clone()] {
        let (request, id, code) = keys.ask(vec![node]);
        assert_eq!(code, Some(codes::LOCAL_VERDICT_LOCKED_KEYS));
        keys.world.verdict(&request, id, no(codes::MEDIATOR_INVALID_MESSAGE));
    }
    keys.commit(&first, id);
    assert_eq!(keys.world.store.counts.values().collect::<Vec<_>>(), [&1]);
    for (node, expected) in
        [(keys.made(), codes::LOCAL_VERDICT_DUPLICATE_KEY), (free.clone(), codes::LOCAL_VERDICT_INCONSISTENT_KEY)]
    {
        let (request, id, code) = keys.ask(vec![node]);
        assert_eq!(code, Some(expected));
        keys.world.verdict(&request, id, no(codes::MEDIATOR_INVALID_MESSAGE));
    }
    // Found by its key it is archived, and in the same transaction made anew; then it is archived for good.
    for again in [true, false] {
        let active = keys.world.scenario.contracts.values().filter(|contract| contract.instance.key.is_some());
        let id = active.map(|contract| contract.id.clone()).next_back().unwrap();
        let archive = by_key(exercise(&id, &keys.like, &keys.world.scenario.alice, true));
        let (request, at, code) = keys.ask([archive].into_iter().chain(again.then(|| keys.made())).collect());
        assert_eq!(code, None);
        keys.commit(&request, at);
        keys.world.scenario.contracts.remove(&id);
        assert_eq!(keys.world.store.counts.values().collect::<Vec<_>>(), [&u64::from(again)]);
    }
    assert_eq!(keys.ask(vec![free]).2, None);
}

/// Whoever takes over counts and locks as before.
#[test]
fn keys_survive_a_failover() {
    let mut keys = Keys::new();
    let request = {
        let made = keys.made();
        keys.request(vec![made], false)
    };
    let events = vec![{
        let mut event = keys.world.event(keys.world.mine(&request));
        event.timestamp = keys.world.now.saturating_add(MILLI);
        event
    }];
    let (id, effects) = keys.world.arrive(&request);
    assert_eq!(answer(&effects), None);
    keys.world.fail_over(&events);
    let (second, at, code) = {
        let made = keys.made();
        keys.ask(vec![made])
    };
    assert_eq!(code, Some(codes::LOCAL_VERDICT_LOCKED_KEYS));
    keys.world.verdict(&second, at, no(codes::MEDIATOR_INVALID_MESSAGE));
    keys.commit(&request, id);
    keys.world.fail_over(&[]);
    let made = keys.made();
    assert_eq!(keys.ask(vec![made]).2, Some(codes::LOCAL_VERDICT_DUPLICATE_KEY));
}

/// The first claim of several is about what was before the request; contracts that it made or archived itself before are
/// counted in.
#[test]
fn later_views_build_on_earlier_ones() {
    let mut keys = Keys::new();
    let alice = keys.world.scenario.alice.clone();
    let (first, id, _) = {
        let made = keys.made();
        keys.ask(vec![made])
    };
    keys.commit(&first, id);
    let old = first.transaction().created_contracts().next().unwrap().clone();
    let archive = exercise(&old, &keys.like, &alice, true);
    let new = local_id(77);
    let nodes = vec![archive, create(new.clone(), keys.like.clone()), by_key(fetch(&new, &keys.like, &alice))];
    let request = keys.request(nodes, true);
    let (id, effects) = keys.world.arrive(&request);
    assert_eq!(answer(&effects), None);
    keys.commit(&request, id);
    assert_eq!(keys.world.store.counts.values().collect::<Vec<_>>(), [&1]);
}

/// Each view by itself could be true.
#[test]
fn views_that_contradict_each_other_are_refused() {
    let mut keys = Keys::new();
    let alice = keys.world.scenario.alice.clone();
    let existing = keys.world.scenario.existing(9, keys.like.clone());
    keys.world.activate();
    keys.world.store.counts.insert(keys.like.key.as_ref().unwrap().hash, 1);
    let found = by_key(fetch(&existing.id, &keys.like, &alice));
    for nodes in [vec![found.clone(), lookup(&keys.like, None)], vec![lookup(&keys.like, None), found]] {
        let request = keys.request(nodes, true);
        let (_, effects) = keys.world.arrive(&request);
        assert_eq!(answer(&effects), Some(codes::LOCAL_VERDICT_MALFORMED_REQUEST));
    }
}

/// A contract that is listed under a key must have it.
#[test]
fn contracts_of_other_keys_are_not_found() {
    let mut keys = Keys::new();
    let (alice, carol) = (keys.world.scenario.alice.clone(), keys.world.scenario.carol.clone());
    let other = keyed(instance(&[&carol], &[&alice], 1), &carol, "other");
    let other = keys.world.scenario.existing(9, other);
    keys.world.activate();
    let (_, _, code) = keys.ask(vec![lookup(&keys.like.clone(), Some(&other.id))]);
    assert_eq!(code, Some(codes::LOCAL_VERDICT_MALFORMED_REQUEST));
}

/// What a view says of keys is compared with what it reinterprets to.
#[test]
fn keys_that_do_not_follow_from_the_actions_are_refused() {
    let changes: [fn(&mut KeyState); 2] = [|state| state.exhaustive = true, |state| state.contracts.clear()];
    for (n, change) in changes.into_iter().enumerate() {
        let mut keys = Keys::new();
        let alice = keys.world.scenario.alice.clone();
        let existing = keys.world.scenario.existing(9, keys.like.clone());
        keys.world.activate();
        keys.world.store.counts.insert(keys.like.key.as_ref().unwrap().hash, 1);
        let honest = keys.request(vec![by_key(fetch(&existing.id, &keys.like, &alice))], false);
        let network = &keys.world.scenario.network;
        let request = honest.tampered(network.state.snapshot(network.now()), &secret(9), |built| {
            let mut data = built.tree.views[0].data.value().clone();
            data.keys.values_mut().for_each(|state| {
                change(state);
                state.exhaustive = true;
            });
            built.tree.views[0].data = Leaf::new(data);
        });
        let (_, effects) = keys.world.arrive(&request.unwrap());
        let expected = [codes::LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK, codes::LOCAL_VERDICT_INCONSISTENT_KEY][n];
        assert_eq!(answer(&effects), Some(expected));
    }
}
