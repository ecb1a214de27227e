//! The inside of JSON strings: finding their end, and unescaping them where they lie.

/// What [`unescape`] did.
pub struct Unescaped {
    /// Bytes of raw text gone through, the closing quote included.
    pub read: usize,
    /// Bytes of unescaped text, from the front of the same slice.
    pub written: usize,
}

/// Bytes looked at in one step: as many as two vector registers of every x86-64 and aarch64 hold.
const STEP: usize = 32;

/// How many bytes from the front need no unescaping and end nothing: all but `"`, `\` and control characters.
pub fn clean_prefix(bytes: &[u8]) -> usize {
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let mut at = 0;
    // Without branches inside a step the compiler makes vector code of it.
    for step in bytes.chunks_exact(STEP) {
        if step.iter().fold(false, |any, byte| any | special(*byte)) {
            break;
        }
        at += STEP;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    at + tail.iter().take_while(|byte| !special(**byte)).count()
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
