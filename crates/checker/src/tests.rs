//! A sound history passes; each mutation of it is found, under its own name.

use super::*;

const REPLICAS: [(&str, &str); 4] = [("p1", "p1a"), ("p1", "p1b"), ("p2", "p2a"), ("p2", "p2b")];

/// `n` commands at p1, each creating a contract that both participants share.
fn sound(n: i64) -> Vec<Record> {
    let mut records = Vec::new();
    for i in 0..n {
        let (command, update_id) = (format!("c{i}"), format!("u{i}"));
        let stakeholders = vec!["p1".to_owned(), "p2".to_owned()];
        records.push(Record::Submit {
            at: i * 10,
            command: command.clone(),
            participant: "p1".into(),
            stakeholders: stakeholders.clone(),
        });
        records.push(Record::Answer {
            at: i * 10 + 5,
            command: command.clone(),
            submission: None,
            outcome: Outcome::Committed { update_id: update_id.clone() },
        });
        for (participant, replica) in REPLICAS {
            records.push(Record::Update {
                participant: participant.into(),
                replica: replica.into(),
                offset: i + 1,
                update_id: update_id.clone(),
                command: (participant == "p1").then(|| command.clone()),
                record_time: 1000 + i,
                created: vec![Contract {
                    id: format!("k{i}"),
                    stakeholders: stakeholders.clone(),
                    content: "x".into(),
                }],
                archived: vec![],
            });
        }
    }
    for (participant, replica) in REPLICAS {
        records.push(Record::ReadToEnd { participant: participant.into(), replica: replica.into() });
    }
    records
}

fn finds(kind: Kind, mutate: impl FnOnce(&mut Vec<Record>)) {
    let mut records = sound(5);
    mutate(&mut records);
    let verdict = check(&records);
    assert!(verdict.count(kind) > 0, "{kind:?} was not found: {verdict:#?}");
}

fn answer(at: i64, command: &str, submission: Option<&str>, outcome: Outcome) -> Record {
    Record::Answer { at, command: command.into(), submission: submission.map(str::to_owned), outcome }
}

/// As the first replica of `p1` shows it, of the attempt `submission` and `n`.
fn completion(offset: i64, command: &str, submission: &str, update: Option<&str>, n: i64) -> Record {
    Record::Completion {
        participant: "p1".into(),
        replica: "p1a".into(),
        offset,
        command: command.into(),
        submission: Some(format!("{submission}{n}")),
        update_id: update.map(str::to_owned),
    }
}

/// A sound history with everything that can be recorded about `p1`.
fn full() -> Vec<Record> {
    let mut records = sound(5);
    for i in 0..5 {
        records.push(completion(i + 1, &format!("c{i}"), "s", Some(&format!("u{i}")), i));
        let seen = Record::Seen { participant: "p1".into(), offset: i + 1, update_id: format!("u{i}") };
        records.extend([seen, Record::LedgerEnd { participant: "p1".into(), offset: i + 1 }]);
    }
    let contracts = (0..5).map(|i| format!("k{i}")).collect();
    records.push(Record::Active { participant: "p1".into(), replica: "p1a".into(), contracts });
    records
}

fn finds_in_full(kind: Kind, mutate: impl FnOnce(&mut Vec<Record>)) {
    let mut records = full();
    assert_eq!(check(&records).violations, []);
    mutate(&mut records);
    let verdict = check(&records);
    assert!(verdict.count(kind) > 0, "{kind:?} was not found: {verdict:#?}");
}

#[test]
fn completions_that_contradict_updates_or_each_other_are_found() {
    // A second completion of one attempt; one out of order; one missing; one that names another update.
    finds_in_full(Kind::Incomplete, |r| r.push(completion(9, "c4", "s", None, 4)));
    finds_in_full(Kind::Incomplete, |r| r.push(completion(3, "c9", "s", None, 9)));
    finds_in_full(Kind::Incomplete, |r| {
        r.retain(|r| !matches!(r, Record::Completion { command, .. } if command == "c2"));
    });
    finds_in_full(Kind::Incomplete, |r| {
        for record in r {
            if let Record::Completion { command, update_id, .. } = record
                && command == "c2"
            {
                *update_id = Some("u3".into());
            }
        }
    });
}

#[test]
fn a_refusal_that_was_none_is_found() {
    let rejected = || Outcome::Rejected { code: "X".into() };
    finds_in_full(Kind::Dishonest, |r| r.push(answer(40, "c2", Some("s2"), rejected())));
    // Of another attempt it is no contradiction, and decides a command that nothing is heard of.
    let mut records = full();
    records.push(answer(40, "c2", Some("s2-again"), rejected()));
    records.push(Record::Submit { at: 1, command: "c9".into(), participant: "p1".into(), stakeholders: vec![] });
    records.push(answer(2, "c9", None, Outcome::Unknown));
    assert_eq!(check(&records).count(Kind::Undecided), 1);
    records.push(answer(3, "c9", Some("s9"), rejected()));
    assert_eq!(check(&records).violations, []);
}

#[test]
fn active_contracts_that_updates_do_not_leave_are_found() {
    let change = |change: fn(&mut Vec<String>)| {
        finds_in_full(Kind::Unbalanced, |r| match r.last_mut() {
            Some(Record::Active { contracts, .. }) => change(contracts),
            other => panic!("{other:?}"),
        });
    };
    change(|contracts| contracts.push("k9".into()));
    change(|contracts| drop(contracts.pop()));
}

