//! The throw-away host as a test sees it: boot it, set rivetr up in it, run commands, ask through the proxy.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

/// Lists the names of images.
const IMAGES: [&str; 4] = ["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"];
/// Lists the names of containers, those of builds as well.
pub const CONTAINERS: [&str; 6] = ["podman", "ps", "--all", "--external", "--format", "{{.Names}}"];
/// How long nobody looks at what changes by itself.
const LOOK: Duration = Duration::from_millis(100);
/// How long something may take that is done without anybody waiting for it.
const SOON: Duration = Duration::from_secs(20);

/// A fresh host with rivetr set up in it; gone when dropped.
pub struct Host {
    name: String,
    address: String,
    root: PathBuf,
    disk: PathBuf,
    token: String,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Rootless,
    Rootful,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    what: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// An answer that came through the proxy.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Host {
    /// Boots a host and sets rivetr up in it, as `./dev up` does.
    pub fn boot(name: &str) -> Self {
        let mut host = Self::bare(name);
        host.set_up();
        host
    }

    /// Sets rivetr up in a bare host.
    pub fn set_up(&mut self) {
        let url = format!("http://{}", self.address);
        let mut setup = vec!["rivetr", "setup", "--json", "--url", &url];
        if self.mode == Mode::Rootful {
            setup.push("--system-wide");
        }
        let setup = self.run(setup).succeeds().json();
        setup["token"].as_str().expect("setup prints a token").clone_into(&mut self.token);
    }

    /// Boots a host with the binary in it, and nothing set up.
    pub fn bare(name: &str) -> Self {
        let mode = match std::env::var("RIVETR_TEST_MODE").as_deref() {
            Err(_) | Ok("rootless") => Mode::Rootless,
            Ok("rootful") => Mode::Rootful,
            Ok(other) => panic!("RIVETR_TEST_MODE is rootless or rootful, not {other}"),
        };
        Self::up(name, mode, &["--binary", env!("CARGO_BIN_EXE_rivetr")])
    }

    /// Boots a host that has never seen rivetr. What it becomes is rootless, as a package makes it.
    pub fn untouched(name: &str) -> Self {
        Self::up(name, Mode::Rootless, &[])
    }

    fn up(name: &str, mode: Mode, options: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}{}-{count}", std::process::id());
        let suite = std::env::var("RIVETR_TEST_SUITE").unwrap_or_else(|_| "trixie".to_owned());
        let mut up = script(["up", &name, "--suite", &suite]);
        up.args(options);
        let up = Ran::of("host up", &up.output().expect("the script runs")).succeeds().json();
        let text = |key: &str| up[key].as_str().unwrap_or_else(|| panic!("no {key} in {up}")).to_owned();
        let (address, root, disk) = (text("address"), text("root").into(), text("dir").into());
        Self { name, address, root, disk, token: String::new(), mode }
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// This machine, as the host sees it.
    pub fn gateway(&self) -> String {
        self.address.strip_suffix(".2").map(|network| format!("{network}.1")).expect("the second of four")
    }

