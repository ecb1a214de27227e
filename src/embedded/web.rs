//! The broker's web service, as far as clients need it to find topics: look-ups and numbers of partitions over HTTP.
//!
//! One thread, one request per connection: it is for tests of a gateway that is given a `serviceUrl`.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::broker::WebAnswer;
use super::server::{Shared, spawn};

/// A request head is a line and a few headers.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Nobody else is served while a client makes up its mind.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until the broker stops.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    shared.on_stop(address);
    spawn("embedded-web", move || {
        for stream in listener.incoming() {
            if shared.is_stopped() {
                return;
            }
            if let Ok(stream) = stream {
                // An error is the client's: it has gone.
                let _ = answer(stream, address, &shared);
            }
        }
    })?;
    Ok(address)
}

fn answer(mut stream: TcpStream, address: SocketAddr, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk)?;
        if read == 0 || head.len() > HEAD_BYTES_MAX {
            return Ok(());
        }
        head.extend_from_slice(&chunk[..read]);
    }
    let line = String::from_utf8_lossy(&head);
    let target = line
        .strip_prefix("GET ")
        .and_then(|rest| rest.split(' ').next());
    let answer = match target {
        Some(target) => shared.turn(|broker, _| broker.web_request(target)),
        None => WebAnswer::refused(405, "Method Not Allowed"),
    };
    let location = match answer.redirect {
        Some(target) => format!("Location: http://{address}{target}\r\n"),
        None => String::new(),
    };
    let response = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\n{location}Content-Length: {}\r\n\
         Connection: close\r\n\r\n{}",
        answer.status,
        answer.reason,
        answer.body.len(),
        answer.body
    );
    stream.write_all(response.as_bytes())
}
