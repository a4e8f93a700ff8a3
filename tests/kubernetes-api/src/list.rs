//! Reading collections and single objects.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::request::ApiRequest;
use crate::resource::{Resource, metadata_text};
use crate::selector::Selector;
use crate::state::State;
use crate::status::{self, Refusal};
use crate::store::Key;

impl State {
    /// The resource version that the server's cache shows to this request: the last, unless changes are delayed for it.
    pub fn cached_revision(&self, request: &ApiRequest) -> u64 {
        let delay = self.faults.delay_of(request);
        let now = Instant::now();
        let hidden = |at: Instant| at.checked_add(delay).is_none_or(|visible| visible > now);
        match self.store.since(0).iter().find(|change| hidden(change.at)) {
            Some(change) => change.revision - 1,
            None => self.store.revision(),
        }
    }

    /// The resource version that a read asks for: 0 takes the cache, none or an older one the present.
    fn revision_of(&self, request: &ApiRequest) -> Result<u64, Refusal> {
        let current = self.store.revision();
        let version = request.parameter("resourceVersion");
        let wanted: u64 = match version {
            "" => return Ok(current),
            "0" => return Ok(self.cached_revision(request)),
            version => version.parse().map_err(|_| {
                status::bad_request(&format!("invalid resource version: {version}"))
            })?,
        };
        if wanted > current {
            return Err(status::resource_version_too_large(wanted, current));
        }
        if request.parameter("resourceVersionMatch") != "Exact" {
            return Ok(current);
        }
        if wanted < self.store.compacted() {
            return Err(status::expired("The resourceVersion for the provided list is too old."));
        }
        Ok(wanted)
    }

    /// One object.
    pub fn read(
        &self,
        request: &ApiRequest,
        resource: &Resource,
        name: &str,
    ) -> Result<Value, Refusal> {
        let revision = self.revision_of(request)?;
        let key = Key::new(resource, request.namespace.as_deref().unwrap_or_default(), name);
        let object = if revision == self.store.revision() {
            self.store.get(&key)
        } else {
            self.store.at(&key.storage, Some(&key.namespace), revision).remove(&key)
        };
        let object = object.ok_or_else(|| status::not_found(resource, name))?;
        Ok(resource.serve(&object))
    }

    /// A collection, or a page of it.
    pub fn list(&self, request: &ApiRequest, resource: &Resource) -> Result<Value, Refusal> {
        let selector = Selector::parse(
            request.parameter("labelSelector"),
            request.parameter("fieldSelector"),
        )?;
        let (revision, after) = match request.parameter("continue") {
            "" => (self.revision_of(request)?, None),
            token => {
                let (revision, after) = self.read_token(token)?;
                (revision, Some(after))
            }
        };
        let limit = match request.parameter("limit").parse::<usize>() {
            Ok(limit) if limit > 0 => limit,
            _ => usize::MAX,
        };
        let storage = resource.storage();
        let objects = self.store.at(&storage, request.namespace.as_deref(), revision);
        let mut rest = objects
            .iter()
            .filter(|(key, _)| {
                after
                    .as_ref()
                    .is_none_or(|(namespace, name)| (&key.namespace, &key.name) > (namespace, name))
            })
            .map(|(_, object)| object)
            .filter(|object| selector.matches(object));
        let items: Vec<Value> =
            rest.by_ref().take(limit).map(|object| resource.serve(object)).collect();
        let remaining = rest.count();
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if let (1.., Some(last)) = (remaining, items.last()) {
            let namespace = metadata_text(last, "namespace");
            let name = metadata_text(last, "name");
            metadata["continue"] = format!("{revision}/{namespace}/{name}").into();
            if selector.selects_all() {
                metadata["remainingItemCount"] = remaining.into();
            }
        }
        Ok(collection(resource, &metadata, &items))
    }

    fn read_token(&self, token: &str) -> Result<(u64, (String, String)), Refusal> {
        let mut parts = token.splitn(3, '/');
        let (Some(Ok(revision)), Some(namespace), Some(name)) =
            (parts.next().map(str::parse::<u64>), parts.next(), parts.next())
        else {
            return Err(status::bad_request("continue key is not valid"));
        };
        if revision < self.store.compacted() {
            let message =
                "The provided continue parameter is too old to display a consistent list result.";
            return Err(status::expired(message));
        }
        Ok((revision, (namespace.to_owned(), name.to_owned())))
    }
}

/// A list object.
pub fn collection(resource: &Resource, metadata: &Value, items: &[Value]) -> Value {
    json!({
        "apiVersion": resource.api_version(),
        "kind": format!("{}List", resource.kind),
        "metadata": metadata,
        "items": items,
    })
}
