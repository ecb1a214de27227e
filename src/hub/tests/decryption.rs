//! Encrypted entries in a hub whose gateway has private keys.

use std::sync::Arc;

use ::prost::Message as _;
use ::pulsar::proto::{EncryptionKeys, MessageMetadata};
use bytes::BytesMut;

use super::*;
use crate::pulsar::CryptoFailureAction;
use crate::pulsar::crypto::DataKey;
use SubscriptionType::{Exclusive, Shared};

fn data_key() -> Arc<DataKey> {
    Arc::new(DataKey::new(&[3; 32]).unwrap())
}

/// [`entry`], encrypted with [`data_key`], which came encrypted to this value.
fn sealed(at: u64, batch: Option<i32>, value: &[u8]) -> Entry {
    let plain = entry(at, batch);
    let mut metadata = MessageMetadata::decode(plain.metadata).unwrap();
    metadata.encryption_keys.push(EncryptionKeys {
        key: "alice".to_owned(),
        value: value.to_vec(),
        metadata: Vec::new(),
    });
    metadata.encryption_param = Some(vec![9; 12]);
    let mut payload = BytesMut::from(plain.payload);
    assert!(data_key().encrypt(&[9; 12], &mut payload));
    Entry {
        metadata: metadata.encode_to_vec().into(),
        payload: payload.freeze(),
        ..plain
    }
}

fn opened(subscription_type: SubscriptionType, action: CryptoFailureAction) -> World {
    opened_with(subscription_type, action, 1000)
}

fn opened_with(
    subscription_type: SubscriptionType,
    action: CryptoFailureAction,
    ack_timeout_ms: u64,
) -> World {
    let spec = HubSpec {
        crypto_failure_action: action,
        ..hub_spec(subscription_type)
    };
    let limits = Limits {
        decrypts: true,
        ..LIMITS
    };
    let mut world = World {
        hub: Hub::new(spec, limits),
        now_ms: 0,
        out: Vec::new(),
    };
    world.open_with(MemberSpec {
        ack_timeout_ms,
        ..member_spec(subscription_type, 10)
    });
    world
}

impl World {
    /// The data keys that were asked for since last asked, by what they are encrypted to.
    fn wanted(&mut self) -> Vec<Vec<u8>> {
        self.take(|effect| match effect {
            Effect::WantDataKey(sealed) => {
                assert_eq!(sealed.name, "alice");
                Some(sealed.value.to_vec())
            }
            _ => None,
        })
    }

    fn key_is(&mut self, key: Option<Arc<DataKey>>) {
        self.hub.data_key(self.now_ms, key, &mut self.out);
    }
}

#[test]
fn an_entry_waits_for_its_data_key_and_nothing_overtakes_it() {
    let mut world = opened(Shared, CryptoFailureAction::Fail);
    world.upstream(Upstream::Entry(sealed(0, None, b"k")));
    world.upstream(Upstream::Entry(sealed(1, None, b"k")));
    world.entries(2..3);
    assert_eq!(world.delivered_entries(), Vec::<u64>::new());
    assert_eq!(world.wanted(), [b"k"], "once");
    world.key_is(Some(data_key()));
    assert_eq!(world.delivered_entries(), vec![0, 1, 2]);
    // It is kept.
    world.upstream(Upstream::Entry(sealed(3, None, b"k")));
    assert_eq!(world.delivered_entries(), vec![3]);
    assert!(world.wanted().is_empty());
    for at in 0..4 {
        world.command(1, Command::Ack(id(at)));
    }
    world.acks();
    assert_eq!(world.hub.retained_bytes(), 0);
}

#[test]
fn a_decrypted_batch_is_taken_apart_and_its_messages_say_how_it_was_encrypted() {
    let mut world = opened(Shared, CryptoFailureAction::Consume);
    world.upstream(Upstream::Entry(sealed(0, Some(3), b"k")));
    world.key_is(Some(data_key()));
    let messages = world.take(|effect| match effect {
        Effect::Deliver { messages, .. } => Some(messages.clone()),
        _ => None,
    });
    let messages: Vec<_> = messages.into_iter().flatten().collect();
    assert_eq!(messages.len(), 3);
    for message in &messages {
        assert_eq!(&message.payload[..], b"x");
        let encryption = message.encryption();
        assert_eq!(encryption.keys[0].name, "alice");
        assert_eq!(encryption.batch_size, Some(3));
    }
}

