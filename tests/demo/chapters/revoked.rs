//! A pass is revoked before anybody used it.

use anyhow::{Result, ensure};
use graph_simulator::SignInError;

use crate::stage::Stage;

pub async fn revoked(stage: &Stage) -> Result<()> {
    let Stage { cast, terminal, .. } = stage;
    terminal.chapter("3. Bob finds his key after all")?;
    terminal.tell("Bob forgot his security key, gets a pass as well, and finds the key before he used the pass.")?;
    stage.run(&cast.heidi, "kubectl create -f tests/demo/manifests/bob.yaml").await?;
    stage.can_be_decided("bob").await?;
    stage.decide(&cast.leo, "bob", "approve --yes").await?;
    let code = stage.code("bob").await?;
    terminal.tell("The requester, and anyone who may approve, can revoke a pass. The spec never changes, so Git has nothing to undo.")?;
    stage.decide(&cast.heidi, "bob", "revoke").await?;
    stage.ends("bob", "Revoked").await?;
    stage.secret_is_gone("bob").await?;
    terminal.tell("The code is useless now:")?;
    let answer = stage.sign_in("bob@contoso.com", &code)?;
    ensure!(answer == Err(SignInError::WrongCode), "a revoked code: {answer:?}");
    Ok(())
}
