//! Who sees which node, and who learns of contracts in passing (spec/daml-lf.md §3.3, Blinding).

use crate::{Node, NodeId, Parties, Transaction};
use base::ContractId;
use std::collections::BTreeMap;

/// Who sees what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Blinding {
    /// For each node, by number, its witnesses: its own informees and those of everything above it.
    pub disclosure: Vec<Parties>,
    /// Parties that see the use of a contract without being its stakeholders.
    pub divulgence: BTreeMap<ContractId, Parties>,
}

impl Blinding {
    /// The witnesses of a node; nobody if there is no such node.
    #[must_use]
    pub fn witnesses(&self, id: NodeId) -> Option<&Parties> {
        self.disclosure.get(usize::try_from(id.0).ok()?)
    }

    fn divulge(&mut self, id: &ContractId, parties: &Parties, stakeholders: &Parties) {
        let new = parties - stakeholders;
        if !new.is_empty() {
            self.divulgence.entry(id.clone()).or_default().extend(new);
        }
    }
}

impl Transaction {
    /// Computes witnesses and divulgence of every node.
    #[must_use]
    pub fn blinding(&self) -> Blinding {
        let mut blinding = Blinding { disclosure: vec![Parties::new(); self.len()], divulgence: BTreeMap::new() };
        for (id, node) in self.nodes() {
            // Until here the slot holds the witnesses of the node's parent.
            let index = usize::try_from(id.0).expect("32-bit numbers fit a usize");
            let above = std::mem::take(&mut blinding.disclosure[index]);
            match node {
                Node::Fetch(fetch) => blinding.divulge(&fetch.contract_id, &above, &fetch.stakeholders),
                Node::Exercise(exercise) => {
                    let seers = &above | &exercise.choice_observers;
                    blinding.divulge(&exercise.contract_id, &seers, &exercise.stakeholders);
                }
                _ => {}
            }
            let witnesses = &above | &node.informees();
            for child in node.children() {
                if let Some(slot) = usize::try_from(child.0).ok().and_then(|child| blinding.disclosure.get_mut(child)) {
                    *slot = witnesses.clone();
                }
            }
            blinding.disclosure[index] = witnesses;
        }
        blinding
    }
}
