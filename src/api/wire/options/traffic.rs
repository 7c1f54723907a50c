//! What the proxy does with the requests of an app, laid over what it did, and as it is shown.

use std::collections::BTreeMap;

use super::super::{FieldErrors, Hidden, NewPassword};
use super::parse::{Form, text};
use super::show;
use super::{Patch, TrafficOptions};
use crate::domain::name::InvalidName;
use crate::domain::secret::Secret;
use crate::domain::traffic::{
    BodyLimit, FieldChange, Hsts, Notice, Protocol, Redirect, Span, Traffic, UserName, parse_network,
    parse_password,
};

/// New passwords, each with the name that it goes with.
type Passwords = Vec<(UserName, Secret)>;

impl TrafficOptions {
    /// What is done from now on, and new passwords; or what is wrong with each field.
    pub fn lay_over(self, mut traffic: Traffic) -> Result<(Traffic, Passwords), FieldErrors> {
        let mut errors = FieldErrors::default();
        let mut form = Form { section: "", errors: &mut errors };
        form.maybe("body_limit", self.body_limit, &mut traffic.body_limit, text(BodyLimit::parse));
        form.maybe("answer_timeout", self.answer_timeout, &mut traffic.answer_timeout, text(answer_timeout));
        form.maybe("hsts", self.hsts, &mut traffic.hsts, text(Hsts::parse));
        form.list("redirects", self.redirects, &mut traffic.redirects, Redirect::parse);
        form.list("request_headers", self.request_headers, &mut traffic.request_fields, FieldChange::parse);
        form.list(
            "response_headers",
            self.response_headers,
            &mut traffic.response_fields,
            FieldChange::parse,
        );
        form.list("allow", self.allow, &mut traffic.allow, parse_network);
        form.maybe("maintenance", self.maintenance, &mut traffic.maintenance, text(Notice::parse));
        form.put("sticky", self.sticky, (&mut traffic.sticky, false), Ok::<_, InvalidName>);
        form.put(
            "protocol",
            self.protocol,
            (&mut traffic.protocol, Protocol::default()),
            text(Protocol::parse),
        );
        let passwords = users(&mut form, self.users, self.passwords, &mut traffic);
        if errors.0.is_empty() { Ok((traffic, passwords)) } else { Err(errors) }
    }

    /// What is done with the requests of an app.
    #[must_use]
    pub fn of(traffic: &Traffic) -> Self {
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
        Self {
            body_limit: show::text(body_limit.as_ref()),
            answer_timeout: show::text(answer_timeout.as_ref()),
            hsts: show::text(hsts.as_ref()),
            redirects: show::list(redirects),
            request_headers: show::list(request_fields),
            response_headers: show::list(response_fields),
            users: show::list(users.iter().map(|user| &user.name)),
            passwords: Patch::Keep,
            allow: show::list(allow),
            maintenance: show::text(maintenance.as_ref()),
            sticky: show::unless(*sticky, false),
            protocol: show::text(Some(protocol).filter(|protocol| **protocol != Protocol::default())),
        }
    }
}

fn answer_timeout(text: &str) -> Result<Span, InvalidName> {
    let span = Span::parse(text)?;
    if span > Traffic::ANSWER_MAX {
        return Err(InvalidName::new("time", text, "an app may take at most 1h to answer"));
    }
    Ok(span)
}

