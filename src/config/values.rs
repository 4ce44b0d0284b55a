//! One value at a time: text that means something, checked when it is read.
//!
//! Messages say what to write. They repeat a value only where it cannot be a secret: of a URL, a
//! token or a key nothing is ever repeated.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ipnet::IpNet;
use secrecy::SecretString;
use time::{format_description::StaticFormatDescription, macros::format_description};
use url::{Host, Url};

use super::{
    duration,
    model::{
        Action, Aggregate, BackendAuth, ChartKind, ChatProvider, FilterForm, Rate, RecordForm,
        Sharing, ToolVerb, UpdateMethod,
    },
    problem::{alternatives, suggestion},
    section::{Read, Value},
    size,
};
use crate::chat::wire::LONGEST_MESSAGE;

/// `provider` of an assistant.
pub(super) const PROVIDERS: &[(&str, ChatProvider)] = &[
    ("openai", ChatProvider::OpenAi),
    ("anthropic", ChatProvider::Anthropic),
    ("ollama", ChatProvider::Ollama),
    ("drupal", ChatProvider::Drupal),
    ("json", ChatProvider::Json),
];

/// The verbs of an assistant's `tools`.
pub(super) const TOOL_VERBS: &[(&str, ToolVerb)] =
    &[("read", ToolVerb::Read), ("create", ToolVerb::Create), ("update", ToolVerb::Update)];

/// `share` of `[chat]`.
pub(super) const SHARING: &[(&str, Option<Sharing>)] =
    &[("off", None), ("tenant", Some(Sharing::Tenant)), ("anyone", Some(Sharing::Anyone))];

/// `actions` of a resource.
pub(super) const ACTIONS: &[(&str, Action)] = &[
    ("list", Action::List),
    ("read", Action::Read),
    ("create", Action::Create),
    ("update", Action::Update),
    ("delete", Action::Delete),
];

/// `icon` of a resource: symbols of `public/icons.svg`.
pub(super) const ICONS: &[(&str, &str)] = &[
    ("article", "article"),
    ("box", "box"),
    ("briefcase", "briefcase"),
    ("building", "building"),
    ("calendar", "calendar"),
    ("card", "card"),
    ("chart", "chart"),
    ("flow", "flow"),
    ("form", "form"),
    ("funnel", "funnel"),
    ("gauge", "gauge"),
    ("globe", "globe"),
    ("hook", "hook"),
    ("image", "image"),
    ("inbox", "inbox"),
    ("key", "key"),
    ("layout", "layout"),
    ("mail", "mail"),
    ("megaphone", "megaphone"),
    ("page", "page"),
    ("people", "people"),
    ("plug", "plug"),
    ("receipt", "receipt"),
    ("repeat", "repeat"),
    ("rows", "rows"),
    ("share", "share"),
    ("tag", "tag"),
    ("target", "target"),
    ("task", "task"),
    ("ticket", "ticket"),
    ("truck", "truck"),
    ("user", "user"),
];

/// `kind` of a chart.
pub(super) const CHARTS: &[(&str, ChartKind)] =
    &[("bars", ChartKind::Bars), ("lines", ChartKind::Lines), ("shares", ChartKind::Shares)];

/// `of` of a tile or a chart.
pub(super) const AGGREGATES: &[(&str, Aggregate)] = &[
    ("sum", Aggregate::Sum),
    ("average", Aggregate::Average),
    ("min", Aggregate::Least),
    ("max", Aggregate::Most),
    ("count", Aggregate::Count),
    ("last", Aggregate::Last),
];

impl Action {
    /// How the file, the database and programs spell it.
    pub fn word(self) -> &'static str {
        word_for(ACTIONS, &self)
    }
}

impl FromStr for Action {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        ACTIONS.iter().find(|(name, _)| *name == word).map(|(_, action)| *action).ok_or(())
    }
}

/// `filter` of a style.
pub(super) const FILTER_FORMS: &[(&str, FilterForm)] = &[
    ("django", FilterForm::Django),
    ("underscore", FilterForm::Underscore),
    ("where", FilterForm::Where),
    ("jsonapi", FilterForm::JsonApi),
    ("exact", FilterForm::Exact),
    ("none", FilterForm::None),
];

/// `record` of a style.
pub(super) const RECORD_FORMS: &[(&str, RecordForm)] =
    &[("flat", RecordForm::Flat), ("jsonapi", RecordForm::JsonApi)];

/// `update` of a style.
pub(super) const UPDATE_METHODS: &[(&str, UpdateMethod)] =
    &[("patch", UpdateMethod::Patch), ("put", UpdateMethod::Put)];

/// A day, as files and forms write it.
pub const ISO_DAY: StaticFormatDescription = format_description!("[year]-[month]-[day]");

