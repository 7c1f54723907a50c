//! Command lines that parse and that do not, and what each command prints and asks for, against a real server.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;
use crate::api::client::testing::Server;

/// What is written, for the test to read.
#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A pipe that nobody reads any more.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

/// A server that answers each request line with its document, and remembers what it was asked and sent.
struct Api {
    server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    fn of(answers: &[(&'static str, &'static str)]) -> Self {
        let (answers, asked) = (answers.to_vec(), Arc::new(Mutex::new(Vec::new())));
        let log = Arc::clone(&asked);
        let handler = move |request: Request| {
            let line = format!("{} {}", request.method(), request.uri());
            let found = answers.iter().find(|(wanted, _)| *wanted == line).map(|(_, answer)| *answer);
            let log = Arc::clone(&log);
            async move {
                let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
                log.lock().unwrap().push(format!("{line} {}", String::from_utf8(body.to_vec()).unwrap()));
                let kind = |kind: &'static str| [("content-type", kind)];
                match found {
                    Some(text) if text.starts_with("id:") || text.starts_with("data:") => {
                        (kind("text/event-stream"), text).into_response()
                    }
                    Some(text) => (kind("application/json"), text).into_response(),
                    None => {
                        let body = r#"{"error":{"code":"not_found","message":"there is no such thing"}}"#;
                        (StatusCode::NOT_FOUND, body).into_response()
                    }
                }
            }
        };
        Self { server: Server::start(Router::new().fallback(handler)), asked }
    }

    async fn run(&self, line: &str) -> (String, Result<(), Failure>) {
        let cli = parse(&format!("rivetr {line}")).unwrap();
        let paper = Paper::default();
        let mut session = Session::new(self.server.client(), cli.global.json, Box::new(paper.clone()));
        let Command::Remote(remote) = cli.command else { panic!("{line} does not go through the API") };
        let outcome = remote.run(&mut session).await;
        let written = paper.0.borrow().clone();
        (String::from_utf8(written).unwrap(), outcome)
    }

    async fn check(&self, line: &str, expect: &str) {
        let (written, outcome) = self.run(line).await;
        assert_eq!((written.as_str(), outcome), (expect, Ok(())), "rivetr {line}");
    }
}

const BLOG: &str = r#"{"id":1,"name":"blog","project":"default","environment":"production","port":8080,"hosts":["blog.example.org","blog.192.0.2.7.sslip.io"],"urls":["http://blog.example.org/","http://blog.192.0.2.7.sslip.io/"],"source":"push","git":null,"image":null,"containerfile":null,"push_url":"http://192.0.2.7/git/blog.git","branch":"main","tag":null,"commit":null,"git_key":null,"git_token":false,"submodules":false,"lfs":false,"env":["A","B"],"health":{"path":"/up"},"replicas":2,"live":42,"release":7,"deleting":false,"created":"2026-11-23T11:00:00.000Z"}"#;
const LIVE: &str = r#"{"id":42,"app":"blog","number":7,"trigger":"push","state":"live","commit":"0123456789abcdef0123456789abcdef01234567","image":null,"failure":null,"created":"2026-11-23T11:24:38.000Z","ended":"2026-11-23T11:25:00.000Z"}"#;
const QUEUED: &str = r#"{"id":43,"app":"blog","number":8,"trigger":"request","state":"queued","commit":null,"image":null,"failure":null,"created":"2026-11-23T11:30:00.000Z","ended":null}"#;
const FAILED: &str = r#"{"id":43,"app":"blog","number":8,"trigger":"request","state":"failed","commit":null,"image":null,"failure":{"during":"checking","reason":"nothing listens on port 8080\nset --port"},"created":"2026-11-23T11:30:00.000Z","ended":"2026-11-23T11:31:00.000Z"}"#;
const HEALTHY: &str =
    r#"{"status":"ok","checks":[{"name":"store","status":"ok","detail":"open","cure":null}]}"#;
const WORRIED: &str = r#"{"status":"warn","checks":[{"name":"disk","status":"warn","detail":"93 % full","cure":"delete what is not needed"}]}"#;
const NOTHING: &str = r#"{"items":[],"next":null}"#;

/// A document made of others; it lives as long as the tests.
fn joined(parts: &[&str]) -> &'static str {
    parts.concat().leak()
}

fn blog_status() -> &'static str {
    let unit =
        r#"{"active_state":"active","sub_state":"running","restarts":2,"since":"2026-11-23T11:25:00.000Z"}"#;
    joined(&["{\"app\":", BLOG, ",\"live\":", LIVE, ",\"latest\":", LIVE, ",\"unit\":", unit, "}"])
}

#[test]
fn the_command_line_is_consistent_and_every_command_has_an_example() {
    fn look(command: &clap::Command) {
        if command.get_subcommands().next().is_none() {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.starts_with("Example"), "{} has no example", command.get_name());
        }
        assert!(command.get_about().is_some(), "{} is not explained", command.get_name());
        command.get_subcommands().for_each(look);
    }
    Cli::command().debug_assert();
    look(&Cli::command());
}

