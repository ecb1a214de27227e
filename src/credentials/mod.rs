//! What this gateway shows to brokers, and whom it takes for one: settings in, what a connection wants out.
//!
//! | file | subject |
//! |---|---|
//! | this one | [`Reader`]: tokens, passwords, and where they are read |
//! | [`oauth2`] | tokens of an OAuth 2.0 issuer |
//! | [`tls`] | rustls' configuration, and which files it was made of |
//! | `verifier` | brokers' certificates where less than everything is asked of them |
//!
//! Reading files blocks, so this is for the start and for a control thread (`gateway/credential_keeper.rs`), never for a shard.
//! Errors name the file and what to do, never what is in it.

#![forbid(unsafe_code)]

pub mod oauth2;
pub mod tls;
mod verifier;

use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use self::oauth2::Fetch;
use crate::config::Proof;
use crate::pulsar::client::{Credentials, Secret};

/// A token's file: the largest tokens, with their groups, have some kilobytes.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// What never changes, of which no file has to be read.
pub fn fixed(proof: &Proof) -> Option<Credentials> {
    match proof {
        Proof::None => Some(Credentials::none()),
        Proof::Token(token) => Some(Credentials::new("token", token.clone())),
        Proof::Basic(pair) => Some(Credentials::new("basic", pair.clone())),
        Proof::Certificate => Some(Credentials::new("tls", Secret::default())),
        Proof::TokenFile(_) | Proof::OAuth2(_) => None,
    }
}

/// Why what [`fixed`] has not cannot be read, for now: it may come later, and is read each time.
pub fn missing(proof: &Proof) -> Option<String> {
    match proof {
        Proof::TokenFile(path) => token(path).err(),
        Proof::OAuth2(settings) => oauth2::missing(settings),
        Proof::None | Proof::Token(_) | Proof::Basic(_) | Proof::Certificate => None,
    }
}

/// Reads what [`fixed`] has not.
pub struct Reader {
    proof: Proof,
    oauth2: Option<oauth2::Client>,
    fetch: Box<Fetch>,
}

impl Reader {
    /// `fetch` is how an issuer is asked.
    pub fn new(proof: Proof, fetch: Box<Fetch>) -> Reader {
        let oauth2 = match &proof {
            Proof::OAuth2(settings) => Some(oauth2::Client::new(settings.clone())),
            _ => None,
        };
        Reader {
            proof,
            oauth2,
            fetch,
        }
    }

    /// What is to be shown now.
    ///
    /// # Errors
    /// Why there is nothing, with the file's or the issuer's name.
    pub fn read(&mut self, now_ms: u64) -> Result<Credentials, String> {
        if let Some(client) = &mut self.oauth2 {
            let token = client.token(now_ms, &*self.fetch)?;
            return Ok(Credentials::new("token", token));
        }
        match &self.proof {
            Proof::TokenFile(path) => Ok(Credentials::new("token", token(path)?)),
            other => fixed(other).ok_or_else(|| "there is nothing to show".to_owned()),
        }
    }
}

/// Without the white space around it, as in Java.
fn token(path: &Path) -> Result<Secret, String> {
    let bytes = read_file(path)?;
    let token = bytes.trim_ascii();
    match !token.is_empty() && token.iter().all(u8::is_ascii_graphic) {
        true => Ok(Secret::new(token.to_vec())),
        false => Err(format!(
            "{}: holds no token: one line is meant, without spaces",
            path.display()
        )),
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let fail = |why: &str| format!("{}: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|error| fail(&error.to_string()))?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(TOKEN_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(&error.to_string()))?;
    match bytes.len() as u64 > TOKEN_BYTES_MAX {
        true => Err(fail("is larger than any token")),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "writes files")]
    fn a_tokens_file_is_read_anew_each_time() {
        let path = std::env::temp_dir().join(format!("pws-fast-token-{}", std::process::id()));
        let nobody: Box<Fetch> = Box::new(|_, _| Err("nobody is asked".to_owned()));
        let mut reader = Reader::new(Proof::TokenFile(path.clone()), nobody);
        let mut read = |text: &str| {
            fs::write(&path, text).expect("a file");
            reader.read(0).map(|it| it.data.bytes().to_vec())
        };
        assert_eq!(read("first\n").as_deref(), Ok(&b"first"[..]));
        assert_eq!(read(" second ").as_deref(), Ok(&b"second"[..]));
        for wrong in ["", "\n", "two words", "hidden\u{e9}"] {
            let error = read(wrong).expect_err(wrong);
            assert!(
                error.contains("no token") && !error.contains("hidden"),
                "{error}"
            );
        }
        fs::remove_file(&path).expect("it is there");
        assert!(reader.read(0).is_err());
    }
}
