//! The keys about what clients may do.

use super::Key;
use super::served::sets;
use crate::config::values;

pub(super) const KEYS: &[Key] = &[
    sets("authorizationEnabled", |d, v| {
        d.authorization.is_enabled = values::boolean(v)?;
        Ok(())
    }),
    sets("authorizationProvider", |d, v| {
        d.authorization.provider = Some(v.to_owned());
        Ok(())
    }),
    sets("authorizationAllowWildcardsMatching", |d, v| {
        d.authorization.rules.wildcards = values::boolean(v)?;
        Ok(())
    }),
    // Of versions after 4.0.8: who sets it wants less to be allowed.
    sets("grantImplicitPermissionOnSubscription", |d, v| {
        d.authorization.rules.explicit_subscriptions = !values::boolean(v)?;
        Ok(())
    }),
    sets("superUserRoles", |d, v| {
        let roles = v.split(',').map(str::trim).filter(|role| !role.is_empty());
        d.authorization.rules.super_user_roles = roles.map(str::to_owned).collect();
        Ok(())
    }),
];
