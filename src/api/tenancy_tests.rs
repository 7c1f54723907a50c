//! Every route of the table, times every role, times one's own object and another team's. The routes are the table's,
//! with its patterns and its rules; in the place of each handler stands what its first argument lets in.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::around::{Numbers, around};
use super::table;
use super::wire::CreateApp;
use crate::auth::gate::{Access, Administer, Authorized, Deploy, Lead, Manage, Oneself, Own, Read, Rule};
use crate::auth::subject::{self, Subject};
use crate::auth::{Auth, Browser, Origin, Owner, Peer, SignedIn, Times, Visitor};
use crate::domain::deployment::Trigger;
use crate::domain::name::Slug;
use crate::domain::person::{Login, Role, TeamId};
use crate::domain::right::{Right, Scope};
use crate::domain::time::Timestamp;
use crate::store::{self, Object, Reader, SubnetPool, Wish, Writer};
use crate::vault::{KeyRing, Sealing, Vault};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const PASSWORD: &str = "correct horse battery";

/// The names of a team's objects, as they stand in addresses.
type Objects = BTreeMap<Object, String>;

struct Fixture {
    auth: Auth,
    reader: Reader,
    writer: Writer,
    router: Router,
    folder: tempfile::TempDir,
}

/// A credential that a request may show.
#[derive(Clone)]
enum Shown {
    Nothing,
    Token(String),
    /// What the pages put in the place of a cookie.
    Cookie(Browser),
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

async fn needs<R: Rule>(_: Authorized<R>) -> &'static str {
    "ok"
}

async fn oneself(_: Oneself) -> &'static str {
    "ok"
}

fn handler(access: Access, method: MethodFilter) -> Option<MethodRouter<Auth>> {
    Some(match access {
        Access::Open => return None,
        Access::Oneself => on(method, oneself),
        Access::Needs(Right::Read) => on(method, needs::<Read>),
        Access::Needs(Right::Deploy) => on(method, needs::<Deploy>),
        Access::Needs(Right::Manage) => on(method, needs::<Manage>),
        Access::Needs(Right::Lead) => on(method, needs::<Lead>),
        Access::Needs(Right::Own) => on(method, needs::<Own>),
        Access::Needs(Right::Administer) => on(method, needs::<Administer>),
    })
}

