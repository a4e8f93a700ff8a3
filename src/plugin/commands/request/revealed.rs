//! `request --reveal`: a request whose code this process alone can open.

use std::pin::{Pin, pin};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use tokio::time::sleep;

use super::{as_sent, create, name, not_created, waited_for};
use crate::api::{DecisionKind, TapRequestSpec};
use crate::entra::PassCode;
use crate::plugin::cli::Request;
use crate::plugin::commands::decide;
use crate::plugin::commands::reveal::{self, Asks};
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::keys::OneTimeKey;
use crate::plugin::output;
use crate::plugin::program;
use crate::plugin::record::Record;
use crate::plugin::session::Session;
use crate::plugin::signals::Signals;
use crate::plugin::time::Clock;

/// How often a request is looked for of which it is not known whether it was created.
const LOOKS: u32 = 5;
/// How long to wait before it is looked for again: a proxy may give up before the API server does.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// The longest that a call may take which a signal does not end, if the person set no limit.
const PATIENCE: Duration = Duration::from_secs(30);
/// The comment of a revocation that nobody typed.
const UNREADABLE: &str =
    "kubectl tap request --reveal ended before it showed the code, and nobody else can open it";

/// Asks for a code that only this process can open, waits for it, and shows it.
pub(super) async fn asked_and_shown(
    arguments: &Request,
    spec: TapRequestSpec,
    session: &Session,
    clock: &Clock,
) -> Result<(), Failure> {
    let first = name(arguments, clock, 1);
    if !decide::may_read(session, &first).await? {
        return Err(Failure::error(format!(
            "you may not read Secrets in {}, so the code could not be shown to you: nothing was asked for",
            session.place(&session.namespace)
        ))
        .remedy("ask your administrator for the right to get Secrets there, or ask without --reveal"));
    }
    created_and_shown(arguments, spec, session, clock).await
}

/// Creates the request, waits for its code, and shows it. However that ends without the code having been shown, the request is
/// revoked: a pass that nobody can read serves nobody, and keeps others from a new one.
async fn created_and_shown(
    arguments: &Request,
    mut spec: TapRequestSpec,
    session: &Session,
    clock: &Clock,
) -> Result<(), Failure> {
    let key = OneTimeKey::generate();
    spec.recipients = Some(vec![key.public()]);
    let limited = &session.within(PATIENCE);
    // From here on a signal ends nothing before the request is revoked, but a second one does: the cluster may not answer.
    let mut signals = Signals::catch()?;
    let mut second = pin!(Signals::catch()?.twice());
    let created = create(arguments, &spec, limited, clock, false);
    let record = match unless(second.as_mut(), created).await {
        Some(Ok(record)) => record,
        Some(Err(error)) if error.is_unsure() => {
            let failure = not_created(error, arguments, session);
            let found = unless(second, take_back_unknown(limited, &key, &mut signals)).await;
            return Err(if found == Some(true) { failure } else { unknown(failure, session) });
        }
        Some(Err(error)) => return Err(not_created(error, arguments, session)),
        None => return Err(unknown(Failure::new(Exit::Interrupted, "interrupted"), session)),
    };
    let shown = async {
        as_sent(&record, &spec)?;
        let issued = waited_for(arguments, &record, session, &mut signals).await?;
        let (code, secret) = opened(session, &issued, &key, &mut signals).await?;
        reveal::show(&code, &issued)?;
        Ok::<_, Failure>((issued, secret))
    };
    match shown.await {
        Ok((issued, secret)) => {
            reveal::tidy_up(limited, &issued, &secret, Asks::WhetherToKeep(&mut signals)).await
        }
        Err(failure) if failure.exit == Exit::Ended => Err(failure),
        Err(failure) => {
            let message = match failure.exit {
                Exit::Interrupted => "interrupted".to_owned(),
                _ => failure.message,
            };
            let taken_back = unless(second, take_back(limited, &record)).await;
            let taken_back =
                taken_back.unwrap_or_else(|| Err(not_taken_back(&record, "interrupted")));
            let (told, remedy) = match taken_back {
                Ok(told) => (told, None),
                Err(left) => (left.message, left.remedy),
            };
            let exit = if failure.exit == Exit::Closed { Exit::Error } else { failure.exit };
            Err(Failure { exit, message: format!("{message}; {told}"), remedy })
        }
    }
}

/// Does something, unless the end comes before it is done.
async fn unless<T>(
    end: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = end => None,
    }
}

/// The code of an issued request, and the Secret in which it lies, unless a signal comes before the code can be shown.
async fn opened(
    session: &Session,
    issued: &Record,
    key: &OneTimeKey,
    signals: &mut Signals,
) -> Result<(PassCode, Secret), Failure> {
    let secret = signals.unless(reveal::secret_of(session, issued)).await??;
    let sealed = reveal::sealed(&secret, &issued.name())?;
    let code = key.open(sealed).map_err(|error| reveal::cannot_open(issued, &error))?;
    signals.none_yet().await?;
    Ok((code, secret))
}

