//! What a broker says, sent to whom it concerns. An `Err` is a violation of the protocol: the connection is closed
//! with that text, and everything on it starts anew.

use ::pulsar::proto::BaseCommand;
use ::pulsar::proto::base_command::Type;

use super::Client;
use super::commands;
use super::connection::ConnectionState;
use super::deadlines::User;
use super::events::Event;
use super::spec::{ConnectionId, ConsumerId, ProducerId};
use crate::pulsar::types::BrokerError;
use crate::pulsar::wire::{Frame, Incoming, decode_command, error_kind};

pub(super) type Handled = Result<(), String>;

impl Client {
    pub(super) fn frame(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        frame: &Frame,
    ) -> Handled {
        let incoming = decode_command(&frame.command).map_err(|error| error.to_string())?;
        let ready = self
            .pool
            .get(connection)
            .is_some_and(|connection| connection.is_ready());
        match incoming {
            Incoming::Message(message) if ready => {
                self.message(connection, message, frame);
                Ok(())
            }
            Incoming::SendReceipt(receipt) if ready => self.receipt(connection, &receipt),
            Incoming::Topics(listed) if ready => self.topics_answered(now_ms, connection, listed),
            Incoming::Message(_) | Incoming::SendReceipt(_) | Incoming::Topics(_) => {
                Err(before_connected())
            }
            Incoming::Ping => {
                if let Some(connection) = self.pool.writing(connection) {
                    connection.write(&commands::pong());
                }
                Ok(())
            }
            Incoming::TopicMigrated(migrated) if ready => {
                self.topic_migrated(connection, &migrated);
                Ok(())
            }
            Incoming::TopicMigrated(_) => Err(before_connected()),
            Incoming::Pong | Incoming::Unknown(_) => Ok(()),
            Incoming::Other(command) if ready => {
                self.command(now_ms, connection, *command, &frame.command)
            }
            Incoming::Other(command) => self.handshake_command(now_ms, connection, *command),
        }
    }

    /// Before CONNECTED.
    fn handshake_command(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        command: BaseCommand,
    ) -> Handled {
        let asked = self
            .pool
            .get(connection)
            .is_some_and(|connection| connection.state == ConnectionState::Handshaking);
        if !asked {
            return Err(before_connected());
        }
        if let Some(connected) = command.connected {
            return self.connection_ready(now_ms, connection, connected.max_message_size);
        }
        if let Some(error) = command.error {
            let error = BrokerError {
                kind: error_kind(error.error, &error.message),
                message: error.message,
            };
            self.connect_refused(now_ms, connection, error);
            return Ok(());
        }
        if command.auth_challenge.is_some() {
            self.challenged(connection);
            return Ok(());
        }
        Err(before_connected())
    }

    fn command(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        command: BaseCommand,
        bytes: &[u8],
    ) -> Handled {
        match Type::try_from(command.r#type) {
            Ok(Type::CloseProducer) => {
                if let Some(close) = command.close_producer {
                    let user = User::Producer(ProducerId(close.producer_id));
                    self.closed_by_broker(now_ms, user, connection, bytes);
                }
                Ok(())
            }
            Ok(Type::CloseConsumer) => {
                if let Some(close) = command.close_consumer {
                    let user = User::Consumer(ConsumerId(close.consumer_id));
                    self.closed_by_broker(now_ms, user, connection, bytes);
                }
                Ok(())
            }
            Ok(Type::SendError) => {
                if let Some(error) = command.send_error {
                    self.send_error(now_ms, connection, error);
                }
                Ok(())
            }
            Ok(Type::ReachedEndOfTopic) => {
                if let Some(reached) = command.reached_end_of_topic {
                    self.end_of_topic(connection, ConsumerId(reached.consumer_id));
                }
                Ok(())
            }
            Ok(Type::ActiveConsumerChange) => {
                if let Some(change) = command.active_consumer_change {
                    let active = change.is_active.unwrap_or(false);
                    self.consumer_event(connection, change.consumer_id, |consumer| {
                        Event::ActiveChanged { consumer, active }
                    });
                }
                Ok(())
            }
            Ok(Type::AuthChallenge) => {
                self.challenged(connection);
                Ok(())
            }
            Ok(Type::Connected) => Err("CONNECTED twice".to_owned()),
            _ => self.answer(now_ms, connection, command),
        }
    }
}

fn before_connected() -> String {
    "a command before CONNECTED".to_owned()
}
