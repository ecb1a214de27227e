//! Beside the Java client's `MessageCryptoBc`: `java.txt` has what it made of the text "a secret" with each of the
//! public keys in `keys`: the key's name, the encrypted data key, the vector, the encrypted payload. The keys are made
//! with OpenSSL for these tests alone; `secp521r1` as Pulsar's guide says, the others in the other formats it reads.

mod hostile;
mod opening;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{DataKey, PrivateKey, PublicKey, Sealing, Unsealed};
use crate::pulsar::message::Encryption;

macro_rules! keys {
    ($($name:literal),*) => {
        [$((
            $name,
            include_str!(concat!("keys/", $name, ".public.pem")),
            include_str!(concat!("keys/", $name, ".private.pem")),
        )),*]
    };
}

/// Name, public, private.
const KEYS: [(&str, &str, &str); 8] = keys![
    "rsa",
    "rsa-pkcs1",
    "rsa-certificate",
    "prime256v1",
    "secp384r1",
    "secp384r1-explicit",
    "secp521r1",
    "secp256k1"
];

const TEXT: &[u8] = b"a secret";

fn private(name: &str) -> PrivateKey {
    let (_, _, pem) = KEYS.iter().find(|(found, ..)| *found == name).unwrap();
    PrivateKey::from_pem(pem).unwrap()
}

fn public(name: &str) -> PublicKey {
    let (_, pem, _) = KEYS.iter().find(|(found, ..)| *found == name).unwrap();
    PublicKey::from_pem(pem).unwrap()
}

/// Name, encrypted data key, vector, encrypted payload.
fn javas() -> impl Iterator<Item = (&'static str, [Vec<u8>; 3])> {
    include_str!("java.txt").lines().map(|line| {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        (name, [(); 3].map(|()| hex(words.next().unwrap())))
    })
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

/// An entry's encryption, and its payload.
fn sealed(sealing: &Sealing, text: &[u8]) -> ([u8; 12], Bytes) {
    let mut payload = BytesMut::from(text);
    let iv = sealing.encrypt(&mut payload).unwrap();
    (iv, payload.freeze())
}

/// The encrypted data keys, by name, as metadata carries them.
fn metadata_of(sealing: &Sealing, iv: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    for key in sealing.keys().iter() {
        out.extend_from_slice(&[13 << 3 | 2]);
        crate::pulsar::wire::varint::put_varint(&mut out, key.len() as u64);
        out.extend_from_slice(key);
    }
    out.extend_from_slice(&[15 << 3 | 2, iv.len() as u8]);
    out.extend_from_slice(iv);
    out.freeze()
}

#[test]
#[cfg_attr(miri, ignore = "RSA and curves are slow there")]
fn what_java_encrypts_is_decrypted_in_every_format_of_keys() {
    let mut seen = 0;
    for (name, [value, iv, payload]) in javas() {
        let data_key = private(name).decrypt(&value).expect(name);
        let data_key = DataKey::new(&data_key).unwrap();
        assert_eq!(data_key.decrypt(&iv, &payload).unwrap(), TEXT, "{name}");
        seen += 1;
    }
    assert_eq!(seen, KEYS.len());
}

#[test]
#[cfg_attr(miri, ignore = "RSA and curves are slow there")]
fn what_is_encrypted_here_is_decrypted_by_everybody_it_is_for() {
    let readers = KEYS.map(|(name, ..)| (name, public(name)));
    let mut unsealed = Unsealed::new().unwrap();
    for (name, key) in &readers {
        unsealed.add(name, key).unwrap();
    }
    let sealing = unsealed.seal();
    let (iv, payload) = sealed(&sealing, TEXT);
    let metadata = metadata_of(&sealing, &iv);
    let encryption = Encryption::of(&metadata);
    assert_eq!(encryption.keys.len(), KEYS.len());
    for key in encryption.keys {
        let data_key = private(&key.name).decrypt(key.value).unwrap();
        let data_key = DataKey::new(&data_key).unwrap();
        assert_eq!(data_key.decrypt(encryption.param, &payload).unwrap(), TEXT);
    }
}

#[test]
#[cfg_attr(miri, ignore = "RSA and curves are slow there")]
fn another_key_of_the_same_kind_decrypts_nothing() {
    for (name, [value, ..]) in javas() {
        for (other, ..) in KEYS {
            let is_same = other == name || (name.starts_with("rsa") && other.starts_with("rsa"));
            assert_eq!(
                private(other).decrypt(&value).is_some(),
                is_same,
                "{name} {other}"
            );
        }
    }
}

#[test]
fn no_vector_comes_twice_and_the_tag_is_behind_the_payload() {
    let sealing = Unsealed::new().unwrap().seal();
    let (first, one) = sealed(&sealing, TEXT);
    let (second, other) = sealed(&sealing, TEXT);
    assert_ne!(first, second);
    assert_ne!(one, other);
    assert_eq!(one.len(), TEXT.len() + 16);
    assert_eq!(sealed(&sealing, b"").1.len(), 16);
}

/// `Arc`, because that is how everybody holds one.
fn data_key() -> (Arc<DataKey>, Vec<u8>) {
    let (key, bytes) = DataKey::generate().unwrap();
    (Arc::new(key), bytes.to_vec())
}
