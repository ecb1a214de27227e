//! Jackson's coercions (databind 2.17, default settings) of a JSON value into a Java field.
//!
//! `Err` means that the value's type does not fit, which the gateway answers like unreadable JSON.

use simdutf8::basic::from_utf8;

use super::Value;

/// The value's type or range does not fit its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch;

/// A `String` field: numbers keep their literal, `null` is absent.
pub fn text(value: Value<'_>) -> Result<Option<&str>, Mismatch> {
    bytes(value)?
        .map(|text| from_utf8(text).map_err(|_| Mismatch))
        .transpose()
}

/// As [`text`], without looking at its UTF-8: for base64, whose own check is stricter.
pub fn bytes(value: Value<'_>) -> Result<Option<&[u8]>, Mismatch> {
    match value {
        Value::Text(text) | Value::Number(text) => Ok(Some(text)),
        Value::True => Ok(Some(b"true")),
        Value::False => Ok(Some(b"false")),
        Value::Null => Ok(None),
        Value::Object | Value::Array => Err(Mismatch),
    }
}

/// A `long` field: fractions are cut off, blank text and `null` are absent.
pub fn long(value: Value<'_>) -> Result<Option<i64>, Mismatch> {
    match value {
        Value::Number(literal) => number(literal, i64::MIN, i64::MAX).map(Some),
        Value::Text(text) => match trimmed(text)? {
            "" | "null" => Ok(None),
            digits => digits.parse().map(Some).map_err(|_| Mismatch),
        },
        Value::Null => Ok(None),
        _ => Err(Mismatch),
    }
}

/// An `Integer` field, as [`long`] with a smaller range.
pub fn int(value: Value<'_>) -> Result<Option<i32>, Mismatch> {
    let wide = match value {
        Value::Number(literal) => Some(number(literal, i32::MIN.into(), i32::MAX.into())?),
        other => long(other)?,
    };
    wide.map(|wide| i32::try_from(wide).map_err(|_| Mismatch))
        .transpose()
}

/// A `boolean` field: whole numbers count (0 is false), blank text and `null` are false.
pub fn boolean(value: Value<'_>) -> Result<bool, Mismatch> {
    match value {
        Value::True => Ok(true),
        Value::False | Value::Null => Ok(false),
        Value::Number(literal) if is_whole(literal) => {
            Ok(literal.iter().any(|b| matches!(b, b'1'..=b'9')))
        }
        Value::Text(text) => match trimmed(text)? {
            "true" | "True" | "TRUE" => Ok(true),
            "" | "null" | "false" | "False" | "FALSE" => Ok(false),
            _ => Err(Mismatch),
        },
        _ => Err(Mismatch),
    }
}

/// An enum field: a name, or its number (as a number or as text). Unknown ones are absent, as Pulsar sets Jackson up.
pub fn variant<T: Copy>(value: Value<'_>, variants: &[(&str, T)]) -> Result<Option<T>, Mismatch> {
    let by_number = |literal: &str| {
        let index = literal.parse::<usize>().ok()?;
        variants.get(index).map(|(_, variant)| *variant)
    };
    match value {
        Value::Null => Ok(None),
        Value::Number(literal) if is_whole(literal) => {
            let index = int(value)?.and_then(|index| usize::try_from(index).ok());
            Ok(index
                .and_then(|index| variants.get(index))
                .map(|(_, variant)| *variant))
        }
        Value::Text(text) => {
            let name = trimmed(text)?;
            let named = variants.iter().find(|(known, _)| *known == name);
            Ok(named
                .map(|(_, variant)| *variant)
                .or_else(|| by_number(name)))
        }
        _ => Err(Mismatch),
    }
}

fn is_whole(literal: &[u8]) -> bool {
    !literal
        .iter()
        .any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

fn number(literal: &[u8], min: i64, max: i64) -> Result<i64, Mismatch> {
    let literal = from_utf8(literal).map_err(|_| Mismatch)?;
    if is_whole(literal.as_bytes()) {
        let whole = literal.parse::<i64>().map_err(|_| Mismatch)?;
        return (min..=max)
            .contains(&whole)
            .then_some(whole)
            .ok_or(Mismatch);
    }
    // As Jackson: by way of a double, whose nearest to i64::MAX is 2^63; the cast saturates, as Java's does.
    let double = literal.parse::<f64>().map_err(|_| Mismatch)?;
    let fits = (min as f64..=max as f64).contains(&double);
    fits.then_some(double as i64).ok_or(Mismatch)
}

/// `String.trim`: what is not above a space goes, at both ends.
fn trimmed(text: &[u8]) -> Result<&str, Mismatch> {
    let text = from_utf8(text).map_err(|_| Mismatch)?;
    Ok(text.trim_matches(|c: char| c <= ' '))
}
