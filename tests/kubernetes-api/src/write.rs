//! The rules of creating, writing and deleting objects.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::admission::{Operation, Review};
use crate::patch;
use crate::resource::{Resource, is_deleting, metadata, metadata_text};
use crate::state::State;
use crate::status::{self, Refusal};
use crate::store::Key;
use crate::target::Target;
use crate::validation;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// How the new object comes about.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// The body replaces it.
    Replace(&'a Value),
    /// The body is a patch of this content type.
    Patch(&'a str, &'a Value),
}

impl State {
    /// Creates an object; the object as it is then.
    pub fn create(&mut self, target: &Target, body: &Value) -> Result<Value, Refusal> {
        let resource = &target.resource;
        let mut object = validation::body(target, body)?;
        let generate = metadata_text(&object, "generateName").to_owned();
        if metadata_text(&object, "name").is_empty() && !generate.is_empty() {
            let name = format!("{generate}{}", self.next_suffix());
            metadata(&mut object).insert("name".into(), name.into());
        }
        let name = metadata_text(&object, "name").to_owned();
        let key = Key::new(resource, &target.namespace, &name);
        self.check_namespace(target, &name)?;
        if !metadata_text(&object, "resourceVersion").is_empty() {
            return Err(status::resource_version_on_create());
        }
        for field in ["uid", "creationTimestamp", "generation", "deletionTimestamp"] {
            metadata(&mut object).remove(field);
        }
        if resource.status_subresource {
            remove(&mut object, "status");
        }
        validation::name(resource, &name)?;
        let mut object = resource.store(object);
        self.complete(resource, &key, None, &mut object);
        let served = resource.serve(&object);
        let review = target.review(Operation::Create, &name);
        self.admission.review(&Review { new: Some(&served), ..review })?;
        if self.store.get(&key).is_some() {
            return Err(status::already_exists(resource, &name));
        }
        if target.dry_run {
            return Ok(served);
        }
        Ok(resource.serve(&self.store.put(key, object)))
    }

    fn check_namespace(&self, target: &Target, name: &str) -> Result<(), Refusal> {
        if !target.resource.namespaced {
            return Ok(());
        }
        let namespaces = self.registry.at("", "v1", "namespaces").expect("namespaces are served");
        let namespace = self
            .store
            .get(&Key::new(namespaces, "", &target.namespace))
            .ok_or_else(|| status::not_found(namespaces, &target.namespace))?;
        if is_deleting(&namespace) {
            return Err(status::namespace_terminating(&target.resource, name, &target.namespace));
        }
        Ok(())
    }

