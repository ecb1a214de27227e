//! Questions about topics that are larger or younger than what prost is used for here: the list of a namespace's topics,
//! and a partition count that must not create its topic.

use bytes::{BufMut, BytesMut};

use ::pulsar::proto::base_command::Type;

use super::varint::{
    DecodeError, Fields, Value, bytes_field_len, put_bytes_field, put_bytes_key, put_varint_field,
    varint_field_len,
};

/// Names in one answer, ten times what one broker is meant to hold. A broker that sends very short ones must not make us
/// build millions of strings.
pub const MAX_NAMES: usize = 200_000;

/// `CommandGetTopicsOfNamespaceResponse`. Hashes are not used: what is unchanged is told again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicsListed {
    pub request_id: u64,
    /// Full names; of a partitioned topic, its partitions.
    pub names: Vec<String>,
    /// There are more than [`MAX_NAMES`].
    pub is_cut: bool,
}

impl TopicsListed {
    pub(super) fn merge(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Varint(value)) => self.request_id = value,
                (2, Value::Bytes(_)) if self.names.len() == MAX_NAMES => {
                    self.is_cut = true;
                }
                (2, Value::Bytes(name)) => {
                    // What is no UTF-8 could not be named by anybody.
                    if let Ok(name) = std::str::from_utf8(name) {
                        self.names.push(name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Appends a whole PARTITIONED_METADATA frame with `metadata_auto_creation_enabled` = false (field 6, PIP-344): the
/// topic is not created by the question. A broker that is too old for the field may create it.
pub fn encode_partitions_if_exists(topic: &str, request_id: u64, out: &mut BytesMut) {
    const METADATA: u64 = 21;
    let metadata_len =
        bytes_field_len(1, topic.len()) + varint_field_len(2, request_id) + varint_field_len(6, 0);
    let kind = Type::PartitionedMetadata as u64;
    let command_len = varint_field_len(1, kind) + bytes_field_len(METADATA, metadata_len);
    out.reserve(8 + command_len);
    out.put_u32(command_len as u32 + 4);
    out.put_u32(command_len as u32);
    put_varint_field(out, 1, kind);
    put_bytes_key(out, METADATA, metadata_len);
    put_bytes_field(out, 1, topic.as_bytes());
    put_varint_field(out, 2, request_id);
    put_varint_field(out, 6, 0);
}

#[cfg(test)]
mod tests {
    use ::prost::Message as _;
    use ::pulsar::proto::BaseCommand;

    use super::*;

    #[test]
    fn a_count_that_creates_nothing_is_the_usual_one_with_a_field_more() {
        let mut out = BytesMut::new();
        encode_partitions_if_exists("persistent://p/d/t", 300, &mut out);
        assert_eq!(
            out.len() as u32,
            u32::from_be_bytes(out[..4].try_into().unwrap()) + 4
        );
        let command = BaseCommand::decode(&out[8..]).expect("a command");
        let asked = command.partition_metadata.expect("the question");
        assert_eq!(
            (asked.topic.as_str(), asked.request_id),
            ("persistent://p/d/t", 300)
        );
        assert_eq!(out[out.len() - 2..], [6 << 3, 0]);
    }
}
