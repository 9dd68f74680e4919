//! Groups of users, who need not be there.

use reqwest::Method;

use super::{absent, api, heard, known_user, outcome, status, tell_group, until};
use crate::support::House;

fn member(user: &str, group: &str) -> String {
    api(&format!("hubs/chat/users/{user}/groups/{group}"))
}

#[tokio::test]
async fn case_60_who_is_in_a_group_as_a_user_is_asked_in_either_order_with_get_or_head() {
    let house = House::start().await;
    assert_eq!(status(&house, Method::PUT, &member("ann", "g")).await, 200);
    for method in [Method::GET, Method::HEAD] {
        let ask = async |path: &str| outcome(&house, method.clone(), path).await;
        assert_eq!(ask(&member("ann", "g")).await, (200, None));
        assert_eq!(ask("/api/v1/hubs/chat/groups/g/users/ann").await, (200, None));
        let not = absent("Info.User.NotInGroup");
        assert_eq!(ask(&member("ann", "other")).await, not);
        assert_eq!(ask(&member("bob", "g")).await, not);
        assert_eq!(ask("/api/v1/hubs/chat/groups/g/users/bob").await, not);
    }
}

#[tokio::test]
async fn a_user_is_not_in_a_group_because_one_of_its_connections_is() {
    let house = House::start().await;
    let (id, _client) = known_user(&house, "ann").await;
    let path = api(&format!("hubs/chat/groups/g/connections/{id}"));
    assert_eq!(status(&house, Method::PUT, &path).await, 200);
    assert_eq!(status(&house, Method::HEAD, &member("ann", "g")).await, 404);
}

#[tokio::test]
async fn case_62_and_defect_4_taking_out_a_user_who_is_in_no_group_is_no_error() {
    let house = House::start().await;
    let _ann = house.user("ann").await;
    for user in ["ann", "unknown"] {
        assert_eq!(outcome(&house, Method::DELETE, &member(user, "g")).await, (204, None));
        let all = api(&format!("hubs/chat/users/{user}/groups"));
        assert_eq!(outcome(&house, Method::DELETE, &all).await, (204, None));
    }
}

#[tokio::test]
async fn defect_6_each_version_answers_with_its_own_status() {
    let house = House::start().await;
    let dated = |version: &str| {
        let path = |rest: &str| format!("/api/hubs/chat/users/ann/groups{rest}?api-version={version}");
        (path("/g"), path(""))
    };
    let v1 =
        ("/api/v1/hubs/chat/groups/g/users/ann".to_owned(), "/api/v1/hubs/chat/users/ann/groups".to_owned());
    for ((one, all), expected) in [
        (v1, [202, 202, 200]),
        (dated("2020-10-01"), [202, 200, 200]),
        (dated("2022-06-01"), [200, 204, 204]),
        (dated("2024-12-01"), [200, 204, 204]),
    ] {
        let answers = [
            status(&house, Method::PUT, &one).await,
            status(&house, Method::DELETE, &one).await,
            status(&house, Method::DELETE, &all).await,
        ];
        assert_eq!(answers, expected, "{one}");
    }
}

#[tokio::test]
async fn case_63_and_defect_10_a_user_may_be_put_into_a_group_before_anybody_has_come() {
    let house = House::start().await;
    assert_eq!(status(&house, Method::PUT, &member("ann", "g")).await, 200);
    assert_eq!(
        outcome(&house, Method::HEAD, &api("hubs/chat/groups/g")).await,
        absent("Warning.Group.NotExisted")
    );
    let (mut ann, mut bob) = (house.user("ann").await, house.user("bob").await);
    assert_eq!(status(&house, Method::HEAD, &api("hubs/chat/groups/g")).await, 200);
    tell_group(&house, "g", "welcome").await;
    assert!(heard(&mut ann, "welcome").await);
    assert!(!heard(&mut bob, "welcome").await);
}

#[tokio::test]
async fn case_64_a_user_is_in_its_groups_again_when_it_comes_back() {
    let house = House::start().await;
    let mut ann = house.user("ann").await;
    assert_eq!(status(&house, Method::PUT, &member("ann", "g")).await, 200);
    tell_group(&house, "g", "one").await;
    assert!(heard(&mut ann, "one").await);
    ann.say("{\"type\":7}\u{1e}").await;
    ann.last_words().await;
    house.emptied().await;
    let mut again = house.user("ann").await;
    tell_group(&house, "g", "two").await;
    assert!(heard(&mut again, "two").await);
}

