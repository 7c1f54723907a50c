//! What every command works with: the API, where to write, and in which form.

use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::{Exit, Failure};
use crate::api::client::{Answer, Client, Target};
use crate::config::environment::Environment;

/// What every command works with.
pub struct Session {
    /// The API.
    pub client: Client,
    /// Print the API's JSON in place of text.
    pub json: bool,
    output: Box<dyn Write>,
}

impl Session {
    /// A session that writes to `output`.
    #[must_use]
    pub fn new(client: Client, json: bool, output: Box<dyn Write>) -> Self {
        Self { client, json, output }
    }

    /// Writes text that ends its own lines.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.output.write_all(text.as_bytes())?;
        Ok(self.output.flush()?)
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.output.write_all(bytes)?;
        Ok(self.output.flush()?)
    }

    /// Writes one line.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.print(&format!("{text}\n"))
    }

    /// Writes one JSON document on one line.
    pub fn document(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value);
        let text = text.map_err(|error| Failure::new(Exit::Failed, format!("not JSON: {error}")))?;
        self.line(&text)
    }

    /// Writes an answer: its own JSON, or what `words` makes of it.
    pub fn show<T: DeserializeOwned>(
        &mut self,
        answer: &Answer,
        words: impl FnOnce(T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            return self.line(answer.text());
        }
        let text = words(answer.decode()?);
        self.print(&text)
    }

    /// Says that something was done whose answer is empty.
    pub fn done(&mut self, answer: &Answer, words: &str) -> Result<(), Failure> {
        match (self.json, answer.text()) {
            (true, "") => Ok(()),
            (true, text) => self.line(text),
            (false, _) => self.line(words),
        }
    }
}

/// Where the API is: what the command line says, then the environment, then the socket of this user or machine.
pub fn client(
    socket: Option<PathBuf>,
    server: Option<String>,
    ca: Option<PathBuf>,
    environment: &Environment,
) -> Result<Client, Failure> {
    let text = |name: &str| environment.get(name).map(|value| value.to_string_lossy().into_owned());
    let target = match (socket, server) {
        (Some(path), _) => Target::Socket(path),
        (None, Some(server)) => parse_server(&server)?,
        (None, None) => match (environment.get("RIVETR_SOCKET"), text("RIVETR_SERVER")) {
            (Some(path), _) => Target::Socket(path.into()),
            (None, Some(server)) => parse_server(&server)?,
            (None, None) => Target::Socket(local_socket(environment)),
        },
    };
    let token = text("RIVETR_TOKEN");
    if let (Target::Http { .. }, None) = (&target, &token) {
        return Err(Failure::new(Exit::Usage, format!("{target} wants a token"))
            .cure("set RIVETR_TOKEN; `rivetr tokens create NAME` on the host makes one"));
    }
    let ca = ca.or_else(|| environment.get("RIVETR_CA").map(PathBuf::from));
    Ok(Client::new(target, token).with_roots(ca))
}

/// The user's own rivetr if it is there, else that of the machine.
fn local_socket(environment: &Environment) -> PathBuf {
    let own = environment.place().runtime_dir.join("api.sock");
    if own.exists() { own } else { PathBuf::from("/run/rivetr/api.sock") }
}

fn parse_server(url: &str) -> Result<Target, Failure> {
    Target::parse(url).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        (socket, server): (Option<&str>, Option<&str>),
        variables: &[(&str, &str)],
        expect: Result<&str, &str>,
    ) {
        let environment = Environment::of(1000, "/home/a", variables.iter().copied());
        let found = client(socket.map(PathBuf::from), server.map(str::to_owned), None, &environment);
        match (found, expect) {
            (Ok(client), Ok(target)) => assert_eq!(client.target().to_string(), target),
            (Err(failure), Err(words)) => {
                assert!(failure.exit == Exit::Usage && failure.text().contains(words), "{failure:?}");
            }
            (found, expect) => panic!("{found:?}, not {expect:?}"),
        }
    }

    #[test]
    fn the_nearest_word_wins() {
        let token = ("RIVETR_TOKEN", "t");
        let server = ("RIVETR_SERVER", "http://env:1");
        check((Some("/flag"), None), &[("RIVETR_SOCKET", "/env"), server], Ok("/flag"));
        check((None, Some("http://flag:1")), &[("RIVETR_SOCKET", "/env"), token], Ok("http://flag:1"));
        check((None, None), &[("RIVETR_SOCKET", "/env"), server], Ok("/env"));
        check((None, None), &[server, token], Ok("http://env:1"));
        check((None, None), &[], Ok("/run/rivetr/api.sock"));
        check((None, None), &[server], Err("set RIVETR_TOKEN"));
        check((None, Some("https://a")), &[token], Ok("https://a:443"));
        check((None, Some("https://a")), &[], Err("set RIVETR_TOKEN"));
        let own = tempfile::tempdir().unwrap();
        std::fs::create_dir(own.path().join("rivetr")).unwrap();
        std::fs::File::create(own.path().join("rivetr/api.sock")).unwrap();
        let runtime = own.path().to_str().unwrap();
        check((None, None), &[("XDG_RUNTIME_DIR", runtime)], Ok(&format!("{runtime}/rivetr/api.sock")));
    }
}