/// Every route that wants to know who asks.
fn guarded() -> Vec<(Method, &'static str, Access)> {
    let routes = table().into_iter().filter(|route| route.access != Access::Open);
    routes
        .map(|route| {
            let method = serde_json::to_value(&route.method).unwrap();
            let method = method.as_str().unwrap().to_uppercase().parse().unwrap();
            (method, route.path, route.access)
        })
        .collect()
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let (writer, reader) = store::open(&path.join("rivetr.db"), &path.join("backup"), NOW).unwrap();
        let owner = Owner { uid: 990, name: "rivetr".to_owned() };
        let sealing = Sealing::new(Vault::new(&KeyRing::generate().unwrap()));
        let auth = Auth::new(owner, reader.clone(), writer.clone(), sealing, || NOW, Times::default());
        let mut router = Router::new();
        for (method, path, access) in guarded() {
            let method = MethodFilter::try_from(method).unwrap();
            router = router.route(path, handler(access, method).unwrap());
        }
        let router = router.layer(from_fn_with_state(Numbers::new(1), around)).with_state(auth.clone());
        Self { auth, reader, writer, router, folder }
    }

    /// A team with one object of each kind.
    async fn team(&self, name: &str) -> (TeamId, Objects) {
        let team = self.writer.create_team(slug(name), None, NOW).await.unwrap().id;
        let pool = SubnetPool::parse("10.90.0.0/16").unwrap();
        let project = slug(&format!("{name}-project"));
        let environments = vec![slug("production")];
        self.writer.create_project(team, project.clone(), environments, pool).await.unwrap();
        let new = CreateApp {
            name: format!("{name}-app"),
            project: Some(project.to_string()),
            hosts: vec![format!("{name}.example.org")],
            ..CreateApp::default()
        };
        let app = self.writer.create_app(new.parse().unwrap(), None, NOW).await.unwrap();
        let deployment =
            self.writer.enqueue(app.id, Wish::of(Trigger::Request), NOW).await.unwrap().deployment;
        let database = self.database();
        database
            .execute(
                "INSERT INTO key (name, public, private, created, team) VALUES (?1, 'x', x'00', 0, ?2)",
                (format!("{name}-key"), team.0),
            )
            .unwrap();
        database
            .execute(
                "INSERT INTO webhook_delivery (app, provider, event, received, verdict, reason) \
                 VALUES (?1, 'github', 'push', 0, 'refused', '')",
                [app.id.0],
            )
            .unwrap();
        let delivery = database.last_insert_rowid();
        let sql = "INSERT INTO backup (subject, name, team, reason, place, form, recipient, created, state, \
                   failure) VALUES ('database/1', 'x', ?1, 'asked', 'disk', 'sql', 'age1', 0, 'failed', 'x')";
        database.execute(sql, [team.0]).unwrap();
        let backup = database.last_insert_rowid();
        let [_, trashed] = [None, Some(0)].map(|deleted: Option<i64>| {
            let sql = "INSERT INTO database (slug, project, kind, image, user, name, password, root_password, volume, \
                       created, deleted) SELECT ?1, id, 'postgres', 'postgres:17', 'u', 'd', x'00', x'00', ?2, 0, ?3 \
                       FROM project WHERE slug = ?4";
            let volume = format!("{name}-{deleted:?}");
            database.execute(sql, (format!("{name}-database"), volume, deleted, project.as_str())).unwrap();
            database.last_insert_rowid()
        });
        let objects = BTreeMap::from([
            (Object::Backup, backup.to_string()),
            (Object::App, app.slug.to_string()),
            (Object::Repository, format!("{}.git", app.slug)),
            (Object::Deployment, deployment.id.0.to_string()),
            (Object::Project, project.to_string()),
            (Object::Volume, format!("rivetr-vol-{}-data", app.slug)),
            (Object::Database, format!("{name}-database")),
            (Object::TrashedDatabase, trashed.to_string()),
            (Object::Domain, app.domains[0].id.0.to_string()),
            (Object::Delivery, delivery.to_string()),
            (Object::Certificate, format!("{name}.example.org")),
            (Object::Key, format!("{name}-key")),
            (Object::Team, name.to_owned()),
        ]);
        (team, objects)
    }

    fn database(&self) -> rusqlite::Connection {
        let database = rusqlite::Connection::open(self.folder.path().join("rivetr.db")).unwrap();
        database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        database
    }

    async fn token(&self, login: &str, part: Option<(TeamId, Role)>, scope: Scope) -> Shown {
        let login = Login::parse(login).unwrap();
        let user = match self.reader.user(&login).await.unwrap() {
            Some(account) => account.user.id,
            None => self.writer.create_user(login, None, part, false, NOW).await.unwrap().id,
        };
        let made = self.auth.create_token_of(Some(user), None, "test".to_owned(), scope, 1).await.unwrap();
        Shown::Token(made.1.reveal().to_owned())
    }

    async fn ask(&self, method: &Method, path: &str, shown: &Shown) -> (u16, String) {
        let mut request =
            Request::builder().method(method).uri(path).extension(Peer::Tcp).body(Body::empty()).unwrap();
        match shown {
            Shown::Nothing => {}
            Shown::Token(token) => {
                let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
                request.headers_mut().insert(AUTHORIZATION, field);
            }
            Shown::Cookie(browser) => {
                request.extensions_mut().insert(browser.clone());
            }
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// All that is stored but the audit, as text.
    fn everything(&self) -> String {
        let database = self.database();
        let mut names = database
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'audit' ORDER BY 1")
            .unwrap();
        let names: Vec<String> =
            names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let mut text = String::new();
        for name in names {
            let mut rows = database.prepare(&format!("SELECT * FROM {name} ORDER BY 1")).unwrap();
            let columns = rows.column_count();
            let mut rows = rows.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                text.push_str(&name);
                for column in 0..columns {
                    write!(text, " {:?}", row.get_ref(column).unwrap()).unwrap();
                }
                text.push('\n');
            }
        }
        text
    }
}

/// An address of a pattern: its first parameter is `name`, all others stand for something.
fn address(pattern: &str, name: &str) -> String {
    let mut first = true;
    let words = pattern.split('/').map(|word| match word.strip_prefix('{') {
        Some(_) if first => {
            first = false;
            name
        }
        Some(_) => "x",
        None => word,
    });
    words.collect::<Vec<_>>().join("/")
}

