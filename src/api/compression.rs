//! Compression types by their names in the client protocol.

/// `CompressionType` of PulsarApi.proto, in its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    #[default]
    None = 0,
    Lz4 = 1,
    Zlib = 2,
    Zstd = 3,
    Snappy = 4,
}

impl Compression {
    /// Names in the order of their numbers.
    pub const NAMES: [(&'static str, Compression); 5] = [
        ("NONE", Compression::None),
        ("LZ4", Compression::Lz4),
        ("ZLIB", Compression::Zlib),
        ("ZSTD", Compression::Zstd),
        ("SNAPPY", Compression::Snappy),
    ];

    /// Its number in `MessageMetadata.compression`.
    pub fn number(self) -> i32 {
        self as i32
    }
}
