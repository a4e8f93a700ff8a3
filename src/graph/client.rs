//! The calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use percent_encoding::utf8_percent_encode;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout};

use super::call::{Call, SEGMENT, keyed};
use super::connection::ConnectionConfig;
use super::error::{CreateError, ErrorKind, GraphError};
use super::pacing::{NoTurn, Pace, Pacer};
use super::sign_in::{Refusal, SignIn, Token};
use super::transport::{Body, SendOptions, Transport, TransportError};
use super::types::{
    Created, DirectoryRole, EligibleRole, Listed, MethodConfiguration, MethodPatch, NewPass,
    Priority, TapMethod, User,
};
use super::{Clock, wire};

/// The default of [`Options::deadline`].
const DEADLINE: Duration = Duration::from_secs(30);
/// How many groups one check may name (documented).
const GROUPS_PER_CHECK: usize = 20;
/// No list here is that long: a tenant has not a hundredth as many roles.
const MOST_PAGES: usize = 100;
/// How long a 429 without `Retry-After` keeps the others back: until about one more call would fit.
const PAUSE_WITHOUT_RETRY_AFTER: Duration = Duration::from_secs(2);
/// A permission granted since is only in a new token: after a 403, one older than this is not used again.
const STALE_AFTER_REFUSAL: Duration = Duration::from_mins(5);

/// What clients need beside their connections.
#[derive(Clone)]
pub struct Options {
    /// The way to Graph and Entra.
    pub transport: Arc<dyn Transport>,
    /// The local time.
    pub clock: Clock,
    /// How long one exchange may take, from its first byte sent (a connection set up included) to the last one
    /// received. Signing in and waiting for a turn may each take as long before it. It is part of the settle time:
    /// what was given up on may still take effect until Graph's own gateway gives up. Default: 30 s.
    pub deadline: Duration,
    /// The pace of calls that have to do with passes. Default: 5 in 10 s, the documented limit.
    pub pace: Pace,
    /// Gets every answer's `Date`, and whose it is.
    pub on_date: OnDate,
    /// Gets every finished exchange, for metrics.
    pub on_call: Arc<dyn Fn(CallReport) + Send + Sync>,
}

impl Options {
    /// The defaults, with the system's clock.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            clock: Arc::new(Timestamp::now),
            deadline: DEADLINE,
            pace: Pace::default(),
            on_date: Arc::new(|_, _| {}),
            on_call: Arc::new(|_| {}),
        }
    }
}

/// Gets the `Date` of an answer, and the connection that it came by.
pub type OnDate = Arc<dyn Fn(&ConnectionConfig, DateSample) + Send + Sync>;

/// Graph's clock at one moment, as an answer told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateSample {
    /// The answer's `Date`, in whole seconds, cut off.
    pub date: Timestamp,
    /// The local time when the request was sent.
    pub sent: Timestamp,
    /// The local time when the answer was there.
    pub received: Timestamp,
}

/// An exchange that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallReport {
    /// A short name of the call, such as `create_pass`.
    pub call: &'static str,
    /// `ok`, or [`ErrorKind::label`].
    pub outcome: &'static str,
    /// From the call to its outcome, waiting included.
    pub duration: Duration,
}

/// The client of one tenant connection. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Arc<ConnectionConfig>,
    sign_in: SignIn,
    pacers: Pacers,
    options: Options,
}

/// Graph counts by app and tenant, and by service.
#[derive(Clone)]
struct Pacers {
    authentication_methods: Arc<Pacer>,
    others: Arc<Pacer>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.inner.connection.name).finish()
    }
}

impl Client {
    /// One client for each connection, in their order. Connections of one app to one tenant share their pace.
    pub fn connect(connections: Vec<ConnectionConfig>, options: &Options) -> Vec<Self> {
        let mut pacers = HashMap::new();
        (connections.into_iter())
            .map(|connection| {
                let app = (connection.tenant_id.clone(), connection.client_id.clone());
                let pacers = pacers.entry(app).or_insert_with(|| Pacers {
                    authentication_methods: Arc::new(Pacer::new(Some(options.pace))),
                    others: Arc::new(Pacer::new(None)),
                });
                let connection = Arc::new(connection);
                let sign_in = SignIn::new(
                    Arc::clone(&connection),
                    Arc::clone(&options.transport),
                    Arc::clone(&options.clock),
                );
                let (pacers, options) = (pacers.clone(), options.clone());
                Self { inner: Arc::new(Inner { connection, sign_in, pacers, options }) }
            })
            .collect()
    }

