use serde_json::json;

use super::{
    pattern::{LONGEST_PATTERN, pattern},
    schema::SENTENCE,
    *,
};

/// From DRF-spectacular 0.30, cut down.
fn spectacular() -> Value {
    let blank_or = |schema: Value| json!({"oneOf": [schema, {"type": "string", "maxLength": 0}]});
    let contact = json!({"$ref": "#/components/schemas/Contact"});
    let status = json!({"$ref": "#/components/schemas/StatusEnum"});
    json!({
        "openapi": "3.0.3",
        "paths": {"/api/contacts/": {
            "get": {
                "parameters": [
                    {"in": "query", "name": "company__name", "schema": {"type": "string"}},
                    {"in": "query", "name": "name__icontains", "schema": {"type": "string"}},
                    {"in": "query", "name": "score__gte", "schema": {"type": "integer"}},
                    {"in": "query", "name": "score__lte", "schema": {"type": "integer"}},
                    {"in": "query", "name": "status", "schema": {"type": "string"}},
                    {"in": "query", "name": "ordering", "schema": {"type": "string"},
                     "description": "Which field to use when ordering the results."},
                    {"in": "query", "name": "sort", "explode": false, "schema":
                     {"type": "array", "items": {"enum": ["-name", "name", "-no"]}}},
                    {"in": "query", "name": "page", "schema": {"type": "integer"}},
                    {"in": "query", "name": "search", "schema": {"type": "string"}},
                ],
                "responses": {"200": {"content": {"application/json": {"schema":
                    {"$ref": "#/components/schemas/PaginatedContactList"}}}}},
            },
            "post": {"requestBody": {"content": {
                "application/x-www-form-urlencoded": {"schema": {}},
                "application/json": {"schema": contact},
            }}},
        }},
        "components": {"schemas": {
            "BlankEnum": {"enum": [""]},
            "NullEnum": {"enum": [null]},
            "StatusEnum": {"enum": ["lead", "won"], "type": "string",
                           "description": "* `lead` - New lead\n* `won` - Closed won"},
            "Company": {"type": "object", "properties": {"name": {"type": "string"}}},
            "PaginatedContactList": {"type": "object", "properties": {
                "count": {"type": "integer"},
                "next": {"type": "string", "nullable": true, "format": "uri"},
                "results": {"type": "array", "items": contact},
            }},
            "Contact": {"type": "object", "properties": {
                "id": {"type": "integer", "readOnly": true},
                "password": {"type": "string", "writeOnly": true},
                "company": {"readOnly": true,
                            "allOf": [{"$ref": "#/components/schemas/Company"}]},
                "name": {"type": "string", "title": "Full name", "maxLength": 80,
                         "description": "As spoken. Not as in the passport."},
                "email": blank_or(json!({"type": "string", "format": "email",
                                         "maxLength": 254})),
                "zip": blank_or(json!({"type": "string", "pattern": "^[0-9]{5}$",
                                       "maxLength": 5})),
                "status": {"allOf": [status], "description":
                           "Where it stands.\n\n* `lead` - New lead\n* `won` - Closed won"},
                "source": {"nullable": true, "oneOf": [
                    status,
                    {"$ref": "#/components/schemas/BlankEnum"},
                    {"$ref": "#/components/schemas/NullEnum"}]},
                "languages": {"type": "array", "items": status},
                "budget": {"type": "string", "format": "decimal", "nullable": true,
                           "pattern": "^-?\\d{0,8}(?:\\.\\d{0,2})?$"},
                "score": {"type": "integer", "maximum": 5, "minimum": 0},
                "big": {"type": "integer", "format": "int64", "maximum": i64::MAX,
                        "minimum": i64::MIN},
                "slug": {"type": "string", "maxLength": 50, "pattern": "^[-a-zA-Z0-9_]+$"},
                "notes": {"type": "string"},
                "extra": {},
                "paper": {"type": "string", "format": "binary", "nullable": true},
                "created_at": {"type": "string", "format": "date-time", "readOnly": true},
            }, "required":
                ["created_at", "id", "languages", "name", "password", "slug", "source"]},
        }},
    })
}

