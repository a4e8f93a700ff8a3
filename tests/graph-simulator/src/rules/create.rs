//! Making a pass.

use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use serde_json::Value;
use uuid::Uuid;

use super::find::{bad_request, restricted};
use crate::{
    audit::{AuditEvent, By, PassFacts},
    clock::{graph_precision, seconds, shifted},
    passes::{Actor, End, ODATA_TYPE, Pass},
    policy::MethodState,
    state::State,
    switches::{
        CreateOrRefuse, DefaultOneTime, OneTimeEnforced, PastStart, PostOverLivePass, Presence,
    },
    tenant::User,
    wire::Refusal,
};

/// Letters, digits and symbols, as in the documented examples, without those that are easily misread.
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789+&=!*%$#@";

/// What a POST asks for.
#[derive(Debug, Default)]
struct Wish {
    start: Option<Timestamp>,
    lifetime_minutes: Option<i64>,
    one_time: Option<bool>,
    typed: bool,
}

impl Wish {
    fn read(body: &Value) -> Result<Self, Refusal> {
        let invalid = |what: &str| {
            Refusal::new(400, "badRequest", format!("Invalid value for '{what}'.")).repeated()
        };
        let fields = body.as_object().ok_or_else(|| invalid("body"))?;
        let mut wish = Self::default();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("@odata.type", Value::String(kind)) if kind == ODATA_TYPE => wish.typed = true,
                ("startDateTime" | "lifetimeInMinutes" | "isUsableOnce", Value::Null) => {}
                ("startDateTime", Value::String(text)) => {
                    let start: Timestamp = text.parse().map_err(|_| invalid(name))?;
                    wish.start = Some(graph_precision(start));
                }
                ("lifetimeInMinutes", Value::Number(number)) => {
                    wish.lifetime_minutes = Some(number.as_i64().ok_or_else(|| invalid(name))?);
                }
                ("isUsableOnce", Value::Bool(flag)) => wish.one_time = Some(*flag),
                _ => return Err(invalid(name)),
            }
        }
        Ok(wish)
    }
}

impl State {
    /// Makes a pass, as POST does and the portal.
    pub(crate) fn create_pass(
        &mut self,
        user_key: &str,
        body: &Value,
        by: Actor,
        client_request_id: Option<&str>,
    ) -> Result<Uuid, Refusal> {
        let now = self.now();
        let user = self.user_with_methods(user_key)?.clone();
        let wish = Wish::read(body)?;
        if self.switches.pass_type_in_post == Presence::Required
            && !wish.typed
            && by != Actor::Portal
        {
            return Err(bad_request("The property '@odata.type' is missing."));
        }
        self.may_have_a_pass(&user)?;

        let policy = self.policy.current();
        let (shortest, longest) =
            (policy.minimum_lifetime_in_minutes, policy.maximum_lifetime_in_minutes);
        let lifetime_minutes = match wish.lifetime_minutes {
            None => policy.default_lifetime_in_minutes,
            // The wording, "is" missing, is Graph's (reported verbatim).
            Some(asked) => u32::try_from(asked).ok().filter(|asked| (shortest..=longest).contains(asked)).ok_or_else(
                || bad_request(format!("Invalid LifetimeInMinutes specified. The valid range between {shortest} and {longest}.")),
            )?,
        };
        let one_time = self.one_time(wish.one_time)?;
        let start = self.start(wish.start)?;

        let switches = &self.switches;
        let just_removed = seconds(switches.post_after_delete_conflict_seconds);
        let removals = self.passes.of_user(user.id).filter_map(Pass::removed_at);
        if removals.into_iter().any(|at| shifted(at, just_removed) > now) {
            return Err(bad_request(
                "Another object with the same value for a property already exists: conflicting object.",
            ));
        }
        let current = self.passes.current(user.id);
        let live = current.is_some_and(|pass| pass.end(now) == End::Live && !pass.is_used_up());
        let exists = "A Temporary Access Pass already exists for this user.";
        match switches.post_over_live_pass {
            PostOverLivePass::Refuse if live => return Err(bad_request(exists)),
            PostOverLivePass::Conflict if live => {
                return Err(Refusal::new(409, "conflict", exists).repeated());
            }
            PostOverLivePass::Replace | PostOverLivePass::Refuse | PostOverLivePass::Conflict => {}
        }

        let id = uuid::Builder::from_random_bytes(self.random.random()).into_uuid();
        let replaces = current.map(|pass| pass.id);
        let length = policy.default_length;
        let code = new_code(length, &mut self.random);
        if let Some(old) = replaces.and_then(|old| self.passes.get_mut(old)) {
            old.remove(now, End::Replaced { at: now, by: by.clone(), with: id });
        }
        // An expired pass had its end already: nothing was replaced.
        let replaces = replaces.filter(|old| {
            self.passes.get(*old).is_some_and(|old| matches!(old.end(now), End::Replaced { .. }))
        });
        let pass = Pass {
            id,
            user: user.id,
            user_principal_name: user.user_principal_name.clone(),
            code,
            made_by: by.clone(),
            client_request_id: client_request_id.map(str::to_owned),
            created: graph_precision(now),
            start: start.unwrap_or_else(|| graph_precision(now)),
            lifetime_minutes,
            one_time,
            told: Vec::new(),
            uses: Vec::new(),
            replaces,
            removal: None,
        };
        let event = AuditEvent::PassRegistered(PassFacts::of(&pass));
        self.passes.add(pass);
        self.audit.record(now, event, By::Actor(by), Some(&user), client_request_id);
        Ok(id)
    }

