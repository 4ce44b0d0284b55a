//! `style` of a resource: a name that is known, or a table that describes one.

use axum::http::HeaderName;

use crate::config::{
    model::{FilterForm, Paging, RecordForm, Sorting, StyleConfig, Total, UpdateMethod},
    section::{Read, Section, Value},
    values,
};

/// The most records of a page, where nobody says how many a backend gives.
const LARGEST: u64 = 200;

type Preset = fn() -> StyleConfig;

/// The styles that are known by name.
const STYLES: &[(&str, Preset)] = &[
    ("drf", drf),
    ("wagtail", wagtail),
    ("wagtail-3", wagtail_3),
    ("json-server", json_server),
    ("json-server-0", json_server_0),
    ("jsonapi", jsonapi),
    ("plain", plain),
];

/// What a resource has that names no style.
pub(super) fn default() -> StyleConfig {
    drf()
}

pub(super) fn style(value: &Value<'_>) -> Read<StyleConfig> {
    if value.is_table() { value.table(described) } else { preset(value) }
}

fn preset(value: &Value<'_>) -> Read<StyleConfig> {
    values::choice(value, STYLES, &[]).map(|style| style())
}

/// A table: a style that is known, and what is different here.
fn described(s: &Section<'_>) -> Read<StyleConfig> {
    let base = s.defaulted_with("like", preset, || Ok(plain()));
    let items = s.optional("items", values::word);
    let total = s.optional("total", values::word);
    let total_header = s.optional("total_header", header);
    let next = s.optional("next", values::word);
    let sort = s.optional("sort", values::word);
    let order = s.optional("order", values::word);
    let search = s.optional("search", values::word);
    let filters = s.optional("filter", |v| values::choice(v, values::FILTER_FORMS, &[]));
    let records = s.optional("record", |v| values::choice(v, values::RECORD_FORMS, &[]));
    let update = s.optional("update", |v| values::choice(v, values::UPDATE_METHODS, &[]));
    let always = s.optional("always", parameters);
    let base = base?;
    let paging = paging(s, base.paging.clone());

    let total = match (total?, total_header?) {
        (Some(_), Some(_)) => {
            return Err(s.refuse("total_header", "stands beside `total`; remove one"));
        }
        (Some(path), None) => Total::At(path),
        (None, Some(header)) => Total::In(header),
        (None, None) => base.total,
    };
    let sorting = match (sort?, order?, base.sorting) {
        (Some(param), order, _) => Some(Sorting { param, order }),
        (None, Some(order), Some(sorting)) => Some(Sorting { order: Some(order), ..sorting }),
        (None, Some(_), None) => {
            return Err(s.refuse("order", "needs `sort`, the parameter that takes the field"));
        }
        (None, None, sorting) => sorting,
    };
    Ok(StyleConfig {
        name: None,
        items: items?.or(base.items),
        total,
        next: next?.or(base.next),
        paging: paging?,
        sorting,
        search: search?.or(base.search),
        filters: filters?.unwrap_or(base.filters),
        records: records?.unwrap_or(base.records),
        update: update?.unwrap_or(base.update),
        always: always?.unwrap_or(base.always),
    })
}

fn paging(s: &Section<'_>, base: Paging) -> Read<Paging> {
    let page = s.optional("page", values::word);
    let size = s.optional("size", values::word);
    let offset = s.optional("offset", values::word);
    let limit = s.optional("limit", values::word);
    let first = s.optional("first", first_page);
    let largest = s.optional("largest", values::count);
    let (page, size, offset, limit) = (page?, size?, offset?, limit?);
    let largest_of = |base: u64| largest.map(|count| count.map_or(base, |count| count as u64));
    let by_number = page.is_some() || size.is_some() || first?.is_some();
    let by_offset = offset.is_some() || limit.is_some();
    let unclear = "belongs to the other way of paging: there is `page` with `size`, or `offset` \
                   with `limit`";
    match base {
        _ if by_number && by_offset => Err(s.refuse("offset", unclear)),
        Paging::Numbers { page: usual, size: usual_size, first: usual_first, largest } if !by_offset => {
            Ok(Paging::Numbers {
                page: page.unwrap_or(usual),
                size: size.unwrap_or(usual_size),
                first: first?.unwrap_or(usual_first),
                largest: largest_of(largest)?,
            })
        }
        Paging::Offsets { offset: usual, limit: usual_limit, largest } if !by_number => {
            Ok(Paging::Offsets {
                offset: offset.unwrap_or(usual),
                limit: limit.unwrap_or(usual_limit),
                largest: largest_of(largest)?,
            })
        }
        Paging::Whole if !by_number && !by_offset => Ok(Paging::Whole),
        _ => match (page, size, offset, limit) {
            (Some(page), Some(size), None, None) => Ok(Paging::Numbers {
                page,
                size,
                first: first?.unwrap_or(1),
                largest: largest_of(LARGEST)?,
            }),
            (None, None, Some(offset), Some(limit)) => {
                Ok(Paging::Offsets { offset, limit, largest: largest_of(LARGEST)? })
            }
            _ => Err(s.refuse_table("has half of a way of paging: there is `page` with `size`, or `offset` with `limit`")),
        },
    }
}

