//! Against a socket that answers as Podman 5.4.2 was seen to answer; with Podman itself in the host's tests.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::*;

/// A socket with one prepared answer for each request line that begins so.
struct Answers {
    podman: Podman,
    asked: tokio::sync::mpsc::UnboundedReceiver<String>,
    sent: tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>,
    _dir: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl Answers {
    fn new(answers: &[(&'static str, &'static str, &'static str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("podman.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let answers = answers.to_vec();
        let (tell, asked) = tokio::sync::mpsc::unbounded_channel();
        let (keep, sent) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(connection.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let line = head.lines().next().unwrap().to_owned();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                connection.read_exact(&mut body).await.unwrap();
                keep.send(body).unwrap();
                let found = answers.iter().find(|(begin, ..)| line.starts_with(begin));
                let (_, status, body) = found.copied().unwrap_or(("", "404 Not Found", r#"{"message":"none"}"#));
                let length = body.len();
                let answer = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
                connection.write_all(answer.as_bytes()).await.unwrap();
                tell.send(line).unwrap();
            }
        });
        Self { podman: Podman::new(&socket), asked, sent, _dir: dir, _tasks: tasks }
    }

    fn asked(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).collect()
    }
}

/// Podman's service ends while it is asked, so often; then another one answers with this document.
fn dropped(times: usize, body: &'static str) -> (Podman, tempfile::TempDir, JoinSet<()>) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("podman.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for number in 0.. {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.unwrap());
            }
            if number >= times {
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (Podman::new(&socket), dir, tasks)
}

#[tokio::test]
async fn who_meets_the_end_of_an_idle_podman_asks_the_next_one() {
    let inspected = r#"{"Id":"33fa4e2e75b9744c3e13ae5a60126a6c8883e4ed22e239130c6a7103ede91664"}"#;
    let (podman, _dir, _tasks) = dropped(raw::TRIES - 1, inspected);
    assert_eq!(podman.image("localhost/rivetr/blog:7").await.unwrap().unwrap().as_str().len(), 71);
    let (podman, _dir, _tasks) = dropped(raw::TRIES - 1, "[]");
    assert_eq!(podman.images_named("localhost/rivetr/blog").await.unwrap(), []);

    let (podman, _dir, _tasks) = dropped(2 * raw::TRIES, inspected);
    let error = podman.image("localhost/rivetr/blog:7").await.unwrap_err();
    assert!(matches!(error, PodmanError::Unreachable { .. }), "{error}");
    let error = podman.images_named("localhost/rivetr/blog").await.unwrap_err();
    assert!(matches!(error, PodmanError::Unreachable { .. }), "{error}");
}

const ID: &str = "33fa4e2e75b9744c3e13ae5a60126a6c8883e4ed22e239130c6a7103ede91664";

#[test]
fn versions() {
    let version = |text: &str| Version::parse(text).map(|version| version.to_string());
    for (text, read) in [("5.4.2", "5.4.2"), ("5.8.0-dev", "5.8.0"), ("6.0", "6.0.0"), ("5.4.2+ds1", "5.4.2")]
    {
        assert_eq!(version(text).as_deref(), Some(read));
    }
    for bad in ["", "five", "5.x", "-1"] {
        assert_eq!(version(bad), None, "{bad:?}");
    }
    assert!(Version::parse("5.10.0") > Version::parse("5.9.9"));
}

#[tokio::test]
async fn an_image_is_found_by_its_name_whatever_its_tag() {
    let inspected = r#"{"Id":"33fa4e2e75b9744c3e13ae5a60126a6c8883e4ed22e239130c6a7103ede91664","Digest":"sha256:00",
        "RepoTags":["localhost/rivetr/blog:7"],"Created":"2026-11-23T11:35:15Z","Size":2177024}"#;
    let listed = r#"[{"Id":"33fa4e2e75b9744c3e13ae5a60126a6c8883e4ed22e239130c6a7103ede91664","ParentId":"","RepoTags":["localhost/rivetr/blog:7"],
        "RepoDigests":[],"Created":1795433715,"Size":2177024,"SharedSize":0,"VirtualSize":2177024,"Labels":{"io.rivetr.app":"blog"},
        "Containers":1,"Arch":"amd64","Digest":"sha256:00","History":["localhost/rivetr/blog:7"],"IsManifestList":false,
        "Names":["localhost/rivetr/blog:7"],"Os":"linux"}]"#;
    let gone = r#"{"cause":"image not known","message":"failed to find image localhost/rivetr/blog:8","response":404}"#;
    let answers = Answers::new(&[
        ("GET /v5.0.0/libpod/images/localhost/rivetr/blog:7/json", "200 OK", inspected),
        ("GET /v5.0.0/libpod/images/localhost/rivetr/blog:8/json", "404 Not Found", gone),
        ("GET ", "200 OK", listed),
    ]);
    let image = answers.podman.image("localhost/rivetr/blog:7").await.unwrap();
    assert_eq!(image, Some(ImageId::parse(ID).unwrap()));
    assert_eq!(answers.podman.image("localhost/rivetr/blog:8").await.unwrap(), None);

    let images = answers.podman.images_named("localhost/rivetr/blog").await.unwrap();
    assert_eq!(images[0].id, ImageId::parse(ID).unwrap());
    assert_eq!((images[0].size, images[0].created), (2_177_024, Timestamp(1_795_433_715_000)));
    assert_eq!(images[0].labels["io.rivetr.app"], "blog");
    assert_eq!(images[0].names, ["localhost/rivetr/blog:7"]);
}

