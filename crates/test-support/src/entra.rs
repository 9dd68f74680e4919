//! A test tenant of Microsoft Entra ID: its metadata and keys over HTTP, and access tokens, valid and forged.
//!
//! Keys and tokens are made with other libraries than the ones under test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::{Json, Router};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

use crate::http::listen;

/// The id of the tenant.
pub const TENANT: &str = "6babcaad-604b-40ac-a9d7-9fd97c0b779f";
/// The client id of the app.
pub const CLIENT: &str = "0b3ad9a5-5b1c-4f1f-a7b0-c3d2d1a0a001";

/// What the tenant publishes, and the number of requests.
#[derive(Default)]
struct Published {
    keys: Vec<Value>,
    /// The status of all responses, if set.
    failure: Option<u16>,
    issuer: Option<String>,
    request_counts: BTreeMap<String, usize>,
}

/// A tenant with an HTTP endpoint on 127.0.0.1.
#[derive(Clone)]
pub struct Entra {
    /// The base address, for the setting `AzureAd__Instance`.
    pub instance: String,
    published: Arc<Mutex<Published>>,
}

/// A signing key with its key id.
#[derive(Clone)]
pub struct Signer {
    key: RsaPrivateKey,
    kid: String,
}

impl Entra {
    /// Starts a tenant that publishes the key of [`Signer::first`].
    pub async fn start() -> Self {
        let (listener, port) = listen().await;
        let instance = format!("http://127.0.0.1:{port}/");
        let entra = Self { instance, published: Arc::default() };
        entra.publish(&[Signer::first()]);
        tokio::spawn(axum::serve(listener, Router::new().fallback(respond).with_state(entra.clone())).into_future());
        entra
    }

    /// Replaces the published keys.
    pub fn publish(&self, signers: &[Signer]) {
        self.published.lock().unwrap().keys = signers.iter().map(Signer::jwk).collect();
    }

    /// Answers all requests with this status, or normally again.
    pub fn fail_with(&self, status: Option<u16>) {
        self.published.lock().unwrap().failure = status;
    }

    /// Sets the issuer in the metadata.
    pub fn set_issuer(&self, issuer: &str) {
        self.published.lock().unwrap().issuer = Some(issuer.to_owned());
    }

    /// The number of requests for each path.
    pub fn request_counts(&self) -> Vec<usize> {
        self.published.lock().unwrap().request_counts.values().copied().collect()
    }

    /// The settings with which a handler accepts tokens of this tenant.
    pub fn settings(&self) -> [(&'static str, &str); 3] {
        [("AzureAd__TenantId", TENANT), ("AzureAd__ClientId", CLIENT), ("AzureAd__Instance", &self.instance)]
    }

    fn issuer(&self) -> String {
        format!("{}{TENANT}/v2.0", self.instance)
    }

    /// The claims of a valid v2.0 access token for `user`.
    pub fn claims(&self, user: &str) -> Value {
        let now = now();
        json!({
            "aud": CLIENT, "iss": self.issuer(), "iat": now, "nbf": now, "exp": now + 3_600, "tid": TENANT, "oid": user,
            "preferred_username": format!("{user}@contoso.com"), "scp": "access_as_user", "sub": "s", "ver": "2.0",
        })
    }

    /// The claims for `ann` with one claim replaced, or removed if `value` is null.
    pub fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims("ann");
        claims[name] = value;
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    /// The claims of a valid v1.0 access token for `user`.
    pub fn claims_v1(&self, user: &str) -> Value {
        let mut claims = self.claims(user);
        claims["iss"] = json!(format!("https://sts.windows.net/{TENANT}/"));
        claims["aud"] = json!(format!("api://{CLIENT}"));
        claims["upn"] = claims["preferred_username"].take();
        claims["ver"] = json!("1.0");
        claims
    }

    /// A valid access token for `user`.
    pub fn token(&self, user: &str) -> String {
        Signer::first().sign(&self.claims(user))
    }
}

async fn respond(State(entra): State<Entra>, uri: Uri) -> (StatusCode, Json<Value>) {
    let mut published = entra.published.lock().unwrap();
    *published.request_counts.entry(uri.path().to_owned()).or_default() += 1;
    if let Some(status) = published.failure {
        return (StatusCode::from_u16(status).unwrap(), Json(json!({"error_description": "SECRET text of Entra"})));
    }
    let keys = format!("/{TENANT}/discovery/v2.0/keys");
    if uri.path() == keys {
        return (StatusCode::OK, Json(json!({ "keys": published.keys })));
    }
    assert_eq!(uri.path(), format!("/{TENANT}/v2.0/.well-known/openid-configuration"));
    let issuer = published.issuer.clone().unwrap_or_else(|| entra.issuer());
    let metadata = json!({"issuer": issuer, "jwks_uri": format!("{}{}", entra.instance, &keys[1..])});
    (StatusCode::OK, Json(metadata))
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Signer {
    /// The signer whose key the tenant publishes at start.
    pub fn first() -> Self {
        Self { key: keys()[0].clone(), kid: "first".to_owned() }
    }

    /// A signer whose key the tenant publishes only after [`Entra::publish`].
    pub fn second() -> Self {
        Self { key: keys()[1].clone(), kid: "second".to_owned() }
    }

    /// The same key with another key id.
    pub fn with_kid(&self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), ..self.clone() }
    }

    fn jwk(&self) -> Value {
        let text = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        json!({"kty": "RSA", "use": "sig", "kid": self.kid, "n": text(self.key.n()), "e": text(self.key.e())})
    }

    /// Signs `claims` with RS256.
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::RS256) };
        let der = self.key.to_pkcs1_der().unwrap();
        encode(&header, claims, &EncodingKey::from_rsa_der(der.as_bytes())).unwrap()
    }

    /// Signs `claims` with HS256 and several encodings of the public key as the secret.
    pub fn sign_with_public_key(&self, claims: &Value) -> Vec<String> {
        let public = self.key.to_public_key();
        let forms = [
            public.to_public_key_pem(LineEnding::LF).unwrap().into_bytes(),
            public.to_public_key_der().unwrap().into_vec(),
            self.jwk().to_string().into_bytes(),
            public.n().to_bytes_be(),
        ];
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::HS256) };
        forms.iter().map(|secret| encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()).collect()
    }

    /// A token without a signature.
    pub fn unsigned(&self, alg: &str, claims: &Value) -> String {
        let header = json!({"alg": alg, "kid": self.kid, "typ": "JWT"}).to_string();
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()))
    }
}

/// Two keys for all tests of a process, since generating RSA keys is slow.
fn keys() -> &'static [RsaPrivateKey; 2] {
    static KEYS: OnceLock<[RsaPrivateKey; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [(); 2].map(|()| RsaPrivateKey::new(&mut OsRng, 2_048).unwrap()))
}