/// Revokes a request whose code nobody can read any more. Returns what to tell about it.
async fn take_back(session: &Session, record: &Record) -> Result<String, Failure> {
    match decide::decide(session, record, DecisionKind::Revoke, Some(UNREADABLE)).await {
        Ok(()) => Ok(format!(
            "{} was revoked, because its code can no longer be read by anybody",
            record.name()
        )),
        Err(failure) => Err(not_taken_back(record, &failure.message)),
    }
}

/// That a request may go on whose code nobody can read.
fn not_taken_back(record: &Record, why: &str) -> Failure {
    let name = record.name();
    let failure = Failure::error(format!(
        "{name} could NOT be revoked ({why}), and nobody can read its code"
    ));
    failure.remedy(format!("{} revoke {name} -n {}", program(), record.namespace()))
}

/// If it is not known whether the request was created, it may be there, or come a moment later: it is the one with this key.
/// Looks for it several times, unless a signal comes. Returns whether it was found.
async fn take_back_unknown(session: &Session, key: &OneTimeKey, signals: &mut Signals) -> bool {
    let public = key.public();
    let Ok(me) = session.me().await else { return false };
    for look in 0..LOOKS {
        if look > 0 {
            tokio::select! {
                () = sleep(BETWEEN_LOOKS) => {}
                () = signals.any() => return false,
            }
        }
        let mine =
            session.cluster.list(Some(&session.namespace), &[("spec.requestedBy", me)]).await;
        let has_key = |record: &&Record| {
            record.request().spec.recipients.as_ref().is_some_and(|keys| keys.contains(&public))
        };
        if let Some(record) = mine.unwrap_or_default().iter().find(has_key) {
            let told = take_back(session, record).await;
            output::say(&told.unwrap_or_else(|left| left.to_string()));
            return true;
        }
    }
    false
}

