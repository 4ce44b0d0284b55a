//! Server functions over declared resources: list, read.

use leptos::prelude::*;

use super::wire::{ListQuery, Record, RecordList};
use crate::error::Failure;

/// One page of `/data/<group>/<name>`.
#[server(prefix = "/api/fn", endpoint = "data/list")]
pub async fn list_records(
    group: String,
    name: String,
    query: ListQuery,
) -> Result<RecordList, Failure> {
    use crate::server::context::{app, caller, failing};
    failing(app().data().list(&caller(), &group, &name, &query).await)
}

/// The record at `/data/<group>/<name>/<id>`.
#[server(prefix = "/api/fn", endpoint = "data/read")]
pub async fn read_record(group: String, name: String, id: String) -> Result<Record, Failure> {
    use crate::server::context::{app, caller, failing};
    failing(app().data().read(&caller(), &group, &name, &id).await)
}
