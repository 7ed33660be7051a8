//! The table of attacks. Of each: what honest nodes say, what they commit all the same, and the rules that it breaks.

use crate::{
    attacks,
    network::{World, debt},
};
use protocol::Rule;
use transaction::Value;

/// See the module's head.
struct Row {
    world: fn() -> World,
    attack: fn(&mut World),
    /// Alarms and rejections of honest nodes and verdicts, all of them, in alphabetical order.
    said: &'static [&'static str],
    /// What must be committed by each honest participant, together, because it is in order.
    commits: usize,
    /// Without any one of these checks the row must fail.
    #[cfg_attr(not(feature = "mutants-for-tests"), expect(dead_code, reason = "rules are only named"))]
    rules: &'static [Rule],
}

/// One test for each row, and one that it fails without each of its checks, and without all of them.
macro_rules! rows {
    ($($name:ident: $said:expr, commits $commits:literal, [$($rule:ident),+];)*) => {
        $(#[test]
        fn $name() {
            let row = Row {
                world: World::new, attack: attacks::$name, said: &$said, commits: $commits, rules: &[$(Rule::$rule),+],
            };
            row.run().unwrap();
            #[cfg(feature = "mutants-for-tests")]
            row.run_mutants();
        })*
    };
}

impl Row {
    /// The attack, then business as usual.
    fn run(&self) -> Result<(), String> {
        let mut world = (self.world)();
        (self.attack)(&mut world);
        world.settle();
        let said: Vec<_> = world.said.iter().map(String::as_str).collect();
        if said != self.said {
            return Err(format!("honest nodes said {said:#?}"));
        }
        world.expect(self.commits, "the attack")?;

        // The contracts of the attack are as free as they were.
        let mallory = world.mallory.clone();
        for contract in world.debts_of_bob() {
            world.mark();
            let settle = world.interpret(&[&mallory], vec![world.exercise(&contract, "Settle", [])]);
            let request = world.build(world.input(0, &[&mallory], &settle));
            let batch = world.batch(0, &request);
            world.request(&request, batch);
            world.settle();
            world.expect(1, "the use of a contract after the attack")?;
        }
        // Others do business.
        world.mark();
        let iou = Value::record(debt(&world.bob, &world.carol));
        world.submit_for_bob(vec![world.create("IouOffer", [iou])]);
        world.expect(2, "an honest transaction")
    }

    #[cfg(feature = "mutants-for-tests")]
    fn run_mutants(&self) {
        let failed = |rules: &[Rule]| Rule::without(rules, || self.run()).is_err();
        for rule in self.rules {
            assert!(failed(&[*rule]), "nothing depends on {rule:?}");
        }
        assert!(failed(self.rules), "nothing depends on {:?}", self.rules);
    }
}

impl World {
    fn expect(&self, commits: usize, what: &str) -> Result<(), String> {
        if self.commits() != commits {
            return Err(format!("{what} made {} commits, not {commits}; {:#?}", self.commits(), self.said));
        }
        if self.undecided() > 0 {
            return Err(format!("{what} left {} requests undecided", self.undecided()));
        }
        let differ = self.disagreements();
        if differ.is_empty() { Ok(()) } else { Err(format!("after {what} honest participants differ on {differ:?}")) }
    }
}

