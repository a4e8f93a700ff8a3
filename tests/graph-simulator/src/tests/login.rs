//! The three kinds of credentials.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    super::tenant::{Certificate, FederatedCredential},
    *,
};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ISSUER: &str = "https://kubernetes.default.svc";
const SUBJECT: &str = "system:serviceaccount:tap-operator:tap-operator";

fn denial(reply: &Reply) -> (u16, &str, u64) {
    let number = reply.body["error_codes"][0].as_u64().unwrap_or_else(|| panic!("{}", reply.raw));
    let description = reply.body["error_description"].as_str().unwrap();
    assert!(
        description.starts_with(&format!("AADSTS{number}: "))
            && description.contains("\r\nCorrelation ID: ")
    );
    (reply.status, reply.body["error"].as_str().unwrap(), number)
}

fn sign(key: &RsaKeyPair, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    let encoding: &'static dyn aws_lc_rs::signature::RsaEncoding =
        if header["alg"] == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
    key.sign(encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn with_assertion(simulator: &Simulator, assertion: &str) -> Reply {
    token(simulator, &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)])
        .await
}

#[tokio::test(start_paused = true)]
async fn secrets() {
    let mut tenant = Tenant::contoso();
    let old = "old".to_owned();
    let end = Some("2026-11-24T08:00:10Z".parse().unwrap());
    tenant.apps[0].secrets.push(super::super::tenant::Secret { value: old, end_date_time: end });
    let simulator = Simulator::starting_at(tenant, "2026-11-24T08:00:00Z".parse().unwrap());
    let issued = token(&simulator, &[("client_secret", "old")]).await;
    assert_eq!((issued.status, &issued.body["expires_in"]), (200, &json!(3_599)));
    let claims =
        issued.body["access_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!((&claims["appid"], &claims["tid"]), (&json!(OPERATOR), &json!(CONTOSO)));
    assert!(claims["roles"].as_array().unwrap().contains(&json!("User.Read.All")));
    let of = async |fields: &[(&str, &str)]| {
        let reply = token(&simulator, fields).await;
        let (status, error, number) = denial(&reply);
        (status, error.to_owned(), number)
    };
    let invalid_client = |number| (401, "invalid_client".to_owned(), number);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(of(&[("client_secret", "old")]).await, invalid_client(7_000_222));
    assert_eq!(of(&[("client_secret", "wrong")]).await, invalid_client(7_000_215));
    assert_eq!(of(&[]).await, invalid_client(7_000_218));
    let stranger = Uuid::nil().to_string();
    let unknown = of(&[("client_id", &stranger), ("client_secret", "x")]).await;
    assert_eq!(unknown, (400, "unauthorized_client".into(), 700_016));
    let scope = async |scope| of(&[("client_secret", OPERATOR_SECRET), ("scope", scope)]).await;
    assert_eq!(
        scope("https://graph.microsoft.com/User.Read").await,
        (400, "invalid_scope".into(), 1_002_012)
    );
    assert_eq!(scope("a b").await, (400, "invalid_scope".into(), 70_011));
    assert_eq!(
        scope("https://graph.microsoft.us/.default").await,
        (400, "invalid_resource".into(), 500_011)
    );
    simulator.edit_app(OPERATOR, |app| app.enabled = false).unwrap();
    assert_eq!(of(&[("client_secret", OPERATOR_SECRET)]).await.2, 7_000_112);
}

#[tokio::test(start_paused = true)]
async fn tenants_are_known_by_id_and_domain() {
    let client = Client::new().await;
    for (name, status) in [("contoso.com", 200), ("fabrikam.com", 400), ("common", 400)] {
        let form = format!(
            "grant_type=client_credentials&client_id={OPERATOR}&client_secret={OPERATOR_SECRET}\
             &scope=https://graph.microsoft.com/.default"
        );
        let request =
            Request::post(format!("/{name}/oauth2/v2.0/token")).body(form.into()).unwrap();
        assert_eq!(client.simulator.call(request).await.unwrap().status(), status, "{name}");
    }
    let request =
        Request::get(format!("https://here.test/{CONTOSO}/v2.0/.well-known/openid-configuration"));
    let response = client.simulator.call(request.body(Bytes::new()).unwrap()).await.unwrap();
    let document = reply(response).body;
    assert_eq!(
        document["token_endpoint"],
        format!("https://here.test/{CONTOSO}/oauth2/v2.0/token")
    );
}

fn certificate(key: &RsaKeyPair) -> String {
    let der =
        aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(key).unwrap();
    let key = rcgen::KeyPair::try_from(der.as_ref()).unwrap();
    rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()
}

fn thumbprint(pem: &str, algorithm: &'static aws_lc_rs::digest::Algorithm) -> String {
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(algorithm, &der))
}

