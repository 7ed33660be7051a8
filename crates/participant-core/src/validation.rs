//! The checks of a request as it arrives, and of what its views reinterpret to (spec/protocol.md §2.9, §2.10).

use crate::{
    ActivenessSet, Incoming, Lockables,
    effect::{Reinterpret, Respond},
    merge::merge,
    pending::{Pending, Root, State},
};
use base::{ContractId, ErrorCode, Hash, ParticipantId, Timestamp, codes};
use protocol::{
    Alarm, ReceivedView, Rule, check_recipients,
    message::{ConfirmationResponse, ConfirmationResponses, LocalReject, RequestId, ViewMessage, signed_root_hash},
    tree::{
        Action, KeyStates, LightViewTree, ParticipantMetadata, Rebuilt, SubmitterMetadata, ViewPosition, reassemble,
        rebuild,
    },
};
use std::collections::{BTreeMap, BTreeSet};
use topology::{Parameters, Permission, Snapshot};
use transaction::{ContractKey, Node, NodeId, Parties, Transaction};

/// A request that counts, and what is to be done for it.
pub(crate) struct Opened {
    pub(crate) pending: Pending,
    pub(crate) activeness: ActivenessSet,
    pub(crate) reinterpret: Vec<Reinterpret>,
    pub(crate) alarms: Vec<Alarm>,
}

/// A request that does not count.
pub(crate) struct Ignored {
    /// For the completion, if it is our own.
    pub(crate) code: ErrorCode,
    pub(crate) why: String,
    /// To a mediator that waits for it.
    pub(crate) answer: Option<Box<Respond>>,
}

fn ignored(code: ErrorCode, why: impl Into<String>) -> Ignored {
    Ignored { code, why: why.into(), answer: None }
}

/// Who looks at a request, and when.
#[derive(Clone, Copy)]
pub(crate) struct Validator<'a> {
    pub(crate) me: &'a ParticipantId,
    pub(crate) request: RequestId,
    /// At the request's time.
    pub(crate) snapshot: Snapshot<'a>,
}

