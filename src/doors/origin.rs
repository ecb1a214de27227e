//! Which web pages may open sockets: the `Origin` header (RFC 6454) against a list.
//!
//! Only browsers send it, and a page cannot forge it; that is what makes it worth a look. Who sends none is no browser
//! and could send anything: it is let in.

/// More origins than a list needs that somebody keeps by hand; each is compared for each handshake.
const ORIGINS_MAX: usize = 256;

/// Whose pages are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's, as with the Java gateway.
    Any,
    /// Those that came from the address that they ask: `Origin` and `Host` are the same.
    Same,
    /// Those of the list, and no others. The same origin is none of them by itself: a name that is made to point at
    /// the gateway (DNS rebinding) makes any page's origin the same.
    Listed(Vec<Pattern>),
}

/// `https://app.example.com`, `https://*.example.com:8443`, `*.example.com` or `null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// None: any.
    scheme: Option<String>,
    host: Host,
    /// None: any, which only a pattern without a scheme has.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Exact(String),
    /// All names below this one: `.example.com`.
    Below(String),
    /// The origin of pages that have none: files, sandboxed frames.
    Null,
}

/// An origin as a browser writes it.
#[derive(Clone, Copy)]
struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl Origins {
    /// Patterns between commas, or `*`. An error completes the sentence "'abc' …".
    pub fn parse(text: &str) -> Result<Origins, String> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.contains(&"*") {
            return match parts.len() {
                1 => Ok(Origins::Any),
                _ => Err("has a * beside others, which it makes meaningless".to_owned()),
            };
        }
        if parts.len() > ORIGINS_MAX {
            return Err(format!("names more than {ORIGINS_MAX} origins"));
        }
        let patterns = parts.into_iter().map(Pattern::parse);
        patterns.collect::<Result<_, _>>().map(Origins::Listed)
    }

    /// Whether a request is let in that has these `Origin` headers and this `Host`.
    pub fn admit<'a>(
        &self,
        mut origins: impl Iterator<Item = &'a [u8]>,
        host: Option<&str>,
    ) -> bool {
        let origin = match (self, origins.next(), origins.next()) {
            (Origins::Any, ..) | (_, None, _) => return true,
            (_, Some(origin), None) => std::str::from_utf8(origin).unwrap_or_default(),
            // No browser sends two.
            (_, Some(_), Some(_)) => return false,
        };
        match self {
            Origins::Any => true,
            Origins::Same => match (Origin::parse(origin), host) {
                (Some(origin), Some(host)) => origin.is_at(host),
                _ => false,
            },
            Origins::Listed(patterns) => patterns.iter().any(|pattern| pattern.matches(origin)),
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, String> {
        if text == "null" {
            return Ok(Pattern {
                scheme: None,
                host: Host::Null,
                port: None,
            });
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, text),
        };
        let wrong = "has something that is no origin such as https://app.example.com, https://*.example.com, \
                     *.example.com, null or *";
        let (name, port) = split_port(rest).ok_or(wrong)?;
        let (below, name) = match name.strip_prefix("*.") {
            Some(parent) => (true, parent),
            None => (false, name),
        };
        let scheme_is_fine = scheme.is_none_or(is_scheme);
        if !scheme_is_fine || !is_host(name) {
            return Err(wrong.to_owned());
        }
        let name = name.to_ascii_lowercase();
        Ok(Pattern {
            port: port.or_else(|| scheme.and_then(default_port)),
            scheme: scheme.map(str::to_ascii_lowercase),
            host: match below {
                true => Host::Below(format!(".{name}")),
                false => Host::Exact(name),
            },
        })
    }

    fn matches(&self, origin: &str) -> bool {
        if self.host == Host::Null {
            return origin == "null";
        }
        let Some(origin) = Origin::parse(origin) else {
            return false;
        };
        let scheme = self.scheme.as_deref();
        let port_is_fine = match (&self.scheme, self.port) {
            (None, None) => true,
            (_, port) => port == origin.effective_port(),
        };
        port_is_fine
            && scheme.is_none_or(|scheme| origin.scheme.eq_ignore_ascii_case(scheme))
            && self.host.matches(origin.host)
    }
}

