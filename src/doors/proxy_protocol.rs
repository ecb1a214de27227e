//! The PROXY protocol, versions 1 and 2 (haproxy.org, `proxy-protocol.txt`): what a proxy says in front of a connection
//! that it makes for somebody else.
//!
//! Whether there is a header is not guessed (section 2 of that text forbids it): whoever asks this reader wants one. It
//! never asks for a byte behind the header, so what follows (TLS, a request) is left to whom it is for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V1_SIGNATURE: &[u8] = b"PROXY ";
/// The signature, version and command, family, length.
const V2_FIXED_BYTES: usize = 16;
/// Section 2.1: no line of version 1 is longer, its end included.
const V1_LINE_BYTES_MAX: usize = 107;
/// What may follow the fixed part of version 2. Addresses are 36 bytes, what clouds add to them a few dozen; Jetty has
/// the same bound.
const V2_REST_BYTES_MAX: usize = 1024;

/// Who is at the other end of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Client(SocketAddr),
    /// The proxy speaks for itself (a health check), or does not say for whom.
    Proxy,
}

/// Collects one header. After a source or an error it is done with.
#[derive(Default)]
pub struct HeaderReader {
    header: Vec<u8>,
}

/// What is wrong with a header; fixed words.
pub type Malformed = &'static str;

impl HeaderReader {
    /// How many bytes may be read next; at least one, and none of them behind the header.
    pub fn wants(&self) -> usize {
        let have = self.header.len();
        match &self.header[..] {
            // Neither version is complete with less than these.
            _ if have < V2_SIGNATURE.len() => V2_SIGNATURE.len() - have,
            [b'\r', ..] if have < V2_FIXED_BYTES => V2_FIXED_BYTES - have,
            [b'\r', ..] => (self.v2_end() - have).max(1),
            [.., b'\r'] => 1,
            // The end of a line is two bytes.
            _ => 2,
        }
    }

    /// The next bytes, at most as many as are wanted.
    ///
    /// # Errors
    /// What is no such header, at the byte that shows it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Source>, Malformed> {
        self.header.extend_from_slice(bytes);
        if begins_like(&self.header, V1_SIGNATURE) {
            self.v1()
        } else if begins_like(&self.header, V2_SIGNATURE) {
            self.v2()
        } else {
            Err("A PROXY protocol header is wanted from this address")
        }
    }

    fn v1(&self) -> Result<Option<Source>, Malformed> {
        // What lies behind the longest line tells nothing, however the bytes came in.
        let begin = &self.header[..self.header.len().min(V1_LINE_BYTES_MAX)];
        let ends = begin.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        match ends.map(|at| begin.split_at(at)) {
            None | Some((_, b"\r")) if begin.len() < V1_LINE_BYTES_MAX => Ok(None),
            None | Some((_, b"\r")) => Err("PROXY line too long"),
            Some((line, b"\r\n")) => std::str::from_utf8(line)
                .ok()
                .and_then(v1_source)
                .map(Some)
                .ok_or("Malformed PROXY line"),
            Some(_) => Err("Malformed PROXY line"),
        }
    }

    fn v2_end(&self) -> usize {
        let rest = match self.header.get(14..V2_FIXED_BYTES) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => 0,
        };
        V2_FIXED_BYTES + rest
    }

    fn v2(&self) -> Result<Option<Source>, Malformed> {
        let Some(&[version_and_command, family, _, _]) = self.header.get(12..V2_FIXED_BYTES) else {
            return Ok(None);
        };
        let is_local = match version_and_command {
            0x20 => true,
            0x21 => false,
            _ => return Err("Unknown version or command in a PROXY header"),
        };
        let end = self.v2_end();
        if end > V2_FIXED_BYTES + V2_REST_BYTES_MAX {
            return Err("PROXY header too long");
        }
        if self.header.len() < end {
            return Ok(None);
        }
        // Type-length-values behind the addresses are skipped.
        let addresses = &self.header[V2_FIXED_BYTES..end];
        match (is_local, family) {
            (true, _) | (false, 0x00 | 0x31 | 0x32) => Ok(Some(Source::Proxy)),
            (false, 0x11) => v2_source::<4>(addresses, |ip| Ipv4Addr::from(ip).into()).map(Some),
            (false, 0x21) => v2_source::<16>(addresses, |ip| Ipv6Addr::from(ip).into()).map(Some),
            (false, _) => Err("Unknown address family in a PROXY header"),
        }
    }
}

