//! What an assistant can do with declared resources, for one person: looking at them at once, and
//! proposing changes, which are done when the person says so.
//!
//! Everything goes the way of the pages: the person's own credentials and tenant, the roles of the
//! declaration, the rules of the forms. What backends answer is told to the model as the result of a
//! call and nowhere else; of the words that stand elsewhere none are a backend's.

mod arguments;
mod schema;
mod told;

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use self::arguments::Arguments;
use super::{
    Changes, Data, access,
    changes::{Deed, Wish},
    form::Opened,
    present,
    query::{ListQuery, USUAL_SIZE},
    resources::{address, asked_address, change_address, edit_address, record_address},
    service::Resource,
};
use crate::{
    chat::wire::{Found, Step},
    config::{Action, ToolVerb, ToolsConfig, in_sentence},
    error::{Error, Kind, Result},
    session::Caller,
    ui::{
        reader::{Habits, Reader},
        zone::Zone,
    },
};

/// The most rows of a list that are told at once.
const ROWS: usize = 20;
/// The longest name of a tool.
const LONGEST_NAME: usize = 64;
/// How long the fields of a resource are waited for that does not declare them.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a tool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    List,
    Read,
    Create,
    Update,
}

/// One tool.
#[derive(Debug)]
pub struct Tool {
    /// What it is called: letters, digits, `-` and `_`.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// A JSON schema of its arguments.
    pub parameters: Value,
    does: Does,
    /// Where it stands among the resources.
    resource: usize,
}

/// Whom an assistant does something for, and where it is told.
#[derive(Debug)]
pub struct Client {
    /// The person.
    pub caller: Caller,
    /// How they are used to reading.
    pub habits: Habits,
    /// The message in which it is done.
    pub message: String,
}

/// The tools of one reply.
pub struct Toolbox {
    data: Data,
    changes: Changes,
    client: Client,
    resources: Vec<Resource>,
    tools: Vec<Tool>,
    missing: Vec<String>,
}

/// What came of a call.
#[derive(Debug)]
pub struct Done {
    /// What the model is told.
    pub told: String,
    /// Whether it did not work out.
    pub is_error: bool,
    /// What the person is shown.
    pub step: Step,
}

impl Does {
    fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
        }
    }

    /// What the person must be allowed.
    fn actions(self) -> &'static [Action] {
        match self {
            Self::List => &[Action::List],
            Self::Read => &[Action::Read],
            Self::Create => &[Action::Create],
            Self::Update => &[Action::Read, Action::Update],
        }
    }

    fn of(verb: ToolVerb) -> &'static [Self] {
        match verb {
            ToolVerb::Read => &[Self::List, Self::Read],
            ToolVerb::Create => &[Self::Create],
            ToolVerb::Update => &[Self::Update],
        }
    }
}

impl Toolbox {
    /// The tools that `configured` allows and the person's roles do. A resource whose fields cannot be
    /// had right now has none.
    pub async fn open(
        data: Data,
        changes: Changes,
        client: Client,
        configured: &[ToolsConfig],
    ) -> Self {
        let (from, caller) = (&data, &client.caller);
        let resources = configured.iter().map(|entry| async move {
            let found = from.resource(caller, &entry.group, &entry.name);
            timeout(PATIENCE, found).await.ok()?.ok()
        });
        let resources = join_all(resources).await;
        let (known, tools) = (Vec::new(), Vec::new());
        let missing = Vec::new();
        let mut toolbox = Self { data, changes, client, resources: known, tools, missing };
        for (entry, resource) in configured.iter().zip(resources) {
            match resource {
                Some(resource) => toolbox.add(entry, resource),
                None => {
                    tracing::debug!(resource = entry.name, "an assistant goes without tools");
                    toolbox.missing.push(format!("{}.{}", entry.group, entry.name));
                }
            }
        }
        toolbox
    }

