//! A WebSocket client that reports whatever happens, be it right or wrong.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::refusal;
use crate::support::raw;

pub struct Peer {
    stream: TcpStream,
    /// Bytes that have been read ahead.
    buffer: Vec<u8>,
    is_gone: bool,
}

/// What came.
#[derive(Debug)]
pub enum Heard {
    Text(String),
    /// `binary`, `ping` or `pong`, and the payload as text.
    Other(&'static str, String),
    /// 1005: without a code.
    Close(u16, String),
    /// The connection ended without a close frame.
    Dropped,
    /// Not within the time.
    Nothing,
}

impl Peer {
    /// Err: status and text of the refusal. `headers` are further lines of the request.
    pub fn open(
        address: SocketAddr,
        path: &str,
        headers: &[&str],
        patience: Duration,
    ) -> Result<Peer, String> {
        let stream = TcpStream::connect(address).expect("the gateway accepts");
        stream.set_nodelay(true).expect("a TCP socket");
        let mut peer = Peer {
            stream,
            buffer: Vec::new(),
            is_gone: false,
        };
        let more: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let request = raw::upgrade_request(path);
        peer.send(
            request
                .replacen("\r\n", &format!("\r\n{more}"), 1)
                .as_bytes(),
        );
        let deadline = Instant::now() + patience;
        match peer.head(deadline) {
            None => Err("no answer".to_owned()),
            Some(head) if head.starts_with("HTTP/1.1 101 ") => Ok(peer),
            Some(head) => Err(peer.refusal(&head, deadline)),
        }
    }

    /// A connection that is gone takes nothing.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn hear(&mut self, patience: Duration) -> Heard {
        let deadline = Instant::now() + patience;
        loop {
            if let Some((opcode, payload)) = self.take_frame() {
                return self.frame(opcode, payload);
            }
            match self.read_more(deadline) {
                Some(0) => {
                    self.is_gone = true;
                    return Heard::Dropped;
                }
                Some(_) => {}
                None => return Heard::Nothing,
            }
        }
    }

    /// The closing handshake from this side, to its end. What came before the answer is dropped.
    pub fn leave(&mut self, patience: Duration) {
        self.send(&raw::frame(0x88, &1000_u16.to_be_bytes()));
        let deadline = Instant::now() + patience;
        while self.read_more(deadline).is_some_and(|count| count > 0) {
            self.buffer.clear();
        }
    }

    fn frame(&mut self, opcode: u8, payload: Vec<u8>) -> Heard {
        let text = String::from_utf8_lossy(&payload).into_owned();
        match opcode {
            1 => Heard::Text(text),
            2 => Heard::Other("binary", text),
            9 => {
                self.send(&raw::frame(0x8a, &payload));
                Heard::Other("ping", text)
            }
            10 => Heard::Other("pong", text),
            _ => {
                self.send(&raw::frame(0x88, &payload));
                self.is_gone = true;
                match payload.split_first_chunk::<2>() {
                    Some((code, reason)) => Heard::Close(
                        u16::from_be_bytes(*code),
                        String::from_utf8_lossy(reason).into_owned(),
                    ),
                    None => Heard::Close(1005, String::new()),
                }
            }
        }
    }

    /// A whole frame out of the buffer; servers here neither mask nor fragment.
    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, rest) = self.buffer.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (length, start) = match length {
            126 => (u16::from_be_bytes(*rest.first_chunk()?).into(), 4),
            127 => (u64::from_be_bytes(*rest.first_chunk()?) as usize, 10),
            short => (usize::from(*short), 2),
        };
        let opcode = first & 0x0f;
        let payload = self.buffer.get(start..start + length)?.to_vec();
        self.buffer.drain(..start + length);
        Some((opcode, payload))
    }

    /// How many bytes came; 0: the end. None: none in time.
    fn read_more(&mut self, deadline: Instant) -> Option<usize> {
        if self.is_gone {
            return Some(0);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_millis(1));
        self.stream
            .set_read_timeout(Some(left))
            .expect("a TCP socket");
        let mut bytes = [0; 1 << 14];
        match self.stream.read(&mut bytes) {
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Some(count)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            Err(_) => Some(0),
        }
    }

    fn head(&mut self, deadline: Instant) -> Option<String> {
        loop {
            let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.buffer.drain(..end + 4).collect();
                return Some(String::from_utf8(head).expect("ASCII"));
            }
            if self.read_more(deadline)? == 0 {
                return None;
            }
        }
    }

    /// The status and the text of a refusal.
    fn refusal(&mut self, head: &str, deadline: Instant) -> String {
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then_some(value)
            })
        };
        let length = header("content-length").and_then(|text| text.parse().ok());
        while self.buffer.len() < length.unwrap_or(usize::MAX) {
            if self.read_more(deadline).is_none_or(|count| count == 0) {
                break;
            }
        }
        let body = String::from_utf8_lossy(&self.buffer);
        let text = refusal::text(header("content-type"), &body);
        format!("{} {text}", head.get(9..12).unwrap_or("???"))
    }
}
