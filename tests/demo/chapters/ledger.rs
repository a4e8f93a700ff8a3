//! The tenant's own account of every pass, compared with the requests.

use anyhow::{Context, Result, bail, ensure};
use graph_simulator::{Actor, End, LedgerEntry};
use jiff::Timestamp;

use crate::stage::{NAMESPACE, Stage};

pub async fn ledger(stage: &Stage) -> Result<()> {
    let Stage { world, cast, terminal } = stage;
    terminal.chapter("7. The ledger")?;
    terminal.tell(
        "The tenant keeps an account of every pass that was ever made, and of how it ended:",
    )?;
    let entries = world.simulator.ledger();
    let requests = stage.requests().await?;
    let mut rows =
        vec![["PASS", "USER", "REQUEST", "TOLD", "SIGN-INS", "ITS END"].map(str::to_owned)];
    for entry in &entries {
        let of_it = requests.iter().filter(|request| {
            let pass = request.status.as_ref().and_then(|status| status.pass.as_ref());
            pass.is_some_and(|pass| pass.id == entry.id.to_string())
        });
        let of_it: Vec<_> = of_it.collect();
        let [request] = of_it.as_slice() else {
            bail!("the pass {} is recorded by {} requests", entry.id, of_it.len());
        };
        let name = request.metadata.name.clone().context("a request without a name")?;
        rows.push([
            entry.id.to_string().chars().take(8).collect(),
            entry.user_principal_name.clone(),
            format!("{name} ({})", request.phase()),
            entry.told.iter().filter(|telling| telling.delivered).count().to_string(),
            entry.uses.len().to_string(),
            end(&entry.end),
        ]);
    }
    terminal.verbatim(&table(&rows))?;

    let balance = world.simulator.balance();
    terminal.verbatim(&format!(
        "  {} made = {} expired + {} deleted + {} replaced + {} live",
        balance.made, balance.expired, balance.deleted, balance.replaced, balance.live
    ))?;
    ensure!(
        balance.made == balance.expired + balance.deleted + balance.replaced + balance.live,
        "the ledger does not balance: {balance:?}"
    );
    ensure!(balance.made == 3 && balance.made_by_apps == 3, "three passes were made: {balance:?}");
    ensure!(balance.live == 0, "a pass is left behind: {balance:?}");
    ensure!(balance.untold == 0, "a code was lost: {balance:?}");
    ensure!(
        balance.deleted_foreign + balance.replaced_foreign == 0,
        "a foreign pass was ended: {balance:?}"
    );
    ended_as_told(&entries, "alice@contoso.com", 1, |end| matches!(end, End::Expired { .. }))?;
    ended_as_told(&entries, "bob@contoso.com", 0, |end| {
        matches!(end, End::Deleted { by: Actor::App { .. }, .. })
    })?;
    ended_as_told(&entries, "carol@contoso.com", 0, |end| matches!(end, End::Expired { .. }))?;

    let secrets = format!("kubectl get secrets -n {NAMESPACE}");
    let secrets = stage.run(&cast.admin, &secrets).await?;
    ensure!(secrets.is_empty(), "a Secret is left behind");
    terminal
        .good("Each pass has ended, each is recorded by one request, and no code is left anywhere.")
}

fn ended_as_told(
    entries: &[LedgerEntry],
    user: &str,
    sign_ins: usize,
    as_told: impl Fn(&End) -> bool,
) -> Result<()> {
    let entry = entries.iter().find(|entry| entry.user_principal_name == user);
    let entry = entry.with_context(|| format!("{user} had no pass"))?;
    ensure!(entry.uses.len() == sign_ins && as_told(&entry.end), "another end: {entry:?}");
    Ok(())
}

fn end(end: &End) -> String {
    let time = |at: &Timestamp| at.strftime("%H:%M:%S").to_string();
    let who = |by: &Actor| match by {
        Actor::App { name, .. } => name.clone(),
        Actor::Portal => "somebody in the portal".to_owned(),
    };
    match end {
        End::Live => "live".to_owned(),
        End::Expired { at } => format!("expired at {}", time(at)),
        End::Deleted { at, by } => format!("deleted at {} by {}", time(at), who(by)),
        End::Replaced { at, by, .. } => format!("replaced at {} by {}", time(at), who(by)),
    }
}

fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
