//! Watching the other sequencers, so that a dead one holds nobody's readers up.
//!
//! A crash ends the session that holds an index's lock: whoever waits for it knows at once. A hang shows only in a beat
//! that stands still.

use crate::{
    Shared,
    store::{self, IndexRow, Life},
    tail::WATERMARKS,
};
use ::store::{Result, StoreError};
use sequencer_core::HangJudge;
use std::{collections::BTreeMap, sync::Arc};
use tasks::Task;

/// Beats per lease.
const BEATS: u32 = 3;

/// Beats for one incarnation, until it is no longer online.
pub(crate) async fn beat(shared: Arc<Shared>, life: Life) {
    let pause = shared.config.profile.lease() / BEATS;
    for beat in 1.. {
        let statements = vec![store::beat_row(life, beat)];
        match shared.db.commit(&shared.db.own(), statements).await {
            Ok(committed) => shared.observe(committed.now),
            Err(error) => tracing::warn!("beat of sequencer {}: {error}", life.index),
        }
        tokio::time::sleep(pause).await;
    }
}

/// Watches all others while this one is online.
pub(crate) async fn watch(shared: Arc<Shared>, own: Life) {
    let lease = shared.config.profile.lease();
    let mut judge = HangJudge::new(lease);
    let mut watched: BTreeMap<u32, (i64, Task<()>)> = BTreeMap::new();
    loop {
        if let Err(error) = look(&shared, own, &mut judge, &mut watched).await {
            tracing::warn!("the other sequencers cannot be watched: {error}");
        }
        tokio::time::sleep(lease / BEATS).await;
    }
}

async fn look(
    shared: &Arc<Shared>,
    own: Life,
    judge: &mut HangJudge,
    watched: &mut BTreeMap<u32, (i64, Task<()>)>,
) -> Result<()> {
    let rows = store::indexes(&shared.db).await?;
    let others: Vec<&IndexRow> = rows.iter().filter(|row| row.online && row.life.index != own.index).collect();
    watched.retain(|index, (incarnation, task)| {
        let stays = others.iter().any(|r| r.life == Life { index: *index, incarnation: *incarnation });
        if !stays {
            task.abort();
        }
        stays
    });
    for row in &others {
        watched.entry(row.life.index).or_insert_with(|| {
            let (shared, life) = (shared.clone(), row.life);
            let task = shared.tasks.clone().spawn_cancellable("crash watch", async move {
                match shared.db.lock_released(&lock_name(life.index)).await {
                    Ok(()) => knock_out(&shared, life, "its session ended").await,
                    Err(error) => tracing::warn!("sequencer {} cannot be watched for a crash: {error}", life.index),
                }
            });
            (row.life.incarnation, task)
        });
    }
    let mut beats = store::beats(&shared.db).await?;
    beats.retain(|beat| beat.index != own.index);
    for dead in judge.observe(&beats, shared.started.elapsed()) {
        let life = Life { index: dead.index, incarnation: dead.incarnation };
        if let Some(row) = others.iter().find(|row| row.life == life) {
            // Whatever it is doing must not commit after it was declared dead; the watermark row guards that too.
            if let Err(error) = shared.db.end_instance(&row.instance).await {
                tracing::warn!("the sessions of sequencer {} cannot be ended: {error}", life.index);
            }
            knock_out(shared, life, "its beat stood still").await;
        }
    }
    Ok(())
}

async fn knock_out(shared: &Shared, life: Life, why: &str) {
    match shared.db.commit(&shared.db.own(), vec![store::knock_out(life)]).await {
        Ok(committed) if committed.rows.iter().sum::<u64>() > 0 => {
            tracing::warn!(index = life.index, incarnation = life.incarnation, "sequencer marked offline: {why}");
            shared.db.notify(WATERMARKS);
        }
        Ok(_) | Err(StoreError::Contention(_)) => {}
        Err(error) => tracing::warn!("sequencer {} cannot be marked offline: {error}", life.index),
    }
}

pub(crate) fn lock_name(index: u32) -> String {
    format!("sequencer-index-{index}")
}
