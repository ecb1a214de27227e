//! What one socket of the echo server does, without I/O: the handshake, then every message comes back as it was.

use std::ops::ControlFlow;

use bytes::Bytes;
use pws_fast::http::{HeadReader, response, upgrade};
use pws_fast::ws::{CloseHandshake, Decoder, Event, encode};
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// Section 9 sends messages of up to 16 MiB.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

pub struct Echo {
    head: Option<HeadReader>,
    decoder: Decoder,
    close: CloseHandshake,
}

/// What to do after the output is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Read,
    Shutdown,
}

impl Echo {
    pub fn new() -> Self {
        Echo {
            head: Some(HeadReader::new()),
            decoder: Decoder::new(MAX_MESSAGE_BYTES),
            close: CloseHandshake::default(),
        }
    }

    /// Takes what was read; `send` gets the answers.
    pub fn received(&mut self, input: &mut [u8], send: &mut dyn FnMut(Bytes)) -> After {
        let Some(head) = &mut self.head else {
            return self.frames(input, send);
        };
        let handshake = match head.feed(input) {
            Ok(None) => return After::Read,
            Ok(Some((request, consumed))) => {
                upgrade::check(&request).map(|upgrade| (upgrade, consumed))
            }
            Err(refusal) => Err(refusal),
        };
        match handshake {
            Ok((upgrade, consumed)) => {
                self.head = None;
                send(response::switching_protocols(&upgrade.accept_key));
                self.frames(&mut input[consumed..], send)
            }
            Err(refusal) => {
                send(response::refusal(refusal.status, refusal.message, false));
                After::Shutdown
            }
        }
    }

    fn frames(&mut self, input: &mut [u8], send: &mut dyn FnMut(Bytes)) -> After {
        let close = &mut self.close;
        let fed = self.decoder.feed(input, &mut |event| {
            match event {
                Event::Text(text) => send(encode::text_frame(text)),
                Event::Binary(bytes) => send(encode::frame(OpCode::Data(Data::Binary), bytes)),
                Event::Ping(payload) => send(encode::pong(payload)),
                Event::Pong(_) => {}
                Event::Close { code, .. } => close.received(code).into_iter().for_each(&mut *send),
            }
            ControlFlow::Continue(())
        });
        if let Err(violation) = fed {
            close
                .start(violation.code, violation.reason)
                .into_iter()
                .for_each(send);
        }
        if close.is_open() {
            After::Read
        } else {
            After::Shutdown
        }
    }
}