    /// The tenant's id, a GUID in lower case.
    pub fn tenant_id(&self) -> &str {
        &self.inner.connection.tenant_id
    }

    /// The connection's name.
    pub fn connection(&self) -> &str {
        &self.inner.connection.name
    }

    /// The whole connection.
    pub fn config(&self) -> &ConnectionConfig {
        &self.inner.connection
    }

    /// Reads the tenant's TAP method.
    pub async fn method(&self, priority: Priority) -> Result<MethodConfiguration, GraphError> {
        let request = Request::of(Call::Method, priority, METHOD_PATH.to_owned());
        Ok(self.read::<wire::MethodAnswer>(&request).await?.into())
    }

    /// Changes the tenant's TAP method, in one PATCH. Read it again afterwards: Graph may recalculate other fields.
    pub async fn patch_method(&self, patch: &MethodPatch) -> Result<(), GraphError> {
        let form = wire::MethodPatchForm::from(patch);
        let request = Request::of(Call::PatchMethod, Priority::Issue, METHOD_PATH.to_owned())
            .with_body(&form)?;
        self.exchange(&request).await.map(drop)
    }

    /// Reads a user, by object id or sign-in name.
    pub async fn user(&self, id_or_upn: &str, priority: Priority) -> Result<User, GraphError> {
        let path = format!("{}?$select={}", keyed("users", id_or_upn), wire::USER_FIELDS);
        let request = Request::of(Call::User, priority, path);
        Ok(self.read::<wire::UserAnswer>(&request).await?.into())
    }

    /// Those of `group_ids` that the user is a member of, directly or through other groups, spelled as asked.
    ///
    /// Groups that do not exist have no members.
    pub async fn member_groups(
        &self,
        user_id: &str,
        group_ids: &[String],
        priority: Priority,
    ) -> Result<Vec<String>, GraphError> {
        let path = format!("{}/checkMemberGroups", keyed("users", user_id));
        let mut member_of = Vec::new();
        for group_ids in group_ids.chunks(GROUPS_PER_CHECK) {
            let request = Request::of(Call::MemberGroups, priority, path.clone())
                .with_body(&wire::MemberGroupsForm { group_ids })?;
            let page: wire::Page<String> = self.read(&request).await?;
            let is_in =
                |asked: &&String| page.value.iter().any(|id| id.eq_ignore_ascii_case(asked));
            member_of.extend(group_ids.iter().filter(is_in).cloned());
        }
        Ok(member_of)
    }

    /// The directory roles that the user holds now, directly or through groups. Roles that could only be activated are
    /// not among them: see [`eligible_role`](Self::eligible_role).
    pub async fn directory_roles(
        &self,
        user_id: &str,
        priority: Priority,
    ) -> Result<Vec<DirectoryRole>, GraphError> {
        let path = format!(
            "{}/transitiveMemberOf/microsoft.graph.directoryRole?$count=true&$select=id,displayName,roleTemplateId",
            keyed("users", user_id)
        );
        // A cast needs an advanced query (documented).
        let request =
            Request { advanced: true, ..Request::of(Call::DirectoryRoles, priority, path) };
        let (roles, _) = self.pages::<wire::RoleAnswer>(request).await?;
        Ok(roles.into_iter().map(Into::into).collect())
    }

    /// A directory role that the user could activate, directly or as a member of a group that is eligible; `None`: there
    /// is none, as in a tenant without Privileged Identity Management.
    ///
    /// Graph knows eligibility by principal only (documented), so that is one call for the user, one for the user's
    /// groups, and one for each of those that may hold roles, until one is found. Entra allows 500 such groups in a
    /// tenant (documented), and few people are in more than some.
    pub async fn eligible_role(
        &self,
        user_id: &str,
        priority: Priority,
    ) -> Result<Option<EligibleRole>, GraphError> {
        let (own, groups) = tokio::try_join!(
            self.eligible(user_id, priority),
            self.groups_that_may_hold_roles(user_id, priority)
        )?;
        if own.is_some() {
            return Ok(own);
        }
        for group in groups {
            if let Some(role) = self.eligible(&group, priority).await? {
                return Ok(Some(EligibleRole { through_group: Some(group), ..role }));
            }
        }
        Ok(None)
    }

