//! `/data/{group}/{name}/-/new` and `/data/{group}/{name}/{id}/edit`: a record being filled in.

use leptos::prelude::*;
use leptos_meta::Title;
use serde_json::{Map, Value};

use super::{address, breadcrumb, script, trail};
use crate::{
    config::{Action, FieldConfig, FieldKind, ResourceConfig, in_sentence},
    data::{
        access,
        changes::{Change, Deed, State},
        form::{self, Control, Filled, Opened, VALUE},
        options::{self, Choosable},
        present,
        refusal::Refusal,
        resources::{edit_address, new_address, options_address, record_address},
        rules::{Rule, Shape},
        service::Resource,
        style::lookup,
        value::plain,
    },
    error::Result,
    server::state::App,
    session::Caller,
    store::new_id,
    ui::{
        html::escaped,
        icon::Icon,
        reader::Reader,
        zone::{UTC, Zone},
    },
};

/// Rows of a control for long text, and the most of them.
const ROWS: usize = 4;
const MOST_ROWS: usize = 20;

/// A form with everything in it.
#[derive(Clone)]
pub struct FormView {
    title: String,
    trail: Vec<(String, String)>,
    /// Where it is sent.
    to: String,
    /// Where it can be left for.
    back: String,
    fields: Vec<FieldView>,
    /// What goes along unseen.
    hidden: Vec<(&'static str, String)>,
    /// What is wrong with it as a whole.
    problems: Vec<String>,
    /// What to know of it.
    note: Option<&'static str>,
    send: &'static str,
}

impl FormView {
    /// The same form sent elsewhere, with this along and no more, and left for `back`.
    pub fn sent_to(
        self,
        to: String,
        back: String,
        hidden: Vec<(&'static str, String)>,
        note: Option<&'static str>,
    ) -> Self {
        Self { to, back, hidden, note, ..self }
    }
}

/// One field of a form.
#[derive(Clone)]
struct FieldView {
    rule: Rule,
    label: String,
    help: Option<String>,
    control: Control,
    texts: Vec<String>,
    options: Vec<(String, String)>,
    /// Where more of what can be chosen is found by words.
    finds: Option<String>,
    problem: Option<String>,
    is_wide: bool,
}

impl FormView {
    /// The same with what relations can lead to, by field; `record` knows what to call the present one.
    pub fn offering(
        mut self,
        first: Vec<(String, Vec<Choosable>)>,
        resource: &Resource,
        record: Option<&Value>,
    ) -> Self {
        let list = address(&resource.config);
        for (name, found) in first {
            let control = format!("{VALUE}{name}");
            let Some(view) = self.fields.iter_mut().find(|view| view.rule.name == control) else {
                continue;
            };
            view.finds = Some(options_address(&list, &name));
            view.options = found.into_iter().map(|one| (one.value, one.label)).collect();
            let show = resource.field(&name).and_then(|field| match &field.kind {
                FieldKind::Relation(relation) => relation.show.as_deref(),
                _ => None,
            });
            let called = record.zip(show).map(|(record, show)| plain(lookup(record, show)));
            let held = view.texts.first().cloned().unwrap_or_default();
            if let Some(called) = called.filter(|called| !called.is_empty() && !held.is_empty())
                && view.options.iter().all(|(value, _)| *value != held)
            {
                view.options.push((held, called.into_owned()));
            }
        }
        self
    }
}

/// What was typed, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// Names and texts as the form sent them.
    pub form: Vec<(String, String)>,
    /// What is wrong.
    pub refusal: Refusal,
}

impl Typed {
    /// What a form said that cannot be sent on.
    pub fn of(form: Vec<(String, String)>, filled: Filled) -> Self {
        Self { form, refusal: Refusal::of_fields(filled.problems) }
    }
}

pub(super) async fn new_page(
    app: App,
    caller: Caller,
    group: String,
    name: String,
    from: Option<String>,
    reader: Reader,
) -> Result<impl IntoView> {
    let resource = app.data().resource(&caller, &group, &name).await?;
    access::check(&resource.config, &caller, Action::Create)?;
    let start = match from {
        Some(change) => {
            let change = app.changes.find(&caller, &change).await?;
            let is_here = change.group == group && change.name == name;
            Opened {
                values: if is_here { change.values } else { Map::new() },
                zone: reader.zone.name().to_owned(),
            }
        }
        None => Opened { zone: reader.zone.name().to_owned(), ..Opened::default() },
    };
    let first = options::first(&app.data(), &caller, &resource).await;
    let form = new_form(&app, &resource, &new_id(), &start, None);
    Ok(page(form.offering(first, &resource, None)))
}

pub(super) async fn edit_page(
    app: App,
    caller: Caller,
    group: String,
    name: String,
    id: String,
    reader: Reader,
) -> Result<impl IntoView> {
    let data = app.data();
    let resource = data.resource(&caller, &group, &name).await?;
    access::check(&resource.config, &caller, Action::Update)?;
    let record = data.fresh(&caller, &resource, &id).await?.value;
    let mut opened = Opened::on(&resource.fields, &record, &reader.zone);
    let mut changes = app.changes.of_record(&caller, &resource.config, &id).await?;
    changes.retain(|change| change.deed == Deed::Update && change.state != State::Running);
    let wanted = Wanted::of(&changes, &mut opened);
    let title = present::title(&reader, &resource.config, &resource.fields, &record);
    let form = edit_form(&app, &resource, &id, &title, &opened, &wanted, None);
    let first = options::first(&data, &caller, &resource).await;
    Ok(page(form.offering(first, &resource, Some(&record))))
}

/// What a person still wants of a record, and why it was not done.
#[derive(Default)]
pub struct Wanted {
    /// The changes that the form takes the place of.
    changes: Vec<String>,
    values: Map<String, Value>,
    refusal: Refusal,
}

impl Wanted {
    /// What these changes want. What they were to replace is what the form is opened on: what others
    /// have changed since is still a clash.
    pub(super) fn of(changes: &[Change], opened: &mut Opened) -> Self {
        let mut wanted = Self::default();
        for change in changes {
            wanted.changes.push(change.id.clone());
            wanted.values.extend(change.values.clone());
            for name in change.values.keys() {
                if let Some(was) = change.opened.values.get(name) {
                    opened.values.insert(name.clone(), was.clone());
                }
            }
            let refusal = change.outcome.refusal.clone();
            wanted.refusal = refusal.filter(|_| change.state == State::Refused).unwrap_or_default();
        }
        wanted
    }

