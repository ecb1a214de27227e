//! The thread that has the private keys: it decrypts data keys for consumers and makes them for producers.
//!
//! An operation with a key takes milliseconds, and a publisher can make every one of its messages ask for one: on a
//! thread of its own that delays encrypted topics, and nothing else. The shards hold data keys only.
//!
//! One operation at a time, of consumers and producers in turn, and of each producer in turn: neither many messages with
//! data keys of their own nor a producer for a hundred readers keep the others waiting until they are done.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::thread;

use super::key_files::{KeyFiles, Version};
use crate::config::CryptoKeys;
use crate::pulsar::crypto::{DataKey, SealedDataKey, Sealing, Unsealed};

/// Data keys kept for other hubs of the same topics (on Key_Shared each member has one), and as many that are not ours. A
/// kilobyte each.
const KEPT_MAX: usize = 4096;

/// Asks the thread; the thread ends with the last of these.
#[derive(Clone)]
pub struct KeyKeeper(flume::Sender<Question>);

enum Question {
    DataKey(Locked),
    Sealing(Order),
}

/// A data key that is to be decrypted.
struct Locked {
    sealed: SealedDataKey,
    answer: flume::Sender<Option<Arc<DataKey>>>,
}

/// A data key that is to be made.
struct Order {
    /// Of the readers who are still to be added.
    names: std::vec::IntoIter<String>,
    /// For those who have been. None: nothing has been done.
    unsealed: Option<Unsealed>,
    answer: flume::Sender<Result<Sealing, String>>,
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
        let keeper = Keeper::new(files);
        let builder = thread::Builder::new().name("key-keeper".into());
        builder.spawn(move || keeper.serve(&questions))?;
        Ok(Some(KeyKeeper(sender)))
    }

    /// None: it is for others.
    pub async fn data_key(&self, sealed: SealedDataKey) -> Option<Arc<DataKey>> {
        let (answer, answered) = flume::bounded(1);
        let question = Question::DataKey(Locked { sealed, answer });
        self.0.send(question).ok()?;
        answered.recv_async().await.ok()?
    }

    /// A new data key for the owners of these keys.
    ///
    /// # Errors
    /// Which key there is not, and why.
    pub async fn sealing(&self, names: Vec<String>) -> Result<Sealing, String> {
        let (answer, answered) = flume::bounded(1);
        let question = Question::Sealing(Order {
            names: names.into_iter(),
            unsealed: None,
            answer,
        });
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
    /// Good for as long as the private key is the same.
    data_keys: HashMap<SealedDataKey, (Version, Arc<DataKey>)>,
    /// Those that it does not decrypt.
    refused: HashMap<SealedDataKey, Version>,
    locked: VecDeque<Locked>,
    orders: VecDeque<Order>,
}

impl Keeper {
    fn new(files: KeyFiles) -> Keeper {
        Keeper {
            files,
            data_keys: HashMap::new(),
            refused: HashMap::new(),
            locked: VecDeque::new(),
            orders: VecDeque::new(),
        }
    }

    fn serve(mut self, questions: &flume::Receiver<Question>) {
        // It waits where it has nothing to do.
        while let Ok(first) = questions.recv() {
            self.queue(first);
            while !self.locked.is_empty() || !self.orders.is_empty() {
                self.turn();
                questions.drain().for_each(|question| self.queue(question));
            }
        }
    }

    fn queue(&mut self, question: Question) {
        match question {
            Question::DataKey(locked) => self.locked.push_back(locked),
            Question::Sealing(order) => self.orders.push_back(order),
        }
    }

    /// An operation for a consumer, and one for a producer.
    fn turn(&mut self) {
        // What is known costs nothing.
        while let Some(Locked { sealed, answer }) = self.locked.pop_front() {
            // Nobody may wait any more.
            if answer.is_disconnected() {
                continue;
            }
            let known = self.known(&sealed);
            let is_known = known.is_some();
            let _ = answer.send(known.unwrap_or_else(|| self.decrypt(sealed)));
            if !is_known {
                break;
            }
        }
        if let Some(mut order) = self.orders.pop_front()
            && !order.answer.is_disconnected()
        {
            match self.seal_further(&mut order) {
                Ok(None) => self.orders.push_back(order),
                Ok(Some(sealing)) => drop(order.answer.send(Ok(sealing))),
                Err(why) => drop(order.answer.send(Err(why))),
            }
        }
    }

    /// The answer that is known.
    fn known(&self, sealed: &SealedDataKey) -> Option<Option<Arc<DataKey>>> {
        let (version, key) = match self.data_keys.get(sealed) {
            Some((version, key)) => (version, Some(key)),
            None => (self.refused.get(sealed)?, None),
        };
        let now = self.files.private_version(&sealed.name).ok()?;
        (now == *version).then(|| key.cloned())
    }

    fn decrypt(&mut self, sealed: SealedDataKey) -> Option<Arc<DataKey>> {
        // Before it is read: what changes in between is read again.
        let version = self.files.private_version(&sealed.name);
        let private = version.and_then(|version| Ok((version, self.files.private(&sealed.name)?)));
        let (version, private) = match private {
            Ok(private) => private,
            Err(why) => {
                tracing::debug!(name = sealed.name, %why, "no private key");
                self.data_keys.remove(&sealed);
                return None;
            }
        };
        let key = private.decrypt(&sealed.value);
        let Some(key) = key.and_then(|key| DataKey::new(&key)) else {
            self.data_keys.remove(&sealed);
            if self.refused.len() >= KEPT_MAX {
                self.refused.clear();
            }
            self.refused.insert(sealed, version);
            return None;
        };
        let key = Arc::new(key);
        if self.data_keys.len() >= KEPT_MAX {
            // Whoever still needs one asks again.
            self.data_keys.clear();
        }
        self.data_keys.insert(sealed, (version, key.clone()));
        Some(key)
    }

