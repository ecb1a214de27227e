//! A client that says exactly the bytes it is told to, for what no decent one says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use super::PATIENCE;

/// The mask of every frame that this client masks.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub struct Raw {
    stream: TcpStream,
    /// The rest of a message of which [`Raw::push_until_stuck`] has sent a part.
    owed: Vec<u8>,
    background: Option<JoinHandle<()>>,
}

/// A refusal, or any other plain answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).expect("the gateway accepts");
        stream.set_nodelay(true).expect("a TCP socket");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        Raw {
            stream,
            owed: Vec::new(),
            background: None,
        }
    }

    /// A WebSocket that is open.
    pub fn open(address: SocketAddr, path: &str) -> Raw {
        Raw::open_with(address, path, "").0
    }

    /// With further lines in the request, each with its end. Also gives the head of the answer.
    pub fn open_with(address: SocketAddr, path: &str, lines: &str) -> (Raw, String) {
        let mut raw = Raw::connect(address);
        let request = upgrade_request(path);
        let request = request.replace("Host:", &format!("{lines}Host:"));
        raw.send(request.as_bytes());
        let head = raw.http_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{path}: {head}");
        (raw, head)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the connection is up");
    }

    /// As much of it as the gateway lets through; a reset connection takes nothing.
    pub fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// A whole text message.
    pub fn say(&mut self, text: &str) {
        self.send(&frame(0x81, text.as_bytes()));
    }

    /// Sends `bytes` again and again until nothing has been taken for `stuck`, or `most` bytes have been. How many were;
    /// what is missing of the last copy is owed.
    pub fn push_until_stuck(&mut self, bytes: &[u8], most: usize, stuck: Duration) -> usize {
        self.set_write_timeout(stuck);
        let mut sent = 0;
        while sent < most {
            let part = &bytes[sent % bytes.len()..];
            match self.stream.write(part) {
                Ok(count) => sent += count,
                Err(error) if is_timeout(&error) => break,
                Err(error) => panic!("after {sent} bytes: {error}"),
            }
        }
        self.set_write_timeout(PATIENCE);
        if sent % bytes.len() > 0 {
            self.owed = bytes[sent % bytes.len()..].to_vec();
        }
        sent
    }

    /// Sends the rest of what was begun.
    pub fn pay(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        self.send(&owed);
    }

    fn set_write_timeout(&self, timeout: Duration) {
        self.stream
            .set_write_timeout(Some(timeout))
            .expect("a TCP socket");
    }

    /// From now on somebody reads and drops what comes.
    pub fn read_in_background(&mut self) {
        let mut stream = self.stream.try_clone().expect("a descriptor");
        self.background = Some(std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while stream.read(&mut buffer).expect("an end, in time") > 0 {}
        }));
    }

    /// The gateway has ended the connection, in order.
    pub fn until_background_ends(&mut self) {
        let background = self.background.take().expect("somebody reads");
        background.join().expect("an orderly end");
    }

    /// Whether a proper request gets a WebSocket.
    pub fn lets_in(mut self, path: &str) -> bool {
        self.try_send(upgrade_request(path).as_bytes());
        self.http_head().starts_with("HTTP/1.1 101 ")
    }

    /// The answer of a server that closes behind it.
    pub fn answer(&mut self) -> Answer {
        let head = self.http_head();
        self.answer_after(head)
    }

    /// The same, when its head has been read.
    pub fn answer_after(&mut self, head: String) -> Answer {
        let mut body = Vec::new();
        self.stream
            .read_to_end(&mut body)
            .expect("the end of the answer");
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("no status: {head}")),
            head,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Up to the empty line.
    pub fn http_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let [byte] = self.read::<1>();
            head.push(byte);
        }
        String::from_utf8(head).expect("ASCII")
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).expect("more, in time");
        bytes
    }

    /// The next frame, whatever it is. A server never masks and never fragments here.
    pub fn frame(&mut self) -> Frame {
        let (is_compressed, frame) = self.marked_frame();
        assert!(!is_compressed, "one final frame without reserved bits");
        frame
    }

    /// The same, and whether it is marked as compressed.
    pub fn marked_frame(&mut self) -> (bool, Frame) {
        let [first, length] = self.read();
        assert_eq!(first & 0xb0, 0x80, "one final frame");
        let length = match length {
            126 => u64::from(u16::from_be_bytes(self.read())),
            127 => u64::from_be_bytes(self.read()),
            short => u64::from(short),
        };
        let mut payload = vec![0; length as usize];
        self.stream
            .read_exact(&mut payload)
            .expect("the whole frame, in time");
        let opcode = first & 0x0f;
        (first & 0x40 != 0, Frame { opcode, payload })
    }

    /// The next text frame.
    pub fn text(&mut self) -> String {
        loop {
            let frame = self.frame();
            match frame.opcode {
                1 => return String::from_utf8(frame.payload).expect("UTF-8"),
                9 | 10 => {}
                _ => panic!("not a text frame: {frame:?}"),
            }
        }
    }

    /// The code of the close frame, which comes before anything else but pings and pongs; 1005 when it has none.
    pub fn close_code(&mut self) -> u16 {
        loop {
            let frame = self.frame();
            match (frame.opcode, frame.payload.as_slice()) {
                (8, []) => return 1005,
                (8, [high, low, ..]) => return u16::from_be_bytes([*high, *low]),
                (9 | 10, _) => {}
                _ => panic!("not a close frame: {frame:?}"),
            }
        }
    }

    /// What comes until the gateway ends the connection, in whichever way.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Err(error) if is_timeout(&error) => panic!("the gateway does not end it"),
            _ => rest,
        }
    }

    /// The end of what this side says; it still listens.
    pub fn end(&mut self) {
        self.stream
            .shutdown(Shutdown::Write)
            .expect("the connection is up");
    }

    /// Vanishes with a RST, as after a crash or behind a NAT that has forgotten the connection.
    pub fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("a TCP socket");
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}

/// A proper request; tests replace parts of it.
pub fn upgrade_request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A masked frame; `first` is its first byte: FIN 0x80, RSV 0x70, opcode 0x0f.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = claiming(first, payload.len() as u64, payload);
    let start = frame.len() - payload.len();
    for (index, byte) in frame[start..].iter_mut().enumerate() {
        *byte ^= MASK[index % 4];
    }
    frame
}

/// A frame whose header claims `length` bytes of payload; what follows is sent as it is.
pub fn claiming(first: u8, length: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match length {
        0..=125 => frame.push(0x80 | length as u8),
        126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend_from_slice(payload);
    frame
}
