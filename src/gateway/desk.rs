//! The thread on which credentials are looked at that a shard has no time for, another one for passwords, whose hashes are
//! slow on purpose, so that guesses hold up no token; and the short-lived ones that fetch what issuers publish: each
//! document on its own, so that who waits for an issuer that hangs is nobody else. Started only where a provider needs them.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;

use super::fetch::Fetcher;
use super::post::{Post, SocketId};
use crate::auth::{Answer, Authentication, Desk, Lane, Now, Question};
use crate::runtime;

/// Questions that may wait for the desk. A good password's hash takes some 50 ms the first time, so that the last of
/// these waits below a minute; more would have given up before their answer. So many of each lane: open sockets have one
/// each at most, and those beyond are asked again.
const QUESTIONS_MAX: usize = 1024;

/// Documents that are fetched at a time, a thread for each: issuers have two, and are asked again some seconds after
/// they have failed at the earliest. More hang only where dozens of issuers do; those beyond are tried later.
const FETCHES_MAX: usize = 64;

/// After so many renewals in a row somebody else has a turn, if anybody waits: most of the desk is theirs, and not all.
const RENEWALS_IN_A_ROW: u32 = 8;

/// Where shards ask.
#[derive(Clone)]
pub struct Questions {
    handshakes: flume::Sender<Asked>,
    /// A lane of their own, which is asked first: whatever strangers do, who is there can say again who it is.
    renewals: flume::Sender<Asked>,
    /// Of strangers, looked at on a thread of their own.
    passwords: flume::Sender<Asked>,
}

/// A question, for as long as somebody waits for the answer.
struct Asked {
    question: Question<SocketId>,
    asker: Weak<()>,
}

impl Asked {
    /// None: who asked has gone, or was told that it took too long.
    fn wanted(self) -> Option<Question<SocketId>> {
        (self.asker.strong_count() > 0).then_some(self.question)
    }
}

/// An address and what came from it.
type Fetched = (String, Option<Vec<u8>>);

/// A desk that nobody sits at yet.
pub struct Vacant {
    handshakes: flume::Receiver<Asked>,
    renewals: flume::Receiver<Asked>,
    passwords: flume::Receiver<Asked>,
    authentication: Arc<Authentication>,
}

/// None: no provider needs one.
pub fn open(authentication: Option<&Arc<Authentication>>) -> Option<(Questions, Vacant)> {
    let authentication = authentication.filter(|it| it.needs_desk())?.clone();
    let (handshakes, strangers) = flume::bounded(QUESTIONS_MAX);
    let (renewals, known) = flume::bounded(QUESTIONS_MAX);
    let (passwords, guesses) = flume::bounded(QUESTIONS_MAX);
    let vacant = Vacant {
        handshakes: strangers,
        renewals: known,
        passwords: guesses,
        authentication,
    };
    let questions = Questions {
        handshakes,
        renewals,
        passwords,
    };
    Some((questions, vacant))
}

impl Questions {
    /// Nothing is answered when nobody holds `asker` any more. False: too many wait.
    pub fn ask(&self, question: Question<SocketId>, asker: &Arc<()>) -> bool {
        let lane = match question.lane {
            Lane::Handshake if question.offered.basic.is_some() => &self.passwords,
            Lane::Handshake => &self.handshakes,
            Lane::Renewal => &self.renewals,
        };
        let asker = Arc::downgrade(asker);
        lane.try_send(Asked { question, asker }).is_ok()
    }
}

impl Vacant {
    /// Starts to answer.
    ///
    /// # Errors
    /// A thread cannot be had.
    pub fn occupy(self, shards: Vec<runtime::Post<Post>>) -> io::Result<()> {
        if self.authentication.has_passwords() {
            let (desk, passwords) = (Desk::new(self.authentication.clone()), self.passwords);
            let shards = shards.clone();
            let thread = thread::Builder::new().name("passwords".to_owned());
            thread.spawn(move || judge(desk, &passwords, |it| answer(&shards, it)))?;
        }
        let desk = Desk::new(self.authentication);
        let fetcher = desk.fetching().map(|it| Fetcher::new(&it).map(Arc::new));
        let fetcher = fetcher.transpose().map_err(io::Error::other)?;
        let (fetched, documents) = flume::bounded(FETCHES_MAX);
        let clerk = Clerk {
            desk,
            fetcher,
            fetches: 0,
            fetched,
            shards,
        };
        let inbox = Inbox {
            renewals: self.renewals,
            documents,
            handshakes: self.handshakes,
            renewals_in_a_row: 0,
        };
        let thread = thread::Builder::new().name("desk".to_owned());
        thread.spawn(move || clerk.sit(inbox))?;
        Ok(())
    }
}

