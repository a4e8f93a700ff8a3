//! A notice in words, for people who read it in a chat.

use super::content::{ForeignPass, OfPolicy, OfRequest, OfStop};
use super::{Kind, Notice, Subject};
use crate::decision::Reason;
use crate::text::{cut, visible};

/// The longest value of a fact, in characters. Slack takes fields of 2000 characters, and escaping makes five of one.
const LONGEST_VALUE: usize = 380;
/// The longest part of a title that people wrote, in characters.
const LONGEST_NAME: usize = 120;

/// What a chat shows. No text in it has characters that control how text is shown; the formats escape the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// What happened, in one line.
    pub title: String,
    /// What is known about it: labels and values.
    pub facts: Vec<(&'static str, String)>,
    /// What to do about it: a sentence, and the command for it.
    pub commands: Vec<(&'static str, String)>,
    /// What else the reader should know.
    pub remark: Option<&'static str>,
}

impl Message {
    /// The notice in words. `source` is where it comes from, if the configuration names it.
    pub fn of(notice: &Notice, source: Option<&str>) -> Self {
        let mut message = match &notice.subject {
            Subject::Request(of_request) => Self::of_request(notice.kind, of_request),
            Subject::Policy(of_policy) => Self::of_policy(notice, of_policy),
            Subject::ForeignPass(pass) => Self::of_foreign_pass(pass),
            Subject::Stop(of_stop) => Self::of_stop(of_stop),
        };
        let explains = match notice.kind {
            Kind::Failed | Kind::Expired | Kind::Revoked | Kind::Denied => Some(&notice.reason),
            _ => None,
        };
        message.fact("Reason", explains.cloned());
        message.fact("Explanation", notice.explanation.clone());
        message.fact("From", source.map(Into::into));
        message.remark = notice.again.then_some(
            "The operator began to work shortly before, so this may have been told already.",
        );
        message
    }

    /// The title alone.
    pub fn title(notice: &Notice) -> String {
        Self::of(notice, None).title
    }

    fn fact(&mut self, label: &'static str, value: Option<String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.facts.push((label, plain(&value, LONGEST_VALUE)));
        }
    }

    fn of_request(kind: Kind, of_request: &OfRequest) -> Self {
        let OfRequest { about, pass, .. } = of_request;
        let known = about.user_principal_name.as_ref().or(about.user.as_ref());
        let user = known.map_or("a user".into(), |user| plain(user, LONGEST_NAME));
        let title = match kind {
            Kind::AwaitingApproval => format!("Awaiting approval: a pass for {user}"),
            Kind::Approved => format!("Approved: a pass for {user}"),
            Kind::Denied => format!("Denied: a pass for {user}"),
            Kind::Issued => format!("Issued: a pass for {user}"),
            Kind::Failed => format!("Failed: no pass for {user}"),
            Kind::Used => format!("Used: the pass of {user}"),
            Kind::Expired if pass.pass_id.is_none() => {
                format!("Expired: no pass was issued in time for {user}")
            }
            Kind::Expired if about.one_time_use == Some(true) => {
                format!("Expired unused: the pass of {user}")
            }
            Kind::Expired => format!("Expired: the pass of {user}"),
            Kind::Revoked if pass.pass_id.is_none() => {
                format!("Withdrawn: the request for a pass for {user}")
            }
            _ => format!("Revoked: the pass of {user}"),
        };
        let mut message = Self { title, ..Self::default() };
        let use_ = if about.one_time_use == Some(true) { "for one sign-in" } else { "reusable" };
        let lifetime = about.lifetime.as_ref().map(|lifetime| format!("{lifetime}, {use_}"));
        message.fact("Request", Some(format!("{}/{}", about.namespace, about.request)));
        message.fact("For", known.cloned());
        message.fact("Asked by", about.requester.clone());
        message.fact("Why", about.ticket.clone());
        message.fact("Policy", Some(about.policy.clone()));
        message.fact("Pass", lifetime);
        message.fact("Starts", pass.starts.clone());
        message.fact("Expires", pass.expires.clone());
        let asks = kind == Kind::AwaitingApproval;
        message.fact("Approvals", of_request.approvals.clone().filter(|_| asks));
        message.fact("Until", of_request.deadline.clone().filter(|_| asks));
        message.fact("Ask", of_request.contact.clone().filter(|_| asks));
        message.fact("Decided", of_request.decided().filter(|_| !asks));
        if asks {
            message.commands = of_request.how_to_approve();
        }
        message
    }

    fn of_policy(notice: &Notice, of_policy: &OfPolicy) -> Self {
        let corrected = notice.reason == Reason::Corrected.as_str();
        let what = if corrected { "Drift corrected" } else { "Drift" };
        let title =
            format!("{what}: the tenant of TapPolicy {}", plain(&of_policy.policy, LONGEST_NAME));
        let mut message = Self { title, ..Self::default() };
        message.fact("Connection", Some(of_policy.connection.clone()));
        message.fact("Tenant", of_policy.tenant_id.clone());
        let differences = of_policy.differences.iter().map(|change| {
            let (field, has, wants) = (&change.field, &change.from, &change.to);
            if corrected {
                format!("{field} from {has} to {wants}")
            } else {
                format!("{field} is {has}, not {wants}")
            }
        });
        let differences = differences.collect::<Vec<_>>().join("; ");
        message.fact(if corrected { "Changed" } else { "Differs" }, Some(differences));
        let change = of_policy.changed_by.as_ref().zip(of_policy.changed_at.as_ref());
        message.fact("Last change by", change.map(|(by, at)| format!("{by}, at {at}")));
        message
    }

    fn of_foreign_pass(pass: &ForeignPass) -> Self {
        let user = pass.user.as_ref().map_or("a user".into(), |user| plain(user, LONGEST_NAME));
        let title = format!("Not from a request: a pass for {user}");
        let mut message = Self { title, ..Self::default() };
        message.fact("For", pass.user.clone());
        message.fact("Made by", pass.made_by.clone());
        message.fact("Pass id", pass.pass_id.clone());
        message.fact("Tenant", Some(pass.tenant_id.clone()));
        message.fact("Policies", Some(pass.policies.join(", ")));
        message
    }

    fn of_stop(of_stop: &OfStop) -> Self {
        let title = match (of_stop.stopped, of_stop.revokes_active) {
            (false, _) => "The emergency stop is over",
            (true, false) => "Emergency stop: nothing is issued",
            (true, true) => "Emergency stop: nothing is issued, and active passes are revoked",
        };
        let mut message = Self { title: title.into(), ..Self::default() };
        message.fact("Active passes", Some(of_stop.active_passes.to_string()));
        message
    }
}

