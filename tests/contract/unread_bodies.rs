//! Tests that a response reaches a client that sends its whole body first, as the Functions host does: otherwise the host answers an
//! empty 500 in its place.

use test_support::raw_http::{Form, RawConnection};

use crate::test_app::TestApp;

const JSON: &str = "Content-Type: application/json\r\n";

/// Guests may send any number of messages.
const GUESTS: [(&str, &str); 2] = [("ChatAllowAnonymous", "true"), ("ChatMessageRate", "0")];

#[tokio::test]
async fn every_response_reaches_a_client_that_sends_its_whole_body_first() {
    let guests = TestApp::with_signalr(1, &GUESTS);
    let members_only = TestApp::with_signalr(1, &[("ChatAllowAnonymous", "false")]);
    let unconfigured = TestApp::with_settings(&[("ChatAllowAnonymous", "perhaps")]);
    let signed_out = "Authorization: Bearer x\r\nContent-Type: application/json\r\n";
    for (app, request, headers, form, size, status) in [
        (&guests, "POST /api/negotiate", "", Form::Length, 0, 200),
        (&guests, "POST /api/negotiate", "", Form::Length, 3_000_000, 200),
        (&guests, "POST /api/negotiate", "", Form::Chunked, 200_000, 200),
        (&guests, "POST /api/messages", JSON, Form::Length, 0, 400),
        (&guests, "POST /api/messages", JSON, Form::Length, 64 * 1_024, 400),
        (&guests, "POST /api/messages", JSON, Form::Length, 64 * 1_024 + 1, 413),
        (&guests, "POST /api/messages", JSON, Form::Length, 3_000_000, 413),
        (&guests, "POST /api/messages", JSON, Form::Chunked, 3_000_000, 413),
        (&guests, "POST /api/messages", JSON, Form::Expected, 3_000_000, 413),
        (&guests, "POST /api/messages", "", Form::Length, 3_000_000, 415),
        (&guests, "PUT /api/messages", JSON, Form::Length, 3_000_000, 405),
        (&guests, "POST /api/nowhere", JSON, Form::Length, 200_000, 404),
        (&guests, "POST /api/nowhere", JSON, Form::Chunked, 3_000_000, 404),
        (&guests, "POST /api/%zz", JSON, Form::Length, 3_000_000, 400),
        (&guests, "POST /SendMessage", JSON, Form::Length, 3_000_000, 500),
        (&guests, "POST /api/access-token", JSON, Form::Length, 3_000_000, 404),
        (&members_only, "POST /api/negotiate", "", Form::Length, 3_000_000, 401),
        (&members_only, "POST /api/messages", JSON, Form::Length, 64 * 1_024, 401),
        (&members_only, "POST /api/messages", JSON, Form::Length, 200_000, 401),
        (&members_only, "POST /api/messages", JSON, Form::Expected, 200_000, 401),
        (&members_only, "POST /api/messages", signed_out, Form::Length, 8_000_000, 401),
        (&unconfigured, "POST /api/messages", JSON, Form::Length, 200_000, 503),
        (&unconfigured, "POST /api/messages", JSON, Form::Chunked, 3_000_000, 503),
    ] {
        let (method, path) = request.split_once(' ').unwrap();
        let mut connection = RawConnection::open(("127.0.0.1", app.port)).await;
        connection.send(form.request(method, path, headers, size)).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.closes()), (status, false), "{request} {form:?} {size}");
        assert_eq!(connection.get("/").await.status, 200, "after {request} {form:?} {size}");
    }
}

#[tokio::test]
async fn beyond_8_mib_or_5_seconds_the_response_comes_all_the_same() {
    let members_only = TestApp::with_signalr(1, &[("ChatAllowAnonymous", "false")]);
    let unconfigured = TestApp::with_settings(&[]);
    for (app, form, size, status) in [
        (&members_only, Form::Length, 12_000_000, 401),
        (&members_only, Form::Chunked, 12_000_000, 401),
        (&unconfigured, Form::Expected, 12_000_000, 503),
        (&members_only, Form::Incomplete, 200_000, 401),
    ] {
        let mut connection = RawConnection::open(("127.0.0.1", app.port)).await;
        connection.send(form.request("POST", "/api/messages", JSON, size)).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.closes()), (status, true), "{form:?} {size}");
        assert_eq!(connection.closed().await, "", "{form:?} {size}");
    }
}
