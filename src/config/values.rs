//! One value at a time: text to number, truth, address, URL. Errors complete the sentence "'abc' …" and never repeat it.

use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};
use std::ops::RangeInclusive;

use super::limits::{BROKER_PORT, BROKER_TLS_PORT, BROKERS_MAX};
use crate::runtime::cores;

/// A broker's `pulsar://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    /// `pulsar+ssl://`.
    pub tls: bool,
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "pulsar+ssl" } else { "pulsar" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// A class name is shorter; what is longer is something else.
const CLASS_BYTES_MAX: usize = 128;

/// "com.example.Reader, a Java class", for a message. What does not look like a name may be a secret in the wrong place,
/// and is not shown.
pub(super) fn java_class(name: &str) -> String {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(&byte))
    };
    let is_alone = !name.contains('.');
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphabetic());
    // Tokens have dots too, and begin so: it is the `{"` of their JSON.
    let is_token = name.starts_with("eyJ");
    let is_name = name.len() <= CLASS_BYTES_MAX && name.split('.').all(is_part);
    match is_name && !is_token && (is_word || !is_alone) {
        true => format!("{name}, a Java class"),
        false => "a Java class".to_owned(),
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err("is not true or false".into())
    }
}

pub(super) fn whole(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| "is not a whole number that fits 64 bits".to_string())
}

pub(super) fn within(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            format!(
                "is not a whole number of {} to {}",
                range.start(),
                range.end()
            )
        })
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| "is not a port (1–65535, or 0 for any free one)".to_string())
}

/// An IP address, or a host name as Java takes it: its first IPv4 address, else its first.
pub(super) fn bind_address(text: &str) -> Result<IpAddr, String> {
    let literal = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = literal.parse() {
        return Ok(address);
    }
    #[expect(clippy::disallowed_methods, reason = "nothing runs yet")]
    let found: Vec<_> = (text, 0)
        .to_socket_addrs()
        .map_err(|_| "is neither an IP address nor a host name that resolves".to_string())?
        .collect();
    let first = found
        .iter()
        .find(|address| address.is_ipv4())
        .or(found.first());
    first
        .map(|address| address.ip())
        .ok_or_else(|| "is a host name without an address".into())
}

/// CPUs that this process may use: sorted, each once.
pub(super) fn cpu_list(text: &str) -> Result<Vec<usize>, String> {
    let list = cores::parse(text).map_err(|why| format!("is no list of CPUs: {why}"))?;
    cores::check(&list).map_err(|why| format!("cannot be had: {why}"))?;
    Ok(list)
}

/// `pulsar://host:port[,host:port…]` or `pulsar+ssl://…`, the scheme repeated or not, as the Java client's ServiceURI
/// reads it.
pub(super) fn brokers(text: &str) -> Result<Vec<BrokerAddress>, String> {
    let mut addresses: Vec<BrokerAddress> = Vec::new();
    for part in text.split([',', ';']).map(str::trim) {
        let (scheme, rest) = part.split_once("://").unwrap_or(("", part));
        let first_tls = addresses.first().map(|first| first.tls);
        let tls = match (scheme.to_ascii_lowercase().as_str(), first_tls) {
            ("pulsar", _) => false,
            ("pulsar+ssl", _) => true,
            ("", Some(first_tls)) => first_tls,
            ("http" | "https", _) => {
                return Err("is an HTTP URL: set it as serviceUrl".into());
            }
            _ => return Err("is not a broker URL such as pulsar://host:6650".into()),
        };
        if first_tls.is_some_and(|first_tls| first_tls != tls) {
            return Err("mixes pulsar:// and pulsar+ssl://".into());
        }
        let (host, port) = authority(rest, if tls { BROKER_TLS_PORT } else { BROKER_PORT })?;
        addresses.push(BrokerAddress { host, port, tls });
        if addresses.len() > BROKERS_MAX {
            return Err(format!("names more than {BROKERS_MAX} brokers"));
        }
    }
    Ok(addresses)
}

