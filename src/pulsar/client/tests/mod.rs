//! The machine against a broker that says what the test wants: its commands are decoded by prost, time is a number.

mod batching;
mod connecting;
mod consuming;
mod credentials;
mod hostile;
mod looking_up;
mod moving;
mod over_http;
mod producing;
mod sealing;
mod simulation;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::{self, BaseCommand, MessageIdData};
use bytes::{Bytes, BytesMut};
use prost::Message as _;

use super::*;
use crate::pulsar::types::{
    BrokerError, Entry, ErrorKind, InitialPosition, MessageId, SubscriptionType,
};
use crate::pulsar::wire;

const TOPIC: &str = "persistent://public/default/t";
const SERVICE: &str = "service";

/// One frame that the machine has written.
#[derive(Debug)]
struct Said {
    connection: ConnectionId,
    command: BaseCommand,
    frame: Bytes,
}

struct World {
    client: Client,
    /// Of the gateway.
    credentials: Result<Credentials, BrokerError>,
    /// Whether credentials were asked for as renewed ones, each time.
    asked: Vec<(Principal, bool)>,
    now_ms: u64,
    dialled: VecDeque<(ConnectionId, BrokerAddress)>,
    closed: Vec<ConnectionId>,
    writes: usize,
    unread: BTreeMap<ConnectionId, BytesMut>,
    said: VecDeque<Said>,
    events: VecDeque<Event>,
}

fn address(host: &str) -> BrokerAddress {
    BrokerAddress {
        host: host.to_owned(),
        port: 6650,
        tls: false,
    }
}

fn config() -> ClientConfig {
    ClientConfig {
        service_urls: vec![address(SERVICE)],
        lookup_by: LookupBy::Broker,
        connections_per_broker: 1,
        connection_timeout_ms: 10_000,
        operation_timeout_ms: 30_000,
        keep_alive_ms: 30_000,
        backoff_first_ms: 100,
        backoff_last_ms: 60_000,
        seed: 7,
    }
}

fn producer_spec() -> ProducerSpec {
    ProducerSpec {
        principal: Principal::GATEWAY,
        topic: TOPIC.to_owned(),
        name: None,
        initial_sequence_id: None,
        send_timeout_ms: 30_000,
        encryption_keys: Arc::default(),
        sealing: None,
        compression: None,
        batching: None,
    }
}

fn consumer_spec() -> ConsumerSpec {
    ConsumerSpec {
        principal: Principal::GATEWAY,
        topic: TOPIC.to_owned(),
        partition: -1,
        subscription: "s".to_owned(),
        subscription_type: SubscriptionType::Exclusive,
        durable: true,
        initial_position: InitialPosition::Latest,
        start: None,
        consumer_name: None,
        priority_level: 0,
        read_compacted: false,
        create_topic: true,
    }
}

fn base(kind: Type) -> BaseCommand {
    BaseCommand {
        r#type: kind as i32,
        ..Default::default()
    }
}

fn connected(max_message_size: i32) -> BaseCommand {
    BaseCommand {
        connected: Some(proto::CommandConnected {
            server_version: "test".to_owned(),
            protocol_version: Some(19),
            max_message_size: Some(max_message_size),
        }),
        ..base(Type::Connected)
    }
}

fn lookup_answer(
    request_id: u64,
    kind: proto::command_lookup_topic_response::LookupType,
    host: &str,
) -> BaseCommand {
    BaseCommand {
        lookup_topic_response: Some(proto::CommandLookupTopicResponse {
            request_id,
            response: Some(kind as i32),
            broker_service_url: Some(format!("pulsar://{host}:6650")),
            authoritative: Some(true),
            ..Default::default()
        }),
        ..base(Type::LookupResponse)
    }
}

fn success(request_id: u64) -> BaseCommand {
    BaseCommand {
        success: Some(proto::CommandSuccess {
            request_id,
            schema: None,
        }),
        ..base(Type::Success)
    }
}

fn error(request_id: u64, error: proto::ServerError, message: &str) -> BaseCommand {
    BaseCommand {
        error: Some(proto::CommandError {
            request_id,
            error: error as i32,
            message: message.to_owned(),
        }),
        ..base(Type::Error)
    }
}

fn producer_success(request_id: u64, name: &str, last_sequence_id: i64) -> BaseCommand {
    BaseCommand {
        producer_success: Some(proto::CommandProducerSuccess {
            request_id,
            producer_name: name.to_owned(),
            last_sequence_id: Some(last_sequence_id),
            producer_ready: Some(true),
            ..Default::default()
        }),
        ..base(Type::ProducerSuccess)
    }
}

fn receipt(producer: ProducerId, sequence_id: u64) -> BaseCommand {
    BaseCommand {
        send_receipt: Some(proto::CommandSendReceipt {
            producer_id: producer.0,
            sequence_id,
            message_id: Some(MessageIdData {
                ledger_id: 5,
                entry_id: sequence_id,
                ..Default::default()
            }),
            highest_sequence_id: None,
        }),
        ..base(Type::SendReceipt)
    }
}

fn send_error(producer: ProducerId, sequence_id: u64, error: proto::ServerError) -> BaseCommand {
    BaseCommand {
        send_error: Some(proto::CommandSendError {
            producer_id: producer.0,
            sequence_id,
            error: error as i32,
            message: "refused".to_owned(),
        }),
        ..base(Type::SendError)
    }
}

fn close_producer(producer: ProducerId) -> BaseCommand {
    BaseCommand {
        close_producer: Some(proto::CommandCloseProducer {
            producer_id: producer.0,
            request_id: 0,
        }),
        ..base(Type::CloseProducer)
    }
}

