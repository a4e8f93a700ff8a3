//! Whether there is an operator where a person says that it is.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;

use super::call_error::CallError;
use super::failure::Failure;
use super::session::Session;
use crate::api::names::OPERATOR;

/// What to do where there is no operator.
pub const REMEDY: &str = "name the namespace of the operator with --operator-namespace";

/// What is known of an operator in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// It is there, or was.
    Here,
    /// There is none.
    Nowhere,
    /// The person may not see it, or it cannot be asked.
    Unseen(CallError),
}

/// Looks for it. Every operator that ever led has a Lease, whether it runs as a Deployment or not.
pub async fn look(session: &Session, namespace: &str) -> Whereabouts {
    let lease = session.cluster.get::<Lease>(namespace, OPERATOR).await;
    let lease = lease.map(|lease| lease.is_some());
    if lease == Ok(true) {
        return Whereabouts::Here;
    }
    let deployment = session.cluster.get::<Deployment>(namespace, OPERATOR).await;
    judged(lease, &deployment.map(|deployment| deployment.is_some()))
}

fn judged(lease: Result<bool, CallError>, deployment: &Result<bool, CallError>) -> Whereabouts {
    match (lease, deployment) {
        (Ok(true), _) | (_, Ok(true)) => Whereabouts::Here,
        (Ok(false), _) => Whereabouts::Nowhere,
        (Err(error), _) => Whereabouts::Unseen(error),
    }
}

/// That there is none. `place`: the namespace, in words.
pub fn none(place: &str) -> String {
    format!("there is no operator in {place}: it has neither a Lease nor a Deployment {OPERATOR}")
}

/// Refuses to go on where there certainly is none. Returns what to tell where that is not known.
pub async fn required(session: &Session, namespace: &str) -> Result<Option<String>, Failure> {
    let place = session.place(namespace);
    match look(session, namespace).await {
        Whereabouts::Here => Ok(None),
        Whereabouts::Nowhere => Err(Failure::error(none(&place)).remedy(REMEDY)),
        Whereabouts::Unseen(error) => {
            Ok(Some(format!("It was not checked whether an operator is in {place}: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_seen_counts() {
        let hidden = || CallError::Right("you cannot get leases".into());
        for (lease, deployment, found) in [
            (Ok(true), Err(hidden()), Whereabouts::Here),
            (Ok(false), Ok(true), Whereabouts::Here),
            (Err(hidden()), Ok(true), Whereabouts::Here),
            (Ok(false), Ok(false), Whereabouts::Nowhere),
            (Ok(false), Err(hidden()), Whereabouts::Nowhere),
            (Err(hidden()), Ok(false), Whereabouts::Unseen(hidden())),
            (Err(hidden()), Err(hidden()), Whereabouts::Unseen(hidden())),
        ] {
            assert_eq!(judged(lease.clone(), &deployment), found, "{lease:?} {deployment:?}");
        }
    }
}
