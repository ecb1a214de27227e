//! How many sockets the limit of open files leaves room for. What brokers, the gateway's own files and refusals need is
//! kept for them: who merely connects must not keep the gateway from its brokers.

use crate::config::limits::CONNECTIONS_MAX;
use crate::config::{Authorization, Config};
use crate::runtime::acceptor::FAREWELLS_MAX;
use crate::runtime::diagnostics;

/// Of what is free at the start, this part is kept: of 20,000 more than a thousand broker connections.
const KEPT_PART: usize = 16;

/// But at least so many. Both acceptors may have [`FAREWELLS_MAX`]; 64 are for keys, tokens and web look-ups, of which
/// few are open at a time.
const KEPT_MIN: usize = 2 * FAREWELLS_MAX + 64;

/// And for each shard: publishing and consuming at 32 brokers.
const KEPT_PER_SHARD: usize = 64;

/// Where connections to brokers are in clients' own names, each client may want one; and of a very low limit no more than
/// this is kept.
const KEPT_PART_MAX: usize = 2;

/// What a start has open where that cannot be counted: several times what two shards have.
const OPEN_UNCOUNTED: usize = 64;

/// What open files there may be, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The limit of the process.
    pub files: usize,
    /// Sockets that may be open.
    pub sockets: usize,
    /// Refused sockets of one acceptor that may stay for a moment.
    pub farewells: usize,
    /// What `maxHttpServerConnections` asks for, where that is more.
    pub asked: Option<usize>,
}

impl Room {
    /// Counts what is open: to be asked when the shards run.
    pub fn find(config: &Config, shards: usize) -> Room {
        let files = diagnostics::file_limit().map_or(usize::MAX, |files| files as usize);
        let open = diagnostics::open_files().unwrap_or(OPEN_UNCOUNTED);
        let in_own_names = matches!(config.authorization, Some(Authorization::Broker { .. }));
        Room::within(files, open, shards, in_own_names).for_sockets(config.max_connections)
    }

    fn within(files: usize, open: usize, shards: usize, in_own_names: bool) -> Room {
        let free = files.saturating_sub(open);
        let kept_max = free / KEPT_PART_MAX;
        let kept_min = KEPT_MIN + KEPT_PER_SHARD * shards;
        let kept = match in_own_names {
            true => kept_max,
            false => kept_min.max(free / KEPT_PART).min(kept_max),
        };
        Room {
            files,
            sockets: free - kept,
            // Half of what is kept is left when both acceptors have theirs.
            farewells: FAREWELLS_MAX.min(kept / 4),
            asked: None,
        }
    }

    fn for_sockets(self, asked: usize) -> Room {
        Room {
            sockets: self.sockets.min(asked),
            asked: Some(asked).filter(|asked| (self.sockets + 1..CONNECTIONS_MAX).contains(asked)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_have_room_whatever_the_limit_is() {
        for (files, open, shards, sockets) in [
            (1 << 20, 15, 2, 983_026),
            (20_000, 15, 2, 18_736),
            (1_024, 15, 2, 689),
            // Too little for everything: half of it is kept.
            (110, 15, 2, 48),
            (60, 15, 2, 23),
            (15, 15, 2, 0),
            (10, 15, 2, 0),
            // More shards, more connections.
            (1_024, 50, 8, 487),
        ] {
            let room = Room::within(files, open, shards, false);
            assert_eq!(room.sockets, sockets, "{files}");
            let kept = files.saturating_sub(open + room.sockets);
            assert!(2 * room.farewells <= kept, "{files}: {room:?}");
        }
    }

    #[test]
    fn clients_in_whose_names_broker_connections_are_have_room_for_one_each() {
        assert_eq!(Room::within(20_000, 20, 2, true).sockets, 9_990);
    }

    #[test]
    fn fewer_may_be_asked_for_and_more_is_noticed() {
        let room = Room::within(20_000, 15, 2, false);
        for (asked, sockets, told) in [
            (2048, 2048, None),
            (18_736, 18_736, None),
            (20_000, 18_736, Some(20_000)),
            (CONNECTIONS_MAX, 18_736, None),
        ] {
            let room = room.for_sockets(asked);
            assert_eq!((room.sockets, room.asked), (sockets, told));
        }
    }
}
