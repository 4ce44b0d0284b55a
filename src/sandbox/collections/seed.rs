//! Demo rows that look like a working day of two small trading companies.
//!
//! The same rows come out every time: the numbers come from a tiny generator with a fixed start,
//! and every date counts from one day.

mod words;

use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime, Time};

use self::words::*;
use super::{
    schema::{COLLECTIONS, Collection},
    store::SeedRow,
    text::{TODAY, fold, stamp},
};

/// A company that uses the sandbox.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) id: &'static str,
    /// Which half of the names is theirs, so that no contact is both tenants'.
    half: usize,
    contacts: usize,
    owners: &'static [&'static str],
    /// A run of [`COMPANIES`]; a few companies buy from both.
    first_company: usize,
    domain: &'static str,
}

/// The tenants of the demo people.
pub(super) static TENANTS: [Tenant; 2] = [
    Tenant {
        id: "harbor",
        half: 0,
        contacts: 240,
        owners: &["Ada Park", "Ben Ortiz", "Imani Cole", "Lukas Brandt"],
        first_company: 0,
        domain: "harbor-supply.example",
    },
    Tenant {
        id: "summit",
        half: 1,
        contacts: 180,
        owners: &["Chen Wei", "Dana Kim", "Noor Haddad", "Theo Marsh"],
        first_company: 12,
        domain: "summit-outdoor.example",
    },
];

const COMPANIES_EACH: usize = 20;

/// Every collection's rows for a tenant.
pub(super) fn rows(
    tenant: &'static Tenant,
) -> impl Iterator<Item = (&'static Collection, Vec<SeedRow>)> {
    let mut seeder = Seeder::new(tenant);
    COLLECTIONS.iter().map(move |collection| (collection, seeder.rows(collection)))
}

/// SplitMix64: small, even enough, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` up to and with `high`.
    fn between(&mut self, low: i64, high: i64) -> i64 {
        let range = low.abs_diff(high) + 1;
        low.saturating_add_unsigned(self.roll() % range)
    }

    fn one_in(&mut self, many: i64) -> bool {
        self.between(1, many) == 1
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        let at = self.roll() % from.len() as u64;
        from[at as usize]
    }
}

#[derive(Debug, Clone)]
struct Person {
    name: String,
    email: String,
    phone: String,
    company: &'static str,
}

struct Seeder {
    tenant: &'static Tenant,
    dice: Dice,
    companies: &'static [&'static str],
    people: Vec<Person>,
}

impl Seeder {
    fn new(tenant: &'static Tenant) -> Self {
        let mut seeder = Self {
            tenant,
            dice: Dice(0x0b1e_e2e5 + tenant.half as u64),
            companies: &COMPANIES[tenant.first_company..][..COMPANIES_EACH],
            people: Vec::new(),
        };
        seeder.people = (0..tenant.contacts).map(|at| seeder.meet(at)).collect();
        seeder
    }

    /// Somebody new. Given and family names of one origin are walked so that no pair comes twice.
    fn meet(&mut self, at: usize) -> Person {
        let (given, family) = NAMES[at % NAMES.len()];
        let turn = at / NAMES.len();
        let given = given[turn % given.len()];
        let family = family[2 * ((turn / 8 + turn) % 4) + self.tenant.half];
        let company = self.companies[(at + turn) % self.companies.len()];
        let user = fold(&format!("{given}.{family}")).replace([' ', '\''], "");
        let area = self.dice.pick(AREA_CODES);
        Person {
            name: format!("{given} {family}"),
            email: format!("{user}@{}", domain(company)),
            phone: format!("+1 {area} 555 01{:02}", self.dice.between(0, 99)),
            company,
        }
    }

