//! Tokens: what machines show. One of a user reaches at most as far as that user does, at the moment it is shown.

use std::time::Duration;

use http::request::Parts;
use thiserror::Error;

use super::audit::{Deed, Doer};
use super::session::Origin;
use super::{Auth, Caller, Refusal, Secret, query, reach};
use crate::domain::person::{TeamId, UserId};
use crate::domain::right::{Reach, Scope};
use crate::domain::time::Timestamp;
use crate::store::{Account, NewToken, StoreError, Token, TokenId};

/// A token's last use is stored to within this time, so that a busy client does not write at every request.
const TOUCH_AFTER: Duration = Duration::from_mins(1);

const A_DAY: Duration = Duration::from_hours(24);

/// Why a token could not be made.
#[derive(Debug, Error)]
pub enum CreateError {
    /// The kernel gave no random bytes.
    #[error("the kernel gave no random bytes for a token: {0}")]
    Random(getrandom::Error),
    /// It was revoked while it was being made.
    #[error("token {} was revoked while it was being made", .0.0)]
    Gone(TokenId),
    /// The store could not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Auth {
    /// Makes a token of the instance's own and returns it with its secret, which is not kept.
    pub async fn create_token(
        &self,
        name: String,
        scope: Scope,
        days: u32,
    ) -> Result<(Token, Secret), CreateError> {
        self.create_token_of(None, None, name, scope, days).await
    }

    /// Makes a token of a user, or for one team alone, and returns it with its secret, which is not kept.
    pub async fn create_token_of(
        &self,
        user: Option<UserId>,
        team: Option<TeamId>,
        name: String,
        scope: Scope,
        days: u32,
    ) -> Result<(Token, Secret), CreateError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(CreateError::Random)?;
        let secret = Secret::from_random(&random);
        let now = self.now();
        let expires = Some(now.after(A_DAY.saturating_mul(days)));
        let new = NewToken { name, scope, expires, user, team };
        let id = self.0.writer.create_token(new, secret.digest(), now).await?;
        let found = self.0.reader.token(id).await?;
        found.map(|(token, _)| (token, secret)).ok_or(CreateError::Gone(id))
    }

    /// Ends a token; false: there is none of this number.
    pub async fn revoke_token(&self, id: TokenId) -> Result<bool, StoreError> {
        self.0.writer.revoke_token(id).await
    }

    /// Every token that was not revoked.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.0.reader.tokens().await
    }

    /// Who shows this token.
    pub(super) async fn bearer(&self, secret: &Secret, parts: &Parts) -> Result<Caller, Refusal> {
        let now = self.now();
        let found = self.0.reader.token_by_hash(&secret.digest()).await?;
        let Some((token, owner)) = found else { return Err(Refusal::Unknown) };
        let reach = reach_of(&token, owner.as_ref(), now).ok_or(Refusal::Unknown)?;
        self.touch(&token, Origin::of(parts).address.map(|address| address.to_string()), now).await;
        Ok(Caller::Token { id: token.id, name: token.name, user: token.user, reach })
    }

    /// Whether a token would be taken again, and reach as far.
    pub(super) async fn is_still_taken(&self, id: TokenId, before: &Reach) -> Result<bool, Refusal> {
        let found = self.0.reader.token(id).await?;
        let reach = found.and_then(|(token, owner)| reach_of(&token, owner.as_ref(), self.now()));
        Ok(reach.as_ref() == Some(before))
    }

    async fn touch(&self, token: &Token, address: Option<String>, now: Timestamp) {
        let fresh =
            token.used.is_some_and(|last| u128::from(now.millis_since(last)) < TOUCH_AFTER.as_millis());
        if fresh {
            return;
        }
        if let Err(error) = self.0.writer.touch_token(token.id, address, now).await {
            tracing::warn!(token = token.id.0, %error, "the token's last use could not be stored");
        }
    }

    pub(super) async fn refuse_secret_in_address(&self, parts: &Parts) -> Result<(), Refusal> {
        match query::secret(parts.uri.query().unwrap_or_default()) {
            query::Found::Nothing => Ok(()),
            query::Found::Word => Err(Refusal::InAddress { revoked: "" }),
            query::Found::Secret(secret) => {
                let Some((token, _)) = self.0.reader.token_by_hash(&secret.digest()).await? else {
                    return Err(Refusal::InAddress { revoked: "" });
                };
                self.0.writer.revoke_token(token.id).await?;
                let by = Doer::at_the_door(&token.name, token.user, &Origin::of(parts));
                let deed = Deed::new("token.revoked", format!("token {}", token.id.0));
                self.record(&by, deed.after("it stood in an address")).await;
                Err(Refusal::InAddress { revoked: ". This one has been revoked: make a new one" })
            }
        }
    }
}

/// How far a token reaches now; none: it is worth nothing.
fn reach_of(token: &Token, owner: Option<&Account>, now: Timestamp) -> Option<Reach> {
    if token.is_expired(now) || owner.is_some_and(|owner| owner.user.disabled) {
        return None;
    }
    Some(match owner {
        Some(owner) => reach::of(owner, token.scope, token.team),
        None => reach::of_instance(token.scope, token.team),
    })
}
