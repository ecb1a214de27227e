//! What one socket of the echo server does, without I/O: the handshake, then every message comes back as it was.

use std::ops::ControlFlow;

use bytes::Bytes;
use pws_fast::http::{HeadReader, extensions, response, upgrade};
use pws_fast::ws::{CloseHandshake, Context, Decoder, Deflater, Event, Window, encode};
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// Section 9 sends messages of up to 16 MiB.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

pub struct Echo {
    head: Option<HeadReader>,
    decoder: Decoder,
    /// With permessage-deflate.
    deflate: Option<(Deflater, Window)>,
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
            deflate: None,
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
                let agreed = extensions::negotiate(&request, true);
                upgrade::check(&request).map(|upgrade| (upgrade, agreed, consumed))
            }
            Err(refusal) => Err(refusal),
        };
        match handshake {
            Ok((upgrade, agreed, consumed)) => {
                self.head = None;
                send(response::switching_protocols(
                    &upgrade.accept_key,
                    None,
                    agreed,
                ));
                if let Some(agreed) = agreed {
                    let context = match agreed.client_keeps_context {
                        true => Context::Kept,
                        false => Context::Dropped,
                    };
                    self.decoder = Decoder::with_compression(MAX_MESSAGE_BYTES, context);
                    let bits = agreed.server_max_window_bits;
                    let window = bits.map_or(Window::FULL, Window::new);
                    self.deflate = Some((Deflater::default(), window));
                }
                self.frames(&mut input[consumed..], send)
            }
            Err(refusal) => {
                send(response::refusal(refusal.status, refusal.message, false));
                After::Shutdown
            }
        }
    }

    fn frames(&mut self, input: &mut [u8], send: &mut dyn FnMut(Bytes)) -> After {
        let (close, deflate) = (&mut self.close, &mut self.deflate);
        let mut echo = |frame: Bytes| match deflate {
            Some((deflater, window)) => {
                deflater.begin_turn();
                send(deflater.recode(frame.to_vec(), *window).into());
            }
            None => send(frame),
        };
        let mut taken = 0;
        while taken < input.len() {
            let fed = self.decoder.feed(&mut input[taken..], &mut |event| {
                match event {
                    Event::Text(text) => echo(encode::frame(OpCode::Data(Data::Text), text)),
                    Event::Binary(bytes) => echo(encode::frame(OpCode::Data(Data::Binary), bytes)),
                    Event::Ping(payload) => echo(encode::pong(payload)),
                    Event::Pong(_) => {}
                    Event::Close { code, reason } => {
                        close.received(code, reason).into_iter().for_each(&mut echo);
                    }
                }
                ControlFlow::Continue(())
            });
            match fed {
                Ok(more) => taken += more,
                Err(violation) => {
                    let frame = close.start(violation.code, violation.reason);
                    frame.into_iter().for_each(&mut echo);
                    break;
                }
            }
        }
        if close.is_open() {
            After::Read
        } else {
            After::Shutdown
        }
    }
}
