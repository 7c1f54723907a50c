//! The way of one name: DNS, account, order, proof, certificate. Each part can be done twice; an order that rivetr did
//! not live to see the end of is left to the server, and another one is begun.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::timeout;

use super::super::dns::Dns;
use super::super::{Engine, EngineError};
use super::rollover::account_place;
use super::{Acme, chain, random};
use crate::domain::certificate::{CertName, Held, Managed, State, Trouble};
use crate::domain::domain::Pattern;
use crate::domain::name::HostName;
use crate::domain::secret::{Sealed, Secret};
use crate::remote::acme::{Account, AcmeError, Issued, Order, Proof, Server};
use crate::store::OrderBegun;

/// How long one order may take, all told.
const ORDER_LIMIT: Duration = Duration::from_mins(5);

/// Why there is no certificate.
pub(super) enum Miss {
    /// It is kept in the state of the name.
    Trouble(Trouble),
    /// rivetr itself could not go on.
    Lost(EngineError),
}

impl Miss {
    /// The same where no name keeps it.
    pub(super) fn into_error(self) -> EngineError {
        match self {
            Self::Lost(error) => error,
            Self::Trouble(Trouble::Server { reason, .. } | Trouble::Refused { reason, .. }) => {
                EngineError::Unavailable(reason)
            }
            Self::Trouble(Trouble::Spent { .. }) => {
                EngineError::Unavailable("too many orders were begun today".to_owned())
            }
        }
    }
}

impl From<EngineError> for Miss {
    fn from(error: EngineError) -> Self {
        Self::Lost(error)
    }
}

impl From<crate::store::StoreError> for Miss {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Lost(error.into())
    }
}

impl From<AcmeError> for Miss {
    fn from(error: AcmeError) -> Self {
        Self::Trouble(match error {
            AcmeError::Trouble(trouble) => trouble,
            AcmeError::NoAccount => Trouble::Server {
                reason: "the ACME server does not know the account that it has just given".to_owned(),
                retry_after: None,
            },
        })
    }
}

impl Engine {
    /// Why an order would be wasted on a name: DNS does not lead it here. Where nobody can know which addresses are
    /// ours, every one will do.
    async fn leads_elsewhere(&self, name: &HostName) -> Option<String> {
        match self.check_dns(&Pattern::Exact(name.clone())).await {
            Dns::Here(_) | Dns::Unjudged(_) => None,
            dns @ (Dns::Elsewhere { .. } | Dns::Nowhere(_) | Dns::Unanswered { .. }) => Some(dns.to_string()),
        }
    }

    /// Sees to the certificate of a name whose turn it is.
    pub(super) async fn certify(&self, name: &HostName) -> Result<(), EngineError> {
        let Some(acme) = &self.0.settings.acme else { return Ok(()) };
        // It may have waited for its turn.
        let Some(Managed { mut state, .. }) = self.reader().certificate(name).await? else { return Ok(()) };
        if state.next().is_some_and(|next| next > self.now()) {
            return Ok(());
        }
        if acme.dns_check
            && let Some(reason) = self.leads_elsewhere(name).await
        {
            tracing::info!(%name, reason, "no certificate is ordered yet");
            state.wait_for_dns(reason, self.now(), random()?);
            return Ok(self.0.writer.save_certificate(name, &state).await?);
        }
        state.order();
        match self.obtain(acme, name, &state).await {
            Ok(issued) => {
                self.accept(name, state, issued).await?;
                self.revoke_old(name).await
            }
            Err(Miss::Lost(error)) => Err(error),
            Err(Miss::Trouble(trouble)) => {
                state.fail(trouble, self.now(), random()?).map_err(EngineError::internal)?;
                if let State::Failed { reason, .. } = &state {
                    tracing::warn!(%name, reason, "no certificate was issued");
                }
                Ok(self.0.writer.save_certificate(name, &state).await?)
            }
        }
    }

    /// One order, from the account to the certificate.
    async fn obtain(&self, acme: &Acme, name: &HostName, state: &State) -> Result<Issued, Miss> {
        let server = Server::new(acme.server.clone());
        let account = self.account(&server, false).await?;
        let began = self.now();
        match self.0.writer.begin_order(name, state, began).await? {
            OrderBegun::Yes => {}
            OrderBegun::Spent { until } => return Err(Miss::Trouble(Trouble::Spent { until })),
        }
        self.failpoint("ordering");
        let order = match account.begin(name).await {
            Err(AcmeError::NoAccount) => self.account(&server, true).await?.begin(name).await,
            answer => answer,
        };
        let order = match order {
            Ok(order) => order,
            Err(error) => {
                self.0.writer.forget_order(name, began).await?;
                return Err(error.into());
            }
        };
        let late = |_| Trouble::Server {
            reason: format!(
                "the order did not come to its end within {} minutes",
                ORDER_LIMIT.as_secs() / 60
            ),
            retry_after: None,
        };
        let way = acme.ways.after(state.failures());
        let mut shown = None;
        let finished = timeout(ORDER_LIMIT, async {
            let mut order: Order = order;
            if let Some(proof) = order.proof(way).await? {
                self.show(name, shown.insert(proof)).await?;
                order.prove(way).await?;
            }
            Ok::<_, Miss>(order.finish().await?)
        });
        let finished = finished.await.map_err(late).map_err(Miss::Trouble).flatten();
        if let Some(proof) = &shown {
            // Who has a certificate keeps it, also where the store takes nothing more.
            if let Err(error) = self.hide(name, proof).await {
                tracing::error!(%name, %error, "the proof of an order is not forgotten yet");
            }
            // With a certificate it is published, and without one by nobody else.
            if finished.is_err() {
                self.publish_certificates().await?;
            }
        }
        finished
    }

