//! How a call to the API server fails.

use kube::core::Status;

use crate::version::VERSION;

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The object does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The request does not exist.
    #[error("there is no TapRequest {name} in namespace {namespace}{which}")]
    NoRequest {
        /// The namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Which cluster, if there are several.
        which: String,
    },
    /// The API server does not serve the resources of tap-operator.
    #[error(
        "tap-operator is not installed in the cluster {0}: it knows no TapRequests and TapPolicies"
    )]
    NoSuchKind(String),
    /// The definitions of the cluster have no such fields. Nothing was written.
    #[error(
        "the definition of TapRequest in the cluster {cluster} is of another version than this program ({version}), and does \
         not know {fields}: nothing was written",
        version = VERSION
    )]
    UnknownFields {
        /// The cluster.
        cluster: String,
        /// The fields.
        fields: String,
    },
    /// An object of this name exists.
    #[error("{0}")]
    Exists(String),
    /// RBAC refused it.
    #[error("{0}")]
    Right(String),
    /// An admission policy refused it; the text is the policy's message.
    #[error("{0}")]
    Policy(String),
    /// What was typed cannot be asked for. Nothing was sent.
    #[error("{0}")]
    Unsendable(String),
    /// The API server does not know who is asking.
    #[error("the API server does not accept your credentials: {0}")]
    Unauthorized(String),
    /// It refused the call for another reason, and changed nothing.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Its message.
        message: String,
    },
    /// The API server, or a proxy before it, failed. If it was a write, it may have been made all the same.
    #[error("the cluster {cluster} fails ({code}): {message}")]
    Failed {
        /// The cluster.
        cluster: String,
        /// HTTP status.
        code: u16,
        /// The message.
        message: String,
    },
    /// There was no answer. If it was a write, it may have been made.
    #[error("the cluster {cluster} does not answer: {cause}")]
    Unreachable {
        /// The cluster.
        cluster: String,
        /// What happened.
        cause: String,
    },
}

/// A cluster, as errors name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterName {
    url: String,
    choice: Option<String>,
}

impl ClusterName {
    /// The cluster at this URL, and by what it was chosen, such as `context prod`, if there are several.
    pub fn new(url: String, choice: Option<String>) -> Self {
        Self { url, choice }
    }

    /// The URL, and by what it was chosen.
    pub fn full(&self) -> String {
        format!("{}{}", self.url, self.which())
    }

    /// What to add to a sentence, so that nobody takes one cluster for another: nothing if there is only one.
    pub fn which(&self) -> String {
        self.choice.as_ref().map_or(String::new(), |choice| format!(" ({choice})"))
    }
}

impl CallError {
    /// What the API server of this cluster answered.
    pub fn of(status: Status, cluster: &ClusterName) -> Self {
        let message = status.message;
        // An answer that is no Status comes from a path that is not served.
        let unknown_path = message.contains("page not found")
            || message.contains("could not find the requested resource");
        match status.code {
            401 => Self::Unauthorized(format!("{message}{}", cluster.which())),
            403 if message.contains("User \"system:anonymous\"") => Self::Unauthorized(format!(
                "it knows you only as system:anonymous{}",
                cluster.which()
            )),
            403 => match message.split_once("denied request: ") {
                Some((_, why)) => Self::Policy(why.trim_end().to_owned()),
                None => Self::Right(format!("{message}{}", cluster.which())),
            },
            404 if unknown_path => Self::NoSuchKind(cluster.full()),
            404 => Self::NotFound(message),
            409 if status.reason == "AlreadyExists" => Self::Exists(message),
            code if code >= 500 => Self::Failed { cluster: cluster.full(), code, message },
            code => match unknown_fields(&message) {
                Some(fields) => Self::UnknownFields { cluster: cluster.full(), fields },
                None => Self::Refused { code, message },
            },
        }
    }

    /// Whether the same call may succeed a moment later.
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Failed { .. } => true,
            Self::Refused { code, .. } => *code == 429,
            _ => false,
        }
    }

    /// Whether a write that ended so may have been made.
    pub fn is_unsure(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failed { .. })
    }
}

