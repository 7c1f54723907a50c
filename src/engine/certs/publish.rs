//! What the proxy shows: `certs/index.json` and its files, made from the store, and the answers to the ACME server.
//!
//! Many orders at once publish together: who comes while it is being written is served by the next time, all at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::super::{Engine, EngineError};
use crate::domain::certificate::{CertName, Held, Managed, Own};
use crate::domain::name::HostName;
use crate::domain::secret::Secret;
use crate::host::certificates::Certificates;
use crate::proxy::certs::{self, Certificate, Index};

/// How long others are waited for before it is written.
const GATHER: Duration = Duration::from_millis(100);

/// How far what was asked for has been published.
#[derive(Default)]
pub(super) struct Published {
    asked: AtomicU64,
    /// The last that was asked for when the last one was written, and what that was.
    done: tokio::sync::Mutex<(u64, Option<Index>)>,
    /// The names that what is written is for, and that hold.
    names: Mutex<BTreeSet<CertName>>,
}

impl Published {
    /// Whether it has a certificate for this host; for `*.` and a host, one that is for all of them.
    pub(super) fn shows(&self, host: &str) -> bool {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().any(|name| name.as_str() == host || name.covers(host))
    }
}

impl Engine {
    /// Has the proxy show what is in the store now; returns when it does, or when it is not running.
    pub(in super::super) async fn publish_certificates(&self) -> Result<(), EngineError> {
        let Published { asked, done, names: _ } = &self.0.certs.published;
        let mine = asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = done.lock().await;
        if done.0 >= mine {
            return Ok(());
        }
        self.pause(GATHER).await;
        let all = asked.load(Ordering::SeqCst);
        let index = self.index().await?;
        let folder = &self.machine().certificates;
        if done.1.as_ref() != Some(&index) {
            certs::write(folder.folder(), &index).map_err(EngineError::internal)?;
        }
        // Routes lead to HTTPS where there is a certificate.
        let names = self.reader().certified_names(self.now()).await?;
        *self.0.certs.published.names.lock().unwrap_or_else(PoisonError::into_inner) =
            names.into_iter().collect();
        self.publish_table().await?;
        let files = index.certificates.iter().chain(&index.challenges);
        let files: Vec<&str> = files.map(|one| one.file.as_str()).collect();
        if let Err(error) = folder.keep(&files) {
            tracing::warn!(%error, "certificates that nobody needs are not removed");
        }
        *done = (all, Some(index));
        Ok(())
    }

    /// Reads for which names there is a certificate: their routes lead to HTTPS.
    pub(in super::super) async fn recall_certificates(&self) -> Result<(), crate::store::StoreError> {
        let names = self.reader().certified_names(self.now()).await?;
        *self.0.certs.published.names.lock().unwrap_or_else(PoisonError::into_inner) =
            names.into_iter().collect();
        Ok(())
    }

    /// What the store says is to be shown, with its files in place.
    async fn index(&self) -> Result<Index, EngineError> {
        let now = self.now();
        let mut own = self.reader().own_certificates().await?;
        // The newest first: of two that have a name, it has it.
        own.sort_by_key(|own| std::cmp::Reverse(own.added));
        let (mut certificates, mut taken) = (Vec::new(), BTreeSet::new());
        for Own { name, held, added: _ } in own.iter().filter(|own| own.held.facts.holds_at(now)) {
            certificates.extend(self.indexed(&Own::key_place(name), held, &mut taken)?);
        }
        for Managed { name, held, .. } in self.reader().certificates().await? {
            let covered = taken.iter().any(|taken: &CertName| taken.covers(name.as_str()));
            // One that has expired while no other came is still better than none: people see what is wrong.
            if let (Some(held), false) = (held, covered) {
                certificates.extend(self.indexed(&Managed::key_place(&name), &held, &mut taken)?);
            }
        }
        let proofs = self.0.certs.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        let challenge = |(name, file): (&HostName, &String)| Certificate {
            names: vec![name.to_string()],
            file: file.clone(),
        };
        Ok(Index { certificates, challenges: proofs.iter().map(challenge).collect() })
    }

    /// A certificate for those of its names that no other has. One whose key cannot be opened is left out, and said.
    fn indexed(
        &self,
        place: &str,
        held: &Held,
        taken: &mut BTreeSet<CertName>,
    ) -> Result<Option<Certificate>, EngineError> {
        let file = file_name(held.chain.as_bytes());
        if !self.machine().certificates.has(&file) {
            match self.vault().open(place, &held.key) {
                Ok(key) => self.write_pem(&file, &key, &held.chain)?,
                Err(error) => {
                    tracing::error!(place, %error, "the key of a certificate cannot be opened: it is not shown");
                    return Ok(None);
                }
            }
        }
        let names = held.facts.names.iter().filter(|name| taken.insert((*name).clone()));
        let names: Vec<String> = names.map(ToString::to_string).collect();
        Ok((!names.is_empty()).then_some(Certificate { names, file }))
    }

    /// Writes what is shown to the server alone, and gives the name of its file.
    pub(super) fn write_proof(&self, pem: &Secret) -> Result<String, EngineError> {
        let file = file_name(pem.reveal());
        let written = self.machine().certificates.write(&file, pem.reveal());
        written.map(|()| file).map_err(EngineError::internal)
    }

    fn write_pem(&self, file: &str, key: &Secret, chain: &str) -> Result<(), EngineError> {
        let key = key.reveal();
        let between: &[u8] = if key.ends_with(b"\n") { b"" } else { b"\n" };
        let pem = Zeroizing::new([key, between, chain.as_bytes()].concat());
        self.machine().certificates.write(file, &pem).map_err(EngineError::internal)
    }
}

/// Another certificate has another name, the same one always the same.
fn file_name(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let digits: Vec<String> = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Certificates::name(&digits.concat())
}
