//! Failed submissions as values of the library, which may be of any version: what it does not know becomes its
//! `UnknownError`.

use crate::{RunError, SubmitError, SubmitFailure, Unusable, library::Library};
use base::{ContractId, Identifier};
use engine::{Engine, EngineError, Term};
use transaction::Parties;

/// The library's value for a failure.
pub(crate) fn term(engine: &Engine, library: &Library, failure: &SubmitFailure) -> Result<Term, RunError> {
    let convert = Convert { engine, library };
    let known = match &failure.error {
        SubmitError::Engine(error) => convert.engine_error(error, failure.exception.as_ref()),
        SubmitError::Unusable { id, template, why } => convert.unusable(id, template, why),
        SubmitError::UnresolvedPackageName(name) => {
            convert.error("UnresolvedPackageName", &[("packageName", Term::text(name.as_str()))])
        }
        SubmitError::Refused { code: Some(code), message } if code == "DAML_AUTHORIZATION_ERROR" => {
            convert.error("AuthorizationError", &[("authorizationErrorMessage", Term::text(message))])
        }
        other => convert.unknown(&other.to_string()),
    };
    known.or_else(|_| convert.unknown(&failure.error.to_string()))
}

#[derive(Clone, Copy)]
struct Convert<'a> {
    engine: &'a Engine,
    library: &'a Library,
}

impl Convert<'_> {
    /// A constructor of a type of the library, whose fields are a type named after both.
    fn variant(self, ty: &str, constructor: &str, fields: &[(&str, Term)]) -> Result<Term, RunError> {
        let value = if fields.is_empty() {
            Term::unit()
        } else {
            self.library.record(self.engine, &format!("{ty}.{constructor}"), fields)?
        };
        self.library.construct(self.engine, ty, constructor, value)
    }

    fn error(self, constructor: &str, fields: &[(&str, Term)]) -> Result<Term, RunError> {
        self.variant("SubmitError", constructor, fields)
    }

    fn unknown(self, message: &str) -> Result<Term, RunError> {
        self.error("UnknownError", &[("unknownErrorMessage", Term::text(message))])
    }

    fn not_found(self, id: &ContractId, information: Term) -> Result<Term, RunError> {
        let ids = [("hd", Term::text(&id.to_string())), ("tl", Term::list([]))];
        let ids = self.library.record(self.engine, "NonEmpty", &ids)?;
        let fields = [("unknownContractIds", ids), ("additionalDebuggingInfo", Term::optional(Some(information)))];
        self.error("ContractNotFound", &fields)
    }

    fn unusable(self, id: &ContractId, template: &Identifier, why: &Unusable) -> Result<Term, RunError> {
        let ty = "ContractNotFoundAdditionalInfo";
        let contract = ("additionalInfoCid", self.library.any_contract_id(self.engine, template, id)?);
        let list = |parties: &Parties| Term::list(parties.iter().cloned().map(Term::party));
        let information = match why {
            Unusable::NotActive => self.variant(ty, "NotActive", &[contract])?,
            Unusable::NotEffective(time) => {
                self.variant(ty, "NotEffective", &[contract, ("effectiveAt", Term::text(&time.to_string()))])?
            }
            Unusable::NotVisible { act_as, read_as, stakeholders } => {
                let parties = [("actAs", list(act_as)), ("readAs", list(read_as)), ("observers", list(stakeholders))];
                self.variant(ty, "NotVisible", &[&[contract][..], &parties].concat())?
            }
        };
        self.not_found(id, information)
    }

    fn engine_error(self, error: &EngineError, exception: Option<&Term>) -> Result<Term, RunError> {
        let contract = |id, template| self.library.any_contract_id(self.engine, template, id);
        let ty = |id| self.library.type_rep(self.engine, id);
        match error {
            EngineError::ContractNotFound(id) => {
                let information = self.variant("ContractNotFoundAdditionalInfo", "NotFound", &[])?;
                self.not_found(id, information)
            }
            EngineError::ContractNotActive { id, template } => self.unusable(id, template, &Unusable::NotActive),
            EngineError::Authorization(error) => {
                let message = Term::text(&error.to_string());
                self.error("AuthorizationError", &[("authorizationErrorMessage", message)])
            }
            EngineError::Failure { error_id, category, message, metadata } => {
                let status = self.failure(error_id, *category, message, metadata);
                let known = status.and_then(|status| self.error("FailureStatusError", &[("failureStatus", status)]));
                known.or_else(|_| self.error("UnhandledException", &[("exc", Term::optional(exception.cloned()))]))
            }
            EngineError::User(message) => self.error("UserError", &[("userErrorMessage", Term::text(message))]),
            EngineError::Precondition { .. } => self.error("TemplatePreconditionViolated", &[]),
            EngineError::WronglyTyped { id, expected, actual } => self.error(
                "WronglyTypedContract",
                &[
                    ("contractId", contract(id, actual)?),
                    ("expectedTemplateId", ty(expected)?),
                    ("actualTemplateId", ty(actual)?),
                ],
            ),
            EngineError::NotImplemented { id, interface, template } => self.error(
                "ContractDoesNotImplementInterface",
                &[
                    ("contractId", contract(id, template)?),
                    ("templateId", ty(template)?),
                    ("interfaceId", ty(interface)?),
                ],
            ),
            EngineError::NotComparable => self.error("NonComparableValues", &[]),
            EngineError::ContractIdComparability => {
                self.error("ContractIdComparability", &[("globalExistingContractId", Term::text(""))])
            }
            EngineError::ValueNesting => {
                let limit = i64::try_from(base::limits::MAX_VALUE_DEPTH).unwrap_or(i64::MAX);
                self.error("ValueNesting", &[("limit", Term::int64(limit))])
            }
            EngineError::MalformedText => {
                self.error("MalformedText", &[("malformedTextMessage", Term::text(&error.to_string()))])
            }
            EngineError::UnknownPackageName(name) => {
                self.error("UnresolvedPackageName", &[("packageName", Term::text(name.as_str()))])
            }
            other => self.unknown(&other.to_string()),
        }
    }

    /// A failure with its status, as the standard library has it.
    pub(crate) fn failure(
        self,
        error_id: &str,
        category: i64,
        message: &str,
        metadata: &[(String, String)],
    ) -> Result<Term, RunError> {
        let meta = Term::text_map(metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let fields = [
            ("errorId", Term::text(error_id)),
            ("category", Term::int64(category)),
            ("message", Term::text(message)),
            ("meta", meta),
        ];
        self.library.record(self.engine, "FailureStatus", &fields)
    }
}

/// A failure with its status; nothing for other errors.
pub(crate) fn status(engine: &Engine, library: &Library, error: &EngineError) -> Option<Result<Term, RunError>> {
    let EngineError::Failure { error_id, category, message, metadata } = error else { return None };
    Some(Convert { engine, library }.failure(error_id, *category, message, metadata))
}
