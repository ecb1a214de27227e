//! Whom a trusted proxy says that it asks for: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Each proxy appends whom it was asked by, so the list is read from its end: as long as the word of the one that wrote
//! an entry is taken. What stands before that, the client may have written itself.

use std::net::{IpAddr, SocketAddr};

use super::Networks;

/// The client's address. `peer` is who sent the request: unless it is trusted, the headers are not looked at.
///
/// None: one is a forgery, and which part of it is not known. Either both headers are there and name different clients
/// (proxies write one of them and pass the other on as it came), or a quote that is never closed hides what follows it.
pub fn client<'a>(
    peer: IpAddr,
    trusted: &Networks,
    x_forwarded_for: impl Iterator<Item = &'a [u8]>,
    forwarded: impl Iterator<Item = &'a [u8]>,
) -> Option<IpAddr> {
    if !trusted.contain(peer) {
        return Some(peer);
    }
    // Without quotes: a comma always separates.
    let listed: Vec<&[u8]> = x_forwarded_for
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
        .collect();
    let mut elements: Vec<&[u8]> = Vec::new();
    for line in forwarded {
        elements.extend(split(line, b',')?);
    }
    let by_list = walk(peer, trusted, listed.iter().map(|entry| node(entry)));
    let by_elements = walk(
        peer,
        trusted,
        elements.iter().map(|element| for_node(element)),
    );
    match (listed.is_empty(), elements.is_empty()) {
        (_, true) => Some(by_list),
        (true, false) => Some(by_elements),
        (false, false) => (by_list == by_elements).then_some(by_list),
    }
}

/// From the last entry to the first one that a trusted proxy did not write, or that names nobody.
fn walk(
    peer: IpAddr,
    trusted: &Networks,
    entries: impl DoubleEndedIterator<Item = Option<IpAddr>>,
) -> IpAddr {
    let mut client = peer;
    for entry in entries.rev() {
        match entry {
            Some(address) if trusted.contain(client) => client = address.to_canonical(),
            _ => break,
        }
    }
    client
}

/// The parts between separators outside quotes, trimmed; empty ones are left out (RFC 9110 §5.6.1.2).
/// None: a quote stays open.
fn split(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    let (mut start, mut is_quoted, mut is_escaped) = (0, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if byte == separator && !is_quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    let trimmed = parts.into_iter().map(<[u8]>::trim_ascii);
    (!is_quoted).then(|| trimmed.filter(|part| !part.is_empty()).collect())
}

/// The node of `for=` in one element, `for=192.0.2.1;proto=https`.
fn for_node(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(element, b';')? {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        if pair[..at].eq_ignore_ascii_case(b"for") {
            // Twice in one element is malformed (RFC 7239 §4).
            if found.is_some() {
                return None;
            }
            found = Some(node(&pair[at + 1..])?);
        }
    }
    found
}

/// An address, with a port or without, in quotes or not. None for `unknown`, `_hidden` and what is no address.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(peer: &str, list: &[&str], forwarded: &[&str]) -> Option<String> {
        let trusted = Networks::parse("10.0.0.0/8,fd00::/8").unwrap();
        let client = client(
            peer.parse().unwrap(),
            &trusted,
            list.iter().map(|line| line.as_bytes()),
            forwarded.iter().map(|line| line.as_bytes()),
        );
        client.map(|address| address.to_string())
    }

    fn listed(peer: &str, list: &[&str]) -> String {
        found(peer, list, &[]).unwrap()
    }

    #[test]
    fn the_last_entry_that_no_trusted_proxy_stands_behind_is_the_client() {
        assert_eq!(listed("10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(listed("10.0.0.1", &["203.0.113.9, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(
            listed("10.0.0.1", &["203.0.113.9, 192.0.2.1, 10.0.0.2"]),
            "192.0.2.1"
        );
        assert_eq!(
            listed("10.0.0.1", &["192.0.2.1", "10.0.0.2, fd00::1"]),
            "192.0.2.1"
        );
        assert_eq!(
            listed("10.0.0.1", &["192.0.2.1:4711,[fd00::1]:80"]),
            "192.0.2.1"
        );
        assert_eq!(
            listed("::ffff:10.0.0.1", &["::ffff:192.0.2.1"]),
            "192.0.2.1"
        );
    }

    #[test]
    fn nobody_else_is_believed() {
        assert_eq!(listed("192.0.2.1", &["10.0.0.1"]), "192.0.2.1");
        assert_eq!(
            found("192.0.2.1", &["1.1.1.1"], &["for=2.2.2.2"]).unwrap(),
            "192.0.2.1"
        );
    }

    #[test]
    fn an_entry_that_names_nobody_ends_what_is_known() {
        for entry in [
            "unknown",
            "_hidden",
            "1.2.3",
            "é",
            "\"",
            "192.0.2.1 192.0.2.2",
            "[::1",
        ] {
            let line = format!("203.0.113.9, {entry}, 10.0.0.2");
            assert_eq!(listed("10.0.0.1", &[&line]), "10.0.0.2", "{entry}");
        }
        assert_eq!(listed("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(listed("10.0.0.1", &["", " , "]), "10.0.0.1");
    }

    #[test]
    fn the_header_of_the_standard_is_read_too() {
        for (line, client) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=\"192.0.2.1:80\";proto=https;by=10.0.0.1", "192.0.2.1"),
            ("proto=http;for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=203.0.113.9, for=192.0.2.1, for=10.0.0.9", "192.0.2.1"),
            ("for=203.0.113.9, for=unknown", "10.0.0.1"),
            ("for=203.0.113.9, proto=http", "10.0.0.1"),
            ("for=192.0.2.1;for=192.0.2.1", "10.0.0.1"),
            ("for", "10.0.0.1"),
            ("by=\"a,for=203.0.113.9\";for=192.0.2.1", "192.0.2.1"),
            ("by=\"\\\",for=203.0.113.9\";for=192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(found("10.0.0.1", &[], &[line]).unwrap(), client, "{line}");
        }
    }

    #[test]
    fn two_headers_have_to_name_the_same_client() {
        assert_eq!(
            found("10.0.0.1", &["192.0.2.1"], &["for=192.0.2.1"]).unwrap(),
            "192.0.2.1"
        );
        assert_eq!(found("10.0.0.1", &["192.0.2.1"], &["for=192.0.2.2"]), None);
    }

    #[test]
    fn a_quote_that_hides_what_the_proxy_wrote_is_a_forgery() {
        assert_eq!(found("10.0.0.1", &[], &["for=\"x, for=192.0.2.1"]), None);
        assert_eq!(listed("10.0.0.1", &["\"x, 192.0.2.1"]), "192.0.2.1");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 1000 }))]
        #[test]
        fn what_a_client_writes_in_front_changes_nothing(
            forged in "[ -~é]{0,60}",
            is_own_line: bool,
        ) {
            let lines = match is_own_line {
                true => vec![forged, "192.0.2.1".to_owned()],
                false => vec![format!("{forged}, 192.0.2.1")],
            };
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert_eq!(listed("10.0.0.1", &lines), "192.0.2.1");
        }
    }
}
