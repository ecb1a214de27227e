//! How many messages the broker may send: FLOW, in chunks, never more than the members have window for.

use super::Hub;
use super::effect::Effect;
use super::limits::{MAX_DEAD_LETTERS, MAX_PERMITS, MAX_SHARED_UNACKED, MAX_UNSETTLED_MESSAGES};
use super::slot::Slot;

impl Hub {
    /// After the delivery: what still waits then has no member with window, so that windows that are open are open
    /// for what the broker has yet to send.
    pub(super) fn flow(&mut self, out: &mut Vec<Effect>) {
        let open = self.members.open_total();
        // Of what is incomplete nobody can settle anything: it is bounded by itself, and must not keep out what it waits
        // for.
        let settleable = self.retained_bytes - self.incomplete_bytes;
        // Of what is held the oldest is let go where nobody here could get it next.
        let followed = match self.may_pass_on() {
            true => self.held + self.delayed.len(),
            false => self.delayed.len(),
        };
        let full = settleable >= self.limits.hub_retained_bytes
            || followed >= MAX_UNSETTLED_MESSAGES
            || self.dead_letters.on_their_way() >= MAX_DEAD_LETTERS;
        if open == 0 || full || self.unsubscribing.is_some() || self.live_slots() == 0 {
            return;
        }
        let live = u32::try_from(self.held + self.delayed.len()).unwrap_or(u32::MAX);
        for slot in &mut self.slots {
            slot.repeats = slot.repeats.min(live);
        }
        let room = (self.limits.hub_retained_bytes).saturating_sub(self.retained_bytes);
        let room_messages = (room / self.mean_bytes.max(1)) as u64;
        let mut most = MAX_PERMITS.min(room_messages);
        if self.is_limited() {
            let unsettled = self.held + self.delayed.len() + self.waiting_messages();
            most = most.min(MAX_SHARED_UNACKED.saturating_sub(unsettled as u64));
        }
        let given: i64 = self.slots.iter().map(permits_in_use).sum();
        let mut left = (most as i64 - given).max(0);
        if !self.is_failover() {
            return self.flow_to(0..self.slots.len(), open.min(most), &mut left, out);
        }
        // The windows of others are of no use to a slot.
        let active_slots = std::mem::take(&mut self.active_slots);
        for (member, slots) in &active_slots {
            let open = self.members.get(*member).map_or(0, |m| m.open().into());
            if open > 0 {
                self.flow_to(slots.iter().copied(), most.min(open), &mut left, out);
            }
        }
        self.active_slots = active_slots;
    }

    /// Shares `wanted` permits out among some slots; at most `left` new ones, beside one each.
    fn flow_to(
        &mut self,
        slots: impl ExactSizeIterator<Item = usize> + Clone,
        wanted: u64,
        left: &mut i64,
        out: &mut Vec<Effect>,
    ) {
        let wanted = wanted as i64;
        let given: i64 = slots
            .clone()
            .map(|slot| permits_in_use(&self.slots[slot]))
            .sum();
        let mut of_these = (wanted - given).clamp(0, (*left).max(0));
        let open_slots = slots.len().min(self.live_slots()).max(1);
        let share = (wanted / open_slots as i64).max(1);
        for slot in slots {
            // A broker takes more in one command for a mistake; the rest goes with the next one.
            let permits = chunk(&self.slots[slot], share, of_these).min(i32::MAX.into());
            if permits > 0 {
                of_these -= permits;
                *left -= permits;
                self.slots[slot].permits += permits;
                out.push(Effect::Flow {
                    slot,
                    permits: u32::try_from(permits).unwrap_or(u32::MAX),
                });
            }
        }
    }
}

/// Permits that the broker has, without those for repeats.
fn permits_in_use(slot: &Slot) -> i64 {
    (slot.permits - i64::from(slot.repeats)).max(0)
}

/// What the slot is given: up to its share once half of that is used, and never left without any.
fn chunk(slot: &Slot, share: i64, left: i64) -> i64 {
    if !slot.is_up() {
        return 0;
    }
    let goal = share.saturating_add(i64::from(slot.repeats));
    if slot.permits > goal / 2 {
        return 0;
    }
    // Less than one: a batch took more than there was, and the broker waits until that is made good.
    let at_least = 1 - slot.permits;
    let most = permits_in_use(slot) + left + i64::from(slot.repeats) - slot.permits;
    (goal - slot.permits).min(most).max(at_least).max(0)
}
