//! A client with permessage-deflate (RFC 7692), which tungstenite's lacks.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::Value;

use super::raw::{Raw, frame};
use super::{World, payload_of};

/// The longest message that this client takes.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

pub struct Deflating {
    pub raw: Raw,
    /// What the gateway has agreed to.
    pub agreed: String,
    /// Messages that came compressed.
    pub compressed: usize,
    stream: Compress,
    keeps_context: bool,
}

impl Deflating {
    /// Opens a socket with these parameters of the extension; it must be agreed to.
    pub fn open(world: &World, path: &str, parameters: &str) -> Deflating {
        let offer = format!("Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n");
        let (raw, head) = Raw::open_with(world.address(), path, &offer);
        let (_, rest) = head
            .split_once("Sec-WebSocket-Extensions: ")
            .unwrap_or_else(|| panic!("{path}: {head}"));
        let agreed = rest.lines().next().expect("a line").to_owned();
        Deflating {
            raw,
            compressed: 0,
            stream: Compress::new(Compression::default(), false),
            keeps_context: !agreed.contains("client_no_context_takeover"),
            agreed,
        }
    }

    /// A compressed text message, as the client's frame.
    pub fn message(&mut self, text: &str) -> Vec<u8> {
        if !self.keeps_context {
            self.stream.reset();
        }
        let mut out = Vec::with_capacity(text.len() + 1024);
        self.stream
            .compress_vec(text.as_bytes(), &mut out, FlushCompress::Sync)
            .expect("it compresses");
        let payload = out.strip_suffix(&[0, 0, 0xff, 0xff]).expect("a flush");
        frame(0xc1, payload)
    }

    pub fn send(&mut self, text: &str) {
        let message = self.message(text);
        self.raw.send(&message);
    }

    /// The next text message.
    pub fn json(&mut self) -> Value {
        let (is_compressed, mut frame) = self.raw.marked_frame();
        assert_eq!(frame.opcode, 1, "{frame:?}");
        if is_compressed {
            self.compressed += 1;
            frame.payload = inflate(frame.payload);
        }
        serde_json::from_slice(&frame.payload).expect("JSON")
    }

    /// The next delivery's payload; the client says that it has handled it.
    pub fn receive(&mut self) -> String {
        let message = self.json();
        self.send(&serde_json::json!({ "messageId": message["messageId"] }).to_string());
        payload_of(&message)
    }
}

/// One message, compressed by itself.
fn inflate(mut payload: Vec<u8>) -> Vec<u8> {
    payload.extend_from_slice(&[0, 0, 0xff, 0xff]);
    let mut out = Vec::with_capacity(MESSAGE_BYTES_MAX);
    let mut stream = Decompress::new(false);
    stream
        .decompress_vec(&payload, &mut out, FlushDecompress::Sync)
        .expect("deflated");
    assert_eq!(stream.total_in(), payload.len() as u64, "all of it");
    out
}
