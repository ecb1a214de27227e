//! What a broker says of a topic that goes elsewhere. Newer than the `pulsar` crate's proto, so read by field number.

use super::command::{each_submessage, field};
use super::varint::{DecodeError, Fields, Value};

/// `BaseCommand.Type.TOPIC_MIGRATED` (since protocol version 20), and the number of its field.
pub(super) const TOPIC_MIGRATED: i32 = 68;

/// The service URLs of a broker. Empty ones count as none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssignedBroker {
    pub service_url: Option<String>,
    pub service_url_tls: Option<String>,
}

/// `CommandTopicMigrated`: the topic of this producer or consumer is in another cluster now, whose brokers are asked for
/// it from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicMigrated {
    /// Else a consumer.
    pub is_producer: bool,
    pub resource_id: u64,
    pub cluster: AssignedBroker,
}

impl AssignedBroker {
    /// Fields 3 and 4 of all three commands.
    fn merge(&mut self, number: u64, value: &Value<'_>) {
        match (number, value) {
            (3, Value::Bytes(url)) => self.service_url = text(url),
            (4, Value::Bytes(url)) => self.service_url_tls = text(url),
            _ => {}
        }
    }
}

/// The broker that a CLOSE_PRODUCER or CLOSE_CONSUMER ([`super::Frame::command`]) names as the topic's next owner
/// (`assignedBrokerServiceUrl` and `…Tls`, since protocol version 21). `None`: the broker named none; look the topic up.
pub fn assigned_broker(command: &[u8]) -> Option<AssignedBroker> {
    let mut assigned = AssignedBroker::default();
    for number in [field::CLOSE_PRODUCER, field::CLOSE_CONSUMER] {
        each_submessage(command, number, |close| {
            let mut fields = Fields::new(close);
            while let Some((number, value)) = fields.next()? {
                assigned.merge(number, &value);
            }
            Ok(())
        })
        .ok()?;
    }
    (assigned != AssignedBroker::default()).then_some(assigned)
}

pub(super) fn topic_migrated(command: &[u8]) -> Result<TopicMigrated, DecodeError> {
    let mut migrated = TopicMigrated::default();
    let mut resource_id = None;
    each_submessage(command, TOPIC_MIGRATED as u64, |message| {
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match (number, &value) {
                (1, Value::Varint(id)) => resource_id = Some(*id),
                (2, Value::Varint(kind)) => migrated.is_producer = *kind == 0,
                _ => migrated.cluster.merge(number, &value),
            }
        }
        Ok(())
    })?;
    migrated.resource_id = resource_id.ok_or(DecodeError::Missing("resource_id"))?;
    Ok(migrated)
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::command::{Incoming, decode_command};
    use super::*;

    /// As Pulsar 4.0.8 encodes it: type 68, resource id 300, Consumer, one URL.
    #[test]
    fn a_migration_names_its_resource_and_where_it_goes() {
        let mut message = vec![0x08, 0xac, 0x02, 0x10, 0x01, 0x1a, 14];
        message.extend_from_slice(b"pulsar://b:665");
        let mut command = vec![0x08, 68, 0xa2, 0x04, message.len() as u8];
        command.extend_from_slice(&message);
        let expected = TopicMigrated {
            is_producer: false,
            resource_id: 300,
            cluster: AssignedBroker {
                service_url: Some("pulsar://b:665".to_owned()),
                service_url_tls: None,
            },
        };
        assert_eq!(
            decode_command(&command),
            Ok(Incoming::TopicMigrated(Box::new(expected)))
        );
        // Without a resource it is no migration.
        assert!(decode_command(&[0x08, 68]).is_err());
        assert!(decode_command(&[0x08, 68, 0xa2, 0x04, 9]).is_err());
    }
}
