//! Unmasking (RFC 6455 §5.3), in place.

/// XORs `payload` with `mask`, as if `offset` bytes of the same frame had gone before.
///
/// Eight bytes at a time in safe code, which the compiler widens to the vectors of the target.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4], offset: usize) {
    let mut rotated = mask;
    rotated.rotate_left(offset % 4);
    let [a, b, c, d] = rotated;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for chunk in &mut words {
        // `chunks_exact_mut(8)` gives eight bytes; the other arm is never taken and costs nothing.
        if let Ok(bytes) = <&mut [u8; 8]>::try_from(chunk) {
            *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
        }
    }
    for (byte, key) in words
        .into_remainder()
        .iter_mut()
        .zip(rotated.iter().cycle())
    {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_byte_by_byte_definition_at_every_length_and_offset() {
        let mask = [0x12, 0x34, 0x56, 0x78];
        for len in 0..34 {
            for offset in 0..5 {
                let plain: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
                let expected: Vec<u8> = plain
                    .iter()
                    .enumerate()
                    .map(|(i, byte)| byte ^ mask[(i + offset) % 4])
                    .collect();
                let mut actual = plain;
                unmask(&mut actual, mask, offset);
                assert_eq!(actual, expected, "length {len}, offset {offset}");
            }
        }
    }
}
