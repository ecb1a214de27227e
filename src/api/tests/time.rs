//! Times that Java's `DateFormatter` was given, and what it said.

use proptest::prelude::*;

use super::{CASES, any_text};
use crate::api::time;

fn written(time_ms: i64) -> String {
    let mut out = Vec::new();
    time::append(time_ms, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn times_are_written_as_java_writes_them_in_utc() {
    for (time_ms, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (10, "1970-01-01T00:00:00.01Z"),
        (100, "1970-01-01T00:00:00.1Z"),
        (1_635_548_498_967, "2021-10-29T23:01:38.967Z"),
        (1_635_548_498_960, "2021-10-29T23:01:38.96Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "+10000-01-01T00:00:00Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00Z"),
        (-62_167_219_200_001, "-0001-12-31T23:59:59.999Z"),
        (i64::MAX, "+292278994-08-17T07:12:55.807Z"),
        (i64::MIN, "-292275055-05-16T16:47:04.192Z"),
    ] {
        assert_eq!(written(time_ms), text);
    }
}

#[test]
fn times_are_read_as_java_reads_them() {
    for (text, time_ms) in [
        ("2021-10-29T16:01:38.967-07:00", 1_635_548_498_967),
        ("2021-10-29T16:01:38Z", 1_635_523_298_000),
        ("2021-10-29T16:01Z", 1_635_523_260_000),
        ("2021-10-29t16:01:38z", 1_635_523_298_000),
        ("2021-10-29T16:01:38.Z", 1_635_523_298_000),
        ("2021-10-29T16:01:38.123456789Z", 1_635_523_298_123),
        ("2020-02-29T00:00:00Z", 1_582_934_400_000),
        ("-2021-10-29T16:01:38Z", -125_917_747_102_000),
        ("+12021-10-29T16:01:38Z", 317_205_043_298_000),
        ("0000-01-01T00:00:00Z", -62_167_219_200_000),
        ("2021-10-29T16:01:38+01", 1_635_519_698_000),
        ("2021-10-29T16:01:38+01:00:30", 1_635_519_668_000),
        ("2021-10-29T16:01:38+18:00", 1_635_458_498_000),
        ("1969-12-31T23:59:59.9999Z", -1),
    ] {
        assert_eq!(time::parse(text), Ok(time_ms), "{text}");
    }
}

#[test]
fn what_java_cannot_read_is_refused_in_its_words() {
    let long = "x".repeat(65);
    let quoted = format!("Text '{}...' could not be parsed at index 0", &long[..64]);
    assert_eq!(time::parse(&long).unwrap_err().to_string(), quoted);
    for (text, error) in [
        ("garbage", " at index 0"),
        ("", " at index 0"),
        ("1635523298967", " at index 0"),
        ("12021-10-29T16:01:38Z", " at index 0"),
        ("+2021-10-29T16:01:38Z", " at index 0"),
        ("2021-1-01T00:00:00Z", " at index 5"),
        ("2021-10-29", " at index 10"),
        ("2021-10-29T16Z", " at index 13"),
        ("2021-10-29T16:01:38", " at index 19"),
        ("2021-10-29T16:01:38,5Z", " at index 19"),
        ("2021-10-29T16:01:38+1:00", " at index 19"),
        ("2021-10-29T16:01:38.1234567890Z", " at index 29"),
        (
            "2021-10-29T16:01:38Z[UTC]",
            ", unparsed text found at index 20",
        ),
        (
            "2021-10-29T16:01:38+0100",
            ", unparsed text found at index 22",
        ),
        (
            "2021-10-29T16:01:38+01:60",
            ", unparsed text found at index 22",
        ),
        (
            "2021-13-01T00:00:00Z",
            ": Invalid value for MonthOfYear (valid values 1 - 12): 13",
        ),
        (
            "2021-02-29T00:00:00Z",
            ": Invalid date 'February 29' as '2021' is not a leap year",
        ),
        ("2021-02-30T00:00:00Z", ": Invalid date 'FEBRUARY 30'"),
        ("2021-04-31T00:00:00Z", ": Invalid date 'APRIL 31'"),
        (
            "2021-10-29T24:00:00Z",
            ": Invalid value for HourOfDay (valid values 0 - 23): 24",
        ),
        (
            "2021-10-29T23:59:60Z",
            ": Invalid value for SecondOfMinute (valid values 0 - 59): 60",
        ),
        (
            "2021-10-29T16:01:38+18:01",
            ": Zone offset not in valid range: -18:00 to +18:00",
        ),
        (
            "2021-10-29T16:01:38+25:00",
            ": Value out of range: Hour[0-23], Minute[0-59], Second[0-59]",
        ),
        ("+999999999-12-31T23:59:59Z", ": long overflow"),
    ] {
        let refused = time::parse(text).unwrap_err().to_string();
        assert_eq!(refused, format!("Text '{text}' could not be parsed{error}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn what_is_written_is_read_back(time_ms in -62_000_000_000_000_000i64..253_402_300_800_000) {
        prop_assert_eq!(time::parse(&written(time_ms)), Ok(time_ms));
    }

    #[test]
    fn any_text_gives_an_answer(text in any_text()) {
        let _ = time::parse(&text);
    }

    #[test]
    fn nearly_a_time_gives_an_answer(text in "[-+]?[0-9]{1,10}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{0,10})?)?[Z+-][0-9:]{0,9}") {
        let _ = time::parse(&text);
    }
}
