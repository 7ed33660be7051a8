//! Events as scripts see them, and as people do.

use crate::{Action, Event, RunError, library::Library};
use base::{Identifier, PackageId};
use engine::{Engine, Term};
use std::fmt::Write as _;
use transaction::{Node, NodeId, Parties, Transaction};

/// The events of a transaction, in order.
pub(crate) fn events(transaction: &Transaction) -> Vec<Event> {
    let mut events = Vec::new();
    let mut todo: Vec<(NodeId, usize)> = transaction.roots().iter().rev().map(|root| (*root, 0)).collect();
    while let Some((id, depth)) = todo.pop() {
        match transaction.get(id) {
            Some(Node::Create(create)) => events.push(Event {
                depth,
                contract_id: create.contract_id.clone(),
                template: create.instance.template.clone(),
                action: Action::Created { argument: create.instance.argument.clone() },
            }),
            Some(Node::Exercise(exercise)) => {
                let result = exercise.result.clone().unwrap_or(transaction::Value::Unit);
                let (interface, choice) = (exercise.interface.clone(), exercise.choice.clone());
                let action = Action::Exercised { interface, choice, argument: exercise.argument.clone(), result };
                let (contract_id, template) = (exercise.contract_id.clone(), exercise.template.clone());
                events.push(Event { depth, contract_id, template, action });
                todo.extend(exercise.children.iter().rev().map(|child| (*child, depth + 1)));
            }
            // Fetches are nothing that happened, rolled-back nodes are undone.
            _ => {}
        }
    }
    events
}

/// The events with the templates as the script knows them: root events from the packages of their commands.
pub(crate) fn as_known(events: &mut [Event], known_from: &[PackageId]) {
    let roots = events.iter_mut().filter(|event| event.depth == 0);
    roots.zip(known_from).for_each(|(event, package)| match &event.action {
        Action::Exercised { interface: Some(_), .. } => {}
        _ => event.template.package = package.clone(),
    });
}

/// What the library calls a transaction tree.
pub(crate) fn term(engine: &Engine, library: &Library, events: &[Event]) -> Result<Term, RunError> {
    // For each depth the events that wait for the one around them, the last one first.
    let mut levels: Vec<Vec<Term>> = vec![Vec::new()];
    for event in events.iter().rev() {
        let below = event.depth + 1;
        levels.resize_with(levels.len().max(below + 1), Vec::new);
        let mut children = std::mem::take(&mut levels[below]);
        children.reverse();
        let contract_id = ("contractId", library.any_contract_id(engine, &event.template, &event.contract_id)?);
        let term = match &event.action {
            Action::Created { argument } => {
                let argument = ("argument", library.any_template(engine, &event.template, argument)?);
                let created = library.record(engine, "Created", &[contract_id, argument])?;
                library.construct(engine, "TreeEvent", "CreatedEvent", created)?
            }
            Action::Exercised { interface, choice, argument, .. } => {
                let owner = interface.as_ref().unwrap_or(&event.template);
                let any = [
                    ("getAnyChoice", engine.choice_argument_term(owner, choice, argument)?),
                    ("getAnyChoiceTemplateTypeRep", library.type_rep(engine, owner)?),
                ];
                let argument = ("argument", library.record(engine, "AnyChoice", &any)?);
                let choice = ("choice", Term::text(choice.as_str()));
                let children = ("childEvents", Term::list(children));
                let exercised = library.record(engine, "Exercised", &[contract_id, choice, argument, children])?;
                library.construct(engine, "TreeEvent", "ExercisedEvent", exercised)?
            }
        };
        levels[event.depth].push(term);
    }
    let mut roots = std::mem::take(&mut levels[0]);
    roots.reverse();
    library.record(engine, "TransactionTree", &[("rootEvents", Term::list(roots))])
}

/// Lines that are shown of a transaction.
const MAX_LINES: usize = 200;

fn short(id: &Identifier) -> String {
    format!("{}:{}", id.module, id.entity)
}

fn names(parties: &Parties) -> String {
    parties.iter().map(base::PartyId::as_str).collect::<Vec<_>>().join(", ")
}

/// Events for people, one line each.
pub(crate) fn text_of_events(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events.iter().take(MAX_LINES) {
        let template = short(&event.template);
        let indent = 2 * event.depth;
        let _ = match &event.action {
            Action::Created { .. } => writeln!(text, "{:indent$}create {template}", ""),
            Action::Exercised { choice, .. } => writeln!(text, "{:indent$}{choice} of {template}", ""),
        };
    }
    text
}

/// A transaction for people, one line a node.
pub(crate) fn text(transaction: &Transaction) -> String {
    let mut text = String::new();
    let mut todo: Vec<(NodeId, usize)> = transaction.roots().iter().rev().map(|root| (*root, 0)).collect();
    let mut lines = 0;
    while let Some((id, depth)) = todo.pop() {
        let Some(node) = transaction.get(id) else { continue };
        if lines == MAX_LINES {
            let _ = writeln!(text, "… {} nodes more", transaction.len() - lines);
            break;
        }
        lines += 1;
        todo.extend(node.children().iter().rev().map(|child| (*child, depth + 1)));
        let _ = write!(text, "{:indent$}", "", indent = 2 * depth);
        let _ = match node {
            Node::Create(n) => {
                writeln!(text, "create {} by {}", short(&n.instance.template), names(&n.instance.signatories))
            }
            Node::Fetch(n) => writeln!(text, "fetch {} by {}", short(&n.template), names(&n.actors)),
            Node::QueryByKey(n) => writeln!(text, "query {} by key: {} found", short(&n.template), n.result.len()),
            Node::Rollback(_) => writeln!(text, "rolled back:"),
            Node::Exercise(n) => {
                let through = n.interface.as_ref().map(|id| format!(" through {}", short(id))).unwrap_or_default();
                let open = if n.result.is_none() { ", not ended" } else { "" };
                let verb = if n.consuming { "consume" } else { "use" };
                writeln!(text, "{verb} {}{through} with {} by {}{open}", short(&n.template), n.choice, names(&n.actors))
            }
        };
    }
    text
}
