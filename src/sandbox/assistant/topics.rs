//! How people speak about the collections: the words that mean one, the number and the date that
//! matter most in it, and the adjectives that stand for several values.

use super::words::Words;
use crate::sandbox::collections::{COLLECTIONS, Collection, Field};

/// A collection as people speak of it.
#[derive(Debug)]
pub(super) struct Topic {
    group: &'static str,
    name: &'static str,
    /// What many records are called.
    pub(super) plural: &'static str,
    /// Phrases, in the singular, that mean this collection.
    phrases: &'static [&'static str],
    /// Phrases that mean it when nothing names a collection outright.
    hints: &'static [&'static str],
    measure: Option<&'static str>,
    when: Option<&'static str>,
    columns: &'static [&'static str],
    /// An adjective, and the values of a field it stands for.
    pub(super) states: &'static [State],
}

type State = (&'static str, &'static str, &'static [&'static str]);

/// A topic with its collection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub(super) topic: &'static Topic,
    pub(super) collection: &'static Collection,
}

impl Subject {
    /// Every subject there is.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        COLLECTIONS.iter().filter_map(|collection| {
            let same =
                |topic: &&Topic| (topic.group, topic.name) == (collection.group, collection.name);
            TOPICS.iter().find(same).map(|topic| Self { topic, collection })
        })
    }

    /// What the words are about: the longest phrase wins, then the plainest, then the first.
    pub(super) fn of(words: &Words) -> Option<(Self, Mention)> {
        let named = Self::all().flat_map(|subject| {
            let phrases = subject.topic.phrases.iter().map(|phrase| (*phrase, true));
            let hints = subject.topic.hints.iter().map(|phrase| (*phrase, false));
            phrases.chain(hints).map(move |(phrase, plain)| (subject, phrase, plain))
        });
        named
            .filter_map(|(subject, phrase, plain)| {
                let at = words.find(phrase)?;
                let long = phrase.split(' ').count();
                let rank = (long, plain, usize::MAX - at);
                Some((rank, subject, Mention { at, long, phrase }))
            })
            .max_by_key(|(rank, ..)| *rank)
            .map(|(_, subject, mention)| (subject, mention))
    }

    /// The subject at `<group>/<name>`.
    pub(super) fn at(group: &str, name: &str) -> Option<Self> {
        Self::all().find(|it| it.collection.group == group && it.collection.name == name)
    }

    /// The subject that one word names outright.
    pub(super) fn called(word: &str) -> Option<Self> {
        let word = word.to_lowercase();
        let singular = word.strip_suffix('s').unwrap_or(&word);
        Self::all()
            .find(|it| it.topic.phrases.iter().any(|known| [&*word, singular].contains(known)))
    }

    /// Whether the words name any subject outright.
    pub(super) fn is_named(words: &Words) -> bool {
        Self::all().any(|it| it.topic.phrases.iter().any(|phrase| words.has(phrase)))
    }

    /// The number that matters most, if there is one.
    pub(super) fn measure(&self) -> Option<&'static Field> {
        self.topic.measure.and_then(|name| self.collection.field(name))
    }

    /// The date that matters most, if there is one.
    pub(super) fn when(&self) -> Option<&'static Field> {
        self.topic.when.and_then(|name| self.collection.field(name))
    }

    /// The fields worth a column.
    pub(super) fn columns(&self) -> Vec<&'static Field> {
        self.topic.columns.iter().filter_map(|name| self.collection.field(name)).collect()
    }

    /// The page that shows the collection.
    pub(super) fn page(&self) -> String {
        format!("/data/{}", self.collection.path())
    }
}

/// Where a subject was named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mention {
    /// Position of its first word.
    pub(super) at: usize,
    /// How many words it has.
    pub(super) long: usize,
    /// The phrase, in the singular.
    pub(super) phrase: &'static str,
}

const PUBLISHED: State = ("published", "status", &["Live"]);

