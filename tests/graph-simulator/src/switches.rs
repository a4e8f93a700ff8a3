//! Everything about Graph that is not documented, as switches.
//!
//! Microsoft documents less than a client needs to know. Where the facts are inferred, reported by others or unknown,
//! the simulator can behave either way, and a client is tested against both. A default is the documented behaviour if
//! there is one, else the more likely one. A field that is left out of JSON or YAML has its default; `POST
//! /_sim/switches` changes only the fields that it is sent.
//!
//! Origin: *D* documented, but contradicted or in doubt; *R* reported; *I* inferred; *?* unknown.
//!
//! ## The tenant's policy
//!
//! | switch | origin | what is uncertain | default, and why |
//! |---|---|---|---|
//! | `policyKeyAnyCase` | I | the key `TemporaryAccessPass` in any spelling | true: the documentation itself uses two spellings |
//! | `userTargets` | ? | a target of type `user` | `accept`: the type has the member |
//! | `demandRegistrationFlag` | R | include targets without `isRegistrationRequired` | false: others leave it out |
//! | `acceptUnknownTargets` | I | a target id that no object has | true: groups deleted later stay in policies |
//! | `tolerateAnnotations` | R | read-only annotations sent back in a PATCH | true: others send the whole answer back |
//! | `emptyIncludeTargets` | ? | an empty `includeTargets` | `nobody`: an empty list targets nobody |
//! | `policyWriteAnswer` | I | 204 without, or 200 with a body | `noContent`: documented |
//! | `recalculateDefaultLifetime` | I | a default lifetime that a PATCH leaves out is moved into the new range, or the PATCH is refused | true: "recalculated" is documented, how is not |
//! | `resetState` | I | `state` after DELETE | `disabled`: the older tenants' default |
//! | `policyErrorCode` | I | the error code of a refused PATCH | `badRequest`: as the same service does for passes; others saw an empty one on policies |
//! | `policyReadLagSeconds` | I | a GET after a PATCH shows the old values for so long | 0: the documentation asks only to read again |
//! | `policyEffectLagSeconds` | D | sign-in, usability and POSTs follow a PATCH so much later ("a few minutes") | 0: a test that needs a lag sets it |
//!
//! ## Passes
//!
//! | switch | origin | what is uncertain | default, and why |
//! |---|---|---|---|
//! | `postOverLivePass` | D, R against it | POST while a live pass exists | `replace`: documented |
//! | `oneTimeEnforced` | ? | `isUsableOnce: false` under a policy that requires one-time use | `refuse`: the documentation says "only if allowed by policy" |
//! | `multiUseUnderOneTimePolicy` | I | usability of a multi-use pass once the policy requires one-time use | `disabledByPolicy`: sign-in is documented as blocked |
//! | `defaultOneTime` | I | the flag of a pass if the POST has none | `policy`: the tenant's value is the only one there is |
//! | `postWhileDisabled` | ?, R | POST while the policy is disabled | `create`: others check for `DisabledByPolicy` in the answer |
//! | `postOutOfScope` | D, R | POST for a user outside the policy's targets | `refuse`: reported by several since 2023; the documentation says that any user may have one |
//! | `disabledUserPost` | ? | POST for a disabled user | `create`: nothing says otherwise |
//! | `adminPost` | ? | app-only POST for a user who holds a directory role | `create`: no restriction is documented |
//! | `pastStart` | ? | `startDateTime` in the past | `accept`: no limit is documented |
//! | `farthestStartDays` | ? | how far ahead a start may be; null: no limit | null: none is documented |
//! | `guestMessageFinalDot` | R | whether the refusal of external guests ends with a dot | false: as documented |
//! | `passTypeInPost` | R | `@odata.type` in the body of a POST | `optional`: others leave it out |
//! | `contextInPostAnswer` | I | `@odata.context` in the answer to a POST | true: real answers normally carry it |
//! | `usabilityFields` | R | whether `isUsable` and `methodUsabilityReason` are there | `both`: documented; some tenants omit them |
//! | `reasonPrecedence` | I | which reason wins when several hold | `usedFirst`: what cannot change any more wins |
//! | `unknownUserCode` | I | error code for an unknown user on this path | `resourceNotFound`: as this service does for passes |
//! | `malformedPassId` | R | an id that is no GUID | `badRequest`: reported by a client that tells the two apart |
//! | `expiredPassListedSeconds` | I | how long an expired pass stays in lists; null: until replaced or deleted | null: `Expired` is a documented reason |
//! | `listLagAfterPostSeconds` | I | a new pass is missing from lists for so long | 0: a test that needs a lag sets it |
//! | `listLagAfterDeleteSeconds` | I | a removed pass stays in lists for so long | 0: a test that needs a lag sets it |
//! | `getLagAfterPostSeconds` | I | a new pass answers GET with 404 for so long | 0: a test that needs a lag sets it |
//! | `getLagAfterDeleteSeconds` | I | a removed pass still answers GET for so long | 0: a test that needs a lag sets it |
//! | `useSeenLagSeconds` | I | `OneTimeUsed` is seen so much later than the sign-in | 0: a test that needs a lag sets it |
//! | `deleteAfterPostNotFoundSeconds` | R | DELETE of a new pass answers 404 for so long, without effect | 0: reported for one tenant |
//! | `postAfterDeleteConflictSeconds` | R | POST after a DELETE answers 400 "conflicting object" for so long | 0: reported for one tenant |
//! | `usableLagSeconds` | R | a new pass cannot be used for so long | 0: some clients wait up to 30 s, most need not |
//! | `userReadyAfterSeconds` | R | passes of a new user are refused for so long | 0: only users of the last minutes are concerned |
//! | `userNotReadyAnswer` | I | the error of that refusal | `notFound`: the user is not known there yet |
//!
//! ## Throttling, answers, directory
//!
//! | switch | origin | what is uncertain | default, and why |
//! |---|---|---|---|
//! | `authenticationMethodLimit` | D, in doubt | requests for passes in 10 s for an app; null: no limit | 5: documented |
//! | `logLimit` | D | the same for audit logs | 5: documented |
//! | `directoryLimit` | D | resource units in 10 s for users, groups, roles | 3500: the smallest tenant's |
//! | `conditionalAccessLimit` | D | requests for Conditional Access in a second, for all apps of the tenant | 1: documented |
//! | `whatIf` | D, R against it | `POST /identity/conditionalAccess/evaluate` in v1.0 | true: documented |
//! | `retryAfter` | D, R | form of `Retry-After`: integer, decimal, HTTP date, absent | `integer`: the usual form |
//! | `expiredTokenBody` | R | body of a 401: two messages, or empty | `accessToken`: either is reported |
//! | `innerErrorSpelling` | D | `innerError` or `innererror` | `innerError`: all captures of this service |
//! | `batchThrottled` | D, contradictory | outer status of a batch with throttled items: 200 or 424 | `ok`: the newer page |
//! | `directoryLagSeconds` | D | index lag of `ConsistencyLevel: eventual` queries | 0: how long is not documented |
//! | `privilegedIdentityManagement` | R | what a tenant without the licence answers about eligible roles: false is 400 `AadPremiumLicenseRequired` | true: the tenant has the licence |
//! | `rolesFollowGroups` | R, contradictory | roles held through groups are in `transitiveMemberOf/directoryRole` | true: that is how membership works elsewhere |
//! | `eligibilityOfMembers` | ? | an eligibility of a group is also listed for each of its members | false: those of Azure resources are, those of the directory are not documented |
//! | `addressesAnyCase` | ? | `eq` on `proxyAddresses` disregards case | true: `eq` on other properties does |
//! | `pageSize` | I | objects in a page when `$top` is absent; fewer than 100 also when `$top` asks for more | 100: the documented default of these lists |
//! | `foreignNextLink` | I | next links to another host, which a careful client does not follow | false: Graph links to itself |
//! | `auditLagSeconds` | R | delay of audit entries | 120: the published P95 |
//! | `auditNames` | R | which of the reported activity names is used | `adminSecurityInfo`: documented |
//! | `auditPassIds` | R | rows about passes carry the id of the pass | true: several hunts read it |
//! | `auditAppIds` | R, contradictory | rows name the app by its id | true: hunts look for it; documented samples have null |
//! | `signInLagSeconds` | R | delay of rows about sign-ins | 120: the published P95 |
//! | `premiumLicence` | D | the tenant has P1; without it sign-ins are answered with 403, and so is What If (R) | true: the tenant has the licence |
//! | `gatewayTimeoutSeconds` | D | when a hanging request is answered with 504 | 60: documented for these calls |
//!
//! ## Login
//!
//! | switch | origin | what is uncertain | default, and why |
//! |---|---|---|---|
//! | `tokenLifetimeSeconds` | D, I | lifetime of a token | 3599: the documented sample; real ones vary |
//! | `federatedErrorStatus` | R | HTTP status of a refused federated assertion, 400 or 401 | 401: either is reported |
//! | `federatedReadyAfterSeconds` | R | a new federated credential is unknown for so long | 0: only new credentials are concerned |

