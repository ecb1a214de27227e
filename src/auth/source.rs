//! Where keys and password files stand, as Java's `AuthTokenUtils.readKeyFromUrl` takes it: `file:` or a path (bytes as
//! they are), `data:` (RFC 2397), or bare base64. Read once, at the start.
//!
//! Unlike in Java what begins with `/` is a path, also where nothing is there: its letters are those of base64, and the
//! path of a mount that is missing would become the secret.

use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

/// The largest file: thousands of users, or any key.
const BYTES_MAX: u64 = 1024 * 1024;

/// No key is shorter: that of HS256, the shortest, has as many.
const KEY_BYTES_MIN: usize = 32;

/// Bytes that are secret, or may be.
pub type SecretBytes = Zeroizing<Vec<u8>>;

/// # Errors
/// Why there is nothing to read, in words that complete a sentence and hold nothing of the value.
pub fn read(place: &str) -> Result<SecretBytes, String> {
    let place = place.trim();
    if let Some(data) = place.strip_prefix("data:") {
        return data_url(data);
    }
    if let Some(path) = place.strip_prefix("file:") {
        let path = match path.strip_prefix("//") {
            // What stands between is a host, which can only be this one.
            Some(rest) => rest.find('/').map_or(rest, |root| &rest[root..]),
            None => path,
        };
        return file(Path::new(&*percent_decoded(path)?));
    }
    if place.starts_with('/') || Path::new(place).exists() {
        let may_be_key = || base64(place).is_some_and(|bytes| bytes.len() >= KEY_BYTES_MIN);
        return file(Path::new(place)).map_err(|why| {
            match place.starts_with('/') && may_be_key() {
                true => format!("{why} (base64 that begins with / is written as data:;base64,/…)"),
                false => why,
            }
        });
    }
    base64(place).ok_or_else(|| "is neither a file that is there, nor base64".to_owned())
}

/// Its bytes, of a bounded number.
pub fn file(path: &Path) -> Result<SecretBytes, String> {
    let fail = |error: std::io::Error| format!("names a file that cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(fail)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    match bytes.len() as u64 > BYTES_MAX {
        true => Err(format!("names a file of more than {BYTES_MAX} bytes")),
        false => Ok(bytes),
    }
}

/// What follows `data:`: `[media type][;charset=…][;base64],data`.
fn data_url(url: &str) -> Result<SecretBytes, String> {
    let (head, data) = url
        .split_once(',')
        .filter(|(_, data)| !data.is_empty())
        .ok_or("is a data: URL without data behind a comma")?;
    let data = percent_decoded(data)?;
    match head.rsplit(';').next() == Some("base64") {
        true => base64(&data).ok_or_else(|| "is a data: URL with bad base64".to_owned()),
        false => Ok(Zeroizing::new(data.as_bytes().to_vec())),
    }
}

fn percent_decoded(text: &str) -> Result<Zeroizing<String>, String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| "has percent escapes that are no UTF-8")?;
    Ok(Zeroizing::new(decoded.into_owned()))
}

/// With padding or without, and white space between, which files bring along.
fn base64(text: &str) -> Option<SecretBytes> {
    let bytes = base64_simd::forgiving_decode_to_vec(text.as_bytes()).ok()?;
    (!bytes.is_empty()).then(|| Zeroizing::new(bytes))
}