const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
const MOST_THREADS: usize = 1024;
const KEY_BYTES: usize = 32;

/// Text with something in it.
pub(super) fn text(value: &Value<'_>) -> Read<String> {
    let text = value.text("write text in quotes")?;
    if text.trim().is_empty() {
        return Err(value.refuse("is empty; write a value, or remove the key"));
    }
    Ok(text)
}

/// Text without white space.
pub(super) fn word(value: &Value<'_>) -> Read<String> {
    let text = text(value)?;
    if text.contains(char::is_whitespace) {
        return Err(value.refuse("holds white space; write one word"));
    }
    Ok(text)
}

/// Text that must not be shown.
pub(super) fn secret(value: &Value<'_>) -> Read<SecretString> {
    text(value).map(SecretString::from)
}

/// A secret that is sent in a header.
pub(super) fn token(value: &Value<'_>) -> Read<SecretString> {
    let text = text(value)?;
    if !text.chars().all(|letter| letter.is_ascii_graphic()) {
        return Err(value.refuse(
            "holds white space or characters that no header can carry; write the token alone",
        ));
    }
    Ok(SecretString::from(text))
}

/// A key of 32 bytes in base64.
pub(super) fn key(value: &Value<'_>) -> Read<SecretString> {
    let text = text(value)?;
    match BASE64_STANDARD.decode(&text) {
        Ok(bytes) if bytes.len() == KEY_BYTES => Ok(SecretString::from(text)),
        _ => {
            Err(value
                .refuse("is not 32 bytes in base64; make a key with `openssl rand -base64 32`"))
        }
    }
}

/// Where the database is; secret, because such addresses often hold a password.
pub(super) fn database_url(value: &Value<'_>) -> Read<SecretString> {
    let text = text(value)?;
    if text.starts_with("sqlite:") {
        return Ok(SecretString::from(text));
    }
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|kind| text.starts_with(kind));
    match Url::parse(&text) {
        Ok(url) if is_postgres => match postgres_problem(&url) {
            Some(problem) => Err(value.refuse(problem)),
            None => Ok(SecretString::from(text)),
        },
        _ => Err(value.refuse(
            "is not the address of a database; write `sqlite:` and the path of a file, or \
             `postgres://user:password@host/database`",
        )),
    }
}

/// What the driver would log, or show as the database's name, and may be a part of a password.
fn postgres_problem(url: &Url) -> Option<&'static str> {
    const KNOWN: &[&str] = &[
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "password",
        "application_name",
        "options",
        "statement-cache-capacity",
    ];
    if url.path().contains('@') || url.fragment().is_some() {
        return Some(
            "has an `@` or `#` behind its host; write %40, %23, %2F and %3F in a password",
        );
    }
    let is_known = |key: &str| KNOWN.contains(&key) || key.starts_with("options[");
    let all_known = url.query_pairs().all(|(key, _)| is_known(&key));
    (!all_known).then_some(
        "has a parameter that is not known; there are sslmode, sslrootcert, sslcert, sslkey, host, \
         hostaddr, port, dbname, user, password, application_name and options",
    )
}

const A_SPAN: &str = "write a number and a unit, such as \"10s\", \"5m\", \"8h\" or \"7d\"";

/// A duration longer than nothing.
pub(super) fn span(value: &Value<'_>) -> Read<Duration> {
    match wait(value)? {
        span if span.is_zero() => Err(value.refuse(&format!("is no time at all; {A_SPAN}"))),
        span => Ok(span),
    }
}

/// A duration, or `"0s"` for none.
pub(super) fn wait(value: &Value<'_>) -> Read<Duration> {
    let text = value.text(A_SPAN)?;
    match duration::parse(&text) {
        Some(span) if span > LONGEST => {
            Err(value.refuse("is longer than ten years; write at most \"3650d\""))
        }
        Some(span) => Ok(span),
        None => Err(value.refuse(&format!("is not a duration; {A_SPAN}"))),
    }
}

/// How freely a model picks its words.
pub(super) fn temperature(value: &Value<'_>) -> Read<f64> {
    match value.number()? {
        number if (0.0..=2.0).contains(&number) => Ok(number),
        _ => Err(value.refuse("is out of range; write a number from 0 to 2")),
    }
}

/// A number of tokens.
pub(super) fn tokens(value: &Value<'_>) -> Read<u32> {
    match u32::try_from(value.integer()?) {
        Ok(count @ 1..) => Ok(count),
        _ => Err(value.refuse("is out of range; write a number from 1 on")),
    }
}

