//! The one door through which programs are started: no shell, a bare environment, a time limit, stderr kept.
//!
//! Each program leads a process group of its own, and the whole group is killed when time is over or the
//! handle is dropped. Arguments are passed as they are: that none begins with a dash is the caller's care.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a program may take whose caller named no limit.
const DEFAULT_LIMIT: Duration = Duration::from_mins(1);
/// The most bytes of output kept whose caller named no cap; more is an error, not a shorter answer.
const DEFAULT_CAP: usize = 8 << 20;
/// The last bytes of stderr that are kept.
const STDERR_KEPT: usize = 64 << 10;
/// The last lines of stderr that an error shows.
const LINES_SHOWN: usize = 6;
/// Where programs are looked for until [`hand_in`] says otherwise.
const STANDARD_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static BASE: OnceLock<Base> = OnceLock::new();

/// The only variables that every program gets from rivetr's own environment.
#[derive(Debug, Clone)]
pub struct Base {
    /// `PATH`.
    pub path: OsString,
    /// `HOME`.
    pub home: PathBuf,
    /// `XDG_RUNTIME_DIR`.
    pub user_runtime: PathBuf,
}

/// Hands in, once and before anything is started, what programs inherit. A second call changes nothing.
pub fn hand_in(base: Base) {
    BASE.get_or_init(|| base);
}

/// Why a program did not do what it was started for.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("cannot start {program}: {source}{}", if source.kind() == io::ErrorKind::NotFound { "; install it, or check that it is on rivetr's PATH" } else { "" })]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// It took too long and was killed with all it had started.
    #[error("{program} was stopped after {} s, its time limit{}", limit.as_secs(), said(last))]
    TimeOver {
        /// The program.
        program: String,
        /// How long it was given.
        limit: Duration,
        /// The end of its stderr.
        last: String,
    },
    /// It wrote more than the caller can use and was killed.
    #[error("{program} was stopped: it wrote more than {cap} bytes")]
    TooMuch {
        /// The program.
        program: String,
        /// How many bytes it was allowed.
        cap: usize,
    },
    /// It ended otherwise than by success.
    #[error("{program} failed ({status}){}", said(last))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its stderr.
        last: String,
    },
    /// Its input or output broke.
    #[error("lost contact with {program}: {source}")]
    Io {
        /// The program.
        program: String,
        /// What broke.
        source: io::Error,
    },
}

/// How a program ended and what it wrote.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All it wrote to stdout.
    pub stdout: Vec<u8>,
    /// The end of what it wrote to stderr.
    pub stderr: String,
}

/// A program about to be started.
#[derive(Debug)]
pub struct Spawn {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: PathBuf,
    limit: Option<Duration>,
    cap: usize,
    stdin: Vec<u8>,
    bounds: Vec<(Resource, u64)>,
}

impl Spawn {
    /// A program by its name or path, without arguments, in `/`.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: "/".into(),
            limit: None,
            cap: DEFAULT_CAP,
            stdin: Vec::new(),
            bounds: Vec::new(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds a variable to the bare environment.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Where it works.
    #[must_use]
    pub fn dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.dir = path.into();
        self
    }

    /// How long it may take. A stream without a limit may take for ever.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How many bytes of output [`Spawn::run`] and [`Spawn::output`] take before they give up.
    #[must_use]
    pub fn cap(mut self, bytes: usize) -> Self {
        self.cap = bytes;
        self
    }

    /// What it reads; nothing unless said.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The largest file it may write, in bytes; the kernel ends it there. Holds from just after the start on.
    #[must_use]
    pub fn largest_file(mut self, bytes: u64) -> Self {
        self.bounds.push((Resource::Fsize, bytes));
        self
    }

