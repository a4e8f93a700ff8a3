//! Settings that the environment gives, and that nothing reads: most likely misspelt.

use std::collections::BTreeSet;

use anyhow::bail;
use clap::Args as _;
use tap_operator::graph;

use super::run;

/// What the names of the operator's own variables begin with.
const PREFIX: &str = "TAP_OPERATOR_";

/// Refuses variables of the operator that it does not know: a limit or a user name form that is misspelt would be silently
/// without effect. `names` are those of the environment.
pub fn refuse_unknown(names: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let known = known();
    let unknown: BTreeSet<String> = names
        .into_iter()
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .filter(|name| !is_service_link(name))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let complaint = |name: &String| {
        let nearest = known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(name, known), known))
            .min()
            .filter(|(distance, _)| *distance <= name.len() / 4);
        match nearest {
            Some((_, known)) => format!("there is no setting {name}: did you mean {known}?"),
            None => format!("there is no setting {name}: remove it from the environment"),
        }
    };
    bail!("{}", unknown.iter().map(complaint).collect::<Vec<_>>().join("\n"))
}

/// The operator's variables: those of its flags, and those of a tenant connection.
fn known() -> BTreeSet<String> {
    let command = run::Arguments::augment_args(clap::Command::new("run"));
    let flags = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    let all = flags.chain(graph::VARIABLES.iter().copied());
    all.filter(|name| name.starts_with(PREFIX)).map(str::to_owned).collect()
}

/// Whether Kubernetes sets such a variable for a Service named `tap-operator` or `tap-operator-...`
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
fn is_service_link(name: &str) -> bool {
    const OF_A_PORT: [&str; 4] = ["", "_PROTO", "_PORT", "_ADDR"];
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.ends_with("_PORT")
    {
        return true;
    }
    // ..._PORT_8080_TCP and ..._PORT_8080_TCP_ADDR
    let Some((_, port)) = name.rsplit_once("_PORT_") else {
        return false;
    };
    let rest = port.trim_start_matches(|c: char| c.is_ascii_digit());
    let kind = ["_TCP", "_UDP", "_SCTP"].iter().find_map(|protocol| rest.strip_prefix(protocol));
    rest.len() < port.len() && kind.is_some_and(|kind| OF_A_PORT.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str) -> Option<String> {
        refuse_unknown([name.to_owned()]).err().map(|error| error.to_string())
    }

    #[test]
    fn a_misspelt_variable_is_refused_with_the_nearest_name() {
        for (name, expected) in [
            (
                "TAP_OPERATOR_USERNAME",
                "there is no setting TAP_OPERATOR_USERNAME: did you mean TAP_OPERATOR_USER_NAME?",
            ),
            (
                "TAP_OPERATOR_CALLS_PER_10_SECOND",
                "there is no setting TAP_OPERATOR_CALLS_PER_10_SECOND: did you mean TAP_OPERATOR_CALLS_PER_10_SECONDS?",
            ),
            (
                "TAP_OPERATOR_BREAKFAST",
                "there is no setting TAP_OPERATOR_BREAKFAST: remove it from the environment",
            ),
        ] {
            assert_eq!(refused(name).as_deref(), Some(expected));
        }
        let two = ["TAP_OPERATOR_B", "TAP_OPERATOR_A", "PATH"].map(str::to_owned);
        let error = refuse_unknown(two).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 2, "{error}");
    }

    #[test]
    fn settings_and_variables_of_others_pass() {
        for name in [
            "PATH",
            "AZURE_REGION",
            "TAP_OPERATOR_TENANTS_FILE",
            "TAP_OPERATOR_USER_NAME_PREFIX",
            "TAP_OPERATOR_LOG",
            "TAP_OPERATOR_SERVICE_HOST",
            "TAP_OPERATOR_METRICS_SERVICE_HOST",
            "TAP_OPERATOR_METRICS_SERVICE_PORT_HTTP",
            "TAP_OPERATOR_PORT",
            "TAP_OPERATOR_PORT_8080_TCP",
            "TAP_OPERATOR_PORT_8080_TCP_ADDR",
            "TAP_OPERATOR_METRICS_PORT_8080_TCP_PROTO",
        ] {
            assert_eq!(refused(name), None, "{name}");
        }
        for name in ["TAP_OPERATOR_PORT_TCP", "TAP_OPERATOR_PORT_8080_TCP_X"] {
            assert!(refused(name).is_some(), "{name}");
        }
    }
}
