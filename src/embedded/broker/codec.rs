//! Commands out of and into frames, one prost message at a time.
//!
//! `BaseCommand` itself is never built: it is a struct of 4.4 KB that says one number and holds one message. In
//! PulsarApi.proto the number of a command's type is also the number of its field.

use ::prost::Message;
use ::prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint,
    encoded_len_varint, key_len, skip_field,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The bytes are no command. The connection is closed, as the broker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl From<::prost::DecodeError> for Malformed {
    fn from(_: ::prost::DecodeError) -> Malformed {
        Malformed
    }
}

/// A command's type, and the message in it.
pub(super) struct Command {
    /// `BaseCommand.Type`; may be one that the proto does not know.
    pub kind: i32,
    message: Bytes,
}

impl Command {
    pub fn split(command: &Bytes) -> Result<Command, Malformed> {
        let mut kind = None;
        walk(command, |field, value| {
            if let (1, Value::Varint(number)) = (field, value) {
                kind = Some(number as i32);
            }
        })?;
        let kind = kind.ok_or(Malformed)?;
        let mut message = Bytes::new();
        walk(command, |field, value| {
            if let Value::Bytes(bytes) = value
                && i64::from(field) == i64::from(kind)
            {
                message = bytes;
            }
        })?;
        Ok(Command { kind, message })
    }

    pub fn decode<M: Message + Default>(&self) -> Result<M, Malformed> {
        Ok(M::decode(self.message.clone())?)
    }
}

enum Value {
    Varint(u64),
    Bytes(Bytes),
}

fn walk(bytes: &Bytes, mut visit: impl FnMut(u32, Value)) -> Result<(), Malformed> {
    let mut rest = bytes.clone();
    while rest.has_remaining() {
        let (field, wire_type) = decode_key(&mut rest)?;
        match wire_type {
            WireType::Varint => visit(field, Value::Varint(decode_varint(&mut rest)?)),
            WireType::LengthDelimited => {
                let len = decode_varint(&mut rest)?;
                if len > rest.len() as u64 {
                    return Err(Malformed);
                }
                visit(field, Value::Bytes(rest.split_to(len as usize)));
            }
            other => skip_field(other, field, &mut rest, DecodeContext::default())?,
        }
    }
    Ok(())
}

/// A whole frame's head: everything but the `body_bytes` that follow. `kind`: a `BaseCommand.Type`.
pub(super) fn append_head(
    out: &mut BytesMut,
    kind: i32,
    message: &impl Message,
    body_bytes: usize,
) {
    let number = kind as u32;
    let message_bytes = message.encoded_len();
    let command_bytes = key_len(1)
        + encoded_len_varint(u64::from(number))
        + key_len(number)
        + encoded_len_varint(message_bytes as u64)
        + message_bytes;
    out.reserve(8 + command_bytes);
    out.put_u32((4 + command_bytes + body_bytes) as u32);
    out.put_u32(command_bytes as u32);
    encode_key(1, WireType::Varint, out);
    encode_varint(u64::from(number), out);
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(message_bytes as u64, out);
    message.encode_raw(out);
}

#[cfg(test)]
mod tests {
    use ::pulsar::proto::base_command::Type;
    use ::pulsar::proto::{BaseCommand, CommandFlow, CommandPing};

    use super::*;

    #[test]
    fn heads_are_what_prost_would_write() {
        let flow = CommandFlow {
            consumer_id: 300,
            message_permits: 7,
        };
        let mut out = BytesMut::new();
        append_head(&mut out, Type::Flow as i32, &flow, 9);
        let whole = BaseCommand {
            r#type: Type::Flow as i32,
            flow: Some(flow),
            ..BaseCommand::default()
        };
        assert_eq!(&out[8..], whole.encode_to_vec());
        assert_eq!(out[..4], (out.len() as u32 - 4 + 9).to_be_bytes());
        let command = Command::split(&out.freeze().slice(8..)).unwrap();
        assert_eq!(command.kind, Type::Flow as i32);
        assert_eq!(command.decode::<CommandFlow>().unwrap(), flow);
    }

    #[test]
    fn the_type_may_come_last() {
        let mut bytes = vec![18 << 3 & 0x7f | 2, 1, 0];
        bytes.extend([0x08, 18]);
        let command = Command::split(&bytes.into()).unwrap();
        assert_eq!(command.kind, Type::Ping as i32);
        command.decode::<CommandPing>().unwrap();
    }

    #[test]
    fn lengths_that_lie_are_malformed() {
        assert!(Command::split(&Bytes::from_static(&[0x12, 0xff, 0x01, 0])).is_err());
        assert!(Command::split(&Bytes::from_static(&[0x12, 0])).is_err());
        assert!(Command::split(&Bytes::new()).is_err());
    }
}
