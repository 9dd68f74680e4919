//! CORS: whether a browser will let the page read what a server answers.
//!
//! A browser compares `Access-Control-Allow-Origin` with its page's origin letter by letter, and wants it exactly once.

use reqwest::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, ORIGIN,
};
use reqwest::{Client, Method, RequestBuilder, Url};

/// An origin that is surely nobody's page here.
pub(super) const STRANGER: &str = "https://example.com";

/// The question a browser asks before a page at `origin` may post to `url` with the `headers` it wants to send.
pub(super) fn preflight(http: &Client, url: Url, origin: &str, headers: &'static str) -> RequestBuilder {
    let request = http.request(Method::OPTIONS, url).header(ORIGIN, origin);
    request.header(ACCESS_CONTROL_REQUEST_METHOD, "POST").header(ACCESS_CONTROL_REQUEST_HEADERS, headers)
}

/// What an answer means to a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The page is let in, by name.
    ByName,
    /// Every page of the web is.
    Everybody,
    /// The page is not.
    Refused,
    /// Another spelling of the page's origin is.
    OtherSpelling,
    /// More than one answer, which a browser takes for none.
    Twice,
    /// The page is let in, but may not send this header.
    HeaderRefused(&'static str),
}

/// What `answer` means to a page at `origin` that wants to send `header`.
pub(super) fn admission(answer: &HeaderMap, origin: &str, header: &'static str) -> Admission {
    let mut origins =
        answer.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().map(|value| value.to_str().unwrap_or_default());
    let (first, second) = (origins.next(), origins.next());
    match (first, second) {
        (_, Some(_)) => Admission::Twice,
        (Some(several), _) if several.contains(',') => Admission::Twice,
        (None, _) => Admission::Refused,
        (Some(_), _) if !may_send(answer, header) => Admission::HeaderRefused(header),
        (Some("*"), _) => Admission::Everybody,
        (Some(named), _) if named == origin => Admission::ByName,
        (Some(named), _) if named.trim_end_matches('/').eq_ignore_ascii_case(origin) => {
            Admission::OtherSpelling
        }
        (Some(_), _) => Admission::Refused,
    }
}

fn may_send(answer: &HeaderMap, header: &str) -> bool {
    let listed = answer.get_all(ACCESS_CONTROL_ALLOW_HEADERS).iter().filter_map(|value| value.to_str().ok());
    listed
        .flat_map(|listed| listed.split(','))
        .any(|name| name.trim() == "*" || name.trim().eq_ignore_ascii_case(header))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    const PAGE: &str = "https://page.example";

    fn judged(origins: &[&'static str], headers: &'static str) -> Admission {
        let mut answer = HeaderMap::new();
        for origin in origins {
            answer.append(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(origin));
        }
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(headers));
        admission(&answer, PAGE, "x-zumo-auth")
    }

    #[test]
    fn only_the_origin_itself_once_and_with_the_header_lets_the_page_in() {
        let headers = "content-type, X-ZUMO-AUTH";
        assert_eq!(judged(&[PAGE], headers), Admission::ByName);
        assert_eq!(judged(&[PAGE], "*"), Admission::ByName);
        assert_eq!(judged(&["*"], headers), Admission::Everybody);
        assert_eq!(judged(&["https://page.example/"], headers), Admission::OtherSpelling);
        assert_eq!(judged(&["https://other.example"], headers), Admission::Refused);
        assert_eq!(judged(&[], headers), Admission::Refused);
        assert_eq!(judged(&[PAGE, PAGE], headers), Admission::Twice);
        assert_eq!(judged(&["https://page.example, *"], headers), Admission::Twice);
        assert_eq!(judged(&[PAGE], "content-type"), Admission::HeaderRefused("x-zumo-auth"));
    }
}
