//! How a call to the API server fails, and whether its change was made.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use kube::Api;
use kube::core::Status;
use serde::de::DeserializeOwned;

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
    /// The API server names an object that does not exist: this one, or its namespace.
    #[error("{call}: not found")]
    NotFound {
        /// The name of the call in messages.
        call: &'static str,
    },
    /// 404 without the name of an object: the API server does not serve the kind, or something before it answered. It says
    /// nothing of the object.
    #[error("{call}: the API server does not serve this kind of object: {message}")]
    NotServed {
        /// The name of the call in messages.
        call: &'static str,
        /// The message of the answer.
        message: String,
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
                404 if names_an_object(&status) => Self::NotFound { call },
                404 => Self::NotServed { call, message: status.message },
                409 if status.reason != "AlreadyExists" => Self::Conflict { call },
                code @ 400..=499 => Self::Refused { call, code, message: status.message },
                _ => Self::Unknown { call, cause: status.message },
            },
            other => Self::Unknown { call, cause: causes(&other) },
        }
    }
}

fn names_an_object(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| !details.name.is_empty())
}

/// Reads an object by its name; `None` if the API server says that there is none.
pub async fn find<K>(name: &'static str, api: &Api<K>, object: &str) -> Result<Option<K>, ApiError>
where
    K: Clone + DeserializeOwned + Debug,
{
    match call(name, api.get(object)).await {
        Ok(found) => Ok(Some(found)),
        Err(ApiError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
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
