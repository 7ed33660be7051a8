//! What goes wrong, drawn from the seed: when, what, to whom, for how long.

use crate::{World, executor::ProcessId};
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

impl Fault {
    /// As it is counted.
    fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Pause => "pause",
            Self::Partition => "partition",
            Self::SlowDatabase => "slow database",
            Self::LostSession => "lost session",
            Self::RestartDatabase => "database restart",
            Self::Loss => "loss",
            Self::Clock => "clock jump",
            Self::Handover => "handover asked",
        }
    }
}

/// To whom it happens, and for how long.
struct Victim<'a> {
    world: &'a Rc<World>,
    node: ProcessId,
    length: Duration,
}

async fn happen(world: &Rc<World>, fault: Fault, length: Duration) {
    let (sim, nodes) = (&world.sim, world.nodes());
    let node = nodes.start + sim.draw(|rng| rng.below(nodes.len()));
    sim.audit(|audit| audit.count(fault.name()));
    sim.note(crate::WORLD, format_args!("{fault:?} for {length:?}, perhaps of {}", sim.name(node)));
    let victim = Victim { world, node, length };
    match fault {
        Fault::Crash => victim.crash().await,
        Fault::Pause => victim.pause().await,
        Fault::Partition => victim.partition().await,
        Fault::SlowDatabase => victim.slow_database().await,
        Fault::LostSession => victim.lost_session(),
        Fault::RestartDatabase => victim.restart_database().await,
        Fault::Loss => victim.loss().await,
        Fault::Clock => victim.clock().await,
        Fault::Handover => world.hand_over(node),
    }
}

impl Victim<'_> {
    async fn wait(&self, length: Duration) {
        self.world.sim.sleep(length).await;
    }

    async fn crash(&self) {
        self.world.crash(self.node);
        self.wait(self.length).await;
        self.world.start(self.node);
    }

    async fn pause(&self) {
        self.world.sim.pause(self.node);
        self.wait(self.length).await;
        self.world.sim.note(self.node, format_args!("goes on"));
        self.world.sim.resume(self.node);
    }

    async fn partition(&self) {
        let (sim, network, nodes) = (&self.world.sim, &self.world.network, self.world.nodes());
        let (other, is_one_way) = sim.draw(|rng| {
            let other = nodes.start + rng.below(nodes.len());
            (if rng.chance(400) { crate::DATABASE } else { other }, rng.chance(300))
        });
        sim.note(self.node, format_args!("is cut off from {}, only one way: {is_one_way}", sim.name(other)));
        network.cut(self.node, other);
        if !is_one_way {
            network.cut(other, self.node);
        }
        self.wait(self.length).await;
        network.heal(self.node, other);
        network.heal(other, self.node);
    }

    async fn slow_database(&self) {
        let server = &self.world.server;
        server.slowness.set(self.world.sim.draw(|rng| [20, 200, 1000][rng.below(3)]));
        // While transactions take long, somebody loses its locks.
        if self.world.sim.draw(|rng| rng.chance(600)) {
            self.wait(self.length / 4).await;
            server.end(|process, _| process == self.node, false);
        }
        self.wait(self.length).await;
        server.slowness.set(1);
    }

    fn lost_session(&self) {
        let transactions_too = self.world.sim.draw(|rng| rng.chance(500));
        self.world.server.end(|process, _| process == self.node, transactions_too);
    }

    async fn restart_database(&self) {
        self.world.server.stop();
        self.wait(self.length / 4).await;
        self.world.server.start();
    }

    async fn loss(&self) {
        self.world.network.set_loss(self.world.sim.draw(|rng| 5 + rng.below(100)));
        self.wait(self.length).await;
        self.world.network.set_loss(0);
    }

    async fn clock(&self) {
        let (skew, is_set_right) =
            self.world.sim.draw(|rng| (rng.between(Duration::ZERO, Duration::from_secs(20)), rng.chance(500)));
        self.world.server.skew.set(skew);
        // Perhaps before everybody has noticed.
        if is_set_right {
            self.wait(self.length / 4).await;
            self.world.server.skew.set(Duration::ZERO);
        }
    }
}