/// A kind of file, or a family of them.
pub(super) fn file_kind(value: &Value<'_>) -> Read<String> {
    const REMEDY: &str = "write a type such as \"image/*\", \"text/*\" or \"application/pdf\"";
    let kind = value.text(REMEDY)?;
    let is_part = |part: &str| {
        part == "*"
            || !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
    };
    match kind.split_once('/') {
        Some((family, member)) if is_part(family) && is_part(member) => Ok(kind),
        _ => Err(value.refuse(&format!("is not a kind of file; {REMEDY}"))),
    }
}

/// How many of something.
pub(super) fn count(value: &Value<'_>) -> Read<usize> {
    match usize::try_from(value.integer()?) {
        Ok(count @ 1..) => Ok(count),
        _ => Err(value.refuse("is out of range; write a number from 1 on")),
    }
}

/// The size of a message, up to the most that any may have.
pub(super) fn message_size(value: &Value<'_>) -> Read<usize> {
    match usize::try_from(size(value)?) {
        Ok(bytes @ ..=LONGEST_MESSAGE) => Ok(bytes),
        _ => Err(value.refuse("is too large; write at most \"195KiB\"")),
    }
}

/// Who may read what is shared.
pub(super) fn sharing(value: &Value<'_>) -> Read<Option<Sharing>> {
    choice(value, SHARING, &[])
}

/// A number of threads.
pub(super) fn threads(value: &Value<'_>) -> Read<usize> {
    match usize::try_from(value.integer()?) {
        Ok(count @ 1..=MOST_THREADS) => Ok(count),
        _ => Err(value.refuse("is out of range; write a number from 1 to 1024")),
    }
}

/// A path in the file system.
pub(super) fn file_path(value: &Value<'_>) -> Read<PathBuf> {
    text(value).map(PathBuf::from)
}

/// An address to listen on.
pub(super) fn socket_address(value: &Value<'_>) -> Read<SocketAddr> {
    text(value)?.parse().map_err(|_| {
        value
            .refuse("is not an address; write an IP address and a port, such as \"127.0.0.1:3000\"")
    })
}

/// An address of another machine, or a network of them.
pub(super) fn network(value: &Value<'_>) -> Read<IpNet> {
    let text = text(value)?;
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let network = address.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
        value.refuse(
            "is not an IP address or network; write addresses such as \"10.0.0.7\" and networks \
             such as \"10.0.0.0/8\", not names",
        )
    })?;
    if network.prefix_len() == 0 {
        return Err(value.refuse(
            "is every address there is, so anybody could claim to be anybody; write the proxies' \
             own addresses",
        ));
    }
    Ok(network)
}

/// A number of times in a while.
pub(super) fn rate(value: &Value<'_>) -> Read<Rate> {
    const REMEDY: &str = "write a number, `/` and a time, such as \"60/1m\" or \"5/10s\"";
    let text = value.text(REMEDY)?;
    let (count, per) = text.split_once('/').unwrap_or_default();
    let count = count.trim().parse().ok();
    let per = duration::parse(per.trim()).filter(|per| !per.is_zero() && *per <= LONGEST);
    match (count, per) {
        (Some(count), Some(per)) => Ok(Rate { count, per }),
        _ => Err(value.refuse(&format!("is not a rate; {REMEDY}"))),
    }
}

/// A number of bytes.
pub(super) fn size(value: &Value<'_>) -> Read<u64> {
    const REMEDY: &str = "write a number and a unit, such as \"512KiB\", \"32MiB\" or \"2GiB\"";
    let text = value.text(REMEDY)?;
    match size::parse(&text) {
        Some(0) => Err(value.refuse(&format!("is no size at all; {REMEDY}"))),
        Some(size) => Ok(size),
        None => Err(value.refuse(&format!("is not a size; {REMEDY}"))),
    }
}

/// An absolute http or https URL with nothing after its path.
pub(super) fn http_url(value: &Value<'_>) -> Read<Url> {
    http_url_in(value, &text(value)?)
}

/// As [`http_url`], for text that was read already.
pub(super) fn http_url_in(value: &Value<'_>, text: &str) -> Read<Url> {
    let url = endpoint_in(value, text)?;
    if url.query().is_some() {
        return Err(value.refuse("has a query; remove the `?` and what follows"));
    }
    Ok(url)
}

/// An absolute http or https URL. OAuth endpoints may have a query, which is kept.
pub(super) fn endpoint(value: &Value<'_>) -> Read<Url> {
    endpoint_in(value, &text(value)?)
}

fn endpoint_in(value: &Value<'_>, text: &str) -> Read<Url> {
    let url = Url::parse(text).map_err(|_| {
        value.refuse("is not a URL; write an absolute one, such as \"https://crm.example\"")
    })?;
    let what = if !["http", "https"].contains(&url.scheme()) {
        "is not an http or https URL; begin it with `https://` or `http://`"
    } else if !url.username().is_empty() || url.password().is_some() {
        "has a user name or password in it; remove them, and give credentials under `auth`"
    } else if url.fragment().is_some() {
        "has a fragment; remove the `#` and what follows"
    } else {
        return Ok(url);
    };
    Err(value.refuse(what))
}

