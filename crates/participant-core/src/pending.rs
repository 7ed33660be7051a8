//! A request between its sequencing and its publication.

use crate::{
    ActivenessResult, CommitSet, Completion, Lockables, Publish, Rejection, Update, effect::Respond, merge::merge,
};
use base::{
    ContractId, ErrorCode, Hash, MediatorId, MessageId, ParticipantId, PartyId, SynchronizerId, Timestamp, UpdateId,
    WorkflowId, codes,
};
use protocol::{
    Alarm, Contract,
    message::{ConfirmationResponse, ConfirmationResponses, LocalReject, LocalVerdict, RequestId, Verdict},
    tree::{CommonMetadata, Rebuilt, SubmitterMetadata, View, ViewPosition},
};
use std::collections::{BTreeMap, BTreeSet};
use transaction::{ContractKey, Node, NodeVersion, Parties, Transaction};

/// See the module's head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pending {
    pub(crate) request: RequestId,
    /// The event before: where a replay that includes the request begins.
    pub(crate) before: Option<Timestamp>,
    pub(crate) root_hash: Hash,
    pub(crate) mediator: MediatorId,
    pub(crate) deadline: Timestamp,
    pub(crate) decision_time: Timestamp,
    /// If this participant submitted it, and not as a replay.
    pub(crate) mine: Option<SubmitterMetadata>,
    pub(crate) in_flight: Option<MessageId>,
    /// If a top-level view was received.
    pub(crate) submitter: Option<SubmitterMetadata>,
    pub(crate) common: CommonMetadata,
    pub(crate) ledger_time: Timestamp,
    pub(crate) workflow: Option<WorkflowId>,
    /// For every view that counts, the confirmers for whom this participant answers.
    pub(crate) confirmers: BTreeMap<ViewPosition, Parties>,
    /// The outermost views received.
    pub(crate) roots: BTreeMap<ViewPosition, Root>,
    /// Why the request as a whole is rejected: something is wrong that an honest submitter cannot get wrong. Nothing of it
    /// takes effect here, whoever approved it.
    pub(crate) malformed: Option<LocalReject>,
    /// Why every view is rejected, by whoever confirms here; the first reason counts.
    pub(crate) rejects: Vec<LocalReject>,
    pub(crate) activeness: ActivenessResult,
    /// Stakeholders of the contracts used.
    pub(crate) stakeholders: BTreeMap<ContractId, Parties>,
    /// Keys of those that have one.
    pub(crate) keys: BTreeMap<ContractId, ContractKey>,
    /// Keys of contracts that are created.
    pub(crate) created_keys: BTreeSet<Hash>,
    /// Who guards the keys that the views ask for.
    pub(crate) maintainers: BTreeMap<Hash, Parties>,
    pub(crate) lock: Lockables,
    pub(crate) state: State,
}

/// A view to be reinterpreted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Root {
    pub(crate) view: View,
    /// `None` until the interpreter has answered.
    pub(crate) rebuilt: Option<Result<Rebuilt, String>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// No verdict has come.
    Open,
    /// The mediator approved, but this participant has not finished its own validation.
    Approved,
    /// Decided; waits for earlier requests to be published.
    Done(Box<Publish>),
}

impl Pending {
    /// Remembers who has a stake in a contract.
    pub(crate) fn note(&mut self, contract: &Contract) {
        self.stakeholders.insert(contract.id.clone(), contract.instance.stakeholders.clone());
        self.keys.extend(contract.instance.key.clone().map(|key| (contract.id.clone(), key)));
    }

    /// The request as a whole is malformed; the first reason counts.
    pub(crate) fn refuse(&mut self, code: ErrorCode, why: impl Into<String>) {
        self.malformed.get_or_insert_with(|| LocalReject::new(code, why, Vec::new()));
    }

    /// Whether all views have been reinterpreted, or need not be.
    pub(crate) fn is_validated(&self) -> bool {
        self.malformed.is_some() || self.roots.values().all(|root| root.rebuilt.is_some())
    }

    /// The responses to send; `None` if nobody here confirms.
    pub(crate) fn respond(&self, synchronizer: &SynchronizerId, me: &ParticipantId) -> Option<Respond> {
        let responses: Vec<_> = match &self.malformed {
            Some(reject) => vec![ConfirmationResponse::malformed(reject.clone())],
            None => {
                let answers = self.confirmers.iter().filter(|(_, parties)| !parties.is_empty());
                answers
                    .map(|(view, parties)| ConfirmationResponse {
                        verdict: self.verdict(parties),
                        parties: parties.clone(),
                        view: Some(view.clone()),
                    })
                    .collect()
            }
        };
        (!responses.is_empty()).then(|| Respond {
            responses: ConfirmationResponses {
                synchronizer: synchronizer.clone(),
                request: self.request,
                root_hash: self.root_hash,
                sender: me.clone(),
                responses,
            },
            mediator: self.mediator.clone(),
            max_sequencing_time: self.deadline,
        })
    }

