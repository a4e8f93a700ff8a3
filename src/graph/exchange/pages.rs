//! Answers as objects: a single one, or all pages of a list.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::answer::unexpected;
use super::request::Request;
use super::{Exchange, VERSION};
use crate::entra::{GraphError, Rest};
use crate::graph::wire;

/// No list that is read here has as many pages. A tenant has less than a hundredth as many roles.
const MOST_PAGES: usize = 100;

/// The first pages of a list.
pub(in crate::graph) struct Pages<T> {
    pub(in crate::graph) items: Vec<T>,
    /// The `Date` of the first page.
    date: Option<Timestamp>,
    pub(in crate::graph) rest: Rest,
}

struct Page<T> {
    items: Vec<T>,
    date: Option<Timestamp>,
    /// The path of the next one.
    next: Option<String>,
}

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
        request: Request<'_>,
    ) -> Result<(Vec<T>, Option<Timestamp>), GraphError> {
        let call = request.call;
        let first = self.first_pages(request, MOST_PAGES).await?;
        match first.rest {
            Rest::None => Ok((first.items, first.date)),
            Rest::NotAsked => Err(unexpected(call, "the list does not end")),
            Rest::Failed(error) => Err(error),
        }
    }

    /// Reads so many pages of a list, or all of it if it has no more, or those before one that cannot be read.
    pub(in crate::graph) async fn first_pages<T: DeserializeOwned>(
        &self,
        mut request: Request<'_>,
        most: usize,
    ) -> Result<Pages<T>, GraphError> {
        let (mut items, mut date) = (Vec::new(), None);
        for page in 0..most {
            let read = match self.page::<T>(&request).await {
                Ok(read) => read,
                Err(error) if page == 0 => return Err(error),
                Err(error) => return Ok(Pages { items, date, rest: Rest::Failed(error) }),
            };
            items.extend(read.items);
            if page == 0 {
                date = read.date;
            }
            let Some(next) = read.next else { return Ok(Pages { items, date, rest: Rest::None }) };
            request.path = next;
        }
        Ok(Pages { items, date, rest: Rest::NotAsked })
    }

    async fn page<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
    ) -> Result<Page<T>, GraphError> {
        let answer = self.send(request).await?;
        let page: wire::Page<T> = wire::read(&answer.body)
            .map_err(|error| answer.annotate(request, &error.to_string()))?;
        // The next request carries the token, so it must not go to another host.
        let next = page.next.map(|next| {
            self.own_path(&next).ok_or_else(|| {
                answer
                    .annotate(request, "the link to the next page names another host than Graph's")
            })
        });
        Ok(Page { items: page.value, date: wire::date(&answer.headers), next: next.transpose()? })
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
