//! The way between the hub and the brokers, and its breaking.

use super::*;

impl Wire {
    /// Nothing reaches the broker any more.
    fn is_lost(&mut self) {
        self.to_broker.clear();
        self.outstanding = 0;
        self.was_lost = true;
    }
}

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
            Effect::Seek { tag, .. } => self.broker_seeks(slot, tag),
            Effect::AckCumulative { tag, position, .. } => {
                broker.ack_cumulative(&position);
                let result = Ok(());
                wire.to_hub.push_back(Upstream::AckDone { tag, result });
            }
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
            let wire = &mut self.wires[slot];
            let is_passed = wire.passed > 0;
            wire.passed = wire.passed.saturating_sub(1);
            if let Upstream::Entry(entry) = &event {
                let is_outdated = entry.consumer_epoch.is_some_and(|epoch| epoch < wire.epoch);
                if is_outdated && !is_passed {
                    self.give_back(slot, &event);
                    continue;
                }
                self.wires[slot].outstanding -= expected(entry);
                self.wires[slot].resume_at = entry.entry + 1;
            }
            match &event {
                Upstream::Lost { .. } => self.wires[slot].is_lost(),
                Upstream::Sought { .. } => {
                    self.wires[slot].sought = None;
                    self.moved(slot);
                }
                _ => {}
            }
            run.push((slot, event));
        }
        if !self.finished {
            self.call(|hub, now_ms, out| hub.upstream_run(now_ms, run, out));
        }
    }

    pub(super) fn lose(&mut self, slot: usize, abrupt: bool) {
        // What becomes of a seek that its connection breaks, nobody knows.
        if !self.brokers[slot].connected || self.is_moving() {
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
        self.wires[slot].to_hub.clear();
        self.wires[slot].passed = 0;
        self.wires[slot].is_lost();
        self.call(|hub, now_ms, out| hub.upstream(now_ms, slot, Upstream::Lost { abrupt }, out));
    }

    pub(super) fn resume(&mut self, slot: usize) {
        let lost = |event: &Upstream| matches!(event, Upstream::Lost { .. });
        let unheard = self.wires[slot].to_hub.iter().any(lost);
        if self.finished || unheard || self.brokers[slot].connected {
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
