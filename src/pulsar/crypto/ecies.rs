//! ECIES as BouncyCastle's `ECIES` with `IESParameterSpec(null, null, 128)`, which the Java client uses for EC keys:
//! an ephemeral point, the text XORed with a stream, a MAC. Of the derived bytes the MAC's key comes first.

use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use zeroize::{Zeroize, Zeroizing};

use super::curves::Curve;

const MAC_KEY_BYTES: usize = 16;
/// HMAC-SHA1.
const MAC_BYTES: usize = 20;

/// `[point, uncompressed][the text, encrypted][MAC]`. None: the point is not on the curve.
pub fn encrypt(curve: Curve, public: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let (point, shared) = curve.agree_anew(public)?;
    let keys = derive(&point, &shared, MAC_KEY_BYTES + text.len());
    let (mac_key, stream) = keys.split_at(MAC_KEY_BYTES);
    let mut out = point;
    let start = out.len();
    out.extend(text.iter().zip(stream).map(|(text, key)| text ^ key));
    let mac = mac(mac_key, &out[start..])?.finalize().into_bytes();
    out.extend_from_slice(&mac);
    Some(out)
}

/// None: it was not encrypted for this key, or is broken.
pub fn decrypt(curve: Curve, secret: &[u8], encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let point_bytes = curve.point_bytes(*encrypted.first()?)?;
    let (point, rest) = encrypted.split_at_checked(point_bytes)?;
    let (text, tag) = rest.split_at_checked(rest.len().checked_sub(MAC_BYTES)?)?;
    let shared = curve.agree(secret, point)?;
    let keys = derive(point, &shared, MAC_KEY_BYTES + text.len());
    let (mac_key, stream) = keys.split_at(MAC_KEY_BYTES);
    // In constant time.
    mac(mac_key, text)?.verify_slice(tag).ok()?;
    let plain = text.iter().zip(stream).map(|(text, key)| text ^ key);
    Some(Zeroizing::new(plain.collect()))
}

/// KDF2 of ISO 18033-2 with SHA-1.
fn derive(point: &[u8], shared: &[u8], len: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(len.next_multiple_of(MAC_BYTES)));
    for counter in 1_u32.. {
        if out.len() >= len {
            break;
        }
        let mut block = Sha1::new()
            .chain_update(point)
            .chain_update(shared)
            .chain_update(counter.to_be_bytes())
            .finalize();
        out.extend_from_slice(&block);
        block.zeroize();
    }
    out.truncate(len);
    out
}

/// Behind the text comes the length of an encoding vector that is not there.
fn mac(key: &[u8], text: &[u8]) -> Option<Hmac<Sha1>> {
    let mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    Some(mac.chain_update(text).chain_update(0_u64.to_be_bytes()))
}
