//! `reveal`: the code of a pass, on a terminal.

use std::io::{self, Write as _};
use std::path::PathBuf;

use age::DecryptError;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use crate::api::Phase;
use crate::api::names::{SECRET_TYPE, SIGN_IN_URL, secret_keys};
use crate::entra::PassCode;
use crate::plugin::calls::Right;
use crate::plugin::cli::Reveal;
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::keys::Keys;
use crate::plugin::output;
use crate::plugin::program;
use crate::plugin::record::Record;
use crate::plugin::session::Session;
use crate::plugin::signals::Signals;
use crate::plugin::time::Clock;
use crate::plugin::{view, wait};

/// A code is shown to people only.
pub fn validate() -> Result<(), Failure> {
    if output::is_terminal() {
        return Ok(());
    }
    Err(Failure::usage(
        "a code is shown on a terminal only, so that it is in no file and in no log",
    )
    .remedy(concat!("a program that needs it reads the Secret: ", page!("secret.md"))))
}

pub async fn run(arguments: &Reveal, session: &Session) -> Result<(), Failure> {
    // Before anything is asked for, so that a wrong file is told at once.
    let keys = Keys::read(arguments.identities.iter().map(PathBuf::as_path))?;
    let record = session.cluster.request(&session.namespace, &arguments.name).await?;
    let name = record.name();
    if record.phase() != Phase::Active {
        return Err(no_pass(&record));
    }
    let secret = secret_of(session, &record).await?;
    let code = if let Some(code) = plain(&secret) {
        code
    } else {
        let sealed = sealed(&secret, &name)?;
        if arguments.identities.is_empty() {
            return Err(Failure::usage(format!(
                "the code of {name} is sealed to {}",
                view::show::keys(&record)
            ))
            .remedy("name a file with one of their private keys: -i FILE"));
        }
        keys.open(sealed).map_err(|error| cannot_open(&record, &error))?
    };
    show(&code, &record)?;
    drop(code);
    let asks = if arguments.delete { Asks::Not } else { Asks::WhetherToDelete };
    tidy_up(session, &record, &secret, asks).await
}

/// Why there is nothing to show.
fn no_pass(record: &Record) -> Failure {
    if record.phase().is_final() || record.is_unreadable() {
        return wait::ended(record);
    }
    Failure::error(format!("there is no pass yet: {}", wait::line(record, &Clock::system())))
        .remedy(format!(
            "to wait for it: {} wait {} -n {}",
            program(),
            record.name(),
            record.namespace()
        ))
}

/// The Secret of this very request.
pub async fn secret_of(session: &Session, record: &Record) -> Result<Secret, Failure> {
    let (namespace, name) = (record.namespace(), record.name());
    let Some(secret) = session.cluster.secret(&namespace, &name).await? else {
        return Err(Failure::error(format!(
            "the Secret {name} is gone, because somebody deleted it: its code cannot be shown again"
        ))
        .remedy(format!(
            "if nobody has the code: {} revoke {name} -n {namespace}, and ask again",
            program()
        )));
    };
    if belongs_to(&secret, record) {
        return Ok(secret);
    }
    Err(Failure::error(format!(
        "the Secret {name} is not that of the request {name}: it is not shown"
    )))
}

fn belongs_to(secret: &Secret, record: &Record) -> bool {
    let owners = secret.owner_references();
    secret.type_.as_deref() == Some(SECRET_TYPE)
        && owners.iter().any(|owner| owner.uid == record.uid())
}

fn plain(secret: &Secret) -> Option<PassCode> {
    let code = secret.data.as_ref()?.get(secret_keys::TEMPORARY_ACCESS_PASS)?;
    String::from_utf8(code.0.clone()).ok().map(PassCode::new)
}

/// The sealed code of a Secret.
pub fn sealed<'a>(secret: &'a Secret, name: &str) -> Result<&'a [u8], Failure> {
    let data =
        secret.data.as_ref().and_then(|data| data.get(secret_keys::SEALED_TEMPORARY_ACCESS_PASS));
    data.map(|sealed| sealed.0.as_slice())
        .ok_or_else(|| Failure::error(format!("the Secret {name} has no code")))
}

