//! `stop` and `resume`: the emergency stop.

use std::time::Duration;

use jiff::SignedDuration;
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep};

use super::status::told_by;
use crate::api::names::STOP_CONFIG_MAP;
use crate::decision::situation::Stop;
use crate::decision::stop::StopOrder;
use crate::plugin::call_error::CallError;
use crate::plugin::cli;
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::operator;
use crate::plugin::output::{self, Progress};
use crate::plugin::program;
use crate::plugin::session::Session;
use crate::plugin::signals::Signals;

/// How often it is looked whether the operator has seen it.
const EVERY: Duration = Duration::from_secs(1);

/// What can be seen of the effect of the stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Effect {
    /// Whether the policies say that all is stopped; absent if there are none, or they cannot be read.
    stopped: Option<bool>,
    /// How many passes are active; absent if they cannot be counted.
    active: Option<usize>,
}

impl Effect {
    /// Whether all has come about that was asked for.
    fn is_complete(&self, revoke: bool) -> bool {
        self.stopped.unwrap_or(true) && (!revoke || self.active.is_none_or(|active| active == 0))
    }

    /// The passes, for people.
    fn passes(&self) -> String {
        match self.active {
            None => "how many passes are active cannot be seen with your rights".to_owned(),
            Some(0) => "no pass is active".to_owned(),
            Some(1) => "1 pass is still active".to_owned(),
            Some(active) => format!("{active} passes are still active"),
        }
    }
}

pub async fn stop(arguments: &cli::Stop, session: &Session) -> Result<(), Failure> {
    let namespace = &arguments.operator.operator_namespace;
    if let Some(unchecked) = operator::required(session, namespace).await? {
        output::say(&unchecked);
    }
    let which = session.cluster.name().which();
    session.cluster.set_stop(namespace, arguments.revoke).await.map_err(|error| match error {
        error @ CallError::NotFound(_) => {
            Failure::error(format!("{error}{which}")).remedy(operator::REMEDY)
        }
        error => unable(error),
    })?;
    // It may have been set before, and stricter.
    let found = session.cluster.stop(namespace).await.ok().flatten();
    let order = StopOrder::of(found.as_ref()).stop;
    output::say(&told(order, arguments.revoke, &session.place(namespace)));
    let complete = |effect: &Effect| effect.is_complete(arguments.revoke);
    let (effect, in_time) = watch(session, arguments.timeout, complete).await?;
    let again = format!("to issue again: {} resume", program());
    if in_time {
        let seen = if effect.stopped.is_none() {
            "stopped (no policy can be seen that confirms it)"
        } else {
            "stopped"
        };
        let printed = output::data(&format!("{seen}; {}", effect.passes()));
        output::say(&again);
        return printed;
    }
    let why = if effect.stopped == Some(false) {
        "the operator has not confirmed the stop"
    } else {
        "not all passes are revoked"
    };
    Err(Failure::new(Exit::Timeout, format!("after {:#}, {why}; {}", arguments.timeout, effect.passes())).remedy(format!(
        "the stop stays set. {} doctor tells whether an operator runs; without one, delete passes in Entra",
        program()
    )))
}

/// What is set now. `order`: what the `ConfigMap` says, if it can be read.
fn told(order: Stop, revoke: bool, place: &str) -> String {
    let revoked = match (order, revoke) {
        (_, true) => ", and active passes are being revoked",
        (Stop::RevokeActive, false) => ", and still revokes active passes, as it was set before",
        (_, false) => "",
    };
    format!("The stop is set{revoked} (ConfigMap {STOP_CONFIG_MAP} in {place}).")
}

