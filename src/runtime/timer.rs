//! A timing wheel: any number of deadlines, each inserted, cancelled and fired in constant time. Sans-IO: it is told
//! the time. One per kind of timer and shard; [`super::Alarm`] does the waiting.
//!
//! Hierarchical (Varghese and Lauck): level 0 has 64 slots of 1 ms, each further level 64 slots as wide as the whole
//! level below. A deadline waits on the level where it and the wheel's time first differ, and moves down as its slot
//! is reached. A timer costs 24 bytes beside its value, from a slab that stays as large as it once was.

/// log2 of the slots per level: 64 slots are one bitmap word.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Six levels reach 2^36 ms, over two years. Later deadlines wait on the last level and are looked at when it comes
/// round.
const LEVELS: usize = 6;
const RANGE_MS: u64 = 1 << (SLOT_BITS * LEVELS as u32);
/// The list of timers whose deadline had passed when they were inserted.
const DUE: usize = LEVELS * SLOTS;
const LISTS: usize = DUE + 1;
const NONE: u32 = u32::MAX;

/// Names an inserted timer. Outlives it harmlessly: a key is never used again for another one within 2^31 reuses of a
/// place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey {
    place: u32,
    generation: u32,
}

struct Node<T> {
    deadline_ms: u64,
    next: u32,
    previous: u32,
    /// Odd while it holds a timer.
    generation: u32,
    list: u16,
    value: Option<T>,
}

/// Timers that carry a `T` each.
pub struct Wheel<T> {
    elapsed_ms: u64,
    nodes: Vec<Node<T>>,
    free: u32,
    len: usize,
    occupied: [u64; LEVELS],
    /// First and last node of each list: timers of the same millisecond fire in the order of their insertion.
    lists: Box<[(u32, u32); LISTS]>,
}

impl<T> Wheel<T> {
    /// An empty wheel at this time. No memory per timer until the first.
    pub fn new(now_ms: u64) -> Wheel<T> {
        Wheel {
            elapsed_ms: now_ms,
            nodes: Vec::new(),
            free: NONE,
            len: 0,
            occupied: [0; LEVELS],
            lists: Box::new([(NONE, NONE); LISTS]),
        }
    }

    /// Timers waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a timer; a deadline that has passed fires at the next [`Wheel::advance`].
    pub fn insert(&mut self, deadline_ms: u64, value: T) -> TimerKey {
        let place = self.allocate();
        let node = &mut self.nodes[place as usize];
        node.deadline_ms = deadline_ms;
        node.generation = node.generation.wrapping_add(1);
        node.value = Some(value);
        let generation = node.generation;
        self.len += 1;
        self.link(place);
        TimerKey { place, generation }
    }

    /// Takes a timer back: its value, or None when it has fired or was cancelled.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        let node = self.nodes.get(key.place as usize)?;
        if node.generation != key.generation {
            return None;
        }
        self.unlink(key.place);
        self.release(key.place)
    }

    /// Moves the wheel's time forward and appends what is due to `fired`, earliest first. Time that goes back is
    /// ignored.
    pub fn advance(&mut self, now_ms: u64, fired: &mut Vec<T>) {
        self.drain(DUE, fired);
        while let Some((list, start_ms)) = self.earliest_slot() {
            if start_ms > now_ms {
                break;
            }
            self.elapsed_ms = self.elapsed_ms.max(start_ms);
            if list < SLOTS {
                self.drain(list, fired);
            } else {
                self.move_down(list);
                self.drain(DUE, fired);
            }
        }
        self.elapsed_ms = self.elapsed_ms.max(now_ms);
    }

    /// When to call [`Wheel::advance`] next: the earliest deadline when it is near (64 ms), else a time before it at
    /// which timers move down a level, at most 5 times for each. None when there is no timer.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        if self.lists[DUE].0 != NONE {
            return Some(self.elapsed_ms);
        }
        self.earliest_slot().map(|(_, start_ms)| start_ms)
    }

    /// The list that is reached first and the time at which its slot begins. The lowest level with a timer is always
    /// first.
    fn earliest_slot(&self) -> Option<(usize, u64)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let shift = SLOT_BITS * level as u32;
        // The slot of now is the last one looked at: it can only hold timers of the next round.
        let following = (self.elapsed_ms >> shift) + 1;
        let distance = self.occupied[level]
            .rotate_right(following as u32 % SLOTS as u32)
            .trailing_zeros();
        let reached = following + u64::from(distance);
        Some((level * SLOTS + reached as usize % SLOTS, reached << shift))
    }

    /// Where a timer waits, seen from now.
    fn list_of(&self, deadline_ms: u64) -> usize {
        if deadline_ms <= self.elapsed_ms {
            return DUE;
        }
        let seen_ms = deadline_ms.min(self.elapsed_ms.saturating_add(RANGE_MS - 1));
        let differing = (seen_ms ^ self.elapsed_ms) | (SLOTS as u64 - 1);
        let level =
            ((u64::BITS - 1 - differing.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1);
        let slot = (seen_ms >> (SLOT_BITS * level)) as usize % SLOTS;
        level as usize * SLOTS + slot
    }

    /// Hands a reached slot's timers to the levels below it.
    fn move_down(&mut self, list: usize) {
        let mut place = self.lists[list].0;
        self.forget(list);
        while place != NONE {
            let next = self.nodes[place as usize].next;
            self.link(place);
            place = next;
        }
    }

    /// Fires a whole list.
    fn drain(&mut self, list: usize, fired: &mut Vec<T>) {
        let mut place = self.lists[list].0;
        self.forget(list);
        while place != NONE {
            let next = self.nodes[place as usize].next;
            fired.extend(self.release(place));
            place = next;
        }
    }

    fn forget(&mut self, list: usize) {
        self.lists[list] = (NONE, NONE);
        if list < DUE {
            self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
        }
    }

    fn link(&mut self, place: u32) {
        let list = self.list_of(self.nodes[place as usize].deadline_ms);
        let (first, last) = self.lists[list];
        let node = &mut self.nodes[place as usize];
        node.list = list as u16;
        node.next = NONE;
        node.previous = last;
        self.lists[list] = if last == NONE {
            (place, place)
        } else {
            self.nodes[last as usize].next = place;
            (first, place)
        };
        if list < DUE {
            self.occupied[list / SLOTS] |= 1 << (list % SLOTS);
        }
    }

    fn unlink(&mut self, place: u32) {
        let node = &self.nodes[place as usize];
        let (previous, next, list) = (node.previous, node.next, usize::from(node.list));
        match previous {
            NONE => self.lists[list].0 = next,
            _ => self.nodes[previous as usize].next = next,
        }
        match next {
            NONE => self.lists[list].1 = previous,
            _ => self.nodes[next as usize].previous = previous,
        }
        if self.lists[list].0 == NONE {
            self.forget(list);
        }
    }

    /// A free place, its generation even.
    fn allocate(&mut self) -> u32 {
        if self.free != NONE {
            let place = self.free;
            self.free = self.nodes[place as usize].next;
            return place;
        }
        // 2^32 timers would be over 100 GiB of them.
        let place = self.nodes.len() as u32;
        self.nodes.push(Node {
            deadline_ms: 0,
            next: NONE,
            previous: NONE,
            generation: 0,
            list: 0,
            value: None,
        });
        place
    }

    fn release(&mut self, place: u32) -> Option<T> {
        let node = &mut self.nodes[place as usize];
        node.generation = node.generation.wrapping_add(1);
        node.next = self.free;
        self.free = place;
        self.len -= 1;
        node.value.take()
    }
}
