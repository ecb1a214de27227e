//! `AuthenticationProviderToken`: a JSON Web Token that a shared secret or a private key has signed.

use super::authentication::{Verdict, Verified};
use super::jwt::Unverified;
use super::jwt::key::Key;
use super::{Offered, Why};

/// The provider's settings, read.
pub struct TokenProvider {
    pub(super) key: Key,
    /// `tokenAuthClaim`: the claim that names the role.
    pub(super) role_claim: String,
    /// `tokenAudienceClaim` and `tokenAudience`: one of the claim's texts must be this.
    pub(super) audience: Option<(String, Vec<String>)>,
    /// `tokenAllowedClockSkewSeconds`.
    pub(super) skew_ms: u64,
}

impl TokenProvider {
    pub(super) fn is_slow(&self) -> bool {
        self.key.is_slow()
    }

    pub(super) fn check(&self, offered: &Offered, now_ms: u64) -> Verdict {
        let Some(token) = &offered.token else {
            return Verdict::Rejected("no token");
        };
        match self.verify(token, now_ms) {
            Ok(verified) => Verdict::Accepted(verified),
            Err(why) => Verdict::Rejected(why),
        }
    }

    fn verify(&self, token: &str, now_ms: u64) -> Result<Verified, Why> {
        let claims = Unverified::parse(token)?.verify(&self.key)?;
        let expires_ms = claims.valid_until_ms(now_ms, self.skew_ms)?;
        if let Some((claim, wanted)) = &self.audience
            && !claims.names_one_of(claim, wanted)
        {
            return Err("the token is meant for another audience");
        }
        // Java lets a token without a role in as nobody; here who comes in has a role.
        let role = claims.role(&self.role_claim);
        let role = role.ok_or("the token has no role in the claim that names it")?;
        Ok(Verified {
            role: role.to_owned(),
            further_roles: claims.further_roles(&self.role_claim),
            expires_ms,
        })
    }
}
