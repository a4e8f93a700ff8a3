//! How a command fails: one sentence, a remedy where there is one, and an exit code.

use std::fmt;
use std::io;

use super::call_error::CallError;
use super::program;

/// The exit codes, for the help and the documentation.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done; `wait` and `request --wait`: the pass was issued
  1    an error: refused, not found, no cluster, no right, one of several names failed (`wait`: as the first that failed)
  2    wrong usage; nothing was tried
  3    the request has ended, so there is no pass to wait for any more (the pass may have been used)
  4    the time was over before what was waited for happened
  5    `doctor` found something that does not work
  130  interrupted";

/// What to do where this program and the cluster do not speak of the same fields.
pub const OTHER_VERSION: &str = concat!(
    "use the kubectl-tap of the version that is installed there, or have an administrator upgrade the definitions: ",
    page!("operate.md")
);

/// The kinds of failures that scripts tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Whoever reads the output has closed it: there is nobody left to tell anything. All that was to be done is done.
    Closed,
    /// Something was refused, is not there, or cannot be reached.
    Error,
    /// What was typed makes no sense.
    Usage,
    /// The request has ended without what was waited for.
    Ended,
    /// The time is over.
    Timeout,
    /// `doctor` found something that does not work.
    Findings,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Ended => 3,
            Self::Timeout => 4,
            Self::Findings => 5,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which kind it is.
    pub exit: Exit,
    /// One sentence; empty if all has been said already.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), remedy: None }
    }

    /// Something was refused, is not there, or cannot be reached.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, message)
    }

    /// What was typed makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// All has been said already.
    pub fn said(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// The same with a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\nhint: {remedy}"),
            None => Ok(()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::said(Exit::Closed),
            _ => Self::error(format!("the output cannot be written: {error}")),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let failure = Self::error(error.to_string());
        match error {
            CallError::Unsendable(why) => Self::usage(why),
            CallError::NoSuchKind(_) => failure.remedy(concat!(
                "look at --context; if this is the right cluster, an administrator installs tap-operator: ",
                page!("install.md")
            )),
            CallError::NoCredentials { .. } => failure.remedy(
                "`kubectl auth whoami` starts the same program, and shows whether it works; sign in again where it says so",
            ),
            CallError::Unreadable { .. } => failure.remedy(
                "something else may answer in its place, such as a proxy: look at `kubectl get --raw /version`",
            ),
            CallError::Unauthorized(_) => failure.remedy(
                "sign in to the cluster again, as for kubectl; `kubectl auth whoami` shows whether it worked",
            ),
            CallError::Unreachable { .. } => failure.remedy(
                "check the network and `kubectl config current-context`; --context and --kubeconfig choose another cluster",
            ),
            CallError::Failed { .. } => failure.remedy(
                "try again in a moment; `kubectl get --raw /readyz` shows whether the API server is ready",
            ),
            CallError::Right(why) if why.contains("in the namespace") => failure.remedy(concat!(
                "choose another namespace with -n, or show this line to your administrator: the roles are in ",
                page!("access.md")
            )),
            CallError::Right(_) => failure.remedy(concat!(
                "show this line to your administrator: the roles are in ",
                page!("access.md")
            )),
            CallError::NoRequest { namespace, .. } => failure.remedy(format!(
                "what there is: {} list --all -n {namespace}; -n chooses another namespace",
                program()
            )),
            CallError::UnknownFields { .. } => failure.remedy(OTHER_VERSION),
            CallError::NotFound(_) | CallError::Exists(_) | CallError::Policy(_) | CallError::Refused { .. } => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exit_code_is_in_the_table() {
        for exit in [
            Exit::Closed,
            Exit::Error,
            Exit::Usage,
            Exit::Ended,
            Exit::Timeout,
            Exit::Findings,
            Exit::Interrupted,
        ] {
            let row = format!("\n  {:<5}", exit.code());
            assert!(EXIT_CODES.contains(&row), "{exit:?}");
        }
    }

    #[test]
    fn a_page_is_named_by_its_address() {
        // Whoever has the plugin need not have a checkout.
        for error in [
            CallError::NoSuchKind("a".into()),
            CallError::Right("you cannot list taprequests in the namespace a".into()),
            CallError::Right("you cannot".into()),
            CallError::UnknownFields { cluster: "a".into(), fields: "b".into() },
        ] {
            let remedy = Failure::from(error).remedy.unwrap();
            assert!(remedy.contains("https://github.com/"), "{remedy}");
            assert!(!remedy.contains(" docs/"), "{remedy}");
        }
    }

    #[test]
    fn a_closed_pipe_is_nobodys_fault() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((closed.exit.code(), closed.message.as_str()), (0, ""));
    }
}
