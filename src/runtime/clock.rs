//! The clocks. Timers use [`now_ms`]; only what is shown to people or sent to a broker uses [`wall_ms`].

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the process first asked: monotonic, and the same scale on every thread. One vDSO call
/// (about 25 ns), so there is nothing to gain from remembering it for a loop turn.
pub fn now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// Milliseconds since 1970 by the wall clock, which may jump; 0 when it is set before that.
pub fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
