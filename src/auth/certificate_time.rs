//! When a certificate begins and ends to count (RFC 5280 §4.1.2.5).

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// In milliseconds since 1970; before that it is 0.
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
            (0x02, "700101000000Z"),
        ] {
            assert_eq!(time_ms(tag, text.as_bytes()), None, "{text}");
        }
    }
}
