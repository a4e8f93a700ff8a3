//! How Graph and Entra write what the types of [`entra`](crate::entra) mean: JSON and headers.
//!
//! JSON is read leniently. An unknown field is ignored, and a missing one is `None`. An answer cannot be read only if it
//! lacks something essential, such as an id or the code.
//!
//! | module | what is in it |
//! |---|---|
//! | `method`, `directory`, `passes`, `logs`, `conditional_access` | objects |
//! | `errors` | error answers of Graph and Entra |
//! | `headers` | `Date`, `Retry-After` and claims challenges |
//! | `token` | claims of an access token |
//! | `json` | lenient parsing |

mod conditional_access;
mod directory;
mod errors;
mod headers;
mod json;
mod logs;
mod method;
mod passes;
mod token;

pub(super) use conditional_access::{AccessPolicyAnswer, StrengthAnswer, WhatIfAnswer, WhatIfBody};
pub(super) use directory::{
    EligibleRoleAnswer, GroupAnswer, GroupEligibilityAnswer, MemberGroupsBody, NAMESAKE_FIELDS,
    NamesakeAnswer, RoleAnswer, RoleGroupAnswer, RoleRowAnswer, SignInMethodAnswer, USER_FIELDS,
    UserAnswer,
};
pub(super) use errors::{TokenErrorAnswer, error, printable};
pub(crate) use headers::retry_after;
pub(super) use headers::{date, is_claims_challenge};
pub(super) use json::{Page, read};
pub(super) use logs::{DirectoryAuditAnswer, SignInAnswer};
pub(super) use method::{MethodAnswer, MethodPatchBody};
pub(super) use passes::{NewPassBody, PassAnswer, created};
pub(super) use token::token_claims;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::entra::DirectoryRole;

    #[test]
    fn names_that_are_too_long_are_not_accepted() {
        for (length, is_name) in [(1024, true), (1025, false)] {
            let name = "n".repeat(length);
            let user = json!({ "id": "1", "userPrincipalName": name }).to_string();
            assert_eq!(read::<UserAnswer>(user.as_bytes()).is_ok(), is_name);
            let pass = json!({ "id": name }).to_string();
            assert_eq!(read::<PassAnswer>(pass.as_bytes()).is_ok(), is_name);
            let role = json!({ "id": "1", "displayName": name }).to_string();
            let role: DirectoryRole = read::<RoleAnswer>(role.as_bytes()).unwrap().into();
            assert_eq!(role.display_name.is_some(), is_name);
        }
    }
}
