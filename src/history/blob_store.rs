//! The log in a blob container of Azure Storage, as append blobs: <https://learn.microsoft.com/rest/api/storageservices/append-block>.
//! Documents are block blobs.
//!
//! Nothing is retried here, neither by the client nor by hand: the log has its own time, and an append that is sent twice is there twice.

use std::fmt;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Bytes;
use azure_core::http::headers::Headers;
use azure_core::http::{RequestContent, RetryOptions, StatusCode};
use azure_storage_blob::models::{
    AppendBlobClientAppendBlockOptions, AppendBlobClientAppendBlockResultHeaders as _, AppendBlobClientCreateOptions,
    BlobClientDownloadOptions, BlobClientGetPropertiesResultHeaders as _, BlockBlobClientUploadOptions,
};
use azure_storage_blob::{BlobClient, BlobContainerClient};

use super::blob_error::store_error;
use super::blob_listing::{BlobListing, day_of};
use super::position::PartNumber;
use super::store::{Appended, Chunk, Document, Listing, LogStore, PartInfo, StoreError};
use super::stream::{ROOMS, Stream};
use crate::blob_container::ContainerConnection;
use crate::config::Container;

/// More than the longest range that is read, than the longest document, and than a page of a listing: 5,000 blobs of about 1 KiB.
const MAX_RESPONSE_BYTES: usize = 8 << 20;

/// A container with the parts of all streams. Clones share the connections.
#[derive(Clone)]
pub(crate) struct BlobStore {
    container: Arc<BlobContainerClient>,
    listing: Arc<BlobListing>,
}

/// Shows nothing: the address of the container may contain a SAS.
impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobStore(***)")
    }
}

impl BlobStore {
    /// The store in a container, which is not called yet. With an identity, its first token is requested at once.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be built.
    ///
    /// # Panics
    ///
    /// With an identity, outside a tokio runtime.
    pub(crate) fn in_container(container: &Container) -> azure_core::Result<Self> {
        let connection = ContainerConnection::new(container, RetryOptions::none(), MAX_RESPONSE_BYTES)?;
        let listing = BlobListing::new(&connection);
        let container = connection.client()?;
        Ok(Self { container: Arc::new(container), listing: Arc::new(listing) })
    }

    fn blob(&self, stream: &Stream, part: PartNumber) -> BlobClient {
        self.container.blob_client(&stream.part_name(part))
    }
}

#[async_trait]
impl LogStore for BlobStore {
    async fn list(&self, stream: &Stream) -> Result<Listing, StoreError> {
        let (mut parts, mut marker, mut day) = (Vec::new(), None, None);
        loop {
            let page = self.listing.blobs(stream.prefix(), marker.as_deref()).await?;
            // That of the first page, which is not later than any part that is missing in the listing.
            day.get_or_insert(page.day);
            for blob in page.blobs {
                if let Some(number) = stream.parse_part_name(&blob.name) {
                    let created = blob.created.unwrap_or(page.day);
                    parts.push(PartInfo { number, length: blob.length, sealed: blob.sealed, created });
                }
            }
            marker = page.next_marker;
            if marker.is_none() {
                break;
            }
        }
        parts.sort_unstable_by_key(|part| part.number);
        Ok(Listing { parts, day: day.ok_or(StoreError::Unknown)? })
    }

