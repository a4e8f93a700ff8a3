//! What the operator wrote on a request that it issued a pass for, to be written on copies for other users.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::Value;
use tap_operator::api::TapRequest;
use tap_operator::api::names::INTENT_ANNOTATION;

/// A request that was issued and then revoked, at both times.
pub struct Template {
    words: Words,
    live: Written,
    /// The Secret with the code, as the operator created it.
    secret: String,
    finished: Written,
}

/// What the operator wrote on a request.
pub struct Written {
    /// The annotation.
    pub intent: String,
    /// The status, without the decisions, which people write.
    pub status: Value,
}

/// The words in which the request of one user differs from another's.
pub struct Words {
    pub name: String,
    pub uid: String,
    /// The id of the attempt that made the pass.
    pub attempt: String,
    pub user_id: String,
    pub user_principal_name: String,
    pub pass_id: String,
    pub start_time: String,
    pub expiration_time: String,
}

impl Template {
    /// Takes all from a request with a live pass and its Secret, and from the same request when it was revoked.
    pub fn of(live: &TapRequest, mut secret: Secret, finished: &TapRequest) -> Result<Self> {
        let server_wrote = &mut secret.metadata;
        (server_wrote.uid, server_wrote.resource_version) = (None, None);
        (server_wrote.creation_timestamp, server_wrote.managed_fields) = (None, None);
        Ok(Self {
            words: Words::of(live)?,
            live: Written::on(live)?,
            secret: serde_json::to_string(&secret)?,
            finished: Written::on(finished)?,
        })
    }

    /// The start and the end of its pass, as the status has them.
    pub fn times(&self) -> (&str, &str) {
        (&self.words.start_time, &self.words.expiration_time)
    }

    /// The same on a request with a live pass of another user.
    pub fn live(&self, words: &Words) -> Result<Written> {
        self.copy(&self.live, words)
    }

    /// The Secret of a request with a live pass of another user. It holds the code of the pass that was copied.
    pub fn secret(&self, words: &Words) -> Result<Secret> {
        let replaced = self.words.all().into_iter().zip(words.all());
        let text = replaced.fold(self.secret.clone(), |text, (from, to)| text.replace(from, to));
        Ok(serde_json::from_str(&text)?)
    }

    /// The same on a finished request of another user.
    pub fn finished(&self, words: &Words) -> Result<Written> {
        self.copy(&self.finished, words)
    }

    fn copy(&self, written: &Written, words: &Words) -> Result<Written> {
        let mut texts = [written.intent.clone(), written.status.to_string()];
        for (from, to) in self.words.all().into_iter().zip(words.all()) {
            texts = texts.map(|text| text.replace(from, to));
        }
        let [intent, status] = texts;
        Ok(Written { intent, status: serde_json::from_str(&status)? })
    }
}

impl Written {
    fn on(request: &TapRequest) -> Result<Self> {
        let intent = request.annotations().get(INTENT_ANNOTATION).context("no intent")?.clone();
        let mut status = serde_json::to_value(&request.status)?;
        status.as_object_mut().context("no status")?.remove("decisions");
        Ok(Self { intent, status })
    }
}

impl Words {
    fn of(request: &TapRequest) -> Result<Self> {
        let status = request.status.as_ref().context("no status")?;
        let resolved = status.resolved.as_ref().context("no user")?;
        let pass = status.pass.as_ref().context("no pass")?;
        Ok(Self {
            name: request.name_any(),
            uid: request.uid().context("no uid")?,
            attempt: pass.client_request_id.clone(),
            user_id: resolved.user_id.clone(),
            user_principal_name: resolved.user_principal_name.clone(),
            pass_id: pass.id.clone(),
            start_time: text(&pass.start_time)?,
            expiration_time: text(&pass.expiration_time)?,
        })
    }

    fn all(&self) -> [&str; 8] {
        [
            &self.name,
            &self.uid,
            &self.attempt,
            &self.user_id,
            &self.user_principal_name,
            &self.pass_id,
            &self.start_time,
            &self.expiration_time,
        ]
    }
}

/// A time as it stands in the status.
pub fn text(time: &Time) -> Result<String> {
    Ok(serde_json::to_value(time)?.as_str().context("a time is no text")?.to_owned())
}