rows! {
    wrong_root_hash: [
        "mediator alarm: MEDIATOR_INVALID_MESSAGE",
        "p1 alarm: LOCAL_VERDICT_MALFORMED_PAYLOAD",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_PAYLOAD",
        "verdict: MEDIATOR_INVALID_MESSAGE",
    ], commits 0, [ToldRootHash, ViewRootHash];
    missing_recipients: [
        "p1 alarm: LOCAL_VERDICT_MALFORMED_REQUEST",
        "p1 alarm: SYNC_SERVICE_ALARM",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_REQUEST",
        "p2 alarm: LOCAL_VERDICT_MALFORMED_PAYLOAD",
        "p2 rejects: LOCAL_VERDICT_MALFORMED_PAYLOAD",
        "verdict: LOCAL_VERDICT_MALFORMED_REQUEST",
    ], commits 0, [ViewRecipients];
    missing_root_hash_message: [
        "mediator alarm: MEDIATOR_INVALID_MESSAGE",
        "p2 alarm: LOCAL_VERDICT_BAD_ROOT_HASH_MESSAGES",
        "verdict: MEDIATOR_INVALID_MESSAGE",
    ], commits 0, [Told];
    superfluous_root_hash_message: [
        "mediator alarm: MEDIATOR_INVALID_MESSAGE",
        "p2 alarm: LOCAL_VERDICT_MALFORMED_PAYLOAD",
        "p2 rejects: LOCAL_VERDICT_MALFORMED_PAYLOAD",
        "verdict: MEDIATOR_INVALID_MESSAGE",
    ], commits 0, [Told];
    extra_recipients: [
        "p1 alarm: SYNC_SERVICE_ALARM",
        "p2 alarm: LOCAL_VERDICT_BAD_ROOT_HASH_MESSAGES",
        "verdict: approve",
    ], commits 1, [NoOtherRecipients];
    forged_signature: [
        "mediator alarm: MEDIATOR_INVALID_MESSAGE",
        "p1 alarm: LOCAL_VERDICT_MALFORMED_REQUEST",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_REQUEST",
        "verdict: MEDIATOR_INVALID_MESSAGE",
    ], commits 0, [RequestSigner, ViewSigner];
    forged_vote: [
        "mediator alarm: MEDIATOR_RECEIVED_MALFORMED_MESSAGE",
        "p1 rejects: LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND",
        "verdict: LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND",
    ], commits 0, [ResponseSigner];
    vote_for_others: [
        "mediator alarm: MEDIATOR_RECEIVED_MALFORMED_MESSAGE",
        "p1 rejects: LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND",
        "verdict: LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND",
    ], commits 0, [VoterHosts];
    stale_topology: [
        "mediator alarm: MEDIATOR_INVALID_MESSAGE",
        "p1 alarm: LOCAL_VERDICT_MALFORMED_REQUEST",
        "p1 alarm: SYNC_SERVICE_ALARM",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_REQUEST",
        "verdict: MEDIATOR_INVALID_MESSAGE",
    ], commits 0, [Told, ViewRecipients];
    wrong_mediator: [
        "mediator alarm: MEDIATOR_INVALID_MESSAGE",
        "p1 alarm: LOCAL_VERDICT_MALFORMED_REQUEST",
        "verdict: MEDIATOR_INVALID_MESSAGE",
    ], commits 0, [DeclaredMediator, ViewMediator];
    inactive_mediator: [
        "p1 alarm: CHOSEN_MEDIATOR_IS_INACTIVE",
    ], commits 0, [ActiveMediator];
    replayed_request: [
        "mediator alarm: MEDIATOR_INVALID_MESSAGE",
        "p1 alarm: LOCAL_VERDICT_CREATES_EXISTING_CONTRACTS",
        "verdict: MEDIATOR_INVALID_MESSAGE",
    ], commits 0, [Uuid];
    stray_verdict: [
        "p1 alarm: SYNC_SERVICE_ALARM",
        "p1 rejects: LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND",
        "verdict: LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND",
    ], commits 0, [VerdictSigner];
    unvetted_package: [
        "p2 alarm: LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK",
        "p2 rejects: LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK",
        "verdict: LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK",
    ], commits 0, [Vetting];
    tampered_view: [
        "p1 alarm: LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK",
        "p1 rejects: LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK",
        "verdict: LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK",
    ], commits 0, [Conformance];
    spoilt_view: [
        "p1 alarm: LOCAL_VERDICT_MALFORMED_PAYLOAD",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_PAYLOAD",
        "verdict: LOCAL_VERDICT_MALFORMED_PAYLOAD",
    ], commits 0, [Answered];
    confirmer_left_out: [
        "p1 alarm: LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK",
        "p1 alarm: SYNC_SERVICE_ALARM",
        "verdict: approve",
    ], commits 0, [Conformance];
    nobody_asked: [
        "mediator alarm: MEDIATOR_INVALID_MESSAGE",
        "p1 alarm: LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK",
        "verdict: MEDIATOR_INVALID_MESSAGE",
    ], commits 0, [Quorums];
    contract_id_of_other_content: [
        "p1 alarm: LOCAL_VERDICT_MALFORMED_REQUEST",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_REQUEST",
        "verdict: LOCAL_VERDICT_MALFORMED_REQUEST",
    ], commits 0, [ContractId];
    contract_from_the_future: [
        "p1 alarm: LOCAL_VERDICT_MALFORMED_REQUEST",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_REQUEST",
        "verdict: LOCAL_VERDICT_MALFORMED_REQUEST",
    ], commits 0, [ContractAge];
    ledger_time_out_of_bounds: [
        "p1 rejects: LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND",
        "verdict: LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND",
    ], commits 0, [LedgerTime];
    preparation_time_out_of_bounds: [
        "p1 rejects: LOCAL_VERDICT_SUBMISSION_TIME_OUT_OF_BOUND",
        "verdict: LOCAL_VERDICT_SUBMISSION_TIME_OUT_OF_BOUND",
    ], commits 0, [PreparationTime];
    given_up: [
        "p1 alarm: LOCAL_VERDICT_MALFORMED_REQUEST",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_REQUEST",
        "verdict: LOCAL_VERDICT_MALFORMED_REQUEST",
    ], commits 0, [MaxSequencingTime];
    no_authority: [
        "p1 alarm: LOCAL_VERDICT_MALFORMED_REQUEST",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_REQUEST",
        "verdict: LOCAL_VERDICT_MALFORMED_REQUEST",
    ], commits 0, [Authority];
    no_right_to_act: [
        "p1 alarm: LOCAL_VERDICT_MALFORMED_REQUEST",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_REQUEST",
        "verdict: LOCAL_VERDICT_MALFORMED_REQUEST",
    ], commits 0, [ActAs];
    used_twice: [
        "p1 alarm: LOCAL_VERDICT_MALFORMED_REQUEST",
        "p1 rejects: LOCAL_VERDICT_MALFORMED_REQUEST",
        "verdict: LOCAL_VERDICT_MALFORMED_REQUEST",
    ], commits 0, [Consistency];
    double_spend: [
        "p1 rejects: LOCAL_VERDICT_LOCKED_CONTRACTS",
        "verdict: LOCAL_VERDICT_LOCKED_CONTRACTS",
        "verdict: approve",
    ], commits 1, [Locked];
    spent_before: [
        "p1 rejects: LOCAL_VERDICT_INACTIVE_CONTRACTS",
        "verdict: LOCAL_VERDICT_INACTIVE_CONTRACTS",
    ], commits 0, [Active];
}

/// Of the keys of LF 1, which nobody's text is assembled to here: a row where the field's model is.
#[test]
fn hidden_key() {
    if testkit::test_data().is_none() {
        return;
    }
    let said = &["p1 rejects: LOCAL_VERDICT_INCONSISTENT_KEY", "verdict: LOCAL_VERDICT_INCONSISTENT_KEY"];
    let row = Row { world: World::with_keys, attack: attacks::hidden_key, said, commits: 0, rules: &[Rule::Key] };
    row.run().unwrap();
    #[cfg(feature = "mutants-for-tests")]
    row.run_mutants();
}