/// The fields of which the API server says that it does not know them.
fn unknown_fields(message: &str) -> Option<String> {
    // Before it, the answer to a patch has the whole object, in which people may have written anything.
    let (_, errors) = message.rsplit_once("strict decoding error: ")?;
    let fields: Vec<&str> = errors
        .split("unknown field ")
        .skip(1)
        .filter_map(|field| field.strip_prefix('"')?.split('"').next())
        .collect();
    (!fields.is_empty()).then(|| fields.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> Status {
        Status { code, reason: reason.into(), message: message.into(), ..Status::default() }
    }

    fn cluster() -> ClusterName {
        ClusterName::new("https://prod.example.com".into(), None)
    }

    #[test]
    fn a_policys_message_is_told_without_the_words_around_it() {
        let refused = status(
            403,
            "Forbidden",
            "taprequests.tap-operator.io \"a\" is forbidden: ValidatingAdmissionPolicy 'tap-operator-decisions' with \
             binding 'tap-operator-decisions' denied request: it is too early to approve",
        );
        assert_eq!(
            CallError::of(refused, &cluster()),
            CallError::Policy("it is too early to approve".into())
        );
    }

    #[test]
    fn who_is_nobody_to_the_cluster_is_not_signed_in() {
        let message = "taprequests is forbidden: User \"system:anonymous\" cannot list resource";
        let error = CallError::of(status(403, "Forbidden", message), &cluster());
        let told = "it knows you only as system:anonymous".to_owned();
        assert_eq!(error, CallError::Unauthorized(told));
    }

    #[test]
    fn a_write_that_met_a_failing_server_may_have_been_made() {
        for code in [500, 502, 503, 504] {
            let error = CallError::of(status(code, "Timeout", "gateway time-out"), &cluster());
            assert!(error.is_unsure() && error.may_heal(), "{error:?}");
            let told =
                format!("the cluster https://prod.example.com fails ({code}): gateway time-out");
            assert_eq!(error.to_string(), told);
        }
        let unreachable = CallError::Unreachable { cluster: String::new(), cause: String::new() };
        assert!(unreachable.is_unsure());
        for code in [400, 403, 404, 409, 422, 429] {
            let error = CallError::of(status(code, "", "no"), &cluster());
            assert!(!error.is_unsure(), "{error:?}");
        }
    }

    #[test]
    fn a_missing_object_is_not_a_missing_installation() {
        let object = status(404, "NotFound", "taprequests.tap-operator.io \"a\" not found");
        assert!(matches!(CallError::of(object, &cluster()), CallError::NotFound(_)));
        let path = status(404, "Failed to parse error data", "404 page not found\n");
        let error = CallError::of(path, &cluster());
        assert_eq!(error, CallError::NoSuchKind("https://prod.example.com".into()));
    }

    #[test]
    fn fields_that_the_cluster_does_not_know_are_named() {
        let refused = status(
            400,
            "BadRequest",
            "TapRequest in version \"v1alpha1\" cannot be handled as a TapRequest: strict decoding error: \
             unknown field \"spec.oneTimeUse\", unknown field \"spec.recipients\"",
        );
        let error = CallError::of(refused, &cluster());
        let fields = "spec.oneTimeUse, spec.recipients";
        assert!(
            matches!(&error, CallError::UnknownFields { fields: f, .. } if f == fields),
            "{error}"
        );
        let patched = status(
            422,
            "Invalid",
            "\"\" is invalid: patch: Invalid value: \"{\\\"reason\\\":\\\"strict decoding error: unknown field \\\"}\": \
             strict decoding error: unknown field \"status.decisions[0].comment\"",
        );
        let error = CallError::of(patched, &cluster()).to_string();
        assert!(error.contains("does not know status.decisions[0].comment: nothing"), "{error}");
        let other = status(400, "BadRequest", "the body is no JSON");
        assert!(matches!(CallError::of(other, &cluster()), CallError::Refused { .. }));
    }

    #[test]
    fn one_of_several_clusters_is_named() {
        let staging =
            ClusterName::new("https://a.example.com".into(), Some("context staging".into()));
        let told =
            |code, message: &str| CallError::of(status(code, "", message), &staging).to_string();
        for (code, message) in
            [(401, "Unauthorized"), (403, "User \"a\" cannot list"), (404, "404 page not found")]
        {
            assert!(told(code, message).contains("(context staging)"), "{code}");
        }
        assert_eq!(cluster().which(), "");
    }
}