    /// The account at the server: the one that is kept, or a new one.
    pub(super) async fn account(&self, server: &Server, anew: bool) -> Result<Account, Miss> {
        let mut known = self.0.certs.account.lock().await;
        if let (Some(account), false) = (&*known, anew) {
            return Ok(account.clone());
        }
        let place = account_place(server);
        let open = |kept: Sealed| {
            self.vault().open(&place, &kept).map_err(|error| {
                let reason =
                    format!("the key of the account at {} cannot be opened: {error}", server.directory());
                Miss::Trouble(Trouble::Server { reason, retry_after: None })
            })
        };
        if let Some(next) = self.reader().next_acme_key(server.directory()).await? {
            self.settle_key(server, &open(next)?).await?;
        }
        let kept = self.reader().acme_account(server.directory()).await?.filter(|_| !anew);
        let opened = kept.map(open).transpose()?;
        let signed_in = match &opened {
            Some(kept) => server.sign_in(kept).await,
            None => Err(AcmeError::NoAccount),
        };
        let account = match signed_in {
            Err(AcmeError::NoAccount) => {
                let (account, new) = server.register().await?;
                self.keep_account(server, &place, &new).await?;
                tracing::info!(directory = server.directory(), "an account was made");
                account
            }
            signed_in => signed_in?,
        };
        *known = Some(account.clone());
        Ok(account)
    }

    async fn keep_account(&self, server: &Server, place: &str, new: &Secret) -> Result<(), EngineError> {
        let _sealing = self.0.sealing.read().await;
        let sealed = self.vault().seal(place, new)?;
        Ok(self.0.writer.put_acme_account(server.directory().to_owned(), sealed, self.now()).await?)
    }

    /// Has the proxy show a proof.
    async fn show(&self, name: &HostName, proof: &Proof) -> Result<(), EngineError> {
        match proof {
            Proof::Http { token, answer } => {
                self.0.writer.put_challenge(token.clone(), answer.clone()).await?;
            }
            Proof::TlsAlpn { pem } => {
                let file = self.write_proof(pem)?;
                self.proofs().insert(name.clone(), file);
            }
        }
        self.publish_certificates().await
    }

    /// It goes with whatever is published next.
    async fn hide(&self, name: &HostName, proof: &Proof) -> Result<(), EngineError> {
        match proof {
            Proof::Http { token, answer: _ } => {
                Ok(self.0.writer.drop_challenges(Some(token.clone())).await?)
            }
            Proof::TlsAlpn { pem: _ } => {
                self.proofs().remove(name);
                Ok(())
            }
        }
    }

    fn proofs(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeMap<HostName, String>> {
        self.0.certs.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores what was issued, and has it shown; also where it cannot be stored the proofs of its order are shown no more.
    async fn accept(&self, name: &HostName, state: State, issued: Issued) -> Result<(), EngineError> {
        let stored = self.store_issued(name, state, issued).await;
        self.publish_certificates().await?;
        stored
    }

    async fn store_issued(
        &self,
        name: &HostName,
        mut state: State,
        issued: Issued,
    ) -> Result<(), EngineError> {
        let Issued { chain, key } = issued;
        let mut facts = chain::facts(&chain).map_err(|reason| {
            EngineError::Unavailable(format!("the server gave something that is no certificate: {reason}"))
        })?;
        facts.names = vec![CertName::from(name)];
        let validity = (facts.not_before, facts.not_after);
        state.issue(validity, self.now(), random()?).map_err(EngineError::internal)?;
        {
            let _sealing = self.0.sealing.read().await;
            let key = self.vault().seal(&Managed::key_place(name), &key)?;
            self.0.writer.issue_certificate(name, &state, Held { facts, chain, key }).await?;
        }
        tracing::info!(%name, "a certificate was issued");
        Ok(())
    }

    /// Revokes what a person wanted revoked, now that another one is shown. Where the server does not do it, it is
    /// tried again when nothing else is to be done.
    pub(super) async fn revoke_old(&self, name: &HostName) -> Result<(), EngineError> {
        let (Some(acme), Some(managed)) = (&self.0.settings.acme, self.reader().certificate(name).await?)
        else {
            return Ok(());
        };
        let held = managed.held.map(|held| held.chain);
        let Some(old) = managed.revoking.filter(|old| held.as_ref() != Some(old)) else { return Ok(()) };
        let server = Server::new(acme.server.clone());
        let revoked = match self.account(&server, false).await {
            Ok(account) => account.revoke(&old).await.map_err(Miss::from),
            Err(miss) => Err(miss),
        };
        match revoked {
            Ok(()) => {
                tracing::info!(%name, "the old certificate was revoked");
                Ok(self.0.writer.revoked_certificate(name).await?)
            }
            Err(Miss::Lost(error)) => Err(error),
            Err(Miss::Trouble(trouble)) => {
                tracing::warn!(%name, ?trouble, "the old certificate is not revoked yet");
                Ok(())
            }
        }
    }
}
