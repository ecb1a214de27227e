//! One masked text frame of a client, read by our decoder and by tungstenite's `WebSocket`, which keeps a buffer of its
//! own for every socket.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use divan::{Bencher, black_box};
use pws_fast::ws::Decoder;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, WebSocket};

/// An ack, and a publish of 1 KiB.
const PAYLOAD_BYTES: [usize; 2] = [24, 1456];

const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

fn masked(payload_bytes: usize) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        mask: Some(mask),
        ..FrameHeader::default()
    };
    let mut frame = Vec::new();
    header.format(payload_bytes as u64, &mut frame).unwrap();
    frame.extend((0..payload_bytes).map(|at| b'a' ^ mask[at % 4]));
    frame
}

#[divan::bench(args = PAYLOAD_BYTES)]
fn ours(bencher: Bencher, payload_bytes: usize) {
    let frame = masked(payload_bytes);
    let mut input = frame.clone();
    let mut decoder = Decoder::new(MAX_MESSAGE_BYTES);
    bencher.bench_local(|| {
        input.copy_from_slice(&frame);
        decoder
            .feed(black_box(&mut input), &mut |event| {
                black_box(event);
                ControlFlow::Continue(())
            })
            .unwrap();
    });
}

/// The buffer of 128 KiB that tungstenite takes by default costs it much more: it is filled with zeros for every read.
const READ_BUFFER_BYTES: usize = 4096;

#[divan::bench(args = PAYLOAD_BYTES)]
fn tungstenite(bencher: Bencher, payload_bytes: usize) {
    let frame = masked(payload_bytes);
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let stream = Once {
        frame: &frame,
        unread: 0..0,
    };
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    bencher.bench_local(|| {
        socket.get_mut().unread = 0..frame.len();
        black_box(socket.read().unwrap());
        // As a gateway would: it reads until nothing is there.
        assert!(matches!(socket.read(), Err(Error::Io(_))));
    });
}

/// A stream that has one frame, whenever `unread` says so.
struct Once<'a> {
    frame: &'a [u8],
    unread: std::ops::Range<usize>,
}

impl Read for Once<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = self.frame[self.unread.clone()].as_ref().read(buffer)?;
        self.unread.start += read;
        Ok(read)
    }
}

impl Write for Once<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
