//! The client against a storage on loopback that keeps what it is given and checks what it is asked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Mutex;

use futures_util::TryStreamExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::domain::s3::{BucketName, Endpoint, Prefix, Region};

/// What the storage holds, and how often it is to fail first.
#[derive(Default)]
struct Kept {
    objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<String, Vec<u8>>,
    failures: u32,
    asked: Vec<String>,
}

type Shared = Arc<Mutex<Kept>>;

async fn storage() -> (Storage, Shared) {
    let kept = Shared::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let serving = kept.clone();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let kept = serving.clone();
            let service = service_fn(move |request| answer(kept.clone(), request));
            #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
            tokio::spawn(async move {
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
            });
        }
    });
    (at(&authority), kept)
}

fn at(authority: &str) -> Storage {
    let location = Location {
        endpoint: Endpoint::parse(&format!("http://{authority}")).unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        bucket: BucketName::parse("backups").unwrap(),
        prefix: Prefix::parse("here").unwrap(),
        path_style: true,
        ca: None,
    };
    Storage::new(location, "key".to_owned(), Secret::from("secret"), || Timestamp(1_369_353_600_000)).unwrap()
}

async fn answer(kept: Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    assert_eq!(parts.headers["x-amz-content-sha256"], sign::sha256(&body));
    let mut kept = kept.lock().unwrap();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let key = parts.uri.path().strip_prefix("/backups").unwrap().trim_start_matches('/').to_owned();
    kept.asked.push(format!("{} {key}?{query}", parts.method));
    let said =
        |status: u16, text: String| Ok(Response::builder().status(status).body(Full::from(text)).unwrap());
    if kept.failures > 0 {
        kept.failures -= 1;
        return said(503, "<Error><Code>SlowDown</Code><Message>later</Message></Error>".to_owned());
    }
    match (parts.method.as_str(), query.as_str()) {
        ("PUT", "") => {
            kept.objects.insert(key, body.to_vec());
            said(200, String::new())
        }
        ("PUT", query) => {
            let number = query.strip_prefix("partNumber=").unwrap().strip_suffix("&uploadId=u%2F1").unwrap();
            kept.parts.insert(format!("{number:0>5}"), body.to_vec());
            Ok(Response::builder().header(ETAG_NAME, format!("\"t{number}\"")).body(Full::default()).unwrap())
        }
        ("POST", "uploads=") => said(200, "<R><UploadId>u/1</UploadId></R>".to_owned()),
        ("POST", _) => {
            let part = |number| format!("<Part><PartNumber>{number}</PartNumber><ETag>\"t{number}\"</ETag></Part>");
            let expect = (1..=kept.parts.len()).map(part).collect::<Vec<_>>().concat();
            assert_eq!(body, format!("<CompleteMultipartUpload>{expect}</CompleteMultipartUpload>"));
            let whole = std::mem::take(&mut kept.parts).into_values().flatten().collect();
            kept.objects.insert(key, whole);
            said(200, "<R><ETag>x</ETag></R>".to_owned())
        }
        ("GET", query) if query.starts_with("list-type=2") || query.starts_with("continuation-token") => {
            // One object a page.
            let skip = usize::from(query.contains("continuation-token")) ;
            let found: Vec<_> = kept.objects.iter().skip(skip).collect();
            let (key, object) = found[0];
            let more = found.len() > 1;
            let next = if more { "<NextContinuationToken>n</NextContinuationToken>" } else { "" };
            said(200, format!("<L><IsTruncated>{more}</IsTruncated>{next}<Contents><Key>{key}</Key><Size>{}</Size></Contents></L>", object.len()))
        }
        ("GET", query) if query.contains("uploads=") => said(
            200,
            "<L><Upload><Key>here/a</Key><UploadId>u/1</UploadId></Upload><Upload><Key>here/ab</Key><UploadId>2</UploadId></Upload></L>".to_owned(),
        ),
        ("GET" | "HEAD", _) => match kept.objects.get(&key) {
            Some(object) => Ok(Response::new(Full::from(object.clone()))),
            None => said(404, "<Error><Code>NoSuchKey</Code><Message>no &quot;key&quot;</Message></Error>".to_owned()),
        },
        ("DELETE", "") => said(if kept.objects.remove(&key).is_some() { 204 } else { 404 }, String::new()),
        ("DELETE", _) => {
            kept.parts.clear();
            said(204, String::new())
        }
        other => panic!("{other:?}"),
    }
}

