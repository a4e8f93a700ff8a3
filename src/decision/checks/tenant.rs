//! Whether the tenant's Temporary Access Pass method allows such a pass.

use super::{Checked, Run, TENANT_AGAIN, Verdict};
use crate::api::{Lifetime, TapPolicy};
use crate::decision::Reason;
use crate::decision::situation::Connection;
use crate::decision::step::Question;
use crate::entra::{MethodConfiguration, MethodState};

impl<'a> Run<'a> {
    pub(super) fn connection(&mut self, policy: &TapPolicy) -> Checked<'a, &'a Connection> {
        match self.s.connection {
            Some(connection) => Ok(connection),
            None => self.wait(
                "Tenant",
                Reason::TenantNotConfigured,
                format!(
                    "the operator has no tenant connection named {:?}: add it to its configuration",
                    policy.spec.tenant
                ),
                None,
            ),
        }
    }

    pub(super) fn method(
        &mut self,
        lifetime: u32,
        one_time: bool,
    ) -> Checked<'a, &'a MethodConfiguration> {
        let method = match &self.s.reads.facts.method {
            None => return Err(Verdict::Ask(vec![Question::Method])),
            Some(Err(error)) => return self.unknown("Method", error),
            Some(Ok(method)) => method,
        };
        if method.state != MethodState::Enabled {
            return self.wait(
                "Method",
                Reason::MethodDisabled,
                "the Temporary Access Pass method is disabled in the tenant: enable it there, or with method.state: Enabled in a TapPolicy",
                Some(TENANT_AGAIN),
            );
        }
        let lifetimes = method.lifetimes();
        if !lifetimes.contains(&lifetime) {
            let range = format!(
                "the tenant allows lifetimes from {} to {}, not {}",
                Lifetime::from_minutes(*lifetimes.start()),
                Lifetime::from_minutes(*lifetimes.end()),
                Lifetime::from_minutes(lifetime)
            );
            let yet = format!(
                "{range}: change that with method.lifetime of a TapPolicy, or make another request with a lifetime in that range"
            );
            let never = format!("{range}: make another request with a lifetime in that range");
            return self.not_there_yet("Method", Reason::LifetimeOutOfRange, yet, never);
        }
        if method.one_time_required == Some(true) && !one_time {
            return self.fail(
                "Method",
                Reason::OneTimeUseRequired,
                "the tenant allows only one-time passes: make another request without oneTimeUse: false",
            );
        }
        self.pass(
            "Method",
            "the method is enabled, and the lifetime is within the tenant's range",
        )?;
        Ok(method)
    }
}
