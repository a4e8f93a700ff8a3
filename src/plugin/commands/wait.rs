//! `wait`.

use crate::plugin::cli::Wait;
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::output;
use crate::plugin::session::Session;
use crate::plugin::signals::Signals;
use crate::plugin::time::Clock;
use crate::plugin::wait::{Limit, Target, follow, line};

pub async fn run(arguments: &Wait, session: &Session) -> Result<(), Failure> {
    let mut signals = Signals::catch()?;
    let limit = Limit::new(arguments.timeout);
    let (mut exit, mut printed) = (None, Ok(()));
    for name in &arguments.names {
        let target = Target { namespace: &session.namespace, name, uid: None };
        match follow(session, &target, arguments.goal, limit, &mut signals).await {
            Ok(record) => printed = printed.and(output::data(&line(&record, &Clock::system()))),
            Err(failure) if failure.exit == Exit::Interrupted => return Err(failure),
            // All are told; the first one gives the exit code.
            Err(failure) => {
                output::say(&failure.to_string());
                exit.get_or_insert(failure.exit);
            }
        }
    }
    exit.map_or(printed, |exit| Err(Failure::said(exit)))
}
