//! Consumer sockets → client: `encryptionContext` (`EncryptionContext.java`), with which a client that has the keys
//! decrypts the payload itself.

use std::collections::HashMap;

use super::delivery::append_properties;
use super::json::escape::append_string;
use super::property_order;
use super::response::append_base64;
use crate::pulsar::message::{Encryption, EncryptionKey};

/// By the numbers of `CompressionType`.
const COMPRESSION_TYPES: [&str; 5] = ["NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"];

/// Appends `{"keys":{…},"param":…,"algorithm":…,"compressionType":…,"uncompressedMessageSize":…,"batchSize":…}`:
/// the algorithm only when set, the batch size `null` outside a batch.
pub(super) fn append(encryption: &Encryption<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"keys\":{");
    append_keys(&encryption.keys, out);
    out.extend_from_slice(b"},\"param\":");
    append_base64(encryption.param, out);
    if let Some(algorithm) = &encryption.algorithm {
        out.extend_from_slice(b",\"algorithm\":");
        append_string(algorithm, out);
    }
    let compression = usize::try_from(encryption.compression).ok();
    let compression = compression.and_then(|number| COMPRESSION_TYPES.get(number));
    out.extend_from_slice(b",\"compressionType\":");
    append_string(compression.unwrap_or(&COMPRESSION_TYPES[0]), out);
    out.extend_from_slice(b",\"uncompressedMessageSize\":");
    // Java's int.
    let size = encryption.uncompressed_size as i32;
    out.extend_from_slice(size.to_string().as_bytes());
    out.extend_from_slice(b",\"batchSize\":");
    match encryption.batch_size {
        Some(size) => out.extend_from_slice(size.to_string().as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}");
}

/// In the order of Java's map. Of equal names, at which Java's consumer fails, the last one counts.
fn append_keys(keys: &[EncryptionKey<'_>], out: &mut Vec<u8>) {
    let names = keys.iter().map(|key| (key.name.clone(), "".into()));
    // Somebody may publish hundreds of thousands of them: their names are hashed with a secret.
    let last: HashMap<_, _> = keys.iter().map(|key| (&*key.name, key)).collect();
    for (place, (name, _)) in property_order::hash_map(names).iter().enumerate() {
        let Some(key) = last.get(&**name) else {
            continue;
        };
        if place > 0 {
            out.extend_from_slice(b",");
        }
        append_string(name, out);
        out.extend_from_slice(b":{\"keyValue\":");
        append_base64(key.value, out);
        out.extend_from_slice(b",\"metadata\":{");
        append_properties(key.metadata.clone(), false, out);
        out.extend_from_slice(b"}}");
    }
}
