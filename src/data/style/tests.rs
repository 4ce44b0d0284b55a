use serde_json::json;

use super::*;
use crate::{
    config::{Choice, Config, ResourceConfig},
    ui::zone::UTC,
};

fn resource(style: &str) -> ResourceConfig {
    let text = format!(
        "[backends.b]\nurl = \"https://b.example\"\n[resources.g.r]\nbackend = \"b\"\n\
         path = \"/r\"\nstyle = {style}"
    );
    let config = Config::from_text("x.toml".as_ref(), &text, &Default::default());
    config.unwrap_or_else(|problems| panic!("{problems}")).resources.remove(0)
}

fn fields() -> Vec<FieldConfig> {
    let field = |name, kind| FieldConfig { filterable: true, ..FieldConfig::new(name, kind) };
    vec![
        field("name", FieldKind::Text),
        field("stage", FieldKind::Choice(vec![Choice::new("open"), Choice::new("won")])),
        field("amount", FieldKind::Money { currency: None }),
        field("company.name", FieldKind::Text),
        field("at", FieldKind::DateTime),
        field("changed", FieldKind::DateTime),
    ]
}

/// What a backend of `style` is asked, decoded.
fn asked(style: &str, address: &str) -> Vec<String> {
    let (resource, fields) = (resource(style), fields());
    let zone = Zone::named("Africa/Harare").unwrap();
    let asking = Asking { style: &resource.style, fields: &fields, zone: &zone };
    let query = asking.query(&ListQuery::read(address, &fields));
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.map(|(name, value)| format!("{name}={value}")).collect()
}

fn found(style: &str, headers: &HeaderMap, answer: Value, address: &str) -> Found {
    let (resource, fields) = (resource(style), fields());
    let asking = Asking { style: &resource.style, fields: &fields, zone: &UTC };
    asking.found(headers, answer, &ListQuery::read(address, &fields)).unwrap()
}

const ALL: &str = "q=a+b&sort=-company.name&page=3&page_size=50&f.stage=open&f.stage=won\
                   &f.amount.from=10&f.at.to=2026-06-17&f.name.has=x";

#[test]
fn django_is_asked_as_django_filter_reads() {
    let expected = [
        "page=3",
        "page_size=50",
        "ordering=-company__name",
        "search=a b",
        "stage__in=open,won",
        "amount__gte=10",
        "at__lte=2026-06-17T21:59:59.999999Z",
        "name__icontains=x",
    ];
    assert_eq!(asked("\"drf\"", ALL), expected);
    assert_eq!(asked("\"drf\"", "f.stage=won"), ["page=1", "page_size=25", "stage=won"]);
}

#[test]
fn both_json_servers_are_asked_in_their_own_words() {
    let old = asked("\"json-server-0\"", "sort=-name&q=a&f.stage=open&f.stage=won&f.name.has=(x");
    let expected = [
        "_page=1",
        "_limit=25",
        "_sort=name",
        "_order=desc",
        "q=a",
        "stage=open",
        "stage=won",
        "name_like=\\(x",
    ];
    assert_eq!(old, expected);

    let new = asked("\"json-server\"", "sort=-name&q=a&f.amount.from=1&f.amount.to=2&f.stage=won");
    assert_eq!(new[..3], ["_page=1", "_per_page=25", "_sort=-name"]);
    let conditions: Value = serde_json::from_str(new[3].strip_prefix("_where=").unwrap()).unwrap();
    let expected = json!({
        "amount": { "gte": 1, "lte": 2 },
        "stage": { "in": ["won"] },
        "or": [{ "name": { "contains": "a" } }, { "company.name": { "contains": "a" } }],
    });
    assert_eq!(conditions, expected);
}

#[test]
fn drupal_is_asked_by_conditions() {
    let pairs = asked("\"jsonapi\"", "page=2&f.stage=open&f.stage=won&f.changed.from=2026-06-17");
    let expected = [
        "page[offset]=25",
        "page[limit]=25",
        "filter[c0][condition][path]=stage",
        "filter[c0][condition][operator]=IN",
        "filter[c0][condition][value][]=open",
        "filter[c0][condition][value][]=won",
        "filter[c1][condition][path]=changed",
        "filter[c1][condition][operator]=>=",
        "filter[c1][condition][value]=1781647200",
    ];
    assert_eq!(pairs, expected);
}

#[test]
fn wagtail_takes_one_value_and_no_more() {
    let pairs = asked("\"wagtail\"", "q=a&f.stage=open&f.stage=won&f.amount.from=1&sort=name");
    let expected = ["fields=*", "offset=0", "limit=25", "order=name", "search=a", "stage=open"];
    assert_eq!(pairs, expected);
    assert!(!asked("\"wagtail-3\"", "").contains(&"fields=*".to_owned()));
}