impl Host {
    fn matches(&self, host: &str) -> bool {
        match self {
            Host::Exact(name) => host.eq_ignore_ascii_case(name),
            Host::Below(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .filter(|begin| *begin > 0)
                .and_then(|begin| host.get(begin..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
            Host::Null => false,
        }
    }
}

impl<'a> Origin<'a> {
    /// RFC 6454 §6.2: scheme, host, and a port that is not the scheme's own; nothing behind that.
    fn parse(text: &'a str) -> Option<Origin<'a>> {
        let (scheme, rest) = text.split_once("://")?;
        let (host, port) = split_port(rest)?;
        (is_scheme(scheme) && is_host(host)).then_some(Origin { scheme, host, port })
    }

    fn effective_port(&self) -> Option<u16> {
        self.port.or_else(|| default_port(self.scheme))
    }

    /// Whether `Host` names the same place. Which scheme that was is not known behind a proxy that ends TLS: without a
    /// port it is the default one, as with the origin.
    fn is_at(&self, host: &str) -> bool {
        let Some((name, port)) = split_port(host) else {
            return false;
        };
        let same_port = match port {
            None => self.port.is_none() || self.port == default_port(self.scheme),
            Some(_) => port == self.effective_port(),
        };
        is_host(name) && name.eq_ignore_ascii_case(self.host) && same_port
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// `name`, `name:port`, `[v6]` or `[v6]:port`.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let colon = match text.rfind(']') {
        Some(bracket) => text[bracket..].find(':').map(|at| bracket + at),
        None => text.find(':'),
    };
    let Some(colon) = colon else {
        return Some((text, None));
    };
    let digits = &text[colon + 1..];
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|_| is_plain)?;
    Some((&text[..colon], Some(port)))
}

fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// A name, an IPv4 address, or an IPv6 one in brackets. Browsers write other scripts as `xn--…`.
fn is_host(text: &str) -> bool {
    let address = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(origins: &Origins, origin: &str, host: &str) -> bool {
        origins.admit([origin.as_bytes()].into_iter(), Some(host))
    }

    #[test]
    fn a_listed_origin_is_let_in_and_no_other() {
        for (list, origin, is_in) in [
            ("https://app.example.com", "https://app.example.com", true),
            (
                "https://app.example.com",
                "https://app.example.com:443",
                true,
            ),
            ("https://APP.example.com", "HTTPS://app.Example.com", true),
            ("https://app.example.com", "http://app.example.com", false),
            (
                "https://app.example.com",
                "https://app.example.com:8443",
                false,
            ),
            (
                "https://app.example.com",
                "https://app.example.com.evil.net",
                false,
            ),
            (
                "https://app.example.com",
                "https://evil-app.example.com",
                false,
            ),
            (
                "https://app.example.com",
                "https://app.example.com@evil.net",
                false,
            ),
            (
                "https://app.example.com",
                "https://app.example.com/x",
                false,
            ),
            ("https://app.example.com", "null", false),
            ("https://app.example.com", "", false),
            ("https://a.net,http://b.net:81", "http://b.net:81", true),
            ("https://*.example.com", "https://a.example.com", true),
            ("https://*.example.com", "https://a.b.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://.example.com", false),
            ("https://*.example.com", "https://evilexample.com", false),
            ("https://*.example.com", "http://a.example.com", false),
            ("*.example.com", "http://a.example.com:8080", true),
            ("example.com", "https://example.com", true),
            ("example.com:8080", "http://example.com:8080", true),
            ("example.com:8080", "http://example.com", false),
            ("http://[::1]:3000", "http://[::1]:3000", true),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000", true),
            (
                "chrome-extension://abcdef",
                "chrome-extension://abcdef",
                true,
            ),
            ("null", "null", true),
            ("null", "https://null", false),
            ("*", "what ever", true),
        ] {
            let origins = Origins::parse(list).unwrap();
            assert_eq!(
                admits(&origins, origin, "gateway"),
                is_in,
                "{list} {origin}"
            );
        }
    }

    #[test]
    fn the_same_origin_is_that_of_the_host_asked() {
        for (origin, host, is_in) in [
            ("https://gateway", "gateway", true),
            ("http://gateway:8080", "gateway:8080", true),
            ("http://Gateway:8080", "gateway:8080", true),
            ("https://gateway", "gateway:443", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://gateway", "gateway:8080", false),
            ("http://gateway:8080", "gateway", false),
            ("http://evil.net", "gateway", false),
            ("null", "gateway", false),
            ("null", "null", false),
            ("http://gateway", "", false),
        ] {
            assert_eq!(
                admits(&Origins::Same, origin, host),
                is_in,
                "{origin} {host}"
            );
        }
    }

    #[test]
    fn who_sends_none_is_let_in_and_who_sends_two_is_not() {
        let listed = Origins::parse("https://a.net").unwrap();
        for origins in [&Origins::Same, &listed] {
            assert!(origins.admit([].into_iter(), Some("gateway")));
            let two = [&b"https://a.net"[..], b"https://a.net"];
            assert!(!origins.admit(two.into_iter(), Some("a.net")));
            assert!(!origins.admit([&b"\xff"[..]].into_iter(), Some("gateway")));
        }
        assert!(!Origins::Same.admit([&b"https://a.net"[..]].into_iter(), None));
    }

    #[test]
    fn lists_that_are_none_say_why() {
        for (text, why) in [
            ("", "no origin"),
            ("https://a.net,", "no origin"),
            ("https://a.net/", "no origin"),
            ("https://a.net:x", "no origin"),
            ("https://a.net:", "no origin"),
            ("https://*", "no origin"),
            ("https://a.*.net", "no origin"),
            ("//a.net", "no origin"),
            ("https://a b", "no origin"),
            ("*,https://a.net", "meaningless"),
            (&"a.net,".repeat(300), "more than 256"),
        ] {
            let error = Origins::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
