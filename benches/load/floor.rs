//! The floor: what the kernel charges for one prebuilt frame to each of N sockets. One thread, one io_uring, one SEND per
//! socket and message; what clients send is received into one buffer and dropped. No protocol at all: whoever
//! connects is sent a fixed 101.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use io_uring::{IoUring, opcode, types};

use crate::frames;
use crate::publishers::SETTLING;

const RING_ENTRIES: u32 = 4096;
/// Completions of receives carry this.
const RECEIVED: u64 = 1 << 32;
/// Where acks go that nobody reads.
const SINK_BYTES: usize = 64 * 1024;

struct Floor {
    ring: IoUring,
    sockets: Vec<TcpStream>,
    sink: Vec<u8>,
    sends: usize,
}

/// `floor ADDRESS READERS RATE SECONDS`
pub fn main(arguments: &[String]) -> ExitCode {
    let [address, readers, rate, seconds] = arguments else {
        return ExitCode::from(64);
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let address: SocketAddr = address.parse().expect("an address");
    let listener = TcpListener::bind(address).expect("a free port");
    let sockets = accept(&listener, number(readers));
    let mut floor = Floor::new(sockets);
    std::thread::sleep(SETTLING);
    floor.publish(
        number(rate) as u32,
        Duration::from_secs(number(seconds) as u64),
    );
    // Until the clients have read all and this process is ended.
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn accept(listener: &TcpListener, readers: usize) -> Vec<TcpStream> {
    let mut sockets = Vec::with_capacity(readers);
    while sockets.len() < readers {
        let (mut socket, _) = listener.accept().expect("a connection");
        let _ = socket.set_nodelay(true);
        // A probe whether somebody listens sends nothing and has gone.
        let mut first = [0];
        if socket.peek(&mut first).is_ok_and(|count| count > 0) {
            let _ = socket.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
            sockets.push(socket);
        }
    }
    sockets
}

impl Floor {
    fn new(sockets: Vec<TcpStream>) -> Floor {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun();
        let ring = builder.build(RING_ENTRIES).expect("an io_uring");
        let mut floor = Floor {
            ring,
            sockets,
            sink: vec![0; SINK_BYTES],
            sends: 0,
        };
        for place in 0..floor.sockets.len() {
            floor.receive(place);
        }
        floor
    }

    fn publish(&mut self, rate: u32, run: Duration) {
        let begin = Instant::now();
        let messages = u64::from(rate) * run.as_secs();
        for number in 0..messages {
            let due = begin + Duration::from_secs(1) * number as u32 / rate;
            while let Some(wait) = due.checked_duration_since(Instant::now()) {
                self.wait(Some(wait));
            }
            let bytes = frames::delivery(number);
            for place in 0..self.sockets.len() {
                self.send(place, &bytes);
            }
            // The frame lives until the last of them is done.
            while self.sends > 0 {
                self.wait(None);
            }
        }
    }

    fn send(&mut self, place: usize, bytes: &[u8]) {
        let fd = types::Fd(self.sockets[place].as_raw_fd());
        let entry = opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build()
            .user_data(place as u64);
        self.sends += 1;
        self.push(&entry);
    }

    fn receive(&mut self, place: usize) {
        let fd = types::Fd(self.sockets[place].as_raw_fd());
        let entry = opcode::Recv::new(fd, self.sink.as_mut_ptr(), SINK_BYTES as u32)
            .build()
            .user_data(RECEIVED | place as u64);
        self.push(&entry);
    }

    fn push(&mut self, entry: &io_uring::squeue::Entry) {
        // SAFETY: the frame outlives its sends (`publish`), the sink the ring; what the sink holds nobody reads.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit().expect("submitted");
        }
    }

    fn wait(&mut self, at_most: Option<Duration>) {
        match at_most {
            None => drop(self.ring.submit_and_wait(1).expect("waited")),
            Some(wait) => {
                let time = types::Timespec::new()
                    .sec(wait.as_secs())
                    .nsec(wait.subsec_nanos());
                let arguments = types::SubmitArgs::new().timespec(&time);
                // ETIME: nothing came.
                let _ = self.ring.submitter().submit_with_args(1, &arguments);
            }
        }
        let done: Vec<(u64, i32)> = self
            .ring
            .completion()
            .map(|entry| (entry.user_data(), entry.result()))
            .collect();
        for (user_data, result) in done {
            if user_data & RECEIVED == 0 {
                self.sends -= 1;
            } else if result > 0 {
                self.receive((user_data & !RECEIVED) as usize);
            }
        }
    }
}
