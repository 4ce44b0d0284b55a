//! Answering the messages that came by webhook: each once, whatever crashes in between.
//!
//! A message is a row before its sender hears 200. From there it goes in two steps, each of which can
//! be begun again by whoever claims the row: the assistant writes the reply (a run, found again by
//! its request id), and the reply is posted (with backoff, under the same name every time).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{runtime::Handle, sync::Notify, task::JoinSet, time::interval};
use tokio_util::sync::CancellationToken;

use super::{
    outbound::{self, Undelivered},
    store::{DeliveryRow, DeliveryStore},
    webhook::Incoming,
};
use crate::{
    chat::{
        Chat,
        service::{Events, Place, Question},
        transcript::Transcript,
        wire::{MessageState, Started},
    },
    config::WebhookConfig,
    error::{Error, Kind, Result},
    session::{Caller, ChannelCaller, Identity},
    store::{Store, now},
    ui::reader::Habits,
};

/// How many are worked on at once.
const AT_ONCE: usize = 8;
/// How long one that is being worked on is nobody else's, in milliseconds; renewed as it goes on.
const CLAIM: i64 = 15_000;
const RENEWAL: Duration = Duration::from_secs(5);
/// How often the table is looked at when nobody says that there is something in it.
const LOOK: Duration = Duration::from_secs(1);
/// The waits before the next attempt, in seconds. After the last one it is given up.
const BACKOFF: [i64; 9] = [1, 5, 15, 60, 300, 900, 3_600, 10_800, 43_200];
/// The waits before the assistant is asked again.
const ASKING_AGAIN: [i64; 4] = [2, 10, 60, 300];
const SORRY: &str = "Sorry, I could not answer that. Please try again later.";

/// Messages that wait for their replies. Cheap to clone.
#[derive(Clone)]
pub struct Deliveries {
    inner: Arc<Inner>,
}

struct Inner {
    store: DeliveryStore,
    chat: Chat,
    channels: BTreeMap<String, WebhookConfig>,
    http: reqwest::Client,
    wake: Notify,
    stop: CancellationToken,
}

/// Where one step has led.
enum Outcome {
    /// The reply is written; posting it comes next.
    Answered(String),
    /// The reply is there.
    Delivered,
    /// The server is stopping; somebody goes on after the next start.
    Stopped,
    /// To be tried again in this many seconds.
    Later(i64),
    /// Nothing more can be done.
    Failed(String),
}