    /// A path of the host, as this machine sees it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Runs a command in the host as root.
    pub fn run<S: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = S>) -> Ran {
        self.enter(None, command)
    }

    /// Runs a command in the host as the user whose containers they are.
    pub fn as_owner<S: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = S>) -> Ran {
        let owner = (self.mode == Mode::Rootless).then_some("rivetr");
        self.enter(owner, command)
    }

    /// Runs a command in the host as any of its users.
    pub fn as_user<'a>(&self, user: &str, command: impl IntoIterator<Item = &'a str>) -> Ran {
        self.enter(Some(user), command)
    }

    /// `systemctl` towards the manager that runs the apps.
    pub fn systemctl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        let manager: &[&str] = if self.mode == Mode::Rootless { &["--user"] } else { &[] };
        self.as_owner(["systemctl"].iter().chain(manager).copied().chain(arguments))
    }

    /// `rivetr` on the command line, as root in the host.
    pub fn rivetr<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        self.run(["rivetr"].into_iter().chain(arguments))
    }

    /// Starts a command in the host with its standard streams piped.
    pub fn spawn<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Child {
        let mut script = script(["exec", &self.name, "--"]);
        script.args(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        script.spawn().expect("the script runs")
    }

    fn enter<S: AsRef<OsStr>>(&self, user: Option<&str>, command: impl IntoIterator<Item = S>) -> Ran {
        let command: Vec<S> = command.into_iter().collect();
        let shown: Vec<_> = command.iter().map(|word| word.as_ref().to_string_lossy().into_owned()).collect();
        let mut script = script(["exec", &self.name]);
        if let Some(user) = user {
            script.args(["--user", user]);
        }
        let output = script.arg("--").args(command).stdin(Stdio::null()).output();
        Ran::of(&shown.join(" "), &output.expect("the script runs"))
    }

    /// Powers the host off and boots it again with the same disk.
    pub fn reboot(&mut self) {
        let reboot = script(["reboot", &self.name]).output().expect("the script runs");
        let reboot = Ran::of("host reboot", &reboot).succeeds().json();
        self.root = reboot["root"].as_str().expect("the host has a root").into();
    }

    /// Asks an app through the proxy, from outside of the host.
    pub fn get(&self, app: &str) -> Answer {
        self.ask(&self.host_of(app), "/").unwrap_or_else(|error| panic!("{app} does not answer: {error}"))
    }

    /// Asks a path of a host through the proxy.
    pub fn ask(&self, host: &str, path: &str) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect((self.address.as_str(), 80))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(format!("not an answer: {answer:?}")))?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        Ok(Answer { status, body: body.unwrap_or_default() })
    }

    /// The name that an app gets by itself.
    pub fn host_of(&self, app: &str) -> String {
        format!("{app}.{}.sslip.io", self.address)
    }

    /// A new repository on this machine with the files of one of `tests/apps`.
    pub fn repository(&self, app: &str) -> Repository {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let repository = Repository { url: self.git_url(app), folder };
        repository.git(["init", "--quiet", "--initial-branch=main"]).succeeds();
        repository
    }

    /// The same with the sample app in it, committed.
    pub fn sample(&self, app: &str) -> Repository {
        let repository = self.repository(app);
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/hello");
        for entry in std::fs::read_dir(sample).expect("the sample app is there") {
            let path = entry.expect("the sample app can be read").path();
            let text = std::fs::read_to_string(&path).expect("the sample app is text");
            repository.write(path.file_name().unwrap().to_str().unwrap(), &text);
        }
        repository.commit("The sample app");
        repository
    }

    fn git_url(&self, app: &str) -> String {
        self.git_url_with(&self.token, app)
    }

    /// Where to push an app to, with a token of one's choice.
    pub fn git_url_with(&self, token: &str, app: &str) -> String {
        format!("http://rivetr:{token}@{}/git/{app}.git", self.address)
    }

    /// The secret of a new token, which is named after its scope.
    pub fn token(&self, scope: &str) -> String {
        let made = self.rivetr(["tokens", "create", scope, "--scope", scope, "--json"]).succeeds().json();
        made["secret"].as_str().expect("a token has a secret").to_owned()
    }

    /// A new app whose first release serves, while a push of a build that takes long is under way.
    pub fn live_and_building(&self, app: &str) -> (Repository, Push) {
        self.rivetr(["apps", "create", app, "--port", "8080"]).succeeds();
        let repository = self.sample(app);
        repository.push().succeeds();
        repository.write("Containerfile", "FROM docker.io/library/busybox:stable\nRUN sleep 600\n");
        repository.commit("A build that takes long");
        let mut push = repository.start_push();
        push.wait_for("RUN sleep 600");
        (repository, push)
    }

    /// The secret of a token of this scope whose time is over.
    pub fn expired_token(&self, scope: &str) -> String {
        let made = self.rivetr(["tokens", "create", "expired", "--scope", scope, "--json"]).succeeds().json();
        let sql = "UPDATE token SET expires = 1 WHERE id = ?1";
        let changed = self.database().execute(sql, [made["token"]["id"].as_i64()]);
        assert_eq!(changed.expect("the database can be written"), 1);
        made["secret"].as_str().expect("a token has a secret").to_owned()
    }

    /// rivetr's database, for what cannot be brought about from outside.
    pub fn database(&self) -> rusqlite::Connection {
        // SQLite follows links itself, and by that of the host's root it would come to this machine's.
        rusqlite::Connection::open(self.disk.join("rivetr/rivetr.db")).unwrap()
    }

    /// Adds to the configuration, and starts the daemon anew.
    pub fn configure(&self, section: &str) {
        let path = self.path("/etc/rivetr/rivetr.toml");
        let text = std::fs::read_to_string(&path).expect("there is a configuration");
        std::fs::write(&path, format!("{text}\n{section}")).expect("it can be written");
        self.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    }

    /// Loads an app through the proxy until told to stop, from a client in the host.
    pub fn load(&self, app: &str, rate: u32) -> Load {
        self.bring_load();
        let mut child =
            self.spawn(["load", "ask", &self.host_of(app), &rate.to_string(), "http1=127.0.0.1:80"]);
        let mut first = [0; 8];
        let stdout = child.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut first).expect("the client says that it has started");
        assert_eq!(&first, b"started\n");
        Load(child)
    }

    /// Brings the client, which is also an app, into the host as the command `load`.
    pub fn bring_load(&self) {
        let client = self.path("/usr/local/bin/load");
        if !client.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_rivetr-load"), client).expect("the client can be copied");
        }
    }

    /// Runs a script of `tests/bench/lib` in the host as root.
    pub fn guest(&self, name: &str, arguments: &[&str]) -> Ran {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/lib").join(name);
        let script = std::fs::read_to_string(script).expect("the script is there");
        self.run(["bash", "-c", &script, name].iter().chain(arguments))
    }

    /// Waits until a unit of an app is up: `systemctl start` returns when its start is over.
    pub fn wait_for_unit(&self, unit: &str) {
        self.systemctl(["start", unit]).succeeds();
    }

    /// The process of the daemon.
    pub fn main_pid(&self) -> String {
        self.run([
            "systemctl",
            "show",
            "--property=MainPID,ExecMainStartTimestampMonotonic",
            "rivetr.service",
        ])
        .succeeds()
        .stdout
    }

    /// Names of a kind that begin with `prefix`, one a line of the command's output, sorted.
    pub fn names<'a>(&self, command: impl IntoIterator<Item = &'a str>, prefix: &str) -> Vec<String> {
        let ran = self.as_owner(command).succeeds();
        let words = ran.stdout.lines().filter_map(|line| line.split_whitespace().next());
        let mut names: Vec<String> =
            words.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Asserts that of this app there is exactly this release: unit, container, unit file; and nothing half done.
    pub fn assert_only(&self, app: &str, numbers: &[u32]) {
        let release = |number: &u32| format!("rivetr-app-{app}-{number}");
        let expected: Vec<String> = numbers.iter().map(release).collect();
        let services: Vec<String> = expected.iter().map(|name| format!("{name}.service")).collect();
        let prefix = format!("rivetr-app-{app}-");
        let manager = if self.mode == Mode::Rootless { "--user" } else { "--system" };
        let list = ["systemctl", manager, "list-units", "--all", "--plain", "--no-legend", "--type=service"];
        assert_eq!(self.names(list, &prefix), services, "units");
        assert_eq!(self.names(list, "rivetr-build-"), [""; 0], "builds");
        let mut names = self.names(CONTAINERS, "");
        names.retain(|name| name.starts_with(&prefix) || !name.starts_with("rivetr-app-"));
        assert_eq!(names, expected, "containers");
        let files: Vec<String> = expected.iter().map(|name| format!("{name}.container")).collect();
        assert_eq!(self.list(&format!("{}/app-{app}", self.quadlets())), files, "unit files");
        let secrets = self.names(["podman", "secret", "ls", "--format", "{{.Name}}"], &prefix);
        let needed = |name: &String| expected.iter().any(|release| name.starts_with(&format!("{release}-")));
        assert!(secrets.iter().all(needed), "secrets of releases that are gone: {secrets:?}");
        let logs = self.list(&format!("/var/lib/rivetr/deployments/{app}"));
        assert!(
            logs.iter().all(|name| Path::new(name).extension() == Some("log".as_ref())),
            "left in the workspace: {logs:?}"
        );
        let repo = format!("/var/lib/rivetr/repos/{app}.git");
        if self.path(&repo).exists() {
            let repo = format!("--git-dir={repo}");
            let pushed = ["for-each-ref", "refs/rivetr/pushes", "refs/rivetr/deployments"];
            let refs = self.as_owner(["git", &repo].into_iter().chain(pushed)).succeeds();
            assert_eq!(refs.stdout, "", "references of pushes");
        }
    }

    /// Asserts which images of an app are there, by number.
    pub fn assert_images(&self, app: &str, numbers: &[u32]) {
        let mut expected: Vec<String> = numbers.iter().map(|number| format!("{app}:{number}")).collect();
        expected.sort();
        self.wait_for_images(&expected);
    }

    /// The images of all deployments, as app and number, sorted.
    pub fn images(&self) -> Vec<String> {
        let names = self.names(IMAGES, "localhost/rivetr/");
        names.iter().filter_map(|name| name.strip_prefix("localhost/rivetr/")).map(str::to_owned).collect()
    }

    /// Asserts that exactly these are there, and none without a name, once old ones are gone: soon after a release is
    /// live, but not before whoever deploys is told.
    pub fn wait_for_images(&self, expected: &[impl AsRef<str>]) {
        let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
        assert_eq!(soon(|| self.images(), |images| *images == expected), expected, "images");
        assert_eq!(self.names(IMAGES, "<none>"), [""; 0], "images without a name");
    }

    /// The folder of rivetr's Quadlets.
    pub fn quadlets(&self) -> &'static str {
        match self.mode {
            Mode::Rootless => "/var/lib/rivetr/.config/containers/systemd/rivetr",
            Mode::Rootful => "/etc/containers/systemd/rivetr",
        }
    }

    /// The names in a folder of the host, sorted; empty if it is not there.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let unit = if self.mode == Mode::Rootless { "user@*.service" } else { "*" };
            let log = self.run(["journalctl", "--no-pager", "-n", "400", "-u", "rivetr*", "-u", unit]);
            // A container of Podman's has scopes of its own, which come and go by the hundred.
            let lines: Vec<_> = log.stdout.lines().filter(|line| !line.contains(".scope")).collect();
            let last = lines[lines.len().saturating_sub(60)..].join("\n") + "\n";
            // Before what went wrong, which is told last.
            if let Err(error) = std::io::stdout().write_all(last.as_bytes()) {
                eprintln!("the journal is not shown: {error}");
            }
        }
        if std::env::var_os("RIVETR_TEST_KEEP").is_none() {
            let down = script(["down", &self.name]).output().expect("the script runs");
            eprint!("{}", String::from_utf8_lossy(&down.stderr));
        }
    }
}

