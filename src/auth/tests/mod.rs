//! Who comes in, and who may do what, by records as Pulsar writes them.

mod grants;
mod offered;
mod openid;
mod rules;
mod settings;
mod tokens;
mod vectors;

use std::sync::Arc;

use super::Now;
use super::access::{Access, Action, Right};

/// A time when both clocks say the same.
pub fn at(now_ms: u64) -> Now {
    Now {
        mono_ms: now_ms,
        wall_ms: now_ms,
    }
}

/// One right of a role.
pub fn access(role: &str, topic: &str, action: Action) -> Access {
    let rights = vec![Right {
        topic: topic.into(),
        action,
    }];
    Access {
        role: role.into(),
        rights,
    }
}

pub fn consume(subscription: &str) -> Action {
    Action::Consume {
        subscription: Some(Arc::from(subscription)),
    }
}
