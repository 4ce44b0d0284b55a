//! What the sandbox's collections hold, in one table.
//!
//! Validation, SQL, metadata, seed rows and the assistant all read this table. A field name reaches
//! a query only as a [`Field`] found here, never as text somebody sent.

use std::iter::once;

/// How a value is checked, stored and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One line of at most this many characters.
    Text(usize),
    /// Any number of lines.
    LongText,
    /// A whole number, zero or more.
    Integer,
    /// Any finite number.
    Decimal,
    /// An amount with at most two decimal places.
    Money,
    /// From 0 to 100, at most two decimal places.
    Percent,
    Boolean,
    /// `2026-06-17`
    Date,
    /// `2026-06-17T09:30:00.000000Z`, always UTC.
    DateTime,
    Email,
    Url,
    Phone,
    /// One of these words; a record that names none gets the first.
    Choice(&'static [&'static str]),
    Json,
}

impl Kind {
    /// Whether its values are text that a person would search.
    pub(crate) fn is_searchable(self) -> bool {
        self.is_free_text() || matches!(self, Self::Choice(_))
    }

    /// Whether its values are text that anybody can make up.
    pub(crate) fn is_free_text(self) -> bool {
        matches!(self, Self::Text(_) | Self::LongText | Self::Email | Self::Url | Self::Phone)
    }

    /// Whether its values are numbers.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Money | Self::Percent)
    }

    /// Whether its values are days or moments.
    pub(crate) fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::DateTime)
    }
}

/// One field of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    /// The key in the record.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
    /// A new record must have it.
    pub(crate) required: bool,
    /// Only the sandbox sets it.
    pub(crate) read_only: bool,
}

impl Field {
    /// The name in words: `close_date` becomes `Close date`.
    pub(crate) fn label(&self) -> String {
        let words = match self.name {
            "id" => return "ID".to_owned(),
            "url" => return "URL".to_owned(),
            name => name.trim_start_matches("is_").replace('_', " "),
        };
        let mut letters = words.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

/// Whether people may change a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// List, read, create, update and delete.
    Full,
    /// List and read.
    ReadOnly,
}

/// One collection of the sandbox.
#[derive(Debug)]
pub(crate) struct Collection {
    /// First path segment.
    pub(crate) group: &'static str,
    /// Second path segment.
    pub(crate) name: &'static str,
    /// What one record is called.
    pub(crate) singular: &'static str,
    /// The order when nobody asks for another, as in `ordering=`.
    pub(crate) ordering: &'static str,
    /// Whether people may change it.
    pub(crate) access: Access,
    /// Its own fields, the one that names a record first. `id`, `created_at` and `updated_at` come
    /// on top.
    pub(crate) own: &'static [Field],
}

/// The number that names a record; unique in its collection.
pub(crate) static ID: Field = field("id", Kind::Integer).read_only();
/// When the record was made.
pub(crate) static CREATED_AT: Field = field("created_at", Kind::DateTime).read_only();
/// When the record was last changed.
pub(crate) static UPDATED_AT: Field = field("updated_at", Kind::DateTime).read_only();

impl Collection {
    /// The collection at `/api/<group>/<name>`.
    pub(crate) fn find(group: &str, name: &str) -> Option<&'static Self> {
        COLLECTIONS.iter().find(|it| it.group == group && it.name == name)
    }

    /// `<group>/<name>`
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    /// Every field in the order it is shown.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        once(&ID).chain(self.own).chain([&CREATED_AT, &UPDATED_AT])
    }

    /// The field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.name == name)
    }
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false, read_only: false }
}

const fn text(name: &'static str, max: usize) -> Field {
    field(name, Kind::Text(max))
}

const fn long(name: &'static str) -> Field {
    field(name, Kind::LongText)
}

const fn integer(name: &'static str) -> Field {
    field(name, Kind::Integer)
}

const fn decimal(name: &'static str) -> Field {
    field(name, Kind::Decimal)
}

const fn money(name: &'static str) -> Field {
    field(name, Kind::Money)
}

const fn percent(name: &'static str) -> Field {
    field(name, Kind::Percent)
}

const fn boolean(name: &'static str) -> Field {
    field(name, Kind::Boolean)
}

const fn date(name: &'static str) -> Field {
    field(name, Kind::Date)
}

const fn moment(name: &'static str) -> Field {
    field(name, Kind::DateTime)
}

