//! Who is let in, and whether there is anything to be let into.

use std::net::Ipv4Addr;

use azure_signalr_emulator::Emulator;
use reqwest::{Method, header};
use serde_json::json;
use tokio::net::TcpListener;

use crate::panel::{options, service};
use crate::support::TestService;

#[tokio::test]
async fn without_the_option_there_is_nothing() {
    let service = TestService::start().await;
    for path in ["/emulator/", "/emulator/connections", "/emulator/faults"] {
        assert_eq!(service.request(Method::GET, path).send().await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(
        service.request(Method::POST, "/emulator/restart").json(&json!({})).send().await.unwrap().status(),
        404
    );
}

#[tokio::test]
async fn the_manual_is_at_the_root_and_what_is_unknown_points_there() {
    let service = service().await;
    let manual = service.request(Method::GET, "/emulator/").send().await.unwrap().text().await.unwrap();
    for call in ["/emulator/faults", "/emulator/restart", "/emulator/connections/freeze", "/emulator/frames"]
    {
        assert!(manual.contains(call), "{call}");
    }
    let unknown = service.request(Method::GET, "/emulator/what").send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    assert!(unknown.text().await.unwrap().contains("GET /emulator/"));
}

#[tokio::test]
async fn pages_of_other_origins_names_from_elsewhere_and_forms_stay_out() {
    let service = service().await;
    let get = || service.request(Method::GET, "/emulator/connections");
    let page = get().header(header::ORIGIN, "https://page.example").send().await.unwrap();
    assert_eq!(page.status(), 403);
    assert_eq!(page.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN), None);
    let rebound = get().header(header::HOST, "page.example").send().await.unwrap();
    assert_eq!(rebound.status(), 421);
    let form = service.request(Method::POST, "/emulator/restart").body("{}");
    let form = form.header(header::CONTENT_TYPE, "text/plain").send().await.unwrap();
    assert_eq!(form.status(), 415);
    assert_eq!(get().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_server_that_tells_who_calls_is_believed() {
    let emulator = Emulator::new(options());
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = tokio::spawn(async move { emulator.serve(vec![socket], std::future::pending()).await });
    let url = format!("http://{address}/emulator/hubs");
    assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
    server.abort();
}
