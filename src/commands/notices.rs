//! The receivers of notices, as the commands take them from their flags and the environment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tap_operator::controller::Told;
use tap_operator::graph::ReqwestTransport;
use tap_operator::notice::{self, Receivers};

/// The longest that the connection to a receiver may take to be made.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Who is told what happens.
#[derive(clap::Args)]
pub struct NoticeArguments {
    /// YAML file with the receivers of notices, such as a chat in which approvers are
    #[arg(long, env = "TAP_OPERATOR_NOTICES")]
    notices: Option<PathBuf>,
}

impl NoticeArguments {
    /// The receivers that the file names; `None` without a file.
    pub fn receivers(&self) -> anyhow::Result<Option<Receivers>> {
        Ok(self.notices.as_deref().map(notice::receivers_from_file).transpose()?)
    }

    /// The receivers and the way to them, on which these certificate authorities are trusted, too.
    pub fn told(&self, extra_ca: Option<&Path>) -> anyhow::Result<Option<Told>> {
        let Some(receivers) = self.receivers()? else { return Ok(None) };
        let transport = Arc::new(ReqwestTransport::new(CONNECT_DEADLINE, extra_ca)?);
        Ok(Some(Told { receivers, transport }))
    }
}