use serde::{Deserialize, Serialize};

/// How the tenant behaves where the documentation is silent; see the [module's tables](self).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the module's tables describe each switch")]
#[expect(clippy::struct_excessive_bools, reason = "most switches have two positions")]
pub struct Switches {
    pub policy_key_any_case: bool,
    pub user_targets: UserTargets,
    pub demand_registration_flag: bool,
    pub accept_unknown_targets: bool,
    pub tolerate_annotations: bool,
    pub empty_include_targets: EmptyTargets,
    pub policy_write_answer: PolicyWriteAnswer,
    pub recalculate_default_lifetime: bool,
    pub reset_state: ResetState,
    pub policy_error_code: PolicyErrorCode,
    pub policy_read_lag_seconds: u64,
    pub policy_effect_lag_seconds: u64,

    pub post_over_live_pass: PostOverLivePass,
    pub one_time_enforced: OneTimeEnforced,
    pub multi_use_under_one_time_policy: MultiUse,
    pub default_one_time: DefaultOneTime,
    pub post_while_disabled: CreateOrRefuse,
    pub post_out_of_scope: CreateOrRefuse,
    pub disabled_user_post: CreateOrRefuse,
    pub admin_post: CreateOrRefuse,
    pub past_start: PastStart,
    pub farthest_start_days: Option<u32>,
    pub guest_message_final_dot: bool,
    pub pass_type_in_post: Presence,
    pub context_in_post_answer: bool,
    pub usability_fields: UsabilityFields,
    pub reason_precedence: ReasonPrecedence,
    pub unknown_user_code: UnknownUserCode,
    pub malformed_pass_id: MalformedId,
    pub expired_pass_listed_seconds: Option<u64>,
    pub list_lag_after_post_seconds: u64,
    pub list_lag_after_delete_seconds: u64,
    pub get_lag_after_post_seconds: u64,
    pub get_lag_after_delete_seconds: u64,
    pub use_seen_lag_seconds: u64,
    pub delete_after_post_not_found_seconds: u64,
    pub post_after_delete_conflict_seconds: u64,
    pub usable_lag_seconds: u64,
    pub user_ready_after_seconds: u64,
    pub user_not_ready_answer: NotReadyAnswer,