    /// A role that this very principal is eligible for.
    async fn eligible(
        &self,
        principal_id: &str,
        priority: Priority,
    ) -> Result<Option<EligibleRole>, GraphError> {
        let id = utf8_percent_encode(&principal_id.replace('\'', "''"), SEGMENT).to_string();
        let path = format!(
            "/roleManagement/directory/roleEligibilityScheduleInstances?$filter=principalId%20eq%20'{id}'"
        );
        let request = Request::of(Call::EligibleRoles, priority, path);
        match self.pages::<wire::EligibleRoleAnswer>(request).await {
            Ok((roles, _)) => Ok(roles.into_iter().next().map(|role| EligibleRole {
                definition_id: role.role_definition_id,
                through_group: None,
            })),
            // Reported: without the licence there is no Privileged Identity Management, and nothing to activate.
            Err(error) if error.code.eq_ignore_ascii_case("AadPremiumLicenseRequired") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn groups_that_may_hold_roles(
        &self,
        user_id: &str,
        priority: Priority,
    ) -> Result<Vec<String>, GraphError> {
        let path = format!(
            "{}/transitiveMemberOf/microsoft.graph.group?$count=true&$select=id,isAssignableToRole&$top=999",
            keyed("users", user_id)
        );
        let request = Request { advanced: true, ..Request::of(Call::RoleGroups, priority, path) };
        let (groups, _) = self.pages::<wire::RoleGroupAnswer>(request).await?;
        let may_hold =
            groups.into_iter().filter(|group| group.is_assignable_to_role != Some(false));
        Ok(may_hold.map(|group| group.id).collect())
    }

    /// A group's display name; `None`: there is no such group.
    pub async fn group_name(
        &self,
        group_id: &str,
        priority: Priority,
    ) -> Result<Option<String>, GraphError> {
        let path = format!("{}?$select=id,displayName", keyed("groups", group_id));
        let request = Request::of(Call::GroupName, priority, path);
        match self.read::<wire::GroupAnswer>(&request).await {
            Ok(group) => Ok(Some(group.display_name)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The user's passes.
    pub async fn passes(&self, user_id: &str, priority: Priority) -> Result<Listed, GraphError> {
        let request = Request::of(Call::Passes, priority, passes_path(user_id));
        let (passes, date) = self.pages::<wire::PassAnswer>(request).await?;
        let date = date.ok_or_else(|| unreadable(Call::Passes, "the answer has no Date"))?;
        Ok(Listed { passes: passes.into_iter().map(Into::into).collect(), date })
    }

    /// One pass of the user.
    pub async fn pass(
        &self,
        user_id: &str,
        pass_id: &str,
        priority: Priority,
    ) -> Result<TapMethod, GraphError> {
        let request = Request::of(Call::Pass, priority, pass_path(user_id, pass_id));
        Ok(self.read::<wire::PassAnswer>(&request).await?.into())
    }

    /// Makes a pass: one POST, on a connection of its own, never repeated. Replaces the pass that the user has.
    ///
    /// Must not be dropped once begun, or its outcome is unknown.
    pub async fn create_pass(
        &self,
        user_id: &str,
        new: &NewPass,
        client_request_id: &str,
    ) -> Result<Created, CreateError> {
        let latest = Instant::now() + self.inner.options.deadline;
        self.create_pass_by(user_id, new, client_request_id, latest).await
    }

    /// As [`create_pass`](Self::create_pass), but not sent at all unless it is its turn by `latest`.
    pub async fn create_pass_by(
        &self,
        user_id: &str,
        new: &NewPass,
        client_request_id: &str,
        latest: Instant,
    ) -> Result<Created, CreateError> {
        let request = Request::of(Call::CreatePass, Priority::Issue, passes_path(user_id))
            .with_body(&wire::NewPassForm::from(new))
            .map_err(CreateError::NotSent)?;
        let request = Request { client_request_id: Some(client_request_id), ..request };
        let began = Instant::now();
        let created = self.create(&request, latest).await;
        self.report(request.call, began, created.as_ref().err().map(|error| error.graph().kind));
        created
    }

    async fn create(&self, request: &Request<'_>, latest: Instant) -> Result<Created, CreateError> {
        let answer = match self.attempt(request, latest).await {
            Ok(answer) => answer,
            Err(Failure { error, maybe_sent: true }) => return Err(CreateError::Unknown(error)),
            Err(Failure { error, maybe_sent: false }) => return Err(CreateError::NotSent(error)),
        };
        let status = answer.status;
        if !status.is_success() {
            let error = self.failure(request, &answer).await;
            // 408 and 499 come from something in between, which knows nothing of the outcome. So does a refusal that is not in
            // Graph's form: a proxy that inspects answers may keep back the one that tells of the pass.
            let refused = match status.as_u16() {
                401 | 429 => true,
                408 | 499 => false,
                _ => status.is_client_error() && wire::error(&answer.body).is_some(),
            };
            return Err(if refused {
                CreateError::Refused(error)
            } else {
                CreateError::Unknown(error)
            });
        }
        let unknown = |error: String| CreateError::Unknown(answer.annotate(request, &error));
        let (method, code) =
            wire::created(&answer.body).map_err(|error| unknown(error.to_string()))?;
        let date = (wire::date(&answer.headers).or(method.created))
            .ok_or_else(|| unknown("the answer has no Date".to_owned()))?;
        Ok(Created { method, code, date })
    }

    /// Deletes a pass, before everything else that waits.
    pub async fn delete_pass(&self, user_id: &str, pass_id: &str) -> Result<(), GraphError> {
        let path = pass_path(user_id, pass_id);
        let request = Request::of(Call::DeletePass, Priority::Revoke, path);
        self.exchange(&request).await.map(drop)
    }

    /// The application permissions in the current token: read for a hint, not to be trusted.
    pub async fn token_roles(&self) -> Result<Vec<String>, GraphError> {
        let token = self.token(Call::Token, Instant::now() + self.inner.options.deadline).await?;
        roles_in(&token)
    }

    /// The same of a token that is not older than 5 minutes, for what was granted since is only in a new one. Where no new
    /// one can be had, the current one goes on.
    pub async fn new_token_roles(&self) -> Result<Vec<String>, GraphError> {
        let latest = Instant::now() + self.inner.options.deadline;
        let token = self.token(Call::Token, latest).await?;
        if token.age() <= STALE_AFTER_REFUSAL {
            return roles_in(&token);
        }
        let renewed = tokio::time::timeout_at(latest, self.inner.sign_in.renew()).await;
        roles_in(renewed.ok().flatten().as_ref().unwrap_or(&token))
    }

    async fn read<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T, GraphError> {
        let answer = self.exchange(request).await?;
        wire::read(&answer.body).map_err(|error| answer.annotate(request, &error.to_string()))
    }

    /// All pages of a list, and the `Date` of the first.
    async fn pages<T: DeserializeOwned>(
        &self,
        mut request: Request<'_>,
    ) -> Result<(Vec<T>, Option<Timestamp>), GraphError> {
        let (mut all, mut date) = (Vec::new(), None);
        for page in 0..MOST_PAGES {
            let answer = self.exchange(&request).await?;
            if page == 0 {
                date = wire::date(&answer.headers);
            }
            let page: wire::Page<T> = wire::read(&answer.body)
                .map_err(|error| answer.annotate(&request, &error.to_string()))?;
            all.extend(page.value);
            let Some(next) = page.next else { return Ok((all, date)) };
            // The next request carries the token: nowhere but to Graph.
            request.path = self.own_path(&next).ok_or_else(|| {
                answer
                    .annotate(&request, "the next page is said to be on another host than Graph's")
            })?;
        }
        Err(unreadable(request.call, "the list does not end"))
    }

    /// What follows scheme, host and version in one of Graph's own URLs.
    fn own_path(&self, url: &str) -> Option<String> {
        let url: http::Uri = url.parse().ok()?;
        let graph: http::Uri = self.inner.connection.graph_url.parse().ok()?;
        let port = |uri: &http::Uri| uri.port_u16().unwrap_or(443);
        let same = url.scheme_str() == Some("https")
            && url.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && url.host()?.eq_ignore_ascii_case(graph.host()?)
            && port(&url) == port(&graph);
        let path = url.path_and_query()?.as_str().strip_prefix(VERSION)?;
        (same && path.starts_with('/')).then(|| path.to_owned())
    }

    /// A call with an answer that means success; once again with a new token after a 401.
    async fn exchange(&self, request: &Request<'_>) -> Result<Answer, GraphError> {
        let began = Instant::now();
        let answer = match self.exchange_once(request).await {
            Err(error) if error.kind == ErrorKind::Unauthorized => {
                self.exchange_once(request).await
            }
            answer => answer,
        };
        self.report(request.call, began, answer.as_ref().err().map(|error| error.kind));
        answer
    }

    async fn exchange_once(&self, request: &Request<'_>) -> Result<Answer, GraphError> {
        let latest = Instant::now() + self.inner.options.deadline;
        let answer = self.attempt(request, latest).await.map_err(|failure| failure.error)?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(self.failure(request, &answer).await)
        }
    }

    /// Token, turn, one request, one answer of whatever status.
    async fn attempt(&self, request: &Request<'_>, latest: Instant) -> Result<Answer, Failure> {
        let Inner { connection, options, .. } = &*self.inner;
        let unsent = |error| Failure { error, maybe_sent: false };
        let client_request_id = match request.client_request_id {
            Some(id) => Box::from(id),
            None => uuid::Uuid::new_v4().to_string().into_boxed_str(),
        };
        let identified = |error: GraphError| GraphError {
            client_request_id: Some(client_request_id.clone()),
            ..error
        };
        let token = self.token(request.call, latest).await.map_err(unsent)?;
        (self.pacer(request.call).turn(request.priority, latest).await)
            .map_err(|no_turn| unsent(no_turn_error(request.call, no_turn)))?;

        let url = format!("{}{VERSION}{}", connection.graph_url, request.path);
        let outgoing = request.outgoing(&url, &token, &client_request_id);
        let outgoing = outgoing.map_err(|error| unsent(identified(error)))?;
        let own_connection = request.call == Call::CreatePass;
        let sent = (options.clock)();
        let answer = options
            .transport
            .send(outgoing, SendOptions { own_connection, ..SendOptions::default() });
        let answer = match timeout(options.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(TransportError { maybe_sent, message })) => {
                let error = GraphError::new(request.call, ErrorKind::Unavailable, message);
                return Err(Failure { error: identified(error), maybe_sent });
            }
            Err(_) => {
                let message = format!("no answer within {} s", options.deadline.as_secs_f32());
                let error = GraphError::new(request.call, ErrorKind::Unavailable, message);
                return Err(Failure { error: identified(error), maybe_sent: true });
            }
        };
        let received = (options.clock)();
        let (parts, body) = answer.into_parts();
        if let Some(date) = wire::date(&parts.headers) {
            (options.on_date)(&self.inner.connection, DateSample { date, sent, received });
        }
        let (status, headers) = (parts.status, parts.headers);
        Ok(Answer { status, headers, body, client_request_id, token, received })
    }

    async fn token(&self, call: Call, latest: Instant) -> Result<Arc<Token>, GraphError> {
        let deadline = latest.min(Instant::now() + self.inner.options.deadline);
        let refusal = match tokio::time::timeout_at(deadline, self.inner.sign_in.token()).await {
            Ok(Ok(token)) => return Ok(token),
            Ok(Err(refusal)) => refusal,
            Err(_) => Refusal::late(),
        };
        Err(GraphError {
            status: refusal.status,
            code: refusal.code,
            retry_after: refusal.retry_after,
            ..GraphError::new(call, ErrorKind::SignIn(refusal.kind), refusal.message)
        })
    }

    /// What an answer without success means, for this call and for those to come.
    async fn failure(&self, request: &Request<'_>, answer: &Answer) -> GraphError {
        let error = answer.error(request);
        let stale = match error.kind {
            ErrorKind::Unauthorized => true,
            ErrorKind::Forbidden => answer.token.age() > STALE_AFTER_REFUSAL,
            _ => false,
        };
        if stale {
            self.inner.sign_in.forget(&answer.token).await;
        }
        if error.kind == ErrorKind::Throttled {
            let pause = error.retry_after.unwrap_or(PAUSE_WITHOUT_RETRY_AFTER);
            self.pacer(request.call).close(pause);
        }
        error
    }

    fn pacer(&self, call: Call) -> &Pacer {
        let pacers = &self.inner.pacers;
        if call.is_authentication_method() {
            &pacers.authentication_methods
        } else {
            &pacers.others
        }
    }

    fn report(&self, call: Call, began: Instant, failed: Option<ErrorKind>) {
        (self.inner.options.on_call)(CallReport {
            call: call.label(),
            outcome: failed.map_or("ok", ErrorKind::label),
            duration: began.elapsed(),
        });
    }
}

const VERSION: &str = "/v1.0";
const METHOD_PATH: &str =
    "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/TemporaryAccessPass";

fn passes_path(user_id: &str) -> String {
    format!("{}/authentication/temporaryAccessPassMethods", keyed("users", user_id))
}

fn pass_path(user_id: &str, pass_id: &str) -> String {
    let pass = keyed("temporaryAccessPassMethods", pass_id);
    format!("{}/authentication{pass}", keyed("users", user_id))
}

/// A request before it has a token.
struct Request<'a> {
    call: Call,
    priority: Priority,
    /// What follows host and version, query included.
    path: String,
    body: Option<Bytes>,
    /// An advanced query: casts and counts, answered by an index that lags.
    advanced: bool,
    client_request_id: Option<&'a str>,
}

impl Request<'_> {
    fn of(call: Call, priority: Priority, path: String) -> Self {
        Self { call, priority, path, body: None, advanced: false, client_request_id: None }
    }

    fn with_body(self, body: &impl Serialize) -> Result<Self, GraphError> {
        let body = serde_json::to_vec(body).map_err(|error| {
            unreadable(self.call, format!("the request cannot be written: {error}"))
        })?;
        Ok(Self { body: Some(body.into()), ..self })
    }

    fn outgoing(
        &self,
        url: &str,
        token: &Token,
        client_request_id: &str,
    ) -> Result<http::Request<Bytes>, GraphError> {
        let mut request = http::Request::builder()
            .method(self.call.method())
            .uri(url)
            .header(AUTHORIZATION, token.header())
            .header(USER_AGENT, super::USER_AGENT)
            .header(ACCEPT, "application/json")
            .header("client-request-id", client_request_id);
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if self.advanced {
            request = request.header("ConsistencyLevel", HeaderValue::from_static("eventual"));
        }
        request.body(self.body.clone().unwrap_or_default()).map_err(|error| {
            unreadable(self.call, format!("the request cannot be written: {error}"))
        })
    }
}

/// An attempt without an answer.
struct Failure {
    error: GraphError,
    maybe_sent: bool,
}

/// An answer of whatever status.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
    client_request_id: Box<str>,
    token: Arc<Token>,
    received: Timestamp,
}

