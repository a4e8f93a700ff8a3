//! A pass is asked for, approved, issued, and used.

use anyhow::{Context, Result, ensure};

use crate::stage::Stage;
use crate::support::component::Component;
use crate::support::wait;

const WATCH: &str =
    "kubectl get tap --watch -o custom-columns-file=tests/demo/manifests/columns.txt";

pub async fn lost_phone(stage: &Stage) -> Result<()> {
    let Stage { world, cast, terminal } = stage;
    terminal.chapter("2. Alice lost her phone")?;
    terminal.tell("Heidi, of the helpdesk, asks for a pass. She may, through this one policy.")?;
    let watch = Watch::start(stage)?;
    stage.cat(&cast.heidi, "tests/demo/manifests/alice.yaml")?;
    stage.run(&cast.heidi, "kubectl create -f tests/demo/manifests/alice.yaml").await?;
    stage.can_be_decided("alice").await?;

    terminal.tell(
        "The policy requires a second person. Heidi cannot approve her own request, whatever program she uses. In plain \
         kubectl, a decision is a patch of the status:",
    )?;
    stage.decide_in_vain(&cast.heidi, "alice", "Approve", "Forbidden").await?;
    terminal.tell("Leo, who leads the helpdesk, sees what awaits him, and approves. He types less with kubectl tap:")?;
    stage.run(&cast.leo, "kubectl tap inbox").await?;
    stage.decide(&cast.leo, "alice", "approve --yes").await?;

    terminal.tell("The pass is made, and its code is in one place: a Secret that the operator itself cannot read.")?;
    let code = stage.code("alice").await?;
    stage.run(&cast.heidi, "kubectl describe secret alice").await?;

    terminal.tell("Heidi reads the code to Alice, who signs in with it:")?;
    let signed_in =
        stage.sign_in("alice@contoso.com", &code)?.context("Alice was not signed in")?;

    terminal.tell("The operator sees that the pass was used, and takes the Secret away.")?;
    stage.ends("alice", "Used").await?;
    stage.secret_is_gone("alice").await?;
    let session =
        world.simulator.session(signed_in.session).context("Alice's session is unknown")?;
    ensure!(session.alive && session.can_register, "Alice's session has ended: {session:?}");
    terminal.good(
        "Alice's session lasts, and she can register her new phone in it: a used pass is left to expire, because \
         deleting it would end the session.",
    )?;

    terminal.tell("In a second terminal, Heidi watched all of this. Each line is one write:")?;
    terminal.typed(cast.heidi.name, WATCH)?;
    let seen = watch.until("Used").await?;
    terminal.output(&seen)?;
    let at = |phase: &str| seen.find(phase).with_context(|| format!("{phase} was not seen"));
    ensure!(at("AwaitingApproval")? < at("Active")? && at("Active")? < at("Used")?, "{seen}");
    Ok(())
}

/// `kubectl get --watch` in the background.
struct Watch(Component);

impl Watch {
    fn start(stage: &Stage) -> Result<Self> {
        let heidi = &stage.cast.heidi.identity;
        let scratch = stage.world.control_plane.scratch();
        let arguments = crate::words::words(WATCH)?.split_off(1);
        let environment = [
            ("KUBECONFIG", heidi.kubeconfig().display().to_string()),
            ("HOME", heidi.kubeconfig().with_extension("home").display().to_string()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let program = heidi.kubectl_program().to_owned();
        let component =
            Component::new("kubectl", program, arguments, environment, scratch.file("watch.log"));
        component.start()?;
        Ok(Self(component))
    }

    /// Waits for this word in the output. Returns the output so far.
    async fn until(self, word: &str) -> Result<String> {
        wait::until(wait::PATIENCE, "kubectl shows the end of the story", || async {
            let seen = self.0.log_text();
            ensure!(seen.contains(word), "{word} is not in:\n{seen}");
            Ok(())
        })
        .await?;
        Ok(self.0.log_text())
    }
}
