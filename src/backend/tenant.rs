//! The tenant of a call, from the session alone.
//!
//! Whatever spelling of the tenant's key a client sends, it is dropped before ours is set, so the
//! backend sees the session's tenant exactly once.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{
    config::TenantRule,
    error::{Error, Result},
};

/// The query with the tenant set by `rule`.
pub fn set_in_query(
    rule: &TenantRule,
    tenant: Option<&str>,
    query: Option<&str>,
) -> Result<Option<String>> {
    let Some(key) = &rule.query else { return Ok(query.map(str::to_owned)) };
    let tenant = tenant.ok_or_else(no_tenant)?;
    let mut kept: Vec<&str> = query
        .unwrap_or_default()
        .split(['&', ';'])
        .filter(|pair| !pair.is_empty() && !names(pair, key))
        .collect();
    let ours = format!("{key}={}", utf8_percent_encode(tenant, NON_ALPHANUMERIC));
    kept.push(&ours);
    Ok(Some(kept.join("&")))
}

/// Sets the tenant's header by `rule`.
pub fn set_in_headers(
    rule: &TenantRule,
    tenant: Option<&str>,
    headers: &mut HeaderMap,
) -> Result<()> {
    let Some(name) = &rule.header else { return Ok(()) };
    let tenant = tenant.ok_or_else(no_tenant)?;
    let name = HeaderName::try_from(name).map_err(Error::internal)?;
    headers.insert(name, HeaderValue::try_from(tenant).map_err(Error::internal)?);
    Ok(())
}

/// Whether a backend's parser might read this pair's key as `key`: letter case, percent-encoding,
/// `-` for `_`, spaces around it and a trailing `[…]` make no difference.
fn names(pair: &str, key: &str) -> bool {
    let written = pair.split('=').next().unwrap_or_default().replace('+', " ");
    let decoded = percent_decode_str(&written).decode_utf8_lossy();
    let bare = decoded.split('[').next().unwrap_or_default();
    fold(bare) == fold(key)
}

fn fold(key: &str) -> String {
    key.trim()
        .chars()
        .filter(|c| !c.is_control())
        .map(|c| if matches!(c, '-' | '.' | ' ') { '_' } else { c.to_ascii_lowercase() })
        .collect()
}

fn no_tenant() -> Error {
    Error::forbidden("Your account belongs to no tenant, and this data is kept per tenant.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> TenantRule {
        TenantRule { query: Some("tenant_id".into()), header: Some("x-tenant-id".into()) }
    }

    fn query(text: &str) -> String {
        set_in_query(&rule(), Some("har bor"), Some(text)).unwrap().unwrap()
    }

    #[test]
    fn every_spelling_of_the_key_gives_way_to_the_session() {
        let spellings = [
            "tenant_id=o",
            "tenant_id",
            "tenant%5fid=o",
            "Tenant_Id=o",
            "tenant_id[]=o",
            "tenant-id=o",
            "tenant_id%5B0%5D=o",
            "tenant_id%00=o",
            "+tenant_id=o",
            "tenant%20id=o",
            "tenant.id=o",
            "tenant_id=o&tenant_id=p",
            "x;tenant_id=o",
        ];
        for spelling in spellings {
            let sent = query(&format!("{spelling}&page=2"));
            assert!(sent.ends_with("page=2&tenant_id=har%20bor"), "{spelling} gave {sent}");
            assert!(!sent.contains("=o"), "{spelling} gave {sent}");
        }
    }

    #[test]
    fn the_rest_of_the_query_is_left_as_written() {
        assert_eq!(query("q=a%20b+c&x=%5F"), "q=a%20b+c&x=%5F&tenant_id=har%20bor");
        assert_eq!(query(""), "tenant_id=har%20bor");
    }

    #[test]
    fn without_a_tenant_nothing_is_sent() {
        assert!(set_in_query(&rule(), None, None).is_err());
        assert!(set_in_headers(&rule(), None, &mut HeaderMap::new()).is_err());
    }
}