#[test]
fn a_style_can_be_described() {
    let style = "{ items = \"data.rows\", total_header = \"x-total\", page = \"p\", size = \"n\", \
                 first = 0, sort = \"by\", order = \"dir\", search = \"find\", filter = \"exact\", \
                 always = [\"v=2\"] }";
    let pairs = asked(style, "page=3&sort=-name&q=a&f.stage=won");
    assert_eq!(pairs, ["v=2", "p=2", "n=25", "by=name", "dir=desc", "find=a", "stage=won"]);
    let headers = [("x-total", "70")].map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
    let headers = HeaderMap::from_iter(headers);
    let found = found(style, &headers, json!({ "data": { "rows": [{ "id": 1 }] } }), "");
    assert_eq!((found.rows.len(), found.total), (1, Some(70)));
}

#[test]
fn answers_are_understood() {
    let none = HeaderMap::new();
    let drf = json!({ "count": 60, "next": "…", "results": [{ "id": 1 }, { "id": 2 }] });
    let drf = found("\"drf\"", &none, drf, "");
    assert_eq!((drf.total, drf.has_more), (Some(60), Some(true)));
    // It keeps to a page size of its own.
    assert_eq!(drf.page_size, 2);

    // One that does not count its pages says where the next one begins.
    let next = "https://b.example/r?cursor=cD0y&page_size=25";
    let cursors = json!({ "next": next, "previous": null, "results": [{ "id": 1 }] });
    let cursors = found("\"drf\"", &none, cursors, "");
    assert_eq!((cursors.total, cursors.cursor.as_deref()), (None, Some("cD0y")));
    assert_eq!(asked("\"drf\"", "page=2&cursor=cD0y"), ["cursor=cD0y", "page_size=25"]);
    assert_eq!(asked("\"drf\"", "page=1&cursor=cD0y"), ["page=1", "page_size=25"]);

    let wagtail = json!({ "meta": { "total_count": 1 }, "items": [{ "id": 1 }] });
    assert_eq!(found("\"wagtail\"", &none, wagtail, "").total, Some(1));
    let newer = json!({ "items": 4, "data": [{ "id": "1" }] });
    assert_eq!(found("\"json-server\"", &none, newer, "").total, Some(4));

    let drupal = json!({
        "data": [{
            "type": "node--article",
            "id": "u-1",
            "attributes": { "title": "A" },
            "relationships": {
                "uid": { "data": { "id": "u-2" } },
                "tags": { "data": [{ "id": "t-1" }, { "id": "t-2" }] },
                "none": { "data": null },
            },
        }],
        "links": { "next": { "href": "…" } },
    });
    let drupal = found("\"jsonapi\"", &none, drupal, "");
    assert_eq!((drupal.total, drupal.has_more), (None, Some(true)));
    let row = &drupal.rows[0];
    assert_eq!((&row["title"], &row["uid"]), (&json!("A"), &json!("u-2")));
    assert_eq!((&row["tags"], &row["none"]), (&json!(["t-1", "t-2"]), &Value::Null));
}

#[test]
fn an_answer_that_is_no_list_is_refused() {
    let resource = resource("\"drf\"");
    let asking = Asking { style: &resource.style, fields: &[], zone: &UTC };
    for answer in [json!({ "rows": [] }), json!("x"), json!({ "results": {} })] {
        assert!(asking.found(&HeaderMap::new(), answer, &ListQuery::default()).is_err());
    }
}

#[test]
fn a_whole_list_is_sorted_searched_narrowed_and_cut_here() {
    let rows = || {
        json!([
            { "name": "b", "amount": "10.50", "stage": "won", "at": "2026-06-17T20:00:00Z" },
            { "name": "A", "amount": 9, "stage": "open", "company": { "name": "Globex" } },
            { "name": "c", "amount": null, "stage": ["won", "lost"] },
        ])
    };
    // An unpaged Django answers with a list too.
    for style in ["\"plain\"", "\"drf\""] {
        let names = |address: &str| -> Vec<String> {
            let found = found(style, &HeaderMap::new(), rows(), address);
            found.rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("sort=name"), ["A", "b", "c"]);
        assert_eq!(names("sort=-amount"), ["b", "A", "c"]);
        assert_eq!(names("q=GLOBEX"), ["A"]);
        assert_eq!(names("f.stage=won&sort=name"), ["b", "c"]);
        assert_eq!(names("f.amount.from=9.5"), ["b"]);
        assert_eq!(names("f.amount.to=9.5"), ["A"]);
        assert_eq!(names("f.at.to=2026-06-17"), ["b"]);
        assert_eq!(names("f.at.from=2026-06-18"), [""; 0]);
        assert_eq!(names("f.company.name.has=lob"), ["A"]);
        assert_eq!(names("sort=name&page_size=2&page=2"), ["c"]);
    }
    let found = found("\"plain\"", &HeaderMap::new(), rows(), "page_size=2");
    assert_eq!((found.rows.len(), found.total), (2, Some(3)));
}
