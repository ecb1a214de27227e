//! Who the clients of this shard's sockets are: found out in the handshake, and again before a token runs out. Who is there
//! by a certificate goes with it.

use std::mem;
use std::sync::Arc;

use super::begin::Understood;
use super::desk::Questions;
use super::post::SocketId;
use super::shard::{Shard, Timer};
use crate::api::{Refusal, WebSocketError, append_auth_challenge, parse_auth_response};
use crate::auth::{self, Identity, Lane, Method, Offered, Question, Step, Unidentified, Why};
use crate::config::Authorization;
use crate::http::Request;
use crate::runtime::{self, OneShot, OneShotReceiver, TimerKey, oneshot};
use crate::session::{CloseWith, append_frame};
use rustc_hash::FxHashMap;
use zeroize::Zeroize;

/// An identity's end is looked at anew after this time at the latest: the wall clock that it is told by may be set.
const LOOK_AGAIN_MS: u64 = 60 * 60 * 1000;

/// A client with a token that is about to end is not asked more often than this, and what it sends without being asked is
/// not looked at more often.
const CHALLENGE_PAUSE_MS: u64 = 1_000;

/// When a new token could not be checked because its issuer does not answer, the client is asked again after half of the
/// time that is left, or after this, whichever is sooner: an issuer that did not answer is left alone for so long.
const CHALLENGE_AGAIN_MS: u64 = 5_000;

const EXPIRED: Why = "the token has expired";

/// What this shard has asked the desk, and the tokens that run out.
#[derive(Default)]
pub struct Identities {
    /// None: nothing here is slow.
    pub desk: Option<Questions>,
    /// Handshakes that wait for the desk.
    waiting: FxHashMap<SocketId, Waiting>,
    /// Sockets whose identity ends.
    ending: FxHashMap<SocketId, Ending>,
}

struct Waiting {
    answer: OneShot<Result<(), Refusal>>,
    /// It is there for as long as this is, to the desk.
    _asker: Arc<()>,
}

struct Ending {
    timer: TimerKey,
    /// The client can show a new one in band; a certificate is shown to TLS alone, in the next handshake.
    renewable: bool,
    /// The client has been asked for a new token.
    challenged: bool,
    /// One that it has sent is being looked at, for as long as this is there; further ones are not.
    at_desk: Option<Arc<()>>,
    /// When the last one was looked at.
    looked_ms: Option<u64>,
}

impl Ending {
    /// Whether a token that the client sends now is looked at. One that it has not been asked for is, but not many: a
    /// signature costs more than its frame, and those of all sockets are looked at before any stranger's.
    fn looks_at_tokens(&self, now_ms: u64) -> bool {
        let paused_until_ms = self.looked_ms.map_or(0, |it| it + CHALLENGE_PAUSE_MS);
        self.at_desk.is_none() && (self.challenged || now_ms >= paused_until_ms)
    }
}

impl Identities {
    /// Ends a handshake that waits for the desk. False: it does not.
    pub fn refuse(&mut self, id: SocketId, refusal: Refusal) -> bool {
        match self.waiting.remove(&id) {
            Some(waiting) => {
                waiting.answer.send(Err(refusal));
                true
            }
            None => false,
        }
    }
}

/// How a handshake goes on.
pub enum Known {
    Now(Result<(), Refusal>),
    Later(OneShotReceiver<Result<(), Refusal>>),
}

fn refused(why: Why) -> Refusal {
    tracing::debug!(why, "a client is not let in");
    Refusal::new(401, auth::REFUSAL)
}

impl Shard {
    /// Finds out who the client is, where that is asked; the socket keeps it. `certificate`: the first of those that
    /// TLS has verified, as DER. Whatever is wrong is a 401, as in Java: the reason is in the log only.
    pub fn authenticate(
        &mut self,
        id: SocketId,
        request: &Request,
        understood: &Understood,
        certificate: Option<&[u8]>,
    ) -> Known {
        let Some(authentication) = &self.config.authentication else {
            return Known::Now(Ok(()));
        };
        let token = understood.token.as_ref().map(|token| token.as_str());
        let offered = Offered::of(request, token, certificate);
        match authentication.check(&offered, runtime::wall_ms()) {
            Step::Done(Ok(identity)) => {
                self.identify(id, identity);
                Known::Now(Ok(()))
            }
            Step::Done(Err(why)) => Known::Now(Err(refused(why))),
            Step::Slow => match self.ask_desk(id, offered, Lane::Handshake) {
                Some(_asker) => {
                    let (answer, receiver) = oneshot();
                    let waiting = Waiting { answer, _asker };
                    self.identities.waiting.insert(id, waiting);
                    Known::Later(receiver)
                }
                None => {
                    let why = "Too many clients are being authenticated, try again later";
                    Known::Now(Err(Refusal::new(503, why)))
                }
            },
        }
    }

