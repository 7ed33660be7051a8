//! The live table.

use checker::{Outcome, Record};
use demo::{DemoError, Fault, Kind, Network, Options, Process, Report, hand_over, last_failover, status, worst_outage};
use ratatui::{
    Frame,
    crossterm::event::{self, Event, KeyCode, KeyEventKind},
    layout::{Constraint, Layout},
    style::{Color, Style, Stylize as _},
    text::Line,
    widgets::{Block, Cell, Paragraph, Row, Table},
};
use std::{io, time::Duration};
use tasks::Tasks;
use wire::concordat::admin::v1::{NodeStatus, StatusResponse};

/// Between two drawings.
const REFRESH: Duration = Duration::from_millis(200);

/// Until a stream shows what was committed, in microseconds.
const SHOWN_WITHIN: i64 = 5_000_000;

/// A row of the table.
pub(crate) struct NodeLine {
    pub(crate) process: Process,
    pub(crate) status: Option<(NodeStatus, StatusResponse)>,
}

/// Shows the live table until the user quits.
pub(crate) async fn interactive(options: Options, tasks: Tasks) -> Result<Report, DemoError> {
    let mut network = Network::start(options, tasks).await?;
    network.start_load();
    run(&mut network).await?;
    let report = network.finish(Vec::new()).await?;
    if report.violations.is_empty() { Ok(report) } else { Err(DemoError::Wrong(report.violations)) }
}

/// Shows the table and obeys keys until `q`.
async fn run(network: &mut Network) -> Result<(), DemoError> {
    let mut terminal = ratatui::try_init()?;
    let result = show(network, &mut terminal).await;
    ratatui::try_restore()?;
    result
}

async fn show(network: &mut Network, terminal: &mut ratatui::DefaultTerminal) -> Result<(), DemoError> {
    let mut message = String::from("k kill an active process · h hand over · q quit");
    for round in 0_u64.. {
        let lines = look(&network.processes).await;
        let counters = counters(network);
        terminal.draw(|frame| draw(frame, &lines, &counters, &message))?;
        let Some(key) = key()? else { continue };
        let kind = Kind::ALL[usize::try_from(round).unwrap_or(0) % Kind::ALL.len()];
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
            KeyCode::Char('k') => {
                let killed = network.inject(Fault::Kill, kind, round).await?;
                message = killed.unwrap_or_else(|| format!("no {} is active", kind.name()));
            }
            KeyCode::Char('h') => message = hand_over_of(&lines, kind).await,
            _ => {}
        }
    }
    Ok(())
}

/// A key, if one is pressed before the next drawing is due.
fn key() -> io::Result<Option<KeyCode>> {
    if !event::poll(REFRESH)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => Some(key.code),
        _ => None,
    })
}

/// Asks all processes at once.
pub(crate) async fn look(processes: &[Process]) -> Vec<NodeLine> {
    let asked = processes
        .iter()
        .map(|process| async move { NodeLine { process: process.clone(), status: status(process).await } });
    futures::future::join_all(asked).await
}

async fn hand_over_of(lines: &[NodeLine], kind: Kind) -> String {
    let active = lines
        .iter()
        .find(|line| line.process.kind == kind && line.status.as_ref().is_some_and(|(node, _)| node.role == "Active"));
    let Some(line) = active else { return format!("no {} is active", kind.name()) };
    match hand_over(&line.process).await {
        Ok(to) => format!("{} took over from {} in {} ms", to.replica, line.process.name, to.took_ms),
        Err(error) => format!("{} stays active: {error}", line.process.name),
    }
}