/// What a caller with this part in the team, and nothing else, is answered at its own object.
fn expected(subject: Subject, access: Access, role: Option<Role>, scope: Scope) -> u16 {
    let allowed = match (access, subject) {
        (Access::Open, _) => true,
        (Access::Oneself, _) => scope == Scope::Admin,
        (Access::Needs(_), Subject::Instance) => false,
        (Access::Needs(right), subject) => {
            let by_role = role.is_some_and(|role| role.allows(right));
            // The lists of who is in no team are empty, and theirs.
            let list = subject == Subject::Own && right == Right::Read;
            (by_role || list) && scope.allows(right)
        }
    };
    if allowed { 200 } else { 403 }
}

#[test]
fn every_route_says_what_it_is_about() {
    let silent: Vec<_> = guarded().into_iter().filter(|(_, path, _)| subject::of(path).is_none()).collect();
    assert!(silent.is_empty(), "no row in auth/subject.rs: {silent:?}");
}

#[tokio::test]
async fn every_route_times_every_role_times_whose_object_it_is() {
    let fixture = Fixture::new();
    let (mine, own) = fixture.team("mine").await;
    let (_, foreign) = fixture.team("other").await;
    let mut callers = vec![(None, Scope::Admin, fixture.token("nobody", None, Scope::Admin).await)];
    for role in Role::ALL {
        let login = format!("the-{role}");
        for scope in Scope::ALL {
            callers.push((Some(role), scope, fixture.token(&login, Some((mine, role)), scope).await));
        }
    }
    for (_, _, shown) in &callers {
        // Its first use is noted, and no further one within the minute.
        fixture.ask(&Method::GET, "/api/me", shown).await;
    }
    let before = fixture.everything();
    let mut objects = 0;
    for (method, pattern, access) in guarded() {
        let subject = subject::of(pattern).unwrap();
        for (role, scope, shown) in &callers {
            let who = format!("{method} {pattern} by {role:?} with {scope}");
            let expect = expected(subject, access, *role, *scope);
            let Subject::Of(object) = subject else {
                let (status, _) = fixture.ask(&method, &address(pattern, "1"), shown).await;
                assert_eq!(status, expect, "{who}");
                continue;
            };
            objects += 1;
            let (status, _) = fixture.ask(&method, &address(pattern, &own[&object]), shown).await;
            assert_eq!(status, if role.is_none() { 404 } else { expect }, "{who}");
            let asked =
                [(foreign[&object].as_str(), "FOREIGN"), ("999999", "FOREIGN"), ("no-such", "FOREIGN")];
            let mut answers = Vec::new();
            for (name, masked) in asked {
                let (status, body) = fixture.ask(&method, &address(pattern, name), shown).await;
                assert_eq!(status, 404, "{who}: {name}");
                let body = body.replace(name, masked);
                answers.push(body.split("\"request\"").next().unwrap().to_owned());
            }
            answers.dedup();
            assert_eq!(answers.len(), 1, "{who}: what is another team's differs from what is not there");
        }
    }
    assert!(objects > 500, "only {objects} objects were asked for");
    assert_eq!(fixture.everything(), before, "something was changed");
}

