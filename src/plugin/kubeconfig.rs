//! The kubeconfig, read as kubectl reads it.

use std::io;
use std::path::{Path, PathBuf};

use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::failure::Failure;

/// The file that was named, or those that KUBECONFIG names, or the one in the home directory.
pub fn read(named: Option<&Path>) -> Result<Kubeconfig, KubeconfigError> {
    if let Some(file) = named {
        return Kubeconfig::read_from(file).map(tidied);
    }
    let files = of_environment();
    if files.is_empty() { Kubeconfig::read().map(tidied) } else { merged(&files) }
}

/// Whether there is no kubeconfig: KUBECONFIG names none, and there is none in the home directory. One that cannot be read, or
/// that is named and not there, is a mistake.
pub fn is_absent(error: &KubeconfigError) -> bool {
    of_environment().is_empty() && is_no_file(error)
}

fn is_no_file(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// The files that KUBECONFIG names.
fn of_environment() -> Vec<PathBuf> {
    let variable = std::env::var_os("KUBECONFIG").unwrap_or_default();
    std::env::split_paths(&variable).filter(|file| !file.as_os_str().is_empty()).collect()
}

/// Where it was read, in words.
pub fn place(named: Option<&Path>) -> String {
    let files = named.map_or_else(of_environment, |file| vec![file.to_owned()]);
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    if files.is_empty() { "~/.kube/config".to_owned() } else { files.join(", ") }
}

/// Refuses a name that the kubeconfig does not have. Without that, a user that is not there would be nobody, and the API server
/// would be blamed for it. `place`: where the kubeconfig was read.
pub fn has(kubeconfig: &Kubeconfig, named: &KubeConfigOptions, place: &str) -> Result<(), Failure> {
    let contexts = || kubeconfig.contexts.iter().any(|c| Some(&c.name) == named.context.as_ref());
    let clusters = || kubeconfig.clusters.iter().any(|c| Some(&c.name) == named.cluster.as_ref());
    let users = || kubeconfig.auth_infos.iter().any(|u| Some(&u.name) == named.user.as_ref());
    let all: [(_, &Option<String>, &dyn Fn() -> bool); 3] = [
        ("context", &named.context, &contexts),
        ("cluster", &named.cluster, &clusters),
        ("user", &named.user, &users),
    ];
    for (what, name, is_there) in all {
        let Some(name) = name.as_ref().filter(|_| !is_there()) else { continue };
        let failure = Failure::error(format!("the kubeconfig {place} has no {what} {name:?}"));
        return Err(failure.remedy(format!(
            "`kubectl config get-{what}s` lists the {what}s; --{what} chooses one"
        )));
    }
    Ok(())
}

/// Several files as one: what an earlier file says counts. Files that do not exist are passed over, unless none does.
fn merged(files: &[PathBuf]) -> Result<Kubeconfig, KubeconfigError> {
    let (mut all, mut missing) = (None, None);
    for file in files {
        match Kubeconfig::read_from(file).map(tidied) {
            Ok(next) => {
                all = Some(match all {
                    Some(all) => Kubeconfig::merge(all, next)?,
                    None => next,
                });
            }
            Err(KubeconfigError::ReadConfig(error, file))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                missing.get_or_insert((error, file));
            }
            Err(error) => return Err(error),
        }
    }
    match (all, missing) {
        (Some(all), _) => Ok(all),
        (None, Some((error, file))) => Err(KubeconfigError::ReadConfig(error, file)),
        (None, None) => Err(KubeconfigError::FindPath),
    }
}

/// Without an empty name of a context, which kubectl writes where there is none.
fn tidied(mut kubeconfig: Kubeconfig) -> Kubeconfig {
    kubeconfig.current_context.take_if(|name| name.is_empty());
    kubeconfig
}

