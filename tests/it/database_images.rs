//! The images of databases in the host's registry keep to what their official ones promise: other tests rely on them.

use crate::host::{Host, Ran, soon};

const PASSWORD: &str = "it's \"a\" $(word) \\ of `mine`";

/// Valkey reads an option as a line of its file, and finds no end of what quotes begin.
const PLAIN: &str = "a-word-of-letters";

/// One server at a time, as `db` in a network of its own, with its data in a volume.
struct Server<'a> {
    host: &'a Host,
    image: &'static str,
    folder: &'static str,
}

#[test]
fn images_of_databases_keep_their_contract() {
    let host = Host::boot("dbimages");
    host.as_owner(["podman", "network", "create", "test"]).succeeds();
    host.as_owner(["sh", "-c", "printf %s \"$1\" | podman secret create password -", "sh", PASSWORD])
        .succeeds();
    postgres(&host);
    sql(&host, &MARIADB);
    sql(&host, &MYSQL);
    keyvalue(&host, "docker.io/library/redis:8", "redis-cli");
    keyvalue(&host, "docker.io/valkey/valkey:8", "valkey-cli");
}

fn postgres(host: &Host) {
    let server = Server { host, image: "docker.io/library/postgres:17", folder: "/var/lib/postgresql/data" };
    let run = ["podman", "run", "--rm", server.image];
    host.as_owner(run).exits(1).says("You must specify POSTGRES_PASSWORD");
    let file = "POSTGRES_PASSWORD_FILE=/run/secrets/password";
    server.start(&["--secret=password", "--env", file, "--env=POSTGRES_USER=app"], &["-c", "work_mem=5MB"]);
    server.wait_for(&["pg_isready", "--host=127.0.0.1"]);
    let sql = |password: &str, sql: &str| {
        let password = format!("PGPASSWORD={password}");
        server.client(&["--env", &password], &["psql", "--host=db", "--username=app", "--command", sql])
    };
    sql(PASSWORD, "CREATE TABLE kept AS SELECT 'first' AS word").succeeds();
    sql(PASSWORD, "SHOW work_mem").succeeds().says("5MB");
    sql("wrong", "SELECT 1").exits(2).says("password authentication failed");
    let copy = "createdb -U app again && pg_dump -U app -Fc app | pg_restore -U app -d again && \
                psql -U app again -c 'SELECT word FROM kept'";
    server.exec(&["sh", "-c", copy]).succeeds().says("first");
    server.stop();
    server.start(&[], &["postgres"]);
    server.wait_for(&["pg_isready", "--host=127.0.0.1"]);
    sql(PASSWORD, "SELECT word FROM kept").succeeds().says("first");
    server.stop();
}

/// What is different between servers that speak the language of `MySQL`.
struct Dialect {
    image: &'static str,
    server: &'static str,
    client: &'static str,
    dump: &'static str,
    admin: &'static str,
    /// What the names of its own variables begin with.
    variables: &'static str,
    /// Succeeds once it can be used.
    healthy: &'static [&'static str],
}

const MARIADB: Dialect = Dialect {
    image: "docker.io/library/mariadb:11.8",
    server: "mariadbd",
    client: "mariadb",
    dump: "mariadb-dump",
    admin: "mariadb-admin",
    variables: "MARIADB",
    healthy: &["healthcheck.sh", "--connect", "--innodb_initialized"],
};

const MYSQL: Dialect = Dialect {
    image: "docker.io/library/mysql:9",
    server: "mysqld",
    client: "mysql",
    // Its own transactions are known to it, and refused.
    dump: "mysqldump --set-gtid-purged=OFF",
    admin: "mysqladmin",
    variables: "MYSQL",
    healthy: &["mysqladmin", "--host=127.0.0.1", "ping"],
};

