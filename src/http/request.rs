//! A request, without its body: nothing here has one.
//!
//! It owns the bytes of the head once; paths and header values are slices of them. It carries credentials: it has no
//! `Debug`, and zeroes those bytes when it is dropped.

use bytes::BytesMut;
use monoio_http::common::request::RequestHead;
use tungstenite::http::{HeaderMap, HeaderValue, Version};
use zeroize::Zeroize;

/// One request head.
pub struct Request {
    head: RequestHead,
    /// Behind `head`, which is dropped first. It is only there to be dropped.
    _memory: Memory,
}

/// The memory that the slices of a head are in.
struct Memory {
    /// What is left of it beside the slices.
    rest: BytesMut,
    /// All of it.
    bytes: usize,
}

impl Memory {
    /// Zeroes it, if nobody has a slice any more. False: somebody has.
    fn wipe(&mut self) -> bool {
        let is_whole = self.rest.try_reclaim(self.bytes);
        if is_whole {
            self.rest.resize(self.bytes, 0);
            self.rest.zeroize();
        }
        is_whole
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl Request {
    /// `rest` is what is left of the memory that the head is in, `bytes` all of it.
    pub(super) fn new(head: RequestHead, rest: BytesMut, bytes: usize) -> Self {
        let _memory = Memory { rest, bytes };
        Request { head, _memory }
    }

    /// As sent, in its own case (`GET`).
    pub fn method(&self) -> &str {
        self.head.method.as_str()
    }

    /// The target's path as sent: percent-escapes are not decoded. Of a target in absolute form, the path only.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// What stands behind the first `?`, as sent. None without a `?`.
    pub fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    /// The first header of this name (any case), if it is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The headers of this name (any case), in order, as far as they are visible ASCII.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.headers().get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok())
    }

    /// The same, whatever bytes they are.
    pub fn raw_values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let values = self.headers().get_all(name).into_iter();
        values.map(HeaderValue::as_bytes)
    }

    /// How often a header of this name is there.
    pub fn header_count(&self, name: &str) -> usize {
        self.headers().get_all(name).iter().count()
    }

    /// Whether the comma-separated list of this header, over all its lines, has `token` (any case).
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let has = |value: &HeaderValue| {
            value
                .as_bytes()
                .split(|byte| *byte == b',')
                .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
        };
        self.headers().get_all(name).iter().any(has)
    }

    /// Whether errors are wanted as JSON: `Accept` names `application/json`.
    pub fn wants_json(&self) -> bool {
        let is_json = |part: &[u8]| {
            let media_type = part.split(|byte| *byte == b';').next().unwrap_or_default();
            media_type
                .trim_ascii()
                .eq_ignore_ascii_case(b"application/json")
        };
        let mut accepts = self.headers().get_all("accept").iter();
        accepts.any(|value| value.as_bytes().split(|byte| *byte == b',').any(is_json))
    }

    /// Whether it announces a body: any transfer coding, any length but 0.
    pub fn has_body(&self) -> bool {
        let lengths = self.headers().get_all("content-length");
        self.headers().contains_key("transfer-encoding")
            || lengths.iter().any(|value| value.as_bytes() != b"0")
    }

    pub(super) fn is_http_1_1(&self) -> bool {
        self.head.version == Version::HTTP_11
    }

    fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeadReader;

    #[test]
    fn the_memory_of_a_request_is_zeroed_when_nobody_has_a_part_of_it() {
        for pieces in [1, 2, 7] {
            let text = b"GET /x?token=secret HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer secret\r\n\r\nframes";
            let mut reader = HeadReader::new();
            let mut fed = text
                .chunks(text.len().div_ceil(pieces))
                .map(|piece| reader.feed(piece));
            let (request, _) = fed.find_map(|fed| fed.unwrap()).unwrap();
            let Request {
                head,
                _memory: mut memory,
            } = request;
            assert!(!memory.wipe());
            drop(head);
            assert!(memory.wipe());
            assert!(memory.rest.len() >= text.len() - "frames".len());
            assert!(memory.rest.iter().all(|byte| *byte == 0));
        }
    }
}
