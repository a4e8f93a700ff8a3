//! The stage of the story: a world, the people in it, and a terminal that shows what they do.
//!
//! What is shown is what happens: the printed command line is the one that is run. If a step does not go as the story
//! says, the demo fails.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_simulator::{SignIn, SignInError};
use kube::Api;
use tap_operator::api::TapRequest;

use crate::cast::{Cast, Person};
use crate::support::kubectl::Outcome;
use crate::support::world::World;
use crate::terminal::Terminal;

/// The namespace of the helpdesk, as in examples/access.yaml.
pub const NAMESPACE: &str = "helpdesk";

/// The stage of the demo.
pub struct Stage {
    pub world: World,
    pub cast: Cast,
    pub terminal: Terminal,
}

impl Stage {
    /// Runs a kubectl command that must succeed, shows it and its output.
    pub async fn run(&self, who: &Person, line: &str) -> Result<String> {
        let outcome = self.shown(who, line).await?;
        ensure!(outcome.status.success(), "kubectl failed\n{outcome}");
        Ok(outcome.stdout)
    }

    /// Runs a kubectl command that must be refused with this word in the answer, which is shown.
    pub async fn refused(&self, who: &Person, line: &str, word: &str) -> Result<()> {
        let outcome = self.shown(who, line).await?;
        ensure!(
            !outcome.status.success() && outcome.stderr.contains(word),
            "a refusal ({word}) was expected\n{outcome}"
        );
        Ok(())
    }

    /// Shows a file, as this person.
    pub fn cat(&self, who: &Person, file: &str) -> Result<()> {
        let content = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
        self.terminal.typed(who.name, &format!("cat {file}"))?;
        self.terminal.output(&content)
    }

    /// Approves or revokes a request, as this person and in their name.
    pub async fn decide(&self, who: &Person, request: &str, decision: &str) -> Result<()> {
        self.run(who, &format!("kubectl tap {decision} {request}")).await.map(drop)
    }

    /// Makes a decision with plain kubectl that must be refused with this word in the answer.
    pub async fn decide_in_vain(
        &self,
        who: &Person,
        request: &str,
        decision: &str,
        word: &str,
    ) -> Result<()> {
        self.refused(who, &decision_line(who, request, decision), word).await
    }

    /// Waits until people can decide about a request.
    pub async fn can_be_decided(&self, request: &str) -> Result<()> {
        let line = format!("kubectl tap wait {request} --for approval --timeout 60s");
        self.run(&self.cast.heidi, &line).await.map(drop)
    }

    /// Waits until a request has ended in this phase.
    pub async fn ends(&self, request: &str, phase: &str) -> Result<()> {
        let line = format!("kubectl tap wait {request} --for finished --timeout 60s");
        let told = self.run(&self.cast.heidi, &line).await?;
        ensure!(told.contains(&format!("{request}: {phase}")), "{told}");
        Ok(())
    }

    /// Waits until the pass of a request was issued. Returns the code, as Heidi reads it.
    pub async fn code(&self, request: &str) -> Result<String> {
        let heidi = &self.cast.heidi;
        let wait = format!("kubectl tap wait {request} --timeout 60s");
        self.run(heidi, &wait).await?;
        let get =
            format!("kubectl get secret {request} -o jsonpath='{{.data.temporaryAccessPass}}'");
        self.terminal.typed(heidi.name, &format!("{get} | base64 -d"))?;
        let encoded = heidi.kubectl(&get)?.ok().await?;
        let code = String::from_utf8(STANDARD.decode(encoded.trim())?)?;
        self.terminal.output(&code)?;
        Ok(code)
    }

    /// Shows that the Secret of a request is gone.
    pub async fn secret_is_gone(&self, request: &str) -> Result<()> {
        let line = format!("kubectl get secret {request}");
        self.refused(&self.cast.heidi, &line, "NotFound").await
    }

    /// Enters a code at the tenant's sign-in page.
    pub fn sign_in(&self, user: &str, code: &str) -> Result<Result<SignIn, SignInError>> {
        self.terminal
            .elsewhere("sign-in page", &format!("{user}, Temporary Access Pass {code}"))?;
        let answer = self.world.simulator.sign_in(user, code);
        match &answer {
            Ok(signed_in) => {
                self.terminal.output(&format!("signed in, session {}", signed_in.session))?;
            }
            Err(refusal) => self.terminal.output(&format!("refused: {refusal}"))?,
        }
        Ok(answer)
    }

    /// All requests, with an administrator's rights.
    pub async fn requests(&self) -> Result<Vec<TapRequest>> {
        let api: Api<TapRequest> =
            Api::namespaced(self.cast.admin.identity.client().await?, NAMESPACE);
        Ok(api.list(&kube::api::ListParams::default()).await?.items)
    }

    /// Everything that helps to understand a failure: objects, events, the operator's log, the ledger.
    pub async fn dump(&self) -> String {
        let admin = &self.cast.admin.identity;
        let shown = async |arguments: &[&str]| {
            let outcome = admin.kubectl(arguments.iter().copied()).run().await;
            outcome.map_or_else(|error| format!("{error:#}"), |outcome| outcome.to_string())
        };
        let objects =
            shown(&["get", "tappolicies,taprequests", "--all-namespaces", "-o", "yaml"]).await;
        let events =
            shown(&["get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"]).await;
        let ledger = serde_json::to_string_pretty(&self.world.simulator.ledger());
        let ledger = ledger.unwrap_or_else(|error| error.to_string());
        let operator = self.world.operator.component().log_tail(60);
        format!("{objects}\n{events}\n{operator}\n--- the ledger\n{ledger}")
    }

    async fn shown(&self, who: &Person, line: &str) -> Result<Outcome> {
        self.terminal.typed(who.name, line)?;
        let outcome = who.kubectl(line)?.run().await?;
        self.terminal.output(&outcome.stdout)?;
        self.terminal.output(&outcome.stderr)?;
        Ok(outcome)
    }
}

fn decision_line(who: &Person, request: &str, decision: &str) -> String {
    let by = who.identity.user();
    // A line break between JSON's tokens changes nothing for JSON, nor for the shell inside quotes.
    format!(
        "kubectl patch tap {request} --subresource=status --type=json -p '[{{\"op\":\"add\",\n\
         \"path\":\"/status/decisions/-\",\"value\":{{\"by\":\"{by}\",\"decision\":\"{decision}\"}}}}]'"
    )
}