#[test]
#[expect(clippy::too_many_lines, reason = "one line for each command")]
fn good_command_lines() {
    for line in [
        "serve",
        "proxy --config /etc/x.toml",
        "netns",
        "status --json",
        "--json status",
        "requests --json",
        "services domains add shop shop.example.org --container web --port 80 --path /api --strip",
        "services domains add shop www.example.org --redirect-to shop.example.org",
        "services domains set shop shop.example.org/api --strip false",
        "services traffic set shop --maintenance soon",
        "services create shop --repository https://git.example.org/shop.git --tag v1 --submodules --lfs --file a/b.yaml",
        "services source shop --repository git@git.example.org:shop.git --git-key deploys --commit aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "services build-log shop 4 --follow",
        "services diff shop --units",
        "backups take rivetr-vol-blog-data --stop",
        "backups schedule rivetr-svc-shop_data --at hourly --stop",
        "backups restore 12 --new copy_1",
        "backups import rivetr-vol-blog-data data.tar",
        "databases set orders --version 18 --without-backup",
        "drift",
        "drift blog --all --json",
        "drift restore rivetr-app-blog-7.container",
        "drift adopt rivetr-app-blog-7.service",
        "drift ignore rivetr-backup-orders.timer",
        "doctor --repair --yes",
        "doctor --bundle rivetr.tar.zst",
        "apps list --server http://127.0.0.1:7480",
        "apps create blog --port 3000 --host a.example --host b.example --env A=1 --env B== --env-file -",
        "apps create blog --git https://example.org/a.git --branch main --health-path /up --health-timeout 5 --project p",
        "apps create blog --git git@example.org:a.git --git-key deploy --tag v1 --submodules --lfs",
        "apps source blog --git https://example.org/a.git --git-token-file - --git-token-user me --commit aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "apps source blog --branch trunk",
        "keys create deploy --file id",
        "keys list",
        "keys show deploy",
        "keys delete deploy",
        "keys hosts list",
        "keys hosts forget [::1]:2222",
        "apps delete blog --yes",
        "deploy blog --commit 0123456789abcdef0123456789abcdef01234567 --detach",
        "deployments blog --limit 1",
        "logs blog -f -n 10",
        "logs blog --build",
        "logs blog --build 7",
        "cancel 42",
        "projects create shop --environment production --environment staging",
        "projects list --json",
        "projects show shop",
        "projects delete shop",
        "projects environments add shop staging",
        "projects environments delete shop staging",
        "env list blog",
        "env set blog A=1 B== --secret --build --run",
        "env set --project default --environment production A=1",
        "env unset blog A B",
        "env import blog .env --replace",
        "env export --project default",
        "files set blog /etc/x -",
        "files unset blog /etc/x",
        "secrets rotate-key",
        "exec blog -- sh -c true",
        "run blog -- rake db:migrate",
        "rollback blog",
        "rollback blog 7 --detach",
        "restart blog",
        "start blog",
        "stop blog",
        "scale blog 32",
        "apps create blog --replicas 3 --before-switch rake --after-switch warm --command-timeout 60 --rollback-window 0",
        "tokens create ci --scope read --expires 30",
        "tokens revoke 1 --socket /run/x.sock",
        "users setup-link",
        "users list",
        "users create ada --team main --role owner --password-stdin",
        "users create ada --admin",
        "users disable ada",
        "users enable ada",
        "users delete ada",
        "users reset ada --forget-second-factor",
        "users admin ada --revoke",
        "teams list",
        "teams create shop",
        "teams rename shop store",
        "teams second-factor shop required",
        "teams limit shop --apps 10 --memory 4G --cpus 1.5",
        "teams delete shop",
        "teams members shop",
        "teams role shop ada viewer",
        "teams remove shop ada",
        "teams invite shop ada@example.org developer",
        "teams invitations shop",
        "teams uninvite shop 3",
        "audit --team main --user ada --action app. --object blog --limit 100",
        "audit --export --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z",
        "audit --verify",
        "tokens create ci --user ada --team main",
        "projects create shop --team main",
        "keys create deploy --team main",
        "databases list --json",
        "databases create orders --kind postgres --version 17 --project shop --user u --database d --no-wait",
        "databases create cache --kind valkey --image example.org/v:1 --memory 64M --cpus 0.5 --public-port 6379 --allow ::1 --allow 10.0.0.0/8",
        "databases show orders",
        "databases set orders --server-config - --unset memory --unset public-port",
        "databases start orders",
        "databases stop orders",
        "databases restart orders",
        "databases upgrade orders",
        "databases password orders",
        "databases credentials orders",
        "databases url orders --public",
        "databases logs orders -f -n 5",
        "databases rename orders sales",
        "databases delete orders --yes",
        "databases trash list",
        "databases trash restore 3",
        "databases trash purge 3 --yes",
        "databases kinds",
        "link shop orders --prefix ORDERS",
        "unlink shop orders",
        "config check --config ./rivetr.toml",
        "compose convert compose.yaml --env-file a --env-file b --project-name blog --profile x --out units",
        "compose convert -",
        "doctor",
        "setup",
        "export ./leaving --volumes --with-secrets --all-images",
        "backup rivetr.age --volumes --recipient age1x",
        "backup rivetr.age --passphrase",
        "backup rivetr.age --passphrase-file -",
        "restore rivetr.age",
        "restore rivetr.age --identity key.txt --dry-run",
        "restore rivetr.age --identity key.txt --replace --yes",
        "setup --user --url http://rivetr.example.org",
        "setup --system-wide --json",
    ] {
        if let Err(error) = parse(&format!("rivetr {line}")) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn bad_command_lines_say_why() {
    for (line, words) in [
        ("frobnicate", "unrecognized subcommand"),
        ("export", "<DIR>"),
        ("restore rivetr.age --identity key.txt --passphrase-file p", "cannot be used with"),
        ("backup rivetr.age --passphrase --recipient age1x", "cannot be used with"),
        ("backup rivetr.age --passphrase-file p --recipient age1x", "cannot be used with"),
        ("restore rivetr.age --identity key.txt --replace", "--yes"),
        ("restore rivetr.age --identity key.txt --replace --yes --dry-run", "cannot be used with"),
        ("services domains add shop shop.example.org", "--container"),
        ("services domains add shop shop.example.org --container web", "--port"),
        ("services create shop --tag v1", "--repository <URL>"),
        ("services source shop --repository https://a.test/b --branch a --tag b", "cannot be used with"),
        ("services source shop --files --repository https://example.org/a.git", "cannot be used with"),
        ("apps create Blog", "lower-case letters"),
        ("apps create ../x", "lower-case letters"),
        ("apps create blog --port 0", "invalid value '0'"),
        ("apps create blog --port 70000", "invalid value '70000'"),
        ("drift restore ../x", "name a file"),
        ("doctor --yes", "--repair"),
        ("doctor --repair --bundle x", "cannot be used with"),
        ("apps create blog --host a_b", "use a host name"),
        ("apps create blog --env A", "write it as KEY=VALUE"),
        ("apps create blog --env 1=2", "use letters, digits and underscores"),
        ("apps create blog --git ext::sh", "write it as a URL"),
        ("apps create blog --branch -u", "unexpected argument '-u'"),
        ("apps create blog --git https://example.org/a.git --branch a --tag b", "cannot be used with"),
        ("apps create blog --tag b", "--git <URL>"),
        ("apps create blog --git git@-oX:a", "name a host and a path"),
        ("apps source blog --git-key deploy", "--git <URL>"),
        ("apps source blog --git https://example.org/a.git --git-token-user me", "--git-token-file"),
        ("keys create Deploy", "lower-case letters"),
        ("keys hosts forget -- -oX", "use a host name"),
        ("apps create blog --health-path up", "begin it with one slash"),
        ("apps create blog --health-timeout 0", "1..=3600"),
        ("deploy blog --commit main", "use the full object name"),
        ("deployments blog --limit 0", "1..=100"),
        ("logs blog -f --build", "cannot be used with"),
        ("cancel blog", "invalid value 'blog'"),
        ("env set --environment qa A=1", "--project"),
        ("env set blog A=1 --secret --plain", "cannot be used with"),
        ("files set blog etc/x -", "absolute path"),
        ("scale blog 33", "invalid value '33'"),
        ("scale blog 0", "invalid value '0'"),
        ("rollback blog 0", "invalid value '0'"),
        ("run blog", "<COMMAND>"),
        ("run blog true", "unexpected argument 'true'"),
        ("users create ada --role owner", "--team"),
        ("teams invite shop ada boss", "use viewer, developer, admin or owner"),
        ("audit --verify --export", "cannot be used with"),
        ("audit --limit 0", "1..=100"),
        ("tokens create ci --scope owner", "use read, deploy, write or admin"),
        ("tokens create ci --expires 400", "1..=366"),
        ("status --socket /a --server http://b", "cannot be used with"),
        ("databases create orders", "--kind <KIND>"),
        ("databases create orders --kind postgres --public-port 5432", "--allow <NETWORK>"),
        ("databases create orders --kind postgres --version 17 --image a", "cannot be used with"),
        ("databases create orders --kind postgres --memory much", "invalid value 'much'"),
        ("databases set orders --unset kind", "possible values"),
        ("databases trash purge orders", "invalid value 'orders'"),
        ("link shop orders --prefix a-b", "capital letters"),
        ("deploy", "<NAME>"),
        ("setup --user --system-wide", "cannot be used with"),
    ] {
        let error = parse(&format!("rivetr {line}")).unwrap_err();
        assert!(error.to_string().contains(words), "{line}: {error}");
        assert!(error.use_stderr() && error.exit_code() == 2, "{line}");
    }
    assert_eq!(parse("rivetr --help").unwrap_err().kind(), ErrorKind::DisplayHelp);
    assert!(!parse("rivetr --version").unwrap_err().use_stderr());
}

#[tokio::test]
async fn apps_at_a_glance() {
    let list = joined(&["{\"items\":[", BLOG, "],\"next\":null}"]);
    let api = Api::of(&[
        ("GET /api/system/health", WORRIED),
        ("GET /api/apps", list),
        ("GET /api/apps/blog/status", blog_status()),
    ]);
    api.check(
        "status",
        "disk: 93 % full; delete what is not needed\n\
         \n\
         APP   STATE                       RELEASE       SINCE                MEMORY  CPU  ADDRESS\n\
         blog  running, restarted 2 times  7 (01234567)  2026-11-23 11:25:00  -       -    http://blog.example.org/ http://blog.192.0.2.7.sslip.io/\n",
    )
    .await;
    let document = format!("{{\"health\":{WORRIED},\"apps\":[{}]}}\n", blog_status());
    api.check("status --json", &document).await;
    api.check(
        "apps list",
        "APP   RELEASE  SOURCE    DEPLOYED     CREATED              ADDRESS\n\
         blog  7        git push  branch main  2026-11-23 11:00:00  http://blog.example.org/ http://blog.192.0.2.7.sslip.io/\n",
    )
    .await;
    api.check("apps list --json", &format!("{list}\n")).await;
    api.check(
        "apps show blog",
        "app         blog\n\
         state       running, restarted 2 times\n\
         since       2026-11-23 11:25:00\n\
         release     7 (01234567)\n\
         unit        rivetr-app-blog-7.service\n\
         address     http://blog.example.org/ http://blog.192.0.2.7.sslip.io/\n\
         port        8080\n\
         source      git push http://192.0.2.7/git/blog.git\n\
         deployed    branch main\n\
         containers  2\n\
         variables   A B\n\
         check       it answers GET /up within 60 s\n\
         project     default, production\n\
         created     2026-11-23 11:00:00\n",
    )
    .await;
}

#[tokio::test]
async fn what_was_answered_for_each_app() {
    let none = r#"{"app":"_none","requests":2,"errors":0,"median_us":900,"p99_us":4500,"bytes_in":0,"bytes_out":310,"in_flight":0,"retries":0}"#;
    let rivetr = r#"{"app":"_rivetr","requests":0,"errors":0,"median_us":null,"p99_us":null,"bytes_in":0,"bytes_out":0,"in_flight":0,"retries":0}"#;
    let blog = r#"{"app":"blog","requests":1000,"errors":3,"median_us":2500,"p99_us":1250000,"bytes_in":5,"bytes_out":73400320,"in_flight":1,"retries":1}"#;
    let list = joined(&["{\"items\":[", none, ",", rivetr, ",", blog, "],\"next\":null}"]);
    let api = Api::of(&[("GET /api/requests", list)]);
    api.check(
        "requests",
        "APP     REQUESTS  ERRORS  MEDIAN  P99     IN   OUT     OPEN\n\
         no app  2         0 %     0.9 ms  4.5 ms  0 B  310 B   0\n\
         blog    1000      0.30 %  2.5 ms  1.25 s  5 B  70 MiB  1\n",
    )
    .await;
    api.check("requests --json", &format!("{list}\n")).await;
    let api = Api::of(&[("GET /api/requests", NOTHING)]);
    api.check("requests", "No request has come since the proxy started.\n").await;
}

#[tokio::test]
async fn nothing_there_yet_is_said() {
    let api = Api::of(&[
        ("GET /api/system/health", HEALTHY),
        ("GET /api/apps", NOTHING),
        ("GET /api/tokens", NOTHING),
        ("GET /api/keys", NOTHING),
        ("GET /api/known-hosts", NOTHING),
        ("GET /api/apps/blog/deployments?limit=20", NOTHING),
        ("GET /api/apps/blog/deployments?limit=100", NOTHING),
    ]);
    let no_apps = "There are no apps yet. `rivetr apps create NAME` makes one.\n";
    api.check("status", no_apps).await;
    api.check("apps list", no_apps).await;
    api.check("tokens list", "There are no tokens. `rivetr tokens create NAME` makes one.\n").await;
    api.check("keys list", "There are no keys. `rivetr keys create NAME` makes one.\n").await;
    let no_hosts =
        "No server is known yet: each is, from the first time that something is fetched from it over SSH.\n";
    api.check("keys hosts list", no_hosts).await;
    api.check("deployments blog", "blog was never deployed.\n").await;
    let (_, outcome) = api.run("logs blog --build").await;
    assert_eq!(outcome.unwrap_err().exit, Exit::NotFound);
    let (_, outcome) = api.run("apps show shop").await;
    let failure = outcome.unwrap_err();
    assert_eq!((failure.exit, failure.text().as_str()), (Exit::NotFound, "error: there is no such thing\n"));
}

#[tokio::test]
async fn an_app_is_created_and_deleted() {
    let api = Api::of(&[("POST /api/apps", BLOG), ("DELETE /api/apps/blog?volumes=false", "")]);
    api.check(
        "apps create blog --port 3000 --env A=1",
        "blog is created.\n\
         \n\
         Deploy it from your repository:\n  \
         git push http://rivetr:TOKEN@192.0.2.7/git/blog.git main\n\
         In place of TOKEN goes what this prints:\n  \
         rivetr tokens create blog\n\
         \n\
         Once it is live, it answers at:\n  \
         http://blog.example.org/\n  \
         http://blog.192.0.2.7.sslip.io/\n",
    )
    .await;
    api.check("apps delete blog --yes", "blog is deleted.\n").await;
    api.check("apps delete blog --yes --json", "").await;
    let asked = api.asked.lock().unwrap();
    assert_eq!(asked[0], r#"POST /api/apps {"name":"blog","port":3000,"env":{"A":"1"}}"#);
}

#[tokio::test]
async fn registries_are_listed_and_removed() {
    let listed =
        r#"{"items":[{"host":"ghcr.io","user":"ada","changed":"2026-11-23T11:00:00.000Z"}],"next":null}"#;
    let api = Api::of(&[("GET /api/registries", listed), ("DELETE /api/registries/ghcr.io", "")]);
    let expect = "REGISTRY  USER  CHANGED\nghcr.io   ada   2026-11-23 11:00:00\n";
    api.check("registries list", expect).await;
    api.check("registries remove GHCR.io", "rivetr signs in at ghcr.io no more.\n").await;
}

#[tokio::test]
async fn certificates_are_shown_with_what_they_wait_for() {
    let valid = r#"{"name":"a.test","names":["a.test"],"source":"acme","state":"valid","reason":null,"next":"2026-12-20T11:00:00.000Z","issuer":"A CA","not_before":"2026-11-23T11:00:00.000Z","not_after":"2027-01-23T11:00:00.000Z","revoking":false}"#;
    let own = r#"{"name":"*.b.test","names":["*.b.test","b.test"],"source":"own","state":"valid","reason":null,"next":null,"issuer":"B CA","not_before":"2026-11-23T11:00:00.000Z","not_after":"2027-01-24T11:00:00.000Z","revoking":false}"#;
    let waits = r#"{"name":"c.test","names":["c.test"],"source":"acme","state":"waiting-for-dns","reason":"DNS of c.test points to 192.0.2.7, not here (198.51.100.4)","next":"2026-11-23T11:01:00.000Z","issuer":null,"not_before":null,"not_after":null,"revoking":false}"#;
    let listed = joined(&["{\"items\":[", own, ",", valid, ",", waits, "],\"next\":null}"]);
    let api = Api::of(&[
        ("GET /api/certificates", listed),
        ("GET /api/certificates/c.test", waits),
        ("DELETE /api/certificates/*.b.test", ""),
        ("POST /api/certificates/a.test/renew", valid),
        ("POST /api/acme-account/rotate-key", ""),
    ]);
    api.check(
        "certs list",
        "NAME      STATE            UNTIL                ISSUER\n\
         *.b.test  valid, your own  2027-01-24 11:00:00  B CA\n\
         a.test    valid            2027-01-23 11:00:00  A CA\n\
         c.test    waiting for dns  -                    -\n\n\
         c.test: DNS of c.test points to 192.0.2.7, not here (198.51.100.4)\n",
    )
    .await;
    api.check(
        "certs show C.test",
        "certificate  c.test\n\
         names        c.test\n\
         state        waiting for dns\n\
         reason       DNS of c.test points to 192.0.2.7, not here (198.51.100.4)\n\
         next         looked at again 2026-11-23 11:01:00\n\
         issuer       -\n\
         from         -\n\
         until        -\n",
    )
    .await;
    api.check("certs remove *.b.test", "Your certificate for *.b.test is shown no more.\n").await;
    let renewed = "A new certificate for a.test is ordered. `rivetr certs show a.test` says how it goes.\n";
    api.check("certs renew a.test --revoke", renewed).await;
    assert_eq!(api.asked.lock().unwrap()[3], r#"POST /api/certificates/a.test/renew {"revoke":true}"#);
    let rotated = "The account at the ACME server has a new key; the old one is good for nothing.\n";
    api.check("certs rotate-account-key", rotated).await;
}

#[tokio::test]
async fn what_to_do_next_fits_the_app() {
    let hidden =
        BLOG.replace("http://192.0.2.7/git/blog.git", "").replace("\"push_url\":\"\"", "\"push_url\":null");
    let comes_from = |kind: &str| hidden.replace("\"source\":\"push\"", &format!("\"source\":\"{kind}\""));
    let fetched = comes_from("git").replace("\"git\":null", "\"git\":\"https://example.org/a.git\"");
    let pulled = comes_from("image").replace("\"image\":null", "\"image\":\"ghcr.io/a/b:1\"");
    for (app, words) in [
        (&hidden, "  git push http://rivetr:TOKEN@127.0.0.1:7480/git/blog.git main\n"),
        (&hidden, "To push from elsewhere, set url under [instance]"),
        (&fetched, "Deploy it from https://example.org/a.git, branch main:\n  rivetr deploy blog\n"),
        (&pulled, "Deploy it from ghcr.io/a/b:1:\n  rivetr deploy blog\n"),
        (&comes_from("upload"), "rivetr deploy blog --from DIR\n"),
        (
            &hidden.replace("\"http://blog.example.org/\",\"http://blog.192.0.2.7.sslip.io/\"", ""),
            "No host leads to it: --host",
        ),
    ] {
        let (written, outcome) = Api::of(&[("POST /api/apps", joined(&[app]))]).run("apps create blog").await;
        assert_eq!(outcome, Ok(()));
        assert!(written.contains(words), "{written}");
    }
}

#[tokio::test]
async fn a_deployment_is_followed_to_its_end() {
    const LOG: &str = "id: 5\ndata: {\"text\":\"fetch\"}\n\n: keep-alive\n\nid: 9\ndata: {\"text\":\"\\u001b[32mbuild\\u001b[0m\"}\n\nevent: end\ndata: ";
    let live = Api::of(&[
        ("POST /api/apps/blog/deploy", LIVE),
        ("GET /api/deployments/42/logs", joined(&[LOG, LIVE, "\n\n"])),
    ]);
    live.check("deploy blog", "fetch\nbuild\nblog 7 is live.\n").await;
    let lines = "{\"text\":\"fetch\"}\n{\"text\":\"\\u001b[32mbuild\\u001b[0m\"}\n";
    live.check("deploy blog --json", &format!("{lines}{LIVE}\n")).await;
    assert_eq!(live.asked.lock().unwrap()[0], "POST /api/apps/blog/deploy {}");

    let failed = Api::of(&[
        ("POST /api/apps/blog/deploy", QUEUED),
        ("GET /api/deployments/43/logs", joined(&[LOG, FAILED, "\n\n"])),
    ]);
    failed
        .check(
            "deploy blog --detach",
            "blog 8 is queued (deployment 43).\nFollow it:  rivetr logs blog --build 8\n",
        )
        .await;
    let (written, outcome) = failed.run("deploy blog").await;
    let failure = outcome.unwrap_err();
    assert_eq!(written, "fetch\nbuild\n");
    assert_eq!(failure.exit, Exit::Failed);
    assert_eq!(
        failure.text(),
        "error: blog 8 failed while checking: nothing listens on port 8080\nset --port\n"
    );
}

#[tokio::test]
async fn deployments_and_their_logs_are_found() {
    let first = joined(&["{\"items\":[", FAILED, "],\"next\":43}"]);
    let second = joined(&["{\"items\":[", LIVE, "],\"next\":null}"]);
    let api = Api::of(&[
        ("GET /api/apps/blog/deployments?limit=20", first),
        ("GET /api/apps/blog/deployments?limit=100", first),
        ("GET /api/apps/blog/deployments?limit=100&before=43", second),
        ("GET /api/deployments/42/logs", "id: 1\ndata: {\"text\":\"seven\"}\n\nevent: end\ndata: {}\n\n"),
        ("GET /api/deployments/43/logs", "id: 1\ndata: {\"text\":\"eight\"}\n\nevent: end\ndata: {}\n\n"),
        ("POST /api/deployments/43/cancel", FAILED),
        ("POST /api/apps/blog/rollback", QUEUED),
        ("POST /api/apps/blog/restart", QUEUED),
        ("POST /api/apps/blog/start", BLOG),
        ("POST /api/apps/blog/stop", BLOG),
        ("POST /api/apps/blog/scale", BLOG),
    ]);
    api.check(
        "deployments blog",
        "NUMBER  STATE   COMMIT  BY       ASKED                ENDED                ID  WHY\n\
         8       failed  -       request  2026-11-23 11:30:00  2026-11-23 11:31:00  43  nothing listens on port 8080\n",
    )
    .await;
    api.check("logs blog --build", "eight\n").await;
    api.check("logs blog --build 7", "seven\n").await;
    api.check("cancel 43", "blog 8 is failed.\n").await;
    let queued = "blog 8 is queued (deployment 43).\nFollow it:  rivetr logs blog --build 8\n";
    api.check("rollback blog 7 --detach", queued).await;
    api.check("restart blog --detach", queued).await;
    api.check("start blog", "blog runs.\n").await;
    api.check("stop blog", "blog is stopped; `rivetr start blog` starts it.\n").await;
    api.check("scale blog 3", "blog has 2 containers.\n").await;
    for (line, sent) in [("run blog -- rake a", "run"), ("exec blog -- rake a", "exec")] {
        let (_, outcome) = api.run(line).await;
        assert_eq!(outcome.unwrap_err().exit, Exit::NotFound, "{line}");
        let sent = format!("POST /api/apps/blog/{sent} {{\"command\":[\"rake\",\"a\"]}}");
        assert!(api.asked.lock().unwrap().contains(&sent), "{sent} was not sent");
    }
    let asked = api.asked.lock().unwrap().join("\n");
    for sent in [r#"rollback {"number":7}"#, r#"scale {"replicas":3}"#] {
        assert!(asked.contains(sent), "{sent} was not sent:\n{asked}");
    }
    let (_, outcome) = api.run("logs blog --build 9").await;
    assert_eq!(
        outcome.unwrap_err().text(),
        "error: blog has no deployment 9\ntry: rivetr deployments blog\n"
    );
}

#[tokio::test]
async fn what_an_app_writes() {
    const LINES: &str = "data: {\"at\":\"2026-11-23T11:24:38.123Z\",\"unit\":\"rivetr-app-blog-7.service\",\"stderr\":false,\"text\":\"hello\"}\n\n\
                         data: {\"at\":\"2026-11-23T11:24:39.000Z\",\"unit\":\"rivetr-app-blog-7.service\",\"stderr\":true,\"text\":\"a\\u001b]0;b\"}\n\n";
    let api = Api::of(&[("GET /api/apps/blog/logs/stream?lines=2&follow=false", LINES)]);
    api.check("logs blog -n 2", "2026-11-23 11:24:38 blog-7 | hello\n2026-11-23 11:24:39 blog-7 ! a␛]0;b\n")
        .await;
    let (written, _) = api.run("logs blog -n 2 --json").await;
    assert_eq!(written.lines().count(), 2);
    assert!(written.lines().all(|line| line.starts_with("{\"at\":")), "{written}");
}

#[tokio::test]
async fn a_log_that_is_followed_does_not_just_end() {
    let line = "data: {\"at\":\"\",\"unit\":\"u\",\"stderr\":false,\"text\":\"hello\"}\n\n";
    let api = Api::of(&[("GET /api/apps/blog/logs/stream?lines=200&follow=true", line)]);
    let (written, outcome) = api.run("logs blog -f").await;
    assert_eq!((written.as_str(), outcome.unwrap_err().exit), (" u | hello\n", Exit::Unreachable));
}

#[test]
fn daemons_are_left_to_the_caller() {
    let environment = Environment::of(1000, "/nowhere", []);
    let flags = || Flags { config: Some("/x.toml".into()) };
    for (line, expect) in [
        ("serve --config /x.toml", Invocation::Serve(flags())),
        ("serve --rehearse --config /x.toml", Invocation::Rehearse(flags())),
        ("proxy --config /x.toml", Invocation::Proxy { flags: flags(), next: false }),
        ("proxy --next --config /x.toml", Invocation::Proxy { flags: flags(), next: true }),
        ("--config /x.toml netns", Invocation::Netns(flags())),
    ] {
        assert_eq!(run(parse(&format!("rivetr {line}")).unwrap(), &environment), Ok(expect));
    }
}

#[tokio::test]
async fn tokens() {
    let token = r#"{"id":3,"name":"ci","scope":"deploy","created":"2026-11-23T11:00:00.000Z","expires":"2027-02-21T11:00:00.000Z","last_used":null}"#;
    let created = joined(&["{\"token\":", token, ",\"secret\":\"rvt_secret\"}"]);
    let list = joined(&["{\"items\":[", token, "],\"next\":null}"]);
    let api =
        Api::of(&[("POST /api/tokens", created), ("GET /api/tokens", list), ("DELETE /api/tokens/3", "")]);
    api.check("tokens create ci --expires 90", "rvt_secret\n").await;
    api.check("tokens create ci --json", &format!("{created}\n")).await;
    api.check(
        "tokens list",
        "ID  FOR  SCOPE   USER  TEAM  CREATED              EXPIRES              LAST USED  FROM\n\
         3   ci   deploy  -     -     2026-11-23 11:00:00  2027-02-21 11:00:00  -          -\n",
    )
    .await;
    api.check("tokens revoke 3", "Token 3 is worthless now.\n").await;
    let asked = api.asked.lock().unwrap();
    assert_eq!(asked[0], r#"POST /api/tokens {"name":"ci","scope":"deploy","expires_days":90}"#);
}

#[tokio::test]
async fn the_link_for_the_first_user() {
    let link = r#"{"url":"http://192.0.2.7/setup/0123","expires":"2026-11-23T12:00:00.000Z"}"#;
    let api = Api::of(&[("POST /api/setup-link", link)]);
    api.check("users setup-link", "http://192.0.2.7/setup/0123\n").await;
    api.check("users setup-link --json", &format!("{link}\n")).await;
}

#[tokio::test]
async fn users_are_made_changed_and_listed() {
    let ada = r#"{"login":"ada","teams":[{"team":"main","role":"owner"}],"administrator":true,"disabled":false,"password":false,"second_factor":true,"created":"2026-11-23T11:00:00.000Z","signed_in":null}"#;
    let link = r#"{"url":"http://192.0.2.7/reset/0123","expires":"2026-11-23T12:00:00.000Z"}"#;
    let created = joined(&["{\"user\":", ada, ",\"link\":", link, "}"]);
    let list = joined(&["{\"items\":[", ada, "],\"next\":null}"]);
    let api = Api::of(&[
        ("POST /api/users", created),
        ("GET /api/users", list),
        ("PATCH /api/users/ada", ada),
        ("POST /api/users/ada/reset", link),
        ("DELETE /api/users/ada", ""),
    ]);
    api.check("users create ada --team main --role owner", "http://192.0.2.7/reset/0123\n").await;
    api.check(
        "users list",
        "LOGIN  TEAMS       NOTES                                          SIGNED IN\n\
         ada    main:owner  administrator, no password yet, second factor  -\n",
    )
    .await;
    api.check("users disable ada", "ada is kept out.\n").await;
    api.check("users admin ada", "ada administers this instance.\n").await;
    api.check("users reset ada --forget-second-factor", "http://192.0.2.7/reset/0123\n").await;
    api.check("users delete ada", "ada is deleted.\n").await;
    let asked = api.asked.lock().unwrap();
    assert_eq!(
        asked[0],
        r#"POST /api/users {"login":"ada","team":"main","role":"owner","administrator":false}"#
    );
    assert_eq!(asked[2], r#"PATCH /api/users/ada {"disabled":true}"#);
    assert_eq!(asked[3], r#"PATCH /api/users/ada {"administrator":true}"#);
    assert_eq!(asked[4], r#"POST /api/users/ada/reset {"forget_second_factor":true}"#);
}

const MAIN: &str = r#"{"name":"main","members":2,"second_factor":false,"limits":{"memory":"2G"},"created":"2026-11-23T11:00:00.000Z"}"#;

#[tokio::test]
async fn teams_have_members_and_invitations() {
    let api = Api::of(&[
        (
            "GET /api/teams",
            r#"{"items":[{"name":"main","members":2,"second_factor":true,"limits":{"apps":10,"cpus":"2"},"created":"2026-11-23T11:00:00.000Z"}],"next":null}"#,
        ),
        (
            "POST /api/teams/main/invitations",
            r#"{"url":"http://192.0.2.7/invitations/0123","expires":"2026-11-30T11:00:00.000Z"}"#,
        ),
        (
            "PATCH /api/teams/main/members/ada",
            r#"{"login":"ada","role":"admin","disabled":false,"second_factor":false}"#,
        ),
        ("GET /api/teams/main/members", NOTHING),
        ("DELETE /api/teams/main/invitations/3", ""),
        ("PATCH /api/teams/main", MAIN),
        ("PUT /api/teams/main/limits", MAIN),
    ]);
    api.check(
        "teams list",
        "TEAM  MEMBERS  SECOND FACTOR  LIMITS                 CREATED\n\
         main  2        required       10 apps, 2 processors  2026-11-23 11:00:00\n",
    )
    .await;
    api.check("teams invite main ada developer", "http://192.0.2.7/invitations/0123\n").await;
    api.check("teams role main ada admin", "ada is admin of main now.\n").await;
    let nobody = "The team has no members. `rivetr teams invite` makes an invitation.\n";
    api.check("teams members main", nobody).await;
    api.check("teams uninvite main 3", "Invitation 3 is worthless now.\n").await;
    api.check("teams second-factor main optional", "main does not ask its members for a second factor.\n")
        .await;
    api.check("teams limit main --memory 2G", "main: 2G of memory.\n").await;
    let asked = api.asked.lock().unwrap();
    assert_eq!(asked[1], r#"POST /api/teams/main/invitations {"login":"ada","role":"developer"}"#);
    assert_eq!(asked[5], r#"PATCH /api/teams/main {"second_factor":false}"#);
    assert_eq!(asked[6], r#"PUT /api/teams/main/limits {"memory":"2G"}"#);
}

#[tokio::test]
async fn the_audit_is_shown_and_exported_page_by_page() {
    let deed = |id: u32| {
        format!(
            r#"{{"id":{id},"at":"2026-11-23T11:00:00.000Z","by":"ada","team":"main","address":"192.0.2.9","request":null,"action":"app.deleted","object":"app blog\u001b[31m","before":null,"after":null,"hash":"00"}}"#
        )
    };
    let page = |id: u32, next: &str| format!(r#"{{"items":[{}],"next":{next}}}"#, deed(id));
    let (first, second) = (joined(&[&page(9, "9")]), joined(&[&page(8, "null")]));
    let api = Api::of(&[
        ("GET /api/audit?limit=20&action=app.", first),
        ("GET /api/audit?limit=100", first),
        ("GET /api/audit?limit=100&before=9", second),
        ("GET /api/audit/verify", r#"{"whole":false,"entries":null,"last":null,"broken_at":7}"#),
    ]);
    api.check(
        "audit --action app.",
        "ID  AT                   BY   ACTION       OBJECT    TEAM  FROM\n\
         9   2026-11-23 11:00:00  ada  app.deleted  app blog  main  192.0.2.9\n",
    )
    .await;
    api.check("audit --export", &format!("{}\n{}\n", deed(9), deed(8))).await;
    let (_, outcome) = api.run("audit --verify").await;
    assert!(outcome.unwrap_err().text().contains("entry 7 of the audit is not as it was written"));
}

#[tokio::test]
async fn variables_are_listed_set_and_removed() {
    let list = r#"{"items":[{"key":"A","value":"two\nlines","secret":false,"usage":"run","error":null},{"key":"BROKEN","value":null,"secret":false,"usage":"run","error":"it was changed"},{"key":"TOKEN","value":null,"secret":true,"usage":"both","error":null}],"next":null}"#;
    let shared = "/api/projects/p/environments/qa/env-vars";
    let api = Api::of(&[
        ("GET /api/apps/blog/env-vars", list),
        ("PUT /api/apps/blog/env-vars", list),
        ("DELETE /api/apps/blog/env-vars/A", ""),
        (joined(&["GET ", shared]), NOTHING),
        (joined(&["PUT ", shared]), list),
    ]);
    let table = "NAME    VALUE             WHEN\n\
                 A       two␊lines         run\n\
                 BROKEN  (it was changed)  run\n\
                 TOKEN   (secret)          both\n";
    api.check("env list blog", table).await;
    let text = "A=\"two\\nlines\"\n# BROKEN: it was changed\n# TOKEN: secret, so its value is not shown\n";
    api.check("env export blog", text).await;
    api.check("env list --project p --environment qa", "project p, qa has no variables of its own.\n").await;
    let next = "The next deployment of blog takes this into effect:\n  rivetr deploy blog\n";
    api.check("env set blog A=1=2 --secret", &format!("1 variable is set for blog. {next}")).await;
    api.check("env unset blog A", &format!("1 variable is removed from blog. {next}")).await;
    let (written, outcome) = api.run("env set --project p --environment qa A=1 B=2 --build").await;
    assert!(
        outcome.is_ok() && written.starts_with("2 variables are set for project p, qa. Each app"),
        "{written}"
    );
    let asked = api.asked.lock().unwrap().clone();
    let sent =
        |method: &str| asked.iter().filter(|line| line.starts_with(method)).cloned().collect::<Vec<_>>();
    let body = r#"{"variables":{"A":{"value":"1=2","secret":true}},"replace":false}"#;
    assert_eq!(sent("PUT")[0], format!("PUT /api/apps/blog/env-vars {body}"));
    assert!(sent("PUT")[1].contains(r#""B":{"value":"2","usage":"build"}"#), "{asked:?}");
    for line in [
        "env set blog",
        "env set blog A B=1",
        "env set Blog A=1",
        "env list",
        "env list blog A",
        "env import blog",
    ] {
        let (_, outcome) = api.run(line).await;
        assert_eq!(outcome.unwrap_err().exit, Exit::Usage, "{line}");
    }
}

#[tokio::test]
async fn a_file_of_variables_is_imported_whole_or_not_at_all() {
    let api = Api::of(&[("PUT /api/apps/blog/env-vars", NOTHING)]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    std::io::Write::write_all(&mut file.as_file(), b"A=1\nexport B='two\nlines' # b\n").unwrap();
    let (_, outcome) = api.run(&format!("env import blog {path} --replace --plain")).await;
    assert_eq!(outcome, Ok(()));
    let body = r#"{"variables":{"A":{"value":"1","secret":false},"B":{"value":"two\nlines","secret":false}},"replace":true}"#;
    assert_eq!(api.asked.lock().unwrap()[0], format!("PUT /api/apps/blog/env-vars {body}"));
    std::io::Write::write_all(&mut file.as_file(), b"A=2\n").unwrap();
    let (_, outcome) = api.run(&format!("env import blog {path}")).await;
    assert!(outcome.unwrap_err().text().contains(":4: A is set in line 1 already"));
    assert_eq!(api.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn files_are_set_and_the_key_is_changed() {
    let rotated = r#"{"key":2,"resealed":7,"unreadable":["variable: env/X"],"by_hand":true}"#;
    let api = Api::of(&[
        ("GET /api/apps/blog/files", r#"{"items":[{"path":"/etc/x"}],"next":null}"#),
        ("PUT /api/apps/blog/files", ""),
        ("DELETE /api/apps/blog/files?path=/etc/x%26y", ""),
        ("POST /api/secrets/rotate-key", rotated),
    ]);
    let next = "The next deployment of blog takes this into effect:\n  rivetr deploy blog\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), b"\0\xff").unwrap();
    let line = format!("files set blog /etc/x {}", file.path().display());
    api.check(&line, &format!("/etc/x is set for blog. {next}")).await;
    assert_eq!(
        api.asked.lock().unwrap()[0],
        r#"PUT /api/apps/blog/files {"path":"/etc/x","content_base64":"AP8="}"#
    );
    api.check("files list blog", "PATH\n/etc/x\n").await;
    api.check("files unset blog /etc/x&y", &format!("/etc/x&y is removed from blog. {next}")).await;
    api.check(
        "secrets rotate-key",
        "Master key 2 seals from now on; 7 values were sealed anew.\n\
         These could not be opened, and were left as they are; set them again:\n  variable: env/X\n\
         Now take the older keys out of the systemd credential, and restart rivetr.\n",
    )
    .await;
}

#[tokio::test]
async fn output_that_nobody_reads_is_no_error() {
    let api = Api::of(&[("GET /api/apps", NOTHING)]);
    let mut session = Session::new(api.server.client(), false, Box::new(Closed));
    let Command::Remote(remote) = parse("rivetr apps list").unwrap().command else { unreachable!() };
    let failure = remote.run(&mut session).await.unwrap_err();
    assert_eq!((failure.exit, failure.text().as_str()), (Exit::Done, ""));
}

#[tokio::test]
async fn doctor_says_what_can_be_seen_when_nobody_answers() {
    let directory = tempfile::tempdir().unwrap();
    let target = crate::api::client::Target::Socket(directory.path().join("api.sock"));
    let client = crate::api::client::Client::new(target, None);
    let paper = Paper::default();
    let mut session = Session::new(client, true, Box::new(paper.clone()));
    let environment = Environment::of(1000, "/nowhere", [("PATH", "/usr/bin:/bin")]);
    let Command::Doctor(doctor) = parse("rivetr doctor").unwrap().command else { unreachable!() };
    let failure = doctor.run(&mut session, &environment).await.unwrap_err();
    assert_eq!((failure.exit, failure.text().as_str()), (Exit::Unreachable, ""));
    let health: crate::api::wire::Health = serde_json::from_slice(&paper.0.borrow()).unwrap();
    let names: Vec<&str> = health.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(health.status, crate::api::wire::CheckStatus::Fail);
    assert_eq!((names.first(), names.last()), (Some(&"socket"), Some(&"api")));
    assert!(names.contains(&"systemd") && names.contains(&"podman"), "{names:?}");
}

#[test]
fn the_effective_configuration_is_shown_with_its_origins() {
    let environment = Environment::of(1000, "/nowhere", [("RIVETR_BUILD_MEMORY_MB", "1024")]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), b"[log]\nlevel = \"debug\"\n").unwrap();
    let path = file.path().display().to_string();
    let flags = Flags { config: Some(file.path().to_owned()) };
    let text = config::Config::Check.run(&flags, &environment, false).unwrap();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("[log] level").ends_with(&format!("{path}:2")), "{text}");
    assert!(line("[build] memory_mb").ends_with("RIVETR_BUILD_MEMORY_MB"), "{text}");
    assert!(line("[git] timeout_s").ends_with("default"), "{text}");
    assert!(text.ends_with(&format!("Read: {path}.\n")), "{text}");
    let json = config::Config::Check.run(&flags, &environment, true).unwrap();
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["files"][0], path);
    assert_eq!(document["values"][0]["value"], "debug");
    let missing = Flags { config: Some("/nowhere/rivetr.toml".into()) };
    let failure = config::Config::Check.run(&missing, &environment, false).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.text().contains("there is no such file"), "{}", failure.text());
}

#[tokio::test]
async fn jobs() {
    const RUN: &str = r#"{"id":7,"trigger":"hand","began":"2026-11-23T11:30:00.000Z","ended":"2026-11-23T11:30:04.000Z","outcome":"failed","status":3,"invocation":"abc"}"#;
    const JOB: &str = r#"{"name":"tidy","app":"blog","schedule":"0 3 * * *","calendars":["*-*-* 03:00:00 UTC"],"timezone":"UTC","command":"rake 'tidy up'","place":"fresh","timeout":60,"catch_up":true,"enabled":true,"state":"waiting","next":"2026-11-24T03:00:00.000Z","last":null,"timer":"rivetr-job-blog_tidy.timer","created":"2026-11-23T11:00:00.000Z"}"#;
    let list = joined(&["{\"items\":[", JOB, "],\"next\":null}"]);
    let runs = joined(&["{\"items\":[", RUN, "],\"next\":null}"]);
    let log = joined(&["{\"run\":", RUN, ",\"lines\":[\"tidied\",\"\\u001b[2J\"]}"]);
    let api = Api::of(&[
        ("POST /api/apps/blog/jobs", JOB),
        ("PATCH /api/apps/blog/jobs/tidy", JOB),
        ("DELETE /api/apps/blog/jobs/tidy", ""),
        ("GET /api/apps/blog/jobs", list),
        ("GET /api/apps/shop/jobs", r#"{"items":[],"next":null}"#),
        ("POST /api/apps/blog/jobs/tidy/run", JOB),
        ("GET /api/apps/blog/jobs/tidy/runs?limit=1", runs),
        ("GET /api/apps/blog/jobs/tidy/runs?limit=20", runs),
        ("GET /api/apps/blog/jobs/tidy/runs/7/logs?lines=200", log),
        ("POST /api/apps/blog/jobs/tidy/runs/7/cancel", ""),
    ]);
    let (written, outcome) =
        api.run("jobs create blog tidy --schedule @daily --timeout 60 -- rake tidy").await;
    assert_eq!(outcome, Ok(()));
    for words in ["rake 'tidy up'", "*-*-* 03:00:00 UTC", "rivetr-job-blog_tidy.timer", "60 s"] {
        assert!(written.contains(words), "{words} is not in {written}");
    }
    api.check(
        "jobs list blog",
        "JOB   SCHEDULE   STATE    NEXT                 LAST  COMMAND\n\
         tidy  0 3 * * *  waiting  2026-11-24 03:00:00  -     rake 'tidy up'\n",
    )
    .await;
    let (written, _) = api.run("jobs list shop").await;
    assert!(written.starts_with("shop has no jobs."), "{written}");
    api.check(
        "jobs runs blog tidy",
        "RUN  BEGAN                ENDED                RESULT      BY\n\
         7    2026-11-23 11:30:00  2026-11-23 11:30:04  failed (3)  hand\n",
    )
    .await;
    api.check("jobs logs blog tidy", "tidied\n\u{241b}[2J\n").await;
    api.check("jobs cancel blog tidy", "The run of tidy is ended.\n").await;
    api.check("jobs delete blog tidy", "tidy of blog is deleted.\n").await;
    assert_eq!(api.run("jobs set blog tidy --enabled false").await.1, Ok(()));
    assert_eq!(api.run("jobs set blog tidy").await.1.unwrap_err().exit, Exit::Usage);
    let sent = api.asked.lock().unwrap().join("\n");
    let created =
        r#"POST /api/apps/blog/jobs {"name":"tidy","schedule":"@daily","command":"rake tidy","timeout":60}"#;
    assert!(sent.contains(created), "{sent}");
    assert!(sent.contains(r#"PATCH /api/apps/blog/jobs/tidy {"enabled":false}"#), "{sent}");
}

#[tokio::test]
async fn webhooks() {
    const DELIVERY: &str = r#"{"id":12,"app":"blog","provider":"github","name":"f3","event":"push","received":"2026-11-23T11:30:00.000Z","verdict":"deployed","reason":"a push to the branch","deployment":43,"replay_of":null}"#;
    let enabled = r#"{"provider":"generic","url":null,"path":"/webhooks/generic/blog","secret":"5ec7e7","signing_token":null,"watch":["api/**"]}"#;
    let webhook =
        r#"{"provider":"github","watch":["api/**","!**/*.md"],"created":"2026-11-23T11:00:00.000Z"}"#;
    let page = joined(&["{\"webhooks\":[", webhook, "],\"items\":[", DELIVERY, "],\"next\":null}"]);
    let shown = joined(&["{\"delivery\":", DELIVERY, ",\"body\":\"{\\n\\u001b[2J}\"}"]);
    let api = Api::of(&[
        ("POST /api/apps/blog/webhooks", enabled),
        ("DELETE /api/apps/blog/webhooks/github", ""),
        ("GET /api/apps/blog/webhooks?limit=20", page),
        ("GET /api/apps/shop/webhooks?limit=20", r#"{"webhooks":[],"items":[],"next":null}"#),
        ("GET /api/services/shop/webhooks?limit=20", r#"{"webhooks":[],"items":[],"next":null}"#),
        ("GET /api/webhook-deliveries/12", shown),
        ("POST /api/webhook-deliveries/12/replay", DELIVERY),
    ]);
    let (written, outcome) = api.run("webhooks enable blog --provider generic --watch api/**").await;
    assert_eq!(outcome, Ok(()));
    for words in ["http://HOST/webhooks/generic/blog", "5ec7e7", "api/**", "X-Rivetr-Signature-256"] {
        assert!(written.contains(words), "{words} is not in {written}");
    }
    api.check("webhooks disable blog github", "blog takes no webhooks of github any more.\n").await;
    api.check(
        "webhooks list blog",
        "blog takes webhooks of github: api/** !**/*.md.\n\n\
         ID  RECEIVED             FROM    EVENT  VERDICT   ASKED FOR      WHY\n\
         12  2026-11-23 11:30:00  github  push   deployed  deployment 43  a push to the branch\n",
    )
    .await;
    api.check(
        "webhooks list shop",
        "shop takes no webhooks. `rivetr webhooks enable shop` lets it.\nNothing was delivered yet.\n",
    )
    .await;
    api.check(
        "webhooks list shop --service",
        "shop takes no webhooks. `rivetr webhooks enable shop --service` lets it.\nNothing was delivered yet.\n",
    )
    .await;
    let (written, _) = api.run("webhooks show 12").await;
    assert!(written.ends_with("\n\n{\n\u{241b}[2J}\n"), "{written}");
    api.check("webhooks replay 12", "deployed: a push to the branch\nDeployment 43 was asked for.\n").await;
    let asked = api.asked.lock().unwrap();
    assert_eq!(asked[0], r#"POST /api/apps/blog/webhooks {"provider":"generic","watch":["api/**"]}"#);
}

#[tokio::test]
async fn domains() {
    const APEX: &str = r#"{"id":3,"app":"blog","host":"example.org","path":"/","strip":false,"redirect_to":null,"https_redirect":true,"automatic":false,"url":"http://example.org/","certificate":false,"dns":null}"#;
    const WWW: &str = r#"{"id":4,"app":"blog","host":"www.example.org","path":"/","strip":false,"redirect_to":"example.org","https_redirect":true,"automatic":false,"url":null,"certificate":true,"dns":{"status":"elsewhere","detail":"DNS of www.example.org points to 192.0.2.7, not here (198.51.100.4)"}}"#;
    const API: &str = r#"{"id":5,"app":"blog","host":"example.org","path":"/api","strip":true,"redirect_to":null,"https_redirect":false,"automatic":true,"url":"https://example.org/api","certificate":true,"dns":{"status":"here","detail":"DNS of example.org points here (198.51.100.4)"}}"#;
    let domains = joined(&["{\"items\":[", APEX, ",", WWW, ",", API, "],\"next\":null}"]);
    let looked = joined(&["{\"items\":[", WWW, ",", API, "],\"next\":null}"]);
    let api = Api::of(&[
        ("GET /api/apps/blog/domains", domains),
        ("GET /api/apps/idle/domains", NOTHING),
        ("GET /api/apps/blog/domains?dns=true", looked),
        ("POST /api/apps/blog/domains", WWW),
        ("PATCH /api/domains/5", API),
        ("DELETE /api/domains/4", ""),
    ]);
    api.check(
        "domains list blog",
        "DOMAIN           DOES                                   HTTPS\n\
         example.org      serves                                 no certificate yet\n\
         www.example.org  redirects to example.org               only\n\
         example.org/api  serves, without /api; given by rivetr  and plain HTTP\n",
    )
    .await;
    api.check("domains list idle", "idle has no domains. `rivetr domains add idle HOST` gives it one.\n")
        .await;
    api.check(
        "domains check blog",
        "DOMAIN           DNS\n\
         www.example.org  DNS of www.example.org points to 192.0.2.7, not here (198.51.100.4)\n\
         example.org/api  DNS of example.org points here (198.51.100.4)\n",
    )
    .await;
    api.check(
        "domains add blog www.example.org --redirect-to example.org --no-https-redirect",
        "www.example.org redirects to example.org\n\
         DNS of www.example.org points to 192.0.2.7, not here (198.51.100.4).\n",
    )
    .await;
    api.check(
        "domains set blog example.org/api --strip --https-redirect false",
        "example.org/api leads to blog, which does not see /api: https://example.org/api\n\
         DNS of example.org points here (198.51.100.4).\n",
    )
    .await;
    api.check("domains remove blog www.example.org", "www.example.org does not lead to blog any more.\n")
        .await;
    let (_, outcome) = api.run("domains remove blog other.example.org").await;
    assert_eq!(outcome.unwrap_err().exit, Exit::NotFound);
    let (_, outcome) = api.run("domains set blog example.org").await;
    assert_eq!(outcome.unwrap_err().exit, Exit::Usage);
    let asked = api.asked.lock().unwrap();
    let sent = |line: &str| asked.iter().any(|asked| asked == line);
    assert!(sent(
        r#"POST /api/apps/blog/domains {"host":"www.example.org","redirect_to":"example.org","https_redirect":false}"#
    ));
    assert!(sent(r#"PATCH /api/domains/5 {"strip":true,"https_redirect":false}"#));
}

#[tokio::test]
async fn domains_of_services() {
    const PART: &str = r#"{"id":6,"app":null,"service":"shop","container":"web","port":8080,"host":"shop.test","path":"/api","strip":true,"redirect_to":null,"https_redirect":true,"automatic":false,"url":"http://shop.test/api","certificate":false,"dns":null}"#;
    let domains = joined(&["{\"items\":[", PART, "],\"next\":null}"]);
    let api = Api::of(&[
        ("GET /api/services/shop/domains", domains),
        ("GET /api/services/idle/domains", NOTHING),
        ("POST /api/services/shop/domains", PART),
        ("DELETE /api/domains/6", ""),
    ]);
    api.check(
        "services domains list shop",
        "DOMAIN         LEADS TO          DOES                  HTTPS\n\
         shop.test/api  port 8080 of web  serves, without /api  no certificate yet\n",
    )
    .await;
    api.check(
        "services domains add shop shop.test --path /api --strip --container web --port 8080",
        "shop.test/api leads to port 8080 of web, which does not see /api: http://shop.test/api\n",
    )
    .await;
    api.check(
        "services domains remove shop shop.test/api",
        "shop.test/api does not lead to shop any more.\n",
    )
    .await;
    let none = "idle has no domains. `rivetr services domains add idle HOST` gives it one.\n";
    api.check("services domains list idle", none).await;
    let asked = api.asked.lock().unwrap();
    let sent = r#"POST /api/services/shop/domains {"host":"shop.test","container":"web","port":8080,"path":"/api","strip":true}"#;
    assert!(asked.iter().any(|asked| asked == sent), "{asked:?}");
}

#[tokio::test]
async fn services_that_follow_a_repository() {
    const SHOP: &str = r#"{"name":"shop","project":"default","stopped":false,"deleting":false,"revision":3,"latest":null,"repository":{"url":"https://git.example.org/shop.git","reference":"tag v1","file":"deploy/compose.yaml","access":"public","git_key":null,"submodules":true,"lfs":true,"has_variables":false},"urls":[],"created":"2026-11-23T11:00:00.000Z"}"#;
    let log = "id: 8\ndata: {\"text\":\"-----> Fetching\\u001b[2J\"}\n\nevent: end\ndata: {}\n\n";
    let api = Api::of(&[
        ("PUT /api/services/shop/source", SHOP),
        ("GET /api/services/shop", joined(&["{\"service\":", SHOP, ",\"containers\":[],\"domains\":[]}"])),
        (
            "POST /api/services/shop/preview",
            r#"{"commit":"c0ffee","units":{"a":"b"},"steps":"start a\n","warnings":[]}"#,
        ),
        ("GET /api/services/shop/revisions/3/log/stream", log),
    ]);
    api.check(
        "services source shop --repository https://git.example.org/shop.git --tag v1 --submodules --lfs",
        "shop follows https://git.example.org/shop.git, tag v1, deploy/compose.yaml, with submodules, with large \
         files. `rivetr services deploy shop` fetches it now.\n",
    )
    .await;
    api.check("services diff shop", "commit: c0ffee\nstart a\n").await;
    let (written, outcome) = api.run("services build-log shop 3 --follow").await;
    assert_eq!(outcome, Ok(()));
    assert!(written.starts_with("-----> Fetching") && !written.contains('\u{1b}'), "{written}");
    let asked = api.asked.lock().unwrap().join("\n");
    let source = r#"PUT /api/services/shop/source {"repository":{"url":"https://git.example.org/shop.git","tag":"v1","submodules":true,"lfs":true}}"#;
    assert!(asked.contains(source) && asked.contains("POST /api/services/shop/preview {}"), "{asked}");
}

#[tokio::test]
async fn traffic_and_routes() {
    const ROUTE: &str = r#"{"host":"example.org","path":"/","app":"blog","release":7,"targets":[{"name":"rivetr-app-blog-7","address":"10.90.0.2:8080"}],"rules":["sticky","h2c"]}"#;
    let own = r#"{"host":"192.0.2.7","path":"/","app":null,"release":null,"targets":[{"name":"rivetr","address":"127.0.0.1:7480"}],"rules":[]}"#;
    let routes = joined(&["{\"items\":[", own, ",", ROUTE, "],\"next\":null}"]);
    let fate = joined(&[
        "{\"route\":",
        ROUTE,
        ",\"outcome\":\"served\",\"detail\":\"blog answers\",\"conditions\":[\"403 for all but 192.0.2.0/24\"]}",
    ]);
    let traffic = r#"{"body_limit":"10M","redirects":["/a=/b","/c=/d"],"sticky":true}"#;
    let api = Api::of(&[
        ("GET /api/apps/blog/traffic", traffic),
        ("GET /api/apps/idle/traffic", "{}"),
        ("PATCH /api/apps/blog/traffic", traffic),
        ("GET /api/routes", routes),
        ("GET /api/routes/match?url=https%3A//example.org/x", fate),
    ]);
    let shown = "body_limit  10M\nredirects   /a=/b\nredirects   /c=/d\nsticky      true\n";
    api.check("traffic show blog", shown).await;
    api.check("traffic show idle", "The requests of idle are passed on as they are.\n").await;
    api.check("traffic set blog --sticky --unset hsts", shown).await;
    api.check(
        "routes",
        "HOST         PATH  APP     RELEASE  TARGETS         RULES\n\
         192.0.2.7    /     rivetr  -        127.0.0.1:7480  -\n\
         example.org  /     blog    7        10.90.0.2:8080  sticky; h2c\n",
    )
    .await;
    api.check(
        "routes match https://example.org/x",
        "outcome  served\nanswer   blog answers\nbut      403 for all but 192.0.2.0/24\nroute    example.org/\n\
         app      blog release 7\ntarget   rivetr-app-blog-7 10.90.0.2:8080\nrule     sticky\nrule     h2c\n",
    )
    .await;
    let asked = api.asked.lock().unwrap();
    let sent = r#"PATCH /api/apps/blog/traffic {"hsts":null,"sticky":true}"#;
    assert!(asked.iter().any(|asked| asked == sent), "{asked:?}");
}

const ORDERS: &str = r#"{"id":3,"name":"orders","project":"default","kind":"postgres","version":"17","image":"docker.io/library/postgres:17","configured":false,"config":null,"memory":"512M","cpus":null,"public_port":null,"allow":[],"state":"running","problem":null,"links":[{"app":"shop","database":"orders","prefix":"DATABASE","variables":["DATABASE_URL","DATABASE_HOST"]}],"unit":"rivetr-db-orders.service","volume":"rivetr-db-orders_0a1b2c3d","created":"2026-11-23T11:00:00.000Z","deleted":null,"kept_until":null}"#;

#[tokio::test]
async fn databases_are_shown_and_changed() {
    let list = joined(&["{\"items\":[", ORDERS, "],\"next\":null}"]);
    let kinds = r#"{"items":[{"kind":"redis","title":"Redis","versions":["8.0","7.4"],"port":6379,"prefix":"REDIS"}],"next":null}"#;
    let link =
        r#"{"app":"shop","database":"orders","prefix":"ORDERS","variables":["ORDERS_URL","ORDERS_HOST"]}"#;
    let credentials = r#"{"user":"u","password":"p","database":"d","url":"postgres://u:p@orders:5432/d","public_url":null}"#;
    let api = Api::of(&[
        ("GET /api/databases", list),
        ("GET /api/databases/orders", ORDERS),
        ("GET /api/database-kinds", kinds),
        ("PATCH /api/databases/orders", ORDERS),
        ("POST /api/databases/orders/stop", ORDERS),
        ("POST /api/databases/orders/links", link),
        ("DELETE /api/databases/orders/links/shop", ""),
        ("GET /api/databases/orders/credentials", credentials),
        (
            "GET /api/databases/orders/logs/stream?lines=5&follow=false",
            "id: s=1\ndata: {\"at\":\"2026-11-23T11:00:00.000Z\",\"unit\":\"rivetr-db-orders\",\"stderr\":true,\"text\":\"ready\"}\n\n",
        ),
    ]);
    api.check(
        "databases list",
        "DATABASE  KIND         STATE    PROJECT  PORT  APPS\n\
         orders    postgres 17  running  default  -     shop\n",
    )
    .await;
    api.check("databases list --json", &format!("{list}\n")).await;
    api.check(
        "databases show orders",
        "database     orders\n\
         state        running\n\
         problem      -\n\
         kind         postgres 17\n\
         image        docker.io/library/postgres:17\n\
         project      default\n\
         apps         shop (DATABASE_URL)\n\
         public port  -\n\
         memory       512M\n\
         cpus         -\n\
         unit         rivetr-db-orders.service\n\
         volume       rivetr-db-orders_0a1b2c3d\n\
         created      2026-11-23 11:00:00\n",
    )
    .await;
    api.check(
        "databases kinds",
        "KIND   NAME   VERSIONS  PORT  APPS GET\nredis  Redis  8.0 7.4   6379  REDIS_URL\n",
    )
    .await;
    api.check("databases stop orders", "orders is stopped.\n").await;
    api.check("databases url orders", "postgres://u:p@orders:5432/d\n").await;
    let (_, outcome) = api.run("databases url orders --public").await;
    assert!(outcome.unwrap_err().text().contains("no public port"));
    api.check("databases logs orders -n 5", "2026-11-23 11:00:00 rivetr-db-orders ! ready\n").await;
    api.check("link shop orders --prefix ORDERS", "shop is told of orders:  ORDERS_URL ORDERS_HOST\n").await;
    let unlinked = "shop is told of orders no more, from its next deployment on.\n";
    api.check("unlink shop orders", unlinked).await;
    let changed = "orders is changed. How it does:  rivetr databases show orders\n";
    api.check("databases set orders --memory 1G --unset cpus --unset public-port", changed).await;
    let (_, outcome) = api.run("databases set orders").await;
    assert_eq!(outcome.unwrap_err().exit, Exit::Usage);
    api.check("databases rename orders sales", "orders is called orders now.\n").await;
    let asked = api.asked.lock().unwrap();
    for sent in [
        r#"PATCH /api/databases/orders {"memory":"1G","cpus":null,"public_port":null}"#,
        r#"PATCH /api/databases/orders {"name":"sales"}"#,
        r#"POST /api/databases/orders/links {"app":"shop","prefix":"ORDERS"}"#,
    ] {
        assert!(asked.iter().any(|line| line == sent), "{sent} is not in {asked:?}");
    }
}

#[tokio::test]
async fn a_new_database_is_seen_through_and_a_deleted_one_kept_for_a_while() {
    let trashed = joined(&[
        "{\"items\":[",
        &ORDERS.replace(
            "\"deleted\":null,\"kept_until\":null",
            "\"deleted\":\"2026-11-24T11:00:00.000Z\",\"kept_until\":\"2026-12-01T11:00:00.000Z\"",
        ),
        "],\"next\":null}",
    ]);
    let api = Api::of(&[
        ("POST /api/databases", ORDERS),
        ("GET /api/databases/orders", ORDERS),
        ("DELETE /api/databases/orders", ""),
        ("GET /api/trashed-databases", trashed),
        ("POST /api/trashed-databases/3/restore", ORDERS),
        ("DELETE /api/trashed-databases/3", ""),
    ]);
    api.check(
        "databases create orders --kind postgres",
        "DATABASE  KIND         STATE    PROJECT  PORT  APPS\n\
         orders    postgres 17  running  default  -     shop\n\
         \n\
         An app of default is told how to reach it:  rivetr link APP orders\n",
    )
    .await;
    api.check("databases create orders --kind postgres --json", &format!("{ORDERS}\n")).await;
    let on_its_way = "orders is on its way. How it does:  rivetr databases show orders\n";
    api.check("databases create orders --kind postgres --no-wait", on_its_way).await;
    let deleted = "orders is in the trash for a week; `rivetr databases trash list` shows its number.\n";
    api.check("databases delete orders --yes", deleted).await;
    api.check(
        "databases trash list",
        "NUMBER  DATABASE  KIND         PROJECT  DELETED              KEPT UNTIL\n\
         3       orders    postgres 17  default  2026-11-24 11:00:00  2026-12-01 11:00:00\n",
    )
    .await;
    let back = "orders is back. Link its apps again:  rivetr link APP orders\n";
    api.check("databases trash restore 3", back).await;
    api.check("databases trash purge 3 --yes", "It is removed for good, with its data.\n").await;
    assert_eq!(api.asked.lock().unwrap()[0], r#"POST /api/databases {"name":"orders","kind":"postgres"}"#);

    let failed = ORDERS
        .replace("running", "failed")
        .replace("\"problem\":null", "\"problem\":\"PostgreSQL does not start; the server says: no room\"");
    let api = Api::of(&[
        ("POST /api/databases", ORDERS),
        ("GET /api/databases/orders", joined(&[&failed])),
        ("GET /api/databases", NOTHING),
        ("GET /api/trashed-databases", NOTHING),
    ]);
    let (written, outcome) = api.run("databases create orders --kind postgres").await;
    let failure = outcome.unwrap_err();
    assert!(written.is_empty() && failure.exit == Exit::Failed, "{written}{failure:?}");
    assert!(failure.text().contains("the server says: no room"), "{failure:?}");
    let none = "There are no databases. `rivetr databases create NAME --kind postgres` makes one.\n";
    api.check("databases list", none).await;
    api.check("databases trash list", "The trash is empty.\n").await;
}
