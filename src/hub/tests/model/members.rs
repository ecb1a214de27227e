//! What members do, at random.

use super::*;

impl Model {
    pub(super) fn join(&mut self) {
        if self.kind == SubscriptionType::Exclusive && !self.clients.is_empty() {
            return;
        }
        let pull_mode = self.rng.u8(0..4) == 0;
        let spec = MemberSpec {
            subscription_type: self.kind,
            consumer_name: format!("c{}", self.rng.u8(0..4)),
            priority_level: self.rng.i32(0..2),
            window: if pull_mode { 0 } else { self.rng.u32(1..12) },
            pull_mode,
            ack_timeout_ms: match self.rng.u8(0..3) {
                0 if !self.is_reader => 1000,
                _ => 0,
            },
            negative_ack_delay_ms: self.rng.u64(0..400),
            dead_letter: None,
        };
        self.next_member += 1;
        let member = MemberId(self.next_member);
        let client = Client {
            spec: spec.clone(),
            charged: 0,
            permits: 0,
            clogged: false,
        };
        let given_out = self.given_out();
        self.clients.insert(member, client);
        self.choose_active(&given_out);
        let fresh = std::mem::take(&mut self.finished);
        if fresh {
            self.hub = Hub::new(spec_of(self.kind, self.is_reader), LIMITS);
        }
        self.call(|hub, now_ms, out| hub.join(now_ms, member, spec, out));
        if !fresh {
            return;
        }
        let slots = self.brokers.len();
        let count = if slots == 1 { 0 } else { slots as u32 };
        self.call(|hub, now_ms, out| hub.partitions(now_ms, TOPIC, Ok(count), out));
        for slot in 0..slots {
            self.brokers[slot].subscribe(0);
            self.call(|hub, now_ms, out| hub.upstream(now_ms, slot, Upstream::Ready, out));
        }
    }

    pub(super) fn some_member(&mut self) -> Option<MemberId> {
        let ids: Vec<_> = self.clients.keys().copied().collect();
        self.rng.choice(ids)
    }

    pub(super) fn leave(&mut self) {
        let Some(member) = self.some_member() else {
            return;
        };
        let given_out = self.given_out();
        self.clients.remove(&member);
        for (key, fate) in &mut self.fates {
            if matches!(fate, Fate::Held { by, .. } if *by == member) {
                *fate = Fate::Free;
                self.counts.expect(*key, Next::Same);
            }
        }
        self.choose_active(&given_out);
        self.call(|hub, now_ms, out| hub.leave(now_ms, member, out));
    }

    /// By partition: whether a member has something of it, or has had it and wants it again later.
    fn given_out(&self) -> Vec<bool> {
        let mut given_out = vec![false; self.wires.len()];
        for ((slot, ..), fate) in &self.fates {
            given_out[*slot] |= matches!(fate, Fate::Held { .. } | Fate::Delayed { .. });
        }
        given_out
    }

    /// As the broker chooses, by looking at everybody each time.
    fn choose_active(&mut self, given_out: &[bool]) {
        if !self.in_order() {
            return;
        }
        let level = |client: &Client| client.spec.priority_level;
        let best = self.clients.values().map(level).min();
        let candidates = self.clients.iter();
        let candidates = candidates.filter(|(_, client)| Some(level(client)) == best);
        let mut line: Vec<_> = candidates
            .map(|(member, client)| (client.spec.consumer_name.clone(), *member))
            .collect();
        line.sort();
        for (slot, given_out) in given_out.iter().enumerate() {
            let chosen = match self.wires.len() {
                1 => line
                    .iter()
                    .rev()
                    .min_by_key(|(name, _)| crate::pulsar::murmur::ring_distance(TOPIC, name)),
                _ => line.get(slot % line.len().max(1)),
            };
            let active = chosen.map(|(_, member)| *member);
            let before = std::mem::replace(&mut self.wires[slot].active, active);
            if before.is_some() && before != active && *given_out {
                self.begins_again(slot);
            }
        }
    }

    pub(super) fn some_held(&mut self) -> Option<(Key, MemberId)> {
        let held: Vec<_> = (self.fates.iter())
            .filter_map(|(key, fate)| match fate {
                Fate::Held { by, .. } => Some((*key, *by)),
                _ => None,
            })
            .collect();
        self.rng.choice(held)
    }

    pub(super) fn ack(&mut self) {
        if self.is_reader {
            return self.handled();
        }
        let Some((key, owner)) = self.some_held() else {
            return;
        };
        self.ack_as(owner, key);
    }

    /// A reader's frame, whatever it says.
    fn handled(&mut self) {
        if let Some(member) = self.some_member() {
            self.clients.get_mut(&member).unwrap().free();
            self.call(|hub, now_ms, out| hub.command(now_ms, member, Command::Handled, out));
        }
    }

    pub(super) fn ack_as(&mut self, member: MemberId, key: Key) {
        let own = self.take_back(member, key, Fate::Acked);
        if !own {
            self.clients.get_mut(&member).unwrap().free();
        }
        let id = self.id(key);
        self.call(|hub, now_ms, out| hub.command(now_ms, member, Command::Ack(id), out));
    }

    /// On another socket, twice, of something that is delayed or comes again, or of the whole entry.
    pub(super) fn ack_strangely(&mut self) {
        let Some(member) = self.some_member() else {
            return;
        };
        let seen = |(_, fate): &(&Key, &Fate)| **fate != Fate::Free;
        let keys: Vec<_> = self
            .fates
            .iter()
            .filter(seen)
            .map(|(key, _)| *key)
            .collect();
        let Some(key) = self.rng.choice(keys) else {
            return;
        };
        if self.rng.bool() {
            return self.ack_as(member, key);
        }
        let (slot, entry, _) = key;
        let whole: Vec<_> = (self.fates.keys().copied())
            .filter(|(of, at, _)| (*of, *at) == (slot, entry))
            .collect();
        let mut own = false;
        for key in whole {
            own |= self.take_back(member, key, Fate::Acked);
        }
        if !own {
            self.clients.get_mut(&member).unwrap().free();
        }
        let id = MessageId {
            batch_index: -1,
            ..self.id(key)
        };
        self.call(|hub, now_ms, out| hub.command(now_ms, member, Command::Ack(id), out));
    }

    pub(super) fn negative_ack(&mut self) {
        let Some((key, owner)) = self.some_held() else {
            return;
        };
        let delay_ms = self.clients[&owner].spec.negative_ack_delay_ms.max(100);
        let due_ms = (self.now_ms + delay_ms).next_multiple_of(16);
        self.take_back(owner, key, Fate::Delayed { due_ms });
        let id = self.id(key);
        self.call(|hub, now_ms, out| hub.command(now_ms, owner, Command::NegativeAck(id), out));
    }

    pub(super) fn permit(&mut self) {
        let Some(member) = self.some_member() else {
            return;
        };
        let permits = self.rng.u32(0..10);
        self.clients.get_mut(&member).unwrap().permits += permits;
        self.call(|hub, now_ms, out| hub.command(now_ms, member, Command::Permit(permits), out));
    }

    pub(super) fn clog(&mut self, clogged: bool) {
        let Some(member) = self.some_member() else {
            return;
        };
        self.clients.get_mut(&member).unwrap().clogged = clogged;
        let command = if clogged {
            Command::Clogged
        } else {
            Command::Drained
        };
        self.call(|hub, now_ms, out| hub.command(now_ms, member, command, out));
    }
}
