//! `request`.

mod revealed;

use std::path::Path;

use serde_json::{Value, json};

use super::reveal;
use crate::api::{Lifetime, PolicyRef, TapPolicy, TapRequest, TapRequestSpec};
use crate::decision::terms::Terms;
use crate::plugin::call_error::CallError;
use crate::plugin::calls::Right;
use crate::plugin::cli::Request;
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::naming;
use crate::plugin::output::{self, Format};
use crate::plugin::pick;
use crate::plugin::program;
use crate::plugin::record::Record;
use crate::plugin::session::Session;
use crate::plugin::signals::Signals;
use crate::plugin::time::Clock;
use crate::plugin::wait::{self, Goal, Limit, Target, follow};
use crate::seal::{RecipientError, Recipients};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How many names are tried.
const NAMES: u32 = 20;
/// What was typed, as it was understood.
struct Understood {
    lifetime: Option<Lifetime>,
    start: Option<Timestamp>,
}

fn understood(arguments: &Request, clock: &Clock) -> Result<Understood, Failure> {
    let lifetime = arguments.lifetime.as_deref().map(Clock::lifetime).transpose();
    let start = arguments.start.as_deref().map(|text| clock.start(text)).transpose();
    Ok(Understood {
        lifetime: lifetime.map_err(|why| Failure::usage(format!("--for: {why}")))?,
        start: start.map_err(|why| Failure::usage(format!("--at: {why}")))?,
    })
}

/// What can be said without a cluster.
pub fn validate(arguments: &Request) -> Result<(), Failure> {
    if arguments.person.trim().is_empty() {
        return Err(Failure::usage("USER is empty").remedy("name the user whom the pass signs in"));
    }
    understood(arguments, &Clock::system())?;
    if arguments.timeout.is_some() && !arguments.wait && !arguments.reveal {
        return Err(Failure::usage("--timeout says how long to wait, and nothing is waited for")
            .remedy("add --wait or --reveal"));
    }
    let is_file = |key: &&String| Path::new(key.as_str()).is_file();
    if let Some(file) = arguments.recipients.iter().find(is_file) {
        return Err(Failure::usage(format!(
            "--recipient takes the key itself, and {file} is a file"
        ))
        .remedy(format!("--recipient \"$(cat {file})\"")));
    }
    if !arguments.recipients.is_empty() {
        Recipients::read(&arguments.recipients).map_err(unusable_key)?;
    }
    if arguments.reveal { reveal::validate() } else { Ok(()) }
}

/// Why the code cannot be sealed to what was typed. It is not quoted, for it may be a private key, and nothing of it is sent.
fn unusable_key(error: RecipientError) -> Failure {
    let which = |index: usize| format!("--recipient number {}", index + 1);
    Failure::usage(match error {
        RecipientError::Count(count) => {
            format!("--recipient is given {count} times, and 10 are the most")
        }
        RecipientError::Key { index, cause } => format!("{} {cause}", which(index)),
        RecipientError::Duplicate { index, first } => {
            format!("{} is the same key as number {}", which(index), first + 1)
        }
    })
    .remedy("name public keys: age1..., or the line of an SSH .pub file")
}

