//! Passes as Graph writes them.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::json::{Unreadable, instant, lenient, lenient_name, name, read};
use crate::entra::{NewPass, PassCode, TapMethod, UsabilityReason};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct PassAnswer {
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

/// Parses the answer that contains a code. The code is parsed separately, so that no type that can be printed has a copy.
pub(in crate::graph) fn created(body: &[u8]) -> Result<(TapMethod, PassCode), Unreadable> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct CodeAnswer<'a> {
        // Borrowed unless the code contains escapes.
        #[serde(borrow)]
        temporary_access_pass: Cow<'a, str>,
    }
    let method: PassAnswer = read(body)?;
    let code: CodeAnswer<'_> = read(body)?;
    if code.temporary_access_pass.is_empty() {
        return Err(Unreadable::because("an empty code"));
    }
    Ok((method.into(), PassCode::new(code.temporary_access_pass.into_owned())))
}

/// The body of the POST. The name of the type is optional (documented by examples). It is sent because Microsoft's own
/// clients send it, so a tenant may come to require it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct NewPassBody {
    #[serde(rename = "@odata.type")]
    odata_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date_time: Option<Timestamp>,
    lifetime_in_minutes: u32,
    is_usable_once: bool,
}

impl From<&NewPass> for NewPassBody {
    fn from(new: &NewPass) -> Self {
        Self {
            odata_type: "#microsoft.graph.temporaryAccessPassAuthenticationMethod",
            start_date_time: new.start,
            lifetime_in_minutes: new.lifetime_minutes,
            is_usable_once: new.one_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Page;
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn written(value: &impl Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn a_new_pass_sends_its_start_only_if_it_has_one() {
        let new = NewPass { start: None, lifetime_minutes: 120, one_time: true };
        let expected = json!({
            "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod",
            "lifetimeInMinutes": 120, "isUsableOnce": true,
        });
        assert_eq!(written(&NewPassBody::from(&new)), expected);
        let new = NewPass { start: Some(at("2026-11-23T08:00:00Z")), ..new };
        let start = &written(&NewPassBody::from(&new))["startDateTime"];
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
    fn an_answer_without_a_code_is_refused() {
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
    fn an_unreadable_answer_is_never_quoted() {
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
    fn passes_are_read_without_optional_fields() {
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
        assert!(read::<Page<PassAnswer>>(b"{}").is_err(), "a missing list is not an empty list");
    }
}
