//! How much a hub gives out at a time. What waits is charged as it came, and may unpack to a hundred times its size: opened
//! all at once for a member with a large window, it would be gigabytes before anybody sees that the socket takes no more.

/// Bytes that are given out within a millisecond, and one message: 4 GB in a second, which no socket takes, and little beside
/// what a socket may leave unsent.
const PORTION_BYTES: usize = 4 * 1024 * 1024;

/// What was given out in the millisecond of the last input.
#[derive(Debug, Default)]
pub struct Portion {
    began_ms: u64,
    given_bytes: usize,
}

impl Portion {
    /// A new one, if it is time for that.
    pub fn begin(&mut self, now_ms: u64) {
        if self.began_ms != now_ms {
            *self = Portion {
                began_ms: now_ms,
                given_bytes: 0,
            };
        }
    }

    pub fn give(&mut self, bytes: usize) {
        self.given_bytes += bytes;
    }

    /// What is left has to wait for the next one.
    pub fn is_full(&self) -> bool {
        self.given_bytes >= PORTION_BYTES
    }

    /// When the next one begins.
    pub fn next_ms(&self) -> u64 {
        self.began_ms + 1
    }
}
