//! Conditional Access: its policies, its strengths, and the question which policies a sign-in meets.

use crate::entra::{AccessPolicy, AuthenticationStrength, Call, ErrorKind, GraphError};
use crate::graph::client::Client;
use crate::graph::exchange::Priority;
use crate::graph::wire::{self, WhatIfBody};

/// The page on which people register security info, as an application: My Signins (reported).
const SECURITY_INFO_PAGE: [&str; 1] = ["19db86c3-b2b9-44cc-b339-36da233a3be2"];

impl Client {
    /// Lists all Conditional Access policies, with their strengths.
    pub async fn access_policies(
        &self,
        priority: Priority,
    ) -> Result<Vec<AccessPolicy>, GraphError> {
        let path = "/identity/conditionalAccess/policies".to_owned();
        let request = self.request(Call::AccessPolicies, priority, path);
        let (found, _) = self.exchange.pages::<wire::AccessPolicyAnswer>(request).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// Lists all authentication strengths, built-in and custom ones.
    pub async fn authentication_strengths(
        &self,
        priority: Priority,
    ) -> Result<Vec<AuthenticationStrength>, GraphError> {
        let path = "/policies/authenticationStrengthPolicies".to_owned();
        let request = self.request(Call::AuthenticationStrengths, priority, path);
        let (found, _) = self.exchange.pages::<wire::StrengthAnswer>(request).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// Asks which policies a user meets who registers security info, and who opens the page for it: those that apply, and
    /// those of which Graph cannot tell without knowing more of the sign-in. `None` if this cloud does not offer the call in
    /// this version of Graph (some do not, as reported).
    pub async fn what_if(
        &self,
        user_id: &str,
        priority: Priority,
    ) -> Result<Option<Vec<AccessPolicy>>, GraphError> {
        let mut found: Vec<AccessPolicy> = Vec::new();
        let bodies =
            [WhatIfBody::registering(user_id), WhatIfBody::opening(user_id, &SECURITY_INFO_PAGE)];
        for body in bodies {
            let path = "/identity/conditionalAccess/evaluate".to_owned();
            let request = self.request(Call::WhatIf, priority, path).with_body(&body)?;
            let policies = match self.exchange.pages::<wire::WhatIfAnswer>(request).await {
                Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::BadRequest) => {
                    return Ok(None);
                }
                policies => policies?.0,
            };
            let new = policies.into_iter().filter_map(wire::WhatIfAnswer::applying);
            let new: Vec<AccessPolicy> =
                new.filter(|one| found.iter().all(|known| known.id != one.id)).collect();
            found.extend(new);
        }
        Ok(Some(found))
    }
}
