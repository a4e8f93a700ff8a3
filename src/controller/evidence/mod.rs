//! Reads the logs of the tenants whose app may: which passes others make, who changes the method, how passes were used.
//!
//! Nothing waits for it. The logs are asked at their own pace, and not while passes wait for their turn.

mod inquire;
mod tell;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch::Sender;
use tokio::time::{Instant, sleep};

use super::operator::{Operator, Tenant};
use crate::decision::evidence::Inquiries;
use crate::decision::permissions::Need;
use crate::decision::situation::Connection;
use crate::entra::{Call, GraphError};

/// How long to give way to passes that wait, at most: rows of the logs must be read before they are too old.
const GIVES_WAY: Duration = Duration::from_mins(5);
/// How often to look meanwhile.
const LOOKS: Duration = Duration::from_secs(5);
/// How long a tenant without the licence for sign-ins is not asked for them.
const WITHOUT_LICENCE: Duration = Duration::from_hours(6);

/// What is known of the logs of the tenants.
#[derive(Debug)]
pub struct Logs {
    /// Since when this process works, so that it knows each pass that it makes.
    began: OnceLock<Instant>,
    /// The names of the connections whose app may read the logs, as far as is known.
    readers: Sender<BTreeSet<String>>,
    /// The passes about which they are to be asked.
    inquiries: Mutex<Inquiries>,
    /// When a tenant said that it has no licence for sign-ins, by its id.
    unlicensed: Mutex<BTreeMap<String, Instant>>,
    /// Why Graph refuses a log of a tenant to an app whose token has the permission, by the tenant's id and the call.
    refusals: Mutex<BTreeMap<(String, &'static str), String>>,
    /// Who changed the methods of a tenant last, by its id, and when.
    changes: Mutex<BTreeMap<String, (String, Timestamp)>>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            began: OnceLock::new(),
            readers: Sender::new(BTreeSet::new()),
            inquiries: Mutex::default(),
            unlicensed: Mutex::default(),
            refusals: Mutex::default(),
            changes: Mutex::default(),
        }
    }
}

impl Logs {
    /// This process begins to work.
    pub fn begin(&self) {
        let _ = self.began.set(Instant::now());
    }

    /// Takes note of the permissions of a connection's app.
    pub fn learn_permissions(&self, connection: &str, held: &[String]) {
        let may_read = Need::Logs.is_covered_by(held);
        self.readers.send_if_modified(|readers| {
            if may_read { readers.insert(connection.into()) } else { readers.remove(connection) }
        });
    }

    /// The passes about which the logs are to be asked.
    pub fn inquiries(&self) -> MutexGuard<'_, Inquiries> {
        self.inquiries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a tenant gives its log of sign-ins, as far as is known.
    pub fn gives_sign_ins(&self, tenant_id: &str) -> bool {
        let mut unlicensed = self.unlicensed.lock().unwrap_or_else(PoisonError::into_inner);
        unlicensed.retain(|_, said| said.elapsed() < WITHOUT_LICENCE);
        !unlicensed.contains_key(tenant_id)
    }

    fn has_no_licence(&self, tenant_id: &str) {
        let mut unlicensed = self.unlicensed.lock().unwrap_or_else(PoisonError::into_inner);
        unlicensed.insert(tenant_id.into(), Instant::now());
    }

    /// Who changed the methods of a tenant last, within this process's memory.
    pub fn last_change(&self, tenant_id: &str) -> Option<(String, Timestamp)> {
        self.changes().get(tenant_id).cloned()
    }

    /// Takes note of who changed the methods of a tenant, and when. An older change may come later.
    fn changed(&self, tenant_id: &str, by: &str, at: Timestamp) {
        let mut changes = self.changes();
        if changes.get(tenant_id).is_none_or(|(_, known)| *known <= at) {
            changes.insert(tenant_id.to_owned(), (by.to_owned(), at));
        }
    }

