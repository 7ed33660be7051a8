//! Which events a client wants to see.

use super::command::{PackageRef, TemplateRef, parties, template};
use crate::{ApiError, access::Access};
use base::{Identifier, PackageName, PartyId};
use canton_proto::com::daml::ledger::api::v2 as api;
use std::collections::BTreeMap;
use transaction::Parties;

/// Parties with the templates that each wants to see.
#[derive(Debug, Clone)]
pub(crate) struct EventFilter {
    by_party: BTreeMap<PartyId, Templates>,
    any_party: Option<Templates>,
    /// Whether labels and type ids are shown.
    pub(crate) verbose: bool,
}

/// What a transaction looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Contracts that came and went, for their stakeholders.
    AcsDelta,
    /// Everything that happened, for its witnesses.
    LedgerEffects,
}

/// Which transactions, in which shape.
#[derive(Debug, Clone)]
pub(crate) struct TransactionFilter {
    pub(crate) events: EventFilter,
    pub(crate) shape: Shape,
}

#[derive(Debug, Clone)]
enum Templates {
    All,
    Only(Vec<TemplateRef>),
}

type Result<T> = std::result::Result<T, ApiError>;

impl Templates {
    fn read(filters: &api::Filters) -> Result<Self> {
        use api::cumulative_filter::IdentifierFilter;
        let mut only = Vec::new();
        for filter in &filters.cumulative {
            match filter.identifier_filter.as_ref() {
                None | Some(IdentifierFilter::WildcardFilter(_)) => return Ok(Self::All),
                Some(IdentifierFilter::TemplateFilter(t)) => only.push(template(t.template_id.as_ref())?),
                Some(IdentifierFilter::InterfaceFilter(_)) => return Err(ApiError::Unsupported("an interface filter")),
            }
        }
        Ok(if only.is_empty() { Self::All } else { Self::Only(only) })
    }

    fn include(&self, template: &Identifier, package: &PackageName) -> bool {
        let Self::Only(list) = self else { return true };
        list.iter().any(|wanted| {
            let same_package = match &wanted.package {
                PackageRef::Id(id) => *id == template.package,
                PackageRef::Name(name) => name == package,
            };
            same_package && wanted.module == template.module && wanted.entity == template.entity
        })
    }
}

impl EventFilter {
    /// Everything that these parties see.
    pub(crate) fn of_parties(parties: &Parties) -> Self {
        let by_party = parties.iter().map(|party| (party.clone(), Templates::All)).collect();
        Self { by_party, any_party: None, verbose: true }
    }

    fn read(format: &api::EventFormat) -> Result<Self> {
        let mut by_party = BTreeMap::new();
        for (party, filters) in &format.filters_by_party {
            let party = PartyId::new(party).map_err(ApiError::id("filters_by_party"))?;
            by_party.insert(party, Templates::read(filters)?);
        }
        let any_party = format.filters_for_any_party.as_ref().map(Templates::read).transpose()?;
        if by_party.is_empty() && any_party.is_none() {
            return Err(ApiError::Missing("event_format.filters_by_party or filters_for_any_party"));
        }
        Ok(Self { by_party, any_party, verbose: format.verbose })
    }

    pub(crate) fn required(format: Option<&api::EventFormat>) -> Result<Self> {
        Self::read(format.ok_or(ApiError::Missing("event_format"))?)
    }

    /// Those of `seers` that this client asks for, with regard to a template.
    pub(crate) fn among<'a>(
        &self,
        seers: impl Iterator<Item = &'a PartyId>,
        template: &Identifier,
        package: &PackageName,
    ) -> Vec<String> {
        let any = self.any_party.as_ref().is_some_and(|t| t.include(template, package));
        seers
            .filter(|party| any || self.by_party.get(*party).is_some_and(|t| t.include(template, package)))
            .map(ToString::to_string)
            .collect()
    }

    /// Whether the caller may see what it asks for.
    pub(crate) fn allowed(&self, access: &Access) -> Result<()> {
        access.read_as(self.by_party.keys())?;
        if self.any_party.is_some() { access.read_as_any_party() } else { Ok(()) }
    }

    /// Whether the client asks for one of these parties, whatever the template.
    pub(crate) fn asks_for_any_of(&self, parties: &Parties) -> bool {
        self.any_party.is_some() || parties.iter().any(|party| self.by_party.contains_key(party))
    }
}

/// Reads the format of single transactions.
pub(crate) fn transaction_filter(format: Option<&api::TransactionFormat>) -> Result<TransactionFilter> {
    let format = format.ok_or(ApiError::Missing("transaction_format"))?;
    let shape = match format.transaction_shape() {
        api::TransactionShape::AcsDelta => Shape::AcsDelta,
        api::TransactionShape::LedgerEffects => Shape::LedgerEffects,
        api::TransactionShape::Unspecified => return Err(ApiError::Missing("transaction_shape")),
    };
    Ok(TransactionFilter { events: EventFilter::required(format.event_format.as_ref())?, shape })
}

/// Reads the format of a stream of updates; `None` if it asks for no transactions.
pub(crate) fn update_filter(format: Option<&api::UpdateFormat>) -> Result<Option<TransactionFilter>> {
    let format = format.ok_or(ApiError::Missing("update_format"))?;
    let topology = format.include_topology_events.as_ref();
    if let Some(wanted) = topology.and_then(|t| t.include_participant_authorization_events.as_ref()) {
        parties(&wanted.parties, "include_topology_events")?;
        return Err(ApiError::Unsupported("topology events"));
    }
    format.include_transactions.as_ref().map(|t| transaction_filter(Some(t))).transpose()
}
