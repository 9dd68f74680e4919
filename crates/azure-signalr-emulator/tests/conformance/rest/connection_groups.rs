//! Groups of connections.

use reqwest::Method;
use serde_json::json;

use super::{absent, api, heard, known_user, outcome, status, tell_group};
use crate::support::{House, client_token};

fn member(group: &str, id: &str) -> String {
    api(&format!("hubs/chat/groups/{group}/connections/{id}"))
}

#[tokio::test]
async fn case_61_a_connection_is_put_into_a_group_if_it_is_there() {
    let house = House::start().await;
    let (id, mut client) = house.known_client().await;
    let unknown = absent("Error.Connection.NotExisted");
    assert_eq!(outcome(&house, Method::PUT, &member("g", "unknown")).await, unknown);
    assert_eq!(status(&house, Method::HEAD, &api("hubs/chat/groups/g")).await, 404);
    for path in [member("g", &id), format!("/api/v1/hubs/chat/groups/g/connections/{id}")] {
        assert_eq!(outcome(&house, Method::PUT, &path).await, (200, None));
    }
    tell_group(&house, "g", "once").await;
    assert!(heard(&mut client, "once").await);
    tell_group(&house, "G", "another group").await;
    assert!(!heard(&mut client, "another group").await);
}

#[tokio::test]
async fn case_62_and_defect_5_taking_out_who_is_not_in_is_no_error() {
    let house = House::start().await;
    let (id, _client) = house.known_client().await;
    for id in [id.as_str(), "unknown"] {
        assert_eq!(outcome(&house, Method::DELETE, &member("g", id)).await, (200, None));
        let v1 = format!("/api/v1/hubs/chat/groups/g/connections/{id}");
        assert_eq!(outcome(&house, Method::DELETE, &v1).await, (200, None));
    }
}

#[tokio::test]
async fn case_62_and_defect_4_leaving_all_groups_works_with_and_without_any() {
    let house = House::start().await;
    let (id, mut client) = house.known_client().await;
    let all = |id: &str| api(&format!("hubs/chat/connections/{id}/groups"));
    assert_eq!(status(&house, Method::DELETE, &all("unknown")).await, 200);
    assert_eq!(status(&house, Method::DELETE, &all(&id)).await, 200);
    for group in ["g", "h"] {
        assert_eq!(status(&house, Method::PUT, &member(group, &id)).await, 200);
    }
    assert_eq!(status(&house, Method::DELETE, &all(&id)).await, 200);
    for group in ["g", "h"] {
        tell_group(&house, group, "left").await;
        assert!(!heard(&mut client, "left").await);
    }
}

#[tokio::test]
async fn who_is_taken_out_of_a_group_hears_no_more_of_it() {
    let house = House::start().await;
    let (one, mut first) = house.known_client().await;
    let (two, mut second) = house.known_client().await;
    for id in [&one, &two] {
        assert_eq!(status(&house, Method::PUT, &member("g", id)).await, 200);
    }
    assert_eq!(status(&house, Method::DELETE, &member("g", &one)).await, 200);
    tell_group(&house, "g", "only one").await;
    assert!(!heard(&mut first, "only one").await);
    assert!(heard(&mut second, "only one").await);
}

#[tokio::test]
async fn case_64_the_groups_of_a_connection_end_with_it() {
    let house = House::start().await;
    let (id, mut client) = known_user(&house, "ann").await;
    assert_eq!(status(&house, Method::PUT, &member("g", &id)).await, 200);
    client.say("{\"type\":7}\u{1e}").await;
    client.last_words().await;
    house.emptied().await;
    let mut again = house.user("ann").await;
    assert_eq!(status(&house, Method::HEAD, &api("hubs/chat/groups/g")).await, 404);
    tell_group(&house, "g", "left").await;
    assert!(!heard(&mut again, "left").await);
}

#[tokio::test]
async fn case_57_names_of_groups_and_connections_are_decoded_once() {
    let house = House::start().await;
    let (id, mut client) = house.known_client().await;
    let escaped: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(status(&house, Method::PUT, &member("a%2Fb%2525", &escaped)).await, 200);
    tell_group(&house, "a%2Fb%2525", "decoded").await;
    assert!(heard(&mut client, "decoded").await);
    assert_eq!(status(&house, Method::HEAD, &api("hubs/chat/groups/a%2Fb%25")).await, 404);
}

#[tokio::test]
async fn defect_12_a_hub_may_have_dots_in_its_name() {
    let house = House::start().await;
    let token = client_token(json!({"aud": "http://localhost/client/?hub=a.b", "asrs.s.uid": "ann"}));
    let mut client = house.client_of("/client/?hub=a.b", &token).await;
    assert_eq!(status(&house, Method::PUT, &api("hubs/a.b/users/ann/groups/g")).await, 200);
    let message = super::hello("dotted");
    assert_eq!(house.send(&api("hubs/a.b/groups/g/:send"), &message).await, 202);
    assert_eq!(client.argument().await, "dotted");
    assert_eq!(house.send(&api("hubs/a.b/users/ann/:send"), &message).await, 202);
    assert_eq!(client.argument().await, "dotted");
    assert_eq!(status(&house, Method::HEAD, &api("hubs/b/groups/g")).await, 404);
}
