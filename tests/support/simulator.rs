//! The tenant: the Graph simulator, inside this process, on a TLS port.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::Path;

use anyhow::{Context, Result};
use graph_simulator::{Tenant, tls::Server};

use super::ports::Port;
use super::scratch::Scratch;

/// A running simulator, with all methods of [`graph_simulator::Simulator`]. It ends when this value is dropped.
pub struct Simulator {
    tenant: graph_simulator::Simulator,
    server: Server,
    _port: Port,
}

impl Simulator {
    /// Starts serving the tenant: its login endpoint and its Graph.
    pub async fn start(scratch: &Scratch, tenant: Tenant) -> Result<Self> {
        Self::start_in(&scratch.file("simulator"), tenant).await
    }

    /// The same with its files in this directory, for a second tenant beside the first.
    pub async fn start_in(directory: &Path, tenant: Tenant) -> Result<Self> {
        let port = Port::reserve()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number));
        let tenant = graph_simulator::Simulator::new(tenant);
        let server = Server::start(&tenant, address, directory).await;
        let server = server.context("starting the simulator")?;
        Ok(Self { tenant, server, _port: port })
    }

    /// The root URL of login and Graph, without `/v1.0`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The certificate of the authority that signed the simulator's certificate, a PEM file.
    pub fn authority(&self) -> &Path {
        self.server.ca_file()
    }
}

impl Deref for Simulator {
    type Target = graph_simulator::Simulator;

    fn deref(&self) -> &Self::Target {
        &self.tenant
    }
}
