//! An identity instead of a key: a token source and a certificate authority of the test's own.

use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_communication::{
    Client, ConnectionString, ENTRA_SCOPE, Endpoint, EntraToken, ErrorKind, RootCertificates, TokenError, TokenSource,
};
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::test_service::{
    ESCAPED_USER, KEY, Reply, TOKEN_BODY, TestService, error_chain, issue, now, reply, reply_with,
};

/// The service behind TLS: its address and root certificate.
async fn start(script: impl IntoIterator<Item = Reply>) -> (String, RootCertificates, TestService) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let service = TestService::new(script);
    let serving = service.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(socket) = acceptor.accept(socket).await {
                tokio::spawn(serving.clone().serve(socket));
            }
        }
    });
    (address, authority.pem().parse().unwrap(), service)
}

/// Returns numbered tokens and records the times it was called for.
#[derive(Clone, Default)]
struct CountingSource(Arc<Mutex<Vec<Timestamp>>>);

impl TokenSource for CountingSource {
    async fn token(&self, scope: &'static str, now: Timestamp) -> Result<EntraToken, TokenError> {
        assert_eq!(scope, ENTRA_SCOPE);
        assert_eq!(scope, "https://communication.azure.com//.default");
        let mut times = self.0.lock().unwrap();
        times.push(now);
        Ok(format!("hush-{}", times.len()).parse().unwrap())
    }
}

#[tokio::test]
async fn a_call_with_an_identity_carries_its_token_and_no_signature() {
    let (address, roots, service) = start([reply(200, TOKEN_BODY)]).await;
    let endpoint: Endpoint = address.parse().unwrap();
    let client = Client::with_tokens(&endpoint.with_roots(roots), CountingSource::default()).unwrap();
    issue(&client).await.unwrap();
    let request = service.only_request();
    let line = format!("POST /identities/{ESCAPED_USER}/:issueAccessToken?api-version=2023-10-01 HTTP/1.1");
    assert_eq!((request.line(), request.body.as_str()), (line.as_str(), r#"{"scopes":["voip"]}"#));
    assert_eq!(request.header("authorization"), Some("Bearer hush-1"));
    assert_eq!(request.header("host"), address.strip_prefix("https://").and_then(|rest| rest.strip_suffix('/')));
    assert_eq!((request.header("x-ms-date"), request.header("x-ms-content-sha256")), (None, None));
    assert!(!format!("{client:?}").contains("hush"));
}

#[tokio::test]
async fn each_attempt_requests_a_token_of_its_own_time() {
    let throttled = reply_with(429, "retry-after: 1\r\n", "");
    let (address, roots, service) = start([throttled, reply(200, TOKEN_BODY)]).await;
    let source = CountingSource::default();
    let endpoint = address.parse::<Endpoint>().unwrap().with_roots(roots);
    issue(&Client::with_tokens(&endpoint, source.clone()).unwrap()).await.unwrap();
    let sent: Vec<_> =
        service.requests().iter().map(|request| request.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(sent, ["Bearer hush-1", "Bearer hush-2"]);
    let times = source.0.lock().unwrap();
    assert!(times[0] >= now() && times[1] >= times[0].checked_add(Duration::from_secs(1)).unwrap());
}

#[test]
fn the_token_of_an_identity_is_never_sent_unencrypted() {
    for address in ["http://localhost/", "http://127.0.0.1:8889/", "http://[::1]/"] {
        let error = Client::with_tokens(&address.parse().unwrap(), CountingSource::default()).unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unusable, false));
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("must be https"));
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_error_keeps_the_reason() {
    struct FailingSource(TokenError);
    impl TokenSource for FailingSource {
        async fn token(&self, _: &'static str, _: Timestamp) -> Result<EntraToken, TokenError> {
            Err(self.0.clone())
        }
    }
    let (address, roots, service) = start([]).await;
    let endpoint = address.parse::<Endpoint>().unwrap().with_roots(roots);
    let wait = Some(Duration::from_secs(7));
    for (why, retryable, retry_after) in [
        (TokenError::transient("unavailable", Some(Duration::MAX)), true, Some(Duration::from_secs(86_400))),
        (TokenError::transient("unavailable", wait), true, wait),
        (TokenError::transient("unavailable", None), true, None),
        (TokenError::permanent("unavailable"), false, None),
    ] {
        let error = issue(&Client::with_tokens(&endpoint, FailingSource(why)).unwrap()).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::NoToken, None));
        assert_eq!((error.is_retryable(), error.retry_after()), (retryable, retry_after));
        assert!(!error.may_have_been_done() && error_chain(&error).contains("unavailable"));
    }
    assert_eq!(service.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_returns_is_given_up_after_ten_seconds() {
    struct PendingSource;
    impl TokenSource for PendingSource {
        async fn token(&self, _: &'static str, _: Timestamp) -> Result<EntraToken, TokenError> {
            pending().await
        }
    }
    let (address, roots, service) = start([]).await;
    let endpoint = address.parse::<Endpoint>().unwrap().with_roots(roots);
    let start_time = Instant::now();
    let error = Client::with_tokens(&endpoint, PendingSource).unwrap().create_user(now()).await.unwrap_err();
    assert_eq!(start_time.elapsed().as_secs(), 10);
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::NoToken, true));
    assert!(!error.may_have_been_done());
    assert_eq!(service.connections(), 0);
}

#[tokio::test]
async fn a_service_with_an_untrusted_certificate_gets_nothing() {
    let (address, roots, service) = start([reply(200, TOKEN_BODY)]).await;
    let client = Client::with_tokens(&address.parse().unwrap(), CountingSource::default()).unwrap();
    let error = issue(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_been_done()), (ErrorKind::Unreachable, false));
    error_chain(&error);
    assert!(service.requests().is_empty());

    let connection: ConnectionString = format!("endpoint={address};accesskey={KEY}").parse().unwrap();
    issue(&Client::new(&connection.with_roots(roots)).unwrap()).await.unwrap();
    service.only_request();
}