    /// What another form said it takes the place of.
    pub fn in_place_of(changes: Vec<String>) -> Self {
        Self { changes, ..Self::default() }
    }
}

/// The form of a record that is to be made; `request` names it, `start` is what it begins with.
pub fn new_form(
    app: &App,
    resource: &Resource,
    request: &str,
    start: &Opened,
    typed: Option<&Typed>,
) -> FormView {
    let config = &resource.config;
    let fields = form::entered(&resource.fields).map(|field| {
        let control = form::control(field, &Value::Null);
        let texts = match (start.values.get(&field.name), &field.default) {
            (Some(value), _) => form::texts(field, control, value, &start.zone()),
            (None, Some(text)) if control != Control::Tick || text == "true" => vec![text.clone()],
            (None, _) => form::texts(field, control, &Value::Null, &UTC),
        };
        field_view(field, &Value::Null, texts, typed, &start.zone())
    });
    FormView {
        title: format!("New {}", in_sentence(&config.singular)),
        trail: trail(app, config),
        to: new_address(&address(config)),
        back: address(config),
        fields: fields.collect(),
        note: None,
        hidden: vec![("request", request.to_owned()), ("zone", start.zone.clone())],
        problems: general(resource, typed.map(|typed| &typed.refusal)),
        send: "Create",
    }
}

/// The form of a record that is there.
pub fn edit_form(
    app: &App,
    resource: &Resource,
    id: &str,
    title: &str,
    opened: &Opened,
    wanted: &Wanted,
    typed: Option<&Typed>,
) -> FormView {
    let config = &resource.config;
    let own = Typed { form: Vec::new(), refusal: wanted.refusal.clone() };
    let typed = typed.or((wanted.refusal != Refusal::default()).then_some(&own));
    let zone = opened.zone();
    let fields = form::entered(&resource.fields).map(|field| {
        let was = opened.values.get(&field.name).unwrap_or(&Value::Null);
        let shown = wanted.values.get(&field.name).unwrap_or(was);
        let control = form::control(field, was);
        let texts = form::texts(field, control, shown, &zone);
        let mut view = field_view(field, was, texts, typed, &zone);
        // Nobody is held to what the record breaks already, as long as they leave it alone.
        let held = form::texts(field, control, was, &zone);
        if held.iter().any(|text| view.rule.problem(text).is_some()) {
            view.rule = Rule { name: view.rule.name, shape: view.rule.shape, ..Rule::default() };
        }
        view
    });
    let note = (!wanted.changes.is_empty()).then_some(
        "What you wanted before, and is not saved yet, is filled in. Saving takes its place.",
    );
    let list = address(config);
    let mut trail = trail(app, config);
    trail.push((title.to_owned(), record_address(&list, id)));
    FormView {
        title: format!("Edit {title}"),
        trail,
        to: edit_address(&list, id),
        back: record_address(&list, id),
        fields: fields.collect(),
        note,
        hidden: vec![
            ("opened", opened.write()),
            ("title", title.to_owned()),
            ("replaces", wanted.changes.join(" ")),
        ],
        problems: general(resource, typed.map(|typed| &typed.refusal)),
        send: "Save",
    }
}

/// What is wrong with the whole, and with fields that the form does not have.
fn general(resource: &Resource, refusal: Option<&Refusal>) -> Vec<String> {
    let Some(refusal) = refusal else { return Vec::new() };
    let has = |name: &str| form::entered(&resource.fields).any(|field| field.name == name);
    let label = |name: &str| resource.field(name).map(|field| field.label.as_str());
    refusal.clone().for_form(has, label).general
}

fn field_view(
    field: &FieldConfig,
    was: &Value,
    usual: Vec<String>,
    typed: Option<&Typed>,
    zone: &Zone,
) -> FieldView {
    let control = form::control(field, was);
    let texts = typed.and_then(|typed| form::typed(field, control, &typed.form));
    let problems = typed.iter().flat_map(|typed| &typed.refusal.fields);
    let problems = problems.filter(|(name, _)| *name == field.name);
    let problems: Vec<&str> = problems.map(|(_, problem)| problem.as_str()).collect();
    FieldView {
        rule: form::rule(field, was),
        label: field.label.clone(),
        help: help(field, control, zone),
        control,
        texts: texts.unwrap_or(usual),
        options: match control {
            Control::Pick | Control::PickSome => form::offered(field, was),
            _ => Vec::new(),
        },
        finds: None,
        problem: (!problems.is_empty()).then(|| problems.join(" ")),
        is_wide: matches!(control, Control::Lines | Control::Json | Control::PickSome),
    }
}

/// What helps to fill a field in. Where nobody knows the reader's clock, it is said which one counts.
fn help(field: &FieldConfig, control: Control, zone: &Zone) -> Option<String> {
    let is_moment = control == Control::Line("datetime-local");
    let clock = (is_moment && zone.name() == UTC.name()).then(|| "The time in UTC.".to_owned());
    let help: Vec<String> = field.help.clone().into_iter().chain(clock).collect();
    (!help.is_empty()).then(|| help.join(" "))
}

/// The page of a form.
pub fn page(form: FormView) -> impl IntoView {
    let FormView { title, trail, to, back, fields, hidden, problems, note, send } = form;
    let note = note.map(|note| view! { <p class="hint">{note}</p> });
    let is_unsent =
        (!problems.is_empty() || fields.iter().any(|it| it.problem.is_some())).then_some("");
    let here = if send == "Save" { "Edit" } else { "New" };
    let wrong = fields.iter().filter(|field| field.problem.is_some()).count();
    let hidden = hidden.into_iter().map(|(name, value)| {
        view! { <input type="hidden" name=name value=value /> }
    });
    view! {
        <Title text=title.clone() />
        <main id="main" class="page" data-width="narrow" tabindex="-1">
            {breadcrumb(trail, here)}
            <div class="page-head">
                <h1>{title.clone()}</h1>
            </div>
            {summary(problems, wrong)}
            {note}
                <form class="record-form" method="post" action=to data-unsent=is_unsent>
                    {hidden.collect_view()}
                    {fields.into_iter().map(field_row).collect_view()}
                    <div class="actions">
                        <button class="button" data-variant="primary">
                            {send}
                        </button>
                        <a class="button" href=back>
                            "Cancel"
                        </a>
                    </div>
                </form>
            {script()}
        </main>
    }
}

pub(super) fn summary(problems: Vec<String>, wrong: usize) -> Option<impl IntoView + use<>> {
    let fields = match wrong {
        0 => None,
        1 => Some("One field needs another look.".to_owned()),
        many => Some(format!("{many} fields need another look.")),
    };
    let sentences: Vec<String> = problems.into_iter().chain(fields).collect();
    (!sentences.is_empty()).then(|| {
        let sentence = |text: String| view! { <p>{text}</p> };
        view! {
            <div class="notice" data-kind="error" role="alert">
                <Icon name="warning" />
                <div>
                    <strong>"Nothing was saved yet"</strong>
                    {sentences.into_iter().map(sentence).collect_view()}
                </div>
            </div>
        }
    })
}

fn field_row(field: FieldView) -> impl IntoView {
    let name = field.rule.name.clone();
    let mark = (!field.rule.required).then(|| view! { <span class="optional">"optional"</span> });
    let problem_id = format!("problem-{name}");
    let help_id = field.help.as_ref().map(|_| format!("help-{name}"));
    let help = field.help.clone().zip(help_id.clone()).map(|(help, id)| {
        view! {
            <p class="hint" id=id>
                {help}
            </p>
        }
    });
    let problem = field.problem.clone().unwrap_or_default();
    let is_fine = field.problem.is_none();
    let wide = field.is_wide.then_some("");
    let about = Some(match help_id {
        Some(help) => format!("{help} {problem_id}"),
        None => problem_id.clone(),
    });
    let label = field.label.clone();
    let problem = view! {
        <p class="problem" id=problem_id hidden=is_fine>
            {problem}
        </p>
    };
    match field.control {
        Control::Tick => {
            let checked = !field.texts.is_empty();
            view! {
                <div class="field" data-wide=wide>
                    <label class="check">
                        <input type="hidden" name=name.clone() value="" />
                        <input
                            type="checkbox"
                            name=name
                            value="true"
                            checked=checked
                            aria-describedby=about
                        />
                        {label}
                    </label>
                    {help}
                    {problem}
                </div>
            }
            .into_any()
        }
        Control::PickSome => {
            let option = |(value, label): (String, String)| {
                let checked = field.texts.contains(&value);
                view! {
                    <label class="check">
                        <input type="checkbox" name=name.clone() value=value checked=checked />
                        {label}
                    </label>
                }
            };
            let options = field.options.iter().cloned().map(option).collect_view();
            view! {
                <fieldset class="field" data-wide=wide aria-describedby=about>
                    <legend>{label} " " {mark}</legend>
                    <input type="hidden" name=name.clone() value="" />
                    <div class="checks">{options}</div>
                    {help}
                    {problem}
                </fieldset>
            }
            .into_any()
        }
        _ => view! {
            <div class="field" data-wide=wide>
                <label for=name>{label} " " {mark}</label>
                {one(field, about)}
                {help}
                {problem}
            </div>
        }
        .into_any(),
    }
}

/// A control with one text in it.
fn one(field: FieldView, about: Option<String>) -> impl IntoView {
    let FieldView { rule, control, texts, options, finds, problem, .. } = field;
    let name = rule.name.clone();
    let id = name.clone();
    let text = texts.into_iter().next().unwrap_or_default();
    let invalid = problem.is_some().then_some("true");
    let required = rule.required;
    match control {
        Control::Pick => {
            let option = |(value, label): (String, String)| {
                let selected = value == text;
                view! {
                    <option value=value selected=selected>
                        {label}
                    </option>
                }
            };
            let nothing = (!required || text.is_empty()).then(|| {
                view! { <option value="">{if required { "Choose one" } else { "None" }}</option> }
            });
            view! {
                <select
                    id=id
                    name=name
                    required=required
                    aria-invalid=invalid
                    aria-describedby=about
                >
                    {nothing}
                    {options.into_iter().map(option).collect_view()}
                </select>
            }
            .into_any()
        }
        Control::Lines | Control::Json => {
            let rows = text.lines().count().max(text.len() / 80).clamp(ROWS, MOST_ROWS);
            let code = (control == Control::Json).then_some("code");
            let shape = (control == Control::Json).then_some("json");
            // A line end at the beginning would be taken for the tag's own.
            let text = format!("\n{}", escaped(&text));
            view! {
                <textarea
                    id=id
                    name=name
                    class=code
                    rows=rows
                    dir="auto"
                    required=required
                    minlength=rule.min_length
                    data-most=rule.max_length
                    data-shape=shape
                    aria-invalid=invalid
                    aria-describedby=about
                    inner_html=text
                ></textarea>
            }
            .into_any()
        }
        control => {
            let kind = match control {
                Control::Line(kind) => kind,
                _ => "text",
            };
            let step = match (kind, rule.shape) {
                ("number", Shape::Integer) => Some("1"),
                ("number", _) => Some("any"),
                ("datetime-local", _) => Some("1"),
                _ => None,
            };
            let is_bounded = kind == "number" || kind == "date";
            let list = finds.is_some().then(|| format!("list-{name}"));
            let choices = list.clone().map(|id| {
                let option = |(value, label): &(String, String)| {
                    let label = (label != value).then(|| label.clone());
                    view! { <option value=value.clone() label=label></option> }
                };
                let called = options.iter().find(|(value, label)| *value == text && label != value);
                let called = called.map(|(_, label)| label.clone());
                view! {
                    <datalist id=id>{options.iter().map(option).collect_view()}</datalist>
                    <output class="hint">{called}</output>
                }
            });
            view! {
                {choices}
                <input
                    list=list
                    data-finds=finds
                    id=id
                    type=kind
                    name=name
                    value=text
                    step=step
                    dir=(kind == "text").then_some("auto")
                    required=required
                    min=rule.min.filter(|_| is_bounded)
                    max=rule.max.filter(|_| is_bounded)
                    minlength=rule.min_length
                    data-most=rule.max_length
                    pattern=rule.pattern
                    title=rule.hint
                    autocomplete="off"
                    aria-invalid=invalid
                    aria-describedby=about
                />
            }
            .into_any()
        }
    }
}

/// A field of a form over many records, which is set only where it is ticked.
pub(super) fn bulk_row(
    field: &FieldConfig,
    zone: &Zone,
    is_set: bool,
    typed: &Typed,
) -> impl IntoView + use<> {
    let control = form::control(field, &Value::Null);
    let texts = form::texts(field, control, &Value::Null, &UTC);
    let mut view = field_view(field, &Value::Null, texts, Some(typed), zone);
    let name = field.name.clone();
    let label = format!("Change {}", in_sentence(&view.label));
    view.rule.required = false;
    view! {
        <div class="bulk-field">
            <label class="check">
                <input type="checkbox" name="set" value=name checked=is_set />
                {label}
            </label>
            {field_row(view)}
        </div>
    }
}

/// A form that could not be sent on.
#[derive(Clone)]
pub struct Kept {
    /// Where it is sent; nowhere, where it cannot be sent again.
    pub to: Option<String>,
    /// Names and texts.
    pub form: Vec<(String, String)>,
    /// What happened.
    pub message: String,
    /// Whether nobody is signed in any more.
    pub signed_out: bool,
}

/// The page of a form that could not be sent on: what it says is kept.
pub fn kept_page(kept: Kept) -> impl IntoView {
    let Kept { to, form, message, signed_out } = kept;
    let advice = match &to {
        _ if signed_out => {
            "What you wrote is kept below. Sign in again in another tab, then come back and send it."
        }
        Some(_) => "What you wrote is kept below. Send it again in a moment.",
        None => "What you wrote is kept below, so that you can copy it.",
    };
    let login = signed_out.then(|| {
        view! {
            <a class="button" href="/auth/login" target="_blank" rel="nofollow">
                "Sign in again"
            </a>
        }
    });
    let again = to.map(|to| {
        let hidden = form.iter().cloned().map(|(name, value)| {
            view! { <input type="hidden" name=name value=value /> }
        });
        view! {
            <form method="post" action=to>
                {hidden.collect_view()}
                <div class="actions">
                    {login} <button class="button" data-variant="primary">
                        "Send again"
                    </button>
                </div>
            </form>
        }
    });
    let said = form.iter().filter(|(name, value)| name.starts_with(VALUE) && !value.is_empty());
    let said = said.map(|(name, value)| {
        let name = name.trim_start_matches(VALUE).to_owned();
        view! {
            <div data-wide="">
                <dt>{name}</dt>
                <dd>
                    <span class="lines">{value.clone()}</span>
                </dd>
            </div>
        }
    });
    view! {
        <Title text="Not saved yet" />
        <main id="main" class="page" data-width="narrow" tabindex="-1">
            <h1>"Not saved yet"</h1>
            <p>{message}</p>
            <p>{advice}</p>
            <dl class="record">{said.collect_view()}</dl>
            {again}
        </main>
    }
}

/// What a record is called on the pages about it.
pub fn title_of(resource: &ResourceConfig, id: &str, said: Option<&str>) -> String {
    match said.map(str::trim).filter(|title| !title.is_empty()) {
        Some(title) => title.chars().take(200).collect(),
        None => format!("{} {id}", resource.singular),
    }
}
