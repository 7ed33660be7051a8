//! Counting responses until every quorum is reached, or one cannot be reached any more (spec/protocol.md §2.12).

use base::{Hash, ParticipantId, PartyId, Timestamp};
use protocol::{
    Rule,
    message::{ConfirmationResponse, ConfirmationResponses, LocalVerdict, RejectReason, RequestId, Verdict},
    tree::{InformeeTree, Quorum, ViewPosition},
};
use std::collections::{BTreeMap, BTreeSet};
use topology::{Permission, Snapshot};
use transaction::Parties;

/// One undecided request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Aggregation {
    pub(crate) request: RequestId,
    pub(crate) root_hash: Hash,
    /// Responses that are sequenced later do not count.
    pub(crate) deadline: Timestamp,
    /// A verdict that is sequenced later does not count.
    pub(crate) decision_time: Timestamp,
    /// Who gets the verdict.
    pub(crate) participants: BTreeSet<ParticipantId>,
    views: BTreeMap<ViewPosition, ViewState>,
    rejects: Vec<RejectReason>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct ViewState {
    quorums: Vec<Quorum>,
    parties: BTreeMap<PartyId, PartyState>,
}

/// What the hosts of one party have said about one view. One approval suffices; the party rejects when all did.
#[derive(Clone, PartialEq, Eq, Debug)]
struct PartyState {
    /// Who may speak for it.
    hosts: BTreeSet<ParticipantId>,
    /// Those of them that have not.
    silent: BTreeSet<ParticipantId>,
    approved: bool,
}

impl Aggregation {
    /// Everybody may confirm who hosts a confirmer with at least that permission at the request's time.
    pub(crate) fn new(
        request: RequestId,
        tree: &InformeeTree,
        participants: BTreeSet<ParticipantId>,
        snapshot: Snapshot<'_>,
        (deadline, decision_time): (Timestamp, Timestamp),
    ) -> Self {
        let party = |party: &PartyId| {
            let hosts = confirming_hosts(snapshot, party);
            PartyState { silent: hosts.clone(), hosts, approved: false }
        };
        let views = tree.views.iter().map(|(position, leaf)| {
            let common = leaf.value();
            let parties = common.confirmers().into_iter().map(|p| (p.clone(), party(&p))).collect();
            (position.clone(), ViewState { quorums: common.quorums.clone(), parties })
        });
        Self {
            request,
            root_hash: tree.root_hash(),
            deadline,
            decision_time,
            participants,
            views: views.collect(),
            rejects: Vec::new(),
        }
    }

    /// Counts a participant's responses; the first per party and view counts. Returns what was wrong with them.
    pub(crate) fn respond(&mut self, responses: &ConfirmationResponses) -> Vec<String> {
        let mut wrong = Vec::new();
        for response in &responses.responses {
            match &response.view {
                None => self.reject_everything(&responses.sender, response),
                Some(view) => match self.views.get_mut(view) {
                    None => wrong.push(format!("there is no view {view}")),
                    Some(state) => {
                        let (counted, not_its) = state.respond(&responses.sender, response);
                        if !not_its.is_empty() {
                            wrong.push(format!("it may not confirm view {view} for {not_its:?}"));
                        }
                        self.note(&responses.sender, counted, &response.verdict);
                    }
                },
            }
        }
        wrong
    }

    /// The request as a whole is malformed for the sender: it rejects for all its confirmers.
    fn reject_everything(&mut self, sender: &ParticipantId, response: &ConfirmationResponse) {
        let mut all = Parties::new();
        for state in self.views.values_mut() {
            let mine = state.parties.iter().filter(|(_, party)| party.silent.contains(sender));
            let parties = mine.map(|(party, _)| party.clone()).collect();
            all.extend(state.respond(sender, &ConfirmationResponse { parties, ..response.clone() }).0);
        }
        self.note(sender, all, &response.verdict);
    }

    fn note(&mut self, participant: &ParticipantId, parties: Parties, verdict: &LocalVerdict) {
        let (LocalVerdict::Reject(reject) | LocalVerdict::Abstain(reject)) = verdict else { return };
        if !parties.is_empty() {
            self.rejects.push(RejectReason { parties, participant: participant.clone(), reject: reject.clone() });
        }
    }

    /// The verdict, as soon as there is no doubt any more.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let quorums = || self.views.values().flat_map(|view| view.quorums.iter().map(move |quorum| (view, quorum)));
        if quorums().all(|(view, quorum)| view.weight(quorum, |party| party.approved) >= u64::from(quorum.threshold)) {
            return Some(Verdict::Approve);
        }
        let hopeful = |party: &PartyState| party.approved || !party.silent.is_empty();
        let lost = quorums().any(|(view, quorum)| view.weight(quorum, hopeful) < u64::from(quorum.threshold));
        lost.then(|| Verdict::ParticipantReject(self.rejects.clone()))
    }

    /// The parties without which some quorum is not reached.
    pub(crate) fn unresponsive(&self) -> Parties {
        let silent = |view: &ViewState| -> Vec<PartyId> {
            let parties = view.parties.iter().filter(|(_, party)| !party.approved && !party.silent.is_empty());
            parties.map(|(party, _)| party.clone()).collect()
        };
        self.views.values().flat_map(silent).collect()
    }
}

impl ViewState {
    /// Returns the parties for which the response counts, and those for which the sender may not speak.
    fn respond(&mut self, sender: &ParticipantId, response: &ConfirmationResponse) -> (Parties, Parties) {
        let (mut counted, mut not_its) = (Parties::new(), Parties::new());
        for party in &response.parties {
            let foreign = |state: &PartyState| Rule::VoterHosts.broken(!state.hosts.contains(sender));
            match self.parties.get_mut(party).filter(|state| !foreign(state)) {
                None => {
                    not_its.insert(party.clone());
                }
                Some(state) => {
                    // A second answer changes nothing.
                    if state.silent.remove(sender) {
                        state.approved |= response.verdict == LocalVerdict::Approve;
                        counted.insert(party.clone());
                    }
                }
            }
        }
        (counted, not_its)
    }

    fn weight(&self, quorum: &Quorum, counts: impl Fn(&PartyState) -> bool) -> u64 {
        let counted = quorum.confirmers.iter().filter(|(party, _)| self.parties.get(*party).is_some_and(&counts));
        counted.map(|(_, weight)| u64::from(*weight)).sum()
    }
}

/// Participants that may confirm for a party.
pub(crate) fn confirming_hosts(snapshot: Snapshot<'_>, party: &PartyId) -> BTreeSet<ParticipantId> {
    let hosts = snapshot.hosts(party).into_iter();
    hosts.filter(|(_, permission)| *permission >= Permission::Confirmation).map(|(host, _)| host).collect()
}
