//! `list`.

use crate::plugin::cli::List;
use crate::plugin::failure::Failure;
use crate::plugin::output::{self, ListFormat};
use crate::plugin::record::Record;
use crate::plugin::session::Session;
use crate::plugin::time::Clock;
use crate::plugin::view;

pub async fn run(arguments: &List, session: &Session) -> Result<(), Failure> {
    let mut fields = Vec::new();
    if !arguments.all {
        fields.push(("spec.requestedBy", session.me().await?));
    }
    if let Some(policy) = &arguments.policy {
        fields.push(("spec.policyRef.name", policy));
    }
    let namespace = (!arguments.all_namespaces).then_some(session.namespace.as_str());
    let mut records = session.cluster.list(namespace, &fields).await?;
    view::list::sort(&mut records);
    match arguments.output {
        Some(ListFormat::Json) => output::document(&objects(&records), false),
        Some(ListFormat::Yaml) => output::document(&objects(&records), true),
        Some(ListFormat::Name) => names(&records),
        _ if records.is_empty() => {
            let whose = if arguments.all { "" } else { " of yours" };
            let place = match namespace {
                Some(namespace) => session.place(namespace),
                None => format!("any namespace{}", session.cluster.name().which()),
            };
            let more = if arguments.all { "" } else { " --all lists everybody's." };
            output::say(&format!("There are no requests{whose} in {place}.{more}"));
            Ok(())
        }
        format => {
            let wide = format == Some(ListFormat::Wide);
            output::data(&view::list::table(
                &records,
                arguments.all_namespaces,
                wide,
                &Clock::system(),
            ))
        }
    }
}

/// The objects as kubectl prints a list.
pub fn objects(records: &[Record]) -> serde_json::Value {
    let items: Vec<_> = records.iter().map(Record::printed).collect();
    output::list(&items)
}

/// One line for each.
pub fn names(records: &[Record]) -> Result<(), Failure> {
    records.iter().try_for_each(|record| output::data(&record.title()))
}
