//! Decompression into a buffer of the size known beforehand, so that no payload can grow beyond what was allowed.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress};

/// `compression` is the number of a `CompressionType`; `uncompressed_size` is the metadata's and already within the
/// bound, so it may be allocated. `None`: it is corrupt, it is another codec, or its size is not the one announced.
pub(super) fn decompress(
    compression: i32,
    compressed: &Bytes,
    uncompressed_size: usize,
) -> Option<Bytes> {
    let plain = match compression {
        0 => return Some(compressed.clone()),
        1 => lz4_flex::block::decompress(compressed, uncompressed_size).ok()?,
        2 => inflate(compressed, uncompressed_size)?,
        // In one call and not as a stream: a stream allocates the window that the frame's header claims, 128 MiB at most.
        3 => zstd::bulk::decompress(compressed, uncompressed_size).ok()?,
        4 => {
            // The block names its own size, and the decoder allocates by that.
            if snap::raw::decompress_len(compressed).ok()? != uncompressed_size {
                return None;
            }
            snap::raw::Decoder::new().decompress_vec(compressed).ok()?
        }
        _ => return None,
    };
    (plain.len() == uncompressed_size).then(|| plain.into())
}

/// A ZLIB stream up to `size` bytes. Its end is not waited for: Java's producers only flush it, they write neither last
/// block nor checksum, and of an empty payload nothing at all.
fn inflate(compressed: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut plain = vec![0; size];
    let mut stream = Decompress::new(true);
    while stream.total_out() < size as u64 {
        let before = (stream.total_in(), stream.total_out());
        stream
            .decompress(
                &compressed[before.0 as usize..],
                &mut plain[before.1 as usize..],
                FlushDecompress::None,
            )
            .ok()?;
        if (stream.total_in(), stream.total_out()) == before {
            return None;
        }
    }
    Some(plain)
}
