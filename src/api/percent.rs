//! Percent- and plus-decoding (`application/x-www-form-urlencoded`), as Jetty does for the query and `URLDecoder` for
//! the path.

use std::borrow::Cow;

/// Why a text cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PercentError {
    /// `%` without two hexadecimal digits behind it.
    Escape,
    /// The decoded bytes are not UTF-8 (overlong forms and surrogates included).
    NotUtf8,
}

/// `+` is a space, `%XX` a byte, all else itself.
pub fn decode(text: &str) -> Result<Cow<'_, str>, PercentError> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (hex(bytes.next())?, hex(bytes.next())?);
                high << 4 | low
            }
            plain => plain,
        });
    }
    match String::from_utf8(decoded) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_) => Err(PercentError::NotUtf8),
    }
}

fn hex(digit: Option<u8>) -> Result<u8, PercentError> {
    digit
        .and_then(|digit| char::from(digit).to_digit(16))
        .map(|value| value as u8)
        .ok_or(PercentError::Escape)
}