    /// To be kept for as long as the answer is wanted. None: the desk has enough to do.
    fn ask_desk(&self, who: SocketId, offered: Offered, lane: Lane) -> Option<Arc<()>> {
        let question = Question { who, offered, lane };
        let asker = Arc::new(());
        let desk = self.identities.desk.as_ref()?;
        desk.ask(question, &asker).then_some(asker)
    }

    /// What the desk says of a handshake's credentials, or of a new token.
    pub fn identified(
        &mut self,
        now_ms: u64,
        id: SocketId,
        result: Result<Identity, Unidentified>,
    ) {
        let Some(waiting) = self.identities.waiting.remove(&id) else {
            return self.renew(now_ms, id, result);
        };
        waiting.answer.send(match result {
            Ok(identity) => {
                self.identify(id, identity);
                Ok(())
            }
            Err(Unidentified::Refused(why) | Unidentified::Unknown(why)) => Err(refused(why)),
        });
    }

    fn identify(&mut self, id: SocketId, identity: Identity) {
        if let Some(entry) = self.sockets.get(id) {
            entry.identity = Some(Box::new(identity));
        }
    }

    /// Sets the time to ask for a new token; the socket is open now, or has just got one.
    pub fn watch_identity(&mut self, now_ms: u64, id: SocketId) {
        let before = self.identities.ending.get(&id);
        let looked_ms = before.and_then(|ending| ending.looked_ms);
        self.forget_identity(id);
        let refresh_ms = self.config.authentication_refresh_ms;
        let renewable = self.method(id) != Method::Tls;
        // Where a token is what brokers see, they look at its end whether or not this gateway does.
        let brokers_look = matches!(
            self.config.authorization,
            Some(Authorization::Broker { .. })
        );
        let is_watched = refresh_ms > 0 || brokers_look && renewable;
        let Some(left_ms) = self.identity_left_ms(id).filter(|_| is_watched) else {
            return;
        };
        // Of a token that lives no longer than that, after half of its time.
        let early_ms = match renewable {
            true => refresh_ms.min(left_ms / 2),
            false => 0,
        };
        let wait_ms = (left_ms - early_ms).clamp(CHALLENGE_PAUSE_MS.min(left_ms), LOOK_AGAIN_MS);
        let ending = Ending {
            timer: self.wheel.insert(now_ms + wait_ms, Timer::Identity(id)),
            renewable,
            challenged: false,
            at_desk: None,
            looked_ms,
        };
        self.identities.ending.insert(id, ending);
    }

    fn method(&mut self, id: SocketId) -> Method {
        let entry = self.sockets.get(id);
        let identity = entry.and_then(|entry| entry.identity.as_ref());
        identity.map_or(Method::None, |identity| identity.method)
    }

    /// None: it does not end.
    fn identity_left_ms(&mut self, id: SocketId) -> Option<u64> {
        let identity = self.sockets.get(id)?.identity.as_ref()?;
        Some(identity.expires_ms?.saturating_sub(runtime::wall_ms()))
    }

    pub fn forget_identity(&mut self, id: SocketId) {
        self.identities.waiting.remove(&id);
        if let Some(ending) = self.identities.ending.remove(&id) {
            self.wheel.cancel(ending.timer);
        }
    }

    /// The time has come to ask for a new token, or the old one has run out.
    pub fn identity_timer(&mut self, now_ms: u64, id: SocketId) {
        let refresh_ms = self.config.authentication_refresh_ms;
        let left_ms = self.identity_left_ms(id).unwrap_or_default();
        let Some(ending) = self.identities.ending.get_mut(&id) else {
            return;
        };
        if left_ms == 0 {
            let why = match ending.renewable {
                true => EXPIRED,
                false => "the certificate has expired",
            };
            return self.not_who_it_was(now_ms, id, why);
        }
        let is_time = ending.renewable && left_ms <= refresh_ms;
        let is_first = is_time && !mem::replace(&mut ending.challenged, true);
        let wait_ms = match ending.renewable && !ending.challenged {
            true => left_ms - refresh_ms,
            false => left_ms,
        };
        let due_ms = now_ms + wait_ms.clamp(1, LOOK_AGAIN_MS);
        ending.timer = self.wheel.insert(due_ms, Timer::Identity(id));
        if is_first {
            self.challenge(id);
        }
    }

