//! An object that is put into a storage as it comes into being: what fits into one part at once, anything longer in parts.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::Method;
use http::header::ETAG;

use super::{S3Error, Storage, Wish, xml};

/// How long a part is, in bytes: all that is in memory. Storages want parts of one size, and at least 5 MiB.
pub const PART: usize = 8 << 20;
/// How many parts an object may have.
const PARTS_MAX: usize = 10_000;

/// An object on its way.
pub struct Upload {
    storage: Storage,
    key: String,
    buffer: BytesMut,
    parts: Option<Parts>,
}

struct Parts {
    id: String,
    /// What the storage called each part.
    tags: Vec<String>,
}

impl Upload {
    pub(super) fn new(storage: Storage, key: &str) -> Self {
        Self { storage, key: key.to_owned(), buffer: BytesMut::with_capacity(PART), parts: None }
    }

    /// Adds bytes at the end.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), S3Error> {
        while !bytes.is_empty() {
            // A full part waits until it is known that it is not all.
            if self.buffer.len() == PART {
                self.send_part().await?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART - self.buffer.len()));
            self.buffer.put_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Sends what is left; then the object is there.
    pub async fn finish(mut self) -> Result<(), S3Error> {
        if self.parts.is_none() {
            return self.storage.put(&self.key, self.buffer.freeze()).await;
        }
        let done = self.complete().await;
        if done.is_err() {
            self.abort().await;
        }
        done
    }

    /// Has the storage forget the parts.
    pub async fn abort(&self) {
        let Some(Parts { id, .. }) = &self.parts else { return };
        if let Err(error) = self.storage.abort(&self.key, id).await {
            tracing::warn!(%error, key = self.key, "the parts of an upload are still at the storage");
        }
    }

    async fn complete(&mut self) -> Result<(), S3Error> {
        self.send_part().await?;
        let Some(Parts { id, tags }) = &self.parts else { return Ok(()) };
        let mut list = "<CompleteMultipartUpload>".to_owned();
        for (number, tag) in (1..).zip(tags) {
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;");
            list.extend([
                "<Part><PartNumber>",
                &format!("{number}"),
                "</PartNumber><ETag>",
                &tag,
                "</ETag></Part>",
            ]);
        }
        list.push_str("</CompleteMultipartUpload>");
        let query = [("uploadId", id.as_str())];
        let what = "put the parts of an object together";
        let body = Bytes::from(list);
        let wish = Wish { what, method: &Method::POST, key: Some(&self.key), query: &query, body: &body };
        match self.storage.ask(wish).await {
            Ok(answer) => {
                let text = answer.text()?;
                // It may begin with a yes and end with a no.
                match xml::text(&text, "Code") {
                    Some(_) => Err(self.storage.refused(what, http::StatusCode::OK, &text)),
                    None => Ok(()),
                }
            }
            // Done at a first try whose answer was lost.
            Err(S3Error::Refused { status: 404, .. }) if self.storage.head(&self.key).await?.is_some() => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn send_part(&mut self) -> Result<(), S3Error> {
        let begun = match self.parts.take() {
            Some(parts) => parts,
            None => self.begin().await?,
        };
        let parts = self.parts.insert(begun);
        if parts.tags.len() == PARTS_MAX {
            return Err(S3Error::TooLong(u64::try_from((PART * PARTS_MAX) >> 30).unwrap_or(0)));
        }
        let number = (parts.tags.len() + 1).to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", parts.id.as_str())];
        let body = self.buffer.split().freeze();
        let what = "keep a part of an object";
        let wish = Wish { what, method: &Method::PUT, key: Some(&self.key), query: &query, body: &body };
        let answer = self.storage.ask(wish).await?;
        let tag = answer.fields.get(ETAG).and_then(|tag| tag.to_str().ok());
        parts.tags.push(tag.ok_or_else(|| S3Error::answer("a part got no ETag"))?.to_owned());
        // The same memory for the next part, unless somebody still holds it.
        self.buffer = body.try_into_mut().unwrap_or_default();
        self.buffer.clear();
        self.buffer.reserve(PART);
        Ok(())
    }

    async fn begin(&self) -> Result<Parts, S3Error> {
        let query = [("uploads", "")];
        let what = "begin an upload";
        let wish =
            Wish { what, method: &Method::POST, key: Some(&self.key), query: &query, body: &Bytes::new() };
        let text = self.storage.ask(wish).await?.text()?;
        let id = xml::text(&text, "UploadId").ok_or_else(|| S3Error::answer("the upload has no number"))?;
        Ok(Parts { id, tags: Vec::new() })
    }
}
