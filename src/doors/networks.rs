//! Lists of networks, `10.0.0.0/8, fd00::/8, 192.0.2.7`.

use std::fmt;
use std::net::IpAddr;

/// More networks than a list needs that somebody keeps by hand; each is compared for each connection.
const NETWORKS_MAX: usize = 256;

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    prefix_bits: u32,
}

/// Networks; none to begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Addresses and networks in CIDR form, between commas. An error completes the sentence "'abc' …".
    pub fn parse(text: &str) -> Result<Networks, String> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let networks: Vec<Network> = parts.map(network).collect::<Result<_, _>>()?;
        match networks.len() {
            0 => Err("names no network".to_owned()),
            1..=NETWORKS_MAX => Ok(Networks(networks)),
            _ => Err(format!("names more than {NETWORKS_MAX} networks")),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An IPv4 address that comes as an IPv6 one (`::ffff:192.0.2.7`) counts as what it is.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let host_bits = 32 - self.prefix_bits;
                let network = |ip: u32| ip.checked_shr(host_bits).unwrap_or(0);
                network(base.to_bits()) == network(address.to_bits())
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let host_bits = 128 - self.prefix_bits;
                let network = |ip: u128| ip.checked_shr(host_bits).unwrap_or(0);
                network(base.to_bits()) == network(address.to_bits())
            }
            _ => false,
        }
    }
}

fn network(text: &str) -> Result<Network, String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let base: IpAddr = address.parse().map_err(
        |_| "has something that is neither an IP address nor a network such as 10.0.0.0/8",
    )?;
    let bits = if base.is_ipv4() { 32 } else { 128 };
    let prefix_bits = match prefix {
        None => bits,
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|prefix| *prefix <= bits)
            .ok_or_else(|| format!("has a network whose prefix is not of 0 to {bits} bits"))?,
    };
    let network = Network { base, prefix_bits };
    // 10.1.2.3/8 is rarely what was meant: 10.1.2.3 or 10.0.0.0/8 is.
    if network.host_bits_are_set() {
        return Err("has a network with address bits behind its prefix".to_owned());
    }
    Ok(network)
}

impl Network {
    fn host_bits_are_set(&self) -> bool {
        match self.base {
            IpAddr::V4(base) => base.to_bits().checked_shl(self.prefix_bits).unwrap_or(0) != 0,
            IpAddr::V6(base) => base.to_bits().checked_shl(self.prefix_bits).unwrap_or(0) != 0,
        }
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}/{}", network.base, network.prefix_bits)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contain(networks: &str, address: &str) -> bool {
        let networks = Networks::parse(networks).unwrap();
        networks.contain(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_in_the_network_whose_prefix_it_has() {
        for (networks, address, is_in) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8,192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("2001:db8::1", "2001:db8::2", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::/0", "::ffff:10.0.0.1", false),
        ] {
            assert_eq!(contain(networks, address), is_in, "{networks} {address}");
        }
    }

    #[test]
    fn lists_that_are_none_say_why() {
        for (text, why) in [
            ("", "no network"),
            (" , ", "no network"),
            ("10.0.0.0/33", "0 to 32"),
            ("::/129", "0 to 128"),
            ("10.0.0.0/-1", "0 to 32"),
            ("10.0.0.0/", "0 to 32"),
            ("10.1.2.3/8", "behind its prefix"),
            ("1.2.3.4/0", "behind its prefix"),
            ("proxy.example", "neither"),
            (&"10.0.0.1,".repeat(300), "more than 256"),
        ] {
            let error = Networks::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
