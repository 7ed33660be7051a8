//! The error-code catalogue: what can reach a client, and how a client should react
//! (spec/surface.md §7).

use std::time::Duration;

/// The field's fourteen error categories; the number is part of the wire text. Each decides the gRPC status,
/// whether and when to retry, and whether details may leave the node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Category {
    /// UNAVAILABLE, retry after 1 s.
    TransientServerFailure = 1,
    /// ABORTED, retry after 1 s.
    ContentionOnSharedResources = 2,
    /// DEADLINE_EXCEEDED, retry after 1 s with deduplication: the outcome is unknown.
    DeadlineExceededRequestStateUnknown = 3,
    /// INTERNAL, no retry, details stay here.
    SystemInternalAssumptionViolated = 4,
    /// INVALID_ARGUMENT, no retry, details stay here.
    SecurityAlert = 5,
    /// UNAUTHENTICATED, no retry, details stay here.
    InvalidAuthenticationCredentials = 6,
    /// PERMISSION_DENIED, no retry, details stay here.
    InsufficientPermission = 7,
    /// INVALID_ARGUMENT, no retry.
    InvalidIndependentOfSystemState = 8,
    /// FAILED_PRECONDITION, no retry.
    InvalidGivenCurrentSystemState = 9,
    /// ALREADY_EXISTS, no retry.
    ResourceExists = 10,
    /// NOT_FOUND, no retry.
    ResourceMissing = 11,
    /// OUT_OF_RANGE, retry after 1 s.
    SeekAfterEnd = 12,
    /// For logs only.
    BackgroundProcessDegradationWarning = 13,
    /// UNIMPLEMENTED, no retry, details stay here.
    InternalUnsupportedOperation = 14,
}

impl Category {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// How long a client should wait before it tries again; `None` if trying again cannot help.
    #[must_use]
    pub fn retry_after(self) -> Option<Duration> {
        matches!(
            self,
            Self::TransientServerFailure
                | Self::ContentionOnSharedResources
                | Self::DeadlineExceededRequestStateUnknown
                | Self::SeekAfterEnd
        )
        .then_some(Duration::from_secs(1))
    }

    /// Whether id, cause and details are hidden from the client, who gets a fixed sentence and the correlation id.
    #[must_use]
    pub fn is_security_sensitive(self) -> bool {
        matches!(self.number(), 4..=7 | 14)
    }
}

/// One entry of the catalogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorCode {
    /// `[A-Z0-9_]{1,63}`; clients match on it.
    pub id: &'static str,
    /// How a client should react.
    pub category: Category,
}

/// An error that can reach a client. Its `Display` says what happened and what to do.
pub trait Coded: std::error::Error {
    /// Its entry in the catalogue.
    fn code(&self) -> ErrorCode;

    /// Named facts for the client's program, beside the text for its reader.
    fn context(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Whether the outcome is certain: `true` promises that the command has had no effect and will have none.
    fn definite_answer(&self) -> bool {
        false
    }
}

/// All codes, under the field's names.
pub mod codes {
    use super::{Category::*, ErrorCode};

    /// Declares the constants and the list that the tests walk.
    macro_rules! catalogue {
        ($($category:ident: $($id:ident)*;)*) => {
            $($(
                #[doc = concat!("`", stringify!($id), "`, category ", stringify!($category), ".")]
                pub const $id: ErrorCode = ErrorCode { id: stringify!($id), category: $category };
            )*)*
            /// Every code of the catalogue.
            pub const ALL: &[ErrorCode] = &[$($($id),*),*];
        };
    }