    /// Replaces or patches an object, or its status; the object as it is then.
    pub fn update(&mut self, target: &Target, change: Change<'_>) -> Result<Value, Refusal> {
        let resource = &target.resource;
        let key = target.key();
        let old = self.store.get(&key).ok_or_else(|| status::not_found(resource, &target.name))?;
        let old_served = resource.serve(&old);
        let new = match change {
            Change::Replace(body) => validation::body(target, body)?,
            Change::Patch(content_type, patch) => {
                let patched = patch::apply(content_type, patch, &old_served)?;
                validation::body(target, &patched)?
            }
        };
        check_version(target, &old, &new)?;
        let uid = metadata_text(&new, "uid");
        let old_uid = metadata_text(&old, "uid");
        if matches!(change, Change::Replace(_)) && !uid.is_empty() && uid != old_uid {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {old_uid}"
            );
            return Err(status::conflict(resource, &target.name, &why));
        }
        let mut new = resource.store(new);
        if target.status {
            new = with_status_of(&old, &new);
        } else if resource.status_subresource {
            new = with_status_of(&new, &old);
        }
        self.complete(resource, &key, Some(&old), &mut new);
        if !target.status {
            validation::update(resource, &target.name, &old, &new)?;
        }
        let served = resource.serve(&new);
        let review = target.review(Operation::Update, &target.name);
        self.admission.review(&Review { old: Some(&old_served), new: Some(&served), ..review })?;
        if target.dry_run || *old == new {
            return Ok(served);
        }
        if is_deleting(&new) && !is_held(&new) {
            self.store.remove(&key);
            return Ok(served);
        }
        Ok(resource.serve(&self.store.put(key, new)))
    }

    /// What the server sets itself, kept from `old` or made anew; `object` is in its stored form.
    pub fn complete(
        &mut self,
        resource: &Resource,
        key: &Key,
        old: Option<&Value>,
        object: &mut Value,
    ) {
        if let Some(fields) = object.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        let meta = metadata(object);
        meta.retain(|field, value| {
            !is_empty(value) && field != "managedFields" && field != "selfLink"
        });
        meta.insert("name".into(), key.name.clone().into());
        if resource.namespaced {
            meta.insert("namespace".into(), key.namespace.clone().into());
        }
        if let Some(old) = old {
            keep_system_fields(old, meta);
        } else {
            if !meta.contains_key("uid") {
                let uid = self.next_uid();
                meta.insert("uid".into(), uid.into());
            }
            let now = self.clock.metadata_time();
            meta.entry("creationTimestamp").or_insert_with(|| now.into());
            meta.remove("resourceVersion");
            if resource.counts_generations() {
                meta.insert("generation".into(), 1.into());
            }
        }
        fill_in(resource, object);
        if let Some(old) = old
            && specification(resource, old) != specification(resource, object)
        {
            next_generation(object);
        }
    }

    /// Deletes an object; what the server answers.
    pub fn delete(&mut self, target: &Target, options: &Value) -> Result<Value, Refusal> {
        let resource = &target.resource;
        let key = target.key();
        let object =
            self.store.get(&key).ok_or_else(|| status::not_found(resource, &target.name))?;
        validation::delete_options(options)?;
        check_preconditions(target, options, &object)?;
        let served = resource.serve(&object);
        let review = target.review(Operation::Delete, &target.name);
        self.admission.review(&Review { old: Some(&served), options, ..review })?;

        let mut marked = Value::clone(&object);
        add_deletion_finalizer(options, &mut marked);
        let is_namespace = resource.is("namespaces");
        if is_held(&marked) {
            if !is_deleting(&marked) {
                let now = self.clock.metadata_time();
                let meta = metadata(&mut marked);
                meta.insert("deletionTimestamp".into(), now.into());
                if is_namespace {
                    marked["status"]["phase"] = "Terminating".into();
                } else {
                    meta.insert("deletionGracePeriodSeconds".into(), 0.into());
                    next_generation(&mut marked);
                }
            }
            if !target.dry_run && marked != *object {
                marked = Value::clone(&self.store.put(key, marked));
            }
            return Ok(resource.serve(&marked));
        }
        if !target.dry_run {
            self.store.remove(&key);
        }
        if is_namespace {
            return Ok(served);
        }
        Ok(status::deleted(resource, &target.name, metadata_text(&object, "uid")))
    }
}

/// Carries over what a client may leave out and what it cannot set.
fn keep_system_fields(old: &Value, meta: &mut Map<String, Value>) {
    for field in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if let (None, Some(value)) = (meta.get(field), old["metadata"].get(field)) {
            meta.insert(field.into(), value.clone());
        }
    }
    for field in ["resourceVersion", "generation", "creationTimestamp"] {
        match old["metadata"].get(field) {
            Some(value) => meta.insert(field.into(), value.clone()),
            None => meta.remove(field),
        };
    }
}

/// Whether something keeps the object from going away: finalizers, a namespace's own included.
fn is_held(object: &Value) -> bool {
    let namespace = object["kind"] == "Namespace" && !is_empty(&object["spec"]["finalizers"]);
    namespace || !is_empty(&object["metadata"]["finalizers"])
}

/// Whether a finalizer is there.
pub fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|f| f == finalizer))
}

/// Whether the object goes after its dependents.
pub fn waits_for_dependents(object: &Value) -> bool {
    is_deleting(object) && has_finalizer(object, FOREGROUND)
}

/// Whether the object's dependents are to stay.
pub fn orphans_dependents(object: &Value) -> bool {
    is_deleting(object) && has_finalizer(object, ORPHAN)
}

