//! `tap-operator plan` and `export` against a tenant: what they print, and how they end.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use graph_simulator::tenant::{CONTOSO, OPERATOR, OPERATOR_SECRET, PILOT_GROUP};
use graph_simulator::{Operation, Tenant};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::scratch::Scratch;
use crate::support::simulator::Simulator;
use crate::support::{program, run};

const READS: [&str; 2] = ["Policy.Read.AuthenticationMethod", "GroupMember.Read.All"];

/// A pipeline: a directory, a tenant, and an app that may only read.
struct Pipeline {
    scratch: Scratch,
    simulator: Simulator,
    secret: PathBuf,
}

/// How a command ended, and what it printed.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// Expects this exit code, and these words in what was printed.
    fn is(&self, code: i32, words: &[&str]) -> Result<()> {
        let both = format!("{}{}", self.out, self.err);
        ensure!(self.code == Some(code), "{:?} instead of {code}\n{both}", self.code);
        for word in words {
            ensure!(both.contains(word), "no {word:?} in\n{both}");
        }
        Ok(())
    }
}

impl Pipeline {
    async fn new(name: &str) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let simulator = Simulator::start(&scratch, Tenant::contoso()).await?;
        let secret = scratch.write("client-secret", OPERATOR_SECRET)?;
        let pipeline = Self { scratch, simulator, secret };
        pipeline.grant(&READS)?;
        Ok(pipeline)
    }

    /// The app has these permissions.
    fn grant(&self, roles: &[&str]) -> Result<()> {
        let roles: Vec<String> = roles.iter().map(|&role| role.to_owned()).collect();
        Ok(self.simulator.edit_app(OPERATOR, |app| app.roles = roles)?)
    }

    fn file(&self, name: &str, text: &str) -> Result<String> {
        Ok(self.scratch.write(name, text)?.display().to_string())
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("AZURE_TENANT_ID", CONTOSO.to_string())
            .env("AZURE_CLIENT_ID", OPERATOR.to_string())
            .env("AZURE_CLIENT_SECRET_FILE", &self.secret)
            .env("AZURE_AUTHORITY_HOST", self.simulator.url())
            .env("TAP_OPERATOR_GRAPH_URL", self.simulator.url())
            .env("TAP_OPERATOR_EXTRA_CA", self.simulator.authority())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Result<Ended> {
        ended(self.command(&program::tap_operator()?, arguments)).await
    }

    /// Runs the example's script for pipelines.
    async fn script(&self, mode: &str, path: &str) -> Result<Ended> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipeline/plan");
        let mut command = self.command(&script, &[mode, path]);
        let directory = program::tap_operator()?;
        let directory = directory.parent().context("a directory")?;
        command.env("PATH", format!("{}:/usr/bin:/bin", directory.display()));
        command.env("PLAN_FILE", self.scratch.file("plan.md"));
        ended(command).await
    }

    /// That the tenant was only read.
    fn nothing_was_written(&self) -> Result<()> {
        let written = [Operation::PolicyPatch, Operation::PassCreate, Operation::PassDelete];
        let written = written.map(|operation| self.simulator.requests_for(operation).len());
        ensure!(written == [0, 0, 0], "{written:?}");
        Ok(())
    }
}

async fn ended(mut command: Command) -> Result<Ended> {
    let output = command.output().await?;
    Ok(Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// A policy that is as the tenant, but for this much of its method.
fn policy(method: &Value) -> String {
    json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy",
        "metadata": {"name": "contoso"},
        "spec": {"tenant": "default", "method": method, "enforcement": "Enforce"},
    })
    .to_string()
}