    fn changes(&self) -> MutexGuard<'_, BTreeMap<String, (String, Timestamp)>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why Graph refuses a log of a tenant, though the app's token has the permission.
    pub fn refusal(&self, tenant_id: &str) -> Option<String> {
        let refusals = self.refusals();
        refusals.iter().find(|((of, _), _)| of == tenant_id).map(|(_, why)| why.clone())
    }

    /// A log of a tenant could not be read. If Graph refused it to the app, whatever its token says, it is not read before the
    /// permissions are read again. Returns whether that is new.
    fn failed(&self, tenant: &Tenant, error: &GraphError) -> bool {
        let Connection { name, tenant_id, .. } = &tenant.connection;
        tracing::debug!(connection = name, %error, "the tenant's logs cannot be read");
        if !error.is_for_lack_of_permission() {
            return false;
        }
        self.learn_permissions(name, &[]);
        let why = format!("{} ({})", error.message, error.code);
        self.refusals().insert((tenant_id.clone(), error.call), why).is_none()
    }

    /// A log of a tenant was read by this call. Returns whether Graph refused it before.
    fn answered(&self, tenant_id: &str, call: Call) -> bool {
        self.refusals().remove(&(tenant_id.to_owned(), call.name())).is_some()
    }

    fn refusals(&self) -> MutexGuard<'_, BTreeMap<(String, &'static str), String>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the logs of all tenants, for ever. `policies` makes all policies due.
pub async fn read_logs(operator: &Operator, policies: &UnboundedSender<()>) {
    let reading = operator.tenant_ids().into_iter().map(|tenant_id| async move {
        tokio::join!(
            watch::watch_audits(operator, tenant_id, policies),
            inquire::inquire(operator, tenant_id, policies)
        )
    });
    futures::future::join_all(reading).await;
    // Reached only without a tenant connection.
    std::future::pending::<()>().await;
}

impl Operator {
    /// Waits until the app of a connection to a tenant may read its logs. One connection is enough: a log is the tenant's.
    async fn log_reader(&self, tenant_id: &str) -> Option<&Tenant> {
        let mut readers = self.logs.readers.subscribe();
        let is_there = |names: &BTreeSet<String>| self.reader_among(names, tenant_id).is_some();
        // The sender is dropped only with the operator.
        let names = readers.wait_for(is_there).await.ok()?;
        self.reader_among(&names, tenant_id)
    }

    fn reader_among(&self, names: &BTreeSet<String>, tenant_id: &str) -> Option<&Tenant> {
        let tenants = names.iter().filter_map(|name| self.tenants.get(name));
        tenants.into_iter().find(|tenant| tenant.connection.tenant_id == tenant_id)
    }

    /// Graph's time in a tenant when this process began to work, at least.
    fn began_in(&self, tenant_id: &str) -> Timestamp {
        let ago = self.logs.began.get().map_or(Duration::ZERO, Instant::elapsed);
        self.time_in(tenant_id) - ago
    }

    /// Graph's time in a tenant, at least.
    fn time_in(&self, tenant_id: &str) -> Timestamp {
        self.clocks.now(Some(tenant_id)).earliest
    }
}

/// Waits while passes wait for their turn, for some minutes at most.
async fn give_way(tenant: &Tenant) {
    let began = Instant::now();
    while tenant.client.is_busy_with_passes() && began.elapsed() < GIVES_WAY {
        sleep(LOOKS).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_change_that_comes_late_is_not_the_last_one() {
        let logs = Logs::default();
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        logs.changed("tenant", "ada", at(2));
        logs.changed("tenant", "bob", at(1));
        logs.changed("another", "bob", at(1));
        assert_eq!(logs.last_change("tenant"), Some(("ada".into(), at(2))));
        logs.changed("tenant", "carol", at(3));
        assert_eq!(logs.last_change("tenant"), Some(("carol".into(), at(3))));
    }
}