fn sql(host: &Host, dialect: &Dialect) {
    let Dialect { image, server: program, client, dump, admin, variables, healthy } = *dialect;
    let server = Server { host, image, folder: "/var/lib/mysql" };
    let root = format!("{variables}_ROOT_PASSWORD");
    host.as_owner(["podman", "run", "--rm", image]).exits(1).says(&root);
    let file = "mkdir -p /files && echo 'CREATE TABLE given AS SELECT 1 AS n' >/files/1.sql";
    let volume = format!("{}-files:/files", server.volume());
    host.as_owner(["podman", "run", "--rm", "--volume", &volume, image, "sh", "-c", file]).succeeds();
    let variable = |end: &str, value: &str| format!("--env={variables}_{end}={value}");
    let file = "/run/secrets/password";
    let options = [
        "--secret=password".to_owned(),
        variable("ROOT_PASSWORD_FILE", file),
        variable("DATABASE", "app"),
        variable("USER", "app"),
        // MariaDB's image hears the other one's names as well.
        format!("--env=MYSQL_PASSWORD_FILE={file}"),
        format!("--volume={}-files:/docker-entrypoint-initdb.d", server.volume()),
    ];
    server.start(&options.each_ref().map(String::as_str), &["--max-connections=77"]);
    server.wait_for(healthy);
    let sql = |user: &str, password: &str, sql: &str| {
        let password = format!("--password={password}");
        server.client(&[], &[client, "--host=db", "--user", user, &password, "--execute", sql, "app"])
    };
    sql("app", PASSWORD, "CREATE TABLE kept AS SELECT 'first' AS word").succeeds();
    sql("app", PASSWORD, "SELECT @@max_connections FROM given").succeeds().says("77");
    sql("app", "wrong", "SELECT 1").exits(1).says("Access denied");
    sql("root", PASSWORD, "CREATE DATABASE again").succeeds();
    let copy = format!(
        "{dump} -uroot --password=\"$0\" app kept | {client} -uroot --password=\"$0\" again && \
         {client} -uroot --password=\"$0\" again -e 'SELECT word FROM kept' && {admin} -uroot --password=\"$0\" ping"
    );
    server.exec(&["sh", "-c", &copy, PASSWORD]).succeeds().says("first").says("alive");
    server.stop();
    server.start(&[], &[program]);
    server.wait_for(healthy);
    sql("app", PASSWORD, "SELECT word FROM kept").succeeds().says("first");
    server.stop();
}

fn keyvalue(host: &Host, image: &'static str, cli: &str) {
    let server = Server { host, image, folder: "/data" };
    let run = |password: &str, words: &[&str]| {
        let options = [cli, "-h", "db", "--no-auth-warning", "-a", password];
        server.client(&[], &options.iter().chain(words).copied().collect::<Vec<_>>())
    };
    server.start(&[], &["--requirepass", PLAIN]);
    let ping = [cli, "--no-auth-warning", "-a", PLAIN, "--raw", "-e", "PING"];
    server.wait_for(&ping);
    run(PLAIN, &["SET", "kept", "first"]).succeeds().says("OK");
    run("wrong", &["GET", "kept"]).says("WRONGPASS");
    server.stop();
    // With a file, which asks for no password, and open to others without one.
    let write = "printf 'appendonly no\\n' >/data/own.conf";
    let volume = format!("{}:{}", server.volume(), server.folder);
    host.as_owner(["podman", "run", "--rm", "--volume", &volume, image, "sh", "-c", write]).succeeds();
    server.start(&[], &["/data/own.conf"]);
    server.wait_for(&[cli, "-e", "PING"]);
    server.client(&[], &[cli, "-h", "db", "GET", "kept"]).succeeds().says("first");
    server.stop();
}

impl Server<'_> {
    fn start(&self, options: &[&str], arguments: &[&str]) {
        let volume = format!("{}:{}", self.volume(), self.folder);
        let run = ["podman", "run", "--detach", "--name=db", "--network=test", "--volume", &volume];
        let all = run.iter().chain(options).chain([&self.image]).chain(arguments);
        self.host.as_owner(all).succeeds();
    }

    /// Named after the image.
    fn volume(&self) -> String {
        self.image.replace(['/', ':', '.'], "-")
    }

    fn exec(&self, command: &[&str]) -> Ran {
        self.host.as_owner(["podman", "exec", "db"].iter().chain(command))
    }

    /// Waits until a command in the container succeeds.
    fn wait_for(&self, command: &[&str]) {
        soon(|| self.exec(command), |ran| ran.code == 0).succeeds();
    }

    /// A command in another container of the image.
    fn client(&self, options: &[&str], command: &[&str]) -> Ran {
        let run = ["podman", "run", "--rm", "--network=test"];
        self.host.as_owner(run.iter().chain(options).chain([&self.image]).chain(command))
    }

    /// Asserts that it served as the user of the image, and ends it; its data stays.
    fn stop(&self) {
        let owner = self.exec(&["stat", "--format=%u", "/proc/1", self.folder]).succeeds();
        assert_eq!(owner.stdout, "999\n999\n", "{}", self.image);
        self.host.as_owner(["podman", "stop", "db"]).succeeds();
        let ended = ["podman", "container", "inspect", "--format", "{{.State.ExitCode}}", "db"];
        assert_eq!(
            self.host.as_owner(ended).succeeds().stdout,
            "0\n",
            "{} does not end by itself",
            self.image
        );
        self.host.as_owner(["podman", "rm", "db"]).succeeds();
    }
}
