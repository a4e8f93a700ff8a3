//! How a call to the API server fails, and whether its change was made.

use std::future::Future;
use std::time::Duration;

use crate::text::causes;

/// The longest that one call to the API server may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// A failed call to the API server.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The object was changed in the meantime: read it again, and decide again.
    #[error("{call}: the object changed in the meantime")]
    Conflict {
        /// The name of the call in messages.
        call: &'static str,
    },
    /// The object, or its namespace or kind, does not exist.
    #[error("{call}: not found")]
    NotFound {
        /// The name of the call in messages.
        call: &'static str,
    },
    /// The API server refused the call, and changed nothing.
    #[error("{call}: {message}")]
    Refused {
        /// The name of the call in messages.
        call: &'static str,
        /// HTTP status.
        code: u16,
        /// The API server's message.
        message: String,
    },
    /// It is not known whether the change was made.
    #[error("{call}: {cause}")]
    Unknown {
        /// The name of the call in messages.
        call: &'static str,
        /// What happened.
        cause: String,
    },
}

impl ApiError {
    fn of(call: &'static str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::NotFound { call },
                409 if status.reason != "AlreadyExists" => Self::Conflict { call },
                code @ 400..=499 => Self::Refused { call, code, message: status.message },
                _ => Self::Unknown { call, cause: status.message },
            },
            other => Self::Unknown { call, cause: causes(&other) },
        }
    }
}

/// Makes one call to the API server, within [`CALL_DEADLINE`].
pub async fn call<T>(
    name: &'static str,
    future: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(CALL_DEADLINE, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(ApiError::of(name, error)),
        Err(_) => Err(ApiError::Unknown {
            call: name,
            cause: format!("no answer within {} s", CALL_DEADLINE.as_secs()),
        }),
    }
}
