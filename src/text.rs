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
