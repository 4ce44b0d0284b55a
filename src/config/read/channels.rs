//! `[channels.<name>]` and `[jobs]`: ways in other than the page.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::House;
use crate::config::{
    model::{
        AssistantConfig, BackendAuth, BackendConfig, ChatConfig, JobsConfig, Rate, TenantRule,
        WebhookConfig, WebhookScheme, WidgetConfig, WidgetToken,
    },
    section::{Read, Section, Value, all},
    values,
};

const SLACK: &str = "https://slack.com/api/chat.postMessage";
const TELEGRAM: &str = "https://api.telegram.org";

/// A channel of either kind.
pub(super) enum Channel {
    Widget(WidgetConfig),
    Webhook(WebhookConfig),
}

/// Who can answer the people of a channel, as far as the rest of the file could be read.
pub(super) struct Answerers<'a> {
    pub house: &'a House<'a>,
    pub chat: &'a Read<Option<ChatConfig>>,
    pub assistants: &'a Read<BTreeMap<String, AssistantConfig>>,
    pub backends: &'a Read<BTreeMap<String, BackendConfig>>,
}

pub(super) fn channels(root: &Section<'_>, answerers: &Answerers<'_>) -> Read<Vec<Channel>> {
    all(root.named("channels").into_iter().map(|(name, value)| {
        value.table(|s| match s.has("webhook") {
            true => webhook(s, name, answerers).map(Channel::Webhook),
            false => widget(s, name, answerers).map(Channel::Widget),
        })
    }))
}

/// The channels by kind.
pub(super) fn sorted(
    channels: Vec<Channel>,
) -> (Vec<WidgetConfig>, BTreeMap<String, WebhookConfig>) {
    let (mut widgets, mut webhooks) = (Vec::new(), BTreeMap::new());
    for channel in channels {
        match channel {
            Channel::Widget(widget) => widgets.push(widget),
            Channel::Webhook(webhook) => {
                webhooks.insert(webhook.name.clone(), webhook);
            }
        }
    }
    (widgets, webhooks)
}

fn widget(s: &Section<'_>, name: &str, answerers: &Answerers<'_>) -> Read<WidgetConfig> {
    s.know("webhook");
    let one = s.optional("token", values::token);
    let more = s.optional("tokens", |v| v.list(|v| widget_token(v, answerers.house)));
    let assistant = s.optional("assistant", |v| assistant(v, answerers.house));
    let origins = s.defaulted("origins", |v| v.list(site), Vec::new());
    let tenant = s.optional("tenant", values::text);
    let usual = Rate { count: NonZeroU32::MIN.saturating_add(29), per: Duration::from_secs(60) };
    let rate = s.defaulted("rate", values::rate, usual);

    answerers.check(s, "assistant", &assistant, &tenant);
    if let Ok(Some(more)) = &more {
        for token in more.iter().filter(|token| token.assistant.is_some()) {
            answerers.check(s, "tokens", &Ok(token.assistant.clone()), &tenant);
        }
    }
    let one = one?.map(|token| WidgetToken { token, assistant: None });
    let tokens: Vec<_> = one.into_iter().chain(more?.unwrap_or_default()).collect();
    if tokens.is_empty() {
        return Err(s.refuse(
            "token",
            "is missing; write `token = \"${NAME}\"`, or `webhook` for a service that posts",
        ));
    }
    Ok(WidgetConfig {
        name: name.to_owned(),
        tokens,
        assistant: assistant?,
        origins: origins?,
        tenant: tenant?,
        rate: rate?,
    })
}

/// A token, or a table with one.
fn widget_token(value: &Value<'_>, house: &House<'_>) -> Read<WidgetToken> {
    if !value.is_table() {
        return values::token(value).map(|token| WidgetToken { token, assistant: None });
    }
    value.table(|s| {
        let token = s.required("token", "write `\"${NAME}\"`", values::token);
        let assistant = s.optional("assistant", |v| assistant(v, house));
        Ok(WidgetToken { token: token?, assistant: assistant? })
    })
}

/// The origin of a site, as browsers send it.
fn site(value: &Value<'_>) -> Read<String> {
    values::origin(value).map(|url| url.origin().ascii_serialization())
}

fn assistant(value: &Value<'_>, house: &House<'_>) -> Read<String> {
    values::name_of(value, "assistants", &house.assistants)
}

