//! Files of records: sent to the backend as they come, each by itself.

use axum::{
    body::Body,
    http::{
        HeaderValue, Method,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
};
use bytes::Bytes;
use uuid::Uuid;

use super::service::Resource;
use crate::{
    backend::Call,
    config::{FieldConfig, FieldKind, FileRule, RecordForm, size_in_words},
    error::{Error, Result},
};

/// The largest file where nobody says how large one may be, in bytes.
const LARGEST: u64 = 25 << 20;

/// A file that somebody has chosen.
#[derive(Debug)]
pub struct Chosen {
    /// What it is called.
    pub name: String,
    /// What the browser takes it for.
    pub kind: String,
    /// What is in it.
    pub bytes: Bytes,
}

/// The field of this name, if it holds a file that people may replace.
///
/// 404 for any other.
pub fn field<'a>(resource: &'a Resource, name: &str) -> Result<(&'a FieldConfig, &'a FileRule)> {
    let field = resource.field(name).filter(|field| field.in_form);
    match field.map(|field| (field, &field.kind)) {
        Some((field, FieldKind::File(rule) | FieldKind::Image(rule))) => Ok((field, rule)),
        _ => Err(Error::not_found("There is no such file here.")),
    }
}

/// How large a file may be, in bytes.
pub fn largest(rule: &FileRule) -> u64 {
    rule.max_size.unwrap_or(LARGEST)
}

/// 413 and 415 for a file that the field does not take.
pub fn check(field: &FieldConfig, rule: &FileRule, file: &Chosen) -> Result<()> {
    if file.bytes.len() as u64 > largest(rule) {
        return Err(too_large(rule));
    }
    let is_image = matches!(field.kind, FieldKind::Image(_));
    let usual = if is_image { vec!["image/*".to_owned()] } else { Vec::new() };
    let accepted = if rule.accept.is_empty() { &usual } else { &rule.accept };
    let fits = |accept: &String| match accept.strip_suffix('*') {
        Some(beginning) => file.kind.starts_with(beginning),
        None => *accept == file.kind,
    };
    if accepted.is_empty() || accepted.iter().any(fits) {
        return Ok(());
    }
    let accepted = accepted.join(", ");
    Err(Error::from_status(
        415,
        format!("“{}” is not taken here. Choose one of: {accepted}.", file.name),
    ))
}

/// 413, with how much there may be.
fn too_large(rule: &FileRule) -> Error {
    let most = size_in_words(largest(rule));
    Error::too_large(format!("The file is larger than {most}. Nothing was changed."))
}

/// The call that puts a file in its place: a form with one part or, where records are JSON:API, the
/// bytes themselves, as Drupal takes them.
pub fn call(resource: &Resource, field: &FieldConfig, path: String, file: Chosen) -> Result<Call> {
    let name: String = file.name.chars().filter(|c| !c.is_control() && *c != '"').collect();
    let kind = HeaderValue::try_from(&file.kind)
        .map_err(|cause| Error::bad_request("The file does not say what it is.").because(cause))?;
    if resource.config.style.records == RecordForm::JsonApi {
        let mut call = Call::new(Method::POST, format!("{path}/{}", field.name));
        let disposition = format!("file; filename=\"{}\"", ascii(&name));
        let disposition = HeaderValue::try_from(disposition).map_err(Error::internal)?;
        call.own.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        call.own.insert(CONTENT_DISPOSITION, disposition);
        call.body = Body::from(file.bytes);
        return Ok(call);
    }
    let boundary = format!("breezeway-{}", Uuid::new_v4().simple());
    let kind = kind.to_str().unwrap_or("application/octet-stream");
    let mut body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{name}\"\r\n\
         Content-Type: {kind}\r\n\r\n",
        field.name
    )
    .into_bytes();
    body.extend_from_slice(&file.bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let mut call = Call::new(Method::PATCH, path);
    let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
    call.own.insert(CONTENT_TYPE, kind.map_err(Error::internal)?);
    call.body = Body::from(body);
    Ok(call)
}

/// A name that can stand in a header.
fn ascii(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_graphic() && !['\\', '"'].contains(&c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: &str, size: usize) -> Chosen {
        Chosen { name: "a b.png".into(), kind: kind.into(), bytes: vec![0; size].into() }
    }

    #[test]
    fn only_what_a_field_takes_is_sent() {
        let small = FileRule { accept: vec!["application/pdf".into()], max_size: Some(10) };
        let pdf = FieldConfig::new("x", FieldKind::File(small.clone()));
        assert!(check(&pdf, &small, &file("application/pdf", 10)).is_ok());
        assert!(check(&pdf, &small, &file("application/pdf", 11)).is_err());
        assert!(check(&pdf, &small, &file("image/png", 1)).is_err());
        let any = FileRule::default();
        let image = FieldConfig::new("x", FieldKind::Image(any.clone()));
        assert!(check(&image, &any, &file("image/png", 1)).is_ok());
        assert!(check(&image, &any, &file("text/html", 1)).is_err());
        assert_eq!(ascii("ü \"a.png"), "___a.png");
    }
}
