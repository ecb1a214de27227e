//! Broker addresses out of service URLs, and the route to a topic's owner.

use super::credentials::Principal;
use super::spec::BrokerAddress;

/// The longest host name of DNS.
const MAX_HOST_BYTES: usize = 253;
const DEFAULT_PORT: u16 = 6650;
const DEFAULT_PORT_TLS: u16 = 6651;
const DEFAULT_PORT_HTTP: u16 = 80;
const DEFAULT_PORT_HTTPS: u16 = 443;

impl BrokerAddress {
    /// Reads `pulsar://host[:port]` and `pulsar+ssl://host[:port]`; an IPv6 host stands in brackets, which `host`
    /// does not keep. `None` for anything else: lookup answers are a broker's word, not to be trusted.
    pub fn parse(url: &str) -> Option<BrokerAddress> {
        let (tls, rest) = if let Some(rest) = url.strip_prefix("pulsar://") {
            (false, rest)
        } else {
            (true, url.strip_prefix("pulsar+ssl://")?)
        };
        let default_port = if tls { DEFAULT_PORT_TLS } else { DEFAULT_PORT };
        let (host, port) = host_and_port(rest, default_port)?;
        Some(BrokerAddress { host, port, tls })
    }

    /// As [`BrokerAddress::parse`], of a URL that may have several hosts (`pulsar://a:6650,b:6650`): the first that is one.
    pub(super) fn parse_first(urls: &str) -> Option<BrokerAddress> {
        let hosts_at = urls.find("://")? + "://".len();
        let (scheme, hosts) = urls.split_at_checked(hosts_at)?;
        let mut hosts = hosts.split(',');
        hosts.find_map(|host| BrokerAddress::parse(&format!("{scheme}{host}")))
    }

    /// The `host[:port]` of a redirect to another web service.
    pub(super) fn parse_http(authority: &str, tls: bool) -> Option<BrokerAddress> {
        let default_port = if tls {
            DEFAULT_PORT_HTTPS
        } else {
            DEFAULT_PORT_HTTP
        };
        let (host, port) = host_and_port(authority, default_port)?;
        Some(BrokerAddress { host, port, tls })
    }

    /// `host:port`, as CommandConnect.proxy_to_broker_url and HTTP's `Host` want it.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn host_and_port(text: &str, default_port: u16) -> Option<(String, u16)> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (
                host,
                if after.is_empty() {
                    None
                } else {
                    Some(after.strip_prefix(':')?)
                },
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None => default_port,
    };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte);
    let fits = !host.is_empty() && host.len() <= MAX_HOST_BYTES && host.bytes().all(legal);
    fits.then(|| (host.to_owned(), port))
}

/// How to reach a broker, and in whose name. Connections are shared by those with the same route only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    pub principal: Principal,
    /// Whom to dial.
    pub address: BrokerAddress,
    /// Some: the dialled one is a proxy, and this broker is meant (CommandConnect.proxy_to_broker_url).
    pub proxy_to: Option<String>,
    /// For lists of topics, which may be larger than any message and delay what comes behind them: they have a connection
    /// of their own.
    pub for_lists: bool,
}

impl Route {
    pub fn direct(principal: Principal, address: BrokerAddress) -> Route {
        Route {
            principal,
            address,
            proxy_to: None,
            for_lists: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Option<(String, u16, bool)> {
        BrokerAddress::parse(url).map(|address| (address.host, address.port, address.tls))
    }

    #[test]
    fn service_urls_are_read_with_and_without_port() {
        assert_eq!(
            parsed("pulsar://broker-1.example:6660"),
            Some(("broker-1.example".into(), 6660, false))
        );
        assert_eq!(parsed("pulsar+ssl://b/"), Some(("b".into(), 6651, true)));
        assert_eq!(parsed("pulsar://[::1]:1"), Some(("::1".into(), 1, false)));
        assert_eq!(parsed("pulsar://[::1]"), Some(("::1".into(), 6650, false)));
    }

    #[test]
    fn what_is_no_broker_address_is_refused() {
        for url in [
            "",
            "http://b:80",
            "pulsar://",
            "pulsar://:6650",
            "pulsar://b:0",
            "pulsar://b:65536",
            "pulsar://b:x",
            "pulsar://a@b:1",
            "pulsar://b\r\n:1",
            "pulsar://[::1",
            "pulsar://[::1]x",
        ] {
            assert_eq!(parsed(url), None, "{url:?}");
        }
        assert_eq!(parsed(&format!("pulsar://{}", "a".repeat(254))), None);
    }

    #[test]
    fn the_authority_brackets_an_ipv6_host() {
        let authority = |url| BrokerAddress::parse(url).map(|address| address.authority());
        assert_eq!(authority("pulsar://[::1]:7").as_deref(), Some("[::1]:7"));
        assert_eq!(authority("pulsar://b:7").as_deref(), Some("b:7"));
    }
}