const ETAG_NAME: &str = "etag";

async fn read(storage: &Storage, key: &str) -> Vec<u8> {
    let (_, pieces) = storage.get(key).await.unwrap();
    pieces.map_ok(|bytes| bytes.to_vec()).try_concat().await.unwrap()
}

#[tokio::test]
async fn what_is_put_there_comes_back() {
    let (storage, kept) = storage().await;
    for length in [0, 1, PART - 1, PART, PART + 1, 2 * PART + 3] {
        let text: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let mut upload = storage.upload("a");
        for piece in text.chunks(1_000_003) {
            upload.write(piece).await.unwrap();
        }
        upload.finish().await.unwrap();
        assert!(read(&storage, "a").await == text, "{length}");
        let asked = std::mem::take(&mut kept.lock().unwrap().asked);
        let parts = asked.iter().filter(|asked| asked.contains("partNumber")).count();
        assert_eq!(parts, if length <= PART { 0 } else { length.div_ceil(PART) }, "{asked:?}");
    }
    storage.put("b", Bytes::from_static(b"xy")).await.unwrap();
    let lengths: Vec<_> = storage.list("").await.unwrap().into_iter().map(|object| object.key).collect();
    assert_eq!(lengths, ["a", "b"]);
    assert_eq!(storage.head("b").await.unwrap(), Some(2));
    for _ in 0..2 {
        storage.delete("b").await.unwrap();
    }
    assert_eq!(storage.head("b").await.unwrap(), None);
    let refused = storage.get("b").await.err().unwrap().to_string();
    assert_eq!(refused, "the storage did not give an object: NoSuchKey: no \"key\" (status 404)");
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_no_parts() {
    let (storage, kept) = storage().await;
    let mut upload = storage.upload("a");
    upload.write(&vec![0; PART + 1]).await.unwrap();
    assert_eq!(kept.lock().unwrap().parts.len(), 1);
    upload.abort().await;
    assert_eq!(kept.lock().unwrap().parts.len(), 0);
    // Those of an earlier run, and of this object alone.
    storage.abort_uploads("a").await.unwrap();
    let asked = kept.lock().unwrap().asked.clone();
    assert_eq!(asked.iter().filter(|asked| asked.starts_with("DELETE")).count(), 2, "{asked:?}");
    assert_eq!(asked.last().unwrap(), "DELETE here/a?uploadId=u%2F1");
}

#[tokio::test]
async fn a_busy_storage_is_asked_again_and_one_that_says_no_is_not() {
    let (storage, kept) = storage().await;
    kept.lock().unwrap().failures = 1;
    storage.put("a", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(kept.lock().unwrap().asked.len(), 2);
    assert!(storage.get("missing").await.is_err());
    assert_eq!(kept.lock().unwrap().asked.len(), 3);
}

#[test]
fn a_refusal_says_what_to_do() {
    let storage = at("127.0.0.1:1");
    let check = |status, code: &str, expect: &str| {
        let body = format!("<Error><Code>{code}</Code><Message>no\nno</Message></Error>");
        let said = storage.refused("keep it", StatusCode::from_u16(status).unwrap(), &body).to_string();
        assert!(
            said.contains(&format!("{code}: no no (status {status}); ")) && said.contains(expect),
            "{said}"
        );
    };
    check(403, "SignatureDoesNotMatch", "hand it in again");
    check(404, "NoSuchBucket", "make the bucket backups");
    check(403, "AccessDenied", "must be allowed to put");
    check(301, "PermanentRedirect", "is us-east-1 the region");
}
