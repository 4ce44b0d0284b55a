//! The tenant in a body: a JSON object, a form or a multipart form.
//!
//! A body that is rewritten is read by our own parser and written anew, so the backend cannot find a
//! tenant in it that we did not see.

use std::{
    collections::BTreeSet,
    error::Error as StdError,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    },
};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http_body_util::BodyExt;
use multer::{Field, Multipart};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::{Key, Tenant, TenantPlaces};
use crate::{
    backend::body::fault_of_upload,
    error::{Error, Kind, Result},
};

/// The largest JSON document or form that is rewritten, in bytes. Multipart has no limit of its
/// own: it passes through piece by piece.
const LARGEST: usize = 8 << 20;
/// How much of a multipart body may be read before any of it can be passed on, in bytes: more than
/// the head of any part that browsers make.
const LARGEST_HEAD: usize = 64 << 10;
const MULTIPART: &str = "multipart/form-data";
/// A form's field that changes how its other fields are read (WHATWG HTML).
const CHARSET: &str = "_charset_";

/// What is wrong with a multipart body, found out on its way.
#[derive(Debug, thiserror::Error)]
pub enum Spoiled {
    #[error("the multipart body cannot be read: {0}")]
    Unreadable(#[from] multer::Error),
    #[error("a part's name or file name can be read in two ways")]
    Ambiguous,
    #[error("the head of a part is too long")]
    Endless,
}

impl TenantPlaces {
    /// The body with the tenant in it, where the configuration says so.
    ///
    /// 415 for a body of a kind that has no place for it, 400 for one that cannot be read or says
    /// something twice, 413 for a document larger than 8 MiB.
    pub async fn set_in_body(
        &self,
        tenant: Tenant<'_>,
        headers: &mut HeaderMap,
        body: Body,
    ) -> Result<Body> {
        let Some(key) = &self.body else { return Ok(body) };
        if hyper::body::Body::is_end_stream(&body) {
            return self.without_body(tenant, body);
        }
        let encoded = headers.get(CONTENT_ENCODING).is_some_and(|how| how != "identity");
        if encoded || headers.get_all(CONTENT_TYPE).iter().count() != 1 {
            return Err(unsupported());
        }
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.ok_or_else(unsupported)?.to_owned();
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        headers.remove(CONTENT_LENGTH);
        if essence != MULTIPART {
            // Without parameters: what was read as UTF-8 is to be read as UTF-8 again.
            let plain = HeaderValue::try_from(essence.as_str()).map_err(|_| unsupported())?;
            headers.insert(CONTENT_TYPE, plain);
        }
        match essence.as_str() {
            MULTIPART => multipart(key, tenant, headers, &kind, body),
            "application/x-www-form-urlencoded" => {
                let body = read(body).await?;
                Ok(form(key, tenant, str::from_utf8(&body).map_err(|_| unreadable("a form"))?)
                    .into())
            }
            json if json == "application/json" || json.ends_with("+json") => {
                Ok(object(key, tenant, &read(body).await?)?.into())
            }
            _ => Err(unsupported()),
        }
    }

