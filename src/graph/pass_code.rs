//! The code of a pass while this process holds it.

use zeroize::Zeroizing;

/// The code that signs a user in.
///
/// It can be looked at in one way only, [`PassCode::expose`], and is overwritten when dropped. It is neither printed,
/// compared, copied nor serialized: whoever needs it in another form spells that out.
pub struct PassCode(Zeroizing<String>);

impl PassCode {
    /// Takes the code over. The text must not be kept anywhere else.
    pub fn new(code: String) -> Self {
        Self(Zeroizing::new(code))
    }

    /// The code itself, for the Secret or for its encryption and nothing else.
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