/// `host`, `host:port` or `[v6]:port`, with a `/` behind it or not.
pub(super) fn authority(text: &str, default_port: u16) -> Result<(String, u16), String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.contains('@') {
        return Err("holds a user name; credentials do not belong into a URL".into());
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or("has a '[' without a ']'")?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("has something else than an IPv6 address between '[' and ']'".into());
        }
        (host, port)
    } else {
        text.split_at(text.find(':').unwrap_or(text.len()))
    };
    let host_ok = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(host_ok) {
        return Err("has no valid host name".into());
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default_port,
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|&port| port != 0)
            .ok_or("has no valid port (1–65535)")?,
        None => return Err("has something behind the host".into()),
    };
    Ok((host.to_string(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> BrokerAddress {
        BrokerAddress {
            host: host.into(),
            port,
            tls: false,
        }
    }

    #[test]
    fn broker_lists_are_read_with_and_without_repeated_schemes() {
        let two = vec![address("a", 6650), address("b.example", 7000)];
        assert_eq!(brokers("pulsar://a,b.example:7000"), Ok(two.clone()));
        assert_eq!(
            brokers("pulsar://a:6650, pulsar://b.example:7000/"),
            Ok(two)
        );
        assert_eq!(brokers("pulsar://[::1]:1"), Ok(vec![address("::1", 1)]));
        assert_eq!(brokers("PULSAR://[::1]"), Ok(vec![address("::1", 6650)]));
        let tls = brokers("pulsar+ssl://a,pulsar+ssl://b:1").unwrap();
        assert!(tls.iter().all(|address| address.tls));
        assert_eq!((tls[0].port, tls[1].port), (6651, 1));
    }

    #[test]
    fn a_broker_is_shown_as_the_url_it_came_from() {
        for url in [
            "pulsar://a:1",
            "pulsar+ssl://b.example:6651",
            "pulsar://[::1]:6650",
        ] {
            assert_eq!(brokers(url).unwrap()[0].to_string(), url);
        }
    }

    #[test]
    fn broker_urls_that_are_none_say_why() {
        for (text, why) in [
            ("a:6650", "not a broker URL"),
            ("pulsar://", "host name"),
            ("pulsar://a:0", "valid port"),
            ("pulsar://a:65536", "valid port"),
            ("pulsar://a:1:2", "valid port"),
            ("pulsar://a,,b", "host name"),
            ("pulsar://u:p@a", "user name"),
            ("pulsar://[::1", "without a ']'"),
            ("pulsar://[a]:1", "IPv6"),
            ("pulsar://[::1]x", "behind the host"),
            ("pulsar://a b", "host name"),
            ("pulsar+ssl://a,pulsar://b", "mixes"),
            ("http://a:8080", "HTTP"),
        ] {
            let error = brokers(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn cpu_lists_hold_allowed_cpus_only() {
        let first = cores::allowed().unwrap()[0];
        assert_eq!(cpu_list(&format!("{first},{first}")), Ok(vec![first]));
        assert!(cpu_list("1-").unwrap_err().contains("no list of CPUs"));
        assert!(cpu_list("1023").unwrap_err().contains("cannot be had"));
    }

    #[test]
    fn bind_addresses_may_be_literals_or_localhost() {
        assert_eq!(bind_address("0.0.0.0"), Ok("0.0.0.0".parse().unwrap()));
        assert_eq!(bind_address("[::]"), Ok("::".parse().unwrap()));
        assert!(bind_address("1.2.3.4.5").is_err());
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the system's resolver")]
    fn a_host_name_is_resolved() {
        assert!(bind_address("localhost").unwrap().is_loopback());
    }

    #[test]
    fn a_java_class_is_named_and_what_may_be_a_secret_is_not() {
        for name in ["com.example.Reader$1", "AuthenticationAthenz"] {
            assert_eq!(java_class(name), format!("{name}, a Java class"));
        }
        for text in [
            "",
            "token:abc",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.abc",
            "c2VjcmV0MTIzNDU2",
            "a..b",
            "{\"a\":1}",
        ] {
            assert_eq!(java_class(text), "a Java class", "{text}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(if cfg!(miri) { 8 } else { 512 }))]
        #[test]
        fn any_text_gives_a_value_or_a_reason(text in "\\PC{0,40}", url in "(pulsar|http)://[a-z0-9:,;@/\\[\\]é.-]{0,30}") {
            let _ = (boolean(&text), whole(&text), within(&text, 1..=9), port(&text), cpu_list(&text));
            let _ = (brokers(&text), brokers(&url));
        }
    }
}
