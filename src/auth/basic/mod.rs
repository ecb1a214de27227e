//! `AuthenticationProviderBasic`: user and password against a file of Apache's `htpasswd`.
//!
//! Java knows crypt(3) and `$apr1$`; bcrypt and `{SHA}`, which `htpasswd` writes too, are taken beside them. All but the
//! last are slow on purpose, so passwords are never checked on a shard. One that has been right is remembered as a keyed
//! hash, so that a fleet that reconnects is let in at the pace of its handshakes, and behind no stranger's guesses.

mod apr1;
mod crypt;

use std::collections::HashMap;
use std::mem;
use std::sync::Mutex;

use ring::rand::SystemRandom;
use ring::{digest, hmac};

use super::Why;

/// The longest password that is looked at: bcrypt takes 72 bytes of it and crypt 8; `$apr1$` takes all, a thousand times.
const PASSWORD_BYTES_MAX: usize = 255;

/// Who there is, with the hash of each one's password.
pub struct Users {
    hashes: HashMap<String, Hash>,
    /// One of each kind that is in the file: a refusal takes the time of all of them, so that it does not tell who is
    /// known, and by which kind of hash.
    kinds: Vec<Hash>,
    /// Of each user who has been let in, the password's keyed hash; no more of them than users. The key is this process's own.
    /// The lock is held for one look, or one entry.
    seen: Mutex<HashMap<String, hmac::Tag>>,
    key: hmac::Key,
}

/// A line's second half, by its form.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hash {
    Crypt(String),
    Apr1(String),
    Bcrypt(String),
    Sha1(Vec<u8>),
}

const REFUSED: Why = "unknown user or wrong password";

impl Users {
    /// Of a file's lines, `user:hash`.
    ///
    /// # Errors
    /// The first line that is none, by its number: the line itself is nobody's business.
    pub fn parse(bytes: &[u8]) -> Result<Users, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is no text in UTF-8")?;
        let mut hashes = HashMap::new();
        let mut kinds: Vec<Hash> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let parsed = line
                .split_once(':')
                .and_then(|(user, hash)| Some((user, Hash::parse(hash)?)));
            let Some((user, hash)) = parsed.filter(|(user, _)| !user.is_empty()) else {
                let line = index + 1;
                return Err(format!(
                    "has a line {line} that is not user:hash with a hash of htpasswd (-B, -m, -d or -s)"
                ));
            };
            if !kinds.iter().any(|kind| kind.is_like(&hash)) {
                kinds.push(hash.clone());
            }
            hashes.insert(user.to_owned(), hash);
        }
        if hashes.is_empty() {
            return Err("names no user".to_owned());
        }
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Users {
            hashes,
            kinds,
            seen: Mutex::default(),
            key: key.map_err(|_| "cannot be used: the system gives no random bytes")?,
        })
    }

    /// The user that `pair`, a `user:password`, names rightly. Slow.
    ///
    /// # Errors
    /// There is none, or the password is another.
    pub fn check(&self, pair: &str) -> Result<String, Why> {
        let (user, password) = parts(pair)?;
        if self.has_seen(user, password) {
            return Ok(user.to_owned());
        }
        let hash = self.hashes.get(user);
        if hash.is_some_and(|hash| hash.is_of(password, &self.key)) {
            self.remember(user, password);
            return Ok(user.to_owned());
        }
        for other in self.kinds_beside(hash) {
            std::hint::black_box(other.is_of(password, &self.key));
        }
        Err(REFUSED)
    }

    /// The user of a pair that has been right before. Quick.
    pub fn known(&self, pair: &str) -> Option<String> {
        let (user, password) = parts(pair).ok()?;
        let is_known = self.has_seen(user, password);
        is_known.then(|| user.to_owned())
    }

    /// One of each other kind.
    fn kinds_beside(&self, hash: Option<&Hash>) -> impl Iterator<Item = &Hash> {
        let kinds = self.kinds.iter();
        kinds.filter(move |kind| !hash.is_some_and(|hash| hash.is_like(kind)))
    }

    fn has_seen(&self, user: &str, password: &str) -> bool {
        let seen = self.seen.lock().ok();
        let tag = seen.and_then(|seen| seen.get(user).copied());
        // The same work for who has never been here.
        let tag = tag.as_ref().map_or(&[][..], hmac::Tag::as_ref);
        hmac::verify(&self.key, password.as_bytes(), tag).is_ok()
    }

    fn remember(&self, user: &str, password: &str) {
        let tag = hmac::sign(&self.key, password.as_bytes());
        if let Ok(mut seen) = self.seen.lock() {
            seen.insert(user.to_owned(), tag);
        }
    }
}

