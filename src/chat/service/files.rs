//! Files that people add to their messages: taken in, given back, and told to providers.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use futures::Stream;
use serde_json::Value;
use tokio::fs::File;

use super::{Chat, Position, Question};
use crate::{
    chat::{
        files::{WriteError, is_picture, is_readable, is_taken, kind_of},
        provider::{Attached, Content},
        store::{FileRow, Tx},
        view::FileView,
    },
    config::AssistantConfig,
    error::{Error, Result},
    session::Caller,
    store::{millis, new_id, now},
};

/// How long a file is kept that was never sent.
const UNSENT: Duration = Duration::from_secs(24 * 60 * 60);
/// The most that a provider is told of the files of one conversation, the newest first, in bytes.
const TOLD: i64 = 32 << 20;
/// The longest text that is told as such, in bytes.
const LONGEST_TEXT: usize = 256 << 10;
const LONGEST_NAME: usize = 200;

impl Chat {
    /// Takes in a file that the caller will send with a message. It is what its bytes are, whatever
    /// it is called.
    pub async fn add_file<E: std::fmt::Display>(
        &self,
        caller: &Caller,
        name: &str,
        assistant: Option<&str>,
        bytes: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<FileView> {
        let owner = caller.known()?.owner();
        let assistant = self.assistant(caller, assistant)?;
        // A visitor's name costs nothing, so nothing could be kept for each of them.
        if matches!(caller, Caller::Channel(channel) if channel.identity.instance.is_some()) {
            return Err(refused("No files can be sent here."));
        }
        let name = checked_name(name);
        if assistant.files.is_empty() {
            return Err(refused(&format!("{} takes no files.", assistant.title)));
        }
        let left = self.inner.files_per_person - self.inner.store.bytes_of(&owner).await?;
        let most = assistant.max_file.min(u64::try_from(left).unwrap_or_default());
        let id = new_id();
        let written = self.inner.files.write(&id, bytes, most).await;
        let written = written.map_err(|error| not_written(error, &name, assistant, most))?;
        let kind = kind_of(&written.head, &name).to_owned();
        let size = i64::try_from(written.size).unwrap_or(i64::MAX);
        let file =
            FileRow { id, message_id: None, name, kind, size, given_to: None, given_as: None };
        let kept = match check_kind(&file, assistant) {
            Ok(()) => {
                match self.inner.store.insert_file(&owner, &file, self.inner.files_per_person).await
                {
                    Ok(true) => Ok(()),
                    // Others of the same person have taken the room meanwhile.
                    Ok(false) => Err(no_room()),
                    Err(cause) => Err(cause.into()),
                }
            }
            refused => refused,
        };
        if let Err(error) = kept {
            self.inner.files.remove(&file.id).await;
            return Err(error);
        }
        Ok(view_of_file(file))
    }

    /// One of the caller's files, and its bytes.
    pub async fn file(&self, caller: &Caller, id: &str) -> Result<(FileView, File)> {
        let owner = caller.known()?.owner();
        let row = self.inner.store.file(&owner, id).await?.ok_or_else(no_file)?;
        let file =
            self.inner.files.open(&row.id).await.map_err(|cause| no_file().because(cause))?;
        Ok((view_of_file(row), file))
    }

    /// Removes one of the caller's files that was not sent.
    pub async fn remove_file(&self, caller: &Caller, id: &str) -> Result<()> {
        let owner = caller.known()?.owner();
        if !self.inner.store.remove_unsent(&owner, id).await? {
            return Err(no_file());
        }
        self.inner.files.remove(id).await;
        Ok(())
    }

    /// The files of a question: those it names and, where it puts an earlier one in other words, those
    /// of that one.
    pub(super) async fn files_of(
        &self,
        owner: &str,
        question: &Question,
        assistant: &AssistantConfig,
    ) -> Result<Vec<String>> {
        let mut files = match &question.position {
            Position::Beside(earlier) => self.copies_of(owner, earlier, assistant).await?,
            Position::End | Position::After(_) => Vec::new(),
        };
        files.extend(question.files.iter().cloned());
        self.check_files(owner, &files, assistant).await?;
        Ok(files)
    }

    /// The files of an earlier question under ids of their own.
    async fn copies_of(
        &self,
        owner: &str,
        message: &str,
        assistant: &AssistantConfig,
    ) -> Result<Vec<String>> {
        let rows = self.inner.store.files_of(owner, message).await?;
        for row in &rows {
            check_kind(row, assistant)?;
        }
        let mut copies = Vec::new();
        for row in rows {
            let copy = FileRow { id: new_id(), message_id: None, ..row.clone() };
            // Known before it is there: what is not known is swept away.
            self.inner.store.insert_file(owner, &copy, i64::MAX).await?;
            self.inner.files.copy(&row.id, &copy.id).await.map_err(Error::internal)?;
            copies.push(copy.id);
        }
        Ok(copies)
    }

    /// Refuses files that the assistant does not take, or that are not the caller's to send.
    async fn check_files(
        &self,
        owner: &str,
        files: &[String],
        assistant: &AssistantConfig,
    ) -> Result<()> {
        if files.len() > assistant.max_files {
            return Err(refused(&format!(
                "{} files are too many: {} takes at most {}. Remove some and send again.",
                files.len(),
                assistant.title,
                assistant.max_files
            )));
        }
        for id in files {
            let row = self.inner.store.file(owner, id).await?.ok_or_else(no_file)?;
            check_kind(&row, assistant)?;
        }
        Ok(())
    }

    /// Puts files into the message that is being stored.
    pub(super) async fn attach(
        &self,
        tx: &mut Tx,
        owner: &str,
        message: &str,
        files: &[String],
    ) -> Result<()> {
        for (place, file) in (0..).zip(files) {
            if !self.inner.store.attach(tx, owner, file, message, place).await? {
                return Err(refused("A file was sent before, or is gone. Add it again."));
            }
        }
        Ok(())
    }

    /// The files of a conversation by their messages, as pages show them.
    pub(super) async fn files_shown(
        &self,
        conversation: &str,
    ) -> Result<HashMap<String, Vec<FileView>>> {
        let mut shown: HashMap<String, Vec<FileView>> = HashMap::new();
        for mut row in self.inner.store.files_in(conversation).await? {
            let Some(message) = row.message_id.take() else { continue };
            shown.entry(message).or_default().push(view_of_file(row));
        }
        Ok(shown)
    }

    /// The files of these messages as a provider is told of them, the newest as far as there is room.
    pub(super) async fn files_told(
        &self,
        conversation: &str,
        assistant: &AssistantConfig,
        messages: impl DoubleEndedIterator<Item = &str>,
    ) -> Result<HashMap<String, Vec<Attached>>> {
        let rows = self.inner.store.files_in(conversation).await?;
        let (mut told, mut room) = (HashMap::new(), TOLD);
        if rows.is_empty() {
            return Ok(told);
        }
        for message in messages.rev() {
            let mut of_message = Vec::new();
            for row in rows.iter().filter(|row| row.message_id.as_deref() == Some(message)) {
                let given = given(row, assistant);
                if given.is_none() {
                    room -= row.size;
                }
                let content = match given {
                    Some(said) => Content::Given(said),
                    None if room < 0 => omitted(),
                    None => self.told(row, assistant.upload.is_some()).await,
                };
                let FileRow { id, name, kind, .. } = row.clone();
                of_message.push(Attached { id, name, kind, content });
            }
            told.insert(message.to_owned(), of_message);
        }
        Ok(told)
    }

    /// A service that is given files gets them as they are.
    async fn told(&self, row: &FileRow, is_whole: bool) -> Content {
        let bytes = match self.inner.files.read(&row.id).await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(%error, file = row.id, "a file is not where it was written");
                return omitted();
            }
        };
        if is_picture(&row.kind) {
            return Content::Image(bytes);
        }
        if is_whole || !is_readable(&row.kind) {
            return Content::Document(bytes);
        }
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        if text.len() > LONGEST_TEXT {
            text.truncate(text.floor_char_boundary(LONGEST_TEXT));
            text.push_str("\n[The rest of the file was left out.]");
        }
        Content::Text(text)
    }

    /// Removes what was never sent, and what no message speaks of any more.
    pub(super) async fn sweep_files(&self) -> Result<()> {
        self.inner.store.forget_unsent(now() - millis(UNSENT)).await?;
        let settled = self.inner.files.settled().await.map_err(Error::internal)?;
        if settled.is_empty() {
            return Ok(());
        }
        let known = self.inner.store.file_ids().await?;
        for id in settled.iter().filter(|id| !known.contains(*id)) {
            self.inner.files.remove(id).await;
        }
        Ok(())
    }
}