static TOPICS: [Topic; 24] = [
    Topic {
        group: "django-crm",
        name: "contacts",
        plural: "contacts",
        phrases: &["contact", "customer", "client", "people", "person"],
        hints: &["prospect", "partner"],
        measure: None,
        when: Some("last_contacted"),
        columns: &["name", "company", "role", "city", "status", "email"],
        states: &[("active", "status", &["Lead", "Prospect", "Customer", "Partner"])],
    },
    Topic {
        group: "django-crm",
        name: "deals",
        plural: "deals",
        phrases: &["deal"],
        hints: &["pipeline", "revenue", "sale"],
        measure: Some("amount"),
        when: Some("close_date"),
        columns: &["name", "stage", "amount", "probability", "close_date", "owner"],
        states: &[
            ("open", "stage", &["Lead", "Qualified", "Proposal", "Negotiation"]),
            ("closed", "stage", &["Won", "Lost"]),
        ],
    },
    Topic {
        group: "django-crm",
        name: "activities",
        plural: "activities",
        phrases: &["activity", "activities"],
        hints: &["call", "meeting", "demo", "visit"],
        measure: Some("minutes"),
        when: Some("happened_at"),
        columns: &["subject", "kind", "contact", "company", "happened_at", "outcome"],
        states: &[],
    },
    Topic {
        group: "django-crm",
        name: "tasks",
        plural: "tasks",
        phrases: &["task", "todo", "to do"],
        hints: &["due"],
        measure: None,
        when: Some("due_date"),
        columns: &["title", "status", "priority", "due_date", "owner"],
        states: &[("open", "status", &["Open", "In progress", "Waiting"])],
    },
    Topic {
        group: "django-crm",
        name: "opportunities",
        plural: "opportunities",
        phrases: &["opportunity", "opportunities"],
        hints: &[],
        measure: Some("value"),
        when: Some("expected_date"),
        columns: &["name", "stage", "value", "fit_score", "region", "expected_date"],
        states: &[("open", "stage", &["Discovery", "Evaluation", "Decision"])],
    },
    Topic {
        group: "wagtail",
        name: "pages",
        plural: "pages",
        phrases: &["page"],
        hints: &["website"],
        measure: Some("views"),
        when: Some("first_published_at"),
        columns: &["title", "page_type", "status", "locale", "author", "views"],
        states: &[PUBLISHED],
    },
    Topic {
        group: "wagtail",
        name: "posts",
        plural: "posts",
        phrases: &["post", "article", "blog"],
        hints: &[],
        measure: Some("reading_minutes"),
        when: Some("published_on"),
        columns: &["title", "category", "status", "author", "published_on"],
        states: &[PUBLISHED],
    },
    Topic {
        group: "wagtail",
        name: "media",
        plural: "media files",
        phrases: &["media", "image", "picture", "video", "file", "media file"],
        hints: &["document", "audio"],
        measure: Some("bytes"),
        when: Some("uploaded_at"),
        columns: &["title", "kind", "bytes", "uploaded_by", "uploaded_at"],
        states: &[],
    },
    Topic {
        group: "wagtail",
        name: "forms",
        plural: "forms",
        phrases: &["form"],
        hints: &["submission"],
        measure: Some("submissions"),
        when: Some("last_submission_at"),
        columns: &["title", "page", "status", "submissions", "last_submission_at"],
        states: &[],
    },
    Topic {
        group: "wagtail",
        name: "templates",
        plural: "templates",
        phrases: &["template"],
        hints: &[],
        measure: Some("used_by"),
        when: None,
        columns: &["name", "kind", "version", "used_by", "active"],
        states: &[],
    },
    Topic {
        group: "marketing",
        name: "campaigns",
        plural: "campaigns",
        phrases: &["campaign"],
        hints: &["budget", "marketing"],
        measure: Some("budget"),
        when: Some("starts_on"),
        columns: &["name", "channel", "status", "budget", "spent", "leads"],
        states: &[("active", "status", &["Running"]), ("upcoming", "status", &["Scheduled"])],
    },
    Topic {
        group: "marketing",
        name: "email",
        plural: "e-mails",
        phrases: &["newsletter", "mailing", "marketing email", "email marketing"],
        hints: &["email", "mail"],
        measure: Some("recipients"),
        when: Some("sent_at"),
        columns: &["subject", "segment", "status", "recipients", "open_rate", "click_rate"],
        states: &[],
    },
    Topic {
        group: "marketing",
        name: "social",
        plural: "social posts",
        phrases: &["social post", "social media", "social media post"],
        hints: &["social"],
        measure: Some("likes"),
        when: Some("scheduled_for"),
        columns: &["title", "network", "status", "scheduled_for", "likes", "shares"],
        states: &[],
    },
    Topic {
        group: "marketing",
        name: "automation",
        plural: "automations",
        phrases: &["automation", "workflow"],
        hints: &[],
        measure: Some("enrolled"),
        when: Some("last_run_at"),
        columns: &["name", "trigger", "status", "enrolled", "success_rate"],
        states: &[],
    },
    Topic {
        group: "marketing",
        name: "leads",
        plural: "leads",
        phrases: &["lead"],
        hints: &[],
        measure: Some("score"),
        when: Some("received_at"),
        columns: &["name", "company", "source", "score", "status", "owner"],
        states: &[("open", "status", &["New", "Contacted"])],
    },
    Topic {
        group: "analytics",
        name: "overview",
        plural: "months",
        phrases: &["overview", "revenue by month", "revenue per month", "monthly revenue"],
        hints: &["analytics", "visitor", "growth", "churn", "conversion"],
        measure: Some("revenue"),
        when: None,
        columns: &["month", "visitors", "sign_ups", "customers", "revenue", "growth"],
        states: &[],
    },
    Topic {
        group: "analytics",
        name: "traffic",
        plural: "rows of traffic",
        phrases: &["traffic"],
        hints: &["session", "bounce"],
        measure: Some("sessions"),
        when: Some("day"),
        columns: &["day", "channel", "sessions", "visitors", "page_views", "bounce_rate"],
        states: &[],
    },
    Topic {
        group: "billing",
        name: "subscriptions",
        plural: "subscriptions",
        phrases: &["subscription", "subscriber"],
        hints: &["plan", "seat"],
        measure: Some("monthly"),
        when: Some("renews_on"),
        columns: &["company", "plan", "status", "seats", "monthly", "renews_on"],
        states: &[],
    },
    Topic {
        group: "billing",
        name: "invoices",
        plural: "invoices",
        phrases: &["invoice", "bill"],
        hints: &["billing"],
        measure: Some("amount"),
        when: Some("due_on"),
        columns: &["number", "company", "status", "amount", "issued_on", "due_on"],
        states: &[("unpaid", "status", &["Open", "Overdue"])],
    },
    Topic {
        group: "billing",
        name: "payment-methods",
        plural: "payment methods",
        phrases: &["payment method", "payment", "card"],
        hints: &[],
        measure: None,
        when: None,
        columns: &["holder", "company", "kind", "provider", "expires", "is_default"],
        states: &[],
    },
    Topic {
        group: "billing",
        name: "usage",
        plural: "usage records",
        phrases: &["usage", "usage record"],
        hints: &["storage", "overage"],
        measure: Some("cost"),
        when: None,
        columns: &["company", "period", "metric", "quantity", "included", "cost"],
        states: &[],
    },
    Topic {
        group: "integrations",
        name: "webhooks",
        plural: "webhooks",
        phrases: &["webhook", "hook"],
        hints: &["delivery"],
        measure: Some("failures"),
        when: Some("last_delivery_at"),
        columns: &["name", "url", "active", "last_status", "failures"],
        states: &[],
    },
    Topic {
        group: "integrations",
        name: "api-keys",
        plural: "API keys",
        phrases: &["api key", "key"],
        hints: &["api"],
        measure: None,
        when: Some("expires_on"),
        columns: &["name", "prefix", "status", "created_by", "last_used_at", "expires_on"],
        states: &[],
    },
    Topic {
        group: "integrations",
        name: "third-party",
        plural: "integrations",
        phrases: &["third party", "integration", "connected service"],
        hints: &["service"],
        measure: Some("records_synced"),
        when: Some("last_sync_at"),
        columns: &["name", "category", "status", "connected_by", "records_synced"],
        states: &[("broken", "status", &["Needs attention", "Disconnected"])],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::collections::Kind;

    #[test]
    fn every_collection_is_spoken_of_in_names_of_its_own_fields() {
        assert_eq!(Subject::all().count(), COLLECTIONS.len());
        for Subject { topic, collection } in Subject::all() {
            let names = topic.measure.iter().chain(&topic.when).chain(topic.columns);
            for name in names {
                assert!(collection.field(name).is_some(), "{}: {name}", collection.path());
            }
            for (_, name, values) in topic.states {
                let kind = collection.field(name).map(|field| field.kind);
                let Some(Kind::Choice(options)) = kind else { panic!("{name}") };
                assert!(values.iter().all(|value| options.contains(value)), "{values:?}");
            }
        }
    }

    #[test]
    fn the_longest_phrase_wins() {
        let about = |text: &str| {
            Subject::of(&Words::read(text)).map(|(subject, _)| subject.collection.path())
        };
        assert_eq!(about("Social posts, please").as_deref(), Some("marketing/social"));
        assert_eq!(about("revenue by stage").as_deref(), Some("django-crm/deals"));
        assert_eq!(about("revenue by month").as_deref(), Some("analytics/overview"));
        assert_eq!(about("payment-methods").as_deref(), Some("billing/payment-methods"));
        assert_eq!(about("tasks for contact Maria").as_deref(), Some("django-crm/tasks"));
        assert_eq!(about("the weather"), None);
    }
}
