//! What contracts look like through interfaces.

use crate::{
    Engine, EngineError,
    enrich::enrich,
    ledger::{Ledger, Seed},
    machine::Machine,
    run::Stop,
    translate::{TranslateError, to_ledger, to_machine},
    typing::{Data, Head, Typed},
};
use base::{Identifier, Timestamp};
use transaction::{Parties, Value};

impl Engine {
    /// The interfaces that a template implements; none if its package is unknown.
    #[must_use]
    pub fn interfaces_of(&self, template: &Identifier) -> Vec<Identifier> {
        self.registry().interfaces_of(template)
    }

    /// The view of a contract through an interface, with type ids and labels. Runs at most `budget` operations of
    /// the machine. What the model throws, a template that does not implement the interface, and a missing package
    /// are errors.
    pub fn interface_view(
        &self,
        template: &Identifier,
        argument: &Value,
        interface: &Identifier,
        budget: u64,
    ) -> Result<Value, EngineError> {
        self.view(template, argument, interface, budget).map_err(Stop::into_error)
    }

    fn view(
        &self,
        template: &Identifier,
        argument: &Value,
        interface: &Identifier,
        mut budget: u64,
    ) -> Result<Value, Stop> {
        let registry = self.registry();
        let missing = |package| Stop::package(&package);
        let unknown = |id: &Identifier| Stop::error(EngineError::UnknownTemplate(id.to_string()));
        let implementation = registry.implementation(template, interface)?.ok_or_else(|| unknown(interface))?;
        let function = implementation.view().ok_or_else(|| unknown(interface))?;
        let head = Head::Data(Data::closed(&registry, template).map_err(missing)?);
        let argument = to_machine(&registry, argument, head).map_err(|error| match error {
            TranslateError::Missing(package) => Stop::package(&package),
            TranslateError::Mismatch(why) => Stop::error(EngineError::Preprocessing(why)),
        })?;
        // A view is a pure function: whatever time and authority it ran with, it could not see them.
        let ledger = Ledger::new(Seed::Root(None), Parties::new(), Timestamp::EPOCH, Timestamp::EPOCH);
        let mut machine = Machine::new(registry.clone(), ledger);
        machine.start(function, [argument])?;
        let value = machine.run(&mut budget)?;
        let value = to_ledger(&value.ok_or_else(|| Stop::error(EngineError::Limit("the view takes too long")))?)?;
        let owner = registry.need(&interface.package)?;
        let ty = owner.interface(interface).map(|(_, definition)| Typed::closed(owner, definition.view));
        let head = ty.ok_or_else(|| unknown(interface))?.head(&registry).map_err(missing)?;
        Ok(enrich(&registry, &value, head).unwrap_or(value))
    }
}