fn close_consumer(consumer: ConsumerId) -> BaseCommand {
    BaseCommand {
        close_consumer: Some(proto::CommandCloseConsumer {
            consumer_id: consumer.0,
            request_id: 0,
        }),
        ..base(Type::CloseConsumer)
    }
}

impl World {
    fn new(config: ClientConfig) -> World {
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
        }
    }

    /// Takes what the machine has to say.
    fn pump(&mut self) {
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
            self.events.push_back(event);
        }
    }

    /// The broker says something.
    fn say(&mut self, connection: ConnectionId, command: &BaseCommand) {
        self.say_bytes(connection, &wire::encode_command(command));
    }

    /// What the machine has not consumed.
    fn say_bytes(&mut self, connection: ConnectionId, bytes: &[u8]) -> BytesMut {
        let mut buffer = BytesMut::from(bytes);
        self.client.received(self.now_ms, connection, &mut buffer);
        self.pump();
        buffer
    }

    /// The next frame, which must be of that type.
    fn heard(&mut self, kind: Type) -> Said {
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

    fn heard_nothing(&mut self) {
        self.pump();
        assert!(self.said.is_empty(), "{:?}", self.said);
        assert!(self.dialled.is_empty(), "{:?}", self.dialled);
    }

    fn event(&mut self) -> Event {
        self.pump();
        self.events.pop_front().expect("an event")
    }

    fn no_event(&mut self) {
        self.pump();
        assert!(self.events.is_empty(), "{:?}", self.events);
    }

    /// Lets time pass, stopping at every deadline.
    fn pass(&mut self, ms: u64) {
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

    /// The machine dials `host` and is welcomed.
    fn accept(&mut self, host: &str) -> ConnectionId {
        self.pump();
        let (connection, dialled) = self.dialled.pop_front().expect("a dialled connection");
        assert_eq!(dialled.host, host);
        self.client.connected(self.now_ms, connection);
        self.heard(Type::Connect);
        self.say(connection, &connected(5 * 1024 * 1024));
        connection
    }

    fn lose(&mut self, connection: ConnectionId) {
        self.client.lost(self.now_ms, connection);
        self.unread.remove(&connection);
        self.pump();
    }

    /// Answers the LOOKUP that has been heard: the topic is at `host`.
    fn answer_lookup(&mut self, host: &str) {
        let said = self.heard(Type::Lookup);
        let request_id = said.command.lookup_topic.expect("a lookup").request_id;
        let connect = proto::command_lookup_topic_response::LookupType::Connect;
        let answer = lookup_answer(request_id, connect, host);
        self.say(said.connection, &answer);
    }

    fn heard_producer(&mut self) -> (ConnectionId, proto::CommandProducer) {
        let said = self.heard(Type::Producer);
        (
            said.connection,
            said.command.producer.expect("the producer's fields"),
        )
    }

    fn heard_subscribe(&mut self) -> (ConnectionId, proto::CommandSubscribe) {
        let said = self.heard(Type::Subscribe);
        (
            said.connection,
            said.command.subscribe.expect("the subscription's fields"),
        )
    }

    fn heard_send(&mut self) -> (u64, Bytes) {
        let said = self.heard(Type::Send);
        let send = said.command.send.expect("the message's fields");
        (send.sequence_id, said.frame)
    }

    /// A producer on the service address itself, ready, its events taken.
    fn producer(&mut self, spec: ProducerSpec) -> (ProducerId, ConnectionId) {
        let id = self.client.open_producer(self.now_ms, spec);
        self.accept(SERVICE);
        self.answer_lookup(SERVICE);
        let (connection, asked) = self.heard_producer();
        self.say(connection, &producer_success(asked.request_id, "p-1", -1));
        assert!(matches!(self.event(), Event::ProducerReady { .. }));
        (id, connection)
    }

    fn consumer(&mut self, spec: ConsumerSpec) -> (ConsumerId, ConnectionId) {
        let id = self.client.open_consumer(self.now_ms, spec);
        self.accept(SERVICE);
        self.answer_lookup(SERVICE);
        let (connection, asked) = self.heard_subscribe();
        self.say(connection, &success(asked.request_id));
        assert!(matches!(self.event(), Event::ConsumerReady { .. }));
        (id, connection)
    }

    fn send(&mut self, producer: ProducerId, tag: Tag, payload: &[u8]) {
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

    /// A MESSAGE for the consumer; `batch` of how many, `epoch` where the broker counts them.
    fn deliver(
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

    fn entry(&mut self) -> Entry {
        match self.event() {
            Event::Entry { entry, .. } => entry,
            other => panic!("an entry expected, {other:?}"),
        }
    }

    fn permits_heard(&mut self) -> u32 {
        let said = self.heard(Type::Flow);
        said.command.flow.expect("permits").message_permits
    }
}

fn message(
    consumer: ConsumerId,
    entry: u64,
    batch: Option<i32>,
    consumer_epoch: Option<u64>,
) -> Bytes {
    let command = BaseCommand {
        message: Some(proto::CommandMessage {
            consumer_id: consumer.0,
            message_id: MessageIdData {
                ledger_id: 5,
                entry_id: entry,
                ..Default::default()
            },
            redelivery_count: None,
            ack_set: Vec::new(),
            consumer_epoch,
        }),
        ..base(Type::Message)
    };
    let metadata = proto::MessageMetadata {
        producer_name: "p".to_owned(),
        num_messages_in_batch: batch,
        ..Default::default()
    };
    wire::encode_command_with_body(&command, &metadata.encode_to_vec(), b"payload")
}

/// The kind of a failed event's error.
fn kind_of(error: &BrokerError) -> ErrorKind {
    error.kind
}
