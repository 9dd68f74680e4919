//! Who is let in: everything about a signature that can be wrong, and what may differ without being wrong.

use azure_communication_emulator::{AccessKey, KeySlot, Options, TokenState};

use crate::signer::{KEY, OTHER_KEY, USUAL, content_hash};
use crate::support::{Draft, House, IDENTITIES, NOW, date, options};

const WITH_CHAT: &str = r#"{"createTokenWithScopes":["chat"]}"#;

/// A signed request to create an identity.
fn create(house: &House) -> Draft {
    house.draft("POST", IDENTITIES, WITH_CHAT).signed(KEY, &USUAL)
}

/// Sends a request that must be refused without a trace, and returns why.
async fn denied(house: &House, draft: Draft) -> String {
    let answer = house.send(draft).await;
    assert_eq!(answer.error(), (401, "Denied".to_owned()), "{}", answer.body);
    assert!(answer.header("www-authenticate").is_some());
    assert!(house.emulator.identities().is_empty());
    assert!(!answer.body.contains(KEY) && !answer.body.contains(OTHER_KEY), "{}", answer.body);
    answer.message()
}

#[tokio::test]
async fn case_7_a_request_without_a_signature_is_401_and_changes_nothing() {
    let house = House::start().await;
    let unsigned = house.draft("POST", IDENTITIES, WITH_CHAT);
    assert!(denied(&house, unsigned.clone()).await.contains("rule `headers`"));
    for other in ["Bearer x", "SharedKey a:b", "HMAC-SHA256", "HMAC-SHA256 x", ""] {
        denied(&house, unsigned.clone().header("authorization", other)).await;
    }
    let calls = house.emulator.calls();
    assert_eq!((calls.received, calls.refused, calls.create), (6, 6, 0));
}

#[tokio::test]
async fn case_8_a_wrong_key_is_401_and_the_answer_says_what_to_sign() {
    let house = House::start().await;
    let draft = house.draft("POST", IDENTITIES, WITH_CHAT).signed(OTHER_KEY, &USUAL);
    assert!(denied(&house, draft.clone()).await.contains("rule `signature`"));
    let told = house.send(draft).await.json()["error"]["details"][0]["message"].as_str().unwrap().to_owned();
    assert!(
        told.contains(r"POST\n/identities?api-version=2023-10-01\nWed, 18 Oct 2023 15:34:16 GMT;127"),
        "{told}"
    );
}

#[tokio::test]
async fn case_9_a_body_that_was_changed_is_401_in_the_services_words() {
    let house = House::start().await;
    let mut draft = create(&house);
    draft.body = WITH_CHAT.replace("chat", "voip");
    let words = denied(&house, draft).await;
    assert_eq!(words, "Request 'x-ms-content-sha256' differs from generated content hash.");
    let hash = content_hash(WITH_CHAT.replace("chat", "voip").as_bytes());
    let mut with_its_hash = create(&house).header("x-ms-content-sha256", &hash);
    with_its_hash.body = WITH_CHAT.replace("chat", "voip");
    assert!(denied(&house, with_its_hash).await.contains("rule `signature`"));
}

#[tokio::test]
async fn case_10_a_target_or_method_that_was_changed_is_401() {
    let house = House::start().await;
    for target in [
        "/identities?api-version=2025-06-30",
        "/identities?api-version=2023-10-01&x=1",
        "/identities?api-version=2023-10-0%31",
        "/identities/?api-version=2023-10-01",
        "/%69dentities?api-version=2023-10-01",
        "//identities?api-version=2023-10-01",
        "/identities",
    ] {
        let changed = Draft { target: target.to_owned(), ..create(&house) };
        assert!(denied(&house, changed).await.contains("rule `signature`"), "{target}");
    }
    denied(&house, Draft { method: "PUT".to_owned(), ..create(&house) }).await;
}

#[tokio::test]
async fn case_11_a_host_that_was_changed_is_401_and_any_that_is_signed_will_do() {
    let house = House::start().await;
    let host = house.host().replace("127.0.0.1", "localhost");
    denied(&house, create(&house).header("host", &host)).await;
    denied(&house, create(&house).header("host", "127.0.0.1")).await;
    let signed = create(&house).header("host", "contoso.communication.azure.com").signed(KEY, &USUAL);
    assert_eq!(house.send(signed).await.status, 201);
}

