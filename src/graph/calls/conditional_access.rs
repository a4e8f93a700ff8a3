//! Conditional Access: its policies, its strengths, and the question which policies a sign-in meets.

use crate::entra::{AccessPolicy, AuthenticationStrength, Call, ErrorKind, GraphError, WhatIf};
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
    /// those of which Graph cannot tell without knowing more of the sign-in. To be asked by an app that has the permission.
    pub async fn what_if(&self, user_id: &str, priority: Priority) -> Result<WhatIf, GraphError> {
        let mut found: Vec<AccessPolicy> = Vec::new();
        let bodies =
            [WhatIfBody::registering(user_id), WhatIfBody::opening(user_id, &SECURITY_INFO_PAGE)];
        for body in bodies {
            let path = "/identity/conditionalAccess/evaluate".to_owned();
            let request = self.request(Call::WhatIf, priority, path).with_body(&body)?;
            let policies = match self.exchange.pages::<wire::WhatIfAnswer>(request).await {
                Err(error) if names_the_licence(&error) => return Ok(WhatIf::NotLicensed),
                Err(error) if is_unknown_call(&error, user_id) => return Ok(WhatIf::NotOffered),
                policies => policies?.0,
            };
            let new = policies.into_iter().filter_map(wire::WhatIfAnswer::applying);
            let new: Vec<AccessPolicy> =
                new.filter(|one| found.iter().all(|known| known.id != one.id)).collect();
            found.extend(new);
        }
        Ok(WhatIf::Meets(found.into()))
    }
}

/// Whether Graph refused What If for lack of a licence (reported: a 403 `AccessDenied` whose text names it). Another 403 says that
/// the permission is missing, or not effective yet.
fn names_the_licence(error: &GraphError) -> bool {
    let says = |word: &str| error.message.to_lowercase().contains(word);
    error.is_for_lack_of_licence()
        || error.is_for_lack_of_permission() && (says("licen") || says("premium"))
}

/// Whether Graph does not know the call. An error about the user says nothing of the call.
fn is_unknown_call(error: &GraphError, user_id: &str) -> bool {
    let is_about_the_user = error.code.eq_ignore_ascii_case("Request_ResourceNotFound")
        || error.message.to_ascii_lowercase().contains(&user_id.to_ascii_lowercase());
    matches!(error.kind, ErrorKind::NotFound | ErrorKind::BadRequest) && !is_about_the_user
}