/// By what the cluster is chosen, in words, if there are several to choose from.
pub fn choice(kubeconfig: &Kubeconfig, named: &KubeConfigOptions) -> Option<String> {
    if kubeconfig.contexts.len() < 2 {
        return None;
    }
    if let Some(cluster) = &named.cluster {
        return Some(format!("cluster {cluster}"));
    }
    let context = named.context.as_ref().or(kubeconfig.current_context.as_ref())?;
    Some(format!("context {context}"))
}

/// Keeps credential plugins from asking anything. One that always asks cannot be used.
pub fn silence(kubeconfig: &mut Kubeconfig) -> Result<(), Failure> {
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

    /// A file with one cluster and its context, both of this name.
    fn file(directory: &Path, name: &str, current: &str) -> PathBuf {
        let file = directory.join(name);
        let text = format!(
            "clusters: [{{name: {name}, cluster: {{server: 'https://{name}.example.com'}}}}]\n\
             contexts: [{{name: {name}, context: {{cluster: {name}}}}}]\ncurrent-context: '{current}'\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    #[test]
    fn a_name_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let mut all = merged(&[file(directory.path(), "prod", "prod")]).unwrap();
        all.auth_infos = kubeconfig("Never").auth_infos;
        let name = |name: &str| Some(name.to_owned());
        let options = |context: &str, cluster: &str, user: &str| KubeConfigOptions {
            context: name(context),
            cluster: name(cluster),
            user: name(user),
        };
        assert_eq!(has(&all, &options("prod", "prod", "me"), "/a"), Ok(()));
        assert_eq!(has(&all, &KubeConfigOptions::default(), "/a"), Ok(()));
        for (named, what) in [
            (options("nope", "prod", "me"), "context"),
            (options("prod", "nope", "me"), "cluster"),
            (options("prod", "prod", "nope"), "user"),
        ] {
            let told = has(&all, &named, "/a, /b").unwrap_err();
            assert_eq!(told.message, format!("the kubeconfig /a, /b has no {what} \"nope\""));
            let remedy = told.remedy.unwrap();
            assert!(remedy.contains(&format!("get-{what}s` lists the {what}s; --{what} ")));
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_absent() {
        let directory = tempfile::tempdir().unwrap();
        let failure = |path: &Path| Kubeconfig::read_from(path).unwrap_err();
        assert!(is_no_file(&failure(&directory.path().join("gone"))));
        assert!(is_no_file(&KubeconfigError::FindPath));
        assert!(!is_no_file(&failure(directory.path())), "a directory");
        let broken = directory.path().join("broken");
        std::fs::write(&broken, "clusters: 1").unwrap();
        assert!(!is_no_file(&failure(&broken)));
    }

    #[test]
    fn several_files_are_one_as_for_kubectl() {
        let directory = tempfile::tempdir().unwrap();
        let first = file(directory.path(), "staging", "");
        let second = file(directory.path(), "prod", "prod");
        let gone = directory.path().join("gone");
        let all = merged(&[gone.clone(), first.clone(), second.clone()]).unwrap();
        assert_eq!(all.contexts.len(), 2);
        assert_eq!(all.current_context.as_deref(), Some("prod"), "an empty one counts as none");
        let mut named = KubeConfigOptions::default();
        assert_eq!(choice(&all, &named).as_deref(), Some("context prod"));
        named.context = Some("staging".into());
        assert_eq!(choice(&all, &named).as_deref(), Some("context staging"));
        named.cluster = Some("prod".into());
        assert_eq!(choice(&all, &named).as_deref(), Some("cluster prod"));
        // The earlier file counts.
        let third = file(directory.path(), "third", "third");
        let all = merged(&[third, second.clone()]).unwrap();
        assert_eq!(all.current_context.as_deref(), Some("third"));
        // Nothing to choose from.
        assert_eq!(choice(&merged(&[second]).unwrap(), &named), None);
        let none = merged(&[gone]).unwrap_err().to_string();
        assert!(none.contains("gone"), "{none}");
        assert!(merged(&[]).is_err());
        std::fs::write(&first, "clusters: 1").unwrap();
        assert!(merged(&[first]).is_err(), "a file that cannot be read is not passed over");
    }
}
