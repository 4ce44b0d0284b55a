//! Reading what other services post: is it theirs, is it fresh, what does it say?
//!
//! Every scheme is checked over the raw body, before a byte of it is parsed.

use std::time::Duration;

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{config::WebhookScheme, store::now};

/// How far a sender's clock may be from ours, and how long a signature is good.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// What a post turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Post {
    /// A message to answer.
    Message(Incoming),
    /// The sender wants this text back, to see that we are here.
    Challenge(String),
    /// Nothing for us: an edit, somebody joining, our own words.
    Other,
}

/// A message from another service.
#[derive(Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The sender's own name for the post; the same one counts once.
    pub delivery: String,
    /// Where it was said, as the service names it.
    pub thread: String,
    /// What was said.
    pub text: String,
}

/// Why a post was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the signature is missing, wrong or too old")]
    Signature,
    #[error("the body is not what this channel understands")]
    Body,
}

/// Checks a post and reads it.
pub fn read(scheme: &WebhookScheme, headers: &HeaderMap, body: &[u8]) -> Result<Post, Refused> {
    match scheme {
        WebhookScheme::Signed { secret } => {
            check_signed(secret, headers, body)?;
            signed(text(headers, "webhook-id")?, body)
        }
        WebhookScheme::Slack { secret, .. } => {
            check_slack(secret, headers, body)?;
            slack(body)
        }
        WebhookScheme::Telegram { secret, .. } => {
            check_telegram(secret, headers)?;
            telegram(body)
        }
    }
}

/// The signature of a post of ours, in the form that [`WebhookScheme::Signed`] takes.
pub fn sign(secret: &SecretString, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let mac = signed_mac(secret, id, timestamp, body)?;
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

// === Standard Webhooks (standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body` ===

fn check_signed(secret: &SecretString, headers: &HeaderMap, body: &[u8]) -> Result<(), Refused> {
    let id = text(headers, "webhook-id")?;
    let timestamp = fresh(text(headers, "webhook-timestamp")?)?;
    let signatures = text(headers, "webhook-signature")?;
    let mac = signed_mac(secret, id, timestamp, body).ok_or(Refused::Signature)?;
    // Several, while a secret is being replaced.
    let fits = signatures.split(' ').any(|signature| {
        let given = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        given.is_some_and(|given| mac.clone().verify_slice(&given).is_ok())
    });
    fits.then_some(()).ok_or(Refused::Signature)
}

fn signed_mac(
    secret: &SecretString,
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> Option<Hmac<Sha256>> {
    let secret = secret.expose_secret();
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).ok()?,
        None => secret.as_bytes().to_vec(),
    };
    let mut mac = mac(&key)?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(mac)
}

fn signed(id: &str, body: &[u8]) -> Result<Post, Refused> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(alias = "message")]
        text: String,
        #[serde(alias = "conversationId", alias = "channelId")]
        thread: Option<String>,
    }
    let body: Body = serde_json::from_slice(body).map_err(|_| Refused::Body)?;
    Ok(message(id.to_owned(), body.thread.unwrap_or_else(|| id.to_owned()), body.text))
}

// === Slack: HMAC-SHA256 over `v0:timestamp:body` ===

fn check_slack(secret: &SecretString, headers: &HeaderMap, body: &[u8]) -> Result<(), Refused> {
    let timestamp = fresh(text(headers, "x-slack-request-timestamp")?)?;
    let given = text(headers, "x-slack-signature")?.strip_prefix("v0=").and_then(from_hex);
    let mut mac = mac(secret.expose_secret().as_bytes()).ok_or(Refused::Signature)?;
    mac.update(format!("v0:{timestamp}:").as_bytes());
    mac.update(body);
    mac.verify_slice(&given.ok_or(Refused::Signature)?).map_err(|_| Refused::Signature)
}

fn slack(body: &[u8]) -> Result<Post, Refused> {
    let body: Value = serde_json::from_slice(body).map_err(|_| Refused::Body)?;
    let at = |path: &str| body.pointer(path).and_then(Value::as_str);
    if at("/type") == Some("url_verification") {
        return at("/challenge").map(|text| Post::Challenge(text.to_owned())).ok_or(Refused::Body);
    }
    let is_said = matches!(at("/event/type"), Some("message" | "app_mention"))
        && at("/event/subtype").is_none()
        && body.pointer("/event/bot_id").is_none();
    if at("/type") != Some("event_callback") || !is_said {
        return Ok(Post::Other);
    }
    match (at("/event_id"), at("/event/channel"), at("/event/text")) {
        (Some(id), Some(channel), Some(text)) => {
            // A thread is a channel and the message it began with.
            let thread = match at("/event/thread_ts") {
                Some(begin) => format!("{channel} {begin}"),
                None => channel.to_owned(),
            };
            // Being mentioned where one listens anyway makes two events of one message.
            let delivery = match at("/event/ts") {
                Some(moment) => format!("{channel} {moment}"),
                None => id.to_owned(),
            };
            Ok(message(delivery, thread, without_mentions(text)))
        }
        _ => Err(Refused::Body),
    }
}

/// `<@U123> hello` → `hello`: being called is not part of the question.
fn without_mentions(text: &str) -> String {
    let mut rest = text.trim();
    while let Some((_, after)) = rest.strip_prefix("<@").and_then(|rest| rest.split_once('>')) {
        rest = after.trim_start();
    }
    rest.to_owned()
}

// === Telegram: a secret in a header ===

