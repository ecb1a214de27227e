//! Which command goes where, and the handshake.

use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::{
    CommandConnect, CommandConnected, CommandGetOrCreateSchema, CommandGetOrCreateSchemaResponse,
    CommandGetSchema, CommandGetSchemaResponse, CommandPong, CommandTcClientConnectRequest,
    CommandTcClientConnectResponse, ServerError,
};

use super::Broker;
use super::codec::{Command, Malformed};
use super::connection::{ConnectionId, Phase};
use crate::pulsar::wire::Frame;

/// `Commands.getCurrentProtocolVersion()` of Pulsar 4.0.
const PROTOCOL_VERSION: i32 = 21;

const SERVER_VERSION: &str = concat!("pws-fast-embedded-", env!("CARGO_PKG_VERSION"));

impl Broker {
    /// An error closes the connection.
    pub(super) fn handle(&mut self, id: ConnectionId, frame: &Frame) -> Result<(), Malformed> {
        let command = Command::split(&frame.command)?;
        let Ok(kind) = Type::try_from(command.kind) else {
            // Newer than the proto: ignored, as any peer does.
            return Ok(());
        };
        if self.connections.phase(id) == Some(Phase::Handshake) {
            return match kind {
                Type::Connect => self.connect(id, &command.decode()?),
                _ => Err(Malformed),
            };
        }
        match kind {
            Type::AuthResponse => self.auth_response(id, &command.decode()?),
            Type::Ping => self.answer(id, Type::Pong, &CommandPong {}),
            Type::Send => self.send(id, &command.decode()?, &frame.body)?,
            Type::Ack => self.ack(id, &command.decode()?),
            Type::Flow => self.flow(id, &command.decode()?),
            Type::PartitionedMetadata => self.partitioned_metadata(id, &command.decode()?),
            Type::Lookup => self.lookup(id, &command.decode()?),
            Type::GetTopicsOfNamespace => self.topics_of_namespace(id, &command.decode()?),
            Type::Producer => self.producer(id, &command.decode()?),
            Type::CloseProducer => self.close_producer(id, &command.decode()?),
            Type::Subscribe => self.subscribe(id, &command.decode()?),
            Type::CloseConsumer => self.close_consumer(id, &command.decode()?),
            Type::Unsubscribe => self.unsubscribe(id, &command.decode()?),
            Type::RedeliverUnacknowledgedMessages => self.redeliver(id, &command.decode()?),
            Type::Seek => self.seek(id, &command.decode()?),
            Type::GetLastMessageId => self.last_message_id(id, &command.decode()?),
            Type::GetSchema | Type::GetOrCreateSchema | Type::TcClientConnectRequest => {
                self.refuse_what_is_missing(id, kind, &command)?;
            }
            // A second handshake, or what only brokers send.
            Type::Connect | Type::Connected | Type::Message | Type::SendReceipt => {
                return Err(Malformed);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn answer(&mut self, id: ConnectionId, kind: Type, message: &impl ::prost::Message) {
        if let Some(connection) = self.connections.touch(id) {
            connection.send(kind, message);
        }
    }

    /// Any credentials are taken, but where a test asks for a token.
    fn connect(&mut self, id: ConnectionId, connect: &CommandConnect) -> Result<(), Malformed> {
        if !self.lets_in(id, connect) {
            return Ok(());
        }
        let theirs = connect.protocol_version.unwrap_or(0);
        if let Some(connection) = self.connections.touch(id) {
            connection.phase = Phase::Connected;
        }
        let connected = CommandConnected {
            server_version: SERVER_VERSION.into(),
            protocol_version: Some(theirs.min(PROTOCOL_VERSION)),
            max_message_size: Some(self.options.max_message_bytes as i32),
        };
        self.answer(id, Type::Connected, &connected);
        Ok(())
    }

    /// Schemas and transactions: clients that want them are told, and do not wait.
    fn refuse_what_is_missing(
        &mut self,
        id: ConnectionId,
        kind: Type,
        command: &Command,
    ) -> Result<(), Malformed> {
        let no_schemas = Some("The embedded broker has no schemas".to_owned());
        match kind {
            Type::GetSchema => {
                let request: CommandGetSchema = command.decode()?;
                let response = CommandGetSchemaResponse {
                    request_id: request.request_id,
                    error_code: Some(ServerError::TopicNotFound as i32),
                    error_message: no_schemas,
                    ..CommandGetSchemaResponse::default()
                };
                self.answer(id, Type::GetSchemaResponse, &response);
            }
            Type::GetOrCreateSchema => {
                let request: CommandGetOrCreateSchema = command.decode()?;
                let response = CommandGetOrCreateSchemaResponse {
                    request_id: request.request_id,
                    error_code: Some(ServerError::NotAllowedError as i32),
                    error_message: no_schemas,
                    ..CommandGetOrCreateSchemaResponse::default()
                };
                self.answer(id, Type::GetOrCreateSchemaResponse, &response);
            }
            _ => {
                let request: CommandTcClientConnectRequest = command.decode()?;
                let response = CommandTcClientConnectResponse {
                    request_id: request.request_id,
                    error: Some(ServerError::NotAllowedError as i32),
                    message: Some("The embedded broker has no transactions".into()),
                };
                self.answer(id, Type::TcClientConnectResponse, &response);
            }
        }
        Ok(())
    }
}
