//! Every key that is known, and the check of a list of settings against them.
//!
//! [`served`], [`authentication`], [`authorization`], [`tls`], [`broker_client`] and [`doors`] hold the keys that do something,
//! [`unserved`] those of Pulsar 4.0.8 that do not (yet): the harmless ones become notes, those that would protect something
//! stop the start. [`switches`] tells of those whose switch is off.

mod authentication;
mod authorization;
mod broker_client;
mod doors;
mod served;
mod switches;
mod tls;
mod unserved;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::doors::Origins;
use crate::runtime::cores;

use super::authorization::Collected;
use super::cluster::Ways;
use super::tls::TlsSettings;
use super::{
    BrokerClient, Brokers, Config, CryptoKeys, Doors, Mistake, Place, Setting, UpstreamMode,
    limits, typo, values,
};

pub use served::own_keys_help;

/// Client options of Java's gateway: `brokerClient_` before the name of a `ClientConfigurationData` field.
const CLIENT_PREFIX: &str = "brokerClient_";

/// Values longer than this are cut in messages: enough for a URL to be recognised.
const SHOWN_CHARS: usize = 48;

struct Key {
    name: &'static str,
    rule: Rule,
}

enum Rule {
    /// Takes effect.
    Sets(fn(&mut Draft, &str) -> Result<(), String>),
    /// No effect. A value that is not the one that Pulsar's own file ships is somebody's wish, and gets a note of its
    /// own; the shipped ones share a note for each reason.
    Ignored {
        shape: Shape,
        shipped: &'static str,
        why: &'static str,
    },
    /// Would protect something if it were served, so any value but `off` stops the start.
    Refused {
        shape: Shape,
        off: &'static str,
        why: &'static str,
    },
}

/// What a value must look like although nothing is done with it.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Boolean,
    Whole,
    /// Of Java.
    Class,
}

impl Shape {
    fn check(self, value: &str) -> Result<(), String> {
        match self {
            Shape::Text | Shape::Class => Ok(()),
            Shape::Boolean => values::boolean(value).map(drop),
            Shape::Whole => values::whole(value).map(drop),
        }
    }
}

/// A configuration in the making, with what only makes sense when all settings are known.
struct Draft {
    config: Config,
    ways: Ways,
    tls: TlsSettings,
    /// `webSocketConnectionsPerBroker` counts the whole process, [`Config::connections_per_broker`] one shard.
    connections_per_broker_total: usize,
    /// The same as an option of the client, which wins.
    client_connections_per_broker: Option<usize>,
    /// Keys without effect that have the value of Pulsar's own file, by the reason.
    idle: BTreeMap<&'static str, Vec<String>>,
    authentication: authentication::Collected,
    broker_client: broker_client::Collected,
    /// None: what follows from the rest.
    origins: Option<Origins>,
    authorization: Collected,
}

impl Draft {
    fn new(bind: IpAddr) -> Draft {
        Draft {
            config: Config {
                cores: Vec::new(),
                bind,
                port: limits::PORT,
                brokers: Brokers::Embedded,
                upstream: UpstreamMode::Shared,
                max_text_frame_bytes: limits::TEXT_FRAME_BYTES,
                ping_interval_ms: None,
                idle_timeout_ms: limits::IDLE_TIMEOUT_MS,
                connections_per_broker: 1,
                connection_timeout_ms: limits::CONNECTION_TIMEOUT_MS,
                max_connections: limits::CONNECTIONS_MAX,
                handshake_timeout_ms: limits::HANDSHAKE_TIMEOUT_MS,
                drain_timeout_ms: limits::DRAIN_TIMEOUT_MS,
                hub_retained_bytes: limits::HUB_RETAINED_BYTES,
                tail_log_bytes: limits::TAIL_LOG_BYTES,
                tail_logs_bytes: limits::TAIL_LOGS_BYTES,
                max_catch_up_readers: limits::CATCH_UP_READERS,
                slow_consumer_timeout_ms: None,
                close_readers_on_gap: false,
                busy_poll: false,
                permessage_deflate: true,
                producer_pending_bytes: limits::PRODUCER_PENDING_BYTES,
                upstream_pending_bytes: limits::UPSTREAM_PENDING_BYTES,
                socket_unsent_bytes: limits::SOCKET_UNSENT_BYTES,
                operation_timeout_ms: limits::OPERATION_TIMEOUT_MS,
                topics_update_ms: limits::TOPICS_UPDATE_MS,
                keep_alive_ms: limits::KEEP_ALIVE_MS,
                backoff_first_ms: limits::BACKOFF_FIRST_MS,
                backoff_last_ms: limits::BACKOFF_LAST_MS,
                authentication: None,
                broker_client: BrokerClient::default(),
                doors: Doors::default(),
                authentication_refresh_ms: limits::AUTHENTICATION_REFRESH_MS,
                crypto_keys: CryptoKeys::default(),
                authorization: None,
                tls: None,
                core_dumps: false,
                notes: Vec::new(),
            },
            ways: Ways {
                session_timeout_ms: limits::STORE_SESSION_TIMEOUT_MS,
                ..Ways::default()
            },
            tls: TlsSettings::default(),
            connections_per_broker_total: 1,
            client_connections_per_broker: None,
            idle: BTreeMap::new(),
            authentication: authentication::Collected::default(),
            broker_client: broker_client::Collected::default(),
            origins: None,
            authorization: Collected::default(),
        }
    }
}

