//! Cases 6 to 8: access tokens for clients, as the suite writes them and the service takes them.

use serde_json::json;

use crate::outcome::{Stop, Verdict, same};
use crate::stage::Stage;
use crate::token::{HEADER, Key, user_claim};

pub(super) async fn of_a_user(stage: Stage) -> Verdict {
    let service = stage.service();
    let hub = stage.hub.to_uppercase();
    let token = service.token(&service.client_audience(&hub), &json!({"asrs.s.uid": stage.user}));
    let claims = token.claims().ok_or_else(|| Stop::failed("a token", "something else"))?;
    let audience = format!("{}client/?hub={}", service.connection.audience_base(), stage.hub);
    same("the audience", &json!(audience), &claims["aud"])?;
    same("the user", &json!(stage.user), &claims["asrs.s.uid"])?;
    let seconds = |name: &str| claims[name].as_u64().unwrap_or_default();
    same("the lifetime", 3600, seconds("exp") - seconds("nbf"))?;

    let key = Key("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH".to_owned());
    let payload = r#"{"asrs.s.uid":"u1","nbf":1700000000,"exp":1700003600,"iat":1700000000,"aud":"http://localhost/client/?hub=chat"}"#;
    let known = key.sign(HEADER, payload).0.ends_with(".-WYX7JGgJKomLnyllQ2C8IAQj9M75qmV4VRPVxQ8UTM");
    same("whether the known token is signed as everybody signs it", true, known)?;
    service.negotiate(&[("hub", &stage.hub)], &token).status(200).await.map(drop)
}

pub(super) async fn of_an_application(stage: Stage) -> Verdict {
    let service = stage.service();
    let hub = format!("App_{}", stage.hub).to_lowercase();
    let url = service.client_url(&[], &[("hub", &hub)]);
    same("the query of the client's address", Some(format!("hub=app_{}", stage.hub).as_str()), url.query())?;
    let token = service.client_token(&hub);
    service.negotiate(&[("hub", &hub)], &token).status(200).await.map(drop)
}

pub(super) async fn of_a_user_with_a_claim_that_is_taken(stage: Stage) -> Verdict {
    same("the name of the claim", "asrs.u.exp", &user_claim("exp"))?;
    let service = stage.service();
    let token = service.token(&service.client_audience(&stage.hub), &json!({user_claim("exp"): "x"}));
    service.negotiate(&[("hub", &stage.hub)], &token).status(200).await.map(drop)
}