/// From FastAPI 0.165, cut down.
fn fastapi() -> Value {
    let or_null = |schema: Value| json!({"anyOf": [schema, {"type": "null"}]});
    let item = json!({
        "name": {"type": "string", "maxLength": 80, "minLength": 1, "title": "Name"},
        "state": {"$ref": "#/components/schemas/State", "default": "open"},
        "order_state": or_null(json!({"$ref": "#/components/schemas/State"})),
        "kind": {"type": "string", "enum": ["a", "b"], "title": "Kind"},
        "price": {"title": "Price", "anyOf": [
            {"type": "number", "maximum": 1000.0, "exclusiveMinimum": 0.0},
            {"type": "string"}]},
        "count": {"type": "integer", "exclusiveMaximum": 10.0, "exclusiveMinimum": 0.0,
                  "title": "Count", "default": 3},
        "home": {"title": "Homepage", "anyOf": [
            {"type": "string", "maxLength": 2083, "minLength": 1, "format": "uri"},
            {"type": "null"}]},
        "due": or_null(json!({"type": "string", "format": "date"})),
        "flag": {"type": "boolean", "default": false},
        "sku": or_null(json!({"type": "string", "pattern": "^[A-Z]{3}-\\d+$"})),
        "photo": {"type": "string", "contentMediaType": "image/png"},
        "tags": {"items": {"type": "string"}, "type": "array", "default": []},
    });
    let mut shown = item.clone();
    shown["id"] = json!({"type": "integer", "title": "Id"});
    shown["price"] = json!({"type": "string", "title": "Price"});
    let schema = |properties: Value| {
        let required = ["name", "kind", "price"];
        json!({"type": "object", "properties": properties, "required": required})
    };
    json!({
        "openapi": "3.1.0",
        "servers": [{"url": "https://x.example/{version}",
                     "variables": {"version": {"default": "v1"}}}],
        "paths": {"/items": {
            "get": {
                "parameters": [
                    {"name": "q", "in": "query", "schema": or_null(json!({"type": "string"}))},
                    {"name": "order_by", "in": "query", "schema":
                     {"enum": ["name", "-name", "price", "-price"], "type": "string"}},
                    {"name": "state", "in": "query", "schema": {"type": "string"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer"}},
                ],
                "responses": {"200": {"content": {"application/json": {"schema":
                    {"$ref": "#/components/schemas/Page%5BItem%5D"}}}}},
            },
            "post": {"requestBody": {"content": {"application/json": {"schema":
                {"$ref": "#/components/schemas/ItemIn"}}}}},
        }},
        "components": {"schemas": {
            "State": {"type": "string", "enum": ["open", "closed"], "title": "State"},
            "Item": schema(shown),
            "ItemIn": schema(item),
            "Page[Item]": {"type": "object", "properties": {
                "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                "total": {"type": "integer"},
            }},
        }},
    })
}

fn swagger() -> Value {
    json!({
        "swagger": "2.0",
        "basePath": "/api",
        "parameters": {"size": {"name": "per_page", "in": "query", "type": "integer"}},
        "paths": {
            "/deals": {
                "parameters": [{"$ref": "#/parameters/size"}],
                "get": {
                    "parameters": [{"name": "sort", "in": "query", "description":
                                    "Sort by: stage, -amount. Any other name is passed over."}],
                    "responses": {"200": {"schema": {"type": "array", "items":
                        {"$ref": "#/definitions/Deal"}}}},
                },
                "post": {"parameters": [{"name": "deal", "in": "body", "schema":
                    {"allOf": [{"$ref": "#/definitions/Deal"}, {"required": ["stage"]}]}}]},
            },
            "/uploads/": {
                "get": {"responses": {"default": {"schema": {"properties": {"uploads":
                    {"items": {"properties": {"title": {"type": "string"}}}}}}}}},
                "post": {"parameters": [
                    {"name": "file", "in": "formData", "type": "file", "required": true},
                    {"name": "title", "in": "formData", "type": "string", "maxLength": 30},
                ]},
            },
        },
        "definitions": {"Deal": {"type": "object", "properties": {
            "id": {"type": "integer", "readOnly": true},
            "stage": {"type": "integer", "enum": [1, 2], "x-enumNames": ["New", "ClosedWon"]},
            "level": {"type": "integer", "enum": [1, 2],
                      "x-enum-varnames": ["LEVEL_LOW", "HIGH"]},
            "amount": {"type": "number", "minimum": 0, "exclusiveMinimum": true},
            "closed": {"type": "string", "format": "date-time", "x-nullable": true},
        }}},
    })
}

fn order(names: &str) -> Vec<String> {
    names.split(' ').map(str::to_owned).collect()
}

fn words(described: &Described) -> Vec<(&str, &str)> {
    let fields = described.fields.iter();
    fields.map(|field| (field.name.as_str(), field.kind.word())).collect()
}

#[track_caller]
fn field<'d>(described: &'d Described, name: &str) -> &'d FieldConfig {
    described.fields.iter().find(|field| field.name == name).expect(name)
}

