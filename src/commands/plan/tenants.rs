//! Reads the tenants of a plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::anyhow;
use tap_operator::controller::{Clocks, LocalClock, connections_of};
use tap_operator::decision::permissions::{Need, with_id};
use tap_operator::decision::situation::Connection;
use tap_operator::entra::GraphError;
use tap_operator::graph::{Client, Priority};
use tap_operator::plan::manifests::Manifests;
use tap_operator::plan::tenant::{Tenant, Tenants, beyond_reading, groups};

use crate::commands::connections::{ConnectionArguments, NotInEnvironment};

/// The clients of all connections. `otherwise`: what else the person can do where there are none.
pub fn clients(connections: &ConnectionArguments, otherwise: &str) -> anyhow::Result<Vec<Client>> {
    let clocks = Arc::new(Clocks::new(LocalClock::of_the_system()));
    let clients = connections.clients(&clocks, Arc::new(|_, _| {}));
    clients.map_err(|error| {
        if !error.is::<NotInEnvironment>() {
            return error;
        }
        anyhow!("{error}\nthe environment describes no tenant connection: name a file that does with --tenants-file{otherwise}")
    })
}

/// Reads each tenant that a policy names and that has a connection.
pub async fn read(clients: &[Client], manifests: &Manifests) -> Tenants {
    let mut tenants = Tenants::new();
    for (client, connection) in clients.iter().zip(connections_of(clients)) {
        let of_client = || {
            let policies = manifests.policies.iter().map(|manifest| &manifest.object);
            policies.filter(|policy| policy.spec.tenant == client.connection())
        };
        if of_client().next().is_none() {
            continue;
        }
        let named: BTreeSet<String> = of_client().flat_map(groups).map(|(_, id)| id).collect();
        let tenant = one(client, connection, named).await;
        tenants.insert(client.connection().to_owned(), tenant);
    }
    tenants
}

async fn one(
    client: &Client,
    connection: Connection,
    mut named: BTreeSet<String>,
) -> Result<Tenant, String> {
    let cannot =
        |error: GraphError| format!("the tenant cannot be read: {}", error.for_a_command());
    let permissions = client.token_roles().await.map_err(cannot)?;
    let too_much = beyond_reading(&permissions);
    if !too_much.is_empty() {
        let listed: Vec<String> = too_much.into_iter().map(with_id).collect();
        return Err(format!(
            "the app {} of the tenant connection {:?} may do more than read: {}. Who can change a pipeline could use that, so nothing was read with it: use an app of its own that has only Policy.Read.AuthenticationMethod and GroupMember.Read.All",
            connection.client_id,
            connection.name,
            listed.join(", ")
        ));
    }
    let method = client.method(Priority::Read).await.map_err(cannot)?;
    named.extend(connection.ceilings.exclude_groups.iter().map(|id| id.to_lowercase()));
    let named: Vec<String> = named.into_iter().collect();
    let groups = client.groups(&named, Priority::Read).await;
    let access_policies = if Need::AccessPolicies.is_covered_by(&permissions) {
        Some(client.access_policies(Priority::Read).await.map(Arc::from))
    } else {
        None
    };
    Ok(Tenant { connection, permissions, method, groups, access_policies })
}