    /// The most memory of its own each of its processes may have, in bytes; from just after the start on.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.bounds.push((Resource::Data, bytes));
        self
    }

    /// Runs it to its end; anything but success is an error.
    pub async fn run(self) -> Result<Output, ProcessError> {
        let program = self.name();
        let output = self.output().await?;
        if output.status.success() {
            return Ok(output);
        }
        Err(ProcessError::Failed { program, status: output.status, last: last_lines(&output.stderr) })
    }

    /// Runs it to its end, whichever that is.
    pub async fn output(mut self) -> Result<Output, ProcessError> {
        let (limit, cap) = (self.limit.take().unwrap_or(DEFAULT_LIMIT), self.cap);
        let input = std::mem::take(&mut self.stdin);
        let mut running = self.stream()?;
        let (stdin, stdout) = (running.stdin.take(), running.stdout.take());
        let mut errors = Tail::default();
        let work = async {
            let read = read_capped(stdout, cap);
            let (fed, read, drained) =
                tokio::join!(feed(stdin, &input), read, errors.drain(running.stderr.take()));
            let Some(stdout) = fed.and(drained).and(read)? else { return Ok(None) };
            Ok(Some((running.child.wait().await?, stdout)))
        };
        let ended = timeout(limit, work).await;
        match ended {
            Ok(Ok(Some((status, stdout)))) => {
                running.group.gone();
                Ok(Output { status, stdout, stderr: errors.text() })
            }
            Ok(Ok(None)) => {
                running.kill().await;
                Err(ProcessError::TooMuch { program: running.program.clone(), cap })
            }
            Ok(Err(source)) => {
                running.kill().await;
                Err(ProcessError::Io { program: running.program.clone(), source })
            }
            Err(_) => {
                running.kill().await;
                let last = last_lines(&errors.text());
                Err(ProcessError::TimeOver { program: running.program.clone(), limit, last })
            }
        }
    }

    /// Starts it and hands over its pipes; it is killed with its group when the handle is dropped.
    pub fn stream(self) -> Result<Running, ProcessError> {
        let program = self.name();
        let failed = |source| ProcessError::Start { program: program.clone(), source };
        #[expect(clippy::disallowed_methods, reason = "this is the one spawner")]
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.args).current_dir(&self.dir).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_clear().env("LANG", "C.UTF-8");
        match BASE.get() {
            Some(Base { path, home, user_runtime }) => {
                command.env("PATH", path).env("HOME", home).env("XDG_RUNTIME_DIR", user_runtime)
            }
            None => command.env("PATH", STANDARD_PATH),
        };
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        let mut child = command.spawn().map_err(failed)?;
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let group = Group::led_by(leader);
        // Without a pid the bounds would fall on this process; only a child already reaped has none.
        if let Some(leader) = leader {
            for (resource, most) in self.bounds {
                let bound = Rlimit { current: Some(most), maximum: Some(most) };
                prlimit(Some(leader), resource, bound).map_err(|errno| failed(errno.into()))?;
            }
        }
        let mut running = Running {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            limit: self.limit,
            watch: JoinSet::new(),
            over: Arc::default(),
            group,
            child,
            program,
        };
        running.watch();
        Ok(running)
    }

    /// What errors call it: never its arguments, which may name what is not for every eye.
    fn name(&self) -> String {
        let name = PathBuf::from(&self.program);
        name.file_name().unwrap_or(&self.program).to_string_lossy().into_owned()
    }
}

/// A program that is running, until its time is over or the handle is dropped: then its group is killed.
#[derive(Debug)]
pub struct Running {
    /// What it reads, until taken.
    pub stdin: Option<ChildStdin>,
    /// What it writes, until taken.
    pub stdout: Option<ChildStdout>,
    /// What it complains about, until taken. It blocks when nobody reads much of it: take it, or poll
    /// [`Running::wait`] beside the other pipes.
    pub stderr: Option<ChildStderr>,
    limit: Option<Duration>,
    watch: JoinSet<()>,
    over: Arc<AtomicBool>,
    group: Group,
    child: Child,
    program: String,
}

