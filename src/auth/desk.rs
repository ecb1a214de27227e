//! Where credentials are looked at that a shard has no time for: passwords whose hashes are slow on purpose, signatures of
//! long keys, tokens whose issuer's keys must be fetched first. Sans-IO: a thread of its own drives it.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::authentication::{Provider, Verdict};
use super::openid::issuers::Issuers;
use super::openid::{Fetching, Looked};
use super::{Authentication, Identity, Offered, Why};

/// Questions that wait for an issuer's document. A fleet that reconnects while the keys are fetched waits in the queue
/// before this one; more than this wait only when an issuer does not answer, and are refused.
const WAITING_MAX: usize = 1024;

/// Credentials, and whose they are.
pub struct Question<K> {
    pub who: K,
    pub offered: Offered,
}

/// What came of a question.
pub type Answer<K> = (K, Result<Identity, Why>);

pub struct Desk<K> {
    authentication: Arc<Authentication>,
    issuers: Issuers,
    /// By the address of the document that they wait for.
    waiting: FxHashMap<String, Vec<Question<K>>>,
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
    pub fn ask(&mut self, question: Question<K>, now_ms: u64) -> Option<Answer<K>> {
        let offered = &question.offered;
        let issuers = &mut self.issuers;
        let mut awaited = None;
        let said = self
            .authentication
            .ask_each(offered, |provider| match provider {
                Provider::Token(provider) => provider.check(offered, now_ms),
                Provider::Tls => super::tls::check(offered),
                Provider::Basic(users) => match &offered.basic {
                    Some(pair) => accepted(users.check(pair)),
                    None => Verdict::Rejected("no user and password"),
                },
                Provider::OpenId(provider) => match provider.look(offered, now_ms, issuers) {
                    Looked::Accepted { role, expires_ms } => Verdict::Accepted { role, expires_ms },
                    Looked::Rejected(why) => Verdict::Rejected(why),
                    Looked::Wants(address) => {
                        awaited = Some(address);
                        Verdict::Pending
                    }
                },
            });
        match (said, awaited) {
            (Some(result), _) => Some((question.who, result)),
            (None, Some(address)) if self.waiting_count() < WAITING_MAX => {
                self.waiting.entry(address).or_default().push(question);
                None
            }
            (None, _) => Some((question.who, Err("too many wait for an issuer's keys"))),
        }
    }

    /// Addresses to fetch, each followed by a [`Desk::fetched`].
    pub fn take_wanted(&mut self) -> Vec<String> {
        self.issuers.take_wanted()
    }

    /// What came from an address, None where nothing did, and whose questions that answers.
    pub fn fetched(&mut self, address: &str, body: Option<&[u8]>, now_ms: u64) -> Vec<Answer<K>> {
        self.issuers.fetched(address, body, now_ms);
        let waiting = self.waiting.remove(address).unwrap_or_default();
        let asked_again = waiting.into_iter();
        asked_again
            .filter_map(|question| self.ask(question, now_ms))
            .collect()
    }

    fn waiting_count(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }
}

fn accepted(user: Result<String, Why>) -> Verdict {
    match user {
        Ok(role) => Verdict::Accepted {
            role,
            expires_ms: None,
        },
        Err(why) => Verdict::Rejected(why),
    }
}
