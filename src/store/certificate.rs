//! Certificates: those that are ordered, name by name, those that were handed in, and what the orders need meanwhile.
//! Keys are sealed before they get here.

use std::collections::BTreeMap;

use rusqlite::{Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::certificate::{
    CertName, Facts, Failures, Held, IllegalMove, Managed, ORDERS_MAX, ORDERS_SPAN, Own, State,
};
use crate::domain::name::HostName;
use crate::domain::secret::Sealed;
use crate::domain::time::Timestamp;

/// Whether an order may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderBegun {
    /// It is counted, and the state is stored.
    Yes,
    /// There were enough of late; nothing is stored.
    Spent {
        /// When there may be another one.
        until: Timestamp,
    },
}

/// Why no certificate can be asked for.
#[derive(Debug, Error)]
pub enum AskCertificateError {
    /// No host has the name, or a certificate that was handed in is good for it.
    #[error("there is no certificate {0} that rivetr orders")]
    NoName(HostName),
    /// There is none yet that could be revoked.
    #[error("there is no certificate for {0} yet, so none can be revoked: leave --revoke out")]
    NothingHeld(HostName),
    /// One is under way.
    #[error(transparent)]
    Illegal(#[from] IllegalMove),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Says which names are to have a certificate. One that is not needed any more stays as long as it holds: the name
    /// may come back, and servers count. Whether anything is different.
    pub async fn want_certificates(&self, names: Vec<HostName>, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let names: Vec<&str> = names.iter().map(HostName::as_str).collect();
            let names = serde_json::to_string(&names).map_err(|_| StoreError::Malformed("name"))?;
            let all = "SELECT value FROM json_each(?1)";
            let changed = tx.execute(
                &format!("UPDATE certificate SET wanted = 1 - wanted WHERE wanted <> (name IN ({all}))"),
                [&names],
            )? + tx.execute(
                &format!(
                    "INSERT INTO certificate (name, wanted, state) SELECT value, 1, 'queued' FROM ({all}) \
                     WHERE value NOT IN (SELECT name FROM certificate)"
                ),
                [&names],
            )?;
            let gone = "DELETE FROM certificate WHERE wanted = 0 AND (not_after IS NULL OR not_after <= ?1)";
            Ok(changed + tx.execute(gone, [now.0])? > 0)
        })
        .await
    }

    /// Stores how the order for a name stands.
    pub async fn save_certificate(&self, name: &HostName, state: &State) -> Result<(), StoreError> {
        let (name, state) = (name.clone(), state.clone());
        self.write(move |tx| save(tx, &name, &state)).await
    }

    /// Counts an order and stores the state, if there were fewer than [`ORDERS_MAX`] of late.
    pub async fn begin_order(
        &self,
        name: &HostName,
        state: &State,
        now: Timestamp,
    ) -> Result<OrderBegun, StoreError> {
        let (name, state) = (name.clone(), state.clone());
        self.write(move |tx| {
            let span = i64::try_from(ORDERS_SPAN.as_millis()).unwrap_or(i64::MAX);
            tx.execute("DELETE FROM acme_order WHERE at <= ?1", [now.0 - span])?;
            let counted = "SELECT at FROM acme_order WHERE name = ?1 ORDER BY at DESC";
            let orders = row::all(tx, counted, [name.as_str()], |row| row::time(row, "at"))?;
            if let Some(oldest) = orders.get(ORDERS_MAX - 1) {
                return Ok(OrderBegun::Spent { until: oldest.after(ORDERS_SPAN) });
            }
            tx.execute("INSERT INTO acme_order (name, at) VALUES (?1, ?2)", (name.as_str(), now.0))?;
            save(tx, &name, &state)?;
            Ok(OrderBegun::Yes)
        })
        .await
    }

    /// An order that did not come to the server does not count.
    pub async fn forget_order(&self, name: &HostName, at: Timestamp) -> Result<(), StoreError> {
        let name = name.clone();
        self.write(move |tx| {
            tx.execute("DELETE FROM acme_order WHERE name = ?1 AND at = ?2", (name.as_str(), at.0))?;
            Ok(())
        })
        .await
    }

    /// Stores a new certificate in place of the one that was held, with its state.
    pub async fn issue_certificate(
        &self,
        name: &HostName,
        state: &State,
        held: Held,
    ) -> Result<(), StoreError> {
        let (name, state) = (name.clone(), state.clone());
        self.write(move |tx| {
            let Held { facts: Facts { names: _, issuer, not_before, not_after }, chain, key } = held;
            tx.execute(
                "UPDATE certificate SET chain = ?2, key = ?3, issuer = ?4, not_before = ?5, not_after = ?6 \
                 WHERE name = ?1",
                (name.as_str(), chain, key.0, issuer, not_before.0, not_after.0),
            )?;
            save(tx, &name, &state)
        })
        .await
    }

    /// A person wants a new certificate now, and the old one revoked once the new one is served, if they say so.
    pub async fn ask_certificate(&self, name: &HostName, revoke: bool) -> Result<(), AskCertificateError> {
        let name = name.clone();
        self.write(move |tx| {
            let select = "SELECT * FROM certificate WHERE wanted = 1 AND name = ?1";
            let found = row::first(tx, select, [name.as_str()], managed)?;
            let Some(mut found) = found else { return Err(AskCertificateError::NoName(name)) };
            found.state.ask()?;
            if revoke {
                let Some(held) = found.held else { return Err(AskCertificateError::NothingHeld(name)) };
                let update = "UPDATE certificate SET revoking = ?2 WHERE name = ?1";
                tx.execute(update, (name.as_str(), held.chain)).map_err(StoreError::from)?;
            }
            Ok(save(tx, &name, &found.state)?)
        })
        .await
    }

    /// What was to be revoked is.
    pub async fn revoked_certificate(&self, name: &HostName) -> Result<(), StoreError> {
        let name = name.clone();
        self.write(move |tx| {
            tx.execute("UPDATE certificate SET revoking = NULL WHERE name = ?1", [name.as_str()])?;
            Ok(())
        })
        .await
    }

    /// Keeps the account at a server, by the address of its directory.
    pub async fn put_acme_account(
        &self,
        directory: String,
        key: Sealed,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let insert = "INSERT INTO acme_account (directory, key, created) VALUES (?1, ?2, ?3) \
                      ON CONFLICT (directory) DO UPDATE SET key = ?2, next = NULL, created = ?3";
        self.write(move |tx| Ok(tx.execute(insert, (directory, key.0, now.0)).map(drop)?)).await
    }

    /// Keeps the key that the server is about to be told of; without one, it is not told of any.
    pub async fn put_next_acme_key(&self, directory: &str, next: Option<Sealed>) -> Result<(), StoreError> {
        let directory = directory.to_owned();
        let update = "UPDATE acme_account SET next = ?2 WHERE directory = ?1";
        self.write(move |tx| Ok(tx.execute(update, (directory, next.map(|next| next.0))).map(drop)?)).await
    }

    /// The server knows the next key, and no other.
    pub async fn take_next_acme_key(&self, directory: &str) -> Result<(), StoreError> {
        let directory = directory.to_owned();
        let update =
            "UPDATE acme_account SET key = next, next = NULL WHERE directory = ?1 AND next IS NOT NULL";
        self.write(move |tx| Ok(tx.execute(update, [directory]).map(drop)?)).await
    }

    /// The proxy is to answer to a token.
    pub async fn put_challenge(&self, token: String, answer: String) -> Result<(), StoreError> {
        let insert = "INSERT OR REPLACE INTO acme_challenge (token, answer) VALUES (?1, ?2)";
        self.write(move |tx| Ok(tx.execute(insert, (token, answer)).map(drop)?)).await
    }

    /// The proxy needs not answer to a token any more; none is named: to none at all.
    pub async fn drop_challenges(&self, token: Option<String>) -> Result<(), StoreError> {
        let delete = "DELETE FROM acme_challenge WHERE ?1 IS NULL OR token = ?1";
        self.write(move |tx| Ok(tx.execute(delete, [token]).map(drop)?)).await
    }

    /// Stores a certificate that was handed in, in place of the one of the same name.
    pub async fn put_own_certificate(&self, own: Own) -> Result<(), StoreError> {
        self.write(move |tx| {
            let Own { name, held: Held { facts, chain, key }, added } = own;
            let Facts { names, issuer, not_before, not_after } = facts;
            let names: Vec<&str> = names.iter().map(CertName::as_str).collect();
            let names = serde_json::to_string(&names).map_err(|_| StoreError::Malformed("names"))?;
            let insert = "INSERT OR REPLACE INTO own_certificate \
                          (name, names, chain, key, issuer, not_before, not_after, added) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let row = (name.as_str(), names, chain, key.0, issuer, not_before.0, not_after.0, added.0);
            Ok(tx.execute(insert, row).map(drop)?)
        })
        .await
    }

    /// Forgets a certificate that was handed in; whether there was one.
    pub async fn remove_own_certificate(&self, name: &CertName) -> Result<bool, StoreError> {
        let name = name.clone();
        let delete = "DELETE FROM own_certificate WHERE name = ?1";
        self.write(move |tx| Ok(tx.execute(delete, [name.as_str()])? > 0)).await
    }
}

