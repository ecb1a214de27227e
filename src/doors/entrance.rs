//! What the whole process bounds at its entrance: handshakes a second, and sockets of one address or role.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::crowd::{Allowance, Crowd, Full, Place};
use super::rate::{FullAt, Rate};

/// The settings. 0 means no bound, each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub connections_per_address: u32,
    pub connections_per_role: u32,
    /// Of the process.
    pub handshakes_per_second: u64,
    pub handshakes_per_second_per_address: u64,
}

/// The entrance of the process, shared by its shards.
#[derive(Default)]
pub struct Entrance {
    all: Option<Turnstile>,
    addresses: Option<Arc<Crowd<Neighbourhood>>>,
    roles: Option<Arc<Crowd<Arc<str>>>>,
}

struct Turnstile {
    rate: Rate,
    full_at: AtomicU64,
}

/// Why somebody has to stay outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Handshakes of the process.
    Handshakes,
    /// Handshakes of this address.
    AddressHandshakes,
    AddressConnections,
    RoleConnections,
}

/// The places of one socket; dropping it frees them.
#[derive(Default)]
pub struct Places {
    address: Option<Place<Neighbourhood>>,
    role: Option<Place<Arc<str>>>,
}

/// What counts as one address. Of IPv6 the leading half: the other one is a single network's, and a single host there may
/// take any of its addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Neighbourhood {
    V4(u32),
    V6(u64),
}

impl Neighbourhood {
    fn of(address: IpAddr) -> Neighbourhood {
        match address.to_canonical() {
            IpAddr::V4(v4) => Neighbourhood::V4(v4.to_bits()),
            IpAddr::V6(v6) => Neighbourhood::V6((v6.to_bits() >> 64) as u64),
        }
    }
}

impl Entrance {
    pub fn new(bounds: Bounds) -> Entrance {
        Entrance {
            all: Rate::per_second(bounds.handshakes_per_second).map(|rate| Turnstile {
                rate,
                full_at: AtomicU64::new(0),
            }),
            addresses: crowd(
                bounds.connections_per_address,
                bounds.handshakes_per_second_per_address,
            ),
            roles: crowd(bounds.connections_per_role, 0),
        }
    }

    /// A connection comes, from whomever.
    pub fn arrive(&self, now_ms: u64) -> Result<(), Closed> {
        let Some(Turnstile { rate, full_at }) = &self.all else {
            return Ok(());
        };
        let take = |full_at: FullAt| rate.take(now_ms, full_at);
        match full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(_) => Err(Closed::Handshakes),
        }
    }

    /// It is known from where.
    pub fn admit_address(
        &self,
        now_ms: u64,
        address: IpAddr,
        places: &mut Places,
    ) -> Result<(), Closed> {
        if let Some(crowd) = &self.addresses {
            let place = crowd.enter(now_ms, Neighbourhood::of(address));
            places.address = Some(place.map_err(|full| match full {
                Full::Fast => Closed::AddressHandshakes,
                Full::Many => Closed::AddressConnections,
            })?);
        }
        Ok(())
    }

    /// It is known who.
    pub fn admit_role(
        &self,
        now_ms: u64,
        role: Arc<str>,
        places: &mut Places,
    ) -> Result<(), Closed> {
        if let Some(crowd) = &self.roles {
            let place = crowd.enter(now_ms, role);
            places.role = Some(place.map_err(|_| Closed::RoleConnections)?);
        }
        Ok(())
    }
}

fn crowd<K: Clone + Eq + std::hash::Hash>(
    at_a_time: u32,
    per_second: u64,
) -> Option<Arc<Crowd<K>>> {
    let allowance = Allowance {
        at_a_time: Some(at_a_time).filter(|most| *most > 0),
        rate: Rate::per_second(per_second),
    };
    let is_bound = allowance.at_a_time.is_some() || allowance.rate.is_some();
    is_bound.then(|| Crowd::new(allowance))
}

impl Places {
    pub fn is_empty(&self) -> bool {
        self.address.is_none() && self.role.is_none()
    }
}

impl Closed {
    /// 429 where it is about this client, 503 where it is about all.
    pub fn status(self) -> u16 {
        match self {
            Closed::Handshakes => 503,
            _ => 429,
        }
    }

    pub fn text(self) -> &'static str {
        match self {
            Closed::Handshakes => "Too many connection attempts",
            Closed::AddressHandshakes => "Too many connection attempts from this address",
            Closed::AddressConnections => "Too many connections from this address",
            Closed::RoleConnections => "Too many connections of this role",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(entrance: &Entrance, address: &str) -> Result<Places, Closed> {
        let mut places = Places::default();
        entrance.admit_address(0, address.parse().unwrap(), &mut places)?;
        Ok(places)
    }

    #[test]
    fn without_bounds_everybody_comes_in_and_nothing_is_kept() {
        let entrance = Entrance::new(Bounds::default());
        for _ in 0..1000 {
            assert_eq!(entrance.arrive(0), Ok(()));
            assert!(address(&entrance, "192.0.2.1").unwrap().is_empty());
        }
    }

    #[test]
    fn the_process_lets_in_so_many_a_second() {
        let entrance = Entrance::new(Bounds {
            handshakes_per_second: 2,
            ..Bounds::default()
        });
        let arrived = (0..100).filter(|_| entrance.arrive(0).is_ok()).count();
        assert_eq!(arrived, 10);
        assert_eq!(entrance.arrive(0), Err(Closed::Handshakes));
        assert_eq!(entrance.arrive(500), Ok(()));
    }

    #[test]
    fn an_address_is_one_however_it_is_written_and_a_v6_network_is_one() {
        let entrance = Entrance::new(Bounds {
            connections_per_address: 1,
            ..Bounds::default()
        });
        let _places = [
            address(&entrance, "192.0.2.1").unwrap(),
            address(&entrance, "2001:db8::1").unwrap(),
        ];
        for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::ffff:1"] {
            let refused = address(&entrance, same).err();
            assert_eq!(refused, Some(Closed::AddressConnections), "{same}");
        }
        for other in ["192.0.2.2", "2001:db8:0:1::1"] {
            assert!(address(&entrance, other).is_ok(), "{other}");
        }
    }

    #[test]
    fn roles_have_places_of_their_own() {
        let entrance = Entrance::new(Bounds {
            connections_per_role: 1,
            ..Bounds::default()
        });
        let mut places = [Places::default(), Places::default(), Places::default()];
        let [first, second, third] = &mut places;
        assert_eq!(entrance.admit_role(0, "a".into(), first), Ok(()));
        assert_eq!(entrance.admit_role(0, "b".into(), second), Ok(()));
        assert_eq!(
            entrance.admit_role(0, "a".into(), third),
            Err(Closed::RoleConnections)
        );
        drop(places);
        assert_eq!(
            entrance.admit_role(0, "a".into(), &mut Places::default()),
            Ok(())
        );
    }
}