    fn add(&mut self, entry: &ToolsConfig, resource: Resource) {
        let config = &resource.config;
        let may = |does: Does| {
            does.actions().iter().all(|action| access::may(config, &self.client.caller, *action))
        };
        let all = entry.verbs.iter().flat_map(|verb| Does::of(*verb)).copied();
        let allowed: Vec<Does> = all.filter(|does| may(*does)).collect();
        for does in allowed {
            let tool = Tool {
                name: self.name_for(does, &resource),
                description: description(does, &resource),
                parameters: match does {
                    Does::List => schema::list(&resource, page_size(&resource)),
                    Does::Read => schema::read(),
                    Does::Create => schema::create(&resource),
                    Does::Update => schema::update(&resource),
                },
                does,
                resource: self.resources.len(),
            };
            self.tools.push(tool);
        }
        self.resources.push(resource);
    }

    /// A name that no other tool has.
    fn name_for(&self, does: Does, resource: &Resource) -> String {
        let (group, name) = (&resource.config.group, &resource.config.name);
        let plain = format!("{}_{group}_{name}", does.word());
        let is_taken = self.tools.iter().any(|tool| tool.name == plain);
        if plain.len() <= LONGEST_NAME && !is_taken {
            return plain;
        }
        let hash = Sha256::digest(format!("{group}.{name}"));
        let hash: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        // Names of groups and resources are ASCII.
        let begin: String = plain.chars().take(LONGEST_NAME - hash.len() - 1).collect();
        format!("{begin}_{hash}")
    }

    /// The resources that cannot be had right now.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// All of them.
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Does what a call says. What is wrong with it is told to the model, and shown as what did not
    /// work out.
    pub async fn run(&self, name: &str, arguments: &str) -> Done {
        let Some(tool) = self.tools.iter().find(|tool| tool.name == name) else {
            let names: Vec<&str> = self.tools.iter().map(|tool| tool.name.as_str()).collect();
            let told = format!("There is no such tool. There are: {}.", names.join(", "));
            return failed("Tried something that is not possible here", told);
        };
        let Some(resource) = self.resources.get(tool.resource) else {
            return failed("Tried something that is not possible here", "It is not there.");
        };
        let job = Job { toolbox: self, resource };
        let done = match Arguments::read(arguments) {
            Ok(arguments) => match tool.does {
                Does::List => job.list(&arguments).await,
                Does::Read => job.read(&arguments).await,
                Does::Create => job.create(&arguments).await,
                Does::Update => job.update(&arguments).await,
            },
            Err(problem) => Err(Trouble::Wrong(problem)),
        };
        done.unwrap_or_else(|trouble| failed(attempted(tool.does, resource), trouble.sentence()))
    }
}

/// Why a call came to nothing.
enum Trouble {
    /// The model has to call in another way.
    Wrong(String),
    /// Something is in the way.
    Error(Error),
}

