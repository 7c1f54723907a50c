//! Databases: one command to a server that answers, apps that are told of it, and data that is never lost.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::host::{Host, Ran, soon};

/// Which kinds there are images of in the host, by the tag of each.
const KINDS: [(&str, &str); 5] =
    [("postgres", "17"), ("mariadb", "11.8"), ("mysql", "9"), ("redis", "8"), ("valkey", "8")];

impl Host {
    fn shown(&self, name: &str) -> Value {
        self.rivetr(["databases", "show", name, "--json"]).succeeds().json()
    }

    /// Waits until a database answers.
    fn running(&self, name: &str) {
        assert_eq!(soon(|| self.shown(name), |shown| shown["state"] == "running")["state"], "running");
    }

    fn password(&self, name: &str) -> String {
        let shown = self.rivetr(["databases", "credentials", name, "--json"]).succeeds().json();
        shown["password"].as_str().unwrap().to_owned()
    }

    /// Has the server of a database do something, from within another container of its network.
    fn query(&self, kind: &str, name: &str, what: &str) -> String {
        let shown = self.rivetr(["databases", "credentials", name, "--json"]).succeeds().json();
        let text = |key: &str| shown[key].as_str().unwrap().to_owned();
        let (password, user, database) = (text("password"), text("user"), text("database"));
        let container = format!("rivetr-db-{name}");
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = self.as_owner(["podman", "inspect", "--format", format, &container]);
        let address = address.succeeds().stdout.trim().to_owned();
        let (variable, command) = match kind {
            "postgres" => (
                format!("PGPASSWORD={password}"),
                vec!["psql", "-h", &address, "-U", &user, "-d", &database, "-Atc", what],
            ),
            "mariadb" | "mysql" => (
                format!("MYSQL_PWD={password}"),
                vec![kind, "-h", &address, "-u", &user, "-D", &database, "-Ne", what],
            ),
            "redis" => (
                format!("REDISCLI_AUTH={password}"),
                [&["redis-cli", "-h", address.as_str()][..], &what.split(' ').collect::<Vec<_>>()].concat(),
            ),
            _ => (
                format!("REDISCLI_AUTH={password}"),
                [&["valkey-cli", "-h", address.as_str()][..], &what.split(' ').collect::<Vec<_>>()].concat(),
            ),
        };
        let begin = ["podman", "exec", "--env", &variable, &container];
        self.as_owner(begin.into_iter().chain(command)).succeeds().stdout.trim().to_owned()
    }

    fn write_and_read(&self, kind: &str, name: &str) {
        let (write, read) = asked(kind);
        self.query(kind, name, write);
        assert_eq!(self.query(kind, name, read), "kept", "{kind}");
    }
}

/// How something is written and read again.
fn asked(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "postgres" | "mariadb" | "mysql" => {
            ("CREATE TABLE t (v VARCHAR(9)); INSERT INTO t VALUES ('kept')", "SELECT v FROM t")
        }
        _ => ("SET k kept", "GET k"),
    }
}

#[test]
fn every_kind_answers_and_keeps_what_it_was_told() {
    let host = Host::boot("kinds");
    for (kind, version) in KINDS {
        let name = format!("my-{kind}");
        host.rivetr(["databases", "create", &name, "--kind", kind, "--version", version])
            .succeeds()
            .says("running");
        host.write_and_read(kind, &name);

        // Nothing that others can see holds a password, and nothing listens on the host.
        let password = host.password(&name);
        let container = format!("rivetr-db-{name}");
        let inspected = host.as_owner(["podman", "inspect", &container]).succeeds().stdout;
        assert!(!inspected.contains(&password), "{kind}: the password stands in podman inspect");
        let unit = host.systemctl(["cat", &format!("{container}.service")]).succeeds().stdout;
        assert!(!unit.contains(&password), "{kind}: the password stands in the unit");
        let processes = host.run(["ps", "axww", "-o", "args"]).succeeds().stdout;
        assert!(!processes.contains(&password), "{kind}: the password stands in arguments");

        // An ordinary unit, which has started once its server answers.
        host.systemctl(["restart", &format!("{container}.service")]).succeeds();
        assert_eq!(host.query(kind, &name, asked(kind).1), "kept");
        host.rivetr(["databases", "password", &name]).succeeds();
        host.running(&name);
        assert_ne!(host.password(&name), password);
        assert_eq!(host.query(kind, &name, asked(kind).1), "kept", "{kind}: with another password");
    }
    let listening = host.run(["ss", "-Htln"]).succeeds().stdout;
    for port in [":5432", ":3306", ":6379"] {
        assert!(!listening.contains(port), "{port} is open: {listening}");
    }

    // Another version, once the data are backed up.
    host.rivetr(["databases", "set", "my-mysql", "--version", "9.7"]).succeeds();
    let label = "{{index .Config.Labels \"org.opencontainers.image.version\"}}";
    let version = || {
        host.as_owner(["podman", "inspect", "--format", label, "rivetr-db-my-mysql"]).stdout.trim().to_owned()
    };
    assert_eq!(soon(version, |version| version == "9.7"), "9.7");
    host.running("my-mysql");
    assert_eq!(host.query("mysql", "my-mysql", asked("mysql").1), "kept", "by another version");
    let backups = host.rivetr(["backups", "list", "my-mysql", "--json"]).succeeds().json();
    assert_eq!(backups["items"][0]["state"], "done", "{backups}");
    host.rivetr(["databases", "set", "my-mysql", "--version", "9.1"]).exits(5).says("another database");

    // They run without rivetr, and it finds them when it is back.
    host.run(["systemctl", "kill", "--signal=SIGKILL", "rivetr.service"]).succeeds();
    for (kind, _) in KINDS {
        let unit = format!("rivetr-db-my-{kind}.service");
        host.systemctl(["is-active", &unit]).succeeds();
    }
    host.run(["systemctl", "start", "rivetr.service"]).succeeds();
    for (kind, _) in KINDS {
        let name = format!("my-{kind}");
        assert_eq!(host.shown(&name)["state"], "running");
        host.rivetr(["databases", "delete", &name, "--yes"]).succeeds();
    }
    let trash = host.rivetr(["databases", "trash", "list", "--json"]).succeeds().json();
    assert_eq!(trash["items"].as_array().map(Vec::len), Some(KINDS.len()));
    assert_eq!(host.names(["podman", "ps", "--all", "--format", "{{.Names}}"], "rivetr-db-"), [""; 0]);
}

