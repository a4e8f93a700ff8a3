//! The client against the simulated tenant: in the same process under paused time, and over TLS.

mod calls;
mod creating;
mod failures;
mod in_process;
mod over_tls;
mod signing_in;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::entra::{
    Advice, Cloud, CreateError, Created, DateSample, ErrorKind, GraphError, GraphTarget,
    MethodConfiguration, MethodPatch, MethodState, NewPass, SignInErrorKind, UsabilityReason,
    UserKind,
};
use graph_simulator::tenant::{CONTOSO, OPERATOR, OPERATOR_SECRET};
use graph_simulator::{Fault, FaultKind, Operation, Simulator, Tenant};
use in_process::InProcess;

const HOST: &str = "https://entra.test";

/// A tenant, a client that signs in to it with a secret in a file, and what the client reported.
struct Bench {
    simulator: Simulator,
    client: Client,
    options: Options,
    files: TempDir,
    dates: Arc<Mutex<Vec<DateSample>>>,
    /// The calls that were sent, and how they ended; what was not sent, as `not sent` and why.
    reports: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
}

impl Bench {
    fn new() -> Self {
        let start: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let simulator = Simulator::starting_at(Tenant::contoso(), start);
        let files = TempDir::new().unwrap();
        let (dates, reports) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let options = Options {
            clock: Arc::new({
                let simulator = simulator.clone();
                move || simulator.now()
            }),
            wall: Arc::new({
                let simulator = simulator.clone();
                move || simulator.now()
            }),
            on_date: Arc::new({
                let dates = Arc::clone(&dates);
                move |_, sample| dates.lock().unwrap().push(sample)
            }),
            on_report: Arc::new({
                let reports = Arc::clone(&reports);
                move |_, report| {
                    let told = match report {
                        Report::Sent { call, outcome, .. } => (call, outcome),
                        Report::NotSent { cause, .. } => ("not sent", cause),
                        Report::Admitted { .. } | Report::SignedIn(_) => return,
                    };
                    reports.lock().unwrap().push(told);
                }
            }),
            ..Options::new(Arc::new(InProcess(simulator.clone())))
        };
        let secret = files.path().join("secret");
        std::fs::write(&secret, format!("{OPERATOR_SECRET}\n")).unwrap();
        let connection = connection("default", Credential::ClientSecret { file: secret });
        let client = Client::connect(vec![connection], &options).remove(0);
        Self { simulator, client, options, files, dates, reports }
    }

    /// Without Graph's own limit and without pacing, for tests of something else.
    fn unpaced() -> Self {
        let mut bench = Self::new();
        bench.simulator.switch(|switches| switches.authentication_method_limit = None);
        bench.options.pace.calls = 1000;
        bench.client = bench.connect(bench.client.config().credential.clone());
        bench
    }

    /// Another client of the same tenant.
    fn connect(&self, credential: Credential) -> Client {
        Client::connect(vec![connection("other", credential)], &self.options).remove(0)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn fault(&self, operation: Operation, kind: FaultKind) {
        self.simulator.inject(Fault::on(operation, kind));
    }

    fn count(&self, operation: Operation) -> usize {
        self.simulator.requests_for(operation).len()
    }

    fn reports(&self) -> Vec<(&'static str, &'static str)> {
        self.reports.lock().unwrap().clone()
    }
}

fn connection(name: &str, credential: Credential) -> ConnectionConfig {
    ConnectionConfig {
        name: name.into(),
        tenant_id: CONTOSO.to_string(),
        client_id: OPERATOR.to_string(),
        cloud: Cloud::Global,
        credential,
        login_url: HOST.into(),
        graph_url: HOST.into(),
        users: None,
        ceilings: crate::api::Ceilings::default(),
    }
}

fn new_pass() -> NewPass {
    NewPass { start: None, lifetime_minutes: 60, one_time: true }
}

/// Creates a pass, with 30 s for the call to be admitted.
async fn create(client: &Client, user: &str, new: &NewPass) -> Result<Created, CreateError> {
    let latest = Instant::now() + Duration::from_secs(30);
    client.create_pass(user, new, REQUEST_ID, latest).await
}

const REQUEST_ID: &str = "c0ffee00-0000-4000-8000-000000000001";
