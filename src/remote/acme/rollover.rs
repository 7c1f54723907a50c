//! Another key for an account (RFC 8555, 7.3.5). The new key is there before the server is told of it, so that it can be
//! kept first: whatever breaks off then, one of the two keys opens the account.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use instant_acme::{BodyWrapper, Error, HttpClient, Key, Problem};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize, Zeroizing};

use super::words::{Asked, kind};
use super::{AcmeError, Server, http as connections};
use crate::domain::secret::Secret;

/// How often a request is sent again with the nonce that its refusal brought.
const NONCES: usize = 5;

/// What is kept of an account, as far as its key is concerned; in the form of `AccountCredentials`.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    key_pkcs8: String,
    directory: Option<String>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.key_pkcs8.zeroize();
    }
}

/// The addresses that are needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    new_nonce: String,
    key_change: Option<String>,
}

impl Server {
    /// A new key for an account, in the form in which the account is kept. The server is told nothing yet.
    pub fn next_key(&self, kept: &Secret) -> Result<Secret, AcmeError> {
        let mut kept = read(kept)?;
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let made = made.map_err(|_| AcmeError::here("no key could be made"))?;
        kept.key_pkcs8.zeroize();
        kept.key_pkcs8 = URL_SAFE_NO_PAD.encode(made.as_ref());
        serde_json::to_vec(&kept).map(Secret::new).map_err(|error| self.confused(&error))
    }

    /// Whether the server knows the account by the key that is kept.
    pub async fn knows(&self, kept: &Secret) -> Result<bool, AcmeError> {
        let der = PrivatePkcs8KeyDer::from(pkcs8(&read(kept)?)?.to_vec());
        let key = Key::from_pkcs8_der(der.clone_key());
        let key = key.map_err(|_| AcmeError::here("the key of the account is none"))?;
        let found = self.builder()?.from_key((key, PrivateKeyDer::Pkcs8(der)), self.directory().to_owned());
        match self.asked(found).await {
            Ok(_) => Ok(true),
            Err(AcmeError::NoAccount) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has the server know an account by another key from now on.
    pub async fn change_key(&self, kept: &Secret, next: &Secret) -> Result<(), AcmeError> {
        let (kept, next) = (read(kept)?, read(next)?);
        let client = connections::client(self.0.ca_file.as_deref()).map_err(AcmeError::here)?;
        let exchange = async {
            let Directory { new_nonce, key_change } =
                serde_json::from_slice(&ask(&client, Method::GET, self.directory(), None).await?.body)?;
            let Some(url) = key_change else {
                return Err(Error::Other("it cannot change the key of an account".into()));
            };
            let (old, new) = (pair(&kept)?, pair(&next)?);
            let inner = signed(
                &new,
                &json!({ "alg": "ES256", "jwk": public(&new), "url": url }),
                &json!({ "account": kept.id, "oldKey": public(&old) }),
            )?;
            let mut nonce = ask(&client, Method::HEAD, &new_nonce, None).await?.nonce;
            for left in (0..NONCES).rev() {
                let header = json!({ "alg": "ES256", "kid": kept.id, "nonce": nonce, "url": url });
                let body = serde_json::to_vec(&signed(&old, &header, &inner)?)?;
                let answer = ask(&client, Method::POST, &url, Some(body)).await?;
                if answer.success {
                    return Ok(());
                }
                let problem: Problem = serde_json::from_slice(&answer.body)?;
                if kind(&problem) != "badNonce" || left == 0 {
                    return Err(Error::Api(problem));
                }
                nonce = answer.nonce;
            }
            Err(Error::Other("it takes none of its own nonces".into()))
        };
        Asked { directory: self.directory(), name: None }.of(exchange).await
    }
}

fn read(kept: &Secret) -> Result<Kept, AcmeError> {
    serde_json::from_slice(kept.reveal()).map_err(|_| AcmeError::NoAccount)
}

fn pkcs8(kept: &Kept) -> Result<Zeroizing<Vec<u8>>, AcmeError> {
    let decoded = URL_SAFE_NO_PAD.decode(&kept.key_pkcs8);
    decoded.map(Zeroizing::new).map_err(|_| AcmeError::here("the key of the account is none"))
}

fn pair(kept: &Kept) -> Result<EcdsaKeyPair, Error> {
    let der = pkcs8(kept).map_err(|_| Error::Crypto)?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new())
        .map_err(|_| Error::Crypto)
}

/// The public half as a JWK: behind the byte that says so stand both coordinates.
fn public(key: &EcdsaKeyPair) -> Value {
    let (x, y) =
        key.public_key().as_ref().get(1..).and_then(|both| both.split_at_checked(32)).unwrap_or_default();
    json!({ "crv": "P-256", "kty": "EC", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
}

/// A JWS in the form of JSON (RFC 7515, 7.2.2).
fn signed(key: &EcdsaKeyPair, header: &Value, payload: &Value) -> Result<Value, Error> {
    let part = |value: &Value| serde_json::to_vec(value).map(|text| URL_SAFE_NO_PAD.encode(text));
    let (protected, payload) = (part(header)?, part(payload)?);
    let signature = key.sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(signature.map_err(|_| Error::Crypto)?);
    Ok(json!({ "protected": protected, "payload": payload, "signature": signature }))
}

/// What came back.
struct Answer {
    success: bool,
    nonce: Option<String>,
    body: Bytes,
}

async fn ask(
    client: &connections::Http,
    method: Method,
    url: &str,
    body: Option<Vec<u8>>,
) -> Result<Answer, Error> {
    // Servers may ask who it is that asks (RFC 8555, 6.1).
    let agent = concat!("rivetr/", env!("CARGO_PKG_VERSION"));
    let request = Request::builder().method(method).uri(url).header(USER_AGENT, agent);
    let request = request.header(CONTENT_TYPE, "application/jose+json");
    let request = request.body(body.map_or_else(BodyWrapper::default, BodyWrapper::from))?;
    let mut answer = client.request(request).await?;
    let nonce = answer.parts.headers.get("replay-nonce").and_then(|nonce| nonce.to_str().ok());
    let (nonce, success) = (nonce.map(str::to_owned), answer.parts.status.is_success());
    Ok(Answer { success, nonce, body: answer.body.into_bytes().await.map_err(Error::Other)? })
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;
    use crate::remote::acme::Settings;

    #[test]
    fn a_new_key_signs_for_the_same_account() {
        let settings =
            Settings { directory: "https://a.test".into(), email: None, ca_file: None, external: None };
        let server = Server::new(settings);
        let kept = |key: &str| {
            Secret::new(json!({ "id": "i", "key_pkcs8": key, "directory": "d" }).to_string().into_bytes())
        };
        let (one, two) = (server.next_key(&kept("")).unwrap(), server.next_key(&kept("x")).unwrap());
        let (one, two) = (read(&one).unwrap(), read(&two).unwrap());
        assert_eq!((one.id.as_str(), one.directory.as_deref()), ("i", Some("d")));
        assert_ne!(one.key_pkcs8, two.key_pkcs8);
        let key = pair(&one).unwrap();
        let jws = signed(&key, &json!({ "alg": "ES256" }), &json!({ "a": 1 })).unwrap();
        let text = |field: &str| jws[field].as_str().unwrap().to_owned();
        let signature = URL_SAFE_NO_PAD.decode(text("signature")).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref());
        let message = format!("{}.{}", text("protected"), text("payload"));
        public.verify(message.as_bytes(), &signature).unwrap();
        assert!(matches!(server.next_key(&Secret::new(b"{}".to_vec())), Err(AcmeError::NoAccount)));
    }
}