fn check_telegram(secret: &SecretString, headers: &HeaderMap) -> Result<(), Refused> {
    let given = text(headers, "x-telegram-bot-api-secret-token")?;
    let same: bool = given.as_bytes().ct_eq(secret.expose_secret().as_bytes()).into();
    same.then_some(()).ok_or(Refused::Signature)
}

fn telegram(body: &[u8]) -> Result<Post, Refused> {
    let body: Value = serde_json::from_slice(body).map_err(|_| Refused::Body)?;
    let id = body.get("update_id").and_then(Value::as_i64).ok_or(Refused::Body)?;
    let chat = body.pointer("/message/chat/id").and_then(Value::as_i64);
    let said = body.pointer("/message/text").and_then(Value::as_str);
    match (chat, said) {
        (Some(chat), Some(text)) => Ok(message(id.to_string(), chat.to_string(), text.to_owned())),
        _ => Ok(Post::Other),
    }
}

// === All of them ===

fn message(delivery: String, thread: String, text: String) -> Post {
    match text.trim() {
        "" => Post::Other,
        text => Post::Message(Incoming { delivery, thread, text: text.to_owned() }),
    }
}

fn mac(key: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(key).ok()
}

/// Exactly one header of that name.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(value), None) if !value.is_empty() => Ok(value),
        _ => Err(Refused::Signature),
    }
}

fn fresh(timestamp: &str) -> Result<i64, Refused> {
    let seconds: i64 = timestamp.parse().map_err(|_| Refused::Signature)?;
    let off = (now() / 1000).abs_diff(seconds);
    (off <= TOLERANCE.as_secs()).then_some(seconds).ok_or(Refused::Signature)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn secret() -> SecretString {
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()
    }

    fn post(id: &str, timestamp: i64, body: &[u8]) -> Result<Post, Refused> {
        let signature = sign(&secret(), "msg", now() / 1000, b"{\"text\":\"hi\"}").unwrap();
        let timestamp = timestamp.to_string();
        let headers = headers(&[
            ("webhook-id", id),
            ("webhook-timestamp", &timestamp),
            ("webhook-signature", &format!("v1,AAAA {signature} v2,x")),
        ]);
        read(&WebhookScheme::Signed { secret: secret() }, &headers, body)
    }

    /// The example that the specification's own libraries test with.
    #[test]
    fn signs_as_the_standard_says() {
        let signature =
            sign(&secret(), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, br#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_signed_post_is_taken_once_it_fits_in_every_part() {
        let seconds = now() / 1000;
        let body = b"{\"text\":\"hi\"}";
        let expected = Incoming { delivery: "msg".into(), thread: "msg".into(), text: "hi".into() };
        assert_eq!(post("msg", seconds, body), Ok(Post::Message(expected)));
        assert_eq!(post("other", seconds, body), Err(Refused::Signature));
        assert_eq!(post("msg", seconds - 1, body), Err(Refused::Signature));
        assert_eq!(post("msg", seconds - 400, body), Err(Refused::Signature));
        assert_eq!(post("msg", seconds, b"{\"text\":\"ho\"}"), Err(Refused::Signature));
        let bare = read(&WebhookScheme::Signed { secret: secret() }, &HeaderMap::new(), body);
        assert_eq!(bare, Err(Refused::Signature));
    }

    fn slack_post(timestamp: i64, body: &str, secret: &str) -> Result<Post, Refused> {
        let mut mac = mac(b"shh").unwrap();
        mac.update(format!("v0:{timestamp}:{body}").as_bytes());
        let hex: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let headers = headers(&[
            ("x-slack-request-timestamp", &timestamp.to_string()),
            ("x-slack-signature", &format!("v0={hex}")),
        ]);
        let scheme = WebhookScheme::Slack { secret: secret.into(), token: "t".into() };
        read(&scheme, &headers, body.as_bytes())
    }

    #[test]
    fn slack_says_what_was_said_and_where() {
        let body = r#"{"type":"event_callback","event_id":"Ev1","event":
            {"type":"app_mention","text":"<@U1> hello there","channel":"C1","thread_ts":"1.2"}}"#;
        let said = slack_post(now() / 1000, body, "shh").unwrap();
        let expected = Incoming {
            delivery: "Ev1".into(),
            thread: "C1 1.2".into(),
            text: "hello there".into(),
        };
        assert_eq!(said, Post::Message(expected));
        assert_eq!(slack_post(now() / 1000, body, "other"), Err(Refused::Signature));
        assert_eq!(slack_post(now() / 1000 - 400, body, "shh"), Err(Refused::Signature));
        let ours = body.replace("\"channel\"", "\"bot_id\":\"B1\",\"channel\"");
        assert_eq!(slack_post(now() / 1000, &ours, "shh"), Ok(Post::Other));
        let hello = r#"{"type":"url_verification","challenge":"abc"}"#;
        assert_eq!(slack_post(now() / 1000, hello, "shh"), Ok(Post::Challenge("abc".into())));
    }

    #[test]
    fn telegram_proves_itself_by_a_secret() {
        let scheme = WebhookScheme::Telegram { secret: "shh".into(), token: "t".into() };
        let body = br#"{"update_id":7,"message":{"chat":{"id":-42},"text":"hi"}}"#;
        let told =
            |secret| read(&scheme, &headers(&[("x-telegram-bot-api-secret-token", secret)]), body);
        let expected = Incoming { delivery: "7".into(), thread: "-42".into(), text: "hi".into() };
        assert_eq!(told("shh"), Ok(Post::Message(expected)));
        assert_eq!(told("sh"), Err(Refused::Signature));
        assert_eq!(read(&scheme, &HeaderMap::new(), body), Err(Refused::Signature));
    }
}
