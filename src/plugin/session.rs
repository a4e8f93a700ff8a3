//! The cluster, namespace and person of a command, as kubectl would choose them.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap_complete::engine::ArgValueCandidates;
use jiff::SignedDuration;
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use tokio::sync::OnceCell;

use super::call_error::{CallError, ClusterName, no_credentials};
use super::calls::{Cluster, Right};
use super::completion::candidates;
use super::failure::Failure;
use super::kubeconfig;
use super::shell::quoted;
use super::time::limit;
use crate::text::causes;
use crate::version::VERSION;

/// How long to wait for an answer where nobody says.
const REQUEST_TIMEOUT: &str = "30s";

/// The flags that kubectl has, too.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Cluster, as for kubectl")]
pub struct Connection {
    /// Namespace of the requests [default: that of the context]
    #[arg(short, long, global = true, value_name = "NAMESPACE", add = ArgValueCandidates::new(candidates::namespaces))]
    pub namespace: Option<String>,
    /// The kubeconfig file [default: $KUBECONFIG, or ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true, value_hint = clap::ValueHint::FilePath, value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "CONTEXT", hide_short_help = true, add = ArgValueCandidates::new(candidates::contexts))]
    pub context: Option<String>,
    /// The cluster of the kubeconfig
    #[arg(long, global = true, value_name = "CLUSTER", hide_short_help = true, add = ArgValueCandidates::new(candidates::clusters))]
    pub cluster: Option<String>,
    /// The user of the kubeconfig
    #[arg(long, global = true, value_name = "USER", hide_short_help = true, add = ArgValueCandidates::new(candidates::users))]
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
    /// How long to wait for an answer of the API server, such as 10s; 0 for as long as it takes
    #[arg(long, global = true, value_name = "DURATION", hide_short_help = true, default_value = REQUEST_TIMEOUT, value_parser = request_timeout)]
    pub request_timeout: SignedDuration,
}

impl Connection {
    /// The same without flags that are empty: for kubectl they mean nothing, as in `-n "$NAMESPACE"` where that is unset.
    #[must_use]
    pub fn without_empty(self) -> Self {
        let some = |flag: Option<String>| flag.filter(|text| !text.is_empty());
        Self {
            namespace: some(self.namespace),
            kubeconfig: self.kubeconfig.filter(|file| !file.as_os_str().is_empty()),
            context: some(self.context),
            cluster: some(self.cluster),
            user: some(self.user),
            impersonate: some(self.impersonate),
            ..self
        }
    }

    /// The namespace that was named, or that of the context, or `default`, as kubectl chooses it.
    fn namespace_or(&self, of_context: &str) -> String {
        let of_context = Some(of_context).filter(|namespace| !namespace.is_empty());
        self.namespace.as_deref().or(of_context).unwrap_or("default").to_owned()
    }

    /// Whether no flag names a cluster or a person of a kubeconfig. Only then the cluster of a pod may be meant.
    fn names_no_cluster(&self) -> bool {
        let Self { kubeconfig, context, cluster, user, .. } = self;
        kubeconfig.is_none() && [context, cluster, user].into_iter().all(Option::is_none)
    }

    /// The flags that choose a cluster and a person, as somebody would type them again. The namespace is not among them.
    pub fn typed(&self) -> String {
        let file = self.kubeconfig.as_ref().map(|file| file.display().to_string());
        let one = [
            ("--kubeconfig", file.as_ref()),
            ("--context", self.context.as_ref()),
            ("--cluster", self.cluster.as_ref()),
            ("--user", self.user.as_ref()),
            ("--as", self.impersonate.as_ref()),
        ];
        let one = one.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
        let groups = self.impersonate_groups.iter().map(|group| ("--as-group", group));
        let flags = one.chain(groups).map(|(flag, value)| format!("{flag} {}", quoted(value)));
        flags.collect::<Vec<_>>().join(" ")
    }
}

fn request_timeout(text: &str) -> Result<SignedDuration, String> {
    limit(if text.is_empty() { REQUEST_TIMEOUT } else { text })
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
        let limit = Duration::try_from(connection.request_timeout).ok();
        let limit = limit.filter(|limit| !limit.is_zero());
        let (config, choice) = configuration(connection, prompts).await?;
        let namespace = connection.namespace_or(&config.default_namespace);
        let name = ClusterName::new(config.cluster_url.to_string(), choice);
        let client = Client::try_from(config).map_err(|error| {
            let why = no_credentials(&error).unwrap_or_else(|| causes(&error));
            Failure::error(format!("the kubeconfig cannot be used: {why}"))
                .remedy("`kubectl cluster-info` shows whether kubectl can use it")
        })?;
        Ok(Self::new(Cluster::new(client, name, limit), namespace))
    }

    /// A session in this namespace.
    pub fn new(cluster: Cluster, namespace: String) -> Self {
        Self { cluster, namespace, me: OnceCell::new() }
    }

    /// The same, of which no call takes longer than this if the person set no limit.
    pub fn within(&self, limit: Duration) -> Self {
        Self {
            cluster: self.cluster.within(limit),
            namespace: self.namespace.clone(),
            me: self.me.clone(),
        }
    }

    /// Whether the person has a right in the namespace.
    pub async fn may(&self, right: Right<'_>) -> Result<bool, CallError> {
        self.cluster.may(right, Some(&self.namespace)).await
    }

    /// A namespace, and of which cluster if there are several.
    pub fn place(&self, namespace: &str) -> String {
        format!("namespace {namespace}{}", self.cluster.name().which())
    }

    /// The user name by which the API server knows the person.
    pub async fn me(&self) -> Result<&str, Failure> {
        let me = self.me.get_or_try_init(|| self.cluster.who_am_i()).await?;
        Ok(me)
    }
}

