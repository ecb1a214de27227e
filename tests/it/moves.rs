//! A topic that goes to another broker, or to another cluster, while sockets are on it.
//!
//! Set-up: two embedded brokers; the gateway knows the first. Claim: sockets go with the topic without noticing, in one step
//! where the broker names the next owner, and new ones find it there.

use pws_fast::embedded::{self, Admin, Embedded, Options};

use crate::support::{Client, World, eventually, payload_of, topic};

const EARLIEST: &str = "subscriptionInitialPosition=Earliest";

/// Every kind of socket on one topic.
struct Sockets {
    producer: Client,
    consumers: Vec<Client>,
}

impl Sockets {
    fn open(world: &World, name: &str) -> Sockets {
        let kinds = ["Exclusive", "Shared", "Failover", "Key_Shared"];
        let consumers = kinds.iter().map(|kind| {
            world.consumer(name, &format!("{kind}?subscriptionType={kind}&{EARLIEST}"))
        });
        let mut consumers: Vec<Client> = consumers.collect();
        consumers.push(world.reader(&format!("{name}?messageId=earliest")));
        Sockets {
            producer: world.producer(name),
            consumers,
        }
    }

    fn walk(&mut self, payload: &str) {
        self.producer.publish(payload);
        for consumer in &mut self.consumers {
            assert_eq!(consumer.receive(), payload);
        }
    }
}

fn other_broker() -> Embedded {
    embedded::start(Options::default()).expect("it starts")
}

fn connected(broker: &Admin, name: &str) -> usize {
    let stats = broker.stats(name);
    stats.map_or(0, |stats| {
        let consumers = stats.subscriptions.iter().map(|s| s.consumers.len());
        stats.publishers.len() + consumers.sum::<usize>()
    })
}

fn follows(go: impl Fn(&Admin, &str, &str)) {
    let other = other_broker();
    let world = World::embedded(Options::default(), &[]);
    let here = world.broker().admin();
    let name = topic("follows");
    let mut sockets = Sockets::open(&world, &name);
    go(&here, &name, &other.service_url());
    sockets.walk("moved");
    assert_eq!(connected(&here, &name), 0);
    eventually("all are there", || connected(&other.admin(), &name) == 6);
    // A broken connection is no reason to ask at the old place.
    other.faults().drop_connections();
    sockets.walk("again");
    // Who comes now.
    let mut late = world.producer(&name);
    late.publish("late");
    for consumer in &mut sockets.consumers {
        assert_eq!(consumer.receive(), "late");
    }
    drop((sockets, late, world));
    other.stop();
}

#[test]
fn sockets_follow_their_topic_to_another_broker() {
    follows(|here, name, url| here.hand_over(name, url).expect("it is there"));
}

#[test]
fn sockets_follow_their_topic_to_another_cluster() {
    follows(|here, name, url| here.migrate(name, url).expect("it is there"));
}

/// It numbers its ledgers by itself: what comes there has the ids of what was acked, held and read here.
#[test]
fn what_was_acked_held_and_read_in_one_cluster_says_nothing_in_another() {
    let other = other_broker();
    let world = World::embedded(Options::default(), &[]);
    let here = world.broker().admin();
    let name = topic("numbered-anew");
    let mut sockets = Sockets::open(&world, &name);
    for payload in ["one", "two"] {
        sockets.producer.publish(payload);
        for consumer in &mut sockets.consumers {
            let message = consumer.json();
            assert_eq!(payload_of(&message), payload);
            if payload == "one" {
                consumer.ack(&message);
            }
        }
    }
    for kind in ["Exclusive", "Shared", "Failover", "Key_Shared"] {
        eventually("the acks are there", || world.backlog(&name, kind) == 1);
    }
    here.migrate(&name, &other.service_url())
        .expect("it is there");
    sockets.walk("three");
    sockets.walk("four");
}

/// With the next owner in the CLOSE nothing is looked up, which here would fail for ever.
#[test]
fn a_close_that_names_the_next_owner_saves_the_lookup() {
    let other = other_broker();
    let world = World::embedded(Options::default(), &[]);
    let name = topic("hinted");
    let mut sockets = Sockets::open(&world, &name);
    let refused = ::pulsar::proto::ServerError::ServiceNotReady;
    world
        .broker()
        .faults()
        .refuse_lookups(u32::MAX, refused, "no lookups");
    let here = world.broker().admin();
    here.hand_over(&name, &other.service_url())
        .expect("it is there");
    sockets.walk("moved");
}