    pub authentication_method_limit: Option<u32>,
    pub log_limit: Option<u32>,
    pub directory_limit: Option<u32>,
    pub conditional_access_limit: Option<u32>,
    pub what_if: bool,
    pub retry_after: RetryAfterForm,
    pub expired_token_body: ExpiredTokenBody,
    pub inner_error_spelling: InnerErrorSpelling,
    pub batch_throttled: BatchThrottled,
    pub directory_lag_seconds: u64,
    pub privileged_identity_management: bool,
    pub roles_follow_groups: bool,
    pub eligibility_of_members: bool,
    pub addresses_any_case: bool,
    pub page_size: u32,
    pub foreign_next_link: bool,
    pub audit_lag_seconds: u64,
    pub audit_names: AuditNames,
    pub audit_pass_ids: bool,
    pub audit_app_ids: bool,
    pub sign_in_lag_seconds: u64,
    pub premium_licence: bool,
    pub gateway_timeout_seconds: u64,

    pub token_lifetime_seconds: u64,
    pub federated_error_status: u16,
    pub federated_ready_after_seconds: u64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            policy_key_any_case: true,
            user_targets: UserTargets::Accept,
            demand_registration_flag: false,
            accept_unknown_targets: true,
            tolerate_annotations: true,
            empty_include_targets: EmptyTargets::Nobody,
            policy_write_answer: PolicyWriteAnswer::NoContent,
            recalculate_default_lifetime: true,
            reset_state: ResetState::Disabled,
            policy_error_code: PolicyErrorCode::BadRequest,
            policy_read_lag_seconds: 0,
            policy_effect_lag_seconds: 0,
            post_over_live_pass: PostOverLivePass::Replace,
            one_time_enforced: OneTimeEnforced::Refuse,
            multi_use_under_one_time_policy: MultiUse::DisabledByPolicy,
            default_one_time: DefaultOneTime::Policy,
            post_while_disabled: CreateOrRefuse::Create,
            post_out_of_scope: CreateOrRefuse::Refuse,
            disabled_user_post: CreateOrRefuse::Create,
            admin_post: CreateOrRefuse::Create,
            past_start: PastStart::Accept,
            farthest_start_days: None,
            guest_message_final_dot: false,
            pass_type_in_post: Presence::Optional,
            context_in_post_answer: true,
            usability_fields: UsabilityFields::Both,
            reason_precedence: ReasonPrecedence::UsedFirst,
            unknown_user_code: UnknownUserCode::ResourceNotFound,
            malformed_pass_id: MalformedId::BadRequest,
            expired_pass_listed_seconds: None,
            list_lag_after_post_seconds: 0,
            list_lag_after_delete_seconds: 0,
            get_lag_after_post_seconds: 0,
            get_lag_after_delete_seconds: 0,
            use_seen_lag_seconds: 0,
            delete_after_post_not_found_seconds: 0,
            post_after_delete_conflict_seconds: 0,
            usable_lag_seconds: 0,
            user_ready_after_seconds: 0,
            user_not_ready_answer: NotReadyAnswer::NotFound,
            authentication_method_limit: Some(5),
            log_limit: Some(5),
            directory_limit: Some(3_500),
            conditional_access_limit: Some(1),
            what_if: true,
            retry_after: RetryAfterForm::Integer,
            expired_token_body: ExpiredTokenBody::AccessToken,
            inner_error_spelling: InnerErrorSpelling::InnerError,
            batch_throttled: BatchThrottled::Ok,
            directory_lag_seconds: 0,
            privileged_identity_management: true,
            roles_follow_groups: true,
            eligibility_of_members: false,
            addresses_any_case: true,
            page_size: 100,
            foreign_next_link: false,
            audit_lag_seconds: 120,
            audit_names: AuditNames::AdminSecurityInfo,
            audit_pass_ids: true,
            audit_app_ids: true,
            sign_in_lag_seconds: 120,
            premium_licence: true,
            gateway_timeout_seconds: 60,
            token_lifetime_seconds: 3_599,
            federated_error_status: 401,
            federated_ready_after_seconds: 0,
        }
    }
}

