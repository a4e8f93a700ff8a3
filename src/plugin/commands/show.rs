//! `show`, also called `explain`.

use crate::plugin::cli::Show;
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::output::{self, ReportFormat};
use crate::plugin::record::Record;
use crate::plugin::session::Session;
use crate::plugin::time::Clock;
use crate::plugin::view;

pub async fn run(arguments: &Show, session: &Session) -> Result<(), Failure> {
    let me = session.me().await?;
    let (mut records, mut missing) = (Vec::new(), 0);
    for name in &arguments.names {
        match session.cluster.request(&session.namespace, name).await {
            Ok(record) => records.push(record),
            Err(error) if arguments.names.len() == 1 => return Err(error.into()),
            Err(error) => {
                output::say(&Failure::from(error).to_string());
                missing += 1;
            }
        }
    }
    let printed = match arguments.output {
        Some(format) => {
            let as_yaml = format == ReportFormat::Yaml;
            match records.as_slice() {
                [one] => output::document(&one.printed(), as_yaml),
                several => output::document(&super::list::objects(several), as_yaml),
            }
        }
        None => explain(&records, session, me).await,
    };
    let found = if missing == 0 { Ok(()) } else { Err(Failure::said(Exit::Error)) };
    found.and(printed)
}

async fn explain(records: &[Record], session: &Session, me: &str) -> Result<(), Failure> {
    for (index, record) in records.iter().enumerate() {
        // Who may not read policies is told the rest.
        let policy = session.cluster.policy(record.policy()).await.ok();
        let text = view::show::text(record, policy.as_ref(), me, &Clock::system());
        let apart = if index == 0 { "" } else { "\n" };
        output::data(&format!("{apart}{text}"))?;
    }
    Ok(())
}
