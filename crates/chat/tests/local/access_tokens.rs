//! Tests of access tokens for Communication Services: embedded service, identities in a folder, and `--anonymous-tokens`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use azure_communication_emulator::{Emulator, Fault, Operation, Options};
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::test_stack::{FREE_PORTS, TestStack, port};
use test_support::http::api_error;

const PATH: &str = "/api/access-token";
const ANONYMOUS_TOKENS: &str = "--anonymous-tokens";

fn with_anonymous_tokens() -> TestStack {
    let arguments: Vec<_> = FREE_PORTS.into_iter().chain([ANONYMOUS_TOKENS]).collect();
    TestStack::with(&arguments, &[])
}

async fn id_of(response: Response) -> String {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body: Value = response.json().await.unwrap();
    assert!(body["token"].as_str().unwrap().split('.').count() == 3 && body["expiresOn"].is_string());
    body["user"]["communicationUserId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_signed_in_user_gets_tokens_for_a_stable_identity() {
    let stack = TestStack::start();
    let [ann, bob] = [stack.sign_in("ann").await, stack.sign_in("bob").await];
    let request = |who: &str| stack.post_as(Some(who), PATH).send();
    let first = id_of(request(&ann).await.unwrap()).await;
    assert_eq!(id_of(request(&ann).await.unwrap()).await, first);
    assert_ne!(id_of(request(&bob).await.unwrap()).await, first);
    let again = stack.sign_in("ann").await;
    assert_eq!(id_of(request(&again).await.unwrap()).await, first);
    let revoked = stack.request(Method::DELETE, PATH).header("x-zumo-auth", &ann).send().await.unwrap();
    assert_eq!(revoked.status(), 204);
    let anonymous = stack.post(PATH).send().await.unwrap();
    assert_eq!(api_error(anonymous).await, (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn the_printed_connection_string_works() {
    let mut stack = TestStack::start();
    let text = stack.printed("identities").unwrap();
    let client = azure_communication::Client::new(&text.parse().unwrap()).unwrap();
    client.create_user(jiff::Timestamp::now()).await.unwrap();
    assert!(!stack.stop().replace(&text, "").contains(text.split("accesskey=").nth(1).unwrap()));
}

#[tokio::test]
async fn an_identity_is_deleted_at_the_service_before_its_file_and_a_failure_can_be_repeated() {
    let service = Emulator::new(Options::default());
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", socket.local_addr().unwrap());
    let served = service.clone();
    tokio::spawn(async move { served.serve(vec![socket], std::future::pending()).await });
    let setting = service.connection_string(&address);
    let stack = TestStack::with(&FREE_PORTS, &[("AzureCommunicationServicesConnectionString", &setting)]);
    // One for each person, beside the key of their names.
    let files = || fs::read_dir(stack.path(".chat/identities").join(&address[7..])).unwrap().count() - 1;
    let forget =
        |who: &str| stack.request(Method::DELETE, "/API/Access-Token?forget=true").header("x-zumo-auth", who).send();
    let ids = || service.identities().into_iter().map(|identity| identity.id).collect::<Vec<_>>();
    let [ann, bob] = [stack.sign_in("ann").await, stack.sign_in("bob").await];
    let request = |who: &str| stack.post_as(Some(who), PATH).send();
    let [first, bob_id] = [id_of(request(&ann).await.unwrap()).await, id_of(request(&bob).await.unwrap()).await];
    assert_eq!((files(), ids()), (2, vec![first.clone(), bob_id.clone()]));

    service.inject(Fault::new(403).unwrap().on(Operation::Delete)).unwrap();
    assert_eq!(forget(&ann).await.unwrap().status(), 502);
    assert_eq!((files(), ids()), (2, vec![first.clone(), bob_id.clone()]));

    for _ in 0..2 {
        assert_eq!(forget(&ann).await.unwrap().status(), 204);
        assert_eq!((files(), ids()), (1, vec![bob_id.clone()]));
    }
    assert_ne!(id_of(request(&ann).await.unwrap()).await, first);
    assert_eq!(id_of(request(&bob).await.unwrap()).await, bob_id);
}

#[tokio::test]
async fn a_configured_resource_is_used_instead_of_the_embedded_one() {
    let setting = "endpoint=https://contoso.communication.azure.com/;accesskey=aHVzaA==";
    let mut stack = TestStack::with(&FREE_PORTS, &[("AzureCommunicationServicesConnectionString", setting)]);
    assert_eq!(stack.printed("identities").unwrap(), "as configured");
    assert!(!stack.stop().contains("aHVzaA"));
}

#[tokio::test]
async fn case_45_without_the_option_get_is_404() {
    let stack = TestStack::start();
    assert_eq!(stack.get(PATH).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn case_45_with_the_option_every_get_is_a_new_identity() {
    let stack = with_anonymous_tokens();
    let ids = [stack.get(PATH).send().await.unwrap(), stack.get(PATH).send().await.unwrap()];
    let [first, second] = ids.map(id_of);
    assert_ne!(first.await, second.await);
    // Other methods are unchanged.
    let anonymous = stack.post(PATH).send().await.unwrap();
    assert_eq!(api_error(anonymous).await, (401, "unauthenticated".to_owned()));
    let ann = stack.sign_in("ann").await;
    let request = || async { id_of(stack.post_as(Some(&ann), PATH).send().await.unwrap()).await };
    assert_eq!(request().await, request().await);
}

#[tokio::test]
async fn case_45_with_the_option_it_listens_on_loopback_only() {
    let stack = with_anonymous_tokens();
    let api = port(&stack.api());
    // An address of this machine beside loopback, if there is one.
    let other = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    if let Ok(address) = other.map(|address| SocketAddr::new(address.ip(), api))
        && !address.ip().is_loopback()
    {
        assert!(TcpStream::connect(address).is_err(), "{address} answers");
    }
    let renamed = stack.get(PATH).header("host", "chat.example").send().await.unwrap();
    assert!(renamed.status().is_client_error());
}
