//! What a broker says.

use super::*;

pub fn base(kind: Type) -> BaseCommand {
    BaseCommand {
        r#type: kind as i32,
        ..Default::default()
    }
}

pub fn connected(max_message_size: i32) -> BaseCommand {
    BaseCommand {
        connected: Some(proto::CommandConnected {
            server_version: "test".to_owned(),
            protocol_version: Some(19),
            max_message_size: Some(max_message_size),
        }),
        ..base(Type::Connected)
    }
}

pub fn lookup_answer(
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

pub fn success(request_id: u64) -> BaseCommand {
    BaseCommand {
        success: Some(proto::CommandSuccess {
            request_id,
            schema: None,
        }),
        ..base(Type::Success)
    }
}

pub fn error(request_id: u64, error: proto::ServerError, message: &str) -> BaseCommand {
    BaseCommand {
        error: Some(proto::CommandError {
            request_id,
            error: error as i32,
            message: message.to_owned(),
        }),
        ..base(Type::Error)
    }
}

pub fn producer_success(request_id: u64, name: &str, last_sequence_id: i64) -> BaseCommand {
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

pub fn receipt(producer: ProducerId, sequence_id: u64) -> BaseCommand {
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

pub fn send_error(
    producer: ProducerId,
    sequence_id: u64,
    error: proto::ServerError,
) -> BaseCommand {
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

pub fn close_producer(producer: ProducerId) -> BaseCommand {
    BaseCommand {
        close_producer: Some(proto::CommandCloseProducer {
            producer_id: producer.0,
            request_id: 0,
        }),
        ..base(Type::CloseProducer)
    }
}

pub fn close_consumer(consumer: ConsumerId) -> BaseCommand {
    BaseCommand {
        close_consumer: Some(proto::CommandCloseConsumer {
            consumer_id: consumer.0,
            request_id: 0,
        }),
        ..base(Type::CloseConsumer)
    }
}

pub fn message(
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
