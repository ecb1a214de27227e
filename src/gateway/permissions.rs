//! What the clients of this shard's sockets may do: checked at the handshake, also where a socket only joins what others
//! have opened, and again for as long as it lives.
//!
//! Nothing is asked of a topic, and nothing is made, before the client is known to have the right to it.

use rustc_hash::FxHashMap;

use super::begin::Understood;
use super::post::{Post, SocketId};
use super::shard::{Shard, Timer};
use crate::api::{Refusal, WebSocketError};
use crate::auth::access::{Access, Resource};
use crate::auth::grants::{Effect, Grants, Holder, Verdict};
use crate::auth::records::Record;
use crate::cluster::records::RecordReader;
use crate::config;
use crate::hub::MemberId;
use crate::observe::seldom::Seldom;
use crate::pulsar::client::{Event, Tag};
use crate::pulsar::rest;
use crate::pulsar::{BrokerError, ErrorKind};
use crate::runtime::{self, OneShot, OneShotReceiver, TimerKey, oneshot};
use crate::session::CloseWith;

/// The role that Java gives to everybody where authentication is off.
const NOBODY: &str = "<none>";

/// Sockets that are closed at a time because their right was taken back, so that everything else has its turn.
const CLOSED_PER_TURN: usize = 64;

const BUSY: &str = "Too many permissions of this role are being read, try again later";

/// Whether a client may go on.
pub type Allowed = Result<(), Refusal>;

/// The metadata store, and where its answers go.
pub struct Store {
    pub reader: RecordReader,
    pub mailbox: runtime::Post<Post>,
}

pub struct Permissions {
    grants: Grants,
    /// None: the admin API is asked.
    store: Option<Store>,
    next_tag: Tag,
    reading: FxHashMap<Tag, Resource>,
    /// Handshakes that wait.
    waiting: FxHashMap<Holder, OneShot<Allowed>>,
    /// The wheel's entry, and when it is due.
    timer: Option<(TimerKey, u64)>,
    unread: Seldom,
    effects: Vec<Effect>,
}

impl Store {
    /// The answer comes by [`Post::PermissionRead`]. Err: too many wait.
    fn read(&self, resource: Resource) -> Result<(), Resource> {
        let mailbox = self.mailbox.clone();
        self.reader.read(resource, move |resource, found| {
            let mut batch = vec![Post::PermissionRead(Box::new((resource, found)))];
            while let Err(unread) = mailbox.try_post(batch) {
                if mailbox.is_closed() {
                    return;
                }
                batch = unread;
                std::thread::yield_now();
            }
        })
    }
}

impl Permissions {
    pub fn new(config: &config::Permissions, store: Option<Store>) -> Permissions {
        Permissions {
            grants: Grants::new(config.rules.clone(), config.cache_ms),
            store,
            next_tag: 0,
            reading: FxHashMap::default(),
            waiting: FxHashMap::default(),
            timer: None,
            unread: Seldom::default(),
            effects: Vec::new(),
        }
    }
}

impl Shard {
    /// Whether the socket may have what it asks for; known at once, or when what an administrator has granted was read.
    /// None: the gateway does not decide.
    pub fn authorize(
        &mut self,
        now_ms: u64,
        id: SocketId,
        request: &Understood,
    ) -> Option<OneShotReceiver<Allowed>> {
        self.permissions.as_ref()?;
        let entry = self.sockets.get(id)?;
        let identity = entry.identity.as_ref();
        let access = Access {
            role: identity.map_or_else(|| NOBODY.into(), |identity| identity.role.clone()),
            rights: request.rights(),
        };
        let (answer, allowed) = oneshot();
        let holder = holder(id);
        let permissions = self.permissions.as_mut()?;
        permissions.waiting.insert(holder, answer);
        permissions
            .grants
            .check(now_ms, holder, access, &mut permissions.effects);
        self.run_permissions(now_ms);
        Some(allowed)
    }

    /// Its handshake waits for a record to be read, which has a time limit of its own.
    pub fn awaits_permission(&self, id: SocketId) -> bool {
        let permissions = self.permissions.as_ref();
        permissions.is_some_and(|it| it.waiting.contains_key(&holder(id)))
    }