    /// A request without a body says its tenant elsewhere, or not at all.
    fn without_body(&self, tenant: Tenant, body: Body) -> Result<Body> {
        let said_elsewhere = self.query.is_some() || self.header.is_some();
        if said_elsewhere || tenant == Tenant::Unsaid {
            return Ok(body);
        }
        Err(Error::bad_request(
            "This backend is told the tenant in the body, so a request without one cannot be sent.",
        ))
    }
}

async fn read(body: Body) -> Result<Bytes> {
    let body = http_body_util::Limited::new(body, LARGEST).collect().await.map_err(|cause| {
        if cause.is::<http_body_util::LengthLimitError>() || fault_of_upload(&*cause).is_some() {
            return Error::too_large(
                "A document for this backend may have 8 MiB. Send less at once.",
            );
        }
        Error::bad_request("The body broke off before its end. Nothing was sent.").because(cause)
    })?;
    Ok(body.to_bytes())
}

fn form(key: &Key, tenant: Tenant, pairs: &str) -> String {
    let mut kept = Key::new(CHARSET).without(&key.without(pairs));
    if let Tenant::Of(tenant) = tenant {
        if !kept.is_empty() {
            kept.push('&');
        }
        kept.extend(utf8_percent_encode(key.name(), NON_ALPHANUMERIC));
        kept.push('=');
        kept.extend(utf8_percent_encode(tenant, NON_ALPHANUMERIC));
    }
    kept
}

// === JSON ===

/// A JSON object whose values stay as they were written.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl Object<'_> {
    fn has_a_key_twice(&self) -> bool {
        let mut names = BTreeSet::new();
        !self.0.iter().all(|(name, _)| names.insert(name))
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn object(key: &Key, tenant: Tenant, body: &[u8]) -> Result<Vec<u8>> {
    let mut object: Object =
        serde_json::from_slice(body).map_err(|cause| unreadable("a JSON object").because(cause))?;
    if object.has_a_key_twice() {
        return Err(Error::bad_request(
            "The JSON object has a key twice, so it is not clear what it says. Nothing was sent.",
        ));
    }
    object.0.retain(|(name, _)| !key.is(name));
    let ours = match tenant {
        Tenant::Of(tenant) => Some(to_raw_value(tenant).map_err(Error::internal)?),
        Tenant::Unsaid => None,
    };
    object.0.extend(ours.as_deref().map(|value| (key.name().to_owned(), value)));
    serde_json::to_vec(&object).map_err(Error::internal)
}

// === Multipart ===

fn multipart(
    key: &Key,
    tenant: Tenant,
    headers: &mut HeaderMap,
    kind: &str,
    body: Body,
) -> Result<Body> {
    let theirs = multer::parse_boundary(kind).map_err(|_| unreadable("a multipart form"))?;
    let ours = format!("breezeway-{}", Uuid::new_v4().simple());
    let kind = format!("multipart/form-data; boundary={ours}");
    headers.insert(CONTENT_TYPE, HeaderValue::try_from(kind).map_err(Error::internal)?);
    let unread = Arc::new(AtomicUsize::new(0));
    let parts = Multipart::new(counted(body, unread.clone()), theirs);
    let own_part = match tenant {
        Tenant::Of(tenant) => format!(
            "--{ours}\r\ncontent-disposition: form-data; name=\"{}\"\r\n\r\n{tenant}\r\n",
            quotable(key.name())
        ),
        Tenant::Unsaid => String::new(),
    };
    let last = format!("{own_part}--{ours}--\r\n");
    let last = stream::once(async move { Ok::<_, Spoiled>(Bytes::from(last)) });
    let others = pieces(parts, key.clone(), ours).inspect_ok(move |_| unread.store(0, Relaxed));
    Ok(Body::from_stream(others.chain(last)))
}

/// The body as multer reads it. It keeps what it has no use for yet, so there must not be much.
fn counted(
    body: Body,
    unread: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, Box<dyn StdError + Send + Sync>>> + Send {
    body.into_data_stream().map(move |piece| {
        let piece = piece?;
        let waiting = unread.fetch_add(piece.len(), Relaxed);
        if waiting > LARGEST_HEAD { Err(Spoiled::Endless.into()) } else { Ok(piece) }
    })
}

/// The parts that do not name the key, as bytes.
fn pieces(
    parts: Multipart<'static>,
    key: Key,
    boundary: String,
) -> impl Stream<Item = Result<Bytes, Spoiled>> + Send {
    let charset = Key::new(CHARSET);
    let parts = stream::try_unfold((parts, key, charset), async |(mut parts, key, charset)| {
        while let Some(part) = parts.next_field().await? {
            let name = part.name().ok_or(multer::Error::IncompleteHeaders)?;
            if !key.is(name) && !charset.is(name) {
                check_name(name)?;
                part.file_name().map_or(Ok(()), check_name)?;
                return Ok(Some((part, (parts, key, charset))));
            }
        }
        Ok::<_, Spoiled>(None)
    });
    parts.map_ok(move |part| bytes_of(&boundary, part)).try_flatten()
}

/// A backslash escapes the quote behind it to some parsers and is plain text to others.
fn check_name(name: &str) -> Result<(), Spoiled> {
    let is_clear = !name.contains(|letter: char| letter == '\\' || letter.is_control());
    is_clear.then_some(()).ok_or(Spoiled::Ambiguous)
}

fn bytes_of(
    boundary: &str,
    part: Field<'static>,
) -> impl Stream<Item = Result<Bytes, Spoiled>> + Send + use<> {
    let mut head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"{}\"",
        quotable(part.name().unwrap_or_default())
    );
    if let Some(file) = part.file_name() {
        head.push_str(&format!("; filename=\"{}\"", quotable(file)));
    }
    if let Some(kind) = part.content_type() {
        head.push_str(&format!("\r\ncontent-type: {}", kind.essence_str()));
    }
    head.push_str("\r\n\r\n");
    let head = stream::once(async move { Ok(Bytes::from(head)) });
    let tail = stream::once(async { Ok(Bytes::from_static(b"\r\n")) });
    head.chain(part.map_err(Spoiled::from)).chain(tail)
}

/// A name as browsers write it in a part's head (WHATWG HTML, multipart form data).
fn quotable(name: &str) -> String {
    name.replace('"', "%22")
}

fn unreadable(what: &str) -> Error {
    Error::bad_request(format!("The body is not {what} that can be read. Nothing was sent."))
}

fn unsupported() -> Error {
    Error::new(
        Kind::UnsupportedMedia,
        "This backend is told the tenant in the body, which must be a JSON object, a form or \
         multipart/form-data, and not compressed.",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::TenantRule;

    fn places(query: Option<&str>) -> TenantPlaces {
        TenantPlaces::new(&TenantRule {
            query: query.map(str::to_owned),
            header: None,
            body: Some("tenant_id".into()),
        })
        .unwrap()
    }

    async fn rewritten(kind: &str, body: impl Into<Body>) -> Result<(HeaderMap, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::try_from(kind).unwrap());
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("1"));
        let places = places(None);
        let body = places.set_in_body(Tenant::Of("har\"bor"), &mut headers, body.into()).await?;
        let body = body.collect().await.map_err(Error::internal)?.to_bytes();
        Ok((headers, String::from_utf8(body.to_vec()).unwrap()))
    }

    async fn json_of(body: &'static str) -> Result<Value> {
        Ok(serde_json::from_str(&rewritten("application/json", body).await?.1).unwrap())
    }

    #[tokio::test]
    async fn json_says_the_tenant_once() {
        for body in [
            r#"{"tenant_id":"o"}"#,
            r#"{"tenant\u005fid":"o"}"#,
            r#"{"Tenant_Id":"o","tenantId":["o"],"tenant-id":{"x":1}}"#,
            r#"{"tenant_id":{"tenant_id":"o"}}"#,
            "{}",
            " \n{ } ",
        ] {
            assert_eq!(json_of(body).await.unwrap(), json!({ "tenant_id": "har\"bor" }), "{body}");
        }
    }

    #[tokio::test]
    async fn the_rest_of_a_json_object_is_left_as_written() {
        let body = r#"{"a":1.10,"big":12345678901234567890123,"n":{"k":1,"k":2},"u":"\u00e9"}"#;
        let (headers, text) = rewritten("Application/JSON; charset=utf-8", body).await.unwrap();
        let kept = body.strip_suffix('}').unwrap();
        assert_eq!(text, format!(r#"{kept},"tenant_id":"har\"bor"}}"#));
        assert!(!headers.contains_key(CONTENT_LENGTH));
    }

    #[tokio::test]
    async fn json_that_two_parsers_could_read_differently_is_refused() {
        for body in [
            r#"{"a":1,"a":2}"#,
            r#"{"tenant_id":"o","tenant_id":"p"}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"tenant_id":"o"}]"#,
            r#""tenant_id""#,
            "null",
            "{",
            r#"{"a":1}{"tenant_id":"o"}"#,
            r#"{"a":1} x"#,
            "{'a':1}",
            r#"{"a":1,}"#,
            "{/* */}",
            "\u{feff}{}",
            "\0{}",
        ] {
            let error = json_of(body).await.unwrap_err();
            assert_eq!(error.kind(), Kind::BadRequest, "{body}");
        }
    }

    #[tokio::test]
    async fn a_form_says_the_tenant_once() {
        let kind = "application/x-www-form-urlencoded";
        let (_, text) = rewritten(kind, "a=1&tenant%5fid=o&b=%20").await.unwrap();
        assert_eq!(text, "a=1&b=%20&tenant%5Fid=har%22bor");
    }

    fn part(name: &str, content: &str) -> String {
        format!("--x\r\ncontent-disposition: form-data; {name}\r\n\r\n{content}\r\n")
    }

    #[tokio::test]
    async fn multipart_says_the_tenant_once_and_keeps_the_files() {
        let file =
            part("name=\"file\"; filename=\"a%22b.txt\"\r\ncontent-type: text/plain", "one\r\ntwo");
        let body = [
            part("name=\"tenant_id\"", "o"),
            part("name=\"Tenant_Id[]\"; filename=\"x\"", "o"),
            part("name=tenant_id", "o"),
            part("name=\"note\"", "tenant_id=kept"),
            file,
            "--x--\r\n".to_owned(),
        ]
        .concat();
        let (headers, text) = rewritten("multipart/form-data; boundary=x", body).await.unwrap();
        let kind = headers[CONTENT_TYPE].to_str().unwrap();
        let boundary = multer::parse_boundary(kind).unwrap();
        let stream = stream::once(async { Ok::<_, std::io::Error>(text) });
        let mut parts = Multipart::new(stream, boundary);
        let mut seen = Vec::new();
        while let Some(part) = parts.next_field().await.unwrap() {
            let name = part.name().unwrap().to_owned();
            seen.push((name, part.text().await.unwrap()));
        }
        let seen: Vec<_> = seen.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(
            seen,
            [("note", "tenant_id=kept"), ("file", "one\r\ntwo"), ("tenant_id", "har\"bor")]
        );
    }

    #[tokio::test]
    async fn a_name_that_two_parsers_could_read_differently_is_refused() {
        for head in [
            "name=x\\; filename=\"; name=tenant_id; y=\"",
            "name=\"a\\\\b\"",
            "name=\"a\"; filename=b\\",
            "name=\"a\tb\"",
        ] {
            let body = part(head, "o") + "--x--\r\n";
            let text = rewritten("multipart/form-data; boundary=x", body).await;
            assert!(text.is_err(), "{head} {text:?}");
        }
    }

    #[tokio::test]
    async fn a_head_without_an_end_is_not_gathered() {
        let pieces =
            stream::iter(0..).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 8192])));
        let counted = Arc::new(AtomicUsize::new(0));
        let count = counted.clone();
        let pieces = pieces.inspect(move |_| {
            count.fetch_add(1, Relaxed);
        });
        let body = Body::from_stream(pieces);
        assert!(rewritten("multipart/form-data; boundary=b", body).await.is_err());
        assert!(counted.load(Relaxed) * 8192 <= 2 * LARGEST_HEAD);
    }

    #[tokio::test]
    async fn how_a_body_is_to_be_read_is_not_for_the_client_to_say() {
        let (headers, _) = rewritten("application/json; charset=utf-7", "{}").await.unwrap();
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        let form = "application/x-www-form-urlencoded";
        let (headers, text) =
            rewritten(&format!("{form}; charset=ibm037"), "_charset_=ibm037&a=1").await.unwrap();
        assert_eq!(headers[CONTENT_TYPE], form);
        assert_eq!(text, "a=1&tenant%5Fid=har%22bor");
    }

    #[tokio::test]
    async fn multipart_that_is_none_is_refused() {
        for kind in ["multipart/form-data", "multipart/form-data; boundary="] {
            assert!(rewritten(kind, "--x--\r\n").await.is_err(), "{kind}");
        }
        for body in ["", "--x\r\n", "--x\r\ncontent-disposition: form-data\r\n\r\no\r\n--x--\r\n"] {
            let kind = "multipart/form-data; boundary=x";
            assert!(body.is_empty() || rewritten(kind, body).await.is_err(), "{body:?}");
        }
    }

    #[tokio::test]
    async fn a_body_without_a_place_for_it_is_refused() {
        for kind in ["text/plain", "application/octet-stream", "application/xml", ""] {
            let error = rewritten(kind, "x").await.unwrap_err();
            assert_eq!(error.kind(), Kind::UnsupportedMedia, "{kind}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let compressed = places(None).set_in_body(Tenant::Of("t"), &mut headers, "x".into()).await;
        assert_eq!(compressed.unwrap_err().kind(), Kind::UnsupportedMedia);
    }

    #[tokio::test]
    async fn without_a_body_the_tenant_must_be_said_elsewhere() {
        let none = |places: TenantPlaces| async move {
            places.set_in_body(Tenant::Of("t"), &mut HeaderMap::new(), Body::empty()).await
        };
        assert!(none(places(Some("tenant_id"))).await.is_ok());
        assert!(none(places(None)).await.is_err());
    }
}
