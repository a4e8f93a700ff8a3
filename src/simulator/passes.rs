//! The life of a pass: made, told, used, and ended exactly once.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    audit::AuditEvent,
    clock::{graph_precision, graph_time, seconds, shifted},
    policy::MethodState,
    state::State,
    switches::{
        CreateOrRefuse, DefaultOneTime, MalformedId, MultiUse, NotReadyAnswer, OneTimeEnforced,
        PastStart, PostOverLivePass, Presence, ReasonPrecedence, UnknownUserCode, UsabilityFields,
    },
    tenant::User,
    wire::Refusal,
};

/// The type name of a pass (documented).
const ODATA_TYPE: &str = "#microsoft.graph.temporaryAccessPassAuthenticationMethod";
/// Letters, digits and symbols, as in the documented examples, without those that are easily misread.
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789+&=!*%$#@";

/// Who did something in the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Actor {
    /// An app, through Graph.
    App {
        /// Its client id.
        client_id: Uuid,
        /// Its name.
        name: String,
    },
    /// A person in the portal.
    Portal,
}

/// An answer that carried a code, and whether it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Telling {
    /// The number of the request in the log.
    pub request: u64,
    /// When.
    pub at: Timestamp,
    /// False: the answer was lost, so nobody knows the code.
    pub delivered: bool,
}

/// A sign-in with a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// The session that came of it.
    pub session: Uuid,
}

/// How a pass ended, or that it has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum End {
    /// Not yet.
    Live,
    /// By itself.
    Expired {
        /// Start and lifetime.
        at: Timestamp,
    },
    /// Somebody deleted it, or its user.
    Deleted {
        /// When.
        at: Timestamp,
        /// Who.
        by: Actor,
    },
    /// Another pass took its place.
    Replaced {
        /// When.
        at: Timestamp,
        /// Who made the other pass.
        by: Actor,
        /// The other pass.
        with: Uuid,
    },
}

/// A pass and everything that happened to it.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    pub(super) id: Uuid,
    pub(super) user: Uuid,
    pub(super) user_principal_name: String,
    pub(super) code: String,
    pub(super) made_by: Actor,
    pub(super) client_request_id: Option<String>,
    pub(super) created: Timestamp,
    pub(super) start: Timestamp,
    pub(super) lifetime_minutes: u32,
    pub(super) one_time: bool,
    pub(super) told: Vec<Telling>,
    pub(super) uses: Vec<Use>,
    pub(super) replaces: Option<Uuid>,
    /// When and how somebody ended it, expired or not.
    removal: Option<(Timestamp, End)>,
}

impl Pass {
    pub(super) fn expires(&self) -> Timestamp {
        shifted(self.start, SignedDuration::from_mins(i64::from(self.lifetime_minutes)))
    }

    /// Its one end: whatever came first.
    pub(super) fn end(&self, now: Timestamp) -> End {
        let expires = self.expires();
        match &self.removal {
            Some((at, removal)) if *at < expires => removal.clone(),
            _ if expires <= now => End::Expired { at: expires },
            _ => End::Live,
        }
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.one_time && !self.uses.is_empty()
    }

    fn is_removed(&self) -> bool {
        self.removal.is_some()
    }

    fn removed_at(&self) -> Option<Timestamp> {
        self.removal.as_ref().map(|(at, _)| *at)
    }

    fn remove(&mut self, at: Timestamp, removal: End) {
        self.removal = Some((at, removal));
    }
}

/// Every pass there ever was.
#[derive(Debug, Default)]
pub(super) struct Passes {
    all: Vec<Pass>,
    by_id: HashMap<Uuid, usize>,
    /// Oldest first.
    by_user: HashMap<Uuid, Vec<usize>>,
}

impl Passes {
    pub(super) fn all(&self) -> &[Pass] {
        &self.all
    }

    pub(super) fn get(&self, id: Uuid) -> Option<&Pass> {
        self.by_id.get(&id).map(|index| &self.all[*index])
    }

    pub(super) fn get_mut(&mut self, id: Uuid) -> Option<&mut Pass> {
        self.by_id.get(&id).map(|index| &mut self.all[*index])
    }

    /// A user's passes, oldest first.
    pub(super) fn of_user(&self, user: Uuid) -> impl DoubleEndedIterator<Item = &Pass> {
        self.by_user.get(&user).into_iter().flatten().map(|index| &self.all[*index])
    }

    /// The pass that a user has now, expired or not.
    pub(super) fn current(&self, user: Uuid) -> Option<&Pass> {
        self.of_user(user).next_back().filter(|pass| !pass.is_removed())
    }

    fn add(&mut self, pass: Pass) {
        let index = self.all.len();
        self.by_id.insert(pass.id, index);
        self.by_user.entry(pass.user).or_default().push(index);
        self.all.push(pass);
    }
}

