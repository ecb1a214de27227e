//! Thousands of WebSocket clients in one thread: each a socket, what has come on it, and nothing else.
//!
//! No WebSocket library: at this number its buffers would be most of the memory of the process.

use std::net::SocketAddr;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

/// Handshakes under way at once; the kernel's queue of the listener is longer.
const OPENING_AT_ONCE: usize = 256;

/// What one read may bring.
const READ_BYTES: usize = 16 * 1024;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

pub struct Member<R> {
    pub role: R,
    stream: TcpStream,
    unread: Vec<u8>,
}

/// Opens one socket for each role, at the role's path.
pub async fn open_all<R: 'static>(
    address: SocketAddr,
    roles: Vec<R>,
    path: impl Fn(&R) -> String,
) -> Vec<Member<R>> {
    let mut members = Vec::with_capacity(roles.len());
    let mut roles = roles.into_iter().peekable();
    while roles.peek().is_some() {
        let opening: Vec<_> = roles
            .by_ref()
            .take(OPENING_AT_ONCE)
            .map(|role| {
                let path = path(&role);
                monoio::spawn(Member::open(address, role, path))
            })
            .collect();
        for member in opening {
            members.push(member.await);
        }
    }
    members
}

/// Does the same with every member at once, and gives them back in their order.
pub async fn each<R: 'static, F: Future<Output = Member<R>> + 'static>(
    members: Vec<Member<R>>,
    act: impl Fn(Member<R>) -> F,
) -> Vec<Member<R>> {
    let acting: Vec<_> = members
        .into_iter()
        .map(|member| monoio::spawn(act(member)))
        .collect();
    let mut members = Vec::with_capacity(acting.len());
    for member in acting {
        members.push(member.await);
    }
    members
}

impl<R> Member<R> {
    async fn open(address: SocketAddr, role: R, path: String) -> Member<R> {
        #[expect(clippy::disallowed_methods, reason = "an address, not a name")]
        let stream = TcpStream::connect(address).await.expect("it is accepted");
        stream.set_nodelay(true).expect("a TCP socket");
        let mut member = Member {
            role,
            stream,
            unread: Vec::new(),
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        member.write(request.into_bytes()).await;
        let end = loop {
            let head = member
                .unread
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            match head {
                Some(end) => break end + 4,
                None => assert!(member.read().await, "{path}: no answer"),
            }
        };
        let head: Vec<u8> = member.unread.drain(..end).collect();
        let head = String::from_utf8_lossy(&head);
        assert!(head.starts_with("HTTP/1.1 101 "), "{path}: {head}");
        member
    }

    /// A short text, in a frame whose mask is zero.
    pub async fn send(&mut self, text: &str) {
        assert!(text.len() < 126, "longer texts have another header");
        let mut frame = vec![0x80 | TEXT, 0x80 | text.len() as u8, 0, 0, 0, 0];
        frame.extend_from_slice(text.as_bytes());
        self.write(frame).await;
    }

    /// The next text.
    pub async fn text(&mut self) -> String {
        let (opcode, payload) = self.frame().await.expect("the socket is open");
        assert_eq!(opcode, TEXT);
        String::from_utf8(payload).expect("UTF-8")
    }

    /// The gateway's close code, answered; nothing else comes before it.
    pub async fn closed(&mut self) -> u16 {
        let (opcode, payload) = self.frame().await.expect("a close frame");
        assert_eq!(opcode, CLOSE);
        self.write(vec![0x80 | CLOSE, 0x80, 0, 0, 0, 0]).await;
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// The closing handshake from this side, to its end.
    pub async fn close(mut self) {
        self.write(vec![0x80 | CLOSE, 0x80, 0, 0, 0, 0]).await;
        while self.frame().await.is_some() {}
    }

    /// Opcode and payload of the next frame; None at the end of the stream.
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, header, length)) = header(&self.unread)
                && self.unread.len() >= header + length
            {
                let payload = self.unread[header..header + length].to_vec();
                self.unread.drain(..header + length);
                return Some((opcode, payload));
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// False at the end of the stream.
    async fn read(&mut self) -> bool {
        let (result, buffer) = self.stream.read(Vec::with_capacity(READ_BYTES)).await;
        self.unread.extend_from_slice(&buffer);
        result.expect("the connection holds") > 0
    }

    async fn write(&mut self, bytes: Vec<u8>) {
        let (result, _) = self.stream.write_all(bytes).await;
        result.expect("the connection holds");
    }
}

/// Opcode, length of the header, length of the payload.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (header, length) = match second {
        126 => (
            4,
            usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        ),
        127 => (
            10,
            u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize,
        ),
        short => (2, usize::from(short)),
    };
    Some((first & 0x0f, header, length))
}
