//! The upstream producers of a session, one for each partition: opened, grown, refused, and left for those of its own.

use std::collections::VecDeque;

use super::wishes::router;
use super::{At, Now, ProducerSession, Progress};
use crate::pulsar::BrokerError;
use crate::pulsar::client::ProducerId;
use crate::session::upstreams::Upstreams;

pub struct Partition {
    pub producer: ProducerId,
    pub ready: bool,
    /// The broker has ended the producer for good; sends are refused with this.
    pub failed: Option<BrokerError>,
    /// Sent and not yet answered, in order.
    pub pending: VecDeque<Pending>,
    /// What is pending on the shared producer from before there was one of its own, which waits for it.
    pub earlier: Option<Box<Earlier>>,
}

pub struct Earlier {
    pub producer: ProducerId,
    pub pending: VecDeque<Pending>,
}

pub struct Pending {
    pub context: Option<Box<str>>,
    pub bytes: usize,
}

impl Partition {
    fn new(producer: ProducerId) -> Partition {
        Partition {
            producer,
            ready: false,
            failed: None,
            pending: VecDeque::new(),
            earlier: None,
        }
    }

    /// What is pending on this producer of it.
    fn pending_on(&mut self, producer: ProducerId) -> &mut VecDeque<Pending> {
        match &mut self.earlier {
            Some(earlier) if earlier.producer == producer => &mut earlier.pending,
            _ => &mut self.pending,
        }
    }
}

impl ProducerSession {
    /// The topic's partitions are counted: opens the first producer. The others follow under its name, as in Java's
    /// PartitionedProducerImpl.
    pub fn counted(
        &mut self,
        now: Now,
        upstreams: &mut Upstreams<'_>,
        count: Result<u32, BrokerError>,
    ) -> Progress {
        match count {
            Ok(count) => {
                self.count = count;
                self.router = router(&self.params, count, self.seed);
                self.open_next(now, upstreams, self.params.producer_name.clone());
                self.progress(now, upstreams)
            }
            Err(error) => Progress::Refused(error),
        }
    }

    /// The topic has so many partitions by now. Messages go to the new ones once all of them have a producer, as in
    /// Java's PartitionedProducerImpl; one that was refused is tried again.
    pub fn grown(&mut self, now: Now, upstreams: &mut Upstreams<'_>, count: u32) -> Progress {
        if !self.open || self.count == 0 {
            return Progress::Waiting;
        }
        for place in 0..self.partitions.len() {
            let partition = &self.partitions[place];
            if !partition.ready && partition.failed.is_some() {
                self.partitions[place] =
                    self.open_partition(now, upstreams, place, self.name.clone());
            }
        }
        self.count = self.count.max(count);
        self.progress(now, upstreams)
    }

    fn open_next(&mut self, now: Now, upstreams: &mut Upstreams<'_>, name: Option<String>) {
        let partition = self.open_partition(now, upstreams, self.partitions.len(), name);
        self.partitions.push(partition);
    }

    fn open_partition(
        &self,
        now: Now,
        upstreams: &mut Upstreams<'_>,
        place: usize,
        name: Option<String>,
    ) -> Partition {
        if self.shares {
            let spec = self.spec(place, None);
            let (producer, ready) = upstreams.share(now.mono_ms, self.owner, place, spec);
            return Partition {
                ready,
                ..Partition::new(producer)
            };
        }
        let spec = self.spec(place, name);
        Partition::new(upstreams.open(now.mono_ms, self.owner, place, spec))
    }

    /// The broker has made the producer of this partition, under this name.
    pub fn ready(
        &mut self,
        now: Now,
        upstreams: &mut Upstreams<'_>,
        partition: usize,
        name: &str,
    ) -> Progress {
        self.name.get_or_insert_with(|| name.to_owned());
        self.joined(now, upstreams, partition)
    }

    /// The shared producer of this partition may be used.
    pub fn joined(
        &mut self,
        now: Now,
        upstreams: &mut Upstreams<'_>,
        partition: usize,
    ) -> Progress {
        if let Some(partition) = self.partitions.get_mut(partition) {
            partition.ready = true;
        }
        self.progress(now, upstreams)
    }

    /// When the first producer is there the others are opened; when all are, the session is open.
    fn progress(&mut self, now: Now, upstreams: &mut Upstreams<'_>) -> Progress {
        let first_is_there = self.partitions.first().is_some_and(|first| first.ready);
        while (first_is_there || self.open) && self.partitions.len() < self.count as usize {
            self.open_next(now, upstreams, self.name.clone());
        }
        if !self.partitions.iter().all(|partition| partition.ready) {
            return Progress::Waiting;
        }
        if std::mem::replace(&mut self.open, true) {
            self.router.grow(self.count);
            return Progress::Waiting;
        }
        Progress::Open
    }

    /// The broker refuses this partition's producer, or has ended it for good. After the handshake the socket stays
    /// open and its messages are answered with the error.
    pub fn failed(
        &mut self,
        partition: usize,
        producer: ProducerId,
        error: BrokerError,
    ) -> Progress {
        let partition = self.partitions.get_mut(partition);
        let Some(partition) = partition.filter(|partition| partition.producer == producer) else {
            return Progress::Waiting;
        };
        if !self.open {
            return Progress::Refused(error);
        }
        partition.failed = Some(error);
        Progress::Waiting
    }

    /// From now on it has producers of its own: sequence ids of its client's choice are its own, and the broker compares
    /// them by producer. They begin when all that is pending before them is answered, so that order holds.
    pub(super) fn part(&mut self, now: Now, upstreams: &mut Upstreams<'_>) {
        self.shares = false;
        self.name = None;
        for place in 0..self.partitions.len() {
            if self.partitions[place].failed.is_some() {
                continue;
            }
            let spec = self.spec(place, None);
            let own = upstreams.prepare(self.owner, place, spec);
            let partition = &mut self.partitions[place];
            let shared = std::mem::replace(&mut partition.producer, own);
            if partition.pending.is_empty() {
                upstreams.leave(now.mono_ms, self.owner, shared);
                upstreams.client.start_producer(now.mono_ms, own);
            } else {
                partition.earlier = Some(Box::new(Earlier {
                    producer: shared,
                    pending: std::mem::take(&mut partition.pending),
                }));
            }
        }
    }

    /// Takes the oldest pending message off; gives its context.
    pub(super) fn settle(
        &mut self,
        at: At,
        upstreams: &mut Upstreams<'_>,
    ) -> Option<Option<Box<str>>> {
        let partition = self.partitions.get_mut(at.place)?;
        let pending = partition.pending_on(at.producer).pop_front()?;
        self.pending_bytes -= pending.bytes;
        let done = |earlier: &mut Box<Earlier>| earlier.pending.is_empty();
        if let Some(earlier) = partition.earlier.take_if(done) {
            upstreams.leave(at.now_ms, self.owner, earlier.producer);
            let own = partition.producer;
            upstreams.client.start_producer(at.now_ms, own);
        }
        Some(pending.context)
    }
}
