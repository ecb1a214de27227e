//! The inside of JSON strings: finding their end, and unescaping them where they lie.

/// What [`unescape`] did.
pub struct Unescaped {
    /// Bytes of raw text gone through, the closing quote included.
    pub read: usize,
    /// Bytes of unescaped text, from the front of the same slice.
    pub written: usize,
}

/// Bytes looked at in one step of the long run: two vector registers of every x86-64 and aarch64.
const STEP: usize = 32;

/// Names and most values are no longer than this: the long run is not begun for them.
const SHORT: usize = 16;

/// How many bytes from the front need no unescaping and end nothing: all but `"`, `\` and control characters.
pub fn clean_prefix(bytes: &[u8]) -> usize {
    let short = first_special(&bytes[..bytes.len().min(SHORT)]);
    if short < SHORT {
        return short;
    }
    // Without branches inside a step the compiler makes vector code of it.
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let any_special = |step: &[u8]| step.iter().fold(false, |any, byte| any | special(*byte));
    let mut at = SHORT;
    for step in bytes[SHORT..].chunks_exact(STEP) {
        if any_special(step) {
            break;
        }
        at += STEP;
    }
    at + first_special(&bytes[at..])
}

/// The place of the first special byte, or the length; eight bytes at a time.
fn first_special(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The high bit of every byte below n (n ≤ 128). A borrow makes false hits above a true one only.
        let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & HIGHS;
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let hits = below(word, 0x20) | quote | backslash;
        if hits != 0 {
            return place * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    let clean = |byte: &&u8| !matches!(**byte, ..0x20 | b'"' | b'\\');
    words.len() * 8 + tail.iter().take_while(clean).count()
}

/// Unescapes the string at the front, of which `clean` bytes are known to be plain, up to its closing quote.
///
/// Errors are a text and the offset. A lone surrogate becomes `?`, as where Java turns such a string into bytes.
pub fn unescape(bytes: &mut [u8], clean: usize) -> Result<Unescaped, (&'static str, usize)> {
    let (mut read, mut written) = (clean, clean);
    loop {
        match bytes.get(read) {
            Some(b'"') => {
                return Ok(Unescaped {
                    read: read + 1,
                    written,
                });
            }
            Some(b'\\') => {
                let (character, length) = escape(bytes, read)?;
                // An escape is never shorter than what it stands for: `written` stays behind `read`.
                written += character.encode_utf8(&mut bytes[written..]).len();
                read += length;
            }
            Some(0..0x20) => return Err(("a control character is not escaped", read)),
            Some(_) => {
                let plain = clean_prefix(&bytes[read..]);
                bytes.copy_within(read..read + plain, written);
                read += plain;
                written += plain;
            }
            None => return Err(("unexpected end", read)),
        }
    }
}

/// The character that the escape at `at` stands for, and the length of the escape.
fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), (&'static str, usize)> {
    let plain = match bytes.get(at + 1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(bytes, at),
        Some(_) => return Err(("unknown escape", at)),
        None => return Err(("unexpected end", at + 1)),
    };
    Ok((plain, 2))
}

fn unicode(bytes: &[u8], at: usize) -> Result<(char, usize), (&'static str, usize)> {
    let unit = hex4(bytes, at + 2).ok_or(("an escape lacks hexadecimal digits", at))?;
    if let 0xD800..0xDC00 = unit
        && bytes.get(at + 6..at + 8) == Some(b"\\u")
        && let Some(low @ 0xDC00..0xE000) = hex4(bytes, at + 8)
    {
        let pair = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        return Ok((char::from_u32(pair).unwrap_or('?'), 12));
    }
    Ok((char::from_u32(unit).unwrap_or('?'), 6))
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |value, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}
