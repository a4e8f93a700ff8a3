//! Graph's JSON, read leniently: what is unknown is left out, what is missing is `None`, and only what cannot be done
//! without (an id, the code) makes an answer unreadable.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp, civil, fmt::rfc2822, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::PassCode;
use super::types::{
    DirectoryRole, GraphTarget, Identity, MethodConfiguration, MethodPatch, MethodState, NewPass,
    TapMethod, UsabilityReason, User,
};

/// An answer that is not what it should be. Says where and how, never what stood there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer cannot be read ({what} in line {line}, column {column})")]
pub(super) struct Unreadable {
    what: &'static str,
    line: usize,
    column: usize,
}

/// Reads an answer's body.
///
/// The parser's own message quotes what it found, which may be a secret: only the place is kept.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| Unreadable {
        what: match error.classify() {
            serde_json::error::Category::Data => "an unexpected value",
            serde_json::error::Category::Eof => "an end too early",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "no JSON",
        },
        line: error.line(),
        column: error.column(),
    })
}

/// A value of any other type counts as absent.
fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Wanted(T),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Option::<Either<T>>::deserialize(from)? {
        Some(Either::Wanted(value)) => Some(value),
        Some(Either::Other(_)) | None => None,
    })
}

/// A date and time; without a zone it is UTC, as Graph writes some.
fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = lenient(from)?;
    Ok(text.and_then(|text| {
        text.parse().ok().or_else(|| {
            let local: civil::DateTime = text.parse().ok()?;
            Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
        })
    }))
}

/// A list; null and absence are an empty one.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// One page of a collection.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct Page<T> {
    pub(super) value: Vec<T>,
    #[serde(rename = "@odata.nextLink", default)]
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MethodAnswer {
    state: String,
    #[serde(default, deserialize_with = "lenient")]
    default_lifetime_in_minutes: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    minimum_lifetime_in_minutes: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    maximum_lifetime_in_minutes: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    default_length: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    is_usable_once: Option<bool>,
    // Who may sign in decides whether a pass is refused: lists that cannot be read are no empty lists.
    include_targets: Vec<TargetForm>,
    #[serde(default, deserialize_with = "list")]
    exclude_targets: Vec<TargetForm>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetForm {
    target_type: String,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_registration_required: Option<bool>,
}

impl From<TargetForm> for GraphTarget {
    fn from(form: TargetForm) -> Self {
        let TargetForm { target_type, id, is_registration_required } = form;
        Self { id, target_type, is_registration_required }
    }
}

impl From<MethodAnswer> for MethodConfiguration {
    fn from(answer: MethodAnswer) -> Self {
        Self {
            state: match answer.state.to_ascii_lowercase().as_str() {
                "enabled" => MethodState::Enabled,
                "disabled" => MethodState::Disabled,
                _ => MethodState::Other(answer.state),
            },
            default_lifetime_minutes: answer.default_lifetime_in_minutes,
            minimum_lifetime_minutes: answer.minimum_lifetime_in_minutes,
            maximum_lifetime_minutes: answer.maximum_lifetime_in_minutes,
            default_length: answer.default_length,
            one_time_required: answer.is_usable_once,
            include: answer.include_targets.into_iter().map(Into::into).collect(),
            exclude: answer.exclude_targets.into_iter().map(Into::into).collect(),
        }
    }
}

/// The body of the PATCH. Graph requires the type's name in it (documented).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MethodPatchForm {
    #[serde(rename = "@odata.type")]
    odata_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_lifetime_in_minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_lifetime_in_minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_lifetime_in_minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_length: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_usable_once: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_targets: Option<Vec<TargetForm>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude_targets: Option<Vec<TargetForm>>,
}

