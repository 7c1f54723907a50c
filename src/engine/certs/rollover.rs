//! Another key for the account at the ACME server. The next key is stored before the server is told of it; whoever
//! comes after something broke off asks the server which of the two it knows.

use super::super::{Engine, EngineError};
use super::{AT_ONCE, order};
use crate::domain::certificate::Trouble;
use crate::domain::secret::Secret;
use crate::remote::acme::{AcmeError, Server};

impl Engine {
    /// Has the server know the account by a new key, once no order is under way.
    pub async fn change_account_key(&self) -> Result<(), EngineError> {
        let Some(acme) = &self.0.settings.acme else { return Err(super::own::not_ordered("key")) };
        let every = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        let Ok(_nobody_orders) = self.0.certs.slots.acquire_many(every).await else {
            return Err(EngineError::Unavailable("rivetr is about to stop".to_owned()));
        };
        let server = Server::new(acme.server.clone());
        self.account(&server, false).await.map_err(order::Miss::into_error)?;
        // Whoever orders next signs in anew, by what is stored then.
        let mut known = self.0.certs.account.lock().await;
        *known = None;
        let directory = server.directory();
        let place = account_place(&server);
        let kept = self.reader().acme_account(directory).await?;
        let kept = kept.ok_or_else(|| EngineError::Unavailable("there is no account".to_owned()))?;
        let (kept, next) = {
            let _sealing = self.0.sealing.read().await;
            let kept = self.vault().open(&place, &kept).map_err(EngineError::internal)?;
            let next = server.next_key(&kept).map_err(unavailable)?;
            let sealed = self.vault().seal(&place, &next)?;
            self.0.writer.put_next_acme_key(directory, Some(sealed)).await?;
            (kept, next)
        };
        self.failpoint("changing-key");
        let changed = server.change_key(&kept, &next).await;
        self.failpoint("changed-key");
        match changed {
            Ok(()) => self.0.writer.take_next_acme_key(directory).await?,
            Err(error) => {
                // It may have done it all the same.
                if !self.settle_key(&server, &next).await.map_err(unavailable)? {
                    return Err(unavailable(error));
                }
            }
        }
        tracing::info!(directory, "the account has a new key");
        Ok(())
    }

    /// Asks the server whether it knows the next key, and keeps the one that it knows; whether that is the next.
    pub(super) async fn settle_key(&self, server: &Server, next: &Secret) -> Result<bool, AcmeError> {
        let knows = server.knows(next).await?;
        let directory = server.directory();
        let stored = if knows {
            self.0.writer.take_next_acme_key(directory).await
        } else {
            self.0.writer.put_next_acme_key(directory, None).await
        };
        let lost = |error: crate::store::StoreError| {
            AcmeError::Trouble(Trouble::Server { reason: error.to_string(), retry_after: None })
        };
        stored.map(|()| knows).map_err(lost)
    }
}

/// What the key of an account is sealed for.
pub(super) fn account_place(server: &Server) -> String {
    format!("acme-account/{}", server.directory())
}

fn unavailable(error: AcmeError) -> EngineError {
    order::Miss::from(error).into_error()
}