    catalogue! {
        TransientServerFailure:
            NODE_IS_PASSIVE_REPLICA SERVER_IS_SHUTTING_DOWN SERVICE_NOT_RUNNING STORAGE_UNAVAILABLE
            SYNCHRONIZER_IS_NOT_AVAILABLE SYNC_SERVICE_BECAME_PASSIVE;
        ContentionOnSharedResources:
            CHOSEN_MEDIATOR_IS_INACTIVE LOCAL_VERDICT_LOCKED_CONTRACTS LOCAL_VERDICT_LOCKED_KEYS LOCAL_VERDICT_TIMEOUT
            LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND LOCAL_VERDICT_SUBMISSION_TIME_OUT_OF_BOUND
            MAX_SEQUENCING_TIME_EXCEEDED MEDIATOR_SAYS_TX_TIMED_OUT NOT_SEQUENCED_TIMEOUT PARTICIPANT_BACKPRESSURE
            SEQUENCER_OVERLOADED SEQUENCER_REQUEST_FAILED SUBMISSION_ALREADY_IN_FLIGHT;
        DeadlineExceededRequestStateUnknown:
            REQUEST_DEADLINE_EXCEEDED REQUEST_TIME_OUT;
        SystemInternalAssumptionViolated:
            DATABASE_WENT_BACKWARDS INTERNAL_ERROR LEDGER_API_INTERNAL_ERROR MEDIATOR_INTERNAL_ERROR STORED_DATA_CORRUPT;
        SecurityAlert:
            LOCAL_VERDICT_BAD_ROOT_HASH_MESSAGES LOCAL_VERDICT_CREATES_EXISTING_CONTRACTS
            LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK LOCAL_VERDICT_MALFORMED_PAYLOAD LOCAL_VERDICT_MALFORMED_REQUEST
            MEDIATOR_INVALID_MESSAGE MEDIATOR_RECEIVED_MALFORMED_MESSAGE SEQUENCED_EVENT_INVALID SEQUENCER_FORK_DETECTED
            SYNC_SERVICE_ALARM;
        InvalidAuthenticationCredentials:
            UNAUTHENTICATED;
        InsufficientPermission:
            PERMISSION_DENIED;
        InvalidIndependentOfSystemState:
            COMMAND_PREPROCESSING_FAILED CONFIG_INVALID CONTRACT_DOES_NOT_IMPLEMENT_INTERFACE
            CONTRACT_ID_COMPARABILITY DAML_AUTHORIZATION_ERROR DAR_NOT_SELF_CONSISTENT
            DAR_NOT_VALID_UPGRADE DAR_PARSE_ERROR DAR_VALIDATION_ERROR
            INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED INTERPRETATION_UPGRADE_ERROR_VALIDATION_FAILED
            INVALID_ARGUMENT INVALID_FIELD MALFORMED_TEXT MISSING_FIELD NON_COMPARABLE_VALUES OFFSET_AFTER_LEDGER_END
            SUBMISSION_REQUEST_MALFORMED TEMPLATE_PRECONDITION_VIOLATED TOPOLOGY_TRANSACTION_INVALID VALUE_NESTING ZIP_BOMB;
        InvalidGivenCurrentSystemState:
            ALLOWED_LANGUAGE_VERSIONS ANOTHER_SYNCHRONIZER_IS_CONNECTED DAML_EFFECTFUL_ROLLBACK_ERROR DAML_FAILURE
            DAML_INTERPRETATION_ERROR INCONSISTENT_CONTRACT_KEY
            INTERPRETATION_CRYPTO_ERROR_MALFORMED_BYTE_ENCODING INTERPRETATION_CRYPTO_ERROR_MALFORMED_KEY
            INTERPRETATION_CRYPTO_ERROR_MALFORMED_SIGNATURE INTERPRETATION_USER_ERROR KNOWN_PACKAGE_VERSION
            NODE_NOT_INITIALIZED NOT_CONNECTED_TO_ANY_SYNCHRONIZER
            NO_STANDBY_REPLICA OFFSET_OUT_OF_RANGE PARTICIPANT_REPLICATION_NOT_SUPPORTED_BY_STORAGE
            PARTICIPANT_PRUNED_DATA_ACCESSED PARTY_NOT_HOSTED PACKAGE_NOT_VETTED PING_FAILED SUBMISSION_REQUEST_REFUSED
            SYNCHRONIZER_ID_MISMATCH UNHANDLED_EXCEPTION UNKNOWN_RECIPIENTS WRONGLY_TYPED_CONTRACT;
        ResourceExists:
            DUPLICATE_COMMAND DUPLICATE_CONTRACT_KEY LOCAL_VERDICT_DUPLICATE_KEY LOCAL_VERDICT_INCONSISTENT_KEY
            PARTY_ALREADY_EXISTS SYNC_SERVICE_ALREADY_ADDED USER_ALREADY_EXISTS;
        ResourceMissing:
            CONTRACT_KEY_NOT_FOUND CONTRACT_NOT_ACTIVE CONTRACT_NOT_FOUND LOCAL_VERDICT_INACTIVE_CONTRACTS PACKAGE_NOT_FOUND SENDER_UNKNOWN
            SYNC_SERVICE_UNKNOWN_SYNCHRONIZER
            TEMPLATES_OR_INTERFACES_NOT_FOUND UNKNOWN_INFORMEES UNRESOLVED_PACKAGE_NAME UPDATE_NOT_FOUND USER_NOT_FOUND;
        SeekAfterEnd:
            OFFSET_BEYOND_LEDGER_END;
        InternalUnsupportedOperation:
            UNSUPPORTED_OPERATION;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_well_formed() {
        let mut seen = BTreeSet::new();
        for code in codes::ALL {
            assert!(seen.insert(code.id), "{} twice", code.id);
            assert!(code.id.len() <= 63, "{}", code.id);
            assert!(code.id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'), "{}", code.id);
        }
    }

    #[test]
    fn security_sensitive_errors_are_never_retried() {
        for code in codes::ALL {
            assert!(!(code.category.is_security_sensitive() && code.category.retry_after().is_some()), "{}", code.id);
        }
    }
}
