//! How the operator's own files and variables are found wrong: all complaints at once, each with its place and its remedy.

use std::fmt;

/// A configuration that cannot be used, with all that is wrong with it. Each line of its text names a place, the problem
/// and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(Vec<Complaint>);

impl FromIterator<Complaint> for ConfigError {
    fn from_iter<C: IntoIterator<Item = Complaint>>(complaints: C) -> Self {
        Self(complaints.into_iter().collect())
    }
}

impl From<Complaint> for ConfigError {
    fn from(complaint: Complaint) -> Self {
        Self(vec![complaint])
    }
}

/// A problem, and the place where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    place: String,
    problem: Problem,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, problem } = self;
        write!(f, "{place}: {}; {}", problem.what, problem.remedy)
    }
}

/// What is wrong with a setting, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    what: String,
    remedy: String,
}

impl Problem {
    /// What is wrong, and what to do about it.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }

    /// The complaint about this place.
    pub fn at(self, place: impl Into<String>) -> Complaint {
        Complaint { place: place.into(), problem: self }
    }
}

/// Reads a file of the configuration.
pub fn read(path: &std::path::Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        Problem::new(
            format!("the file cannot be read: {error}"),
            "mount the file there, or set another path",
        )
        .at(path.display().to_string())
        .into()
    })
}

/// Checks the name of an entry: it is a label of metrics, and people write it elsewhere.
pub fn checked_name(name: &str) -> Result<String, Problem> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if is_name {
        return Ok(name.to_owned());
    }
    let what = format!("{name:?} is not a valid name");
    let remedy = "use up to 63 lower case letters, digits and hyphens, and no hyphen at either end";
    Err(Problem::new(what, remedy))
}
