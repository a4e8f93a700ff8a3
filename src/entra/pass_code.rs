//! The code of a pass.

use zeroize::Zeroizing;

/// The code that signs a user in.
///
/// [`PassCode::expose`] is the only way to read it, and its memory is overwritten when it is dropped. `Debug` does not
/// show it, and the type cannot be displayed, compared, cloned or serialized, so every use of the code is visible in the
/// source.
pub struct PassCode(Zeroizing<String>);

impl PassCode {
    /// Takes ownership of the code. The caller must not keep a copy.
    pub fn new(code: String) -> Self {
        Self(Zeroizing::new(code))
    }

    /// Returns the code. Use it only to write the Secret or to encrypt the code.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PassCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PassCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_code_nor_length() {
        let code = PassCode::new("+drkzqAD".into());
        assert_eq!(format!("{code:?}"), "PassCode(..)");
        assert_eq!(format!("{:#?}", Some(&code)), "Some(\n    PassCode(..),\n)");
        assert_eq!(code.expose(), "+drkzqAD");
    }
}