#[test]
fn an_app_is_told_of_its_database_and_of_a_new_password() {
    let host = Host::boot("link");
    host.rivetr(["databases", "create", "orders", "--kind", "postgres", "--version", "17"]).succeeds();
    host.rivetr(["apps", "create", "blog"]).succeeds();
    host.sample("blog").push().succeeds();
    host.rivetr(["link", "blog", "orders"]).succeeds();
    let told = |release: u32| {
        let container = format!("rivetr-app-blog-{release}");
        let read = || host.as_owner(["podman", "exec", &container, "sh", "-c", "echo $DATABASE_URL"]);
        soon(read, |ran| ran.code == 0).succeeds().stdout.trim().to_owned()
    };
    let url = |password: &str| format!("postgres://orders:{password}@orders:5432/orders");
    let first = host.password("orders");
    assert_eq!(told(2), url(&first), "a link starts the app anew with the image that it has");

    // The app's unit starts after the database's.
    let after = host.systemctl(["show", "--property=After", "rivetr-app-blog-2.service"]).succeeds().stdout;
    assert!(after.contains("rivetr-db-orders.service"), "{after}");

    host.rivetr(["databases", "password", "orders"]).succeeds();
    let second = host.password("orders");
    assert_ne!(second, first);
    assert_eq!(told(3), url(&second));
    host.write_and_read("postgres", "orders");

    // By its name, over the DNS of the project's network.
    host.as_owner(["podman", "exec", "rivetr-app-blog-3", "nslookup", "orders"]).succeeds().says("10.90.");

    // An earlier release comes back with the password of now.
    host.rivetr(["rollback", "blog", "2"]).succeeds();
    assert_eq!(told(4), url(&second));

    host.rivetr(["projects", "create", "other"]).succeeds();
    host.rivetr(["databases", "create", "apart", "--kind", "valkey", "--version", "8", "--project", "other"])
        .succeeds();
    host.rivetr(["link", "blog", "apart"]).exits(5).says("projects do not reach each other");
    host.rivetr(["projects", "delete", "other"]).exits(5).says("apart");
    host.rivetr(["unlink", "blog", "orders"]).succeeds();
    host.rivetr(["databases", "create", "stock", "--kind", "mysql", "--version", "9"]).succeeds();
    host.rivetr(["link", "blog", "stock"]).succeeds();
    assert_eq!(told(5), format!("mysql://stock:{}@stock:3306/stock", host.password("stock")));
    host.rivetr(["apps", "delete", "blog", "--yes"]).succeeds();
}

