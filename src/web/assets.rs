//! Style, scripts and icons: in the program, compressed once, and named by their content, so that a browser keeps
//! them for ever and never shows those of another release.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::error::PageError;
use super::{Route, Web};
use crate::auth::gate::Open;

/// Digits of the digest in a name.
const DIGITS: usize = 12;

struct Asset {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    compressed: Vec<u8>,
    path: String,
}

macro_rules! assets {
    ($($name:literal: $kind:literal),+ $(,)?) => {
        static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| vec![
            $(Asset::new($name, $kind, include_bytes!(concat!("../../templates/assets/", $name)))),+
        ]);
    };
}

assets! {
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "editor.js": "text/javascript; charset=utf-8",
    "log.js": "text/javascript; charset=utf-8",
    "htmx.js": "text/javascript; charset=utf-8",
    "sse.js": "text/javascript; charset=utf-8",
    "icons.svg": "image/svg+xml",
    "favicon.svg": "image/svg+xml",
    "terminal.js": "text/javascript; charset=utf-8",
    "xterm.css": "text/css; charset=utf-8",
    "xterm.js": "text/javascript; charset=utf-8",
    "xterm-fit.js": "text/javascript; charset=utf-8",
}

impl Asset {
    fn new(name: &'static str, kind: &'static str, plain: &'static [u8]) -> Self {
        let digest = Sha256::digest(plain);
        let number =
            digest.iter().take(DIGITS / 2).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let path = format!("/assets/{number:0DIGITS$x}/{name}");
        Self { name, kind, plain, compressed: compress(plain, Compression::best()), path }
    }
}

/// The path of an asset of this release. A name that is not there leads nowhere, and a test looks for that.
pub(super) fn path(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("/assets/none", |asset| &asset.path)
}

/// The route of every asset.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/assets/{digest}/{name}", show)]
}

async fn show(
    _: Open,
    Path((digest, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let path = format!("/assets/{digest}/{name}");
    let asset = ASSETS.iter().find(|asset| asset.path == path).ok_or(PageError::NotFound)?;
    let packed = takes_gzip(&headers);
    let body: &'static [u8] = if packed { &asset.compressed } else { asset.plain };
    let mut response = body.into_response();
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    fields.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if packed {
        fields.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// Whether a client takes what is compressed with gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|field| field.to_str().ok());
    let mut offers = accepts.flat_map(|field| field.split(',')).map(str::trim);
    offers.any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Bytes as gzip has them. Writing into memory does not fail; if it did, what is sent would be shorter.
pub(super) fn compress(plain: &[u8], effort: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), effort);
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip() {
        let check = |field: &str, takes| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, field.parse().unwrap())]);
            assert_eq!(takes_gzip(&headers), takes, "{field}");
        };
        check("gzip", true);
        check("br;q=1.0, GZIP;q=0.5", true);
        check("gzip;q=0", false);
        check("gzip;q=0.0, br", false);
        check("br, xgzip", false);
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn an_asset_has_the_name_of_its_content() {
        assert!(path("style.css").starts_with("/assets/") && path("style.css").ends_with("/style.css"));
        assert_eq!(path("nothing.css"), "/assets/none");
        let mut plain = Vec::new();
        let style = ASSETS.iter().find(|asset| asset.name == "style.css").unwrap();
        std::io::copy(&mut flate2::read::GzDecoder::new(style.compressed.as_slice()), &mut plain).unwrap();
        assert_eq!(plain, style.plain);
    }
}
