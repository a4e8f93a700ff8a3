//! The Secret of a request. The operator may create and delete it, and never read it.

use std::collections::BTreeMap;

use http::HeaderValue;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams, Preconditions};
use kube::client::Body;
use kube::core::response::StatusDetails;
use kube::core::{PartialObjectMeta, Request, Status};
use kube::{Client, Resource as _, ResourceExt as _};

use super::error::ApiError;
use super::write::{self, Trial};
use crate::api::TapRequest;
use crate::api::names::{
    MANAGED_BY_LABEL, OPERATOR, SECRET_TYPE, SIGN_IN_URL, VELERO_EXCLUDE_LABEL, secret_keys,
};
use crate::decision::outcome::SecretCreation;
use crate::decision::situation::{Held, SecretDryRun, SecretFound};
use crate::effect::Effect;
use crate::entra::PassCode;
use crate::seal::{Recipients, SealError};

/// The media type of an answer with only the metadata of the object.
const METADATA_ALONE: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// The longest answer to a create that is read, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// What a dry run sends instead of the code.
const PLACEHOLDER: &str = "dry run";

/// The message of the admission policy tap-operator-secrets for a Secret of another type, by which its refusal is
/// distinguished from that of any other policy.
const NOT_A_PASS: &str = "tap-operator creates and deletes only Secrets of type";

/// Why no Secret was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The code could not be encrypted, and nothing was sent.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The API server refused it, or the outcome is not known.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl CreateError {
    /// The outcome for the Secret.
    pub fn outcome(self) -> SecretCreation {
        match self {
            Self::Api(ApiError::Unknown { cause, .. }) => SecretCreation::Unknown(cause),
            Self::Api(ApiError::Refused { code: 429, message, .. }) => {
                SecretCreation::Busy(message)
            }
            Self::Api(ApiError::Refused { code: 409, message, .. }) => {
                SecretCreation::Taken(message)
            }
            Self::Seal(_) | Self::Api(_) => SecretCreation::Refused(self.to_string()),
        }
    }
}

/// Asks by a dry run whether the API server would accept a Secret of the request's name. The placeholder is not encrypted,
/// because that is costly. No answer is a refusal, too: a webhook that does not answer makes it, and people must see why the
/// request waits.
pub async fn dry_run(client: &Client, request: &TapRequest) -> Result<SecretDryRun, ApiError> {
    let placeholder = PLACEHOLDER.as_bytes().to_vec();
    let secret = secret(request, &request.spec.user, placeholder, None);
    match Trial("dry-run create Secret").create(&api(client, request), &secret).await {
        Ok(_) => Ok(SecretDryRun::Accepted),
        Err(ApiError::Refused { code: 409, .. }) => Ok(SecretDryRun::NameTaken),
        Err(ApiError::Refused { message, .. }) => Ok(SecretDryRun::Refused(message)),
        Err(ApiError::Unknown { cause, .. }) => Ok(SecretDryRun::Refused(cause)),
        Err(error @ (ApiError::NotFound { .. } | ApiError::NotServed { .. })) => {
            Ok(SecretDryRun::Refused(error.to_string()))
        }
        Err(error @ ApiError::Conflict { .. }) => Err(error),
    }
}

/// Creates the Secret with the code, sealed if the request names recipients. Returns its uid.
pub async fn create(
    client: &Client,
    request: &TapRequest,
    upn: &str,
    code: &PassCode,
    held: &Held,
) -> Result<String, CreateError> {
    let content = match &request.spec.recipients {
        None => code.expose().as_bytes().to_vec(),
        Some(keys) => Recipients::read(keys).map_err(SealError::from)?.seal(code.expose())?,
    };
    let secret = secret(request, upn, content, Some(held));
    let in_the_clear = request.spec.recipients.is_none();
    let creation = creation(request, &secret).map_err(|error| ApiError::Refused {
        call: Effect::CreateSecret.name(),
        code: 400,
        message: error.to_string(),
    })?;
    let created = write::create_by(Effect::CreateSecret, client, creation, |answer| {
        outcome(answer, in_the_clear)
    })
    .await?;
    Ok(created.metadata.uid.unwrap_or_default())
}

