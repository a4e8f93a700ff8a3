//! Every credential, why it is refused, and how its files change.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use graph_simulator::tenant::{ALICE, Certificate, FederatedCredential, Secret};

/// An RSA key and a certificate for it, both in PEM form.
fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    (key.serialize_pem(), certificate.pem())
}

fn register(bench: &Bench, certificate: &str) {
    let certificate =
        Certificate { key: certificate.to_owned(), start_date_time: None, end_date_time: None };
    bench.simulator.edit_app(OPERATOR, |app| app.certificates.push(certificate)).unwrap();
}

async fn sign_in(client: &Client) -> Result<(), (SignInErrorKind, String)> {
    match client.method(Priority::Read).await {
        Ok(_) => Ok(()),
        Err(GraphError { kind: ErrorKind::SignIn(kind), .. }) => {
            let error = client.method(Priority::Read).await.unwrap_err();
            Err((kind, error.to_string()))
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_signs_in_and_may_be_rotated() {
    let bench = Bench::new();
    let (key, certificate_one) = certificate();
    register(&bench, &certificate_one);
    let key_file = bench.file("key.pem", &key);
    let certificate_file = bench.file("certificate.pem", &certificate_one);
    let client = bench.connect(Credential::ClientCertificate { certificate_file, key_file });
    sign_in(&client).await.unwrap();

    let (key, certificate_two) = certificate();
    register(&bench, &certificate_two);
    bench.file("key.pem", &key);
    // A chain in which the other certificate comes first.
    bench.file("certificate.pem", &(certificate_one + &certificate_two));
    bench.simulator.edit_app(OPERATOR, |app| drop(app.certificates.remove(0))).unwrap();
    bench.simulator.expire_tokens();
    sign_in(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn key_and_certificate_may_share_a_file() {
    let bench = Bench::new();
    let (key, certificate) = certificate();
    register(&bench, &certificate);
    let both = bench.file("both.pem", &(key + &certificate));
    let credential =
        Credential::ClientCertificate { certificate_file: both.clone(), key_file: both };
    sign_in(&bench.connect(credential)).await.unwrap();
}

/// The process began before somebody set the clock of the machine right. What is signed has the time that the machine shows.
#[tokio::test(start_paused = true)]
async fn a_certificate_signs_in_once_the_clock_of_the_machine_is_right() {
    let mut bench = Bench::new();
    let (key, certificate) = certificate();
    register(&bench, &certificate);
    let both = bench.file("both.pem", &(key + &certificate));
    let credential =
        || Credential::ClientCertificate { certificate_file: both.clone(), key_file: both.clone() };
    let clock = |wrong: SignedDuration| -> Clock {
        let simulator = bench.simulator.clone();
        Arc::new(move || simulator.now() + wrong)
    };
    let (right, wrong) = (clock(SignedDuration::ZERO), clock(SignedDuration::from_hours(-1)));
    (bench.options.clock, bench.options.wall) = (Arc::clone(&wrong), right);
    sign_in(&bench.connect(credential())).await.unwrap();
    bench.options.wall = wrong;
    let (_, message) = sign_in(&bench.connect(credential())).await.unwrap_err();
    assert!(message.contains("AADSTS700024"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn unusable_certificates_are_explained() {
    let bench = Bench::new();
    let ((key, certificate_one), (_, certificate_two)) = (certificate(), certificate());
    let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (certificate, key, part) in [
        (&certificate_two, &key, "does not match any of the certificates"),
        (&key, &key, "no certificate in PEM form"),
        (&certificate_one, &certificate_one, "no private key in PEM form"),
        (&certificate_one, &encrypted, "encrypted"),
        (&certificate_one, &elliptic, "not an RSA key"),
    ] {
        let credential = Credential::ClientCertificate {
            certificate_file: bench.file("c.pem", certificate),
            key_file: bench.file("k.pem", key),
        };
        let (kind, message) = sign_in(&bench.connect(credential)).await.unwrap_err();
        assert_eq!(kind, SignInErrorKind::CredentialFile);
        assert!(message.contains(part) && message.contains("c.pem"), "{message}");
    }
    assert_eq!(bench.count(Operation::Token), 0);
    let credential = Credential::ClientCertificate {
        certificate_file: bench.file("c.pem", &certificate_one),
        key_file: bench.file("k.pem", &key),
    };
    let (kind, message) = sign_in(&bench.connect(credential)).await.unwrap_err();
    assert_eq!(kind, SignInErrorKind::WrongCertificate, "it is not registered: {message}");
    assert!(message.contains("AADSTS700027"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_service_account_token_signs_in_and_is_read_again() {
    let bench = Bench::new();
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    // An RSAPublicKey of 2048 bits in DER: a header of nine bytes, the modulus, and the exponent at the end.
    let public = key.public_key().as_ref();
    let jwks = json!({"keys": [
        {"kty": "RSA", "kid": "k", "alg": "RS256", "n": part(&public[9..265]), "e": part(&public[267..])}
    ]});
    let token = |expires: i64| {
        let json = |value: Value| part(value.to_string().as_bytes());
        let claims = json!({
            "aud": ["api://AzureADTokenExchange"], "iss": "https://issuer.test",
            "sub": "system:serviceaccount:tap-operator:tap-operator", "exp": expires,
        });
        let signed = format!("{}.{}", json(json!({"alg": "RS256", "kid": "k"})), json(claims));
        let mut signature = vec![0; 256];
        let random = aws_lc_rs::rand::SystemRandom::new();
        key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", part(&signature))
    };
    let now = bench.simulator.now().as_second();
    let token_file = bench.file("token", &token(now + 3_600));
    let client = bench.connect(Credential::WorkloadIdentity { token_file });

    let (kind, message) = sign_in(&client).await.unwrap_err();
    assert_eq!(kind, SignInErrorKind::NoFederatedCredential);
    assert!(message.contains("system:serviceaccount:<namespace>:<name>"), "{message}");

    bench.simulator.register_issuer("https://issuer.test", jwks);
    let credential = FederatedCredential {
        name: "cluster".into(),
        issuer: "https://issuer.test".into(),
        subject: "system:serviceaccount:tap-operator:tap-operator".into(),
        audience: "api://AzureADTokenExchange".into(),
        created_date_time: None,
    };
    bench.simulator.add_federated_credential(OPERATOR, credential).unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    sign_in(&client).await.unwrap();

    bench.simulator.expire_tokens();
    bench.file("token", &token(now - 3_600));
    assert_eq!(sign_in(&client).await.unwrap_err().0, SignInErrorKind::AssertionTime);
    bench.file("token", &token(now + 7_200));
    tokio::time::sleep(Duration::from_secs(10)).await;
    sign_in(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_secret_is_explained_retried_rarely_and_can_be_rotated() {
    let bench = Bench::new();
    let file = bench.file("secret", "wrong");
    let (kind, message) = sign_in(&bench.client).await.unwrap_err();
    assert_eq!(kind, SignInErrorKind::WrongSecret);
    assert_eq!(
        message,
        format!(
            "read the tenant's TAP method: signing in to Entra failed: HTTP 401 AADSTS7000215: Invalid \
             client secret provided for app '{OPERATOR}'.; the client secret is wrong: put the secret's value, not \
             its id, into the mounted file"
        )
    );
    for _ in 0..50 {
        bench.client.user(&ALICE.to_string(), Priority::Read).await.unwrap_err();
    }
    assert_eq!(bench.count(Operation::Token), 1, "Entra is asked once in ten seconds");
    std::fs::write(file, OPERATOR_SECRET).unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    sign_in(&bench.client).await.unwrap();
}

/// Login refuses a right sign-in so many times, as it does now and then.
fn refuse(bench: &Bench, times: u32) {
    let refused = FaultKind::SignInRefused { number: 700_213 };
    bench.simulator.inject(Fault::on(Operation::Token, refused).times(times));
}

#[tokio::test(start_paused = true)]
async fn a_first_sign_in_that_is_refused_now_and_then_is_tried_again_in_seconds() {
    let bench = Bench::new();
    refuse(&bench, 2);
    let began = tokio::time::Instant::now();
    sign_in(&bench.client).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(bench.count(Operation::Token), 3);

    let other = bench.connect(bench.client.config().credential.clone());
    refuse(&bench, 3);
    assert_eq!(sign_in(&other).await.unwrap_err().0, SignInErrorKind::NoFederatedCredential);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_used_on_while_it_is_good_and_its_renewal_is_refused() {
    let bench = Bench::new();
    let file = bench.file("secret", OPERATOR_SECRET);
    sign_in(&bench.client).await.unwrap();
    // In the five minutes before its end it is to be renewed.
    tokio::time::sleep(Duration::from_secs(3_310)).await;
    std::fs::write(&file, "wrong").unwrap();
    refuse(&bench, 2);
    for (seconds, tokens) in [(0, 2), (1, 2), (1, 3), (4, 3), (1, 4), (15, 5), (30, 6)] {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        sign_in(&bench.client).await.unwrap();
        assert_eq!(bench.count(Operation::Token), tokens, "{seconds}");
    }
    // The file is read anew each time.
    std::fs::write(&file, OPERATOR_SECRET).unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    sign_in(&bench.client).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    sign_in(&bench.client).await.unwrap();
    assert_eq!(bench.count(Operation::Token), 7, "the renewal succeeded");

    tokio::time::sleep(Duration::from_secs(2_710)).await;
    refuse(&bench, 1_000);
    sign_in(&bench.client).await.unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let told = sign_in(&bench.client).await.unwrap_err();
    assert_eq!(told.0, SignInErrorKind::NoFederatedCredential, "no token is left: {}", told.1);
}

#[tokio::test(start_paused = true)]
async fn other_sign_in_failures() {
    let bench = Bench::new();
    let expired = Secret {
        value: "expired".into(),
        end_date_time: Some("2026-11-24T07:00:00Z".parse().unwrap()),
    };
    bench.simulator.edit_app(OPERATOR, |app| app.secrets.push(expired)).unwrap();
    let expired = Credential::ClientSecret { file: bench.file("expired", "expired") };
    let (kind, message) = sign_in(&bench.connect(expired)).await.unwrap_err();
    assert_eq!(kind, SignInErrorKind::ExpiredSecret);
    assert!(message.contains("AADSTS7000222") && message.contains("add a new one"), "{message}");

    for (content, part) in [("", "is empty"), (" \n", "is empty")] {
        let empty = Credential::ClientSecret { file: bench.file("empty", content) };
        let (kind, message) = sign_in(&bench.connect(empty)).await.unwrap_err();
        assert_eq!(kind, SignInErrorKind::CredentialFile);
        assert!(message.contains(part), "{message}");
    }
    let missing = Credential::ClientSecret { file: bench.files.path().join("missing") };
    let (kind, message) = sign_in(&bench.connect(missing)).await.unwrap_err();
    assert_eq!(kind, SignInErrorKind::CredentialFile);
    assert!(message.contains("missing") && message.contains("mount the file"), "{message}");

    let secret = bench.client.config().credential.clone();
    let changed = |change: fn(&mut ConnectionConfig)| {
        let mut connection = connection("changed", secret.clone());
        change(&mut connection);
        Client::connect(vec![connection], &bench.options).remove(0)
    };
    let stranger = changed(|connection| connection.client_id = ALICE.to_string());
    assert_eq!(sign_in(&stranger).await.unwrap_err().0, SignInErrorKind::AppNotInTenant);
    let nowhere = changed(|connection| connection.tenant_id = ALICE.to_string());
    assert_eq!(sign_in(&nowhere).await.unwrap_err().0, SignInErrorKind::TenantNotFound);
    let elsewhere =
        changed(|connection| connection.graph_url = "https://graph.microsoft.us".into());
    assert_eq!(sign_in(&elsewhere).await.unwrap_err().0, SignInErrorKind::WrongCloud);
    bench.simulator.edit_app(OPERATOR, |app| app.enabled = false).unwrap();
    assert_eq!(sign_in(&bench.client).await.unwrap_err().0, SignInErrorKind::AppDisabled);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_login_is_not_called_before_its_retry_after() {
    let bench = Bench::new();
    let throttled = FaultKind::Throttled { retry_after_seconds: Some(20.0), form: None };
    bench.fault(Operation::Token, throttled);
    for waited in [0, 5] {
        tokio::time::sleep(Duration::from_secs(waited)).await;
        let error = bench.client.method(Priority::Read).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::SignIn(SignInErrorKind::Throttled));
        let after = Some(Duration::from_secs(20 - waited));
        assert_eq!(error.advice(), Advice::Retry { after });
    }
    assert_eq!(bench.count(Operation::Token), 1);
    tokio::time::sleep(Duration::from_secs(15)).await;
    sign_in(&bench.client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_managed_identity_uses_its_endpoint_and_must_belong_to_the_tenant() {
    /// The identity endpoint of a machine with an identity of some tenant.
    #[derive(Debug, Clone)]
    struct Machine {
        tenant: String,
        graph: InProcess,
    }
    #[async_trait::async_trait]
    impl Transport for Machine {
        async fn send(
            &self,
            request: http::Request<bytes::Bytes>,
            options: SendOptions,
        ) -> Result<http::Response<Body>, TransportError> {
            if !options.identity_endpoint {
                return self.graph.send(request, options).await;
            }
            assert_eq!(request.uri().host(), Some("169.254.169.254"));
            assert_eq!(request.headers()["metadata"], "true");
            let query = request.uri().query().unwrap();
            assert!(query.contains(&format!("client_id={OPERATOR}")), "{query}");
            let claims =
                URL_SAFE_NO_PAD.encode(json!({"tid": self.tenant, "roles": ["A"]}).to_string());
            let expires = Timestamp::now().as_second() + 3_600;
            let answer = json!({
                "access_token": format!("e30.{claims}.x"), "expires_on": expires.to_string(),
                "token_type": "Bearer", "resource": HOST,
            });
            Ok(http::Response::new(Body::new(answer.to_string().into_bytes())))
        }
    }
    let bench = Bench::new();
    let on = |tenant: uuid::Uuid| {
        let graph = InProcess(bench.simulator.clone());
        let machine = Machine { tenant: tenant.to_string(), graph };
        let options = Options { transport: Arc::new(machine), ..bench.options.clone() };
        let connection = connection("machine", Credential::ManagedIdentity);
        Client::connect(vec![connection], &options).remove(0)
    };
    assert_eq!(on(CONTOSO).token_roles().await.unwrap(), ["A"]);
    let error = on(ALICE).token_roles().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::SignIn(SignInErrorKind::WrongTenant));
}

#[tokio::test(start_paused = true)]
async fn callers_who_wait_share_a_refusal_that_names_no_time() {
    let unavailable =
        FaultKind::Status { status: 503, effect: false, code: None, retry_after_seconds: None };
    let throttled = FaultKind::Throttled { retry_after_seconds: None, form: None };
    for (fault, again) in [(throttled, [2, 5, 15]), (unavailable, [2, 2, 2])] {
        let bench = Bench::unpaced();
        bench.simulator.inject(Fault::on(Operation::Token, fault.clone()).times(u32::MAX));
        for (before, pause) in again.into_iter().enumerate() {
            let callers = (0..50).map(|_| bench.client.method(Priority::Read));
            for answer in futures::future::join_all(callers).await {
                assert!(matches!(answer.unwrap_err().kind, ErrorKind::SignIn(_)));
            }
            assert_eq!(bench.count(Operation::Token), before + 1, "{fault:?}");
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
        bench.simulator.clear_faults();
        sign_in(&bench.client).await.unwrap();
    }
}

/// The login host behind a firewall that drops packets: each try to connect takes its time. Or it takes connections, and answers
/// nothing.
#[tokio::test(start_paused = true)]
async fn a_login_host_that_does_not_answer_is_told_and_asked_once_for_all_callers() {
    #[derive(Debug)]
    struct Dropped(Option<Duration>);
    #[async_trait::async_trait]
    impl Transport for Dropped {
        async fn send(
            &self,
            _: http::Request<bytes::Bytes>,
            _: SendOptions,
        ) -> Result<http::Response<Body>, TransportError> {
            let Some(connects_within) = self.0 else { return std::future::pending().await };
            tokio::time::sleep(connects_within).await;
            let message = "cannot connect to login.test".into();
            Err(TransportError { maybe_sent: false, message })
        }
    }
    let cannot_connect = "cannot connect to login.test";
    for (within, deadline, words) in [
        (Some(10), 30, cannot_connect),
        (None, 30, "Entra gave no token in time"),
        // Refused at once, so that only the pauses between tries are long.
        (Some(0), 5, cannot_connect),
    ] {
        let within = within.map(Duration::from_secs);
        let deadline = Duration::from_secs(deadline);
        let bench = Bench::unpaced();
        let refusals = Arc::<Mutex<Vec<String>>>::default();
        let on_report: OnReport = Arc::new({
            let refusals = Arc::clone(&refusals);
            move |_, report| {
                if let Report::SignedIn(Err(error)) = report {
                    refusals.lock().unwrap().push(error.to_string());
                }
            }
        });
        let transport = Arc::new(Dropped(within));
        let options = Options { transport, deadline, on_report, ..bench.options.clone() };
        let credential = bench.client.config().credential.clone();
        let client = Client::connect(vec![connection("cut off", credential)], &options).remove(0);
        let began = Instant::now();
        let callers = (0..50).map(|_| client.method(Priority::Read));
        for answer in futures::future::join_all(callers).await {
            let error = answer.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(began.elapsed() < options.deadline, "{:?}", began.elapsed());
        let told = refusals.lock().unwrap().clone();
        assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
    }
}
