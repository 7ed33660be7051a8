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
        r.push(Record::Answer { at: 2, command: "c9".into(), outcome: Outcome::Unknown });
    });
    assert_eq!(check(&[]).count(Kind::Inconclusive), 1);
    finds(Kind::Inconclusive, |r| r.retain(|r| !matches!(r, Record::Update { .. } | Record::ReadToEnd { .. })));
}

#[test]
fn an_unknown_outcome_may_go_either_way() {
    let mut records = sound(2);
    for (command, at) in [("c0", 3), ("c9", 30)] {
        records.push(Record::Answer { at, command: command.into(), outcome: Outcome::Unknown });
    }
    records.push(Record::Completion {
        participant: "p1".into(),
        replica: "p1a".into(),
        offset: 77,
        command: "c9".into(),
        update_id: None,
    });
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
