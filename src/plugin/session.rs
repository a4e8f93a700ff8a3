//! The cluster, namespace and person of a command, as kubectl would choose them.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::OnceCell;

use super::calls::{Cluster, chain};
use super::failure::Failure;
use super::time::duration;
use crate::version::VERSION;

/// The flags that kubectl has, too.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Cluster, as for kubectl")]
pub struct Connection {
    /// Namespace of the requests [default: that of the context]
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The kubeconfig file [default: $KUBECONFIG, or ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true, value_hint = clap::ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "CONTEXT", hide_short_help = true)]
    pub context: Option<String>,
    /// The cluster of the kubeconfig
    #[arg(long, global = true, value_name = "CLUSTER", hide_short_help = true)]
    pub cluster: Option<String>,
    /// The user of the kubeconfig
    #[arg(long, global = true, value_name = "USER", hide_short_help = true)]
    pub user: Option<String>,
    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER", hide_short_help = true)]
    pub impersonate: Option<String>,
    /// Group to impersonate; can be repeated
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        hide_short_help = true,
        requires = "impersonate"
    )]
    pub impersonate_groups: Vec<String>,
    /// How long to wait for an answer of the API server, such as 10s
    #[arg(long, global = true, value_name = "DURATION", hide_short_help = true, default_value = "30s", value_parser = duration)]
    pub request_timeout: SignedDuration,
}

/// Whether a credential plugin of the kubeconfig may ask the person something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompts {
    /// It may.
    Allowed,
    /// It must not: the person is pressing the tab key.
    Forbidden,
}

/// A cluster, a namespace, and a person.
pub struct Session {
    /// The cluster.
    pub cluster: Cluster,
    /// The namespace, if the command names no other.
    pub namespace: String,
    me: OnceCell<String>,
}

impl Session {
    /// Reads the kubeconfig. No call is made yet, except for credentials.
    pub async fn open(connection: &Connection, prompts: Prompts) -> Result<Self, Failure> {
        let limit =
            Duration::try_from(connection.request_timeout).unwrap_or(Duration::from_secs(30));
        let config = configuration(connection, prompts).await?;
        let namespace =
            connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| {
            Failure::error(format!("the kubeconfig cannot be used: {}", chain(&error)))
                .remedy("`kubectl cluster-info` shows whether kubectl can use it")
        })?;
        Ok(Self { cluster: Cluster::new(client, url, limit), namespace, me: OnceCell::new() })
    }

    /// The user name by which the API server knows the person.
    pub async fn me(&self) -> Result<&str, Failure> {
        let me = self.me.get_or_try_init(|| self.cluster.who_am_i()).await?;
        Ok(me)
    }
}

async fn configuration(connection: &Connection, prompts: Prompts) -> Result<Config, Failure> {
    let options = KubeConfigOptions {
        context: connection.context.clone(),
        cluster: connection.cluster.clone(),
        user: connection.user.clone(),
    };
    let read = match &connection.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let config = match read {
        Ok(mut kubeconfig) => {
            if prompts == Prompts::Forbidden {
                silence(&mut kubeconfig)?;
            }
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| {
                Failure::error(format!("the kubeconfig cannot be used: {}", chain(&error))).remedy(
                    "`kubectl config get-contexts` lists the contexts; --context chooses one",
                )
            })
        }
        Err(error) => match (&connection.kubeconfig, Config::incluster()) {
            (None, Ok(config)) => Ok(config),
            _ => Err(Failure::error(format!("there is no cluster: {}", chain(&error)))
                .remedy("set KUBECONFIG, or name the file with --kubeconfig")),
        },
    };
    let mut config = config?;
    if let Some(user) = &connection.impersonate {
        config.auth_info.impersonate = Some(user.clone());
        config.auth_info.impersonate_groups =
            Some(connection.impersonate_groups.clone()).filter(|groups| !groups.is_empty());
    }
    config.connect_timeout = Some(Duration::from_secs(10));
    // A repeated POST may find what the first one made. Where a call may be repeated, the command does.
    config.default_retry = false;
    let agent = http::HeaderValue::from_str(&format!("kubectl-tap/{VERSION}"));
    config.headers.extend(agent.ok().map(|agent| (http::header::USER_AGENT, agent)));
    Ok(config)
}

/// Keeps credential plugins from asking anything. One that always asks cannot be used.
fn silence(kubeconfig: &mut Kubeconfig) -> Result<(), Failure> {
    for user in &mut kubeconfig.auth_infos {
        let Some(exec) = user.auth_info.as_mut().and_then(|user| user.exec.as_mut()) else {
            continue;
        };
        if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
            return Err(Failure::error("the credential plugin needs a terminal"));
        }
        exec.interactive_mode = Some(ExecInteractiveMode::Never);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(mode: &str) -> Kubeconfig {
        let text = format!(
            "users: [{{name: me, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: kubelogin, interactiveMode: {mode}}}}}}}]"
        );
        Kubeconfig::from_yaml(&text).unwrap()
    }

    #[test]
    fn completion_starts_nothing_that_asks() {
        let mut willing = kubeconfig("IfAvailable");
        silence(&mut willing).unwrap();
        let exec = willing.auth_infos[0].auth_info.as_ref().unwrap().exec.as_ref().unwrap();
        assert_eq!(exec.interactive_mode, Some(ExecInteractiveMode::Never));
        silence(&mut kubeconfig("Always")).unwrap_err();
    }
}
