//! Texts that others wrote, in bounds, and as people read them.

/// These characters, `longest` at most, and an ellipsis where some are left out.
pub fn cut(characters: impl IntoIterator<Item = char>, longest: usize) -> String {
    let mut characters = characters.into_iter();
    let mut kept: String = characters.by_ref().take(longest).collect();
    if characters.next().is_some() {
        kept.push('…');
    }
    kept
}

/// A text on one line that controls nothing around it: neither a terminal, nor the direction of writing. Where a character
/// was that does, there is a space, or a mark that tells of it.
pub fn visible(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        c if controls(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    })
}

/// Control characters, separators of lines, and those that turn the direction of text or cannot be seen.
fn controls(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// So many things of a kind, which is named in the singular.
pub fn counted(count: usize, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (count, Some(stem)) => format!("{count} {stem}ies"),
        (count, None) => format!("{count} {what}s"),
    }
}

/// What the libraries between say about themselves. It tells nobody what is wrong.
const LIBRARIES: [&str; 4] = [
    "ServiceError: ",
    "client error (Connect): ",
    "client error (SendRequest): ",
    "tcp connect error: ",
];

/// An error with its causes, none of them said twice, as people read it.
pub fn causes(error: &dyn std::error::Error) -> String {
    // Some quote a path twice.
    let text = all_causes(error).replace("'\"", "'").replace("\"'", "'");
    LIBRARIES.iter().fold(text, |text, library| text.replace(library, ""))
}

fn all_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_without_the_libraries_between() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Layer(&'static str, #[source] Option<Box<Layer>>);
        let refused = Layer("Connection refused (os error 111)", None);
        let tcp = Layer("tcp connect error", Some(Box::new(refused)));
        let service = Layer("ServiceError: client error (Connect)", Some(Box::new(tcp)));
        assert_eq!(causes(&service), "Connection refused (os error 111)");
        let file = Layer("failed to read kubeconfig from '\"/nonexistent\"'", None);
        assert_eq!(causes(&file), "failed to read kubeconfig from '/nonexistent'");
    }

    #[test]
    fn a_text_of_others_controls_nothing() {
        let shown = |text: &str| visible(text).collect::<String>();
        assert_eq!(shown("żółw, 漢字"), "żółw, 漢字");
        assert_eq!(shown("two\nlines\tand\u{2028}more"), "two lines and more");
        // A terminal, the direction of writing, and what nobody sees.
        for hidden in [
            '\u{1b}', '\u{7f}', '\u{9b}', '\u{61c}', '\u{200b}', '\u{202e}', '\u{2066}', '\u{feff}',
        ] {
            assert_eq!(shown(&format!("a{hidden}b")), "a\u{fffd}b", "{hidden:?}");
        }
    }
}
