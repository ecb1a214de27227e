//! A text frame around what the protocol room writes.

use crate::ws::encode;

/// Most answers and small deliveries are between 126 and 65,535 bytes long: their header is guessed right.
const USUAL_PAYLOAD_BYTES: usize = 256;

/// Appends one text frame whose payload `write` appends.
pub fn append_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    append_frame_of(out, USUAL_PAYLOAD_BYTES, write);
}

/// The same, with a guess of the payload's length that saves a move when it is of the right magnitude.
pub fn append_frame_of(out: &mut Vec<u8>, expected_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = encode::begin_text(out, expected_bytes);
    write(out);
    encode::finish(out, start);
}
