//! The tenant of a call, from the session alone.
//!
//! Whatever spelling of the tenant's key a client sends, it is dropped before ours is set, so the
//! backend sees the session's tenant exactly once in every place that the configuration names.

mod body;
mod key;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

pub use self::body::Spoiled;
use self::key::Key;
use crate::{
    config::TenantRule,
    error::{Error, Kind, Result},
    session::Identity,
};

/// Where one backend is told the tenant.
#[derive(Debug, Clone)]
pub struct TenantPlaces {
    query: Option<Key>,
    header: Option<HeaderName>,
    body: Option<Key>,
}

/// Whose data a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenant<'a> {
    /// This tenant's.
    Of(&'a str),
    /// The backend finds out by itself; a client may not say.
    Unsaid,
}

impl TenantPlaces {
    /// The places that `rule` names.
    pub fn new(rule: &TenantRule) -> Result<Self> {
        let header = rule.header.as_deref().map(HeaderName::try_from).transpose();
        Ok(Self {
            query: rule.query.as_deref().map(Key::new),
            header: header.map_err(Error::internal)?,
            body: rule.body.as_deref().map(Key::new),
        })
    }

    /// The tenant of a call on behalf of `identity`; where one is needed, 401 without an identity
    /// and 403 for one that has none.
    pub fn of<'a>(&self, identity: Option<&'a Identity>) -> Result<Tenant<'a>> {
        if self.query.is_none() && self.header.is_none() && self.body.is_none() {
            return Ok(Tenant::Unsaid);
        }
        let tenant = identity.ok_or_else(Error::unauthenticated)?.tenant.as_deref();
        tenant.filter(|tenant| !tenant.is_empty()).map(Tenant::Of).ok_or_else(no_tenant)
    }

    /// 415 for a body whose text a backend is told to read in a way that hides keys from us: some
    /// servers read the query in the body's character set too.
    pub fn check_charset(&self, headers: &HeaderMap) -> Result<()> {
        if self.query.is_none() && self.body.is_none() {
            return Ok(());
        }
        let kinds = headers.get_all(CONTENT_TYPE).iter();
        let is_ascii_at_heart = |charset: &str| {
            let charset = charset.trim().trim_matches('"').to_ascii_lowercase();
            matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii" | "iso-8859-1")
        };
        for kind in kinds {
            let kind = kind.to_str().map_err(|_| unreadable())?;
            let charsets = kind.split(';').skip(1).filter_map(|parameter| {
                let (name, value) = parameter.split_once('=')?;
                name.trim().eq_ignore_ascii_case("charset").then_some(value)
            });
            if !charsets.into_iter().all(is_ascii_at_heart) {
                return Err(unreadable());
            }
        }
        Ok(())
    }

    /// The query with the tenant in it; nothing to change leaves it as it was written.
    pub fn set_in_query(&self, tenant: Tenant, query: Option<&str>) -> Option<String> {
        let Some(key) = &self.query else { return query.map(str::to_owned) };
        let mut kept = key.without(query.unwrap_or_default());
        if let Tenant::Of(tenant) = tenant {
            if !kept.is_empty() {
                kept.push('&');
            }
            kept.push_str(key.name());
            kept.push('=');
            kept.extend(utf8_percent_encode(tenant, NON_ALPHANUMERIC));
        }
        Some(kept)
    }

    /// Sets the tenant's header, where there is one. No client's ever comes this far.
    pub fn set_in_headers(&self, tenant: Tenant, headers: &mut HeaderMap) -> Result<()> {
        if let Some(name) = &self.header {
            headers.remove(name);
            if let Tenant::Of(tenant) = tenant {
                let tenant = HeaderValue::try_from(tenant).map_err(|_| unfit())?;
                headers.insert(name.clone(), tenant);
            }
        }
        Ok(())
    }
}

fn unreadable() -> Error {
    Error::new(Kind::UnsupportedMedia, "The body must be in UTF-8 for this backend.")
}

fn no_tenant() -> Error {
    Error::forbidden("Your account belongs to no tenant, and this data is kept per tenant.")
}

fn unfit() -> Error {
    Error::forbidden("Your tenant's name cannot be sent to this backend. Ask an administrator.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> TenantPlaces {
        TenantPlaces::new(&TenantRule {
            query: Some("tenant_id".into()),
            header: Some("x-tenant-id".into()),
            body: None,
        })
        .unwrap()
    }

    fn identity(tenant: Option<&str>) -> Identity {
        Identity {
            issuer: "i".into(),
            subject: "s".into(),
            name: "n".into(),
            tenant: tenant.map(str::to_owned),
            roles: Vec::new(),
            instance: None,
        }
    }

    fn query(text: &str) -> String {
        places().set_in_query(Tenant::Of("har bor"), Some(text)).unwrap()
    }

    #[test]
    fn the_rest_of_the_query_is_left_as_written() {
        for rest in ["q=a%20b+c&x=%5F", "a;b=c", "&&a=1&&", "=", "x=tenant_id", "é=1", "a=%zz"] {
            assert_eq!(query(rest), format!("{rest}&tenant_id=har%20bor"));
        }
        assert_eq!(query(""), "tenant_id=har%20bor");
    }

    #[test]
    fn a_client_cannot_say_the_tenant_where_the_backend_decides() {
        let sent = places().set_in_query(Tenant::Unsaid, Some("a=1&tenant_id=o")).unwrap();
        assert_eq!(sent, "a=1");
        let mut headers = HeaderMap::new();
        headers.insert("x-tenant-id", HeaderValue::from_static("o"));
        places().set_in_headers(Tenant::Unsaid, &mut headers).unwrap();
        assert!(headers.is_empty());
    }

    #[test]
    fn without_a_tenant_nothing_is_sent() {
        assert!(places().of(None).is_err());
        assert!(places().of(Some(&identity(None))).is_err());
        assert!(places().of(Some(&identity(Some("")))).is_err());
        assert_eq!(places().of(Some(&identity(Some("t")))).unwrap(), Tenant::Of("t"));
        let nowhere = TenantPlaces::new(&TenantRule::default()).unwrap();
        assert_eq!(nowhere.of(None).unwrap(), Tenant::Unsaid);
    }

    #[test]
    fn a_charset_that_hides_keys_is_refused() {
        let check = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            places().check_charset(&headers).is_ok()
        };
        for fine in ["text/plain", "application/json; charset=UTF-8", "x/y; charset=\"utf-8\"; a=b"]
        {
            assert!(check(fine), "{fine}");
        }
        for hidden in [
            "application/x-www-form-urlencoded; charset=ibm037",
            "application/json; charset=utf-7",
            "application/json;CHARSET = utf-16",
            "a/b; charset=utf-8; charset=ibm037",
        ] {
            assert!(!check(hidden), "{hidden}");
        }
    }

    #[test]
    fn a_tenant_that_no_header_can_carry_is_refused() {
        let mut headers = HeaderMap::new();
        assert!(places().set_in_headers(Tenant::Of("a\r\nb: c"), &mut headers).is_err());
    }
}
