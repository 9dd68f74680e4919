//! What a request says about its sender, and what of it the app may see.
//!
//! `X-ZUMO-AUTH` and the cookie differ in one way that matters: a browser attaches the cookie by itself, also to a
//! post that a foreign page made. So a post signed in by cookie has to come from a page we know.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

use crate::origins::Origins;

/// The cookie's name, as App Service has it.
pub(super) const COOKIE: &str = "AppServiceAuthSession";

const TOKEN: HeaderName = HeaderName::from_static("x-zumo-auth");

/// The session token a request carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// In `X-ZUMO-AUTH`, put there by a program. It counts before the cookie.
    Header(&'a str),
    /// In the session cookie, attached by the browser.
    Cookie(&'a str),
}

impl<'a> Credential<'a> {
    /// What `headers` carry. An `X-ZUMO-AUTH` that is not text counts as one that is not ours.
    pub(super) fn of(headers: &'a HeaderMap) -> Option<Self> {
        if let Some(token) = headers.get(TOKEN) {
            return Some(Self::Header(token.to_str().unwrap_or_default()));
        }
        cookies(headers).find_map(|(name, value)| (name == COOKIE).then_some(Self::Cookie(value)))
    }

    pub(super) fn token(self) -> &'a str {
        match self {
            Self::Header(token) | Self::Cookie(token) => token,
        }
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='))
}

/// Takes away what only we may say, and what the app has no business to see: every `X-MS-*`, the session token in
/// both forms. Other cookies stay.
pub(super) fn strip(headers: &mut HeaderMap) {
    let forgeable: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with("x-ms-")).cloned().collect();
    for name in forgeable {
        headers.remove(name);
    }
    headers.remove(TOKEN);
    strip_session_cookie(headers);
}

fn strip_session_cookie(headers: &mut HeaderMap) {
    let lines: Vec<_> = headers.get_all(header::COOKIE).iter().filter_map(without_session).collect();
    headers.remove(header::COOKIE);
    for line in lines {
        headers.append(header::COOKIE, line);
    }
}

/// Bytes rather than text, so that a cookie we cannot read neither hides ours nor gets lost.
fn without_session(line: &HeaderValue) -> Option<HeaderValue> {
    let others: Vec<_> = line
        .as_bytes()
        .split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii)
        .filter(|cookie| cookie.split(|byte| *byte == b'=').next() != Some(COOKIE.as_bytes()))
        .collect();
    HeaderValue::from_bytes(&others.join(&b"; "[..])).ok().filter(|line| !line.is_empty())
}

/// Whether a request signed in by cookie has to be refused: it may change something, a browser sent it, and the page
/// that made it is not known to be the `page` or our `own`.
pub(super) fn may_be_forged(method: &Method, headers: &HeaderMap, page: &Origins, own: &Origins) -> bool {
    !method.is_safe() && is_browser(headers) && !comes_from(headers, &[page, own])
}

fn is_browser(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
}

/// Whether the request was made by a page of one of `origins`: by its `Origin`, or without one by its `Referer`.
pub(super) fn comes_from(headers: &HeaderMap, origins: &[&Origins]) -> bool {
    if let Some(origin) = headers.get(header::ORIGIN) {
        return origins.iter().any(|known| known.contain(origin));
    }
    let referer = headers.get(header::REFERER).and_then(|referer| Url::parse(referer.to_str().ok()?).ok());
    referer.is_some_and(|referer| origins.iter().any(|known| known.contain_url(&referer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)");

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn forged(method: Method, fields: &[(&'static str, &str)]) -> bool {
        may_be_forged(&method, &headers(fields), &Origins::of_port(5500), &Origins::of_port(7071))
    }

    #[test]
    fn the_header_counts_before_the_cookie() {
        let cookie = ("cookie", "a=1; AppServiceAuthSession=c; b=2");
        assert!(Credential::of(&headers(&[cookie, ("x-zumo-auth", "t")])) == Some(Credential::Header("t")));
        assert!(Credential::of(&headers(&[cookie])) == Some(Credential::Cookie("c")));
        assert!(Credential::of(&headers(&[("cookie", "XAppServiceAuthSession=c")])).is_none());
    }

    #[test]
    fn what_only_we_may_say_is_taken_away_and_the_rest_stays() {
        let mut sent = headers(&[
            ("x-ms-client-principal-name", "root"),
            ("x-ms-token-aad-id-token", "t"),
            ("x-ms-anything", "t"),
            ("x-zumo-auth", "t"),
            ("cookie", "a=1; AppServiceAuthSession=c;b=2"),
            ("x-other", "kept"),
        ]);
        sent.append("x-ms-client-principal-name", HeaderValue::from_static("root as well"));
        sent.append("cookie", HeaderValue::from_static("AppServiceAuthSession=d"));
        sent.append("cookie", HeaderValue::from_bytes(b"z=\xff; AppServiceAuthSession=e").unwrap());
        strip(&mut sent);
        let names: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        let cookies: Vec<_> = sent.get_all("cookie").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(cookies, [&b"a=1; b=2"[..], b"z=\xff"]);
    }

    #[test]
    fn a_browsers_post_has_to_come_from_a_known_page() {
        for known in [
            ("origin", "http://localhost:5500"),
            ("origin", "http://127.0.0.1:7071"),
            ("referer", "http://localhost:5500/chat?x"),
        ] {
            assert!(!forged(Method::POST, &[BROWSER, known]), "{known:?}");
        }
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("referer", "http://localhost:5500.evil.example/"),
            ("referer", "http://evil.example/http://localhost:5500/"),
            ("referer", "nonsense"),
            ("x-nothing", "at all"),
        ] {
            assert!(forged(Method::POST, &[BROWSER, foreign]), "{foreign:?}");
            assert!(forged(Method::DELETE, &[BROWSER, foreign]), "{foreign:?}");
        }
    }

    #[test]
    fn the_origin_counts_before_the_referer() {
        let both = [BROWSER, ("origin", "https://evil.example"), ("referer", "http://localhost:5500/")];
        assert!(forged(Method::POST, &both));
    }

    #[test]
    fn reading_and_programs_are_not_asked_where_they_come_from() {
        assert!(!forged(Method::GET, &[BROWSER, ("origin", "https://evil.example")]));
        assert!(!forged(Method::POST, &[("user-agent", "curl/8"), ("origin", "https://evil.example")]));
    }
}
