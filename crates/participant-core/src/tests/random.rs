//! Random runs of the submitting participant, with failovers at any moment.

use super::world::{MILLI, World, no};
use crate::{Event, Publish};
use base::codes;
use proptest::prelude::*;
use protocol::{
    ConfirmationRequest,
    message::Verdict,
    sequencing::SequencedEvent,
    testing::{Scenario, secret},
};
use std::{collections::BTreeMap, time::Duration};

/// Requests in a random run; each two of them are for the same change.
const REQUESTS: usize = 8;

/// What happens next in a random run of the submitting participant.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Request n is submitted.
    Submit(usize),
    /// It is sequenced.
    Sequence(usize),
    /// The sequencer refuses it.
    Refuse(usize),
    /// The mediator decides.
    Verdict(usize, bool),
    /// So many seconds pass.
    Wait(u64),
    /// The active replica dies.
    FailOver,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = || 0..REQUESTS;
    let step = prop_oneof![
        5 => n().prop_map(Step::Submit),
        5 => n().prop_map(Step::Sequence),
        1 => n().prop_map(Step::Refuse),
        4 => (n(), any::<bool>()).prop_map(|(n, yes)| Step::Verdict(n, yes)),
        2 => (1..50_u64).prop_map(Step::Wait),
        2 => Just(Step::FailOver),
    ];
    prop::collection::vec(step, 0..40)
}

/// Runs the steps and then lets so much time pass that everything must be over.
fn run(steps: &[Step], requests: &[ConfirmationRequest], failovers: bool) -> (Vec<usize>, Vec<Publish>) {
    let mut scenario = Scenario::new();
    scenario.nested();
    let mut world = World::of(scenario, 0);
    world.activate();
    let (mut events, mut ids) = (Vec::new(), BTreeMap::new());
    let mut registered = vec![0; requests.len()];
    let message = |n: usize| crate::request_message_id(requests[n].tree().common.value().uuid);
    let end = [Step::Wait(61), Step::Wait(61)];
    for step in steps.iter().chain(&end) {
        world.now = world.now.saturating_add(MILLI);
        let event = match *step {
            Step::Submit(n) => {
                // Each request is new: its uuid and seed are random.
                if registered[n] == 0 {
                    registered[n] += usize::from(world.submit(&requests[n]).is_ok());
                }
                continue;
            }
            // The network holds nothing that was not sent, and does not deliver what is too late.
            Step::Sequence(n) => {
                let max = requests[n].tree().submitter.value().max_sequencing_time;
                let sent = world.participant.in_flight().get(&message(n)).is_some_and(|row| row.sequenced.is_none());
                if !sent || world.now > max {
                    continue;
                }
                ids.insert(n, world.now);
                world.answers.insert(world.now, requests[n].transaction().clone());
                SequencedEvent { message_id: Some(message(n)), ..world.event(world.mine(&requests[n])) }
            }
            Step::Refuse(n) => {
                if world.participant.in_flight().get(&message(n)).is_some_and(|row| row.sequenced.is_none()) {
                    let (message, code) = (message(n), codes::SEQUENCER_OVERLOADED);
                    let effects = world.participant.step(Event::Refused { message, code, why: String::new() });
                    world.finish(effects);
                }
                continue;
            }
            Step::Verdict(n, yes) => {
                let Some(id) = ids.get(&n) else { continue };
                let verdict = if yes { Verdict::Approve } else { no(codes::MEDIATOR_INVALID_MESSAGE) };
                world.event(vec![world.result(&requests[n], *id, verdict, "mediator")])
            }
            Step::Wait(seconds) => {
                world.now = world.now.saturating_add(Duration::from_secs(seconds));
                world.event(vec![])
            }
            Step::FailOver => {
                if failovers {
                    world.fail_over(&events);
                }
                continue;
            }
        };
        world.sequence(&event);
        events.push(event);
    }
    assert_eq!((world.participant.pending(), world.participant.in_flight().len()), (0, 0));
    assert_eq!(world.store.recovered.clean, Some(world.now));
    (registered, world.store.published)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every registered submission is completed exactly once; what is sequenced is published in the order of
    /// sequencing; and failovers at any moment change nothing of it.
    #[test]
    fn one_completion_each_whatever_happens(steps in steps()) {
        let mut scenario = Scenario::new();
        let transaction = scenario.nested();
        let request = |n: usize| {
            let mut input = scenario.input(&transaction, u8::try_from(n).unwrap());
            input.submitter.command = format!("command-{}", n / 2).parse().unwrap();
            input.submitter.submission = Some(format!("submission-{n}").parse().unwrap());
            ConfirmationRequest::build(input, &secret(u8::try_from(n).unwrap())).unwrap()
        };
        let requests: Vec<_> = (0..REQUESTS).map(request).collect();
        let (registered, published) = run(&steps, &requests, true);
        for (n, request) in requests.iter().enumerate() {
            let submission = &request.tree().submitter.value().submission;
            let completions = published.iter().filter_map(|p| p.completion.as_ref());
            prop_assert_eq!(completions.filter(|c| c.submission == *submission).count(), registered[n]);
        }
        let times: Vec<_> = published.iter().filter(|p| p.update.is_some()).map(|p| p.record_time).collect();
        prop_assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!((registered, published), run(&steps, &requests, false));
    }
}