fn counters(network: &Network) -> String {
    let history = &network.history;
    let (submitted, committed, rejected, unknown, mut latencies) = history.with(|h| {
        let mut counts = (0, 0, 0, 0);
        for record in &h.records {
            match record {
                Record::Submit { .. } => counts.0 += 1,
                Record::Answer { outcome: Outcome::Committed { .. }, .. } => counts.1 += 1,
                Record::Answer { outcome: Outcome::Rejected { .. }, .. } => counts.2 += 1,
                Record::Answer { outcome: Outcome::Unknown, .. } => counts.3 += 1,
                _ => {}
            }
        }
        (counts.0, counts.1, counts.2, counts.3, h.latencies.clone())
    });
    latencies.sort_unstable();
    let percent = |p: usize| latencies.get(latencies.len() * p / 100).map_or(0, |micros| micros / 1000);
    let seconds = (history.now() / 1_000_000).max(1);
    let verdict = history.with(|h| checker::check(&h.records));
    let worst = Kind::ALL.map(|kind| format!("{} {} ms", kind.name(), worst_outage(history, kind))).join(" · ");
    let last = last_failover(history).map_or_else(|| "-".into(), |(kind, ms)| format!("{kind} {ms} ms"));
    format!(
        "attempts {submitted} · committed {committed} ({}/s) · rejected {rejected} · unknown {unknown} · in flight {} · \
         latency p50 {} ms p99 {} ms\nlost {} · duplicated {} · last failover: {last} · worst: {worst}",
        committed / usize::try_from(seconds).unwrap_or(1),
        history.in_flight(),
        percent(50),
        percent(99),
        lost(network),
        verdict.count(checker::Kind::Duplicated),
    )
}

/// Commands that clients were told are committed a while ago, and that some participant's stream has not shown.
fn lost(network: &Network) -> usize {
    let sides = network.load.sides.each_ref().map(|side| side.participant);
    let before = network.history.now() - SHOWN_WITHIN;
    network.history.with(|h| {
        let committed = h.records.iter().filter_map(|record| match record {
            Record::Answer { at, outcome: Outcome::Committed { update_id }, .. } if *at < before => Some(update_id),
            _ => None,
        });
        committed.filter(|id| sides.iter().any(|side| !h.seen.contains(&(*side, (*id).clone())))).count()
    })
}

fn draw(frame: &mut Frame<'_>, lines: &[NodeLine], counters: &str, message: &str) {
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Min(u16::try_from(lines.len()).unwrap_or(u16::MAX - 3) + 3),
        Constraint::Length(4),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let header = Row::new(["node", "replica", "role", "epoch", "ports", "lag", "memory", "uptime"]).bold();
    let rows = lines.iter().map(|line| {
        let role = line.status.as_ref().map_or("down", |(node, _)| node.role.as_str());
        let color = match role {
            "Active" | "Online" => Color::Green,
            "Passive" => Color::Gray,
            "down" => Color::Red,
            _ => Color::Yellow,
        };
        Row::new(cells(line).into_iter().map(Cell::from)).style(Style::new().fg(color))
    });
    let widths = [14, 16, 10, 7, 24, 8, 9, 9].map(Constraint::Length);
    let table = Table::new(rows, widths).header(header).block(Block::bordered().title("concordat demo"));
    frame.render_widget(table, top);
    frame.render_widget(Paragraph::new(counters).block(Block::bordered()), middle);
    frame.render_widget(Line::from(message), bottom);
}

/// The columns of a row, for the screen and for `status`.
pub(crate) fn cells(line: &NodeLine) -> [String; 8] {
    let Some((node, process)) = &line.status else {
        let down = String::from("-");
        let name = line.process.name.clone();
        let ports = line.process.admin_port.to_string();
        return [
            line.process.logical.clone(),
            name,
            "down".into(),
            down.clone(),
            ports,
            down.clone(),
            down.clone(),
            down,
        ];
    };
    let ports: Vec<String> = node.ports.iter().map(|p| format!("{} {}", p.name, p.port)).collect();
    [
        line.process.logical.clone(),
        node.name.clone(),
        node.role.clone(),
        node.epoch.to_string(),
        ports.join(" "),
        node.lag_ms.map_or_else(|| "-".into(), |ms| format!("{ms} ms")),
        format!("{} MB", process.resident_bytes / 1_048_576),
        format!("{} s", process.uptime_ms / 1000),
    ]
}
