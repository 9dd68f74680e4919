//! Tests of what all operations share: hosts, versions, paths, methods, bodies and headers.

use std::net::Ipv4Addr;

use azure_communication_emulator::{Emulator, Options};
use tokio::net::{TcpListener, TcpStream};

use crate::test_support::{IDENTITIES, KEY, TestService, options};

#[tokio::test]
async fn case_27_a_supported_version_is_required() {
    let service = TestService::start().await;
    for (query, code) in [
        ("", "ApiVersionUnspecified"),
        ("?x=1", "ApiVersionUnspecified"),
        ("?api-version=2023-10-01&api-version=2025-06-30", "AmbiguousApiVersion"),
        ("?api-version=2020-01-01", "UnsupportedApiVersion"),
    ] {
        let response = service.call("POST", &format!("/identities{query}"), "").await;
        assert_eq!(response.error(), (400, code.to_owned()), "{query}");
    }
    let response = service.call("POST", "/identities?api-version=2020-01-01", "").await;
    assert_eq!(
        response.message(),
        "The HTTP resource that matches the request URI '/identities?api-version=2020-01-01' does not support the API version '2020-01-01'."
    );
    assert!(service.emulator.identities().is_empty());
    for version in ["2021-03-07", "2022-06-01", "2022-10-01", "2023-10-01", "2025-06-30"] {
        let response = service.call("POST", &format!("/identities?api-version={version}"), "").await;
        assert_eq!(response.status, 201, "{version}");
        assert!(response.header("api-supported-versions").unwrap().split(", ").any(|supported| supported == version));
    }
}

#[tokio::test]
async fn an_older_version_has_fewer_features() {
    let service = TestService::start().await;
    let exchange = service.call("POST", "/teamsUser/:exchangeAccessToken?api-version=2021-03-07", "{}").await;
    assert_eq!(exchange.error(), (400, "UnsupportedApiVersion".to_owned()));
    let narrow = r#"{"createTokenWithScopes":["chat.join"]}"#;
    let response = service.call("POST", "/identities?api-version=2022-10-01", narrow).await;
    assert_eq!(response.error(), (400, "ValidationError".to_owned()));
}