impl Validator<'_> {
    /// Whether one of the parties is hosted here.
    pub(crate) fn hosts_any(self, parties: &Parties) -> bool {
        parties.iter().any(|party| self.snapshot.permission(party, self.me).is_some())
    }

    /// The first part of validation: everything that needs no interpreter.
    pub(crate) fn open(self, incoming: &Incoming, before: Option<Timestamp>) -> Result<Opened, Ignored> {
        let malformed = codes::LOCAL_VERDICT_MALFORMED_REQUEST;
        let bad_root_hash = codes::LOCAL_VERDICT_BAD_ROOT_HASH_MESSAGES;
        let mediator = incoming.mediator(self.me).map_err(|why| self.unusable(incoming, bad_root_hash, why))?;
        let (root_hash_message, _) = &incoming.root_hashes[0];
        if Some(&root_hash_message.synchronizer) != self.snapshot.synchronizer() {
            return Err(ignored(malformed, "the request is for another synchronizer"));
        }
        let Some(parameters) = self.snapshot.parameters() else {
            return Err(ignored(malformed, "the synchronizer is not initialized"));
        };
        if Rule::ActiveMediator.broken(!self.snapshot.is_active_mediator(&mediator)) {
            return Err(ignored(codes::CHOSEN_MEDIATOR_IS_INACTIVE, format!("mediator {mediator} is not active")));
        }
        let received = Received::sort(incoming, root_hash_message.root_hash);
        let Some(first) = received.trees.values().next() else {
            let why = received.malformed.map_or_else(|| "it has no view".to_owned(), |reject| reject.details);
            return Err(self.unusable(incoming, codes::LOCAL_VERDICT_MALFORMED_PAYLOAD, why));
        };
        let (common, times) = (first.common.value().clone(), first.participant.value().clone());
        let elsewhere = common.mediator != mediator || common.synchronizer != root_hash_message.synchronizer;
        if Rule::ViewMediator.broken(elsewhere) {
            return Err(ignored(malformed, "the views name another mediator than the root hash message"));
        }
        let submitter =
            received.trees.values().find_map(|tree| tree.submitter.as_ref()).map(|leaf| leaf.value().clone());
        let (views, alarms) = received.check_recipients(self.snapshot);
        let who = submitter.as_ref().map(|submitter| submitter.participant.member());
        let alarm = |what| Alarm { code: codes::SYNC_SERVICE_ALARM, what, who: who.clone() };
        let alarms = alarms.into_iter().map(alarm).collect();
        let mut pending = Pending {
            request: self.request,
            before,
            root_hash: root_hash_message.root_hash,
            mediator,
            deadline: parameters.response_deadline(self.request),
            decision_time: parameters.decision_time(self.request),
            mine: None,
            in_flight: None,
            submitter,
            common,
            ledger_time: times.ledger_time,
            workflow: times.workflow.clone(),
            confirmers: views.iter().map(|(at, tree)| (at.clone(), self.confirmers(tree))).collect(),
            roots: BTreeMap::new(),
            malformed: received.malformed.or_else(|| {
                (views.len() < received.trees.len())
                    .then(|| reject(malformed, "views do not count because others did not get them"))
            }),
            rejects: Vec::new(),
            activeness: crate::ActivenessResult::default(),
            stakeholders: BTreeMap::new(),
            keys: BTreeMap::new(),
            created_keys: BTreeSet::new(),
            maintainers: BTreeMap::new(),
            lock: Lockables::default(),
            state: State::Open,
        };
        self.add_roots(&mut pending, &views);
        let activeness = self.activeness(&mut pending);
        self.check_times(&mut pending, parameters, &times);
        if let Some(submitter) = pending.submitter.clone() {
            self.check_submitter(&mut pending, &submitter, incoming);
        }
        let reinterpret = if pending.malformed.is_some() { Vec::new() } else { self.reinterpret(&pending, &times) };
        Ok(Opened { pending, activeness, reinterpret, alarms })
    }

    /// A request of which nothing can be checked. The mediator that was named with it is told so, or it would wait in vain.
    fn unusable(self, incoming: &Incoming, code: ErrorCode, why: String) -> Ignored {
        let answer = || {
            let (message, _) = incoming.root_hashes.first()?;
            let mediator = incoming.only_mediator().filter(|mediator| self.snapshot.is_active_mediator(mediator))?;
            let synchronizer = self.snapshot.synchronizer().filter(|here| **here == message.synchronizer)?;
            let responses = vec![ConfirmationResponse::malformed(reject(code, why.clone()))];
            Some(Box::new(Respond {
                responses: ConfirmationResponses {
                    synchronizer: synchronizer.clone(),
                    request: self.request,
                    root_hash: message.root_hash,
                    sender: self.me.clone(),
                    responses,
                },
                mediator,
                max_sequencing_time: self.snapshot.parameters()?.response_deadline(self.request),
            }))
        };
        let answer = Rule::Answered.broken(true).then(answer).flatten();
        Ignored { answer, ..ignored(code, why) }
    }

    /// The confirmers of a view for which this participant may answer.
    fn confirmers(self, tree: &LightViewTree) -> Parties {
        let may = |party: &base::PartyId| {
            self.snapshot.permission(party, self.me).is_some_and(|p| p >= Permission::Confirmation)
        };
        tree.view_common.value().confirmers().into_iter().filter(may).collect()
    }

    /// Puts the outermost views together.
    fn add_roots(self, pending: &mut Pending, views: &BTreeMap<ViewPosition, LightViewTree>) {
        for at in views.keys() {
            let inside = (1..at.0.len()).any(|depth| views.contains_key(&ViewPosition(at.0[..depth].to_vec())));
            if inside {
                continue;
            }
            match reassemble(at, views) {
                Some(view) => {
                    pending.roots.insert(at.clone(), Root { view, rebuilt: None });
                }
                None => {
                    let why = format!("view {at} is incomplete");
                    pending.refuse(codes::LOCAL_VERDICT_MALFORMED_PAYLOAD, why);
                }
            }
        }
    }

    /// What the views do with contracts that are hosted here. Also checks that inputs are what their ids say.
    fn activeness(self, pending: &mut Pending) -> ActivenessSet {
        let mut set = ActivenessSet::default();
        let mut created = BTreeSet::new();
        let mut wrong = None;
        let roots = std::mem::take(&mut pending.roots);
        for (_, view) in roots.iter().flat_map(|(at, root)| root.view.all(at)) {
            let data = view.data.value();
            for contract in data.created.iter().map(|c| &c.contract) {
                created.insert(contract.id.clone());
                pending.created_keys.extend(contract.instance.key.as_ref().map(|key| key.hash));
                pending.note(contract);
                if self.hosts_any(&contract.instance.stakeholders) {
                    set.fresh.insert(contract.id.clone());
                    set.lock.add(contract);
                }
            }
            for input in data.inputs.values() {
                let contract = &input.contract;
                pending.note(contract);
                if Rule::ContractId.broken(!contract.is_authentic()) {
                    wrong.get_or_insert(format!("the id of contract {} does not belong to its content", contract.id));
                }
                if Rule::ContractAge.broken(contract.created_at > pending.ledger_time) {
                    wrong.get_or_insert(format!("contract {} is younger than the transaction", contract.id));
                }
                if self.hosts_any(&contract.instance.stakeholders) {
                    set.active.insert(contract.id.clone());
                    if input.consumed && !data.rolled_back {
                        set.lock.add(contract);
                    }
                }
            }
        }
        set.keys = self.key_numbers(pending, &roots, &created).unwrap_or_else(|why| {
            wrong.get_or_insert(why);
            BTreeMap::new()
        });
        pending.roots = roots;
        set.active.retain(|id| !created.contains(id));
        if let Some(why) = wrong {
            pending.refuse(codes::LOCAL_VERDICT_MALFORMED_REQUEST, why);
        }
        pending.lock.clone_from(&set.lock);
        set
    }

    /// How many contracts the keys with hosted maintainers must have before the request, as far as the views say. Contracts
    /// that they say the keys have must be known, and have them.
    fn key_numbers(
        self,
        pending: &mut Pending,
        roots: &BTreeMap<ViewPosition, Root>,
        created: &BTreeSet<ContractId>,
    ) -> Result<BTreeMap<Hash, u64>, String> {
        let mut numbers = BTreeMap::new();
        // Contracts of before that earlier views archived.
        let mut gone: BTreeMap<Hash, BTreeSet<ContractId>> = BTreeMap::new();
        for (at, root) in roots {
            for (hash, state) in &root.view.data.value().keys {
                pending.maintainers.insert(*hash, state.maintainers.clone());
                let has = |key: &ContractKey| key.hash == *hash && key.maintainers == state.maintainers;
                if let Some(id) = state.contracts.iter().find(|id| !pending.keys.get(*id).is_some_and(has)) {
                    return Err(format!(
                        "contract {id} does not have the key {} that view {at} finds it by",
                        hash.to_hex()
                    ));
                }
                // What later views say must follow from that; see `conclude`.
                if state.exhaustive && self.hosts_any(&state.maintainers) && !numbers.contains_key(hash) {
                    let listed = state.contracts.iter().filter(|id| !created.contains(*id));
                    let before: BTreeSet<_> = listed.chain(gone.get(hash).into_iter().flatten()).collect();
                    numbers.insert(*hash, u64::try_from(before.len()).unwrap_or(u64::MAX));
                }
            }
            for id in root.view.all(at).iter().flat_map(|(_, view)| view.data.value().archived()) {
                if let Some(key) = pending.keys.get(&id).filter(|_| !created.contains(&id)) {
                    gone.entry(key.hash).or_default().insert(id);
                }
            }
        }
        Ok(numbers)
    }

    fn check_times(self, pending: &mut Pending, parameters: &Parameters, times: &ParticipantMetadata) {
        let tolerance = parameters.ledger_time_record_time_tolerance;
        for (rule, name, time, code) in [
            (Rule::LedgerTime, "ledger", times.ledger_time, codes::LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND),
            (
                Rule::PreparationTime,
                "preparation",
                times.preparation_time,
                codes::LOCAL_VERDICT_SUBMISSION_TIME_OUT_OF_BOUND,
            ),
        ] {
            if rule.broken(time.distance(self.request) > tolerance) {
                let why = format!("{name} time {time} is more than {tolerance:?} from record time {}", self.request);
                pending.rejects.push(reject(code, why));
            }
        }
    }

    /// The submitter's signature on every top-level view, its right to act, and the time until which it meant it.
    fn check_submitter(self, pending: &mut Pending, submitter: &SubmitterMetadata, incoming: &Incoming) {
        let to_sign = signed_root_hash(&pending.root_hash);
        let member = submitter.participant.member();
        let code = codes::LOCAL_VERDICT_MALFORMED_REQUEST;
        let top = incoming.views.iter().filter(|(message, _)| message.tree.position.is_top());
        let mut signatures = top.filter_map(|(ViewMessage { signature, .. }, _)| signature.as_ref());
        let wrong = |s| Rule::ViewSigner.check(self.snapshot.verify(&member, &to_sign, s)).err();
        if let Some(e) = signatures.find_map(wrong) {
            pending.refuse(code, format!("the request's signature does not hold: {e}"));
        }
        for party in &submitter.act_as {
            let permission = self.snapshot.permission(party, &submitter.participant);
            if Rule::ActAs.broken(permission != Some(Permission::Submission)) {
                let why = format!("{} may not submit for {party}", submitter.participant);
                pending.refuse(code, why);
            }
        }
        if Rule::MaxSequencingTime.broken(self.request > submitter.max_sequencing_time) {
            pending.refuse(code, "the request was sequenced after its submitter's max sequencing time");
        }
    }

    fn reinterpret(self, pending: &Pending, times: &ParticipantMetadata) -> Vec<Reinterpret> {
        let one = |(at, root): (&ViewPosition, &Root)| {
            let data = root.view.data.value();
            let inputs = root.view.all(at).into_iter().flat_map(|(_, view)| view.data.value().inputs.clone());
            let created = match &data.action {
                Action::Create { .. } => data.created.first().map(|c| c.contract.instance.clone()),
                Action::Exercise { .. } | Action::Fetch { .. } => None,
            };
            let authorizers = match &data.action {
                Action::Create { .. } => created.as_ref().map(|c| c.signatories.clone()).unwrap_or_default(),
                Action::Exercise { actors, .. } | Action::Fetch { actors, .. } => actors.clone(),
            };
            Reinterpret {
                request: self.request,
                view: at.clone(),
                action: data.action.clone(),
                created,
                authorizers,
                contracts: inputs.map(|(id, input)| (id, input.contract)).collect(),
                keys: data.keys.clone(),
                ledger_time: times.ledger_time,
                preparation_time: times.preparation_time,
            }
        };
        pending.roots.iter().map(one).collect()
    }

    /// The second part: what a root view reinterprets to must be the view itself.
    pub(crate) fn conforms(
        self,
        pending: &Pending,
        at: &ViewPosition,
        interpreted: Result<Transaction, String>,
    ) -> Result<Rebuilt, String> {
        let root = pending.roots.get(at).ok_or("there is no such view")?;
        let wrong = |why: String| format!("view {at} does not conform to the model: {why}");
        let interpreted = interpreted.map_err(wrong)?;
        let submitter = pending.submitter.as_ref().filter(|_| at.is_top());
        let (common, time) = (&pending.common, pending.ledger_time);
        let rebuilt = rebuild(&root.view, at, submitter, common, time, self.snapshot, &interpreted);
        let rebuilt = rebuilt.map_err(|e| wrong(e.to_string()))?;
        if Rule::Conformance.broken(rebuilt.view != root.view) {
            return Err(wrong("its action has other consequences".into()));
        }
        Ok(rebuilt)
    }

    /// The third part, once all root views conform or do not: authority and consistency.
    pub(crate) fn conclude(self, pending: &mut Pending) {
        let (mut wrong, mut unlike, mut parts) = (None, Vec::new(), Vec::new());
        for (at, root) in &pending.roots {
            match &root.rebuilt {
                Some(Ok(rebuilt)) => {
                    let first = rebuilt.transaction.roots().first().and_then(|id| rebuilt.transaction.get(*id));
                    let authorized = first.map_or(Ok(()), |node| self.authorized(at, pending.submitter.as_ref(), node));
                    wrong = wrong.or(Rule::Authority.check(authorized).err());
                    parts.push(&rebuilt.transaction);
                }
                Some(Err(why)) => unlike.push(reject(codes::LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK, why)),
                None => {}
            }
        }
        let merged = merge(parts);
        if Rule::Consistency.broken(!is_consistent(&merged)) {
            wrong.get_or_insert_with(|| "a contract is used before or after its life".to_owned());
        }
        // Who hosts a maintainer sees everything that is done with the key.
        let KeyStates { states, contradicted } = KeyStates::of(&merged);
        let hosted = |key: &Hash| states.get(key).is_some_and(|state| self.hosts_any(&state.maintainers));
        if Rule::Consistency.broken(contradicted.iter().any(hosted)) {
            wrong.get_or_insert_with(|| "what is said of a contract key cannot all be true".to_owned());
        }
        if let Some(why) = wrong {
            pending.refuse(codes::LOCAL_VERDICT_MALFORMED_REQUEST, why);
        }
        pending.rejects.extend(unlike);
    }

    /// Whether those who must authorize the root actions do, as far as it can be seen here.
    fn authorized(self, at: &ViewPosition, submitter: Option<&SubmitterMetadata>, root: &Node) -> Result<(), String> {
        let required = root.required_authorizers();
        match submitter.filter(|_| at.is_top()) {
            Some(submitter) if required.is_subset(&submitter.act_as) => Ok(()),
            Some(submitter) => {
                let missing: Vec<_> = required.difference(&submitter.act_as).collect();
                Err(format!("view {at} lacks the authority of {missing:?}"))
            }
            // Whoever hosts an authorizer of an inner action sees the action around it that gives the authority.
            None if self.hosts_any(&required) => {
                Err(format!("the view around view {at} was withheld from this participant"))
            }
            None => Ok(()),
        }
    }
}

