//! What came of a run.

use crate::{
    fault::Fault,
    history::{History, Injected, Inner},
    layout::Kind,
};
use checker::{Counts, Kind as Wrong, Outcome, Record, Verdict};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How long after a sequencer's death a gap in delivery is put down to it, in microseconds.
const GAP_WINDOW: i64 = 3_000_000;

/// The report of `demo --headless`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Attempts of clients.
    pub submitted: usize,
    /// Commands that committed.
    pub committed: usize,
    /// Commands that were refused for certain.
    pub rejected: usize,
    /// Why, and how often.
    pub rejections: BTreeMap<String, usize>,
    /// Commands whose outcome a client did not learn, and the ledger told.
    pub unknown_resolved: usize,
    /// Writes of replaced replicas that the fence refused.
    pub fenced_writes: usize,
    /// Commands said to be committed that are not there.
    pub lost: usize,
    /// Commands that took effect twice.
    pub duplicated: usize,
    /// Updates out of order.
    pub reordered: usize,
    /// Updates that participants show differently.
    pub divergent: usize,
    /// Commands without completion.
    pub undecided: usize,
    /// Kills by kind of node.
    pub kills: BTreeMap<&'static str, usize>,
    /// Faults by name and kind of node.
    pub faults: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    /// Processes that their peers ended because they were silent for a lease, which happens on a busy machine.
    pub ended_as_silent: usize,
    /// Fewest commands that were under way at a kill.
    pub in_flight_at_kills: usize,
    /// Committed ones.
    pub commands_per_second: f64,
    /// From submission to answer.
    pub latency_ms: Latency,
    /// The same as `outage_ms.kill`.
    pub failover_ms: BTreeMap<&'static str, Times>,
    /// Time without service by fault and kind of node: from the fault to the commit of the first command submitted after
    /// it that needs the node; for the manager to the next topology change; for a sequencer the longest gap in delivery.
    pub outage_ms: BTreeMap<&'static str, BTreeMap<&'static str, Times>>,
    /// Memory of each process before the load.
    pub idle_mb: BTreeMap<String, f64>,
    /// Memory of each process after it.
    pub rss_mb: BTreeMap<String, f64>,
    /// From the first process started to the first transaction each way.
    pub start_ms: u64,
    /// From the start of a killed process until it serves.
    pub restart_ms: Times,
    /// As given.
    pub seed: u64,
    /// As given.
    pub storage: String,
    /// What the checker or the run itself found wrong; empty if all is well.
    pub violations: Vec<String>,
}

/// In milliseconds.
#[derive(Debug, Default, Serialize)]
pub struct Latency {
    /// Half took no longer.
    pub p50: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
}

/// In milliseconds.
#[derive(Debug, Default, Serialize)]
pub struct Times {
    /// How many.
    pub count: usize,
    /// Half took no longer.
    pub p50: f64,
    /// None took longer.
    pub max: f64,
}

/// What only the running demo knows.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) storage: String,
    pub(crate) start_ms: u64,
    pub(crate) load_seconds: f64,
    pub(crate) idle_mb: BTreeMap<String, f64>,
    pub(crate) rss_mb: BTreeMap<String, f64>,
    pub(crate) fenced_writes: usize,
    /// Whether processes were killed, so that an unknown outcome must have occurred.
    pub(crate) has_kills: bool,
}

fn millis(micros: i64) -> f64 {
    // Exact below 2^52 µs, more than a century.
    #[expect(clippy::cast_precision_loss, reason = "shown to people")]
    let micros = micros as f64;
    (micros / 10.0).round() / 100.0
}

fn percentile(sorted: &[i64], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).map_or(0.0, |micros| millis(*micros))
}

/// Puts everything together.
pub(crate) fn report(history: &History, verdict: &Verdict, run: Run) -> Report {
    let Counts { submitted, committed, rejected, unknown_resolved, .. } = verdict.counts;
    let (faults, in_flight, mut latencies) = history.with(|h| {
        let fewest = h.faults.iter().map(|f| f.in_flight).min().unwrap_or(0);
        (h.faults.clone(), fewest, h.latencies.clone())
    });
    let count = |fault, kind| faults.iter().filter(|f| (f.fault, f.kind) == (fault, kind)).count();
    let happened: BTreeSet<Fault> = faults.iter().map(|f| f.fault).collect();
    latencies.sort_unstable();
    let mut violations: Vec<String> = verdict.violations.iter().map(|v| format!("{:?}: {}", v.kind, v.text)).collect();
    if run.has_kills && unknown_resolved == 0 {
        violations.push("Inconclusive: no command had an unknown outcome, so the kills tested nothing".into());
    }
    #[expect(clippy::cast_precision_loss, reason = "shown to people")]
    let rate = if run.load_seconds > 0.0 { committed as f64 / run.load_seconds } else { 0.0 };
    Report {
        submitted,
        committed,
        rejected,
        rejections: history.with(|h| rejections(&h.records)),
        unknown_resolved,
        fenced_writes: run.fenced_writes,
        lost: verdict.count(Wrong::Lost),
        duplicated: verdict.count(Wrong::Duplicated),
        reordered: verdict.count(Wrong::Reordered),
        divergent: verdict.count(Wrong::Divergent),
        undecided: verdict.count(Wrong::Undecided),
        kills: by_kind(|kind| count(Fault::Kill, kind)),
        faults: happened.iter().map(|fault| (fault.name(), by_kind(|kind| count(*fault, kind)))).collect(),
        ended_as_silent: history.with(|h| h.silent),
        in_flight_at_kills: in_flight,
        commands_per_second: (rate * 10.0).round() / 10.0,
        latency_ms: Latency { p50: percentile(&latencies, 50), p99: percentile(&latencies, 99) },
        failover_ms: by_kind(|kind| outage(history, Fault::Kill, kind)),
        outage_ms: happened.iter().map(|f| (f.name(), by_kind(|kind| outage(history, *f, kind)))).collect(),
        idle_mb: run.idle_mb,
        rss_mb: run.rss_mb,
        start_ms: run.start_ms,
        restart_ms: times(history.with(|h| h.restarts.clone())),
        seed: run.seed,
        storage: run.storage,
        violations,
    }
}