impl Ran {
    fn of(what: &str, output: &Output) -> Self {
        Self {
            what: what.to_owned(),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}\n{}", self.what, self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn fails(self) -> Self {
        assert_ne!(self.code, 0, "{}\n{}\n{}", self.what, self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "{}\n{}", self.what, self.stderr);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.what, self.stdout))
    }

    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert!(all.contains(words), "{} does not say {words:?}:\n{all}", self.what);
        self
    }
}

/// A repository on this machine, with rivetr as the place to push to.
pub struct Repository {
    folder: tempfile::TempDir,
    url: String,
}

impl Repository {
    pub fn write(&self, file: &str, text: &str) {
        let path = self.folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }

    pub fn commit(&self, subject: &str) {
        self.git(["add", "--all"]).succeeds();
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
        self.git(who.into_iter().chain(["commit", "--quiet", "--allow-empty", "-m", subject])).succeeds();
    }

    pub fn push(&self) -> Ran {
        self.git(["push", &self.url, "main"])
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Begins a push, to go on while it runs.
    pub fn start_push(&self) -> Push {
        let mut git = self.command(&["push", &self.url, "main"]);
        let mut child = git.stderr(Stdio::piped()).process_group(0).spawn().expect("git runs");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        Push { child, lines, seen: String::new() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn git<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let output = self.command(&arguments).output().expect("git runs");
        Ran::of(&format!("git {}", arguments.join(" ")), &output)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.arg("-C")
            .arg(self.folder.path())
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null());
        git
    }
}

/// A push that is under way.
pub struct Push {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    seen: String,
}

impl Push {
    /// Waits until it has said these words.
    #[track_caller]
    pub fn wait_for(&mut self, words: &str) {
        for line in &mut self.lines {
            let line = line.expect("git writes text");
            self.seen.push_str(&format!("{line}\n"));
            if line.contains(words) {
                return;
            }
        }
        panic!("the push ended without {words:?}:\n{}", self.seen);
    }

