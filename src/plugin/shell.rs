//! Words of commands that are shown, to be typed as they are.

/// A word as shells read it.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,+=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        for (word, typed) in [
            ("/home/ann/.kube/config", "/home/ann/.kube/config"),
            ("o'neil@contoso.com", r"'o'\''neil@contoso.com'"),
            ("lost phone", "'lost phone'"),
            ("$(reboot)", "'$(reboot)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), typed);
        }
    }
}