    /// The socket has gone.
    pub fn forget_permissions(&mut self, id: SocketId) {
        if let Some(permissions) = &mut self.permissions {
            permissions.waiting.remove(&holder(id));
            permissions.grants.gone(holder(id));
        }
    }

    /// What the admin API has.
    pub fn on_administration_event(&mut self, now_ms: u64, event: Event) {
        // Nothing else is asked on this lane.
        let Event::Resource { tag, result } = event else {
            return;
        };
        let permissions = self.permissions.as_mut();
        if let Some(resource) = permissions.and_then(|it| it.reading.remove(&tag)) {
            let result = result.as_ref().map(Option::as_deref);
            self.permission_read(now_ms, &resource, result.map_err(why_unread));
        }
    }

    /// What became of a read, wherever it went.
    pub fn permission_read(
        &mut self,
        now_ms: u64,
        resource: &Resource,
        result: Result<Option<&[u8]>, String>,
    ) {
        self.take_record(now_ms, resource, result);
        self.run_permissions(now_ms);
    }

    fn take_record(
        &mut self,
        now_ms: u64,
        resource: &Resource,
        result: Result<Option<&[u8]>, String>,
    ) {
        let Some(permissions) = &mut self.permissions else {
            return;
        };
        let parse = |json| Record::parse(resource, json).map_err(str::to_owned);
        let record = result.and_then(|found| found.map(parse).transpose());
        if let Err(why) = &record
            && let Some(unsaid) = permissions.unread.due(now_ms, why)
        {
            tracing::warn!(
                why,
                unsaid,
                "permissions cannot be read: no client is let in that needs them"
            );
        }
        permissions.grants.answered(
            now_ms,
            resource,
            record.map_err(drop),
            &mut permissions.effects,
        );
    }

    /// Records are read again, and who has lost its right is closed.
    pub fn permissions_due(&mut self, now_ms: u64) {
        let Some(permissions) = &mut self.permissions else {
            return;
        };
        permissions.timer = None;
        permissions.grants.tick(now_ms, &mut permissions.effects);
        let revoked = permissions.grants.take_revoked(CLOSED_PER_TURN);
        for holder in revoked {
            self.take_right(now_ms, SocketId::of(MemberId(holder.0)));
        }
        self.run_permissions(now_ms);
    }

    /// A read that fails at once makes way for the next: round after round, until what is being read is.
    fn run_permissions(&mut self, now_ms: u64) {
        while let Some(permissions) = &mut self.permissions
            && !permissions.effects.is_empty()
        {
            for effect in std::mem::take(&mut permissions.effects) {
                match effect {
                    Effect::Read(resource) => self.read_permission(now_ms, resource),
                    Effect::Decided(holder, verdict) => self.decided(holder, verdict),
                }
            }
        }
        self.arm_permissions(now_ms);
    }

    fn read_permission(&mut self, now_ms: u64, resource: Resource) {
        let Some(permissions) = &mut self.permissions else {
            return;
        };
        if has_dots(&resource) {
            return self.take_record(now_ms, &resource, Ok(None));
        }
        if let Some(store) = &permissions.store {
            if let Err(resource) = store.read(resource) {
                let why = "too many reads of the metadata store wait".to_owned();
                self.take_record(now_ms, &resource, Err(why));
            }
            return;
        }
        let target = match &resource {
            Resource::Tenant(tenant) => rest::tenant_path(tenant),
            Resource::Policies(namespace) => rest::policies_path(namespace),
            Resource::Clusters => rest::CLUSTERS_PATH.to_owned(),
        };
        permissions.next_tag += 1;
        let tag = permissions.next_tag;
        permissions.reading.insert(tag, resource);
        self.administration
            .client
            .read_resource(now_ms, target, tag);
    }

    fn decided(&mut self, holder: Holder, verdict: Verdict) {
        let waiting = self
            .permissions
            .as_mut()
            .and_then(|it| it.waiting.remove(&holder));
        if let Some(waiting) = waiting {
            waiting.send(match verdict {
                Verdict::Granted => Ok(()),
                Verdict::Refused => Err(not_authorized()),
                Verdict::Unknown => Err(Refusal::new(500, "Server error")),
                Verdict::Busy => Err(Refusal::new(503, BUSY)),
            });
        }
    }

