//! Groups of connections and groups of users.

use reqwest::Method;
use serde_json::json;

use super::{api, client_of_user, not_found, received, send_to_group, status, status_and_code, wait_for_status};
use crate::support::{TestService, client_token};

fn connection_path(group: &str, id: &str) -> String {
    api(&format!("hubs/chat/groups/{group}/connections/{id}"))
}

#[tokio::test]
async fn case_61_an_existing_connection_is_added_to_a_group() {
    let (service, id, mut client) = TestService::with_client_id().await;
    let unknown = not_found("Error.Connection.NotExisted");
    assert_eq!(status_and_code(&service, Method::PUT, &connection_path("g", "unknown")).await, unknown);
    assert_eq!(status(&service, Method::HEAD, &api("hubs/chat/groups/g")).await, 404);
    for path in [connection_path("g", &id), format!("/api/v1/hubs/chat/groups/g/connections/{id}")] {
        assert_eq!(status_and_code(&service, Method::PUT, &path).await, (200, None));
    }
    send_to_group(&service, "g", "once").await;
    assert!(received(&mut client, "once").await);
    send_to_group(&service, "G", "another group").await;
    assert!(!received(&mut client, "another group").await);
}

#[tokio::test]
async fn case_62_and_defect_5_removing_a_connection_that_is_not_a_member_is_no_error() {
    let (service, id, _client) = TestService::with_client_id().await;
    for id in [id.as_str(), "unknown"] {
        assert_eq!(status_and_code(&service, Method::DELETE, &connection_path("g", id)).await, (200, None));
        let v1 = format!("/api/v1/hubs/chat/groups/g/connections/{id}");
        assert_eq!(status_and_code(&service, Method::DELETE, &v1).await, (200, None));
    }
}

#[tokio::test]
async fn case_62_and_defect_4_leaving_all_groups_works_with_and_without_any() {
    let (service, id, mut client) = TestService::with_client_id().await;
    let all = |id: &str| api(&format!("hubs/chat/connections/{id}/groups"));
    assert_eq!(status(&service, Method::DELETE, &all("unknown")).await, 200);
    assert_eq!(status(&service, Method::DELETE, &all(&id)).await, 200);
    for group in ["g", "h"] {
        assert_eq!(status(&service, Method::PUT, &connection_path(group, &id)).await, 200);
    }
    assert_eq!(status(&service, Method::DELETE, &all(&id)).await, 200);
    for group in ["g", "h"] {
        send_to_group(&service, group, "left").await;
        assert!(!received(&mut client, "left").await);
    }
}

#[tokio::test]
async fn a_removed_connection_gets_no_more_group_messages() {
    let (service, one, mut first) = TestService::with_client_id().await;
    let (two, mut second) = service.client_with_id().await;
    for id in [&one, &two] {
        assert_eq!(status(&service, Method::PUT, &connection_path("g", id)).await, 200);
    }
    assert_eq!(status(&service, Method::DELETE, &connection_path("g", &one)).await, 200);
    send_to_group(&service, "g", "only one").await;
    assert!(!received(&mut first, "only one").await);
    assert!(received(&mut second, "only one").await);
}

#[tokio::test]
async fn case_64_the_groups_of_a_connection_end_with_it() {
    let service = TestService::start().await;
    let (id, mut client) = client_of_user(&service, "ann").await;
    assert_eq!(status(&service, Method::PUT, &connection_path("g", &id)).await, 200);
    client.send_text("{\"type\":7}\u{1e}").await;
    client.receive_until_end().await;
    service.wait_until_empty().await;
    let mut again = service.user("ann").await;
    assert_eq!(status(&service, Method::HEAD, &api("hubs/chat/groups/g")).await, 404);
    send_to_group(&service, "g", "left").await;
    assert!(!received(&mut again, "left").await);
}

#[tokio::test]
async fn case_57_names_of_groups_and_connections_are_decoded_once() {
    let (service, id, mut client) = TestService::with_client_id().await;
    let escaped: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(status(&service, Method::PUT, &connection_path("a%2Fb%2525", &escaped)).await, 200);
    send_to_group(&service, "a%2Fb%2525", "decoded").await;
    assert!(received(&mut client, "decoded").await);
    assert_eq!(status(&service, Method::HEAD, &api("hubs/chat/groups/a%2Fb%25")).await, 404);
}

