//! Base64 as `java.util.Base64.getDecoder()` takes it: RFC 4648 §4, padding optional, no white space, not url-safe.
//!
//! The bulk goes through vector code; the last unit, where Java is lenient, and every error are handled by hand, so
//! that texts and positions are Java's.

use std::fmt;

use base64_simd::{Out, STANDARD_NO_PAD};

/// Why a text is no base64; displayed in Java's words, which the gateway's clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base64Error {
    /// A single character.
    TooShort,
    /// A character outside the alphabet, as Java prints it: a signed byte of ISO 8859-1.
    IllegalCharacter(i8),
    /// `=` where it does not complete a unit.
    WrongEndingUnit,
    /// One character left over.
    DanglingBits,
    /// Text behind the padding, from this character on.
    IncorrectEnding(usize),
}

impl fmt::Display for Base64Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Base64Error::TooShort => {
                f.write_str("Input byte[] should at least have 2 bytes for base64 bytes")
            }
            Base64Error::IllegalCharacter(byte) => {
                let sign = if *byte < 0 { "-" } else { "" };
                write!(
                    f,
                    "Illegal base64 character {sign}{:x}",
                    byte.unsigned_abs()
                )
            }
            Base64Error::WrongEndingUnit => {
                f.write_str("Input byte array has wrong 4-byte ending unit")
            }
            Base64Error::DanglingBits => f.write_str("Last unit does not have enough valid bits"),
            Base64Error::IncorrectEnding(at) => {
                write!(f, "Input byte array has incorrect ending byte at {at}")
            }
        }
    }
}

/// A text and the exact size of what it decodes to. Whether it is base64 all through is known when it is decoded:
/// one pass over a payload does both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Base64<'a> {
    text: &'a [u8],
    /// Whole units without padding, in front of the last 0–4 characters.
    units: &'a [u8],
    /// What those stand for.
    tail: Tail,
}

impl<'a> Base64<'a> {
    /// Looks at the end of the text only.
    pub fn new(text: &'a [u8]) -> Result<Base64<'a>, Base64Error> {
        let (units, last) = text.split_at(text.len().saturating_sub(1) / 4 * 4);
        let tail = tail(last).ok_or_else(|| explain(text))?;
        Ok(Base64 { text, units, tail })
    }

    /// Bytes that it decodes to.
    pub fn decoded_len(&self) -> usize {
        self.units.len() / 4 * 3 + usize::from(self.tail.len)
    }

    /// Checks all of it, decoding nothing.
    pub fn check(&self) -> Result<(), Base64Error> {
        STANDARD_NO_PAD
            .check(self.units)
            .map_err(|_| explain(self.text))
    }

    /// Checks and decodes into `out`, which must be [`Base64::decoded_len`] long. On an error its content is undefined.
    pub fn decode(&self, out: &mut [u8]) -> Result<(), Base64Error> {
        let (front, back) = out.split_at_mut(self.units.len() / 4 * 3);
        STANDARD_NO_PAD
            .decode(self.units, Out::from_slice(front))
            .map_err(|_| explain(self.text))?;
        back.copy_from_slice(&self.tail.bytes[..usize::from(self.tail.len)]);
        Ok(())
    }

    /// As [`Base64::decode`], for what is small and kept.
    pub fn to_vec(self) -> Result<Vec<u8>, Base64Error> {
        let mut bytes = vec![0; self.decoded_len()];
        self.decode(&mut bytes)?;
        Ok(bytes)
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Tail {
    bytes: [u8; 3],
    len: u8,
}

/// The last unit: 0, or 2–4 characters, padding included. Its spare bits may be anything, as in Java.
fn tail(last: &[u8]) -> Option<Tail> {
    let characters = match last {
        [a, b, b'=', b'='] => &[*a, *b][..],
        [a, b, c, b'='] => &[*a, *b, *c],
        [] => return Some(Tail::default()),
        [_] => return None,
        all => all,
    };
    let mut bits = 0;
    for character in characters {
        bits = bits << 6 | sextet(*character)?;
    }
    bits <<= 6 * (4 - characters.len());
    let [_, a, b, c] = bits.to_be_bytes();
    Some(Tail {
        bytes: [a, b, c],
        len: characters.len() as u8 - 1,
    })
}

fn sextet(character: u8) -> Option<u32> {
    let value = match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

/// What Java says of a text that is no base64: its decoder's steps, character by character.
fn explain(text: &[u8]) -> Base64Error {
    let latin: Vec<u8> = String::from_utf8_lossy(text)
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect();
    if latin.len() == 1 {
        return Base64Error::TooShort;
    }
    let mut in_unit = 0;
    for (at, character) in latin.iter().enumerate() {
        match character {
            b'=' => {
                let pair = in_unit == 2;
                return match in_unit {
                    0 => Base64Error::WrongEndingUnit,
                    1 => Base64Error::DanglingBits,
                    _ if pair && latin.get(at + 1) != Some(&b'=') => Base64Error::WrongEndingUnit,
                    _ => Base64Error::IncorrectEnding(at + 1 + usize::from(pair)),
                };
            }
            other if sextet(*other).is_none() => {
                return Base64Error::IllegalCharacter(*other as i8);
            }
            _ => in_unit = (in_unit + 1) % 4,
        }
    }
    Base64Error::DanglingBits
}
