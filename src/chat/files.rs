//! Files on disk: what people add to their messages, each under its id. What a file is called and
//! whose it is stands in the database.

use std::{io, path::PathBuf, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt,
};

/// How much of a file tells what it is.
const HEAD: usize = 512;
/// How old a file is that no row speaks of, and no upload is still writing.
const STALE: Duration = Duration::from_secs(60 * 60);

/// The folder of files.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

/// A file that was written.
#[derive(Debug)]
pub struct Written {
    /// In bytes.
    pub size: u64,
    /// How it begins.
    pub head: Vec<u8>,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It is longer than it may be.
    #[error("the file is larger than it may be")]
    TooLarge,
    /// It did not come to its end.
    #[error("the upload broke off: {0}")]
    BrokeOff(String),
    /// The disk is full, or otherwise at fault.
    #[error("the file cannot be written: {0}")]
    Disk(#[from] io::Error),
}

impl Files {
    /// The files in this folder, which is made with the first of them.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Writes a file of at most so many bytes as they come. One that is not whole leaves nothing.
    pub async fn write<E: std::fmt::Display>(
        &self,
        id: &str,
        bytes: impl Stream<Item = Result<Bytes, E>>,
        most: u64,
    ) -> Result<Written, WriteError> {
        fs::create_dir_all(&self.folder).await?;
        let written = self.write_in_full(id, bytes, most).await;
        if written.is_err() {
            self.remove(id).await;
        }
        written
    }

    async fn write_in_full<E: std::fmt::Display>(
        &self,
        id: &str,
        bytes: impl Stream<Item = Result<Bytes, E>>,
        most: u64,
    ) -> Result<Written, WriteError> {
        let mut file = File::create(self.path(id)).await?;
        let mut written = Written { size: 0, head: Vec::new() };
        let mut bytes = std::pin::pin!(bytes);
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk.map_err(|cause| WriteError::BrokeOff(cause.to_string()))?;
            written.size += chunk.len() as u64;
            if written.size > most {
                return Err(WriteError::TooLarge);
            }
            let missing = HEAD.saturating_sub(written.head.len());
            written.head.extend_from_slice(&chunk[..chunk.len().min(missing)]);
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        file.sync_all().await?;
        Ok(written)
    }

    /// Opens a file.
    pub async fn open(&self, id: &str) -> io::Result<File> {
        File::open(self.path(id)).await
    }

    /// All of a file.
    pub async fn read(&self, id: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(id)).await
    }

    /// Has the same bytes under another id, without writing them again.
    pub async fn copy(&self, from: &str, to: &str) -> io::Result<()> {
        fs::hard_link(self.path(from), self.path(to)).await
    }

    /// Removes a file, if it is there.
    pub async fn remove(&self, id: &str) {
        if let Err(error) = fs::remove_file(self.path(id)).await
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, id, "a file cannot be removed");
        }
    }

    /// The ids of files that have lain here for a while.
    pub async fn settled(&self) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        let mut entries = match fs::read_dir(&self.folder).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ids),
            entries => entries?,
        };
        while let Some(entry) = entries.next_entry().await? {
            // One that is gone by now needs nobody to remove it.
            let Ok(modified) = entry.metadata().await.and_then(|entry| entry.modified()) else {
                continue;
            };
            let is_settled = modified.elapsed().unwrap_or_default() > STALE;
            let id = entry.file_name().into_string().unwrap_or_default();
            if is_settled && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Ids are made here and hold nothing but letters and digits.
    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id.replace(|letter: char| !letter.is_ascii_alphanumeric(), ""))
    }
}

/// What a file is, by its first bytes; by its name only which kind of text.
pub fn kind_of(head: &[u8], name: &str) -> &'static str {
    let begins = |magic: &[u8]| head.starts_with(magic);
    if begins(b"\x89PNG\r\n\x1a\n") {
        "image/png"
    } else if begins(b"\xff\xd8\xff") {
        "image/jpeg"
    } else if begins(b"GIF87a") || begins(b"GIF89a") {
        "image/gif"
    } else if begins(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        "image/webp"
    } else if begins(b"%PDF-") {
        "application/pdf"
    } else if is_text(head) {
        text_kind(name)
    } else {
        "application/octet-stream"
    }
}

