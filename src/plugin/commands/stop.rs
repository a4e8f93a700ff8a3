//! `stop` and `resume`: the emergency stop.

use std::time::Duration;

use jiff::SignedDuration;
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep};

use super::status::told_by;
use crate::api::Phase;
use crate::api::names::STOP_CONFIG_MAP;
use crate::decision::intent::has_finalizer;
use crate::decision::situation::Stop;
use crate::decision::stop::StopOrder;
use crate::plugin::call_error::CallError;
use crate::plugin::cli;
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::operator;
use crate::plugin::output::{self, Progress};
use crate::plugin::program;
use crate::plugin::record::Record;
use crate::plugin::session::Session;
use crate::plugin::signals::Signals;
use crate::text::counted;

/// How often it is looked whether the operator has seen it.
const EVERY: Duration = Duration::from_secs(1);

/// What can be seen of the effect of the stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Effect {
    /// Whether the policies say that all is stopped; absent if there are none, or they cannot be read.
    stopped: Option<bool>,
    /// The passes; absent if they cannot be counted.
    passes: Option<Passes>,
}

/// How many passes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Passes {
    /// Those of active requests.
    active: usize,
    /// Those that other requests may have, which the operator still holds: it must find out, or take them away.
    possible: usize,
}

impl Passes {
    fn of(records: &[Record]) -> Self {
        let mut passes = Self::default();
        for record in records {
            if record.phase() == Phase::Active {
                passes.active += 1;
            } else if has_finalizer(record.request()) {
                passes.possible += 1;
            }
        }
        passes
    }
}

impl Effect {
    /// Whether all has come about that was asked for.
    fn is_complete(&self, revoke: bool) -> bool {
        let is_gone = |passes| passes == Passes::default();
        self.stopped.unwrap_or(true) && (!revoke || self.passes.is_none_or(is_gone))
    }

    /// The passes, for people.
    fn passes(&self) -> String {
        let Some(Passes { active, possible }) = self.passes else {
            return "how many passes are active cannot be seen with your rights".to_owned();
        };
        let active = match active {
            0 => "no pass is active".to_owned(),
            1 => "1 pass is still active".to_owned(),
            active => format!("{active} passes are still active"),
        };
        match possible {
            0 => active,
            possible => {
                format!("{active}, and {} may still have one", counted(possible, "request"))
            }
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
        let mut pause = EVERY;
        match signals.unless(effect(session)).await.map_err(|_| interrupted())? {
            Ok(effect) if complete(&effect) => return Ok((effect, true)),
            Ok(effect) if late => return Ok((effect, false)),
            Ok(effect) => progress.show(&format!("waiting for the operator; {}", effect.passes())),
            Err(error) => match error.heals_after() {
                Some(later) if !late => {
                    pause = later.min(deadline.saturating_duration_since(Instant::now()));
                    progress.show(&error.to_string());
                }
                _ => return Err(error.into()),
            },
        }
        signals.unless(sleep(pause)).await.map_err(|_| interrupted())?;
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
    let passes = match session.cluster.list(None, &[]).await {
        Ok(records) => Some(Passes::of(&records)),
        Err(CallError::Right(_)) => None,
        Err(error) => return Err(error),
    };
    Ok(Effect { stopped, passes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::names::FINALIZER;
    use crate::plugin::samples::{active, awaiting, served};

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
        let effect = |stopped, active: Option<usize>| Effect {
            stopped,
            passes: active.map(|active| Passes { active, possible: 0 }),
        };
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

    #[tokio::test]
    async fn a_request_that_the_operator_holds_may_have_a_pass() {
        let (api, session) = served("heidi@contoso.com");
        let put = |name: &str, record: &Record, held: bool| {
            let mut object = record.printed();
            object["metadata"]["name"] = name.into();
            object["metadata"]["uid"] = name.into();
            let finalizers: &[&str] = if held { &[FINALIZER] } else { &[] };
            object["metadata"]["finalizers"] = serde_json::json!(finalizers);
            api.put(object);
        };
        put("waits", &awaiting(), false);
        let none = effect(&session).await.unwrap();
        assert!(none.is_complete(true) && none.passes() == "no pass is active", "{none:?}");
        // Its attempt is not closed yet.
        put("issuing", &awaiting(), true);
        let possible = effect(&session).await.unwrap();
        assert!(!possible.is_complete(true), "{possible:?}");
        assert_eq!(possible.passes(), "no pass is active, and 1 request may still have one");
        put("active", &active(), true);
        let both = effect(&session).await.unwrap();
        assert_eq!(both.passes(), "1 pass is still active, and 1 request may still have one");
    }
}