    /// Kills it, and the helpers that git has started for it.
    pub fn kill(mut self) {
        let group = Pid::from_raw(self.child.id().try_into().unwrap());
        killpg(group, Signal::SIGKILL).expect("it still runs");
        self.child.wait().expect("it ends");
    }

    /// Waits until it has ended.
    pub fn end(mut self) -> Ran {
        for line in &mut self.lines {
            self.seen.push_str(&format!("{}\n", line.expect("git writes text")));
        }
        let code = self.child.wait().expect("git ends").code().unwrap_or(-1);
        Ran { what: "git push".to_owned(), code, stdout: String::new(), stderr: self.seen }
    }
}

/// A client that loads an app.
pub struct Load(Child);

impl Load {
    /// Ends it, and asserts that it was a real load of which nothing failed.
    #[track_caller]
    pub fn lost_nothing(self) -> Value {
        let report = self.end();
        let requests = report["requests"].as_u64().unwrap();
        // A few hundred milliseconds are enough for all that some tests do meanwhile.
        assert!(requests > 30, "hardly a load: {report}");
        assert_eq!(report["failed"], 0, "{report}");
        report
    }

    fn end(mut self) -> Value {
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output().expect("the client ends");
        Ran::of("load", &output).succeeds().json()
    }
}

/// Looks until what is seen is as it should be, and returns what was seen last.
pub fn soon<T>(look: impl Fn() -> T, is_so: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        let seen = look();
        if is_so(&seen) || Instant::now() > deadline {
            return seen;
        }
        between_looks();
    }
}

/// Leaves the processors to what is waited for: who looks all the time takes one for himself.
pub fn between_looks() {
    std::thread::sleep(LOOK);
}

fn script<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host/host"));
    command.args(arguments);
    command
}
