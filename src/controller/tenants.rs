//! The tenant connections as decisions know them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::Ceilings;
use crate::decision::situation::Connection;
use crate::graph::Client;

/// The connections of these clients, in the same order. Of the ceilings of a tenant the strictest hold, for each of its
/// connections.
pub fn connections_of(clients: &[Client]) -> Vec<Connection> {
    let mut ceilings: BTreeMap<&str, Ceilings> = BTreeMap::new();
    for config in clients.iter().map(Client::config) {
        let of_tenant = ceilings.entry(&config.tenant_id).or_default();
        *of_tenant = of_tenant.and(&config.ceilings);
    }
    let ceilings: BTreeMap<&str, Arc<Ceilings>> =
        ceilings.into_iter().map(|(tenant_id, of_tenant)| (tenant_id, of_tenant.into())).collect();
    let connection = |client: &Client| {
        let config = client.config();
        Connection {
            name: config.name.clone(),
            tenant_id: config.tenant_id.clone(),
            client_id: config.client_id.clone(),
            cloud: config.cloud,
            users: config.users.clone(),
            ceilings: ceilings.get(&*config.tenant_id).cloned().unwrap_or_default(),
        }
    };
    clients.iter().map(connection).collect()
}
