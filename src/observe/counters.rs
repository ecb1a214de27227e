//! What a shard counts. Plain numbers that only their shard touches; they are summed when somebody asks.

/// Names every counter once: the struct's field, its sum and its line in a listing.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One shard's counts since its start. Each is a number of events, or of bytes where the name says so.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Adds another shard's counts.
            pub fn add(&mut self, other: &Counters) {
                $(self.$name = self.$name.wrapping_add(other.$name);)*
            }

            /// Every count with its name, in the order of the fields.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Upgraded to WebSockets.
    sockets_opened,
    sockets_closed,
    /// Upgrade requests answered with an HTTP error.
    handshakes_refused,
    /// Of these: more handshakes a second than the process takes.
    refused_handshake_rate,
    /// More of them than an address may make.
    refused_address_rate,
    refused_address_connections,
    refused_role_connections,
    /// A web page that may not open sockets.
    refused_origins,
    /// What a proxy said about its client cannot be read or believed.
    refused_proxied,
    /// Upgrade requests that did not end in time.
    handshakes_timed_out,
    /// TLS handshakes that did not come to their end.
    tls_handshakes_failed,
    /// WebSocket messages from clients.
    frames_in,
    bytes_in,
    /// WebSocket messages to clients, control frames not counted.
    frames_out,
    bytes_out,
    /// Publishes that the broker confirmed.
    published,
    /// Publishes answered with an error.
    publish_failures,
    /// Messages sent to consumers and readers.
    delivered,
    /// Readers whose next frame had left the log before they were sent it: what they lack comes from the broker.
    readers_fell_off,
    /// Of those, readers that the broker could not give all that they lacked: it had it no more.
    readers_missed,
    /// Readers whose place went from the broker with all that lay around it while no connection brought them on: whether
    /// there was more than they had, nobody can tell.
    readers_may_have_missed,
    acked,
    negatively_acked,
    /// Sockets closed for breaking the protocol.
    protocol_violations,
    /// Sockets closed because neither side had anything to say for too long.
    idle_timeouts,
    /// Said to other shards in one go,
    posted_batches,
    /// and how many of these found a shard that was waiting for them.
    wake_ups,
    /// Sockets closed because their clients took nothing of what they were sent for too long.
    slow_consumers,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_summed_field_by_field() {
        let mut sum = Counters {
            published: 2,
            ..Counters::default()
        };
        sum.add(&Counters {
            published: 3,
            bytes_in: 7,
            ..Counters::default()
        });
        let listed: Vec<_> = sum.each().filter(|&(_, count)| count > 0).collect();
        assert_eq!(listed, [("bytes_in", 7), ("published", 5)]);
    }
}
