//! What kube-controller-manager does in a cluster: garbage collection by owner references, and emptying namespaces.

use serde_json::{Value, json};

use crate::resource::{Resource, is_deleting, metadata, metadata_text};
use crate::state::State;
use crate::store::Key;
use crate::target::Target;
use crate::write::{orphans_dependents, remove_deletion_finalizers, waits_for_dependents};

const GARBAGE_COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";
const NAMESPACE_CONTROLLER: &str = "system:serviceaccount:kube-system:namespace-controller";

/// What an owner reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// An object that is there; `foreground`: it waits for its dependents to go.
    There { foreground: bool },
    /// Nothing any more.
    Gone,
    /// A kind that is not served, about which nothing can be said.
    Unknown,
}

/// Whether one of the controllers may have something to do about an object.
fn concerns(object: &Value) -> bool {
    let metadata = &object["metadata"];
    !metadata["ownerReferences"].is_null() || !metadata["deletionTimestamp"].is_null()
}

impl State {
    /// Lets both controllers work until there is nothing left to do.
    pub fn clean_up(&mut self) {
        loop {
            let before = self.store.revision();
            // Few objects concern the controllers, and this runs after each write.
            let concerned = self.store.objects().filter(|(_, object)| concerns(object));
            let mut keys: Vec<Key> = concerned.map(|(key, _)| key.clone()).collect();
            if keys.is_empty() {
                return;
            }
            for resource in self.registry.stored().cloned().collect::<Vec<_>>() {
                let storage = resource.storage();
                for key in keys.extract_if(.., |key| key.storage == storage) {
                    self.release_dependents(&key);
                    self.collect(&resource, &key);
                    if resource.is("namespaces") {
                        self.empty_namespace(&key);
                    }
                }
            }
            if self.store.revision() == before {
                return;
            }
        }
    }

    /// Deletes an object whose owners are all gone (or go after it); drops references to owners that are gone.
    fn collect(&mut self, resource: &Resource, key: &Key) {
        let Some(object) = self.store.get(key) else { return };
        let Some(references) = object["metadata"]["ownerReferences"].as_array() else { return };
        let owners: Vec<Owner> =
            references.iter().map(|reference| self.owner(key, reference)).collect();
        let keeps =
            |owner: &Owner| matches!(owner, Owner::Unknown | Owner::There { foreground: false });
        if !owners.iter().any(keeps) {
            let policy = json!({
                "propagationPolicy": "Background",
                "preconditions": {"uid": object["metadata"]["uid"]},
            });
            self.delete_as(GARBAGE_COLLECTOR, resource, key, &policy);
        } else if owners.contains(&Owner::Gone) {
            let left: Vec<Value> = references
                .iter()
                .zip(&owners)
                .filter(|(_, owner)| **owner != Owner::Gone)
                .map(|(reference, _)| reference.clone())
                .collect();
            self.set_owners(key, &object, left);
        }
    }

    fn owner(&self, dependent: &Key, reference: &Value) -> Owner {
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
        let Some(resource) = self.registry.of_group_kind(group, text("kind")) else {
            return Owner::Unknown;
        };
        let key = Key::new(resource, &dependent.namespace, text("name"));
        match self.store.get(&key) {
            Some(owner) if metadata_text(&owner, "uid") == text("uid") => {
                Owner::There { foreground: waits_for_dependents(&owner) }
            }
            _ => Owner::Gone,
        }
    }

    /// Ends a deletion that waits for its dependents, when they are gone or were made orphans.
    fn release_dependents(&mut self, key: &Key) {
        let Some(object) = self.store.get(key) else { return };
        let orphaning = orphans_dependents(&object);
        if !orphaning && !waits_for_dependents(&object) {
            return;
        }
        let uid = &object["metadata"]["uid"];
        let references = |dependent: &Value| {
            dependent["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default()
        };
        let dependents: Vec<(Key, Value)> = self
            .store
            .objects()
            .filter(|(_, dependent)| references(dependent).iter().any(|r| r["uid"] == *uid))
            .map(|(key, dependent)| (key.clone(), Value::clone(dependent)))
            .collect();
        if orphaning {
            for (dependent_key, dependent) in &dependents {
                let left: Vec<Value> =
                    references(dependent).into_iter().filter(|r| r["uid"] != *uid).collect();
                self.set_owners(dependent_key, dependent, left);
            }
        } else if dependents.iter().any(|(_, dependent)| {
            references(dependent)
                .iter()
                .any(|r| r["uid"] == *uid && r["blockOwnerDeletion"] == true)
        }) {
            return;
        }
        let mut released = Value::clone(&object);
        remove_deletion_finalizers(&mut released);
        if released["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            self.store.remove(key);
        } else {
            self.store.put(key.clone(), released);
        }
    }

    /// Deletes what is in a namespace, then the namespace.
    fn empty_namespace(&mut self, namespace: &Key) {
        let Some(object) = self.store.get(namespace) else { return };
        if !is_deleting(&object) {
            return;
        }
        let contents: Vec<(Key, Value)> = self
            .store
            .objects()
            .filter(|(key, _)| key.namespace == namespace.name)
            .map(|(key, object)| (key.clone(), Value::clone(object)))
            .collect();
        if contents.is_empty() {
            if object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
                self.store.remove(namespace);
            }
            return;
        }
        for (key, object) in contents {
            let resource = self.registry.stored().find(|r| r.storage() == key.storage).cloned();
            if let Some(resource) = resource.filter(|_| !is_deleting(&object)) {
                self.delete_as(NAMESPACE_CONTROLLER, &resource, &key, &json!({}));
            }
        }
    }

    /// A deletion by a controller; where it is refused, the object stays until the next time.
    fn delete_as(&mut self, user: &str, resource: &Resource, key: &Key, options: &Value) {
        let target = Target {
            resource: resource.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            status: false,
            user: Some(user.to_owned()),
            dry_run: false,
        };
        self.delete(&target, options).ok();
    }

    fn set_owners(&mut self, key: &Key, object: &Value, owners: Vec<Value>) {
        let mut object = object.clone();
        let meta = metadata(&mut object);
        if owners.is_empty() {
            meta.remove("ownerReferences");
        } else {
            meta.insert("ownerReferences".into(), owners.into());
        }
        self.store.put(key.clone(), object);
    }
}
