//! Holds one conversation with one gateway.
//!
//! A step is a verb, or a socket's name and a verb. Answers to it are the lines behind it.
//!
//! | step | what is done | answers |
//! |---|---|---|
//! | `p open PATH` | a socket that is `p` from now on; ` \| Name: value` adds a header | `101`, or the status and text of the refusal |
//! | `p again PATH` | the same, where somebody has just left: once more while it is a 409 | the same |
//! | `try PATH` | the same, and closed again | the same |
//! | `p say TEXT` | a text frame | none |
//! | `p ask TEXT` | a text frame | the next frame |
//! | `p binary TEXT`, `p frame XX TEXT` | a binary frame; a frame with this first byte (hex) | none |
//! | `p pieces TEXT \| TEXT…` | a text message in fragments | none |
//! | `p hear N` | | so many frames, without pings and pongs |
//! | `p gather N` | | so many frames, sorted by payload or context: from several partitions they come in any order |
//! | `p hear-all N` | | so many frames, with pings and pongs |
//! | `p quiet` | waits a moment | `quiet`, or the frame that came |
//! | `p close CODE REASON` | a close frame | the next frame |
//! | `p leave` | the closing handshake, to its end | none |
//! | `partitions N`, `terminate`, `unload`, `delete` | by the administrator of the broker, on `$topic` | none, but for `delete`: `deleted`, or the status |
//! | `subscriptions` | | names, consumers and backlogs of the topic's durable subscriptions |
//!
//! In a step, `$topic` is a name of this conversation and side alone, `$producer`, `$consumer` and `$reader` are v2 paths up
//! to it, `$n` is the step's number, `$c.2` the second message id that came on `c` (`$c.2%`: as a query value),
//! `$(x*300)` 300 times `x`.
//!
//! A frame is its text, or `binary: …`, `ping: …`, `pong: …`, `close CODE REASON`, `dropped` (the connection ended without
//! a close frame), `nothing` (none came).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::normal::Names;
use crate::peer::{Heard, Peer};
use crate::script::Conversation;
use crate::support::{World, pause, query_value, raw, topic};

/// Which gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Java,
    Here,
}

/// Of each step.
pub type Answers = Vec<Vec<String>>;

/// Long enough for a loaded machine; what takes longer is `nothing`.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same for the Java gateway, some of whose answers are nothing: the test is to end.
const JAVA_PATIENCE: Duration = Duration::from_secs(12);

/// Long enough to catch most of what should not come; too short is no failure.
const MOMENT: Duration = Duration::from_millis(400);

/// More than any name of `support::topic`.
const TOPIC_LENGTH: usize = 48;

/// The name of a socket that is closed at once.
const TRIED: &str = "(tried)";

struct Player<'a> {
    world: &'a World,
    address: SocketAddr,
    patience: Duration,
    topic: String,
    names: Names,
    peers: BTreeMap<String, Peer>,
    /// Message ids, in the order in which they came.
    ids: BTreeMap<String, Vec<String>>,
}

pub fn play(
    world: &World,
    conversation: &Conversation,
    side: Side,
    address: SocketAddr,
) -> Answers {
    let name = topic(match side {
        Side::Java => "golden-java",
        Side::Here => "golden-here",
    });
    // All of one length: some texts count characters.
    let topic = format!("{:-<TOPIC_LENGTH$}", name + "-x");
    let mut player = Player {
        world,
        address,
        patience: match side {
            Side::Java => JAVA_PATIENCE,
            Side::Here => PATIENCE,
        },
        names: Names::of(&topic, conversation.any_partition),
        topic,
        peers: BTreeMap::new(),
        ids: BTreeMap::new(),
    };
    let steps = conversation.steps.iter().enumerate();
    steps
        .map(|(number, step)| player.step(number + 1, &step.text))
        .collect()
}