/// The views of a request.
struct Received<'a> {
    trees: BTreeMap<ViewPosition, LightViewTree>,
    recipients: BTreeMap<ViewPosition, &'a protocol::sequencing::Recipients>,
    malformed: Option<LocalReject>,
}

impl<'a> Received<'a> {
    /// Views that belong to the root hash, by position; anything else makes the request malformed.
    fn sort(incoming: &'a Incoming, root_hash: base::Hash) -> Self {
        let mut received = Self { trees: BTreeMap::new(), recipients: BTreeMap::new(), malformed: None };
        let mut wrong: Vec<String> = incoming.unreadable.clone();
        for (message, recipients) in &incoming.views {
            let at = message.tree.position.clone();
            if Rule::ViewRootHash.broken(message.tree.root_hash() != root_hash) {
                wrong.push(format!("view {at} has another root hash than the root hash message"));
            } else if received.trees.insert(at.clone(), message.tree.clone()).is_some() {
                wrong.push(format!("view {at} is there twice"));
            } else {
                received.recipients.insert(at, recipients);
            }
        }
        received.malformed = wrong.into_iter().next().map(|why| reject(codes::LOCAL_VERDICT_MALFORMED_PAYLOAD, why));
        received
    }

    /// The views that count.
    fn check_recipients(&self, snapshot: Snapshot<'_>) -> (BTreeMap<ViewPosition, LightViewTree>, Vec<String>) {
        let views = self.trees.iter().filter_map(|(at, tree)| {
            let informees = &tree.view_common.value().informees;
            Some((at.clone(), ReceivedView { informees, recipients: self.recipients.get(at)? }))
        });
        let check = check_recipients(&views.collect(), snapshot);
        let counts = self.trees.iter().filter(|(at, _)| !check.discarded.contains(*at));
        (counts.map(|(at, tree)| (at.clone(), tree.clone())).collect(), check.alarms)
    }
}

