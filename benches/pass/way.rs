//! How far the tenant and the API server are from the programs that are measured.

use std::time::Duration;

use anyhow::Result;

use super::link::Link;
use super::support::identity::Identity;
use super::support::operator::{NAMESPACE, Operator, SERVICE_ACCOUNT};
use super::support::world::World;

/// The round trips that are added where the servers are far.
const TO_TENANT: Duration = Duration::from_millis(100);
const TO_API_SERVER: Duration = Duration::from_millis(5);

/// The way of the operator, and of the floor, to the servers.
pub struct Way {
    /// What the way is called.
    pub name: &'static str,
    /// The URL of the tenant.
    pub tenant: String,
    /// The operator's `ServiceAccount`, with the URL of the API server.
    pub identity: Identity,
    _links: Vec<Link>,
}

impl Way {
    /// Over the loopback interface.
    pub async fn near(world: &World) -> Result<Self> {
        let identity = world.control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
        let tenant = world.simulator.url();
        Ok(Self { name: "on loopback", tenant, identity, _links: Vec::new() })
    }

    /// As near as a cluster is to its API server, and as far as it may be from the tenant.
    pub async fn far(world: &World) -> Result<Self> {
        let near = Self::near(world).await?;
        let tenant = Link::to(&near.tenant, TO_TENANT).await?;
        let api_server = Link::to(world.control_plane.url(), TO_API_SERVER).await?;
        let scratch = world.control_plane.scratch();
        let authority = world.control_plane.authority();
        Ok(Self {
            name: "with 100 ms to the tenant and 5 ms to the API server",
            tenant: tenant.url().to_owned(),
            identity: near.identity.through(scratch, api_server.url(), &authority)?,
            _links: vec![tenant, api_server],
        })
    }

    /// The operator at the end of this way.
    pub fn operator(&self, world: &World, flags: &[&str]) -> Result<Operator> {
        let flags: Vec<String> = flags.iter().copied().map(String::from).collect();
        let authority = world.simulator.authority();
        let scratch = world.control_plane.scratch();
        Operator::at(scratch, "tap-operator", &self.identity, &self.tenant, authority, &flags)
    }
}
