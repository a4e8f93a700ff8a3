//! Admission rules.

use super::*;

#[tokio::test(start_paused = true)]
async fn rules_refuse_and_see_the_user() {
    let api = server();
    api.admit("secrets", |review| match review.operation {
        Operation::Create if review.user != Some("operator") => {
            Err(statuses::denied_by_policy(review.resource, review.name, "fence", "no"))
        }
        Operation::Delete
            if review.options["preconditions"]["uid"].is_null() && !review.dry_run =>
        {
            Err(statuses::forbidden(review.resource, review.name, "a uid is needed"))
        }
        _ => Ok(()),
    });
    let status = refusal(secrets(&api).create(&PostParams::default(), &secret("a")).await);
    assert!(status.is_invalid());
    let operator: Api<Secret> = Api::default_namespaced(api.client_as("operator"));
    operator.create(&PostParams::default(), &secret("a")).await.expect("created");
    let again = secrets(&api).create(&PostParams::default(), &secret("a")).await;
    assert!(refusal(again).is_invalid(), "rules come before the check of names");

    assert!(refusal(operator.delete("a", &DeleteParams::default()).await).is_forbidden());
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    operator.delete("a", &dry).await.expect("a dry run is free");
    assert!(refusal(operator.delete("b", &DeleteParams::default()).await).is_not_found());
    assert!(api.get("secrets", "default", "a").is_some());
}
