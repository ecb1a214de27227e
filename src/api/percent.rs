//! Percent- and plus-decoding (`application/x-www-form-urlencoded`), as Jetty does for the query and `URLDecoder` for
//! the path.

use std::borrow::Cow;
use std::mem;

use zeroize::{Zeroize, Zeroizing};

/// Why a text cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PercentError {
    /// `%` without two hexadecimal digits behind it.
    Escape,
    /// The decoded bytes are not UTF-8 (overlong forms and surrogates included).
    NotUtf8,
}

/// `+` is a space, `%XX` a byte, all else itself. It may be a credential: what cannot be decoded is zeroed as far as it was.
pub fn decode(text: &str) -> Result<Cow<'_, str>, PercentError> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
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
    String::from_utf8(mem::take(&mut decoded))
        .map(Cow::Owned)
        .map_err(|error| {
            error.into_bytes().zeroize();
            PercentError::NotUtf8
        })
}

fn hex(digit: Option<u8>) -> Result<u8, PercentError> {
    digit
        .and_then(|digit| char::from(digit).to_digit(16))
        .map(|value| value as u8)
        .ok_or(PercentError::Escape)
}
