//! What is known of each issuer's keys: its description first (OpenID Connect Discovery §4), then the key set that this
//! names. Both are fetched when they are wanted, fetched anew before they are old, and early when a token names a key that
//! is not among them, which is how issuers rotate.
//!
//! Bounded by the list of allowed issuers: of others nothing is fetched or kept. Java bounds its caches by
//! `openIDCacheSize` instead, and loads in turns when there are more issuers than that. Times here are the monotonic clock's.

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::jwk::{self, PublishedKey};
use super::{Fetching, OpenIdProvider};
use crate::auth::Why;

/// After a fetch that failed, an issuer is left alone for so long: who comes meanwhile is refused at once.
const FAILED_MS: u64 = 5_000;

const DISCOVERY: &str = ".well-known/openid-configuration";

/// All of them, by their names in tokens.
#[derive(Default)]
pub struct Issuers {
    issuers: FxHashMap<String, Issuer>,
    fetching: Fetching,
    /// Addresses that somebody should fetch.
    wanted: Vec<String>,
}

struct Issuer {
    description: Document<String>,
    keys: Document<Vec<PublishedKey>>,
}

/// Something that an issuer publishes.
struct Document<T> {
    /// Where it is. Empty: not known yet.
    address: String,
    content: Option<T>,
    /// When it last came.
    fetched_ms: u64,
    failed_ms: Option<u64>,
    is_being_fetched: bool,
}

/// What there is of a key.
pub enum Found<'a> {
    Key(&'a PublishedKey),
    /// What is at this address must come first.
    Wants(String),
    Nothing(Why),
    /// The issuer does not tell.
    Unavailable(Why),
}

impl Issuers {
    pub fn of(provider: &OpenIdProvider) -> Issuers {
        let issuer = |name: &String| {
            let slash = if name.ends_with('/') { "" } else { "/" };
            let issuer = Issuer {
                description: Document::at(format!("{name}{slash}{DISCOVERY}")),
                keys: Document::at(String::new()),
            };
            (name.clone(), issuer)
        };
        Issuers {
            issuers: provider.issuers.iter().map(issuer).collect(),
            fetching: provider.fetching.clone(),
            wanted: Vec::new(),
        }
    }

    /// The key of that name. What must be fetched for it, or should be, is in [`Issuers::wanted`].
    pub fn key(&mut self, name: &str, key_id: &str, now_ms: u64) -> Found<'_> {
        let Some(issuer) = self.issuers.get_mut(name) else {
            return Found::Nothing("the token's issuer is not an allowed one");
        };
        let wanted = &mut self.wanted;
        match issuer.description.usable(now_ms, &self.fetching, wanted) {
            Usable::Yes => {}
            Usable::Wait => return Found::Wants(issuer.description.address.clone()),
            Usable::No => return Found::Unavailable("the issuer's description cannot be had"),
        }
        let keys = &mut issuer.keys;
        match keys.usable(now_ms, &self.fetching, wanted) {
            Usable::Yes => {}
            Usable::Wait => return Found::Wants(keys.address.clone()),
            Usable::No => return Found::Unavailable("the issuer's keys cannot be had"),
        }
        if !keys.has(key_id) && keys.may_look_again(now_ms, self.fetching.missing_key_ms) {
            keys.fetch(wanted);
            return Found::Wants(keys.address.clone());
        }
        let mut all = keys.content.iter().flatten();
        match all.find(|key| key.id == key_id) {
            Some(key) => Found::Key(key),
            None if keys.is_being_fetched => Found::Wants(keys.address.clone()),
            None => Found::Nothing("the issuer has no such key"),
        }
    }

    /// What is to be fetched now, each address once until [`Issuers::fetched`].
    pub fn take_wanted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wanted)
    }

    /// What came from an address. None: nothing of use.
    pub fn fetched(&mut self, address: &str, body: Option<&[u8]>, now_ms: u64) {
        for (name, issuer) in &mut self.issuers {
            if issuer.description.address == address {
                let keys_at = body.and_then(|body| keys_address(body, name, &self.fetching));
                if let Some(keys_at) = &keys_at
                    && *keys_at != issuer.keys.address
                {
                    issuer.keys = Document::at(keys_at.clone());
                }
                issuer.description.take(keys_at, now_ms);
            }
            if issuer.keys.address == address {
                issuer.keys.take(body.and_then(jwk::parse), now_ms);
            }
        }
    }
}

enum Usable {
    Yes,
    Wait,
    No,
}

impl<T> Document<T> {
    fn at(address: String) -> Document<T> {
        Document {
            address,
            content: None,
            fetched_ms: 0,
            failed_ms: None,
            is_being_fetched: false,
        }
    }

    fn usable(&mut self, now_ms: u64, fetching: &Fetching, wanted: &mut Vec<String>) -> Usable {
        let age_ms = now_ms.saturating_sub(self.fetched_ms);
        let is_there = self.content.is_some() && age_ms <= fetching.expiration_ms;
        let is_old = !is_there || age_ms > fetching.refresh_ms;
        let has_failed = self
            .failed_ms
            .is_some_and(|failed_ms| now_ms.saturating_sub(failed_ms) < FAILED_MS);
        if is_old && !has_failed {
            self.fetch(wanted);
        }
        match (is_there, self.is_being_fetched) {
            (true, _) => Usable::Yes,
            (false, true) => Usable::Wait,
            (false, false) => Usable::No,
        }
    }

    fn fetch(&mut self, wanted: &mut Vec<String>) {
        if !std::mem::replace(&mut self.is_being_fetched, true) {
            wanted.push(self.address.clone());
        }
    }

    fn take(&mut self, content: Option<T>, now_ms: u64) {
        self.is_being_fetched = false;
        match content {
            Some(content) => {
                self.content = Some(content);
                self.fetched_ms = now_ms;
                self.failed_ms = None;
            }
            None => self.failed_ms = Some(now_ms),
        }
    }

    /// Not again in the same millisecond, even with a pause of 0: who has just waited for it would ask for ever.
    fn may_look_again(&self, now_ms: u64, pause_ms: u64) -> bool {
        let tried_ms = self.failed_ms.unwrap_or_default().max(self.fetched_ms);
        !self.is_being_fetched && now_ms.saturating_sub(tried_ms) > pause_ms
    }
}

impl Document<Vec<PublishedKey>> {
    fn has(&self, key_id: &str) -> bool {
        self.content.iter().flatten().any(|key| key.id == key_id)
    }
}

/// Where the issuer's keys are, by its description, which must be its own (OpenID Connect Discovery §4.3).
fn keys_address(body: &[u8], issuer: &str, fetching: &Fetching) -> Option<String> {
    let description: Value = serde_json::from_slice(body).ok()?;
    if description.get("issuer")?.as_str()? != issuer {
        return None;
    }
    let address = description.get("jwks_uri")?.as_str()?;
    let is_safe = !fetching.requires_https || address.starts_with("https://");
    is_safe.then(|| address.to_owned())
}
