//! Somebody on each shard who has no part in what a test does, and must not notice it.

use super::{Client, World, topic};

/// A producer and a consumer on each of the two shards.
pub struct Neighbours {
    pairs: Vec<(Client, Client)>,
    said: u32,
}

impl Neighbours {
    /// To be called first in a world: a new socket goes to the shard with the fewest, so these are spread evenly.
    pub fn move_in(world: &World) -> Neighbours {
        Neighbours::move_in_with(world, "")
    }

    /// With this token.
    pub fn move_in_with(world: &World, token: &str) -> Neighbours {
        let names = [topic("neighbour"), topic("neighbour")];
        let query = match token {
            "" => String::new(),
            token => format!("?token={token}"),
        };
        let producers = names
            .each_ref()
            .map(|name| world.producer(&format!("{name}{query}")));
        let consumers = names
            .each_ref()
            .map(|name| world.consumer(name, &format!("sub{query}")));
        let mut neighbours = Neighbours {
            pairs: producers.into_iter().zip(consumers).collect(),
            said: 0,
        };
        neighbours.are_well();
        neighbours
    }

    /// They publish, receive and ack.
    pub fn are_well(&mut self) {
        self.said += 1;
        let said = self.said.to_string();
        for (producer, consumer) in &mut self.pairs {
            producer.publish(&said);
            assert_eq!(consumer.receive(), said);
        }
    }
}
