//! kube's own runtime, run against this server.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_recorder_reports_and_counts() {
    let api = server();
    let object = create(&api, &widget("a", 1)).await;
    let recorder = Recorder::new(api.client(), Reporter::from("tests"));
    let report = Report {
        type_: EventType::Normal,
        reason: "Made".into(),
        note: Some("It was made".into()),
        action: "Make".into(),
        secondary: None,
    };
    let reference: ObjectReference = object.object_ref(&());
    for _ in 0..3 {
        recorder.publish(&report, &reference).await.expect("published");
    }
    let events: Api<Event> = Api::default_namespaced(api.client());
    let events = events.list(&ListParams::default()).await.expect("a list").items;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].series.as_ref().expect("a series").count, 3);
    let core: Api<CoreEvent> = Api::default_namespaced(api.client());
    let core = core.list(&ListParams::default()).await.expect("a list").items;
    assert_eq!(core[0].message.as_deref(), Some("It was made"));
    assert_eq!(core[0].involved_object.name.as_deref(), Some("a"));
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failed(#[from] kube::Error);

/// Writes `Ready` to the status once a widget is ten minutes old.
async fn ripen(widget: Arc<Widget>, api: Arc<KubernetesApi>) -> Result<Action, Failed> {
    let ready = widget.status.as_ref().is_some_and(|status| status.phase == "Ready");
    let born = widget.metadata.creation_timestamp.as_ref().expect("a time").0;
    let age = api.now().duration_since(born).as_secs();
    if ready {
        return Ok(Action::await_change());
    }
    let Some(left) = u64::try_from(600 - age).ok().filter(|left| *left > 0) else {
        let patch = json!({
            "metadata": {"resourceVersion": widget.metadata.resource_version},
            "status": {"phase": "Ready"},
        });
        merge_status(&api, &widget.name_any(), patch).await?;
        return Ok(Action::await_change());
    };
    Ok(Action::requeue(Duration::from_secs(left)))
}

#[tokio::test(start_paused = true)]
async fn a_controller_works_in_paused_time() {
    let api = server();
    for index in 0..20 {
        create(&api, &widget(&format!("w{index}"), index)).await;
    }
    let real = std::time::Instant::now();
    api.fail_next(Match::any().subresource("status"), Fault::AnswerLost);
    let error_policy = |_: Arc<Widget>, _: &Failed, _| Action::requeue(Duration::from_secs(5));
    let controller = Controller::new(widgets(&api), watcher::Config::default())
        .run(ripen, error_policy, Arc::new(api.clone()))
        .for_each(|_| async {});
    let controller = tokio::spawn(controller);

    tokio::time::sleep(Duration::from_secs(590)).await;
    assert_eq!(api.writes().len(), 20, "something was written too early");
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(api.list("widgets").iter().all(|widget| widget["status"]["phase"] == "Ready"));
    assert_eq!(api.writes().len(), 40, "expected one status each, and no write without a change");
    controller.abort();
    assert!(real.elapsed() < Duration::from_secs(5), "an hour of paused time took too long");
}
