//! The HTML pages of sign-in and sign-out, without script.
//!
//! The content security policy names the redirect target of the form, because browsers check redirects after a form post too.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::identity::{NameError, Provider};
use super::redirect::{Destination, RedirectError, SETTING};

/// The path of the style sheet.
pub(super) const STYLE_PATH: &str = "/.auth/sign-in.css";

/// The form field that holds the name.
pub(super) const FIELD: &str = "name";

/// A predefined user: display name, sign-in name, and colour of the initial.
struct Persona {
    first_name: &'static str,
    name: &'static str,
    colour: &'static str,
}

const PERSONAS: [Persona; 4] = [
    Persona { first_name: "Alice", name: "alice@contoso.com", colour: "moss" },
    Persona { first_name: "Bob", name: "bob@contoso.com", colour: "clay" },
    Persona { first_name: "Carol", name: "carol@fabrikam.com", colour: "sky" },
    Persona { first_name: "Dan", name: "dan@fabrikam.com", colour: "plum" },
];

/// The style sheet.
pub(super) async fn style() -> Response {
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    let fresh = HeaderValue::from_static("no-cache");
    ([(header::CONTENT_TYPE, css), (header::CACHE_CONTROL, fresh)], include_str!("pages.css")).into_response()
}

/// The sign-in page. `home` is the address of the chat page; `invalid` is the typed text and why it is not a name.
pub(super) fn sign_in(
    provider: Provider,
    destination: &Result<Option<Destination>, RedirectError>,
    home: &str,
    invalid: Option<(&str, NameError)>,
) -> Response {
    let status = if invalid.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let typed = invalid.filter(|(_, error)| !error.is_about_token()).map(|(typed, _)| typed);
    let body = html! {
        h1 { "Who are you today?" }
        p.lead { "In Azure, " (provider.label) " would ask you to sign in here." }
        @if destination.is_err() {
            p.note role="status" {
                "The address to return to is not in " code { (SETTING) } ", so you will stay here after signing in. "
                (listed_addresses(home))
            }
        }
        form method="post" {
            ul.personas {
                @for persona in &PERSONAS {
                    li { (persona_button(persona)) }
                }
            }
        }
        form.anyone method="post" {
            label for=(FIELD) { "Or use another name" }
            div.row {
                input #(FIELD) name=(FIELD) type="text" required autocomplete="off" autocapitalize="none"
                    spellcheck="false" placeholder="you@example.com" value=[typed]
                    aria-invalid=[invalid.map(|_| "true")] aria-describedby=[invalid.map(|_| "mistake")]
                    autofocus[invalid.is_some()];
                button.primary { "Sign in" }
            }
            @if let Some((_, error)) = invalid {
                p #mistake .mistake role="alert" { (error) }
            }
        }
        p.foot {
            strong { "Local sign-in." } " There is no password and no account: "
            "anyone who can open this page can use any name. No data leaves this machine."
        }
    };
    page(status, "Sign in", destination.as_ref().ok().and_then(Option::as_ref), &body)
}

/// Which addresses are allowed locally, and how others are.
fn listed_addresses(home: &str) -> Markup {
    html! {
        "The list has " code { (home) } " and " code { (home) "/" } ", and no other path, query or fragment. Start "
        code { "chat" } " with " code { "--allow-redirect" } " to add an address here; in Azure, add it to "
        i { "Allowed external redirect URLs" } "."
    }
}

fn persona_button(persona: &Persona) -> Markup {
    let initial = persona.first_name.get(..1).unwrap_or_default();
    html! {
        button.persona name=(FIELD) value=(persona.name) {
            span.mark.(persona.colour) aria-hidden="true" { (initial) }
            span.who { (persona.first_name) small { (persona.name) } }
            span.go aria-hidden="true" { "→" }
        }
    }
}

/// The page after a sign-in without a redirect address. `home` is the address of the chat page.
pub(super) fn signed_in(home: &str) -> Response {
    let body = html! {
        h1 { "You are signed in" }
        p.lead { "You can close this tab." }
        p {
            "Did you expect to be back in an app? It gave no address to return to, or one that is not in " code { (SETTING) }
            ". " (listed_addresses(home))
        }
        p.actions { a.primary href=(home) { "Open the page" } }
    };
    page(StatusCode::OK, "Signed in", None, &body)
}

/// The page after a sign-out. `home` is the address of the chat page.
pub(super) fn signed_out(home: &str) -> Response {
    let body = html! {
        h1 { "You are signed out" }
        p.lead { "This browser’s session cookie is gone." }
        p.actions {
            a.primary href=(home) { "Open the page" }
            a.quiet href="/.auth/login/aad" { "Sign in again" }
        }
    };
    page(StatusCode::OK, "Signed out", None, &body)
}

fn page(status: StatusCode, title: &str, destination: Option<&Destination>, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " · Serverless chat" }
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body {
                main { (body) }
            }
        }
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy(destination)),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Not `no-referrer`: with it browsers send the form with the origin `null`, which is rejected.
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, Html(page.into_string())).into_response()
}

fn policy(destination: Option<&Destination>) -> HeaderValue {
    let target = destination.map(|destination| format!(" {}", destination.policy_source())).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'{target}"
    );
    HeaderValue::from_str(&policy).expect("an origin is visible ASCII")
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::super::redirect::AllowedRedirects;
    use super::*;
    use crate::origins::Origins;

    async fn text(response: Response) -> String {
        String::from_utf8(to_bytes(response.into_body(), 100_000).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn an_invalid_name_is_shown_escaped_with_an_explanation() {
        let typed = r#""><script>alert(1)</script>"#;
        let aad = Provider::find("aad").unwrap();
        let response = sign_in(aad, &Ok(None), "http://localhost:5500", Some((typed, NameError::TooLong)));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let html = text(response).await;
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
        assert!(html.contains("at most 256 characters"));
    }

    #[tokio::test]
    async fn a_token_is_not_shown() {
        let aad = Provider::find("aad").unwrap();
        for error in [NameError::Secret, NameError::NoNameInToken] {
            let html = text(sign_in(aad, &Ok(None), "http://localhost:5500", Some(("ya29.hush", error)))).await;
            assert!(!html.contains("hush") && html.contains("alice@contoso.com"), "{html}");
        }
    }

    #[test]
    fn the_policy_allows_the_form_to_redirect_to_the_destination_only() {
        let pages = AllowedRedirects::new(&Origins::of_port(5500), Vec::new());
        for (text, sources) in
            [("http://localhost:5500/", "'self' http://localhost:5500"), ("http://[::1]:5500/", "'self' http://*:5500")]
        {
            let to = Destination::parse(text, &pages, &Origins::of_port(7071)).unwrap();
            assert!(policy(Some(&to)).to_str().unwrap().ends_with(&format!("form-action {sources}")), "{text}");
        }
        assert!(policy(None).to_str().unwrap().ends_with("form-action 'self'"));
    }
}
