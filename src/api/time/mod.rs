//! Points in time as text (`DateFormatter`: ISO 8601 with an offset), written here, read in [`parse()`].
//!
//! Java writes them in its system's zone; the gateway always in UTC.

mod parse;

pub use parse::parse;

const DAY_MS: i64 = 86_400_000;

/// Appends `2026-11-20T17:47:23.18Z`: the fraction without trailing zeros, or none. Years beyond 9999 have a sign.
pub fn append(time_ms: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(time_ms.div_euclid(DAY_MS));
    let in_day = time_ms.rem_euclid(DAY_MS);
    append_year(year, out);
    let digits = |n: i64| [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
    let ([m1, m2], [d1, d2]) = (digits(month), digits(day));
    let ([h1, h2], [i1, i2]) = (digits(in_day / 3_600_000), digits(in_day / 60_000 % 60));
    let [s1, s2] = digits(in_day / 1000 % 60);
    out.extend_from_slice(&[
        b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2,
    ]);
    append_fraction(in_day % 1000, out);
    out.extend_from_slice(b"Z");
}

fn append_fraction(millis: i64, out: &mut Vec<u8>) {
    let digit = |n: i64| b'0' + (n % 10) as u8;
    let text = [b'.', digit(millis / 100), digit(millis / 10), digit(millis)];
    let length = match text {
        [_, b'0', b'0', b'0'] => 0,
        [_, _, b'0', b'0'] => 2,
        [_, _, _, b'0'] => 3,
        _ => 4,
    };
    out.extend_from_slice(&text[..length]);
}

fn append_year(year: i64, out: &mut Vec<u8>) {
    if let 0..=9999 = year {
        let digit = |n: i64| b'0' + (n % 10) as u8;
        out.extend_from_slice(&[
            digit(year / 1000),
            digit(year / 100),
            digit(year / 10),
            digit(year),
        ]);
    } else {
        let sign = if year < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("{sign}{:04}", year.unsigned_abs()).as_bytes());
    }
}

/// Days since 1970-01-01 to the proleptic Gregorian calendar. A year here begins in March, so that the leap day is its
/// last, and 400 years are always 146,097 days.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
