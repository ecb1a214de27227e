//! A blocking WebSocket client (tungstenite's) with the few words that the tests speak.

use std::borrow::BorrowMut;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::{Message, WebSocket};

use super::PATIENCE;

pub struct Client {
    socket: WebSocket<TcpStream>,
}

/// How the gateway closed the socket.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    pub code: u16,
    pub reason: String,
}

impl Client {
    /// Err: the status and body of the refusal.
    pub fn open(address: SocketAddr, path: &str) -> Result<Client, (u16, String)> {
        Client::open_with(address, path, &[])
    }

    /// With these headers beside the usual ones.
    pub fn open_with(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Client, (u16, String)> {
        let request = format!("ws://{address}{path}").into_client_request();
        let mut request = request.expect("a path that can stand in a request");
        for (name, value) in headers {
            let value = value.parse().expect("a header's value");
            request.headers_mut().insert(*name, value);
        }
        let stream = TcpStream::connect(address).expect("the gateway accepts");
        stream.set_nodelay(true).expect("a TCP socket");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Client { socket }),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                let body = response.body().clone().unwrap_or_default();
                Err((
                    response.status().as_u16(),
                    String::from_utf8_lossy(&body).into_owned(),
                ))
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub fn send(&mut self, text: &str) {
        self.socket
            .send(Message::text(text))
            .expect("the socket is open");
    }

    pub fn send_json(&mut self, value: Value) {
        self.send(&value.to_string());
    }

    pub fn send_message(&mut self, message: Message) {
        self.socket.send(message).expect("the socket is open");
    }

    /// Publishes one text payload and returns its message id.
    pub fn publish(&mut self, payload: &str) -> String {
        self.publish_json(json!({ "payload": base64(payload) }))
    }

    pub fn publish_json(&mut self, message: Value) -> String {
        self.send_json(message);
        let answer = self.json();
        assert_eq!(answer["result"], "ok", "{answer}");
        answer["messageId"].as_str().expect("an id").to_owned()
    }

    /// Publishes numbers as text payloads, many under way at a time; returns when all are confirmed.
    pub fn publish_numbers(&mut self, numbers: Range<usize>) {
        const UNDER_WAY: usize = 500;
        let count = numbers.len();
        for (sent, n) in numbers.enumerate() {
            self.send_json(json!({ "payload": base64(&n.to_string()) }));
            if sent >= UNDER_WAY {
                assert_eq!(self.json()["result"], "ok");
            }
        }
        for _ in 0..count.min(UNDER_WAY) {
            assert_eq!(self.json()["result"], "ok");
        }
    }

    /// The next text frame.
    pub fn text(&mut self) -> String {
        loop {
            match self.socket.read().expect("a frame in time") {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a text frame: {other:?}"),
            }
        }
    }

    pub fn json(&mut self) -> Value {
        serde_json::from_str(&self.text()).expect("JSON")
    }

    /// The next delivery's payload; acks nothing.
    pub fn payload(&mut self) -> String {
        payload_of(&self.json())
    }

    /// The next delivery's payload, acked.
    pub fn receive(&mut self) -> String {
        let message = self.json();
        self.ack(&message);
        payload_of(&message)
    }

    pub fn ack(&mut self, message: &Value) {
        self.send_json(json!({ "messageId": message["messageId"] }));
    }

    pub fn nack(&mut self, message: &Value) {
        self.send_json(json!({ "type": "negativeAcknowledge", "messageId": message["messageId"] }));
    }

    pub fn permit(&mut self, messages: i64) {
        self.send_json(json!({ "type": "permit", "permitMessages": messages }));
    }

    /// The payloads of so many deliveries, acked.
    pub fn receive_all(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.receive()).collect()
    }

    /// Nothing comes for a moment, nor before the answer to a question that goes to the hub and back. That is long
    /// enough to catch most of what should not come, and never fails for being too short.
    pub fn is_silent(&mut self) -> bool {
        let silent = self.is_silent_for(Duration::from_millis(200));
        silent && self.end_of_topic().is_some()
    }

    /// The answer to `isEndOfTopic`; None: something else came first.
    pub fn end_of_topic(&mut self) -> Option<bool> {
        self.send_json(json!({ "type": "isEndOfTopic" }));
        self.json()["endOfTopic"].as_bool()
    }

    /// Nothing comes within `wait`.
    pub fn is_silent_for(&mut self, wait: Duration) -> bool {
        self.within(wait).is_none()
    }