#[tokio::test]
async fn who_has_not_signed_in_sees_nothing_and_who_administers_the_instance_everything() {
    let fixture = Fixture::new();
    let (_, own) = fixture.team("mine").await;
    let origin = Origin { address: None, agent: String::new() };
    let (secret, _) = fixture.auth.setup_link().await.unwrap();
    let session = fixture.auth.claim_setup(&secret, "root", PASSWORD, &origin).await.unwrap();
    let Some(Visitor::Person(root)) = fixture.auth.session(&session.cookie).await.unwrap() else {
        panic!("not signed in")
    };
    // Somebody whose second factor is missing is nobody to every route.
    fixture.auth.begin_second_factor(&root, PASSWORD, "rivetr", &origin).await.unwrap();
    fixture.database().execute("UPDATE user SET totp_good = 1", []).unwrap();
    let Ok(SignedIn::NeedsSecondFactor(waiting)) = fixture.auth.sign_in("root", PASSWORD, &origin).await
    else {
        panic!("no second factor is asked for")
    };
    let pending = fixture.auth.session(&waiting.cookie).await.unwrap();
    assert!(matches!(pending, Some(Visitor::SecondFactor(_))), "{pending:?}");
    let (token, expired) = fixture.auth.create_token("old".to_owned(), Scope::Admin, 0).await.unwrap();
    assert!(token.is_expired(NOW));
    let nobody = [
        Shown::Nothing,
        Shown::Cookie(Browser(None)),
        Shown::Token("rvt_x".to_owned()),
        Shown::Token(expired.reveal().to_owned()),
    ];
    let root = Shown::Cookie(Browser(Some(root)));
    let read = fixture.auth.create_token("read".to_owned(), Scope::Read, 1).await.unwrap().1;
    let read = Shown::Token(read.reveal().to_owned());
    for (method, pattern, access) in guarded() {
        let name = match subject::of(pattern).unwrap() {
            Subject::Of(object) => own[&object].clone(),
            Subject::Own | Subject::Instance => "1".to_owned(),
        };
        let path = address(pattern, &name);
        for shown in &nobody {
            assert_eq!(fixture.ask(&method, &path, shown).await.0, 401, "{method} {pattern}");
        }
        assert_eq!(fixture.ask(&method, &path, &root).await.0, 200, "{method} {pattern}");
        // A token that reads everything reads, and nothing else.
        let expect = if access == Access::Needs(Right::Read) { 200 } else { 403 };
        assert_eq!(fixture.ask(&method, &path, &read).await.0, expect, "{method} {pattern}");
        assert!(expect == 403 || method == Method::GET, "{method} {pattern} may change something by reading");
    }
}

#[tokio::test]
async fn a_team_that_asks_for_a_second_factor_is_closed_to_who_has_none() {
    let fixture = Fixture::new();
    let (mine, own) = fixture.team("mine").await;
    let owner = fixture.token("ada", Some((mine, Role::Owner)), Scope::Admin).await;
    fixture.ask(&Method::GET, "/api/me", &owner).await;
    let instance = fixture.auth.create_token("instance".to_owned(), Scope::Admin, 1).await.unwrap().1;
    let instance = Shown::Token(instance.reveal().to_owned());
    fixture.writer.require_second_factor(store::By::Instance, mine, true).await.unwrap();
    let ask_all = async |closed: bool| {
        for (method, pattern, access) in guarded() {
            let subject = subject::of(pattern).unwrap();
            let Subject::Of(object) = subject else {
                let (status, body) = fixture.ask(&method, &address(pattern, "1"), &owner).await;
                let role = if closed { None } else { Some(Role::Owner) };
                assert_eq!(
                    status,
                    expected(subject, access, role, Scope::Admin),
                    "{method} {pattern}: {body}"
                );
                continue;
            };
            let path = address(pattern, &own[&object]);
            let (status, body) = fixture.ask(&method, &path, &owner).await;
            if closed {
                assert_eq!(status, 403, "{method} {pattern}");
                // git shows a sentence and no word.
                let told =
                    if pattern.starts_with("/git/") { "second factor" } else { "second_factor_required" };
                assert!(body.contains(told), "{method} {pattern}: {body}");
            } else {
                assert_eq!(
                    status,
                    expected(subject, access, Some(Role::Owner), Scope::Admin),
                    "{method} {pattern}"
                );
            }
            assert_eq!(fixture.ask(&method, &path, &instance).await.0, 200, "{method} {pattern}");
        }
    };
    ask_all(true).await;
    fixture.database().execute("UPDATE user SET totp = x'00', totp_good = 1", []).unwrap();
    ask_all(false).await;
}

#[tokio::test]
async fn a_refusal_is_written_down() {
    let fixture = Fixture::new();
    let (mine, own) = fixture.team("mine").await;
    let viewer = fixture.token("ada", Some((mine, Role::Viewer)), Scope::Admin).await;
    let path = format!("/api/apps/{}", own[&Object::App]);
    assert_eq!(fixture.ask(&Method::DELETE, &path, &viewer).await.0, 403);
    let rows = fixture.reader.audit(store::AuditFilter::default(), None, 10).await.unwrap();
    let refused = rows.iter().find(|row| row.entry.action == "request.refused").unwrap();
    assert_eq!(refused.entry.object, format!("DELETE {path}"));
    assert!(refused.entry.request.is_some() && refused.entry.user.is_some());
}
