//! PEM (RFC 7468): the blocks of a file, by their labels.

use zeroize::Zeroizing;

/// One block.
pub struct Block<'a> {
    /// `PUBLIC KEY` of `-----BEGIN PUBLIC KEY-----`.
    pub label: &'a str,
    pub der: Zeroizing<Vec<u8>>,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The well-formed blocks of a file, in order; what stands between them does not count.
pub fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = label(line, BEGIN) else {
            continue;
        };
        let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
        let end = lines.by_ref().find(|line| {
            let ends = line.starts_with(END);
            if !ends {
                base64.push_str(line);
            }
            ends
        });
        let is_whole = end.is_some_and(|end| self::label(end, END) == Some(label));
        if let (true, Ok(der)) = (is_whole, base64_simd::STANDARD.decode_to_vec(&*base64)) {
            blocks.push(Block {
                label,
                der: Zeroizing::new(der),
            });
        }
    }
    blocks
}

fn label<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    line.strip_prefix(prefix)?.strip_suffix(DASHES)
}
