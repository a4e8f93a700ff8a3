//! `docs/reference/audit.md`, from the types of the lines.

use std::fmt::Write as _;

use schemars::schema_for;
use tap_operator::decision::audit;
use tap_operator::decision::evidence::lines;

use super::{Files, cell, made_from};

/// The page.
pub fn files() -> Files {
    let mut text =
        made_from("the types in src/decision/audit.rs and src/decision/evidence/lines.rs");
    text.push_str(
        "\n# Fields of the audit trail\n\n\
        Each line also has `timestamp`, `level`, `message` and `target`, which is `audit`. What says nothing is left out.\n",
    );
    for (kind, schema) in [
        ("transition", schema_for!(audit::Transition)),
        ("decision", schema_for!(audit::Decided)),
        ("gone", schema_for!(audit::Gone)),
        ("correction", schema_for!(audit::Correction)),
        ("evidence", schema_for!(lines::Evidence)),
        ("foreign", schema_for!(lines::OthersPass)),
        ("removal", schema_for!(lines::OthersPass)),
        ("change", schema_for!(lines::MethodChange)),
    ] {
        let schema = schema.to_value();
        let meaning = schema["description"].as_str().unwrap_or_default();
        let head = "| field | what it tells |\n|---|---|\n";
        writeln!(text, "\n## {kind}\n\n{meaning}\n\n{head}| `audit` | `{kind}` |").unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let meaning = cell(field["description"].as_str().unwrap_or_default());
            assert!(!meaning.is_empty(), "{kind}: {name} is not described");
            writeln!(text, "| `{name}` | {meaning} |").unwrap();
        }
    }
    [("docs/reference/audit.md".to_owned(), text)].into()
}
