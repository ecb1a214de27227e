//! `$apr1$`: Apache's variant of the MD5 password hash of FreeBSD (`apr_md5_encode`). The only hash that there is for it.

use md5::{Digest, Md5};

const MAGIC: &str = "$apr1$";
/// More of a salt counts for nothing.
const SALT_CHARS_MAX: usize = 8;
/// How often the hash is hashed again.
const ROUNDS: usize = 1000;
/// The alphabet of crypt(3).
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The salt of a hash. None: it is none.
pub fn salt(hash: &str) -> Option<&str> {
    let (salt, rest) = hash.strip_prefix(MAGIC)?.split_once('$')?;
    (salt.len() <= SALT_CHARS_MAX && rest.len() == 22).then_some(salt)
}

/// The hash of a password with the salt of another hash.
pub fn apr1(password: &[u8], hash: &str) -> Option<String> {
    let salt = salt(hash)?;
    let inner = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize();
    let mut outer = Md5::new()
        .chain_update(password)
        .chain_update(MAGIC)
        .chain_update(salt);
    for part in password.chunks(inner.len()) {
        outer.update(&inner[..part.len()]);
    }
    let mut length = password.len();
    while length > 0 {
        match length & 1 {
            1 => outer.update([0]),
            _ => outer.update(&password[..1]),
        }
        length >>= 1;
    }
    let mut last = outer.finalize();
    for round in 0..ROUNDS {
        let mut again = Md5::new();
        match round % 2 {
            1 => again.update(password),
            _ => again.update(last),
        }
        if round % 3 != 0 {
            again.update(salt);
        }
        if round % 7 != 0 {
            again.update(password);
        }
        match round % 2 {
            1 => again.update(last),
            _ => again.update(password),
        }
        last = again.finalize();
    }
    let mut text = format!("{MAGIC}{salt}$");
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        let bits = u32::from(last[a]) << 16 | u32::from(last[b]) << 8 | u32::from(last[c]);
        append(&mut text, bits, 4);
    }
    append(&mut text, u32::from(last[11]), 2);
    Some(text)
}

/// So many characters of six bits, the lowest first.
fn append(text: &mut String, mut bits: u32, characters: usize) {
    for _ in 0..characters {
        text.push(char::from(ALPHABET[(bits & 63) as usize]));
        bits >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl passwd -apr1 -salt <salt> <password>`.
    #[test]
    fn hashes_are_those_of_openssl() {
        for (password, hash) in APR1 {
            assert_eq!(apr1(password.as_bytes(), hash).as_deref(), Some(*hash));
        }
        assert_eq!(salt("$apr1$123456789$aaaaaaaaaaaaaaaaaaaaaa"), None);
        assert_eq!(salt("$apr1$x"), None);
    }

    const APR1: &[(&str, &str)] = &[
        ("password", "$apr1$abcdefgh$FBwExRW4dCc8aL.OvjpIE1"),
        ("a", "$apr1$x$16j9.5e7KiXmuYFAYpPJM/"),
        (
            "p:w ö with more than sixteen bytes",
            "$apr1$12345678$ULLjSqaRyQ2FfPYgWGB2M/",
        ),
        ("sixteen-bytes-pw", "$apr1$s$Y.RGpw0ha6OKXP1HWn18j1"),
    ];
}
