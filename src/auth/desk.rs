//! Where credentials are looked at that a shard has no time for: passwords whose hashes are slow on purpose, signatures of
//! long keys, tokens whose issuer's keys must be fetched first. Sans-IO: a thread of its own drives it.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::authentication::{Provider, Verdict};
use super::openid::issuers::Issuers;
use super::openid::{Fetching, Looked};
use super::{Authentication, Identity, Offered, Why};

/// Questions that wait for one of an issuer's documents. A fleet that reconnects while the keys are fetched waits in the
/// queue before this one; more than this wait only when an issuer does not answer, and are refused. Each document has
/// its own bound, so that they take no room from those of other issuers; so has each lane, so that strangers take none
/// from sockets that are open.
const WAITING_MAX: usize = 1024;

/// Documents that a question waits for: a description, the keys, and one of them again that has become too old meanwhile.
/// Where issuers are slower than what they publish is kept, it would never end.
const WAITS_MAX: u8 = 3;

/// Credentials, and whose they are.
pub struct Question<K> {
    pub who: K,
    pub offered: Offered,
    pub lane: Lane,
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A stranger.
    Handshake,
    /// An open socket's client, who has shown something good before.
    Renewal,
}

/// Why a question's answer is no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unidentified {
    /// The credentials are bad, or missing.
    Refused(Why),
    /// It cannot be found out now; later the same may turn out to be good.
    Unknown(Why),
}

/// Both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic: how old documents are, whatever the wall clock is set to.
    pub mono_ms: u64,
    /// Since 1970: what the times in tokens are told by.
    pub wall_ms: u64,
}

/// What came of a question.
pub type Answer<K> = (K, Result<Identity, Unidentified>);

pub struct Desk<K> {
    authentication: Arc<Authentication>,
    issuers: Issuers,
    /// By the address of the document that they wait for.
    waiting: FxHashMap<String, Vec<Waiting<K>>>,
}

struct Waiting<K> {
    question: Question<K>,
    /// This one included.
    waits: u8,
}

impl<K> Desk<K> {
    pub fn new(authentication: Arc<Authentication>) -> Desk<K> {
        let issuers = authentication.open_id().map(Issuers::of);
        Desk {
            issuers: issuers.unwrap_or_default(),
            authentication,
            waiting: FxHashMap::default(),
        }
    }

    /// How what [`Desk::take_wanted`] gives is to be fetched. None: there is never anything.
    pub fn fetching(&self) -> Option<Fetching> {
        let provider = self.authentication.open_id()?;
        Some(provider.fetching.clone())
    }

    /// Slow. None: the answer comes when a document has.
    pub fn ask(&mut self, question: Question<K>, now: Now) -> Option<Answer<K>> {
        self.look(question, 0, now)
    }

    /// The same of a question that has waited so often.
    fn look(&mut self, question: Question<K>, waits: u8, now: Now) -> Option<Answer<K>> {
        let offered = &question.offered;
        let issuers = &mut self.issuers;
        let mut awaited = Err("no provider can tell");
        let said = self
            .authentication
            .ask_each(offered, |provider| match provider {
                Provider::Token(provider) => provider.check(offered, now.wall_ms),
                Provider::Tls => super::tls::check(offered),
                Provider::Basic(users) => match &offered.basic {
                    Some(pair) => users
                        .check(pair)
                        .map_or_else(Verdict::Rejected, Verdict::for_good),
                    None => Verdict::Rejected("no user and password"),
                },
                Provider::OpenId(provider) => match provider.look(offered, now, issuers) {
                    Looked::Accepted(verified) => Verdict::Accepted(verified),
                    Looked::Rejected(why) => Verdict::Rejected(why),
                    // Java refuses a handshake whose issuer cannot be reached like one with a bad token.
                    Looked::Unknown(why) if question.lane == Lane::Handshake => {
                        Verdict::Rejected(why)
                    }
                    Looked::Unknown(why) => {
                        awaited = Err(why);
                        Verdict::Pending
                    }
                    Looked::Wants(address) => {
                        awaited = Ok(address);
                        Verdict::Pending
                    }
                },
            });
        if let Some(result) = said {
            return Some((question.who, result.map_err(Unidentified::Refused)));
        }
        let why = match awaited {
            Err(why) => why,
            Ok(_) if waits == WAITS_MAX => "the issuer's keys do not come in time",
            Ok(address) if self.waiting_for(&address, question.lane) >= WAITING_MAX => {
                "too many wait for an issuer's keys"
            }
            Ok(address) => {
                let waits = waits + 1;
                let waiting = self.waiting.entry(address).or_default();
                waiting.push(Waiting { question, waits });
                return None;
            }
        };
        Some((question.who, Err(Unidentified::Unknown(why))))
    }

    /// Addresses to fetch, each followed by a [`Desk::fetched`].
    pub fn take_wanted(&mut self) -> Vec<String> {
        self.issuers.take_wanted()
    }

    /// What came from an address, None where nothing did, and whose questions that answers.
    pub fn fetched(&mut self, address: &str, body: Option<&[u8]>, now: Now) -> Vec<Answer<K>> {
        self.issuers.fetched(address, body, now.mono_ms);
        let waiting = self.waiting.remove(address).unwrap_or_default();
        let asked_again = waiting.into_iter();
        asked_again
            .filter_map(|it| self.look(it.question, it.waits, now))
            .collect()
    }

    fn waiting_for(&self, address: &str, lane: Lane) -> usize {
        let waiting = self.waiting.get(address).into_iter().flatten();
        waiting.filter(|it| it.question.lane == lane).count()
    }
}