#[test]
fn a_plan_shows_what_differs_and_the_exit_code_says_it() -> Result<()> {
    run(async {
        let pipeline = Pipeline::new("plan").await?;
        let same = pipeline.file("same.yaml", &policy(&json!({"state": "Enabled"})))?;
        pipeline.run(&["plan", "-f", &same]).await?.is(0, &["no change"])?;

        let exclude = json!([{"group": PILOT_GROUP, "displayName": "Helpdesk pilot"}]);
        let changed = pipeline
            .file("changed.yaml", &policy(&json!({"codeLength": 20, "exclude": exclude})))?;
        let plan = pipeline.run(&["plan", "-f", &changed]).await?;
        plan.is(2, &["codeLength: 8 -> 20", "exclude: nobody -> 6c1f", "2 changes"])?;
        ensure!(plan.err.is_empty(), "{}", plan.err);

        let plan = pipeline.run(&["plan", "-f", &changed, "-o", "json"]).await?;
        plan.is(2, &[])?;
        let json: Value = serde_json::from_str(&plan.out)?;
        ensure!(json["outcome"] == "changes" && json["counts"]["changes"] == 2, "{json:#}");
        ensure!(json["policies"][0]["tenantId"] == CONTOSO.to_string(), "{json:#}");
        let plan = pipeline.run(&["plan", "-f", &changed, "-o", "markdown"]).await?;
        plan.is(2, &["| `codeLength` | `8` | `20` |"])?;
        pipeline.nothing_was_written()
    })
}

