//! The broker's refusals, sorted by what the gateway does about them.

use ::pulsar::proto::ServerError;

use crate::pulsar::types::ErrorKind;

/// The kind of a `ServerError` (its number in PulsarApi.proto, which may be newer than ours) with its text.
///
/// Follows Java's `ClientCnx.getPulsarClientException` and what `AbstractWebSocketHandler.getErrorCode` makes of the
/// exceptions. The text counts only where the code says little: a missing tenant or namespace is TopicNotFound
/// today, MetadataError from older brokers. Pulsar's proxy says ServiceNotReady on a look-up: a retry, because a partition
/// count comes first and says TopicNotFound, and a socket that is open must not end for it.
pub fn error_kind(server_error: i32, message: &str) -> ErrorKind {
    let Ok(error) = ServerError::try_from(server_error) else {
        return ErrorKind::Other;
    };
    match error {
        ServerError::TopicNotFound | ServerError::SubscriptionNotFound => ErrorKind::NotFound,
        ServerError::UnknownError | ServerError::MetadataError
            if message.contains("Namespace not found") =>
        {
            ErrorKind::NotFound
        }
        ServerError::AuthenticationError => ErrorKind::Unauthenticated,
        ServerError::AuthorizationError => ErrorKind::Unauthorized,
        ServerError::ConsumerBusy => ErrorKind::ConsumerBusy,
        ServerError::ProducerBusy => ErrorKind::ProducerBusy,
        ServerError::ProducerFenced => ErrorKind::ProducerFenced,
        ServerError::IncompatibleSchema => ErrorKind::IncompatibleSchema,
        ServerError::TooManyRequests => ErrorKind::TooManyRequests,
        ServerError::ProducerBlockedQuotaExceededError => ErrorKind::QuotaHeld,
        ServerError::ProducerBlockedQuotaExceededException => ErrorKind::QuotaExceeded,
        ServerError::TopicTerminatedError => ErrorKind::TopicTerminated,
        ServerError::InvalidTopicName
        | ServerError::NotAllowedError
        | ServerError::ConsumerAssignError => ErrorKind::Invalid,
        ServerError::MetadataError
        | ServerError::PersistenceError
        | ServerError::ServiceNotReady
        | ServerError::ChecksumError => ErrorKind::Retryable,
        ServerError::UnknownError
        | ServerError::UnsupportedVersionError
        | ServerError::ConsumerNotFound
        | ServerError::TransactionCoordinatorNotFound
        | ServerError::InvalidTxnStatus
        | ServerError::TransactionConflict
        | ServerError::TransactionNotFound => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_namespace_is_not_found_whatever_its_code() {
        let text = r#"{"errorMsg":"Namespace not found","reqId":1}"#;
        for code in [
            ServerError::TopicNotFound,
            ServerError::UnknownError,
            ServerError::MetadataError,
        ] {
            assert_eq!(error_kind(code as i32, text), ErrorKind::NotFound);
        }
        assert_eq!(
            error_kind(ServerError::AuthorizationError as i32, text),
            ErrorKind::Unauthorized
        );
    }

    #[test]
    fn a_code_of_a_newer_broker_is_other() {
        assert_eq!(error_kind(9999, "?"), ErrorKind::Other);
        assert_eq!(error_kind(-1, "?"), ErrorKind::Other);
    }
}