#[tokio::test(start_paused = true)]
async fn certificates() {
    let simulator = Client::new().await.simulator;
    let (key, other) = (
        RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
    );
    let pem = certificate(&key);
    let end: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
    let known = Certificate { key: pem.clone(), start_date_time: None, end_date_time: Some(end) };
    simulator.edit_app(OPERATOR, |app| app.certificates.push(known)).unwrap();
    let sha256 = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint(&pem, &aws_lc_rs::digest::SHA256)});
    let sha1 = thumbprint(&pem, &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY);
    let sha1 = json!({"alg": "RS256", "typ": "JWT", "x5t": sha1});
    let now = simulator.now().as_second();
    let claims = json!({
        "aud": format!("https://login.test/{CONTOSO}/oauth2/v2.0/token"),
        "iss": OPERATOR, "sub": OPERATOR, "jti": Uuid::new_v4(), "nbf": now, "exp": now + 600,
    });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    for header in [&sha256, &sha1] {
        let accepted = with_assertion(&simulator, &sign(&key, header, &claims)).await;
        assert_eq!(accepted.status, 200, "{}", accepted.raw);
    }
    let unknown = json!({"alg": "PS256", "x5t#S256": "AAAA"});
    let cases = [
        (sign(&other, &sha256, &claims), 700_027),
        (sign(&key, &unknown, &claims), 700_027),
        (sign(&key, &sha256, &with("exp", json!(now - 301))), 700_024),
        (sign(&key, &sha256, &with("nbf", json!(now + 301))), 700_024),
        (sign(&key, &sha256, &with("aud", json!("https://elsewhere.test/"))), 700_023),
        (sign(&key, &sha256, &with("sub", json!("somebody"))), 700_021),
    ];
    for (assertion, number) in cases {
        let reply = with_assertion(&simulator, &assertion).await;
        assert_eq!(denial(&reply), (401, "invalid_client", number));
    }
    simulator.step_clock(SignedDuration::from_hours(1));
    let expired = with_assertion(&simulator, &sign(&key, &sha256, &claims)).await;
    assert_eq!(denial(&expired).2, 700_027);
    assert!(expired.body["error_description"].as_str().unwrap().contains("expired"));
}

#[tokio::test(start_paused = true)]
async fn federated_credentials() {
    let simulator = Client::new().await.simulator;
    simulator.switch(|switches| switches.federated_ready_after_seconds = 30);
    let (key, other) = (
        RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
    );
    // RSAPublicKey of 2048 bits in DER: the modulus after a header of nine bytes, and the exponent at the end.
    let public = key.public_key().as_ref();
    let (n, e) = (&public[9..265], &public[267..]);
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwks = json!({"keys": [{"kty": "RSA", "kid": "k1", "alg": "RS256", "use": "sig", "n": part(n), "e": part(e)}]});
    let header = json!({"alg": "RS256", "kid": "k1"});
    let now = simulator.now().as_second();
    let claims = json!({
        "aud": ["api://AzureADTokenExchange"], "iss": ISSUER, "sub": SUBJECT, "nbf": now, "exp": now + 3_600,
    });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let number = async |assertion: String| {
        let reply = with_assertion(&simulator, &assertion).await;
        if reply.status == 200 { 0 } else { denial(&reply).2 }
    };
    assert_eq!(number(sign(&key, &header, &claims)).await, 70_025);
    let credential = FederatedCredential {
        name: "cluster".into(),
        issuer: ISSUER.into(),
        subject: SUBJECT.into(),
        audience: "api://AzureADTokenExchange".into(),
        created_date_time: None,
    };
    simulator.add_federated_credential(OPERATOR, credential).unwrap();
    assert_eq!(number(sign(&key, &header, &claims)).await, 70_025);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(number(sign(&key, &header, &claims)).await, 501_661);
    simulator.register_issuer(ISSUER, jwks);
    assert_eq!(number(sign(&key, &header, &claims)).await, 0);
    assert_eq!(number(sign(&other, &header, &claims)).await, 50_013);
    assert_eq!(number(sign(&key, &json!({"alg": "none", "kid": "k1"}), &claims)).await, 50_013);
    assert_eq!(
        number(sign(&key, &header, &with("iss", json!(format!("{ISSUER}/"))))).await,
        700_211
    );
    assert_eq!(
        number(sign(&key, &header, &with("sub", json!("system:serviceaccount:a:b")))).await,
        700_213
    );
    assert_eq!(number(sign(&key, &header, &with("aud", json!("api://Other")))).await, 700_212);
    assert_eq!(number(sign(&key, &header, &with("exp", json!(now - 301)))).await, 700_024);
}