pub async fn run(arguments: Request, session: &Session) -> Result<(), Failure> {
    let clock = Clock::system();
    let understood = understood(&arguments, &clock)?;
    let policy = match &arguments.policy {
        Some(policy) => policy.clone(),
        None => only_policy(session).await?,
    };
    let spec = TapRequestSpec {
        policy_ref: PolicyRef { name: policy },
        user: arguments.person.clone(),
        lifetime: understood.lifetime,
        one_time_use: arguments.multi_use.then_some(false),
        start_time: understood.start.map(Time),
        reason: arguments.reason.clone(),
        recipients: Some(arguments.recipients.clone()).filter(|keys| !keys.is_empty()),
        on_existing_pass: arguments.on_existing_pass.map(Into::into),
        requested_by: Some(session.me().await?.to_owned()),
        ..TapRequestSpec::default()
    };
    // Who may not read the policy learns the same from the request.
    let policy = match session.cluster.policy(&spec.policy_ref.name).await {
        Ok(policy) => Some(policy),
        Err(CallError::NotFound(_)) => return Err(no_policy(&spec.policy_ref.name, session).await),
        Err(_) => None,
    };
    if let Some(policy) = &policy {
        let sealed = arguments.reveal.then(Vec::new).or_else(|| spec.recipients.clone());
        let asked = TapRequestSpec { recipients: sealed, ..spec.clone() };
        pick::objection(policy, &asked).map_or(Ok(()), Err)?;
    }
    output::say(&retold(&spec, policy.as_ref(), &session.place(&session.namespace), &clock));
    if arguments.dry_run {
        return dry_run(&arguments, spec, session, &clock).await;
    }
    if arguments.reveal {
        return revealed::asked_and_shown(&arguments, spec, session, &clock).await;
    }
    let created = create(&arguments, &spec, session, &clock, false).await;
    let record = created.map_err(|error| not_created(error, &arguments, session))?;
    as_sent(&record, &spec).map_err(|failure| {
        let undo = format!("{} revoke {} -n {}", program(), record.name(), record.namespace());
        failure.remedy(format!("if you do not want it like that: {undo}"))
    })?;
    if !arguments.wait {
        let printed = print(&arguments, &record);
        output::say(&next(&record));
        return printed.map_err(|failure| unread(failure, &record));
    }
    let waited = waited_for(&arguments, &record, session, &mut Signals::catch()?).await;
    if waited.is_err() && arguments.output.is_some() {
        // A script must learn the name of the request that it made, however far that came.
        let now = session.cluster.request(&record.namespace(), &record.name()).await;
        let printed = print(&arguments, &now.unwrap_or(record.clone()));
        if let Err(failure) = printed
            && failure.exit != Exit::Closed
        {
            output::say(&unread(failure, &record).message);
        }
    }
    let record = waited?;
    let printed = print(&arguments, &record);
    wait::reached(&record);
    output::say(&format!(
        "To show the code: {} reveal {} -n {}",
        program(),
        record.name(),
        record.namespace()
    ));
    printed.map_err(|failure| unread(failure, &record))
}

/// A failure to print a request. Where the output goes nowhere, its name must be told elsewhere.
fn unread(failure: Failure, record: &Record) -> Failure {
    let (title, namespace) = (record.title(), record.namespace());
    let created = format!("{title} was created in namespace {namespace}");
    let message = match failure.exit {
        Exit::Closed => String::new(),
        _ => format!("{created}, but {}", failure.message),
    };
    Failure { message, ..failure }
}

/// That there is no such policy, and which there are.
async fn no_policy(name: &str, session: &Session) -> Failure {
    let none = Failure::error(format!("there is no TapPolicy {name}"));
    match usable(session).await {
        Ok(names) if !names.is_empty() => none.remedy(format!("you may use {}", names.join(", "))),
        _ => none.remedy("ask your administrator which one you may use"),
    }
}

async fn only_policy(session: &Session) -> Result<String, Failure> {
    pick::only(&usable(session).await?, &session.place(&session.namespace))
}

/// The policies through which the person may ask.
async fn usable(session: &Session) -> Result<Vec<String>, Failure> {
    let rules = session.cluster.rules(&session.namespace).await?;
    let policies = session.cluster.policies().await;
    let policies = match &policies {
        Ok(policies) => Some(policies.as_slice()),
        Err(error @ CallError::NoSuchKind(_)) => return Err(error.clone().into()),
        Err(_) => None,
    };
    let usable = pick::usable(&rules, policies, &session.namespace);
    pick::asked(usable, async |name: &str| session.may(Right::policy("use", name)).await).await
}

/// What is asked for, in words, so that nobody waits for tomorrow who meant today, or asks in one cluster and looks in another.
fn retold(spec: &TapRequestSpec, policy: Option<&TapPolicy>, place: &str, clock: &Clock) -> String {
    let issuance = policy.and_then(|policy| policy.spec.issuance.as_ref());
    let default = issuance.and_then(|issuance| Terms::of(issuance).lifetime);
    let default = default.map(|(default, _)| Lifetime::from_minutes(default));
    let lifetime = spec.lifetime.as_ref().or(default.as_ref());
    let lifetime = lifetime.map_or("the policy's default lifetime".to_owned(), ToString::to_string);
    let start = spec.start_time.as_ref().map_or_else(
        || "from when it is issued".to_owned(),
        |start| format!("from {}", clock.told(start.0)),
    );
    let uses = if spec.one_time_use == Some(false) { "works several times" } else { "works once" };
    format!(
        "A pass for {}, {start}, for {lifetime}, {uses}, through policy {} in {place}",
        spec.user, spec.policy_ref.name
    )
}