#[tokio::test]
async fn case_12_a_date_may_be_a_quarter_of_an_hour_off_and_has_to_be_one() {
    let house = House::start().await;
    let dated = |date: &str| create(&house).header("x-ms-date", date).signed(KEY, &USUAL);
    for wrong in ["", "yesterday", "2023-10-18T15:34:16Z", "1697643256", "Thu, 18 Oct 2023 15:34:16 GMT"] {
        assert!(denied(&house, dated(wrong)).await.contains("rule `date`"), "{wrong}");
    }
    for off in [NOW + 920, NOW - 920] {
        assert!(denied(&house, dated(&date(off))).await.contains("920 s"));
    }
    assert!(denied(&house, create(&house).without("x-ms-date")).await.contains(r#""x-ms-date", once"#));
    for near in [NOW + 880, NOW - 880] {
        assert_eq!(house.send(dated(&date(near))).await.status, 201);
    }
    house.emulator.advance(1000);
    assert_eq!(house.send(dated(&date(NOW))).await.status, 401);
}

#[tokio::test]
async fn case_13_a_signature_that_leaves_host_hash_or_date_out_is_401_though_it_fits() {
    let house = House::start().await;
    for names in [
        &["x-ms-date", "x-ms-content-sha256"][..],
        &["x-ms-date", "host"],
        &["host", "x-ms-content-sha256"],
        &["host"],
        &[],
    ] {
        let draft = create(&house).signed(KEY, names);
        assert!(denied(&house, draft).await.contains("rule `signed headers`"), "{names:?}");
    }
}

#[tokio::test]
async fn what_is_signed_may_have_another_order_more_headers_and_capitals() {
    let house = House::start().await;
    let more = ["host", "x-extra", "x-ms-content-sha256", "x-ms-date"];
    assert_eq!(house.send(create(&house).header("x-extra", "1").signed(KEY, &more)).await.status, 201);
    let draft = create(&house).header("x-extra", "1").signed(KEY, &more).header("x-extra", "2");
    assert_eq!(house.send(draft).await.status, 401);
    let usual = create(&house).into_bytes();
    let capitals = String::from_utf8(usual)
        .unwrap()
        .replace("SignedHeaders=x-ms-date;host", "SignedHeaders=X-Ms-Date;Host");
    assert_eq!(house.send_bytes(capitals.as_bytes()).await.status, 201);
}

#[tokio::test]
async fn a_header_that_is_signed_stands_there_once() {
    let house = House::start().await;
    let today = date(NOW);
    assert!(denied(&house, create(&house).second_header("x-ms-date", &today)).await.contains("several"));
    let hash = content_hash(WITH_CHAT.as_bytes());
    assert!(
        denied(&house, create(&house).second_header("x-ms-content-sha256", &hash)).await.contains("several")
    );
}

#[tokio::test]
async fn case_14_date_will_do_for_x_ms_date_and_gives_way_to_it() {
    let house = House::start().await;
    let with_date = create(&house).without("x-ms-date").header("date", &date(NOW));
    let names = ["date", "host", "x-ms-content-sha256"];
    assert_eq!(house.send(with_date.clone().signed(KEY, &names)).await.status, 201);
    let both = ["date", "x-ms-date", "host", "x-ms-content-sha256"];
    let old_date = create(&house).header("date", &date(NOW - 5000)).signed(KEY, &both);
    assert_eq!(house.send(old_date).await.status, 201);
    let old_ms_date = with_date.header("x-ms-date", &date(NOW - 5000));
    assert_eq!(house.send(old_ms_date.signed(KEY, &both)).await.status, 401);
}

#[tokio::test]
async fn case_15_a_signed_request_may_be_sent_again() {
    let house = House::start().await;
    let bytes = create(&house).into_bytes();
    for expected in 1..=3 {
        assert_eq!(house.send_bytes(&bytes).await.status, 201);
        assert_eq!(house.emulator.identities().len(), expected);
    }
}

#[tokio::test]
async fn case_16_both_escapings_of_an_id_are_signed_as_sent_and_reach_the_same_identity() {
    let house = House::start().await;
    let id = house.create().await;
    for spelled in [id.clone(), id.replace(':', "%3A"), id.replace(':', "%3a"), id.replace('_', "%5F")] {
        let target = format!("/identities/{spelled}/:issueAccessToken?api-version=2023-10-01");
        let answer = house.call("POST", &target, r#"{"scopes":["chat"]}"#).await;
        assert_eq!(answer.status, 200, "{spelled}: {}", answer.body);
    }
    assert_eq!(house.emulator.identities()[0].tokens, 4);
    let signed = format!("/identities/{}/:issueAccessToken?api-version=2023-10-01", id.replace(':', "%3A"));
    let draft = house.draft("POST", &signed, r#"{"scopes":["chat"]}"#).signed(KEY, &USUAL);
    let respelled = Draft { target: signed.replace("%3A", ":"), ..draft };
    assert_eq!(house.send(respelled).await.status, 401);
}

#[tokio::test]
async fn case_17_either_key_will_do_and_a_changed_one_takes_its_tokens_along() {
    let access_keys = [KEY, OTHER_KEY].map(|key| AccessKey::new(key).unwrap());
    let house = House::with(Options { access_keys, ..options() }).await;
    let mut tokens = Vec::new();
    for key in [KEY, OTHER_KEY] {
        let draft = house.draft("POST", IDENTITIES, WITH_CHAT).signed(key, &USUAL);
        let answer = house.send(draft).await.json();
        tokens.push(answer["accessToken"]["token"].as_str().unwrap().to_owned());
    }
    let states = || {
        let state = |token: &String| house.emulator.introspect(token).unwrap().state;
        tokens.iter().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(), [TokenState::Alive, TokenState::Alive]);

    house.emulator.regenerate_key(KeySlot::Primary);
    assert_eq!(states(), [TokenState::KeyChanged, TokenState::Alive]);
    assert_eq!(house.send(create(&house)).await.status, 401);
    let draft = house.draft("POST", IDENTITIES, "").signed(OTHER_KEY, &USUAL);
    assert_eq!(house.send(draft).await.status, 201);

    let connection_string = house.emulator.connection_string("http://localhost:8889");
    let new_key = connection_string.strip_prefix("endpoint=http://localhost:8889/;accesskey=").unwrap();
    let draft = house.draft("POST", IDENTITIES, "").signed(new_key, &USUAL);
    assert_eq!(house.send(draft).await.status, 201);
}
