//! What was done, by whom: rows that are added at the end and swept from the beginning, each bound to the one before.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, Transaction, params_from_iter};
use sha2::{Digest, Sha256};

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::person::{TeamId, UserId};
use crate::domain::time::Timestamp;

/// What was before or is after, at most, in bytes of JSON; longer ones are left out.
const VALUE_MAX: usize = 64 * 1024;
/// The longest text of any other column, in characters.
const TEXT_MAX: usize = 500;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// By whom, in words.
    pub actor: String,
    /// By which user, if it was one.
    pub user: Option<UserId>,
    /// The team that it is about, if it is about one.
    pub team: Option<TeamId>,
    /// From where.
    pub address: Option<String>,
    /// The number of the request.
    pub request: Option<String>,
    /// What: `app.deleted`.
    pub action: String,
    /// To what.
    pub object: String,
    /// What it was before, as JSON without secrets.
    pub before: Option<String>,
    /// What it is now.
    pub after: Option<String>,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number.
    pub id: i64,
    /// What was done.
    pub entry: Entry,
    /// What binds it to the one before.
    pub hash: [u8; 32],
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those about these teams; none: all, the instance's own too.
    pub teams: Option<Vec<TeamId>>,
    /// Also those that this user has done, whatever they are about.
    pub or_by: Option<UserId>,
    /// None of those about these teams, whoever did it.
    pub without: Vec<TeamId>,
    /// Only by this user.
    pub user: Option<UserId>,
    /// Only actions that begin so.
    pub action: Option<String>,
    /// Only objects in whose words this stands.
    pub object: Option<String>,
    /// Only from then on.
    pub since: Option<Timestamp>,
    /// Only before then.
    pub until: Option<Timestamp>,
}

/// What looking through the audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// Every row is as it was written.
    Whole {
        /// How many there are.
        rows: u64,
        /// The hash of the last one: noted elsewhere, it shows whether the end was cut off.
        last: [u8; 32],
    },
    /// This row is not, or the one before it is missing.
    BrokenAt(i64),
}

impl Writer {
    /// Adds an entry; its number.
    pub async fn append_audit(&self, entry: Entry) -> Result<i64, StoreError> {
        self.write(move |tx| append(tx, cut(entry))).await
    }

    /// Sweeps away what was done before `until`; how many.
    pub async fn sweep_audit(&self, until: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| {
            // By number, so that what is left goes on without a gap also where the clock was set back.
            let sql = "SELECT id, hash FROM audit WHERE id < \
                       ifnull((SELECT min(id) FROM audit WHERE at >= ?1), (SELECT max(id) + 1 FROM audit)) \
                       ORDER BY id DESC LIMIT 1";
            let last = row::first(tx, sql, [until.0], |row| {
                Ok((row::number::<i64>(row, "id")?, row::number::<[u8; 32]>(row, "hash")?))
            })?;
            let Some((last, hash)) = last else { return Ok(0) };
            tx.execute("UPDATE audit_start SET last = ?1, hash = ?2", (last, hash.as_slice()))?;
            Ok(tx.execute("DELETE FROM audit WHERE id <= ?1", [last])?)
        })
        .await
    }
}

impl Reader {
    /// Entries, the last one first; only those with a smaller number than `before`.
    pub async fn audit(
        &self,
        filter: AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.read(move |tx| select(tx, &filter, before, limit)).await
    }

    /// Looks through all of it.
    pub async fn verify_audit(&self) -> Result<Chain, StoreError> {
        self.read(|tx| verify(tx)).await
    }
}

/// Adds an entry, in the transaction at hand.
fn append(tx: &Transaction<'_>, entry: Entry) -> Result<i64, StoreError> {
    let (last, before) = end(tx)?;
    let id = last + 1;
    let hash = hash(&before, id, &entry)?;
    let Entry { at, actor, user, team, address, request, action, object, before, after } = entry;
    tx.prepare_cached(
        "INSERT INTO audit (id, at, actor, user, team, address, request, action, object, before, after, hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute((
        id,
        at.0,
        actor,
        user.map(|user| user.0),
        team.map(|team| team.0),
        address,
        request,
        action,
        object,
        before,
        after,
        hash.as_slice(),
    ))?;
    Ok(id)
}

/// The number and the hash of the last row, or of what was swept away last.
fn end(connection: &Connection) -> Result<(i64, [u8; 32]), StoreError> {
    let read = |row: &Row<'_>| Ok((row::number(row, "id")?, row::number(row, "hash")?));
    if let Some(end) =
        row::first(connection, "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1", [], read)?
    {
        return Ok(end);
    }
    start(connection)
}

fn start(connection: &Connection) -> Result<(i64, [u8; 32]), StoreError> {
    let read = |row: &Row<'_>| Ok((row::number(row, "last")?, row::number(row, "hash")?));
    let start = row::first(connection, "SELECT last, hash FROM audit_start", [], read)?;
    start.ok_or(StoreError::Malformed("audit_start"))
}