/// What to do about a request that may be there, and whose code nobody could read.
fn unknown(failure: Failure, session: &Session) -> Failure {
    let (program, namespace) = (program(), &session.namespace);
    failure.remedy(format!(
        "it is not known whether the request was created. If {program} list -n {namespace} shows it, revoke it, because nobody can \
         read its code: {program} revoke NAME -n {namespace}"
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use clap::Parser as _;
    use kube::core::Status;
    use kubernetes_api::{Fault, Match, Point, Verb, statuses};
    use serde_json::json;

    use super::super::object;
    use super::*;
    use crate::api::PolicyRef;
    use crate::api::names::SECRET_TYPE;
    use crate::plugin::cli::{Arguments, Command};
    use crate::plugin::samples::{SIGNALS, active, clock, served};
    use crate::plugin::signals::APART;
    use crate::seal::Recipients;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_a_failing_proxy_hides_is_taken_back() {
        let (api, session) = served("heidi@contoso.com");
        let _alone = SIGNALS.lock().await;
        let key = OneTimeKey::generate();
        let sealed = TapRequestSpec {
            policy_ref: PolicyRef { name: "helpdesk".into() },
            user: "alice@contoso.com".into(),
            recipients: Some(vec![key.public()]),
            requested_by: Some("heidi@contoso.com".into()),
            ..TapRequestSpec::default()
        };
        let creations = Match::verb(Verb::Create).resource("taprequests");
        api.fail_next(creations, Fault::RefusedAfterEffect(statuses::server_error(504)));
        let created = session.cluster.create("helpdesk", &object("a", &sealed), false).await;
        assert!(created.unwrap_err().is_unsure());
        // It can be listed only a moment later.
        api.fail_next(Match::verb(Verb::List).resource("taprequests"), Fault::server_error(504));
        assert!(take_back_unknown(&session, &key, &mut Signals::catch().unwrap()).await);
        let decisions = &api.get("taprequests", "helpdesk", "a").unwrap()["status"]["decisions"];
        assert_eq!(decisions[0]["decision"], "Revoke", "{decisions}");
        // Another key's is left alone.
        let other = OneTimeKey::generate();
        assert!(!take_back_unknown(&session, &other, &mut Signals::catch().unwrap()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_finds_nothing_ends_no_wait() {
        let (api, session) = served("heidi@contoso.com");
        let _alone = SIGNALS.lock().await;
        let record = active();
        api.put(record.printed());
        let gateway = Status::failure("<title>404 Not Found</title>", "").with_code(404).boxed();
        let reads = Match::verb(Verb::Get).resource("taprequests");
        api.fail_next(reads, Fault::Refused(gateway));
        let mut signals = Signals::catch().unwrap();
        let issued = waited_for(&arguments(), &record, &session, &mut signals).await;
        assert_eq!(issued.map(|issued| issued.uid()), Ok(record.uid()));
    }

    /// What was typed.
    fn arguments() -> Request {
        let typed = ["kubectl-tap", "request", "alice@contoso.com", "--name", "a", "--reveal"];
        match Arguments::parse_from(typed).command {
            Command::Request(arguments) => *arguments,
            _ => unreachable!(),
        }
    }

    /// Sends a signal to this process.
    fn signal(name: &str) {
        let id = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    #[tokio::test]
    async fn a_signal_that_comes_before_the_code_is_shown_counts() {
        let (api, session) = served("heidi@contoso.com");
        let _alone = SIGNALS.lock().await;
        let (issued, key) = (active(), OneTimeKey::generate());
        let recipients = Recipients::read(&[key.public()]).unwrap();
        let sealed = STANDARD.encode(recipients.seal("the code").unwrap());
        let owner = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest", "name": issued.name(), "uid": issued.uid(),
        });
        api.put(issued.printed());
        api.put(json!({
            "apiVersion": "v1", "kind": "Secret", "type": SECRET_TYPE, "data": { "temporaryAccessPass.age": sealed },
            "metadata": { "name": issued.name(), "namespace": "helpdesk", "ownerReferences": [owner] },
        }));
        let mut signals = Signals::catch().unwrap();
        let (code, _) = opened(&session, &issued, &key, &mut signals).await.unwrap();
        assert_eq!(code.expose(), "the code");
        // While the Secret is read.
        for name in ["-INT", "-QUIT"] {
            // Anew, for it may not have come to look at the last one.
            let mut seen = Signals::catch().unwrap();
            let reads = Match::verb(Verb::Get).resource("secrets");
            let mut held = api.intercept(reads, Point::AfterEffect);
            let pressed = async {
                held.reached().await;
                signal(name);
                seen.any().await;
                held.release();
                std::future::pending::<()>().await;
            };
            let told = tokio::select! {
                opened = opened(&session, &issued, &key, &mut signals) => opened.err(),
                () = pressed => unreachable!(),
            };
            assert_eq!(told.map(|told| told.exit), Some(Exit::Interrupted), "{name}");
        }
        // After that.
        signal("-TERM");
        let seen = async { while signals.none_yet().await.is_ok() {} };
        tokio::time::timeout(Duration::from_mins(1), seen).await.unwrap();
        assert_eq!(signals.none_yet().await, Ok(()), "it is seen once");
    }

    /// Asks for a code with --reveal, without the question whether the person may read Secrets.
    async fn asked(session: &Session) -> Failure {
        let spec = TapRequestSpec {
            policy_ref: PolicyRef { name: "helpdesk".into() },
            user: "alice@contoso.com".into(),
            requested_by: Some("heidi@contoso.com".into()),
            ..TapRequestSpec::default()
        };
        created_and_shown(&arguments(), spec, session, &clock()).await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn no_call_goes_on_for_ever_that_a_signal_does_not_end() {
        let (api, session) = served("heidi@contoso.com");
        let _alone = SIGNALS.lock().await;
        let _silent = api.fail(Match::any().resource("taprequests"), Fault::Hang);
        session.me().await.unwrap();
        let failure = tokio::time::timeout(Duration::from_hours(1), asked(&session)).await.unwrap();
        assert!(failure.message.contains("nothing came within 30 s"), "{failure}");
        assert!(failure.remedy.unwrap().contains("revoke it"));
    }

    #[tokio::test]
    async fn a_second_signal_ends_what_does_not_end() {
        for (first, later, told) in [
            (Verb::Create, None, "it is not known whether the request was created"),
            (Verb::Get, Some(Verb::Patch), "a could NOT be revoked (interrupted)"),
        ] {
            let (api, session) = served("heidi@contoso.com");
            let _alone = SIGNALS.lock().await;
            session.me().await.unwrap();
            let hold = |verb| {
                api.intercept(Match::verb(verb).resource("taprequests"), Point::BeforeEffect)
            };
            let (mut first, mut later) = (hold(first), later.map(hold));
            let insists = Cell::new(false);
            let pressed = async {
                first.reached().await;
                // As a terminal that closes.
                signal("-HUP");
                signal("-INT");
                if let Some(later) = &mut later {
                    later.reached().await;
                }
                sleep(Duration::from_millis(200)).await;
                tokio::time::pause();
                tokio::time::advance(APART).await;
                tokio::time::resume();
                sleep(Duration::from_millis(200)).await;
                insists.set(true);
                signal("-INT");
                std::future::pending::<()>().await;
            };
            let failure = tokio::select! {
                failure = asked(&session) => failure,
                () = pressed => unreachable!(),
            };
            assert_eq!((failure.exit, insists.get()), (Exit::Interrupted, true), "{failure}");
            assert!(failure.to_string().contains(told), "{failure}");
        }
    }
}
