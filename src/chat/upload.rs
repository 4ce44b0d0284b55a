//! Bodies that carry files: multipart forms of browsers and of DeepChat. Files go to their place as
//! they arrive; what else is said is small.

use axum::{
    extract::{FromRequest, Multipart, Request, multipart::Field},
    http::header::CONTENT_TYPE,
};

use super::service::Chat;
use crate::{
    error::{Error, Result},
    session::Caller,
};

/// What a form says: fields in their order, and the ids of its files.
#[derive(Debug, Default)]
pub struct Fields {
    pub texts: Vec<(String, String)>,
    pub files: Vec<String>,
}

/// How much a form may say apart from its files, in bytes: a client may bring a conversation along.
const LONGEST: usize = 16 << 20;
/// The same for somebody who is not known, and whose message is only to be kept on the page.
const LONGEST_OF_NOBODY: usize = 1 << 20;
/// The most fields of a form.
const MOST_FIELDS: usize = 2_000;

/// Whether a request carries such a body.
pub fn is_multipart(request: &Request) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// Reads a body and takes in its files.
///
/// A field of `assistant` or `assistant_id` comes before the files, whose limits it decides. After a
/// file that is refused the rest is read all the same, so that nothing is lost but the file.
pub async fn read(
    chat: &Chat,
    caller: &Caller,
    request: Request,
    fields: &mut Fields,
) -> Result<()> {
    let mut parts = Multipart::from_request(request, &()).await.map_err(|cause| {
        Error::bad_request("The form has no boundary between its parts.").because(cause)
    })?;
    let mut room = if caller.identity().is_some() { LONGEST } else { LONGEST_OF_NOBODY };
    let mut outcome = Ok(());
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        if fields.texts.len() + fields.files.len() >= MOST_FIELDS {
            return Err(Error::too_large("The form has too many fields."));
        }
        let name = part.name().unwrap_or_default().to_owned();
        match part.file_name().map(str::to_owned) {
            // What browsers send for a field of files in which none was chosen.
            Some(file) if file.is_empty() => {}
            Some(file) => match take(chat, caller, fields, &file, part).await {
                Ok(id) => fields.files.push(id),
                Err(error) => outcome = outcome.and(Err(error)),
            },
            None => fields.texts.push((name, text(part, &mut room).await?)),
        }
    }
    outcome
}

async fn take(
    chat: &Chat,
    caller: &Caller,
    fields: &Fields,
    name: &str,
    part: Field<'_>,
) -> Result<String> {
    let assistant = fields.text("assistant").or_else(|| fields.text("assistant_id"));
    Ok(chat.add_file(caller, name, assistant, part).await?.id)
}

async fn text(mut part: Field<'_>, room: &mut usize) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(broken)? {
        *room = room
            .checked_sub(chunk.len())
            .ok_or_else(|| Error::too_large("The form is too long. Shorten the message."))?;
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes)
        .map_err(|cause| Error::bad_request("A field of the form is no text.").because(cause))
}

fn broken(cause: axum::extract::multipart::MultipartError) -> Error {
    Error::bad_request("The form did not arrive whole. Send it again.").because(cause)
}

impl Fields {
    /// What a form without files says.
    pub fn of_form(body: &[u8]) -> Self {
        let texts = url::form_urlencoded::parse(body).into_owned().collect();
        Self { texts, files: Vec::new() }
    }

    /// The first field with this name that says something.
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut named = self.texts.iter().filter(|(key, value)| key == name && !value.is_empty());
        named.next().map(|(_, value)| value.as_str())
    }

    /// The files that came along, after those that were taken in before and are named in `file`.
    pub fn all_files(&self) -> Vec<String> {
        let named = self.texts.iter().filter(|(key, value)| key == "file" && !value.is_empty());
        named.map(|(_, id)| id).chain(&self.files).cloned().collect()
    }
}
