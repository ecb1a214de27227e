//! An HTTP/1.1 response off the wire: head by `httparse`, body by length, in chunks, or up to the end.

use bytes::{Buf, BytesMut};

/// The largest status line with headers: Jetty's own bound for a response head is half of it.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// More headers than a server sends.
const HEADERS_MAX: usize = 64;
/// The largest body. The longest is the list of a namespace's topics: some 40,000 names.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A chunk's size line, with extensions that nobody uses.
const CHUNK_LINE_BYTES_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// The status line's words.
    pub reason: String,
    pub location: Option<String>,
    pub body: Vec<u8>,
}

/// Takes one response's bytes as they come.
#[derive(Debug, Default)]
pub struct ResponseReader {
    state: State,
    response: Option<Response>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Head,
    /// So many bytes to come.
    Length(usize),
    ChunkSize,
    /// So many bytes of the chunk to come, then its line end.
    Chunk(usize),
    ToTheEnd,
}

/// How a body ends, by its headers.
enum Framing {
    Length(usize),
    Chunked,
    ToTheEnd,
}

impl ResponseReader {
    /// Takes what it understands out of `bytes`. `Some`: the response is whole, what follows does not belong to it.
    ///
    /// # Errors
    /// What is wrong with it: the connection is of no further use.
    pub fn feed(&mut self, bytes: &mut BytesMut) -> Result<Option<Response>, &'static str> {
        loop {
            match self.state {
                State::Head => {
                    let Some((response, framing)) = head(bytes)? else {
                        return Ok(None);
                    };
                    if (100..200).contains(&response.status) {
                        continue;
                    }
                    self.response = Some(response);
                    self.state = match framing {
                        Framing::Length(length) => State::Length(length),
                        Framing::Chunked => State::ChunkSize,
                        Framing::ToTheEnd => State::ToTheEnd,
                    };
                }
                State::Length(left) => {
                    let left = left - self.take(bytes, left)?;
                    self.state = State::Length(left);
                    return Ok(if left == 0 {
                        self.response.take()
                    } else {
                        None
                    });
                }
                State::ChunkSize => match chunk_size(bytes)? {
                    None => return Ok(None),
                    // Trailers may follow; nobody wants them, and the connection is not used again.
                    Some(0) => return Ok(self.response.take()),
                    Some(size) => self.state = State::Chunk(size),
                },
                State::Chunk(left) => {
                    let left = left - self.take(bytes, left)?;
                    self.state = State::Chunk(left);
                    if left > 0 || bytes.len() < 2 {
                        return Ok(None);
                    }
                    if &bytes[..2] != b"\r\n" {
                        return Err("a chunk of its body is longer than announced");
                    }
                    bytes.advance(2);
                    self.state = State::ChunkSize;
                }
                State::ToTheEnd => {
                    self.take(bytes, usize::MAX)?;
                    return Ok(None);
                }
            }
        }
    }

    /// The connection has ended: for a body without a length that is its end.
    pub fn end(mut self) -> Option<Response> {
        match self.state {
            State::ToTheEnd => self.response.take(),
            _ => None,
        }
    }

    /// Moves up to `most` bytes into the body.
    fn take(&mut self, bytes: &mut BytesMut, most: usize) -> Result<usize, &'static str> {
        let taken = bytes.len().min(most);
        if let Some(response) = &mut self.response {
            if response.body.len() + taken > BODY_BYTES_MAX {
                return Err("its body is too large");
            }
            response.body.extend_from_slice(&bytes[..taken]);
        }
        bytes.advance(taken);
        Ok(taken)
    }
}

fn head(bytes: &mut BytesMut) -> Result<Option<(Response, Framing)>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let end = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(end)) if end <= HEAD_BYTES_MAX => end,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(_) => return Err("its head is too large"),
        Err(_) => return Err("its head is not HTTP"),
    };
    let value = |name: &str| {
        let found = parsed
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let chunked = value("transfer-encoding")
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
    let framing = match value("content-length") {
        _ if chunked => Framing::Chunked,
        Some(length) => {
            let length = length.trim().parse().ok();
            let length = length.filter(|length| *length <= BODY_BYTES_MAX);
            Framing::Length(length.ok_or("its length is no number or too large")?)
        }
        None => Framing::ToTheEnd,
    };
    let response = Response {
        status: parsed.code.unwrap_or_default(),
        reason: parsed.reason.unwrap_or_default().to_owned(),
        location: value("location").map(str::to_owned),
        body: Vec::new(),
    };
    bytes.advance(end);
    Ok(Some((response, framing)))
}