/// Creates the request, or only tries, under the name that was given, or under the first free one.
async fn create(
    arguments: &Request,
    spec: &TapRequestSpec,
    session: &Session,
    clock: &Clock,
    dry_run: bool,
) -> Result<Record, CallError> {
    let mut attempt = 1;
    loop {
        let name = name(arguments, clock, attempt);
        let request = object(&name, spec);
        let created = session.cluster.create(&session.namespace, &request, dry_run).await;
        match &created {
            Err(CallError::Exists(_)) if arguments.name.is_none() && attempt < NAMES => {
                attempt += 1;
                continue;
            }
            Ok(record) if attempt > 1 => {
                let (first, name) = (self::name(arguments, clock, 1), record.name());
                output::say(&format!(
                    "There is a request {first} already, so this one has another name: {name}"
                ));
            }
            _ => {}
        }
        return created;
    }
}

/// Whether the request in the cluster is the one that was sent, and not what something in the cluster made of it.
fn as_sent(record: &Record, spec: &TapRequestSpec) -> Result<(), Failure> {
    let altered = record.altered(spec);
    if altered.is_empty() {
        return Ok(());
    }
    let (name, fields) = (record.name(), altered.join(", "));
    Err(Failure::error(format!(
        "{name} was created, and something in the cluster has changed {fields}"
    )))
}

/// Why no request was created.
fn not_created(error: CallError, arguments: &Request, session: &Session) -> Failure {
    let namespace = &session.namespace;
    match error {
        CallError::Exists(_) => {
            let name = arguments.name.as_deref().unwrap_or("of each name that was tried");
            Failure::error(format!(
                "there is a TapRequest {name} in {} already, and a finished one stays as a record",
                session.place(namespace)
            ))
            .remedy("choose another name with --name")
        }
        error if error.is_unsure() => Failure::from(error).remedy(format!(
            "it is not known whether the request was created: {} list -n {namespace}",
            program()
        )),
        error => error.into(),
    }
}

fn name(arguments: &Request, clock: &Clock, attempt: u32) -> String {
    let today = clock.now.to_zoned(clock.zone.clone()).date();
    let made = || naming::name(&arguments.person, arguments.reason.as_deref(), today, attempt);
    arguments.name.clone().unwrap_or_else(made)
}

fn object(name: &str, spec: &TapRequestSpec) -> TapRequest {
    TapRequest::new(name, spec.clone())
}

/// A manifest as people apply it.
fn manifest(name: &str, namespace: &str, spec: &TapRequestSpec) -> Value {
    json!({
        "apiVersion": "tap-operator.io/v1alpha1",
        "kind": "TapRequest",
        "metadata": { "name": name, "namespace": namespace },
        "spec": spec,
    })
}

/// Has the API server check the request, and prints it. Whoever applies it later may be somebody else, so the requester is
/// in it only where the API server does not write it itself.
async fn dry_run(
    arguments: &Request,
    mut spec: TapRequestSpec,
    session: &Session,
    clock: &Clock,
) -> Result<(), Failure> {
    let me = spec.requested_by.take();
    let mut tried = create(arguments, &spec, session, clock, true).await;
    if let Err(CallError::Policy(why)) = &tried
        && why.contains("requestedBy")
    {
        spec.requested_by = me;
        tried = create(arguments, &spec, session, clock, true).await;
    }
    let name = tried.map_err(|error| not_created(error, arguments, session))?.name();
    let namespace = &session.namespace;
    match arguments.output {
        Some(Format::Json) => output::document(&manifest(&name, namespace, &spec), false),
        Some(Format::Yaml) => output::document(&manifest(&name, namespace, &spec), true),
        Some(Format::Name) => output::data(&format!("taprequest.tap-operator.io/{name}")),
        None => {
            output::data(&format!("taprequest.tap-operator.io/{name} created (server dry run)"))
        }
    }
}

fn print(arguments: &Request, record: &Record) -> Result<(), Failure> {
    match arguments.output {
        Some(Format::Json) => output::document(&record.printed(), false),
        Some(Format::Yaml) => output::document(&record.printed(), true),
        Some(Format::Name) => output::data(&record.title()),
        None => output::data(&format!("{} created", record.title())),
    }
}

fn next(record: &Record) -> String {
    let (program, name, namespace) = (program(), record.name(), record.namespace());
    format!(
        "To see how far it is: {program} wait {name} -n {namespace}, or {program} show {name} -n {namespace}"
    )
}

