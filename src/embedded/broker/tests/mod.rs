//! Rules of the core, on scripted connections with a simulated clock.

mod acks;
mod bounds;
mod creation;
mod dispatch;
mod failures;
mod hostile;
mod key_shared;
mod positions;

use ::prost::Message as _;
use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::command_ack::AckType;
use ::pulsar::proto::command_subscribe::SubType;
use ::pulsar::proto::{
    BaseCommand, CommandAck, CommandCloseConsumer, CommandConnect, CommandFlow, CommandMessage,
    CommandProducer, CommandRedeliverUnacknowledgedMessages, CommandSend, CommandSubscribe,
    MessageIdData, MessageMetadata, ServerError,
};
use bytes::BytesMut;

use super::connection::ConnectionId;
use super::{Broker, Options};
use crate::pulsar::wire::{Body, append_command, append_command_with_body, split_frame};

const TOPIC: &str = "persistent://public/default/t";

/// A frame that the broker sent.
struct Answer {
    command: BaseCommand,
    payload: Vec<u8>,
}

struct World {
    broker: Broker,
    now_ms: u64,
    requests: u64,
}

impl World {
    fn new(options: Options) -> World {
        World {
            broker: Broker::new(options, "pulsar://here:1".into(), 1_000_000),
            now_ms: 1_000_000,
            requests: 0,
        }
    }

    fn connect(&mut self, id: ConnectionId) {
        assert!(self.broker.connected(self.now_ms, id));
        let connect = CommandConnect {
            client_version: "test".into(),
            protocol_version: Some(19),
            ..CommandConnect::default()
        };
        let answers = self.ask(id, Type::Connect, |c| c.connect = Some(connect));
        assert!(answers[0].command.connected.is_some());
    }

    /// Sends a command and takes all that this connection is sent.
    fn ask(
        &mut self,
        id: ConnectionId,
        kind: Type,
        fill: impl FnOnce(&mut BaseCommand),
    ) -> Vec<Answer> {
        let mut command = BaseCommand {
            r#type: kind as i32,
            ..BaseCommand::default()
        };
        fill(&mut command);
        let mut bytes = BytesMut::new();
        append_command(&command, &mut bytes);
        self.feed(id, &mut bytes);
        self.answers(id)
    }

    fn feed(&mut self, id: ConnectionId, bytes: &mut BytesMut) {
        self.broker.received(self.now_ms, id, bytes);
    }

    fn answers(&mut self, id: ConnectionId) -> Vec<Answer> {
        let mut segments = Vec::new();
        self.broker.take_output(id, &mut segments);
        let mut bytes = BytesMut::new();
        for segment in segments {
            bytes.extend_from_slice(&segment);
        }
        self.broker.written(self.now_ms, id, bytes.len());
        let mut answers = Vec::new();
        while let Some(frame) = split_frame(&mut bytes, usize::MAX).unwrap() {
            let payload = match frame.body.is_empty() {
                true => Vec::new(),
                false => Body::parse(&frame.body).unwrap().payload.to_vec(),
            };
            answers.push(Answer {
                command: BaseCommand::decode(frame.command).unwrap(),
                payload,
            });
        }
        assert!(bytes.is_empty());
        answers
    }

    fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        self.broker.tick(self.now_ms);
    }

    fn request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    fn produce_on(&mut self, id: ConnectionId, producer_id: u64, topic: &str) {
        let producer = CommandProducer {
            topic: topic.into(),
            producer_id,
            request_id: self.request(),
            ..CommandProducer::default()
        };
        let answers = self.ask(id, Type::Producer, |c| c.producer = Some(producer));
        assert!(answers.iter().any(|a| a.command.producer_success.is_some()));
    }

    /// Publishes one entry with producer 1 of connection 1, which it makes if need be.
    fn publish(&mut self, payload: &str) -> (u64, u64) {
        self.publish_with(payload, |_| {})
    }

    fn publish_with(
        &mut self,
        payload: &str,
        fill: impl FnOnce(&mut MessageMetadata),
    ) -> (u64, u64) {
        if self.broker.connections.get(1).is_none() {
            self.connect(1);
        }
        let known = self.broker.connections.get(1);
        if known.is_none_or(|c| !c.producers.contains_key(&1)) {
            self.produce_on(1, 1, TOPIC);
        }
        let sequence_id = self.request();
        let answers = self.send(1, 1, sequence_id, payload, fill);
        let receipt = answers.into_iter().find_map(|a| a.command.send_receipt);
        let id = receipt.expect("a receipt").message_id.unwrap();
        (id.ledger_id, id.entry_id)
    }

    fn send(
        &mut self,
        id: ConnectionId,
        producer_id: u64,
        sequence_id: u64,
        payload: &str,
        fill: impl FnOnce(&mut MessageMetadata),
    ) -> Vec<Answer> {
        let mut bytes = send_frame(producer_id, sequence_id, payload, self.now_ms, fill);
        self.feed(id, &mut bytes);
        self.answers(id)
    }

    fn subscribe(&mut self, id: ConnectionId, consumer_id: u64, kind: SubType) {
        self.subscribe_with(id, consumer_id, kind, |_| {}).unwrap();
    }

    fn subscribe_with(
        &mut self,
        id: ConnectionId,
        consumer_id: u64,
        kind: SubType,
        fill: impl FnOnce(&mut CommandSubscribe),
    ) -> Result<Vec<Answer>, (ServerError, String)> {
        if self.broker.connections.get(id).is_none() {
            self.connect(id);
        }
        let mut subscribe = CommandSubscribe {
            topic: TOPIC.into(),
            subscription: "s".into(),
            sub_type: kind as i32,
            consumer_id,
            request_id: self.request(),
            consumer_name: Some(format!("c{consumer_id}")),
            // Earliest.
            initial_position: Some(1),
            ..CommandSubscribe::default()
        };
        fill(&mut subscribe);
        let answers = self.ask(id, Type::Subscribe, |c| c.subscribe = Some(subscribe));
        let refused = answers.iter().find_map(|a| a.command.error.clone());
        match refused {
            Some(error) => Err((error.error(), error.message)),
            None => Ok(answers),
        }
    }

    fn flow(&mut self, id: ConnectionId, consumer_id: u64, permits: u32) -> Vec<Answer> {
        let flow = CommandFlow {
            consumer_id,
            message_permits: permits,
        };
        self.ask(id, Type::Flow, |c| c.flow = Some(flow))
    }

    fn ack(&mut self, id: ConnectionId, consumer_id: u64, ids: &[MessageIdData]) -> Vec<Answer> {
        self.ack_as(id, consumer_id, AckType::Individual, ids)
    }

    fn ack_as(
        &mut self,
        id: ConnectionId,
        consumer_id: u64,
        ack_type: AckType,
        ids: &[MessageIdData],
    ) -> Vec<Answer> {
        let ack = CommandAck {
            consumer_id,
            ack_type: ack_type as i32,
            message_id: ids.to_vec(),
            request_id: Some(self.request()),
            ..CommandAck::default()
        };
        self.ask(id, Type::Ack, |c| c.ack = Some(ack))
    }

    fn redeliver(
        &mut self,
        id: ConnectionId,
        consumer_id: u64,
        ids: &[MessageIdData],
    ) -> Vec<Answer> {
        let redeliver = CommandRedeliverUnacknowledgedMessages {
            consumer_id,
            message_ids: ids.to_vec(),
            consumer_epoch: None,
        };
        self.ask(id, Type::RedeliverUnacknowledgedMessages, |c| {
            c.redeliver_unacknowledged_messages = Some(redeliver);
        })
    }

    fn close_consumer(&mut self, id: ConnectionId, consumer_id: u64) -> Vec<Answer> {
        let close = CommandCloseConsumer {
            consumer_id,
            request_id: self.request(),
        };
        self.ask(id, Type::CloseConsumer, |c| c.close_consumer = Some(close))
    }

    /// Backlog, and per consumer (name, permits, unacked), of subscription `s`.
    fn numbers(&self) -> (u64, Vec<(String, i64, i64)>) {
        let stats = self.broker.stats(TOPIC).unwrap();
        let subscription = stats.subscriptions.iter().find(|s| s.name == "s").unwrap();
        let consumers = subscription.consumers.iter();
        let numbers = consumers.map(|c| (c.name.clone(), c.permits, c.unacked));
        (subscription.backlog, numbers.collect())
    }
}

fn send_frame(
    producer_id: u64,
    sequence_id: u64,
    payload: &str,
    publish_time: u64,
    fill: impl FnOnce(&mut MessageMetadata),
) -> BytesMut {
    let mut metadata = MessageMetadata {
        producer_name: "p".into(),
        sequence_id,
        publish_time,
        ..MessageMetadata::default()
    };
    fill(&mut metadata);
    let command = BaseCommand {
        r#type: Type::Send as i32,
        send: Some(CommandSend {
            producer_id,
            sequence_id,
            ..CommandSend::default()
        }),
        ..BaseCommand::default()
    };
    let mut bytes = BytesMut::new();
    let metadata = metadata.encode_to_vec();
    append_command_with_body(&command, &metadata, payload.as_bytes(), &mut bytes);
    bytes
}

fn messages(answers: &[Answer]) -> Vec<CommandMessage> {
    let found = answers.iter().filter_map(|a| a.command.message.clone());
    found.collect()
}

/// (payload, redelivery count) of the messages.
fn delivered(answers: &[Answer]) -> Vec<(String, u32)> {
    answers
        .iter()
        .filter_map(|a| Some((a, a.command.message.as_ref()?)))
        .map(|(a, m)| (text(a), m.redelivery_count.unwrap_or(0)))
        .collect()
}

fn texts(answers: &[Answer]) -> Vec<String> {
    delivered(answers)
        .into_iter()
        .map(|(text, _)| text)
        .collect()
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.payload).into_owned()
}

fn ids(answers: &[Answer]) -> Vec<MessageIdData> {
    messages(answers)
        .into_iter()
        .map(|m| m.message_id)
        .collect()
}

fn id((ledger_id, entry_id): (u64, u64)) -> MessageIdData {
    MessageIdData {
        ledger_id,
        entry_id,
        ..MessageIdData::default()
    }
}
