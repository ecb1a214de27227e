//! A message that did not come as one whole frame in one read: its bytes so far.
//!
//! Text is checked as it arrives, so that a bad byte ends the socket at the read that brought it (RFC 6455 §8.1),
//! and every byte is checked once, apart from the up to three of a character that a read cut in two.

use super::decoder::Violation;

/// A partial message starts with room for this much, so that one chopped into single bytes grows by copying few times.
/// Small, because any socket may hold one for as long as it likes.
const FIRST_ROOM_BYTES: usize = 512;

pub(super) struct Assembly {
    pub(super) is_text: bool,
    /// What is appended comes out of the inflater.
    pub(super) is_compressed: bool,
    bytes: Vec<u8>,
    /// Text: so many bytes are known to be whole characters.
    checked: usize,
}

impl Assembly {
    pub(super) fn new(is_text: bool, is_compressed: bool) -> Self {
        Assembly {
            is_text,
            is_compressed,
            bytes: Vec::new(),
            checked: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends unmasked bytes. `limit` is what the message can still become; the buffer never grows past it,
    /// and never past twice what has really arrived, whatever a header claims.
    ///
    /// # Errors
    /// 1007 when text can no longer become valid.
    pub(super) fn append(&mut self, piece: &[u8], limit: usize) -> Result<(), Violation> {
        let needed = self.bytes.len() + piece.len();
        if needed > self.bytes.capacity() {
            let roomy = needed
                .max(self.bytes.capacity() * 2)
                .max(FIRST_ROOM_BYTES)
                .min(limit.max(needed));
            self.bytes.reserve_exact(roomy - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        if !self.is_text {
            return Ok(());
        }
        match simdutf8::compat::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => self.checked = self.bytes.len(),
            Err(error) if error.error_len().is_some() => return Err(Violation::INVALID_TEXT),
            Err(error) => self.checked += error.valid_up_to(),
        }
        Ok(())
    }

    /// The whole message.
    ///
    /// # Errors
    /// 1007 when text ends inside a character.
    pub(super) fn finish(self) -> Result<Vec<u8>, Violation> {
        if self.is_text && self.checked != self.bytes.len() {
            return Err(Violation::INVALID_TEXT);
        }
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_stays_within_the_limit_and_near_what_has_arrived() {
        let mut message = Assembly::new(false, false);
        for _ in 0..100 {
            message.append(&[7; 10], 1000).unwrap();
            assert!(message.bytes.capacity() <= 1000);
        }
        let mut claimed = Assembly::new(false, false);
        claimed.append(&[1], 1 << 30).unwrap();
        assert!(claimed.bytes.capacity() <= FIRST_ROOM_BYTES);
    }

    #[test]
    fn a_character_cut_in_two_is_not_an_error_until_it_cannot_be_completed() {
        let euro = "€".as_bytes();
        let mut message = Assembly::new(true, false);
        message.append(&euro[..2], 3).unwrap();
        message.append(&euro[2..], 3).unwrap();
        assert_eq!(message.finish().unwrap(), euro);

        let mut wrong = Assembly::new(true, false);
        wrong.append(&euro[..2], 9).unwrap();
        assert_eq!(wrong.append(b"x", 9), Err(Violation::INVALID_TEXT));

        let mut cut = Assembly::new(true, false);
        cut.append(&euro[..2], 9).unwrap();
        assert_eq!(cut.finish(), Err(Violation::INVALID_TEXT));
    }
}