#[tokio::test]
async fn an_entry_point_is_what_the_image_says() {
    let line =
        "GET /v5.0.0/libpod/images/33fa4e2e75b9744c3e13ae5a60126a6c8883e4ed22e239130c6a7103ede91664/json ";
    let image = ImageId::parse(&format!("sha256:{ID}")).unwrap();
    for (config, expect) in [
        (r#"{"Config":{"Entrypoint":["env","A=b"],"Cmd":["x"]}}"#, &["env", "A=b"][..]),
        (r#"{"Config":{"Entrypoint":null}}"#, &[]),
        (r#"{"Config":{"Cmd":["x"]}}"#, &[]),
    ] {
        let answers = Answers::new(&[(line, "200 OK", config)]);
        assert_eq!(answers.podman.entrypoint(&image).await.unwrap(), expect, "{config}");
    }
    assert!(Answers::new(&[]).podman.entrypoint(&image).await.is_err());
}

#[tokio::test]
async fn what_was_pulled_has_a_digest_and_gets_a_name() {
    let digest = format!("sha256:{}", "d".repeat(64));
    let inspected = format!(r#"{{"Id":"{ID}","Digest":"{digest}","RepoTags":[]}}"#).leak();
    let mut answers = Answers::new(&[
        ("GET /v5.0.0/libpod/images/ghcr.io/owner/app:v1/json", "200 OK", inspected),
        ("POST ", "201 Created", ""),
    ]);
    let pulled = answers.podman.pulled("ghcr.io/owner/app:v1").await.unwrap().unwrap();
    assert_eq!((pulled.id.as_str(), pulled.digest.as_str()), (&*format!("sha256:{ID}"), &*digest));
    assert_eq!(answers.podman.pulled("ghcr.io/owner/app:v2").await.unwrap(), None);
    answers.podman.tag(&pulled.id, "localhost/rivetr/blog:7").await.unwrap();
    let tag = format!("POST /v5.0.0/libpod/images/sha256:{ID}/tag?repo=localhost/rivetr/blog&tag=7 HTTP/1.1");
    assert_eq!(answers.asked().last(), Some(&tag));
}

#[tokio::test]
async fn an_image_is_removed_by_name_and_never_by_force() {
    let said = r#"{"cause":"image is in use by a container","message":"image used by 12: image is in use by a container","response":409}"#;
    let mut answers = Answers::new(&[
        (
            "DELETE /v5.0.0/libpod/images/localhost/rivetr/blog:7?force=false ",
            "200 OK",
            r#"{"Untagged":["x"]}"#,
        ),
        ("DELETE /v5.0.0/libpod/images/localhost/rivetr/blog:8?force=false ", "409 Conflict", said),
        ("DELETE /v5.0.0/libpod/images/odd%20name%3Fforce%3Dtrue?force=false ", "500 Oops", "no json"),
    ]);
    answers.podman.untag_or_remove("localhost/rivetr/blog:7").await.unwrap();
    answers.podman.untag_or_remove("localhost/rivetr/gone:1").await.unwrap();
    let used = answers.podman.untag_or_remove("localhost/rivetr/blog:8").await.unwrap_err();
    assert!(
        matches!(&used, PodmanError::InUse { image, .. } if image == "localhost/rivetr/blog:8"),
        "{used}"
    );
    let odd = answers.podman.untag_or_remove("odd name?force=true").await.unwrap_err().to_string();
    assert_eq!(odd, "Podman did not remove the image odd name?force=true: no json (500)");
    assert!(answers.asked().iter().all(|line| line.contains("?force=false ")));
}

#[tokio::test]
async fn only_leftovers_of_builds_of_that_time_are_removed() {
    let body = r#"[
        {"Id":"a1","State":"storage","Command":["buildah"],"Created":"2026-11-23T11:53:08.243584728Z","Labels":null},
        {"Id":"b2","State":"storage","Command":["buildah"],"Created":"2026-11-23T10:00:00Z"},
        {"Id":"c3","State":"running","Command":["buildah"],"Created":"2026-11-23T11:53:08Z"},
        {"Id":"d4","State":"storage","Command":null,"Created":"2026-11-23T11:53:08Z"},
        {"Id":"e5","Names":["x-working-container-2"],"State":"storage","Command":["storage"],"Created":"2026-11-23T11:53:08Z"},
        {"Id":"f6","Names":["x"],"State":"storage","Command":["storage"],"Created":"2026-11-23T11:53:08Z"},
        {"Id":"a7","Names":["x-working-container"],"State":"storage","Command":["sh"],"Created":"2026-11-23T11:53:08Z"}]"#;
    let mut answers = Answers::new(&[("GET ", "200 OK", body), ("DELETE ", "200 OK", "[]")]);
    let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let span = at("2026-11-23T11:53:00Z")..at("2026-11-23T11:54:00Z");
    assert_eq!(answers.podman.remove_build_leftovers(span).await.unwrap(), 2);
    let removed = |id: &str| format!("DELETE /v5.0.0/libpod/containers/{id}?force=true HTTP/1.1");
    assert_eq!(answers.asked()[1..], [removed("a1"), removed("e5")]);
}

#[tokio::test]
async fn removing_a_container_tries_twice_and_a_missing_one_is_gone() {
    let mut answers =
        Answers::new(&[("DELETE ", "500 Oops", r#"{"message":"conmon exited prematurely","cause":"x"}"#)]);
    let error = answers.podman.remove_container("rivetr-app-blog-7").await.unwrap_err().to_string();
    assert!(error.starts_with("Podman did not remove the container rivetr-app-blog-7: conmon"), "{error}");
    assert_eq!(answers.asked().len(), 2);
    Answers::new(&[]).podman.remove_container("rivetr-app-blog-7").await.unwrap();
}

#[tokio::test]
async fn a_command_gets_the_connection_for_itself() {
    use tokio_util::codec::FramedRead;

    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("podman.sock")).unwrap();
    let podman = Podman::new(&dir.path().join("podman.sock"));
    let server = async {
        let mut asked = Vec::new();
        for answer in [
            "HTTP/1.1 201 Created\r\nContent-Length: 11\r\n\r\n{\"Id\":\"e1\"}",
            "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n\x01\0\0\0\0\0\0\x02hi",
        ] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                request.push(connection.read_u8().await.unwrap());
            }
            asked.push(String::from_utf8(request).unwrap());
            connection.write_all(answer.as_bytes()).await.unwrap();
            if asked.len() == 2 {
                let mut typed = Vec::new();
                connection.read_to_end(&mut typed).await.unwrap();
                assert_eq!(typed, b"typed");
                connection.write_all(b"\x02\0\0\0\0\0\0\x01!").await.unwrap();
            }
        }
        asked
    };
    let client = async {
        let command = ["sh", "-c", "id"].map(str::to_owned);
        let Running { id, connection } = podman.exec("rivetr-app-blog-7", &command, None).await.unwrap();
        assert_eq!(id, "e1");
        let (reads, mut writes) = tokio::io::split(connection);
        let mut pieces = FramedRead::new(reads, Pieces { terminal: false });
        assert_eq!(&*futures_util::StreamExt::next(&mut pieces).await.unwrap().unwrap().bytes, b"hi");
        writes.write_all(b"typed").await.unwrap();
        writes.shutdown().await.unwrap();
        let last = futures_util::StreamExt::next(&mut pieces).await.unwrap().unwrap();
        assert!(last.stderr && &*last.bytes == b"!");
        assert!(futures_util::StreamExt::next(&mut pieces).await.is_none());
    };
    let (asked, ()) = tokio::join!(server, client);
    assert!(
        asked[0].starts_with("POST /v5.0.0/libpod/containers/rivetr-app-blog-7/exec HTTP/1.1\r\n"),
        "{asked:?}"
    );
    assert!(
        asked[0].contains(r#""Cmd":["sh","-c","id"]"#) && asked[0].contains(r#""Tty":false"#),
        "{asked:?}"
    );
    assert!(asked[1].starts_with("POST /v5.0.0/libpod/exec/e1/start HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[1].to_lowercase().contains("upgrade: tcp"), "{asked:?}");
}

#[tokio::test]
async fn a_command_that_cannot_run_is_said_in_podmans_words() {
    let answers = Answers::new(&[("POST ", "409 Conflict", r#"{"message":"container is not running"}"#)]);
    let error = answers.podman.exec("c", &["sh".to_owned()], Some((24, 80))).await.unwrap_err();
    assert!(
        matches!(&error, PodmanError::Refused { status: 409, said, .. } if said.contains("not running")),
        "{error}"
    );
}

#[tokio::test]
async fn a_command_that_has_ended_is_not_killed() {
    let ended = r#"{"ID":"e1","Running":false,"ExitCode":3,"Pid":1}"#;
    let answers = Answers::new(&[("GET /v5.0.0/libpod/exec/e1/json", "200 OK", ended)]);
    answers.podman.end_exec("e1").await.unwrap();
    assert_eq!(answers.podman.exec_standing("e1").await.unwrap().exit_code, 3);
}

#[tokio::test]
async fn a_missing_socket_is_said_with_its_cure() {
    let podman = Podman::new(Path::new("/nonexistent/podman.sock"));
    for error in [podman.version().await.unwrap_err(), podman.untag_or_remove("x").await.unwrap_err()] {
        let text = error.to_string();
        assert!(
            text.contains("/nonexistent/podman.sock") && text.contains("enable --now podman.socket"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_secret_is_sent_as_its_bytes_and_found_by_its_labels() {
    let listed = r#"[
        {"ID":"a1","CreatedAt":"2026-11-23T11:35:15Z","UpdatedAt":"2026-11-23T11:35:15Z",
         "Spec":{"Name":"rivetr-app-blog-7-KEY","Driver":{"Name":"file","Options":{}},
                 "Labels":{"io.rivetr.app":"blog","io.rivetr.deployment":"7"}}},
        {"ID":"b2","Spec":{"Name":"mine","Driver":{"Name":"file"},"Labels":{}}},
        {"ID":"c3","Spec":{"Name":"older","Labels":null}},
        {"ID":"d4","Spec":{"Name":"odd","Labels":{"io.rivetr.app":"blog","io.rivetr.deployment":"x"}}}]"#;
    let mut answers = Answers::new(&[
        ("GET /v5.0.0/libpod/secrets/json ", "200 OK", listed),
        ("POST /v5.0.0/libpod/secrets/create?", "200 OK", r#"{"ID":"a1"}"#),
        ("DELETE /v5.0.0/libpod/secrets/rivetr-app-blog-7-KEY ", "204 No Content", ""),
    ]);
    let name = "rivetr-app-blog-7-KEY".to_owned();
    let own = SecretOf { name: name.clone(), app: "blog".to_owned(), deployment: 7 };
    assert_eq!(answers.podman.secrets().await.unwrap(), std::slice::from_ref(&own));
    let value = crate::domain::secret::Secret::new(b"p\"a\nss\xff\r\n".to_vec());
    answers.podman.create_secret(&own, &value).await.unwrap();
    answers.podman.remove_secret(&name).await.unwrap();
    answers.podman.remove_secret("gone").await.unwrap();
    let sent: Vec<_> = std::iter::from_fn(|| answers.sent.try_recv().ok()).collect();
    assert_eq!(sent[1], value.reveal());
    let asked = answers.asked();
    let labels = "%7B%22io.rivetr.app%22:%22blog%22%2C%22io.rivetr.deployment%22:%227%22%7D";
    assert_eq!(
        asked[1],
        format!("POST /v5.0.0/libpod/secrets/create?name={name}&replace=true&labels={labels} HTTP/1.1")
    );
}
