//! Decompression with the size known beforehand, so that no payload can grow beyond what was allowed.

use std::io::Read;

use bytes::Bytes;

/// `CompressionType` of PulsarApi.proto by number; LZ4 and SNAPPY are raw blocks, ZLIB and ZSTD streams.
/// `uncompressed_size` is the metadata's and already within the bound. `None`: it is corrupt, it is another codec,
/// or its size is not the one announced.
pub(super) fn decompress(
    compression: i32,
    compressed: &Bytes,
    uncompressed_size: usize,
) -> Option<Bytes> {
    let plain = match compression {
        0 => return Some(compressed.clone()),
        1 => lz4_flex::block::decompress(compressed, uncompressed_size).ok()?,
        2 => read_at_most(
            flate2::read::ZlibDecoder::new(&compressed[..]),
            uncompressed_size,
        )?,
        3 => read_at_most(
            zstd::stream::read::Decoder::new(&compressed[..]).ok()?,
            uncompressed_size,
        )?,
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

/// One byte more than announced is read, to see whether there is more.
fn read_at_most(stream: impl Read, size: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(size);
    stream.take(size as u64 + 1).read_to_end(&mut plain).ok()?;
    Some(plain)
}
