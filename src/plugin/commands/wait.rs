//! `wait`.

use crate::plugin::cli::Wait;
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::output;
use crate::plugin::session::Session;
use crate::plugin::signals::Signals;
use crate::plugin::time::Clock;
use crate::plugin::wait::{Target, follow, line};

pub async fn run(arguments: &Wait, session: &Session) -> Result<(), Failure> {
    let mut signals = Signals::catch()?;
    let mut worst: Option<Failure> = None;
    for name in &arguments.names {
        let target = Target { namespace: &session.namespace, name, uid: None };
        match follow(session, &target, arguments.goal, arguments.timeout, &mut signals).await {
            Ok(record) => output::data(&line(&record, &Clock::system()))?,
            Err(failure) if failure.exit == Exit::Interrupted => return Err(failure),
            Err(failure) => {
                // All are told; the first one gives the exit code.
                match &worst {
                    None => worst = Some(failure),
                    Some(_) => output::say(&failure.to_string()),
                }
            }
        }
    }
    worst.map_or(Ok(()), Err)
}
