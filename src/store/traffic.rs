//! What the proxy does with the requests of an app or a service, as the JSON that stands in a column. What is not there is the
//! default; each option is the text that its own grammar reads.

use rusqlite::Transaction;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;
use super::{route, row};
use crate::domain::domain::Behind;
use crate::domain::name::{InvalidName, Slug};
use crate::domain::traffic::{
    BodyLimit, FieldChange, Hsts, Notice, Protocol, Redirect, Span, Traffic, User, UserName, parse_network,
};

/// Why it could not be stored.
#[derive(Debug, Error)]
pub enum SetTrafficError {
    /// There is no such app or service.
    #[error("there is no such {0}")]
    Nothing(&'static str),
    /// It is being deleted.
    #[error("the {0} {1} is being deleted: it can be changed no more")]
    Deleting(&'static str, Slug),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Stores what is done with the requests of an app or a service from now on.
    pub async fn set_traffic(&self, of: Behind, traffic: Traffic) -> Result<(), SetTrafficError> {
        self.write(move |tx| set(tx, of, &traffic)).await
    }
}

impl Reader {
    /// What is done with the requests of an app or a service; none: there is none such.
    pub async fn traffic(&self, of: Behind) -> Result<Option<Traffic>, StoreError> {
        self.read(move |tx| {
            let (table, id) = place(of);
            let sql = format!("SELECT traffic FROM {table} WHERE id = ?1");
            row::first(tx, &sql, [id], |row| row::parsed(row, "traffic", from_json))
        })
        .await
    }
}

/// The table of an app or a service, and its number there.
fn place(of: Behind) -> (&'static str, i64) {
    match of {
        Behind::App(id) => ("app", id.0),
        Behind::Service(id) => ("service", id.0),
    }
}

fn set(tx: &Transaction<'_>, of: Behind, traffic: &Traffic) -> Result<(), SetTrafficError> {
    let (table, id) = place(of);
    let sql = format!("SELECT slug, deleting, live IS NOT NULL AS is_live FROM {table} WHERE id = ?1");
    let found = row::first(tx, &sql, [id], |row| {
        let slug = row::parsed(row, "slug", Slug::parse)?;
        Ok((slug, row::number::<bool>(row, "deleting")?, row::number::<bool>(row, "is_live")?))
    })?;
    let (slug, deleting, is_live) = found.ok_or(SetTrafficError::Nothing(table))?;
    if deleting {
        return Err(SetTrafficError::Deleting(table, slug));
    }
    let sql = format!("UPDATE {table} SET traffic = ?2 WHERE id = ?1 AND traffic <> ?2");
    let changed = tx.execute(&sql, (id, to_json(traffic)?)).map_err(StoreError::from)?;
    if changed > 0 && is_live {
        route::bump(tx)?;
    }
    Ok(())
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    body_limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hsts: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    redirects: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    request_fields: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    response_fields: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<StoredUser>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sticky: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredUser {
    name: String,
    hash: String,
}

fn to_json(traffic: &Traffic) -> Result<String, StoreError> {
    let Traffic {
        body_limit,
        answer_timeout,
        hsts,
        redirects,
        request_fields,
        response_fields,
        users,
        allow,
        maintenance,
        sticky,
        protocol,
    } = traffic;
    let user = |User { name, hash }: &User| StoredUser { name: name.to_string(), hash: hash.clone() };
    let stored = Stored {
        body_limit: body_limit.map(|limit| limit.to_string()),
        answer_timeout: answer_timeout.map(|timeout| timeout.to_string()),
        hsts: hsts.map(|hsts| hsts.to_string()),
        redirects: redirects.iter().map(ToString::to_string).collect(),
        request_fields: request_fields.iter().map(ToString::to_string).collect(),
        response_fields: response_fields.iter().map(ToString::to_string).collect(),
        users: users.iter().map(user).collect(),
        allow: allow.iter().map(ToString::to_string).collect(),
        maintenance: maintenance.as_ref().map(ToString::to_string),
        sticky: *sticky,
        protocol: (*protocol != Protocol::default()).then(|| protocol.to_string()),
    };
    serde_json::to_string(&stored).map_err(|_| StoreError::Malformed("traffic"))
}

/// From JSON; the error names no value, for one may be the hash of a password.
pub(super) fn from_json(text: &str) -> Result<Traffic, StoreError> {
    let stored = serde_json::from_str(text).map_err(|_| StoreError::Malformed("traffic"))?;
    read(stored).map_err(|_| StoreError::Malformed("traffic"))
}

fn read(stored: Stored) -> Result<Traffic, InvalidName> {
    let Stored {
        body_limit,
        answer_timeout,
        hsts,
        redirects,
        request_fields,
        response_fields,
        users,
        allow,
        maintenance,
        sticky,
        protocol,
    } = stored;
    let user = |StoredUser { name, hash }: &StoredUser| {
        UserName::parse(name).map(|name| User { name, hash: hash.clone() })
    };
    Ok(Traffic {
        body_limit: body_limit.as_deref().map(BodyLimit::parse).transpose()?,
        answer_timeout: answer_timeout.as_deref().map(Span::parse).transpose()?,
        hsts: hsts.as_deref().map(Hsts::parse).transpose()?,
        redirects: redirects.iter().map(|text| Redirect::read(text)).collect::<Result<_, _>>()?,
        request_fields: request_fields
            .iter()
            .map(|text| FieldChange::parse(text))
            .collect::<Result<_, _>>()?,
        response_fields: response_fields
            .iter()
            .map(|text| FieldChange::parse(text))
            .collect::<Result<_, _>>()?,
        users: users.iter().map(user).collect::<Result<_, _>>()?,
        allow: allow.iter().map(|text| parse_network(text)).collect::<Result<_, _>>()?,
        maintenance: maintenance.as_deref().map(Notice::parse).transpose()?,
        sticky,
        protocol: protocol.as_deref().map(Protocol::parse).transpose()?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, host};
    use super::*;

    fn everything() -> Traffic {
        Traffic {
            body_limit: Some(BodyLimit::parse("10M").unwrap()),
            answer_timeout: Some(Span::parse("90s").unwrap()),
            hsts: Some(Hsts::parse("365d,subdomains").unwrap()),
            redirects: vec![Redirect::parse("^/old/(.*)$=/new/$1 301").unwrap()],
            request_fields: vec![FieldChange::parse("X-Env: a=\"b\"").unwrap()],
            response_fields: vec![FieldChange::parse("Server:").unwrap()],
            users: vec![User { name: UserName::parse("ada").unwrap(), hash: "$argon2id$x".to_owned() }],
            allow: vec![parse_network("192.0.2.0/24").unwrap(), parse_network("::1").unwrap()],
            maintenance: Some(Notice::parse("Back\nat noon").unwrap()),
            sticky: true,
            protocol: Protocol::H2c,
        }
    }

    #[test]
    fn every_option_is_read_as_it_was_stored() {
        let text = to_json(&everything()).unwrap();
        assert_eq!(from_json(&text).unwrap(), everything());
        assert_eq!(to_json(&Traffic::default()).unwrap(), "{}", "defaults take no room");
        assert_eq!(from_json("{}").unwrap(), Traffic::default());
        for bad in [
            "",
            "1",
            &text.replace("10M", "1"),
            &text.replace("90s", "90x"),
            &text.replace("192.0.2.0/24", "192.0.2.0/33"),
            &text.replace("h2c", "h3"),
            &text.replacen('{', "{\"extra\":1,", 1),
        ] {
            assert!(matches!(from_json(bad), Err(StoreError::Malformed("traffic"))), "{bad}");
        }
    }

    #[tokio::test]
    async fn it_reaches_the_routes_at_once_and_belongs_to_no_release() {
        let store = Fixture::new();
        let blog = store.app("blog").await;
        assert_eq!(store.reader.traffic(Behind::App(blog.id)).await.unwrap(), Some(Traffic::default()));
        store.writer.set_automatic_host(blog.id, Some(host("blog.test"))).await.unwrap();
        store
            .writer
            .set_traffic(Behind::App(blog.id), Traffic { sticky: true, ..Traffic::default() })
            .await
            .unwrap();
        store.live(&blog).await;
        let before = store.reader.routes().await.unwrap();
        assert!(before.routes[0].traffic.sticky);
        store.writer.set_traffic(Behind::App(blog.id), everything()).await.unwrap();
        let after = store.reader.routes().await.unwrap();
        assert_eq!((after.generation, &after.routes[0].traffic), (before.generation + 1, &everything()));
        store.writer.set_traffic(Behind::App(blog.id), everything()).await.unwrap();
        assert_eq!(store.reader.routes().await.unwrap().generation, after.generation, "nothing changed");
        store.live(&blog).await;
        assert_eq!(store.reader.routes().await.unwrap().routes[0].traffic, everything());

        store.writer.begin_deletion(blog.id, false).await.unwrap();
        let refused = store.writer.set_traffic(Behind::App(blog.id), Traffic::default()).await.unwrap_err();
        assert!(matches!(refused, SetTrafficError::Deleting("app", _)));
    }
}
