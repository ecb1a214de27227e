//! The way between the hub and the brokers, and its breaking.

use super::*;

impl Model {
    pub(super) fn broker_takes(&mut self, slot: usize) -> bool {
        let Some(effect) = self.wires[slot].to_broker.pop_front() else {
            return false;
        };
        let (broker, wire) = (&mut self.brokers[slot], &mut self.wires[slot]);
        if !broker.connected {
            return true;
        }
        match effect {
            Effect::Flow { permits, .. } => broker.flow(i64::from(permits)),
            Effect::Redeliver { positions, .. } => broker.redeliver(&positions, wire.epoch),
            Effect::Ack { tag, positions, .. } => {
                for position in &positions {
                    broker.ack(position);
                }
                let result = Ok(());
                wire.to_hub.push_back(Upstream::AckDone { tag, result });
            }
            _ => {}
        }
        true
    }

    pub(super) fn broker_sends(&mut self, slot: usize) {
        if let Some(entry) = self.brokers[slot].step() {
            let event = Upstream::Entry(entry);
            self.wires[slot].to_hub.push_back(event);
        }
    }

    pub(super) fn hub_takes(&mut self, slot: usize) {
        let most = self.rng.usize(1..8);
        let mut run = Vec::new();
        while run.len() < most
            && let Some(event) = self.wires[slot].to_hub.pop_front()
        {
            if let Upstream::Entry(entry) = &event {
                if self.in_order() && entry.consumer_epoch < self.wires[slot].epoch {
                    self.give_back(slot, &event);
                    continue;
                }
                self.wires[slot].outstanding -= expected(entry);
                self.wires[slot].resume_at = entry.entry + 1;
            }
            run.push((slot, event));
        }
        if !self.finished {
            self.call(|hub, now_ms, out| hub.upstream_run(now_ms, run, out));
        }
    }

    pub(super) fn lose(&mut self, slot: usize, abrupt: bool) {
        if !self.brokers[slot].connected {
            return;
        }
        self.counts.expect_nothing_of(slot);
        if abrupt {
            self.brokers[slot].crash();
        } else {
            // An unload or a reset: the broker persists what it knows.
            self.brokers[slot].disconnect();
            self.brokers[slot].persist();
            // It may be a reset, so that what an earlier crash had made it forget is replayed.
            for entry in std::mem::take(&mut self.brokers[slot].forgotten) {
                self.wires[slot].last = None;
                let of_entry = (slot, entry, i32::MIN)..=(slot, entry, i32::MAX);
                for (_, fate) in self.fates.range_mut(of_entry) {
                    if *fate == Fate::Acked {
                        *fate = Fate::Free;
                    }
                }
            }
        }
        let Wire {
            epoch,
            active,
            resume_at,
            last,
            ..
        } = self.wires[slot];
        self.wires[slot] = Wire {
            epoch,
            active,
            was_lost: true,
            resume_at,
            last,
            ..Wire::default()
        };
        self.call(|hub, now_ms, out| hub.upstream(now_ms, slot, Upstream::Lost { abrupt }, out));
    }

    pub(super) fn resume(&mut self, slot: usize) {
        if self.finished || self.brokers[slot].connected {
            return;
        }
        let epoch = self.wires[slot].epoch;
        self.brokers[slot].subscribe(epoch);
        if self.is_reader {
            self.brokers[slot].start_at(self.wires[slot].resume_at);
        }
        self.call(|hub, now_ms, out| hub.upstream(now_ms, slot, Upstream::Resumed, out));
    }
}