pub(crate) fn reject(code: ErrorCode, why: impl Into<String>) -> LocalReject {
    LocalReject::new(code, why, Vec::new())
}

/// Within the transaction as seen here, no contract is used before it is created or after it is archived; what is
/// undone by a rollback does not count after it.
fn is_consistent(transaction: &Transaction) -> bool {
    let all: BTreeSet<_> = transaction.created_contracts().cloned().collect();
    let (mut created, mut archived) = (BTreeSet::<ContractId>::new(), BTreeSet::<ContractId>::new());
    // Open rollbacks: where they end, and what was archived before them.
    let mut rollbacks: Vec<(NodeId, BTreeSet<ContractId>)> = Vec::new();
    for (id, node) in transaction.nodes() {
        while let Some((end, _)) = rollbacks.last()
            && *end <= id
        {
            archived = rollbacks.pop().map(|(_, before)| before).unwrap_or_default();
        }
        let used = match node {
            Node::Create(create) => {
                if !created.insert(create.contract_id.clone()) {
                    return false;
                }
                continue;
            }
            Node::Fetch(fetch) => &fetch.contract_id,
            Node::Exercise(exercise) => &exercise.contract_id,
            Node::Rollback(_) => {
                rollbacks.push((transaction.subtree_end(id), archived.clone()));
                continue;
            }
            Node::QueryByKey(_) => continue,
        };
        if archived.contains(used) || (all.contains(used) && !created.contains(used)) {
            return false;
        }
        if matches!(node, Node::Exercise(exercise) if exercise.consuming) {
            archived.insert(used.clone());
        }
    }
    true
}
