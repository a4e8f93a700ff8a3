//! How a call to the API server fails.

use std::time::Duration;

use kube::client::AuthError;
use kube::core::Status;

use crate::text::causes;
use crate::version::VERSION;

/// How soon a cluster that did not answer is asked again.
const SOON: Duration = Duration::from_secs(1);
/// How soon credentials are asked for again: the program that gives them may open a window each time.
const SELDOM: Duration = Duration::from_secs(30);

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The API server names an object that does not exist: this one, or its namespace.
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
    /// The API server, or a proxy before it, failed, or answered 404 without the name of an object, which says nothing of the
    /// object. If it was a write, it may have been made all the same.
    #[error("the cluster {cluster} fails ({code}): {message}")]
    Failed {
        /// The cluster.
        cluster: String,
        /// HTTP status.
        code: u16,
        /// The message.
        message: String,
    },
    /// There was an answer, and it is none of the API server's. If it was a write, it may have been made.
    #[error("what the cluster {cluster} answers cannot be read: {cause}")]
    Unreadable {
        /// The cluster.
        cluster: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The credentials that the kubeconfig describes cannot be had. Nothing was sent.
    #[error("there are no credentials for the cluster {cluster}: {cause}")]
    NoCredentials {
        /// The cluster.
        cluster: String,
        /// What happened.
        cause: String,
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
        let names_an_object = names_an_object(&status);
        let message = status.message;
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
            404 if is_unknown_path(&message) => Self::NoSuchKind(cluster.full()),
            404 if names_an_object => Self::NotFound(message),
            409 if status.reason == "AlreadyExists" => Self::Exists(message),
            code if code == 404 || code >= 500 => {
                Self::Failed { cluster: cluster.full(), code, message }
            }
            code => match unknown_fields(&message) {
                Some(fields) => Self::UnknownFields { cluster: cluster.full(), fields },
                None => Self::Refused { code, message },
            },
        }
    }

    /// What the API server answered to a path in place of what was asked for.
    pub fn of_path(path: &str, code: u16, body: &[u8]) -> Self {
        let status: Option<Status> = serde_json::from_slice(body).ok();
        let names_an_object = status.as_ref().is_some_and(names_an_object);
        let message = status.map(|status| status.message).filter(|message| !message.is_empty());
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        let message = format!("GET {path}: {}", message.trim_end());
        match code {
            401 => Self::Unauthorized(message),
            403 => Self::Right(message),
            404 if names_an_object || is_unknown_path(&message) => Self::NotFound(message),
            code => Self::Refused { code, message },
        }
    }

    /// Why the client has no answer of the API server of this cluster, or which one.
    pub fn from_client(error: kube::Error, cluster: &ClusterName) -> Self {
        let name = cluster.full();
        match error {
            kube::Error::Api(status) => Self::of(*status, cluster),
            kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => {
                Self::Unsendable(causes(&error))
            }
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
                Self::Unreadable { cluster: name, cause: causes(&error) }
            }
            error => match no_credentials(&error) {
                Some(cause) => Self::NoCredentials { cluster: name, cause },
                None => Self::Unreachable { cluster: name, cause: causes(&error) },
            },
        }
    }

    /// After how long the same call may succeed, if it may.
    pub fn heals_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { .. } | Self::Failed { .. } | Self::Refused { code: 429, .. } => {
                Some(SOON)
            }
            Self::NoCredentials { .. } => Some(SELDOM),
            _ => None,
        }
    }

    /// Whether a write that ended so may have been made.
    pub fn is_unsure(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failed { .. } | Self::Unreadable { .. })
    }
}

/// Whether the API server says of which object it speaks. A proxy before it knows none.
fn names_an_object(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| !details.name.is_empty())
}

/// Whether a 404 says that the API server does not serve the path: then its answer may be no Status.
fn is_unknown_path(message: &str) -> bool {
    message.contains("page not found") || message.contains("could not find the requested resource")
}