impl Reader {
    /// Every name for which certificates are ordered, by name.
    pub async fn certificates(&self) -> Result<Vec<Managed>, StoreError> {
        let select = "SELECT * FROM certificate WHERE wanted = 1 ORDER BY name";
        self.read(move |tx| row::all(tx, select, [], managed)).await
    }

    /// One of them.
    pub async fn certificate(&self, name: &HostName) -> Result<Option<Managed>, StoreError> {
        let name = name.clone();
        let select = "SELECT * FROM certificate WHERE wanted = 1 AND name = ?1";
        self.read(move |tx| row::first(tx, select, [name.as_str()], managed)).await
    }

    /// Every certificate that was handed in, by name.
    pub async fn own_certificates(&self) -> Result<Vec<Own>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM own_certificate ORDER BY name", [], own)).await
    }

    /// The account at a server, sealed.
    pub async fn acme_account(&self, directory: &str) -> Result<Option<Sealed>, StoreError> {
        let directory = directory.to_owned();
        let select = "SELECT key FROM acme_account WHERE directory = ?1";
        self.read(move |tx| row::first(tx, select, [directory], |row| Ok(Sealed(row::number(row, "key")?))))
            .await
    }

    /// The key that the server may know in place of that of the account, sealed.
    pub async fn next_acme_key(&self, directory: &str) -> Result<Option<Sealed>, StoreError> {
        let directory = directory.to_owned();
        let select = "SELECT next FROM acme_account WHERE directory = ?1 AND next IS NOT NULL";
        self.read(move |tx| row::first(tx, select, [directory], |row| Ok(Sealed(row::number(row, "next")?))))
            .await
    }

    /// What the proxy answers to each token.
    pub async fn challenges(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let pair = |row: &Row<'_>| Ok((row::number(row, "token")?, row::number(row, "answer")?));
        let found = self.read(move |tx| row::all(tx, "SELECT * FROM acme_challenge", [], pair)).await?;
        Ok(found.into_iter().collect())
    }

    /// The names for which a certificate holds at this moment: their hosts can be asked for over HTTPS.
    pub async fn certified_names(&self, now: Timestamp) -> Result<Vec<CertName>, StoreError> {
        let select = "SELECT name FROM certificate WHERE wanted = 1 AND not_before <= ?1 AND ?1 < not_after \
                      UNION SELECT value FROM own_certificate, json_each(names) \
                      WHERE not_before <= ?1 AND ?1 < not_after ORDER BY 1";
        self.read(move |tx| row::all(tx, select, [now.0], |row| row::parsed(row, "name", CertName::parse)))
            .await
    }
}

