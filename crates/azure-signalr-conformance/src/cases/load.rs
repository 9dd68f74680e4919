//! Case 91: a thousand clients of one hub.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::json;

use crate::outcome::Verdict;
use crate::stage::Stage;

const CLIENTS: usize = 1000;
const BROADCASTS: usize = 5;
/// As many as a service may be asked for at the same time by one machine.
const AT_ONCE: usize = 50;

pub(super) async fn thousand(stage: Stage) -> Verdict {
    let connecting = stream::iter(0..CLIENTS).map(|_| stage.client().connect()).buffer_unordered(AT_ONCE);
    let clients: Vec<_> = connecting.try_collect().await?;
    for number in 0..BROADCASTS {
        stage.rest(Method::POST, &[":send"]).message("t", &json!([number])).status(202).await?;
    }
    let expected: Vec<_> = (0..BROADCASTS).map(|number| ("t", json!([number]))).collect();
    let looks = stream::iter(clients).map(|mut client| {
        let expected = &expected;
        async move { client.gets(expected).await }
    });
    looks.buffer_unordered(AT_ONCE).try_collect().await
}