/// A field by its schema alone, written and shown.
fn one(schema: Value) -> FieldConfig {
    named("x", schema)
}

fn named(name: &str, schema: Value) -> FieldConfig {
    let record = json!({"properties": {name: schema}, "required": [name]});
    let document = json!({"paths": {"/r": {
        "get": {"responses": {"200": {"content": {"*/*": {"schema": {"items": record}}}}}},
        "post": {"requestBody": {"content": {"application/json": {"schema": record}}}},
    }}});
    described(&document, "/r", &[]).unwrap().fields.remove(0)
}

fn labels(field: &FieldConfig) -> Vec<(&str, &str)> {
    let choices = field.kind.choices().iter();
    choices.map(|choice| (choice.value.as_str(), choice.label.as_str())).collect()
}

fn bounds(field: &FieldConfig) -> (Option<&str>, Option<&str>) {
    (field.rules.min.as_deref(), field.rules.max.as_deref())
}

#[test]
fn drf_spectacular_is_understood() {
    let order = order("id name email zip status source languages budget score big slug notes");
    let contacts = described(&spectacular(), "/api/contacts/", &order).unwrap();
    let expected = [
        ("id", "integer"),
        ("name", "text"),
        ("email", "email"),
        ("zip", "text"),
        ("status", "choice"),
        ("source", "choice"),
        ("languages", "multi-choice"),
        ("budget", "money"),
        ("score", "integer"),
        ("big", "integer"),
        ("slug", "text"),
        ("notes", "long-text"),
        ("company", "json"),
        ("created_at", "datetime"),
        ("extra", "json"),
        ("paper", "file"),
        ("password", "text"),
    ];
    assert_eq!(words(&contacts), expected);
    assert_eq!(contacts.sortable, ["name"]);
    assert_eq!(contacts.filterable, ["name", "score", "status"]);
    assert!(contacts.searches);
    assert_eq!(contacts.page_parameters, ["page"]);

    let name = field(&contacts, "name");
    assert_eq!((name.label.as_str(), name.help.as_deref()), ("Full name", Some("As spoken.")));
    assert!(name.rules.required && name.rules.max_length == Some(80));
    assert!(name.sortable && name.filterable && name.in_form);
    let password = field(&contacts, "password");
    assert!(password.in_form && !password.in_list && !password.in_detail);
    assert!(["id", "company", "created_at"].iter().all(|it| !field(&contacts, it).in_form));
    let status = field(&contacts, "status");
    assert_eq!(status.help.as_deref(), Some("Where it stands."));
    assert_eq!(labels(status), [("lead", "New lead"), ("won", "Closed won")]);
    assert_eq!(labels(field(&contacts, "source")).len(), 2);
    assert!(!field(&contacts, "source").rules.required);
    assert_eq!(field(&contacts, "email").rules.max_length, Some(254));
    assert_eq!(field(&contacts, "zip").rules.pattern.as_deref(), Some("[0-9]{5}"));
    assert_eq!(field(&contacts, "slug").rules.pattern.as_deref(), Some(r"[\-a-zA-Z0-9_]+"));
    assert_eq!(bounds(field(&contacts, "score")), (Some("0"), Some("5")));
    assert_eq!(bounds(field(&contacts, "big")), (None, None));
}

