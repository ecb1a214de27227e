//! Frames: whole, in pieces, against the `pulsar` crate's codec, and lying about their sizes.

use super::*;
use crate::pulsar::wire::{Body, BodyError, FrameError, encode_command, encode_command_with_body};
use ::pulsar::message::{Codec, Message, Payload};
use ::pulsar::proto::{CommandMessage, CommandPing, MessageMetadata, base_command};
use bytes::{BufMut, Bytes};
use tokio_util::codec::{Decoder as _, Encoder as _};

fn ping() -> BaseCommand {
    BaseCommand {
        r#type: base_command::Type::Ping as i32,
        ping: Some(CommandPing {}),
        ..Default::default()
    }
}

fn message_command() -> BaseCommand {
    BaseCommand {
        r#type: base_command::Type::Message as i32,
        message: Some(CommandMessage {
            consumer_id: 7,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn metadata() -> MessageMetadata {
    MessageMetadata {
        producer_name: "p".into(),
        sequence_id: 1,
        publish_time: 2,
        ..Default::default()
    }
}

fn frame_with_sizes(total: u32, command: u32) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_u32(total);
    bytes.put_u32(command);
    bytes
}

#[test]
fn sizes_that_lie_are_refused_before_anything_is_waited_for() {
    for (total, command) in [
        (8, 0),
        (8, 5),
        (8, u32::MAX),
        (u32::MAX, 4),
        (MAX_FRAME_BYTES as u32 - 3, 4),
    ] {
        let mut bytes = frame_with_sizes(total, command);
        let capacity = bytes.capacity();
        assert!(split_frame(&mut bytes, MAX_FRAME_BYTES).is_err());
        assert_eq!((bytes.len(), bytes.capacity()), (8, capacity));
    }
}

#[test]
fn a_frame_without_room_for_a_command_is_refused() {
    for total in 0..=4u32 {
        let mut bytes = BytesMut::from(&total.to_be_bytes()[..]);
        assert_eq!(
            split_frame(&mut bytes, MAX_FRAME_BYTES),
            Err(FrameError::CommandSize {
                frame_bytes: u64::from(total) + 4,
                command_bytes: 0
            })
        );
    }
}

#[test]
fn the_largest_frame_is_taken_and_one_byte_more_is_not() {
    let frame = encode_command_with_body(&message_command(), &[], &[0; 100]);
    assert!(split_frame(&mut BytesMut::from(&frame[..]), frame.len()).is_ok());
    assert!(split_frame(&mut BytesMut::from(&frame[..]), frame.len() - 1).is_err());
}

#[test]
fn a_body_without_a_checksum_is_legal() {
    let body = Bytes::from_static(&[0, 0, 0, 2, 1, 2, 3]);
    let body = Body::parse(&body).unwrap();
    assert_eq!(
        (&body.metadata[..], &body.payload[..]),
        (&[1, 2][..], &[3][..])
    );
}

#[test]
fn broker_entry_metadata_is_skipped() {
    let plain = only_frame(encode_command_with_body(&message_command(), &[1, 2], &[3]).into()).body;
    let mut with_entry_metadata = BytesMut::from(&[0x0e, 0x02, 0, 0, 0, 3, 9, 9, 9][..]);
    with_entry_metadata.extend_from_slice(&plain);
    assert_eq!(
        Body::parse(&with_entry_metadata.freeze()),
        Body::parse(&plain)
    );
}

#[test]
fn a_flipped_bit_anywhere_behind_the_checksum_is_found() {
    let body = only_frame(encode_command_with_body(&message_command(), &[1, 2], &[3]).into()).body;
    for at in 2..body.len() {
        let mut broken = BytesMut::from(&body[..]);
        broken[at] ^= 0x10;
        assert_eq!(Body::parse(&broken.freeze()), Err(BodyError::Checksum));
    }
}

#[test]
fn a_body_that_ends_too_early_is_truncated() {
    let truncated: [&'static [u8]; 5] = [
        &[],
        &[0, 0, 0],
        &[0, 0, 0, 1],
        &[0x0e, 0x01, 0, 0, 0],
        &[0x0e, 0x02, 0xff, 0xff, 0xff, 0xff, 1],
    ];
    for body in truncated {
        assert_eq!(
            Body::parse(&Bytes::from_static(body)),
            Err(BodyError::Truncated),
            "{body:x?}"
        );
    }
}

#[test]
fn nothing_is_copied_out_of_the_read_buffer() {
    let bytes = BytesMut::from(&encode_command_with_body(&message_command(), &[1], &[2; 64])[..]);
    let range = bytes.as_ptr_range();
    let body = Body::parse(&only_frame(bytes).body).unwrap();
    assert!(range.contains(&body.payload.as_ptr()));
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn frames_come_out_whole_however_the_stream_is_cut(payload in some_bytes(200), cuts in vec(1usize..40, 1..20)) {
        let frames = [
            encode_command(&ping()),
            encode_command_with_body(&message_command(), &metadata().encode_to_vec(), &payload),
            encode_command(&ping()),
        ];
        let stream = frames.concat();
        let (mut buf, mut found, mut at) = (BytesMut::new(), Vec::new(), 0);
        for cut in cuts.iter().cycle() {
            let end = stream.len().min(at + cut);
            buf.extend_from_slice(&stream[at..end]);
            while let Some(frame) = split_frame(&mut buf, MAX_FRAME_BYTES).unwrap() {
                found.push(frame);
            }
            at = end;
            if at == stream.len() {
                break;
            }
        }
        prop_assert!(buf.is_empty());
        prop_assert_eq!(found.len(), 3);
        prop_assert_eq!(prost_command(&found[0]), ping());
        prop_assert_eq!(prost_command(&found[1]), message_command());
        prop_assert!(found[2].body.is_empty());
        let body = Body::parse(&found[1].body).unwrap();
        prop_assert_eq!(&body.payload[..], &payload[..]);
        prop_assert_eq!(&body.metadata[..], metadata().encode_to_vec());
    }

    #[test]
    fn the_pulsar_crate_writes_the_same_frames(payload in some_bytes(200)) {
        let mut theirs = BytesMut::new();
        let message = Message {
            command: message_command(),
            payload: Some(Payload { metadata: metadata(), data: payload.clone() }),
        };
        Codec.encode(message, &mut theirs).unwrap();
        let ours = encode_command_with_body(&message_command(), &metadata().encode_to_vec(), &payload);
        prop_assert_eq!(&theirs[..], &ours[..]);
        let read = Codec.decode(&mut BytesMut::from(&ours[..])).unwrap().unwrap();
        prop_assert_eq!(read.payload.unwrap().data, payload);
    }

    #[test]
    fn any_bytes_are_cut_or_refused(bytes in some_bytes(64), small in any::<bool>()) {
        let mut buf = BytesMut::from(&bytes[..]);
        if small && buf.len() >= 8 {
            buf[..3].fill(0);
            buf[4..7].fill(0);
        }
        while let Ok(Some(frame)) = split_frame(&mut buf, MAX_FRAME_BYTES) {
            prop_assert!(!frame.command.is_empty());
            let _ = Body::parse(&frame.body);
        }
    }

    #[test]
    fn any_body_is_parsed_or_refused(head in 0..4u8, bytes in some_bytes(64)) {
        let mut body = vec![0x0e, head];
        body.extend_from_slice(&bytes);
        let _ = Body::parse(&body.into());
        let _ = Body::parse(&bytes.into());
    }
}
