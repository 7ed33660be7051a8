//! What is written is what is read, on both engines.

use super::*;
use ::store::{Db, ElectionConfig, HaProfile, Held, PostgresConfig, StorageConfig, StoreError};
use base::{ContractId, Hash, PackageId, PartyId, Timestamp, codes};
use protocol::{Contract, tree::Salt};
use std::time::Duration;
use tasks::{Supervisor, Tasks};
use transaction::{
    ContractInstance, ContractKey, Create, Exercise, Node, NodeId, NodeVersion, Parties, Transaction, Value,
};

struct World {
    db: Db,
    held: Held,
    _supervisor: Supervisor,
    _dir: tempfile::TempDir,
    _postgres: Option<testkit::Database>,
}

impl World {
    async fn new(postgres: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = postgres.then(testkit::postgres);
        let storage = match &database {
            Some(database) => StorageConfig::Postgres(PostgresConfig::new(database.url())),
            None => StorageConfig::Sqlite { path: dir.path().join("ledger.db") },
        };
        let (tasks, supervisor) = Tasks::new("test");
        let db = Db::open(&storage, "participant", &[MIGRATIONS], &tasks).await.unwrap();
        let election = db.election(ElectionConfig { profile: HaProfile::Fast, replica: "a".into() }).unwrap();
        let held = election.campaign().await.unwrap();
        db.check_statements(STATEMENTS).await.unwrap();
        db.commit(held.epoch(), initial_rows()).await.unwrap();
        Self { db, held, _supervisor: supervisor, _dir: dir, _postgres: database }
    }

    async fn publish(&self, entries: &[Publication]) -> Result<(), StoreError> {
        self.db.commit(self.held.epoch(), publish(entries, self.held.epoch())).await.map(|_| ())
    }
}

fn party(name: &str) -> PartyId {
    PartyId::new(name).unwrap()
}