fn omitted() -> Content {
    Content::Text("[This file was left out.]".to_owned())
}

/// What the assistant's service said of a file that it was given before.
fn given(row: &FileRow, assistant: &AssistantConfig) -> Option<Value> {
    let is_known = row.given_to.as_ref().is_some_and(|to| *to == assistant.upload_place());
    row.given_as.as_ref().filter(|_| is_known).and_then(|said| serde_json::from_str(said).ok())
}

fn view_of_file(row: FileRow) -> FileView {
    let size = u64::try_from(row.size).unwrap_or_default();
    FileView { id: row.id, name: row.name, kind: row.kind, size }
}

/// A name without a path and without what no name has.
fn checked_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|letter| !letter.is_control()).collect();
    match name.trim() {
        "" => "file".to_owned(),
        name => name.chars().take(LONGEST_NAME).collect(),
    }
}

fn check_kind(file: &FileRow, assistant: &AssistantConfig) -> Result<()> {
    if is_taken(&file.kind, &assistant.files) {
        return Ok(());
    }
    Err(refused(&format!(
        "“{}” cannot be sent: {} takes {} only.",
        file.name,
        assistant.title,
        assistant.files.join(", ")
    )))
}

fn not_written(error: WriteError, name: &str, assistant: &AssistantConfig, most: u64) -> Error {
    match error {
        WriteError::TooLarge if most < assistant.max_file => no_room(),
        WriteError::TooLarge => Error::too_large(format!(
            "“{name}” is too large: a file may have {} at most.",
            crate::config::size_in_words(assistant.max_file)
        ))
        .in_field("files"),
        WriteError::BrokeOff(_) => {
            refused(&format!("“{name}” did not arrive whole. Send it again.")).because(error)
        }
        WriteError::Disk(_) => {
            Error::unavailable(format!("“{name}” could not be kept. Try again later."))
                .because(error)
        }
    }
}

fn no_room() -> Error {
    Error::too_large(
        "There is no more room for your files. Delete conversations that have some, and try again.",
    )
    .in_field("files")
}

fn refused(words: &str) -> Error {
    Error::bad_request(words.to_owned()).in_field("files")
}

fn no_file() -> Error {
    Error::not_found("There is no such file, or it is not yours.").in_field("files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        for (given, kept) in [
            ("a.txt", "a.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\b.png", "b.png"),
            ("new\nline", "newline"),
            ("  ", "file"),
            ("", "file"),
        ] {
            assert_eq!(checked_name(given), kept);
        }
        assert_eq!(checked_name(&"x".repeat(500)).len(), LONGEST_NAME);
    }
}
