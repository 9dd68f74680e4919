//! A tenant of Microsoft Entra ID: what it publishes, and tokens it has signed, or somebody else has.
//!
//! Keys are made by another implementation than the one that checks signatures, and tokens by a library that is not in the handler.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
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
use tokio::net::TcpListener;

/// The id of the tenant.
pub const TENANT: &str = "6babcaad-604b-40ac-a9d7-9fd97c0b779f";
/// The client id of the app.
pub const CLIENT: &str = "0b3ad9a5-5b1c-4f1f-a7b0-c3d2d1a0a001";

/// What it publishes, and how often it was asked for it.
#[derive(Default)]
struct Published {
    keys: Vec<Value>,
    refuses: Option<u16>,
    issuer: Option<String>,
    asked: BTreeMap<String, usize>,
}

/// A tenant that can be asked.
#[derive(Clone)]
pub struct Entra {
    /// The address of the cloud, `AzureAd__Instance`.
    pub instance: String,
    published: Arc<Mutex<Published>>,
}

/// A key, by the name it is published under.
#[derive(Clone)]
pub struct Signer {
    key: RsaPrivateKey,
    kid: String,
}

impl Entra {
    /// A tenant whose tokens are signed by the first signer.
    pub async fn start() -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let instance = format!("http://{}/", socket.local_addr().unwrap());
        let entra = Self { instance, published: Arc::default() };
        entra.publish(&[Signer::first()]);
        tokio::spawn(
            axum::serve(socket, Router::new().fallback(answer).with_state(entra.clone())).into_future(),
        );
        entra
    }

    /// From now on these are the keys.
    pub fn publish(&self, signers: &[Signer]) {
        self.published.lock().unwrap().keys = signers.iter().map(Signer::jwk).collect();
    }

    /// From now on every answer is this status, or again what was asked for.
    pub fn refuse(&self, status: Option<u16>) {
        self.published.lock().unwrap().refuses = status;
    }

    /// From now on it calls itself so in its metadata.
    pub fn call_itself(&self, issuer: &str) {
        self.published.lock().unwrap().issuer = Some(issuer.to_owned());
    }

    /// How often each path was asked for.
    pub fn asked(&self) -> Vec<usize> {
        self.published.lock().unwrap().asked.values().copied().collect()
    }

    /// The settings that make a handler accept this tenant.
    pub fn settings(&self) -> [(&'static str, &str); 3] {
        [("AzureAd__TenantId", TENANT), ("AzureAd__ClientId", CLIENT), ("AzureAd__Instance", &self.instance)]
    }

    fn issuer(&self) -> String {
        format!("{}{TENANT}/v2.0", self.instance)
    }

    /// What a good token v2.0 of `who` says.
    pub fn claims(&self, who: &str) -> Value {
        let now = now();
        json!({
            "aud": CLIENT, "iss": self.issuer(), "iat": now, "nbf": now, "exp": now + 3_600, "tid": TENANT, "oid": who,
            "preferred_username": format!("{who}@contoso.com"), "scp": "access_as_user", "sub": "s", "ver": "2.0",
        })
    }

    /// The same with another claim, or without it.
    pub fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims("ann");
        claims[name] = value;
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    /// The same as a token v1.0 has it.
    pub fn claims_v1(&self, who: &str) -> Value {
        let mut claims = self.claims(who);
        claims["iss"] = json!(format!("https://sts.windows.net/{TENANT}/"));
        claims["aud"] = json!(format!("api://{CLIENT}"));
        claims["upn"] = claims["preferred_username"].take();
        claims["ver"] = json!("1.0");
        claims
    }

    /// A valid access token for `who`.
    pub fn token(&self, who: &str) -> String {
        Signer::first().sign(&self.claims(who))
    }
}

async fn answer(State(entra): State<Entra>, uri: Uri) -> (StatusCode, Json<Value>) {
    let mut published = entra.published.lock().unwrap();
    *published.asked.entry(uri.path().to_owned()).or_default() += 1;
    if let Some(status) = published.refuses {
        return (
            StatusCode::from_u16(status).unwrap(),
            Json(json!({"error_description": "SECRET words of Entra"})),
        );
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
    /// The one whose key the tenant publishes from the beginning.
    pub fn first() -> Self {
        Self { key: made()[0].clone(), kid: "first".to_owned() }
    }

    /// Somebody else: the tenant's next key, or nobody of the tenant.
    pub fn second() -> Self {
        Self { key: made()[1].clone(), kid: "second".to_owned() }
    }

    /// The same under another name.
    pub fn named(&self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), ..self.clone() }
    }

    fn jwk(&self) -> Value {
        let text = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        json!({"kty": "RSA", "use": "sig", "kid": self.kid, "n": text(self.key.n()), "e": text(self.key.e())})
    }

    /// A token with `claims`, signed with RS256.
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::RS256) };
        let der = self.key.to_pkcs1_der().unwrap();
        encode(&header, claims, &EncodingKey::from_rsa_der(der.as_bytes())).unwrap()
    }

    /// Signed with the public key, as if that were a secret.
    pub fn sign_with_public_key(&self, claims: &Value) -> Vec<String> {
        let public = self.key.to_public_key();
        let forms = [
            public.to_public_key_pem(LineEnding::LF).unwrap().into_bytes(),
            public.to_public_key_der().unwrap().into_vec(),
            self.jwk().to_string().into_bytes(),
            public.n().to_bytes_be(),
        ];
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::HS256) };
        forms
            .iter()
            .map(|secret| encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap())
            .collect()
    }

    /// Signed by nobody.
    pub fn leave_unsigned(&self, alg: &str, claims: &Value) -> String {
        let header = json!({"alg": alg, "kid": self.kid, "typ": "JWT"}).to_string();
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()))
    }
}

/// Two keys for all tests: they take a while to make.
fn made() -> &'static [RsaPrivateKey; 2] {
    static MADE: OnceLock<[RsaPrivateKey; 2]> = OnceLock::new();
    MADE.get_or_init(|| [(); 2].map(|()| RsaPrivateKey::new(&mut OsRng, 2_048).unwrap()))
}
