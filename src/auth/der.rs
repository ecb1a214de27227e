//! As much of DER (X.690) as public keys, and names and times in certificates need: tag, length, value.

/// Tags (X.690 §8.1.2; constructed ones with their bit set).
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
/// `[0] EXPLICIT`: a certificate's version.
pub const CONTEXT_0: u8 = 0xa0;

/// What is left to read of a value that holds others.
#[derive(Clone, Copy)]
pub struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    pub fn new(bytes: &'a [u8]) -> Der<'a> {
        Der(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn peek(&self) -> Option<u8> {
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
                let (bytes, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = behind;
                bytes
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// The next value, if it is of this kind.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        match self.next()? {
            (found, value) if found == tag => Some(value),
            _ => None,
        }
    }

    /// The same, to read on in it.
    pub fn enter(&mut self, tag: u8) -> Option<Der<'a>> {
        self.take(tag).map(Der)
    }
}

/// A certificate's time (RFC 5280 §4.1.2.5) in milliseconds since 1970; before that it is 0.
pub fn time_ms(tag: u8, value: &[u8]) -> Option<u64> {
    let (year_digits, rest) = match tag {
        UTC_TIME => value.split_at_checked(2)?,
        GENERALIZED_TIME => value.split_at_checked(4)?,
        _ => return None,
    };
    let number = |digits: &[u8]| -> Option<i64> {
        let digit = |number, byte: &u8| {
            byte.is_ascii_digit()
                .then(|| 10 * number + i64::from(byte - b'0'))
        };
        digits.iter().try_fold(0, digit)
    };
    let year = match number(year_digits)? {
        year if tag == GENERALIZED_TIME => year,
        year if year < 50 => 2000 + year,
        year => 1900 + year,
    };
    let [month, day, hour, minute, second] = {
        let (pairs, zone) = rest.split_at_checked(10)?;
        if zone != b"Z" {
            return None;
        }
        let mut parts = [0; 5];
        for (part, pair) in parts.iter_mut().zip(pairs.chunks_exact(2)) {
            *part = number(pair)?;
        }
        parts
    };
    let is_time = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_time || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days by the Gregorian calendar, in years that begin with March, so that a leap day is the last of one.
    let (year, month) = match month {
        ..3 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_BEFORE_1970;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(u64::try_from(seconds).unwrap_or_default() * 1000)
}

/// From the 1st of March in the year 0.
const DAYS_BEFORE_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_since_1970() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", 0),
            (UTC_TIME, "691231235959Z", 0),
            (UTC_TIME, "500101000000Z", 0),
            (UTC_TIME, "000229120000Z", 951_825_600),
            (UTC_TIME, "491231235959Z", 2_524_607_999),
            (GENERALIZED_TIME, "20500101000000Z", 2_524_608_000),
            (GENERALIZED_TIME, "21000301000000Z", 4_107_542_400),
            (GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(
                time_ms(tag, text.as_bytes()),
                Some(seconds * 1000),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_of_a_certificate_is_none() {
        for (tag, text) in [
            (UTC_TIME, ""),
            (UTC_TIME, "7001010000Z"),
            (UTC_TIME, "700101000000"),
            (UTC_TIME, "700101000000+0100"),
            (UTC_TIME, "20500101000000Z"),
            (UTC_TIME, "701301000000Z"),
            (UTC_TIME, "700100000000Z"),
            (UTC_TIME, "70010100000xZ"),
            (GENERALIZED_TIME, "700101000000Z"),
            (GENERALIZED_TIME, "20500101000000.5Z"),
            (INTEGER, "700101000000Z"),
        ] {
            assert_eq!(time_ms(tag, text.as_bytes()), None, "{text}");
        }
    }
}