fn verify(connection: &Connection) -> Result<Chain, StoreError> {
    let (mut last, mut before) = start(connection)?;
    let mut rows = 0;
    let mut statement = connection.prepare("SELECT * FROM audit ORDER BY id")?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let AuditRow { id, entry, hash: stored } = read(row)?;
        if id != last + 1 || hash(&before, id, &entry)? != stored {
            return Ok(Chain::BrokenAt(id));
        }
        (last, before) = (id, stored);
        rows += 1;
    }
    Ok(Chain::Whole { rows, last: before })
}

/// Over what came before and every column, each with its place.
fn hash(before: &[u8; 32], id: i64, entry: &Entry) -> Result<[u8; 32], StoreError> {
    let Entry { at, actor, user, team, address, request, action, object, before: was, after } = entry;
    let (user, team) = (user.map(|user| user.0), team.map(|team| team.0));
    let columns = (id, at.0, actor, user, team, address, request, action, object, was, after);
    let columns = serde_json::to_vec(&columns).map_err(|_| StoreError::Malformed("audit"))?;
    Ok(Sha256::new().chain_update(before).chain_update(columns).finalize().into())
}

fn select(
    connection: &Connection,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<AuditRow>, StoreError> {
    let AuditFilter { teams, or_by, without, user, action, object, since, until } = filter;
    let mut params: Vec<Value> = Vec::new();
    let mut all = vec!["1".to_owned()];
    let mut put = |value: Value| {
        params.push(value);
        format!("?{}", params.len())
    };
    if let Some(teams) = teams {
        let marks: Vec<String> = teams.iter().map(|team| put(Value::Integer(team.0))).collect();
        let own = or_by.map_or("0".to_owned(), |user| format!("user = {}", put(Value::Integer(user.0))));
        all.push(format!("(team IN ({}) OR {own})", marks.join(", ")));
    }
    for team in without {
        all.push(format!("team IS NOT {}", put(Value::Integer(team.0))));
    }
    if let Some(user) = user {
        all.push(format!("user = {}", put(Value::Integer(user.0))));
    }
    if let Some(action) = action {
        let mark = put(Value::Text(action.clone()));
        all.push(format!("substr(action, 1, length({mark})) = {mark}"));
    }
    if let Some(object) = object {
        all.push(format!("instr(object, {}) > 0", put(Value::Text(object.clone()))));
    }
    if let Some(since) = since {
        all.push(format!("at >= {}", put(Value::Integer(since.0))));
    }
    if let Some(until) = until {
        all.push(format!("at < {}", put(Value::Integer(until.0))));
    }
    if let Some(before) = before {
        all.push(format!("id < {}", put(Value::Integer(before))));
    }
    let limit = put(Value::Integer(limit.into()));
    let sql = format!("SELECT * FROM audit WHERE {} ORDER BY id DESC LIMIT {limit}", all.join(" AND "));
    row::all(connection, &sql, params_from_iter(params), read)
}

fn read(row: &Row<'_>) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        id: row::number(row, "id")?,
        entry: Entry {
            at: row::time(row, "at")?,
            actor: row::number(row, "actor")?,
            user: row::number::<Option<i64>>(row, "user")?.map(UserId),
            team: row::number::<Option<i64>>(row, "team")?.map(TeamId),
            address: row::number(row, "address")?,
            request: row::number(row, "request")?,
            action: row::number(row, "action")?,
            object: row::number(row, "object")?,
            before: row::number(row, "before")?,
            after: row::number(row, "after")?,
        },
        hash: row::number(row, "hash")?,
    })
}