impl Player<'_> {
    fn step(&mut self, number: usize, step: &str) -> Vec<String> {
        let step = self.fill_in(number, step);
        let (first, rest) = step.split_once(' ').unwrap_or((&step, ""));
        match first {
            "try" => {
                let answer = self.open(TRIED, rest);
                if let Some(mut peer) = self.peers.remove(TRIED) {
                    peer.leave(PATIENCE);
                }
                answer
            }
            "partitions" | "terminate" | "unload" | "delete" | "subscriptions" => {
                self.administer(first, rest)
            }
            _ => {
                let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                match verb {
                    "open" => self.open(first, rest),
                    "again" => self.open_again(first, rest),
                    _ => self.talk(first, verb, rest),
                }
            }
        }
    }

    fn open(&mut self, name: &str, rest: &str) -> Vec<String> {
        let mut parts = rest.split(" | ");
        let path = parts.next().unwrap_or_default();
        let headers: Vec<&str> = parts.collect();
        match Peer::open(self.address, path, &headers, self.patience) {
            Ok(peer) => {
                self.peers.insert(name.to_owned(), peer);
                vec!["101".to_owned()]
            }
            Err(refusal) => {
                self.peers.remove(name);
                // Half of the conversation will not take place: nobody waits long for it.
                if name != TRIED {
                    self.patience = MOMENT;
                }
                vec![self.names.normal(&refusal)]
            }
        }
    }

    /// The broker may not have heard yet that somebody has left.
    fn open_again(&mut self, name: &str, rest: &str) -> Vec<String> {
        let patience = self.patience;
        let deadline = Instant::now() + patience;
        loop {
            let answer = self.open(name, rest);
            if !answer[0].starts_with("409 ") || Instant::now() > deadline {
                return answer;
            }
            self.patience = patience;
            pause(Duration::from_millis(20));
        }
    }

    fn talk(&mut self, name: &str, verb: &str, rest: &str) -> Vec<String> {
        let Some(peer) = self.peers.get_mut(name) else {
            return vec!["not open".to_owned()];
        };
        let number = || rest.parse().expect("a number");
        match verb {
            "say" => peer.send(&raw::frame(0x81, rest.as_bytes())),
            "ask" => {
                peer.send(&raw::frame(0x81, rest.as_bytes()));
                return vec![self.hear(name)];
            }
            "binary" => peer.send(&raw::frame(0x82, rest.as_bytes())),
            "frame" => {
                let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let first = u8::from_str_radix(first, 16).expect("hex");
                peer.send(&raw::frame(first, text.as_bytes()));
            }
            "pieces" => send_pieces(peer, rest),
            "hear" => return (0..number()).map(|_| self.hear(name)).collect(),
            "gather" => return self.gather(name, number()),
            "hear-all" => {
                return (0..number())
                    .map(|_| self.hear_any(name, self.patience))
                    .collect();
            }
            "quiet" => return vec![self.quiet(name)],
            "close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let code: u16 = code.parse().unwrap_or(0);
                let payload = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
                peer.send(&raw::frame(
                    0x88,
                    if rest.is_empty() { &[] } else { &payload },
                ));
                return vec![self.hear(name)];
            }
            "leave" => peer.leave(PATIENCE),
            _ => panic!("no such verb: {verb}"),
        }
        Vec::new()
    }

    fn hear_raw(&mut self, name: &str, patience: Duration) -> Heard {
        let peer = self.peers.get_mut(name).expect("it is open");
        let heard = peer.hear(patience);
        if let Heard::Text(text) = &heard
            && let Some((_, rest)) = text.split_once("\"messageId\":\"")
            && let Some((id, _)) = rest.split_once('"')
        {
            let ids = self.ids.entry(name.to_owned()).or_default();
            ids.push(id.to_owned());
        }
        heard
    }

    fn text(&mut self, heard: &Heard) -> String {
        let text = match heard {
            Heard::Text(text) => text.clone(),
            Heard::Other(kind, text) => format!("{kind}: {text}"),
            Heard::Close(code, reason) => format!("close {code} {reason}").trim_end().to_owned(),
            Heard::Dropped => "dropped".to_owned(),
            Heard::Nothing => "nothing".to_owned(),
        };
        self.names.normal(&text)
    }

    fn hear_any(&mut self, name: &str, patience: Duration) -> String {
        let heard = self.hear_raw(name, patience);
        self.text(&heard)
    }

    fn hear(&mut self, name: &str) -> String {
        loop {
            match self.hear_raw(name, self.patience) {
                Heard::Other("ping" | "pong", _) => {}
                heard => return self.text(&heard),
            }
        }
    }

    fn quiet(&mut self, name: &str) -> String {
        match self.hear_raw(name, MOMENT) {
            Heard::Nothing => "quiet".to_owned(),
            heard => self.text(&heard),
        }
    }

    fn gather(&mut self, name: &str, count: usize) -> Vec<String> {
        let mut frames: Vec<Heard> = (0..count)
            .map(|_| self.hear_raw(name, self.patience))
            .collect();
        frames.sort_by_key(|heard| match heard {
            Heard::Text(text) => ["\"payload\":\"", "\"context\":\""]
                .iter()
                .find_map(|field| text.split_once(field))
                .map(|(_, rest)| rest.to_owned()),
            _ => None,
        });
        frames.iter().map(|heard| self.text(heard)).collect()
    }

    fn administer(&mut self, verb: &str, rest: &str) -> Vec<String> {
        let admin = self.world.admin();
        match verb {
            "partitions" => admin.create_partitioned(&self.topic, rest.parse().expect("a number")),
            "terminate" => admin.terminate(&self.topic),
            "unload" => admin.unload(&self.topic),
            "delete" => {
                // The broker may not have heard yet that somebody has left.
                let deadline = Instant::now() + PATIENCE;
                let mut status = admin.delete(&self.topic);
                while !(200..300).contains(&status) && Instant::now() < deadline {
                    pause(Duration::from_millis(20));
                    status = admin.delete(&self.topic);
                }
                return vec![match status {
                    200..300 => "deleted".to_owned(),
                    other => other.to_string(),
                }];
            }
            _ => {
                let stats = admin.stats(&self.topic).unwrap_or_default();
                let lines = stats.subscriptions.iter().map(|of| {
                    let (name, consumers, backlog) = (&of.name, of.consumers, of.backlog);
                    format!("{name}: {consumers} consumers, backlog {backlog}")
                });
                return lines.collect();
            }
        }
        Vec::new()
    }

    fn fill_in(&self, number: usize, step: &str) -> String {
        let mut text = step.to_owned();
        for role in ["producer", "consumer", "reader"] {
            let path = format!("/ws/v2/{role}/persistent/public/default/$topic");
            text = text.replace(&format!("${role}"), &path);
        }
        text = text
            .replace("$topic", &self.topic)
            .replace("$n", &number.to_string());
        for (name, ids) in &self.ids {
            // From the last, lest $c.1 is found in $c.12.
            for (place, id) in ids.iter().enumerate().rev() {
                let variable = format!("${name}.{}", place + 1);
                text = text
                    .replace(&format!("{variable}%"), &query_value(id))
                    .replace(&variable, id);
            }
        }
        repeat(&text)
    }
}

/// `$(x*300)`
fn repeat(text: &str) -> String {
    let Some((before, rest)) = text.split_once("$(") else {
        return text.to_owned();
    };
    let (inner, after) = rest.split_once(')').expect("$(x*300)");
    let (what, count) = inner.rsplit_once('*').expect("$(x*300)");
    let count = count.parse().expect("a number");
    format!("{before}{}{}", what.repeat(count), repeat(after))
}

fn send_pieces(peer: &mut Peer, rest: &str) {
    let pieces: Vec<&str> = rest.split(" | ").collect();
    for (place, piece) in pieces.iter().enumerate() {
        let opcode = if place == 0 { 1 } else { 0 };
        let last = if place + 1 == pieces.len() { 0x80 } else { 0 };
        peer.send(&raw::frame(last | opcode, piece.as_bytes()));
    }
}
