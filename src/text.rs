//! Texts that others wrote, in bounds.

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

#[cfg(test)]
mod tests {
    use super::*;

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
