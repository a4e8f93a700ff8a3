//! The Secret of a request, which the operator may create and delete and never read.

use std::collections::BTreeMap;

use http::HeaderValue;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, ObjectMeta, PostParams, Preconditions};
use kube::client::Body;
use kube::core::{PartialObjectMeta, Request, Status};
use kube::{Client, Resource as _};

use super::error::ApiError;
use super::write::{self, Trial};
use crate::api::TapRequest;
use crate::api::names::{
    MANAGED_BY_LABEL, OPERATOR, SECRET_TYPE, SIGN_IN_URL, VELERO_EXCLUDE_LABEL, secret_keys,
};
use crate::decision::life::situation::{Held, Place, SecretFound, SecretWritten};
use crate::effect::Effect;
use crate::graph::PassCode;
use crate::seal::{Recipients, SealError};

/// The media type of an answer without the object's content.
const METADATA_ALONE: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// The longest answer to a create that is read, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// What stands in the place of the code where the API server is only asked whether it would take the Secret.
const PLACEHOLDER: &str = "dry run";

/// What the admission policy tap-operator-secrets says of a Secret that is of another type. Other policies refuse, too.
const NOT_A_PASS: &str = "tap-operator creates and deletes no Secrets but those of type";

/// Why no Secret was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The code could not be encrypted, and nothing was sent.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The API server did not take it, or nobody knows.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl CreateError {
    /// What became of the Secret.
    pub fn outcome(&self) -> SecretWritten {
        match self {
            Self::Api(ApiError::Unknown { .. }) => SecretWritten::Unknown,
            Self::Seal(_) | Self::Api(_) => SecretWritten::Refused,
        }
    }
}

/// Would the API server take a Secret of the request's name? Encrypting is work: the placeholder is not.
pub async fn place(client: &Client, request: &TapRequest) -> Result<Place, ApiError> {
    let placeholder = PLACEHOLDER.as_bytes().to_vec();
    let secret = secret(request, &request.spec.user, placeholder, None);
    match Trial("dry-run create Secret").create(&api(client, request), &secret).await {
        Ok(_) => Ok(Place::Free),
        Err(ApiError::Refused { code: 409, .. }) => Ok(Place::Taken),
        Err(ApiError::Refused { message, .. }) => Ok(Place::Refused(message)),
        Err(error @ ApiError::NotFound { .. }) => Ok(Place::Refused(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Creates the Secret with the code, sealed where the request names recipients, and answers with its uid.
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

/// What the API server says to a create.
///
/// A refusal may quote what was sent, and with it a code: admission policies and webhooks, whose words these are, may do so in
/// whatever form. So where the code was in the clear its words are not repeated. Nor is the answer read by the client's own
/// functions, which log what they cannot read and what is refused. In most cases the dry run of the next attempt, in which
/// there is no code, is refused in the same words.
async fn outcome(
    answer: http::Response<Body>,
    in_the_clear: bool,
) -> kube::Result<PartialObjectMeta<Secret>> {
    let (status, body) = (answer.status(), axum::body::Body::new(answer.into_body()));
    let body = axum::body::to_bytes(body, LONGEST_ANSWER).await;
    let body = body.map_err(|error| kube::Error::Service(error.into()))?;
    if status.is_success() {
        // The parser's own message quotes what it found.
        let unreadable = |_| kube::Error::Service("the answer cannot be read".into());
        return serde_json::from_slice(&body).map_err(unreadable);
    }
    let told = serde_json::from_slice::<Status>(&body).unwrap_or_default();
    let message = if in_the_clear {
        format!("refused with status {status}; its words are left out, for they may quote the code")
    } else {
        told.message
    };
    let (code, reason) = (status.as_u16(), told.reason);
    Err(kube::Error::Api(Box::new(Status { code, reason, message, ..Status::default() })))
}

/// A create that is answered with the metadata alone, so that the code does not come back.
fn creation(
    request: &TapRequest,
    secret: &Secret,
) -> Result<http::Request<Vec<u8>>, kube::core::request::Error> {
    let secrets = Secret::url_path(&(), request.metadata.namespace.as_deref());
    let body = serde_json::to_vec(secret).map_err(kube::core::request::Error::SerializeBody)?;
    let mut create = Request::new(secrets).create(&PostParams::default(), body)?;
    create.headers_mut().insert(http::header::ACCEPT, METADATA_ALONE);
    Ok(create)
}

/// Is there a Secret of the request's name, and whose is it?
///
/// A DELETE that is only a dry run answers without content: not found, ours with its uid, or refused by admission
/// because it is not of our type.
pub async fn find(client: &Client, request: &TapRequest) -> Result<SecretFound, ApiError> {
    let api = metadata_api(client, request);
    match Trial("dry-run delete Secret").delete(&api, &name(request)).await {
        Ok(uid) => Ok(SecretFound::Ours(uid)),
        Err(ApiError::NotFound { .. }) => Ok(SecretFound::Absent),
        Err(ApiError::Refused { code: 422, message, .. }) if message.contains(NOT_A_PASS) => {
            Ok(SecretFound::Foreign)
        }
        Err(error) => Err(error),
    }
}

/// Deletes the Secret with this uid, and no other of the same name. Answers whether it is gone.
pub async fn delete(client: &Client, request: &TapRequest, uid: &str) -> Result<bool, ApiError> {
    let exactly = Preconditions { uid: Some(uid.into()), resource_version: None };
    let api = metadata_api(client, request);
    match write::delete(Effect::DeleteSecret, &api, &name(request), exactly).await {
        Ok(_) | Err(ApiError::NotFound { .. }) => Ok(true),
        // Another Secret has that name now.
        Err(ApiError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn api(client: &Client, request: &TapRequest) -> Api<Secret> {
    Api::namespaced(client.clone(), request.metadata.namespace.as_deref().unwrap_or_default())
}

fn metadata_api(client: &Client, request: &TapRequest) -> Api<PartialObjectMeta<Secret>> {
    Api::namespaced(client.clone(), request.metadata.namespace.as_deref().unwrap_or_default())
}

fn name(request: &TapRequest) -> String {
    request.metadata.name.clone().unwrap_or_default()
}

fn secret(request: &TapRequest, upn: &str, content: Vec<u8>, held: Option<&Held>) -> Secret {
    let mut labels = request.metadata.labels.clone().unwrap_or_default();
    labels.insert(MANAGED_BY_LABEL.into(), OPERATOR.into());
    labels.insert(VELERO_EXCLUDE_LABEL.into(), "true".into());
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
            namespace: request.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![owner(request)]),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.into()),
        immutable: Some(true),
        data: Some(data),
        ..Secret::default()
    }
}

/// The request owns its Secret. Without `blockOwnerDeletion`, which would need a right that the operator has no use for.
fn owner(request: &TapRequest) -> OwnerReference {
    OwnerReference {
        api_version: TapRequest::api_version(&()).into_owned(),
        kind: TapRequest::kind(&()).into_owned(),
        name: name(request),
        uid: request.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

#[cfg(test)]
mod tests;
