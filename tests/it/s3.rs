//! An S3 server in the host, for tests that ask for one: s3s-fs, which keeps objects as plain files and checks who
//! signed. `./dev test` installs it.

use std::path::PathBuf;

use crate::host::{Host, Ran};

const FOLDER: &str = "/srv/s3";
const PORT: &str = "9000";

/// The server, and what a client of it must know. Paths name the bucket: `ENDPOINT/BUCKET/KEY`; any region will do.
pub struct S3<'a> {
    host: &'a Host,
    /// Reached in the host and from this machine.
    pub endpoint: String,
    pub bucket: &'static str,
    pub access_key: &'static str,
    pub secret_key: &'static str,
}

impl Host {
    /// Starts the S3 server, with an empty bucket.
    pub fn s3(&self) -> S3<'_> {
        let s3 = S3 {
            host: self,
            endpoint: format!("http://{}:{PORT}", self.address()),
            bucket: "backups",
            access_key: "AKRIVETRTEST",
            secret_key: "k3pt/secret+of/the+test",
        };
        self.run(["mkdir", "-p", &format!("{FOLDER}/{}", s3.bucket)]).succeeds();
        std::fs::copy(program(), self.path("/usr/local/bin/s3s-fs")).expect("the server can be copied");
        s3.start();
        s3
    }
}

impl S3<'_> {
    /// Starts it again after `stop`, with what it held.
    pub fn start(&self) {
        let answers = format!(
            "--property=ExecStartPost=/bin/sh -c 'until curl -so /dev/null {}; do sleep 0.05; done'",
            self.endpoint
        );
        let keys = ["--access-key", self.access_key, "--secret-key", self.secret_key];
        let unit = ["systemd-run", "--quiet", "--unit=s3", "--property=TimeoutStartSec=20", &answers];
        let server = ["/usr/local/bin/s3s-fs", "--host", "0.0.0.0", "--port", PORT];
        self.host.run(unit.into_iter().chain(server).chain(keys).chain([FOLDER])).succeeds();
    }

    /// From now on nobody answers there.
    pub fn stop(&self) {
        self.host.run(["systemctl", "stop", "s3.service"]).succeeds();
    }

    /// The keys of all objects, sorted.
    pub fn keys(&self) -> Vec<String> {
        let bucket = format!("{FOLDER}/{}", self.bucket);
        let found = self.host.run(["find", &bucket, "-type", "f", "-printf", "%P\n"]).succeeds();
        let mut keys: Vec<String> = found.stdout.lines().map(str::to_owned).collect();
        keys.sort();
        keys
    }

    /// The bytes of an object.
    pub fn read(&self, key: &str) -> Vec<u8> {
        let path = self.host.path(&format!("{FOLDER}/{}/{key}", self.bucket));
        std::fs::read(&path).unwrap_or_else(|error| panic!("there is no object {key}: {error}"))
    }

    /// A signed request of curl's in the host: its answer, and after that the status in a line of its own.
    fn ask(&self, secret_key: &str, path: &str, options: &[&str]) -> Ran {
        let user = format!("{}:{secret_key}", self.access_key);
        let url = format!("{}/{}{path}", self.endpoint, self.bucket);
        let sign = ["--aws-sigv4", "aws:amz:eu-central-1:s3", "--user", &user];
        let body = ["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"];
        let curl = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}\n", &url];
        self.host.run(curl.into_iter().chain(sign).chain(body).chain(options.iter().copied())).succeeds()
    }
}

/// Where `./dev` has installed it, or anywhere in PATH.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").expect("there is a PATH");
    let cache = std::env::var("RIVETR_DEV_CACHE").unwrap_or_else(|_| "/var/cache/rivetr-dev".to_owned());
    let mut folders = std::env::split_paths(&path).chain([PathBuf::from(cache).join("tools/bin")]);
    let found = folders.find_map(|folder| Some(folder.join("s3s-fs")).filter(|path| path.exists()));
    found.expect("s3s-fs is not installed: ./dev test does that")
}

#[test]
fn the_s3_server_keeps_objects_and_checks_signatures() {
    let host = Host::bare("s3");
    let s3 = host.s3();
    let ask = |path: &str, options: &[&str]| s3.ask(s3.secret_key, path, options);
    s3.ask("another", "/?list-type=2", &[]).says("SignatureDoesNotMatch").says("\n403\n");
    host.run(["sh", "-c", "printf 0123456789 >/tmp/object"]).succeeds();
    ask("/app/one", &["--upload-file", "/tmp/object"]).says("\n200\n");
    ask("/app/one", &["--range", "3-5"]).says("345\n206\n");
    ask("/?list-type=2&prefix=app%2F", &[]).says("<Key>app/one</Key>").says("<Size>10</Size>");
    assert_eq!(s3.read("app/one"), b"0123456789");

    let begun = ask("/app/two?uploads=", &["--request", "POST"]).says("\n200\n").stdout;
    let (_, upload) = begun.split_once("<UploadId>").unwrap();
    let (upload, _) = upload.split_once("</UploadId>").unwrap();
    // Only the last part may be smaller than 5 MiB.
    host.run(["truncate", "--size=5M", "/tmp/part"]).succeeds();
    let mut parts = String::new();
    for (number, file) in [(1, "/tmp/part"), (2, "/tmp/object")] {
        let path = format!("/app/two?partNumber={number}&uploadId={upload}");
        let put = ask(&path, &["--upload-file", file, "--write-out", "%header{etag}\n200\n"]);
        let etag = put.stdout.lines().rev().nth(1).unwrap().to_owned();
        parts += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let all = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    ask(&format!("/app/two?uploadId={upload}"), &["--data-binary", &all]).says("\n200\n");
    let whole = s3.read("app/two");
    assert_eq!((whole.len(), whole.ends_with(b"\x000123456789")), ((5 << 20) + 10, true));

    s3.stop();
    s3.start();
    assert_eq!(s3.keys(), ["app/one", "app/two"]);
    ask("/app/one", &["--request", "DELETE"]).says("\n204\n");
    assert_eq!(s3.keys(), ["app/two"]);
}