fn save(tx: &Transaction<'_>, name: &HostName, state: &State) -> Result<(), StoreError> {
    let (reason, next) = match state {
        State::Queued | State::Ordering { .. } => (None, Timestamp(0)),
        State::WaitingForDns { reason, next } | State::Failed { reason, next, .. } => (Some(reason), *next),
        State::Valid { not_after: _, renew_at } => (None, *renew_at),
    };
    let Failures { refused, unreachable } = state.failures();
    tx.execute(
        "UPDATE certificate SET state = ?2, reason = ?3, next = ?4, refused = ?5, unreachable = ?6 \
         WHERE name = ?1",
        (name.as_str(), state.as_str(), reason, next.0, refused, unreachable),
    )?;
    Ok(())
}

fn managed(row: &Row<'_>) -> Result<Managed, StoreError> {
    let name = row::parsed(row, "name", HostName::parse)?;
    let chain: Option<String> = row::number(row, "chain")?;
    let held = match chain {
        Some(chain) => Some(held(row, chain, vec![CertName::from(&name)])?),
        None => None,
    };
    let state = state(row, held.as_ref())?;
    Ok(Managed { name, state, held, revoking: row::number(row, "revoking")? })
}

fn state(row: &Row<'_>, held: Option<&Held>) -> Result<State, StoreError> {
    let word: String = row::number(row, "state")?;
    let reason: Option<String> = row::number(row, "reason")?;
    let next = row::time(row, "next")?;
    let failures =
        Failures { refused: row::number(row, "refused")?, unreachable: row::number(row, "unreachable")? };
    match (word.as_str(), reason, held) {
        ("queued", None, _) => Ok(State::Queued),
        ("waiting-for-dns", Some(reason), _) => Ok(State::WaitingForDns { reason, next }),
        ("ordering", None, _) => Ok(State::Ordering { failures }),
        ("valid", None, Some(held)) => Ok(State::Valid { not_after: held.facts.not_after, renew_at: next }),
        ("failed", Some(reason), _) => Ok(State::Failed { reason, next, failures }),
        _ => Err(StoreError::Malformed("state")),
    }
}

