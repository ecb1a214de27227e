//! Reading a point in time as Java's `ISO_OFFSET_DATE_TIME` does, refusing in its words.

use std::fmt;

use super::days_from_civil;

/// Java quotes no more of a text than this (UTF-16 units).
const QUOTED_UNITS_MAX: usize = 64;

/// A text that is no such time; displayed as Java's `DateTimeParseException`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeError {
    quoted: String,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// The grammar does not fit from here on.
    At(usize),
    /// It fits, but does not end here.
    Trailing(usize),
    /// It fits, but means nothing.
    Value(String),
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text '{}' could not be parsed", self.quoted)?;
        match &self.why {
            Why::At(index) => write!(f, " at index {index}"),
            Why::Trailing(index) => write!(f, ", unparsed text found at index {index}"),
            Why::Value(text) => write!(f, ": {text}"),
        }
    }
}

/// Milliseconds since 1970, rounded down; before 1970 negative.
pub fn parse(text: &str) -> Result<i64, TimeError> {
    let fields = Scanner {
        text: text.as_bytes(),
        at: 0,
    }
    .fields();
    fields
        .and_then(|fields| fields.resolve())
        .map_err(|why| TimeError {
            quoted: quoted(text),
            why,
        })
}

fn quoted(text: &str) -> String {
    let units: Vec<u16> = text.encode_utf16().take(QUOTED_UNITS_MAX + 1).collect();
    match units.get(..QUOTED_UNITS_MAX) {
        Some(head) if units.len() > QUOTED_UNITS_MAX => String::from_utf16_lossy(head) + "...",
        _ => text.to_owned(),
    }
}

#[derive(Default)]
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    offset_seconds: i64,
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn fields(mut self) -> Result<Fields, Why> {
        let mut fields = Fields {
            year: self.year()?,
            ..Fields::default()
        };
        self.literal(b'-')?;
        fields.month = self.two_digits()?;
        self.literal(b'-')?;
        fields.day = self.two_digits()?;
        self.literal(b'T')?;
        fields.hour = self.two_digits()?;
        self.literal(b':')?;
        fields.minute = self.two_digits()?;
        self.seconds(&mut fields);
        fields.offset_seconds = self.offset()?;
        match self.at == self.text.len() {
            true => Ok(fields),
            false => Err(Why::Trailing(self.at)),
        }
    }

    /// Four digits; up to ten behind a sign, which `+` allows for more than four only.
    fn year(&mut self) -> Result<i64, Why> {
        let sign = self
            .text
            .first()
            .copied()
            .filter(|byte| matches!(byte, b'+' | b'-'));
        let start = usize::from(sign.is_some());
        let (value, count) = self.digits(start, 10);
        match sign {
            _ if count < 4 => Err(Why::At(start)),
            Some(b'+') if count == 4 => Err(Why::At(0)),
            Some(b'-') if value == 0 => Err(Why::At(0)),
            None if count > 4 => Err(Why::At(0)),
            _ => {
                self.at = start + count;
                Ok(if sign == Some(b'-') { -value } else { value })
            }
        }
    }

    /// `:ss` and a fraction, both optional.
    fn seconds(&mut self, fields: &mut Fields) {
        if self.text.get(self.at) != Some(&b':') {
            return;
        }
        let (second, 2) = self.digits(self.at + 1, 2) else {
            return;
        };
        fields.second = second;
        self.at += 3;
        if self.text.get(self.at) == Some(&b'.') {
            let (fraction, count) = self.digits(self.at + 1, 9);
            fields.nanos = fraction * 10i64.pow(9 - count as u32);
            self.at += 1 + count;
        }
    }

    /// `Z`, or a sign, hours and optional `:mm` and `:ss`. In seconds.
    fn offset(&mut self) -> Result<i64, Why> {
        let sign = match self.text.get(self.at) {
            Some(b'Z' | b'z') => {
                self.at += 1;
                return Ok(0);
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(Why::At(self.at)),
        };
        let (hours, 2) = self.digits(self.at + 1, 2) else {
            return Err(Why::At(self.at));
        };
        if hours > 59 {
            return Err(Why::At(self.at));
        }
        self.at += 3;
        let minutes = self.offset_part();
        let seconds = minutes.and_then(|_| self.offset_part());
        if hours > 23 {
            let text = "Value out of range: Hour[0-23], Minute[0-59], Second[0-59]";
            return Err(Why::Value(text.to_owned()));
        }
        Ok(sign * (hours * 3600 + minutes.unwrap_or(0) * 60 + seconds.unwrap_or(0)))
    }

    fn offset_part(&mut self) -> Option<i64> {
        let colon = self.text.get(self.at) == Some(&b':');
        match self.digits(self.at + 1, 2) {
            (value @ 0..60, 2) if colon => {
                self.at += 3;
                Some(value)
            }
            _ => None,
        }
    }

    fn two_digits(&mut self) -> Result<i64, Why> {
        match self.digits(self.at, 2) {
            (value, 2) => {
                self.at += 2;
                Ok(value)
            }
            _ => Err(Why::At(self.at)),
        }
    }

    /// Letters match in either case.
    fn literal(&mut self, literal: u8) -> Result<(), Why> {
        match self.text.get(self.at) {
            Some(byte) if byte.eq_ignore_ascii_case(&literal) => {
                self.at += 1;
                Ok(())
            }
            _ => Err(Why::At(self.at)),
        }
    }

    /// The value of up to `most` (ten at the utmost) digits from `start`, and how many there are.
    fn digits(&self, start: usize, most: usize) -> (i64, usize) {
        let tail = self.text.get(start..).unwrap_or_default();
        let digits = tail
            .iter()
            .take(most)
            .take_while(|byte| byte.is_ascii_digit());
        digits.fold((0, 0), |(value, count), digit| {
            (value * 10 + i64::from(digit - b'0'), count + 1)
        })
    }
}