pub async fn resume(arguments: &cli::Resume, session: &Session) -> Result<(), Failure> {
    let namespace = &arguments.operator.operator_namespace;
    let Some(stop) = session.cluster.stop(namespace).await.map_err(unable)? else {
        if let Some(unchecked) = operator::required(session, namespace).await? {
            output::say(&unchecked);
        }
        output::say(&format!("The stop is not set in {}.", session.place(namespace)));
        return Ok(());
    };
    let uid = stop.uid().unwrap_or_default();
    session.cluster.lift_stop(namespace, &uid).await.map_err(unable)?;
    let (effect, in_time) =
        watch(session, arguments.timeout, |effect| effect.stopped != Some(true)).await?;
    if in_time {
        return output::data(&format!("resumed; {}", effect.passes()));
    }
    Err(Failure::new(
        Exit::Timeout,
        format!(
            "the stop was taken away, but after {:#} the operator has not confirmed it",
            arguments.timeout
        ),
    )
    .remedy(format!("{} doctor tells whether an operator runs", program())))
}

/// Why the stop cannot be set or taken back. No other namespace would help who lacks the right.
fn unable(error: CallError) -> Failure {
    let unsure = error.is_unsure();
    match error {
        error if unsure => Failure::from(error).remedy(
            "it is not known whether that was written: the same command again does no harm",
        ),
        error @ CallError::Right(_) => Failure::error(error.to_string()).remedy(concat!(
            "call somebody who may: it needs the right to write ConfigMaps there: ",
            page!("operate.md")
        )),
        error => error.into(),
    }
}

/// Looks again and again until the effect is as it should be, or the time is over.
async fn watch(
    session: &Session,
    timeout: SignedDuration,
    complete: impl Fn(&Effect) -> bool,
) -> Result<(Effect, bool), Failure> {
    let deadline = Instant::now() + Duration::try_from(timeout).unwrap_or_default();
    let (mut progress, mut signals) = (Progress::new(), Signals::catch()?);
    loop {
        let late = Instant::now() >= deadline;
        match signals.unless(effect(session)).await.map_err(|_| interrupted())? {
            Ok(effect) if complete(&effect) => return Ok((effect, true)),
            Ok(effect) if late => return Ok((effect, false)),
            Ok(effect) => progress.show(&format!("waiting for the operator; {}", effect.passes())),
            Err(error) if error.may_heal() && !late => progress.show(&error.to_string()),
            Err(error) => return Err(error.into()),
        }
        signals.unless(sleep(EVERY)).await.map_err(|_| interrupted())?;
    }
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted; what was written stays")
}

async fn effect(session: &Session) -> Result<Effect, CallError> {
    let stopped = match session.cluster.policies().await {
        Ok(policies) if policies.is_empty() => None,
        Ok(policies) => Some(told_by(&policies).is_some()),
        Err(CallError::Right(_)) => None,
        Err(error) => return Err(error),
    };
    let active = match session.cluster.list(None, &[("status.phase", "Active")]).await {
        Ok(records) => Some(records.len()),
        Err(CallError::Right(_)) => None,
        Err(error) => return Err(error),
    };
    Ok(Effect { stopped, active })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_that_is_stricter_than_asked_for_says_so() {
        let told = |order, revoke| told(order, revoke, "namespace system");
        assert!(told(Stop::RevokeActive, false).contains("still revokes active passes"));
        assert!(told(Stop::RevokeActive, true).contains("are being revoked"));
        let plain = "The stop is set (ConfigMap tap-operator-stop in namespace system).";
        assert_eq!(told(Stop::On, false), plain);
        // What may not be read is not told.
        assert_eq!(told(Stop::Off, false), plain);
    }

    #[test]
    fn a_stop_is_complete_when_the_operator_says_so_and_all_is_revoked() {
        let effect = |stopped, active| Effect { stopped, active };
        assert!(effect(Some(true), Some(3)).is_complete(false));
        assert!(!effect(Some(true), Some(3)).is_complete(true));
        assert!(effect(Some(true), Some(0)).is_complete(true));
        assert!(!effect(Some(false), Some(0)).is_complete(false));
        assert!(
            effect(None, None).is_complete(true),
            "nothing can be seen, so nothing can be waited for"
        );
        assert_eq!(effect(None, Some(2)).passes(), "2 passes are still active");
    }
}