/// Why a pass can or cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    EnabledByPolicy,
    DisabledByPolicy,
    Expired,
    NotYetValid,
    OneTimeUsed,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::EnabledByPolicy => "EnabledByPolicy",
            Self::DisabledByPolicy => "DisabledByPolicy",
            Self::Expired => "Expired",
            Self::NotYetValid => "NotYetValid",
            Self::OneTimeUsed => "OneTimeUsed",
        }
    }
}

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
    pub(super) fn create_pass(
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
        if live && switches.post_over_live_pass == PostOverLivePass::Refuse {
            return Err(bad_request("A Temporary Access Pass already exists for this user."));
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
        self.passes.add(Pass {
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
        });
        self.audit(AuditEvent::PassRegistered, by, &user, client_request_id);
        Ok(id)
    }

    /// Ends a pass, as DELETE does and the portal.
    pub(super) fn delete_pass(
        &mut self,
        user_key: &str,
        pass_key: &str,
        by: Actor,
        client_request_id: Option<&str>,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let user = self.user_with_methods(user_key)?.clone();
        let id = self.pass_id(pass_key)?;
        let too_young = seconds(self.switches.delete_after_post_not_found_seconds);
        let from_graph = by != Actor::Portal;
        let there = self.passes.get(id).filter(|pass| {
            let unseen = from_graph && shifted(pass.created, too_young) > now;
            pass.user == user.id && !pass.is_removed() && !unseen && self.is_kept(pass)
        });
        if there.is_none() {
            return Err(no_such_pass());
        }
        if let Some(pass) = self.passes.get_mut(id) {
            pass.remove(now, End::Deleted { at: now, by: by.clone() });
        }
        self.audit(AuditEvent::PassDeleted, by, &user, client_request_id);
        Ok(())
    }

    /// Ends whatever pass a user has, because the user goes.
    pub(super) fn drop_passes_of(&mut self, user: Uuid, by: &Actor) {
        let now = self.now();
        let current = self.passes.current(user).map(|pass| pass.id);
        if let Some(pass) = current.and_then(|id| self.passes.get_mut(id)) {
            pass.remove(now, End::Deleted { at: now, by: by.clone() });
        }
    }

    /// The list that GET answers with: one pass at most, and perhaps not the newest.
    pub(super) fn list_passes(&self, user_key: &str) -> Result<Vec<Value>, Refusal> {
        let user = self.user_with_methods(user_key)?;
        let (post, delete) = (
            self.switches.list_lag_after_post_seconds,
            self.switches.list_lag_after_delete_seconds,
        );
        let listed =
            self.passes.of_user(user.id).rev().find(|pass| self.is_seen(pass, post, delete));
        Ok(listed.map(|pass| Value::Object(self.pass_fields(pass))).into_iter().collect())
    }

    /// What GET of one pass answers.
    pub(super) fn get_pass(
        &self,
        user_key: &str,
        pass_key: &str,
    ) -> Result<Map<String, Value>, Refusal> {
        let user = self.user_with_methods(user_key)?;
        let id = self.pass_id(pass_key)?;
        let (post, delete) =
            (self.switches.get_lag_after_post_seconds, self.switches.get_lag_after_delete_seconds);
        let pass = self
            .passes
            .get(id)
            .filter(|pass| pass.user == user.id && self.is_seen(pass, post, delete));
        let pass = pass.ok_or_else(no_such_pass)?;
        let mut fields = self.pass_fields(pass);
        fields.insert("@odata.type".into(), ODATA_TYPE.into());
        Ok(fields)
    }

    /// The answer to a POST: the only one with the code.
    pub(super) fn new_pass(&self, id: Uuid) -> Map<String, Value> {
        let Some(pass) = self.passes.get(id) else { return Map::new() };
        let mut fields = self.pass_fields(pass);
        fields.insert("@odata.type".into(), ODATA_TYPE.into());
        fields.insert("temporaryAccessPass".into(), pass.code.clone().into());
        fields
    }

    /// The user whose methods a request is about, once the user is ready for it.
    pub(super) fn user_with_methods(&self, key: &str) -> Result<&User, Refusal> {
        let code = match self.switches.unknown_user_code {
            UnknownUserCode::ResourceNotFound => "resourceNotFound",
            UnknownUserCode::UserNotFound => "userNotFound",
        };
        let unknown = || Refusal::new(404, code, "The user could not be found.").repeated();
        let user = self.directory.current().user(key).ok_or_else(unknown)?;
        let ready_after = seconds(self.switches.user_ready_after_seconds);
        let ready = user
            .created_date_time
            .is_none_or(|created| shifted(created, ready_after) <= self.now());
        match self.switches.user_not_ready_answer {
            _ if ready => Ok(user),
            NotReadyAnswer::NotFound => Err(unknown()),
            NotReadyAnswer::BadRequest => Err(bad_request("The user is not ready.")),
            NotReadyAnswer::Forbidden => {
                Err(Refusal::new(403, "accessDenied", "Request Authorization failed").repeated())
            }
        }
    }

    /// Whether a pass can be used now, as sign-in sees it.
    pub(super) fn usability(&self, pass: &Pass) -> Reason {
        self.usability_with_use_seen(pass, pass.is_used_up())
    }

    fn usability_with_use_seen(&self, pass: &Pass, used: bool) -> Reason {
        let (now, switches) = (self.now(), &self.switches);
        let policy = self.policy.seen(now, seconds(switches.policy_effect_lag_seconds));
        let groups = self.directory.current().group_ids_of(pass.user);
        let multi_use_blocked = policy.is_usable_once
            && !pass.one_time
            && switches.multi_use_under_one_time_policy == MultiUse::DisabledByPolicy;
        let disabled = policy.state == MethodState::Disabled
            || !policy.covers(pass.user, &groups)
            || multi_use_blocked;
        let used = (used, Reason::OneTimeUsed);
        let expired = (pass.expires() <= now, Reason::Expired);
        let disabled = (disabled, Reason::DisabledByPolicy);
        let order = match switches.reason_precedence {
            ReasonPrecedence::UsedFirst => [used, expired, disabled],
            ReasonPrecedence::PolicyFirst => [disabled, used, expired],
            ReasonPrecedence::ExpiredFirst => [expired, used, disabled],
        };
        let early =
            now < pass.start || now < shifted(pass.created, seconds(switches.usable_lag_seconds));
        let found =
            order.into_iter().chain([(early, Reason::NotYetValid)]).find(|(holds, _)| *holds);
        found.map_or(Reason::EnabledByPolicy, |(_, reason)| reason)
    }

    fn pass_fields(&self, pass: &Pass) -> Map<String, Value> {
        let use_seen_lag = seconds(self.switches.use_seen_lag_seconds);
        let use_seen =
            pass.uses.first().is_some_and(|first| shifted(first.at, use_seen_lag) <= self.now());
        let reason = self.usability_with_use_seen(pass, pass.one_time && use_seen);
        let mut fields = Map::new();
        fields.insert("id".into(), pass.id.to_string().into());
        fields.insert("temporaryAccessPass".into(), Value::Null);
        fields.insert("createdDateTime".into(), graph_time(pass.created).into());
        fields.insert("startDateTime".into(), pass.start.to_string().into());
        fields.insert("lifetimeInMinutes".into(), pass.lifetime_minutes.into());
        fields.insert("isUsableOnce".into(), pass.one_time.into());
        if self.switches.usability_fields == UsabilityFields::Both {
            fields.insert("isUsable".into(), json!(reason == Reason::EnabledByPolicy));
        }
        if self.switches.usability_fields != UsabilityFields::Neither {
            fields.insert("methodUsabilityReason".into(), reason.name().into());
        }
        fields
    }

    /// Whether a reader sees a pass who learns of passes `post` and of their removal `delete` seconds late.
    fn is_seen(&self, pass: &Pass, post: u64, delete: u64) -> bool {
        let now = self.now();
        let arrived = shifted(pass.created, seconds(post)) <= now;
        let gone = pass.removed_at().is_some_and(|at| shifted(at, seconds(delete)) <= now);
        arrived && !gone && self.is_kept(pass)
    }

    /// Whether the tenant still keeps a pass that has expired.
    fn is_kept(&self, pass: &Pass) -> bool {
        let kept_for = self.switches.expired_pass_listed_seconds;
        kept_for.is_none_or(|kept_for| self.now() < shifted(pass.expires(), seconds(kept_for)))
    }

    fn pass_id(&self, key: &str) -> Result<Uuid, Refusal> {
        Uuid::parse_str(key).map_err(|_| match self.switches.malformed_pass_id {
            MalformedId::BadRequest => bad_request("The id is malformed."),
            MalformedId::NotFound => no_such_pass(),
        })
    }

    fn may_have_a_pass(&self, user: &User) -> Result<(), Refusal> {
        let (switches, directory, policy) =
            (&self.switches, self.directory.current(), self.policy.current());
        let refuse = CreateOrRefuse::Refuse;
        if user.is_external() {
            let dot = if switches.guest_message_final_dot { "." } else { "" };
            return Err(bad_request(format!(
                "Temporary Access Pass cannot be added to an external guest user{dot}"
            )));
        }
        if !user.account_enabled && switches.disabled_user_post == refuse {
            return Err(bad_request("The user account is disabled."));
        }
        if !directory.roles_of(user.id).is_empty() && switches.admin_post == refuse {
            return Err(
                Refusal::new(403, "accessDenied", "Request Authorization failed").repeated()
            );
        }
        if policy.state == MethodState::Disabled && switches.post_while_disabled == refuse {
            return Err(bad_request("The method is not enabled by policy."));
        }
        if !policy.covers(user.id, &directory.group_ids_of(user.id))
            && switches.post_out_of_scope == refuse
        {
            return Err(bad_request("The method is not enabled by policy for this user."));
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

fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "badRequest", message).repeated()
}

fn no_such_pass() -> Refusal {
    Refusal::new(404, "resourceNotFound", "The authentication method could not be found.")
        .repeated()
}

fn new_code(length: u32, random: &mut impl rand::Rng) -> String {
    (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}
