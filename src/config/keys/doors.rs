//! The keys of the doors: limits, `Origin`, proxies; and what a crash may let out.

use super::served::{OwnKey, sets};
use super::{Draft, Key};
use crate::config::{Doors, Mistake, Setting, limits, values};
use crate::doors::{Networks, Origins};

pub(super) const JAVA: &[Key] = &[
    sets(PROXY_PROTOCOL, |d, v| {
        d.config.doors.proxy_protocol = values::boolean(v)?;
        Ok(())
    }),
    sets(FORWARDED_FOR, |d, v| {
        d.config.doors.forwarded_for = values::boolean(v)?;
        Ok(())
    }),
];

pub(super) const OWN: &[OwnKey] = &[
    OwnKey {
        key: sets("maxConnectionsPerIp", |d, v| {
            d.config.doors.bounds.connections_per_address = count(v)? as u32;
            Ok(())
        }),
        default: none,
        help: "sockets of one address; of IPv6, of one /64 network",
    },
    OwnKey {
        key: sets("maxConnectionsPerRole", |d, v| {
            d.config.doors.bounds.connections_per_role = count(v)? as u32;
            Ok(())
        }),
        default: none,
        help: "sockets of one authenticated role",
    },
    OwnKey {
        key: sets("maxHandshakesPerSecond", |d, v| {
            d.config.doors.bounds.handshakes_per_second = count(v)?;
            Ok(())
        }),
        default: none,
        help: "new connections a second; five seconds' worth may come at once",
    },
    OwnKey {
        key: sets("maxHandshakesPerSecondPerIp", |d, v| {
            d.config.doors.bounds.handshakes_per_second_per_address = count(v)?;
            Ok(())
        }),
        default: none,
        help: "the same of one address",
    },
    OwnKey {
        key: sets("allowedOrigins", |d, v| {
            d.origins = Some(Origins::parse(v)?);
            Ok(())
        }),
        default: || "*; with authentication, the same origin".into(),
        help: "whose web pages may open sockets: https://app.example.com,https://*.example.com, null or *",
    },
    OwnKey {
        key: sets(TRUSTED, |d, v| {
            d.config.doors.trusted_proxies = Networks::parse(v)?;
            Ok(())
        }),
        default: || "nobody".into(),
        help: "proxies whose word about a client's address is taken: 10.0.0.0/8,fd00::/8",
    },
    OwnKey {
        key: sets("coreDumps", |d, v| {
            d.config.core_dumps = values::boolean(v)?;
            Ok(())
        }),
        default: || "false".into(),
        help: "whether a crash may leave an image of the memory, keys and tokens in it",
    },
];

const PROXY_PROTOCOL: &str = "webServiceHaProxyProtocolEnabled";
const FORWARDED_FOR: &str = "webServiceTrustXForwardedFor";
const TRUSTED: &str = "trustedProxies";

fn none() -> String {
    "0".into()
}

/// 0: no bound.
fn count(text: &str) -> Result<u64, String> {
    values::within(text, 0..=limits::CONNECTIONS_MAX as u64)
}

/// What only makes sense together.
pub(super) fn finish(draft: &mut Draft, settings: &[Setting], mistakes: &mut Vec<Mistake>) {
    let Doors {
        trusted_proxies,
        proxy_protocol,
        forwarded_for,
        ..
    } = &draft.config.doors;
    let asked = [
        (*proxy_protocol, PROXY_PROTOCOL),
        (*forwarded_for, FORWARDED_FOR),
    ];
    let mut asked = asked.iter().filter(|(is_on, _)| *is_on).peekable();
    if !trusted_proxies.is_empty() && asked.peek().is_none() {
        draft.config.notes.push(format!(
            "{TRUSTED} has no effect without {PROXY_PROTOCOL} or {FORWARDED_FOR}"
        ));
    }
    let told = mistakes.iter().any(|mistake| mistake.0.contains(TRUSTED));
    if trusted_proxies.is_empty() && !told {
        let why = "believes everybody who can reach the port, unless trustedProxies says who the proxies are, \
                   such as 10.0.0.0/8 (0.0.0.0/0,::/0 is everybody)";
        for (_, name) in asked {
            let setting = settings.iter().find(|setting| setting.key == *name);
            let mistake = match setting {
                Some(setting) => Mistake::at(&setting.place, format!("{name} {why}")),
                None => Mistake(format!("{name} {why}")),
            };
            mistakes.push(mistake);
        }
    }
    let by_default = match draft.config.authentication {
        Some(_) => Origins::Same,
        None => Origins::Any,
    };
    draft.config.doors.origins = draft.origins.take().unwrap_or(by_default);
}
