//! JSON strings for output, escaped as Jackson does by default.

/// Appends `text` in quotes. Escaped are `"`, `\` and control characters only; `/` and non-ASCII stay as they are.
pub fn append_string(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.extend_from_slice(b"\"");
    loop {
        let clean = super::string::clean_prefix(rest);
        out.extend_from_slice(&rest[..clean]);
        let Some(special) = rest.get(clean) else {
            break;
        };
        append_escape(*special, out);
        rest = &rest[clean + 1..];
    }
    out.extend_from_slice(b"\"");
}

fn append_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let short = match byte {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        0x08 => b"\\b",
        b'\t' => b"\\t",
        b'\n' => b"\\n",
        0x0c => b"\\f",
        b'\r' => b"\\r",
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    out.extend_from_slice(short);
}
