//! The key files of end-to-end encryption: from a name to a key. Read at every use, which is once per data key, so that a
//! file that has changed counts at once.
//!
//! Names are clients' and publishers' words: none becomes a path unless it is plain, and only the configured directory
//! is looked into.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::CryptoKeys;
use crate::pulsar::crypto::{KeyError, PrivateKey, PublicKey};

/// The largest key file: a certificate chain with a few comments has 10 KB.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The longest name that becomes a file's; file systems end at 255 bytes with the suffix.
const NAME_BYTES_MAX: usize = 200;

const PUBLIC: &str = ".public.pem";
const PRIVATE: &str = ".private.pem";

/// Why there is no such key. Names no path: it may be told to clients.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    #[error("the name is none of a key")]
    Name,
    #[error("there is no such key")]
    Missing,
    #[error("its file cannot be read")]
    Unreadable,
    #[error("its file is no key: {0}")]
    Broken(#[from] KeyError),
}

pub struct KeyFiles(CryptoKeys);

/// What differs between a file and the one that was there before under its name, or with other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Of content and of everything else, in seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl KeyFiles {
    /// Reads all that is configured once, so that a mistake is known at the start.
    ///
    /// # Errors
    /// Every file that is missing or no key, and why.
    pub fn new(keys: CryptoKeys) -> io::Result<KeyFiles> {
        let mut mistakes = Vec::new();
        let mut check = |path: &Path, result: Result<(), NoKey>| {
            mistakes.extend(result.err().map(|why| format!("{}: {why}", path.display())));
        };
        for path in keys.public_files.values() {
            check(path, public(path).map(drop));
        }
        for path in keys.private_files.values() {
            check(path, private(path).map(drop));
        }
        if let Some(directory) = &keys.directory {
            let entries = fs::read_dir(directory);
            let entries = entries.map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("cryptoKeyDirectory {}: {error}", directory.display()),
                )
            })?;
            for entry in entries {
                let path = entry?.path();
                let name = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                if name.ends_with(PUBLIC) {
                    check(&path, public(&path).map(drop));
                } else if name.ends_with(PRIVATE) {
                    check(&path, private(&path).map(drop));
                }
            }
        }
        match mistakes.is_empty() {
            true => Ok(KeyFiles(keys)),
            false => Err(io::Error::other(format!(
                "keys of end-to-end encryption: {}",
                mistakes.join("; ")
            ))),
        }
    }

    pub fn public(&self, name: &str) -> Result<PublicKey, NoKey> {
        match self.0.public_files.get(name) {
            Some(path) => public(path),
            None => public(&self.in_directory(name, PUBLIC)?),
        }
    }

    pub fn private(&self, name: &str) -> Result<PrivateKey, NoKey> {
        match self.0.private_files.get(name) {
            Some(path) => private(path),
            None => private(&self.in_directory(name, PRIVATE)?),
        }
    }

    /// Which file the private key is now. Cheap beside reading it.
    pub fn private_version(&self, name: &str) -> Result<Version, NoKey> {
        match self.0.private_files.get(name) {
            Some(path) => version(path),
            None => version(&self.in_directory(name, PRIVATE)?),
        }
    }

    fn in_directory(&self, name: &str, suffix: &str) -> Result<PathBuf, NoKey> {
        let is_plain = !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && !name.starts_with('.')
            && !name.contains(['/', '\\'])
            && !name.contains(char::is_control);
        if !is_plain {
            return Err(NoKey::Name);
        }
        let directory = self.0.directory.as_ref().ok_or(NoKey::Missing)?;
        Ok(directory.join(format!("{name}{suffix}")))
    }
}

fn public(path: &Path) -> Result<PublicKey, NoKey> {
    Ok(PublicKey::from_pem(&read(path)?)?)
}

fn private(path: &Path) -> Result<PrivateKey, NoKey> {
    Ok(PrivateKey::from_pem(&read(path)?)?)
}

fn version(path: &Path) -> Result<Version, NoKey> {
    let file = fs::metadata(path).map_err(missing)?;
    Ok(Version {
        device: file.dev(),
        inode: file.ino(),
        bytes: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    })
}

fn missing(error: io::Error) -> NoKey {
    match error.kind() {
        io::ErrorKind::NotFound => NoKey::Missing,
        _ => NoKey::Unreadable,
    }
}

/// Text that is zeroized after use: it may be a private key.
fn read(path: &Path) -> Result<Zeroizing<String>, NoKey> {
    // Opening something else, a pipe say, could wait for ever.
    if !fs::metadata(path).map_err(missing)?.is_file() {
        return Err(NoKey::Unreadable);
    }
    let file = File::open(path).map_err(missing)?;
    // All at once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|_| NoKey::Unreadable)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST_KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pulsar/crypto/tests/keys");

    fn in_directory() -> KeyFiles {
        let directory = Some(TEST_KEYS.into());
        KeyFiles::new(CryptoKeys {
            directory,
            ..CryptoKeys::default()
        })
        .unwrap()
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn keys_are_found_by_name() {
        let files = in_directory();
        assert!(files.public("rsa").is_ok());
        assert!(files.private("secp521r1").is_ok());
        assert!(matches!(
            files.public("nobody").unwrap_err(),
            NoKey::Missing
        ));
        let files = KeyFiles::new(CryptoKeys {
            public_files: [(
                "alice".to_owned(),
                format!("{TEST_KEYS}/rsa.public.pem").into(),
            )]
            .into(),
            ..CryptoKeys::default()
        });
        let files = files.unwrap();
        assert!(files.public("alice").is_ok());
        assert!(matches!(files.public("rsa").unwrap_err(), NoKey::Missing));
        assert!(matches!(
            files.private("alice").unwrap_err(),
            NoKey::Missing
        ));
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn names_do_not_lead_out_of_the_directory() {
        let files = in_directory();
        let long = "n".repeat(201);
        for name in [
            "",
            "../keys/rsa",
            "/etc/passwd",
            "..",
            ".rsa",
            "a/b",
            "a\\b",
            "rsa\0",
            "rsa\n",
            &long,
        ] {
            assert!(
                matches!(files.public(name).unwrap_err(), NoKey::Name),
                "{name:?}"
            );
            assert!(
                matches!(files.private(name).unwrap_err(), NoKey::Name),
                "{name:?}"
            );
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn a_start_with_files_that_are_no_keys_names_all_of_them() {
        let wrong = KeyFiles::new(CryptoKeys {
            public_files: [("a".to_owned(), "/nowhere/a.pem".into())].into(),
            private_files: [("b".to_owned(), format!("{TEST_KEYS}/rsa.public.pem").into())].into(),
            directory: None,
        });
        let text = wrong.err().unwrap().to_string();
        assert!(
            text.contains("/nowhere/a.pem: there is no such key"),
            "{text}"
        );
        assert!(
            text.contains("rsa.public.pem: its file is no key"),
            "{text}"
        );
    }
}