fn webhook(s: &Section<'_>, name: &str, answerers: &Answerers<'_>) -> Read<WebhookConfig> {
    let secret = s.required("secret", "write `\"${NAME}\"`", values::token);
    let url = s.optional("url", values::endpoint);
    let allow_http = s.defaulted("allow_http", |v| v.boolean(), false);
    let assistant = s.optional("assistant", |v| assistant(v, answerers.house));
    let tenant = s.optional("tenant", values::text);
    answerers.check(s, "assistant", &assistant, &tenant);
    let (scheme, usual) = scheme(s, secret)?;
    let url = match (url?, usual.and_then(|usual| Url::parse(usual).ok())) {
        (Some(url), _) | (None, Some(url)) => url,
        (None, None) => {
            return Err(s.refuse("url", "is missing; write where replies are posted to"));
        }
    };
    if matches!(scheme, WebhookScheme::Telegram { .. }) && url.query().is_some() {
        s.refuse("url", "has a query; write where `/bot<token>/sendMessage` is below");
    }
    if values::in_the_clear(&url) && !allow_http? {
        s.refuse(
            "url",
            "would send replies in the clear; write an https URL, or `allow_http = true` if the \
             network on the way is yours",
        );
    }
    Ok(WebhookConfig { name: name.to_owned(), scheme, url, assistant: assistant?, tenant: tenant? })
}

/// How posts prove themselves, and where replies usually go.
fn scheme(
    s: &Section<'_>,
    secret: Read<SecretString>,
) -> Read<(WebhookScheme, Option<&'static str>)> {
    let token = || s.required("token", "write the bot's token: `\"${NAME}\"`", values::token);
    match s.required("webhook", "", values::word)?.as_str() {
        "signed" => {
            if let Ok(secret) = &secret
                && !is_key(secret)
            {
                s.refuse(
                    "secret",
                    "is not a key; write `whsec_` and base64 of 16 bytes or more, or any text of 8 \
                     characters or more",
                );
            }
            s.know("token");
            if s.has("token") {
                s.refuse("token", "has no effect here; remove it");
            }
            Ok((WebhookScheme::Signed { secret: secret? }, None))
        }
        "slack" => {
            let token = token();
            Ok((WebhookScheme::Slack { secret: secret?, token: token? }, Some(SLACK)))
        }
        "telegram" => {
            let token = token();
            Ok((WebhookScheme::Telegram { secret: secret?, token: token? }, Some(TELEGRAM)))
        }
        _ => {
            s.know("token");
            Err(s.refuse("webhook", "is not known here; write `signed`, `slack` or `telegram`"))
        }
    }
}

/// Whether a secret can sign: one that is empty would let anybody do it.
fn is_key(secret: &SecretString) -> bool {
    let secret = secret.expose_secret();
    match secret.strip_prefix("whsec_") {
        Some(encoded) => BASE64_STANDARD.decode(encoded).is_ok_and(|key| key.len() >= 16),
        None => secret.len() >= 8,
    }
}

impl Answerers<'_> {
    /// Refuses a channel nobody can answer: its people have no tokens and no tenants of their own.
    fn check(
        &self,
        s: &Section<'_>,
        key: &str,
        assistant: &Read<Option<String>>,
        tenant: &Read<Option<String>>,
    ) {
        let (Ok(assistant), Ok(tenant)) = (assistant, tenant) else { return };
        if assistant.is_none() && !self.house.chat {
            s.refuse(key, "is missing, and there is no `[chat]`; write who is to answer");
        }
        let Some(backend) = self.backend(assistant.as_deref()) else { return };
        if !backend.auth.iter().any(BackendAuth::is_ours) {
            s.refuse(
                key,
                "is answered by a backend that takes only what people bring themselves; add \
                 \"client_credentials\", a `bearer` or \"none\" to its `auth`",
            );
        }
        if tenant.is_none() && backend.tenant != TenantRule::default() {
            s.refuse(
                "tenant",
                "is missing, and the backend of the assistant needs one; write whose data it sees",
            );
        }
    }

    /// The backend behind an assistant, or behind the usual one.
    fn backend(&self, assistant: Option<&str>) -> Option<&BackendConfig> {
        let usual = || self.chat.as_ref().ok()?.as_ref().map(|chat| chat.default.as_str());
        let assistant = self.assistants.as_ref().ok()?.get(assistant.or_else(usual)?)?;
        self.backends.as_ref().ok()?.get(&assistant.backend)
    }
}

pub(super) fn jobs(s: &Section<'_>) -> Read<JobsConfig> {
    let cron_secret = s.optional("cron_secret", values::token);
    let every = s.defaulted("every", values::span, Duration::from_secs(60));
    Ok(JobsConfig { cron_secret: cron_secret?, every: every? })
}
