//! Honest nodes around a list of messages: a mediator, Bob's participant `p1` and Carol's `p2`. Participant `p0`, which
//! hosts Mallory, is whatever a test makes of it. Dave is hosted by both honest ones.

use base::{ContractId, Hash, MemberId, MessageId, PackageId, PartyId, Timestamp};
use ledger_api::{CommandKind, PackageRef, TemplateRef};
use mediator_core::Mediator;
use participant::{Contracts, DamlEngine, Interpretation, Interpreted, Interpreter};
use participant_core::{ContractStatus, Event, Incoming, Participant, Publish};
use protocol::{
    ConfirmationRequest, Contract,
    message::{ConfirmationResponse, ConfirmationResponses, EnvelopeContent, LocalVerdict, RequestId, Signed, Verdict},
    sequencing::{Envelope, Outcome, Recipients, SequencedEvent},
    testing::{existing, secret},
    tree::{CommonMetadata, DeduplicationPeriod, Input, ParticipantMetadata, RequestUuid, Salt, SubmitterMetadata},
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use topology::{
    Permission, TopologyContent, TopologyMessage,
    testing::{Network, decryption_key, key},
};
use transaction::{Node, Numeric, Parties, Value};

pub(crate) const MILLI: Duration = Duration::from_millis(1);

/// Another organisation's participant that keeps to the rules, and its tables.
pub(crate) struct Honest {
    participant: Participant,
    statuses: BTreeMap<ContractId, ContractStatus>,
    published: Vec<Publish>,
}

struct Submission {
    sender: MemberId,
    message: Option<MessageId>,
    batch: Vec<Envelope>,
}

/// See the module's head.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) engine: DamlEngine,
    pub(crate) mallory: PartyId,
    pub(crate) bob: PartyId,
    pub(crate) carol: PartyId,
    pub(crate) dave: PartyId,
    /// Before Dave moved to Carol's participant as well, and before that gave up package `PingPong`.
    pub(crate) stale: Timestamp,
    /// Everything that was ever created; Mallory knows it all.
    pub(crate) contracts: BTreeMap<ContractId, Contract>,
    /// What nodes said about requests: alarms, rejections, verdicts.
    pub(crate) said: BTreeSet<String>,
    pub(crate) now: Timestamp,
    /// Mallory says that no contract has the key that a model asks for.
    pub(crate) hides_keys: bool,
    mediator: Mediator,
    honest: BTreeMap<MemberId, Honest>,
    queue: VecDeque<Submission>,
    ticks: BTreeSet<Timestamp>,
    packages: Vec<PackageId>,
    requests: Cell<u8>,
    marked: usize,
}

/// Contracts that have or had a key.
fn of_key<'a>(
    contracts: &'a BTreeMap<ContractId, Contract>,
    key: &'a Hash,
) -> impl DoubleEndedIterator<Item = &'a Contract> {
    contracts.values().filter(move |contract| contract.instance.key.as_ref().is_some_and(|of| of.hash == *key))
}

/// What Mallory interprets with: it knows all contracts, and hides those of keys where it likes to.
struct Known<'a> {
    contracts: &'a BTreeMap<ContractId, Contract>,
    hides_keys: bool,
}

impl Contracts for Known<'_> {
    fn by_id(&self, id: &ContractId) -> Option<Contract> {
        self.contracts.get(id).cloned()
    }

    fn by_key(&self, key: &Hash, limit: usize) -> Vec<Contract> {
        let limit = if self.hides_keys { 0 } else { limit };
        of_key(self.contracts, key).take(limit).cloned().collect()
    }
}

