//! Tests of `chat doctor` with problems of the SignalR service and the connection to it.

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

use crate::test_project::{KEY, Project, Report};
use crate::test_servers::{Change, changed, response, serve, signalr_service};

/// Runs the doctor with `router` as the service of a project that is set up.
async fn with(router: Router, arguments: &'static [&'static str]) -> Report {
    let port = serve(router).await;
    tokio::task::spawn_blocking(move || Project::set_up(port).run_with(arguments, &[])).await.unwrap()
}

async fn with_change(change: Change) -> Report {
    with(changed(signalr_service().await, change), &[]).await
}

#[tokio::test]
async fn a_service_without_problems_passes() {
    let report = with(signalr_service().await, &[]).await;
    report.passes();
    for subject in ["service", "clock", "key", "mode"] {
        report.is_ok(subject, "");
    }
    report.skips("service CORS", "--page");
}

#[test]
fn a_service_that_is_not_running_is_reported() {
    Project::set_up(1).run().finds_only("service", "connection refused: no process listens there", "emulator --port 1");
}

#[test]
fn an_unknown_host_name_is_reported() {
    let connection = ("AzureSignalRConnectionString", "Endpoint=https://chat.invalid;AccessKey=hush;");
    let report = Project::cloned().run_with(&[], &[connection]);
    report.finds_only("service", "cannot be reached", "az signalr show --name $signalr");
    assert!(report.out.contains("docs/deploy.md"), "{}", report.out);
}

#[tokio::test]
async fn an_untrusted_certificate_is_reported_unless_the_settings_trust_it() {
    let (port, authority) = tls::terminate(serve(signalr_service().await).await).await;
    let connection = format!("Endpoint=https://localhost:{port};AccessKey={KEY};");
    let reports = move || {
        let connection = ("AzureSignalRConnectionString", connection.as_str());
        let without_root = Project::cloned().run_with(&[], &[connection]);
        let roots = ("AzureSignalRConnectionString__rootCertificates", authority.as_str());
        (without_root, Project::cloned().run_with(&[], &[connection, roots]))
    };
    let (without_root, with_root) = tokio::task::spawn_blocking(reports).await.unwrap();
    without_root.finds_only("service", "certificate is not trusted", "AzureSignalRConnectionString__rootCertificates");
    with_root.passes();
    with_root.is_ok("mode", "clients can connect");
}

#[tokio::test]
async fn a_key_of_another_service_is_reported() {
    let port = serve(signalr_service().await).await;
    let connection = format!("Endpoint=http://127.0.0.1:{port};AccessKey=another;");
    let reports = move || Project::cloned().run_with(&[], &[("AzureSignalRConnectionString", &connection)]);
    let report = tokio::task::spawn_blocking(reports).await.unwrap();
    report.finds_only("key", "rejects the key (401)", "connection string");
}

#[tokio::test]
async fn a_server_that_is_not_a_signalr_service_is_reported() {
    with(Router::new(), &[]).await.finds_only("service", "not a SignalR service", "emulator");
}

#[tokio::test]
async fn an_unhealthy_service_is_reported() {
    let report = with_change(|request| (request.uri().path() == "/api/health").then(|| response(503, &[], ""))).await;
    report.finds_only("service", "answers 503", "wait");
}

#[tokio::test]
async fn a_clock_that_is_far_off_is_reported() {
    let report = with_change(|request| {
        (request.uri().path() == "/api/health").then(|| response(200, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], ""))
    })
    .await;
    report.finds_only("clock", "minutes ahead", "timedatectl");
}

/// Accepts the WebSocket and answers the handshake as a service in mode *Default*.
fn default_mode(request: &Request) -> Option<Response> {
    let key = request.headers().get("sec-websocket-key")?;
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = request.extensions().get::<hyper::upgrade::OnUpgrade>()?.clone();
    tokio::spawn(async move {
        let stream = TokioIo::new(upgrade.await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("{\"protocol\":\"json\",\"version\":1}\u{1e}"));
        let error = "{\"error\":\"SignalR Service is now in 'Default' service mode. However app servers are not connected.\"}\u{1e}";
        socket.send(Message::text(error)).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
    let headers = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accept.as_str())];
    Some(response(101, &headers, ""))
}

#[tokio::test]
async fn a_service_in_mode_default_is_reported() {
    with_change(default_mode).await.finds_only("mode", "is Default", "--service-mode Serverless");
}

#[tokio::test]
async fn a_service_that_rejects_clients_is_reported() {
    let report =
        with_change(|request| (request.uri().path() == "/client/negotiate").then(|| response(404, &[], ""))).await;
    report.finds_only("mode", "status 404", "--service-mode Serverless");
}

#[tokio::test]
async fn a_service_whose_cors_lacks_the_page_is_reported() {
    let change: Change = |request| (request.method() == "OPTIONS").then(|| response(204, &[], ""));
    let router = changed(signalr_service().await, change);
    let report = with(router, &["--page", "https://chat.invalid"]).await;
    report.finds("service CORS", "does not allow https://chat.invalid", "az signalr cors update");
}

#[tokio::test]
async fn a_service_whose_cors_lists_the_page_with_a_slash_is_reported() {
    let change: Change = |request| {
        let headers = [("access-control-allow-origin", "https://chat.invalid/"), ("access-control-allow-headers", "*")];
        (request.method() == "OPTIONS").then(|| response(204, &headers, ""))
    };
    let report = with(changed(signalr_service().await, change), &["--page", "https://chat.invalid"]).await;
    report.finds("service CORS", "slash", "--allowed-origins \"https://chat.invalid\"");
}

#[test]
fn a_managed_identity_is_not_used_outside_of_azure() {
    let variables = [
        ("AzureSignalRConnectionString__serviceUri", "https://chat.invalid"),
        ("AzureSignalRConnectionString__credential", "managedidentity"),
    ];
    let report = Project::cloned().run_with(&[], &variables);
    report.finds_only("service", "cannot be reached", "az signalr show");
    report.is_ok("AzureSignalRConnectionString__serviceUri", "from the environment");
}
