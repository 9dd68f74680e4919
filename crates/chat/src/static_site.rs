//! Serves the page's folder as a Blob static website does: files, an index document, an error document.
//!
//! The exception is `config.json`: its address of the API is replaced by that of this stack, whose port may differ.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::html;
use serde_json::{Map, Value};
use tower::ServiceExt;
use tower_http::services::{ServeDir, ServeFile};

use crate::responses::{error_response, html_page};

/// Files under `/assets/` carry a hash of their content; all others are revalidated.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

#[derive(Clone)]
struct Site {
    folder: PathBuf,
    api: String,
}

/// A router that serves `folder`; `api` is the API's address for `config.json`, without a trailing slash.
pub(crate) fn router(folder: PathBuf, api: String) -> Router {
    Router::new()
        .route("/config.json", get(config))
        .fallback(file)
        .layer(from_fn(cache_control))
        .with_state(Site { folder, api })
}

async fn file(State(site): State<Site>, request: Request) -> Response {
    let index = site.folder.join("index.html");
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET,HEAD")]).into_response();
    }
    if !tokio::fs::try_exists(&index).await.unwrap_or(false) {
        return not_built(&site.folder);
    }
    if request.uri().path() == "/" {
        let Ok(response) = ServeFile::new(index).oneshot(request).await;
        return response.map(Body::new);
    }
    let missing = ServeFile::new(site.folder.join("404.html"));
    let files = ServeDir::new(&site.folder).append_index_html_on_directories(false).not_found_service(missing);
    let Ok(response) = files.oneshot(request).await;
    response.map(Body::new)
}

async fn config(State(site): State<Site>) -> Response {
    match read_config(&site).await {
        Ok(config) => {
            let json = HeaderValue::from_static("application/json");
            ([(header::CONTENT_TYPE, json)], Value::Object(config).to_string()).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "the page's config.json cannot be read");
            let message = "config.json in the page's folder is not a JSON object: correct it or build the page again.";
            error_response(StatusCode::INTERNAL_SERVER_ERROR, "invalid_config", message)
        }
    }
}

/// The file with this stack's API address. Without a file, that address and the default provider.
async fn read_config(site: &Site) -> std::io::Result<Map<String, Value>> {
    let mut config: Map<String, Value> = match tokio::fs::read(site.folder.join("config.json")).await {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(error),
    };
    config.insert("apiBaseUrl".to_owned(), Value::from(site.api.as_str()));
    config.entry("authProvider").or_insert_with(|| Value::from("aad"));
    Ok(config)
}

async fn cache_control(request: Request, next: Next) -> Response {
    let is_asset = request.uri().path().starts_with("/assets/");
    let mut response = next.run(request).await;
    let found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let rule = if is_asset && found { IMMUTABLE } else { REVALIDATE };
    response.headers_mut().insert(header::CACHE_CONTROL, rule);
    response
}

fn not_built(folder: &Path) -> Response {
    let body = html! {
        p { "There is no " code { (folder.join("index.html").display()) } "." }
        p { "Run " code { "make run" } " in the project’s folder: it builds the page and starts all servers." }
    };
    (StatusCode::SERVICE_UNAVAILABLE, html_page("The page is not built yet", &body)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use uuid::Uuid;

    use super::*;

    /// A temporary folder, deleted when dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn with(files: &[(&str, &str)]) -> Self {
            let folder = std::env::temp_dir().join(format!("site-{}", Uuid::new_v4()));
            for (name, text) in files {
                let path = folder.join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self(folder)
        }

        fn site(&self) -> Router {
            router(self.0.clone(), "http://localhost:4321".to_owned())
        }

        async fn get(&self, path: &str) -> (StatusCode, String, String) {
            let response = self.site().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            let cache = response.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned();
            let status = response.status();
            let body = to_bytes(response.into_body(), 100_000).await.unwrap();
            (status, cache, String::from_utf8(body.to_vec()).unwrap())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn built() -> Folder {
        Folder::with(&[
            ("index.html", "index"),
            ("assets/app-1a2b.js", "script"),
            ("config.json", r#"{"apiBaseUrl":"http://localhost:7071","authProvider":"github","more":1}"#),
        ])
    }

    #[tokio::test]
    async fn the_index_document_is_revalidated_and_assets_are_immutable() {
        let folder = built();
        assert_eq!(folder.get("/").await, (StatusCode::OK, "no-cache".to_owned(), "index".to_owned()));
        assert_eq!(folder.get("/index.html").await.1, "no-cache");
        let (status, cache, body) = folder.get("/assets/app-1a2b.js").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "script"));
        assert!(cache.contains("immutable"));
    }

    #[tokio::test]
    async fn a_missing_file_is_404_and_not_cached() {
        let folder = built();
        for path in [
            "/nowhere", "/assets/gone.js", "/assets", "/assets/", "/../Cargo.toml", "/%2e%2e/Cargo.toml",
            "//evil.example/..",
        ] {
            let (status, cache, _) = folder.get(path).await;
            assert_eq!((status, cache.as_str()), (StatusCode::NOT_FOUND, "no-cache"), "{path}");
        }
    }

    #[tokio::test]
    async fn the_error_document_is_served_if_it_exists() {
        let folder = Folder::with(&[("index.html", "index"), ("404.html", "lost")]);
        let (status, _, body) = folder.get("/nowhere").await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, "lost"));
    }

    #[tokio::test]
    async fn config_names_this_api_and_keeps_other_values() {
        let (_, cache, body) = built().get("/config.json").await;
        assert_eq!(cache, "no-cache");
        let config: Value = serde_json::from_str(&body).unwrap();
        let expected = serde_json::json!({"apiBaseUrl":"http://localhost:4321","authProvider":"github","more":1});
        assert_eq!(config, expected);
    }

    #[tokio::test]
    async fn config_is_served_without_a_file_and_an_invalid_file_is_an_error() {
        let (_, _, body) = Folder::with(&[("index.html", "")]).get("/config.json").await;
        assert!(body.contains("http://localhost:4321") && body.contains("aad"));
        let (status, _, body) = Folder::with(&[("config.json", "[]")]).get("/config.json").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains("invalid_config"));
    }

    #[tokio::test]
    async fn only_get_and_head_are_allowed() {
        let folder = built();
        for path in ["/", "/index.html", "/config.json"] {
            let request = Request::post(path).body(Body::empty()).unwrap();
            let response = folder.site().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(response.headers()[header::ALLOW], "GET,HEAD", "{path}");
        }
    }

    #[tokio::test]
    async fn a_page_that_is_not_built_says_how_to_build_it() {
        let (status, _, body) = Folder::with(&[]).get("/").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("make run"));
    }
}