/// One hundred euros that one owes another.
pub(crate) fn debt(issuer: &PartyId, owner: &PartyId) -> [Value; 4] {
    let amount = Numeric::from_i64(100, 10).unwrap();
    [Value::Party(issuer.clone()), Value::Party(owner.clone()), Value::text("EUR"), Value::Numeric(amount)]
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&[lf::models::iou(), lf::models::admin()])
    }

    /// A world in which there is also the field's model of unique contract keys.
    pub(crate) fn with_keys() -> Self {
        let keys = testkit::test_data().map(|data| data.join("dars/model-tests-1.15.0757811f.dar"));
        let keys = std::fs::read(keys.expect("the caller asked whether it is there")).unwrap();
        Self::with(&[lf::models::iou(), lf::models::admin(), keys])
    }

    fn with(dars: &[Vec<u8>]) -> Self {
        let engine = DamlEngine::default();
        let packages: Vec<_> = dars.iter().flat_map(|dar| engine.read_dar(dar).unwrap().packages).collect();
        packages.iter().for_each(|package| engine.add_package(&package.id, &package.payload).unwrap());
        let mut packages: Vec<_> = packages.into_iter().map(|package| package.id).collect();
        // The main packages come first.
        let mains = dars.iter().rev().map(|dar| lf::read_dar(dar).unwrap().main);
        mains.for_each(|main| packages.insert(0, main));
        let mut network = Network::new(3);
        let [mallory, bob, carol, dave] = [("mallory", 0), ("bob", 1), ("carol", 2), ("dave", 1)]
            .map(|(name, host)| network.host(name, host, Permission::Submission));
        (0..3).for_each(|n| network.vet(n, packages.clone()));
        let stale = network.now();
        network.host_also(&dave, 1, 2, Permission::Submission);
        network.vet(2, [packages[0].clone()]);
        let honest = network.participants[1..].iter().map(|id| {
            let participant = Participant::new(id.clone(), network.synchronizer.clone());
            (id.member(), Honest { participant, statuses: BTreeMap::new(), published: Vec::new() })
        });
        let mut world = Self {
            engine,
            mallory,
            bob,
            carol,
            dave,
            stale,
            contracts: BTreeMap::new(),
            said: BTreeSet::new(),
            now: network.now(),
            hides_keys: false,
            mediator: Mediator::new(network.mediator.clone(), network.synchronizer.clone()),
            honest: honest.collect(),
            queue: VecDeque::new(),
            ticks: BTreeSet::new(),
            packages,
            requests: Cell::new(0),
            marked: 0,
            network,
        };
        world.introduce();
        world
    }

    /// The manager tells everybody the topology.
    fn introduce(&mut self) {
        let network = &self.network;
        let content = TopologyContent::CatchUp(network.state.for_catch_up(self.now));
        let unsigned = Signed::unsigned(TopologyMessage { synchronizer: network.synchronizer.clone(), content });
        let signature = key("sync").sign(&unsigned.hash());
        let content = EnvelopeContent::Topology(unsigned.with(signature)).encode();
        let (manager, recipients) = (network.synchronizer.member(), Recipients::group(self.nodes()));
        self.sequence(&Submission { sender: manager, message: None, batch: vec![Envelope { content, recipients }] });
    }

    /// Mallory, Bob, Carol, Dave.
    pub(crate) fn parties(&self) -> [PartyId; 4] {
        [&self.mallory, &self.bob, &self.carol, &self.dave].map(Clone::clone)
    }

    /// Participant `n`; `p0` is Mallory's.
    pub(crate) fn p(&self, n: usize) -> MemberId {
        self.network.participants[n].member()
    }

    /// Participant `p0` is quick: its batch is sequenced before whatever waits. The request id, if it is a request.
    pub(crate) fn send(&mut self, batch: Vec<Envelope>) -> RequestId {
        self.sequence(&Submission { sender: self.p(0), message: None, batch })
    }

    fn sequence(&mut self, Submission { sender, message, batch }: &Submission) -> RequestId {
        self.now = self.now.saturating_add(MILLI);
        let all: BTreeSet<_> = batch.iter().flat_map(|envelope| envelope.recipients.all()).collect();
        for node in self.nodes().into_iter().filter(|node| all.contains(node) || node == sender) {
            let mine = batch.iter().filter(|envelope| envelope.recipients.all().contains(&node));
            let seen = mine.map(|e| Envelope { recipients: e.recipients.seen_by(&node), ..e.clone() });
            let event = self.event(message.clone().filter(|_| node == *sender), seen.collect());
            self.deliver(&node, &event);
        }
        self.now
    }

    fn nodes(&self) -> Vec<MemberId> {
        self.honest.keys().cloned().chain([self.network.mediator.member()]).collect()
    }

    fn event(&self, message_id: Option<MessageId>, envelopes: Vec<Envelope>) -> SequencedEvent {
        SequencedEvent {
            synchronizer: self.network.synchronizer.clone(),
            timestamp: self.now,
            previous: None,
            message_id,
            topology_timestamp: None,
            outcome: Outcome::Delivered(envelopes),
        }
    }

    fn deliver(&mut self, node: &MemberId, event: &SequencedEvent) {
        if let Some(honest) = self.honest.get_mut(node) {
            let incoming = Incoming::read(event, &[decryption_key(node.uid.name())]);
            let missing = honest.participant.missing([&incoming]);
            let status = |id: ContractId| (id.clone(), honest.statuses.get(&id).copied().unwrap_or_default());
            let active = |id: &ContractId| honest.statuses.get(id) == Some(&ContractStatus::Active);
            let count = |key: Hash| (key, of_key(&self.contracts, &key).filter(|c| active(&c.id)).count() as u64);
            let (contracts, keys) = (missing.contracts.into_iter(), missing.keys.into_iter());
            honest.participant.load(contracts.map(status).collect::<Vec<_>>(), keys.map(count).collect::<Vec<_>>());
            let effects = honest.participant.step(Event::Sequenced(Box::new(incoming)));
            self.carry_out(node, effects);
        } else {
            let effects = self.mediator.step(event);
            self.mediate(effects);
        }
    }

    /// What the shell of a participant does.
    fn carry_out(&mut self, node: &MemberId, effects: Vec<participant_core::Effect>) {
        use participant_core::Effect;
        let name = node.uid.name();
        for effect in effects {
            match effect {
                Effect::Reinterpret(ask) => {
                    let result = self.engine.reinterpret(&ask);
                    let event = Event::Reinterpreted { request: ask.request, view: ask.view, result };
                    let more = self.honest.get_mut(node).unwrap().participant.step(event);
                    self.carry_out(node, more);
                }
                Effect::Respond(respond) => {
                    for response in &respond.responses.responses {
                        if let LocalVerdict::Reject(reject) = &response.verdict {
                            self.said.insert(format!("{name} rejects: {}", reject.code.id));
                        }
                    }
                    let message = Some(respond.message_id());
                    let batch = vec![self.response(respond.responses, name)];
                    self.queue.push_back(Submission { sender: node.clone(), message, batch });
                }
                Effect::Send(submit) => {
                    let (message, batch) = (Some(submit.message), submit.batch);
                    self.queue.push_back(Submission { sender: node.clone(), message, batch });
                }
                Effect::Publish(publish) => {
                    let honest = self.honest.get_mut(node).unwrap();
                    if let Some(update) = &publish.update {
                        self.contracts.extend(update.contracts.iter().map(|c| (c.id.clone(), c.clone())));
                        let (created, archived) = (&update.changes.created, &update.changes.archived);
                        honest.statuses.extend(created.iter().map(|id| (id.clone(), ContractStatus::Active)));
                        honest.statuses.extend(archived.iter().map(|id| (id.clone(), ContractStatus::Archived)));
                    }
                    honest.published.push(*publish);
                    honest.participant.stored();
                }
                Effect::Alarm(alarm) => drop(self.said.insert(format!("{name} alarm: {}", alarm.code.id))),
                Effect::Tick(at) => drop(self.ticks.insert(at)),
                _ => {}
            }
        }
    }

    /// What the shell of a mediator does.
    fn mediate(&mut self, effects: Vec<mediator_core::Effect>) {
        use mediator_core::Effect;
        for effect in effects {
            match effect {
                Effect::Decide(decision) => {
                    let code = match &decision.result.verdict {
                        Verdict::Approve => "approve",
                        Verdict::ParticipantReject(reasons) => reasons[0].reject.code.id,
                        Verdict::MediatorReject { code, .. } => code.id,
                    };
                    self.said.insert(format!("verdict: {code}"));
                    let unsigned = Signed::unsigned(decision.result.clone());
                    let signature = key("mediator").sign(&unsigned.hash());
                    let batch = vec![decision.envelope(unsigned.with(signature))];
                    let (sender, message) = (self.network.mediator.member(), Some(decision.message_id()));
                    self.queue.push_back(Submission { sender, message, batch });
                }
                Effect::Alarm(alarm) => drop(self.said.insert(format!("mediator alarm: {}", alarm.code.id))),
                Effect::Tick(at) => drop(self.ticks.insert(at)),
                _ => {}
            }
        }
    }

    /// Responses in an envelope to the mediator, signed by whoever has the key of this name.
    pub(crate) fn response(&self, responses: ConfirmationResponses, signer: &str) -> Envelope {
        let unsigned = Signed::unsigned(responses);
        let signature = key(signer).sign(&unsigned.hash());
        let content = EnvelopeContent::Responses(unsigned.with(signature)).encode();
        Envelope { content, recipients: Recipients::group([self.network.mediator.member()]) }
    }

    /// Lets everything that waits happen.
    pub(crate) fn go_on(&mut self) {
        while let Some(submission) = self.queue.pop_front() {
            self.sequence(&submission);
        }
    }

    /// After that, lets so much time pass that nothing may be undecided.
    pub(crate) fn settle(&mut self) {
        loop {
            self.go_on();
            let Some(at) = self.ticks.pop_first() else { break };
            if at > self.now {
                self.now = at;
                for node in self.nodes() {
                    let event = self.event(None, Vec::new());
                    self.deliver(&node, &event);
                }
            }
        }
    }

    /// Requests that some honest node has not finished with.
    pub(crate) fn undecided(&self) -> usize {
        let participants = self.honest.values().map(|h| h.participant.pending() + h.participant.in_flight().len());
        self.mediator.pending() + participants.sum::<usize>()
    }

    /// From here on is counted, and listened.
    pub(crate) fn mark(&mut self) {
        self.marked += self.commits();
        self.said.clear();
    }

    /// Transactions that honest participants committed, each counted once for each participant.
    pub(crate) fn commits(&self) -> usize {
        let all = self.honest.values().flat_map(|honest| &honest.published);
        all.filter(|publish| publish.update.is_some()).count() - self.marked
    }

    /// Contracts that honest participants with a stake in them do not agree about.
    pub(crate) fn disagreements(&self) -> Vec<&ContractId> {
        let snapshot = self.network.state.snapshot(self.now);
        let statuses = |contract: &&Contract| -> BTreeSet<ContractStatus> {
            let stake = |member: &MemberId| {
                let mut hosts = contract.stakeholders().iter().flat_map(|party| snapshot.hosts(party).into_keys());
                hosts.any(|host| host.member() == *member)
            };
            let honest = self.honest.iter().filter(|(member, _)| stake(member));
            honest.map(|(_, honest)| honest.statuses.get(&contract.id).copied().unwrap_or_default()).collect()
        };
        self.contracts.values().filter(|contract| statuses(contract).len() > 1).map(|contract| &contract.id).collect()
    }

    fn template(&self, package: usize, module: &str, entity: &str) -> TemplateRef {
        TemplateRef {
            package: PackageRef::Id(self.packages[package].clone()),
            module: module.parse().unwrap(),
            entity: entity.parse().unwrap(),
        }
    }

    /// A command of the model `Iou`, or of another one for its templates.
    pub(crate) fn create(&self, entity: &str, argument: impl IntoIterator<Item = Value>) -> CommandKind {
        let (package, module) = match entity {
            "Ping" => (1, "PingPong"),
            "Delegation" | "Delegated" => (2, "Test"),
            _ => (0, "Iou"),
        };
        CommandKind::Create { template: self.template(package, module, entity), argument: Value::record(argument) }
    }

    pub(crate) fn exercise(
        &self,
        contract: &Contract,
        choice: &str,
        argument: impl IntoIterator<Item = Value>,
    ) -> CommandKind {
        let id = contract.instance.template.clone();
        CommandKind::Exercise {
            template: TemplateRef { package: PackageRef::Id(id.package), module: id.module, entity: id.entity },
            contract: contract.id.clone(),
            choice: choice.parse().unwrap(),
            argument: Value::record(argument),
        }
    }

    /// A contract of an earlier transaction.
    pub(crate) fn contract(
        &mut self,
        entity: &str,
        signatories: &[&PartyId],
        argument: impl IntoIterator<Item = Value>,
    ) -> Contract {
        let transaction = self.interpret(signatories, vec![self.create(entity, argument)]).transaction;
        let Some((_, Node::Create(create))) = transaction.nodes().next() else { panic!("it creates a contract") };
        let contract = existing(self.next(), create.instance.clone(), Network::START);
        self.activate(&contract);
        contract
    }

    pub(crate) fn activate(&mut self, contract: &Contract) {
        self.contracts.insert(contract.id.clone(), contract.clone());
        for honest in self.honest.values_mut() {
            honest.statuses.insert(contract.id.clone(), ContractStatus::Active);
        }
    }

    /// Contracts of Mallory and Bob that Bob's participant holds to be active.
    pub(crate) fn debts_of_bob(&self) -> Vec<Contract> {
        let both: Parties = [self.mallory.clone(), self.bob.clone()].into();
        let bobs = &self.honest[&self.p(1)];
        let active = |id: &ContractId| bobs.statuses.get(id) == Some(&ContractStatus::Active);
        let all = self.contracts.values().filter(|c| c.instance.signatories == both && active(&c.id));
        all.cloned().collect()
    }

    fn next(&self) -> u8 {
        self.requests.set(self.requests.get() + 1);
        self.requests.get()
    }

    /// What Daml makes of commands.
    pub(crate) fn interpret(&self, act_as: &[&PartyId], commands: Vec<CommandKind>) -> Interpreted {
        let input = Interpretation {
            act_as: act_as.iter().copied().cloned().collect(),
            commands,
            ledger_time: self.now,
            preparation_time: self.now,
            seed: Hash([self.next(); 32]),
            participant: self.network.participants[0].clone(),
        };
        self.engine.interpret(&input, &Known { contracts: &self.contracts, hides_keys: self.hides_keys }).unwrap()
    }

    /// The input of a request of participant `n`, as its shell would make it.
    pub(crate) fn input<'a>(&'a self, n: usize, act_as: &[&PartyId], interpreted: &'a Interpreted) -> Input<'a> {
        let (unset, number) = (Salt(Hash([0; 32])), self.next());
        let now = self.now;
        Input {
            snapshot: self.network.state.snapshot(now),
            transaction: &interpreted.transaction,
            transaction_seed: interpreted.seed,
            salt_seed: Hash([number; 32]),
            contracts: &interpreted.contracts,
            submitter: SubmitterMetadata {
                salt: unset,
                act_as: act_as.iter().copied().cloned().collect(),
                user: "user".parse().unwrap(),
                command: format!("command-{number}").parse().unwrap(),
                submission: None,
                participant: self.network.participants[n].clone(),
                deduplication: DeduplicationPeriod::Duration(Duration::from_secs(60)),
                max_sequencing_time: now.saturating_add(Duration::from_secs(60)),
            },
            common: CommonMetadata {
                salt: unset,
                synchronizer: self.network.synchronizer.clone(),
                mediator: self.network.mediator.clone(),
                uuid: RequestUuid([number; 16]),
            },
            participant: ParticipantMetadata { salt: unset, ledger_time: now, preparation_time: now, workflow: None },
        }
    }

    /// A request with a secret of its own.
    pub(crate) fn build(&self, input: Input<'_>) -> ConfirmationRequest {
        ConfirmationRequest::build(input, &secret(self.next())).unwrap()
    }

    /// The envelopes of a request of participant `n`.
    pub(crate) fn batch(&self, n: usize, request: &ConfirmationRequest) -> Vec<Envelope> {
        request.envelopes(&self.network.signature(&self.p(n), &request.to_sign()))
    }

    /// Mallory's own answers to a request: always yes, for whoever confirms on `p0`.
    pub(crate) fn approval(&self, id: RequestId, request: &ConfirmationRequest) -> ConfirmationResponses {
        let own: Parties = [self.mallory.clone(), self.network.participants[0].0.party()].into();
        let views = request.tree().all_views().into_iter();
        let responses = views.map(|(position, view)| ConfirmationResponse {
            verdict: LocalVerdict::Approve,
            parties: &view.common.value().confirmers() & &own,
            view: Some(position),
        });
        ConfirmationResponses {
            synchronizer: self.network.synchronizer.clone(),
            request: id,
            root_hash: request.root_hash(),
            sender: self.network.participants[0].clone(),
            responses: responses.filter(|response| !response.parties.is_empty()).collect(),
        }
    }

    /// Participant `p0` sends a request and confirms it; nobody else has answered yet.
    pub(crate) fn request(&mut self, request: &ConfirmationRequest, batch: Vec<Envelope>) -> RequestId {
        let id = self.send(batch);
        self.confirm(id, request);
        id
    }

    pub(crate) fn confirm(&mut self, id: RequestId, request: &ConfirmationRequest) {
        let approval = self.approval(id, request);
        if !approval.responses.is_empty() {
            let envelope = self.response(approval, "p0");
            self.send(vec![envelope]);
        }
    }

    /// Bob submits on his own participant.
    pub(crate) fn submit_for_bob(&mut self, commands: Vec<CommandKind>) {
        let bob = self.bob.clone();
        let interpreted = self.interpret(&[&bob], commands);
        let request = self.build(self.input(1, &[&bob], &interpreted));
        let node = self.p(1);
        let signature = self.network.signature(&node, &request.to_sign());
        let effects = self.honest.get_mut(&node).unwrap().participant.submit(&request, &signature).unwrap();
        self.carry_out(&node, effects);
        self.settle();
    }
}