fn by_kind<T>(value: impl Fn(Kind) -> T) -> BTreeMap<&'static str, T> {
    Kind::ALL.into_iter().map(|kind| (kind.name(), value(kind))).collect()
}

/// From each such fault until it was made good.
pub(crate) fn outage(history: &History, fault: Fault, kind: Kind) -> Times {
    let took: Vec<i64> = history.with(|h| {
        let commits = commits(&h.records);
        let such = h.faults.iter().filter(|f| (f.fault, f.kind) == (fault, kind));
        such.filter_map(|fault| took(h, &commits, fault)).collect()
    });
    times(took)
}

/// The longest time that a fault of this kind of node took to be made good, in milliseconds.
#[must_use]
pub fn worst_outage(history: &History, kind: Kind) -> f64 {
    Fault::ALL.into_iter().map(|fault| outage(history, fault, kind).max).fold(0.0, f64::max)
}

fn rejections(records: &[Record]) -> BTreeMap<String, usize> {
    let mut by_code = BTreeMap::new();
    for record in records {
        if let Record::Answer { outcome: Outcome::Rejected { code }, .. } = record {
            *by_code.entry(code.clone()).or_default() += 1;
        }
    }
    by_code
}

/// What was killed last, and how long that took to be made good; `None` before the first kill and during a failover.
#[must_use]
pub fn last_failover(history: &History) -> Option<(&'static str, f64)> {
    history.with(|h| {
        let fault = h.faults.last()?;
        Some((fault.kind.name(), millis(took(h, &commits(&h.records), fault)?)))
    })
}

fn took(h: &Inner, commits: &[Commit<'_>], kill: &Injected) -> Option<i64> {
    let any = || commits.iter().filter(|c| c.submitted >= kill.at).map(|c| c.answered - kill.at).min();
    match kill.kind {
        _ if kill.fault == Fault::Database => any(),
        Kind::Manager => h.topology.iter().filter(|(begin, _)| *begin >= kill.at).map(|(_, end)| end - kill.at).min(),
        Kind::Sequencer => Some(longest_gap(&h.arrivals, kill.at)),
        Kind::Mediator => any(),
        Kind::Participant => {
            let own = commits.iter().filter(|c| c.submitted >= kill.at && c.participant == kill.logical);
            own.map(|c| c.answered - kill.at).min()
        }
    }
}

fn times(mut took: Vec<i64>) -> Times {
    took.sort_unstable();
    Times { count: took.len(), p50: percentile(&took, 50), max: percentile(&took, 100) }
}

struct Commit<'a> {
    submitted: i64,
    answered: i64,
    participant: &'a str,
}

/// Commands that committed at their first attempt, or at a later one: each attempt counts from its own submission.
fn commits(records: &[Record]) -> Vec<Commit<'_>> {
    let mut submitted: BTreeMap<&str, (i64, &str)> = BTreeMap::new();
    let mut commits = Vec::new();
    for record in records {
        match record {
            Record::Submit { at, command, participant, .. } => {
                submitted.insert(command, (*at, participant));
            }
            Record::Answer { at, command, outcome: Outcome::Committed { .. }, .. } => {
                if let Some((begun, participant)) = submitted.get(command.as_str()) {
                    commits.push(Commit { submitted: *begun, answered: *at, participant });
                }
            }
            _ => {}
        }
    }
    commits
}

fn longest_gap(arrivals: &[(&'static str, i64)], kill: i64) -> i64 {
    let readers: std::collections::BTreeSet<_> = arrivals.iter().map(|(reader, _)| reader).collect();
    let gaps = readers.into_iter().map(|reader| {
        let times: Vec<i64> = arrivals.iter().filter(|(r, _)| r == reader).map(|(_, at)| *at).collect();
        let around = times.windows(2).filter(|w| w[1] >= kill && w[0] <= kill + GAP_WINDOW);
        around.map(|w| w[1] - w[0]).max().unwrap_or(0)
    });
    gaps.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_those_around_the_kill() {
        let arrivals = [("a", 0), ("a", 100), ("a", 900), ("a", 1_000), ("b", 0), ("b", 990)];
        assert_eq!(longest_gap(&arrivals[..4], 150), 800);
        assert_eq!(longest_gap(&arrivals[..4], 950), 100);
        assert_eq!(longest_gap(&arrivals, 950), 990);
    }

    #[test]
    fn percentiles_of_few_values() {
        assert_eq!(percentile(&[], 50), 0.0);
        assert_eq!(percentile(&[1000, 2000, 3000], 50), 2.0);
        assert_eq!(percentile(&[1000, 2000, 3000], 100), 3.0);
    }
}