/// Declares the two or three positions of a switch.
macro_rules! positions {
    ($(#[doc = $doc:literal] $name:ident { $(#[doc = $of:literal] $position:ident),+ $(,)? })+) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub enum $name { $(#[doc = $of] $position),+ }
    )+};
}

positions! {
    /// A target of type `user`.
    UserTargets {
        /// Accepted, and the user is in scope.
        Accept,
        /// 400.
        Refuse,
    }
    /// A PATCH with an empty `includeTargets`.
    EmptyTargets {
        /// No user is in scope.
        Nobody,
        /// 400.
        Refuse,
    }
    /// The answer to a PATCH.
    PolicyWriteAnswer {
        /// 204 without a body.
        NoContent,
        /// 200 with the new values.
        Ok,
    }
    /// `state` after DELETE.
    ResetState {
        /// `disabled`.
        Disabled,
        /// `enabled`.
        Enabled,
    }
    /// The error code of a refused PATCH.
    PolicyErrorCode {
        /// `badRequest`.
        BadRequest,
        /// An empty string.
        Empty,
    }
    /// POST while a live pass exists.
    PostOverLivePass {
        /// The new pass replaces the old one.
        Replace,
        /// 400.
        Refuse,
        /// 409.
        Conflict,
    }
    /// POST of a multi-use pass under a policy that requires one-time use.
    OneTimeEnforced {
        /// 400.
        Refuse,
        /// The pass is made for one-time use.
        Coerce,
        /// The pass is made as requested.
        Accept,
    }
    /// A multi-use pass once the policy requires one-time use.
    MultiUse {
        /// It cannot be used, and its reason is `DisabledByPolicy`.
        DisabledByPolicy,
        /// It stays usable.
        Usable,
    }
    /// The flag of a pass if the POST has none.
    DefaultOneTime {
        /// The policy's value.
        Policy,
        /// True.
        OneTime,
        /// False, unless the policy requires one-time use.
        MultiUse,
    }
    /// A POST in a case that is not documented.
    CreateOrRefuse {
        /// 201.
        Create,
        /// 400 or 403.
        Refuse,
    }
    /// A start in the past.
    PastStart {
        /// Stored as sent.
        Accept,
        /// 400.
        Refuse,
        /// The pass starts now.
        Now,
    }
    /// A property of a request body.
    Presence {
        /// It may be missing.
        Optional,
        /// 400 if it is missing.
        Required,
    }
    /// The fields that say whether a pass is usable.
    UsabilityFields {
        /// `isUsable` and `methodUsabilityReason`.
        Both,
        /// Only `methodUsabilityReason`.
        ReasonOnly,
        /// Neither.
        Neither,
    }
    /// Which reason is reported if several apply.
    ReasonPrecedence {
        /// Used, expired, disabled, not yet valid.
        UsedFirst,
        /// Disabled, used, expired, not yet valid.
        PolicyFirst,
        /// Expired, used, disabled, not yet valid.
        ExpiredFirst,
    }
    /// The error code for an unknown user on the path of passes.
    UnknownUserCode {
        /// `resourceNotFound`.
        ResourceNotFound,
        /// `userNotFound`.
        UserNotFound,
    }
    /// A pass id that is no GUID.
    MalformedId {
        /// 400.
        BadRequest,
        /// 404.
        NotFound,
    }
    /// How a POST for a user who is not ready yet is refused.
    NotReadyAnswer {
        /// 404.
        NotFound,
        /// 400.
        BadRequest,
        /// 403.
        Forbidden,
    }
    /// The form of `Retry-After`.
    RetryAfterForm {
        /// Whole seconds.
        Integer,
        /// Seconds with a fraction.
        Decimal,
        /// An HTTP date.
        HttpDate,
        /// No header.
        Absent,
    }
    /// The body of a 401.
    ExpiredTokenBody {
        /// The message about the access token.
        AccessToken,
        /// The message about lifetime validation.
        Lifetime,
        /// No body at all.
        Empty,
    }
    /// The spelling of the inner error.
    InnerErrorSpelling {
        /// As the authentication methods service writes it.
        InnerError,
        /// As `OData` writes it.
        Innererror,
    }
    /// The outer status of a batch with throttled items.
    BatchThrottled {
        /// 200.
        Ok,
        /// 424.
        FailedDependency,
    }
    /// The activity name of creating and deleting a pass in the audit log.
    AuditNames {
        /// `Admin registered security info`, with the detail in `resultReason`.
        AdminSecurityInfo,
        /// `Create Temporary Access Pass method for user`.
        CreateMethod,
        /// `User registered security info`.
        UserSecurityInfo,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_switch_is_in_the_tables_and_nothing_else() {
        let described: BTreeSet<&str> = (include_str!("switches.rs").lines())
            .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next())
            .collect();
        let fields = serde_json::to_value(Switches::default()).unwrap();
        let switches: BTreeSet<&str> =
            fields.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, switches);
    }
}
