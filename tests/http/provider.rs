//! An identity provider that signs whatever a test wants it to say.

use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer},
    elliptic_curve::rand_core::OsRng,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Site, Upstream, serve, with_backend};

/// A provider with one key, which knows the client `c`.
pub struct Provider {
    pub issuer: String,
    key: SigningKey,
    id_token: Arc<Mutex<String>>,
}

impl Provider {
    /// A provider, and a site whose people sign in there.
    pub async fn start() -> (Self, Site, TempDir) {
        let key = SigningKey::random(&mut OsRng);
        let point = key.verifying_key().to_encoded_point(false);
        let coordinate = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let keys = json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k",
            "x": coordinate(point.x().unwrap()), "y": coordinate(point.y().unwrap()),
        }] });
        let id_token = Arc::new(Mutex::new(String::new()));
        let told = id_token.clone();
        let tokens = move || async move {
            let id_token = told.lock().unwrap().clone();
            Json(json!({ "access_token": "a", "token_type": "Bearer", "id_token": id_token }))
        };
        let router = Router::new()
            .route("/keys", get(move || async move { Json(keys) }))
            .route("/t", post(tokens));
        let issuer = serve(router).await;
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::start(|_| axum::response::Response::new("".into())).await;
        let config = format!(
            "{}[sandbox]\nenabled = false\n[auth]\nissuer = \"{issuer}\"\nauthorize_url = \"{issuer}/a\"\n\
             token_url = \"{issuer}/t\"\njwks_url = \"{issuer}/keys\"\nclient_id = \"c\"\n",
            with_backend(&upstream.origin, "")
        );
        let site = Site::start_with(folder.path(), &config).await;
        (Self { issuer, key, id_token }, site, folder)
    }

    /// One that says the same and signs with a key of its own.
    pub fn with_another_key(&self) -> Self {
        let key = SigningKey::random(&mut OsRng);
        Self { issuer: self.issuer.clone(), key, id_token: self.id_token.clone() }
    }

    /// What the token endpoint answers from now on.
    pub fn answer(&self, id_token: String) {
        *self.id_token.lock().unwrap() = id_token;
    }

    /// An ID token about Ada, after `change`.
    pub fn id_token(&self, nonce: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let mut head = json!({ "alg": "ES256", "typ": "JWT", "kid": "k" });
        let mut claims = json!({ "sub": "ada", "name": "Ada", "nonce": nonce });
        self.signed(&mut head, &mut claims, change)
    }

    /// A logout token about Ada, after `change`.
    pub fn logout_token(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let mut head = json!({ "alg": "ES256", "typ": "logout+jwt", "kid": "k" });
        let mut claims = json!({
            "sub": "ada", "jti": uuid::Uuid::new_v4().to_string(),
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        self.signed(&mut head, &mut claims, change)
    }

    fn signed(
        &self,
        head: &mut Value,
        claims: &mut Value,
        change: impl FnOnce(&mut Value, &mut Value),
    ) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        claims["iss"] = json!(self.issuer);
        claims["aud"] = json!("c");
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 120);
        change(head, claims);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}
