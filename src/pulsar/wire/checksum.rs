//! CRC32C (Castagnoli), which protects metadata and payload in a frame.

/// The checksum by the processor's own instruction where it has one.
#[cfg(not(miri))]
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// Miri cannot run the processor's instruction: bit by bit, the polynomial reflected.
#[cfg(miri)]
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    /// The check value of the CRC catalogue and the 32 zero bytes of RFC 3720, B.4.
    #[test]
    fn it_is_crc32c() {
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(super::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(super::crc32c(b""), 0);
    }
}
