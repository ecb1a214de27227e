//! The threads on which credentials are looked at that a shard has no time for, and an issuer's documents are fetched.
//! Started only where a provider needs them; they end with the shards.

use std::io;
use std::sync::Arc;
use std::thread;

use super::fetch::Fetcher;
use super::post::{Post, SocketId};
use crate::auth::{Answer, Authentication, Desk, Question};
use crate::runtime;

/// Questions that may wait for the desk. A good password's hash takes some 50 ms the first time, so that the last of
/// these waits below a minute; more would have given up before their answer.
const QUESTIONS_MAX: usize = 1024;

/// Documents that may wait to be fetched: issuers have two each.
const FETCHES_MAX: usize = 256;

/// Where shards ask.
pub type Questions = flume::Sender<Question<SocketId>>;

/// An address and what came from it.
type Fetched = (String, Option<Vec<u8>>);

/// A desk that nobody sits at yet.
pub struct Vacant {
    questions: flume::Receiver<Question<SocketId>>,
    authentication: Arc<Authentication>,
}

/// None: no provider needs one.
pub fn open(authentication: Option<&Arc<Authentication>>) -> Option<(Questions, Vacant)> {
    let authentication = authentication.filter(|it| it.needs_desk())?.clone();
    let (sender, questions) = flume::bounded(QUESTIONS_MAX);
    let vacant = Vacant {
        questions,
        authentication,
    };
    Some((sender, vacant))
}

impl Vacant {
    /// Starts to answer.
    ///
    /// # Errors
    /// A thread cannot be had.
    pub fn occupy(self, shards: Vec<runtime::Post<Post>>) -> io::Result<()> {
        let desk = Desk::new(self.authentication);
        let (wanted, addresses) = flume::bounded(FETCHES_MAX);
        let (fetched, documents) = flume::bounded(FETCHES_MAX);
        if let Some(fetching) = desk.fetching() {
            let fetcher = Fetcher::new(&fetching).map_err(io::Error::other)?;
            let thread = thread::Builder::new().name("fetching".to_owned());
            thread.spawn(move || fetch(&fetcher, &addresses, &fetched))?;
        }
        let clerk = Clerk {
            desk,
            wanted,
            shards,
        };
        let thread = thread::Builder::new().name("desk".to_owned());
        thread.spawn(move || clerk.sit(&self.questions, &documents))?;
        Ok(())
    }
}

fn fetch(fetcher: &Fetcher, addresses: &flume::Receiver<String>, fetched: &flume::Sender<Fetched>) {
    for address in addresses {
        let body = fetcher.get(&address);
        if let Err(why) = &body {
            tracing::warn!(address, why, "an issuer's document cannot be fetched");
        }
        if fetched.send((address, body.ok())).is_err() {
            return;
        }
    }
}

/// Whoever sits at the desk.
struct Clerk {
    desk: Desk<SocketId>,
    wanted: flume::Sender<String>,
    shards: Vec<runtime::Post<Post>>,
}

enum Event {
    Asked(Question<SocketId>),
    Fetched(Fetched),
    End,
}

impl Clerk {
    /// Until the last shard has gone.
    fn sit(
        mut self,
        questions: &flume::Receiver<Question<SocketId>>,
        documents: &flume::Receiver<Fetched>,
    ) {
        // Without a fetching thread the other end of `documents` is gone, and would be ready for ever.
        let fetches = self.desk.fetching().is_some();
        loop {
            let mut next = flume::Selector::new()
                .recv(questions, |asked| asked.map_or(Event::End, Event::Asked));
            if fetches {
                next = next.recv(documents, |it| it.map_or(Event::End, Event::Fetched));
            }
            let now_ms = runtime::wall_ms();
            let answers = match next.wait() {
                Event::Asked(question) => self.desk.ask(question, now_ms).into_iter().collect(),
                Event::Fetched((address, body)) => {
                    self.desk.fetched(&address, body.as_deref(), now_ms)
                }
                Event::End => return,
            };
            for address in self.desk.take_wanted() {
                let given = self.wanted.try_send(address);
                if let Err(flume::TrySendError::Full(address)) = given {
                    let answers = self.desk.fetched(&address, None, now_ms);
                    self.answer(answers);
                }
            }
            self.answer(answers);
        }
    }

    /// A shard's full mailbox is waited for: it empties its own at every turn.
    fn answer(&self, answers: Vec<Answer<SocketId>>) {
        for (socket, result) in answers {
            let shard = &self.shards[socket.shard()];
            let mut batch = vec![Post::Identified { socket, result }];
            while let Err(again) = shard.try_post(batch) {
                if shard.is_closed() {
                    break;
                }
                batch = again;
                thread::yield_now();
            }
        }
    }
}
