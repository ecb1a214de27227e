//! crypt(3) of old: a password of up to 8 characters as the key of a DES that a salt of 12 bits has bent, 25 times over
//! nothing. `htpasswd -d` still writes it, and Java's gateway takes it. The tables are those of FIPS 46-3.
//!
//! Bit by bit, as the standard has it: it runs off the shards, and seldom.

/// The alphabet of crypt(3).
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Two characters of salt, eleven of hash.
const HASH_CHARS: usize = 13;

const ITERATIONS: usize = 25;

pub fn is_hash(text: &str) -> bool {
    text.len() == HASH_CHARS && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// The hash of a password with the salt of another hash.
pub fn crypt(password: &[u8], hash: &str) -> Option<String> {
    if !is_hash(hash) {
        return None;
    }
    let salt = &hash.as_bytes()[..2];
    let value = |byte| ALPHABET.iter().position(|it| *it == byte).unwrap_or(0);
    let salt_bits = value(salt[0]) | value(salt[1]) << 6;
    let keys = round_keys(password);
    let mut block = [0; 64];
    for _ in 0..ITERATIONS {
        block = encrypt(&block, &keys, salt_bits);
    }
    let mut text = hash[..2].to_owned();
    for six in 0..11 {
        // The last group has four bits and two zeros.
        let bit = |at: usize| usize::from(block.get(six * 6 + at).copied().unwrap_or(0));
        let index = (0..6).fold(0, |index, at| index << 1 | bit(at));
        text.push(char::from(ALPHABET[index]));
    }
    Some(text)
}

/// One bit a byte, as the tables count them.
type Bits<const N: usize> = [u8; N];

fn permute<const N: usize>(bits: &[u8], table: &[u8; N]) -> Bits<N> {
    table.map(|from| bits[usize::from(from) - 1])
}

fn round_keys(password: &[u8]) -> [Bits<48>; 16] {
    let mut key = [0; 64];
    for (byte, bits) in password.iter().take(8).zip(key.chunks_mut(8)) {
        // Seven bits of a character count, the eighth is DES's parity.
        for (at, bit) in bits.iter_mut().take(7).enumerate() {
            *bit = byte >> (6 - at) & 1;
        }
    }
    let mut halves = permute(&key, &PC1);
    std::array::from_fn(|round| {
        let (left, right) = halves.split_at_mut(28);
        left.rotate_left(SHIFTS[round]);
        right.rotate_left(SHIFTS[round]);
        permute(&halves, &PC2)
    })
}

fn encrypt(block: &Bits<64>, keys: &[Bits<48>; 16], salt_bits: usize) -> Bits<64> {
    let block = permute(block, &IP);
    let mut left: Bits<32> = std::array::from_fn(|at| block[at]);
    let mut right: Bits<32> = std::array::from_fn(|at| block[32 + at]);
    for key in keys {
        let mixed = round(&right, key, salt_bits);
        let next = std::array::from_fn(|at| left[at] ^ mixed[at]);
        left = std::mem::replace(&mut right, next);
    }
    // The halves change places once more, FIPS 46-3's "preoutput".
    let joined: Bits<64> =
        std::array::from_fn(|at| if at < 32 { right[at] } else { left[at - 32] });
    permute(&joined, &FP)
}

fn round(right: &Bits<32>, key: &Bits<48>, salt_bits: usize) -> Bits<32> {
    let mut expanded = permute(right, &E);
    // Each bit of the salt swaps two bits of the expansion: what makes this no DES that hardware could do.
    for at in 0..12 {
        if salt_bits >> at & 1 == 1 {
            expanded.swap(at, at + 24);
        }
    }
    let mut chosen = [0; 32];
    for (group, s) in S.iter().enumerate() {
        let bit = |at: usize| usize::from(expanded[group * 6 + at] ^ key[group * 6 + at]);
        let row = bit(0) << 1 | bit(5);
        let column = bit(1) << 3 | bit(2) << 2 | bit(3) << 1 | bit(4);
        let value = s[row * 16 + column];
        for at in 0..4 {
            chosen[group * 4 + at] = value >> (3 - at) & 1;
        }
    }
    permute(&chosen, &P)
}

const SHIFTS: [usize; 16] = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];

#[rustfmt::skip]
const IP: [u8; 64] = [
    58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4,
    62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
    57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3,
    61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
];

#[rustfmt::skip]
const FP: [u8; 64] = [
    40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31,
    38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45, 13, 53, 21, 61, 29,
    36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27,
    34, 2, 42, 10, 50, 18, 58, 26, 33, 1, 41, 9, 49, 17, 57, 25,
];

#[rustfmt::skip]
const E: [u8; 48] = [
    32, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11,
    12, 13, 12, 13, 14, 15, 16, 17, 16, 17, 18, 19, 20, 21, 20, 21,
    22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1,
];

#[rustfmt::skip]
const P: [u8; 32] = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10,
    2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
];

#[rustfmt::skip]
const PC1: [u8; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2,
    59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55, 47, 39,
    31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37,
    29, 21, 13, 5, 28, 20, 12, 4,
];

#[rustfmt::skip]
const PC2: [u8; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4,
    26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30, 40,
    51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];

#[rustfmt::skip]
const S: [[u8; 64]; 8] = [
    [
        14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7,
        0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5, 3, 8,
        4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0,
        15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14, 10, 0, 6, 13,
    ],
    [
        15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10,
        3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9, 11, 5,
        0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15,
        13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12, 0, 5, 14, 9,
    ],
    [
        10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8,
        13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11, 15, 1,
        13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7,
        1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12,
    ],
    [
        7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15,
        13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10, 14, 9,
        10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4,
        3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11, 12, 7, 2, 14,
    ],
    [
        2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9,
        14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9, 8, 6,
        4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14,
        11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9, 10, 4, 5, 3,
    ],
    [
        12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11,
        10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11, 3, 8,
        9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6,
        4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7, 6, 0, 8, 13,
    ],
    [
        4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1,
        13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15, 8, 6,
        1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2,
        6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15, 14, 2, 3, 12,
    ],
    [
        13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7,
        1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14, 9, 2,
        7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8,
        2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0, 3, 5, 6, 11,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Perl's `crypt`.
    #[test]
    fn hashes_are_those_of_the_c_library() {
        for (password, hash) in CRYPT {
            assert_eq!(crypt(password.as_bytes(), hash).as_deref(), Some(*hash));
        }
    }

    #[test]
    fn what_is_no_hash_is_not_compared_with() {
        for text in [
            "",
            "ab",
            "abJnggxhB/yW",
            "abJnggxhB/yWIx",
            "abJnggxhB/yW!",
            "é",
        ] {
            assert_eq!(crypt(b"password", text), None, "{text}");
        }
    }

    const CRYPT: &[(&str, &str)] = &[
        ("password", "abJnggxhB/yWI"),
        ("", "./Una9Fi.seRo"),
        ("a", "zZ/Dc0K.bMxrQ"),
        ("superpassword", "9.g2WV.DCKBj6"),
        ("p:w ö", "QxMiOwJIBli3w"),
    ];
}
