//! Answers as objects: a single one, or all pages of a list.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::answer::unexpected;
use super::request::Request;
use super::{Exchange, VERSION};
use crate::entra::GraphError;
use crate::graph::wire;

/// No list that is read here has as many pages. A tenant has less than a hundredth as many roles.
const MOST_PAGES: usize = 100;

impl Exchange {
    /// Reads one object.
    pub(in crate::graph) async fn read<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
    ) -> Result<T, GraphError> {
        let answer = self.send(request).await?;
        wire::read(&answer.body).map_err(|error| answer.annotate(request, &error.to_string()))
    }

    /// Reads all pages of a list. Also returns the `Date` of the first page.
    pub(in crate::graph) async fn pages<T: DeserializeOwned>(
        &self,
        mut request: Request<'_>,
    ) -> Result<(Vec<T>, Option<Timestamp>), GraphError> {
        let (mut all, mut date) = (Vec::new(), None);
        for page in 0..MOST_PAGES {
            let answer = self.send(&request).await?;
            if page == 0 {
                date = wire::date(&answer.headers);
            }
            let page: wire::Page<T> = wire::read(&answer.body)
                .map_err(|error| answer.annotate(&request, &error.to_string()))?;
            all.extend(page.value);
            let Some(next) = page.next else { return Ok((all, date)) };
            // The next request carries the token, so it must not go to another host.
            request.path = self.own_path(&next).ok_or_else(|| {
                answer
                    .annotate(&request, "the link to the next page names another host than Graph's")
            })?;
        }
        Err(unexpected(request.call, "the list does not end"))
    }

    /// Returns what follows scheme, host and version in a URL of the connection's Graph, and `None` for any other URL.
    fn own_path(&self, url: &str) -> Option<String> {
        let url: http::Uri = url.parse().ok()?;
        let graph: http::Uri = self.connection().graph_url.parse().ok()?;
        let port = |uri: &http::Uri| uri.port_u16().unwrap_or(443);
        let same = url.scheme_str() == Some("https")
            && url.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && url.host()?.eq_ignore_ascii_case(graph.host()?)
            && port(&url) == port(&graph);
        let path = url.path_and_query()?.as_str().strip_prefix(VERSION)?;
        (same && path.starts_with('/')).then(|| path.to_owned())
    }
}