    /// What is wrong that an honest submitter cannot get wrong.
    pub(crate) fn alarms(&self) -> impl Iterator<Item = Alarm> {
        let code = codes::LOCAL_VERDICT_CREATES_EXISTING_CONTRACTS;
        let exist = |ids: String| LocalReject::new(code, format!("contracts {ids} exist already"), Vec::new());
        let existing: Vec<_> = self.activeness.not_fresh.iter().map(ToString::to_string).collect();
        let existing = (!existing.is_empty()).then(|| exist(existing.join(", ")));
        let rejects = self.malformed.iter().chain(self.rejects.iter().filter(|reject| reject.is_malformed()));
        let submitter = self.submitter.as_ref().map(|submitter| submitter.participant.member());
        rejects.cloned().chain(existing).map(move |reject| Alarm {
            code: reject.code,
            what: format!("request {}: {}", self.request, reject.details),
            who: submitter.clone(),
        })
    }

    /// The verdict on a view for which these parties confirm: contracts first, then everything else.
    fn verdict(&self, parties: &Parties) -> LocalVerdict {
        let concerned = |ids: &BTreeSet<ContractId>| -> Vec<String> {
            let known = |id: &ContractId| self.stakeholders.get(id).is_some_and(|s| !s.is_disjoint(parties));
            ids.iter().filter(|id| known(id)).map(ToString::to_string).collect()
        };
        let guarded = |keys: &BTreeSet<Hash>| -> Vec<String> {
            let known = |key: &Hash| self.maintainers.get(key).is_some_and(|m| !m.is_disjoint(parties));
            keys.iter().filter(|key| known(key)).map(Hash::to_hex).collect()
        };
        let ActivenessResult { locked, not_fresh, inactive, inconsistent } = &self.activeness;
        let (duplicate, inconsistent) = inconsistent.iter().partition(|key| self.created_keys.contains(key));
        let contracts = [
            (codes::LOCAL_VERDICT_CREATES_EXISTING_CONTRACTS, "contracts exist already", concerned(not_fresh)),
            (codes::LOCAL_VERDICT_INACTIVE_CONTRACTS, "contracts are not active", concerned(inactive)),
            (codes::LOCAL_VERDICT_DUPLICATE_KEY, "contracts with the same keys exist already", guarded(&duplicate)),
            (codes::LOCAL_VERDICT_INCONSISTENT_KEY, "keys have other contracts by now", guarded(&inconsistent)),
            (
                codes::LOCAL_VERDICT_LOCKED_CONTRACTS,
                "contracts are used by a request before",
                concerned(&locked.contracts),
            ),
            (codes::LOCAL_VERDICT_LOCKED_KEYS, "keys are used by a request before", guarded(&locked.keys)),
        ];
        let contracts = contracts.into_iter().find(|(_, _, ids)| !ids.is_empty());
        let reject = contracts
            .map(|(code, why, ids)| LocalReject::new(code, why, ids))
            .or_else(|| self.rejects.first().cloned());
        reject.map_or(LocalVerdict::Approve, LocalVerdict::Reject)
    }

    /// Whether this participant finds anything wrong, be it for a confirmer or only as one who looks on.
    pub(crate) fn rejects(&self) -> bool {
        self.malformed.is_some() || !self.rejects.is_empty() || self.activeness != ActivenessResult::default()
    }

    /// The views that may be committed: those that conform to the model.
    fn valid(&self) -> Vec<(&ViewPosition, &Rebuilt)> {
        if self.malformed.is_some() {
            return Vec::new();
        }
        let roots = self.roots.iter();
        roots.filter_map(|(at, root)| root.rebuilt.as_ref()?.as_ref().ok().map(|rebuilt| (at, rebuilt))).collect()
    }

    fn update_id(&self) -> UpdateId {
        UpdateId::new(self.root_hash.to_hex()).expect("64 hex digits are a ledger string")
    }

