//! Files with secrets, as Kubernetes mounts them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

/// The longest file that is read, in bytes: more than a key with a long chain of certificates takes.
const LONGEST: u16 = 60_000;

/// Why a file cannot be used; never its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It is not there, or may not be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is too long to be a secret.
    #[error("it is longer than {} bytes", LONGEST)]
    TooLong,
    /// It contains nothing but line ends or, where it is text, white space.
    #[error("it is empty")]
    Empty,
    /// It should be text.
    #[error("it is not UTF-8")]
    NotText,
}

/// Reads a file, without the line ends that editors and `echo` add.
pub fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    // At its full size, because growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::from(LONGEST) + 1));
    File::open(path)?.take(u64::from(LONGEST) + 1).read_to_end(&mut bytes)?;
    if bytes.len() > usize::from(LONGEST) {
        return Err(SecretFileError::TooLong);
    }
    while bytes.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.is_empty() { Err(SecretFileError::Empty) } else { Ok(bytes) }
}

/// Reads a file with a text, without the white space around it.
pub fn text(path: &Path) -> Result<Zeroizing<String>, SecretFileError> {
    let bytes = bytes(path)?;
    match std::str::from_utf8(&bytes).map(str::trim) {
        Err(_) => Err(SecretFileError::NotText),
        Ok("") => Err(SecretFileError::Empty),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> [Result<Vec<u8>, String>; 2] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, content).unwrap();
        let text = text(&path).map(|text| text.as_bytes().to_vec());
        [bytes(&path).map(|bytes| bytes.to_vec()), text]
            .map(|read| read.map_err(|error| error.to_string()))
    }

    #[test]
    fn line_ends_and_the_white_space_around_texts_are_left_out() {
        assert_eq!(read(b" word\r\n\n"), [Ok(b" word".to_vec()), Ok(b"word".to_vec())]);
        assert_eq!(read(b"\xff\n"), [Ok(b"\xff".to_vec()), Err("it is not UTF-8".to_owned())]);
    }

    #[test]
    fn what_is_empty_or_too_long_is_no_secret() {
        let (empty, long) = ("it is empty".to_owned(), "it is longer than 60000 bytes".to_owned());
        assert_eq!(read(b"\n"), [Err(empty.clone()), Err(empty.clone())]);
        assert_eq!(read(b" "), [Ok(b" ".to_vec()), Err(empty)]);
        assert_eq!(read(&vec![b'x'; 60_001]), [Err(long.clone()), Err(long)]);
        assert!(read(&vec![b'x'; 60_000]).iter().all(Result::is_ok));
    }
}
