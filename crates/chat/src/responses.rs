//! Responses of the local servers: error objects as the app sends them, and small HTML pages.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::json;

const STYLE: &str = "\
    :root { color-scheme: light dark; } \
    body { max-width: 40rem; margin: 12vh auto; padding: 0 20px; font: 16px/1.6 system-ui, sans-serif; } \
    h1 { font-size: 24px; line-height: 1.25; } \
    code { font: 0.9em ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }";

/// A page with its own style: `title` as the heading, then `body`.
pub(crate) fn html_page(title: &str, body: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (title) }
                    (body)
                }
            }
        }
    };
    Html(page.into_string())
}

/// `{"error":{"code":…,"message":…}}`, the error body of the whole API. `message` says what to do.
pub(crate) fn error_response(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": message } }).to_string();
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}