    fn rows(&mut self, collection: &Collection) -> Vec<SeedRow> {
        let many = match (collection.group, collection.name) {
            ("django-crm", "contacts") => self.people.len(),
            ("django-crm", "deals") => 120 + 4 * self.tenant.half,
            ("django-crm", "activities") => 80,
            ("django-crm", "tasks") | ("billing", "invoices") => 64,
            ("django-crm", "opportunities") | ("marketing", "leads") => 48,
            ("wagtail", "pages") => PAGES.len(),
            ("wagtail", "posts") | ("wagtail", "media") => 36,
            ("wagtail", "forms") => FORMS.len(),
            ("wagtail", "templates") => TEMPLATES.len(),
            ("marketing", "campaigns") => CAMPAIGNS.len(),
            ("marketing", "email") => 30,
            ("marketing", "social") => 40,
            ("marketing", "automation") => AUTOMATIONS.len(),
            ("analytics", "overview") => 24,
            ("analytics", "traffic") => 70,
            ("billing", "usage") => 60,
            ("billing", _) => COMPANIES_EACH,
            ("integrations", "webhooks") => WEBHOOKS.len(),
            ("integrations", "api-keys") => API_KEYS.len(),
            _ => SERVICES.len(),
        };
        (0..many).map(|at| self.row(collection, at)).collect()
    }

    fn row(&mut self, collection: &Collection, at: usize) -> SeedRow {
        let data = match (collection.group, collection.name) {
            ("django-crm", "contacts") => self.contact(at),
            ("django-crm", "deals") => self.deal(at),
            ("django-crm", "activities") => self.activity(),
            ("django-crm", "tasks") => self.task(),
            ("django-crm", "opportunities") => self.opportunity(at),
            ("wagtail", "pages") => self.page(at),
            ("wagtail", "posts") => self.post(at),
            ("wagtail", "media") => self.media(at),
            ("wagtail", "forms") => self.form(at),
            ("wagtail", "templates") => self.template(at),
            ("marketing", "campaigns") => self.campaign(at),
            ("marketing", "email") => self.email(at),
            ("marketing", "social") => self.social(at),
            ("marketing", "automation") => self.automation(at),
            ("marketing", "leads") => self.lead(at),
            ("analytics", "overview") => self.overview(at),
            ("analytics", "traffic") => self.traffic(at),
            ("billing", "subscriptions") => self.subscription(at),
            ("billing", "invoices") => self.invoice(at),
            ("billing", "payment-methods") => self.payment_method(at),
            ("billing", "usage") => self.usage(at),
            ("integrations", "webhooks") => self.webhook(at),
            ("integrations", "api-keys") => self.api_key(at),
            _ => self.service(at),
        };
        let created = self.dice.between(-400, -30);
        let updated = self.dice.between(-29, -1);
        SeedRow {
            data: fields(data),
            created_at: self.moment(created),
            updated_at: self.moment(updated),
        }
    }

    fn contact(&mut self, at: usize) -> Value {
        let person = self.people[at].clone();
        let days = self.dice.between(-160, -1);
        let never = self.dice.one_in(9);
        json!({
            "name": person.name,
            "email": person.email,
            "phone": person.phone,
            "company": person.company,
            "role": self.dice.pick(ROLES),
            "city": self.dice.pick(CITIES),
            "status": self.dice.pick(&[
                "Lead", "Prospect", "Prospect", "Customer", "Customer", "Customer", "Partner",
                "Inactive",
            ]),
            "owner": self.owner(),
            "last_contacted": (!never).then(|| day(days)),
            "notes": self.note(),
        })
    }

    fn deal(&mut self, at: usize) -> Value {
        let person = self.person();
        let (stage, probability) = *self.dice.pick(&[
            &("Lead", 10),
            &("Qualified", 25),
            &("Qualified", 25),
            &("Proposal", 50),
            &("Proposal", 50),
            &("Negotiation", 75),
            &("Won", 100),
            &("Won", 100),
            &("Lost", 0),
        ]);
        let closed = matches!(stage, "Won" | "Lost");
        let days = if closed { (-180, -3) } else { (-6, 120) };
        let small = self.dice.between(3, 60) * 250;
        let large = self.dice.between(30, 190) * 500;
        json!({
            "name": format!("{}: {}", person.company, PRODUCTS[at % PRODUCTS.len()]),
            "company": person.company,
            "contact": person.name,
            "stage": stage,
            "amount": if self.dice.one_in(3) { large } else { small },
            "probability": probability,
            "close_date": day(self.dice.between(days.0, days.1)),
            "owner": self.owner(),
            "source": self.dice.pick(&["Inbound", "Referral", "Outbound", "Event", "Partner"]),
            "notes": self.note(),
        })
    }

