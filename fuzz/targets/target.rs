//! Whatever path and query a client sends: what is let through leads to the backend's own host, below
//! its own prefix, and to the same place for a parser that collapses steps.

#![no_main]

use breezeway::backend::target::Base;
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|text: &str| {
    let base = Url::parse("http://backend.test:8080/base/").expect("a URL");
    let base = Base::new(&base).expect("a base");
    let (path, query) = match text.split_once('\n') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let Ok(target) = base.resolve(path, query) else { return };
    assert_eq!(target.path(), format!("/base{path}"), "the path is passed on as it was written");
    assert_eq!(target.query(), query.filter(|query| !query.is_empty()));
    let url = Url::parse(&format!("http://backend.test:8080{target}")).expect("a target makes a URL");
    assert_eq!(url.host_str(), Some("backend.test"));
    assert_eq!(url.port(), Some(8080));
    assert!(url.path().starts_with("/base/"), "{url}");
    let segments = |path: &str| path.split('/').count();
    assert_eq!(segments(url.path()), segments(target.path()), "no step was taken in {url}");
    for location in [path, target.path(), url.as_str()] {
        if let Some(below) = base.strip(location) {
            assert!(below.starts_with('/'));
        }
    }
});
