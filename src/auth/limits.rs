//! How often somebody may try: by address, and by account.
//!
//! A bucket that fills again evenly (GCRA, by the `governor` crate), one per key, in a cache with a
//! bound: whoever invents addresses pushes out others that were invented, and runs into the limit of
//! the account all the same.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock};
use moka::sync::Cache;

use crate::{
    config::{LimitsConfig, Rate},
    error::{Error, Result},
    session::Identity,
};

/// Buckets of one kind. Cheap to clone.
#[derive(Clone)]
pub struct Limiter<K> {
    quota: Quota,
    buckets: Cache<K, Arc<DefaultDirectRateLimiter>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> Limiter<K> {
    /// Lets `rate` pass for each key.
    pub fn new(rate: Rate) -> Self {
        let each = rate.per / rate.count.get();
        let quota = Quota::with_period(each)
            .unwrap_or_else(|| Quota::per_second(rate.count))
            .allow_burst(rate.count);
        // Twice the time that fills a bucket: one that is forgotten was full.
        let forgotten = rate.per * 2;
        let buckets = Cache::builder().max_capacity(100_000).time_to_idle(forgotten).build();
        Self { quota, buckets }
    }

    /// 429 when `key` has used up what it may.
    pub fn check(&self, key: K) -> Result<()> {
        let bucket = self.buckets.get_with(key, || Arc::new(RateLimiter::direct(self.quota)));
        bucket
            .check()
            .map_err(|until| Error::too_many_requests(until.wait_time_from(bucket.clock().now())))
    }
}

/// The limits of signing in. Cheap to clone.
#[derive(Clone)]
pub struct Limits {
    addresses: Limiter<IpAddr>,
    accounts: Limiter<String>,
}

impl Limits {
    /// As configured.
    pub fn new(config: &LimitsConfig) -> Self {
        Self {
            addresses: Limiter::new(config.per_address),
            accounts: Limiter::new(config.per_account),
        }
    }

    /// 429 for an address that has tried too often.
    pub fn address(&self, client: IpAddr) -> Result<()> {
        self.addresses.check(network(client))
    }

    /// 429 for an account that was signed in too often.
    pub fn account(&self, identity: &Identity) -> Result<()> {
        self.accounts.check(identity.owner())
    }
}

/// One household or machine has a whole /64 of IPv6 addresses to choose from.
pub fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_key_that_has_used_up_its_share_waits_and_others_do_not() {
        let rate = Rate { count: NonZeroU32::new(3).unwrap(), per: Duration::from_secs(30) };
        let limiter = Limiter::new(rate);
        assert!((0..3).all(|_| limiter.check("a").is_ok()));
        let refused = limiter.check("a").unwrap_err();
        assert_eq!(refused.kind(), Kind::TooManyRequests);
        let wait = refused.retry_after().unwrap();
        assert!(wait <= Duration::from_secs(10) && wait > Duration::from_secs(8), "{wait:?}");
        assert!(limiter.check("b").is_ok());
    }

    #[test]
    fn neighbours_in_one_network_share_a_bucket() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