impl OfRequest {
    /// How to approve it: with the plugin, and without. The second names the request by its uid, so that it approves no
    /// other of the same name.
    pub(super) fn how_to_approve(&self) -> Vec<(&'static str, String)> {
        let (namespace, name) = (&self.about.namespace, &self.about.request);
        let uid = &self.about.uid;
        let me = "$(kubectl auth whoami -o jsonpath='{.status.userInfo.username}')";
        let patch = format!(
            r#"[{{"op":"test","path":"/metadata/uid","value":"{uid}"}},{{"op":"add","path":"/status/decisions/-","value":{{"by":"'"{me}"'","decision":"Approve"}}}}]"#
        );
        let plain = format!(
            "kubectl patch tap {name} -n {namespace} --subresource=status --type=json -p '{patch}'"
        );
        vec![
            ("To see and approve it", format!("kubectl tap approve {name} -n {namespace}")),
            ("Without kubectl tap", plain),
        ]
    }

    /// Who decided what, such as `Approve by ada@contoso.com (called back)`.
    fn decided(&self) -> Option<String> {
        let one = |line: &crate::decision::audit::DecisionLine| {
            let because = line.comment.as_ref().map(|comment| format!(" ({comment})"));
            format!("{:?} by {}{}", line.decision, line.by, because.unwrap_or_default())
        };
        let all: Vec<String> = self.decisions.iter().map(one).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// A text of at most so many characters, without any that control how the text around them is shown.
pub(super) fn plain(text: &str, longest: usize) -> String {
    cut(visible(text), longest)
}