#[test]
fn what_nobody_here_can_decrypt_is_discarded_or_consumed_as_it_is() {
    let mut world = opened(Shared, CryptoFailureAction::Discard);
    world.upstream(Upstream::Entry(sealed(0, Some(3), b"of others")));
    world.key_is(None);
    assert_eq!(world.acks(), vec![(0, vec![])]);

    let mut world = opened(Shared, CryptoFailureAction::Consume);
    world.upstream(Upstream::Entry(sealed(0, Some(3), b"of others")));
    world.key_is(None);
    // Another data key than the one it was encrypted with.
    world.upstream(Upstream::Entry(sealed(1, None, b"damaged")));
    world.key_is(Some(Arc::new(DataKey::new(&[4; 32]).unwrap())));
    assert_eq!(world.delivered(), vec![(1, 0, -1, 0), (1, 1, -1, 0)]);
}

#[test]
fn what_fails_is_asked_for_again_after_the_ack_timeout() {
    let mut world = opened(Shared, CryptoFailureAction::Fail);
    world.upstream(Upstream::Entry(sealed(0, None, b"k")));
    world.key_is(None);
    world.entries(1..2);
    assert_eq!(world.delivered_entries(), vec![1]);
    world.command(1, Command::Ack(id(1)));
    assert_eq!(world.acks(), vec![(1, vec![])]);
    assert_eq!(world.hub.stats().unreadable, 1);
    world.wait(1000);
    assert_eq!(world.redelivers(), vec![vec![0]]);
    // Meanwhile somebody has put the private key in its place.
    world.wanted();
    world.wait(5000);
    world.upstream(Upstream::Entry(sealed(0, None, b"k")));
    assert_eq!(world.wanted(), [b"k"]);
    world.key_is(Some(data_key()));
    assert_eq!(world.delivered_entries(), vec![0]);
}

#[test]
fn where_all_is_redelivered_a_failed_entry_makes_the_broker_rewind() {
    let mut world = opened(Exclusive, CryptoFailureAction::Fail);
    world.upstream(Upstream::Entry(sealed(0, None, b"k")));
    world.key_is(None);
    world.wait(1000);
    assert_eq!(world.redelivers(), vec![Vec::<u64>::new()]);
}

/// It was taken from its member, and asked for at the broker, when the time of its failure was over.
#[test]
fn what_could_be_decrypted_in_the_end_is_its_members_own() {
    let mut world = opened_with(Shared, CryptoFailureAction::Fail, 10_000);
    let one = || Upstream::Entry(sealed(0, None, b"k"));
    world.upstream(one());
    world.wanted();
    world.key_is(None);
    assert!(world.delivered().is_empty());
    world.wait(6_000);
    world.lose(true);
    world.upstream(one());
    world.wanted();
    world.key_is(Some(data_key()));
    assert_eq!(world.delivered_entries(), [0]);
    world.wait(5_000);
    assert!(world.redelivers().is_empty());
    world.wait(5_000);
    assert_eq!(world.redelivers(), [[0]]);
}

/// It was taken for that of the first question of the new subscription.
#[test]
fn an_answer_that_comes_after_unsubscribing_is_of_the_key_that_was_asked_for() {
    let mut world = opened(Shared, CryptoFailureAction::Fail);
    world.upstream(Upstream::Entry(sealed(0, None, b"of another")));
    assert_eq!(world.wanted(), [b"of another"]);
    world.command(1, Command::Unsubscribe);
    world.join(2, member_spec(Shared, 5));
    let result = Ok(());
    world.upstream(Upstream::Unsubscribed { tag: 1, result });
    world.hub.partitions(0, TOPIC, Ok(0), &mut world.out);
    world.upstream(Upstream::Ready);
    world.upstream(Upstream::Entry(sealed(1, None, b"k")));
    world.key_is(Some(Arc::new(DataKey::new(&[4; 32]).unwrap())));
    assert_eq!(world.wanted(), [b"k"]);
    world.key_is(Some(data_key()));
    assert_eq!(world.delivered_entries(), [1]);
}

#[test]
fn what_nobody_here_can_decrypt_is_told_once_a_turn_with_the_name_of_its_key() {
    use CryptoFailureAction::{Consume, Discard, Fail};
    for (action, entries) in [(Fail, vec![2, 1]), (Discard, vec![2, 1]), (Consume, vec![])] {
        let mut world = opened(Shared, action);
        for at in 0..2 {
            world.upstream(Upstream::Entry(sealed(at, None, b"of others")));
        }
        world.key_is(None);
        world.upstream(Upstream::Entry(sealed(2, None, b"of others")));
        let told = world.take(|effect| match effect {
            Effect::Undecryptable(noted) => {
                assert_eq!((&*noted.topic, &*noted.key), (TOPIC, "alice"));
                Some(noted.entries)
            }
            _ => None,
        });
        assert_eq!(told, entries, "{action:?}");
    }
}
