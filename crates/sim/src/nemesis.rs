//! What goes wrong, drawn from the seed: when, what, to whom, for how long.

use crate::World;
use std::{rc::Rc, time::Duration};

const LONGEST_PAUSE: Duration = Duration::from_secs(6);

/// A family of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Crash,
    Pause,
    /// Between two processes, or a process and the database, in one direction or both.
    Partition,
    /// All statements take longer.
    SlowDatabase,
    /// All sessions of one process end, or only those that hold locks.
    LostSession,
    RestartDatabase,
    /// Messages are lost with their connections.
    Loss,
    /// The database's clock jumps.
    Clock,
    Handover,
}

const FAULTS: [Fault; 9] = [
    Fault::Crash,
    Fault::Pause,
    Fault::Partition,
    Fault::SlowDatabase,
    Fault::LostSession,
    Fault::RestartDatabase,
    Fault::Loss,
    Fault::Clock,
    Fault::Handover,
];

/// Lets faults happen until `end`. Each is over a while later.
pub(crate) async fn run(world: Rc<World>, end: Duration) {
    // How wild it gets differs from seed to seed, and so does what happens at all.
    let (most, kinds) = world.sim.draw(|rng| {
        let most = rng.between(Duration::from_secs(1), Duration::from_secs(8));
        let kinds: Vec<Fault> = FAULTS.into_iter().filter(|_| rng.chance(600)).collect();
        (most, kinds)
    });
    while world.sim.now() < end {
        let wait = world.sim.draw(|rng| rng.between(Duration::from_millis(200), most));
        world.sim.sleep(wait).await;
        let Some(fault) = world.sim.draw(|rng| rng.pick(&kinds).copied()) else { return };
        let length = world.sim.draw(|rng| rng.between(Duration::from_millis(50), LONGEST_PAUSE));
        let world_of_fault = world.clone();
        world.sim.spawn(crate::WORLD, 0, async move { happen(&world_of_fault, fault, length).await });
    }
}

async fn happen(world: &Rc<World>, fault: Fault, length: Duration) {
    let sim = &world.sim;
    let nodes = world.nodes();
    let node = nodes.start + sim.draw(|rng| rng.below(nodes.len()));
    let note = |what: &str| sim.note(crate::WORLD, format_args!("{fault:?} {what} ({})", sim.name(node)));
    match fault {
        Fault::Crash => {
            sim.audit(|audit| audit.count("crash"));
            note("now");
            world.crash(node);
            sim.sleep(length).await;
            world.start(node);
        }
        Fault::Pause => {
            sim.audit(|audit| audit.count("pause"));
            note("begins");
            sim.pause(node);
            sim.sleep(length).await;
            note("ends");
            sim.resume(node);
        }
        Fault::Partition => {
            sim.audit(|audit| audit.count("partition"));
            let (other, one_way) = sim.draw(|rng| {
                let other = nodes.start + rng.below(nodes.len());
                (if rng.chance(400) { crate::DATABASE } else { other }, rng.chance(300))
            });
            note(&format!("from {}", sim.name(other)));
            world.network.cut(node, other);
            if !one_way {
                world.network.cut(other, node);
            }
            sim.sleep(length).await;
            world.network.heal(node, other);
            world.network.heal(other, node);
        }
        Fault::SlowDatabase => {
            sim.audit(|audit| audit.count("slow database"));
            note("begins");
            world.server.slowness.set(sim.draw(|rng| [20, 200, 1000][rng.below(3)]));
            sim.sleep(length).await;
            world.server.slowness.set(1);
        }
        Fault::LostSession => {
            sim.audit(|audit| audit.count("lost session"));
            let transactions_too = sim.draw(|rng| rng.chance(500));
            note(if transactions_too { "all" } else { "those with locks" });
            world.server.end(|process, _| process == node, transactions_too);
        }
        Fault::RestartDatabase => {
            sim.audit(|audit| audit.count("database restart"));
            note("now");
            world.server.stop();
            sim.sleep(length / 4).await;
            world.server.start();
        }
        Fault::Loss => {
            sim.audit(|audit| audit.count("loss"));
            note("begins");
            world.network.set_loss(sim.draw(|rng| 5 + rng.below(100)));
            sim.sleep(length).await;
            world.network.set_loss(0);
        }
        Fault::Clock => {
            sim.audit(|audit| audit.count("clock jump"));
            note("now");
            let skew = sim.draw(|rng| rng.between(Duration::ZERO, Duration::from_secs(20)));
            world.server.skew.set(skew);
        }
        Fault::Handover => {
            sim.audit(|audit| audit.count("handover asked"));
            note("asked");
            world.hand_over(node);
        }
    }
}
