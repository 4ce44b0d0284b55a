//! Answering the messages that came by webhook: each once, whatever crashes in between.
//!
//! A message is a row before its sender hears 200. From there it goes in two steps, each of which can
//! be begun again: the assistant writes the reply (a run, found again by its request id), and the
//! reply is posted (with backoff, under the same name every time).

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
        service::{Events, Question},
        wire::{MessageState, RunEvent, Started},
    },
    config::WebhookConfig,
    error::{Error, Kind, Result},
    session::{Caller, ChannelCaller, Identity},
    store::{Store, now},
};

/// How many are worked on at once.
const AT_ONCE: usize = 8;
/// How long one that is being worked on is nobody else's, in milliseconds; renewed as it goes on.
const CLAIM: i64 = 15_000;
const RENEWAL: Duration = Duration::from_secs(5);
/// How often the table is looked at when nobody says that there is something in it.
const LOOK: Duration = Duration::from_secs(1);
/// How long a message waits for the one before it in the same thread, in milliseconds.
const IN_LINE: i64 = 500;
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

/// Where a step has led.
enum Step {
    /// This one is done; the next can be taken at once.
    Done,
    /// Somebody else is at it, or the server is stopping.
    Leave,
    /// To be tried again after this many milliseconds. Counts as an attempt, or does not.
    Again { millis: i64, counts: bool },
    /// Nothing more can be done.
    GiveUp(String),
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
                working.spawn(async move { this.see_through(row).await });
            }
        }
        Ok(())
    }

    /// Takes a message as far as it goes now, keeping others off it meanwhile.
    async fn see_through(&self, mut row: DeliveryRow) {
        let outcome = {
            let mut at = row.clone();
            let work = self.steps(row.clone());
            tokio::pin!(work);
            let mut clock = interval(RENEWAL);
            clock.tick().await;
            loop {
                tokio::select! {
                    outcome = &mut work => break outcome,
                    _ = clock.tick() => {
                        if let Ok(Some(renewed)) = self.inner.store.claim(&at, CLAIM).await {
                            at = renewed;
                        }
                    }
                }
            }
        };
        row.attempts = outcome.1;
        if let Err(error) = self.note(&row, outcome.0).await {
            tracing::warn!(%error, "how a delivery went could not be noted; it will be tried again");
        }
    }

    /// Both steps, one after the other; with how often the last one was tried before.
    async fn steps(&self, row: DeliveryRow) -> (Step, i64) {
        let Some(channel) = self.inner.channels.get(&row.channel) else {
            return (Step::GiveUp("its channel is no longer configured".to_owned()), row.attempts);
        };
        let (answer, attempts) = match &row.answer {
            Some(answer) => (answer.clone(), row.attempts),
            None => match self.answer(channel, &row).await {
                Ok(answer) => (answer, 0),
                Err(step) => return (step, row.attempts),
            },
        };
        if row.answer.is_none()
            && let Err(cause) = self.inner.store.answered(row.id, &answer).await
        {
            tracing::warn!(%cause, "a reply could not be kept; it will be taken up again");
            return (Step::Leave, row.attempts);
        }
        (self.deliver(channel, &row, &answer, attempts).await, attempts)
    }

    async fn note(&self, row: &DeliveryRow, step: Step) -> Result<()> {
        let store = &self.inner.store;
        match step {
            Step::Done => store.finish(row.id, "delivered").await?,
            Step::Leave => store.again(row.id, row.attempts, now()).await?,
            Step::Again { millis, counts } => {
                let attempts = row.attempts + i64::from(counts);
                store.again(row.id, attempts, now().saturating_add(millis)).await?;
            }
            Step::GiveUp(cause) => {
                let (channel, delivery) = (&row.channel, &row.delivery);
                tracing::warn!(cause, channel, delivery, "a delivery was given up");
                store.finish(row.id, "failed").await?;
            }
        }
        Ok(())
    }

    /// Has the assistant write the reply, or finds the one it wrote already.
    async fn answer(&self, channel: &WebhookConfig, row: &DeliveryRow) -> Result<String, Step> {
        let caller = caller(channel);
        match self.ask(&caller, channel, row).await {
            Ok(started) => self.reply(&caller, row, started).await,
            Err(error) => self.not_answered(row, &error),
        }
    }

    async fn ask(
        &self,
        caller: &Caller,
        channel: &WebhookConfig,
        row: &DeliveryRow,
    ) -> Result<Started> {
        let Inner { store, chat, .. } = &*self.inner;
        let question = Question {
            conversation: store.conversation(&row.channel, &row.thread).await?,
            text: row.text.clone(),
            request_id: Some(format!("{} {}", row.channel, row.id)),
            assistant: channel.assistant.clone(),
        };
        let started = chat.ask(caller, question).await?;
        store.name_thread(row, &started.conversation).await?;
        Ok(started)
    }

    async fn reply(
        &self,
        caller: &Caller,
        row: &DeliveryRow,
        run: Started,
    ) -> Result<String, Step> {
        let reply = self.read(caller, row, &run.run).await?;
        if reply.is_whole() {
            return Ok(reply.text);
        }
        if self.inner.stop.is_cancelled() {
            return Err(Step::Leave);
        }
        // What a crash or an earlier attempt left behind is taken up again.
        if reply.state == MessageState::Interrupted || row.attempts > 0 {
            let again = self.inner.chat.resume(caller, &run.message).await;
            let again = match again {
                Ok(again) => self.read(caller, row, &again.run).await?,
                Err(error) => return self.not_answered(row, &error),
            };
            if again.is_whole() {
                return Ok(again.text);
            }
        }
        self.not_answered(row, &Error::bad_gateway("The assistant could not finish its reply."))
    }

    async fn read(&self, caller: &Caller, row: &DeliveryRow, run: &str) -> Result<Reply, Step> {
        match self.inner.chat.follow(caller, run, 0).await {
            Ok(events) => Ok(gather(events).await),
            Err(error) => Err(self.again(row, &error)),
        }
    }

    /// What to say when there is no reply: nothing yet, or in the end that there is none.
    fn not_answered(&self, row: &DeliveryRow, error: &Error) -> Result<String, Step> {
        match self.again(row, error) {
            Step::GiveUp(_) => Ok(SORRY.to_owned()),
            step => Err(step),
        }
    }

    fn again(&self, row: &DeliveryRow, error: &Error) -> Step {
        if error.kind() == Kind::Conflict {
            return Step::Again { millis: IN_LINE, counts: false };
        }
        tracing::warn!(%error, channel = row.channel, "a message could not be answered yet");
        match usize::try_from(row.attempts).ok().and_then(|tried| ASKING_AGAIN.get(tried)) {
            Some(seconds) => Step::Again { millis: seconds * 1000, counts: true },
            None => Step::GiveUp(error.to_string()),
        }
    }

    async fn deliver(
        &self,
        channel: &WebhookConfig,
        row: &DeliveryRow,
        answer: &str,
        attempts: i64,
    ) -> Step {
        match outbound::post(&self.inner.http, channel, row, answer).await {
            Ok(()) => Step::Done,
            Err(Undelivered::Never(cause)) => Step::GiveUp(cause),
            Err(Undelivered::Later(cause)) => {
                tracing::info!(cause, channel = row.channel, "a reply could not be delivered yet");
                match usize::try_from(attempts).ok().and_then(|tried| BACKOFF.get(tried)) {
                    Some(seconds) => Step::Again { millis: seconds * 1000, counts: true },
                    None => Step::GiveUp(cause),
                }
            }
        }
    }
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
    let mut reply = Reply { text: String::new(), state: MessageState::Interrupted };
    while let Some((_, event)) = events.next().await {
        match event {
            RunEvent::Text { text } => reply.text.push_str(&text),
            RunEvent::Whole { text, .. } => reply.text = text,
            RunEvent::End { state, .. } => reply.state = state,
            RunEvent::Block { .. } => {}
        }
    }
    reply
}

fn caller(channel: &WebhookConfig) -> Caller {
    Caller::Channel(Arc::new(ChannelCaller {
        identity: Identity {
            issuer: "channel".to_owned(),
            subject: channel.name.clone(),
            name: channel.name.clone(),
            tenant: channel.tenant.clone(),
            roles: Vec::new(),
        },
        assistant: channel.assistant.clone(),
    }))
}
