//! Posting a reply to the service that the question came from.

use reqwest::{RequestBuilder, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{store::DeliveryRow, webhook};
use crate::{
    config::{WebhookConfig, WebhookScheme},
    store::now,
};

/// Why a reply is not there yet.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// It may go through later.
    #[error("{0}")]
    Later(String),
    /// It never will.
    #[error("{0}")]
    Never(String),
}

/// Posts `answer` to where `row` came from.
pub async fn post(
    http: &reqwest::Client,
    channel: &WebhookConfig,
    row: &DeliveryRow,
    answer: &str,
) -> Result<(), Undelivered> {
    let request = request(http, channel, row, answer)
        .ok_or_else(|| Undelivered::Never("the channel's secret cannot sign".to_owned()))?;
    // Not the error itself: it names the address, which can hold a token.
    let reply = request.send().await.map_err(|cause| {
        Undelivered::Later(format!("the channel cannot be reached: {}", cause.without_url()))
    })?;
    let status = reply.status();
    if !status.is_success() {
        return Err(refused(status));
    }
    match channel.scheme {
        WebhookScheme::Slack { .. } => heard_by_slack(reply.json().await.unwrap_or_default()),
        WebhookScheme::Signed { .. } | WebhookScheme::Telegram { .. } => Ok(()),
    }
}

fn request(
    http: &reqwest::Client,
    channel: &WebhookConfig,
    row: &DeliveryRow,
    answer: &str,
) -> Option<RequestBuilder> {
    let url = channel.url.as_str();
    Some(match &channel.scheme {
        WebhookScheme::Signed { secret } => {
            let body = json!({ "thread": row.thread, "in_reply_to": row.delivery, "text": answer });
            let body = body.to_string();
            // The same for every attempt, so that whoever takes it twice can tell.
            let id = format!("reply-{}", row.delivery);
            let timestamp = now() / 1000;
            let signature = webhook::sign(secret, &id, timestamp, body.as_bytes())?;
            http.post(url)
                .header("content-type", "application/json")
                .header("webhook-id", id)
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", signature)
                .body(body)
        }
        WebhookScheme::Slack { token, .. } => {
            let (channel, thread) = match row.thread.split_once(' ') {
                Some((channel, thread)) => (channel, Some(thread)),
                None => (row.thread.as_str(), None),
            };
            let body = json!({ "channel": channel, "thread_ts": thread, "text": answer });
            http.post(url).bearer_auth(token.expose_secret()).json(&body)
        }
        WebhookScheme::Telegram { token, .. } => {
            let url =
                format!("{}/bot{}/sendMessage", url.trim_end_matches('/'), token.expose_secret());
            http.post(url).json(&json!({ "chat_id": row.thread, "text": answer }))
        }
    })
}

fn refused(status: StatusCode) -> Undelivered {
    let what = format!("the channel answered {status}");
    match status.as_u16() {
        408 | 425 | 429 | 500.. => Undelivered::Later(what),
        _ => Undelivered::Never(what),
    }
}

/// Slack answers 200 to everything and tells the truth in the body.
fn heard_by_slack(reply: Value) -> Result<(), Undelivered> {
    if reply["ok"] == true {
        return Ok(());
    }
    let error = reply["error"].as_str().unwrap_or("no reason");
    let what = format!("Slack answered {error}");
    match error {
        "channel_not_found" | "is_archived" | "invalid_auth" | "not_in_channel"
        | "token_revoked" => Err(Undelivered::Never(what)),
        _ => Err(Undelivered::Later(what)),
    }
}
