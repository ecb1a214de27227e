//! Fetches a small document over HTTPS, on an ordinary thread: one request a connection, no redirects.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use zeroize::Zeroizing;

use crate::auth::Fetching;
use crate::pulsar::rest::{self, ResponseReader};

const READ_BYTES: usize = 16 * 1024;

pub struct Fetcher {
    tls: Arc<ClientConfig>,
    connect_timeout: Duration,
    read_timeout: Duration,
}

impl Fetcher {
    /// # Errors
    /// The certificates to trust are none.
    pub fn new(fetching: &Fetching) -> Result<Fetcher, String> {
        let mut roots = RootCertStore::empty();
        match &fetching.trusted {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(certificates) => {
                for certificate in certificates {
                    let added = roots.add(certificate.clone());
                    added
                        .map_err(|error| format!("openIDTokenIssuerTrustCertsFilePath: {error}"))?;
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Fetcher {
            tls: Arc::new(tls),
            // Zero is refused by the system.
            connect_timeout: Duration::from_millis(fetching.connect_timeout_ms.max(1)),
            read_timeout: Duration::from_millis(fetching.read_timeout_ms.max(1)),
        })
    }

    /// The body of what is at `url`, if that is a 200.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        match self.ask(url, None)? {
            (200, body) => Ok(body),
            (status, _) => Err(format!("status {status}")),
        }
    }

    /// Status and body of what is at `url`, or of the answer to a form that is posted there.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn ask(&self, url: &str, form: Option<&str>) -> Result<(u16, Vec<u8>), String> {
        let url = Url::parse(url).ok_or("its address is no http:// or https:// URL")?;
        let stream = self.connect(&url).map_err(|error| error.to_string())?;
        let request = Zeroizing::new(match form {
            None => rest::request(url.authority, url.target, ""),
            Some(form) => post(&url, form),
        });
        let fail = |error: io::Error| error.to_string();
        if !url.tls {
            return exchange(stream, &request).map_err(fail);
        }
        let name = ServerName::try_from(url.host.to_owned()).map_err(|error| error.to_string())?;
        let session = ClientConnection::new(self.tls.clone(), name);
        let session = session.map_err(|error| error.to_string())?;
        exchange(StreamOwned::new(session, stream), &request).map_err(fail)
    }

    fn connect(&self, url: &Url<'_>) -> io::Result<Timed> {
        #[expect(clippy::disallowed_methods, reason = "a thread of its own, no shard")]
        let addresses = (url.host, url.port).to_socket_addrs()?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its host has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, self.connect_timeout) {
                Ok(stream) => {
                    let deadline = Instant::now() + self.read_timeout;
                    return Ok(Timed { stream, deadline });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    stream.write_all(request)?;
    stream.flush()?;
    let mut reader = ResponseReader::default();
    let mut unread = BytesMut::new();
    let mut buffer = vec![0; READ_BYTES];
    let response = loop {
        let count = match stream.read(&mut buffer) {
            Ok(count) => count,
            // Servers that end TLS without saying so: the body's own length tells whether all is there.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        if count == 0 {
            break reader.end();
        }
        unread.extend_from_slice(&buffer[..count]);
        if let Some(response) = reader.feed(&mut unread).map_err(io::Error::other)? {
            break Some(response);
        }
    };
    match response {
        Some(response) => Ok((response.status, response.body)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A connection with an end: TLS, request and answer together take no longer, also where the server trickles.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(Some(left)),
        }
    }
}

/// What the kernel calls a socket's time limit is not what people do.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn post(url: &Url<'_>, form: &str) -> Vec<u8> {
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        url.target,
        url.authority,
        form.len()
    )
    .into_bytes()
}

/// The parts of `https://host:port/path?query`.
struct Url<'a> {
    tls: bool,
    /// As it stands in the address: host and port.
    authority: &'a str,
    host: &'a str,
    port: u16,
    target: &'a str,
}

impl<'a> Url<'a> {
    fn parse(url: &'a str) -> Option<Url<'a>> {
        let (scheme, rest) = url.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        // What could end the request's line, or begin another.
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let rest = rest.split('#').next()?;
        let (authority, target) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if port.is_empty() && tls => 443,
            None if port.is_empty() => 80,
            None => return None,
        };
        let is_host = !host.is_empty() && !host.contains(['@', '?']);
        is_host.then_some(Url {
            tls,
            authority,
            host,
            port,
            target,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> Option<(bool, &str, u16, &str)> {
        Url::parse(url).map(|it| (it.tls, it.host, it.port, it.target))
    }

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(
            parts("https://a.example"),
            Some((true, "a.example", 443, "/"))
        );
        assert_eq!(
            parts("HTTP://a:8080/x/y?z=1"),
            Some((false, "a", 8080, "/x/y?z=1"))
        );
        assert_eq!(parts("https://[::1]:1/k"), Some((true, "::1", 1, "/k")));
    }

    /// Says `first`, and then a byte from time to time until nobody listens any more.
    fn trickling(first: &'static [u8]) -> std::net::SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Its own read times out, which is the pause.
            let pause = Some(Duration::from_millis(20));
            stream.set_read_timeout(pause).unwrap();
            stream.write_all(first).unwrap();
            while stream.write_all(b"0").is_ok() {
                let _ = stream.read(&mut [0]);
            }
        });
        address
    }

    #[test]
    #[cfg_attr(miri, ignore = "has sockets")]
    fn a_server_that_trickles_is_left_when_its_time_is_over_also_within_tls() {
        let fetcher = Fetcher::new(&Fetching {
            connect_timeout_ms: 60_000,
            read_timeout_ms: 300,
            ..Fetching::default()
        })
        .unwrap();
        // The beginning of a record of 16 KiB.
        let secured = trickling(&[0x16, 3, 3, 0x40, 0]);
        let plain = trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n");
        for url in [format!("https://{secured}/"), format!("http://{plain}/")] {
            assert_eq!(fetcher.get(&url), Err("timed out".to_owned()), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_not_fetched() {
        for url in [
            "",
            "a",
            "file:///etc/passwd",
            "https://",
            "https://a:b/",
            "https://u@a/",
            "https://a/x y",
            "https://a/x\r\nHost: b",
        ] {
            assert_eq!(parts(url), None, "{url}");
        }
    }
}
