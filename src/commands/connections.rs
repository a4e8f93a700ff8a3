//! The tenant connections, as the commands take them from their flags and the environment.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use jiff::SignedDuration;
use tap_operator::controller::Clocks;
use tap_operator::graph::{self, OnReport};

use super::settings;

/// Where the tenant connections are described, and how they are used.
#[derive(clap::Args)]
pub struct ConnectionArguments {
    /// YAML file with the tenant connections, instead of the environment
    #[arg(long, env = "TAP_OPERATOR_TENANTS_FILE")]
    tenants_file: Option<PathBuf>,
    /// PEM file with certificate authorities to trust for sign-in, Graph and notices in addition to the system's, such as a
    /// TLS proxy's
    #[arg(long, env = "TAP_OPERATOR_EXTRA_CA")]
    pub extra_ca: Option<PathBuf>,
    /// The longest time that one call to Graph may take
    #[arg(long, env = "TAP_OPERATOR_CALL_DEADLINE", default_value = "30s", value_parser = super::duration)]
    pub call_deadline: SignedDuration,
    /// Calls to the authentication methods of a tenant in ten seconds, from the start; Graph's documented limit is 5
    #[arg(long, env = "TAP_OPERATOR_CALLS_PER_10_SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls_per_10_seconds: u32,
    /// How many such calls are tried, step by step, while the tenant refuses none; the same number as from the start keeps
    /// the pace fixed [default: 200, or as many as from the start if those are more]
    #[arg(long, env = "TAP_OPERATOR_MOST_CALLS_PER_10_SECONDS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    most_calls_per_10_seconds: Option<u32>,
}

/// The environment is to describe a tenant connection, and does not. Each line says what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotInEnvironment(String);

/// How many calls in ten seconds are tried if nothing else is said.
const MOST_CALLS: u32 = 200;

impl ConnectionArguments {
    /// The highest pace. One that is lower than the first would be no bound.
    fn most_calls(&self) -> anyhow::Result<u32> {
        let first = self.calls_per_10_seconds;
        match self.most_calls_per_10_seconds {
            None => Ok(first.max(MOST_CALLS)),
            Some(most) if most < first => bail!(
                "--most-calls-per-10-seconds (TAP_OPERATOR_MOST_CALLS_PER_10_SECONDS) is {most}, which is less than the {first} from the start: lower --calls-per-10-seconds (TAP_OPERATOR_CALLS_PER_10_SECONDS), too"
            ),
            Some(most) => Ok(most),
        }
    }

    /// A Graph client for each tenant connection. They learn what time it is at Graph, and report what happens.
    pub fn clients(
        &self,
        clocks: &Arc<Clocks>,
        on_report: OnReport,
    ) -> anyhow::Result<Vec<graph::Client>> {
        let environment: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let connections = match &self.tenants_file {
            Some(file) => graph::connections_from_file(file),
            None => graph::connections_from_env(&environment),
        };
        let unknown = settings::refuse_unknown(environment.into_keys());
        let connections = match connections {
            Ok(connections) => unknown.map(|()| connections)?,
            Err(error) => {
                let told = unknown.err().map_or_else(String::new, |unknown| format!("{unknown}\n"));
                let told = format!("{told}{error}");
                return Err(match &self.tenants_file {
                    Some(_) => anyhow!(told),
                    None => NotInEnvironment(told).into(),
                });
            }
        };
        let deadline = Duration::try_from(self.call_deadline)?;
        let transport = graph::ReqwestTransport::new(deadline, self.extra_ca.as_deref())?;
        let mut options = graph::Options::new(Arc::new(transport));
        options.deadline = deadline;
        options.pace.calls = self.calls_per_10_seconds;
        options.pace.most = self.most_calls()?;
        let [local, wall] = [clocks, clocks].map(Arc::clone);
        options.clock = Arc::new(move || local.local());
        options.wall = Arc::new(move || wall.wall());
        let dates = Arc::clone(clocks);
        options.on_date =
            Arc::new(move |connection, sample| dates.learn(&connection.tenant_id, sample));
        options.on_report = on_report;
        Ok(graph::Client::connect(connections, &options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_pace_is_not_below_the_first() {
        let most = |first, most| {
            let arguments = ConnectionArguments {
                tenants_file: None,
                extra_ca: None,
                call_deadline: SignedDuration::from_secs(30),
                calls_per_10_seconds: first,
                most_calls_per_10_seconds: most,
            };
            arguments.most_calls().map_err(|error| error.to_string())
        };
        assert_eq!(most(5, None), Ok(200));
        assert_eq!(most(1000, None), Ok(1000));
        assert_eq!(most(5, Some(5)), Ok(5));
        let refused = most(5, Some(2)).unwrap_err();
        assert!(refused.contains("lower --calls-per-10-seconds"), "{refused}");
    }
}
