//! A publisher on the broker's own protocol, for entries that no producer socket makes.

use prost::Message as _;
use pulsar::proto::base_command::Type;
use pulsar::proto::{BaseCommand, CommandProducer, CommandSend, MessageMetadata};
use pws_fast::pulsar::wire;

use super::on_broker::{OnBroker, base};

pub struct Publisher {
    broker: OnBroker,
    sequence_id: u64,
}

impl Publisher {
    /// On a broker that owns the topic, as the only one does.
    pub fn open(url: &str, topic: &str) -> Publisher {
        let mut broker = OnBroker::connect(url, topic);
        broker.ask(
            &BaseCommand {
                producer: Some(CommandProducer {
                    topic: broker.topic.clone(),
                    producer_id: 1,
                    request_id: 2,
                    ..CommandProducer::default()
                }),
                ..base(Type::Producer)
            },
            Type::ProducerSuccess,
        );
        Publisher {
            broker,
            sequence_id: 0,
        }
    }

    /// Publishes one entry; its metadata is completed with what every entry has.
    pub fn publish(&mut self, metadata: MessageMetadata, payload: &[u8]) {
        let command = BaseCommand {
            send: Some(CommandSend {
                producer_id: 1,
                sequence_id: self.sequence_id,
                num_messages: Some(1),
                is_chunk: metadata.chunk_id.map(|_| true),
                ..CommandSend::default()
            }),
            ..base(Type::Send)
        };
        let metadata = MessageMetadata {
            producer_name: "test".to_owned(),
            sequence_id: self.sequence_id,
            publish_time: 1,
            ..metadata
        };
        self.sequence_id += 1;
        let frame = wire::encode_command_with_body(&command, &metadata.encode_to_vec(), payload);
        self.broker.write(&frame);
        self.broker.answer(Type::SendReceipt);
    }
}
