//! Whether the files of the receivers of notices can be read. Nothing is sent to them.

use tap_operator::notice::Receivers;

use super::Finding;

/// A finding for each receiver.
pub fn check(receivers: &Receivers) -> Vec<Finding> {
    let finding = |receiver: &tap_operator::notice::Receiver| {
        let what = format!("notices to {}", receiver.name);
        let wrong: Vec<String> = receiver.unreadable().iter().map(ToString::to_string).collect();
        if wrong.is_empty() {
            Finding::ok(what, "its files can be read; nothing was sent")
        } else {
            Finding::failed(what, wrong.join("; "))
        }
    };
    receivers.all.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use tap_operator::notice::receivers_from_text;

    use super::*;
    use crate::commands::check::Verdict;

    #[test]
    fn a_file_that_cannot_be_used_is_named_and_never_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let right = file("right", "https://hooks.example/s3cr3t\n");
        let plain = file("plain", "http://hooks.example/s3cr3t");
        let token = file("token", "two s3cr3ts");
        let empty = file("empty", "\n");
        let text = format!(
            "receivers:\n- {{name: a, format: Slack, urlFile: {right}}}\n- {{name: b, format: Slack, urlFile: {plain}}}\n\
             - {{name: c, format: CloudEvents, url: 'https://x/', tokenFile: {token}, hmacKeyFile: {empty}}}\n\
             - {{name: d, format: CloudEvents, url: 'https://x/', tokenFile: /missing}}\n"
        );
        let findings = check(&receivers_from_text(&text, "notices.yaml").unwrap());
        let verdicts: Vec<Verdict> = findings.iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Failed, Verdict::Failed, Verdict::Failed]);
        for (finding, part) in findings.iter().zip([
            "its files can be read",
            "it is not an https URL with a host; mount there a file with the URL",
            "empty: it is empty; mount there a file with the key and nothing else",
            "/missing: it cannot be read: ",
        ]) {
            assert!(finding.detail.contains(part), "{finding:?}");
            assert!(!finding.detail.contains("s3cr3t"), "{finding:?}");
        }
    }
}