fn own(row: &Row<'_>) -> Result<Own, StoreError> {
    let names = |text: &str| {
        let names = serde_json::from_str::<Vec<String>>(text).ok()?;
        names.iter().map(|name| CertName::parse(name).ok()).collect()
    };
    let names = row::parsed(row, "names", row::word(names))?;
    Ok(Own {
        name: row::parsed(row, "name", CertName::parse)?,
        held: held(row, row::number(row, "chain")?, names)?,
        added: row::time(row, "added")?,
    })
}

fn held(row: &Row<'_>, chain: String, names: Vec<CertName>) -> Result<Held, StoreError> {
    let facts = Facts {
        names,
        issuer: row::number(row, "issuer")?,
        not_before: row::time(row, "not_before")?,
        not_after: row::time(row, "not_after")?,
    };
    Ok(Held { facts, chain, key: Sealed(row::number(row, "key")?) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{Fixture, NOW, host};
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn held(names: &[&str], days: u32) -> Held {
        let names = names.iter().map(|name| CertName::parse(name).unwrap()).collect();
        let facts = Facts { names, issuer: "A CA".into(), not_before: NOW, not_after: NOW.after(DAY * days) };
        Held { facts, chain: "chain".into(), key: Sealed(vec![0, 255]) }
    }

    fn valid(held: &Held) -> State {
        State::Valid { not_after: held.facts.not_after, renew_at: NOW.after(DAY) }
    }

    async fn state(store: &Fixture, name: &str) -> State {
        store.reader.certificate(&host(name)).await.unwrap().unwrap().state
    }

    #[tokio::test]
    async fn names_come_and_go_and_what_holds_is_kept_for_when_they_come_back() {
        let store = Fixture::new();
        let want = async |names: &[&str], now| {
            let names = names.iter().map(|name| host(name)).collect();
            store.writer.want_certificates(names, now).await.unwrap()
        };
        let listed = async || {
            let all = store.reader.certificates().await.unwrap();
            all.into_iter().map(|one| one.name.to_string()).collect::<Vec<_>>()
        };
        assert!(want(&["b.test", "a.test"], NOW).await);
        assert!(!want(&["a.test", "b.test"], NOW).await);
        assert_eq!(listed().await, ["a.test", "b.test"]);
        let certificate = held(&["a.test"], 90);
        store
            .writer
            .issue_certificate(&host("a.test"), &valid(&certificate), certificate.clone())
            .await
            .unwrap();
        assert!(want(&[], NOW).await);
        assert_eq!(listed().await, [""; 0]);
        assert_eq!(store.reader.certified_names(NOW).await.unwrap(), []);
        assert!(want(&["a.test", "b.test"], NOW).await);
        assert_eq!(state(&store, "a.test").await, valid(&certificate));
        assert_eq!(state(&store, "b.test").await, State::Queued);
        want(&[], NOW.after(DAY * 91)).await;
        want(&["a.test"], NOW).await;
        assert_eq!(state(&store, "a.test").await, State::Queued);
    }

    #[tokio::test]
    async fn every_state_is_read_as_it_was_stored() {
        let store = Fixture::new();
        let name = host("a.test");
        store.writer.want_certificates(vec![name.clone()], NOW).await.unwrap();
        let certificate = held(&["a.test"], 90);
        store.writer.issue_certificate(&name, &valid(&certificate), certificate.clone()).await.unwrap();
        let failures = Failures { refused: 3, unreachable: 1 };
        for expect in [
            State::Queued,
            State::WaitingForDns { reason: "elsewhere".into(), next: NOW },
            State::Ordering { failures },
            State::Failed { reason: "no".into(), next: NOW, failures },
            valid(&certificate),
        ] {
            store.writer.save_certificate(&name, &expect).await.unwrap();
            let found = store.reader.certificate(&name).await.unwrap().unwrap();
            assert_eq!((found.state, found.held.as_ref()), (expect, Some(&certificate)));
        }
    }

    #[tokio::test]
    async fn orders_are_counted_for_a_day() {
        let store = Fixture::new();
        let name = host("a.test");
        store.writer.want_certificates(vec![name.clone()], NOW).await.unwrap();
        let ordering = State::Ordering { failures: Failures::default() };
        let begin = async |now| store.writer.begin_order(&name, &ordering, now).await.unwrap();
        let hour = |hours: u32| NOW.after(Duration::from_hours(1) * hours);
        for hours in 0..5 {
            assert_eq!(begin(hour(hours)).await, OrderBegun::Yes);
        }
        assert_eq!(begin(hour(6)).await, OrderBegun::Spent { until: hour(24) });
        store.writer.forget_order(&name, hour(4)).await.unwrap();
        assert_eq!(begin(hour(6)).await, OrderBegun::Yes);
        assert_eq!(begin(hour(24)).await, OrderBegun::Yes);
        assert_eq!(begin(hour(24)).await, OrderBegun::Spent { until: hour(25) });
        assert_eq!(state(&store, "a.test").await, ordering);
    }

    #[tokio::test]
    async fn a_person_asks_for_a_new_one_and_has_the_old_one_revoked() {
        let store = Fixture::new();
        let name = host("a.test");
        let ask = async |revoke| store.writer.ask_certificate(&name, revoke).await;
        assert!(matches!(ask(false).await, Err(AskCertificateError::NoName(_))));
        store.writer.want_certificates(vec![name.clone()], NOW).await.unwrap();
        assert!(matches!(ask(true).await, Err(AskCertificateError::NothingHeld(_))));
        let certificate = held(&["a.test"], 90);
        store.writer.issue_certificate(&name, &valid(&certificate), certificate.clone()).await.unwrap();
        ask(true).await.unwrap();
        let found = store.reader.certificate(&name).await.unwrap().unwrap();
        assert_eq!((found.state, found.revoking.as_deref()), (State::Queued, Some("chain")));
        store.writer.revoked_certificate(&name).await.unwrap();
        let ordering = State::Ordering { failures: Failures::default() };
        store.writer.save_certificate(&name, &ordering).await.unwrap();
        assert!(matches!(ask(false).await, Err(AskCertificateError::Illegal(_))));
        assert_eq!(store.reader.certificate(&name).await.unwrap().unwrap().revoking, None);
    }

    #[tokio::test]
    async fn what_was_handed_in_is_listed_and_certifies_its_names_while_it_holds() {
        let store = Fixture::new();
        let own = |names: &[&str], days| Own {
            name: CertName::parse(names[0]).unwrap(),
            held: held(names, days),
            added: NOW,
        };
        let (wild, plain) = (own(&["*.test", "a.org"], 2), own(&["b.test"], 9));
        for one in [&plain, &own(&["*.test"], 1), &wild] {
            store.writer.put_own_certificate(one.clone()).await.unwrap();
        }
        assert_eq!(store.reader.own_certificates().await.unwrap(), [wild.clone(), plain]);
        let certified = async |days| {
            let names = store.reader.certified_names(NOW.after(DAY * days)).await.unwrap();
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(certified(1).await, ["*.test", "a.org", "b.test"]);
        assert_eq!(certified(2).await, ["b.test"]);
        assert!(store.writer.remove_own_certificate(&wild.name).await.unwrap());
        assert!(!store.writer.remove_own_certificate(&wild.name).await.unwrap());
    }

    #[tokio::test]
    async fn challenges_and_accounts_are_kept() {
        let store = Fixture::new();
        for (token, answer) in [("t", "old"), ("t", "t.key"), ("u", "u.key")] {
            store.writer.put_challenge(token.into(), answer.into()).await.unwrap();
        }
        store.writer.drop_challenges(Some("u".into())).await.unwrap();
        let one = BTreeMap::from([("t".to_owned(), "t.key".to_owned())]);
        assert_eq!(store.reader.challenges().await.unwrap(), one);
        store.writer.drop_challenges(None).await.unwrap();
        assert!(store.reader.challenges().await.unwrap().is_empty());

        assert_eq!(store.reader.acme_account("https://a.test").await.unwrap(), None);
        for key in [1, 2] {
            let url = "https://a.test".to_owned();
            store.writer.put_acme_account(url, Sealed(vec![key]), NOW).await.unwrap();
        }
        assert_eq!(store.reader.acme_account("https://a.test").await.unwrap(), Some(Sealed(vec![2])));
    }

    #[tokio::test]
    async fn the_next_key_of_an_account_takes_its_place_or_goes() {
        let store = Fixture::new();
        let url = "https://a.test";
        let keys = async || {
            let (key, next) = (store.reader.acme_account(url).await, store.reader.next_acme_key(url).await);
            [key, next].map(|key| key.unwrap().map(|key| key.0))
        };
        store.writer.put_acme_account(url.to_owned(), Sealed(vec![1]), NOW).await.unwrap();
        store.writer.take_next_acme_key(url).await.unwrap();
        assert_eq!(keys().await, [Some(vec![1]), None]);
        store.writer.put_next_acme_key(url, Some(Sealed(vec![2]))).await.unwrap();
        assert_eq!(keys().await, [Some(vec![1]), Some(vec![2])], "the old one can still be used");
        store.writer.put_next_acme_key(url, None).await.unwrap();
        assert_eq!(keys().await, [Some(vec![1]), None]);
        store.writer.put_next_acme_key(url, Some(Sealed(vec![3]))).await.unwrap();
        store.writer.take_next_acme_key(url).await.unwrap();
        assert_eq!(keys().await, [Some(vec![3]), None]);
        store.writer.put_next_acme_key(url, Some(Sealed(vec![4]))).await.unwrap();
        store.writer.put_acme_account(url.to_owned(), Sealed(vec![5]), NOW).await.unwrap();
        assert_eq!(keys().await, [Some(vec![5]), None], "another account has nothing of it");
    }
}