/// The configuration, and by what the cluster was chosen if there are several.
async fn configuration(
    connection: &Connection,
    prompts: Prompts,
) -> Result<(Config, Option<String>), Failure> {
    if connection.impersonate.is_none() && !connection.impersonate_groups.is_empty() {
        return Err(Failure::usage(
            "--as-group is for the person whom --as names, and it names none",
        ));
    }
    let options = KubeConfigOptions {
        context: connection.context.clone(),
        cluster: connection.cluster.clone(),
        user: connection.user.clone(),
    };
    let mut choice = None;
    let config = match kubeconfig::read(connection.kubeconfig.as_deref()) {
        Ok(mut kubeconfig) => {
            if prompts == Prompts::Forbidden {
                kubeconfig::silence(&mut kubeconfig)?;
            }
            let place = kubeconfig::place(connection.kubeconfig.as_deref());
            kubeconfig::has(&kubeconfig, &options, &place)?;
            choice = kubeconfig::choice(&kubeconfig, &options);
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| {
                Failure::error(format!("the kubeconfig cannot be used: {}", causes(&error))).remedy(
                    "`kubectl config get-contexts` lists the contexts; --context chooses one",
                )
            })
        }
        Err(error) => {
            let may_be_meant = connection.names_no_cluster() && kubeconfig::is_absent(&error);
            match Config::incluster() {
                Ok(config) if may_be_meant => Ok(config),
                _ => Err(Failure::error(format!("there is no cluster: {}", causes(&error)))
                    .remedy("set KUBECONFIG, or name the file with --kubeconfig")),
            }
        }
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
    Ok((config, choice))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::plugin::cli::Arguments;
    use crate::plugin::failure::Exit;

    /// The flags that were typed.
    fn typed(words: &str) -> Connection {
        let words = std::iter::once("kubectl-tap").chain(words.split(' ')).chain(["status"]);
        Arguments::try_parse_from(words)
            .map_err(|error| error.to_string())
            .unwrap()
            .connection
            .without_empty()
    }

    #[tokio::test]
    async fn an_empty_flag_is_none() {
        let empty = typed(
            "--namespace= --kubeconfig= --context= --cluster= --user= --as= --request-timeout=",
        );
        assert!(empty.namespace.is_none() && empty.impersonate.is_none(), "{empty:?}");
        assert!(empty.names_no_cluster(), "{empty:?}");
        assert_eq!((empty.typed(), empty.request_timeout.as_secs()), (String::new(), 30));
        let named = "--kubeconfig a --context b --cluster c --user d --as e";
        assert_eq!(typed(named).typed(), named);
        // Whoever meant somebody else must not act as themselves.
        let nobody = typed("--as= --as-group a");
        let failure = configuration(&nobody, Prompts::Forbidden).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{failure}");
    }

    #[test]
    fn a_namespace_that_nobody_names_is_that_of_the_context() {
        for (named, of_context, expected) in [
            (Some("helpdesk"), "sales", "helpdesk"),
            (None, "sales", "sales"),
            (None, "", "default"),
        ] {
            let namespace = named.map(str::to_owned);
            let connection = Connection { namespace, ..Connection::default() };
            assert_eq!(connection.namespace_or(of_context), expected, "{named:?} {of_context:?}");
        }
    }

    #[test]
    fn a_cluster_that_was_named_is_not_that_of_the_pod() {
        let name = || Some("prod".to_owned());
        let none = Connection { namespace: name(), impersonate: name(), ..Connection::default() };
        assert!(none.names_no_cluster());
        for named in [
            Connection { context: name(), ..Connection::default() },
            Connection { cluster: name(), ..Connection::default() },
            Connection { user: name(), ..Connection::default() },
            Connection { kubeconfig: Some("prod".into()), ..Connection::default() },
        ] {
            assert!(!named.names_no_cluster(), "{named:?}");
        }
    }

    #[test]
    fn what_was_typed_is_typed_again() {
        assert_eq!(Connection::default().typed(), "");
        let connection = Connection {
            namespace: Some("helpdesk".into()),
            kubeconfig: Some("/home/a b/config".into()),
            context: Some("prod".into()),
            impersonate: Some("o'neil@contoso.com".into()),
            impersonate_groups: vec!["on call".into(), "b".into()],
            ..Connection::default()
        };
        assert_eq!(
            connection.typed(),
            r"--kubeconfig '/home/a b/config' --context prod --as 'o'\''neil@contoso.com' --as-group 'on call' --as-group b"
        );
    }
}
