//! The home side of a tail: which shards it feeds, and when the broker may send more.

/// Messages that may be on their way to shards that have not looked at them: what a topic at 100,000 messages a second
/// brings in 40 ms, twice what a busy shard's turn takes.
pub const MESSAGES_UNTAKEN_MAX: u32 = 4096;

/// A shard tells what it has taken in steps of this, so that a message costs no post back.
pub const MESSAGES_PER_REPORT: u32 = MESSAGES_UNTAKEN_MAX / 8;

/// One shard that has readers of the tail.
#[derive(Debug)]
struct Fed {
    shard: usize,
    /// Which joining of that shard it is: what was on its way to an earlier one means nothing.
    joining: u64,
    /// Messages posted to it and not taken.
    untaken: u32,
}

/// Credits of one tail. Permits that its upstream has and messages that a shard has not taken are bounded together.
#[derive(Debug, Default)]
pub struct Feeder {
    fed: Vec<Fed>,
    /// Messages that the broker may still send: the permits of the tail's upstream.
    granted: u32,
    open: bool,
}

impl Feeder {
    /// The upstream is open.
    pub fn opened(&mut self) {
        self.open = true;
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn join(&mut self, shard: usize, joining: u64) {
        self.leave(shard);
        self.fed.push(Fed {
            shard,
            joining,
            untaken: 0,
        });
    }

    pub fn leave(&mut self, shard: usize) {
        self.fed.retain(|fed| fed.shard != shard);
    }

    /// Ends this joining of the shard; a later one stays.
    pub fn leave_joining(&mut self, shard: usize, joining: u64) {
        self.fed
            .retain(|fed| (fed.shard, fed.joining) != (shard, joining));
    }

    pub fn is_unwanted(&self) -> bool {
        self.fed.is_empty()
    }

    /// The shards that a batch goes to, with their joinings.
    pub fn shards(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.fed.iter().map(|fed| (fed.shard, fed.joining))
    }

    /// Messages have come from the broker and are posted to every shard.
    pub fn posted(&mut self, messages: u32) {
        self.granted = self.granted.saturating_sub(messages);
        for fed in &mut self.fed {
            fed.untaken = fed.untaken.saturating_add(messages);
        }
    }

    /// A shard has put messages into its log.
    pub fn taken(&mut self, shard: usize, joining: u64, messages: u32) {
        let fed = self.fed.iter_mut();
        for fed in fed.filter(|fed| (fed.shard, fed.joining) == (shard, joining)) {
            fed.untaken = fed.untaken.saturating_sub(messages);
        }
    }

    /// How many more messages the upstream may be given permits for now; they count as given.
    pub fn grant(&mut self) -> u32 {
        let untaken = self.fed.iter().map(|fed| fed.untaken).max().unwrap_or(0);
        let room = MESSAGES_UNTAKEN_MAX.saturating_sub(untaken.saturating_add(self.granted));
        // In few steps: each is a command to the hub.
        if !self.open || self.fed.is_empty() || room < MESSAGES_PER_REPORT {
            return 0;
        }
        self.granted += room;
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_may_send_no_more_than_the_slowest_shard_has_taken() {
        let mut feeder = Feeder::default();
        feeder.join(0, 1);
        feeder.join(1, 1);
        assert_eq!(feeder.grant(), 0);
        feeder.opened();
        assert_eq!(feeder.grant(), MESSAGES_UNTAKEN_MAX);
        assert_eq!(feeder.grant(), 0);
        feeder.posted(MESSAGES_UNTAKEN_MAX);
        feeder.taken(0, 1, MESSAGES_UNTAKEN_MAX);
        assert_eq!(feeder.grant(), 0);
        feeder.taken(1, 1, MESSAGES_UNTAKEN_MAX);
        assert_eq!(feeder.grant(), MESSAGES_UNTAKEN_MAX);
    }

    #[test]
    fn what_a_shard_took_in_an_earlier_joining_counts_for_nothing() {
        let mut feeder = Feeder::default();
        feeder.opened();
        feeder.join(0, 1);
        feeder.grant();
        feeder.posted(MESSAGES_UNTAKEN_MAX);
        feeder.join(0, 2);
        feeder.posted(MESSAGES_UNTAKEN_MAX);
        feeder.taken(0, 1, MESSAGES_UNTAKEN_MAX);
        assert_eq!(feeder.grant(), 0);
        feeder.leave_joining(0, 1);
        assert!(!feeder.is_unwanted());
        feeder.leave_joining(0, 2);
        assert!(feeder.is_unwanted());
    }
}