impl From<&MethodPatch> for MethodPatchForm {
    fn from(patch: &MethodPatch) -> Self {
        let targets = |targets: &Option<Vec<GraphTarget>>, included: bool| {
            targets.as_ref().map(|targets| {
                (targets.iter())
                    .map(|target| TargetForm {
                        target_type: target.target_type.clone(),
                        id: target.id.clone(),
                        // An excludeTarget has no such property.
                        is_registration_required: target
                            .is_registration_required
                            .filter(|_| included),
                    })
                    .collect()
            })
        };
        Self {
            odata_type: "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration",
            state: patch.state.as_ref().map(|state| match state {
                MethodState::Enabled => "enabled".into(),
                MethodState::Disabled => "disabled".into(),
                MethodState::Other(other) => other.clone(),
            }),
            default_lifetime_in_minutes: patch.default_lifetime_minutes,
            minimum_lifetime_in_minutes: patch.minimum_lifetime_minutes,
            maximum_lifetime_in_minutes: patch.maximum_lifetime_minutes,
            default_length: patch.default_length,
            is_usable_once: patch.one_time_required,
            include_targets: targets(&patch.include, true),
            exclude_targets: targets(&patch.exclude, false),
        }
    }
}

/// What [`UserAnswer`] needs; some of it comes only when asked for.
pub(super) const USER_FIELDS: &str =
    "id,userPrincipalName,displayName,accountEnabled,userType,identities,externalUserState";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserAnswer {
    id: String,
    user_principal_name: String,
    #[serde(default, deserialize_with = "lenient")]
    display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    account_enabled: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    user_type: Option<String>,
    #[serde(default, deserialize_with = "list")]
    identities: Vec<IdentityAnswer>,
    #[serde(default, deserialize_with = "lenient")]
    external_user_state: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityAnswer {
    #[serde(default)]
    sign_in_type: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    issuer_assigned_id: Option<String>,
}

impl From<UserAnswer> for User {
    fn from(answer: UserAnswer) -> Self {
        Self {
            id: answer.id,
            user_principal_name: answer.user_principal_name,
            display_name: answer.display_name,
            account_enabled: answer.account_enabled,
            user_type: answer.user_type,
            identities: (answer.identities.into_iter())
                .map(|identity| Identity {
                    sign_in_type: identity.sign_in_type,
                    issuer: identity.issuer,
                    issuer_assigned_id: identity.issuer_assigned_id,
                })
                .collect(),
            external_user_state: answer.external_user_state,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberGroupsForm<'a> {
    pub(super) group_ids: &'a [String],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoleAnswer {
    // With too few rights Graph answers objects without their fields: they are kept, for they are roles all the same.
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    role_template_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    display_name: Option<String>,
}

impl From<RoleAnswer> for DirectoryRole {
    fn from(answer: RoleAnswer) -> Self {
        Self {
            id: answer.id.unwrap_or_default(),
            template_id: answer.role_template_id,
            display_name: answer.display_name,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupAnswer {
    pub(super) display_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PassAnswer {
    id: String,
    #[serde(default, deserialize_with = "instant")]
    created_date_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "instant")]
    start_date_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    lifetime_in_minutes: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    is_usable_once: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    is_usable: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    method_usability_reason: Option<String>,
}

impl From<PassAnswer> for TapMethod {
    fn from(answer: PassAnswer) -> Self {
        Self {
            id: answer.id,
            created: answer.created_date_time,
            start: answer.start_date_time,
            lifetime_minutes: answer.lifetime_in_minutes,
            one_time: answer.is_usable_once,
            usable: answer.is_usable,
            reason: answer.method_usability_reason.map(|reason| match reason.as_str() {
                "EnabledByPolicy" => UsabilityReason::EnabledByPolicy,
                "DisabledByPolicy" => UsabilityReason::DisabledByPolicy,
                "Expired" => UsabilityReason::Expired,
                "NotYetValid" => UsabilityReason::NotYetValid,
                "OneTimeUsed" => UsabilityReason::OneTimeUsed,
                _ => UsabilityReason::Other(reason),
            }),
        }
    }
}

/// The answer that carries a code: read in two steps, so that nothing with a copy of it can be printed.
pub(super) fn created(body: &[u8]) -> Result<(TapMethod, PassCode), Unreadable> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct CodeAnswer<'a> {
        // Borrowed, unless the code was sent with escapes.
        #[serde(borrow)]
        temporary_access_pass: Cow<'a, str>,
    }
    let method: PassAnswer = read(body)?;
    let code: CodeAnswer<'_> = read(body)?;
    if code.temporary_access_pass.is_empty() {
        return Err(Unreadable { what: "an empty code", line: 0, column: 0 });
    }
    Ok((method.into(), PassCode::new(code.temporary_access_pass.into_owned())))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPassForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date_time: Option<Timestamp>,
    lifetime_in_minutes: u32,
    is_usable_once: bool,
}

impl From<&NewPass> for NewPassForm {
    fn from(new: &NewPass) -> Self {
        Self {
            start_date_time: new.start,
            lifetime_in_minutes: new.lifetime_minutes,
            is_usable_once: new.one_time,
        }
    }
}

/// What an error answer says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorAnswer {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) request_id: Option<String>,
    pub(super) client_request_id: Option<String>,
}

/// Reads an error envelope; `None` for a body that is none, such as a proxy's HTML.
pub(super) fn error(body: &[u8]) -> Option<ErrorAnswer> {
    #[derive(Deserialize)]
    struct Envelope {
        error: Main,
    }
    #[derive(Deserialize)]
    struct Main {
        #[serde(default, deserialize_with = "lenient")]
        code: Option<String>,
        #[serde(default, deserialize_with = "lenient")]
        message: Option<String>,
        // Two spellings are in use.
        #[serde(
            default,
            alias = "innererror",
            rename = "innerError",
            deserialize_with = "lenient"
        )]
        inner: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(default, rename = "request-id")]
        request_id: Option<String>,
        #[serde(default, rename = "client-request-id")]
        client_request_id: Option<String>,
    }
    let main = read::<Envelope>(body).ok()?.error;
    let (request_id, client_request_id) =
        main.inner.map_or((None, None), |inner| (inner.request_id, inner.client_request_id));
    Some(ErrorAnswer {
        code: main.code.map(|code| printable(&code, 80)).unwrap_or_default(),
        message: main.message.map(|message| printable(&message, 400)).unwrap_or_default(),
        request_id: request_id.map(|id| printable(&id, 80)),
        client_request_id: client_request_id.map(|id| printable(&id, 80)),
    })
}