impl Running {
    /// Waits for its end and says how it ended; closes the pipes nobody took. Time over is an error.
    pub async fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        self.end().await.map(|(status, _)| status)
    }

    /// Waits for its end; anything but success is an error, with the last lines of stderr if nobody took it.
    pub async fn succeed(&mut self) -> Result<(), ProcessError> {
        let (status, last) = self.end().await?;
        if status.success() {
            return Ok(());
        }
        Err(ProcessError::Failed { program: self.program.clone(), status, last })
    }

    async fn end(&mut self) -> Result<(ExitStatus, String), ProcessError> {
        drop(self.stdin.take());
        drop(self.stdout.take());
        let mut errors = Tail::default();
        let program = self.program.clone();
        let ended = match errors.drain(self.stderr.take()).await {
            Ok(()) => self.child.wait().await,
            Err(error) => Err(error),
        };
        let status = ended.map_err(|source| ProcessError::Io { program: program.clone(), source })?;
        self.group.gone();
        let last = last_lines(&errors.text());
        match self.limit {
            Some(limit) if self.over.load(Ordering::Acquire) => {
                Err(ProcessError::TimeOver { program, limit, last })
            }
            Some(_) | None => Ok((status, last)),
        }
    }

    /// Has the group killed when its time is over, whoever waits for what.
    fn watch(&mut self) {
        let Some(limit) = self.limit else { return };
        let (group, over) = (self.group.clone(), Arc::clone(&self.over));
        self.watch.spawn(async move {
            sleep(limit).await;
            over.store(true, Ordering::Release);
            group.kill();
        });
    }

    async fn kill(&mut self) {
        self.group.kill();
        if let Err(error) = self.child.wait().await {
            tracing::warn!(program = self.program, %error, "cannot reap a killed program");
        }
        self.group.gone();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.group.kill();
    }
}

/// The process group that a program leads, as long as it does.
#[derive(Debug, Clone)]
struct Group(Arc<Mutex<Option<Pid>>>);

impl Group {
    fn led_by(leader: Option<Pid>) -> Self {
        Self(Arc::new(Mutex::new(leader)))
    }