/// Checks all settings, the later of two for one key winning.
pub(super) fn check(bind: IpAddr, settings: Vec<Setting>) -> Result<Config, Vec<Mistake>> {
    let mut draft = Draft::new(bind);
    let mut mistakes = Vec::new();
    let plain = !is_emptied(&settings, "webServicePort");
    let settings = effective(settings, &mut draft.config.notes);
    let settings = authentication::apply_prefix(&mut draft, settings);
    for setting in &settings {
        let Some(key) = known(&setting.key) else {
            draft.config.notes.push(unknown(setting));
            continue;
        };
        if let Err(why) = apply(&mut draft, &key.rule, setting) {
            mistakes.push(Mistake::at(&setting.place, format!("{}: {why}", key.name)));
        }
    }
    let ways = std::mem::take(&mut draft.ways);
    let authorization = std::mem::take(&mut draft.authorization);
    let authenticates = draft.authentication.is_enabled();
    match authorization.choose(&ways, authenticates) {
        Ok(authorization) => draft.config.authorization = authorization,
        Err((name, why)) => mistakes.push(about(&settings, name, &why)),
    }
    let with_tls = ways.any_tls();
    match ways.choose() {
        Ok(brokers) => draft.config.brokers = brokers,
        // What is wrong with a way was told above.
        Err(_) if !mistakes.is_empty() => {}
        Err((name, why)) => mistakes.push(about(&settings, switched_on(&settings, name), why)),
    }
    let token_prefix = draft.authentication.token_prefix().to_owned();
    broker_client::finish(&mut draft, with_tls, &settings, &mut mistakes);
    authentication::finish(&mut draft, &settings, &mut mistakes);
    doors::finish(&mut draft, &settings, &mut mistakes);
    listen(&mut draft, plain, &mut mistakes);
    let notes = switches::notes(&draft.config, &settings, &token_prefix);
    draft.config.notes.extend(notes);
    finish(draft, mistakes)
}

/// Which ports there are.
fn listen(draft: &mut Draft, plain: bool, mistakes: &mut Vec<Mistake>) {
    let tls = std::mem::take(&mut draft.tls);
    let has_files = tls.certificates.is_some() || tls.key_store.is_some();
    if tls.port.is_none() && has_files {
        let note = "the TLS keys have no effect without webServicePortTls: there is no TLS port";
        draft.config.notes.push(note.to_owned());
    }
    if plain && draft.config.port != 0 && tls.port == Some(draft.config.port) {
        mistakes.push(Mistake(format!(
            "webServicePort and webServicePortTls are both {}: two ports are needed, or webServicePort= set to nothing",
            draft.config.port
        )));
    }
    match tls.listener(plain) {
        Ok(listener) => draft.config.tls = listener,
        // What is wrong with a part was told above.
        Err(_) if !mistakes.is_empty() => {}
        Err(why) => mistakes.push(Mistake(why)),
    }
}

/// The key is named and set to nothing, which for a port means in Java that it is not opened.
fn is_emptied(settings: &[Setting], key: &str) -> bool {
    let last = settings.iter().rfind(|setting| setting.key == key);
    last.is_some_and(|setting| setting.value.is_empty())
}

/// One setting. Err is what follows the key's name in the message.
fn apply(draft: &mut Draft, rule: &Rule, setting: &Setting) -> Result<(), String> {
    let Setting { key, value, place } = setting;
    let named = |why| format!("{} {why}", shown(value));
    match *rule {
        Rule::Sets(set) => set(draft, value).map_err(named),
        Rule::Ignored {
            shape,
            shipped,
            why,
        } => {
            shape.check(value).map_err(named)?;
            if value.eq_ignore_ascii_case(shipped) {
                draft.idle.entry(why).or_default().push(key.clone());
            } else {
                let note = format!("{place}: {key} has no effect: {why}");
                draft.config.notes.push(note);
            }
            Ok(())
        }
        Rule::Refused { shape, off, why } => {
            shape.check(value).map_err(named)?;
            match shape {
                _ if value.eq_ignore_ascii_case(off) => Ok(()),
                Shape::Class => Err(format!("names {}, {why}", values::java_class(value))),
                _ => Err(why.into()),
            }
        }
    }
}

