//! Who may come in, as configured.

use crate::doors::{Bounds, Networks, Origins};

/// The settings of the doors.
#[derive(Clone, Debug)]
pub struct Doors {
    pub bounds: Bounds,
    pub origins: Origins,
    /// Whose word about others is taken; only meaningful with one of the next two.
    pub trusted_proxies: Networks,
    /// These have to begin with the header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Their `X-Forwarded-For` and `Forwarded` are believed.
    pub forwarded_for: bool,
}

impl Default for Doors {
    /// All doors open, nobody trusted: as with the Java gateway.
    fn default() -> Doors {
        Doors {
            bounds: Bounds::default(),
            origins: Origins::Any,
            trusted_proxies: Networks::default(),
            proxy_protocol: false,
            forwarded_for: false,
        }
    }
}
