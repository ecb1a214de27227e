//! Two gateways on one subscription of several topics: their sockets come and go, on different cores, while messages
//! flow. Whatever is not acked by one that leaves reaches another, and in the end nothing is left.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Client, World, eventually, payload_of, topic};

struct Scene {
    world: World,
    beside: World,
    topics: Vec<String>,
    query: String,
    seen: BTreeSet<String>,
    published: usize,
}

impl Scene {
    fn new(subscription_type: &str) -> Scene {
        let world = World::start();
        let beside = world.beside();
        let topics = vec![topic("a"), topic("b"), topic("c")];
        world.admin().create_partitioned(&topics[1], 2);
        let query = format!(
            "/ws/v3/consumer/sub?topics={}&subscriptionType={subscription_type}&receiverQueueSize=10",
            topics.join(",")
        );
        Scene {
            world,
            beside,
            topics,
            query,
            seen: BTreeSet::new(),
            published: 0,
        }
    }

    fn member(&self, beside: bool, name: &str) -> Client {
        let world = if beside { &self.beside } else { &self.world };
        world.open(&format!("{}&consumerName={name}", self.query))
    }

    fn publish(&mut self, count: usize) {
        for topic in &self.topics {
            let query = "messageRoutingMode=RoundRobinPartition";
            let mut producer = self.world.producer(&format!("{topic}?{query}"));
            for _ in 0..count {
                producer.publish(&self.published.to_string());
                self.published += 1;
            }
        }
    }

    /// Takes a message from each in turn until so many more have been seen, and acks them.
    fn take(&mut self, members: &mut [Client], count: usize) {
        let goal = self.published.min(self.seen.len() + count);
        eventually("messages come", || {
            for member in members.iter_mut() {
                if self.seen.len() < goal
                    && let Some(message) = member.within(Duration::from_millis(20))
                {
                    self.seen.insert(payload_of(&message));
                    member.ack(&message);
                }
            }
            self.seen.len() == goal
        });
    }

    fn finish(mut self, mut members: Vec<Client>) {
        let missing = self.published - self.seen.len();
        self.take(&mut members, missing);
        let [a, b, c] = &self.topics[..] else {
            unreachable!("three topics")
        };
        let partitions = [format!("{b}-partition-0"), format!("{b}-partition-1")];
        for name in [a, c, &partitions[0], &partitions[1]] {
            eventually("all is acked", || {
                // What was handed over just when it was acked comes again.
                for member in &mut members {
                    while let Some(message) = member.within(Duration::from_millis(5)) {
                        member.ack(&message);
                    }
                }
                self.world.backlog(name, "sub") == 0
            });
        }
    }
}

fn come_and_go(subscription_type: &str) {
    let mut scene = Scene::new(subscription_type);
    let mut members = vec![
        scene.member(false, "a"),
        scene.member(true, "b"),
        scene.member(false, "c"),
        scene.member(true, "d"),
    ];
    scene.publish(40);
    scene.take(&mut members, 30);
    // Full windows of both gateways are left behind.
    members.remove(0).cut();
    members.remove(0).close();
    scene.take(&mut members, 20);
    members.push(scene.member(true, "e"));
    members.push(scene.member(false, "0"));
    scene.publish(20);
    scene.take(&mut members, 30);
    // All of one gateway's.
    members.remove(1).cut();
    members.remove(1).cut();
    members.push(scene.member(false, "f"));
    scene.publish(20);
    scene.take(&mut members, 30);
    members.remove(0).cut();
    scene.finish(members);
}

#[test]
fn what_a_leaving_gateway_left_unacked_reaches_the_other_on_shared() {
    come_and_go("Shared");
}

#[test]
fn what_a_leaving_gateway_left_unacked_reaches_the_other_on_failover() {
    come_and_go("Failover");
}

#[test]
fn what_a_leaving_gateway_left_unacked_reaches_the_other_on_key_shared() {
    come_and_go("Key_Shared");
}

#[test]
fn an_ack_for_another_gateways_delivery_reaches_the_broker() {
    let mut scene = Scene::new("Shared");
    let mut here = scene.member(false, "a");
    let mut there = scene.member(true, "b");
    scene.publish(20);
    // So that each knows something of every topic.
    let mut left = Vec::new();
    for member in [&mut here, &mut there] {
        for _ in 0..10 {
            left.push(member.json());
        }
    }
    for (place, message) in left.iter().enumerate() {
        let acker = if place < 10 { &mut there } else { &mut here };
        acker.ack(message);
        scene.seen.insert(payload_of(message));
    }
    // Those that could not be settled by the other one come again when their holder leaves.
    here.cut();
    let last = scene.member(false, "c");
    scene.finish(vec![there, last]);
}