/// Reads the API server's answer to a create.
///
/// A refusal has the words of an admission policy or a webhook, and may quote the code in any form. So its message is not
/// repeated if the code was sent in plain text. The client's own functions do not read the answer, because they log
/// refusals and what they cannot parse. The user usually sees the message all the same: the dry run of the next attempt,
/// which sends no code, is refused with it.
async fn outcome(
    answer: http::Response<Body>,
    in_the_clear: bool,
) -> kube::Result<PartialObjectMeta<Secret>> {
    let (status, body) = (answer.status(), axum::body::Body::new(answer.into_body()));
    let body = axum::body::to_bytes(body, LONGEST_ANSWER).await;
    let body = body.map_err(|error| kube::Error::Service(error.into()))?;
    if status.is_success() {
        // The parser's own message would quote the answer.
        let unreadable = |_| kube::Error::Service("the answer cannot be read".into());
        return serde_json::from_slice(&body).map_err(unreadable);
    }
    let told = serde_json::from_slice::<Status>(&body).unwrap_or_default();
    let message = if in_the_clear {
        format!(
            "refused with status {status}; the message is left out, because it may quote the code"
        )
    } else {
        told.message
    };
    let (code, reason) = (status.as_u16(), told.reason);
    // Causes may quote the code, too.
    let details = told.details.map(|details| StatusDetails { causes: Vec::new(), ..details });
    Err(kube::Error::Api(Box::new(Status { code, reason, message, details, ..Status::default() })))
}

/// The HTTP request for a create that is answered with the metadata only, so that the code does not come back.
fn creation(
    request: &TapRequest,
    secret: &Secret,
) -> Result<http::Request<Vec<u8>>, kube::core::request::Error> {
    let secrets = Secret::url_path(&(), request.namespace().as_deref());
    let body = serde_json::to_vec(secret).map_err(kube::core::request::Error::SerializeBody)?;
    let mut create = Request::new(secrets).create(&PostParams::default(), body)?;
    create.headers_mut().insert(http::header::ACCEPT, METADATA_ALONE);
    Ok(create)
}

/// Finds the Secret of the request's name without reading it.
///
/// The answer to a dry run of its deletion has no content. It is not found, ours with its uid, or refused by admission
/// because it is of another type.
pub async fn find(client: &Client, request: &TapRequest) -> Result<SecretFound, ApiError> {
    let api = metadata_api(client, request);
    match Trial("dry-run delete Secret").delete(&api, &request.name_any()).await {
        Ok(uid) => Ok(SecretFound::Ours(uid)),
        Err(ApiError::NotFound { .. }) => Ok(SecretFound::Absent),
        Err(ApiError::Refused { code: 422, message, .. }) if message.contains(NOT_A_PASS) => {
            Ok(SecretFound::Foreign)
        }
        Err(error) => Err(error),
    }
}

/// Deletes the Secret with this uid, and no other of the same name. Returns whether it is gone.
pub async fn delete(client: &Client, request: &TapRequest, uid: &str) -> Result<bool, ApiError> {
    let exactly = Preconditions { uid: Some(uid.into()), resource_version: None };
    let api = metadata_api(client, request);
    match write::delete(Effect::DeleteSecret, &api, &request.name_any(), exactly).await {
        Ok(_) | Err(ApiError::NotFound { .. }) => Ok(true),
        // Another Secret has the name now.
        Err(ApiError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn api(client: &Client, request: &TapRequest) -> Api<Secret> {
    Api::namespaced(client.clone(), &request.namespace().unwrap_or_default())
}

fn metadata_api(client: &Client, request: &TapRequest) -> Api<PartialObjectMeta<Secret>> {
    Api::namespaced(client.clone(), &request.namespace().unwrap_or_default())
}

fn secret(request: &TapRequest, upn: &str, content: Vec<u8>, held: Option<&Held>) -> Secret {
    // None of the request's labels: other software acts on labels, so a requester could make it read or copy the code.
    let labels = BTreeMap::from([
        (MANAGED_BY_LABEL.to_owned(), OPERATOR.to_owned()),
        (VELERO_EXCLUDE_LABEL.to_owned(), "true".to_owned()),
    ]);
    let key = match &request.spec.recipients {
        None => secret_keys::TEMPORARY_ACCESS_PASS,
        Some(_) => secret_keys::SEALED_TEMPORARY_ACCESS_PASS,
    };
    let mut data = BTreeMap::from([(key.to_owned(), ByteString(content))]);
    let mut put =
        |key: &str, value: &str| data.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
    put(secret_keys::USER_PRINCIPAL_NAME, upn);
    put(secret_keys::SIGN_IN_URL, SIGN_IN_URL);
    if let Some(held) = held {
        put(secret_keys::NOT_BEFORE, &format!("{:.0}", held.start));
        put(secret_keys::NOT_AFTER, &format!("{:.0}", held.expires));
    }
    Secret {
        metadata: ObjectMeta {
            name: request.metadata.name.clone(),
            namespace: request.namespace(),
            labels: Some(labels),
            // Without blockOwnerDeletion, for which the operator would need another right.
            owner_references: request.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.into()),
        immutable: Some(true),
        data: Some(data),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests;
