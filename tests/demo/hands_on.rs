//! Ideas for what to try while everything is still running.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;

use crate::stage::Stage;
use crate::support::program;

const IDEAS: &str = r#"  1. What can be asked for, and what was:
     kubectl explain tap.spec
     kubectl get tap

  2. Ask for a pass for Frank, which waits in this terminal, and approve it in another one:
     kubectl tap request frank@contoso.com --reason 'INC0012348 starts today' --reveal
     KUBECONFIG=$LEO kubectl tap approve frank-inc0012348

  3. Sign in as Frank with the code that was shown, see the request become Used, and the Secret go:
     curl -s --cacert $CA $TENANT/_sim/sign-in \
       -d '{"userPrincipalName": "frank@contoso.com", "temporaryAccessPass": "CODE"}'
     kubectl tap show frank-inc0012348

  4. Switch the method off in the portal, and see it corrected within a minute:
     curl -s --cacert $CA $TENANT/_sim/policy -d '{"state": "disabled"}'
     KUBECONFIG=$ADMIN kubectl get events --watch

  5. Let one more hour pass in the tenant (the story has let one pass already: Graph's dates are ahead of this machine's),
     and read its ledger (/_sim/ledger has every pass):
     curl -s --cacert $CA $TENANT/_sim/clock -d '{"stepSeconds": 3600}'
     curl -s --cacert $CA $TENANT/_sim/ledger/balance"#;

/// Explains how to go on.
pub fn explain(stage: &Stage) -> Result<()> {
    let Stage { world, cast, terminal } = stage;
    terminal.chapter("Your turn")?;
    terminal.tell("Everything is still running. In another terminal, in this directory:")?;
    let programs = cast.heidi.identity.kubectl_program().parent().context("kubectl's directory")?;
    let plugin = program::kubectl_tap()?;
    let plugin = plugin.parent().context("the plugin's directory")?;
    let people = [&cast.heidi, &cast.leo, &cast.ines, &cast.admin];
    let mut lines =
        vec![format!("  export PATH=\"{}:{}:$PATH\"", programs.display(), plugin.display())];
    for who in people {
        let variable = who.name.to_uppercase();
        lines.push(format!("  export {variable}={}", who.identity.kubeconfig().display()));
    }
    lines.push("  export KUBECONFIG=$HEIDI".to_owned());
    lines.push(format!("  export TENANT={}", world.simulator.url()));
    lines.push(format!("  export CA={}", world.simulator.authority().display()));
    lines.push("  export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1".to_owned());
    terminal.verbatim(&lines.join("\n"))?;

    let tasks = people.map(|who| format!("{} {}", capitalized(who.name), who.task));
    terminal.tell(&format!("{}. Now, for example:", tasks.join(", ")))?;
    terminal.verbatim(IDEAS)?;
    terminal.tell(&format!(
        "The operator logs to {}. Ctrl-C ends everything.",
        world.operator.component().log().display()
    ))
}

/// Waits until the operator ends by itself, which is an error.
pub async fn stay(stage: &Stage) -> Result<()> {
    loop {
        stage.world.operator.component().check_running()?;
        sleep(Duration::from_secs(1)).await;
    }
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
