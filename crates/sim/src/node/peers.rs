//! Watching the other sequencers, so that a dead one holds nobody's readers up.

use crate::{
    database::{Channel, DbError, Guard, Life, Mode, Resource, Write},
    executor::Host,
    node::sequencer::Sequencer,
};
use sequencer_core::{Beat, HangJudge};
use std::{collections::BTreeMap, rc::Rc};

/// A peer whose index is waited for.
struct Watched {
    life: Life,
    watch: Host,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.end();
    }
}

/// Beats for one incarnation.
pub(crate) async fn beat(sequencer: Rc<Sequencer>, host: Host, life: Life) {
    for beat in 1.. {
        let beat = Beat { index: life.index, incarnation: life.incarnation, beat };
        if let Ok(committed) = sequencer.db.commit(Guard::Own, vec![Write::Beat(beat)]).await {
            sequencer.observe(committed.now);
        }
        host.sleep(sequencer.world.lease / 3).await;
    }
}

/// Watches all others while this one is online.
pub(crate) async fn watch(sequencer: Rc<Sequencer>, host: Host, own: Life) {
    let lease = sequencer.world.lease;
    let mut judge = HangJudge::new(lease);
    let mut watched: BTreeMap<u32, Watched> = BTreeMap::new();
    loop {
        // Where they cannot be watched now, they are a little later.
        let _ = look(&sequencer, &host, own, &mut judge, &mut watched).await;
        host.sleep(lease / 3).await;
    }
}

async fn look(
    sequencer: &Rc<Sequencer>,
    host: &Host,
    own: Life,
    judge: &mut HangJudge,
    watched: &mut BTreeMap<u32, Watched>,
) -> Result<(), DbError> {
    let look = |tables: &crate::database::Tables| (tables.indexes.clone(), tables.beats.clone());
    let (mut rows, beats) = sequencer.db.query(look).await?;
    rows.retain(|row| row.mark.online && row.life.index != own.index);
    watched.retain(|_, watched| rows.iter().any(|row| row.life == watched.life));
    for row in &rows {
        watched.entry(row.life.index).or_insert_with(|| {
            let watch = host.child();
            let (sequencer, life) = (sequencer.clone(), row.life);
            watch.spawn(async move {
                if released(&sequencer, life).await.is_ok() {
                    knock_out(&sequencer, life, "its session ended").await;
                }
            });
            Watched { life, watch }
        });
    }
    let online =
        |beat: &&Beat| rows.iter().any(|r| r.life.index == beat.index && r.life.incarnation == beat.incarnation);
    let beats: Vec<Beat> = beats.values().filter(online).copied().collect();
    for dead in judge.observe(&beats, host.monotonic()) {
        let life = Life { index: dead.index, incarnation: dead.incarnation };
        if let Some(row) = rows.iter().find(|row| row.life == life) {
            sequencer.db.end_instance(row.instance).await?;
            knock_out(sequencer, life, "its beat stood still").await;
        }
    }
    Ok(())
}

/// Waits until nobody holds the index.
async fn released(sequencer: &Sequencer, life: Life) -> Result<(), DbError> {
    let session = sequencer.db.connect().await?;
    session.lock(Resource::Index(life.index), Mode::Shared).await
}

async fn knock_out(sequencer: &Sequencer, life: Life, why: &str) {
    let committed = sequencer.db.commit(Guard::Own, vec![Write::KnockOut(life)]).await;
    if committed.is_ok_and(|committed| committed.rows > 0) {
        sequencer.host.note(format_args!("{life:?} is marked offline: {why}"));
        sequencer.world.sim.audit(|audit| audit.count("sequencer marked offline"));
        sequencer.db.notify(Channel::Watermarks);
    }
}
