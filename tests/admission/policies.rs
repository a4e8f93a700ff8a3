//! An invalid policy is refused at once, with a helpful message.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::call::Call;
use crate::cluster::Cluster;
use crate::support::run;

const POLICIES: &str = "/apis/tap-operator.io/v1alpha1/tappolicies";
const GROUP: &str = "6c1f0000-0000-4000-8000-000000000001";

fn policy(spec: &Value) -> Value {
    json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy",
        "metadata": {"name": "schema"}, "spec": spec,
    })
}

#[test]
fn the_schema_refuses_what_is_no_policy() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let method = |method: Value| json!({"tenant": "default", "method": method});
        let issuance = |issuance: Value| json!({"tenant": "default", "issuance": issuance});
        let lifetime = |minimum: &str, default: &str, maximum: &str| {
            method(json!({
                "lifetime": {"minimum": minimum, "default": default, "maximum": maximum},
            }))
        };
        let range = "must be between 10m and 720h";
        let mut wrong = Vec::new();
        for (spec, message) in [
            (json!({}), "spec.tenant: Required value"),
            (lifetime("5m", "1h", "8h"), range),
            (lifetime("10m", "1h", "721h"), range),
            (lifetime("10m", "1d", "8h"), "a day is 24h"),
            (lifetime("2h", "1h", "8h"), "minimum must not be longer than default"),
            (lifetime("1h", "9h", "8h"), "default must not be longer than maximum"),
            (
                method(json!({"lifetime": {"minimum": "9h", "maximum": "8h"}})),
                "minimum must not be longer than maximum",
            ),
            (method(json!({"codeLength": 7})), "greater than or equal to 8"),
            (method(json!({"codeLength": 49})), "less than or equal to 48"),
            (method(json!({"state": "On"})), "supported values"),
            (method(json!({"include": []})), "at least 1 items"),
            (method(json!({"include": [{}]})), "set exactly one of group and allUsers"),
            (
                method(json!({"include": [{"group": GROUP, "allUsers": true}]})),
                "set exactly one of group and allUsers",
            ),
            (method(json!({"include": [{"allUsers": false}]})), "allUsers can only be true"),
            (
                method(json!({"include": [{"allUsers": true}, {"group": GROUP}]})),
                "allUsers stands alone",
            ),
            (
                method(json!({"include": [{"allUsers": true, "displayName": "All"}]})),
                "displayName belongs to a group",
            ),
            (method(json!({"include": [{"group": "Helpdesk"}]})), "object id of a group"),
            (
                method(json!({
                    "include": [{"group": GROUP}], "exclude": [{"group": GROUP.to_uppercase()}],
                })),
                "a group is both included and excluded",
            ),
            (json!({"tenant": "default", "interval": "30s"}), "must be between 1m and 24h"),
            (json!({"tenant": "default", "enforcement": "Force"}), "supported values"),
            (
                issuance(json!({"lifetime": {"default": "4h", "maximum": "2h"}})),
                "default must not be longer than maximum",
            ),
            (issuance(json!({"approval": {"required": 6}})), "less than or equal to 5"),
            (issuance(json!({"approval": {"timeout": "1m"}})), "must be between 5m and 720h"),
            (issuance(json!({"approval": {"contact": "a\nb"}})), "must be text on one line"),
            (issuance(json!({"reason": {"hint": "a\tb"}})), "must be text on one line"),
            (issuance(json!({"leadTime": "169h"})), "must be at most 168h"),
            (issuance(json!({"reason": {"pattern": "INC["}})), "must be a regular expression"),
            (issuance(json!({"quota": {"activePerRequester": 0}})), "greater than or equal to 1"),
            (issuance(json!({"unusablePass": "Ignore"})), "supported values"),
        ] {
            let refusal = cluster.admin.refused(Call::create(POLICIES, policy(&spec))).await?;
            if refusal.code != 422 || !refusal.message.contains(message) {
                wrong.push(format!("{message:?} is not in {refusal:?}"));
            }
        }
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    })
}

#[test]
fn the_tenant_of_a_policy_cannot_be_changed() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let pattern = json!({"reason": {"pattern": "^INC[0-9]+"}});
        let spec = json!({"tenant": "default", "issuance": pattern});
        cluster.admin.call(Call::create(POLICIES, policy(&spec))).await?;
        let change = Call::merge(&format!("{POLICIES}/schema"), json!({"spec": {"tenant": "b"}}));
        let refusal = cluster.admin.refused(change).await?;
        ensure!(refusal.message.contains("cannot be changed"), "{refusal:?}");
        Ok(())
    })
}
