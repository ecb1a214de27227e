//! Where the key files of end-to-end encryption are, by the names that clients call the keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Files of named keys, in PEM. The files themselves are looked at when the gateway starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CryptoKeys {
    /// Has `<name>.public.pem` and `<name>.private.pem`.
    pub directory: Option<PathBuf>,
    /// These go before the directory's.
    pub public_files: BTreeMap<String, PathBuf>,
    pub private_files: BTreeMap<String, PathBuf>,
}

impl CryptoKeys {
    /// There are no keys.
    pub fn is_empty(&self) -> bool {
        self.directory.is_none() && self.public_files.is_empty() && self.private_files.is_empty()
    }
}

/// `name=path,name=path`.
pub(super) fn files(text: &str) -> Result<BTreeMap<String, PathBuf>, String> {
    let mut files = BTreeMap::new();
    for part in text.split(',') {
        let pair = part.split_once('=');
        let pair = pair.map(|(name, path)| (name.trim(), path.trim()));
        let Some((name, path)) = pair.filter(|(name, path)| !name.is_empty() && !path.is_empty())
        else {
            return Err(
                "is not a list such as name=/path/to/key.pem,other=/path/to/other.pem".into(),
            );
        };
        if files.insert(name.to_owned(), path.into()).is_some() {
            return Err("names a key twice".into());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_are_pairs_of_name_and_path() {
        let two = files("alice=/k/a.pem, bob = /k/b=1.pem").unwrap();
        assert_eq!(two["alice"], PathBuf::from("/k/a.pem"));
        assert_eq!(two["bob"], PathBuf::from("/k/b=1.pem"));
        for text in ["", "alice", "=/k/a.pem", "alice=", "a=/x,,b=/y"] {
            assert!(files(text).unwrap_err().contains("not a list"), "{text}");
        }
        assert!(files("a=/x,a=/y").unwrap_err().contains("twice"));
    }
}