impl Trouble {
    /// For the model and for people: words of ours alone.
    fn sentence(self) -> String {
        match self {
            Self::Wrong(sentence) => sentence,
            Self::Error(error) => {
                if !matches!(error.kind(), Kind::NotFound | Kind::Forbidden | Kind::BadRequest) {
                    tracing::info!(%error, "an assistant's tool did not work");
                }
                error.message().to_owned()
            }
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<String> for Trouble {
    fn from(sentence: String) -> Self {
        Self::Wrong(sentence)
    }
}

/// One call while it is done.
struct Job<'a> {
    toolbox: &'a Toolbox,
    resource: &'a Resource,
}

impl Job<'_> {
    fn client(&self) -> &Client {
        &self.toolbox.client
    }

    fn address(&self) -> String {
        address(&self.resource.config.group, &self.resource.config.name)
    }

    async fn list(&self, arguments: &Arguments) -> Result<Done, Trouble> {
        let query = arguments.query(self.resource, page_size(self.resource) as u64)?;
        let Client { caller, habits, .. } = self.client();
        let listing = self.toolbox.data.list(caller, self.resource, &query, &habits.zone).await?;
        let reader = Reader::with(habits);
        let headline = told::headline(&reader, self.resource, &listing, ROWS);
        let shown = ListQuery { page_size: USUAL_SIZE, page: 1, ..query.clone() }.write();
        let list = self.address();
        Ok(Done {
            told: told::rows(self.resource, &query, &listing, ROWS),
            is_error: false,
            step: Step {
                headline,
                title: told::conditions(&reader, self.resource, &query),
                place: asked_address(list, &shown),
                at: 0,
                found: told::rows_shown(&reader, self.resource, &listing, ROWS),
            },
        })
    }

    async fn read(&self, arguments: &Arguments) -> Result<Done, Trouble> {
        let id = arguments.id()?;
        let Client { caller, habits, .. } = self.client();
        let record = self.toolbox.data.read(caller, self.resource, &id).await?;
        let reader = Reader::with(habits);
        let (config, fields) = (&self.resource.config, &self.resource.fields);
        Ok(Done {
            told: told::record(self.resource, &id, &record),
            is_error: false,
            step: Step {
                headline: format!(
                    "Looked at {}{}",
                    told::named(self.resource, &id),
                    told::as_of(&reader, record.as_of)
                ),
                title: present::title(&reader, config, fields, &record.value),
                place: record_address(&self.address(), &id),
                at: 0,
                found: told::record_shown(&reader, self.resource, &record.value),
            },
        })
    }

    async fn create(&self, arguments: &Arguments) -> Result<Done, Trouble> {
        let zone = &self.client().habits.zone;
        let values = arguments.made(self.resource, zone)?;
        let config = &self.resource.config;
        let wish = Wish {
            resource: self.resource,
            record: "",
            title: config.singular.clone(),
            deed: Deed::Create,
            opened: opened_on_nothing(zone),
            values: values.clone(),
        };
        let headline = format!("Proposed a new {}", in_sentence(&config.singular));
        self.propose(wish, headline, String::new(), &values, None).await
    }

    async fn update(&self, arguments: &Arguments) -> Result<Done, Trouble> {
        let id = arguments.id()?;
        let Client { caller, habits, .. } = self.client();
        let record = self.toolbox.data.fresh(caller, self.resource, &id).await?.value;
        let opened = Opened::on(&self.resource.fields, &record, &habits.zone);
        let values = arguments.changed(self.resource, &opened)?;
        if values.is_empty() {
            return Err("The record has these values already: nothing would change."
                .to_owned()
                .into());
        }
        let is_long = |name: &&String| opened.values.get(*name).is_some_and(told::is_cut);
        if let Some(name) = values.keys().find(is_long) {
            let page = edit_address(&self.address(), &id);
            return Err(format!(
                "`{name}` is longer than you were told, so new words for it would lose the rest. \
                 Leave it out; the person can change it at {page}."
            )
            .into());
        }
        let title = {
            let reader = Reader::with(habits);
            present::title(&reader, &self.resource.config, &self.resource.fields, &record)
        };
        let names: BTreeSet<&str> = values.keys().map(String::as_str).collect();
        let labels = self.resource.fields.iter().filter(|field| names.contains(&*field.name));
        let labels: Vec<String> = labels.map(|field| told::label(self.resource, field)).collect();
        let wish = Wish {
            resource: self.resource,
            record: &id,
            title: title.clone(),
            deed: Deed::Update,
            values: values.clone(),
            opened: opened.clone(),
        };
        let named = told::named(self.resource, &id);
        let headline = format!("Proposed to change {named}: {}", labels.join(", "));
        self.propose(wish, headline, title, &values, Some(&opened)).await
    }

    /// Keeps a proposal, and shows it.
    async fn propose(
        &self,
        wish: Wish<'_>,
        headline: String,
        title: String,
        values: &Map<String, Value>,
        was: Option<&Opened>,
    ) -> Result<Done, Trouble> {
        let Client { caller, habits, message } = self.client();
        let change = self.toolbox.changes.propose_one(caller, wish, message).await?;
        let reader = Reader::with(habits);
        let (fields, is_partly_shown) = told::values_shown(&reader, self.resource, values, was);
        Ok(Done {
            told: "Shown to the person for confirmation; nothing is written yet.".to_owned(),
            is_error: false,
            step: Step {
                headline,
                title,
                place: change_address(&change.id),
                at: 0,
                found: Found::Proposal {
                    change: change.id,
                    is_new: was.is_none(),
                    fields,
                    is_partly_shown,
                    values: serde_json::to_string(values).map_err(Error::internal)?,
                },
            },
        })
    }
}

fn opened_on_nothing(zone: &Zone) -> Opened {
    Opened { values: Map::new(), zone: zone.name().to_owned() }
}

fn failed(headline: impl Into<String>, why: impl Into<String>) -> Done {
    let why = why.into();
    let step = Step {
        headline: headline.into(),
        title: String::new(),
        place: String::new(),
        at: 0,
        found: Found::Trouble { why: why.clone() },
    };
    Done { told: why, is_error: true, step }
}

/// What somebody tried in vain.
fn attempted(does: Does, resource: &Resource) -> String {
    let config = &resource.config;
    let one = in_sentence(&config.singular);
    match does {
        Does::List => format!("Tried to look at {}", config.title),
        Does::Read => format!("Tried to look at one {one}"),
        Does::Create => format!("Tried to propose a new {one}"),
        Does::Update => format!("Tried to propose a change of one {one}"),
    }
}

/// How many records of a list are told at once.
fn page_size(resource: &Resource) -> usize {
    usize::try_from(resource.config.style.largest()).map_or(ROWS, |largest| largest.min(ROWS))
}

/// What a tool does, for the model.
fn description(does: Does, resource: &Resource) -> String {
    let config = &resource.config;
    let (things, one) = (config.things(), in_sentence(&config.singular));
    let list = address(&config.group, &config.name);
    match does {
        Does::List => format!(
            "Lists {things}, at most {} at a time, and says how many there are. Their page is {list}; \
             in its address, `q` stands for `search`, `f.<field>=` for a choice, `f.<field>.from=` and \
             `f.<field>.to=` for bounds, and `f.<field>.has=` for a text.",
            page_size(resource)
        ),
        Does::Read => format!("Reads one {one} as its page shows it, which is {list}/<id>."),
        Does::Create => format!(
            "Proposes a new {one}. The person is shown a form with these values and decides; nothing \
             is written before."
        ),
        Does::Update => format!(
            "Proposes new values for fields of one {one}. The person is shown the change and decides; \
             nothing is written before. Give only the fields that are to change."
        ),
    }
}

#[cfg(test)]
mod testing {
    use super::{super::Resources, *};
    use crate::config::Config;

