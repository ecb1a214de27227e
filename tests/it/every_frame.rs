//! Every frame that readers get, through churn, slow and stalled sockets, a log that is far too small and a topic that
//! moves: on each socket each partition's messages come without a gap and without a repeat.

use crate::support::every_frame::{self, Size};
use crate::support::{World, topic};

/// Everybody who does not keep up falls off the log, and few are caught up at a time.
const TIGHT: &[&str] = &["tailLogBytes=16384", "maxCatchUpReaders=4"];

const SMALL: Size = Size {
    messages: 2_000,
    partitions: 3,
    sockets: 2,
};

#[test]
fn every_socket_gets_every_frame_once_and_in_order() {
    let world = World::with(TIGHT);
    let name = topic("every-frame");
    let frames = every_frame::check(&world, &name, SMALL, |time| {
        let partition = time % SMALL.partitions;
        world
            .admin()
            .unload(&format!("{name}-partition-{partition}"));
    });
    let kept_up = 2 * SMALL.sockets as u64 * SMALL.messages;
    assert!(frames as u64 >= kept_up, "{frames} frames");
}
