//! What this shard has to say to the others: gathered during a turn, posted as one batch for each of them.

use super::post::Post;
use crate::observe::counters::Counters;
use crate::runtime;

/// The outgoing side of the mailboxes.
pub struct Links {
    peers: Vec<runtime::Post<Post>>,
    outboxes: Vec<Vec<Post>>,
}

impl Links {
    pub fn new(peers: Vec<runtime::Post<Post>>) -> Links {
        let outboxes = peers.iter().map(|_| Vec::new()).collect();
        Links { peers, outboxes }
    }

    pub fn count(&self) -> usize {
        self.peers.len()
    }

    /// Nothing waits for room in a mailbox.
    pub fn is_empty(&self) -> bool {
        self.outboxes.iter().all(Vec::is_empty)
    }

    /// The last batch for this shard did not fit into its mailbox.
    pub fn is_behind(&self, shard: usize) -> bool {
        self.outboxes
            .get(shard)
            .is_some_and(|outbox| !outbox.is_empty())
    }

    pub fn push(&mut self, shard: usize, post: Post) {
        if let Some(outbox) = self.outboxes.get_mut(shard) {
            outbox.push(post);
        }
    }

    /// Posts each outbox as one batch; what is for a shard that has ended is dropped. False: a mailbox was full, its batch
    /// stays here; call again soon.
    pub fn flush(&mut self, counters: &mut Counters) -> bool {
        let mut all_gone = true;
        for (peer, outbox) in self.peers.iter().zip(&mut self.outboxes) {
            if outbox.is_empty() {
                continue;
            }
            let wakes = peer.is_awaited();
            match peer.try_post(std::mem::take(outbox)) {
                Ok(()) => {
                    counters.posted_batches += 1;
                    counters.wake_ups += u64::from(wakes);
                }
                Err(_) if peer.is_closed() => {}
                Err(batch) => {
                    *outbox = batch;
                    all_gone = false;
                }
            }
        }
        all_gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::mailbox::{MAILBOX_BATCHES, mailbox};

    #[test]
    fn what_does_not_fit_waits_and_what_is_for_an_ended_shard_does_not() {
        let (post, inbox) = mailbox();
        let mut links = Links::new(vec![post]);
        let mut counters = Counters::default();
        for _ in 0..MAILBOX_BATCHES {
            links.push(0, Post::Drained);
            assert!(links.flush(&mut counters));
        }
        links.push(0, Post::Drained);
        assert!(!links.flush(&mut counters));
        assert!(!links.is_empty());
        assert_eq!(counters.posted_batches, MAILBOX_BATCHES as u64);
        drop(inbox);
        assert!(links.flush(&mut counters));
        assert!(links.is_empty());
    }
}
