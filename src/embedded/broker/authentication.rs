//! Who may connect, where a test asks for that: whoever shows the token, and shows it again when it is asked.

use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::{
    AuthData, CommandAuthChallenge, CommandAuthResponse, CommandConnect, ServerError,
};

use super::Broker;
use super::connection::{ConnectionId, NO_REQUEST, Phase};

/// Java's `AuthData.REFRESH_AUTH_DATA`: what a broker sends that wants to see renewed credentials.
const REFRESH: &[u8] = b"PulsarAuthRefresh";

/// The token that counts, and who has shown it again.
#[derive(Debug, Default)]
pub(super) struct Authentication {
    /// None: anything goes.
    token: Option<String>,
    renewed: usize,
}

impl Authentication {
    fn takes(&self, method: Option<&str>, data: Option<&[u8]>) -> bool {
        match &self.token {
            None => true,
            Some(token) => method == Some("token") && data == Some(token.as_bytes()),
        }
    }
}

impl Broker {
    /// From now on; who is connected stays.
    pub fn require_token(&mut self, token: Option<String>) {
        self.authentication.token = token;
    }

    /// Answers to [`Broker::challenge`] that were right.
    pub fn renewed(&self) -> usize {
        self.authentication.renewed
    }

    /// Everybody is asked to show the token again.
    pub fn challenge(&mut self, now_ms: u64) {
        self.begin(now_ms);
        let challenge = CommandAuthChallenge {
            challenge: Some(AuthData {
                auth_method_name: Some("token".to_owned()),
                auth_data: Some(REFRESH.to_vec()),
            }),
            ..CommandAuthChallenge::default()
        };
        for id in self.connections.ids() {
            if self.connections.phase(id) != Some(Phase::Connected) {
                continue;
            }
            self.answer(id, Type::AuthChallenge, &challenge);
        }
        self.end();
    }

    /// Whether CONNECT may go on; else the connection ends as Pulsar ends it.
    pub(super) fn lets_in(&mut self, id: ConnectionId, connect: &CommandConnect) -> bool {
        let method = connect.auth_method_name.as_deref();
        let taken = self
            .authentication
            .takes(method, connect.auth_data.as_deref());
        if !taken {
            self.not_authenticated(id);
        }
        taken
    }

    pub(super) fn auth_response(&mut self, id: ConnectionId, response: &CommandAuthResponse) {
        let shown = response.response.as_ref();
        let method = shown.and_then(|shown| shown.auth_method_name.as_deref());
        let data = shown.and_then(|shown| shown.auth_data.as_deref());
        match self.authentication.takes(method, data) {
            true => self.authentication.renewed += 1,
            false => self.not_authenticated(id),
        }
    }

    fn not_authenticated(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.touch(id) {
            let error = ServerError::AuthenticationError;
            connection.error(NO_REQUEST, error, "Failed to authenticate");
        }
        self.close(id);
    }
}