#[test]
fn fastapi_is_understood() {
    let items = described(&fastapi(), "/v1/items/", &[]).unwrap();
    let expected = [
        ("count", "integer"),
        ("due", "date"),
        ("flag", "boolean"),
        ("home", "url"),
        ("id", "integer"),
        ("kind", "choice"),
        ("name", "text"),
        ("order_state", "choice"),
        ("photo", "image"),
        ("price", "money"),
        ("sku", "text"),
        ("state", "choice"),
        ("tags", "json"),
    ];
    assert_eq!(words(&items), expected);
    assert_eq!(items.sortable, ["name", "price"]);
    assert_eq!(items.filterable, ["state"]);
    assert!(items.searches);
    assert_eq!(items.page_parameters, ["limit"]);

    assert!(!field(&items, "id").in_form, "only in answers");
    let count = field(&items, "count");
    assert_eq!((bounds(count), count.default.as_deref()), ((Some("1"), Some("9")), Some("3")));
    let price = field(&items, "price");
    assert_eq!(bounds(price), (Some("0"), Some("1000")));
    assert!(price.rules.required && !field(&items, "due").rules.required);
    assert_eq!(field(&items, "home").label, "Homepage");
    assert_eq!(field(&items, "order_state").label, "Order state", "not what its type is called");
    assert_eq!(field(&items, "state").default.as_deref(), Some("open"));
    assert_eq!(field(&items, "flag").default.as_deref(), Some("false"));
    assert_eq!(field(&items, "tags").default, None);
    assert_eq!(field(&items, "sku").rules.pattern.as_deref(), Some(r"[A-Z]{3}-\d+"));
}

#[test]
fn swagger_2_is_understood() {
    let deals = described(&swagger(), "/api/deals/", &[]).unwrap();
    let expected = [
        ("amount", "money"),
        ("closed", "datetime"),
        ("id", "integer"),
        ("level", "choice"),
        ("stage", "choice"),
    ];
    assert_eq!(words(&deals), expected);
    assert_eq!(deals.sortable, ["stage", "amount"]);
    assert_eq!(deals.page_parameters, ["per_page"]);
    let stage = field(&deals, "stage");
    assert!(stage.rules.required && stage.in_form && !field(&deals, "id").in_form);
    assert_eq!(labels(stage), [("1", "New"), ("2", "ClosedWon")]);
    assert_eq!(labels(field(&deals, "level")), [("1", "Level low"), ("2", "High")]);

    let uploads = described(&swagger(), "api/uploads", &[]).unwrap();
    assert_eq!(words(&uploads), [("file", "file"), ("title", "text")]);
    let [file, title] = uploads.fields.as_slice() else { panic!("two fields") };
    assert!(file.rules.required && !file.in_detail && title.in_form && title.in_list);
}

#[test]
fn paths_are_found_where_they_are() {
    let at = |servers: Value, key: &str, path: &str| {
        let document = json!({"servers": servers, "paths": {key: {"get": {}}}});
        described(&document, path, &[]).is_some()
    };
    assert!(at(json!([{"url": "https://x.example/api"}]), "/contacts", "/api/contacts/"));
    assert!(at(json!([{"url": "/api/"}]), "/contacts/", "api/contacts"));
    assert!(at(json!([{"url": "https://x.example/api"}]), "/api/contacts", "/api/contacts"));
    assert!(at(json!(null), "/contacts", "/contacts?all=1"));
    assert!(!at(json!([{"url": "/api"}]), "/contacts", "/v2/contacts"));
    assert!(!at(json!([]), "/contacts/{id}", "/contacts/"));
    assert!(!at(json!([]), "/contacts/{id}", "/contacts/7"));
}

#[test]
fn where_nothing_is_made_records_may_be_changed() {
    let record = json!({"properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    let list = json!({"responses": {"2XX": {"content": {"application/hal+json": {"schema":
        {"properties": {"_embedded": {"properties": {"rows": {"items": record}}}}}}}}}});
    let with = |member: Value| {
        let document = json!({"paths": {"/r": {"get": list}, "/r/{id}": member}});
        let described = described(&document, "/r", &[]).unwrap();
        described.fields.iter().map(|field| field.in_form).collect::<Vec<_>>()
    };
    assert_eq!(with(json!({"delete": {}})), [false, false]);
    assert_eq!(with(json!({"patch": {}})), [true, true], "nothing is said of the body");
    let body = json!({"content": {"application/json": {"schema":
        {"properties": {"r": {"properties": {"b": {}}}}}}}});
    assert_eq!(with(json!({"patch": {"requestBody": body}})), [false, true]);
}