/// Looks at what needs nothing from elsewhere, until the last shard has gone.
fn judge(
    mut desk: Desk<SocketId>,
    questions: &flume::Receiver<Asked>,
    mut answer: impl FnMut(Answer<SocketId>),
) {
    for question in questions.iter().filter_map(Asked::wanted) {
        desk.ask(question, now()).into_iter().for_each(&mut answer);
    }
}

/// A shard's full mailbox is waited for: it empties its own at every turn.
fn answer(shards: &[runtime::Post<Post>], (socket, result): Answer<SocketId>) {
    let shard = &shards[socket.shard()];
    let mut batch = vec![Post::Identified { socket, result }];
    while let Err(again) = shard.try_post(batch) {
        if shard.is_closed() {
            break;
        }
        batch = again;
        thread::yield_now();
    }
}

fn now() -> Now {
    Now {
        mono_ms: runtime::now_ms(),
        wall_ms: runtime::wall_ms(),
    }
}

fn fetch(fetcher: &Fetcher, address: String, fetched: &flume::Sender<Fetched>) {
    let body = fetcher.get(&address);
    if let Err(why) = &body {
        tracing::warn!(address, why, "an issuer's document cannot be fetched");
    }
    // Nobody waits for it any more when the desk has gone.
    let _ = fetched.send((address, body.ok()));
}

/// Whoever sits at the desk.
struct Clerk {
    desk: Desk<SocketId>,
    /// None: nothing is ever fetched.
    fetcher: Option<Arc<Fetcher>>,
    /// Threads that fetch.
    fetches: usize,
    fetched: flume::Sender<Fetched>,
    shards: Vec<runtime::Post<Post>>,
}

enum Event {
    Asked(Asked),
    Fetched(Fetched),
    /// The last shard has gone.
    End,
}

/// What comes to the desk, the most urgent first.
struct Inbox {
    renewals: flume::Receiver<Asked>,
    /// Before those who would wait for them.
    documents: flume::Receiver<Fetched>,
    handshakes: flume::Receiver<Asked>,
    renewals_in_a_row: u32,
}

impl Inbox {
    /// Blocks.
    fn next(&mut self) -> Event {
        let next = match self.renewals_in_a_row {
            RENEWALS_IN_A_ROW.. => self.other_than_renewal(),
            _ => None,
        };
        let next = next.unwrap_or_else(|| self.most_urgent());
        self.renewals_in_a_row = match &next {
            Event::Asked(asked) if asked.question.lane == Lane::Renewal => {
                self.renewals_in_a_row + 1
            }
            _ => 0,
        };
        next
    }

    fn other_than_renewal(&self) -> Option<Event> {
        let document = self.documents.try_recv().map(Event::Fetched);
        let handshake = || self.handshakes.try_recv().map(Event::Asked);
        document.or_else(|_| handshake()).ok()
    }

    fn most_urgent(&self) -> Event {
        match self.renewals.try_recv() {
            Ok(question) => return Event::Asked(question),
            Err(flume::TryRecvError::Disconnected) => return Event::End,
            Err(flume::TryRecvError::Empty) => {}
        }
        if let Ok(fetched) = self.documents.try_recv() {
            return Event::Fetched(fetched);
        }
        flume::Selector::new()
            .recv(&self.renewals, |it| it.map_or(Event::End, Event::Asked))
            .recv(&self.documents, |it| it.map_or(Event::End, Event::Fetched))
            .recv(&self.handshakes, |it| it.map_or(Event::End, Event::Asked))
            .wait()
    }
}

impl Clerk {
    fn sit(mut self, mut inbox: Inbox) {
        loop {
            let next = inbox.next();
            let now = now();
            let answers = match next {
                Event::Asked(asked) => {
                    let question = asked.wanted();
                    let answer = question.and_then(|question| self.desk.ask(question, now));
                    answer.into_iter().collect()
                }
                Event::Fetched((address, body)) => {
                    self.fetches -= 1;
                    self.desk.fetched(&address, body.as_deref(), now)
                }
                Event::End => return,
            };
            for address in self.desk.take_wanted() {
                if let Err(address) = self.begin_to_fetch(address) {
                    let answers = self.desk.fetched(&address, None, now);
                    self.answer(answers);
                }
            }
            self.answer(answers);
        }
    }

