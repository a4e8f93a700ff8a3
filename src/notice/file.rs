//! The file that names the receivers.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::receiver::checked_url;
use super::{Address, Filter, Format, Kind, Receiver};
use crate::configuration::{self, ConfigError, Problem, checked_name};

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receivers {
    /// Where notices come from: the `source` of `CloudEvents`. Chats show it if the file names it.
    pub source: Option<String>,
    /// All receivers.
    pub all: Vec<Receiver>,
}

/// Reads the receivers from a YAML file.
pub fn receivers_from_file(path: &Path) -> Result<Receivers, ConfigError> {
    receivers_from_text(&configuration::read(path)?, &path.display().to_string())
}

/// Reads the receivers from a YAML text. `origin` is its name in messages.
pub fn receivers_from_text(text: &str, origin: &str) -> Result<Receivers, ConfigError> {
    let file: FileForm = crate::api::yaml::read(text).map_err(|error| {
        let remedy = "the form is receivers: [{name, format, url or urlFile, ...}]";
        Problem::new(error.to_string(), remedy).at(origin)
    })?;
    let mut complaints = Vec::new();
    if file.receivers.is_empty() {
        let remedy = "add at least one entry to receivers";
        complaints.push(Problem::new("there is no receiver in the file", remedy).at(origin));
    }
    if let Some(source) = &file.source
        && (source.is_empty() || source.parse::<http::Uri>().is_err())
    {
        let what = format!("{source:?} is not a URI");
        let remedy = "write one such as /clusters/production, or leave it out";
        complaints.push(Problem::new(what, remedy).at(format!("{origin}: source")));
    }
    let mut all = Vec::with_capacity(file.receivers.len());
    for (index, receiver) in file.receivers.iter().enumerate() {
        let place = |at: &str| format!("{origin}: receivers[{index}] ({}): {at}", receiver.name);
        if file.receivers[..index].iter().any(|earlier| earlier.name == receiver.name) {
            let what = "an earlier entry has the same name";
            complaints.push(Problem::new(what, "give each entry its own name").at(place("name")));
        }
        match receiver.check() {
            Ok(receiver) => all.push(receiver),
            Err(problems) => {
                complaints.extend(problems.into_iter().map(|(at, problem)| problem.at(place(at))));
            }
        }
    }
    let receivers = Receivers { source: file.source, all };
    if complaints.is_empty() { Ok(receivers) } else { Err(complaints.into_iter().collect()) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    #[serde(default)]
    source: Option<String>,
    receivers: Vec<ReceiverForm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReceiverForm {
    name: String,
    format: Format,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    url_file: Option<PathBuf>,
    #[serde(default)]
    token_file: Option<PathBuf>,
    #[serde(default)]
    hmac_key_file: Option<PathBuf>,
    #[serde(default)]
    kinds: Option<Vec<Kind>>,
    #[serde(default)]
    namespaces: Option<Vec<String>>,
    #[serde(default)]
    policies: Option<Vec<String>>,
    #[serde(default)]
    omit_user: bool,
}

impl ReceiverForm {
    /// Returns the receiver if it is valid, otherwise each setting that is not, and what is wrong with it.
    fn check(&self) -> Result<Receiver, Vec<(&'static str, Problem)>> {
        let mut problems = Vec::new();
        if let Err(problem) = checked_name(&self.name) {
            problems.push(("name", problem));
        }
        let address = self.address().map_err(|problem| problems.push(("url", problem))).ok();
        let lists = [
            ("kinds", self.kinds.as_ref().map(Vec::is_empty)),
            ("namespaces", self.namespaces.as_ref().map(Vec::is_empty)),
            ("policies", self.policies.as_ref().map(Vec::is_empty)),
        ];
        for (name, is_empty) in lists {
            if is_empty == Some(true) {
                let what = "the list is empty, and nothing would be sent";
                problems.push((name, Problem::new(what, "name some, or leave it out for all")));
            }
        }
        let Some(address) = address.filter(|_| problems.is_empty()) else { return Err(problems) };
        Ok(Receiver {
            name: self.name.clone(),
            format: self.format,
            address,
            token: self.token_file.clone(),
            hmac_key: self.hmac_key_file.clone(),
            filter: Filter {
                kinds: self.kinds.clone(),
                namespaces: self.namespaces.clone(),
                policies: self.policies.clone(),
            },
            omit_user: self.omit_user,
        })
    }

    fn address(&self) -> Result<Address, Problem> {
        match (&self.url, &self.url_file) {
            (Some(url), None) => match checked_url(url) {
                Ok(()) => Ok(Address::Url(url.clone())),
                // Not quoted, because it may be a secret.
                Err(what) => Err(Problem::new(what, "write https://host/path")),
            },
            (None, Some(file)) => Ok(Address::File(file.clone())),
            _ => {
                let remedy = "set url, or urlFile if the URL is a secret";
                Err(Problem::new("there must be exactly one of url and urlFile", remedy))
            }
        }
    }
}
