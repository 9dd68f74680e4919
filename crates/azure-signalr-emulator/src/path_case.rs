//! Routes paths in any letter case, as ASP.NET Core does; the routes of axum are compared exactly.
//!
//! The router gets the path in lower case. The handlers get it as it was sent: names in it keep their letter case, and tokens are
//! issued for it.

use axum::http::{Request, Uri};

/// The URI as it was sent.
#[derive(Clone)]
struct SentUri(Uri);

/// Gives the router the path in lower case.
pub(crate) fn lower<B>(mut request: Request<B>) -> Request<B> {
    let sent = request.uri();
    if sent.path().contains(|c: char| c.is_ascii_uppercase()) {
        let mut parts = sent.clone().into_parts();
        parts.path_and_query = sent.path().to_ascii_lowercase().try_into().ok();
        if let Ok(lower) = Uri::from_parts(parts) {
            let sent = std::mem::replace(request.uri_mut(), lower);
            request.extensions_mut().insert(SentUri(sent));
        }
    }
    request
}

/// Middleware inside the router: gives the handlers the URI as it was sent.
pub(crate) async fn restore<B>(mut request: Request<B>) -> Request<B> {
    if let Some(SentUri(sent)) = request.extensions_mut().remove() {
        *request.uri_mut() = sent;
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_router_gets_lower_case_and_handlers_what_was_sent() {
        for (sent, path) in [
            ("/CLIENT/Negotiate?Hub=Chat", "/client/negotiate"),
            ("/api/hubs/Chat/users/Ann%2FB/:send?x=Y", "/api/hubs/chat/users/ann%2fb/:send"),
            ("http://Localhost:8888/Client/?a=%C3%A9", "/client/"),
            ("/client/?hub=Chat", "/client/"),
            ("*", "*"),
        ] {
            let request = lower(Request::get(sent).body(()).unwrap());
            assert_eq!(request.uri().path(), path);
            assert_eq!(restore(request).await.uri(), &sent.parse::<Uri>().unwrap());
        }
    }
}