impl Deliveries {
    /// The deliveries of `channels`, answered by `chat`.
    pub fn new(
        store: Store,
        chat: Chat,
        channels: BTreeMap<String, WebhookConfig>,
        stop: CancellationToken,
    ) -> Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(Error::internal)?;
        let store = DeliveryStore::new(store);
        let wake = Notify::new();
        Ok(Self { inner: Arc::new(Inner { store, chat, channels, http, wake, stop }) })
    }

    /// The webhook channel called `name`.
    pub fn channel(&self, name: &str) -> Result<&WebhookConfig> {
        let unknown = || Error::not_found("There is no such channel here.");
        self.inner.channels.get(name).ok_or_else(unknown)
    }

    /// Keeps a message; once this returns it will be answered. The same delivery, sent again, is
    /// known and not answered twice.
    pub async fn receive(&self, channel: &str, incoming: &Incoming) -> Result<()> {
        if self.inner.store.receive(channel, incoming).await? {
            self.inner.wake.notify_one();
        }
        Ok(())
    }

    /// Works on what is due, on `runtime`, until the server stops.
    pub fn work(&self, runtime: &Handle) {
        if self.inner.channels.is_empty() {
            return;
        }
        let this = self.clone();
        runtime.spawn(async move { this.work_until_stopped().await });
    }

    /// Takes nothing up any more; what is under way is left for the next start.
    pub fn stop(&self) {
        self.inner.stop.cancel();
    }

    /// Looks at the table at once; answers how many wait.
    pub async fn wake(&self) -> Result<i64> {
        self.inner.wake.notify_one();
        Ok(self.inner.store.waiting().await?)
    }

    /// Forgets what was over long ago.
    pub async fn prune(&self) -> Result<u64> {
        Ok(self.inner.store.prune().await?)
    }

    async fn work_until_stopped(&self) {
        let mut working = JoinSet::new();
        loop {
            if let Err(error) = self.take_up(&mut working).await {
                tracing::warn!(%error, "deliveries could not be looked up; trying again");
            }
            tokio::select! {
                () = self.inner.stop.cancelled() => break,
                () = self.inner.wake.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                Some(_) = working.join_next() => {}
            }
        }
        while working.join_next().await.is_some() {}
    }

    async fn take_up(&self, working: &mut JoinSet<()>) -> Result<()> {
        let free = AT_ONCE.saturating_sub(working.len());
        if free == 0 {
            return Ok(());
        }
        let limit = i64::try_from(free).unwrap_or(1);
        for row in self.inner.store.due(limit).await? {
            if let Some(row) = self.inner.store.claim(&row, CLAIM).await? {
                let this = self.clone();
                working.spawn(async move { this.take_step(row).await });
            }
        }
        Ok(())
    }

    /// Takes one step, keeping others off the row meanwhile. Whoever has lost it stops.
    async fn take_step(&self, mut row: DeliveryRow) {
        let mut clock = interval(RENEWAL);
        clock.tick().await;
        let taken = row.clone();
        let step = self.step(&taken);
        tokio::pin!(step);
        let outcome = loop {
            tokio::select! {
                outcome = &mut step => break outcome,
                _ = clock.tick() => match self.inner.store.renew(&row, CLAIM).await {
                    Ok(Some(renewed)) => row = renewed,
                    Ok(None) => return tracing::warn!("a delivery was taken over by another node"),
                    Err(cause) => tracing::warn!(%cause, "a claim could not be renewed"),
                },
            }
        };
        if let Err(cause) = self.note(&row, outcome).await {
            tracing::warn!(%cause, "how a delivery went could not be noted; it will be tried again");
        }
    }

    async fn step(&self, row: &DeliveryRow) -> Outcome {
        match (self.inner.channels.get(&row.channel), &row.answer) {
            (None, _) => Outcome::Failed("its channel is no longer configured".to_owned()),
            (Some(channel), None) => self.answer(channel, row).await,
            (Some(channel), Some(answer)) => self.deliver(channel, row, answer).await,
        }
    }

    async fn note(&self, row: &DeliveryRow, outcome: Outcome) -> sqlx::Result<bool> {
        let store = &self.inner.store;
        match outcome {
            Outcome::Answered(text) => {
                let kept = store.answered(row, &text).await;
                self.inner.wake.notify_one();
                kept
            }
            Outcome::Delivered => store.finish(row, true).await,
            Outcome::Stopped => store.again(row, row.attempts - 1, now()).await,
            Outcome::Later(seconds) => {
                let due_at = now().saturating_add(seconds.saturating_mul(1000));
                store.again(row, row.attempts, due_at).await
            }
            Outcome::Failed(cause) => {
                let (channel, delivery) = (&row.channel, &row.delivery);
                tracing::warn!(cause, channel, delivery, "a delivery was given up");
                store.finish(row, false).await
            }
        }
    }

    /// Has the assistant write the reply, or finds the one it wrote already.
    async fn answer(&self, channel: &WebhookConfig, row: &DeliveryRow) -> Outcome {
        let caller = caller(channel);
        let reply = match self.ask(&caller, row).await {
            Ok(started) => self.reply(&caller, row, started).await,
            Err(error) => Err(error),
        };
        match reply {
            Ok(Some(text)) => Outcome::Answered(text),
            Ok(None) => Outcome::Stopped,
            // Asking again does not make a message shorter.
            Err(error) if matches!(error.kind(), Kind::BadRequest | Kind::TooLarge) => {
                Outcome::Answered(error.message().to_owned())
            }
            Err(error) => {
                tracing::warn!(%error, channel = row.channel, "a message is not answered yet");
                let pause = pause(&ASKING_AGAIN, row);
                pause.map_or_else(|| Outcome::Answered(SORRY.to_owned()), Outcome::Later)
            }
        }
    }

    async fn ask(&self, caller: &Caller, row: &DeliveryRow) -> Result<Started> {
        let Inner { store, chat, .. } = &*self.inner;
        let question = Question {
            conversation: store.conversation(&row.channel, &row.thread).await?.map(Place::Id),
            text: row.text.clone(),
            request_id: Some(format!("{} {}", row.channel, row.id)),
            ..Question::default()
        };
        let started = chat.ask(caller, question).await?;
        store.name_thread(row, &started.conversation).await?;
        Ok(started)
    }

    /// The text of a run once it is whole; nothing when the server stops first.
    async fn reply(
        &self,
        caller: &Caller,
        row: &DeliveryRow,
        run: Started,
    ) -> Result<Option<String>> {
        let chat = &self.inner.chat;
        let mut reply = gather(chat.follow(caller, &run.run, 0).await?).await;
        let is_first_attempt = row.attempts <= 1;
        let is_left_over = reply.state == MessageState::Interrupted || !is_first_attempt;
        // What a crash or an earlier attempt left behind is taken up again.
        if !reply.is_whole() && is_left_over && !self.inner.stop.is_cancelled() {
            let again = chat.resume(caller, &run.message, Habits::default()).await?;
            reply = gather(chat.follow(caller, &again.run, 0).await?).await;
        }
        match reply.is_whole() {
            true => Ok(Some(reply.text)),
            false if self.inner.stop.is_cancelled() => Ok(None),
            false => Err(Error::bad_gateway("The assistant could not finish its reply.")),
        }
    }

    async fn deliver(&self, channel: &WebhookConfig, row: &DeliveryRow, answer: &str) -> Outcome {
        let Inner { http, store, .. } = &*self.inner;
        match outbound::post(http, store, channel, row, answer).await {
            Ok(()) => Outcome::Delivered,
            Err(Undelivered::Never(cause)) => Outcome::Failed(cause),
            Err(Undelivered::Later(cause)) => {
                tracing::info!(cause, channel = row.channel, "a reply is not delivered yet");
                pause(&BACKOFF, row).map_or_else(|| Outcome::Failed(cause), Outcome::Later)
            }
        }
    }
}

/// How long to wait after this attempt, unless it was the last.
fn pause(pauses: &[i64], row: &DeliveryRow) -> Option<i64> {
    let index = usize::try_from(row.attempts - 1).ok()?;
    pauses.get(index).copied()
}

struct Reply {
    text: String,
    state: MessageState,
}

impl Reply {
    fn is_whole(&self) -> bool {
        matches!(self.state, MessageState::Done | MessageState::Stopped)
    }
}

async fn gather(mut events: Events) -> Reply {
    let mut told = Transcript::default();
    while let Some((_, event)) = events.next().await {
        told.apply(event);
    }
    let state = told.outcome.as_ref().map_or(MessageState::Interrupted, |outcome| outcome.state);
    Reply { text: told.text(), state }
}

fn caller(channel: &WebhookConfig) -> Caller {
    Caller::Channel(Arc::new(ChannelCaller {
        identity: Identity::of_channel(&channel.name, channel.tenant.as_deref()),
        assistant: channel.assistant.clone(),
        visitor: None,
    }))
}
