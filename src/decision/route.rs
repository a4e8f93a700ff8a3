//! The way from an intent to the tenant that it was made in. The configuration may have changed since: a name may mean another
//! tenant now, and another name this one.

use super::situation::Connection;
use crate::entra::Cloud;

/// The tenant of an intent, and the connection through which its pass was requested.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route<'a> {
    /// Id of the tenant.
    pub tenant_id: &'a str,
    /// The cloud of the tenant; absent in an intent of a version that did not record it.
    pub cloud: Option<Cloud>,
    /// Name of the connection.
    pub connection: &'a str,
}

impl Route<'_> {
    /// The connection through which the pass was requested, if it still leads to that tenant.
    pub fn checked<'c>(&self, connections: &'c [Connection]) -> Option<&'c Connection> {
        connections.iter().find(|c| c.name == self.connection && self.leads_there(c))
    }

    /// The names of all connections that lead to the tenant, the one through which the pass was requested first. A tenant
    /// may have two apps, one of them without the permissions, so a call is made through the next one where an app is
    /// refused.
    pub fn connections(&self, connections: &[Connection]) -> Vec<String> {
        let mut names: Vec<_> =
            connections.iter().filter(|c| self.leads_there(c)).map(|c| c.name.clone()).collect();
        names.sort_by_key(|name| name != self.connection);
        names
    }

    /// Whether any connection leads to the tenant.
    pub fn is_open(&self, connections: &[Connection]) -> bool {
        connections.iter().any(|connection| self.leads_there(connection))
    }

    /// The sentence for people if no connection leads to the tenant.
    pub fn unreached(&self) -> String {
        let Self { tenant_id, connection, .. } = self;
        let cloud = self.cloud.map_or_else(String::new, |cloud| format!(" ({})", cloud.name()));
        format!(
            "the pass was issued in tenant {tenant_id}{cloud} through the connection {connection:?}, and none of the operator's tenant connections leads to that tenant any more: add one to its configuration, or delete the pass in Entra"
        )
    }

    fn leads_there(&self, connection: &Connection) -> bool {
        connection.tenant_id == self.tenant_id
            && self.cloud.is_none_or(|cloud| connection.cloud == cloud)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(name: &str, tenant_id: &str, cloud: Cloud) -> Connection {
        Connection {
            name: name.into(),
            tenant_id: tenant_id.into(),
            client_id: "app".into(),
            cloud,
            users: None,
            ceilings: std::sync::Arc::default(),
        }
    }

    #[test]
    fn only_connections_of_the_same_tenant_and_cloud_lead_there_and_the_checked_one_is_first() {
        let all = [
            connection("a", "one", Cloud::Global),
            connection("b", "two", Cloud::Global),
            connection("c", "one", Cloud::UsGov),
            connection("d", "one", Cloud::Global),
        ];
        for (name, cloud, checked, names) in [
            ("a", Some(Cloud::Global), Some("a"), vec!["a", "d"]),
            ("d", Some(Cloud::Global), Some("d"), vec!["d", "a"]),
            // The name means another tenant now, or another cloud, or nothing.
            ("b", Some(Cloud::Global), None, vec!["a", "d"]),
            ("c", Some(Cloud::Global), None, vec!["a", "d"]),
            ("removed", Some(Cloud::Global), None, vec!["a", "d"]),
            ("a", Some(Cloud::UsGovDod), None, vec![]),
            ("a", None, Some("a"), vec!["a", "c", "d"]),
        ] {
            let route = Route { tenant_id: "one", cloud, connection: name };
            let found = route.checked(&all).map(|connection| connection.name.as_str());
            assert_eq!(found, checked, "{route:?}");
            assert_eq!(route.connections(&all), names, "{route:?}");
            assert_eq!(route.is_open(&all), !names.is_empty(), "{route:?}");
        }
        let gone = Route { tenant_id: "three", cloud: None, connection: "a" };
        assert_eq!(gone.connections(&all), <[String; 0]>::default());
        assert!(gone.unreached().contains("issued in tenant three through the connection \"a\""));
    }
}
