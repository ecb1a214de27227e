//! Protobuf's own encoding, as far as the hot commands need it: varints, keys, and a walk over a message's fields.
//!
//! Reading is as tolerant as the Java side's: fields in any order, unknown ones skipped, and a known number with
//! another wire type counts as unknown. Groups are refused, as there; Pulsar never had any.

use bytes::{BufMut, BytesMut};

/// The longest varint: 64 bits in groups of 7.
pub(crate) const MAX_VARINT_BYTES: usize = 10;

/// Why bytes are not the protobuf message that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the bytes end within a field")]
    Truncated,
    #[error("a varint is longer than 10 bytes")]
    Varint,
    #[error("wire type {0} is not used in Pulsar's protocol")]
    WireType(u8),
    #[error("required field {0} is missing")]
    Missing(&'static str),
    #[error("batch_size is negative")]
    BatchSize,
    #[error("a command of {0} bytes that carries no message")]
    ColdCommandTooLarge(usize),
    #[error("{0}")]
    Prost(#[from] prost::DecodeError),
}

/// The value of one field, not yet interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// `fixed32` or `fixed64`: no message of Pulsar has one.
    Fixed,
}

/// A walk over the fields of one message. After an error it must not be continued.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value; `None` at the end.
    ///
    /// Always inlined, as is [`take_varint`]: the result is larger than registers, and a MESSAGE has ten of them.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = take_varint(&mut self.rest)?;
        let value = match key & 7 {
            0 => Value::Varint(take_varint(&mut self.rest)?),
            1 => self.fixed(8)?,
            2 => {
                let len = take_varint(&mut self.rest)?;
                Value::Bytes(self.take(len)?)
            }
            5 => self.fixed(4)?,
            other => return Err(DecodeError::WireType(other as u8)),
        };
        Ok(Some((key >> 3, value)))
    }

    fn fixed(&mut self, len: u64) -> Result<Value<'a>, DecodeError> {
        self.take(len)?;
        Ok(Value::Fixed)
    }

    #[inline]
    fn take(&mut self, len: u64) -> Result<&'a [u8], DecodeError> {
        if len > self.rest.len() as u64 {
            return Err(DecodeError::Truncated);
        }
        let (taken, rest) = self.rest.split_at(len as usize);
        self.rest = rest;
        Ok(taken)
    }
}

/// Takes one varint off the front. Bits beyond the 64th are dropped, as Java drops them.
#[inline(always)]
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    if let Some((&first, rest)) = bytes.split_first()
        && first < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(first));
    }
    take_long_varint(bytes)
}

fn take_long_varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(MAX_VARINT_BYTES).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(if bytes.len() < MAX_VARINT_BYTES {
        DecodeError::Truncated
    } else {
        DecodeError::Varint
    })
}

/// How many bytes `value` takes: 1 to 10.
#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline]
pub(crate) fn put_varint(out: &mut BytesMut, mut value: u64) {
    let mut encoded = [0u8; MAX_VARINT_BYTES];
    let mut len = 0;
    while value >= 0x80 {
        encoded[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    encoded[len] = value as u8;
    out.put_slice(&encoded[..=len]);
}

/// An `int32` as protobuf sends it: sign-extended, so a negative one takes 10 bytes.
#[inline]
pub(crate) fn int32(value: i32) -> u64 {
    i64::from(value) as u64
}

/// A varint field with its key.
#[inline]
pub(crate) fn put_varint_field(out: &mut BytesMut, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

/// A string, bytes or message field with its key and length.
#[inline]
pub(crate) fn put_bytes_field(out: &mut BytesMut, number: u64, value: &[u8]) {
    put_bytes_key(out, number, value.len());
    out.put_slice(value);
}

/// Key and length of a field whose `len` bytes the caller writes behind it.
#[inline]
pub(crate) fn put_bytes_key(out: &mut BytesMut, number: u64, len: usize) {
    put_varint(out, number << 3 | 2);
    put_varint(out, len as u64);
}

/// What [`put_varint_field`] takes.
#[inline]
pub(crate) fn varint_field_len(number: u64, value: u64) -> usize {
    varint_len(number << 3) + varint_len(value)
}

/// What [`put_bytes_field`] takes for `len` bytes.
#[inline]
pub(crate) fn bytes_field_len(number: u64, len: usize) -> usize {
    varint_len(number << 3) + varint_len(len as u64) + len
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: u64) -> BytesMut {
        let mut out = BytesMut::new();
        put_varint(&mut out, value);
        out
    }

    #[test]
    fn varints_at_every_length_survive_a_round_trip() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let bytes = encoded(value);
                assert_eq!(bytes.len(), varint_len(value));
                let mut rest = &bytes[..];
                assert_eq!(take_varint(&mut rest), Ok(value));
                assert!(rest.is_empty());
            }
        }
    }

    #[test]
    fn a_varint_that_does_not_end_is_an_error() {
        assert_eq!(take_varint(&mut &[][..]), Err(DecodeError::Truncated));
        assert_eq!(
            take_varint(&mut &[0xff; 9][..]),
            Err(DecodeError::Truncated)
        );
        assert_eq!(take_varint(&mut &[0xff; 11][..]), Err(DecodeError::Varint));
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error() {
        let mut fields = Fields::new(&[0x0a, 0x05, 1, 2]);
        assert_eq!(fields.next(), Err(DecodeError::Truncated));
        let huge = [
            0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
        ];
        assert_eq!(Fields::new(&huge).next(), Err(DecodeError::Truncated));
    }

    #[test]
    fn groups_are_refused() {
        assert_eq!(Fields::new(&[0x0b]).next(), Err(DecodeError::WireType(3)));
    }

    proptest! {
        #![proptest_config(super::super::tests::config())]

        #[test]
        fn a_walk_over_any_bytes_ends(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut fields = Fields::new(&bytes);
            while let Ok(Some(_)) = fields.next() {}
        }

        #[test]
        fn lengths_are_what_is_written(number in 1u64..40, value: u64, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut out = BytesMut::new();
            put_varint_field(&mut out, number, value);
            prop_assert_eq!(out.len(), varint_field_len(number, value));
            out.clear();
            put_bytes_field(&mut out, number, &bytes);
            prop_assert_eq!(out.len(), bytes_field_len(number, bytes.len()));
        }
    }
}