    fn activity(&mut self) -> Value {
        let person = self.person();
        let kind = self.dice.pick(&["Call", "Call", "Email", "Email", "Meeting", "Demo", "Visit"]);
        let days = self.dice.between(-45, -1);
        json!({
            "subject": format!("{kind} about {}", self.dice.pick(PRODUCTS)),
            "kind": kind,
            "contact": person.name,
            "company": person.company,
            "owner": self.owner(),
            "happened_at": self.moment(days),
            "minutes": self.dice.between(1, 18) * 5,
            "outcome": self.dice.pick(&["Reached", "No answer", "Follow up", "Agreed"]),
            "notes": self.note(),
        })
    }

    fn task(&mut self) -> Value {
        let person = self.person();
        let status = self.dice.pick(&["Open", "Open", "Open", "In progress", "Waiting", "Done"]);
        let days = if status == "Done" { (-30, -1) } else { (-8, 28) };
        let product = self.dice.pick(PRODUCTS);
        json!({
            "title": format!("{} {}", self.dice.pick(ERRANDS), person.name),
            "status": status,
            "priority": self.dice.pick(&["Low", "Normal", "Normal", "Normal", "High", "Urgent"]),
            "due_date": day(self.dice.between(days.0, days.1)),
            "owner": self.owner(),
            "contact": person.name,
            "deal": format!("{}: {product}", person.company),
            "notes": self.note(),
        })
    }

    fn opportunity(&mut self, at: usize) -> Value {
        let person = self.person();
        let stage =
            self.dice.pick(&["Discovery", "Evaluation", "Decision", "Committed", "Dropped"]);
        let product = PRODUCTS[(at * 5 + 2) % PRODUCTS.len()];
        json!({
            "name": format!("{product} for {}", person.company),
            "company": person.company,
            "contact": person.name,
            "stage": stage,
            "value": self.dice.between(4, 240) * 500,
            "fit_score": self.dice.between(20, 98),
            "region": self.dice.pick(&[
                "Europe", "North America", "South America", "Africa", "Asia",
            ]),
            "expected_date": day(self.dice.between(5, 240)),
            "owner": self.owner(),
            "notes": self.note(),
        })
    }

    fn page(&mut self, at: usize) -> Value {
        let title = PAGES[at];
        let slug = slug(title);
        let status = self.dice.pick(&["Live", "Live", "Live", "Live", "Draft", "In review"]);
        let days = self.dice.between(-500, -10);
        json!({
            "title": title,
            "slug": slug,
            "page_type": self.dice.pick(&["Standard", "Landing", "Product", "Help", "Legal"]),
            "status": status,
            "locale": self.dice.pick(&["en", "en", "en", "de", "fr", "pt"]),
            "author": self.owner(),
            "url": format!("https://www.{}/{slug}/", self.tenant.domain),
            "first_published_at": (status == "Live").then(|| self.moment(days)),
            "views": if status == "Live" { self.dice.between(40, 18_000) } else { 0 },
            "in_menus": self.dice.one_in(3),
            "search_description": format!("{title}: what to know before you order."),
        })
    }

    fn post(&mut self, at: usize) -> Value {
        let title = format!("{} {}", POST_STARTS[at % 6], POST_SUBJECTS[at / 6 % 6]);
        let status = self.dice.pick(&["Live", "Live", "Live", "Draft", "In review", "Archived"]);
        let days = self.dice.between(-360, -1);
        json!({
            "title": title,
            "slug": slug(&title),
            "category": self.dice.pick(&["News", "Guides", "Stories", "Product", "Events"]),
            "status": status,
            "author": self.owner(),
            "published_on": matches!(status, "Live" | "Archived").then(|| day(days)),
            "reading_minutes": self.dice.between(2, 14),
            "tags": [self.dice.pick(TAGS), self.dice.pick(TAGS)],
            "excerpt": "What we tried, what it cost and what we would do again.",
        })
    }

    fn media(&mut self, at: usize) -> Value {
        let (kind, ending) = *self.dice.pick(&[
            &("Image", "jpg"),
            &("Image", "png"),
            &("Image", "webp"),
            &("Document", "pdf"),
            &("Video", "mp4"),
            &("Audio", "mp3"),
        ]);
        let title = format!("{} {}", PICTURES[at % PICTURES.len()], at / PICTURES.len() + 1);
        let flat = matches!(kind, "Document" | "Audio");
        let days = self.dice.between(-300, -1);
        json!({
            "title": title,
            "file": format!("media/{}.{ending}", slug(&title)),
            "kind": kind,
            "bytes": self.dice.between(40_000, 9_000_000),
            "width": (!flat).then_some(1600),
            "height": (!flat).then_some(1067),
            "alt_text": if kind == "Image" { title.as_str() } else { "" },
            "uploaded_by": self.owner(),
            "uploaded_at": self.moment(days),
        })
    }

