//! Bytes that no honest client sends: always an answer, never more work than the bytes are worth.

use proptest::prelude::*;

use super::{CASES, answer, id};
use crate::api::*;

const DEEP: usize = if cfg!(miri) { 2_000 } else { 100_000 };

#[test]
fn nesting_is_refused_where_jackson_refuses_it() {
    let nested = |levels: usize| {
        format!(
            "{{\"x\":{}{},\"payload\":\"\"}}",
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    assert!(answer(&nested(999), &id(1, 1)).contains("\"ok\""));
    assert!(answer(&nested(1000), &id(1, 1)).contains("nested too deep"));
    for open in ["[", "{\"a\":"] {
        let frame = format!("{{\"x\":{}", open.repeat(DEEP));
        assert!(answer(&frame, &id(1, 1)).contains("nested too deep"));
    }
    assert!(answer(&"[".repeat(DEEP), &id(1, 1)).contains("Not a JSON object"));
}

#[test]
fn numbers_may_be_as_long_as_for_jackson() {
    let frame = |digits: usize| format!("{{\"x\":{},\"payload\":\"\"}}", "9".repeat(digits));
    assert!(answer(&frame(1000), &id(1, 1)).contains("\"ok\""));
    assert!(answer(&frame(1001), &id(1, 1)).contains("number too long"));
}

#[test]
fn a_frame_full_of_properties_costs_no_square_of_their_number() {
    let count = if cfg!(miri) { 40 } else { 10_000 };
    let properties: Vec<String> = (0..count).map(|n| format!("\"{n}\":{n}")).collect();
    let twice = format!("{0},{0}", properties.join(","));
    let mut frame = format!("{{\"payload\":\"\",\"properties\":{{{twice}}}}}").into_bytes();
    let publish = parse_publish(&mut frame, false).unwrap();
    assert_eq!(publish.properties.len(), count);
    assert_eq!(publish.properties[17], ("17", "17"));
}

#[test]
fn text_that_is_not_utf8_is_an_error_of_the_field_that_needs_it() {
    let mut frame = b"{\"payload\":\"\",\"unknown\":\"\xff\"}".to_vec();
    assert!(parse_publish(&mut frame, false).is_ok());
    for field in ["context", "key", "eventTime"] {
        let mut frame = format!("{{\"payload\":\"\",\"{field}\":\"?\"}}").into_bytes();
        let at = frame.len() - 3;
        frame[at] = 0xff;
        assert_eq!(
            parse_publish(&mut frame, false).unwrap_err().error.number(),
            3,
            "{field}"
        );
    }
    let mut frame = b"{\"payload\":\"\",\"properties\":{\"\xc0\xaf\":1}}".to_vec();
    assert!(parse_publish(&mut frame, false).is_err());
}

#[test]
fn made_up_ids_are_ids_or_refused() {
    let command =
        |text: &str| parse_command(&mut format!("{{\"messageId\":\"{text}\"}}").into_bytes());
    // Ledger and entry −1: what Java calls "earliest".
    assert!(command("CP///////////wEQ////////////AQ==").is_ok());
    for text in [
        "CBA=",
        "AAAA",
        "////",
        "CA==",
        "gICAgICAgICAgICA",
        &"A".repeat(4000),
    ] {
        assert!(command(text).is_err(), "{text}");
    }
}

#[test]
fn nothing_of_a_message_or_a_token_is_printed() {
    let mut frame = br#"{"payload":"c2VjcmV0","properties":{"secret":"secret"},"context":"secret","key":"secret"}"#.to_vec();
    let printed = format!("{:?}", parse_publish(&mut frame, false).unwrap());
    assert!(
        !printed.contains("secret") && !printed.contains("c2VjcmV0"),
        "{printed}"
    );
    let query = Query::parse("token=secret&producerName=p").unwrap();
    assert_eq!(query.token(), Some("secret"));
    assert!(!format!("{query:?}").contains("secret"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_publish(&mut bytes.clone(), true).map(|publish| publish.decode_payload(&mut bytes::BytesMut::new()).is_ok());
        let _ = parse_command(&mut bytes.clone());
        let _ = parse_reader_command(&mut bytes.clone());
        let text = String::from_utf8_lossy(&bytes);
        let _ = Endpoint::parse(&text, "");
        let _ = Endpoint::parse("/ws/v3/consumer/s", &format!("topics={text}"));
        let _ = Endpoint::parse("/ws/v3/consumer/s", &text);
        let _ = TopicName::parse(&text);
        let _ = Query::parse(&text);
    }

    #[test]
    fn nearly_frames_give_an_answer(text in r#"\{("(payload|context|properties|messageId|type|eventTime|permitMessages)" ?: ?("[A-Za-z0-9+/=\\u]{0,12}"|[-0-9.e]{1,5}|\{"a":[0-9]?\}|\[\]|null|true),?){0,4}\}?"#) {
        let _ = parse_publish(&mut text.clone().into_bytes(), true);
        let _ = parse_command(&mut text.into_bytes());
    }
}
