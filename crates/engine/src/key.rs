//! Contract keys: by what the ledger finds them.

use crate::{
    Engine, EngineError,
    enrich::enrich,
    registry::{Loaded, Registry},
    run::Stop,
    typing::Typed,
};
use base::{Hash, Identifier, Name};
use lf::{DataCons, LanguageVersion};
use std::sync::Arc;
use transaction::{TypedHashError, Value};

/// A key of a template's contracts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KeyOf {
    /// What contracts of the key have in common, as [`transaction::ContractKey`] holds it: in LF 2 one for all versions
    /// of a package.
    pub hash: Hash,
    /// The template.
    pub template: Identifier,
    /// The key, as the ledger stores it.
    pub value: Value,
}

impl Engine {
    /// The key of a template with this value. Its package, and those of the key's type, must be known.
    pub fn key(&self, template: &Identifier, value: &Value) -> Result<KeyOf, EngineError> {
        key(&self.registry(), template, value.clone()).map_err(Stop::into_error)
    }
}

impl Loaded {
    /// Whether several contracts may have one key; then a `try` can no longer undo what it created or archived.
    pub(crate) fn shares_keys(&self) -> bool {
        self.package.language_version() >= LanguageVersion::V2_3
    }
}

pub(crate) fn key(registry: &Registry, template: &Identifier, value: Value) -> Result<KeyOf, Stop> {
    let refuse = |why| Stop::error(EngineError::ContractKey { template: template.clone(), why });
    if value.contract_ids().next().is_some() {
        return Err(refuse("it holds a contract id"));
    }
    let loaded = registry.need(&template.package)?;
    let hash = if loaded.package.language_version().is_v1() {
        transaction::hash_contract_key(template, &value)
    } else {
        typed_hash(registry, loaded, template, &value)?.map_err(|_| refuse("it is not of its type"))?
    };
    Ok(KeyOf { hash, template: template.clone(), value })
}

fn typed_hash(
    registry: &Registry,
    loaded: &Arc<Loaded>,
    template: &Identifier,
    value: &Value,
) -> Result<Result<Hash, TypedHashError>, Stop> {
    let missing = || Stop::error(EngineError::IllTyped(format!("{template} has no key")));
    let ty = loaded.template(template).and_then(|(_, template)| template.key.as_ref()).ok_or_else(missing)?.ty;
    let head = Typed::closed(loaded, ty).head(registry).map_err(|package| Stop::package(&package))?;
    let rank = |id: &Identifier, constructor: &Name| {
        let place = match &registry.get(&id.package)?.data_type(id)?.cons {
            DataCons::Variant(all) => all.iter().position(|(name, _)| name == constructor)?,
            DataCons::Enum(all) => all.iter().position(|name| name == constructor)?,
            DataCons::Record(_) | DataCons::Interface => return None,
        };
        u32::try_from(place).ok()
    };
    // What does not fit its type stays without labels, and is refused for that.
    let typed = enrich(registry, value, head).unwrap_or_else(|| value.clone());
    Ok(transaction::hash_key(&loaded.package.metadata().name, template, &typed, rank))
}
