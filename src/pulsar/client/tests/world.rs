//! A machine whose brokers, clock and owner a test plays.

use super::*;

/// One frame that the machine has written.
#[derive(Debug)]
pub struct Said {
    pub connection: ConnectionId,
    pub command: BaseCommand,
    pub frame: Bytes,
}

pub struct World {
    pub client: Client,
    /// Of the gateway.
    pub credentials: Result<Credentials, BrokerError>,
    /// Whether credentials were asked for as renewed ones, each time.
    pub asked: Vec<(Principal, bool)>,
    pub now_ms: u64,
    pub dialled: VecDeque<(ConnectionId, BrokerAddress)>,
    pub closed: Vec<ConnectionId>,
    pub writes: usize,
    pub unread: BTreeMap<ConnectionId, BytesMut>,
    pub said: VecDeque<Said>,
    pub events: VecDeque<Event>,
    /// `Event::NoBroker`, which is beside all others: `host:port`, and why.
    pub no_brokers: Vec<(String, String)>,
}

impl World {
    pub fn new(config: ClientConfig) -> World {
        World {
            client: Client::new(config),
            credentials: Ok(Credentials::none()),
            asked: Vec::new(),
            now_ms: 1_000,
            dialled: VecDeque::new(),
            closed: Vec::new(),
            writes: 0,
            unread: BTreeMap::new(),
            said: VecDeque::new(),
            events: VecDeque::new(),
            no_brokers: Vec::new(),
        }
    }