const fn email(name: &'static str) -> Field {
    field(name, Kind::Email)
}

const fn url(name: &'static str) -> Field {
    field(name, Kind::Url)
}

const fn phone(name: &'static str) -> Field {
    field(name, Kind::Phone)
}

const fn choice(name: &'static str, options: &'static [&'static str]) -> Field {
    field(name, Kind::Choice(options))
}

const fn json(name: &'static str) -> Field {
    field(name, Kind::Json)
}

const PUBLISHING: &[&str] = &["Draft", "In review", "Live", "Archived"];
const CHANNELS: &[&str] = &["Email", "Social", "Search", "Event", "Referral"];

/// All twenty-four.
pub(crate) static COLLECTIONS: [Collection; 24] = [
    Collection {
        group: "django-crm",
        name: "contacts",
        singular: "Contact",
        ordering: "name",
        access: Access::Full,
        own: &[
            text("name", 120).required(),
            email("email").required(),
            phone("phone"),
            text("company", 120),
            text("role", 80),
            text("city", 80),
            choice("status", &["Lead", "Prospect", "Customer", "Partner", "Inactive"]),
            text("owner", 80),
            date("last_contacted"),
            long("notes"),
        ],
    },
    Collection {
        group: "django-crm",
        name: "deals",
        singular: "Deal",
        ordering: "close_date",
        access: Access::Full,
        own: &[
            text("name", 160).required(),
            text("company", 120).required(),
            text("contact", 120),
            choice("stage", &["Lead", "Qualified", "Proposal", "Negotiation", "Won", "Lost"]),
            money("amount").required(),
            percent("probability"),
            date("close_date"),
            text("owner", 80),
            choice("source", &["Inbound", "Referral", "Outbound", "Event", "Partner"]),
            long("notes"),
        ],
    },
    Collection {
        group: "django-crm",
        name: "activities",
        singular: "Activity",
        ordering: "-happened_at",
        access: Access::Full,
        own: &[
            text("subject", 160).required(),
            choice("kind", &["Call", "Email", "Meeting", "Demo", "Visit"]),
            text("contact", 120),
            text("company", 120),
            text("owner", 80),
            moment("happened_at").required(),
            integer("minutes"),
            choice("outcome", &["Reached", "No answer", "Follow up", "Agreed"]),
            long("notes"),
        ],
    },
    Collection {
        group: "django-crm",
        name: "tasks",
        singular: "Task",
        ordering: "due_date",
        access: Access::Full,
        own: &[
            text("title", 160).required(),
            choice("status", &["Open", "In progress", "Waiting", "Done"]),
            choice("priority", &["Normal", "High", "Urgent", "Low"]),
            date("due_date"),
            text("owner", 80),
            text("contact", 120),
            text("deal", 160),
            long("notes"),
        ],
    },
    Collection {
        group: "django-crm",
        name: "opportunities",
        singular: "Opportunity",
        ordering: "-value",
        access: Access::Full,
        own: &[
            text("name", 160).required(),
            text("company", 120).required(),
            text("contact", 120),
            choice("stage", &["Discovery", "Evaluation", "Decision", "Committed", "Dropped"]),
            money("value"),
            integer("fit_score"),
            choice("region", &["Europe", "North America", "South America", "Africa", "Asia"]),
            date("expected_date"),
            text("owner", 80),
            long("notes"),
        ],
    },
    Collection {
        group: "wagtail",
        name: "pages",
        singular: "Page",
        ordering: "title",
        access: Access::Full,
        own: &[
            text("title", 160).required(),
            text("slug", 120).required(),
            choice("page_type", &["Standard", "Landing", "Product", "Help", "Legal"]),
            choice("status", PUBLISHING),
            choice("locale", &["en", "de", "fr", "pt"]),
            text("author", 80),
            url("url"),
            moment("first_published_at"),
            integer("views"),
            boolean("in_menus"),
            long("search_description"),
        ],
    },
    Collection {
        group: "wagtail",
        name: "posts",
        singular: "Post",
        ordering: "-published_on",
        access: Access::Full,
        own: &[
            text("title", 160).required(),
            text("slug", 120).required(),
            choice("category", &["News", "Guides", "Stories", "Product", "Events"]),
            choice("status", PUBLISHING),
            text("author", 80),
            date("published_on"),
            integer("reading_minutes"),
            json("tags"),
            long("excerpt"),
        ],
    },
    Collection {
        group: "wagtail",
        name: "media",
        singular: "Media file",
        ordering: "-uploaded_at",
        access: Access::Full,
        own: &[
            text("title", 160).required(),
            text("file", 200).required(),
            choice("kind", &["Image", "Document", "Video", "Audio"]),
            integer("bytes"),
            integer("width"),
            integer("height"),
            text("alt_text", 240),
            text("uploaded_by", 80),
            moment("uploaded_at"),
        ],
    },
    Collection {
        group: "wagtail",
        name: "forms",
        singular: "Form",
        ordering: "title",
        access: Access::Full,
        own: &[
            text("title", 160).required(),
            text("slug", 120).required(),
            text("page", 160),
            choice("status", &["Open", "Closed"]),
            json("fields"),
            integer("submissions"),
            moment("last_submission_at"),
            email("notify"),
            long("thank_you_text"),
        ],
    },
    Collection {
        group: "wagtail",
        name: "templates",
        singular: "Template",
        ordering: "name",
        access: Access::Full,
        own: &[
            text("name", 120).required(),
            text("path", 200).required(),
            choice("kind", &["Page", "Section", "Email", "Snippet"]),
            text("version", 20),
            integer("used_by"),
            boolean("active"),
            long("description"),
        ],
    },
    Collection {
        group: "marketing",
        name: "campaigns",
        singular: "Campaign",
        ordering: "-starts_on",
        access: Access::Full,
        own: &[
            text("name", 160).required(),
            choice("channel", CHANNELS),
            choice("status", &["Draft", "Scheduled", "Running", "Paused", "Finished"]),
            money("budget"),
            money("spent"),
            date("starts_on").required(),
            date("ends_on"),
            integer("leads"),
            percent("conversion"),
            text("owner", 80),
            long("goal"),
        ],
    },
    Collection {
        group: "marketing",
        name: "email",
        singular: "Email",
        ordering: "-sent_at",
        access: Access::Full,
        own: &[
            text("subject", 160).required(),
            text("campaign", 160),
            choice(
                "segment",
                &["All contacts", "Customers", "Prospects", "Partners", "Newsletter"],
            ),
            choice("status", &["Draft", "Scheduled", "Sent"]),
            email("sender").required(),
            moment("sent_at"),
            integer("recipients"),
            percent("open_rate"),
            percent("click_rate"),
            long("body"),
        ],
    },
    Collection {
        group: "marketing",
        name: "social",
        singular: "Social post",
        ordering: "-scheduled_for",
        access: Access::Full,
        own: &[
            text("title", 160).required(),
            choice("network", &["LinkedIn", "Mastodon", "Bluesky", "Instagram", "YouTube"]),
            text("campaign", 160),
            choice("status", &["Draft", "Scheduled", "Published"]),
            moment("scheduled_for"),
            integer("likes"),
            integer("shares"),
            text("author", 80),
            url("url"),
            long("body"),
        ],
    },
    Collection {
        group: "marketing",
        name: "automation",
        singular: "Automation",
        ordering: "name",
        access: Access::Full,
        own: &[
            text("name", 160).required(),
            choice("trigger", &["Form sent", "Stage changed", "Date reached", "Link opened"]),
            choice("status", &["Draft", "Active", "Paused"]),
            integer("steps"),
            integer("enrolled"),
            integer("completed"),
            percent("success_rate"),
            moment("last_run_at"),
            json("definition"),
        ],
    },
    Collection {
        group: "marketing",
        name: "leads",
        singular: "Lead",
        ordering: "-received_at",
        access: Access::Full,
        own: &[
            text("name", 120).required(),
            email("email").required(),
            phone("phone"),
            text("company", 120),
            choice("source", CHANNELS),
            integer("score"),
            choice("status", &["New", "Contacted", "Qualified", "Disqualified"]),
            text("campaign", 160),
            text("owner", 80),
            moment("received_at"),
            long("notes"),
        ],
    },
    Collection {
        group: "analytics",
        name: "overview",
        singular: "Month",
        ordering: "-month",
        access: Access::ReadOnly,
        own: &[
            text("month", 7).required(),
            integer("visitors"),
            integer("sign_ups"),
            integer("customers"),
            money("revenue"),
            decimal("growth"),
            percent("conversion"),
            percent("churn"),
        ],
    },
    Collection {
        group: "analytics",
        name: "traffic",
        singular: "Day of traffic",
        ordering: "-day",
        access: Access::ReadOnly,
        own: &[
            date("day").required(),
            choice("channel", &["Direct", "Search", "Social", "Email", "Referral"]),
            text("landing_page", 160),
            integer("sessions"),
            integer("visitors"),
            integer("page_views"),
            percent("bounce_rate"),
            integer("average_seconds"),
        ],
    },
    Collection {
        group: "billing",
        name: "subscriptions",
        singular: "Subscription",
        ordering: "company",
        access: Access::Full,
        own: &[
            text("company", 120).required(),
            choice("plan", &["Starter", "Team", "Business", "Enterprise"]),
            choice("status", &["Trial", "Active", "Past due", "Cancelled"]),
            integer("seats").required(),
            money("monthly"),
            date("started_on"),
            date("renews_on"),
            text("contact", 120),
            email("billing_email"),
        ],
    },
    Collection {
        group: "billing",
        name: "invoices",
        singular: "Invoice",
        ordering: "-issued_on",
        access: Access::Full,
        own: &[
            text("number", 40).required(),
            text("company", 120).required(),
            choice("status", &["Draft", "Open", "Paid", "Overdue", "Void"]),
            money("amount").required(),
            money("tax"),
            choice("currency", &["EUR", "USD", "GBP"]),
            date("issued_on"),
            date("due_on"),
            date("paid_on"),
            json("lines"),
        ],
    },
    Collection {
        group: "billing",
        name: "payment-methods",
        singular: "Payment method",
        ordering: "company",
        access: Access::Full,
        own: &[
            text("holder", 120).required(),
            text("company", 120),
            choice("kind", &["Card", "Bank transfer", "Direct debit"]),
            text("provider", 60),
            text("last_digits", 4),
            text("expires", 7),
            boolean("is_default"),
            email("email"),
        ],
    },
    Collection {
        group: "billing",
        name: "usage",
        singular: "Usage record",
        ordering: "-period",
        access: Access::Full,
        own: &[
            text("company", 120).required(),
            text("period", 7).required(),
            choice("metric", &["API calls", "Storage GB", "Messages", "Seats"]),
            decimal("quantity"),
            integer("included"),
            decimal("overage"),
            money("cost"),
        ],
    },
    Collection {
        group: "integrations",
        name: "webhooks",
        singular: "Webhook",
        ordering: "name",
        access: Access::Full,
        own: &[
            text("name", 120).required(),
            url("url").required(),
            json("events"),
            boolean("active"),
            integer("last_status").read_only(),
            moment("last_delivery_at").read_only(),
            integer("failures").read_only(),
            text("owner", 80),
        ],
    },
    Collection {
        group: "integrations",
        name: "api-keys",
        singular: "API key",
        ordering: "name",
        access: Access::Full,
        own: &[
            text("name", 120).required(),
            text("prefix", 16),
            json("scopes"),
            choice("status", &["Active", "Expired", "Revoked"]),
            text("created_by", 80),
            moment("last_used_at").read_only(),
            date("expires_on"),
        ],
    },
    Collection {
        group: "integrations",
        name: "third-party",
        singular: "Integration",
        ordering: "name",
        access: Access::Full,
        own: &[
            text("name", 120).required(),
            choice("category", &["Storage", "Accounting", "Messaging", "Calendar", "Shipping"]),
            choice("status", &["Connected", "Needs attention", "Disconnected"]),
            text("account", 120),
            text("connected_by", 80),
            date("connected_on"),
            moment("last_sync_at").read_only(),
            integer("records_synced"),
            url("documentation"),
            json("settings"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_to_put_in_a_json_path() {
        for field in COLLECTIONS.iter().flat_map(Collection::fields) {
            assert!(field.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        }
    }

    #[test]
    fn names_are_unique() {
        for (at, collection) in COLLECTIONS.iter().enumerate() {
            let found = Collection::find(collection.group, collection.name);
            assert!(found.is_some_and(|it| std::ptr::eq(it, &COLLECTIONS[at])));
            for field in collection.fields() {
                assert_eq!(collection.field(field.name), Some(field), "{}", collection.path());
            }
        }
    }

    #[test]
    fn labels_are_the_names_in_words() {
        assert_eq!(ID.label(), "ID");
        assert_eq!(date("close_date").label(), "Close date");
        assert_eq!(boolean("is_default").label(), "Default");
    }
}