#[test]
fn a_deleted_database_comes_back_with_its_data_until_it_is_removed_for_good() {
    let host = Host::boot("trash");
    host.rivetr(["databases", "create", "orders", "--kind", "valkey", "--version", "8"]).succeeds();
    host.write_and_read("valkey", "orders");
    host.rivetr(["databases", "stop", "orders"]).succeeds();
    assert_eq!(host.shown("orders")["state"], "stopped");
    host.rivetr(["databases", "start", "orders"]).succeeds();
    host.rivetr(["databases", "rename", "orders", "sales"]).succeeds();
    host.running("sales");
    assert_eq!(host.query("valkey", "sales", "GET k"), "kept");

    host.rivetr(["databases", "delete", "sales", "--yes"]).succeeds();
    host.rivetr(["databases", "show", "sales"]).exits(4);
    let trash = host.rivetr(["databases", "trash", "list", "--json"]).succeeds().json();
    let number = trash["items"][0]["id"].to_string();
    host.rivetr(["databases", "trash", "restore", &number]).succeeds();
    host.running("sales");
    assert_eq!(host.query("valkey", "sales", "GET k"), "kept");

    host.rivetr(["databases", "delete", "sales", "--yes"]).succeeds();
    host.rivetr(["databases", "trash", "purge", &number, "--yes"]).succeeds();
    assert_eq!(host.names(["podman", "volume", "ls", "--quiet"], "rivetr-db-"), [""; 0]);
    let secrets = host.names(["podman", "secret", "ls", "--format", "{{.Name}}"], "rivetr-db-");
    assert_eq!(secrets, [""; 0]);
}

#[test]
fn a_public_port_lets_in_whom_it_names_and_nobody_else() {
    let host = Host::boot("port");
    let own = format!("{}/32", host.gateway());
    let create = ["databases", "create", "cache", "--kind", "valkey", "--version", "8"];
    host.rivetr(create.into_iter().chain(["--public-port", "7000", "--allow", "192.0.2.0/24"])).succeeds();
    let listening = || host.run(["ss", "-Htln"]).succeeds().stdout.contains(":7000");
    assert!(soon(listening, |open| *open), "the port is open");
    assert_eq!(ping(host.address()), "", "this machine is not on the list");

    let set = ["databases", "set", "cache", "--public-port", "7000", "--allow"];
    host.rivetr(set.into_iter().chain([own.as_str()])).succeeds();
    let answer = soon(|| ping(host.address()), |answer| !answer.is_empty());
    assert!(answer.starts_with("-NOAUTH"), "the server answers, and asks who it is: {answer:?}");
    // It does so while rivetr is away, and over an upgrade of the proxy.
    host.run(["systemctl", "stop", "rivetr.service"]).succeeds();
    assert!(ping(host.address()).starts_with("-NOAUTH"));
    host.run(["systemctl", "start", "rivetr.service"]).succeeds();
    host.rivetr(["proxy", "upgrade"]).succeeds();
    assert!(ping(host.address()).starts_with("-NOAUTH"));

    host.rivetr(["apps", "create", "blog", "--publish", "7000:80"]).exits(5).says("database cache");
    host.rivetr(["databases", "set", "cache", "--unset", "public-port"]).succeeds();
    assert!(!soon(listening, |open| !*open), "the port is shut");
    host.rivetr(["databases", "delete", "cache", "--yes"]).succeeds();
}

/// What the server at that port of the host says to somebody who asks whether it is there.
fn ping(address: &str) -> String {
    let Ok(mut stream) = TcpStream::connect((address, 7000)) else { return String::new() };
    let mut answer = [0; 64];
    let asked = stream.write_all(b"PING\r\n").and_then(|()| stream.read(&mut answer));
    asked.map(|bytes| String::from_utf8_lossy(&answer[..bytes]).into_owned()).unwrap_or_default()
}

#[test]
fn what_does_not_start_says_why() {
    let host = Host::boot("why");
    let configure = |text: &str| std::fs::write(host.path("/root/own.conf"), text).unwrap();
    let own = ["--server-config", "/root/own.conf"];
    let create = |name: &'static str, kind: &'static str, version: &'static str| {
        ["databases", "create", name, "--kind", kind, "--version", version]
    };
    for (name, kind, version, section, ask) in [
        ("orders", "postgres", "17", "", "SHOW max_connections"),
        ("stock", "mysql", "9", "[mysqld]\n", "SELECT @@max_connections"),
    ] {
        configure(&format!("{section}no_such_setting = 1\n"));
        fails(host.rivetr(create(name, kind, version).into_iter().chain(own))).says("no_such_setting");
        assert_eq!(host.shown(name)["state"], "failed");
        configure(&format!("{section}max_connections = 23\n"));
        host.rivetr(["databases", "set", name].into_iter().chain(own)).succeeds();
        host.running(name);
        assert_eq!(host.query(kind, name, ask), "23");
    }
    fails(host.rivetr(create("none", "postgres", "0.1"))).says("check the name");
    host.rivetr(["databases", "set", "orders", "--version", "18"]).exits(5).says("another database");
    assert_eq!(host.query("postgres", "orders", "SHOW max_connections"), "23");
    for name in ["orders", "stock", "none"] {
        host.rivetr(["databases", "delete", name, "--yes"]).succeeds();
    }
}

fn fails(ran: Ran) -> Ran {
    assert_ne!(ran.code, 0, "{ran:?}");
    ran
}
