//! Compression of what is published, as the Java client does it: raw blocks, its levels, small payloads too.

use std::io::Write;

use bytes::Bytes;
use flate2::write::ZlibEncoder;

use crate::pulsar::wire::Compression;

/// The Java client's `ZSTD_COMPRESSION_LEVEL`.
const ZSTD_LEVEL: i32 = 3;

/// The codecs' working memory, kept between messages. Empty until a codec is used; ZSTD's is the largest, with
/// a megabyte and more.
#[derive(Default)]
pub struct Compressor {
    zstd: Option<zstd::bulk::Compressor<'static>>,
    snappy: Option<snap::raw::Encoder>,
}

impl Compressor {
    /// `None`: the codec has failed, which only a lack of memory makes it do.
    pub fn compress(&mut self, compression: Compression, plain: &[u8]) -> Option<Bytes> {
        let compressed = match compression {
            Compression::Lz4 => lz4_flex::block::compress(plain),
            Compression::Zlib => deflate(plain)?,
            Compression::Zstd => self.zstd()?.compress(plain).ok()?,
            Compression::Snappy => {
                let snappy = self.snappy.get_or_insert_with(snap::raw::Encoder::new);
                snappy.compress_vec(plain).ok()?
            }
        };
        Some(compressed.into())
    }

    fn zstd(&mut self) -> Option<&mut zstd::bulk::Compressor<'static>> {
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        self.zstd.as_mut()
    }
}

/// A whole ZLIB stream. Java's producers only flush theirs; its readers take both, others want the end.
fn deflate(plain: &[u8]) -> Option<Vec<u8>> {
    let room = Vec::with_capacity(plain.len() / 2);
    let mut stream = ZlibEncoder::new(room, flate2::Compression::default());
    stream.write_all(plain).ok()?;
    stream.finish().ok()
}