    /// The leader was reaped: its number may be given to a stranger from now on.
    fn gone(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn kill(&self) {
        let leader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(leader) = *leader else { return };
        match kill_process_group(leader, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => {
                tracing::warn!(pid = leader.as_raw_nonzero(), %error, "cannot kill a process group")
            }
        }
    }
}

/// The end of a stream of bytes that may be long.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    async fn drain(&mut self, from: Option<impl AsyncRead + Unpin>) -> io::Result<()> {
        let Some(mut from) = from else { return Ok(()) };
        loop {
            if from.read_buf(&mut self.0).await? == 0 {
                return Ok(());
            }
            if self.0.len() > 2 * STDERR_KEPT {
                self.0.drain(..self.0.len() - STDERR_KEPT);
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// A program that ends before it has read all says by its status whether it minded.
async fn feed(to: Option<ChildStdin>, input: &[u8]) -> io::Result<()> {
    let Some(mut to) = to else { return Ok(()) };
    match to.write_all(input).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reads to the end, or nothing once there is more than `cap`.
async fn read_capped(from: Option<impl AsyncRead + Unpin>, cap: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let Some(mut from) = from else { return Ok(Some(bytes)) };
    while from.read_buf(&mut bytes).await? > 0 {
        if bytes.len() > cap {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// The last lines of a text, fit for a message: no control characters, no empty lines.
#[must_use]
pub fn last_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).filter(|line| !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(LINES_SHOWN)..).unwrap_or_default().join("\n")
}

/// A line as a terminal may show it: what stood after the last carriage return, without control characters.
#[must_use]
pub fn printable(line: &str) -> String {
    let line = line.trim_end();
    let shown = line.rsplit('\r').next().unwrap_or(line);
    shown.chars().filter(|c| !c.is_control() || *c == '\t').collect::<String>().trim_end().to_owned()
}

fn said(last: &str) -> String {
    if last.is_empty() { String::new() } else { format!(": {last}") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sh(script: &str) -> Spawn {
        Spawn::new("sh").args(["-c", script])
    }

    /// Waits until no process of this pid is left; a zombie does not count.
    async fn until_gone(pid: &str) {
        let stat = Path::new("/proc").join(pid).join("stat");
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn arguments_input_and_output_pass_unchanged() {
        let odd = ["a b", "$HOME", "*", "", "\"'\\", "\n", "-x"];
        let output = Spawn::new("printf").args(["%s\\0"]).args(odd).run().await.unwrap();
        assert_eq!(output.stdout, odd.map(|arg| format!("{arg}\0")).concat().as_bytes());
        let echoed = Spawn::new("cat").stdin("x".repeat(300_000)).run().await.unwrap();
        assert_eq!(echoed.stdout.len(), 300_000);
    }

    #[tokio::test]
    async fn the_environment_is_bare() {
        let output = Spawn::new("env").env("MORE", "1").run().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut keys: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        keys.retain(|key| !matches!(*key, "HOME" | "XDG_RUNTIME_DIR"));
        keys.sort_unstable();
        assert_eq!(keys, ["LANG", "MORE", "PATH"]);
        let dir = Spawn::new("pwd").run().await.unwrap();
        assert_eq!(dir.stdout, b"/\n");
    }

    #[tokio::test]
    async fn a_failure_names_the_program_and_its_last_words_but_no_argument() {
        let error =
            sh("seq 1 99 >&2; printf 'half\\rwhole \\033[31mred\\n' >&2; exit 3 # secret").run().await;
        let text = error.unwrap_err().to_string();
        assert_eq!(text, "sh failed (exit status: 3): 95\n96\n97\n98\n99\nwhole [31mred");
        let missing = Spawn::new("rivetr-no-such-program").run().await.unwrap_err().to_string();
        assert!(missing.contains("rivetr-no-such-program") && missing.contains("install it"), "{missing}");
    }

    #[tokio::test]
    async fn time_over_kills_the_whole_group() {
        let script = "sleep 1000 & echo $! >&2; wait";
        let error = sh(script).limit(Duration::from_millis(300)).run().await.unwrap_err();
        let ProcessError::TimeOver { last, .. } = &error else { panic!("{error}") };
        until_gone(last).await;
    }

    #[tokio::test]
    async fn a_child_left_behind_that_holds_the_pipes_is_killed_too() {
        let error = sh("sleep 1000 & echo $! >&2").limit(Duration::from_millis(300)).run().await.unwrap_err();
        let ProcessError::TimeOver { last, .. } = &error else { panic!("{error}") };
        until_gone(last).await;
    }

    #[tokio::test]
    async fn dropping_the_handle_kills_the_whole_group() {
        let mut running = sh("sleep 1000 & echo $!; wait").stream().unwrap();
        let mut pid = String::new();
        let mut stdout = running.stdout.take().unwrap();
        while !pid.ends_with('\n') {
            let byte = stdout.read_u8().await.unwrap();
            pid.push(char::from(byte));
        }
        drop(running);
        until_gone(pid.trim()).await;
    }

    #[tokio::test]
    async fn too_much_output_is_an_error_and_not_a_shorter_answer() {
        let error = Spawn::new("cat").args(["/dev/zero"]).cap(1000).run().await.unwrap_err();
        assert!(matches!(error, ProcessError::TooMuch { cap: 1000, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_stream_is_read_and_fed_while_it_complains() {
        let mut running = sh("seq 1 100000 >&2; cat; exit 4").limit(Duration::from_mins(1)).stream().unwrap();
        let (stdin, mut stdout) = (running.stdin.take(), running.stdout.take().unwrap());
        let (input, mut echoed) = (vec![b'x'; 200_000], Vec::new());
        let (fed, read, ended) =
            tokio::join!(feed(stdin, &input), stdout.read_to_end(&mut echoed), running.succeed());
        fed.unwrap();
        assert_eq!(read.unwrap(), 200_000);
        assert!(ended.unwrap_err().to_string().ends_with("100000"));
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_time_is_over_though_nobody_waits() {
        let mut running = sh("sleep 1000 & wait").limit(Duration::from_millis(300)).stream().unwrap();
        let mut nothing = Vec::new();
        running.stdout.take().unwrap().read_to_end(&mut nothing).await.unwrap();
        let error = running.wait().await.unwrap_err();
        assert!(matches!(error, ProcessError::TimeOver { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_grows_too_large_ends_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let grow =
            sh("read go; exec dd if=/dev/zero of=big bs=4096 count=1000").dir(dir.path()).stdin("go\n");
        assert!(grow.largest_file(100_000).run().await.is_err());
        assert!(std::fs::metadata(dir.path().join("big")).unwrap().len() <= 100_000);
    }
}
