//! The session credential of a request, its removal before the app, and protection against cross-site request forgery.
//!
//! A browser also attaches the cookie to requests of other sites' pages, unlike `X-ZUMO-AUTH`. So an unsafe request with the cookie must
//! come from an allowed origin.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use crate::origins::Origins;

/// The cookie's name, as in App Service.
pub(super) const COOKIE: &str = "AppServiceAuthSession";

const TOKEN: HeaderName = HeaderName::from_static("x-zumo-auth");

/// The session token a request carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// In `X-ZUMO-AUTH`, set by a program. It takes precedence over the cookie.
    Header(&'a str),
    /// In the session cookie, attached by the browser.
    Cookie(&'a str),
}

impl<'a> Credential<'a> {
    /// The credential in `headers`. An `X-ZUMO-AUTH` that is not text counts as an invalid one.
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

/// Removes every `X-MS-*` header, which callers could forge, and the session token. Other cookies stay.
pub(super) fn remove(headers: &mut HeaderMap) {
    let forgeable: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("x-ms-")).cloned().collect();
    for name in forgeable {
        headers.remove(name);
    }
    headers.remove(TOKEN);

    let lines: Vec<_> = headers.get_all(header::COOKIE).iter().filter_map(without_session).collect();
    headers.remove(header::COOKIE);
    for line in lines {
        headers.append(header::COOKIE, line);
    }
}

/// Works on bytes, so that a cookie that is not text neither hides the session cookie nor is lost.
fn without_session(line: &HeaderValue) -> Option<HeaderValue> {
    let others: Vec<_> = line
        .as_bytes()
        .split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii)
        .filter(|cookie| cookie.split(|byte| *byte == b'=').next() != Some(COOKIE.as_bytes()))
        .collect();
    HeaderValue::from_bytes(&others.join(&b"; "[..])).ok().filter(|line| !line.is_empty())
}

/// Whether a request with the cookie must be rejected: its method is unsafe, a browser sent it, and not from an allowed origin.
pub(super) fn is_forgeable(request: &Request, page: &Origins, own: &Origins) -> bool {
    let headers = request.headers();
    !request.method().is_safe() && is_browser(headers) && !comes_from(headers, &[page, own])
}

fn is_browser(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
}

/// Whether the request is from a page of one of `origins`, by its `Origin` or else its `Referer`.
pub(super) fn comes_from(headers: &HeaderMap, origins: &[&Origins]) -> bool {
    if let Some(origin) = headers.get(header::ORIGIN) {
        return origins.iter().any(|known| known.contains(origin));
    }
    let referer = headers.get(header::REFERER).and_then(|referer| Url::parse(referer.to_str().ok()?).ok());
    referer.is_some_and(|referer| origins.iter().any(|known| known.contains_url(&referer)))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Method;

    use super::*;

    const BROWSER: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)");

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn forged(method: Method, fields: &[(&'static str, &str)]) -> bool {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.headers_mut() = headers(fields);
        is_forgeable(&request, &Origins::of_port(5500), &Origins::of_port(7071))
    }

    #[test]
    fn the_header_takes_precedence_over_the_cookie() {
        let cookie = ("cookie", "a=1; AppServiceAuthSession=c; b=2");
        assert!(Credential::of(&headers(&[cookie, ("x-zumo-auth", "t")])) == Some(Credential::Header("t")));
        assert!(Credential::of(&headers(&[cookie])) == Some(Credential::Cookie("c")));
        assert!(Credential::of(&headers(&[("cookie", "XAppServiceAuthSession=c")])).is_none());
    }

    #[test]
    fn forgeable_headers_are_removed_and_others_stay() {
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
        remove(&mut sent);
        let names: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        let cookies: Vec<_> = sent.get_all("cookie").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(cookies, [&b"a=1; b=2"[..], b"z=\xff"]);
    }

    #[test]
    fn a_browsers_post_has_to_come_from_an_allowed_origin() {
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
    fn the_origin_takes_precedence_over_the_referer() {
        let both = [BROWSER, ("origin", "https://evil.example"), ("referer", "http://localhost:5500/")];
        assert!(forged(Method::POST, &both));
    }

    #[test]
    fn safe_methods_and_programs_need_no_origin() {
        assert!(!forged(Method::GET, &[BROWSER, ("origin", "https://evil.example")]));
        assert!(!forged(Method::POST, &[("user-agent", "curl/8"), ("origin", "https://evil.example")]));
    }
}