    fn form(&mut self, at: usize) -> Value {
        let title = FORMS[at];
        let days = self.dice.between(-20, -1);
        json!({
            "title": title,
            "slug": slug(title),
            "page": self.dice.pick(PAGES),
            "status": if self.dice.one_in(4) { "Closed" } else { "Open" },
            "fields": ["name", "email", "message"],
            "submissions": self.dice.between(3, 640),
            "last_submission_at": self.moment(days),
            "notify": format!("forms@{}", self.tenant.domain),
            "thank_you_text": "Thank you. We answer within two working days.",
        })
    }

    fn template(&mut self, at: usize) -> Value {
        let name = TEMPLATES[at];
        json!({
            "name": name,
            "path": format!("site/{}.html", slug(name)),
            "kind": self.dice.pick(&["Page", "Page", "Section", "Email", "Snippet"]),
            "version": format!("{}.{}", self.dice.between(1, 4), self.dice.between(0, 9)),
            "used_by": self.dice.between(0, 40),
            "active": !self.dice.one_in(5),
            "description": format!("{name}, as the brand guide has it."),
        })
    }

    fn campaign(&mut self, at: usize) -> Value {
        let status =
            self.dice.pick(&["Running", "Running", "Finished", "Finished", "Scheduled", "Draft"]);
        let starts = match status {
            "Finished" => self.dice.between(-240, -60),
            "Running" => self.dice.between(-30, -2),
            _ => self.dice.between(3, 60),
        };
        let budget = self.dice.between(4, 60) * 500;
        let begun = matches!(status, "Running" | "Finished");
        json!({
            "name": CAMPAIGNS[at],
            "channel": self.dice.pick(&["Email", "Social", "Search", "Event", "Referral"]),
            "status": status,
            "budget": budget,
            "spent": if begun { budget * self.dice.between(20, 98) / 100 } else { 0 },
            "starts_on": day(starts),
            "ends_on": day(starts + self.dice.between(21, 55)),
            "leads": if begun { self.dice.between(5, 180) } else { 0 },
            "conversion": if begun { self.tenths(5, 90) } else { 0.0 },
            "owner": self.owner(),
            "goal": "Bring back customers who have not ordered since winter.",
        })
    }

    fn email(&mut self, at: usize) -> Value {
        let status = self.dice.pick(&["Sent", "Sent", "Sent", "Sent", "Scheduled", "Draft"]);
        let sent = status == "Sent";
        let days = if sent { self.dice.between(-120, -1) } else { self.dice.between(1, 20) };
        let campaign = CAMPAIGNS[at % CAMPAIGNS.len()];
        json!({
            "subject": format!("{}: {}", campaign, self.dice.pick(PRODUCTS)),
            "campaign": campaign,
            "segment": self.dice.pick(&[
                "All contacts", "Customers", "Prospects", "Partners", "Newsletter",
            ]),
            "status": status,
            "sender": format!("news@{}", self.tenant.domain),
            "sent_at": (status != "Draft").then(|| self.moment(days)),
            "recipients": if sent { self.dice.between(80, 4_200) } else { 0 },
            "open_rate": if sent { self.tenths(140, 520) } else { 0.0 },
            "click_rate": if sent { self.tenths(8, 110) } else { 0.0 },
            "body": "Hello, here is what is new this month.",
        })
    }

    fn social(&mut self, at: usize) -> Value {
        let status = self.dice.pick(&["Published", "Published", "Published", "Scheduled", "Draft"]);
        let published = status == "Published";
        let days = if published { self.dice.between(-60, -1) } else { self.dice.between(1, 14) };
        let title = format!("{}: {}", PICTURES[at % PICTURES.len()], self.dice.pick(PRODUCTS));
        json!({
            "title": title,
            "network": self.dice.pick(&["LinkedIn", "Mastodon", "Bluesky", "Instagram", "YouTube"]),
            "campaign": CAMPAIGNS[at % CAMPAIGNS.len()],
            "status": status,
            "scheduled_for": self.moment(days),
            "likes": if published { self.dice.between(0, 420) } else { 0 },
            "shares": if published { self.dice.between(0, 60) } else { 0 },
            "author": self.owner(),
            "url": format!("https://social.example/{}/{}", self.tenant.id, 1000 + at),
            "body": "A look behind the counter. Questions welcome.",
        })
    }

