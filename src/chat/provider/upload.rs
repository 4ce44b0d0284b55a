//! Files for services that take them apart from questions: given once, and then spoken of in the words
//! that the service had for them.

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Method,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
};
use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Attached, Content};
use crate::{backend::Call, chat::files::is_picture};

/// A form with the file in its field `file` (RFC 7578).
pub fn form(path: &str, file: &Attached, bytes: &[u8]) -> Call {
    let boundary = Uuid::new_v4().simple().to_string();
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
         Content-Type: {}\r\n\r\n",
        quoted(&file.name),
        file.kind
    );
    let body = [head.as_bytes(), bytes, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
    call(path, &format!("multipart/form-data; boundary={boundary}"), body, HeaderMap::new())
}

/// The bytes themselves, as Drupal takes files by JSON:API and, told which form to answer in, by REST.
pub fn body(path: &str, file: &Attached, bytes: &[u8]) -> Call {
    let mut own = HeaderMap::new();
    let disposition = format!("file; filename=\"{}\"", quoted(&file.name));
    if let Ok(disposition) = HeaderValue::from_maybe_shared(Bytes::from(disposition)) {
        own.insert(CONTENT_DISPOSITION, disposition);
    }
    let query = (!path.starts_with("/jsonapi/")).then(|| "_format=json".to_owned());
    Call { query, ..call(path, "application/octet-stream", bytes.to_vec(), own) }
}

fn call(path: &str, kind: &str, body: Vec<u8>, own: HeaderMap) -> Call {
    let mut headers = HeaderMap::new();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert(CONTENT_TYPE, kind);
    }
    Call { headers, own, body: Body::from(body), ..Call::new(Method::POST, path) }
}

/// A name as browsers write it into a form.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// A file as DeepChat writes one down: with its bytes, or with what the service said when it got them.
pub fn mention(file: &Attached) -> Value {
    let kind = if is_picture(&file.kind) { "image" } else { "any" };
    let mut mention = json!({ "type": kind, "name": file.name });
    match &file.content {
        Content::Image(bytes) | Content::Document(bytes) => {
            mention["src"] = json!(file.data_url(bytes));
        }
        Content::Text(text) => mention["src"] = json!(file.data_url(text.as_bytes())),
        Content::Given(said) => add(&mut mention, said),
    }
    mention
}

/// What the service said goes along under its own names; a bare value is the file's id.
fn add(mention: &mut Value, said: &Value) {
    match said {
        Value::Object(fields) => {
            for (name, value) in fields {
                mention[name] = value.clone();
            }
        }
        bare => mention["id"] = bare.clone(),
    }
}

/// What is kept of the service's answer to an upload: of Drupal's two ways to describe a file its
/// number, id and address, of anything else all of it. None when it says nothing.
pub fn said(answer: &[u8]) -> Option<Value> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    if let Some(file) = entity(&answer).or_else(|| json_api(&answer)) {
        return Some(file);
    }
    let is_something = match &answer {
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Number(_) => true,
        Value::Null | Value::Bool(_) | Value::Array(_) => false,
    };
    is_something.then_some(answer)
}

/// `{"fid": [{"value": 7}], "uuid": [{"value": "…"}], "uri": [{"url": "…"}]}`
fn entity(answer: &Value) -> Option<Value> {
    let first = |field: &str, part: &str| answer[field][0].get(part).cloned();
    Some(json!({
        "fid": first("fid", "value")?, "uuid": first("uuid", "value"), "url": first("uri", "url"),
    }))
}

/// `{"data": {"type": "file--file", "id": "…", "attributes": {"drupal_internal__fid": 7, …}}}`
fn json_api(answer: &Value) -> Option<Value> {
    let (file, attributes) = (&answer["data"], &answer["data"]["attributes"]);
    (file["type"] == "file--file").then(|| {
        json!({
            "fid": attributes["drupal_internal__fid"],
            "uuid": file["id"],
            "url": attributes["uri"]["url"],
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: Content) -> Attached {
        Attached {
            id: "f1".to_owned(),
            name: "my \"plan\".pdf".to_owned(),
            kind: "application/pdf".to_owned(),
            content,
        }
    }

    async fn sent(call: Call) -> (HeaderMap, String) {
        let bytes = axum::body::to_bytes(call.body, usize::MAX).await.unwrap();
        let mut headers = call.headers;
        headers.extend(call.own);
        (headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_file_is_a_field_of_a_form() {
        let call = form("/files", &file(Content::Document(Vec::new())), b"%PDF-");
        assert_eq!((call.method.clone(), call.path.as_str()), (Method::POST, "/files"));
        let (headers, body) = sent(call).await;
        let kind = headers[CONTENT_TYPE].to_str().unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"my %22plan%22.pdf\"\r\nContent-Type: application/pdf\r\n\r\n%PDF-\r\n\
             --{boundary}--\r\n"
        );
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn drupal_takes_the_bytes_themselves() {
        let file = file(Content::Text(String::new()));
        assert_eq!(body("/jsonapi/node/article/field_file", &file, b"x").query, None);
        let call = body("/file/upload/node/article/field_file", &file, b"x");
        assert_eq!(call.query.as_deref(), Some("_format=json"));
        let (headers, sent) = sent(call).await;
        assert_eq!(headers[CONTENT_DISPOSITION], "file; filename=\"my %22plan%22.pdf\"");
        assert_eq!(
            (headers[CONTENT_TYPE].to_str().unwrap(), sent.as_str()),
            ("application/octet-stream", "x")
        );
    }

    #[test]
    fn what_the_service_says_of_a_file_goes_along() {
        let mentioned =
            |answer: &str| mention(&file(Content::Given(said(answer.as_bytes()).unwrap())));
        let (kind, name) = ("any", "my \"plan\".pdf");
        assert_eq!(
            mentioned(r#"{"id":"f9","url":"/files/f9"}"#),
            json!({ "type": kind, "name": name, "id": "f9", "url": "/files/f9" })
        );
        assert_eq!(mentioned(r#""f9""#), json!({ "type": kind, "name": name, "id": "f9" }));
        let known = json!({ "type": kind, "name": name, "fid": 7, "uuid": "u", "url": "/x.pdf" });
        for answer in [
            r#"{"fid":[{"value":7}],"uuid":[{"value":"u"}],"uri":[{"value":"public://x.pdf","url":"/x.pdf"}],"status":[]}"#,
            r#"{"data":{"type":"file--file","id":"u","attributes":{"drupal_internal__fid":7,"uri":{"url":"/x.pdf"}}}}"#,
        ] {
            assert_eq!(mentioned(answer), known);
        }
        for nothing in ["", "<html>", "{}", "null", "[]", "\"\"", "true"] {
            assert_eq!(said(nothing.as_bytes()), None, "{nothing}");
        }
    }
}
