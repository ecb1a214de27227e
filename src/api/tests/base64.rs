//! Texts that `java.util.Base64.getDecoder()` was given, and what it said.

use base64_simd::STANDARD;
use proptest::prelude::*;

use super::CASES;
use crate::api::base64::Base64;

fn decode(text: &[u8]) -> Result<Vec<u8>, String> {
    let base64 = Base64::new(text).map_err(|error| error.to_string())?;
    let checked = base64.check();
    let decoded = base64.to_vec();
    assert_eq!(
        checked,
        decoded.as_ref().map(drop).map_err(|error| *error),
        "both ways say the same"
    );
    decoded.map_err(|error| error.to_string())
}

#[test]
fn what_java_takes_is_taken() {
    for (text, bytes) in [
        ("", &b""[..]),
        ("eA==", b"x"),
        ("eA", b"x"),
        ("eB==", b"x"),
        ("eAA", b"x\0"),
        ("eAA=", b"x\0"),
        ("true", &[0xb6, 0xbb, 0x9e]),
        ("aGVsbG8gd29ybGQ", b"hello world"),
    ] {
        assert_eq!(decode(text.as_bytes()).as_deref(), Ok(bytes), "{text}");
    }
}

#[test]
fn what_java_refuses_is_refused_in_its_words() {
    let short = "Input byte[] should at least have 2 bytes for base64 bytes";
    let ending = "Input byte array has wrong 4-byte ending unit";
    let bits = "Last unit does not have enough valid bits";
    let behind = "Input byte array has incorrect ending byte at 4";
    for (text, error) in [
        ("5", short),
        ("=", short),
        ("é", short),
        ("😀", short),
        ("1.5", "Illegal base64 character 2e"),
        ("e A==", "Illegal base64 character 20"),
        ("-_-_", "Illegal base64 character 2d"),
        ("eé==", "Illegal base64 character -17"),
        ("AAAA😀AAAA", "Illegal base64 character 3f"),
        ("eA=", ending),
        ("====", ending),
        ("eA==\n", behind),
        ("eA===", behind),
        ("eA==eA==", behind),
        ("e=A=", bits),
        ("AAAAA", bits),
    ] {
        assert_eq!(
            decode(text.as_bytes()).as_ref().map_err(String::as_str),
            Err(error),
            "{text}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn what_is_encoded_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = STANDARD.encode_to_string(&bytes);
        prop_assert_eq!(decode(text.as_bytes()), Ok(bytes.clone()));
        prop_assert_eq!(decode(text.trim_end_matches('=').as_bytes()), Ok(bytes));
    }

    #[test]
    fn any_bytes_give_an_answer(text in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode(&text);
    }

    #[test]
    fn nearly_base64_gives_an_answer(text in "[A-Za-z0-9+/=]{0,20}") {
        let _ = decode(text.as_bytes());
    }
}
