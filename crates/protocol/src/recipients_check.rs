//! Whether every participant that should have a view has it (spec/protocol.md §2.9, recipients check).
//!
//! All honest participants of a view must agree whether the view counts, so each looks only at what all of them see:
//! the informees of the view, the recipients of its envelope, and the topology at the request.

use crate::{Rule, sequencing::Recipients, tree::ViewPosition};
use base::{MemberId, ParticipantId};
use std::collections::{BTreeMap, BTreeSet};
use topology::Snapshot;
use transaction::Parties;

/// A view as received: who is informed, and to whom the envelope was addressed as far as one may see.
#[derive(Clone, Debug)]
pub struct ReceivedView<'a> {
    /// Of the view's common data.
    pub informees: &'a Parties,
    /// As delivered with the envelope.
    pub recipients: &'a Recipients,
}

/// What the check found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecipientsCheck {
    /// Views that do not count.
    pub discarded: BTreeSet<ViewPosition>,
    /// Misbehaviour of the submitter, for people. Not every one discards a view.
    pub alarms: Vec<String>,
}

/// Checks all received views of a request together.
#[must_use]
pub fn check_recipients(views: &BTreeMap<ViewPosition, ReceivedView<'_>>, snapshot: Snapshot<'_>) -> RecipientsCheck {
    let mut check = Check { views, snapshot, bad: BTreeSet::new(), alarms: Vec::new() };
    for (position, view) in views {
        let (_, homeless) = snapshot.informee_participants(view.informees);
        if !homeless.is_empty() {
            check.fail(position, &format!("no active participant hosts {homeless:?}"));
        }
        check.view(position, view);
    }
    let Check { bad, alarms, .. } = check;
    // A failure at a view discards the views around it, too: without it they are incomplete.
    let around_bad = |position: &ViewPosition| bad.iter().any(|b| position.contains(b));
    RecipientsCheck { discarded: views.keys().filter(|p| around_bad(p)).cloned().collect(), alarms }
}

struct Check<'a> {
    views: &'a BTreeMap<ViewPosition, ReceivedView<'a>>,
    snapshot: Snapshot<'a>,
    bad: BTreeSet<ViewPosition>,
    alarms: Vec<String>,
}

impl Check<'_> {
    fn fail(&mut self, position: &ViewPosition, why: &str) {
        self.alarms.push(format!("view {position}: {why}"));
        self.bad.insert(position.clone());
    }

    /// One good path to the view is enough; if there is none, the failures of the last one count.
    fn view(&mut self, position: &ViewPosition, view: &ReceivedView<'_>) {
        let paths = view.recipients.paths();
        if paths.len() != 1 {
            self.alarms.push(format!("view {position}: its recipients are {} paths, not one", paths.len()));
        }
        let mut failures = vec![(position.clone(), "it has no recipients".to_owned())];
        for path in &paths {
            failures = self.path(position, path);
            if failures.is_empty() {
                break;
            }
        }
        for (position, why) in failures {
            self.fail(&position, &why);
        }
    }

    /// Compares the sets of recipients, from the view outwards, with the views around it.
    fn path(&mut self, position: &ViewPosition, path: &[&BTreeSet<MemberId>]) -> Vec<(ViewPosition, String)> {
        if path.len() > position.0.len() {
            self.alarms.push(format!("view {position}: its path of recipients is longer than its position"));
        }
        let mut failures = Vec::new();
        for (steps, depth) in (1..=position.0.len()).rev().enumerate() {
            let level = ViewPosition(position.0[..depth].to_vec());
            let element = path.iter().rev().nth(steps);
            match (self.views.get(&level), element) {
                (Some(view), Some(element)) => {
                    let (needed, _) = self.snapshot.informee_participants(view.informees);
                    let needed: BTreeSet<_> = needed.iter().map(ParticipantId::member).collect();
                    if Rule::ViewRecipients.broken(!needed.is_subset(element)) {
                        let missing: Vec<_> = needed.difference(element).collect();
                        failures.push((level, format!("view {position} was not addressed to {missing:?}")));
                    } else if Rule::NoOtherRecipients.broken(!element.is_subset(&needed)) {
                        self.alarms.push(format!("view {position}: somebody beyond its informees received it"));
                    }
                }
                (Some(_), None) => {
                    failures.push((level, format!("view {position} was not addressed to those who see this view")));
                    break;
                }
                // Received through a view around that did not come: those around it are incomplete.
                (None, Some(_)) => {
                    let missing = format!("view {level} around {position} did not come");
                    failures.extend(level.parent().map(|around| (around, missing)));
                }
                (None, None) => {}
            }
        }
        failures
    }
}