#[tokio::test]
async fn case_65_and_defect_10_when_its_time_ends_a_user_leaves_the_group_and_who_came_alone_stays() {
    let house = House::start().await;
    let (id, mut alone) = known_user(&house, "ann").await;
    let mut with_user = house.user("ann").await;
    let path = api(&format!("hubs/chat/groups/g/connections/{id}"));
    assert_eq!(status(&house, Method::PUT, &path).await, 200);
    let timed = api("hubs/chat/users/ann/groups/g?ttl=1");
    assert_eq!(status(&house, Method::PUT, &timed).await, 200);
    until(&house, Method::HEAD, &member("ann", "g"), 404).await;
    let mut late = house.user("ann").await;
    tell_group(&house, "g", "over").await;
    assert!(heard(&mut alone, "over").await);
    assert!(!heard(&mut with_user, "over").await);
    assert!(!heard(&mut late, "over").await);
}

#[tokio::test]
async fn case_65_until_its_time_ends_a_user_is_in_the_group() {
    let house = House::start().await;
    let mut there = house.user("ann").await;
    assert_eq!(status(&house, Method::PUT, &api("hubs/chat/users/ann/groups/g?ttl=2147483647")).await, 200);
    let mut later = house.user("ann").await;
    tell_group(&house, "g", "in time").await;
    assert!(heard(&mut there, "in time").await && heard(&mut later, "in time").await);
}

#[tokio::test]
async fn case_65_no_time_is_for_those_who_are_there() {
    let house = House::start().await;
    let mut there = house.user("ann").await;
    let once = api("hubs/chat/users/ann/groups/g?ttl=0");
    assert_eq!(status(&house, Method::PUT, &once).await, 200);
    let mut later = house.user("ann").await;
    tell_group(&house, "g", "now").await;
    assert!(heard(&mut there, "now").await);
    assert!(!heard(&mut later, "now").await);
    assert_eq!(status(&house, Method::DELETE, &member("ann", "g")).await, 204);
    tell_group(&house, "g", "over").await;
    assert!(!heard(&mut there, "over").await);
}

#[tokio::test]
async fn case_65_a_time_must_be_a_whole_number() {
    let house = House::start().await;
    for ttl in ["-1", "x", "1.5", "", "2147483648"] {
        let path = api(&format!("hubs/chat/users/ann/groups/g?ttl={ttl}"));
        let response = super::call(&house, Method::PUT, &path).await;
        assert_eq!(response.status(), 400, "{ttl}");
        assert_eq!(response.json::<serde_json::Value>().await.unwrap()["target"], "ttl");
    }
    assert_eq!(status(&house, Method::HEAD, &member("ann", "g")).await, 404);
}

#[tokio::test]
async fn taking_a_user_out_leaves_a_connection_that_was_put_in_for_itself() {
    let house = House::start().await;
    let (id, mut alone) = known_user(&house, "ann").await;
    let mut other = house.user("ann").await;
    let path = api(&format!("hubs/chat/groups/g/connections/{id}"));
    assert_eq!(status(&house, Method::PUT, &path).await, 200);
    assert_eq!(status(&house, Method::PUT, &member("ann", "g")).await, 200);
    assert_eq!(status(&house, Method::DELETE, &member("ann", "g")).await, 204);
    tell_group(&house, "g", "alone").await;
    assert!(heard(&mut alone, "alone").await);
    assert!(!heard(&mut other, "alone").await);
}

#[tokio::test]
async fn defect_14_a_user_is_taken_out_of_all_groups_without_naming_one() {
    let house = House::start().await;
    let mut ann = house.user("ann").await;
    for group in ["g", "h"] {
        assert_eq!(status(&house, Method::PUT, &member("ann", group)).await, 200);
    }
    assert_eq!(status(&house, Method::DELETE, &api("hubs/chat/users/ann/groups")).await, 204);
    for group in ["g", "h"] {
        assert_eq!(status(&house, Method::HEAD, &member("ann", group)).await, 404);
        tell_group(&house, group, "left").await;
        assert!(!heard(&mut ann, "left").await);
    }
}

#[tokio::test]
async fn of_the_groups_without_a_time_a_user_keeps_the_latest_hundred() {
    let house = House::start().await;
    for number in 0..=100 {
        assert_eq!(status(&house, Method::PUT, &member("ann", &number.to_string())).await, 200);
    }
    assert_eq!(status(&house, Method::HEAD, &member("ann", "0")).await, 404);
    for kept in ["1", "100"] {
        assert_eq!(status(&house, Method::HEAD, &member("ann", kept)).await, 200);
    }
}
