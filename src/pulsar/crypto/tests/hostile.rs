//! Broken keys and broken ciphertexts: reasons, never panics.

use super::super::{DataKey, KeyError, PrivateKey, PublicKey};
use super::{KEYS, javas, private};

#[test]
#[cfg_attr(miri, ignore = "RSA and curves are slow there")]
fn a_file_that_is_no_key_says_what_is_wrong() {
    let (_, rsa_public, rsa_private) = KEYS[0];
    assert_eq!(PublicKey::from_pem("").unwrap_err(), KeyError::NoPublicKey);
    assert_eq!(
        PublicKey::from_pem(rsa_private).unwrap_err(),
        KeyError::NoPublicKey
    );
    assert_eq!(
        PrivateKey::from_pem(rsa_public).unwrap_err(),
        KeyError::NoPrivateKey
    );
    let cut = rsa_public.replace("-----END PUBLIC KEY-----", "");
    assert_eq!(
        PublicKey::from_pem(&cut).unwrap_err(),
        KeyError::NoPublicKey
    );
    let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    assert_eq!(
        PublicKey::from_pem(ed25519).unwrap_err(),
        KeyError::Algorithm
    );
    let text = KeyError::NoPrivateKey.to_string();
    assert!(text.contains("without a password"), "{text}");
}

#[test]
#[cfg_attr(miri, ignore = "RSA and curves are slow there")]
fn keys_that_are_broken_anywhere_are_refused_or_read() {
    for (_, public, private) in KEYS {
        for place in (0..public.len()).step_by(97) {
            let _ = PublicKey::from_pem(&flipped(public, place));
        }
        for place in (0..private.len()).step_by(211) {
            let _ = PrivateKey::from_pem(&flipped(private, place));
        }
    }
}

fn flipped(text: &str, place: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "RSA and curves are slow there")]
fn what_is_broken_is_not_decrypted() {
    for (name, [value, iv, payload]) in javas() {
        let key = private(name);
        for len in [0, 1, value.len() / 2, value.len() - 1] {
            assert!(key.decrypt(&value[..len]).is_none(), "{name} {len}");
        }
        // The point, the text, the MAC.
        for place in [1, value.len() - 30, value.len() - 1] {
            let mut broken = value.clone();
            broken[place] ^= 1;
            assert!(key.decrypt(&broken).is_none(), "{name} {place}");
        }
        let data_key = DataKey::new(&key.decrypt(&value).unwrap()).unwrap();
        let mut broken = payload.clone();
        broken[0] ^= 1;
        assert!(data_key.decrypt(&iv, &broken).is_none());
        assert!(data_key.decrypt(&iv, &payload[..15]).is_none());
        assert!(data_key.decrypt(&iv[1..], &payload).is_none());
        assert!(data_key.decrypt(&[], &payload).is_none());
    }
}

#[test]
fn keys_do_not_show_in_debug_output() {
    let key = DataKey::new(&[7; 32]).unwrap();
    assert_eq!(format!("{key:?}"), "DataKey");
    assert!(DataKey::new(&[7; 31]).is_none());
}