/// The origin of a site: scheme, host and port.
pub(super) fn origin(value: &Value<'_>) -> Read<Url> {
    let url = http_url(value)?;
    if url.path() != "/" {
        return Err(value.refuse(
            "has a path; write scheme, host and port alone, such as \"https://app.example\"",
        ));
    }
    Ok(url)
}

/// Whether a URL stays on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether what goes to a URL can be read and changed on the way.
pub(super) fn in_the_clear(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

/// Whether any call to a backend with these entries can carry a token.
pub(super) fn sends_credentials(auth: &[BackendAuth]) -> bool {
    auth.iter().any(|entry| !matches!(entry, BackendAuth::None))
}

/// A path on a backend, in plain characters, so that it can be joined and compared as it stands.
pub(super) fn path(value: &Value<'_>) -> Read<String> {
    let text = text(value)?;
    let what = if !text.starts_with('/') {
        "does not begin with `/`; write the path from the backend's URL on"
    } else if text.contains(['?', '#']) {
        "has a query or a fragment; write the path alone"
    } else if !text.chars().all(|letter| letter.is_ascii_graphic()) || text.contains(['\\', '%']) {
        "holds white space, `\\`, `%` or characters that are not ASCII; write a plain path"
    } else if has_odd_segments(&text) {
        "has an empty, `.` or `..` segment; write the path without it"
    } else {
        return Ok(text);
    };
    Err(value.refuse(what))
}

/// A trailing slash is no segment.
fn has_odd_segments(path: &str) -> bool {
    let inner = path.strip_suffix('/').unwrap_or(path);
    inner.split('/').skip(1).any(|segment| ["", ".", ".."].contains(&segment))
}

/// A path that does not end with a slash.
pub(super) fn path_without_slash(value: &Value<'_>) -> Read<String> {
    let path = path(value)?;
    if path.ends_with('/') {
        return Err(value.refuse("ends with `/`; remove it"));
    }
    Ok(path)
}

/// The name of a header with no meaning to the connection, in lower case.
pub(super) fn header_name(value: &Value<'_>) -> Read<String> {
    const TAKEN: &[&str] = &[
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authorization",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-real-ip",
        "x-request-id",
    ];
    let name = text(value)?.to_ascii_lowercase();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    if !name.chars().all(fits) {
        return Err(value.refuse("is not a header's name; write one such as \"X-Tenant-Id\""));
    }
    if name.contains('_') {
        return Err(value.refuse("has a `_`, which some servers take for `-`; write it with `-`"));
    }
    let is_ours = ["x-forwarded-", "access-control-", "sec-", "content-security-", "breezeway-"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    if TAKEN.contains(&name.as_str()) || is_ours {
        return Err(value
            .refuse("is a header with a meaning of its own; write one such as \"X-Tenant-Id\""));
    }
    Ok(name)
}

/// One of a few words; `later` are those that a later version will know.
pub(super) fn choice<T: Copy>(value: &Value<'_>, options: &[(&str, T)], later: &[&str]) -> Read<T> {
    let text = text(value)?;
    if let Some((_, meaning)) = options.iter().find(|(name, _)| *name == text) {
        return Ok(*meaning);
    }
    let names: Vec<&str> = options.iter().map(|(name, _)| *name).collect();
    if later.contains(&text.as_str()) {
        let instead = alternatives(&names);
        return Err(
            value.refuse(&format!("`{text}` is not available in this version; use {instead}"))
        );
    }
    Err(value.refuse(&format!("`{text}` is not known here; {}", suggestion(&text, &names))))
}

/// The word for one of `options`, the way back from [`choice`].
pub(super) fn word_for<T: PartialEq>(options: &[(&'static str, T)], meaning: &T) -> &'static str {
    options.iter().find(|(_, option)| option == meaning).map_or("", |(name, _)| *name)
}

/// The name of one of the tables `[<kind>.<name>]`.
pub(super) fn name_of(value: &Value<'_>, kind: &str, known: &[&str]) -> Read<String> {
    let name = text(value)?;
    if known.contains(&name.as_str()) {
        return Ok(name);
    }
    let what = format!("there is no `[{kind}.{name}]`; {}", suggestion(&name, known));
    Err(value.refuse(&what))
}

/// `payment-methods` → `Payment methods`.
pub(super) fn in_words(name: &str) -> String {
    let spaced = name.replace(['-', '_', '.'], " ");
    let mut letters = spaced.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
