//! Who is asking, and how far they may go.
//!
//! Two ways in: the Unix socket, where the kernel names the peer, and a token. What a caller may do is decided by
//! `domain::right` alone; which right a route needs, by its handler in `api`.

mod header;
mod peer;
mod query;
mod secret;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use thiserror::Error;

use crate::domain::right::{Right, Scope};
use crate::domain::time::Timestamp;
use crate::store::{Reader, StoreError, Token, TokenId, Writer};

pub use peer::{Owner, Peer};
pub use secret::{InvalidSecret, Secret};

/// A token's last use is stored to within this time, so that a busy client does not write at every request.
const TOUCH_AFTER: Duration = Duration::from_mins(1);

/// Somebody whose credentials were good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A process of root or of rivetr's own user, on the Unix socket.
    Local {
        /// The user, as the kernel says.
        uid: u32,
        /// The name of that user.
        name: String,
    },
    /// The bearer of a token.
    Token {
        /// The token's number.
        id: TokenId,
        /// What the token is for.
        name: String,
        /// How far it reaches.
        scope: Scope,
    },
}

/// Why somebody is not let in.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Nothing was shown.
    #[error("show a token: `Authorization: Bearer rvt_…`, or for git the token as the password")]
    Missing,
    /// What was shown is no token of this instance, or no longer.
    #[error("the token is not known here, was revoked, or has expired; make one with `rivetr tokens create`")]
    Unknown,
    /// The Authorization field cannot be read.
    #[error("the Authorization field must be `Bearer` and a token, or `Basic` with a token as the password")]
    Unreadable,
    /// The user on the other end of the Unix socket is neither root nor rivetr's own.
    #[error("user {uid} may not use this socket: only root and {owner} may; use a token over HTTP instead")]
    Stranger {
        /// Who asked.
        uid: u32,
        /// Whose socket it is.
        owner: String,
    },
    /// A token stood in the address, where logs and histories keep it.
    #[error("a token must not stand in the address; send it in the Authorization field{revoked}")]
    InAddress {
        /// What was done about it.
        revoked: &'static str,
    },
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells who is asking.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    owner: Owner,
    reader: Reader,
    writer: Writer,
    clock: fn() -> Timestamp,
}

impl Auth {
    /// Callers of this instance: `owner` runs it, tokens are in the store.
    #[must_use]
    pub fn new(owner: Owner, reader: Reader, writer: Writer, clock: fn() -> Timestamp) -> Self {
        Self(Arc::new(Inner { owner, reader, writer, clock }))
    }

    /// Who makes this request. A token that is shown counts before the socket it comes from.
    pub async fn caller(&self, parts: &Parts) -> Result<Caller, Refusal> {
        self.refuse_secret_in_address(parts).await?;
        if let Some(secret) = header::secret(&parts.headers)? {
            return self.bearer(&secret).await;
        }
        match parts.extensions.get::<Peer>() {
            Some(Peer::Unix { uid }) => self.0.owner.admit(*uid),
            Some(Peer::Tcp) | None => Err(Refusal::Missing),
        }
    }

    /// Whether the caller of a stream that is still open would be let in again.
    pub async fn is_still_good(&self, caller: &Caller) -> Result<bool, Refusal> {
        let Caller::Token { id, scope, .. } = caller else { return Ok(true) };
        let now = (self.0.clock)();
        let tokens = self.0.reader.tokens().await?;
        Ok(tokens.iter().any(|token| token.id == *id && token.scope == *scope && !token.is_expired(now)))
    }

    /// Makes a token and returns it with its secret, which is not kept.
    pub async fn create_token(
        &self,
        name: String,
        scope: Scope,
        days: u32,
    ) -> Result<(Token, Secret), CreateError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(CreateError::Random)?;
        let secret = Secret::from_random(&random);
        let now = (self.0.clock)();
        let expires = Timestamp(now.0.saturating_add(i64::from(days) * MILLIS_A_DAY));
        let id = self.0.writer.create_token(name.clone(), scope, secret.digest(), Some(expires), now).await?;
        let token = self.0.reader.token_by_hash(&secret.digest()).await?;
        token.map(|token| (token, secret)).ok_or(CreateError::Gone(id))
    }

    /// Ends a token; false: there is none of this number.
    pub async fn revoke_token(&self, id: TokenId) -> Result<bool, StoreError> {
        self.0.writer.revoke_token(id).await
    }

    /// Every token that was not revoked.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.0.reader.tokens().await
    }

    async fn bearer(&self, secret: &Secret) -> Result<Caller, Refusal> {
        let now = (self.0.clock)();
        let digest = secret.digest();
        let found = self.0.reader.token_by_hash(&digest).await?;
        let Some(token) = found.filter(|token| !token.is_expired(now)) else { return Err(Refusal::Unknown) };
        self.touch(&token, now).await;
        Ok(Caller::Token { id: token.id, name: token.name, scope: token.scope })
    }

    async fn touch(&self, token: &Token, now: Timestamp) {
        let fresh =
            token.used.is_some_and(|last| u128::from(now.millis_since(last)) < TOUCH_AFTER.as_millis());
        if fresh {
            return;
        }
        if let Err(error) = self.0.writer.touch_token(token.id, now).await {
            tracing::warn!(token = token.id.0, %error, "the token's last use could not be stored");
        }
    }

    async fn refuse_secret_in_address(&self, parts: &Parts) -> Result<(), Refusal> {
        match query::secret(parts.uri.query().unwrap_or_default()) {
            query::Found::Nothing => Ok(()),
            query::Found::Word => Err(Refusal::InAddress { revoked: "" }),
            query::Found::Secret(secret) => {
                let Some(token) = self.0.reader.token_by_hash(&secret.digest()).await? else {
                    return Err(Refusal::InAddress { revoked: "" });
                };
                self.0.writer.revoke_token(token.id).await?;
                tracing::warn!(target: "rivetr::audit", token = token.id.0, "revoked: it stood in an address");
                Err(Refusal::InAddress { revoked: ". This one has been revoked: make a new one" })
            }
        }
    }
}

const MILLIS_A_DAY: i64 = 24 * 60 * 60 * 1000;

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

impl Caller {
    /// Whether this caller may do what `right` names.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        match self {
            Self::Local { .. } => Scope::Admin.allows(right),
            Self::Token { scope, .. } => scope.allows(right),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { name, .. } => write!(f, "user {name}"),
            Self::Token { id, name, .. } => write!(f, "token {} ({})", id.0, name.escape_debug()),
        }
    }
}
