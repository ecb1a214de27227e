//! Every codec: Java's own bytes, round trips, sizes that lie.

use super::*;

/// Bytes that Java's `CompressionCodecProvider` (4.0.8) made: LZ4, ZLIB (which it never ends), ZSTD, SNAPPY.
#[test]
#[cfg_attr(miri, ignore = "zstd is C")]
fn what_java_compressed_is_read() {
    let text = b"pulsar pulsar pulsar pulsar pulsar pulsar pulsar";
    let lz4 = b"\x7fpulsar \x07\x00\x11Pulsar";
    let zlib = b"\x78\x9c\x2a\x28\xcd\x29\x4e\x2c\x52\x28\x20\x96\x02\x00\x00\x00\xff\xff";
    let zstd =
        b"\x28\xb5\x2f\xfd\x24\x30\x6d\x00\x00\x38pulsar \x01\x00\x04\x15\x23\xff\x2b\xda\xc9";
    let snappy = b"\x30\x18pulsar \xa2\x07\x00";
    for (compression, bytes) in [(1, &lz4[..]), (2, zlib), (3, zstd), (4, snappy)] {
        assert_eq!(
            payload_of(compression, text.len(), bytes),
            Ok(Bytes::from_static(text)),
            "codec {compression}"
        );
    }
    let empty_zstd = b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51";
    for (compression, bytes) in [(1, &b"\0"[..]), (2, b""), (3, empty_zstd), (4, b"\0")] {
        assert_eq!(
            payload_of(compression, 0, bytes),
            Ok(Bytes::new()),
            "codec {compression}"
        );
    }
}

fn payload_of(compression: i32, size: usize, compressed: &[u8]) -> Result<Bytes, SplitError> {
    let metadata = MessageMetadata {
        compression: Some(compression),
        uncompressed_size: Some(size as u32),
        ..metadata()
    };
    let entry = entry(&metadata, compressed.to_vec());
    split(&entry, MAX_BYTES).map(|mut messages| messages.remove(0).payload)
}

#[test]
#[cfg_attr(miri, ignore = "zstd is C")]
fn a_size_that_lies_is_refused_by_every_codec() {
    let text = vec![7; 10_000];
    for compression in 1..=4 {
        let compressed = compress(compression, &text);
        let too_small = payload_of(compression, 9_999, &compressed);
        // ZLIB gives the first bytes of a longer stream, as Java's `Inflater` does.
        if compression != 2 {
            assert_eq!(
                too_small,
                Err(SplitError::Decompression),
                "codec {compression}"
            );
        }
        for size in [10_001, MAX_BYTES] {
            assert_eq!(
                payload_of(compression, size, &compressed),
                Err(SplitError::Decompression),
                "codec {compression}"
            );
        }
        assert_eq!(
            payload_of(compression, MAX_BYTES + 1, &compressed),
            Err(SplitError::TooLarge {
                uncompressed_bytes: MAX_BYTES as u64 + 1,
                max_bytes: MAX_BYTES
            })
        );
    }
}

#[test]
fn an_unknown_codec_is_refused() {
    assert_eq!(payload_of(5, 1, b"x"), Err(SplitError::Decompression));
    assert_eq!(payload_of(-1, 1, b"x"), Err(SplitError::Decompression));
}

pub(super) fn compress(compression: i32, bytes: &[u8]) -> Vec<u8> {
    match compression {
        1 => lz4_flex::block::compress(bytes),
        2 => {
            use std::io::Write as _;
            let mut stream =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            stream.write_all(bytes).unwrap();
            stream.finish().unwrap()
        }
        3 => zstd::bulk::compress(bytes, 1).unwrap(),
        _ => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_payload_with_any_size_is_decompressed_or_refused(
        compression in if cfg!(miri) { 4..5 } else { 1..5 }, size in 0..2000usize, payload in vec(any::<u8>(), 0..64), flip in any::<prop::sample::Index>(),
    ) {
        if let Ok(plain) = payload_of(compression, size, &payload) {
            prop_assert_eq!(plain.len(), size);
        }
        let mut compressed = compress(compression, &vec![7; size]);
        if !compressed.is_empty() {
            let at = flip.index(compressed.len());
            compressed[at] ^= 1;
        }
        if let Ok(plain) = payload_of(compression, size, &compressed) {
            prop_assert_eq!(plain.len(), size);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "zstd is C")]
fn what_is_compressed_here_is_read_whatever_its_size() {
    use crate::pulsar::wire::Compression;
    let mut compressor = Compressor::default();
    let all = [
        Compression::Lz4,
        Compression::Zlib,
        Compression::Zstd,
        Compression::Snappy,
    ];
    for compression in all {
        for size in [0, 1, 100, 70_000] {
            let plain: Vec<u8> = (0..size).map(|n: u32| (n / 7) as u8).collect();
            let compressed = compressor.compress(compression, &plain);
            let compressed = compressed.expect("there is memory");
            assert_eq!(
                payload_of(compression as i32, plain.len(), &compressed),
                Ok(plain.into()),
                "{compression:?} of {size}"
            );
        }
    }
}