    fn automation(&mut self, at: usize) -> Value {
        let enrolled = self.dice.between(10, 900);
        let rate = self.dice.between(30, 95);
        let days = self.dice.between(-6, -1);
        json!({
            "name": AUTOMATIONS[at],
            "trigger": self.dice.pick(&[
                "Form sent", "Stage changed", "Date reached", "Link opened",
            ]),
            "status": self.dice.pick(&["Active", "Active", "Active", "Paused", "Draft"]),
            "steps": self.dice.between(2, 9),
            "enrolled": enrolled,
            "completed": enrolled * rate / 100,
            "success_rate": rate,
            "last_run_at": self.moment(days),
            "definition": { "wait_days": self.dice.between(1, 7), "then": "send email" },
        })
    }

    fn lead(&mut self, at: usize) -> Value {
        let (given, family) = NAMES[(at * 5 + 3) % NAMES.len()];
        let given = given[(at + 5) % given.len()];
        let family = family[(at / 7 * 2 + self.tenant.half) % family.len()];
        let user = fold(&format!("{given}.{family}")).replace([' ', '\''], "");
        let company = self.dice.pick(NEWCOMERS);
        let area = self.dice.pick(AREA_CODES);
        let days = self.dice.between(-50, -1);
        json!({
            "name": format!("{given} {family}"),
            "email": format!("{user}@{}", domain(company)),
            "phone": format!("+1 {area} 555 01{:02}", self.dice.between(0, 99)),
            "company": company,
            "source": self.dice.pick(&["Email", "Social", "Search", "Event", "Referral"]),
            "score": self.dice.between(5, 99),
            "status": self.dice.pick(&[
                "New", "New", "New", "Contacted", "Contacted", "Qualified", "Disqualified",
            ]),
            "campaign": self.dice.pick(CAMPAIGNS),
            "owner": self.owner(),
            "received_at": self.moment(days),
            "notes": self.note(),
        })
    }

    fn overview(&mut self, at: usize) -> Value {
        let (year, month) = months_back(at);
        let size = 24 - i64::try_from(at).unwrap_or(24);
        let visitors = 3_000 + size * 180 + self.dice.between(0, 700);
        let sign_ups = visitors * self.dice.between(20, 42) / 1000;
        json!({
            "month": format!("{year}-{month:02}"),
            "visitors": visitors,
            "sign_ups": sign_ups,
            "customers": 60 + size * 3 + self.dice.between(0, 4),
            "revenue": 38_000 + size * 1_450 + self.dice.between(0, 60) * 100,
            "growth": self.tenths(-35, 92),
            "conversion": self.tenths(18, 44),
            "churn": self.tenths(4, 24),
        })
    }

    fn traffic(&mut self, at: usize) -> Value {
        let channels = ["Direct", "Search", "Social", "Email", "Referral"];
        let days = i64::try_from(at / channels.len()).unwrap_or_default();
        let visitors = self.dice.between(40, 900);
        let sessions = visitors + visitors * self.dice.between(5, 40) / 100;
        json!({
            "day": day(-1 - days),
            "channel": channels[at % channels.len()],
            "landing_page": self.dice.pick(PAGES),
            "sessions": sessions,
            "visitors": visitors,
            "page_views": sessions * self.dice.between(14, 41) / 10,
            "bounce_rate": self.tenths(220, 680),
            "average_seconds": self.dice.between(25, 310),
        })
    }

    fn subscription(&mut self, at: usize) -> Value {
        let company = self.companies[at];
        let (plan, price) = *self.dice.pick(&[
            &("Starter", 9),
            &("Team", 15),
            &("Team", 15),
            &("Business", 24),
            &("Enterprise", 39),
        ]);
        let seats = self.dice.between(3, 120);
        json!({
            "company": company,
            "plan": plan,
            "status": self.dice.pick(&["Active", "Active", "Active", "Trial", "Past due", "Cancelled"]),
            "seats": seats,
            "monthly": seats * price,
            "started_on": day(self.dice.between(-700, -20)),
            "renews_on": day(self.dice.between(1, 330)),
            "contact": self.buyer(company),
            "billing_email": format!("billing@{}", domain(company)),
        })
    }

