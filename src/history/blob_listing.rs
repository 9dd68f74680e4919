//! Lists blobs and folders of a container: <https://learn.microsoft.com/rest/api/storageservices/list-blobs>.
//!
//! By hand, through a pipeline like that of the official client: `list_blobs` of `azure_storage_blob` 1.1 has no delimiter, without which
//! the names of the rooms cost a listing of all parts.

use std::sync::Arc;

use azure_core::error::CheckSuccessOptions;
use azure_core::http::headers::Headers;
use azure_core::http::policies::Policy;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::{Context, Method, Pipeline, PipelineSendOptions, Request, Url};
use azure_core::time::parse_rfc7231;
use azure_core::xml::from_xml;
use azure_storage_blob::BlobContainerClientOptions;
use serde::Deserialize;

use super::blob_error::store_error;
use super::store::{Day, StoreError};
use crate::blob_container::{ContainerConnection, SCOPE};

/// Lists a container.
pub(super) struct BlobListing {
    url: Url,
    pipeline: Pipeline,
    version: String,
}

/// A page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BlobPage {
    pub(super) blobs: Vec<Blob>,
    /// The prefixes up to the delimiter, with it.
    pub(super) folders: Vec<String>,
    /// `None` if there is no other page.
    pub(super) next_marker: Option<String>,
    /// The day of the listing, by the clock of the storage.
    pub(super) day: Day,
}

/// A blob of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) sealed: bool,
    pub(super) created: Option<Day>,
}

impl BlobListing {
    pub(super) fn new(connection: &ContainerConnection) -> Self {
        let ContainerConnection { url, credential, client_options } = connection;
        let authorization = credential
            .clone()
            .map(|credential| Arc::new(BearerTokenAuthorizationPolicy::new(credential, vec![SCOPE])) as _);
        let policies: Vec<Arc<dyn Policy>> = authorization.into_iter().collect();
        let (name, version) = (option_env!("CARGO_PKG_NAME"), option_env!("CARGO_PKG_VERSION"));
        let pipeline = Pipeline::new(name, version, client_options.clone(), Vec::new(), policies, None);
        Self { url: url.clone(), pipeline, version: BlobContainerClientOptions::default().version }
    }

    /// A page of the blobs whose names begin with `prefix`.
    pub(super) async fn blobs(&self, prefix: &str, marker: Option<&str>) -> Result<BlobPage, StoreError> {
        self.page(prefix, None, marker).await
    }

    /// A page of the folders below `prefix`.
    pub(super) async fn folders(&self, prefix: &str, marker: Option<&str>) -> Result<BlobPage, StoreError> {
        self.page(prefix, Some("/"), marker).await
    }

    async fn page(&self, prefix: &str, delimiter: Option<&str>, marker: Option<&str>) -> Result<BlobPage, StoreError> {
        let mut url = self.url.clone();
        let fixed = [("restype", "container"), ("comp", "list"), ("prefix", prefix)];
        let optional = [("delimiter", delimiter), ("marker", marker)];
        let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
        url.query_pairs_mut().extend_pairs(fixed.into_iter().chain(optional));
        let mut request = Request::new(url, Method::Get);
        request.insert_header("x-ms-version", self.version.clone());
        let options = PipelineSendOptions {
            check_success: CheckSuccessOptions { success_codes: &[200] },
            ..PipelineSendOptions::default()
        };
        let response = self.pipeline.send(&Context::new(), &mut request, Some(options)).await;
        let response = response.map_err(|error| store_error(&error))?;
        let day = day_of(response.headers()).ok_or(StoreError::Unknown)?;
        parse(response.body(), day).map_err(|error| store_error(&error))
    }
}

/// The day of a response, by the clock of the storage.
pub(super) fn day_of(headers: &Headers) -> Option<Day> {
    let date = parse_rfc7231(headers.get_optional_str(&"date".into())?).ok()?;
    Some(Day::from_unix_seconds(date.unix_timestamp()))
}

/// The body of a response, as far as it is used.
#[derive(Deserialize)]
struct EnumerationResults {
    #[serde(rename = "Blobs", default)]
    blobs: Items,
    #[serde(rename = "NextMarker", default)]
    next_marker: Option<String>,
}

#[derive(Default, Deserialize)]
struct Items {
    #[serde(rename = "$value", default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
enum Item {
    Blob {
        #[serde(rename = "Name")]
        name: String,
        #[serde(rename = "Properties", default)]
        properties: Properties,
    },
    BlobPrefix {
        #[serde(rename = "Name")]
        name: String,
    },
}

#[derive(Default, Deserialize)]
struct Properties {
    #[serde(rename = "Content-Length", default)]
    length: u64,
    #[serde(rename = "Creation-Time", default)]
    created: Option<String>,
    #[serde(rename = "Sealed", default)]
    sealed: Option<bool>,
}

fn parse(body: &[u8], day: Day) -> azure_core::Result<BlobPage> {
    let results: EnumerationResults = from_xml(body)?;
    let next_marker = results.next_marker.filter(|marker| !marker.is_empty());
    let mut page = BlobPage { blobs: Vec::new(), folders: Vec::new(), next_marker, day };
    for item in results.blobs.items {
        match item {
            Item::Blob { name, properties: Properties { length, created, sealed } } => {
                let created = created.and_then(|created| parse_rfc7231(&created).ok());
                let created = created.map(|created| Day::from_unix_seconds(created.unix_timestamp()));
                page.blobs.push(Blob { name, length, sealed: sealed == Some(true), created });
            }
            Item::BlobPrefix { name } => page.folders.push(name),
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_and_folders_are_read_in_any_order() {
        let body = br#"<?xml version="1.0" encoding="utf-8"?>
            <EnumerationResults ServiceEndpoint="https://a.blob.core.windows.net/" ContainerName="c"><Prefix>rooms/</Prefix><Delimiter>/</Delimiter><Blobs>
            <BlobPrefix><Name>rooms/a/</Name></BlobPrefix>
            <Blob><Name>rooms/b</Name><Properties><Creation-Time>Fri, 27 Nov 2026 08:34:59 GMT</Creation-Time><Last-Modified>Sat, 28 Nov 2026 08:34:59 GMT</Last-Modified>
            <Content-Length>689</Content-Length><Content-Type>application/octet-stream</Content-Type><BlobType>AppendBlob</BlobType><Sealed>true</Sealed></Properties><OrMetadata /></Blob>
            <BlobPrefix><Name>rooms/c/</Name></BlobPrefix>
            <Blob><Name>rooms/d</Name><Properties><Content-Length>0</Content-Length></Properties></Blob>
            </Blobs><NextMarker>next</NextMarker></EnumerationResults>"#;
        let blob = |name: &str, length, sealed, created| Blob { name: name.to_owned(), length, sealed, created };
        let expected = BlobPage {
            blobs: vec![blob("rooms/b", 689, true, Some(Day(20_784))), blob("rooms/d", 0, false, None)],
            folders: vec!["rooms/a/".to_owned(), "rooms/c/".to_owned()],
            next_marker: Some("next".to_owned()),
            day: Day(1),
        };
        assert_eq!(parse(body, Day(1)).unwrap(), expected);
        let empty = b"<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
        let expected = BlobPage { blobs: vec![], folders: vec![], next_marker: None, day: Day(1) };
        assert_eq!(parse(empty, Day(1)).unwrap(), expected);
        assert!(parse(b"<html>", Day(1)).is_err());
    }
}
