//! An identity instead of a key: tokens from a source of the test's own, a service behind TLS with an authority of the test's own.

use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_communication::{
    Client, ConnectionString, ENTRA_SCOPE, Endpoint, EntraToken, ErrorKind, NoToken, RootCertificates,
    TokenSource,
};
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::service::{
    ESCAPED_USER, KEY, Service, TOKEN_BODY, Turn, answer, answer_with, issue, now, whole_story,
};

/// The service behind TLS: where it is, and who says so.
async fn start(script: impl IntoIterator<Item = Turn>) -> (String, RootCertificates, Service) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));

    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("https://localhost:{}/", socket.local_addr().unwrap().port());
    let service = Service::new(script);
    let serving = service.clone();
    tokio::spawn(async move {
        while let Ok((caller, _)) = socket.accept().await {
            if let Ok(caller) = acceptor.accept(caller).await {
                tokio::spawn(serving.clone().serve(caller));
            }
        }
    });
    (address, authority.pem().parse().unwrap(), service)
}

/// Gives out its tokens one after another, and notes when it was asked.
#[derive(Clone, Default)]
struct Lender(Arc<Mutex<Vec<Timestamp>>>);

impl TokenSource for Lender {
    async fn token(&self, scope: &'static str, now: Timestamp) -> Result<EntraToken, NoToken> {
        assert_eq!(scope, ENTRA_SCOPE);
        assert_eq!(scope, "https://communication.azure.com//.default");
        let mut asked = self.0.lock().unwrap();
        asked.push(now);
        Ok(format!("hush-{}", asked.len()).parse().unwrap())
    }
}

#[tokio::test]
async fn a_call_with_an_identity_carries_its_token_and_no_signature() {
    let (address, roots, service) = start([answer(200, TOKEN_BODY)]).await;
    let endpoint: Endpoint = address.parse().unwrap();
    let client = Client::with_tokens(&endpoint.trusting(roots), Lender::default()).unwrap();
    issue(&client).await.unwrap();
    let request = service.only_request();
    let line = format!("POST /identities/{ESCAPED_USER}/:issueAccessToken?api-version=2023-10-01 HTTP/1.1");
    assert_eq!((request.line(), request.body.as_str()), (line.as_str(), r#"{"scopes":["voip"]}"#));
    assert_eq!(request.header("authorization"), Some("Bearer hush-1"));
    assert_eq!(
        request.header("host"),
        address.strip_prefix("https://").and_then(|rest| rest.strip_suffix('/'))
    );
    assert_eq!((request.header("x-ms-date"), request.header("x-ms-content-sha256")), (None, None));
    assert!(!format!("{client:?}").contains("hush"));
}

#[tokio::test]
async fn each_try_asks_for_a_token_of_its_own_time() {
    let throttled = answer_with(429, "retry-after: 1\r\n", "");
    let (address, roots, service) = start([throttled, answer(200, TOKEN_BODY)]).await;
    let lender = Lender::default();
    let endpoint = address.parse::<Endpoint>().unwrap().trusting(roots);
    issue(&Client::with_tokens(&endpoint, lender.clone()).unwrap()).await.unwrap();
    let shown: Vec<_> = service
        .requests()
        .iter()
        .map(|request| request.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(shown, ["Bearer hush-1", "Bearer hush-2"]);
    let asked = lender.0.lock().unwrap();
    assert!(asked[0] >= now() && asked[1] >= asked[0].checked_add(Duration::from_secs(1)).unwrap());
}

#[test]
fn the_token_of_an_identity_is_never_sent_in_clear() {
    for address in ["http://localhost/", "http://127.0.0.1:8889/", "http://[::1]/"] {
        let error = Client::with_tokens(&address.parse().unwrap(), Lender::default()).unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unusable, false));
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("must be https"));
    }
}

#[tokio::test]
async fn nothing_is_sent_where_there_is_no_token_and_the_failure_keeps_the_lenders_reason() {
    struct Poor(NoToken);
    impl TokenSource for Poor {
        async fn token(&self, _: &'static str, _: Timestamp) -> Result<EntraToken, NoToken> {
            Err(self.0.clone())
        }
    }
    let (address, roots, service) = start([]).await;
    let endpoint = address.parse::<Endpoint>().unwrap().trusting(roots);
    let wait = Some(Duration::from_secs(7));
    for (why, retryable, retry_after) in [
        (NoToken::for_now("it is away", Some(Duration::MAX)), true, Some(Duration::from_secs(86_400))),
        (NoToken::for_now("it is away", wait), true, wait),
        (NoToken::for_now("it is away", None), true, None),
        (NoToken::until_mended("it is away"), false, None),
    ] {
        let error = issue(&Client::with_tokens(&endpoint, Poor(why)).unwrap()).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::NoToken, None));
        assert_eq!((error.is_retryable(), error.retry_after()), (retryable, retry_after));
        assert!(!error.may_have_been_done() && whole_story(&error).contains("it is away"));
    }
    assert_eq!(service.callers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_answers_is_given_up_after_ten_seconds() {
    struct Silent;
    impl TokenSource for Silent {
        async fn token(&self, _: &'static str, _: Timestamp) -> Result<EntraToken, NoToken> {
            pending().await
        }
    }
    let (address, roots, service) = start([]).await;
    let endpoint = address.parse::<Endpoint>().unwrap().trusting(roots);
    let begun = Instant::now();
    let error = Client::with_tokens(&endpoint, Silent).unwrap().create_user(now()).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::NoToken, true));
    assert!(!error.may_have_been_done());
    assert_eq!(service.callers(), 0);
}

#[tokio::test]
async fn a_service_nobody_vouches_for_gets_nothing() {
    let (address, roots, service) = start([answer(200, TOKEN_BODY)]).await;
    let stranger = Client::with_tokens(&address.parse().unwrap(), Lender::default()).unwrap();
    let error = issue(&stranger).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_been_done()), (ErrorKind::Unreachable, false));
    whole_story(&error);
    assert!(service.requests().is_empty());

    let connection: ConnectionString = format!("endpoint={address};accesskey={KEY}").parse().unwrap();
    issue(&Client::new(&connection.trusting(roots)).unwrap()).await.unwrap();
    service.only_request();
}