fn contract(n: u8) -> Contract {
    let alice: Parties = [party("alice")].into();
    let instance = ContractInstance {
        template: "pkg:M:T".parse().unwrap(),
        package_name: "name".parse().unwrap(),
        argument: Value::record([Value::Int64(n.into())]),
        signatories: alice.clone(),
        stakeholders: alice,
        key: None,
    };
    let local = ContractId::v1(&Hash([n; 32]), &[]).unwrap();
    Contract::created(&local, instance, Timestamp::EPOCH, Salt(Hash([n; 32])))
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

/// An entry in which contract `n` came to be at offset `n`.
fn creation(n: u8) -> Publication {
    let contract = contract(n);
    let create =
        Create { contract_id: contract.id.clone(), instance: contract.instance.clone(), version: NodeVersion::V2_1 };
    let command = Command {
        user: "u".parse().unwrap(),
        act_as: [party("alice"), party("bob")].into(),
        command: format!("c{n}").parse().unwrap(),
        submission: None,
    };
    let id = format!("u{n}").parse::<base::UpdateId>().unwrap();
    Publication {
        offset: n.into(),
        record_time: at(1000 + i64::from(n)),
        synchronizer: format!("s::1220{}", "ab".repeat(32)).parse().unwrap(),
        update: Some(Update {
            id: id.clone(),
            effective_at: at(5),
            workflow: Some("w".parse().unwrap()),
            transaction: Transaction::new(vec![Node::Create(create)], vec![NodeId(0)]).unwrap(),
            hosted: [party("alice")].into(),
            command: Some(command.clone()),
        }),
        created: vec![contract],
        archived: vec![],
        divulged: Vec::new(),
        completion: Some(Completion {
            command,
            outcome: CompletionOutcome::Committed(id),
            deduplication: Duration::from_secs(9),
        }),
    }
}

async fn entries_come_back(world: World) {
    let ledger = Ledger::new(world.db.clone());
    assert_eq!(ledger.end().await, Ok(0));
    let mut rejected = creation(3);
    rejected.update = None;
    rejected.created.clear();
    let outcome = CompletionOutcome::Rejected { code: codes::LOCAL_VERDICT_LOCKED_CONTRACTS, message: "locked".into() };
    rejected.completion.as_mut().unwrap().outcome = outcome.clone();
    world.publish(&[creation(1), creation(2), rejected.clone()]).await.unwrap();
    assert_eq!(ledger.end().await, Ok(3));
    let updates = ledger.updates(0, 3, 10).await.unwrap();
    assert_eq!(updates.iter().map(|u| u.offset).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(updates[0].content, creation(1).update.unwrap());
    assert_eq!(ledger.update_at(2).await.unwrap().unwrap(), updates[1]);
    assert_eq!(ledger.update_at(3).await.unwrap(), None);
    assert_eq!(ledger.update_by_id(&"u1".parse().unwrap()).await.unwrap().unwrap().offset, 1);
    let completions = ledger.completions(1, 3, 10).await.unwrap();
    assert_eq!(completions.iter().map(|c| c.offset).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(completions[1].content, rejected.completion.unwrap());
    assert_eq!(ledger.completions_of("c3", 0).await.unwrap().len(), 1);
    for (prefix, accepted, limit, expected) in [
        ("c", None, 9, &[3, 2, 1][..]),
        ("", None, 2, &[3, 2]),
        ("c", Some(true), 9, &[2, 1]),
        ("c", Some(false), 9, &[3]),
        ("c2", None, 9, &[2]),
        ("%", None, 9, &[]),
    ] {
        let last = ledger.last_completions(prefix, accepted, limit).await.unwrap();
        assert_eq!(last.iter().map(|c| c.offset).collect::<Vec<_>>(), expected, "{prefix} {accepted:?}");
    }
}

async fn active_contracts_are_those_of_the_offset(world: World) {
    let ledger = Ledger::new(world.db.clone());
    let mut archival = creation(3);
    archival.archived = vec![contract(1).id];
    world.publish(&[creation(1), creation(2), archival]).await.unwrap();
    let ids = |at| {
        let ledger = ledger.clone();
        async move {
            let active = ledger.active_contracts(at, (0, -1), 10).await.unwrap();
            active.into_iter().map(|c| c.created_offset).collect::<Vec<_>>()
        }
    };
    assert_eq!(ids(1).await, [1]);
    assert_eq!(ids(2).await, [1, 2]);
    assert_eq!(ids(3).await, [2, 3]);
    let page = ledger.active_contracts(3, (2, 0), 10).await.unwrap();
    assert_eq!(page.iter().map(|c| c.contract.clone()).collect::<Vec<_>>(), [contract(3)]);
    let found = load_contracts(&world.db, &[contract(1).id, contract(2).id, contract(9).id]).await.unwrap();
    assert_eq!(found.len(), 2);
    assert!(!found[&contract(1).id].1 && found[&contract(2).id].1);
}

async fn the_ledger_cannot_contradict_itself(world: World) {
    world.publish(&[creation(1)]).await.unwrap();
    // An entry twice, an offset that does not grow, an archival of what is not active.
    assert!(matches!(world.publish(&[creation(1)]).await, Err(StoreError::Conflict { .. })));
    let mut late = creation(2);
    late.offset = 1;
    assert!(matches!(world.publish(&[late]).await, Err(StoreError::Conflict { .. })));
    let mut absent = creation(2);
    absent.archived = vec![contract(7).id];
    assert!(matches!(world.publish(&[absent]).await, Err(StoreError::Conflict { .. })));
    assert_eq!(Ledger::new(world.db.clone()).end().await, Ok(1));
}

async fn keys_have_the_active_contracts(world: World) {
    let key = |name: &str| Hash([name.as_bytes()[0]; 32]);
    let keyed = |n: u8, name: &str| {
        let mut entry = creation(n);
        let maintainers = [party("alice")].into();
        entry.created[0].instance.key = Some(ContractKey { value: Value::text(name), maintainers, hash: key(name) });
        entry
    };
    let mut archival = keyed(5, "b");
    archival.archived = vec![contract(2).id];
    world.publish(&[keyed(1, "a"), keyed(2, "a"), keyed(3, "a"), creation(4), archival]).await.unwrap();
    let of = |name: &str, limit| {
        let (db, key) = (world.db.clone(), key(name));
        async move {
            let found = contracts_of_key(&db, &key, limit).await.unwrap();
            found.into_iter().map(|contract| contract.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(of("a", 9).await, [contract(3).id, contract(1).id]);
    assert_eq!(of("a", 1).await, [contract(3).id]);
    assert_eq!(of("b", 9).await, [contract(5).id]);
    let counts = key_counts(&world.db, ["a", "b", "c"].map(key)).await.unwrap();
    assert_eq!(counts, [(key("a"), 2), (key("b"), 1)].into());
}

async fn divulged_contracts_are_used_by_those_who_have_seen_them(world: World) {
    let readers = |name: &str| [party(name)].into();
    let usable = async |n: u8, name: &str| usable_contract(&world.db, &contract(n).id, &readers(name)).await.unwrap();
    let mut entry = creation(1);
    // Of 1 Alice is a stakeholder, of 2 nobody here is.
    entry.divulged = vec![(contract(1), readers("bob")), (contract(2), [party("bob"), party("carol")].into())];
    world.publish(&[entry]).await.unwrap();
    for (n, name, expected) in [
        (1, "alice", true),
        (1, "bob", true),
        (1, "carol", false),
        (2, "alice", false),
        (2, "bob", true),
        (2, "carol", true),
        (3, "alice", false),
    ] {
        assert_eq!(usable(n, name).await, expected.then(|| contract(n)), "{name} uses {n}");
    }
    // Once it is archived nobody uses it, whether it was hosted here or only seen.
    let mut end = creation(2);
    end.archived = vec![contract(1).id];
    let archive = |n: u8| {
        let instance = contract(n).instance;
        Node::Exercise(Exercise {
            contract_id: contract(n).id,
            package_name: instance.package_name,
            template: instance.template,
            interface: None,
            choice: "Archive".parse().unwrap(),
            consuming: true,
            actors: instance.signatories.clone(),
            argument: Value::Unit,
            signatories: instance.signatories,
            stakeholders: instance.stakeholders,
            choice_observers: Parties::new(),
            choice_authorizers: None,
            children: vec![],
            result: Some(Value::Unit),
            key: None,
            by_key: false,
            version: NodeVersion::V15,
        })
    };
    let both = Transaction::new(vec![archive(1), archive(2)], vec![NodeId(0), NodeId(1)]).unwrap();
    end.update.as_mut().unwrap().transaction = both;
    end.created.clear();
    world.publish(&[end]).await.unwrap();
    for (n, name) in [(1, "alice"), (1, "bob"), (2, "bob")] {
        assert_eq!(usable(n, name).await, None, "{name} uses {n}");
    }
}

async fn users_parties_and_packages(world: World) {
    let ledger = Ledger::new(world.db.clone());
    let epoch = world.held.epoch();
    let mut user = User {
        id: "u".parse().unwrap(),
        primary_party: Some(party("alice")),
        is_deactivated: false,
        rights: vec![Right::ActAs(party("alice")), Right::ParticipantAdmin],
    };
    world.db.commit(epoch, user_rows(&user, true)).await.unwrap();
    assert!(matches!(world.db.commit(epoch, user_rows(&user, true)).await, Err(StoreError::Conflict { .. })));
    user.rights = vec![Right::ReadAsAnyParty];
    world.db.commit(epoch, user_rows(&user, false)).await.unwrap();
    assert_eq!(ledger.user(&user.id).await.unwrap(), Some(user.clone()));
    world.db.commit(epoch, delete_user(&user.id)).await.unwrap();
    assert!(matches!(world.db.commit(epoch, delete_user(&user.id)).await, Err(StoreError::Conflict { .. })));

    world.db.commit(epoch, vec![party_row(&party("alice"), false), party_row(&party("bob"), false)]).await.unwrap();
    world.db.commit(epoch, vec![party_row(&party("alice"), true)]).await.unwrap();
    let parties = ledger.parties().await.unwrap();
    assert_eq!(
        parties.iter().map(|p| (p.party.as_str(), p.is_local)).collect::<Vec<_>>(),
        [("alice", true), ("bob", false)]
    );

    let id: PackageId = "ab".parse().unwrap();
    let row = package_row(&id, Some(&"n".parse().unwrap()), None, at(7), vec![1, 2, 3].into());
    world.db.commit(epoch, vec![row.clone(), row]).await.unwrap();
    let packages = ledger.packages().await.unwrap();
    assert_eq!((packages[0].size, packages[0].uploaded, packages.len()), (3, at(7), 1));
    assert_eq!(ledger.package(&id).await.unwrap().unwrap().as_ref(), [1, 2, 3]);
}

macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::World::new(false).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::World::new(true).await).await;
            })*
        }
    };
}

on_both_engines!(
    entries_come_back,
    active_contracts_are_those_of_the_offset,
    the_ledger_cannot_contradict_itself,
    keys_have_the_active_contracts,
    divulged_contracts_are_used_by_those_who_have_seen_them,
    users_parties_and_packages,
);