#[test]
fn records_of_json_api_are_flat() {
    let resource = json!({"properties": {
        "id": {"type": "string"}, "type": {"type": "string"}, "relationships": {},
        "attributes": {"properties": {"title": {"type": "string"}}, "required": ["title"]},
    }});
    let with = |data: Value| {
        json!({"content": {"application/vnd.api+json": {"schema":
        {"properties": {"data": data, "jsonapi": {"type": "object"}}}}}})
    };
    let document = json!({"paths": {"/r": {
        "get": {"responses": {"200": with(json!({"type": "array", "items": resource}))}},
        "post": {"requestBody": {"content": {"application/vnd.api+json": {"schema":
            {"properties": {"data": resource}}}}}},
    }}});
    let described = described(&document, "/r", &[]).unwrap();
    assert_eq!(words(&described), [("title", "text")]);
    assert!(described.fields[0].rules.required);
}

#[test]
fn types_are_told_apart() {
    let word = |schema: Value| one(schema).kind.word();
    assert_eq!(word(json!({"type": ["string", "null"], "format": "date"})), "date");
    assert_eq!(word(json!({"type": ["integer", "string"]})), "text");
    assert_eq!(word(json!({"anyOf": [{"type": "integer"}, {"type": "string"}]})), "text");
    assert_eq!(word(json!({"anyOf": [{"type": "string"}, {"type": "object"}]})), "json");
    assert_eq!(word(json!({"oneOf": [{"type": "null"}, {"type": "boolean"}]})), "boolean");
    assert_eq!(word(json!({"type": "boolean", "enum": [true]})), "boolean");
    assert_eq!(word(json!({"enum": [{"a": 1}]})), "json");
    assert_eq!(word(json!({"type": "string", "maxLength": 2000})), "long-text");
    assert_eq!(word(json!({"format": "email"})), "email");
    assert_eq!(word(json!({"type": "string", "format": "uuid"})), "text");
    assert_eq!(word(json!({"type": "string", "contentMediaType": "text/html"})), "html");
    let named = |name: &str| named(name, json!({"type": "string"})).kind.word();
    assert_eq!((named("description"), named("home_phone")), ("long-text", "phone"));
    assert!(!super::tests::named("password_again", json!({"type": "string"})).in_list);
}

#[test]
fn alternatives_are_choices_with_titles() {
    let constants = json!({"oneOf": [
        {"const": "a", "title": "Amsterdam"}, {"const": "b"}, {"type": "null"}]});
    let only = one(json!({"const": "a", "title": "Kind"}));
    assert_eq!(labels(&only), [("a", "A")], "the title is the field's");
    let field = one(constants);
    assert_eq!(labels(&field), [("a", "Amsterdam"), ("b", "B")]);
    assert!(!field.rules.required);
    let kinds = json!({"oneOf": [{"properties": {"kind": {"const": "cat"}}},
                                 {"properties": {"kind": {"const": "dog"}}}]});
    let list = json!({"responses": {"200": {"schema": {"items": kinds}}}});
    let pets = described(&json!({"paths": {"/pets": {"get": list}}}), "/pets", &[]).unwrap();
    assert_eq!(labels(&pets.fields[0]), [("cat", "Cat"), ("dog", "Dog")]);
    let many: Vec<usize> = (0..=MOST_CHOICES).collect();
    assert_eq!(one(json!({"type": "integer", "enum": many})).kind.word(), "integer");
}

#[test]
fn bounds_are_as_a_form_has_them() {
    let number = |kind: &str, said: Value| {
        let mut schema = said;
        schema["type"] = json!(kind);
        let field = one(schema);
        (field.rules.min.unwrap_or_default(), field.rules.max.unwrap_or_default())
    };
    let of = |min: &str, max: &str| (min.to_owned(), max.to_owned());
    let open = json!({"exclusiveMinimum": 0, "exclusiveMaximum": 2.5});
    assert_eq!(number("integer", open.clone()), of("1", "2"));
    assert_eq!(number("number", open), of("0", "2.5"));
    let old = json!({"minimum": -1.0, "exclusiveMinimum": true, "maximum": 1e3});
    assert_eq!(number("integer", old), of("0", "1000"));
    assert_eq!(number("integer", json!({"minimum": 1, "exclusiveMinimum": 5})), of("6", ""));
    assert_eq!(number("string", json!({"minimum": 1})), of("", ""));
}

