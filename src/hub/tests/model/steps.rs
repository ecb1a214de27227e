//! One random step, and the settling at the end.

use super::*;

impl Model {
    pub(super) fn step(&mut self) {
        let slot = self.rng.usize(0..self.brokers.len());
        match self.rng.u8(0..100) {
            0..15 => self.publish(),
            15..30 => self.broker_sends(slot),
            30..45 => self.hub_takes(slot),
            45..55 => {
                self.broker_takes(slot);
            }
            55..70 => self.ack(),
            70..75 => self.negative_ack(),
            75..78 if !self.is_reader => self.ack_strangely(),
            78..82 => self.permit(),
            82..84 => self.clog(true),
            84..87 => self.clog(false),
            87..89 => self.join(),
            89 => self.leave(),
            90 => {
                let abrupt = self.rng.bool();
                self.lose(slot, abrupt);
            }
            91..93 => self.resume(slot),
            93 => self.brokers[slot].persist(),
            94 => self.seek_rarely(),
            95 => self.end_seek_by_other(),
            96 => self.ack_cumulative(),
            _ => {
                let ms = self.rng.u64(0..120);
                self.wait(ms);
            }
        }
    }

    /// Each begins the topic anew.
    fn seek_rarely(&mut self) {
        match self.rng.u8(0..6) {
            0 => self.seek(),
            1 => self.seek_by_other(),
            _ => {}
        }
    }

    /// Members ack all that they get, connections hold: everything has to be acked.
    pub(super) fn settle_everything(&mut self) {
        for _ in 0..3 {
            self.join();
        }
        let idle_rounds = 400 + 40 * self.fates.len();
        for _ in 0..idle_rounds {
            for slot in 0..self.brokers.len() {
                self.resume(slot);
                while self.broker_takes(slot) {}
                self.broker_sends(slot);
                self.broker_sends(slot);
                self.hub_takes(slot);
            }
            self.end_seek_by_other();
            self.clog(false);
            self.permit();
            self.ack();
            self.ack();
            self.wait(3);
            let held = |fate: &Fate| matches!(fate, Fate::Held { .. });
            let all = !self.fates.values().any(held);
            let acked = self.brokers.iter().all(|b| b.acked.len() == b.topic.len());
            let read = self.fates.values().all(|fate| *fate == Fate::Acked);
            let topics = if self.is_reader { read } else { acked };
            let quiet = self.wires.iter().all(|wire| wire.to_hub.is_empty());
            if all && topics && quiet && self.brokers.iter().all(Broker::is_quiet) {
                self.wait(100);
                return;
            }
        }
        let left: Vec<_> = self
            .fates
            .iter()
            .filter(|(_, fate)| **fate != Fate::Acked)
            .collect();
        panic!("not settled: {left:?}");
    }
}
