//! Passphrases: where they come from, and what is sealed with one. None ever leaves this process: between here and rivetr a
//! backup is sealed for a key that is made for this one time.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use tokio::io::{AsyncReadExt, duplex};
use tokio::task::spawn_blocking;
use tokio_util::io::SyncIoBridge;
use zeroize::Zeroizing;

use super::failure::{Exit, Failure};
use super::{input, terminal};
use crate::api::client::{Answer, Client};
use crate::domain::person::PASSWORD_MIN;
use crate::domain::secret::Secret;
use crate::vault::age::{Identity, Opener, Sealer};
use crate::vault::stream;

/// The longest passphrase that is read, in bytes.
const MOST: u64 = 1 << 10;
/// How much waits between the wire and the seal, in bytes.
const PIPE: usize = 256 << 10;

/// A passphrase for something new: that of a file, or what is typed twice.
pub fn chosen(file: Option<&Path>) -> Result<Secret, Failure> {
    let passphrase = if let Some(file) = file {
        of_file(file)?
    } else {
        let first = asked("A passphrase for the backup: ")?;
        if first != asked("The same again: ")? {
            return Err(Failure::new(Exit::Usage, "these were two different ones, so nothing is written"));
        }
        first
    };
    if passphrase.reveal().len() < PASSWORD_MIN {
        let message = format!("the passphrase is too short: use at least {PASSWORD_MIN} characters");
        return Err(Failure::new(Exit::Usage, message).cure(
            "some words that nobody would guess: whoever has the file may try for as long as they like",
        ));
    }
    Ok(passphrase)
}

/// The passphrase of something that is there.
pub fn known(file: Option<&Path>) -> Result<Secret, Failure> {
    file.map_or_else(|| asked("The passphrase of the backup: "), of_file)
}

fn of_file(file: &Path) -> Result<Secret, Failure> {
    let text = Zeroizing::new(input::text(file, MOST)?);
    // Editors end a line; no passphrase ends in one.
    let line = text.trim_end_matches(['\n', '\r']);
    let refuse = |what: &str| Failure::new(Exit::Usage, format!("{} {what}", file.display()));
    match line {
        "" => Err(refuse("holds no passphrase")),
        _ if line.contains('\n') => Err(refuse("has several lines, and a passphrase is one")),
        _ => Ok(Secret::from(line)),
    }
}

fn asked(prompt: &str) -> Result<Secret, Failure> {
    let answer = terminal::ask_unseen(prompt, MOST).map_err(|error| {
        let message = format!("nobody can be asked for the passphrase: {error}");
        Failure::new(Exit::Usage, message).cure("--passphrase-file FILE; - is standard input")
    })?;
    Ok(Secret::from(answer.trim_end_matches(['\n', '\r'])))
}

/// Downloads what rivetr seals for whoever is named as `recipient`, and writes it sealed with a passphrase.
pub async fn receive(client: &Client, path: &str, to: File, passphrase: Secret) -> Result<File, Failure> {
    let once = once()?;
    let path = format!("{path}&recipient={}", once.recipient());
    let (mut pipe, from) = duplex(PIPE);
    let from = SyncIoBridge::new(from);
    let sealing = spawn_blocking(move || {
        let to = Sealer::with_passphrase(to, &passphrase)?;
        stream::reseal(Opener::new(from, &once)?, to)
    });
    let received = client.download(&path, &mut pipe).await;
    drop(pipe);
    let sealed = sealing.await.map_err(io::Error::other).and_then(|sealed| sealed);
    own_fault(sealed.as_ref().err())?;
    received?;
    sealed.map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

/// Opens what is sealed with a passphrase, as far as to know that it is the right one.
pub async fn open<R: Read + Send + 'static>(from: R, passphrase: Secret) -> io::Result<Opener<R>> {
    spawn_blocking(move || Opener::with_passphrase(from, &passphrase)).await.map_err(io::Error::other)?
}

/// Uploads it, as a line with a key and what is sealed for that one.
pub async fn send<R: Read + Send + 'static>(
    client: &Client,
    path: &str,
    from: Opener<R>,
) -> Result<Answer, Failure> {
    let once = once()?;
    let mut line = once.reveal().reveal().to_vec();
    line.push(b'\n');
    let (to, pipe) = duplex(PIPE);
    let to = SyncIoBridge::new(to);
    let sealing = spawn_blocking(move || stream::reseal(from, Sealer::new(to, &once.recipient())?).map(drop));
    let body = AsyncReadExt::chain(io::Cursor::new(line), pipe);
    let answer = client.upload_from(path, body).await;
    let sealed = sealing.await.map_err(io::Error::other).and_then(|sealed| sealed);
    own_fault(sealed.as_ref().err())?;
    Ok(answer?)
}

fn once() -> Result<Identity, Failure> {
    Identity::generate().map_err(|error| Failure::new(Exit::Failed, format!("no key could be made: {error}")))
}

/// An error of this side. What was cut off, or is not taken any more, is for the other side to explain.
fn own_fault(error: Option<&io::Error>) -> Result<(), Failure> {
    match error {
        Some(error) if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::BrokenPipe) => {
            Err(Failure::new(Exit::Failed, error.to_string()))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_one_line_and_not_a_short_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        let of = |text: &str| {
            crate::files::write_whole(&path, text.as_bytes(), 0o600).unwrap();
            (chosen(Some(&path)), known(Some(&path)))
        };
        let good = Secret::from("correct horse battery");
        assert_eq!(of("correct horse battery\n"), (Ok(good.clone()), Ok(good)));
        let (new, old) = of("eleven char");
        assert!(new.unwrap_err().text().contains("at least 12"));
        assert_eq!(old, Ok(Secret::from("eleven char")));
        assert!(of("\n").1.unwrap_err().text().contains("no passphrase"));
        assert!(of("correct horse\nbattery\n").1.unwrap_err().text().contains("several lines"));
        assert!(known(Some(&folder.path().join("none"))).is_err());
    }

    #[tokio::test]
    async fn the_right_one_is_known_before_anything_is_sent() {
        let passphrase = Secret::from("correct horse battery");
        let mut sealer = Sealer::with_passphrase(Vec::new(), &passphrase).unwrap();
        io::Write::write_all(&mut sealer, b"canary").unwrap();
        let file = sealer.finish().unwrap();
        let opened = open(io::Cursor::new(file.clone()), passphrase).await.unwrap();
        let identity = Identity::generate().unwrap();
        let again = stream::reseal(opened, Sealer::new(Vec::new(), &identity.recipient()).unwrap()).unwrap();
        let mut text = Vec::new();
        Opener::new(&*again, &identity).unwrap().read_to_end(&mut text).unwrap();
        assert_eq!(text, b"canary");
        let wrong = open(io::Cursor::new(file), Secret::from("wrong horse battery")).await;
        assert!(wrong.err().unwrap().to_string().contains("not the passphrase"));
    }
}
