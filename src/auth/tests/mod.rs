//! Who comes in, and who may do what, by records as Pulsar writes them.

mod grants;
mod offered;
mod openid;
mod rules;
mod settings;
mod tokens;
mod vectors;

use std::sync::Arc;

use super::claim::{Action, Claim, Right};

/// One right of a role.
pub fn claim(role: &str, topic: &str, action: Action) -> Claim {
    let rights = vec![Right {
        topic: topic.into(),
        action,
    }];
    Claim {
        role: role.into(),
        rights,
    }
}

pub fn consume(subscription: &str) -> Action {
    Action::Consume {
        subscription: Some(Arc::from(subscription)),
    }
}
