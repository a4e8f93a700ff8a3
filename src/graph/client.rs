//! The clients: one for each tenant connection.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::connection::ConnectionConfig;
use super::exchange::{Exchange, Options, Pacers, Pacing, Priority, Request, Share, TenantPacer};
use crate::entra::Call;

/// The client of one tenant connection. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(super) exchange: Arc<Exchange>,
    /// For whom it makes its calls.
    pub(super) share: Share,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.connection()).finish()
    }
}

impl Client {
    /// Returns one client for each connection, in the same order. Connections of one app to one tenant share their pace, and
    /// all connections to one tenant that of Conditional Access.
    pub fn connect(connections: Vec<ConnectionConfig>, options: &Options) -> Vec<Self> {
        let mut pacers = HashMap::new();
        let mut of_tenants: HashMap<String, TenantPacer> = HashMap::new();
        (connections.into_iter())
            .map(|connection| {
                let tenant = connection.tenant_id.clone();
                let of_tenant = of_tenants.entry(tenant.clone()).or_default().clone();
                let app = (tenant, connection.client_id.clone());
                let pacers =
                    pacers.entry(app).or_insert_with(|| Pacers::new(options.pace, of_tenant));
                let exchange = Exchange::new(connection, pacers.clone(), options.clone());
                Self { exchange: Arc::new(exchange), share: Share::default() }
            })
            .collect()
    }

    /// The same client, for calls that are made for a requester.
    #[must_use]
    pub fn for_whom(&self, share: Share) -> Self {
        Self { share, ..self.clone() }
    }

    /// Opens the connection on which the answer with a code will travel, if a pass is about to be created. It returns at once.
    pub fn open_for_a_code(&self) {
        self.exchange.open_ahead();
    }

    /// A request, for whom the client makes its calls.
    pub(super) fn request(&self, call: Call, priority: Priority, path: String) -> Request<'_> {
        Request::new(call, priority, path).for_whom(&self.share)
    }

    /// The tenant's id, a GUID in lower case.
    pub fn tenant_id(&self) -> &str {
        &self.config().tenant_id
    }

    /// The name of the connection.
    pub fn connection(&self) -> &str {
        &self.config().name
    }

    /// The calls that wait for their turn, by the service whose limit they count towards. Connections of one app to one
    /// tenant share them.
    pub fn pacing(&self) -> [(&'static str, Pacing); 4] {
        self.exchange.pacing()
    }

    /// Whether calls that create passes, or take them away, wait for their turn, or Graph has asked to wait with them. What
    /// nobody waits for gives way to them.
    pub fn is_busy_with_passes(&self) -> bool {
        let [(_, passes), ..] = self.exchange.pacing();
        let read = Priority::Read.label();
        passes.throttled || passes.waiting.iter().any(|(of, waiting)| *of != read && *waiting > 0)
    }

    /// The whole connection.
    pub fn config(&self) -> &ConnectionConfig {
        self.exchange.connection()
    }
}
