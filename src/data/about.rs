//! What a question is about: a list or a record, named by the address of its page.

use percent_encoding::percent_decode_str;
use url::form_urlencoded::{Serializer, parse};

use super::{
    Resources, access,
    resources::{address, record_address},
};
use crate::session::Caller;

/// The longest address that is taken, in bytes.
const LONGEST: usize = 2_000;

/// A list or a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// What people call it.
    pub title: String,
    /// Where it is on this site.
    pub address: String,
}

/// What an address leads to, if it is a list or a record of a resource that the caller may see. It is
/// written anew, so that nothing stands in it that was not understood.
pub fn read(resources: &Resources, caller: &Caller, text: &str) -> Option<About> {
    if text.len() > LONGEST {
        return None;
    }
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let mut parts = path.strip_prefix("/data/")?.split('/');
    let (group, name) = (parts.next()?, parts.next()?);
    let (id, end) = (parts.next(), parts.next());
    let config = resources.find(group, name).ok()?;
    access::of(config, caller).next()?;
    let list = address(group, name);
    match (id, end) {
        (None, None) => {
            let query = Serializer::new(String::new())
                .extend_pairs(parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()))
                .finish();
            if query.is_empty() {
                return Some(About { title: config.title.clone(), address: list });
            }
            let title = format!("{}, in part", config.title);
            Some(About { title, address: format!("{list}?{query}") })
        }
        (Some(id), None) if !id.is_empty() => {
            let id = percent_decode_str(id).decode_utf8().ok()?;
            let title = format!("{} {id}", config.singular);
            let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
            Some(About { title, address: record_address(&list, &id) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn only_lists_and_records_that_are_there_and_may_be_seen() {
        let text = "[backends.b]\nurl = \"https://b.example\"\n\
                    [resources.crm.deals]\nbackend = \"b\"\npath = \"/d\"\n\
                    [resources.crm.secrets]\nbackend = \"b\"\npath = \"/s\"\n\
                    roles = { all = [\"admin\"] }\n";
        let config = Config::from_text("x.toml".as_ref(), text, &Default::default()).unwrap();
        let resources = Resources::new(&config);
        let about = |text: &str| {
            let about = read(&resources, &Caller::Nobody, text)?;
            Some((about.title, about.address))
        };
        let found = |title: &str, address: &str| Some((title.to_owned(), address.to_owned()));
        assert_eq!(about("/data/crm/deals"), found("Deals", "/data/crm/deals"));
        assert_eq!(
            about("/data/crm/deals?f.stage=Won&q=a b&page="),
            found("Deals, in part", "/data/crm/deals?f.stage=Won&q=a+b")
        );
        let record = found("deal a b/ö", "/data/crm/deals/a%20b%2F%C3%B6");
        assert_eq!(about("/data/crm/deals/a%20b%2F%C3%B6"), record);
        let long = format!("/data/crm/deals?q={}", "x".repeat(LONGEST));
        for wrong in [
            "",
            "/data",
            "/data/crm",
            "/data/crm/",
            "/data/crm/nope",
            "/data/crm/deals/",
            "/data/crm/deals/-/new",
            "/data/-/changes",
            "/data/crm/secrets",
            "https://b.example/data/crm/deals",
            "//b.example/data/crm/deals",
            "/chat",
            &long,
        ] {
            assert_eq!(about(wrong), None, "{wrong}");
        }
    }
}
