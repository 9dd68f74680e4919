//! The two pages nobody comes to look at: the host's home page, and the one that stands in for a page not built yet.
//!
//! They carry their few lines of style with them, so each is one answer.

use axum::response::Html;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = "\
    :root { color-scheme: light dark; } \
    body { max-width: 40rem; margin: 12vh auto; padding: 0 20px; font: 16px/1.6 system-ui, sans-serif; } \
    h1 { font-size: 24px; line-height: 1.25; } \
    code { font: 0.9em ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }";

/// A page with `title` as its heading and `body` below.
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