/// Takes users away who are not named any more, and gives the passwords of those who are new or get another.
fn users(
    form: &mut Form<'_>,
    named: Patch<Vec<String>>,
    passwords: Patch<BTreeMap<String, NewPassword>>,
    traffic: &mut Traffic,
) -> Passwords {
    let passwords = match passwords {
        Patch::Set(passwords) => passwords,
        Patch::Keep | Patch::Reset => BTreeMap::new(),
    };
    let mut given = Passwords::new();
    for (name, NewPassword(password)) in passwords {
        let field = format!("passwords.{}", name.chars().take(40).collect::<String>());
        match (UserName::parse(&name), password.map(|Hidden(text)| parse_password(&text)).transpose()) {
            (Err(error), _) => form.wrong(&field, &error),
            (_, Err(why)) => form.wrong(&field, why),
            (Ok(name), Ok(Some(password))) => given.push((name, password)),
            (Ok(name), Ok(None)) => traffic.users.retain(|user| user.name != name),
        }
    }
    match named {
        Patch::Keep => {}
        Patch::Reset => traffic.users.clear(),
        Patch::Set(named) => {
            traffic.users.retain(|user| named.iter().any(|name| name == user.name.as_str()));
            for (index, name) in named.iter().enumerate() {
                let known =
                    traffic.users.iter().map(|user| &user.name).chain(given.iter().map(|(name, _)| name));
                if !known.into_iter().any(|known| known.as_str() == name) {
                    form.wrong(
                        &format!("users[{index}]"),
                        "this user has no password yet: hand one in as well",
                    );
                }
            }
        }
    }
    if traffic.users.len() + given.len() > Traffic::LIST_MAX {
        form.wrong("users", &format!("name at most {}", Traffic::LIST_MAX));
    }
    given
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::traffic::User;

    fn lay_over(said: Value, traffic: &Traffic) -> Result<(Traffic, Passwords), Vec<String>> {
        let form: TrafficOptions = serde_json::from_value(said).unwrap();
        form.lay_over(traffic.clone()).map_err(|errors| errors.0.into_keys().collect())
    }

    fn user(name: &str) -> User {
        User { name: UserName::parse(name).unwrap(), hash: "$argon2id$x".to_owned() }
    }

    #[test]
    fn what_is_shown_can_be_sent_again() {
        let shown = json!({
            "body_limit": "10M", "answer_timeout": "90s", "hsts": "365d,subdomains",
            "redirects": ["^/old/(.*)$=/new/$1", "/a=/b 301"], "request_headers": ["x-env: prod"],
            "response_headers": ["server:"], "users": ["ada"], "allow": ["192.0.2.0/24"], "maintenance": "Back at noon",
            "sticky": true, "protocol": "h2c",
        });
        let before = Traffic { users: vec![user("ada"), user("bob")], ..Traffic::default() };
        let (traffic, passwords) = lay_over(shown.clone(), &before).unwrap();
        assert_eq!(serde_json::to_value(TrafficOptions::of(&traffic)).unwrap(), shown);
        assert_eq!((traffic.users.as_slice(), passwords), (&[user("ada")][..], vec![]));
        let names = shown.as_object().unwrap().keys().chain([&"passwords".to_owned()]).count();
        assert_eq!(names, TrafficOptions::NAMES.len(), "an option is not shown");
        assert_eq!(serde_json::to_value(TrafficOptions::of(&Traffic::default())).unwrap(), json!({}));
        let reset = TrafficOptions::NAMES.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        assert_eq!(lay_over(Value::Object(reset), &traffic).unwrap().0, Traffic::default());
    }

    #[test]
    fn users_come_with_a_password_and_go_by_name() {
        let before = Traffic { users: vec![user("ada"), user("bob")], ..Traffic::default() };
        let (after, given) =
            lay_over(json!({"passwords": {"eve": "correct horse", "bob": null}}), &before).unwrap();
        assert_eq!(after.users, [user("ada")]);
        assert_eq!(given, [(UserName::parse("eve").unwrap(), Secret::from("correct horse"))]);
        let (after, _) =
            lay_over(json!({"users": ["eve"], "passwords": {"eve": "correct horse"}}), &before).unwrap();
        assert_eq!(after.users, []);
        assert_eq!(lay_over(json!({"users": null}), &before).unwrap().0.users, []);
        for (wrong, field) in [
            (json!({"users": ["ada", "eve"]}), "users[1]"),
            (json!({"passwords": {"eve": "short"}}), "passwords.eve"),
            (json!({"passwords": {"a:b": "correct horse"}}), "passwords.a:b"),
        ] {
            assert_eq!(lay_over(wrong, &before).unwrap_err(), [field]);
        }
    }

    #[test]
    fn every_wrong_option_is_named() {
        let wrong = json!({
            "body_limit": "0", "answer_timeout": "2h", "hsts": "never", "redirects": ["/a=/b", "/a"],
            "request_headers": ["Host: x"], "response_headers": ["x"], "allow": ["a.org"], "maintenance": "",
            "protocol": "http3",
        });
        let fields = [
            "allow[0]",
            "answer_timeout",
            "body_limit",
            "hsts",
            "maintenance",
            "protocol",
            "redirects[1]",
            "request_headers[0]",
            "response_headers[0]",
        ];
        assert_eq!(lay_over(wrong, &Traffic::default()).unwrap_err(), fields);
    }
}
