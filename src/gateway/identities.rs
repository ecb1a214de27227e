//! Who the clients of this shard's sockets are.

use super::begin::Understood;
use super::post::SocketId;
use super::shard::Shard;
use crate::api::Refusal;
use crate::auth::{self, Identity, Offered};
use crate::http::Request;
use crate::runtime;

impl Shard {
    /// Finds out who the client is, where that is asked; the socket keeps it. `certificate`: the first of those that
    /// TLS has verified, as DER.
    ///
    /// # Errors
    /// 401 as in Java, whatever is wrong: the reason is in the log only.
    pub fn authenticate(
        &mut self,
        id: SocketId,
        request: &Request,
        understood: &Understood,
        certificate: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        let Some(authentication) = &self.config.authentication else {
            return Ok(());
        };
        let token = understood.token.as_ref().map(|token| token.as_str());
        let offered = Offered::of(request, token, certificate);
        match authentication.check(&offered, runtime::wall_ms()) {
            Ok(identity) => {
                self.identify(id, identity);
                Ok(())
            }
            Err(why) => {
                tracing::debug!(why, "a client is not let in");
                Err(Refusal::new(401, auth::REFUSAL))
            }
        }
    }

    fn identify(&mut self, id: SocketId, identity: Identity) {
        if let Some(entry) = self.sockets.get(id) {
            entry.identity = Some(Box::new(identity));
        }
    }
}