#[tokio::test]
async fn case_28_a_body_that_is_not_a_json_object_is_400_and_unknown_fields_are_ignored() {
    let service = TestService::start().await;
    for body in ["{", "chat", "[\"chat\"]", "null", "\"chat\"", "{}{}", "{\"scopes\":[\"chat\"],}"] {
        let response = service.call("POST", IDENTITIES, body).await;
        assert_eq!(response.error(), (400, "ValidationError".to_owned()), "{body}");
    }
    assert!(service.emulator.identities().is_empty());
    let response = service.call("POST", IDENTITIES, r#"{"scopes":["video"],"customId":"x","a":{"b":[1]}}"#).await;
    assert_eq!(response.status, 201);
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405_with_allow() {
    let (service, id) = TestService::with_identity().await;
    for path in ["/", "/identities/", "/users", "/identities/x/:suspend", "/teamsUser"] {
        let response = service.call("POST", &format!("{path}?api-version=2023-10-01"), "").await;
        assert_eq!(response.error(), (404, "NotFound".to_owned()), "{path}");
    }
    for (method, path, allow) in [
        ("GET", "/identities", "POST"),
        ("GET", &format!("/identities/{id}"), "DELETE"),
        ("DELETE", &format!("/identities/{id}/:issueAccessToken"), "POST"),
        ("PUT", "/teamsUser/:exchangeAccessToken", "POST"),
    ] {
        let response = service.call(method, &format!("{path}?api-version=2023-10-01"), "").await;
        assert_eq!(response.error(), (405, "MethodNotAllowed".to_owned()), "{path}");
        assert_eq!(response.header("allow"), Some(allow));
    }
    let extension = "/access/teamsExtension/:exchangeAccessToken?api-version=2025-06-30";
    assert_eq!(service.call("POST", extension, "{}").await.error(), (501, "NotEmulated".to_owned()));
}

#[tokio::test]
async fn every_request_without_a_signature_is_401() {
    let service = TestService::start().await;
    for target in ["/nowhere", "/identities", "/identities/8:acs:x/:issueAccessToken?api-version=1"] {
        for method in ["GET", "POST"] {
            assert_eq!(service.send(service.request(method, target, "{")).await.status, 401, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_hashed_as_a_whole() {
    let service = TestService::start().await;
    let request = service.request("POST", IDENTITIES, r#"{"createTokenWithScopes":["chat"]}"#).signed_with(KEY);
    let response = service.send_bytes(&request.into_chunks()).await;
    assert_eq!(response.status, 201, "{}", response.body);
    assert!(response.json()["accessToken"]["token"].is_string());
}

#[tokio::test]
async fn a_body_has_at_most_64_kib() {
    let service = TestService::start().await;
    let largest = format!("{{{}}}", " ".repeat((64 << 10) - 2));
    assert_eq!(service.call("POST", IDENTITIES, &largest).await.status, 201);
    let response = service.call("POST", IDENTITIES, &format!("{largest} ")).await;
    assert_eq!(response.error(), (413, "PayloadTooLarge".to_owned()));
    let calls = service.emulator.calls();
    assert_eq!((calls.received, calls.refused, calls.create), (2, 1, 1));
}

#[tokio::test]
async fn a_delete_needs_no_content_length() {
    let (service, id) = TestService::with_identity().await;
    let target = format!("/identities/{id}?api-version=2023-10-01");
    let bytes = service.request("DELETE", &target, "").signed_with(KEY).into_bytes();
    let bytes = String::from_utf8(bytes).unwrap().replace("content-length: 0\r\n", "");
    assert_eq!(service.send_bytes(bytes.as_bytes()).await.status, 204);
}

#[tokio::test]
async fn every_response_has_its_own_correlation_vector() {
    let service = TestService::start().await;
    let request = service.request("POST", IDENTITIES, "").header("x-ms-client-request-id", "my-request");
    let responses = [service.send(request.clone().signed_with(KEY)).await, service.send(request).await];
    assert_eq!(responses.each_ref().map(|response| response.status), [201, 401]);
    let vectors = responses.each_ref().map(|response| response.header("ms-cv").unwrap().to_owned());
    assert_ne!(vectors[0], vectors[1]);
    for response in responses {
        assert_eq!(response.header("x-ms-client-request-id"), Some("my-request"));
        assert!(response.header("date").is_some() && response.header("api-supported-versions").is_some());
    }
    assert_eq!(service.call("POST", IDENTITIES, "").await.header("x-ms-client-request-id"), None);
}

#[tokio::test]
async fn only_requests_to_a_loopback_name_or_an_allowed_host_are_accepted() {
    let allowed_hosts = vec!["emulator.example".to_owned()];
    let service = TestService::with(Options { allowed_hosts, ..options() }).await;
    let to = |host: &str| service.request("POST", IDENTITIES, "").header("host", host).signed_with(KEY);
    for host in ["localhost:1", "[::1]", "emulator.example", "Emulator.Example:80"] {
        assert_eq!(service.send(to(host)).await.status, 201, "{host}");
    }
    for host in ["evil.example", "localhost.example", "x@emulator.example", ""] {
        assert_eq!(service.send(to(host)).await.error(), (421, "HostNotAllowed".to_owned()), "{host}");
    }
    assert_eq!(service.send(to("localhost").without("host")).await.status, 421);
    assert_eq!(service.emulator.calls().received, 4);
}

#[tokio::test]
async fn a_second_host_is_rejected() {
    let service = TestService::start().await;
    let twice = service.request("POST", IDENTITIES, "").second_header("host", "evil.example");
    assert_eq!(service.send(twice).await.status, 421);
    let in_the_target = service.request("POST", "http://evil.example/identities", "");
    assert_eq!(service.send(in_the_target).await.status, 421);
}

#[tokio::test]
async fn serve_ends_at_shutdown_and_frees_all_ports() {
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        listeners.push(listener);
    }
    let emulator = Emulator::new(options());
    let connected = async {
        for address in &addresses {
            TcpStream::connect(address).await.unwrap();
        }
    };
    emulator.serve(listeners, connected).await.unwrap();
    for address in addresses {
        TcpListener::bind(address).await.unwrap();
    }
}
