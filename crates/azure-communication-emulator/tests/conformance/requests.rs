//! Versions, paths, methods, bodies and headers: what is the same for all operations.

use crate::signer::{KEY, USUAL};
use crate::support::{House, IDENTITIES};

#[tokio::test]
async fn case_27_a_version_is_required_and_has_to_be_known() {
    let house = House::start().await;
    for (query, code) in [
        ("", "ApiVersionUnspecified"),
        ("?x=1", "ApiVersionUnspecified"),
        ("?api-version=2023-10-01&api-version=2025-06-30", "AmbiguousApiVersion"),
        ("?api-version=2020-01-01", "UnsupportedApiVersion"),
    ] {
        let answer = house.call("POST", &format!("/identities{query}"), "").await;
        assert_eq!(answer.error(), (400, code.to_owned()), "{query}");
    }
    let answer = house.call("POST", "/identities?api-version=2020-01-01", "").await;
    assert_eq!(
        answer.message(),
        "The HTTP resource that matches the request URI '/identities?api-version=2020-01-01' does not support the API version '2020-01-01'."
    );
    assert!(house.emulator.identities().is_empty());
    for version in ["2021-03-07", "2022-06-01", "2022-10-01", "2023-10-01", "2025-06-30"] {
        let answer = house.call("POST", &format!("/identities?api-version={version}"), "").await;
        assert_eq!(answer.status, 201, "{version}");
        assert!(answer.header("api-supported-versions").unwrap().split(", ").any(|known| known == version));
    }
}

#[tokio::test]
async fn an_older_version_has_less() {
    let house = House::start().await;
    let exchange = house.call("POST", "/teamsUser/:exchangeAccessToken?api-version=2021-03-07", "{}").await;
    assert_eq!(exchange.error(), (400, "UnsupportedApiVersion".to_owned()));
    let narrow = r#"{"createTokenWithScopes":["chat.join"]}"#;
    let answer = house.call("POST", "/identities?api-version=2022-10-01", narrow).await;
    assert_eq!(answer.error(), (400, "ValidationError".to_owned()));
}

#[tokio::test]
async fn case_28_what_is_no_json_object_is_400_and_unknown_fields_are_ignored() {
    let house = House::start().await;
    for body in ["{", "chat", "[\"chat\"]", "null", "\"chat\"", "{}{}", "{\"scopes\":[\"chat\"],}"] {
        let answer = house.call("POST", IDENTITIES, body).await;
        assert_eq!(answer.error(), (400, "ValidationError".to_owned()), "{body}");
    }
    assert!(house.emulator.identities().is_empty());
    let answer = house.call("POST", IDENTITIES, r#"{"scopes":["video"],"customId":"x","a":{"b":[1]}}"#).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405_with_the_right_one() {
    let house = House::start().await;
    let id = house.create().await;
    for path in ["/", "/identities/", "/users", "/identities/x/:suspend", "/teamsUser"] {
        let answer = house.call("POST", &format!("{path}?api-version=2023-10-01"), "").await;
        assert_eq!(answer.error(), (404, "NotFound".to_owned()), "{path}");
    }
    for (method, path, allow) in [
        ("GET", "/identities", "POST"),
        ("GET", &format!("/identities/{id}"), "DELETE"),
        ("DELETE", &format!("/identities/{id}/:issueAccessToken"), "POST"),
        ("PUT", "/teamsUser/:exchangeAccessToken", "POST"),
    ] {
        let answer = house.call(method, &format!("{path}?api-version=2023-10-01"), "").await;
        assert_eq!(answer.error(), (405, "MethodNotAllowed".to_owned()), "{path}");
        assert_eq!(answer.header("allow"), Some(allow));
    }
    let extension = "/access/teamsExtension/:exchangeAccessToken?api-version=2025-06-30";
    assert_eq!(house.call("POST", extension, "{}").await.error(), (501, "NotEmulated".to_owned()));
}

#[tokio::test]
async fn nobody_learns_anything_before_the_signature_is_right() {
    let house = House::start().await;
    for target in ["/nowhere", "/identities", "/identities/8:acs:x/:issueAccessToken?api-version=1"] {
        for method in ["GET", "POST"] {
            assert_eq!(house.send(house.draft(method, target, "{")).await.status, 401, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_hashed_as_a_whole() {
    let house = House::start().await;
    let draft = house.draft("POST", IDENTITIES, r#"{"createTokenWithScopes":["chat"]}"#).signed(KEY, &USUAL);
    let answer = house.send_bytes(&draft.into_chunks()).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(answer.json()["accessToken"]["token"].is_string());
}

#[tokio::test]
async fn a_body_may_have_64_kib_and_no_more() {
    let house = House::start().await;
    let largest = format!("{{{}}}", " ".repeat((64 << 10) - 2));
    assert_eq!(house.call("POST", IDENTITIES, &largest).await.status, 201);
    let answer = house.call("POST", IDENTITIES, &format!("{largest} ")).await;
    assert_eq!(answer.error(), (413, "PayloadTooLarge".to_owned()));
    let calls = house.emulator.calls();
    assert_eq!((calls.received, calls.refused, calls.create), (2, 1, 1));
}

#[tokio::test]
async fn a_delete_needs_no_length() {
    let house = House::start().await;
    let id = house.create().await;
    let target = format!("/identities/{id}?api-version=2023-10-01");
    let bytes = house.draft("DELETE", &target, "").signed(KEY, &USUAL).into_bytes();
    let bytes = String::from_utf8(bytes).unwrap().replace("content-length: 0\r\n", "");
    assert_eq!(house.send_bytes(bytes.as_bytes()).await.status, 204);
}

#[tokio::test]
async fn every_answer_can_be_told_from_every_other() {
    let house = House::start().await;
    let draft = house.draft("POST", IDENTITIES, "").header("x-ms-client-request-id", "my-request");
    let answers = [house.send(draft.clone().signed(KEY, &USUAL)).await, house.send(draft).await];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [201, 401]);
    let vectors = answers.each_ref().map(|answer| answer.header("ms-cv").unwrap().to_owned());
    assert_ne!(vectors[0], vectors[1]);
    for answer in answers {
        assert_eq!(answer.header("x-ms-client-request-id"), Some("my-request"));
        assert!(answer.header("date").is_some() && answer.header("api-supported-versions").is_some());
    }
    assert_eq!(house.call("POST", IDENTITIES, "").await.header("x-ms-client-request-id"), None);
}