#[test]
fn help_is_one_sentence() {
    let help = |text: &str| one(json!({"description": text})).help;
    assert_eq!(help("Up to 3.5 m, e.g. a car.\nOr two.").unwrap(), "Up to 3.5 m, e.g. a car.");
    assert_eq!(help("* `a` - A"), None);
    assert_eq!(help(" \n\n x "), None, "says no more than the label");
    let long = help(&"many words ".repeat(40)).unwrap();
    assert!(long.ends_with("many…") && long.chars().count() <= SENTENCE, "{long}");
    assert_eq!(help(&"ä".repeat(500)).unwrap().chars().count(), SENTENCE);
}

#[test]
fn orders_are_named_not_guessed() {
    let named = |text| named_in(text).join(" ");
    assert_eq!(named("Which field to use when ordering the results."), "");
    assert_eq!(named("`name` or `-age`, the default"), "name -age");
    assert_eq!(named("Fields: name, -age. More text: here"), "name -age");
    assert_eq!(named("Criteria in the format: property,(asc|desc). More."), "");
}

#[test]
fn spring_has_its_parameters_in_an_object() {
    let pageable = json!({"properties": {
        "page": {"type": "integer"}, "size": {"type": "integer"},
        "sort": {"type": "array", "items": {"type": "string"}}}});
    let record = json!({"properties": {"sort": {"type": "string"}, "name": {"type": "string"}}});
    let document = json!({"paths": {"/r": {"get": {
        "parameters": [{"in": "query", "name": "pageable", "schema": pageable}],
        "responses": {"200": {"content": {"*/*": {"schema": {"properties": {
            "content": {"type": "array", "items": record},
            "sort": {"type": "array", "items": {"properties": {"property": {}}}},
        }}}}}},
    }}}});
    let described = described(&document, "/r", &[]).unwrap();
    assert_eq!(words(&described), [("name", "text"), ("sort", "text")]);
    assert_eq!(described.page_parameters, ["page", "size"]);
    assert!(described.sortable.is_empty() && described.filterable.is_empty());
}

#[test]
fn patterns_are_kept_where_everybody_agrees() {
    let same = [
        "[0-9]{5}",
        r"[A-Z]{3}-\d+",
        "(a|b)",
        r"(?:[0-9a-f]{8}-){3}[0-9a-f]+",
        r"[^\s@]+@[^\s@]+\.[a-z]{2,}",
    ];
    for text in same {
        assert_eq!(pattern(&format!("^{text}$")).as_deref(), Some(text));
    }
    let rewritten = [
        (r"^[-a-z._-]+$", r"[\-a-z._\-]+"),
        (r"\A[a-z/]\Z", r"[a-z\/]"),
        (r"^\d{3}\-\d$", r"\d{3}-\d"),
        (r"^[()\-+]*$", r"[\(\)\-+]*"),
    ];
    for (text, expected) in rewritten {
        assert_eq!(pattern(text).as_deref(), Some(expected), "{text}");
    }
    let refused = [
        "abc",
        "^a|b$",
        "^(?=a)a$",
        "^(?!a)b$",
        "^(?i)a$",
        r"^(a)\1$",
        r"^\p{L}$",
        r"^\w+$",
        r"^a\$",
        "^[a-z&&[b]]$",
        "^[]a]$",
        "^(a$",
        "^a)$",
        "^[a$",
        r"^[\d-x]$",
        "^a{,3}$",
        "^a++$",
        "^$",
        "^",
        "$",
        "",
        "/^a$/",
    ];
    for text in refused {
        assert_eq!(pattern(text), None, "{text}");
    }
    assert_eq!(pattern(&format!("^{}$", "a".repeat(LONGEST_PATTERN + 1))), None);
}