fn chunk_size(bytes: &mut BytesMut) -> Result<Option<usize>, &'static str> {
    match httparse::parse_chunk_size(bytes) {
        Ok(httparse::Status::Complete((used, size))) => {
            bytes.advance(used);
            match usize::try_from(size) {
                Ok(size) if size <= BODY_BYTES_MAX => Ok(Some(size)),
                _ => Err("its body is too large"),
            }
        }
        Ok(httparse::Status::Partial) if bytes.len() <= CHUNK_LINE_BYTES_MAX => Ok(None),
        _ => Err("the size of a chunk cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fed in pieces of every size.
    fn read(text: &str) -> Result<Option<Response>, &'static str> {
        let step = if cfg!(miri) { 29 } else { 1 };
        let mut results = (1..=text.len()).step_by(step).map(|piece| {
            let mut reader = ResponseReader::default();
            let mut unread = BytesMut::new();
            for bytes in text.as_bytes().chunks(piece) {
                unread.extend_from_slice(bytes);
                if let Some(response) = reader.feed(&mut unread)? {
                    return Ok(Some(response));
                }
            }
            Ok(reader.end())
        });
        let first = results.next().expect("a piece");
        for other in results {
            assert_eq!(first, other, "{text:?}");
        }
        first
    }

    fn body_of(text: &str) -> Option<String> {
        let response = read(text).expect("a response")?;
        Some(String::from_utf8(response.body).expect("text"))
    }

    #[test]
    fn bodies_end_by_length_by_chunks_or_with_the_connection() {
        for head_and_body in [
            "Content-Length: 5\r\n\r\nhello, and more",
            "transfer-encoding: Chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
            "\r\nhello",
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{head_and_body}");
            if head_and_body.contains("more") {
                // What follows the body is nobody's.
                let mut bytes = BytesMut::from(text.as_bytes());
                let response = ResponseReader::default().feed(&mut bytes);
                assert_eq!(
                    response.map(|r| r.map(|r| r.body)),
                    Ok(Some(b"hello".to_vec()))
                );
            } else {
                assert_eq!(body_of(&text).as_deref(), Some("hello"), "{text}");
            }
        }
        assert_eq!(
            body_of("HTTP/1.1 204 x\r\ncontent-length: 0\r\n\r\n").as_deref(),
            Some("")
        );
    }

    #[test]
    fn a_body_that_breaks_off_is_no_response() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
            "HTTP/1.1 200 OK\r\nContent-Len",
        ] {
            assert_eq!(read(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn status_words_and_location_are_kept_and_interim_responses_skipped() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 307 Temporary Redirect\r\n\
                    Location: http://b/x\r\nContent-Length: 0\r\n\r\n";
        let response = read(text).expect("a response").expect("whole");
        assert_eq!(
            (response.status, response.reason.as_str()),
            (307, "Temporary Redirect")
        );
        assert_eq!(response.location.as_deref(), Some("http://b/x"));
    }

    #[test]
    fn what_is_too_large_or_no_http_is_an_error() {
        let long = "a".repeat(HEAD_BYTES_MAX);
        for text in [
            "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n".to_owned(),
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                BODY_BYTES_MAX + 1
            ),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnope\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc".to_owned(),
            format!("HTTP/1.1 200 OK\r\nx: {long}\r\n\r\n"),
        ] {
            let mut bytes = BytesMut::from(text.as_bytes());
            let fed = ResponseReader::default().feed(&mut bytes);
            assert!(fed.is_err(), "{}", &text[..text.len().min(80)]);
        }
        let mut endless = ResponseReader::default();
        endless
            .feed(&mut BytesMut::from(&b"HTTP/1.1 200 OK\r\n\r\n"[..]))
            .expect("a head");
        let block = vec![0; 1024 * 1024];
        let fed = (0..5).map(|_| endless.feed(&mut BytesMut::from(&block[..])));
        assert!(fed.into_iter().any(|result| result.is_err()));
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(if cfg!(miri) { 8 } else { 512 }))]
        /// However it is cut, the same comes out, and nothing panics.
        #[test]
        fn any_bytes_give_a_response_or_a_reason(
            head in "HTTP/1.[01] [0-9]{1,4} [a-z]{0,3}\r\n(Content-Length: [0-9]{1,3}\r\n|Transfer-Encoding: chunked\r\n|X: y\r\n){0,2}\r?\n",
            body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
            chunked in "([0-9a-f]{1,2}\r\n[a-z]{0,9}(\r\n)?){0,3}",
            piece in 1usize..20,
        ) {
            for tail in [&body[..], chunked.as_bytes()] {
                let whole = [head.as_bytes(), tail].concat();
                let mut bytes = BytesMut::from(&whole[..]);
                let at_once = ResponseReader::default().feed(&mut bytes);
                let mut reader = ResponseReader::default();
                let mut unread = BytesMut::new();
                let mut in_pieces = Ok(None);
                for part in whole.chunks(piece) {
                    unread.extend_from_slice(part);
                    in_pieces = reader.feed(&mut unread);
                    if in_pieces != Ok(None) {
                        break;
                    }
                }
                proptest::prop_assert_eq!(at_once, in_pieces);
            }
        }
    }
}