impl Fields {
    fn resolve(&self) -> Result<i64, Why> {
        within(
            "Year (valid values -999999999 - 999999999)",
            self.year,
            -999_999_999..=999_999_999,
        )?;
        within("MonthOfYear (valid values 1 - 12)", self.month, 1..=12)?;
        within("DayOfMonth (valid values 1 - 28/31)", self.day, 1..=31)?;
        self.check_day()?;
        within("HourOfDay (valid values 0 - 23)", self.hour, 0..=23)?;
        within("MinuteOfHour (valid values 0 - 59)", self.minute, 0..=59)?;
        within("SecondOfMinute (valid values 0 - 59)", self.second, 0..=59)?;
        if self.offset_seconds.abs() > 18 * 3600 {
            return Err(Why::Value(
                "Zone offset not in valid range: -18:00 to +18:00".to_owned(),
            ));
        }
        let days = days_from_civil(self.year, self.month, self.day);
        let in_day = self.hour * 3600 + self.minute * 60 + self.second;
        let seconds = days * 86_400 + in_day - self.offset_seconds;
        let millis = seconds
            .checked_mul(1000)
            .and_then(|ms| ms.checked_add(self.nanos / 1_000_000));
        millis.ok_or_else(|| Why::Value("long overflow".to_owned()))
    }

    fn check_day(&self) -> Result<(), Why> {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let (month, days) = match self.month {
            2 if self.day == 29 && !leap => {
                let text = format!(
                    "Invalid date 'February 29' as '{}' is not a leap year",
                    self.year
                );
                return Err(Why::Value(text));
            }
            2 => ("FEBRUARY", 29),
            4 => ("APRIL", 30),
            6 => ("JUNE", 30),
            9 => ("SEPTEMBER", 30),
            11 => ("NOVEMBER", 30),
            _ => return Ok(()),
        };
        if self.day > days {
            return Err(Why::Value(format!("Invalid date '{month} {}'", self.day)));
        }
        Ok(())
    }
}

fn within(what: &str, value: i64, valid: std::ops::RangeInclusive<i64>) -> Result<(), Why> {
    if valid.contains(&value) {
        return Ok(());
    }
    Err(Why::Value(format!("Invalid value for {what}: {value}")))
}