/// What Entra says when it gives no token.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct TokenErrorAnswer {
    /// OAuth's error.
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u64>,
}

impl TokenErrorAnswer {
    /// Entra's numbers for it; older answers have them only in the text.
    pub(super) fn numbers(&self) -> Vec<u64> {
        if !self.error_codes.is_empty() {
            return self.error_codes.clone();
        }
        let after = self.error_description.split("AADSTS").nth(1).unwrap_or_default();
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().into_iter().collect()
    }

    /// The first sentence: what follows are ids and times, which change with each attempt.
    pub(super) fn sentence(&self) -> String {
        let first = self.error_description.lines().next().unwrap_or_default();
        // The number is told beside it.
        let first = match first.split_once(": ") {
            Some((mark, rest)) if mark.starts_with("AADSTS") => rest,
            _ => first,
        };
        let end = ["Trace ID:", "Correlation ID:", "Timestamp:"]
            .iter()
            .filter_map(|mark| first.find(mark))
            .min()
            .unwrap_or(first.len());
        printable(first.get(..end).unwrap_or(first).trim_end(), 400)
    }
}

/// Text from outside, fit for a line of a log: without control characters, and not longer than it should be.
pub(super) fn printable(text: &str, longest: usize) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut kept: String = characters.by_ref().take(longest).collect();
    if characters.next().is_some() {
        kept.push('…');
    }
    kept
}

/// The answer's `Date`.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(http::header::DATE)?.to_str().ok()?)
}

fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// `Retry-After`: seconds, which Graph also writes with a fraction (documented sample), or a date.
///
/// A date is counted from the answer's own `Date`, so that a wrong local clock does no harm.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        // Not a number, negative or beyond any duration: as good as absent.
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let wait: SignedDuration = http_date(text)?.duration_since(date(headers).unwrap_or(now));
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

/// What stands in an access token.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TokenClaims {
    /// The granted application permissions.
    #[serde(default)]
    pub(super) roles: Vec<String>,
    /// The tenant.
    #[serde(default)]
    pub(super) tid: Option<String>,
}

/// Reads a token's claims without checking its signature: good enough for a hint, never for trust.
pub(super) fn token_claims(token: &str) -> Option<TokenClaims> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = token.split('.').nth(1)?;
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?);
    read(&claims).ok()
}