/// Takes off the finalizers by which a deletion waits for the garbage collector.
pub fn remove_deletion_finalizers(object: &mut Value) {
    if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
        finalizers.retain(|f| f != FOREGROUND && f != ORPHAN);
    }
}

fn add_deletion_finalizer(options: &Value, object: &mut Value) {
    let finalizer = match options["propagationPolicy"].as_str() {
        Some("Foreground") => FOREGROUND,
        Some("Orphan") => ORPHAN,
        _ if options["orphanDependents"] == true => ORPHAN,
        _ => return,
    };
    if has_finalizer(object, finalizer) {
        return;
    }
    let finalizers = metadata(object).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(finalizers) = finalizers.as_array_mut() {
        finalizers.push(finalizer.into());
    }
}

fn check_version(target: &Target, old: &Value, new: &Value) -> Result<(), Refusal> {
    let resource = &target.resource;
    let version = metadata_text(new, "resourceVersion");
    if version.is_empty() && resource.unconditional_update {
        return Ok(());
    }
    if version.is_empty() {
        return Err(status::version_required(resource, &target.name));
    }
    if version != metadata_text(old, "resourceVersion") {
        return Err(status::modified(resource, &target.name));
    }
    Ok(())
}

fn check_preconditions(target: &Target, options: &Value, object: &Value) -> Result<(), Refusal> {
    let wanted = &options["preconditions"];
    let conflict =
        |why: &str| Err(status::precondition_failed(&target.resource, &target.name, why));
    let uid = metadata_text(object, "uid");
    if let Some(wanted) = wanted["uid"].as_str().filter(|wanted| *wanted != uid) {
        return conflict(&format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        ));
    }
    let version = metadata_text(object, "resourceVersion");
    if let Some(wanted) = wanted["resourceVersion"].as_str().filter(|wanted| *wanted != version) {
        return conflict(&format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({version}). The object might have been modified"
        ));
    }
    Ok(())
}

/// `object` with the status, and nothing else, of `other`.
fn with_status_of(object: &Value, other: &Value) -> Value {
    let mut object = object.clone();
    match other.get("status") {
        Some(status) => object["status"] = status.clone(),
        None => remove(&mut object, "status"),
    }
    object
}

/// What the kind itself fills in where it is left out.
fn fill_in(resource: &Resource, object: &mut Value) {
    if let (None, Some(default)) = (object.get("status"), &resource.default_status) {
        object["status"] = default.clone();
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Namespace") => {
            let name = metadata_text(object, "name").to_owned();
            let labels = metadata(object).entry("labels").or_insert_with(|| json!({}));
            labels["kubernetes.io/metadata.name"] = name.into();
            if object.get("spec").is_none() {
                object["spec"] = json!({"finalizers": ["kubernetes"]});
            }
            if object.get("status").is_none() {
                object["status"] = json!({"phase": "Active"});
            }
        }
        ("", "Secret") => fill_in_secret(object),
        _ => {}
    }
}

fn fill_in_secret(secret: &mut Value) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let Some(fields) = secret.as_object_mut() else { return };
    if let Some(Value::Object(texts)) = fields.remove("stringData") {
        let data = fields.entry("data").or_insert_with(|| Value::Object(Map::new()));
        for (key, text) in texts {
            data[key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
        }
    }
    fields.entry("type").or_insert_with(|| "Opaque".into());
}

/// All that a generation counts.
fn specification<'a>(resource: &Resource, object: &'a Value) -> BTreeMap<&'a str, &'a Value> {
    let counts = |field: &str| match field {
        "metadata" => false,
        "status" => !resource.status_subresource,
        _ => true,
    };
    let fields = object.as_object().into_iter().flatten();
    fields
        .map(|(field, value)| (field.as_str(), value))
        .filter(|(field, _)| counts(field))
        .collect()
}

fn next_generation(object: &mut Value) {
    if let Some(generation) = object["metadata"]["generation"].as_i64() {
        object["metadata"]["generation"] = (generation + 1).into();
    }
}

fn remove(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