fn first_page(value: &Value<'_>) -> Read<u64> {
    match value.integer()? {
        0 => Ok(0),
        1 => Ok(1),
        _ => Err(value.refuse("is out of range; pages are counted from 0 or from 1")),
    }
}

fn header(value: &Value<'_>) -> Read<HeaderName> {
    let name = values::word(value)?;
    HeaderName::try_from(name)
        .map_err(|_| value.refuse("is not a header's name; write one such as \"X-Total-Count\""))
}

/// `["fields=*"]`: what every list is asked with.
fn parameters(value: &Value<'_>) -> Read<Vec<(String, String)>> {
    value.list(|v| {
        let text = values::word(v)?;
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(v.refuse("is not a parameter; write one such as \"fields=*\"")),
        }
    })
}

fn by_number(page: &str, size: &str) -> Paging {
    Paging::Numbers { page: page.to_owned(), size: size.to_owned(), first: 1, largest: LARGEST }
}

fn by_offset(offset: &str, limit: &str, largest: u64) -> Paging {
    Paging::Offsets { offset: offset.to_owned(), limit: limit.to_owned(), largest }
}

/// An order that a `-` before the field turns round.
fn with_dash(param: &str) -> Option<Sorting> {
    Some(Sorting { param: param.to_owned(), order: None })
}

/// Django REST framework.
fn drf() -> StyleConfig {
    StyleConfig {
        name: Some("drf"),
        items: Some("results".to_owned()),
        total: Total::At("count".to_owned()),
        next: Some("next".to_owned()),
        paging: by_number("page", "page_size"),
        sorting: with_dash("ordering"),
        search: Some("search".to_owned()),
        filters: FilterForm::Django,
        ..plain()
    }
}

/// Wagtail's API v2: <https://docs.wagtail.org/en/stable/advanced_topics/api/v2/usage.html>.
fn wagtail() -> StyleConfig {
    StyleConfig {
        name: Some("wagtail"),
        items: Some("items".to_owned()),
        total: Total::At("meta.total_count".to_owned()),
        paging: by_offset("offset", "limit", 20),
        sorting: with_dash("order"),
        search: Some("search".to_owned()),
        filters: FilterForm::Exact,
        always: vec![("fields".to_owned(), "*".to_owned())],
        ..plain()
    }
}

/// Wagtail's API v3, a preview since Wagtail 8.0. Its lists have few fields and no way to more.
fn wagtail_3() -> StyleConfig {
    StyleConfig {
        name: Some("wagtail-3"),
        total: Total::At("count".to_owned()),
        always: Vec::new(),
        ..wagtail()
    }
}

/// json-server from 1.0.
fn json_server() -> StyleConfig {
    StyleConfig {
        name: Some("json-server"),
        items: Some("data".to_owned()),
        total: Total::At("items".to_owned()),
        paging: by_number("_page", "_per_page"),
        sorting: with_dash("_sort"),
        filters: FilterForm::Where,
        ..plain()
    }
}

/// json-server up to 0.17.
fn json_server_0() -> StyleConfig {
    StyleConfig {
        name: Some("json-server-0"),
        total: Total::In(HeaderName::from_static("x-total-count")),
        paging: by_number("_page", "_limit"),
        sorting: Some(Sorting { param: "_sort".to_owned(), order: Some("_order".to_owned()) }),
        search: Some("q".to_owned()),
        filters: FilterForm::Underscore,
        ..plain()
    }
}

/// JSON:API as Drupal speaks it.
fn jsonapi() -> StyleConfig {
    StyleConfig {
        name: Some("jsonapi"),
        items: Some("data".to_owned()),
        total: Total::At("meta.count".to_owned()),
        next: Some("links.next".to_owned()),
        paging: by_offset("page[offset]", "page[limit]", 50),
        sorting: with_dash("sort"),
        filters: FilterForm::JsonApi,
        records: RecordForm::JsonApi,
        ..plain()
    }
}

/// A bare array, all of it at once.
fn plain() -> StyleConfig {
    StyleConfig {
        name: Some("plain"),
        items: None,
        total: Total::Unknown,
        next: None,
        paging: Paging::Whole,
        sorting: None,
        search: None,
        filters: FilterForm::None,
        records: RecordForm::Flat,
        update: UpdateMethod::Patch,
        always: Vec::new(),
    }
}
