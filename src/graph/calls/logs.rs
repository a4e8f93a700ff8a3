//! The logs of the tenant.

use jiff::{SignedDuration, Timestamp};

use super::path::literal;
use crate::entra::{AuditRow, AuditRows, Call, GraphError, SignInRow};
use crate::graph::client::Client;
use crate::graph::exchange::Priority;
use crate::graph::wire;

/// The most rows of one answer. A row lists each Conditional Access policy that was looked at, or each value that was changed: an
/// answer must not be longer than what is read of one.
const SIGN_INS: usize = 50;
const AUDITS: usize = 200;
/// The most answers about what was done to all users. The logs allow five calls in ten seconds (documented).
const PAGES: usize = 10;

impl Client {
    /// The sign-ins of a user within this time, the newest first: 50 at most.
    ///
    /// A tenant without Entra ID P1 refuses it (documented).
    pub async fn sign_ins(
        &self,
        user_id: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<SignInRow>, GraphError> {
        let filter = format!(
            "userId%20eq%20{}%20and%20createdDateTime%20ge%20{}%20and%20createdDateTime%20le%20{}",
            literal(user_id),
            second(from),
            second(next_second(to))
        );
        let path = format!("/auditLogs/signIns?$filter={filter}&$top={SIGN_INS}");
        let request = self.request(Call::SignIns, Priority::Read, path);
        let page: wire::Page<wire::SignInAnswer> = self.exchange.read(&request).await?;
        Ok(page.value.into_iter().filter_map(wire::SignInAnswer::row).collect())
    }

    /// What was done to the authentication methods of all users, and to their policy, since this time, the newest first: 2,000
    /// rows at most.
    pub async fn method_audits(&self, from: Timestamp) -> Result<AuditRows, GraphError> {
        let service = literal("Authentication Methods");
        self.audits(&format!("loggedByService%20eq%20{service}"), from, PAGES).await
    }

    /// What was done to a user since this time, the newest first: 200 rows at most.
    pub async fn audits_of_user(
        &self,
        user_id: &str,
        from: Timestamp,
    ) -> Result<Vec<AuditRow>, GraphError> {
        let target = format!("targetResources/any(t:t/id%20eq%20{})", literal(user_id));
        Ok(self.audits(&target, from, 1).await?.rows)
    }

    async fn audits(
        &self,
        filter: &str,
        from: Timestamp,
        pages: usize,
    ) -> Result<AuditRows, GraphError> {
        let path = format!(
            "/auditLogs/directoryAudits?$filter={filter}%20and%20activityDateTime%20ge%20{}&$orderby=activityDateTime%20desc&$top={AUDITS}",
            second(from)
        );
        let request = self.request(Call::DirectoryAudits, Priority::Read, path);
        let found = self.exchange.first_pages::<wire::DirectoryAuditAnswer>(request, pages).await?;
        let rows = found.items.into_iter().filter_map(wire::DirectoryAuditAnswer::row).collect();
        Ok(AuditRows { rows, rest: found.rest })
    }
}

/// A time as filters take it, without its fraction.
fn second(time: Timestamp) -> String {
    whole(time).to_string()
}

fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn next_second(time: Timestamp) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(1)).unwrap_or(time)
}
