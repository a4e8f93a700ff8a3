//! The people of the story. Each has only the rights of examples/access.yaml.

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;

use crate::stage::NAMESPACE;
use crate::support::control_plane::ControlPlane;
use crate::support::identity::Identity;
use crate::support::kubectl::Kubectl;
use crate::support::program;
use crate::support::wait;
use crate::words::words;

/// A person at a command line.
pub struct Person {
    /// Their name in the story.
    pub name: &'static str,
    /// Their user name at the API server.
    pub identity: Identity,
    /// Their role in the story.
    pub task: &'static str,
}

impl Person {
    /// A kubectl command of this person, from a whole command line.
    pub fn kubectl(&self, line: &str) -> Result<Kubectl> {
        let words = words(line)?;
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            // As kubectl does, which finds its plugins on the PATH.
            ["kubectl", "tap", rest @ ..] => {
                Ok(self.identity.program(&program::kubectl_tap()?, rest.iter().copied()))
            }
            ["kubectl", rest @ ..] => Ok(self.identity.kubectl(rest.iter().copied())),
            _ => bail!("not a kubectl command: {line}"),
        }
    }
}

/// Everybody.
pub struct Cast {
    /// The cluster's administrator.
    pub admin: Person,
    /// Writes policies.
    pub ines: Person,
    /// Asks for passes, and reads them.
    pub heidi: Person,
    /// Approves.
    pub leo: Person,
    /// May create requests, but not use any policy.
    pub sam: Person,
}

impl Cast {
    pub async fn of(control_plane: &ControlPlane) -> Result<Self> {
        let member = |name, user, group, task| {
            Ok::<_, anyhow::Error>(Person {
                name,
                identity: control_plane.member(user, group)?,
                task,
            })
        };
        let cast = Self {
            admin: Person {
                name: "admin",
                identity: control_plane.admin().clone(),
                task: "installs the operator and grants rights",
            },
            ines: member("ines", "ines@contoso.com", "identity-team", "writes policies")?,
            heidi: member("heidi", "heidi@contoso.com", "helpdesk", "asks for passes")?,
            leo: member("leo", "leo@contoso.com", "helpdesk-leads", "approves them")?,
            sam: member("sam", "sam@contoso.com", "trainees", "may use no policy yet")?,
        };
        let namespace = format!("--namespace={NAMESPACE}");
        for who in [&cast.heidi, &cast.leo, &cast.sam] {
            let context = ["config", "set-context", "--current", &namespace];
            who.identity.kubectl(context).ok().await?;
        }
        Ok(cast)
    }

    /// Waits until the rights are in force, a moment after they were granted.
    pub async fn has_its_rights(&self) -> Result<()> {
        let rights = [
            (&self.ines, "create", "tappolicies"),
            (&self.heidi, "create", "taprequests"),
            (&self.heidi, "use", "tappolicies/helpdesk"),
            (&self.heidi, "get", "secrets"),
            (&self.leo, "approve", "tappolicies/helpdesk"),
            (&self.leo, "get", "taprequests"),
        ];
        try_join_all(rights.map(|(who, verb, resource)| async move {
            wait::until(wait::PATIENCE, "rights are in force", || async {
                let question = who.identity.kubectl(["auth", "can-i", verb, resource]);
                let answer = question.in_namespace(NAMESPACE).run().await?;
                let last = answer.stdout.lines().last().context("no answer")?;
                ensure!(last == "yes", "{} cannot yet {verb} {resource}", who.name);
                Ok(())
            })
            .await
        }))
        .await?;
        Ok(())
    }
}