    /// The next text frame if it comes within `wait`.
    pub fn within(&mut self, wait: Duration) -> Option<Value> {
        self.socket
            .get_ref()
            .set_read_timeout(Some(wait))
            .expect("a TCP socket");
        let deadline = Instant::now() + wait;
        let frame = loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => break Some(serde_json::from_str(&text).expect("JSON")),
                Ok(Message::Close(frame)) => panic!("the gateway closes: {frame:?}"),
                Ok(_) if Instant::now() < deadline => {}
                Ok(_) => break None,
                Err(tungstenite::Error::Io(error)) if is_timeout(&error) => break None,
                Err(error) => panic!("the socket ended: {error}"),
            }
        };
        self.socket
            .get_ref()
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        frame
    }

    /// Reads until the gateway closes, and answers the close frame.
    pub fn closed(&mut self) -> Closed {
        let closed = loop {
            match self.socket.read().expect("a close frame in time") {
                Message::Close(Some(frame)) => {
                    break Closed {
                        code: frame.code.into(),
                        reason: frame.reason.to_string(),
                    };
                }
                Message::Close(None) => {
                    break Closed {
                        code: 1005,
                        reason: String::new(),
                    };
                }
                _ => {}
            }
        };
        // The answer is queued; the gateway may have gone without waiting for it.
        let _ = self.socket.flush();
        closed
    }

    /// The whole closing handshake from this side.
    pub fn close(mut self) {
        self.socket.close(None).expect("the socket is open");
        while self.socket.read().is_ok() {}
    }

    /// Cuts the TCP connection without a word.
    pub fn cut(self) {
        self.socket
            .get_ref()
            .shutdown(std::net::Shutdown::Both)
            .expect("a TCP socket");
    }

    pub fn raw(&mut self) -> &mut WebSocket<TcpStream> {
        &mut self.socket
    }
}

/// Takes so many deliveries from whichever of the sockets has one; `each` gets the place of the socket, the socket and
/// the message.
pub fn take_from<C: BorrowMut<Client>>(
    sockets: &mut [C],
    count: usize,
    mut each: impl FnMut(usize, &mut Client, &Value),
) {
    let mut taken = 0;
    let mut last = Instant::now();
    while taken < count {
        for (place, socket) in sockets.iter_mut().enumerate() {
            let socket = socket.borrow_mut();
            while let Some(message) = socket.within(Duration::from_millis(20)) {
                each(place, socket, &message);
                taken += 1;
                last = Instant::now();
            }
        }
        assert!(last.elapsed() < PATIENCE, "{taken} of {count} came");
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}

pub fn base64(payload: &str) -> String {
    base64_simd::STANDARD.encode_to_string(payload)
}

pub fn payload_of(message: &Value) -> String {
    let payload = message["payload"]
        .as_str()
        .unwrap_or_else(|| panic!("not a delivery: {message}"));
    let bytes = base64_simd::STANDARD
        .decode_to_vec(payload)
        .expect("base64");
    String::from_utf8(bytes).expect("UTF-8")
}

/// The payload of a delivery, which is a number.
pub fn number(message: &Value) -> usize {
    payload_of(message).parse().expect("a number")
}

/// A message id as a query value.
pub fn query_value(id: &str) -> String {
    id.replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
}

/// An id of these fields: what [`id_fields`] takes apart.
pub fn id_of(fields: &[(u64, i64)]) -> String {
    let mut bytes = Vec::new();
    for (number, value) in fields {
        for mut rest in [number << 3, *value as u64] {
            while rest > 0x7f {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
    }
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// Numbers and values of the fields of a message id (`MessageIdData` of PulsarApi.proto), which are all varints.
pub fn id_fields(id: &str) -> Vec<(u64, i64)> {
    let bytes = base64_simd::STANDARD.decode_to_vec(id).expect("base64");
    let mut varints = Vec::new();
    let (mut value, mut shift) = (0_u64, 0);
    for byte in bytes {
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            varints.push(std::mem::take(&mut value));
            shift = 0;
        }
    }
    let fields = varints.chunks_exact(2);
    fields.map(|pair| (pair[0] >> 3, pair[1] as i64)).collect()
}

/// One plain HTTP exchange: what the server sends until it closes.
pub fn http_get(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("the gateway accepts");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a TCP socket");
    stream.write_all(request).expect("the request goes out");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
