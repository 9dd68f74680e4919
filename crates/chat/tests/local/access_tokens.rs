//! Access tokens on this machine: the service stands in for itself, identities are kept in a folder, and the tutorial's way is there for whoever
//! asks for it by name.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use azure_communication_emulator::{Emulator, Fault, Operation, Options};
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::test_stack::{ANYWHERE, Stack, port};
use test_support::http::api_error as refusal;

const PATH: &str = "/api/access-token";
const TUTORIAL: &str = "--anonymous-tokens";

fn as_in_the_tutorial() -> Stack {
    let arguments: Vec<_> = ANYWHERE.into_iter().chain([TUTORIAL]).collect();
    Stack::with(&arguments, &[])
}

async fn id_of(response: Response) -> String {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body: Value = response.json().await.unwrap();
    assert!(body["token"].as_str().unwrap().split('.').count() == 3 && body["expiresOn"].is_string());
    body["user"]["communicationUserId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_signs_in_gets_tokens_for_an_identity_that_stays() {
    let stack = Stack::start();
    let [ann, bob] = [stack.sign_in("ann").await, stack.sign_in("bob").await];
    let ask = |who: &str| stack.post_as(Some(who), PATH).send();
    let first = id_of(ask(&ann).await.unwrap()).await;
    assert_eq!(id_of(ask(&ann).await.unwrap()).await, first);
    assert_ne!(id_of(ask(&bob).await.unwrap()).await, first);
    let again = stack.sign_in("ann").await;
    assert_eq!(id_of(ask(&again).await.unwrap()).await, first);
    let ended = stack.request(Method::DELETE, PATH).header("x-zumo-auth", &ann).send().await.unwrap();
    assert_eq!(ended.status(), 204);
    let nobody = stack.post(PATH).send().await.unwrap();
    assert_eq!(refusal(nobody).await, (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn the_connection_string_that_is_printed_is_one_that_works() {
    let stack = Stack::start();
    let text = stack.told("identities").unwrap();
    let client = azure_communication::Client::new(&text.parse().unwrap()).unwrap();
    client.create_user(jiff::Timestamp::now()).await.unwrap();
    assert!(!stack.process.out.text().replace(&text, "").contains(text.split("accesskey=").nth(1).unwrap()));
}

#[tokio::test]
async fn case_41_whoever_is_forgotten_is_gone_from_the_store_before_the_service() {
    let service = Emulator::new(Options::default());
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", socket.local_addr().unwrap());
    tokio::spawn(axum::serve(socket, service.router()).into_future());
    let setting = service.connection_string(&address);
    let stack = Stack::with(&ANYWHERE, &[("AzureCommunicationServicesConnectionString", &setting)]);
    let files = || fs::read_dir(stack.path(".chat/identities").join(&address[7..])).unwrap().count();
    let forget = |who: &str| {
        stack.request(Method::DELETE, "/API/Access-Token?forget=true").header("x-zumo-auth", who).send()
    };
    let ids = || service.identities().into_iter().map(|identity| identity.id).collect::<Vec<_>>();
    let [ann, bob] = [stack.sign_in("ann").await, stack.sign_in("bob").await];
    let ask = |who: &str| stack.post_as(Some(who), PATH).send();
    let [first, bobs] = [id_of(ask(&ann).await.unwrap()).await, id_of(ask(&bob).await.unwrap()).await];
    assert_eq!((files(), ids()), (2, vec![first.clone(), bobs.clone()]));

    service.inject(Fault::new(403).unwrap().on(Operation::Delete)).unwrap();
    assert_eq!(forget(&ann).await.unwrap().status(), 502);
    assert_eq!((files(), ids()), (1, vec![first.clone(), bobs.clone()]));

    let second = id_of(ask(&ann).await.unwrap()).await;
    assert_ne!(second, first);
    for _ in 0..2 {
        assert_eq!(forget(&ann).await.unwrap().status(), 204);
        assert_eq!((files(), ids()), (1, vec![first.clone(), bobs.clone()]));
    }
    assert_eq!(id_of(ask(&bob).await.unwrap()).await, bobs);
}

#[tokio::test]
async fn where_a_resource_is_configured_none_is_embedded() {
    let setting = "endpoint=https://contoso.communication.azure.com/;accesskey=aHVzaA==";
    let stack = Stack::with(&ANYWHERE, &[("AzureCommunicationServicesConnectionString", setting)]);
    assert_eq!(stack.told("identities").unwrap(), "as configured");
    assert!(!stack.process.out.text().contains("aHVzaA"));
}

#[tokio::test]
async fn case_45_without_being_asked_for_there_is_no_token_for_nobody() {
    let stack = Stack::start();
    assert_eq!(stack.get(PATH).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn case_45_as_in_the_tutorial_whoever_asks_is_somebody_new_each_time() {
    let stack = as_in_the_tutorial();
    let ids = [stack.get(PATH).send().await.unwrap(), stack.get(PATH).send().await.unwrap()];
    let [first, second] = ids.map(id_of);
    assert_ne!(first.await, second.await);
    // The rest is as it always is.
    let nobody = stack.post(PATH).send().await.unwrap();
    assert_eq!(refusal(nobody).await, (401, "unauthenticated".to_owned()));
    let ann = stack.sign_in("ann").await;
    let ask = || async { id_of(stack.post_as(Some(&ann), PATH).send().await.unwrap()).await };
    assert_eq!(ask().await, ask().await);
}

#[tokio::test]
async fn case_45_as_in_the_tutorial_is_for_this_machine_alone() {
    let stack = as_in_the_tutorial();
    let api = port(&stack.api());
    // Another address of this machine than the loopback ones, if it has any.
    let elsewhere = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    if let Ok(address) = elsewhere.map(|address| SocketAddr::new(address.ip(), api))
        && !address.ip().is_loopback()
    {
        assert!(TcpStream::connect(address).is_err(), "{address} answers");
    }
    let renamed = stack.get(PATH).header("host", "chat.example").send().await.unwrap();
    assert!(renamed.status().is_client_error());
}
