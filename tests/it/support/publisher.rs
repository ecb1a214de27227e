//! A publisher on the broker's own protocol, for entries that no producer socket makes.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use prost::Message as _;
use pulsar::proto::base_command::Type;
use pulsar::proto::{
    BaseCommand, CommandConnect, CommandLookupTopic, CommandProducer, CommandSend, MessageMetadata,
};
use pws_fast::pulsar::wire;

use super::PATIENCE;

pub struct Publisher {
    stream: TcpStream,
    unread: BytesMut,
    sequence_id: u64,
}

fn base(kind: Type) -> BaseCommand {
    BaseCommand {
        r#type: kind as i32,
        ..BaseCommand::default()
    }
}

impl Publisher {
    /// On a broker that owns the topic, as the only one does.
    pub fn open(url: &str, topic: &str) -> Publisher {
        let address = url.strip_prefix("pulsar://").expect("a broker's URL");
        let stream = TcpStream::connect(address).expect("the broker accepts");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        let mut publisher = Publisher {
            stream,
            unread: BytesMut::new(),
            sequence_id: 0,
        };
        let topic = format!("persistent://public/default/{topic}");
        publisher.ask(
            &BaseCommand {
                connect: Some(CommandConnect {
                    client_version: "test".to_owned(),
                    protocol_version: Some(12),
                    ..CommandConnect::default()
                }),
                ..base(Type::Connect)
            },
            Type::Connected,
        );
        // Brokers load a topic for whom they have told that it is theirs.
        publisher.ask(
            &BaseCommand {
                lookup_topic: Some(CommandLookupTopic {
                    topic: topic.clone(),
                    request_id: 1,
                    ..CommandLookupTopic::default()
                }),
                ..base(Type::Lookup)
            },
            Type::LookupResponse,
        );
        publisher.ask(
            &BaseCommand {
                producer: Some(CommandProducer {
                    topic,
                    producer_id: 1,
                    request_id: 2,
                    ..CommandProducer::default()
                }),
                ..base(Type::Producer)
            },
            Type::ProducerSuccess,
        );
        publisher
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
        self.stream.write_all(&frame).expect("it goes out");
        self.answer(Type::SendReceipt);
    }

    fn ask(&mut self, command: &BaseCommand, answer: Type) {
        let frame = wire::encode_command(command);
        self.stream.write_all(&frame).expect("it goes out");
        self.answer(answer);
    }

    fn answer(&mut self, kind: Type) {
        loop {
            let frame = wire::split_frame(&mut self.unread, 10 * 1024 * 1024);
            if let Some(frame) = frame.expect("a frame") {
                let command = BaseCommand::decode(frame.command).expect("a command");
                if command.r#type == kind as i32 {
                    return;
                }
                let ignored = [Type::Ping as i32, Type::Pong as i32];
                assert!(ignored.contains(&command.r#type), "{command:?}");
                continue;
            }
            let mut bytes = [0; 4096];
            let read = self.stream.read(&mut bytes).expect("an answer in time");
            assert!(read > 0, "the broker has closed the connection");
            self.unread.extend_from_slice(&bytes[..read]);
        }
    }
}
