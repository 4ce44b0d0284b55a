//! Posting a reply to the service that the question came from.

use reqwest::{RequestBuilder, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    store::{DeliveryRow, DeliveryStore},
    webhook,
};
use crate::{
    config::{WebhookConfig, WebhookScheme},
    store::now,
};

/// What is said when the assistant said nothing.
const NOTHING: &str = "(no reply)";

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

/// Posts `answer` to where `row` came from, in as many pieces as it takes there; not those again that
/// were taken before.
pub async fn post(
    http: &reqwest::Client,
    store: &DeliveryStore,
    channel: &WebhookConfig,
    row: &DeliveryRow,
    answer: &str,
) -> Result<(), Undelivered> {
    let answer = if answer.trim().is_empty() { NOTHING } else { answer };
    let longest = match channel.scheme {
        WebhookScheme::Signed { .. } => usize::MAX,
        WebhookScheme::Slack { .. } => 30_000,
        WebhookScheme::Telegram { .. } => 4_000,
    };
    for (number, piece) in (1..).zip(pieces(answer, longest)) {
        if number > row.pieces {
            post_piece(http, channel, row, piece).await?;
            store.took(row, number).await.map_err(|cause| Undelivered::Later(cause.to_string()))?;
        }
    }
    Ok(())
}

/// `text` in pieces of at most `longest` UTF-16 units, cut behind a line where there is one.
fn pieces(text: &str, longest: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let mut units = 0;
        let fits = rest
            .char_indices()
            .find(|(_, letter)| {
                units += letter.len_utf16();
                units > longest
            })
            .map_or(rest.len(), |(index, _)| index);
        let at_line = rest[..fits].rfind('\n').map(|index| index + 1);
        let end = if fits == rest.len() { fits } else { at_line.unwrap_or(fits) };
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

async fn post_piece(
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

/// Most refusals pass: a receiver that is being replaced answers anything for a minute.
fn refused(status: StatusCode) -> Undelivered {
    let what = format!("the channel answered {status}");
    match status {
        StatusCode::GONE => Undelivered::Never(what),
        _ => Undelivered::Later(what),
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

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn a_long_reply_is_cut_behind_lines() {
        assert_eq!(pieces("short", 10), ["short"]);
        assert_eq!(pieces("one\ntwo\nthree", 9), ["one\ntwo\n", "three"]);
        assert_eq!(pieces("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(pieces("😀😀😀", 4), ["😀😀", "😀"]);
        let long = "word\n".repeat(5_000);
        let cut = pieces(&long, 4_000);
        assert!(cut.iter().all(|piece| piece.len() <= 4_000) && cut.concat() == long);
    }
}