    /// Takes what the machine has to say.
    pub fn pump(&mut self) {
        while let Some(io) = self.client.poll_io() {
            match io {
                Io::Connect {
                    connection,
                    address,
                    ..
                } => self.dialled.push_back((connection, address)),
                Io::Authenticate {
                    connection,
                    principal,
                    renewed,
                } => {
                    self.asked.push((principal, renewed));
                    let credentials = self.credentials.clone();
                    self.client
                        .authenticate(self.now_ms, connection, credentials);
                }
                Io::Write { connection, bytes } => {
                    self.writes += 1;
                    let unread = self.unread.entry(connection).or_default();
                    unread.extend_from_slice(&bytes);
                    while unread.len() >= 4 {
                        let total =
                            u32::from_be_bytes(unread[..4].try_into().expect("four")) as usize;
                        let frame = unread.split_to(4 + total).freeze();
                        let size =
                            u32::from_be_bytes(frame[4..8].try_into().expect("four")) as usize;
                        self.said.push_back(Said {
                            connection,
                            command: BaseCommand::decode(&frame[8..8 + size]).expect("a command"),
                            frame,
                        });
                    }
                }
                Io::Close { connection } => self.closed.push(connection),
            }
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::NoBroker { address, why } => {
                    let authority = format!("{}:{}", address.host, address.port);
                    self.no_brokers.push((authority, why));
                }
                event => self.events.push_back(event),
            }
        }
    }

    /// The broker says something.
    pub fn say(&mut self, connection: ConnectionId, command: &BaseCommand) {
        self.say_bytes(connection, &wire::encode_command(command));
    }

    /// What the machine has not consumed.
    pub fn say_bytes(&mut self, connection: ConnectionId, bytes: &[u8]) -> BytesMut {
        let mut buffer = BytesMut::from(bytes);
        self.client.received(self.now_ms, connection, &mut buffer);
        self.pump();
        buffer
    }

    /// The next frame, which must be of that type.
    pub fn heard(&mut self, kind: Type) -> Said {
        self.pump();
        let said = self
            .said
            .pop_front()
            .unwrap_or_else(|| panic!("no {kind:?}"));
        assert_eq!(
            said.command.r#type, kind as i32,
            "{kind:?} expected, {:?} said",
            said.command
        );
        said
    }

    pub fn heard_nothing(&mut self) {
        self.pump();
        assert!(self.said.is_empty(), "{:?}", self.said);
        assert!(self.dialled.is_empty(), "{:?}", self.dialled);
    }

    pub fn event(&mut self) -> Event {
        self.pump();
        self.events.pop_front().expect("an event")
    }

    pub fn no_event(&mut self) {
        self.pump();
        assert!(self.events.is_empty(), "{:?}", self.events);
    }

    /// Lets time pass, stopping at every deadline.
    pub fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(next_ms) = self.client.next_deadline_ms()
            && next_ms <= end_ms
        {
            self.now_ms = self.now_ms.max(next_ms);
            self.client.tick(self.now_ms);
            self.pump();
        }
        self.now_ms = end_ms;
        self.client.tick(self.now_ms);
        self.pump();
    }

    /// The machine dials `host`; what it says in CONNECT, which waits for an answer.
    pub fn dial(&mut self, host: &str) -> (ConnectionId, proto::CommandConnect) {
        self.pump();
        let (connection, dialled) = self.dialled.pop_front().expect("a dialled connection");
        assert_eq!(dialled.host, host);
        self.client.connected(self.now_ms, connection);
        let said = self.heard(Type::Connect);
        (connection, said.command.connect.expect("its fields"))
    }

    /// The machine dials `host` and is welcomed.
    pub fn accept(&mut self, host: &str) -> ConnectionId {
        self.accept_up_to(5 * 1024 * 1024, host)
    }

    /// By a broker that takes no larger messages.
    pub fn accept_up_to(&mut self, max_message_bytes: i32, host: &str) -> ConnectionId {
        let (connection, _) = self.dial(host);
        self.say(connection, &connected(max_message_bytes));
        connection
    }

    pub fn lose(&mut self, connection: ConnectionId) {
        self.client.lost(self.now_ms, connection);
        self.unread.remove(&connection);
        self.pump();
    }

    /// The LOOKUP that comes next, and where.
    pub fn heard_lookup(&mut self) -> (ConnectionId, proto::CommandLookupTopic) {
        let said = self.heard(Type::Lookup);
        (
            said.connection,
            said.command.lookup_topic.expect("the lookup's fields"),
        )
    }

    /// Answers the LOOKUP that has been heard: the topic is at `host`.
    pub fn answer_lookup(&mut self, host: &str) {
        let (connection, asked) = self.heard_lookup();
        let connect = proto::command_lookup_topic_response::LookupType::Connect;
        let answer = lookup_answer(asked.request_id, connect, host);
        self.say(connection, &answer);
    }

    pub fn heard_producer(&mut self) -> (ConnectionId, proto::CommandProducer) {
        let said = self.heard(Type::Producer);
        (
            said.connection,
            said.command.producer.expect("the producer's fields"),
        )
    }

    /// A LOOKUP leads to the service address, where PRODUCER is heard.
    pub fn find_producer(&mut self) -> (ConnectionId, proto::CommandProducer) {
        self.answer_lookup(SERVICE);
        self.heard_producer()
    }

    /// The same, and the broker creates it.
    pub fn create_producer(&mut self) -> ConnectionId {
        let (connection, asked) = self.find_producer();
        self.say(connection, &producer_success(asked.request_id, "p-1", -1));
        connection
    }

    pub fn heard_subscribe(&mut self) -> (ConnectionId, proto::CommandSubscribe) {
        let said = self.heard(Type::Subscribe);
        (
            said.connection,
            said.command.subscribe.expect("the subscription's fields"),
        )
    }

    /// A LOOKUP leads to the service address, where SUBSCRIBE is heard.
    pub fn find_consumer(&mut self) -> (ConnectionId, proto::CommandSubscribe) {
        self.answer_lookup(SERVICE);
        self.heard_subscribe()
    }

    pub fn heard_send(&mut self) -> (u64, Bytes) {
        let said = self.heard(Type::Send);
        let send = said.command.send.expect("the message's fields");
        (send.sequence_id, said.frame)
    }

    /// A producer on the service address itself, ready, its events taken.
    pub fn producer(&mut self, spec: ProducerSpec) -> (ProducerId, ConnectionId) {
        let id = self.client.open_producer(self.now_ms, spec);
        self.accept(SERVICE);
        let connection = self.create_producer();
        assert!(matches!(self.event(), Event::ProducerReady { .. }));
        (id, connection)
    }

    /// Producers of as many topics, ready, each with the connection that it has got.
    pub fn producers(&mut self, count: usize) -> Vec<(ProducerId, ConnectionId)> {
        let open = |index| {
            let spec = ProducerSpec {
                topic: format!("{TOPIC}-{index}"),
                ..producer_spec()
            };
            let id = self.client.open_producer(self.now_ms, spec);
            self.pump();
            if index == 0 {
                self.accept(SERVICE);
            }
            self.answer_lookup(SERVICE);
            if !self.dialled.is_empty() {
                self.accept(SERVICE);
            }
            let (connection, asked) = self.heard_producer();
            self.say(connection, &producer_success(asked.request_id, "p", -1));
            assert!(matches!(self.event(), Event::ProducerReady { .. }));
            (id, connection)
        };
        (0..count).map(open).collect()
    }

    pub fn consumer(&mut self, spec: ConsumerSpec) -> (ConsumerId, ConnectionId) {
        let id = self.client.open_consumer(self.now_ms, spec);
        self.accept(SERVICE);
        let (connection, asked) = self.find_consumer();
        self.say(connection, &success(asked.request_id));
        assert!(matches!(self.event(), Event::ConsumerReady { .. }));
        (id, connection)
    }

    pub fn send(&mut self, producer: ProducerId, tag: Tag, payload: &[u8]) {
        let fields = SendFields {
            publish_time_ms: 1,
            ..Default::default()
        };
        self.client
            .send(self.now_ms, producer, tag, &fields, payload.len(), |out| {
                out.extend_from_slice(payload);
                Ok::<(), ()>(())
            })
            .expect("taken");
    }

    /// An empty message with a sequence id of the owner's.
    pub fn send_numbered(&mut self, producer: ProducerId, tag: Tag, sequence_id: u64) {
        let fields = SendFields {
            sequence_id: Some(sequence_id),
            ..Default::default()
        };
        let empty = |_: &mut BytesMut| Ok::<(), ()>(());
        self.client
            .send(self.now_ms, producer, tag, &fields, 0, empty)
            .expect("taken");
    }

    /// A MESSAGE for the consumer; `batch` of how many, `epoch` where the broker counts them.
    pub fn deliver(
        &mut self,
        connection: ConnectionId,
        consumer: ConsumerId,
        entry: u64,
        batch: Option<i32>,
        epoch: Option<u64>,
    ) {
        let bytes = message(consumer, entry, batch, epoch);
        self.say_bytes(connection, &bytes);
    }

    pub fn entry(&mut self) -> Entry {
        match self.event() {
            Event::Entry { entry, .. } => entry,
            other => panic!("an entry expected, {other:?}"),
        }
    }

    pub fn permits_heard(&mut self) -> u32 {
        let said = self.heard(Type::Flow);
        said.command.flow.expect("permits").message_permits
    }
}