/// The settings that count: the last of each key, without the unset ones (unknown keys stay, to be noticed).
/// A key doubled within a file earns a note.
fn effective(settings: Vec<Setting>, notes: &mut Vec<String>) -> Vec<Setting> {
    let mut last: HashMap<&str, usize> = HashMap::new();
    for (index, setting) in settings.iter().enumerate() {
        let Some(earlier) = last.insert(&setting.key, index) else {
            continue;
        };
        if let (Place::Line { line, .. }, Place::Line { .. }) =
            (&settings[earlier].place, &setting.place)
            && known(&setting.key).is_some()
        {
            notes.push(format!(
                "{}: {} overrides line {line}",
                setting.place, setting.key
            ));
        }
    }
    let mut kept: Vec<usize> = last.into_values().collect();
    kept.sort_unstable();
    kept.into_iter()
        .map(|index| &settings[index])
        .filter(|setting| !setting.value.is_empty() || known(&setting.key).is_none())
        .cloned()
        .collect()
}

fn finish(mut draft: Draft, mut mistakes: Vec<Mistake>) -> Result<Config, Vec<Mistake>> {
    let config = &mut draft.config;
    if config.backoff_first_ms > config.backoff_last_ms {
        mistakes.push(Mistake(format!(
            "{CLIENT_PREFIX}initialBackoffIntervalNanos is larger than {CLIENT_PREFIX}maxBackoffIntervalNanos"
        )));
    }
    for (why, keys) in draft.idle {
        let note = format!("without effect: {}: {why}", keys.join(", "));
        config.notes.push(note);
    }
    if config.max_connections == limits::CONNECTIONS_SHIPPED {
        config.notes.push(format!(
            "maxHttpServerConnections={} refuses every socket beyond; 0 lifts the bound",
            limits::CONNECTIONS_SHIPPED
        ));
    }
    if config.cores.is_empty() {
        match cores::allowed() {
            Ok(cores) => config.cores = cores,
            Err(why) => mistakes.push(Mistake(format!("cores: {why}"))),
        }
    }
    let shards = config.cores.len().max(1);
    let connections = draft
        .client_connections_per_broker
        .unwrap_or(draft.connections_per_broker_total);
    config.connections_per_broker = connections.div_ceil(shards);
    if mistakes.is_empty() {
        Ok(draft.config)
    } else {
        Err(mistakes)
    }
}

fn known(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name)
}

fn all() -> impl Iterator<Item = &'static Key> {
    served::own()
        .map(|own| &own.key)
        .chain(served::JAVA)
        .chain(authentication::KEYS)
        .chain(broker_client::KEYS)
        .chain(doors::JAVA)
        .chain(authorization::KEYS)
        .chain(tls::KEYS)
        .chain(unserved::KEYS)
}

/// The note about a key that is not known. Java is silent about these, so they must not stop a file that worked there.
fn unknown(setting: &Setting) -> String {
    let Setting { key, place, .. } = setting;
    if !typo::presentable(key) {
        return format!("{place}: not a known key, ignored");
    }
    if key.starts_with(CLIENT_PREFIX) {
        return format!(
            "{place}: {key} has no effect: not an option of this gateway's Pulsar client"
        );
    }
    match typo::closest(key, all().map(|key| key.name)) {
        Some(name) => format!("{place}: unknown key {key}, ignored; is {name} meant?"),
        None => format!("{place}: unknown key {key}, ignored"),
    }
}

/// The name under which a switch that has several is on.
fn switched_on<'a>(settings: &[Setting], name: &'a str) -> &'a str {
    let names = broker_client::WITH_TLS;
    if !names.contains(&name) {
        return name;
    }
    let is_on = |name: &&&str| {
        let mut on = settings.iter().filter(|setting| setting.key == **name);
        on.any(|setting| setting.value.eq_ignore_ascii_case("true"))
    };
    names.iter().find(is_on).copied().unwrap_or(name)
}

/// A key that makes no sense with the others, or without one.
fn about(settings: &[Setting], name: &str, why: &str) -> Mistake {
    let setting = settings.iter().find(|setting| setting.key == name);
    match setting {
        Some(setting) => Mistake::at(&setting.place, format!("{name} {why}")),
        None => Mistake(format!("{name} {why}")),
    }
}

/// A value for a message: short, without control characters, and not at all when it may hold credentials.
fn shown(value: &str) -> String {
    if value.contains('@') {
        return "the value".into();
    }
    let cut: String = value.chars().take(SHOWN_CHARS).collect();
    let dots = if cut.len() < value.len() { "…" } else { "" };
    format!("'{}{dots}'", cut.escape_debug())
}
