//! Reads one request head out of whatever pieces it comes in.
//!
//! The parser is monoio-http's `RequestHeadDecoder` (httparse inside), given only heads that are complete: it looks for
//! the end from the start each time, knows no bound, takes an empty line in front for the end of the head, and lets a
//! bare LF end a line that its own search does not see. So the end, the bounds and the line ends are this file's
//! matter, looked at once per byte, and what cannot become a request is refused at the byte that shows it.

use std::mem;

use bytes::BytesMut;
use monoio_codec::{Decoded, Decoder};
use monoio_http::h1::codec::decoder::{DecodeError, RequestHeadDecoder};

use zeroize::Zeroize;

use super::{Refusal, Request};

/// The whole head. Twice the usual 8 KiB of other servers, for tokens of that size in the query.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// What the parser has room for; browsers send about 15.
pub const MAX_HEADERS: usize = 96;

/// Collects one request head. Holds nothing but what has arrived of it.
#[derive(Default)]
pub struct HeadReader {
    head: BytesMut,
    /// Empty lines before the request count too (RFC 9112 §2.2 allows them), or they could go on for ever.
    skipped: usize,
    scanned: usize,
    line_start: usize,
    lines: usize,
}

/// A head that has become no request may hold credentials as well.
impl Drop for HeadReader {
    fn drop(&mut self) {
        self.head.zeroize();
    }
}

impl HeadReader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the connection. When they complete the head: the request, and how many of these bytes
    /// belong to it; the others are the client's first frames. None: more is needed. Done with once it has given a
    /// request or a refusal.
    ///
    /// # Errors
    /// 400 for what is not HTTP, 414 and 431 for a target, a head or a number of headers over the bounds,
    /// 505 for a version other than 1.0 and 1.1.
    pub fn feed(&mut self, input: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
        let leading = if self.head.is_empty() {
            input
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count()
        } else {
            0
        };
        self.skipped += leading;
        let before = self.head.len();
        let room = MAX_HEAD_BYTES.saturating_sub(self.skipped + before);
        let rest = &input[leading..];
        self.append(&rest[..rest.len().min(room)]);
        if let Some(end) = self.scan()? {
            self.head.truncate(end);
            return Ok(Some((self.parse()?, leading + end - before)));
        }
        if rest.len() >= room {
            return Err(self.over_the_bound());
        }
        Ok(None)
    }

    fn append(&mut self, bytes: &[u8]) {
        let needed = self.head.len() + bytes.len();
        if needed > self.head.capacity() {
            let doubled = (2 * self.head.capacity()).min(MAX_HEAD_BYTES);
            self.head = moved(&mut self.head, needed.max(doubled));
        }
        self.head.extend_from_slice(bytes);
    }

    /// Looks at the bytes not looked at before. Gives the length of the head when its end is there.
    fn scan(&mut self) -> Result<Option<usize>, Refusal> {
        while let Some(&byte) = self.head.get(self.scanned) {
            let at = self.scanned;
            let after_cr = at > self.line_start && self.head[at - 1] == b'\r';
            self.scanned += 1;
            match byte {
                b'\n' if after_cr => {
                    if at - 1 == self.line_start {
                        return Ok(Some(self.scanned));
                    }
                    self.end_line(at - 1)?;
                }
                b'\n' => {
                    return Err(Refusal::new(
                        400,
                        "Line feed without carriage return in the request head",
                    ));
                }
                _ if after_cr => {
                    return Err(Refusal::new(
                        400,
                        "Carriage return without line feed in the request head",
                    ));
                }
                b'\r' | b'\t' => {}
                0..0x20 | 0x7f => {
                    return Err(Refusal::new(400, "Control character in the request head"));
                }
                _ if at == 0 && !byte.is_ascii_alphabetic() => return Err(NOT_HTTP),
                _ => {}
            }
        }
        Ok(None)
    }

    /// A line ends at `end`; the first is the request line.
    fn end_line(&mut self, end: usize) -> Result<(), Refusal> {
        if self.lines == 0 {
            check_request_line(&self.head[..end])?;
        }
        self.lines += 1;
        self.line_start = self.scanned;
        if self.lines > 1 + MAX_HEADERS {
            return Err(TOO_MANY_HEADERS);
        }
        Ok(())
    }

    fn over_the_bound(&self) -> Refusal {
        match (self.head.is_empty(), self.lines) {
            (true, _) => NOT_HTTP,
            (false, 0) => Refusal::new(414, "Request target too long"),
            (false, _) => Refusal::new(431, "Request head too large"),
        }
    }

    /// Parses the head, complete and with sound line ends.
    fn parse(&mut self) -> Result<Request, Refusal> {
        // The decoder's errors may hold parts of the head, and must not be cloned (that never returns): only the kind
        // is looked at.
        let bytes = self.head.capacity();
        match RequestHeadDecoder.decode(&mut self.head) {
            Ok(Decoded::Some(head)) => Ok(Request::new(head, mem::take(&mut self.head), bytes)),
            Ok(Decoded::Insufficient | Decoded::InsufficientAtLeast(_)) => Err(NOT_HTTP),
            Err(DecodeError::Uri(_)) => Err(Refusal::new(400, "Invalid request target")),
            Err(_) => Err(Refusal::new(400, "Invalid request head")),
        }
    }
}

/// The same bytes in a place of this size. Where they were they are zeroed, which growing would not do.
fn moved(from: &mut BytesMut, bytes: usize) -> BytesMut {
    let mut to = BytesMut::with_capacity(bytes);
    to.extend_from_slice(from);
    from.zeroize();
    to
}

const NOT_HTTP: Refusal = Refusal::new(400, "Not an HTTP request");
const TOO_MANY_HEADERS: Refusal = Refusal::new(431, "Too many headers");

/// The form `METHOD target HTTP/1.x`, as soon as the line is there; the parser looks closer when the head is.
fn check_request_line(line: &[u8]) -> Result<(), Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(_), Some(b"HTTP/1.1" | b"HTTP/1.0"), None) => Ok(()),
        (Some(_), Some(_), Some(version), None) if version.starts_with(b"HTTP/") => {
            Err(Refusal::new(505, "Only HTTP/1.1 is spoken here"))
        }
        _ => Err(NOT_HTTP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_outgrows_its_place_leaves_nothing_there() {
        let mut place = BytesMut::from("GET /?token=secret");
        assert_eq!(moved(&mut place, 100), "GET /?token=secret");
        assert!(place.iter().all(|byte| *byte == 0));
    }
}