async fn waited_for(
    arguments: &Request,
    record: &Record,
    session: &Session,
    signals: &mut Signals,
) -> Result<Record, Failure> {
    let (namespace, name) = (record.namespace(), record.name());
    output::say(&format!("{} created in {}", record.title(), session.place(&namespace)));
    let target = Target { namespace: &namespace, name: &name, uid: Some(record.uid()) };
    follow(session, &target, Goal::Issued, Limit::new(arguments.timeout), signals).await
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use kube::ResourceExt as _;

    use super::*;
    use crate::api::yaml;
    use crate::plugin::cli::{Arguments, Command};
    use crate::plugin::keys::OneTimeKey;
    use crate::plugin::samples::clock;

    fn spec() -> TapRequestSpec {
        TapRequestSpec {
            policy_ref: PolicyRef { name: "helpdesk".into() },
            user: "alice@contoso.com".into(),
            ..TapRequestSpec::default()
        }
    }

    #[test]
    fn a_request_is_named_where_it_cannot_be_printed() {
        let record = crate::plugin::samples::awaiting();
        let full = Failure::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
        let told = unread(full, &record);
        let named = "taprequest.tap-operator.io/alice-inc0012345 was created in namespace helpdesk, but the output cannot be written";
        assert!(told.exit == Exit::Error && told.message.starts_with(named), "{told}");
        assert_eq!(unread(Failure::said(Exit::Closed), &record), Failure::said(Exit::Closed));
    }

    #[test]
    fn a_key_that_cannot_be_used_is_refused_before_anything_is_sent() {
        let asked = |keys: &[&str]| {
            let words = ["kubectl-tap", "request", "alice@contoso.com"].into_iter();
            let keys = keys.iter().flat_map(|key| ["--recipient", *key]);
            match Arguments::parse_from(words.chain(keys)).command {
                Command::Request(arguments) => validate(&arguments),
                _ => unreachable!(),
            }
        };
        let public = OneTimeKey::generate().public();
        assert_eq!(asked(&[&public]), Ok(()));
        let private = "AGE-SECRET-KEY-1QQPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQ";
        let cut_off = &public[..40];
        for (keys, words) in [
            (&[private][..], "number 1 looks like a private key"),
            (&[&public, cut_off], "number 2 is not a native age key"),
            (&[&public, &public], "number 2 is the same key as number 1"),
            (&["alice"], "neither an age key"),
            (&["a"; 11], "given 11 times"),
        ] {
            let told = asked(keys).unwrap_err();
            assert!(told.exit == Exit::Usage && told.message.contains(words), "{told}");
            assert!(
                keys.iter().all(|key| key.len() < 8 || !told.to_string().contains(key)),
                "{told}"
            );
        }
    }

    #[test]
    fn what_was_understood_is_told() {
        let plain = spec();
        assert_eq!(
            retold(&plain, None, "namespace helpdesk", &clock()),
            "A pass for alice@contoso.com, from when it is issued, for the policy's default lifetime, works once, through policy helpdesk in namespace helpdesk"
        );
        let policy = json!({
            "metadata": { "name": "helpdesk" },
            "spec": { "tenant": "default", "issuance": { "lifetime": { "default": "2h" } } },
        });
        let policy: TapPolicy = serde_json::from_value(policy).unwrap();
        let told = retold(&plain, Some(&policy), "namespace helpdesk", &clock());
        assert!(told.contains(", for 2h, works once, "), "{told}");
        let full = TapRequestSpec {
            lifetime: Some(Lifetime::from_minutes(90)),
            start_time: Some(Time("2026-11-30T08:00:00Z".parse().unwrap())),
            one_time_use: Some(false),
            ..spec()
        };
        assert_eq!(
            retold(&full, None, "namespace helpdesk (context prod)", &clock()),
            "A pass for alice@contoso.com, from 2026-11-30 08:00 +00:00 (in 14h), for 1h30m, works several times, through policy helpdesk in namespace helpdesk (context prod)"
        );
    }

    #[test]
    fn a_manifest_has_what_was_asked_for_and_nothing_else() {
        let text = yaml::write(&manifest("a", "helpdesk", &spec())).unwrap();
        let read: Value = yaml::read(&text).unwrap();
        assert_eq!(
            read,
            json!({
                "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
                "metadata": { "name": "a", "namespace": "helpdesk" },
                "spec": { "policyRef": { "name": "helpdesk" }, "user": "alice@contoso.com" },
            })
        );
        let object = object("a", &spec());
        assert_eq!((object.name_any().as_str(), object.status), ("a", None));
    }
}