    fn challenge(&mut self, id: SocketId) {
        let method = self.method(id);
        let mut frame = Vec::new();
        append_frame(&mut frame, |out| append_auth_challenge(out, method.name()));
        self.reply(id, &frame);
    }

    /// Takes a frame with a new token, and wipes it: it is in a buffer of others. False: it is another frame, or the socket is not there by one that ends.
    pub fn takes_new_token(&mut self, now_ms: u64, id: SocketId, frame: &mut [u8]) -> bool {
        let ending = self.identities.ending.get_mut(&id);
        let Some(ending) = ending.filter(|ending| ending.renewable) else {
            return false;
        };
        let Some(response) = parse_auth_response(frame) else {
            return false;
        };
        frame.zeroize();
        if !ending.looks_at_tokens(now_ms) {
            return true;
        }
        ending.looked_ms = Some(now_ms);
        let authentication = self.config.authentication.clone();
        let (Some(response), Some(authentication)) = (response, authentication) else {
            self.not_who_it_was(now_ms, id, "there is no token in the answer");
            return true;
        };
        let offered = Offered::new_token(response.method, &response.data);
        match authentication.check(&offered, runtime::wall_ms()) {
            Step::Done(result) => {
                self.renew(now_ms, id, result.map_err(Unidentified::Refused));
            }
            Step::Slow => match self.ask_desk(id, offered, Lane::Renewal) {
                Some(asker) => {
                    if let Some(ending) = self.identities.ending.get_mut(&id) {
                        ending.at_desk = Some(asker);
                    }
                }
                None => self.ask_again(now_ms, id),
            },
        }
        true
    }

    /// The new token must say the same of the client as the old one.
    fn renew(&mut self, now_ms: u64, id: SocketId, result: Result<Identity, Unidentified>) {
        let entry = self.sockets.get(id);
        let Some(entry) = entry.filter(|entry| entry.upgraded && entry.closing.is_open()) else {
            return;
        };
        let same = |new: &Identity| {
            let old = entry.identity.as_ref();
            old.is_some_and(|old| {
                (old.method, &old.role, &old.further_roles)
                    == (new.method, &new.role, &new.further_roles)
            })
        };
        match result {
            Ok(identity) if same(&identity) => {
                self.identify(id, identity);
                self.renew_principal(id);
                self.watch_identity(now_ms, id);
            }
            Ok(_) => self.not_who_it_was(now_ms, id, "the token is of another role"),
            Err(Unidentified::Refused(why)) => self.not_who_it_was(now_ms, id, why),
            Err(Unidentified::Unknown(why)) => {
                tracing::debug!(why, "a client's new token cannot be looked at");
                self.ask_again(now_ms, id);
            }
        }
    }

    /// Nobody can say now whether a new token is good: the old one counts until its end.
    fn ask_again(&mut self, now_ms: u64, id: SocketId) {
        let left_ms = self.identity_left_ms(id).unwrap_or_default();
        if left_ms == 0 {
            return self.not_who_it_was(now_ms, id, EXPIRED);
        }
        let Some(ending) = self.identities.ending.get_mut(&id) else {
            return;
        };
        self.wheel.cancel(ending.timer);
        let wait_ms = (left_ms / 2).clamp(CHALLENGE_PAUSE_MS, CHALLENGE_AGAIN_MS);
        let due_ms = now_ms + wait_ms.min(left_ms);
        ending.timer = self.wheel.insert(due_ms, Timer::Identity(id));
        ending.challenged = false;
        ending.at_desk = None;
    }

    fn not_who_it_was(&mut self, now_ms: u64, id: SocketId, why: Why) {
        self.forget_identity(id);
        let error = WebSocketError::AuthenticationError;
        let with = CloseWith {
            code: error.close_code(),
            reason: error.reason(why),
        };
        self.close(now_ms, id, with);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Wheel;

    #[test]
    fn tokens_that_nobody_has_asked_for_are_looked_at_one_in_a_while() {
        let mut ending = Ending {
            timer: Wheel::new(0).insert(1, ()),
            renewable: true,
            challenged: false,
            at_desk: None,
            looked_ms: None,
        };
        assert!(ending.looks_at_tokens(5));
        ending.looked_ms = Some(5);
        assert!(!ending.looks_at_tokens(5));
        assert!(!ending.looks_at_tokens(4 + CHALLENGE_PAUSE_MS));
        assert!(ending.looks_at_tokens(5 + CHALLENGE_PAUSE_MS));
        ending.challenged = true;
        assert!(ending.looks_at_tokens(6));
        ending.at_desk = Some(Arc::default());
        assert!(!ending.looks_at_tokens(6));
    }
}
