//! The content of a Secret, and the HTTP request that creates it.

use http::header::ACCEPT;
use jiff::Timestamp;

use super::*;
use crate::api::yaml;
use crate::decision::situation::SecretWritten;

fn request() -> TapRequest {
    yaml::read(
        "{apiVersion: tap-operator.io/v1alpha1, kind: TapRequest, metadata: {name: lost-phone, namespace: helpdesk, uid: uid-1, \
         labels: {team: identity}, annotations: {reflector/allowed: 'true'}}, spec: {policyRef: {name: contoso}, user: alice@contoso.com}}",
    )
    .unwrap()
}

fn held() -> Held {
    Held {
        pass_id: "pass".into(),
        start: Timestamp::from_second(1_800_000_000).unwrap(),
        expires: Timestamp::from_second(1_800_003_600).unwrap(),
        answered: Timestamp::UNIX_EPOCH,
        one_time: true,
        secret: SecretWritten::NotYet,
    }
}

/// The admission policy, backups and the garbage collector recognize it by these.
#[test]
fn it_has_its_own_type_cannot_be_changed_and_goes_with_its_request() {
    let secret = secret(&request(), "alice@contoso.com", b"the code".to_vec(), Some(&held()));
    assert_eq!(secret.type_.as_deref(), Some("tap-operator.io/temporary-access-pass"));
    assert_eq!(secret.immutable, Some(true));
    let owners = secret.metadata.owner_references.unwrap();
    let owner = &owners[0];
    assert_eq!((owners.len(), owner.uid.as_str(), owner.name.as_str()), (1, "uid-1", "lost-phone"));
    assert_eq!((owner.kind.as_str(), owner.block_owner_deletion), ("TapRequest", None));
    assert_eq!(secret.metadata.finalizers, None);
    let labels = secret.metadata.labels.unwrap();
    let own = [
        ("app.kubernetes.io/managed-by", "tap-operator"),
        ("velero.io/exclude-from-backup", "true"),
    ];
    assert_eq!(labels, own.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(secret.metadata.annotations, None);
    let keys: Vec<_> = secret.data.unwrap().into_keys().collect();
    let expected =
        ["notAfter", "notBefore", "signInUrl", "temporaryAccessPass", "userPrincipalName"];
    assert_eq!(keys, expected);
}

/// The API server answers a create with the whole object, unless it is asked for the metadata only.
#[test]
fn the_code_does_not_come_back() {
    let secret = secret(&request(), "alice@contoso.com", b"the code".to_vec(), Some(&held()));
    let create = creation(&request(), &secret).unwrap();
    let accepted = create.headers().get_all(ACCEPT).iter().collect::<Vec<_>>();
    assert_eq!(accepted, ["application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"]);
}