#[test]
fn participants_that_do_not_follow_the_mediator_are_found() {
    let verdict = |record_time, approved| Record::Verdict { record_time, approved };
    let mut records = full();
    records.extend([verdict(1002, true), verdict(2000, false)]);
    assert_eq!(check(&records).violations, []);
    finds_in_full(Kind::Divergent, |r| r.push(verdict(1002, false)));
    finds_in_full(Kind::Divergent, |r| r.push(verdict(2000, true)));
}

#[test]
fn what_is_taken_back_is_found() {
    let seen = |offset, id: &str| Record::Seen { participant: "p1".into(), offset, update_id: id.into() };
    finds_in_full(Kind::Rewound, |r| r.push(Record::LedgerEnd { participant: "p1".into(), offset: 4 }));
    // Shown again, shown and gone, shown as another one, not shown.
    finds_in_full(Kind::Rewound, |r| r.push(seen(5, "u4")));
    finds_in_full(Kind::Rewound, |r| r.push(seen(6, "u9")));
    finds_in_full(Kind::Rewound, |r| {
        for record in r {
            if let Record::Seen { offset: 2, update_id, .. } = record {
                *update_id = "u7".into();
            }
        }
    });
    finds_in_full(Kind::Rewound, |r| r.retain(|r| !matches!(r, Record::Seen { offset: 3, .. })));
}

fn is_update(record: &Record, of: &str, id: &str) -> bool {
    matches!(record, Record::Update { participant, replica, update_id, .. }
        if (participant == of || replica == of) && update_id == id)
}

#[test]
fn a_sound_history_passes_and_is_counted() {
    let verdict = check(&sound(5));
    assert_eq!(verdict.violations, []);
    assert_eq!(verdict.counts, Counts { submitted: 5, committed: 5, updates: 10, replicas: 4, ..Counts::default() });
}

#[test]
fn a_lost_command_is_found() {
    // Everywhere, at one participant, at one replica.
    finds(Kind::Lost, |r| r.retain(|r| !matches!(r, Record::Update { update_id, .. } if update_id == "u2")));
    finds(Kind::Lost, |r| r.retain(|r| !is_update(r, "p2", "u2")));
    finds(Kind::Lost, |r| r.retain(|r| !is_update(r, "p1b", "u4")));
}

#[test]
fn a_doubled_command_is_found() {
    finds(Kind::Duplicated, |r| {
        let again: Vec<_> = r.iter().filter(|r| is_update(r, "p1", "u1")).cloned().collect();
        for mut record in again {
            if let Record::Update { offset, update_id, record_time, created, .. } = &mut record {
                (*offset, *record_time, *update_id) = (90, 9000, "u1-again".into());
                created[0].id = "another".into();
            }
            r.push(record);
        }
    });
    finds(Kind::Duplicated, |r| {
        let answer = r.iter_mut().find(|r| matches!(r, Record::Answer { command, .. } if command == "c3"));
        if let Some(Record::Answer { outcome, .. }) = answer {
            *outcome = Outcome::Rejected { code: "X".into() };
        }
    });
}

#[test]
fn a_reordered_command_is_found() {
    // A stream whose record times go back, and an order that contradicts what a client knew.
    for ids in [&["u3"][..], &["u3", "u4"]] {
        finds(Kind::Reordered, |r| {
            for record in r {
                if let Record::Update { record_time, update_id, .. } = record
                    && ids.contains(&update_id.as_str())
                {
                    *record_time -= 500;
                }
            }
        });
    }
    finds(Kind::Reordered, |r| {
        for record in r {
            if let Record::Submit { at, command, .. } = record
                && command == "c0"
            {
                *at = 1_000;
            }
        }
    });
}

#[test]
fn divergence_is_found() {
    finds(Kind::Divergent, |r| {
        for record in r.iter_mut().filter(|r| is_update(r, "p2", "u2")) {
            if let Record::Update { created, .. } = record {
                created[0].content = "y".into();
            }
        }
    });
    finds(Kind::Divergent, |r| {
        for record in r.iter_mut().filter(|r| is_update(r, "p2", "u2")) {
            if let Record::Update { created, .. } = record {
                created.clear();
            }
        }
    });
}

#[test]
fn undecided_and_empty_histories_are_found() {
    finds(Kind::Undecided, |r| {
        r.push(Record::Submit { at: 1, command: "c9".into(), participant: "p1".into(), stakeholders: vec![] });
        r.push(answer(2, "c9", None, Outcome::Unknown));
    });
    assert_eq!(check(&[]).count(Kind::Inconclusive), 1);
    finds(Kind::Inconclusive, |r| r.retain(|r| !matches!(r, Record::Update { .. } | Record::ReadToEnd { .. })));
}

#[test]
fn an_unknown_outcome_may_go_either_way() {
    let mut records = sound(2);
    for (command, at) in [("c0", 3), ("c9", 30)] {
        records.push(answer(at, command, None, Outcome::Unknown));
    }
    records.extend((0..2).map(|i| completion(i + 1, &format!("c{i}"), "s", Some(&format!("u{i}")), i)));
    records.push(completion(77, "c9", "s", None, 9));
    records.push(Record::Submit { at: 25, command: "c9".into(), participant: "p1".into(), stakeholders: vec![] });
    let verdict = check(&records);
    assert_eq!(verdict.violations, []);
    assert_eq!((verdict.counts.unknown_resolved, verdict.counts.rejected), (2, 1));
}

#[test]
fn histories_survive_as_lines() {
    let records = sound(2);
    let lines: Vec<_> = records.iter().map(|r| serde_json::to_string(r).unwrap()).collect();
    assert_eq!(parse(&lines.join("\n")).unwrap(), records);
    assert_eq!(parse("\n{}").unwrap_err().line, 2);
}