#[test]
fn a_plan_reads_directories_and_the_standard_input() -> Result<()> {
    run(async {
        let pipeline = Pipeline::new("plan-files").await?;
        let directory = pipeline.scratch.file("manifests");
        std::fs::create_dir_all(directory.join("deep"))?;
        std::fs::write(directory.join("deep/a.yml"), policy(&json!({"codeLength": 20})))?;
        std::fs::write(directory.join("README.md"), "[no manifest")?;
        let directory = directory.display().to_string();
        pipeline.run(&["plan", "-f", &directory]).await?.is(2, &["deep/a.yml:1", "8 -> 20"])?;

        let mut command =
            pipeline.command(&program::tap_operator()?, &["plan", "--offline", "--filename", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().context("no input")?;
        input.write_all(policy(&json!({"codeLength": 50})).as_bytes()).await?;
        drop(input);
        let output = child.wait_with_output().await?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.code() == Some(1), "{text}");
        ensure!(text.contains("should be less than or equal to 48"), "{text}");
        Ok(())
    })
}

#[test]
fn mistakes_are_errors_and_never_changes() -> Result<()> {
    run(async {
        let pipeline = Pipeline::new("plan-mistakes").await?;
        let changed = pipeline.file("changed.yaml", &policy(&json!({"codeLength": 20})))?;
        for (arguments, words) in [
            (vec!["plan"], "--filename"),
            (vec!["plan", "-f", &changed, "-o", "yaml"], "invalid value 'yaml'"),
            (vec!["plan", "-f", &changed, "--ofline"], "--offline"),
            (vec!["plan", "-f", "nowhere.yaml"], "cannot read nowhere.yaml"),
        ] {
            pipeline.run(&arguments).await?.is(1, &[words])?;
        }
        let offline = pipeline.run(&["plan", "--offline", "-f", &changed]).await?;
        offline.is(0, &["not compared with a tenant"])?;
        ensure!(pipeline.simulator.requests().is_empty(), "it signed in");

        pipeline.simulator.set_unreachable(true);
        let unreachable = pipeline.run(&["plan", "-f", &changed, "--call-deadline", "2s"]).await?;
        unreachable.is(1, &["the tenant cannot be read", "the tenant could not be read"])?;
        pipeline.simulator.set_unreachable(false);
        pipeline.grant(&["User.Read.All"])?;
        let forbidden = pipeline.run(&["plan", "-f", &changed]).await?;
        forbidden.is(1, &["Policy.Read.AuthenticationMethod"])?;

        let mut without = pipeline.command(&program::tap_operator()?, &["plan", "-f", &changed]);
        without.env_remove("AZURE_CLIENT_SECRET_FILE");
        ended(without).await?.is(1, &["AZURE_CLIENT_SECRET_FILE"])?;
        pipeline.nothing_was_written()
    })
}

#[test]
fn an_app_that_may_do_more_than_read_is_refused() -> Result<()> {
    run(async {
        let pipeline = Pipeline::new("plan-roles").await?;
        let changed = pipeline.file("changed.yaml", &policy(&json!({"codeLength": 20})))?;
        for role in ["UserAuthMethod-TAP.ReadWrite.All", "Policy.ReadWrite.AuthenticationMethod"] {
            pipeline.grant(&[READS[0], READS[1], role])?;
            pipeline.simulator.clear_requests();
            let refused = pipeline.run(&["plan", "-f", &changed]).await?;
            refused.is(1, &["may do more than read", role])?;
            let read = pipeline.simulator.requests_for(Operation::PolicyGet);
            ensure!(read.is_empty(), "the method was read with it");
        }
        Ok(())
    })
}

#[test]
fn what_is_exported_changes_nothing() -> Result<()> {
    run(async {
        let pipeline = Pipeline::new("export").await?;
        let target = |id: String| json!([{"id": id, "targetType": "group"}]);
        for (patch, words) in [
            (json!({}), "allUsers: true"),
            (
                json!({
                    "defaultLength": 33, "isUsableOnce": true, "minimumLifetimeInMinutes": 10,
                    "maximumLifetimeInMinutes": 90, "defaultLifetimeInMinutes": 61,
                    "includeTargets": target(PILOT_GROUP.to_string()),
                }),
                "displayName: Helpdesk pilot",
            ),
            (
                json!({"state": "disabled", "excludeTargets": target(PILOT_GROUP.to_string())}),
                "# Left out: include",
            ),
        ] {
            let mut patch = patch;
            patch["@odata.type"] =
                json!("#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration");
            pipeline.simulator.portal_patch_policy(&patch)?;
            let exported = pipeline.run(&["export"]).await?;
            exported.is(0, &[words, "kind: TapPolicy", &CONTOSO.to_string()])?;
            let file = pipeline.file("exported.yaml", &exported.out)?;
            let plan = pipeline.run(&["plan", "-f", &file]).await?;
            plan.is(0, &["no change", "0 errors, 0 warnings"])?;
        }
        let wrong = pipeline.run(&["export", "--connection", "fabrikam"]).await?;
        wrong.is(1, &["no tenant connection is named \"fabrikam\": there are default"])?;
        pipeline.nothing_was_written()
    })
}

#[test]
fn the_script_for_pipelines_fails_on_drift_and_passes_without() -> Result<()> {
    run(async {
        let pipeline = Pipeline::new("pipeline").await?;
        let same = pipeline.file("same.yaml", &policy(&json!({"codeLength": 8})))?;
        let changed = pipeline.file("changed.yaml", &policy(&json!({"codeLength": 20})))?;
        let wrong = pipeline.file("wrong.yaml", &policy(&json!({"codeLength": 50})))?;
        for (mode, file, code) in [
            ("drift", &same, 0),
            ("drift", &changed, 1),
            ("drift", &wrong, 1),
            ("pull-request", &same, 0),
            ("pull-request", &changed, 0),
            ("pull-request", &wrong, 1),
            ("offline", &changed, 0),
            ("offline", &wrong, 1),
            ("nonsense", &same, 1),
            ("drift", &String::new(), 1),
        ] {
            let ended = pipeline.script(mode, file).await?;
            ended.is(code, &[]).with_context(|| format!("{mode} {file}"))?;
        }
        let plan = std::fs::read_to_string(pipeline.scratch.file("plan.md"))?;
        ensure!(plan.contains("### tap-operator plan"), "{plan}");
        // Somebody changes the tenant in the portal.
        pipeline.script("drift", &same).await?.is(0, &[])?;
        let patch = json!({
            "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration",
            "defaultLength": 9,
        });
        pipeline.simulator.portal_patch_policy(&patch)?;
        pipeline.script("drift", &same).await?.is(1, &["`9`", "differs from its policy"])?;
        pipeline.nothing_was_written()
    })
}
