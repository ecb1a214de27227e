//! The thread that has the private keys: it decrypts data keys for consumers and makes them for producers.
//!
//! An operation with a key of 2048 bits takes about two milliseconds, and a publisher can make every one of its messages
//! ask for one: on a thread of its own that delays encrypted topics, and nothing else. The shards hold data keys only.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;

use super::key_files::KeyFiles;
use crate::config::CryptoKeys;
use crate::pulsar::crypto::{DataKey, SealedDataKey, Sealing};

/// Data keys kept for other hubs of the same topics (on Key_Shared each member has one). A kilobyte each.
const KEPT_MAX: usize = 4096;

/// Asks the thread; the thread ends with the last of these.
#[derive(Clone)]
pub struct KeyKeeper(flume::Sender<Question>);

enum Question {
    DataKey {
        sealed: SealedDataKey,
        answer: flume::Sender<Option<Arc<DataKey>>>,
    },
    Sealing {
        names: Vec<String>,
        answer: flume::Sender<Result<Sealing, String>>,
    },
}

impl KeyKeeper {
    /// Reads the key files and starts the thread. None: there are no keys.
    ///
    /// # Errors
    /// Files that are no keys.
    pub fn start(keys: &CryptoKeys) -> io::Result<Option<KeyKeeper>> {
        if keys.is_empty() {
            return Ok(None);
        }
        let files = KeyFiles::new(keys.clone())?;
        // Unbounded, because those who ask are: a hub and a producer socket have one question out at a time.
        let (sender, questions) = flume::unbounded();
        let keeper = Keeper {
            files,
            data_keys: HashMap::new(),
        };
        let builder = thread::Builder::new().name("key-keeper".into());
        builder.spawn(move || keeper.serve(&questions))?;
        Ok(Some(KeyKeeper(sender)))
    }

    /// None: it is for others.
    pub async fn data_key(&self, sealed: SealedDataKey) -> Option<Arc<DataKey>> {
        let (answer, answered) = flume::bounded(1);
        let question = Question::DataKey { sealed, answer };
        self.0.send(question).ok()?;
        answered.recv_async().await.ok()?
    }

    /// A new data key for the owners of these keys.
    ///
    /// # Errors
    /// Which key there is not, and why.
    pub async fn sealing(&self, names: Vec<String>) -> Result<Sealing, String> {
        let (answer, answered) = flume::bounded(1);
        let question = Question::Sealing { names, answer };
        let gone = |()| "the thread that has the keys has ended".to_owned();
        self.0.send(question).map_err(|_| gone(()))?;
        answered
            .recv_async()
            .await
            .unwrap_or_else(|_| Err(gone(())))
    }
}

struct Keeper {
    files: KeyFiles,
    data_keys: HashMap<SealedDataKey, Arc<DataKey>>,
}

impl Keeper {
    fn serve(mut self, questions: &flume::Receiver<Question>) {
        for question in questions {
            match question {
                // Nobody may wait any more.
                Question::DataKey { answer, .. } if answer.is_disconnected() => {}
                Question::DataKey { sealed, answer } => {
                    let _ = answer.send(self.data_key(sealed));
                }
                Question::Sealing { names, answer } => {
                    let _ = answer.send(self.sealing(&names));
                }
            }
        }
    }

    fn data_key(&mut self, sealed: SealedDataKey) -> Option<Arc<DataKey>> {
        if let Some(key) = self.data_keys.get(&sealed) {
            return Some(key.clone());
        }
        let private = self.files.private(&sealed.name);
        let key = match private {
            Ok(private) => private
                .decrypt(&sealed.value)
                .and_then(|key| DataKey::new(&key)),
            Err(why) => {
                tracing::debug!(name = sealed.name, %why, "no private key");
                None
            }
        };
        let key = Arc::new(key?);
        if self.data_keys.len() >= KEPT_MAX {
            // Whoever still needs one asks again.
            self.data_keys.clear();
        }
        self.data_keys.insert(sealed, key.clone());
        Some(key)
    }

    fn sealing(&self, names: &[String]) -> Result<Sealing, String> {
        let mut readers = Vec::with_capacity(names.len());
        for name in names {
            let key = self.files.public(name);
            let key = key.map_err(|why| format!("Failed to load public key {name}: {why}"))?;
            readers.push((name.as_str(), key));
        }
        Sealing::new(&readers).map_err(|why| why.to_string())
    }
}
