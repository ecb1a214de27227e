//! A connection on the broker's own protocol, for what no socket of a gateway says or shows.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use pulsar::proto::base_command::Type;
use pulsar::proto::{
    BaseCommand, CommandConnect, CommandFlow, CommandLookupTopic, CommandSubscribe, MessageMetadata,
};
use pws_fast::pulsar::wire;

use super::PATIENCE;

pub struct OnBroker {
    stream: TcpStream,
    unread: BytesMut,
    /// In full.
    pub topic: String,
}

pub fn base(kind: Type) -> BaseCommand {
    BaseCommand {
        r#type: kind as i32,
        ..BaseCommand::default()
    }
}

impl OnBroker {
    /// To a broker that owns the topic, as the only one does.
    pub fn connect(url: &str, topic: &str) -> OnBroker {
        let address = url.strip_prefix("pulsar://").expect("a broker's URL");
        let stream = TcpStream::connect(address).expect("the broker accepts");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        let mut broker = OnBroker {
            stream,
            unread: BytesMut::new(),
            topic: format!("persistent://public/default/{topic}"),
        };
        broker.ask(
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
        broker.ask(
            &BaseCommand {
                lookup_topic: Some(CommandLookupTopic {
                    topic: broker.topic.clone(),
                    request_id: 1,
                    ..CommandLookupTopic::default()
                }),
                ..base(Type::Lookup)
            },
            Type::LookupResponse,
        );
        broker
    }

    pub fn ask(&mut self, command: &BaseCommand, answer: Type) {
        self.write(&wire::encode_command(command));
        self.answer(answer);
    }

    pub fn write(&mut self, frame: &[u8]) {
        self.stream.write_all(frame).expect("it goes out");
    }

    /// The next command, which is of this kind; gives what stands behind it.
    pub fn answer(&mut self, kind: Type) -> Bytes {
        loop {
            let frame = wire::split_frame(&mut self.unread, 10 * 1024 * 1024);
            if let Some(frame) = frame.expect("a frame") {
                let command = BaseCommand::decode(frame.command).expect("a command");
                if command.r#type == kind as i32 {
                    return frame.body;
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

/// The first entries of a topic as the broker keeps them.
pub fn entries(url: &str, topic: &str, count: usize) -> Vec<(MessageMetadata, Bytes)> {
    let mut broker = OnBroker::connect(url, topic);
    broker.ask(
        &BaseCommand {
            subscribe: Some(CommandSubscribe {
                topic: broker.topic.clone(),
                subscription: "as-kept".to_owned(),
                consumer_id: 1,
                request_id: 2,
                initial_position: Some(1),
                ..CommandSubscribe::default()
            }),
            ..base(Type::Subscribe)
        },
        Type::Success,
    );
    broker.write(&wire::encode_command(&BaseCommand {
        flow: Some(CommandFlow {
            consumer_id: 1,
            message_permits: count as u32,
        }),
        ..base(Type::Flow)
    }));
    let mut entry = || {
        let body = wire::Body::parse(&broker.answer(Type::Message)).expect("an entry");
        let metadata = MessageMetadata::decode(body.metadata).expect("metadata");
        (metadata, body.payload)
    };
    (0..count).map(|_| entry()).collect()
}
