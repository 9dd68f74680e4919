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

use crate::test_project::{KEY, Project, Report, SIGNALR, problem_tests};
use crate::test_servers::{Change, at, block_on, changed, is_preflight, response, serve, signalr_service};

/// Runs the doctor with `router` as the service of a project that is set up.
fn with(router: Router, arguments: &[&str]) -> Report {
    Project::set_up(serve(router)).run_with(arguments, &[])
}

fn with_change(change: impl Change) -> Report {
    with(changed(signalr_service(), change), &[])
}

/// Runs the doctor for a page with these headers in preflight responses of the service.
fn with_cors(headers: &'static [(&'static str, &'static str)]) -> Report {
    let change = move |request: &Request| is_preflight(request).then(|| response(204, headers, ""));
    with(changed(signalr_service(), change), &["--page", "https://chat.invalid"])
}

/// Runs the doctor with a connection string and other variables.
fn with_connection(connection: &str, variables: &[(&str, &str)]) -> Report {
    Project::cloned().run_with(&[], &[&[(SIGNALR, connection)], variables].concat())
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

problem_tests! { finds_only:
    a_service_that_is_not_running_is_reported = Project::set_up(1).run()
        => "service", "connection refused: no process listens there", "emulator --port 1";
    a_key_of_another_service_is_reported =
        with_connection(&format!("Endpoint=http://127.0.0.1:{};AccessKey=another;", serve(signalr_service())), &[])
        => "key", "rejects the key (401)", "connection string";
    a_server_that_is_not_a_signalr_service_is_reported = with(Router::new(), &[])
        => "service", "not a SignalR service", "emulator";
    an_unhealthy_service_is_reported = with_change(at("/api/health", || response(503, &[], "")))
        => "service", "answers 503", "wait";
    a_clock_that_is_far_off_is_reported =
        with_change(at("/api/health", || response(200, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], "")))
        => "clock", "minutes ahead", "timedatectl";
    a_service_in_mode_default_is_reported = with_change(default_mode)
        => "mode", "is Default", "--service-mode Serverless";
    a_service_that_rejects_clients_is_reported = with_change(at("/client/negotiate", || response(404, &[], "")))
        => "mode", "status 404", "--service-mode Serverless";
}

problem_tests! { finds:
    a_service_whose_cors_lacks_the_page_is_reported = with_cors(&[])
        => "service CORS", "does not allow https://chat.invalid", "az signalr cors update";
    a_service_whose_cors_lists_the_page_with_a_slash_is_reported =
        with_cors(&[("access-control-allow-origin", "https://chat.invalid/"), ("access-control-allow-headers", "*")])
        => "service CORS", "slash", "--allowed-origins \"https://chat.invalid\"";
}

#[test]
fn a_service_without_problems_passes() {
    let report = with(signalr_service(), &[]);
    report.passes();
    for subject in ["service", "clock", "key", "mode"] {
        report.is_ok(subject, "");
    }
    report.skips("service CORS", "--page");
}

#[test]
fn an_unknown_host_name_is_reported() {
    let report = with_connection("Endpoint=https://chat.invalid;AccessKey=hush;", &[]);
    report.finds_only("service", "cannot be reached", "az signalr show --name $signalr");
    assert!(report.out.contains("docs/deploy.md"), "{}", report.out);
}

#[test]
fn an_untrusted_certificate_is_reported_unless_the_settings_trust_it() {
    let (port, authority) = block_on(tls::terminate(serve(signalr_service())));
    let connection = format!("Endpoint=https://localhost:{port};AccessKey={KEY};");
    let roots = "AzureSignalRConnectionString__rootCertificates";
    with_connection(&connection, &[]).finds_only("service", "certificate is not trusted", roots);
    let with_root = with_connection(&connection, &[(roots, &authority)]);
    with_root.passes();
    with_root.is_ok("mode", "clients can connect");
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