    /// The socket lived on a right that was taken back.
    fn take_right(&mut self, now_ms: u64, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        if !entry.upgraded {
            self.opened(id, Err(not_authorized()));
            return self.end_session(now_ms, id);
        }
        let error = WebSocketError::NotAuthorizedError;
        let close = CloseWith {
            code: error.close_code(),
            reason: error.reason("the permission was taken back"),
        };
        self.close(now_ms, id, close);
    }

    fn arm_permissions(&mut self, now_ms: u64) {
        let Some(permissions) = &mut self.permissions else {
            return;
        };
        let due_ms = permissions.grants.next_deadline_ms();
        let due_ms = due_ms.map(|due_ms| due_ms.max(now_ms));
        if permissions.timer.map(|(_, armed_ms)| armed_ms) == due_ms {
            return;
        }
        if let Some((key, _)) = permissions.timer.take() {
            self.wheel.cancel(key);
        }
        if let Some(due_ms) = due_ms {
            let key = self.wheel.insert(due_ms, Timer::Permissions);
            permissions.timer = Some((key, due_ms));
        }
    }
}

fn holder(id: SocketId) -> Holder {
    Holder(id.member().0)
}

/// Names that mean another place wherever names are made to paths. Pulsar has nothing under them.
fn has_dots(resource: &Resource) -> bool {
    match resource {
        Resource::Tenant(name) | Resource::Policies(name) => {
            name.split('/').any(|part| matches!(part, "." | ".."))
        }
        Resource::Clusters => false,
    }
}

fn not_authorized() -> Refusal {
    Refusal::new(403, "Not authorized")
}

/// With what a person can do about it, where the admin API does not let this gateway read.
fn why_unread(error: &BrokerError) -> String {
    let message = &error.message;
    match error.kind {
        ErrorKind::Unauthenticated | ErrorKind::Unauthorized => format!(
            "{message}: check brokerClientAuthenticationPlugin and brokerClientAuthenticationParameters; the gateway's \
             role has to be one of the brokers' superUserRoles or an administrator of the tenant"
        ),
        _ => message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::access::{Action, Right};
    use crate::auth::rules::Rules;
    use crate::gateway::tests::shard;
    use crate::runtime::mailbox::mailbox;

    #[test]
    fn grants_that_this_gateway_may_not_read_are_told_with_the_settings_that_count() {
        let why = |kind| {
            why_unread(&BrokerError {
                kind,
                message: "Unauthorized".to_owned(),
            })
        };
        for kind in [ErrorKind::Unauthenticated, ErrorKind::Unauthorized] {
            let why = why(kind);
            assert!(why.starts_with("Unauthorized: "), "{why}");
            for named in ["brokerClientAuthenticationParameters", "superUserRoles"] {
                assert!(why.contains(named), "{why}");
            }
        }
        assert_eq!(why(ErrorKind::Retryable), "Unauthorized");
    }

    /// Each was answered within the one before it, however many there were.
    #[test]
    fn reads_that_fail_at_once_take_no_stack() {
        let config = config::Permissions {
            rules: Rules::default(),
            source: config::PermissionSource::WebServices(Vec::new()),
            cache_ms: 30_000,
        };
        let store = Store {
            reader: RecordReader::full(),
            mailbox: mailbox().0,
        };
        let mut permissions = Permissions::new(&config, Some(store));
        let access = |holder: u64| Access {
            role: "role".into(),
            rights: (0..1_000)
                .map(|tenant| Right {
                    topic: format!("persistent://t{holder}-{tenant}/n/topic").into(),
                    action: Action::Produce,
                })
                .collect(),
        };
        let mut answers = Vec::new();
        for holder in 0..100 {
            let (answer, allowed) = oneshot();
            answers.push(allowed);
            permissions.waiting.insert(Holder(holder), answer);
            let effects = &mut permissions.effects;
            permissions
                .grants
                .check(0, Holder(holder), access(holder), effects);
        }
        let mut shard = shard();
        shard.permissions = Some(Box::new(permissions));
        shard.run_permissions(0);
        for allowed in answers {
            let refusal = allowed.ready().and_then(|allowed| allowed.err());
            assert_eq!(refusal.map(|refusal| refusal.status), Some(500));
        }
    }
}