#[tokio::test]
async fn defect_12_a_hub_may_have_dots_in_its_name() {
    let service = TestService::start().await;
    let token = client_token(json!({"aud": "http://localhost/client/?hub=a.b", "asrs.s.uid": "ann"}));
    let mut client = service.connect("/client/?hub=a.b", &token).await;
    assert_eq!(status(&service, Method::PUT, &api("hubs/a.b/users/ann/groups/g")).await, 200);
    let message = super::message("dotted");
    assert_eq!(service.send(&api("hubs/a.b/groups/g/:send"), &message).await, 202);
    assert_eq!(client.receive_argument().await, "dotted");
    assert_eq!(service.send(&api("hubs/a.b/users/ann/:send"), &message).await, 202);
    assert_eq!(client.receive_argument().await, "dotted");
    assert_eq!(status(&service, Method::HEAD, &api("hubs/b/groups/g")).await, 404);
}

fn user_path(user: &str, group: &str) -> String {
    api(&format!("hubs/chat/users/{user}/groups/{group}"))
}

#[tokio::test]
async fn case_60_user_membership_is_answered_in_both_path_orders_for_get_and_head() {
    let service = TestService::start().await;
    assert_eq!(status(&service, Method::PUT, &user_path("ann", "g")).await, 200);
    for method in [Method::GET, Method::HEAD] {
        let ask = async |path: &str| status_and_code(&service, method.clone(), path).await;
        assert_eq!(ask(&user_path("ann", "g")).await, (200, None));
        assert_eq!(ask("/api/v1/hubs/chat/groups/g/users/ann").await, (200, None));
        let not = not_found("Info.User.NotInGroup");
        assert_eq!(ask(&user_path("ann", "other")).await, not);
        assert_eq!(ask(&user_path("bob", "g")).await, not);
        assert_eq!(ask("/api/v1/hubs/chat/groups/g/users/bob").await, not);
    }
}

#[tokio::test]
async fn a_user_is_not_in_a_group_because_one_of_its_connections_is() {
    let service = TestService::start().await;
    let (id, _client) = client_of_user(&service, "ann").await;
    assert_eq!(status(&service, Method::PUT, &connection_path("g", &id)).await, 200);
    assert_eq!(status(&service, Method::HEAD, &user_path("ann", "g")).await, 404);
}

#[tokio::test]
async fn case_62_and_defect_4_removing_a_user_without_groups_is_no_error() {
    let service = TestService::start().await;
    let _ann = service.user("ann").await;
    for user in ["ann", "unknown"] {
        assert_eq!(status_and_code(&service, Method::DELETE, &user_path(user, "g")).await, (204, None));
        let all = api(&format!("hubs/chat/users/{user}/groups"));
        assert_eq!(status_and_code(&service, Method::DELETE, &all).await, (204, None));
    }
}

#[tokio::test]
async fn defect_6_statuses_depend_on_the_version() {
    let service = TestService::start().await;
    let dated = |version: &str| {
        let path = |rest: &str| format!("/api/hubs/chat/users/ann/groups{rest}?api-version={version}");
        (path("/g"), path(""))
    };
    let v1 = ("/api/v1/hubs/chat/groups/g/users/ann".to_owned(), "/api/v1/hubs/chat/users/ann/groups".to_owned());
    for ((one, all), expected) in [
        (v1, [202, 202, 200]),
        (dated("2020-10-01"), [202, 200, 200]),
        (dated("2022-06-01"), [200, 204, 204]),
        (dated("2024-12-01"), [200, 204, 204]),
    ] {
        let answers = [
            status(&service, Method::PUT, &one).await,
            status(&service, Method::DELETE, &one).await,
            status(&service, Method::DELETE, &all).await,
        ];
        assert_eq!(answers, expected, "{one}");
    }
}

#[tokio::test]
async fn case_63_and_defect_10_a_user_can_be_added_before_it_connects() {
    let service = TestService::start().await;
    assert_eq!(status(&service, Method::PUT, &user_path("ann", "g")).await, 200);
    assert_eq!(
        status_and_code(&service, Method::HEAD, &api("hubs/chat/groups/g")).await,
        not_found("Warning.Group.NotExisted")
    );
    let (mut ann, mut bob) = (service.user("ann").await, service.user("bob").await);
    assert_eq!(status(&service, Method::HEAD, &api("hubs/chat/groups/g")).await, 200);
    send_to_group(&service, "g", "welcome").await;
    assert!(received(&mut ann, "welcome").await);
    assert!(!received(&mut bob, "welcome").await);
}

#[tokio::test]
async fn case_64_a_user_is_in_its_groups_again_after_it_reconnects() {
    let service = TestService::start().await;
    let mut ann = service.user("ann").await;
    assert_eq!(status(&service, Method::PUT, &user_path("ann", "g")).await, 200);
    send_to_group(&service, "g", "one").await;
    assert!(received(&mut ann, "one").await);
    ann.send_text("{\"type\":7}\u{1e}").await;
    ann.receive_until_end().await;
    service.wait_until_empty().await;
    let mut again = service.user("ann").await;
    send_to_group(&service, "g", "two").await;
    assert!(received(&mut again, "two").await);
}