/// Why a code could not be opened.
pub fn cannot_open(record: &Record, error: &DecryptError) -> Failure {
    let name = record.name();
    match error {
        DecryptError::NoMatchingKeys => Failure::error(format!(
            "none of these keys opens the code of {name}: it is sealed to {}",
            view::show::keys(record)
        )),
        DecryptError::KeyDecryptionFailed => Failure::error(format!(
            "no private key was decrypted, so the code of {name} stays sealed: a wrong passphrase, or none"
        )),
        error => Failure::error(format!("the code of {name} cannot be opened: {error}")),
    }
}

/// Shows a code: the code alone on standard output, for whom and until when on standard error.
pub fn show(code: &PassCode, record: &Record) -> Result<(), Failure> {
    let clock = Clock::system();
    let pass = record.request().status.as_ref().and_then(|status| status.pass.as_ref());
    let valid = pass.map_or(String::new(), |pass| {
        let from = if pass.start_time.0 > clock.now {
            format!(" from {}", clock.told(pass.start_time.0))
        } else {
            String::new()
        };
        format!(", valid{from} until {}", clock.told(pass.expiration_time.0))
    });
    output::say(&format!(
        "Temporary Access Pass of {}, {}{valid}:",
        record.user(),
        view::uses(record)
    ));
    let mut out = io::stdout().lock();
    out.write_all(code.expose().as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()?;
    output::say(&format!("Tell it to nobody but the user, who signs in with it at {SIGN_IN_URL}"));
    Ok(())
}

/// Whether to ask before a Secret that was read is deleted.
pub enum Asks<'a> {
    /// The person has said that it is to be deleted.
    Not,
    /// Others may still need it.
    WhetherToDelete,
    /// Nobody can open it any more: the key was made for this one time, and is gone. A signal ends the question.
    WhetherToKeep(&'a mut Signals),
}

/// Asks whether to delete the Secret.
async fn confirmed(asks: Asks<'_>) -> Result<bool, Failure> {
    let signals = match asks {
        Asks::Not => return Ok(true),
        Asks::WhetherToDelete => {
            return output::confirm("Delete the Secret with the code now? The pass stays usable.");
        }
        Asks::WhetherToKeep(signals) => signals,
    };
    let question = || {
        output::confirm_unless(
            "Delete the Secret now? Nobody can open it any more, and the pass stays usable.",
        )
    };
    tokio::select! {
        answer = tokio::task::spawn_blocking(question) => answer.unwrap_or(Ok(false)),
        () = signals.any() => Err(Failure::new(Exit::Interrupted, "interrupted; the Secret stays, and so does the pass")),
    }
}

/// Offers to delete a Secret that was read.
pub async fn tidy_up(
    session: &Session,
    record: &Record,
    secret: &Secret,
    asks: Asks<'_>,
) -> Result<(), Failure> {
    let (namespace, name) = (record.namespace(), record.name());
    if !matches!(asks, Asks::Not) {
        let may = session.cluster.may(Right::secret("delete", &name), Some(&namespace)).await;
        if !may.unwrap_or(false) || !output::can_ask() {
            return Ok(());
        }
    }
    if !confirmed(asks).await? {
        return Ok(());
    }
    let uid = secret.uid().unwrap_or_default();
    session.cluster.delete_secret(&namespace, &name, &uid).await.map_err(|error| {
        let what = if error.is_unsure() {
            "it is not known whether the Secret was deleted"
        } else {
            "the Secret was not deleted"
        };
        let failure = Failure::from(error);
        Failure { exit: Exit::Error, message: format!("{what}: {}", failure.message), ..failure }
    })?;
    output::say(&format!(
        "The Secret {name} was deleted, so the request says SecretGone from now on. The pass stays usable."
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plugin::samples::active;

    #[test]
    fn only_the_secret_of_the_request_is_shown() {
        let request = active();
        let secret = |type_: &str, uid: &str| -> Secret {
            let owner: Value = json!({ "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest", "name": "a", "uid": uid });
            let metadata = json!({ "name": "a", "ownerReferences": [owner] });
            serde_json::from_value(json!({ "metadata": metadata, "type": type_ })).unwrap()
        };
        assert!(belongs_to(&secret(SECRET_TYPE, &request.uid()), &request));
        assert!(!belongs_to(&secret(SECRET_TYPE, "another"), &request));
        assert!(!belongs_to(&secret("Opaque", &request.uid()), &request));
        assert!(!belongs_to(&Secret::default(), &request));
    }
}
