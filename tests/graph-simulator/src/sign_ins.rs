//! The log of sign-ins. Like v1.0 of Graph it says who signed in, when, where from, to what and with which result, and not by
//! which method.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    clock::{graph_time, seconds, shifted},
    rules::sign_in::SignInError,
    switches::Switches,
    tenant::User,
};

/// How many rows are kept: the newest.
const MOST: usize = 100_000;

/// One row.
#[derive(Debug)]
struct Row {
    id: Uuid,
    at: Timestamp,
    user_id: Uuid,
    user_principal_name: String,
    error: Option<SignInError>,
}

/// The log, oldest first.
#[derive(Debug, Default)]
pub(crate) struct SignInLog {
    rows: VecDeque<Row>,
}

impl SignInLog {
    /// Adds the sign-in of a user; `error` says why it failed.
    pub(crate) fn record(&mut self, at: Timestamp, user: &User, error: Option<SignInError>) {
        if self.rows.len() == MOST {
            self.rows.pop_front();
        }
        self.rows.push_back(Row {
            id: Uuid::new_v4(),
            at,
            user_id: user.id,
            user_principal_name: user.user_principal_name.clone(),
            error,
        });
    }

    /// The rows that have arrived, newest first.
    pub(crate) fn arrived(&self, now: Timestamp, switches: &Switches) -> Vec<Value> {
        let lag = seconds(switches.sign_in_lag_seconds);
        let arrived = self.rows.iter().rev().filter(|row| shifted(row.at, lag) <= now);
        arrived.map(Row::wire).collect()
    }
}

impl Row {
    fn wire(&self) -> Value {
        let (code, reason) = self.error.map_or((0, "Other."), result);
        json!({
            "id": self.id,
            "createdDateTime": graph_time(self.at),
            "userDisplayName": null,
            "userPrincipalName": self.user_principal_name,
            "userId": self.user_id,
            "appId": "19db86c3-b2b9-44cc-b339-36da233a3be2",
            "appDisplayName": "My Signins",
            "ipAddress": "203.0.113.7",
            "clientAppUsed": "Browser",
            "correlationId": self.id,
            "conditionalAccessStatus": "notApplied",
            "isInteractive": true,
            "resourceDisplayName": "Microsoft Graph",
            "resourceId": "00000003-0000-0000-c000-000000000000",
            "status": {"errorCode": code, "failureReason": reason, "additionalDetails": null},
            "location": {"city": "Bern", "state": "Bern", "countryOrRegion": "CH"},
        })
    }
}

/// The error code and its text (reported).
fn result(error: SignInError) -> (i32, &'static str) {
    match error {
        SignInError::UnknownUser => (50034, "The user account does not exist."),
        SignInError::AccountDisabled => (50057, "The user account is disabled."),
        SignInError::WrongCode => (
            130_503,
            "Your Temporary Access Pass is incorrect. If you don't know your pass, contact your administrator.",
        ),
        SignInError::OneTimeUsed => (
            130_505,
            "Your one-time Temporary Access Pass has been redeemed. Contact your admin to get a new pass.",
        ),
        SignInError::Expired => (
            130_504,
            "Your Temporary Access Pass has expired. Contact your administrator to obtain a new pass.",
        ),
        SignInError::NotYetValid => {
            (130_507, "An access pass could not be found or verified for the user.")
        }
        SignInError::DisabledByPolicy => {
            (130_502, "Temporary Access Pass sign in was blocked due to User Credential Policy.")
        }
        SignInError::BlockedByConditionalAccess => {
            (53_003, "Access has been blocked by Conditional Access policies.")
        }
    }
}