    /// A resource of deals, whose backend is asked in this style.
    pub fn resource(style: &str) -> Resource {
        let style = if style.starts_with('{') { style.to_owned() } else { format!("\"{style}\"") };
        let text = format!(
            "[backends.b]\nurl = \"https://b.example\"\n[resources.crm.deals]\nbackend = \"b\"\n\
             path = \"/d\"\nstyle = {style}\nfields = [\n\
             {{ name = \"name\", required = true, max_length = 20, sortable = true }},\n\
             {{ name = \"stage\", type = \"choice\", default = \"lead\", filterable = true, \
                choices = [\"lead\", {{ value = \"won\", label = \"Closed won\" }}] }},\n\
             {{ name = \"amount\", type = \"money\", min = 0, sortable = true, filterable = true }},\n\
             {{ name = \"closes\", type = \"date\", filterable = true }},\n\
             {{ name = \"open\", type = \"boolean\", filterable = true }},\n\
             {{ name = \"company\", filterable = true }},\n\
             {{ name = \"tags\", type = \"multi-choice\", choices = [\"a\", \"b\"] }},\n\
             {{ name = \"notes\", type = \"long-text\" }},\n\
             {{ name = \"updated\", type = \"datetime\", read_only = true }},\n]\n"
        );
        let config = Config::from_text("x.toml".as_ref(), &text, &Default::default()).unwrap();
        let config = Resources::new(&config).find("crm", "deals").unwrap().clone();
        Resource { fields: config.fields.clone(), config }
    }
}
