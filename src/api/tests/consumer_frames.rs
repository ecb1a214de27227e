//! Client → consumer and reader sockets.

use super::id;
use crate::api::*;

fn command(frame: &str) -> Result<Command, String> {
    let parsed = parse_command(&mut frame.as_bytes().to_vec());
    parsed
        .map(|request| request.command)
        .map_err(|error| error.reason)
}

#[test]
fn consumer_frames_are_understood() {
    for ack in [
        r#"{"messageId":"CBAQADAA"}"#,
        r#"{"messageId": "CBAQADAA"}"#,
        " {\n\"messageId\" : \"CBAQADAA\" } trailing",
        r#"{"type":"weird","messageId":"CBAQADAA"}"#,
        r#"{"messageId":"zz","messageId":"CBAQADAA"}"#,
        r#"{"messageId":"CBAQADA\u0041"}"#,
        r#"{"type":null,"messageId":"CBAQADAA","x":[{}]}"#,
    ] {
        assert_eq!(command(ack), Ok(Command::Ack(id(16, 0))), "{ack}");
    }
    let nack = r#"{"type": "negativeAcknowledge", "messageId": "CBAQATAA"}"#;
    assert_eq!(command(nack), Ok(Command::NegativeAck(id(16, 1))));
    assert_eq!(
        command(r#"{"type":"unsubscribe"}"#),
        Ok(Command::Unsubscribe)
    );
    assert_eq!(
        command(r#"{"type":"isEndOfTopic"}"#),
        Ok(Command::IsEndOfTopic)
    );
    for (permits, expected) in [
        ("10", 10),
        ("0", 0),
        ("-1", 0),
        ("2147483647", 2_147_483_647),
        ("\"7\"", 7),
        ("5.9", 5),
    ] {
        let frame = format!(r#"{{"type": "permit", "permitMessages": {permits}}}"#);
        assert_eq!(command(&frame), Ok(Command::Permit(expected)), "{frame}");
    }
}

#[test]
fn consumer_frames_that_cannot_be_understood_close_the_socket_with_4003() {
    let wrong = "is of the wrong type or out of range";
    for (frame, detail) in [
        (
            r#"{"messageId":"zz"}"#,
            "messageId is not a Pulsar message id",
        ),
        (r#"{"messageId":"!!"}"#, "Illegal base64 character 21"),
        (
            r#"{"messageId":""}"#,
            "messageId is not a Pulsar message id",
        ),
        ("{}", "messageId is missing"),
        ("nojson", "unknown word at byte 1"),
        ("null", "not a JSON object"),
        ("[]", "not a JSON object"),
        (r#"{"type":"negativeAcknowledge"}"#, "messageId is missing"),
        (r#"{"type": "permit"}"#, "permitMessages is missing"),
        (
            r#"{"type":"permit","permitMessages":2147483648}"#,
            &format!("the value of permitMessages {wrong}"),
        ),
        (
            r#"{"type":"permit","permitMessages":[]}"#,
            &format!("the value of permitMessages {wrong}"),
        ),
        (
            r#"{"messageId":{}}"#,
            &format!("the value of messageId {wrong}"),
        ),
    ] {
        let reason = format!("Failed to de-serialize from JSON: {detail}");
        assert_eq!(command(frame), Err(reason), "{frame}");
    }
    let error = parse_command(&mut b"{}".to_vec()).unwrap_err();
    assert_eq!(error.error.close_code(), 4003);
}

#[test]
fn a_request_id_is_any_scalar_and_comes_back_as_it_was() {
    for (written, back) in [
        ("5", "5"),
        ("-1.50e3", "-1.50e3"),
        ("true", "true"),
        (r#""a\u0041\"\n""#, r#""aA\"\n""#),
        ("\"\"", "\"\""),
    ] {
        let frame = format!(r#"{{"requestId":{written},"messageId":"CBAQADAA"}}"#);
        let request = parse_command(&mut frame.into_bytes()).unwrap();
        assert_eq!(request.command, Command::Ack(id(16, 0)));
        assert_eq!(request.id.as_deref(), Some(back));
    }
    let long = format!("\"{}\"", "x".repeat(127));
    for none in ["null", "{}", "[1]", &long] {
        let frame = format!(r#"{{"messageId":"CBAQADAA","requestId":{none}}}"#);
        let request = parse_command(&mut frame.into_bytes()).unwrap();
        assert_eq!(
            (request.command, request.id),
            (Command::Ack(id(16, 0)), None)
        );
    }
}

#[test]
fn a_command_that_cannot_be_understood_keeps_its_request_id() {
    for frame in [
        r#"{"requestId":"a","type":"permit"}"#,
        r#"{"permitMessages":{},"requestId":"a"}"#,
        r#"{"messageId":"zz","requestId":"a"}"#,
    ] {
        let error = parse_command(&mut frame.as_bytes().to_vec()).unwrap_err();
        assert_eq!(error.request_id.as_deref(), Some("\"a\""), "{frame}");
        assert!(error.reason.ends_with(&error.detail));
    }
}

#[test]
fn a_seek_names_a_message_or_a_time() {
    use crate::pulsar::client::SeekTarget;
    for (fields, target) in [
        (r#""messageId":"CBAQADAA""#, SeekTarget::Message(id(16, 0))),
        (r#""messageId":"earliest""#, SeekTarget::Earliest),
        (r#""messageId":"latest""#, SeekTarget::Latest),
        (r#""timestamp":5"#, SeekTarget::PublishTime(5)),
        (r#""timestamp":-5"#, SeekTarget::PublishTime(0)),
        (
            r#""timestamp":"1970-01-01T01:00:01+01:00""#,
            SeekTarget::PublishTime(1000),
        ),
    ] {
        let frame = format!(r#"{{"type":"seek",{fields}}}"#);
        assert_eq!(command(&frame), Ok(Command::Seek(target)), "{frame}");
        let parsed = parse_reader_command(&mut frame.into_bytes()).unwrap();
        assert_eq!(parsed.command, ReaderCommand::Seek(target));
    }
    for wrong in [
        r#"{"type":"seek"}"#,
        r#"{"type":"seek","timestamp":{}}"#,
        r#"{"type":"seek","timestamp":"soon"}"#,
        r#"{"type":"seek","messageId":"zz"}"#,
        r#"{"type":"seek","messageId":"earliest","timestamp":5}"#,
    ] {
        assert!(command(wrong).is_err(), "{wrong}");
    }
    // Elsewhere the field is unknown.
    let ack = r#"{"messageId":"CBAQADAA","timestamp":{"x":[]}}"#;
    assert_eq!(command(ack), Ok(Command::Ack(id(16, 0))));
}

#[test]
fn answers_carry_the_request_id_and_what_is_wrong() {
    let answer = |id, result| {
        let mut out = Vec::new();
        append_answer(id, result, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        answer(Some("5"), Ok(())),
        r#"{"result":"ok","requestId":5}"#
    );
    let wrong = (WebSocketError::FailedToDeserializeFromJson, "a \"b\"");
    assert_eq!(
        answer(None, Err(wrong)),
        r#"{"result":"error:3","errorMsg":"a \"b\""}"#
    );
}

#[test]
fn any_object_is_a_message_handled_on_a_reader() {
    let read = |frame: &str| {
        parse_reader_command(&mut frame.as_bytes().to_vec()).map(|request| request.command)
    };
    for frame in [
        r#"{"messageId": "CBAQADAA"}"#,
        r#"{"messageId":"not looked at"}"#,
        r#"{"type": "permit", "permitMessages": 10}"#,
        r#"{"type": "unsubscribe"}"#,
        "{}",
    ] {
        assert_eq!(read(frame), Ok(ReaderCommand::Handled), "{frame}");
    }
    assert_eq!(
        read(r#"{"type": "isEndOfTopic"}"#),
        Ok(ReaderCommand::IsEndOfTopic)
    );
    for frame in ["nojson", "null", "7", r#"{"permitMessages":"x"}"#] {
        assert_eq!(read(frame).unwrap_err().error.close_code(), 4003, "{frame}");
    }
}

#[test]
fn the_end_of_the_topic_is_told() {
    for (reached, expected) in [
        (false, r#"{"endOfTopic":false}"#),
        (true, r#"{"endOfTopic":true}"#),
    ] {
        let mut out = Vec::new();
        append_end_of_topic(reached, &mut out);
        assert_eq!(out, expected.as_bytes());
    }
}