/// UTF-8 without what no text has. A character may be cut at the end of the head.
fn is_text(head: &[u8]) -> bool {
    let readable = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    readable && !head.iter().any(|byte| matches!(byte, 0..=8 | 14..=26 | 28..=31))
}

fn text_kind(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("csv") => "text/csv",
        Some("md" | "markdown") => "text/markdown",
        Some("json") => "application/json",
        Some("html" | "htm") => "text/html",
        Some("xml" | "svg") => "text/xml",
        _ => "text/plain",
    }
}

/// Whether a kind is text, whatever its family is called.
pub fn is_readable(kind: &str) -> bool {
    kind.starts_with("text/") || kind == "application/json"
}

/// Whether browsers show a file of this kind as a picture and nothing else.
pub fn is_picture(kind: &str) -> bool {
    matches!(kind, "image/png" | "image/jpeg" | "image/gif" | "image/webp")
}

/// Whether a pattern takes nothing but text.
pub fn is_text_pattern(pattern: &str) -> bool {
    pattern == "text/*" || is_readable(pattern)
}

/// Whether one of the patterns, such as `image/*`, takes a kind.
pub fn is_taken(kind: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some("*/") => true,
        Some("text/") => is_readable(kind),
        Some(family) => kind.starts_with(family),
        None => pattern == kind,
    })
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[test]
    fn files_are_what_they_begin_as() {
        for (head, name, kind) in [
            (&b"\x89PNG\r\n\x1a\n..."[..], "a.txt", "image/png"),
            (b"\xff\xd8\xff\xe0", "a", "image/jpeg"),
            (b"RIFF....WEBPVP8 ", "a", "image/webp"),
            (b"%PDF-1.7\n\x80\x81", "a.png", "application/pdf"),
            (b"a,b\n1,2\n", "a.CSV", "text/csv"),
            (b"<svg onload=alert(1)>", "a.svg", "text/xml"),
            ("Gr\u{fc}\u{df}e".as_bytes(), "a", "text/plain"),
            (&"\u{fc}".as_bytes()[..1], "cut.md", "text/markdown"),
            (b"", "empty", "text/plain"),
            (b"MZ\x90\x00\x03", "a.txt", "application/octet-stream"),
        ] {
            assert_eq!(kind_of(head, name), kind, "{name}");
        }
    }

    #[test]
    fn patterns_take_families() {
        let patterns = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        assert!(is_taken("image/png", &patterns(&["text/*", "image/*"])));
        assert!(is_taken("application/json", &patterns(&["text/*"])));
        assert!(is_taken("application/pdf", &patterns(&["application/pdf"])));
        assert!(!is_taken("application/pdf", &patterns(&["image/*", "text/*"])));
        assert!(is_taken("application/octet-stream", &patterns(&["*/*"])));
        assert!(!is_taken("image/png", &[]));
    }

    #[tokio::test]
    async fn what_is_not_whole_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path().join("files"));
        let whole = || stream::iter([Ok::<_, io::Error>(Bytes::from("ab")), Ok(Bytes::from("cd"))]);
        let written = files.write("a", whole(), 4).await.unwrap();
        assert_eq!((written.size, written.head), (4, b"abcd".to_vec()));
        assert_eq!(files.read("a").await.unwrap(), b"abcd");
        assert!(matches!(files.write("b", whole(), 3).await, Err(WriteError::TooLarge)));
        let broken = stream::iter([Ok(Bytes::from("ab")), Err(io::Error::other("gone"))]);
        assert!(matches!(files.write("c", broken, 9).await, Err(WriteError::BrokeOff(_))));
        assert!(files.open("b").await.is_err() && files.open("c").await.is_err());
        files.remove("a").await;
        assert!(files.open("a").await.is_err() && files.open("../a").await.is_err());
    }
}