#[test]
fn circles_and_depths_come_to_an_end() {
    let list = |schema: Value, schemas: Value| {
        json!({"paths": {"/r": {"get": {"responses":
        {"200": {"content": {"application/json": {"schema": schema}}}}}}},
        "components": {"schemas": schemas}})
    };
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let a = reference("a");
    let hostile = [
        list(a.clone(), json!({"a": a})),
        list(a.clone(), json!({"a": reference("b"), "b": a})),
        list(a.clone(), json!({"a": {"allOf": [a, a], "oneOf": [a, a], "anyOf": [a, {}]}})),
        list(a.clone(), json!({"a": {"type": "array", "items": a}})),
        list(json!({"items": a}), json!({"a": {"properties": {"a": a, "b": {"items": a}}}})),
        list(a.clone(), json!({"a": {"properties": {"data": a, "results": a, "x": a}}})),
        list(json!({"$ref": "#"}), json!({})),
        list(json!({"$ref": "#/components/schemas/%zz"}), json!({})),
        list(json!({"$ref": "https://x.example/y.json#/a"}), json!({})),
    ];
    for document in &hostile {
        assert!(described(document, "/r", &[]).is_some());
    }
    // Each of these is twice what the next is.
    let doubled = |key: &str| {
        let layer = |at: usize| {
            let next = reference(&format!("s{}", at + 1));
            (format!("s{at}"), json!({key: [next.clone(), {"title": "x", key: [next]}]}))
        };
        list(json!({"items": {"properties": {"x": reference("s0")}}}), (0..64).map(layer).collect())
    };
    for key in ["allOf", "oneOf", "anyOf"] {
        assert_eq!(described(&doubled(key), "/r", &[]).unwrap().fields.len(), 1);
    }
    let mut deep = json!({"properties": {"x": {"type": "string"}}});
    for _ in 0..100 {
        deep = json!({"type": "array", "items": {"allOf": [deep]}});
    }
    assert!(described(&list(deep, json!({})), "/r", &[]).is_some());
}

#[test]
fn what_is_large_is_cut() {
    let wide: Map<String, Value> = (0..5_000).map(|at| (format!("f{at}"), json!({}))).collect();
    let names: Vec<&String> = wide.keys().collect();
    let all = vec![json!({"$ref": "#/a"}); 5_000];
    let part = |at: usize| {
        let properties = json!({"f1": {}, "f2": {}});
        json!({"title": at, "properties": properties, "enum": [null, "", null]})
    };
    let parts: Vec<Value> = (0..5_000).map(part).collect();
    let schema = json!({"items": {"properties": wide, "required": names, "allOf": all}});
    let document = json!({"a": {"allOf": parts, "anyOf": all},
        "paths": {"/r": {"get": {"responses": {"200": {"schema": schema}}}}}});
    let started = std::time::Instant::now();
    assert_eq!(described(&document, "/r", &[]).unwrap().fields.len(), MOST_FIELDS);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

/// All places in a value, as pointers.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(inner) => {
            inner.iter().for_each(|(key, it)| pointers(it, &format!("{at}/{}", escaped(key)), all));
        }
        Value::Array(inner) => {
            inner
                .iter()
                .enumerate()
                .for_each(|(key, it)| pointers(it, &format!("{at}/{key}"), all));
        }
        _ => {}
    }
}

#[test]
fn anything_may_be_of_the_wrong_type() {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e308),
        json!(""),
        json!("null"),
        json!("\u{1f980} {[(\\"),
        json!([]),
        json!([[], {}, null, "x", 1]),
        json!({}),
        json!({"$ref": "#/paths"}),
        json!({"$ref": 1, "type": [], "enum": {}, "oneOf": [1, [2]], "properties": []}),
    ];
    let documents =
        [(spectacular(), "/api/contacts/"), (fastapi(), "/v1/items"), (swagger(), "/api/deals")];
    for (document, path) in documents {
        let mut places = Vec::new();
        pointers(&document, "", &mut places);
        for (place, odd) in places.iter().flat_map(|place| odd.iter().map(move |odd| (place, odd)))
        {
            let mut document = document.clone();
            *document.pointer_mut(place).unwrap() = odd.clone();
            described(&document, path, &[]);
        }
    }
}