/// What somebody chose the length of has a bound.
fn cut(entry: Entry) -> Entry {
    let text = |text: String| text.chars().take(TEXT_MAX).collect::<String>();
    let value = |value: Option<String>| {
        value.map(|json| {
            if json.len() > VALUE_MAX { format!("{{\"left_out_bytes\":{}}}", json.len()) } else { json }
        })
    };
    Entry {
        actor: text(entry.actor),
        address: entry.address.map(text),
        request: entry.request.map(text),
        action: text(entry.action),
        object: text(entry.object),
        before: value(entry.before),
        after: value(entry.after),
        ..entry
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, NOW};
    use super::*;

    fn entry(action: &str, team: Option<i64>, at: i64) -> Entry {
        Entry {
            at: Timestamp(NOW.0 + at),
            actor: "ada".to_owned(),
            user: Some(UserId(1)),
            team: team.map(TeamId),
            address: Some("192.0.2.7".to_owned()),
            request: None,
            action: action.to_owned(),
            object: "app blog".to_owned(),
            before: None,
            after: Some("{\"port\":8080}".to_owned()),
        }
    }

    async fn filled() -> Fixture {
        let store = Fixture::new();
        for (index, action) in ["app.created", "app.changed", "app.deleted", "token.made"].iter().enumerate()
        {
            let index = i64::try_from(index).unwrap();
            store.writer.append_audit(entry(action, (index < 2).then_some(index), index)).await.unwrap();
        }
        store
    }

    async fn ids(store: &Fixture, filter: AuditFilter) -> Vec<i64> {
        let rows = store.reader.audit(filter, None, 10).await.unwrap();
        rows.into_iter().map(|row| row.id).collect()
    }

    #[tokio::test]
    async fn entries_are_found_by_what_is_asked_for() {
        let store = filled().await;
        let all = AuditFilter::default;
        assert_eq!(ids(&store, all()).await, [4, 3, 2, 1]);
        let teams = |teams: &[i64]| Some(teams.iter().map(|team| TeamId(*team)).collect());
        assert_eq!(ids(&store, AuditFilter { teams: teams(&[1]), ..all() }).await, [2]);
        assert_eq!(ids(&store, AuditFilter { teams: teams(&[]), ..all() }).await, [0; 0]);
        let others = AuditFilter { without: vec![TeamId(1)], ..all() };
        assert!(!ids(&store, others).await.contains(&2));
        let mine = AuditFilter { teams: teams(&[]), or_by: Some(UserId(1)), ..all() };
        assert_eq!(ids(&store, mine).await.len(), 4);
        assert_eq!(ids(&store, AuditFilter { action: Some("app.".to_owned()), ..all() }).await, [3, 2, 1]);
        assert_eq!(ids(&store, AuditFilter { action: Some("app._".to_owned()), ..all() }).await, [0; 0]);
        assert_eq!(ids(&store, AuditFilter { object: Some("blog".to_owned()), ..all() }).await.len(), 4);
        assert_eq!(ids(&store, AuditFilter { user: Some(UserId(2)), ..all() }).await, [0; 0]);
        let since =
            AuditFilter { since: Some(Timestamp(NOW.0 + 1)), until: Some(Timestamp(NOW.0 + 3)), ..all() };
        assert_eq!(ids(&store, since).await, [3, 2]);
        let page = store.reader.audit(all(), Some(3), 1).await.unwrap();
        assert_eq!((page.len(), page[0].id, &page[0].entry), (1, 2, &entry("app.changed", Some(1), 1)));
    }

    #[tokio::test]
    async fn what_is_swept_leaves_a_chain_and_what_is_changed_does_not() {
        let store = filled().await;
        let verify = || async { store.reader.verify_audit().await.unwrap() };
        assert!(matches!(verify().await, Chain::Whole { rows: 4, .. }));
        assert_eq!(store.writer.sweep_audit(Timestamp(NOW.0 + 2)).await.unwrap(), 2);
        assert_eq!(store.writer.sweep_audit(Timestamp(NOW.0 + 2)).await.unwrap(), 0);
        assert!(matches!(verify().await, Chain::Whole { rows: 2, .. }));
        assert_eq!(store.writer.sweep_audit(Timestamp(NOW.0 + 100)).await.unwrap(), 2);
        assert!(matches!(verify().await, Chain::Whole { rows: 0, .. }));
        assert_eq!(store.writer.append_audit(entry("x", None, 9)).await.unwrap(), 5, "numbers go on");
        store.writer.append_audit(entry("y", None, 10)).await.unwrap();
        assert!(matches!(verify().await, Chain::Whole { rows: 2, .. }));

        // rivetr itself cannot change it; somebody with the file can, and that is seen.
        for sql in ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit WHERE id = 6", "DELETE FROM audit"] {
            let refused = store.writer.write(move |tx| Ok::<_, StoreError>(tx.execute(sql, [])?)).await;
            assert!(refused.is_err(), "{sql}");
        }
        for (sql, broken) in [
            ("UPDATE audit SET actor = 'eve' WHERE id = 6", 6),
            ("UPDATE audit SET object = actor, actor = object WHERE id = 6", 6),
            ("UPDATE audit SET team = 1 WHERE id = 5", 5),
            ("DELETE FROM audit WHERE id = 5", 6),
            // A row that was made anew for what came before binds no longer.
            ("UPDATE audit_start SET hash = zeroblob(32)", 5),
        ] {
            let triggers = "DROP TRIGGER IF EXISTS audit_is_not_changed; \
                            DROP TRIGGER IF EXISTS audit_is_swept_from_its_beginning; SAVEPOINT before;";
            let seen = store
                .writer
                .write(move |tx| {
                    tx.execute_batch(&format!("{triggers} {sql}"))?;
                    let seen = super::verify(tx)?;
                    tx.execute_batch("ROLLBACK TO before")?;
                    Ok::<_, StoreError>(seen)
                })
                .await;
            assert_eq!(seen.unwrap(), Chain::BrokenAt(broken), "{sql}");
        }
    }

    #[tokio::test]
    async fn what_is_long_is_cut() {
        let store = Fixture::new();
        let long = "x".repeat(100_000);
        let entry = Entry { object: long.clone(), after: Some(format!("\"{long}\"")), ..entry("a", None, 0) };
        store.writer.append_audit(entry).await.unwrap();
        let row = store.reader.audit(AuditFilter::default(), None, 1).await.unwrap().remove(0);
        assert_eq!(row.entry.object.len(), TEXT_MAX);
        assert_eq!(row.entry.after.as_deref(), Some("{\"left_out_bytes\":100002}"));
    }
}