impl Answer {
    fn header(&self, name: &str) -> Option<Box<str>> {
        let value = self.headers.get(name)?.to_str().ok()?;
        Some(wire::printable(value, 80).into())
    }

    /// An error about an answer whose status is no error.
    fn annotate(&self, request: &Request<'_>, message: &str) -> GraphError {
        GraphError {
            status: Some(self.status.as_u16()),
            request_id: self.header("request-id"),
            client_request_id: Some(self.client_request_id.clone()),
            ..unreadable(request.call, message)
        }
    }

    /// What Graph says about a request that it did not do.
    fn error(&self, request: &Request<'_>) -> GraphError {
        let told = wire::error(&self.body);
        let status = self.status.as_u16();
        let kind = match (status, &told) {
            (401, _) => ErrorKind::Unauthorized,
            (403, _) => ErrorKind::Forbidden,
            (429, _) => ErrorKind::Throttled,
            (408 | 500.., _) => ErrorKind::Unavailable,
            // Reported for a POST right after a DELETE: it passes.
            (400, Some(told))
                if told.message.to_ascii_lowercase().contains("conflicting object") =>
            {
                ErrorKind::Unexpected
            }
            (400, Some(_)) => ErrorKind::BadRequest,
            // A proxy's word is not Graph's: only in Graph's own form does it mean that there is no such thing.
            (404 | 410, Some(_)) => ErrorKind::NotFound,
            _ => ErrorKind::Unexpected,
        };
        let described = told.is_some();
        let told = told.unwrap_or_default();
        let message = match (described, told.message.is_empty()) {
            (true, false) => told.message,
            (true, true) => "no reason was given".to_owned(),
            (false, _) if self.body.is_empty() => "the answer is empty".to_owned(),
            (false, _) => {
                "the answer is not in Graph's form; it may come from a proxy or gateway".to_owned()
            }
        };
        GraphError {
            status: Some(status),
            code: told.code,
            request_id: self.header("request-id").or(told.request_id),
            client_request_id: Some(self.client_request_id.clone()),
            retry_after: wire::retry_after(&self.headers, self.received),
            ..GraphError::new(request.call, kind, message)
        }
    }
}

fn roles_in(token: &Token) -> Result<Vec<String>, GraphError> {
    token.roles().ok_or_else(|| unreadable(Call::Token, "the token's permissions cannot be read"))
}

fn unreadable(call: Call, message: impl Into<String>) -> GraphError {
    GraphError::new(call, ErrorKind::Unexpected, message)
}

fn no_turn_error(call: Call, NoTurn { retry_after }: NoTurn) -> GraphError {
    let message = "not sent: too many calls are waiting, or Graph has asked to wait";
    let error = GraphError::new(call, ErrorKind::Throttled, message);
    GraphError { retry_after: Some(retry_after), ..error }
}
