//! Message ids: Java's bytes, prost's view, what is refused.

use super::*;
use crate::pulsar::types::MessageId;
use crate::pulsar::wire::DecodeError;

fn id(ledger: i64, entry: i64, partition: i32, batch_index: i32, batch_size: i32) -> MessageId {
    MessageId {
        ledger: ledger as u64,
        entry: entry as u64,
        partition,
        batch_index,
        batch_size,
    }
}

/// Bytes printed by Java's `MessageIdImpl` and `BatchMessageIdImpl` (4.0.8) `toByteArray`.
#[test]
fn ids_are_encoded_byte_for_byte_as_java_does() {
    let minus_one = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let mut earliest = vec![0x08];
    earliest.extend(minus_one);
    earliest.push(0x10);
    earliest.extend(minus_one);
    earliest.extend([0x30, 0x00]);
    for (id, bytes) in [
        (id(16, 0, -1, -1, 0), &[8, 0x10, 0x10, 0, 0x30, 0][..]),
        (id(-1, -1, -1, -1, 0), &earliest),
        (
            id(300, 7, 3, -1, 0),
            &[8, 0xac, 2, 0x10, 7, 0x18, 3, 0x30, 0],
        ),
        (
            id(300, 7, -1, 0, 10),
            &[8, 0xac, 2, 0x10, 7, 0x20, 0, 0x30, 10],
        ),
        (
            id(300, 7, 2, 9, 10),
            &[8, 0xac, 2, 0x10, 7, 0x18, 2, 0x20, 9, 0x30, 10],
        ),
    ] {
        assert_eq!(&*id.encode(), bytes, "{id:?}");
        assert_eq!(MessageId::decode(bytes), Ok(id));
    }
}

/// Bytes printed by Java's `ChunkMessageIdImpl` (4.0.8) `toByteArray`; what is read of it is the last chunk's id.
#[test]
fn ids_of_messages_in_chunks_hold_the_first_chunks_too() {
    for (id, bytes) in [
        (
            id(301, 1, -1, -1, 0),
            &[
                8, 0xad, 2, 0x10, 1, 0x30, 0, 0x3a, 7, 8, 0xac, 2, 0x10, 7, 0x30, 0,
            ][..],
        ),
        (
            id(301, 1, 2, -1, 0),
            &[
                8, 0xad, 2, 0x10, 1, 0x18, 2, 0x30, 0, 0x3a, 9, 8, 0xac, 2, 0x10, 7, 0x18, 2, 0x30,
                0,
            ],
        ),
    ] {
        assert_eq!(id.encode_chunked((300, 7)), bytes);
        assert_eq!(MessageId::decode(bytes), Ok(id));
    }
}

/// Each line was given to Java's `MessageIdImpl.fromByteArray`.
#[test]
fn decoding_takes_what_java_takes() {
    let plain = id(1, 2, -1, -1, 0);
    let minus_five = [0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let mut negative_partition = vec![8, 1, 16, 2, 0x18];
    negative_partition.extend(minus_five);
    for (bytes, expected) in [
        (&[16, 2, 8, 1][..], plain),
        (&[8, 1, 16, 2, 0x48, 5], plain),
        (&[8, 1, 16, 2, 0x30, 5], plain),
        (&[8, 1, 16, 2, 0x20, 3], id(1, 2, -1, 3, 0)),
        (&[8, 1, 16, 2, 0, 1], plain),
        (&[8, 1, 16, 2, 0x0d, 1, 1, 1, 1], plain),
        (&[8, 1, 16, 2, 0x2a, 2, 1, 1], plain),
        (&[8, 1, 16, 2, 0x3a, 4, 8, 1, 16, 1, 0x30, 0], plain),
        (&negative_partition, plain),
    ] {
        assert_eq!(MessageId::decode(bytes), Ok(expected), "{bytes:x?}");
    }
}

#[test]
fn decoding_refuses_what_java_refuses() {
    assert_eq!(
        MessageId::decode(&[]),
        Err(DecodeError::Missing("ledgerId"))
    );
    assert_eq!(
        MessageId::decode(&[8, 16]),
        Err(DecodeError::Missing("entryId"))
    );
    assert_eq!(MessageId::decode(&[8, 1, 16]), Err(DecodeError::Truncated));
    assert_eq!(
        MessageId::decode(&[8, 1, 16, 2, 0x4b]),
        Err(DecodeError::WireType(3))
    );
    let negative_batch_size = [8, 1, 16, 2, 0x20, 0, 0x30, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(
        MessageId::decode(&negative_batch_size),
        Err(DecodeError::BatchSize)
    );
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn prost_reads_what_is_encoded_here(
        ledger in number(), entry in number(), partition in -1..=i32::MAX,
        batch in proptest::option::of((0..=i32::MAX, 0..=i32::MAX)),
    ) {
        let (batch_index, batch_size) = batch.unwrap_or((-1, 0));
        let id = MessageId { ledger, entry, partition, batch_index, batch_size };
        let encoded = id.encode();
        let read = MessageIdData::decode(&*encoded).unwrap();
        prop_assert_eq!(read.encode_to_vec(), encoded.to_vec());
        prop_assert_eq!((read.ledger_id, read.entry_id), (ledger, entry));
        prop_assert_eq!(read.partition.unwrap_or(-1), partition);
        prop_assert_eq!(read.batch_index.unwrap_or(-1), batch_index);
        prop_assert_eq!(read.batch_size, Some(batch_size));
        prop_assert_eq!(MessageId::decode(&encoded), Ok(id));
    }

    #[test]
    fn what_prost_encodes_is_read_here(data in id_data()) {
        let id = MessageId::decode(&data.encode_to_vec()).unwrap();
        prop_assert_eq!((id.ledger, id.entry), (data.ledger_id, data.entry_id));
        prop_assert_eq!(id.partition, data.partition.unwrap_or(-1).max(-1));
        prop_assert_eq!(id.batch_index, data.batch_index.unwrap_or(-1).max(-1));
        if id.batch_index >= 0 {
            prop_assert_eq!(id.batch_size, data.batch_size.unwrap_or(0));
        }
    }

    #[test]
    fn any_bytes_are_an_id_or_an_error(bytes in some_bytes(48)) {
        if let Ok(id) = MessageId::decode(&bytes) {
            prop_assert_eq!(MessageId::decode(&id.encode()), Ok(id));
        }
    }
}