    fn invoice(&mut self, at: usize) -> Value {
        let issued = -1 - i64::try_from(at * 5 / 2).unwrap_or_default() - self.dice.between(0, 2);
        let due = issued + 30;
        let amount = self.dice.between(6, 220) * 50;
        let late = due < 0;
        let status = if at < 4 {
            "Draft"
        } else if late {
            self.dice.pick(&["Paid", "Paid", "Paid", "Paid", "Paid", "Overdue", "Overdue", "Void"])
        } else {
            self.dice.pick(&["Open", "Open", "Open", "Paid"])
        };
        let paid = (due - self.dice.between(0, 12)).clamp(issued, -1);
        json!({
            "number": format!("{}-2026-{:04}", self.tenant.id[..1].to_uppercase(), 480 - at),
            "company": self.dice.pick(self.companies),
            "status": status,
            "amount": amount,
            "tax": amount * 19 / 100,
            "currency": self.dice.pick(&["EUR", "EUR", "USD", "GBP"]),
            "issued_on": day(issued),
            "due_on": day(due),
            "paid_on": (status == "Paid").then(|| day(paid)),
            "lines": [{ "text": self.dice.pick(PRODUCTS), "amount": amount }],
        })
    }

    fn payment_method(&mut self, at: usize) -> Value {
        let company = self.companies[at];
        let (kind, provider) = *self.dice.pick(&[
            &("Card", "Visa"),
            &("Card", "Mastercard"),
            &("Bank transfer", "Northern Bank"),
            &("Direct debit", "SEPA"),
        ]);
        let card = kind == "Card";
        let year = self.dice.between(2027, 2031);
        json!({
            "holder": self.buyer(company),
            "company": company,
            "kind": kind,
            "provider": provider,
            "last_digits": format!("{:04}", self.dice.between(0, 9_999)),
            "expires": if card { format!("{year}-{:02}", self.dice.between(1, 12)) } else { String::new() },
            "is_default": !self.dice.one_in(4),
            "email": format!("billing@{}", domain(company)),
        })
    }

    fn usage(&mut self, at: usize) -> Value {
        let (year, month) = months_back(at / COMPANIES_EACH);
        let (metric, included) = *self.dice.pick(&[
            &("API calls", 50_000),
            &("Storage GB", 100),
            &("Messages", 10_000),
            &("Seats", 25),
        ]);
        let quantity = included * self.dice.between(15, 160) / 100;
        let overage = (quantity - included).max(0);
        json!({
            "company": self.companies[at % COMPANIES_EACH],
            "period": format!("{year}-{month:02}"),
            "metric": metric,
            "quantity": quantity,
            "included": included,
            "overage": overage,
            "cost": overage * 120 / included,
        })
    }

    fn webhook(&mut self, at: usize) -> Value {
        let name = WEBHOOKS[at];
        let broken = self.dice.one_in(6);
        let days = self.dice.between(-3, -1);
        json!({
            "name": name,
            "url": format!("https://hooks.{}/{}", self.tenant.domain, slug(name)),
            "events": [self.dice.pick(EVENTS), self.dice.pick(EVENTS)],
            "active": !self.dice.one_in(5),
            "last_status": if broken { 503 } else { 200 },
            "last_delivery_at": self.moment(days),
            "failures": if broken { self.dice.between(1, 14) } else { 0 },
            "owner": self.owner(),
        })
    }

    fn api_key(&mut self, at: usize) -> Value {
        let status = self.dice.pick(&["Active", "Active", "Active", "Expired", "Revoked"]);
        let days = self.dice.between(-40, -1);
        let left = if status == "Expired" { (-90, -2) } else { (20, 360) };
        json!({
            "name": API_KEYS[at],
            "prefix": format!("bz_{:06x}", self.dice.between(0, 0xff_ffff)),
            "scopes": ["read", self.dice.pick(&["write", "admin", "export"])],
            "status": status,
            "created_by": self.owner(),
            "last_used_at": self.moment(days),
            "expires_on": day(self.dice.between(left.0, left.1)),
        })
    }

