//! The registry of declared resources.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    config::{Config, ResourceConfig},
    error::{Error, Result},
};

/// What need not be escaped in a path segment (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Every declared resource, by group. Cheap to clone.
#[derive(Clone)]
pub struct Resources {
    groups: Arc<[Group]>,
}

/// Resources that are shown together.
pub struct Group {
    /// The path segment.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Its resources, in the order of the file.
    pub resources: Vec<Arc<ResourceConfig>>,
}

impl Resources {
    /// The resources of the configuration.
    pub fn new(config: &Config) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for resource in &config.resources {
            let position = groups.iter().position(|group| group.name == resource.group);
            match position.and_then(|position| groups.get_mut(position)) {
                Some(group) => group.resources.push(Arc::new(resource.clone())),
                None => groups.push(Group {
                    name: resource.group.clone(),
                    title: group_title(config, &resource.group),
                    resources: vec![Arc::new(resource.clone())],
                }),
            }
        }
        Self { groups: groups.into() }
    }

    /// All groups, in the order of the file.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The group with this name.
    pub fn group(&self, name: &str) -> Result<&Group> {
        self.groups.iter().find(|group| group.name == name).ok_or_else(unknown)
    }

    /// The resource at `/data/<group>/<name>`.
    pub fn find(&self, group: &str, name: &str) -> Result<&Arc<ResourceConfig>> {
        let group = self.group(group)?;
        group.resources.iter().find(|resource| resource.name == name).ok_or_else(unknown)
    }

    /// Where the collection is on its backend.
    pub fn list_path(&self, resource: &ResourceConfig) -> String {
        resource.path.clone()
    }

    /// Where one record is on its backend. A path that ends in a slash keeps it behind the id.
    pub fn item_path(&self, resource: &ResourceConfig, id: &str) -> String {
        self.raw_item_path(resource, &utf8_percent_encode(id, SEGMENT).to_string())
    }

    /// The same for an id that is a path segment already.
    pub fn raw_item_path(&self, resource: &ResourceConfig, id: &str) -> String {
        match resource.path.strip_suffix('/') {
            Some(path) => format!("{path}/{id}/"),
            None => format!("{}/{id}", resource.path),
        }
    }
}

/// Where a resource's list is.
pub fn address(group: &str, name: &str) -> String {
    format!("/data/{group}/{name}")
}

/// Where everything is that is still to be done. What is not one record has a `-` in its address,
/// where no group and no verb has one.
pub const CHANGES: &str = "/data/-/changes";

/// Where one change is.
pub fn change_address(id: &str) -> String {
    format!("{CHANGES}/{id}")
}

/// Where a record is made, in the list at `list`.
pub fn new_address(list: &str) -> String {
    format!("{list}/-/new")
}

/// Where changes of many records are.
pub fn batch_address(id: &str) -> String {
    format!("/data/-/batches/{id}")
}

/// The list at `list` as `query`, which may be empty, asks for it.
pub fn asked_address(list: String, query: &str) -> String {
    if query.is_empty() { list } else { format!("{list}?{query}") }
}

/// Where what did not work out of a batch is as a file.
pub fn report_address(id: &str) -> String {
    format!("/data/-/batches/{id}/report.csv")
}

/// Where the records are found that the field of this name can lead to, in the list at `list`.
pub fn options_address(list: &str, field: &str) -> String {
    format!("{list}/-/options/{}", utf8_percent_encode(field, SEGMENT))
}

/// Where the file of a record is replaced.
pub fn file_address(list: &str, id: &str, field: &str) -> String {
    format!("{}/files/{}", record_address(list, id), utf8_percent_encode(field, SEGMENT))
}

/// Where lists under names are kept, of the list at `list`.
pub fn views_address(list: &str) -> String {
    format!("{list}/-/views")
}

/// Where it is told what the list at `list` comes to.
pub fn summary_address(list: &str) -> String {
    format!("{list}/-/summary")
}

/// Where records of the list at `list` come from a file.
pub fn import_address(list: &str) -> String {
    format!("{list}/-/import")
}

/// Where something is done with many records of the list at `list`.
pub fn bulk_address(list: &str) -> String {
    format!("{list}/-/bulk")
}

/// Where the list at `list` is a file.
pub fn export_address(list: &str) -> String {
    format!("{list}/-/export.csv")
}

/// Where the record of this id is edited, in the list at `list`.
pub fn edit_address(list: &str, id: &str) -> String {
    format!("{}/edit", record_address(list, id))
}

/// Where the record of this id is deleted, in the list at `list`.
pub fn delete_address(list: &str, id: &str) -> String {
    format!("{}/delete", record_address(list, id))
}

/// Where the backend is asked for something of its own with the record of this id.
pub fn run_address(list: &str, id: &str) -> String {
    format!("{}/run", record_address(list, id))
}

/// Where the record of this id is, in the list at `list`.
pub fn record_address(list: &str, id: &str) -> String {
    format!("{list}/{}", utf8_percent_encode(id, SEGMENT))
}

fn group_title(config: &Config, name: &str) -> String {
    config.groups.get(name).map_or_else(|| name.to_owned(), |group| group.title.clone())
}

fn unknown() -> Error {
    Error::not_found("There is no such collection here.")
}