/// Whether as much as is there of either is the same.
fn begins_like(header: &[u8], signature: &[u8]) -> bool {
    let common = header.len().min(signature.len());
    header[..common] == signature[..common]
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 5000 80`, or `PROXY UNKNOWN` and anything.
fn v1_source(line: &str) -> Option<Source> {
    let rest = line.strip_prefix("PROXY ")?;
    if rest == "UNKNOWN" || rest.starts_with("UNKNOWN ") {
        return Some(Source::Proxy);
    }
    let mut fields = rest.split(' ');
    let mut field = || fields.next();
    let (protocol, source, destination) = (field()?, field()?, field()?);
    let (port, destination_port) = (v1_port(field()?)?, v1_port(field()?)?);
    let _ = destination_port;
    if field().is_some() {
        return None;
    }
    let (source, destination): (IpAddr, IpAddr) = (source.parse().ok()?, destination.parse().ok()?);
    let fits = |ip: IpAddr| match protocol {
        "TCP4" => ip.is_ipv4(),
        "TCP6" => ip.is_ipv6(),
        _ => false,
    };
    (fits(source) && fits(destination)).then_some(Source::Client(SocketAddr::new(source, port)))
}

/// Decimal, without a sign or leading zeros.
fn v1_port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && is_short)
}

/// Source address, destination address, source port, destination port.
fn v2_source<const N: usize>(
    addresses: &[u8],
    ip: impl Fn([u8; N]) -> IpAddr,
) -> Result<Source, Malformed> {
    let short = "PROXY header too short for its addresses";
    let source = addresses.first_chunk::<N>().ok_or(short)?;
    match addresses.get(2 * N..2 * N + 4) {
        Some(&[high, low, _, _]) => {
            let port = u16::from_be_bytes([high, low]);
            Ok(Source::Client(SocketAddr::new(ip(*source), port)))
        }
        _ => Err(short),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a header out of a stream in pieces of at most `piece` bytes; also how much of the stream it took.
    fn read(stream: &[u8], piece: usize) -> (Result<Option<Source>, Malformed>, usize) {
        let mut reader = HeaderReader::default();
        let mut taken = 0;
        while taken < stream.len() {
            let most = (stream.len() - taken).min(reader.wants()).min(piece);
            assert!(most > 0);
            let result = reader.feed(&stream[taken..taken + most]);
            taken += most;
            if result != Ok(None) {
                return (result, taken);
            }
        }
        (Ok(None), taken)
    }

    fn client(address: &str) -> Result<Option<Source>, Malformed> {
        Ok(Some(Source::Client(address.parse().unwrap())))
    }

    fn v2(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [
            &V2_SIGNATURE[..],
            &[version_and_command, family],
            &length,
            rest,
        ]
        .concat()
    }

    const TCP4: &[u8] = &[192, 0, 2, 1, 10, 0, 0, 1, 0x13, 0x88, 0, 80];

    #[test]
    fn a_line_of_version_1_names_the_client_and_what_follows_is_left() {
        for (line, found) in [
            (
                "PROXY TCP4 192.0.2.1 10.0.0.1 5000 80\r\n",
                client("192.0.2.1:5000"),
            ),
            (
                "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
                client("[2001:db8::1]:1"),
            ),
            ("PROXY UNKNOWN\r\n", Ok(Some(Source::Proxy))),
            (
                "PROXY UNKNOWN ff:: anything at all\r\n",
                Ok(Some(Source::Proxy)),
            ),
        ] {
            for piece in [1, 2, 3, 1000] {
                let stream = format!("{line}GET / HTTP/1.1\r\n");
                assert_eq!(
                    read(stream.as_bytes(), piece),
                    (found, line.len()),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn a_header_of_version_2_names_the_client_and_what_follows_is_left() {
        let tcp6 = [[0x20; 32].as_slice(), &[0, 7, 0, 80]].concat();
        let with_extras = [TCP4, &[0x04, 0, 1, 0, 0xee, 0, 0]].concat();
        for (header, found) in [
            (v2(0x21, 0x11, TCP4), client("192.0.2.1:5000")),
            (v2(0x21, 0x11, &with_extras), client("192.0.2.1:5000")),
            (
                v2(0x21, 0x21, &tcp6),
                client("[2020:2020:2020:2020:2020:2020:2020:2020]:7"),
            ),
            (v2(0x20, 0x00, b""), Ok(Some(Source::Proxy))),
            (v2(0x20, 0x11, TCP4), Ok(Some(Source::Proxy))),
            (v2(0x21, 0x00, b"what"), Ok(Some(Source::Proxy))),
            (v2(0x21, 0x31, &[0; 216]), Ok(Some(Source::Proxy))),
        ] {
            for piece in [1, 5, 1000] {
                let stream = [&header[..], b"\x16\x03\x01"].concat();
                assert_eq!(read(&stream, piece), (found, header.len()));
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_the_byte_that_shows_it() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        for stream in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",
            b"proxy TCP4 192.0.2.1 10.0.0.1 5000 80\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 5000\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 80 \r\n",
            b"PROXY TCP4  192.0.2.1 10.0.0.1 5000 80\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 05000 80\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 +5 80\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 80\r\n",
            b"PROXY TCP4 2001:db8::1 ::1 5000 80\r\n",
            b"PROXY TCP6 192.0.2.1 10.0.0.1 5000 80\r\n",
            b"PROXY TCP5 192.0.2.1 10.0.0.1 5000 80\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 80\nGET",
            b"PROXY TCP4 192.0.2.1\r10.0.0.1 5000 80\r\n",
            b"PROXY TCP4 \xff 10.0.0.1 5000 80\r\n",
            long.as_bytes(),
            &v2(0x11, 0x11, TCP4),
            &v2(0x22, 0x11, TCP4),
            &v2(0x21, 0x12, TCP4),
            &v2(0x21, 0x41, TCP4),
            &v2(0x21, 0x11, &TCP4[..11]),
            &v2(0x21, 0x21, TCP4),
            &v2(0x21, 0x11, &[0; 1025]),
        ] {
            let (whole, _) = read(stream, 1000);
            assert!(whole.is_err(), "{}", stream.escape_ascii());
            assert_eq!(read(stream, 1).0, whole);
        }
    }

    #[test]
    fn an_end_beyond_the_longest_line_is_the_same_however_it_is_cut() {
        for end in ["\r\n", "\r\x0e", "\n\n", "xx"] {
            let stream = format!("PROXY UNKNOWN {}{end}", "x".repeat(V1_LINE_BYTES_MAX - 15));
            let whole = read(stream.as_bytes(), usize::MAX).0;
            assert_eq!(read(stream.as_bytes(), 1).0, whole, "{end:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 2000 }))]
        #[test]
        fn any_bytes_are_a_header_or_refused_and_never_grow_past_the_bound(
            begin in proptest::sample::select(vec![&b""[..], b"PROXY TCP4 ", V2_SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"]),
            rest in proptest::collection::vec(any::<u8>(), 0..1200),
            piece in 1usize..40,
        ) {
            let stream = [begin, &rest].concat();
            let (result, taken) = read(&stream, piece);
            prop_assert!(taken <= V2_FIXED_BYTES + V2_REST_BYTES_MAX);
            prop_assert_eq!(read(&stream, usize::MAX).0, result);
        }

        #[test]
        fn every_address_comes_back_in_both_versions(v4: [u8; 4], v6: [u8; 16], port: u16, behind in "\\PC{0,20}") {
            for ip in [IpAddr::from(v4), IpAddr::from(v6)] {
                let found = (Ok(Some(Source::Client(SocketAddr::new(ip, port)))), true);
                let (family, octets) = match ip {
                    IpAddr::V4(ip) => (0x11, ip.octets().to_vec()),
                    IpAddr::V6(ip) => (0x21, ip.octets().to_vec()),
                };
                let protocol = if ip.is_ipv4() { "TCP4" } else { "TCP6" };
                let line = format!("PROXY {protocol} {ip} {ip} {port} {port}\r\n").into_bytes();
                let ports = [port.to_be_bytes(), port.to_be_bytes()].concat();
                for header in [line, v2(0x21, family, &[&octets[..], &octets, &ports].concat())] {
                    let (result, taken) = read(&[&header[..], behind.as_bytes()].concat(), 7);
                    prop_assert_eq!((result, taken == header.len()), found);
                }
            }
        }
    }
}
