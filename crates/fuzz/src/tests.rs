//! One test for each reader.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail by panicking, and says where"
)]

use crate::damage::{Numbers, damaged};
use bytes::Bytes;
use prost::Message as _;
use protocol::{
    Contract,
    message::EnvelopeContent,
    sequencing::{Envelope, Recipients, Signable as _, SignedContent, Submission},
    testing::Scenario,
    tree::LightViewTree,
};
use std::{fs, path::Path, time::Instant};
use topology::SignedTopologyTransaction;
use transaction::{Transaction, Value};

/// Of the whole test process, in bytes.
const MAX_MEMORY: u64 = 512 << 20;

/// Names the seed of the input that is tried, should it go wrong.
struct Trying(u64);

impl Drop for Trying {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was that of seed {}", self.0);
        }
    }
}

/// Tries damaged inputs until the time is over; how many of them were taken for valid.
fn tried(valid: &[Vec<u8>], read: impl Fn(&[u8]) -> bool) -> usize {
    assert!(valid.iter().all(|input| read(input)), "the inputs are valid before they are damaged");
    let (begun, limit) = (Instant::now(), testkit::fuzz_time());
    let (mut seed, mut taken) = (0, 0);
    while begun.elapsed() < limit {
        let _trying = Trying(seed);
        let mut numbers = Numbers::new(seed);
        let input = &valid[numbers.below(valid.len())];
        taken += usize::from(read(&damaged(input, &mut numbers)));
        seed += 1;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    assert!(peak.unwrap() * 1024 < MAX_MEMORY, "{peak:?} KiB of memory were taken");
    eprintln!("{seed} inputs, {taken} of them taken");
    taken
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn dars() {
    tried(&[lf::models::iou()], |bytes| lf::read_dar(bytes).is_ok_and(|dar| lf::check_dar(&dar).is_ok()));
}

#[test]
fn packages() {
    let payload = lf::read_dar(&lf::models::iou()).unwrap().packages[0].payload.to_vec();
    tried(&[payload], |bytes| lf::read_package(bytes).is_ok());
}

#[test]
fn packages_that_are_read_can_be_checked() {
    let payload = lf::read_dar(&lf::models::iou()).unwrap().packages[0].payload.to_vec();
    tried(&[payload], |bytes| {
        let dar = lf::write_dar(bytes, &[]).and_then(|dar| lf::read_dar(&dar));
        dar.is_ok_and(|dar| lf::check_dar(&dar).is_ok())
    });
}

#[test]
fn lf_text() {
    let source = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../lf/models/iou.lf")).unwrap();
    let (name, version) = ("fuzz".parse().unwrap(), "1.0.0".parse().unwrap());
    tried(&[source], |bytes| lf::assemble(&text(bytes), &name, &version).is_ok());
}

#[test]
fn values() {
    let inner = Value::record([Value::Int64(7), Value::text("seven"), Value::list([Value::Bool(true), Value::Unit])]);
    let value = Value::record([Value::some(inner.clone()), Value::list([inner.clone(), inner])]);
    tried(&[value.encode()], |bytes| Value::decode(bytes).is_ok());
}

#[test]
fn transactions() {
    let transaction = Scenario::new().nested();
    tried(&[transaction.encode()], |bytes| Transaction::decode(bytes).is_ok());
}

#[test]
fn messages_of_the_protocol() {
    let mut scenario = Scenario::new();
    let transaction = scenario.nested();
    let request = scenario.request(&transaction, 1);
    let submitter = scenario.network.participants[0].member();
    let signature = scenario.network.signature(&submitter, &request.to_sign());
    let envelopes = request.envelopes(&signature);
    let contents: Vec<_> = envelopes.iter().map(|envelope| envelope.content.to_vec()).collect();
    tried(&contents, |bytes| EnvelopeContent::decode(Bytes::copy_from_slice(bytes)).is_ok());
}

/// What views hold once they are decrypted.
#[test]
fn views() {
    let mut scenario = Scenario::new();
    let transaction = scenario.nested();
    let tree = protocol::tree::build(scenario.input(&transaction, 1)).unwrap().tree;
    let views: Vec<_> = tree.light_trees().iter().map(|view| view.to_wire().encode_to_vec()).collect();
    tried(&views, |bytes| {
        let message = wire::concordat::protocol::v1::LightViewTree::decode(bytes);
        message.is_ok_and(|message| LightViewTree::from_wire(message).is_ok())
    });
}

/// Contracts as they are stored, and as clients disclose them.
#[test]
fn contracts() {
    let mut scenario = Scenario::new();
    let (alice, bob) = (scenario.alice.clone(), scenario.bob.clone());
    let contract = scenario.contract(1, &[&alice], &[&bob]);
    tried(&[contract.encode()], |bytes| Contract::decode(bytes).is_ok());
}

#[test]
fn topology_transactions() {
    let scenario = Scenario::new();
    let participant = scenario.network.participants[0].clone();
    let all = scenario.network.joining(&participant);
    let valid: Vec<_> = all.iter().map(|transaction| transaction.encode().to_vec()).collect();
    tried(&valid, |bytes| SignedTopologyTransaction::decode(bytes).is_ok());
}

/// What members send to sequencers.
#[test]
fn submissions() {
    let scenario = Scenario::new();
    let sender = scenario.network.participants[0].member();
    let submission = Submission {
        sender: sender.clone(),
        message_id: "message".parse().unwrap(),
        batch: vec![Envelope {
            content: Bytes::from_static(b"content"),
            recipients: Recipients::group([sender.clone()]),
        }],
        max_sequencing_time: scenario.network.now(),
        topology_timestamp: None,
        epoch: 1,
    };
    let sign = |hash: &base::Hash| Ok::<_, ()>(scenario.network.signature(&sender, hash));
    let signed = SignedContent::sign::<Submission, _>(submission.encode(), sign).unwrap();
    tried(&[signed.to_bytes().to_vec()], |bytes| {
        let read = SignedContent::from_bytes(Bytes::copy_from_slice(bytes));
        // Whoever has the key may sign anything: so what is signed is read as well.
        read.is_ok_and(|read| Submission::decode(read.content).is_ok())
    });
}

#[test]
fn configurations() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let files = fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path());
    let parses = |bytes: &[u8]| hocon::parse("fuzz.conf", &text(bytes), &mut hocon::NoIncludes).is_ok();
    let all = files.filter(|path| path.is_file()).map(|path| fs::read(path).unwrap());
    // Those that include nothing.
    let valid: Vec<_> = all.filter(|bytes| parses(bytes)).collect();
    assert!(valid.len() > 1);
    tried(&valid, parses);
}