/// Why there are no credentials, if that is the error. Of the program that should have given them only the complaint is told: there
/// may be some in its arguments and in its output.
pub fn no_credentials(error: &kube::Error) -> Option<String> {
    let error = match error {
        kube::Error::Auth(error) => error,
        // From the layer that adds them to a call.
        kube::Error::Service(error) => error.downcast_ref::<AuthError>()?,
        _ => return None,
    };
    Some(match error {
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let said = said.trim();
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            format!("the credential plugin of the kubeconfig failed ({}){said}", out.status)
        }
        error => causes(error),
    })
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
    use serde_json::json;

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
            assert!(error.is_unsure() && error.heals_after().is_some(), "{error:?}");
            let told =
                format!("the cluster https://prod.example.com fails ({code}): gateway time-out");
            assert_eq!(error.to_string(), told);
        }
        let unreachable = CallError::Unreachable { cluster: String::new(), cause: String::new() };
        assert!(unreachable.is_unsure());
        for code in [400, 403, 409, 422, 429] {
            let error = CallError::of(status(code, "", "no"), &cluster());
            assert!(!error.is_unsure(), "{error:?}");
        }
    }

    #[test]
    fn not_everything_without_an_answer_is_a_silent_cluster() {
        let of = |error| CallError::from_client(error, &cluster());
        let invalid = kube::core::request::Error::Validation("a name is required".into());
        let unsendable = of(kube::Error::BuildRequest(invalid));
        assert!(matches!(&unsendable, CallError::Unsendable(_)), "{unsendable:?}");
        let html = serde_json::from_str::<Status>("<html>").unwrap_err();
        let unreadable = of(kube::Error::SerdeError(html));
        assert!(unreadable.is_unsure() && unreadable.heals_after().is_none(), "{unreadable:?}");
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let silent = of(kube::Error::Service(Box::new(reset)));
        assert!(matches!(&silent, CallError::Unreachable { .. }), "{silent:?}");
        assert_eq!((silent.heals_after(), unsendable.heals_after()), (Some(SOON), None));
    }

    #[test]
    fn a_program_that_gives_no_credentials_is_not_the_cluster() {
        let script = "echo a-token; echo AADSTS70043: sign in again >&2; exit 3";
        let out = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
        let failed = || AuthError::AuthExecRun {
            cmd: "kubelogin --secret a".into(),
            out: Box::new(out.clone()),
        };
        for error in [kube::Error::Service(Box::new(failed())), kube::Error::Auth(failed())] {
            let error = CallError::from_client(error, &cluster());
            assert_eq!(
                error.to_string(),
                "there are no credentials for the cluster https://prod.example.com: the credential plugin of the kubeconfig \
                 failed (exit status: 3): AADSTS70043: sign in again"
            );
            assert_eq!((error.heals_after(), error.is_unsure()), (Some(SELDOM), false));
        }
    }

    #[test]
    fn a_missing_object_is_not_a_missing_installation() {
        let details = json!({ "name": "a", "group": "tap-operator.io", "kind": "taprequests" });
        let object = Status {
            details: serde_json::from_value(details).unwrap(),
            ..status(404, "NotFound", "taprequests.tap-operator.io \"a\" not found")
        };
        assert!(matches!(CallError::of(object, &cluster()), CallError::NotFound(_)));
        let path = status(404, "Failed to parse error data", "404 page not found\n");
        let error = CallError::of(path, &cluster());
        assert_eq!(error, CallError::NoSuchKind("https://prod.example.com".into()));
    }

    #[test]
    fn a_path_that_is_not_there_is_no_missing_installation() {
        let of_path = CallError::of_path;
        let body = br#"{"message": "pods \"tap-operator-5f\" not found", "details": {"name": "tap-operator-5f"}}"#;
        assert_eq!(
            of_path("/api/v1/p", 404, body),
            CallError::NotFound("GET /api/v1/p: pods \"tap-operator-5f\" not found".into())
        );
        let unknown = of_path("/apis/a", 404, b"404 page not found\n");
        assert_eq!(unknown, CallError::NotFound("GET /apis/a: 404 page not found".into()));
        // What a gateway answers says nothing of it.
        let gateway = of_path("/apis/a", 404, b"<title>404 Not Found</title>");
        assert!(matches!(gateway, CallError::Refused { code: 404, .. }), "{gateway:?}");
        let plain = of_path("/version", 403, b"no\n");
        assert_eq!(plain, CallError::Right("GET /version: no".into()));
    }

    #[test]
    fn a_404_that_names_no_object_says_nothing_of_it() {
        let nameless = json!({ "group": "tap-operator.io", "kind": "taprequests" });
        for details in [json!(null), nameless] {
            let gateway = Status {
                details: serde_json::from_value(details).unwrap(),
                ..status(404, "", "<title>404 Not Found</title>")
            };
            let error = CallError::of(gateway, &cluster());
            assert!(matches!(error, CallError::Failed { code: 404, .. }), "{error:?}");
            assert_eq!((error.heals_after(), error.is_unsure()), (Some(SOON), true));
        }
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