    fn may_have_a_pass(&self, user: &User) -> Result<(), Refusal> {
        let (switches, directory) = (&self.switches, self.directory.current());
        // What sign-in does not see yet, a POST does not see either: clients repeat it for minutes (reported).
        let lag = seconds(switches.policy_effect_lag_seconds);
        let policy = self.policy.seen(self.now(), lag);
        let refuse = CreateOrRefuse::Refuse;
        if user.is_external() {
            let dot = if switches.guest_message_final_dot { "." } else { "" };
            return Err(bad_request(format!(
                "Temporary Access Pass cannot be added to an external guest user{dot}"
            )));
        }
        if user.is_management_restricted {
            return Err(restricted());
        }
        if !user.account_enabled && switches.disabled_user_post == refuse {
            return Err(bad_request("The user account is disabled."));
        }
        if !directory.roles_of(user.id, true).is_empty() && switches.admin_post == refuse {
            return Err(
                Refusal::new(403, "accessDenied", "Request Authorization failed").repeated()
            );
        }
        if policy.state == MethodState::Disabled && switches.post_while_disabled == refuse {
            return Err(not_allowed());
        }
        if !policy.covers(user.id, &directory.group_ids_of(user.id))
            && switches.post_out_of_scope == refuse
        {
            return Err(not_allowed());
        }
        Ok(())
    }

    fn one_time(&self, asked: Option<bool>) -> Result<bool, Refusal> {
        let enforced = self.policy.current().is_usable_once;
        let asked = asked.unwrap_or(match self.switches.default_one_time {
            DefaultOneTime::Policy | DefaultOneTime::MultiUse => enforced,
            DefaultOneTime::OneTime => true,
        });
        match self.switches.one_time_enforced {
            _ if asked || !enforced => Ok(asked),
            OneTimeEnforced::Coerce => Ok(true),
            OneTimeEnforced::Accept => Ok(false),
            OneTimeEnforced::Refuse => {
                Err(bad_request("A multi-use Temporary Access Pass is not allowed by policy."))
            }
        }
    }

    fn start(&self, asked: Option<Timestamp>) -> Result<Option<Timestamp>, Refusal> {
        let (now, switches) = (self.now(), &self.switches);
        let Some(start) = asked else { return Ok(None) };
        if let Some(days) = switches.farthest_start_days
            && start > shifted(now, SignedDuration::from_hours(24 * i64::from(days)))
        {
            return Err(bad_request("Invalid StartDateTime specified."));
        }
        match switches.past_start {
            PastStart::Accept => Ok(Some(start)),
            _ if start >= now => Ok(Some(start)),
            PastStart::Now => Ok(None),
            PastStart::Refuse => Err(bad_request("Invalid StartDateTime specified.")),
        }
    }
}

fn new_code(length: u32, random: &mut impl rand::Rng) -> String {
    (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

/// The method is disabled, or does not include the user, or not yet (reported, word for word).
fn not_allowed() -> Refusal {
    bad_request(
        "Converged UserCredentialPolicy does not allow creating or updating this authentication method. AuthMethodType [TemporaryAccessPass].",
    )
}
