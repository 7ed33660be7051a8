//! Who must authorize what (spec/daml-lf.md §3.3).

use crate::{Exercise, Node, Parties, Transaction};
use base::{Coded, ErrorCode, Identifier, Name, codes};

/// A node lacks the authority it needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// Signatories did not authorize.
    #[error("create of {template} requires authorizers {}, but only {} were given", list(.required), list(.given))]
    Create {
        /// The template.
        template: Identifier,
        /// The signatories.
        required: Parties,
        /// Who authorized.
        given: Parties,
    },
    /// A contract without signatories.
    #[error("create of {template} has no signatories; a contract needs at least one")]
    NoSignatories {
        /// The template.
        template: Identifier,
    },
    /// A key's maintainer is no signatory.
    #[error("all maintainers of the key of {template} must be signatories, but {} are not", list(.extra))]
    Maintainers {
        /// The template.
        template: Identifier,
        /// The maintainers that are no signatories.
        extra: Parties,
    },
    /// No stakeholder authorized.
    #[error("fetch of {template} requires one of the stakeholders {} as authorizer, but only {} were given", list(.stakeholders), list(.given))]
    Fetch {
        /// The template.
        template: Identifier,
        /// Signatories and observers.
        stakeholders: Parties,
        /// Who authorized.
        given: Parties,
    },
    /// Maintainers did not authorize.
    #[error("query by key of {template} requires authorizers {}, but only {} were given", list(.required), list(.given))]
    QueryByKey {
        /// The template.
        template: Identifier,
        /// The maintainers.
        required: Parties,
        /// Who authorized.
        given: Parties,
    },
    /// Controllers did not authorize.
    #[error("exercise of {choice} on {template} requires authorizers {}, but only {} were given", list(.required), list(.given))]
    Exercise {
        /// The template.
        template: Identifier,
        /// The choice.
        choice: Name,
        /// The controllers.
        required: Parties,
        /// Who authorized.
        given: Parties,
    },
    /// A choice without controllers.
    #[error("exercise of {choice} on {template} has no controllers; a choice needs at least one")]
    NoControllers {
        /// The template.
        template: Identifier,
        /// The choice.
        choice: Name,
    },
}

fn list(parties: &Parties) -> String {
    format!("[{}]", parties.iter().map(base::PartyId::as_str).collect::<Vec<_>>().join(", "))
}

impl Coded for AuthorizationError {
    fn code(&self) -> ErrorCode {
        codes::DAML_AUTHORIZATION_ERROR
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

impl Exercise {
    /// Whose authority the consequences have: signatories and actors, or the explicit authorizers.
    #[must_use]
    pub fn authorizers_inside(&self) -> Parties {
        self.choice_authorizers.clone().unwrap_or_else(|| &self.signatories | &self.actors)
    }
}

impl Node {
    /// Checks this node alone, given who authorizes where it stands.
    pub fn authorize(&self, given: &Parties) -> Result<(), AuthorizationError> {
        match self {
            Self::Create(node) => {
                let (template, signatories) = (&node.instance.template, &node.instance.signatories);
                if !signatories.is_subset(given) {
                    let (template, required) = (template.clone(), signatories.clone());
                    return Err(AuthorizationError::Create { template, required, given: given.clone() });
                }
                if signatories.is_empty() {
                    return Err(AuthorizationError::NoSignatories { template: template.clone() });
                }
                match node.instance.key.as_ref().map(|key| &key.maintainers - signatories) {
                    Some(extra) if !extra.is_empty() => {
                        Err(AuthorizationError::Maintainers { template: template.clone(), extra })
                    }
                    _ => Ok(()),
                }
            }
            Self::Fetch(node) if node.stakeholders.is_disjoint(given) => Err(AuthorizationError::Fetch {
                template: node.template.clone(),
                stakeholders: node.stakeholders.clone(),
                given: given.clone(),
            }),
            Self::QueryByKey(node) if !node.key.maintainers.is_subset(given) => Err(AuthorizationError::QueryByKey {
                template: node.template.clone(),
                required: node.key.maintainers.clone(),
                given: given.clone(),
            }),
            Self::Exercise(node) => {
                let (template, choice) = (node.template.clone(), node.choice.clone());
                if node.actors.is_empty() {
                    return Err(AuthorizationError::NoControllers { template, choice });
                }
                let required = self.required_authorizers();
                if required.is_subset(given) {
                    Ok(())
                } else {
                    Err(AuthorizationError::Exercise { template, choice, required, given: given.clone() })
                }
            }
            Self::Fetch(_) | Self::QueryByKey(_) | Self::Rollback(_) => Ok(()),
        }
    }
}

impl Transaction {
    /// Checks every node, given who authorizes the roots (the submitters, or for the subtree of a choice the
    /// authorizers inside it).
    pub fn authorize(&self, submitters: &Parties) -> Result<(), AuthorizationError> {
        let mut given: Vec<Option<Parties>> = vec![None; self.len()];
        for (id, node) in self.nodes() {
            let here = given[index(id)].take();
            let here = here.as_ref().unwrap_or(submitters);
            node.authorize(here)?;
            let inside = match node {
                Node::Exercise(exercise) => exercise.authorizers_inside(),
                _ => here.clone(),
            };
            for child in node.children() {
                given[index(*child)] = Some(inside.clone());
            }
        }
        Ok(())
    }
}

fn index(id: crate::NodeId) -> usize {
    usize::try_from(id.0).expect("32-bit numbers fit a usize")
}