/// User and password.
fn parts(pair: &str) -> Result<(&str, &str), Why> {
    let (user, password) = pair.split_once(':').ok_or("Basic without a colon")?;
    match password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        true => Err(REFUSED),
        false => Ok((user, password)),
    }
}

impl Hash {
    /// None: of no form that is known.
    fn parse(text: &str) -> Option<Hash> {
        if let Some(sha1) = text.strip_prefix("{SHA}") {
            let sha1 = base64_simd::STANDARD.decode_to_vec(sha1).ok()?;
            return (sha1.len() == 20).then_some(Hash::Sha1(sha1));
        }
        if text.starts_with("$apr1$") {
            return apr1::salt(text).map(|_| Hash::Apr1(text.to_owned()));
        }
        if ["$2y$", "$2a$", "$2b$", "$2x$"]
            .iter()
            .any(|it| text.starts_with(it))
        {
            let is_known = text.parse::<bcrypt::HashParts>().is_ok();
            return is_known.then(|| Hash::Bcrypt(text.to_owned()));
        }
        crypt::is_hash(text).then(|| Hash::Crypt(text.to_owned()))
    }

    /// Takes as long: bcrypt's hashes say how often it goes round.
    fn is_like(&self, other: &Hash) -> bool {
        let rounds = |hash: &str| hash.parse().ok().map(|it: bcrypt::HashParts| it.get_cost());
        match (self, other) {
            (Hash::Bcrypt(one), Hash::Bcrypt(other)) => rounds(one) == rounds(other),
            _ => mem::discriminant(self) == mem::discriminant(other),
        }
    }

    /// `key` is any: what is compared is hashed with it, so that the time does not tell how much of it is right.
    fn is_of(&self, password: &str, key: &hmac::Key) -> bool {
        let bytes = password.as_bytes();
        let same = |made: &[u8], hash: &[u8]| {
            let tag = hmac::sign(key, hash);
            hmac::verify(key, made, tag.as_ref()).is_ok()
        };
        let same_text = |made: Option<String>, hash: &str| {
            made.is_some_and(|made| same(made.as_bytes(), hash.as_bytes()))
        };
        match self {
            Hash::Crypt(hash) => same_text(crypt::crypt(bytes, hash), hash),
            Hash::Apr1(hash) => same_text(apr1::apr1(bytes, hash), hash),
            Hash::Bcrypt(hash) => bcrypt::verify(bytes, hash).unwrap_or(false),
            Hash::Sha1(hash) => {
                let made = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
                same(made.as_ref(), hash)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "crypt:abJnggxhB/yWI\ncrypt2:QxMiOwJIBli3w\napr1:$apr1$abcdefgh$FBwExRW4dCc8aL.OvjpIE1\n\
         sha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n\
         bcrypt:$2y$04$3RyqFWE.7Ju5WlZQ3v.6Tu1kXuvGWTc.uRWE1XHlNlsON1E1O0LF2\n\
         also:$2b$04$3RyqFWE.7Ju5WlZQ3v.6Tu1kXuvGWTc.uRWE1XHlNlsON1E1O0LF2\n\
         slow:$2y$10$3RyqFWE.7Ju5WlZQ3v.6Tu1kXuvGWTc.uRWE1XHlNlsON1E1O0LF2\n";

    #[test]
    fn a_refusal_takes_one_hash_of_each_kind_whoever_it_is_about() {
        let users = Users::parse(USERS.as_bytes()).unwrap();
        let names = ["crypt", "apr1", "sha", "bcrypt", "slow"];
        let kinds = names.map(|name| &users.hashes[name]);
        let everybody = users.hashes.values().map(Some).chain([None]);
        for own in everybody {
            let taken: Vec<&Hash> = own.into_iter().chain(users.kinds_beside(own)).collect();
            assert_eq!(taken.len(), kinds.len(), "{own:?}");
            for kind in kinds {
                assert!(taken.iter().any(|it| it.is_like(kind)), "{own:?} {kind:?}");
            }
        }
    }
}