    /// Adds one reader. None: there are more.
    fn seal_further(&self, order: &mut Order) -> Result<Option<Sealing>, String> {
        let mut unsealed = match order.unsealed.take() {
            Some(unsealed) => unsealed,
            None => Unsealed::new().map_err(|why| why.to_string())?,
        };
        if let Some(name) = order.names.next() {
            let key = self.files.public(&name);
            let key = key.map_err(|why| format!("Failed to load public key {name}: {why}"))?;
            let added = unsealed.add(&name, &key);
            added.map_err(|why| why.to_string())?;
        }
        if order.names.len() == 0 {
            return Ok(Some(unsealed.seal()));
        }
        order.unsealed = Some(unsealed);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST_KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pulsar/crypto/tests/keys");

    fn keeper_of(directory: &str) -> Keeper {
        let directory = Some(directory.into());
        let keys = CryptoKeys {
            directory,
            ..CryptoKeys::default()
        };
        Keeper::new(KeyFiles::new(keys).unwrap())
    }

    impl Keeper {
        fn order(&mut self, names: &[&str]) -> flume::Receiver<Result<Sealing, String>> {
            let (answer, answered) = flume::bounded(1);
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            self.queue(Question::Sealing(Order {
                names: names.into_iter(),
                unsealed: None,
                answer,
            }));
            answered
        }

        fn ask(&mut self, sealed: &SealedDataKey) -> flume::Receiver<Option<Arc<DataKey>>> {
            let (answer, answered) = flume::bounded(1);
            let sealed = sealed.clone();
            self.queue(Question::DataKey(Locked { sealed, answer }));
            answered
        }
    }

    /// A new data key for the owner of `rsa`.
    fn sealed() -> SealedDataKey {
        let public = std::fs::read_to_string(format!("{TEST_KEYS}/rsa.public.pem")).unwrap();
        let public = crate::pulsar::crypto::PublicKey::from_pem(&public).unwrap();
        SealedDataKey {
            name: "rsa".to_owned(),
            value: public.encrypt(&[7; 32]).unwrap()[..].into(),
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn who_asks_for_much_does_not_keep_others_waiting() {
        let mut keeper = keeper_of(TEST_KEYS);
        let much = keeper.order(&["rsa"; 100]);
        let little = keeper.order(&["rsa"]);
        let known = sealed();
        let many: Vec<_> = (0..10).map(|_| keeper.ask(&sealed())).collect();
        keeper.turn();
        assert!(many[0].try_recv().unwrap().is_some());
        keeper.turn();
        assert!(little.try_recv().unwrap().is_ok());
        assert!(many[1].try_recv().unwrap().is_some() && many[2].is_empty());
        assert!(much.is_empty());
        for _ in 2..=100 {
            keeper.turn();
        }
        assert_eq!(much.try_recv().unwrap().unwrap().keys().len(), 100);
        // What is known waits for nothing, however many ask for it.
        let _much = keeper.order(&["rsa"; 100]);
        let first = keeper.ask(&known);
        let rest: Vec<_> = (0..10).map(|_| keeper.ask(&known)).collect();
        keeper.turn();
        assert!(first.try_recv().unwrap().is_some());
        keeper.turn();
        assert!(
            rest.iter()
                .all(|answered| answered.try_recv().unwrap().is_some())
        );
    }

    /// Every hub of the topic asks.
    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn what_is_for_others_is_decrypted_once_as_well() {
        let mut keeper = keeper_of(TEST_KEYS);
        let mut broken = sealed();
        broken.value[0] ^= 1;
        let asked: Vec<_> = (0..10).map(|_| keeper.ask(&broken)).collect();
        keeper.turn();
        assert!(asked[0].try_recv().unwrap().is_none() && asked[1].is_empty());
        keeper.turn();
        assert!(
            asked[1..]
                .iter()
                .all(|answered| answered.try_recv().unwrap().is_none())
        );
    }

    #[test]
    #[cfg_attr(miri, ignore = "writes files")]
    fn a_private_key_that_is_taken_away_decrypts_nothing_more() {
        let folder = std::env::temp_dir().join(format!("pws-fast-keeper-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("rsa.private.pem");
        std::fs::copy(format!("{TEST_KEYS}/rsa.private.pem"), &file).unwrap();
        let mut keeper = keeper_of(folder.to_str().unwrap());
        let sealed = sealed();
        let mut opened = || {
            let answered = keeper.ask(&sealed);
            keeper.turn();
            answered.try_recv().unwrap().is_some()
        };
        assert!(opened() && opened());
        std::fs::remove_file(&file).unwrap();
        assert!(!opened());
        // A different key under the same name does not decrypt either.
        std::fs::copy(format!("{TEST_KEYS}/prime256v1.private.pem"), &file).unwrap();
        let is_same = opened();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(!is_same);
    }
}