    /// Err: not now.
    fn begin_to_fetch(&mut self, address: String) -> Result<(), String> {
        let Some(fetcher) = self.fetcher.clone().filter(|_| self.fetches < FETCHES_MAX) else {
            return Err(address);
        };
        let (wanted, fetched) = (address.clone(), self.fetched.clone());
        let thread = thread::Builder::new().name("fetching".to_owned());
        let started = thread.spawn(move || fetch(&fetcher, wanted, &fetched));
        started.map_err(|error| {
            tracing::warn!(address, %error, "no thread to fetch an issuer's document");
            address
        })?;
        self.fetches += 1;
        Ok(())
    }

    fn answer(&self, answers: Vec<Answer<SocketId>>) {
        for it in answers {
            answer(&self.shards, it);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Offered, Settings};

    fn question(lane: Lane) -> Question<SocketId> {
        Question {
            who: SocketId::new(0, 0, 0),
            offered: Offered::new_token(None, "a token"),
            lane,
        }
    }

    fn guess() -> Question<SocketId> {
        let offered = Offered {
            basic: Some("user:guess".to_owned().into()),
            ..Offered::default()
        };
        Question {
            offered,
            ..question(Lane::Handshake)
        }
    }

    fn asked(question: Question<SocketId>, asker: &Arc<()>) -> Asked {
        let asker = Arc::downgrade(asker);
        Asked { question, asker }
    }

    fn with_passwords() -> Arc<Authentication> {
        let settings = Settings {
            providers: vec![
                "org.apache.pulsar.broker.authentication.AuthenticationProviderBasic".to_owned(),
            ],
            basic_auth_conf: Some("data:,user:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".to_owned()),
            ..Settings::default()
        };
        Arc::new(Authentication::new(&settings).unwrap().0)
    }

    /// A thread that looked at both needed some 50 ms for each guess, whose client could go at once: twenty in a second
    /// kept out everybody with a token.
    #[test]
    fn no_token_waits_behind_guesses_of_passwords() {
        let (questions, vacant) = open(Some(&with_passwords())).unwrap();
        let asker = Arc::new(());
        let guesses = (0..QUESTIONS_MAX + 1).filter(|_| questions.ask(guess(), &asker));
        assert_eq!(guesses.count(), QUESTIONS_MAX);
        assert!(questions.ask(question(Lane::Handshake), &asker));
        let first = vacant.handshakes.try_recv().ok().and_then(Asked::wanted);
        assert!(first.is_some_and(|first| first.offered.token.is_some()));
        assert!(vacant.handshakes.is_empty());
    }

    #[test]
    fn nothing_is_looked_at_for_who_has_gone() {
        let (asks, questions) = flume::unbounded();
        let (here, gone) = (Arc::new(()), Arc::new(()));
        asks.send(asked(guess(), &gone)).unwrap();
        asks.send(asked(guess(), &here)).unwrap();
        drop((gone, asks));
        let mut answers = 0;
        judge(Desk::new(with_passwords()), &questions, |(_, result)| {
            assert!(result.is_err());
            answers += 1;
        });
        assert_eq!(answers, 1);
    }

    #[test]
    fn a_stream_of_renewals_leaves_turns_to_strangers_and_documents() {
        let (renews, renewals) = flume::unbounded();
        let (arrives, handshakes) = flume::unbounded();
        let (fetches, documents) = flume::unbounded();
        let mut inbox = Inbox {
            renewals,
            documents,
            handshakes,
            renewals_in_a_row: 0,
        };
        let asker = Arc::new(());
        for _ in 0..3 * RENEWALS_IN_A_ROW {
            let renewal = question(Lane::Renewal);
            renews.send(asked(renewal, &asker)).unwrap();
        }
        let handshake = question(Lane::Handshake);
        arrives.send(asked(handshake, &asker)).unwrap();
        fetches.send(("address".to_owned(), None)).unwrap();
        let mut order = Vec::new();
        for _ in 0..3 * RENEWALS_IN_A_ROW + 2 {
            order.push(match inbox.next() {
                Event::Asked(asked) => asked.question.lane == Lane::Renewal,
                Event::Fetched(_) => false,
                Event::End => panic!("nobody has gone"),
            });
        }
        let others: Vec<usize> = (0..order.len()).filter(|turn| !order[*turn]).collect();
        // A document is never behind a stranger; without anybody else renewals go on.
        let first = RENEWALS_IN_A_ROW as usize;
        assert_eq!(others, [first, 2 * first + 1]);
    }
}
