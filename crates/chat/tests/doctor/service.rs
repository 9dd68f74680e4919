//! Mistakes of the service and of the way to it. What is well of it is the embedded one.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use test_support::tls;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::server::{Change, answer, changed, serve, service};
use crate::support::{KEY, Project, Report};

/// What the doctor says about `router` as the service of a project that is set up.
async fn with(router: Router, arguments: &'static [&'static str]) -> Report {
    let port = serve(router).await;
    tokio::task::spawn_blocking(move || Project::set_up(port).visit_with(arguments, &[])).await.unwrap()
}

async fn with_change(change: Change) -> Report {
    with(changed(service(), change), &[]).await
}

#[tokio::test]
async fn a_service_that_is_well_is_found_to_be_well() {
    let report = with(service(), &[]).await;
    report.is_well();
    for subject in ["service", "clock", "key", "mode"] {
        report.approves(subject, "");
    }
    report.leaves_out("service CORS", "--page");
}

#[test]
fn a_service_that_nobody_serves_is_told() {
    Project::set_up(1).visit().finds_only("service", "nobody listens there", "emulator --port 1");
}

#[test]
fn a_service_whose_name_nobody_knows_is_told() {
    let connection = ("AzureSignalRConnectionString", "Endpoint=https://chat.invalid;AccessKey=hush;");
    let report = Project::cloned().visit_with(&[], &[connection]);
    report.finds_only("service", "cannot be reached", "az signalr show --name $signalr");
    assert!(report.out.contains("docs/deploy.md"), "{}", report.out);
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_told_and_one_the_settings_vouch_for_is_well() {
    let (port, authority) = tls::terminate(serve(service()).await).await;
    let connection = format!("Endpoint=https://localhost:{port};AccessKey={KEY};");
    let visit = move || {
        let connection = ("AzureSignalRConnectionString", connection.as_str());
        let wary = Project::cloned().visit_with(&[], &[connection]);
        let roots = ("AzureSignalRConnectionString__rootCertificates", authority.as_str());
        (wary, Project::cloned().visit_with(&[], &[connection, roots]))
    };
    let (wary, trusting) = tokio::task::spawn_blocking(visit).await.unwrap();
    wary.finds_only(
        "service",
        "certificate is not to be trusted",
        "AzureSignalRConnectionString__rootCertificates",
    );
    trusting.is_well();
    trusting.approves("mode", "clients can connect");
}

#[tokio::test]
async fn a_key_of_another_service_is_told() {
    let port = serve(service()).await;
    let connection = format!("Endpoint=http://127.0.0.1:{port};AccessKey=another;");
    let visit = move || Project::cloned().visit_with(&[], &[("AzureSignalRConnectionString", &connection)]);
    let report = tokio::task::spawn_blocking(visit).await.unwrap();
    report.finds_only("key", "refuses the key (401)", "connection string");
}

#[tokio::test]
async fn a_server_that_is_no_signalr_service_is_told() {
    with(Router::new(), &[]).await.finds_only("service", "no SignalR service", "emulator");
}

#[tokio::test]
async fn a_service_that_is_not_well_itself_is_told() {
    let report =
        with_change(|request| (request.uri().path() == "/api/health").then(|| answer(503, &[], ""))).await;
    report.finds_only("service", "answers 503", "wait");
}

#[tokio::test]
async fn a_clock_that_is_far_off_is_told() {
    let report = with_change(|request| {
        (request.uri().path() == "/api/health")
            .then(|| answer(200, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], ""))
    })
    .await;
    report.finds_only("clock", "minutes ahead", "timedatectl");
}

/// Takes the WebSocket, as a service does, and answers the handshake as one in mode *Default*.
fn default_mode(request: &Request) -> Option<Response> {
    let key = request.headers().get("sec-websocket-key")?;
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = request.extensions().get::<hyper::upgrade::OnUpgrade>()?.clone();
    tokio::spawn(async move {
        let stream = TokioIo::new(upgrade.await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        assert_eq!(
            socket.next().await.unwrap().unwrap(),
            Message::text("{\"protocol\":\"json\",\"version\":1}\u{1e}")
        );
        let complaint = "{\"error\":\"SignalR Service is now in 'Default' service mode. However app servers are not connected.\"}\u{1e}";
        socket.send(Message::text(complaint)).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
    let headers =
        [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accept.as_str())];
    Some(answer(101, &headers, ""))
}

#[tokio::test]
async fn a_service_in_mode_default_is_told() {
    with_change(default_mode).await.finds_only("mode", "is Default", "--service-mode Serverless");
}

#[tokio::test]
async fn a_service_that_lets_no_clients_in_is_told() {
    let report =
        with_change(|request| (request.uri().path() == "/client/negotiate").then(|| answer(404, &[], "")))
            .await;
    report.finds_only("mode", "answered 404", "--service-mode Serverless");
}

#[tokio::test]
async fn a_service_whose_cors_lacks_the_page_is_told() {
    let change: Change = |request| (request.method() == "OPTIONS").then(|| answer(204, &[], ""));
    let router = changed(service(), change);
    let report = with(router, &["--page", "https://chat.invalid"]).await;
    report.finds("service CORS", "does not let https://chat.invalid in", "az signalr cors update");
}

#[tokio::test]
async fn a_service_whose_cors_has_the_page_with_a_slash_is_told() {
    let change: Change = |request| {
        let headers =
            [("access-control-allow-origin", "https://chat.invalid/"), ("access-control-allow-headers", "*")];
        (request.method() == "OPTIONS").then(|| answer(204, &headers, ""))
    };
    let report = with(changed(service(), change), &["--page", "https://chat.invalid"]).await;
    report.finds("service CORS", "slash", "--allowed-origins \"https://chat.invalid\"");
}

#[test]
fn a_managed_identity_is_not_asked_for_where_there_is_none() {
    let variables = [
        ("AzureSignalRConnectionString__serviceUri", "https://chat.invalid"),
        ("AzureSignalRConnectionString__credential", "managedidentity"),
    ];
    let report = Project::cloned().visit_with(&[], &variables);
    report.finds_only("service", "cannot be reached", "az signalr show");
    report.approves("AzureSignalRConnectionString__serviceUri", "from the environment");
}
