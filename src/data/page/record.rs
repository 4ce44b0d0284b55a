//! `/data/{group}/{name}/{id}`: one record with all its fields.

use leptos::prelude::*;
use leptos_meta::Title;
use serde_json::Value;

use super::{address, breadcrumb, cells::written, stale_notice};
use crate::{
    config::FieldConfig,
    data::present,
    error::Result,
    server::state::App,
    session::Caller,
    ui::{icon::Icon, reader::Reader},
};

pub(super) async fn page(
    app: App,
    caller: Caller,
    group: String,
    name: String,
    id: String,
    reader: Reader,
) -> Result<impl IntoView> {
    let data = app.data();
    let resource = data.resource(&caller, &group, &name).await?;
    let record = data.read(&caller, &resource, &id).await?;
    let group_title = app.resources.group(&group)?.title.clone();
    let config = &resource.config;
    let title = present::title(&reader, config, &resource.fields, &record.value);
    let list = address(config);
    let trail = vec![
        ("Data".to_owned(), "/data".to_owned()),
        (group_title, "/data".to_owned()),
        (config.title.clone(), list.clone()),
    ];
    let back = format!("Back to {}", config.things());
    let shown = resource.fields.iter().filter(|field| field.in_detail);
    let fields = shown.map(|one| field(&reader, one, &record.value)).collect_view();
    let stale = record.as_of.map(|at| stale_notice(&reader, at));
    Ok(view! {
        <Title text=title.clone() />
        <main id="main" class="page" tabindex="-1">
            {breadcrumb(trail, &title)}
            <div class="page-head">
                <h1>{title}</h1>
                <a class="button" href=list>
                    <Icon name="chevron-left" />
                    {back}
                </a>
            </div>
            {stale}
            <dl class="record">{fields}</dl>
        </main>
    })
}

fn field(reader: &Reader, field: &FieldConfig, record: &Value) -> impl IntoView + use<> {
    let wide = field.kind.is_wide().then_some("");
    view! {
        <div data-wide=wide>
            <dt>{field.label.clone()}</dt>
            <dd inner_html=written(&present::shown(reader, field, record))></dd>
        </div>
    }
}
