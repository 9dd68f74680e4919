//! Asking who is there.

use reqwest::Method;

use super::{absent, api, outcome, status};
use crate::support::House;

#[tokio::test]
async fn case_59_and_defect_3_who_is_there_is_200_and_who_is_not_is_404_with_a_code() {
    let house = House::start().await;
    let (id, _client) = house.known_client().await;
    let _alice = house.user("alice").await;
    let member = api(&format!("hubs/chat/groups/g/connections/{id}"));
    assert_eq!(status(&house, Method::PUT, &member).await, 200);
    for (method, prefix, query) in [
        (Method::HEAD, "/api/hubs", "?api-version=2022-06-01"),
        (Method::HEAD, "/api/v1/hubs", ""),
        (Method::GET, "/api/v1/hubs", ""),
    ] {
        let ask =
            async |rest: &str| outcome(&house, method.clone(), &format!("{prefix}/{rest}{query}")).await;
        assert_eq!(ask(&format!("chat/connections/{id}")).await, (200, None));
        assert_eq!(ask(&format!("other/connections/{id}")).await, absent("Warning.Connection.NotExisted"));
        assert_eq!(ask("chat/users/alice").await, (200, None));
        assert_eq!(ask("chat/users/bob").await, absent("Warning.User.NotExisted"));
        assert_eq!(ask("chat/groups/g").await, (200, None));
        assert_eq!(ask("chat/groups/h").await, absent("Warning.Group.NotExisted"));
    }
    assert_eq!(status(&house, Method::GET, &api("hubs/chat/users/alice")).await, 405);
}

#[tokio::test]
async fn case_68_and_defect_13_health_needs_no_token() {
    let house = House::start().await;
    for path in ["/api/health?api-version=2022-06-01", "/api/v1/health"] {
        for method in [Method::HEAD, Method::GET] {
            assert_eq!(house.request(method, path).send().await.unwrap().status(), 200, "{path}");
        }
    }
}
