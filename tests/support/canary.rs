//! Codes that may be only where they belong, and a search for them in every form in which they may have been written.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A code of at least this length is also found in pieces: in what is left of a copy that was partly overwritten, or
/// that went through registers onto a stack.
pub const LONG: usize = 32;

/// Length of a piece. With an alphabet of 64 characters a match by chance is practically impossible.
const PIECE: usize = 12;
/// From one piece to the next: every run of 15 characters contains a whole piece.
const STEP: usize = 4;

/// A match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Where it begins.
    pub at: usize,
    /// The number of the code, from 0, in the order in which the codes were given.
    pub code: usize,
    /// The form in which it was written.
    pub form: &'static str,
}

/// A search for codes in every form at once: plain; base64, standard and URL-safe, at any offset in the encoded text;
/// hexadecimal; and a list of numbers, as Rust prints bytes.
pub struct Search {
    needles: Vec<(Vec<u8>, usize, &'static str)>,
    /// Indexes of needles, by their first four bytes.
    begin: HashMap<[u8; 4], Vec<usize>>,
    /// For each value of a hash of four bytes, whether any needle begins with it. It rules out most bytes.
    filter: Vec<bool>,
}

impl Search {
    /// Searches for whole codes, and for pieces of those that are [`LONG`].
    pub fn new<C: AsRef<str>>(codes: impl IntoIterator<Item = C>) -> Self {
        let mut needles = BTreeSet::new();
        for (number, code) in codes.into_iter().enumerate() {
            let code = code.as_ref();
            for (form, text) in forms(code) {
                let whole = text.into_bytes();
                if code.len() >= LONG {
                    let pieces = whole.windows(PIECE).step_by(STEP);
                    needles.extend(pieces.map(|piece| (piece.to_vec(), number, form)));
                } else {
                    needles.insert((whole, number, form));
                }
            }
        }
        let needles: Vec<_> = needles.into_iter().collect();
        let (mut begin, mut filter) = (HashMap::<_, Vec<_>>::new(), vec![false; 1 << 16]);
        for (index, (needle, ..)) in needles.iter().enumerate() {
            let first = [needle[0], needle[1], needle[2], needle[3]];
            begin.entry(first).or_default().push(index);
            filter[hash(first)] = true;
        }
        Self { needles, begin, filter }
    }

    /// All matches in some content.
    pub fn find(&self, content: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        for stretch in written(content) {
            let from = stretch.start;
            for (offset, begin) in content[stretch].windows(4).enumerate() {
                let (at, begin) = (from + offset, [begin[0], begin[1], begin[2], begin[3]]);
                if !self.filter[hash(begin)] {
                    continue;
                }
                for &index in self.begin.get(&begin).into_iter().flatten() {
                    let (needle, code, form) = &self.needles[index];
                    if content[at..].starts_with(needle) {
                        found.push(Found { at, code: *code, form });
                    }
                }
            }
        }
        found
    }

    /// Whether there is any match.
    pub fn is_in(&self, content: impl AsRef<[u8]>) -> bool {
        !self.find(content.as_ref()).is_empty()
    }
}

/// A code in every form in which programs write it.
fn forms(code: &str) -> Vec<(&'static str, String)> {
    let bytes = code.as_bytes();
    let mut hexadecimal = String::new();
    for byte in bytes {
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    let numbers = format!("{bytes:?}");
    let mut forms = vec![
        ("plain", code.to_owned()),
        ("hexadecimal in capitals", hexadecimal.to_uppercase()),
        ("hexadecimal", hexadecimal),
        ("numbers", numbers.trim_matches(['[', ']']).to_owned()),
    ];
    for before in 0..3 {
        let standard = aligned(&STANDARD_NO_PAD, bytes, before);
        let for_urls = aligned(&URL_SAFE_NO_PAD, bytes, before);
        if for_urls != standard {
            forms.push(("base64 for URLs", for_urls));
        }
        forms.push(("base64", standard));
    }
    forms
}

/// The part of the base64 of a longer text that depends on the code alone, if that many bytes (modulo 3) precede it.
fn aligned(engine: &impl base64::Engine, code: &[u8], before: usize) -> String {
    let bytes = [&vec![0; before], code].concat();
    let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    engine.encode(&bytes)[from..to].to_owned()
}

/// The ranges of whole pages that have a byte other than zero.
pub fn written(content: &[u8]) -> Vec<Range<usize>> {
    const EMPTY: [u8; 4096] = [0; 4096];
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for (number, page) in content.chunks(EMPTY.len()).enumerate() {
        if page == &EMPTY[..page.len()] {
            continue;
        }
        let start = number * EMPTY.len();
        match stretches.last_mut() {
            Some(last) if last.end == start => last.end += page.len(),
            _ => stretches.push(start..start + page.len()),
        }
    }
    stretches
}

fn hash(bytes: [u8; 4]) -> usize {
    (u32::from_le_bytes(bytes).wrapping_mul(0x9e37_79b1) >> 16) as usize
}

/// Checks that the search finds every form of a code, and nothing else.
pub fn check() -> anyhow::Result<()> {
    use anyhow::ensure;
    let codes = ["+drkz/AD", "Zu9!kWq0Lr5#xVb2Nc8@mTd4Pf6$hYj1Ga3%sEo7"];
    let search = Search::new(codes);
    for (number, code) in codes.into_iter().enumerate() {
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "z", "zz"] {
                let text = format!("{before}{code}{after}");
                for written in [
                    text.clone(),
                    STANDARD_NO_PAD.encode(&text),
                    URL_SAFE_NO_PAD.encode(&text),
                    format!("{:?}", text.as_bytes()),
                    text.bytes().fold(String::new(), |all, byte| format!("{all}{byte:02X}")),
                ] {
                    let found = search.find(written.as_bytes());
                    let other = found.iter().any(|found| found.code != number);
                    ensure!(!found.is_empty() && !other, "{code} in {written}: {found:?}");
                }
            }
        }
    }
    for (piece, is_one) in [(&codes[1][3..18], true), (&codes[1][3..14], false), ("drkz/AD", false)]
    {
        ensure!(search.is_in(piece) == is_one, "{piece}");
    }
    Ok(())
}