    async fn create(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError> {
        let options = AppendBlobClientCreateOptions { if_none_match: Some("*".into()), ..Default::default() };
        let created = self.blob(stream, part).append_blob_client().create(Some(options)).await;
        created.map(drop).map_err(|error| store_error(&error))
    }

    async fn append(
        &self,
        stream: &Stream,
        part: PartNumber,
        bytes: Bytes,
        at: Option<u64>,
    ) -> Result<Appended, StoreError> {
        let append_position = at.map(i64::try_from).transpose();
        let append_position = append_position.map_err(|_| StoreError::AppendPositionConditionNotMet)?;
        let options = AppendBlobClientAppendBlockOptions { append_position, ..Default::default() };
        let (length, content) = (bytes.len() as u64, RequestContent::from(bytes.to_vec()));
        let blob = self.blob(stream, part).append_blob_client();
        let response = blob.append_block(content, length, Some(options)).await.map_err(|error| store_error(&error))?;
        // It was carried out, but where is not known.
        let offset = response.blob_append_offset().ok().flatten().and_then(|offset| offset.parse().ok());
        let (offset, day) = offset.zip(day_of(response.headers())).ok_or(StoreError::Unknown)?;
        Ok(Appended { offset, day })
    }

    async fn read(&self, stream: &Stream, part: PartNumber, range: Range<u64>) -> Result<Chunk, StoreError> {
        let blob = self.blob(stream, part);
        let options = BlobClientDownloadOptions {
            range: Some(range.clone().into()),
            // One request. Otherwise the client reads the rest under the condition that the blob has not grown.
            partition_size: usize::try_from(range.end - range.start).ok().and_then(NonZero::new),
            ..Default::default()
        };
        match blob.download(Some(options)).await {
            Ok(response) => {
                let (sealed, headers) = (response.properties.is_sealed == Some(true), response.headers);
                let bytes = response.body.collect().await.map_err(|error| store_error(&error))?;
                if !bytes.is_empty() {
                    let total = total_length(&headers).unwrap_or(range.start + bytes.len() as u64);
                    return chunk(bytes, sealed, total, &range);
                }
            }
            Err(error) if error.http_status() == Some(StatusCode::RequestedRangeNotSatisfiable) => {}
            Err(error) => return Err(store_error(&error)),
        }
        // The range begins at the end or past it. The response says neither how long the blob is nor whether it is sealed.
        let properties = blob.get_properties(None).await.map_err(|error| store_error(&error))?;
        let sealed = properties.is_sealed().ok().flatten() == Some(true);
        let total = properties.content_length().ok().flatten().ok_or(StoreError::Unknown)?;
        chunk(Bytes::new(), sealed, total, &range)
    }

    async fn seal(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError> {
        let sealed = self.blob(stream, part).append_blob_client().seal(None).await;
        sealed.map(drop).map_err(|error| store_error(&error))
    }

    async fn delete(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError> {
        match self.blob(stream, part).delete(None).await.map_err(|error| store_error(&error)) {
            Ok(_) | Err(StoreError::BlobNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn list_rooms(&self, max: usize) -> Result<Vec<String>, StoreError> {
        let (mut rooms, mut marker) = (Vec::new(), None);
        while rooms.len() < max {
            let page = self.listing.folders(ROOMS, marker.as_deref()).await?;
            let names = page.folders.iter().filter_map(|folder| folder.strip_prefix(ROOMS)?.strip_suffix('/'));
            rooms.extend(names.map(str::to_owned));
            marker = page.next_marker;
            if marker.is_none() {
                break;
            }
        }
        rooms.sort_unstable();
        rooms.truncate(max);
        Ok(rooms)
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        // One request.
        let options =
            BlobClientDownloadOptions { partition_size: NonZero::new(MAX_RESPONSE_BYTES), ..Default::default() };
        let response = match self.container.blob_client(name).download(Some(options)).await {
            Ok(response) => response,
            Err(error) => match store_error(&error) {
                StoreError::BlobNotFound => return Ok(None),
                error => return Err(error),
            },
        };
        let etag = response.properties.etag.map(|etag| etag.to_string());
        let content = response.body.collect().await.map_err(|error| store_error(&error))?;
        Ok(Some(Document { content, etag }))
    }

    async fn replace_document(
        &self,
        name: &str,
        content: Vec<u8>,
        previous: Option<&Document>,
    ) -> Result<bool, StoreError> {
        let options = match previous {
            Some(previous) => {
                let etag = previous.etag.clone().ok_or(StoreError::Unknown)?;
                BlockBlobClientUploadOptions { if_match: Some(etag.into()), ..Default::default() }
            }
            None => BlockBlobClientUploadOptions { if_none_match: Some("*".into()), ..Default::default() },
        };
        match self.container.blob_client(name).upload(RequestContent::from(content), Some(options)).await {
            Ok(_) => Ok(true),
            Err(error) if error.http_status() == Some(StatusCode::PreconditionFailed) => Ok(false),
            Err(error) => match store_error(&error) {
                StoreError::AlreadyExists | StoreError::BlobNotFound => Ok(false),
                error => Err(error),
            },
        }
    }
}

/// The bytes of a range of a blob with this length.
fn chunk(bytes: Bytes, sealed: bool, total: u64, range: &Range<u64>) -> Result<Chunk, StoreError> {
    // Of an empty blob that has grown since, the client reads more than the range.
    let bytes = bytes.slice(..bytes.len().min(usize::try_from(range.end - range.start).unwrap_or(usize::MAX)));
    let end = range.start + bytes.len() as u64;
    // The blob has grown between two requests: the bytes up to `total` are missing.
    if end < total.min(range.end) {
        return Err(StoreError::Unknown);
    }
    Ok(Chunk { bytes, sealed, total })
}

/// The length of the whole blob: the end of `Content-Range`, which a response without a range does not have.
fn total_length(headers: &Headers) -> Option<u64> {
    let range = headers.get_optional_str(&"content-range".into())?;
    range.rsplit_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{Method, Uri};
    use azure_http::{RootCertificates, Secret};
    use test_support::http::serve;

    use super::super::store::Day;
    use super::*;
    use crate::config::ContainerAccess;

    /// A store in a container that answers so.
    async fn store(router: Router) -> BlobStore {
        let port = serve(router).await;
        let container = Container {
            url: format!("http://127.0.0.1:{port}/account/container").parse().unwrap(),
            access: ContainerAccess::Sas(Secret::new("sig=hush%2B".to_owned())),
            roots: RootCertificates::default(),
        };
        BlobStore::in_container(&container).unwrap()
    }

    #[tokio::test]
    async fn an_empty_partial_response_is_the_end_as_416_is() {
        for status in [StatusCode::PartialContent, StatusCode::RequestedRangeNotSatisfiable] {
            let respond = async move |method: Method| {
                let status = if method == Method::HEAD { 200 } else { u16::from(status) };
                let length = if method == Method::HEAD { "19" } else { "0" };
                let headers =
                    [("content-range", "bytes 19-18/19"), ("content-length", length), ("x-ms-blob-sealed", "true")];
                (axum::http::StatusCode::from_u16(status).unwrap(), headers)
            };
            let store = store(Router::new().fallback(respond)).await;
            let end = Chunk { bytes: Bytes::new(), sealed: true, total: 19 };
            assert_eq!(store.read(&Stream::everyone(), 1, 19..64).await, Ok(end), "{status}");
        }
    }

    #[tokio::test]
    async fn a_listing_of_several_pages_is_read_to_its_end() {
        let page = async |uri: Uri| {
            let query = uri.query().unwrap();
            assert!(query.starts_with("sig=hush%2B&"), "{query}");
            let (item, next) = match (query.contains("delimiter=%2F"), query.contains("&marker=2%21+%2F")) {
                (false, false) => ("<Blob><Name>rooms/tea/00000009.jsonl</Name></Blob>", "2! /"),
                (false, true) => ("<Blob><Name>rooms/tea/00000001.jsonl</Name></Blob>", ""),
                (true, false) => ("<BlobPrefix><Name>rooms/a/</Name></BlobPrefix>", "2! /"),
                (true, true) => ("<BlobPrefix><Name>rooms/b/</Name></BlobPrefix>", ""),
            };
            format!("<EnumerationResults><Blobs>{item}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>")
        };
        let store = store(Router::new().fallback(page)).await;
        let parts = store.list(&Stream::room("tea").unwrap()).await.unwrap().parts;
        assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 9]);
        assert_eq!(store.list_rooms(9).await.unwrap(), ["a", "b"]);
        assert_eq!(store.list_rooms(1).await.unwrap(), ["a"]);
    }

    #[test]
    fn no_byte_before_the_end_of_a_chunk_is_missing() {
        let read = |bytes: &'static [u8], total| chunk(Bytes::from_static(bytes), true, total, &(10..14));
        for (bytes, total) in [(&b"abcd"[..], 20), (b"abcd", 14), (b"ab", 12), (b"", 10), (b"", 3)] {
            let expected = Chunk { bytes: Bytes::from_static(bytes), sealed: true, total };
            assert_eq!(read(bytes, total), Ok(expected));
        }
        assert_eq!(read(b"abcdef", 16).unwrap().bytes, "abcd");
        assert_eq!(read(b"", 11), Err(StoreError::Unknown));
        assert_eq!(read(b"ab", 20), Err(StoreError::Unknown));
    }

    #[test]
    fn length_and_day_are_read_from_headers() {
        let headers = |name: &'static str, value: &'static str| {
            let mut headers = Headers::new();
            headers.insert(name, value);
            headers
        };
        assert_eq!(total_length(&headers("content-range", "bytes 0-4/689")), Some(689));
        assert_eq!(total_length(&headers("content-range", "bytes 0-4/*")), None);
        assert_eq!(day_of(&headers("date", "Fri, 27 Nov 2026 08:34:59 GMT")), Some(Day(20_784)));
        assert_eq!((total_length(&Headers::new()), day_of(&headers("date", "today"))), (None, None));
    }
}