#[tokio::test]
async fn case_65_and_defect_10_after_its_ttl_a_user_leaves_and_added_connections_stay() {
    let service = TestService::start().await;
    let (id, mut alone) = client_of_user(&service, "ann").await;
    let mut with_user = service.user("ann").await;
    assert_eq!(status(&service, Method::PUT, &connection_path("g", &id)).await, 200);
    let timed = api("hubs/chat/users/ann/groups/g?ttl=1");
    assert_eq!(status(&service, Method::PUT, &timed).await, 200);
    wait_for_status(&service, Method::HEAD, &user_path("ann", "g"), 404).await;
    let mut late = service.user("ann").await;
    send_to_group(&service, "g", "over").await;
    assert!(received(&mut alone, "over").await);
    assert!(!received(&mut with_user, "over").await);
    assert!(!received(&mut late, "over").await);
}

#[tokio::test]
async fn case_65_within_its_ttl_a_user_is_in_the_group() {
    let service = TestService::start().await;
    let mut there = service.user("ann").await;
    assert_eq!(status(&service, Method::PUT, &api("hubs/chat/users/ann/groups/g?ttl=2147483647")).await, 200);
    let mut later = service.user("ann").await;
    send_to_group(&service, "g", "in time").await;
    assert!(received(&mut there, "in time").await && received(&mut later, "in time").await);
}

#[tokio::test]
async fn case_65_ttl_0_adds_the_present_connections() {
    let service = TestService::start().await;
    let mut there = service.user("ann").await;
    let once = api("hubs/chat/users/ann/groups/g?ttl=0");
    assert_eq!(status(&service, Method::PUT, &once).await, 200);
    let mut later = service.user("ann").await;
    send_to_group(&service, "g", "now").await;
    assert!(received(&mut there, "now").await);
    assert!(!received(&mut later, "now").await);
    assert_eq!(status(&service, Method::DELETE, &user_path("ann", "g")).await, 204);
    send_to_group(&service, "g", "over").await;
    assert!(!received(&mut there, "over").await);
}

#[tokio::test]
async fn case_65_ttl_must_be_a_whole_number() {
    let service = TestService::start().await;
    for ttl in ["-1", "x", "1.5", "", "2147483648"] {
        let path = api(&format!("hubs/chat/users/ann/groups/g?ttl={ttl}"));
        let response = super::call(&service, Method::PUT, &path).await;
        assert_eq!(response.status(), 400, "{ttl}");
        assert_eq!(response.json::<serde_json::Value>().await.unwrap()["target"], "ttl");
    }
    assert_eq!(status(&service, Method::HEAD, &user_path("ann", "g")).await, 404);
}

#[tokio::test]
async fn removing_a_user_leaves_connections_that_were_added_themselves() {
    let service = TestService::start().await;
    let (id, mut alone) = client_of_user(&service, "ann").await;
    let mut other = service.user("ann").await;
    assert_eq!(status(&service, Method::PUT, &connection_path("g", &id)).await, 200);
    assert_eq!(status(&service, Method::PUT, &user_path("ann", "g")).await, 200);
    assert_eq!(status(&service, Method::DELETE, &user_path("ann", "g")).await, 204);
    send_to_group(&service, "g", "alone").await;
    assert!(received(&mut alone, "alone").await);
    assert!(!received(&mut other, "alone").await);
}

#[tokio::test]
async fn defect_14_a_user_is_removed_from_all_groups() {
    let service = TestService::start().await;
    let mut ann = service.user("ann").await;
    for group in ["g", "h"] {
        assert_eq!(status(&service, Method::PUT, &user_path("ann", group)).await, 200);
    }
    assert_eq!(status(&service, Method::DELETE, &api("hubs/chat/users/ann/groups")).await, 204);
    for group in ["g", "h"] {
        assert_eq!(status(&service, Method::HEAD, &user_path("ann", group)).await, 404);
        send_to_group(&service, group, "left").await;
        assert!(!received(&mut ann, "left").await);
    }
}

#[tokio::test]
async fn a_user_keeps_the_latest_hundred_groups_without_a_ttl() {
    let service = TestService::start().await;
    for number in 0..=100 {
        assert_eq!(status(&service, Method::PUT, &user_path("ann", &number.to_string())).await, 200);
    }
    assert_eq!(status(&service, Method::HEAD, &user_path("ann", "0")).await, 404);
    for kept in ["1", "100"] {
        assert_eq!(status(&service, Method::HEAD, &user_path("ann", kept)).await, 200);
    }
}
