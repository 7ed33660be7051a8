//! The properties that hold within what one participant shows.

use crate::check::{History, Kind, Stream, Update};
use std::collections::{BTreeMap, BTreeSet};

impl<'a> History<'a> {
    fn stream(&self, participant: &str, replica: &str) -> Option<&Stream<'a>> {
        self.streams.get(participant)?.get(replica)
    }

    /// Each attempt completes at most once, in the order of offsets, and as the updates say; each update of a command
    /// completes it (P3).
    pub(crate) fn completions_tell_the_updates(&mut self) {
        let mut wrong = Vec::new();
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        let mut attempts: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut completing: BTreeSet<(&str, i64)> = BTreeSet::new();
        for c in &self.completed {
            let (replica, command, offset) = (c.replica, c.command, c.offset);
            if last.insert(replica, offset).is_some_and(|before| before >= offset) {
                wrong.push(format!(
                    "{replica} completes {command} at offset {offset}, which is not after the one before"
                ));
            }
            if let Some(submission) = c.submission
                && !attempts.insert((replica, submission))
            {
                wrong.push(format!("{replica} completes the attempt {submission} of {command} twice"));
            }
            let Some(update) = c.update else { continue };
            completing.insert((replica, offset));
            let shown = self.stream(c.participant, replica).and_then(|stream| stream.get(&offset));
            if shown.is_some_and(|shown| (shown.id, shown.command) != (update, Some(command))) {
                wrong.push(format!("{replica} completes {command} as {update}, but shows another update at {offset}"));
            }
        }
        for (replica, stream) in self.streams.values().flatten() {
            // Not every history has completions.
            let of_commands =
                stream.iter().filter(|(_, update)| update.command.is_some() && last.contains_key(replica));
            for (offset, update) in of_commands.filter(|(offset, _)| !completing.contains(&(replica, **offset))) {
                wrong.push(format!(
                    "{replica} shows update {} at {offset}, but no completion of its command",
                    update.id
                ));
            }
        }
        wrong.into_iter().for_each(|text| self.wrong(Kind::Incomplete, text));
    }

    /// What a client was told has no effect has none (P14).
    pub(crate) fn refusals_are_honest(&mut self) {
        let mut wrong = BTreeSet::new();
        for c in &self.completed {
            let refused = self
                .commands
                .get(c.command)
                .is_some_and(|command| c.submission.is_some_and(|submission| command.refused.contains(submission)));
            if let (true, Some(update), Some(submission)) = (refused, c.update, c.submission) {
                wrong.insert(format!("attempt {submission} of {} was refused, yet took effect as {update}", c.command));
            }
        }
        wrong.into_iter().for_each(|text| self.wrong(Kind::Dishonest, text));
    }

    /// What is active was created and not archived (P9).
    pub(crate) fn active_is_what_updates_leave(&mut self) {
        let mut wrong = Vec::new();
        for ((participant, replica), active) in &self.active {
            let Some(stream) = self.stream(participant, replica) else { continue };
            let ids = |of: fn(&Update<'a>) -> &'a [crate::Contract]| -> BTreeSet<&str> {
                stream.values().flat_map(of).map(|contract| contract.id.as_str()).collect()
            };
            let (created, archived) = (ids(|u| u.created), ids(|u| u.archived));
            let left: BTreeSet<&str> = created.difference(&archived).copied().collect();
            for id in left.symmetric_difference(active) {
                let says = if active.contains(id) { "says" } else { "does not say" };
                wrong.push(format!("{replica} {says} that contract {id} is active, its updates tell otherwise"));
            }
        }
        wrong.into_iter().for_each(|text| self.wrong(Kind::Unbalanced, text));
    }

    /// What a client was shown comes once, in order, and stays; the ledger end never goes back (P10).
    pub(crate) fn nothing_shown_is_taken_back(&mut self) {
        let mut wrong = Vec::new();
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        for (participant, offset, update) in &self.seen {
            if last.insert(participant, *offset).is_some_and(|before| before >= *offset) {
                wrong.push(format!("a follower of {participant} was shown offset {offset} too late or again"));
            }
            let replicas = self.streams.get(participant).into_iter().flatten();
            for (replica, _) in replicas.filter(|(_, s)| s.get(offset).is_none_or(|shown| shown.id != *update)) {
                wrong.push(format!(
                    "update {update} was shown at offset {offset}, but {replica} does not show it there"
                ));
            }
        }
        // Between the first and the last update that a follower was shown it misses none.
        for (participant, end) in &last {
            let shown: BTreeSet<i64> =
                self.seen.iter().filter(|(p, ..)| p == participant).map(|(_, o, _)| *o).collect();
            let first = shown.first().copied().unwrap_or(*end);
            let Some(stream) = self.streams.get(participant).and_then(|replicas| replicas.values().next()) else {
                continue;
            };
            for (offset, update) in stream.range(first..=*end).filter(|(offset, _)| !shown.contains(offset)) {
                wrong.push(format!("a follower of {participant} was not shown update {} at {offset}", update.id));
            }
        }
        let mut ends: BTreeMap<&str, i64> = BTreeMap::new();
        for (participant, offset) in &self.ends {
            if ends.insert(participant, *offset).is_some_and(|before| before > *offset) {
                wrong.push(format!("the ledger end of {participant} went back to {offset}"));
            }
        }
        wrong.into_iter().for_each(|text| self.wrong(Kind::Rewound, text));
    }
}