    /// The end of a request that the mediator approved. `None`: nothing of it is valid here.
    pub(crate) fn approved(&self, hosted: impl Fn(&Parties) -> bool) -> Option<Publish> {
        let valid = self.valid();
        if valid.is_empty() {
            return None;
        }
        let mut update = Update {
            id: self.update_id(),
            ledger_time: self.ledger_time,
            workflow: self.workflow.clone(),
            transaction: merge(valid.iter().map(|(_, rebuilt)| &rebuilt.transaction)),
            contracts: Vec::new(),
            divulged: Vec::new(),
            changes: CommitSet::default(),
        };
        let ours = |contract: &Contract| hosted(&contract.instance.stakeholders);
        for (at, rebuilt) in valid {
            for (_, view) in rebuilt.view.all(at) {
                let data = view.data.value();
                update.contracts.extend(data.effective_creates().cloned());
                let created = data.effective_creates().filter(|c| ours(c)).map(|c| c.id.clone());
                update.changes.created.extend(created);
                let archived = data.archived().into_iter();
                let hosted = |id: &ContractId| self.stakeholders.get(id).is_some_and(&hosted);
                update.changes.archived.extend(archived.filter(hosted));
            }
        }
        let seen = self.roots.iter().flat_map(|(at, root)| root.view.all(at)).flat_map(|(_, view)| {
            let data = view.data.value();
            data.inputs.values().map(|input| &input.contract).chain(data.effective_creates())
        });
        update.divulged = divulged(&update.transaction, seen, &hosted);
        let changed = &mut update.changes;
        for (ids, growth) in [(&changed.created, 1), (&changed.archived, -1)] {
            for key in ids.iter().filter_map(|id| self.keys.get(id)) {
                *changed.keys.entry(key.hash).or_default() += growth;
            }
        }
        let completion = self.mine.as_ref().map(|mine| Completion::of(mine, Ok(update.id.clone())));
        Some(self.publish(Some(update), completion))
    }

    /// The end of a request that has no effect.
    pub(crate) fn rejected(&self, why: Rejection) -> Publish {
        let completion = self.mine.as_ref().map(|mine| Completion::of(mine, Err(why)));
        self.publish(None, completion)
    }

    fn publish(&self, update: Option<Update>, completion: Option<Completion>) -> Publish {
        Publish { record_time: self.request, update, completion, in_flight: self.in_flight.clone() }
    }
}

/// Contracts that parties see without a stake in them, where that is enough to use them.
fn divulged<'a>(
    transaction: &Transaction,
    seen: impl Iterator<Item = &'a Contract>,
    hosted: impl Fn(&Parties) -> bool,
) -> Vec<(Contract, Parties)> {
    if !transaction.nodes().any(|(_, node)| node.version().is_some_and(NodeVersion::is_v1)) {
        return Vec::new();
    }
    let blinding = transaction.blinding();
    let mut all: BTreeMap<&ContractId, Parties> = BTreeMap::new();
    let mut archived = BTreeSet::new();
    for ((id, node), undone) in transaction.nodes().zip(transaction.rolled_back()) {
        let used = match node {
            Node::Create(create) => &create.contract_id,
            Node::Fetch(fetch) => &fetch.contract_id,
            Node::Exercise(exercise) => &exercise.contract_id,
            Node::QueryByKey(_) | Node::Rollback(_) => continue,
        };
        if !node.version().is_some_and(NodeVersion::is_v1) {
            continue;
        }
        if matches!(node, Node::Exercise(exercise) if exercise.consuming && !undone) {
            archived.insert(used);
        }
        all.entry(used).or_default().extend(blinding.witnesses(id).into_iter().flatten().cloned());
    }
    let contracts: BTreeMap<_, _> = seen.map(|contract| (&contract.id, contract)).collect();
    let left = all.into_iter().filter(|(id, _)| !archived.contains(id));
    left.filter_map(|(id, seers)| {
        let contract = *contracts.get(id)?;
        let is_new = |party: &PartyId| !contract.stakeholders().contains(party) && hosted(&[party.clone()].into());
        let parties: Parties = seers.into_iter().filter(is_new).collect();
        (!parties.is_empty()).then(|| (contract.clone(), parties))
    })
    .collect()
}

/// Why a verdict rejects, in the words of a completion.
pub(crate) fn rejection(verdict: &Verdict) -> Option<Rejection> {
    match verdict {
        Verdict::Approve => None,
        Verdict::MediatorReject { code, message, .. } => Some(Rejection::new(*code, message)),
        Verdict::ParticipantReject(reasons) => {
            let missing = || Rejection::new(codes::MEDIATOR_INVALID_MESSAGE, "the verdict rejects without a reason");
            Some(reasons.first().map_or_else(missing, |reason| Rejection {
                code: reason.reject.code,
                message: format!("rejected on behalf of {:?}: {}", reason.parties, reason.reject.details),
                resources: reason.reject.resources.clone(),
            }))
        }
    }
}