    fn service(&mut self, at: usize) -> Value {
        let (name, category) = SERVICES[at];
        let days = self.dice.between(-2, -1);
        json!({
            "name": name,
            "category": category,
            "status": self.dice.pick(&[
                "Connected", "Connected", "Connected", "Needs attention", "Disconnected",
            ]),
            "account": format!("office@{}", self.tenant.domain),
            "connected_by": self.owner(),
            "connected_on": day(self.dice.between(-500, -5)),
            "last_sync_at": self.moment(days),
            "records_synced": self.dice.between(0, 24_000),
            "documentation": format!("https://docs.{}.example/", slug(name)),
            "settings": { "direction": "both", "every_minutes": self.dice.between(1, 12) * 5 },
        })
    }

    fn person(&mut self) -> Person {
        let at = self.dice.roll() % self.people.len() as u64;
        self.people[at as usize].clone()
    }

    /// Who signs for a company.
    fn buyer<'a>(&'a self, company: &'a str) -> &'a str {
        let known = self.people.iter().find(|person| person.company == company);
        known.map_or(company, |person| &person.name)
    }

    fn owner(&mut self) -> &'static str {
        self.dice.pick(self.tenant.owners)
    }

    fn note(&mut self) -> &'static str {
        self.dice.pick(NOTES)
    }

    /// A number with one decimal place, given in tenths.
    fn tenths(&mut self, low: i32, high: i32) -> f64 {
        let tenths = self.dice.between(low.into(), high.into());
        f64::from(i32::try_from(tenths).unwrap_or(low)) / 10.0
    }

    /// Some minute of the working day that is `days` from the fixed one.
    fn moment(&mut self, days: i64) -> String {
        let minutes = self.dice.between(8 * 60, 18 * 60);
        let midnight = OffsetDateTime::new_utc(TODAY, Time::MIDNIGHT);
        stamp(midnight + Duration::days(days) + Duration::minutes(minutes))
    }
}

fn day(days: i64) -> String {
    (TODAY + Duration::days(days)).to_string()
}

/// The year and month this many months before the fixed day's.
fn months_back(months: usize) -> (i32, i32) {
    let now = TODAY.year() * 12 + i32::from(u8::from(TODAY.month())) - 1;
    let then = now - i32::try_from(months).unwrap_or_default();
    (then / 12, then % 12 + 1)
}

fn domain(company: &str) -> String {
    format!("{}.example", slug(company))
}

fn slug(title: &str) -> String {
    let words = fold(title).replace('\'', "");
    let parts = words.split(|letter: char| !letter.is_ascii_alphanumeric());
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn fields(row: Value) -> Map<String, Value> {
    match row {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sandbox::collections::validate::{Mode, validate};

    fn all(tenant: usize) -> Vec<(&'static Collection, Vec<SeedRow>)> {
        rows(&TENANTS[tenant]).collect()
    }

    #[test]
    fn the_same_rows_come_out_every_time() {
        for tenant in 0..2 {
            let pairs = all(tenant).into_iter().zip(all(tenant));
            assert!(pairs.into_iter().all(|((_, left), (_, right))| left == right));
        }
    }

    #[test]
    fn every_row_keeps_the_rules_and_fills_every_field() {
        for (collection, rows) in all(0).into_iter().chain(all(1)) {
            assert!((12..=240).contains(&rows.len()), "{}", collection.path());
            for row in rows {
                let names: BTreeSet<_> = row.data.keys().map(String::as_str).collect();
                let expected: BTreeSet<_> = collection.own.iter().map(|field| field.name).collect();
                assert_eq!(names, expected, "{}", collection.path());
                let checked = validate(collection, Mode::Create, &row.data);
                assert!(checked.is_ok(), "{}: {checked:?}", collection.path());
            }
        }
    }

    #[test]
    fn no_contact_is_both_tenants() {
        let contacts = |tenant| -> BTreeSet<String> {
            let (_, rows) = all(tenant).swap_remove(0);
            rows.into_iter().map(|row| row.data["name"].to_string()).collect()
        };
        let (harbor, summit) = (contacts(0), contacts(1));
        assert_eq!((harbor.len(), summit.len()), (240, 180));
        assert!(harbor.is_disjoint(&summit));
    }
}
