//! As much of DER (X.690) as keys and certificates need: tag, length, value.

/// Tags (X.690 §8.1.2; constructed ones with their bit set).
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const OBJECT_ID: u8 = 0x06;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
/// `[0] EXPLICIT`.
pub const CONTEXT_0: u8 = 0xa0;

/// The values of one that holds others, or of a whole file.
#[derive(Clone, Copy)]
pub struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    pub fn new(bytes: &'a [u8]) -> Der<'a> {
        Der(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next value.
    pub fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value with its tag. None: there is none, or it is cut off.
    pub fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            // Four bytes of length are more than anything that is read here.
            0x81..=0x84 => {
                let (digits, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = behind;
                let add = |length, digit: &u8| length << 8 | usize::from(*digit);
                digits.iter().fold(0, add)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// The next value, which must have this tag.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        match self.next()? {
            (found, value) if found == tag => Some(value),
            _ => None,
        }
    }

    /// [`Self::take`], to read on in it.
    pub fn enter(&mut self, tag: u8) -> Option<Der<'a>> {
        self.take(tag).map(Der)
    }

    /// The next value with its tag and length.
    pub fn take_whole(&mut self, tag: u8) -> Option<&'a [u8]> {
        let before = self.0;
        self.take(tag)?;
        before.get(..before.len() - self.0.len())
    }

    /// The bytes of a bit string that has whole ones.
    pub fn take_bit_string(&mut self) -> Option<&'a [u8]> {
        self.take(BIT_STRING)?.strip_prefix(&[0])
    }
}
