//! Graph's JSON, read leniently: what is unknown is left out, what is missing is `None`, and only what cannot be done
//! without (an id, the code) makes an answer unreadable.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp, civil, fmt::rfc2822, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::PassCode;
use super::pacing::LONGEST_CLOSURE;
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

/// The longest name or id, in bytes: four times what Entra lets a name be. They are written into statuses and annotations.
const LONGEST_NAME: usize = 1024;

/// A name or an id that can be one.
fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.len() > LONGEST_NAME {
        return Err(serde::de::Error::custom("too long for a name"));
    }
    Ok(text)
}

/// The same; what cannot be one counts as absent.
fn lenient_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(lenient(from)?.filter(|text: &String| text.len() <= LONGEST_NAME))
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
    #[serde(deserialize_with = "name")]
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
    #[serde(deserialize_with = "name")]
    target_type: String,
    #[serde(deserialize_with = "name")]
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
    #[serde(deserialize_with = "name")]
    id: String,
    #[serde(deserialize_with = "name")]
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
    #[serde(default, deserialize_with = "lenient_name")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
    role_template_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_name")]
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
pub(super) struct RoleGroupAnswer {
    #[serde(deserialize_with = "name")]
    pub(super) id: String,
    // Null to who may not read groups: such a group may well hold a role.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) is_assignable_to_role: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EligibleRoleAnswer {
    #[serde(default, deserialize_with = "lenient_name")]
    pub(super) role_definition_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupAnswer {
    #[serde(deserialize_with = "name")]
    pub(super) display_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PassAnswer {
    #[serde(deserialize_with = "name")]
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
    #[serde(default, deserialize_with = "lenient_name")]
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

/// The body of the POST. Its type's name is optional (documented by examples), and Microsoft's own clients send it: a
/// tenant that demanded it would be no surprise.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPassForm {
    #[serde(rename = "@odata.type")]
    odata_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date_time: Option<Timestamp>,
    lifetime_in_minutes: u32,
    is_usable_once: bool,
}

impl From<&NewPass> for NewPassForm {
    fn from(new: &NewPass) -> Self {
        Self {
            odata_type: "#microsoft.graph.temporaryAccessPassAuthenticationMethod",
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
    pub(super) request_id: Option<Box<str>>,
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
    }
    let main = read::<Envelope>(body).ok()?.error;
    Some(ErrorAnswer {
        code: main.code.map(|code| printable(&code, 80)).unwrap_or_default(),
        message: main.message.map(|message| printable(&message, 400)).unwrap_or_default(),
        request_id: main.inner.and_then(|inner| Some(printable(&inner.request_id?, 80).into())),
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
    let wait = if let Ok(seconds) = text.parse::<f64>() {
        // Not a number, negative or beyond any duration: as good as absent.
        Duration::try_from_secs_f64(seconds).ok()?
    } else {
        let wait: SignedDuration = http_date(text)?.duration_since(date(headers).unwrap_or(now));
        Duration::try_from(wait).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST_CLOSURE))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            })
            .collect()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn written(value: &impl Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn names_that_can_be_none_are_not_taken_over() {
        for (length, is_name) in [(LONGEST_NAME, true), (LONGEST_NAME + 1, false)] {
            let name = "n".repeat(length);
            let user = json!({ "id": "1", "userPrincipalName": name }).to_string();
            assert_eq!(read::<UserAnswer>(user.as_bytes()).is_ok(), is_name);
            let pass = json!({ "id": name }).to_string();
            assert_eq!(read::<PassAnswer>(pass.as_bytes()).is_ok(), is_name);
            let role = json!({ "id": "1", "displayName": name }).to_string();
            let role: RoleAnswer = read(role.as_bytes()).unwrap();
            assert_eq!(role.display_name.is_some(), is_name);
        }
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        let now = at("2026-11-23T08:00:00Z");
        for (value, expected) in [
            ("5", Some(5.0)),
            ("2.128", Some(2.128)),
            (" 10 ", Some(10.0)),
            ("0", Some(0.0)),
            ("86400", Some(600.0)),
            ("-3", None),
            ("NaN", None),
            ("1e400", None),
            ("soon", None),
            ("", None),
            ("Mon, 23 Nov 2026 08:00:07 GMT", Some(7.0)),
            ("Mon, 23 Nov 2026 07:59:00 GMT", Some(0.0)),
        ] {
            let wait = retry_after(&headers(&[("retry-after", value)]), now);
            assert_eq!(wait.map(|wait| wait.as_secs_f64()), expected, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
        // The answer's own clock counts, not ours.
        let theirs = headers(&[
            ("date", "Mon, 23 Nov 2026 09:00:00 GMT"),
            ("retry-after", "Mon, 23 Nov 2026 09:00:07 GMT"),
        ]);
        assert_eq!(retry_after(&theirs, now), Some(Duration::from_secs(7)));
    }

    #[test]
    fn dates_of_answers() {
        let date_of = |value| date(&headers(&[("date", value)]));
        assert_eq!(date_of("Mon, 23 Nov 2026 08:00:00 GMT"), Some(at("2026-11-23T08:00:00Z")));
        assert_eq!(date_of("yesterday"), None);
        assert_eq!(date(&HeaderMap::new()), None);
    }

    #[test]
    fn the_documented_method_is_read() {
        let body = br##"{
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#authenticationMethodConfigurations/$entity",
            "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration",
            "id": "TemporaryAccessPass", "state": "enabled",
            "defaultLifetimeInMinutes": 60, "defaultLength": 8,
            "minimumLifetimeInMinutes": 60, "maximumLifetimeInMinutes": 480, "isUsableOnce": false,
            "includeTargets@odata.context": "https://graph.microsoft.com/...",
            "includeTargets": [{"targetType": "group", "id": "all_users", "isRegistrationRequired": false}],
            "excludeTargets": [{"targetType": "group", "id": "91aa"}],
            "somethingNew": {"deep": [1]}}"##;
        let method: MethodConfiguration = read::<MethodAnswer>(body).unwrap().into();
        let target = |id: &str, required| GraphTarget {
            id: id.into(),
            target_type: "group".into(),
            is_registration_required: required,
        };
        assert_eq!(
            method,
            MethodConfiguration {
                state: MethodState::Enabled,
                default_lifetime_minutes: Some(60),
                minimum_lifetime_minutes: Some(60),
                maximum_lifetime_minutes: Some(480),
                default_length: Some(8),
                one_time_required: Some(false),
                include: vec![target("all_users", Some(false))],
                exclude: vec![target("91aa", None)],
            }
        );
    }

    #[test]
    fn a_method_without_its_numbers_is_read_but_not_one_without_its_targets() {
        let body = br#"{"state": "paused", "defaultLifetimeInMinutes": null, "defaultLength": "8",
            "includeTargets": []}"#;
        let method: MethodConfiguration = read::<MethodAnswer>(body).unwrap().into();
        assert_eq!(method.state, MethodState::Other("paused".into()));
        assert_eq!((method.default_lifetime_minutes, method.default_length), (None, None));
        assert!(read::<MethodAnswer>(br#"{"state": "enabled"}"#).is_err());
    }

    #[test]
    fn a_patch_sends_what_is_set_and_nothing_else() {
        let odata_type = "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration";
        let patch = MethodPatch { default_length: Some(14), ..MethodPatch::default() };
        assert_eq!(
            written(&MethodPatchForm::from(&patch)),
            json!({"@odata.type": odata_type, "defaultLength": 14})
        );
        let target = GraphTarget {
            id: "6c1f".into(),
            target_type: "group".into(),
            is_registration_required: Some(true),
        };
        let patch = MethodPatch {
            state: Some(MethodState::Disabled),
            minimum_lifetime_minutes: Some(10),
            default_lifetime_minutes: Some(20),
            maximum_lifetime_minutes: Some(30),
            default_length: Some(8),
            one_time_required: Some(true),
            include: Some(vec![target.clone()]),
            exclude: Some(vec![target]),
        };
        assert_eq!(
            written(&MethodPatchForm::from(&patch)),
            json!({
                "@odata.type": odata_type, "state": "disabled", "minimumLifetimeInMinutes": 10,
                "defaultLifetimeInMinutes": 20, "maximumLifetimeInMinutes": 30, "defaultLength": 8,
                "isUsableOnce": true,
                "includeTargets": [{"targetType": "group", "id": "6c1f", "isRegistrationRequired": true}],
                "excludeTargets": [{"targetType": "group", "id": "6c1f"}],
            })
        );
        let cleared = MethodPatch { exclude: Some(vec![]), ..MethodPatch::default() };
        assert_eq!(written(&MethodPatchForm::from(&cleared))["excludeTargets"], json!([]));
        assert!(MethodPatch::default().is_empty() && !cleared.is_empty());
    }

    #[test]
    fn a_new_pass_sends_its_start_only_if_it_has_one() {
        let new = NewPass { start: None, lifetime_minutes: 120, one_time: true };
        let expected = json!({
            "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod",
            "lifetimeInMinutes": 120, "isUsableOnce": true,
        });
        assert_eq!(written(&NewPassForm::from(&new)), expected);
        let new = NewPass { start: Some(at("2026-11-23T08:00:00Z")), ..new };
        let start = &written(&NewPassForm::from(&new))["startDateTime"];
        assert_eq!(start, &json!("2026-11-23T08:00:00Z"));
    }

    #[test]
    fn the_documented_answer_to_a_post_is_read() {
        let body = br##"{"@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod",
            "id": "6f1967b7-15e8-4935-ac26-d50770ed07a7", "temporaryAccessPass": "+drkzqAD",
            "createdDateTime": "2022-06-02T16:21:09.765173Z", "startDateTime": "2022-06-05T00:00:00Z",
            "lifetimeInMinutes": 60, "isUsableOnce": false, "isUsable": false,
            "methodUsabilityReason": "NotYetValid"}"##;
        let (method, code) = created(body).unwrap();
        assert_eq!(code.expose(), "+drkzqAD");
        assert_eq!(
            method,
            TapMethod {
                id: "6f1967b7-15e8-4935-ac26-d50770ed07a7".into(),
                created: Some(at("2022-06-02T16:21:09.765173Z")),
                start: Some(at("2022-06-05T00:00:00Z")),
                lifetime_minutes: Some(60),
                one_time: Some(false),
                usable: Some(false),
                reason: Some(UsabilityReason::NotYetValid),
            }
        );
    }

    #[test]
    fn codes_with_escapes_come_out_whole() {
        let (_, code) =
            created(br#"{"id": "1", "temporaryAccessPass": "nc+\u0026G=x\"\\"}"#).unwrap();
        assert_eq!(code.expose(), "nc+&G=x\"\\");
    }

    #[test]
    fn an_answer_without_a_code_is_none() {
        for body in [
            r#"{"id": "1"}"#,
            r#"{"id": "1", "temporaryAccessPass": null}"#,
            r#"{"id": "1", "temporaryAccessPass": ""}"#,
            r#"{"temporaryAccessPass": "+drkzqAD"}"#,
            r#"{"id": "1", "temporaryAccessPass": "+drkzqAD""#,
            "",
        ] {
            assert!(created(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_never_quoted() {
        for body in [
            r#"{"id": "1", "temporaryAccessPass": 12345678}"#,
            r#"{"id": {"no": "12345678"}, "temporaryAccessPass": "12345678"}"#,
            r#"{"id": "1", "temporaryAccessPass": "12345678", 12345678"#,
        ] {
            let error = created(body.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("1234"), "{error:?}");
        }
    }

    #[test]
    fn passes_are_read_with_what_they_have() {
        let body = br#"{"value": [
            {"id": "1", "temporaryAccessPass": null, "createdDateTime": "2022-06-02T16:21:09.7651732Z",
             "startDateTime": "2022-06-05T00:00:00", "lifetimeInMinutes": -5,
             "methodUsabilityReason": "SomethingNew"},
            {"id": "2", "startDateTime": null, "isUsable": "yes", "methodUsabilityReason": "OneTimeUsed"}]}"#;
        let page: Page<PassAnswer> = read(body).unwrap();
        let passes: Vec<TapMethod> = page.value.into_iter().map(Into::into).collect();
        assert_eq!(passes[0].created, Some(at("2022-06-02T16:21:09.7651732Z")));
        assert_eq!(passes[0].start, Some(at("2022-06-05T00:00:00Z")), "without a zone it is UTC");
        assert_eq!(passes[0].lifetime_minutes, None);
        assert_eq!(passes[0].reason, Some(UsabilityReason::Other("SomethingNew".into())));
        assert_eq!((passes[1].start, passes[1].usable), (None, None));
        assert_eq!(passes[1].reason, Some(UsabilityReason::OneTimeUsed));
        assert!(read::<Page<PassAnswer>>(br#"{"value": [{"isUsable": true}]}"#).is_err());
        assert!(read::<Page<PassAnswer>>(b"{}").is_err(), "no list is no empty list");
    }

    #[test]
    fn roles_that_are_not_told_in_full_are_kept() {
        let body = br##"{"value": [{"@odata.type": "#microsoft.graph.directoryRole", "id": "1",
            "displayName": null, "roleTemplateId": null}, {}]}"##;
        let page: Page<RoleAnswer> = read(body).unwrap();
        let roles: Vec<DirectoryRole> = page.value.into_iter().map(Into::into).collect();
        let unknown =
            |id: &str| DirectoryRole { id: id.into(), template_id: None, display_name: None };
        assert_eq!(roles, [unknown("1"), unknown("")]);
    }

    #[test]
    fn error_envelopes_in_both_spellings() {
        let told = error(
            br#"{"error":{"code":"badRequest","message":"Invalid LifetimeInMinutes specified.",
            "innerError":{"message":"x","date":"2021-04-01T17:02:01","request-id":"r","client-request-id":"c"}}}"#,
        );
        let told = told.unwrap();
        assert_eq!((told.code.as_str(), told.request_id.as_deref()), ("badRequest", Some("r")));
        assert_eq!(told.message, "Invalid LifetimeInMinutes specified.");
        let told = error(br#"{"error":{"code":"","message":"m","innererror":{"request-id":"r"}}}"#);
        assert_eq!(told.unwrap().request_id.as_deref(), Some("r"));
        let told = error(br#"{"error":{"message":"a\r\nb\u001b[31m"}}"#).unwrap();
        assert_eq!(told.message, "a  b [31m", "nothing from outside moves a terminal");
        let told = error(br#"{"error":{"innerError":"odd"}}"#).unwrap();
        assert_eq!(told, ErrorAnswer::default());
        for none in [&b"<html>"[..], b"", b"{}", br#"{"error": "invalid_client"}"#] {
            assert_eq!(error(none), None);
        }
    }

    #[test]
    fn long_messages_are_cut() {
        assert_eq!(printable("żółw", 4), "żółw");
        assert_eq!(printable("żółwie", 4), "żółw…");
    }

    #[test]
    fn what_entra_says_is_told_without_what_changes() {
        let answer: TokenErrorAnswer = read(
            br#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: 1b\r\nCorrelation ID: 2c\r\nTimestamp: 2026-11-23 08:00:00Z","error_codes":[7000215],"trace_id":"1b"}"#,
        )
        .unwrap();
        assert_eq!(answer.sentence(), "Invalid client secret provided.");
        assert_eq!(answer.numbers(), [7_000_215]);
        let answer: TokenErrorAnswer =
            read(br#"{"error":"x","error_description":"AADSTS90002: Tenant not found."}"#).unwrap();
        assert_eq!(
            (answer.numbers(), answer.sentence()),
            (vec![90_002], "Tenant not found.".into())
        );
        assert_eq!(read::<TokenErrorAnswer>(b"{}").unwrap().numbers(), [0; 0]);
    }
}
