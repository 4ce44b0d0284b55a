//! The sandbox's own pages: plain HTML forms, one stylesheet, no script.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use url::Url;

use super::{
    authorize::AuthorizationRequest,
    oauth::Provider,
    people::{Person, demo_people},
};

const STYLE: &str = include_str!("sandbox.css");

/// The stylesheet of all these pages.
pub(super) async fn style() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, STYLE)
}

/// What the sign-in page shows.
pub(super) struct SignIn<'a> {
    pub request: &'a AuthorizationRequest,
    /// Whom this browser is signed in as already.
    pub signed_in: Option<&'a Person>,
    /// What was wrong with the attempt before.
    pub message: Option<&'static str>,
    /// The user name of the attempt before.
    pub user_name: &'a str,
}

/// A page with the headers that keep it private, unframed and free of script.
pub(super) fn respond(provider: &Provider, status: StatusCode, page: String) -> Response {
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // Our own forms must keep their Origin; nobody else needs to learn the request.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let mut response = (status, fixed, page).into_response();
    if let Some((name, value)) = content_security_policy(provider) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Browsers hold the redirect that follows a form to `form-action` too, so the applications'
/// origins have to be in it.
fn content_security_policy(provider: &Provider) -> Option<(HeaderName, HeaderValue)> {
    let mut origins: Vec<String> = provider
        .redirect_uris
        .iter()
        .filter_map(|uri| Url::parse(uri).ok())
        .map(|uri| uri.origin().ascii_serialization())
        .collect();
    origins.sort_unstable();
    origins.dedup();
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'self' {}",
        origins.join(" ")
    );
    Some((header::CONTENT_SECURITY_POLICY, HeaderValue::from_str(policy.trim_end()).ok()?))
}

/// Choose a person, or type a name and password.
pub(super) fn sign_in(page: &SignIn<'_>) -> String {
    let hidden = hidden_fields(page.request);
    let body = format!(
        "<h1>Sign in to the sandbox</h1>\n{message}{again}{people}{form}{cancel}",
        message = page.message.map(alert).unwrap_or_default(),
        again = page.signed_in.map(|person| continue_form(&hidden, person)).unwrap_or_default(),
        people = people_form(&hidden),
        form = password_form(&hidden, page.user_name),
        cancel = cancel_form(&hidden),
    );
    document("Sign in to the sandbox", &body)
}

/// Let the application in, or not.
pub(super) fn consent(request: &AuthorizationRequest, person: &Person) -> String {
    let wishes: String =
        request.scopes().filter_map(wish).map(|wish| format!("<li>{wish}</li>\n")).collect();
    let body = format!(
        "<h1>Breezeway wants to act for you</h1>\n\
         <p>You are signed in as <strong>{name}</strong> of {tenant}. Breezeway wants to:</p>\n\
         <ul class=\"wishes\">\n{wishes}\
         <li>Read and change the demo data as far as you may</li>\n</ul>\n\
         <form method=\"post\" action=\"/sandbox/authorize\" class=\"row\">\n{hidden}\
         <input type=\"hidden\" name=\"user_name\" value=\"{user_name}\">\n\
         <button class=\"primary\" name=\"step\" value=\"allow\">Allow</button>\n\
         <button name=\"step\" value=\"deny\">Deny</button>\n</form>\n",
        name = escaped(person.name),
        tenant = escaped(person.tenant_name),
        user_name = escaped(person.user_name),
        hidden = hidden_fields(request),
    );
    document("Allow Breezeway?", &body)
}

/// The request cannot go on, and there is nowhere safe to send the person.
pub(super) fn refused(message: &str) -> String {
    let body = format!(
        "<h1>This sign-in cannot go on</h1>\n{}<p>Nothing was changed. Go back to the application \
         and sign in again from there.</p>\n",
        alert(message)
    );
    document("This sign-in cannot go on", &body)
}

/// Signed out, with no application to return to.
pub(super) fn signed_out() -> String {
    let body = "<h1>You are signed out</h1>\n<p>The sandbox has forgotten this browser. \
                <a href=\"/\">Go to Breezeway</a></p>\n";
    document("Signed out of the sandbox", body)
}

fn wish(scope: &str) -> Option<&'static str> {
    match scope {
        "openid" => Some("Know who you are"),
        "profile" => Some("See your name, your roles and where you work"),
        "email" => Some("See your e-mail address"),
        "offline_access" => Some("Stay signed in while you are away"),
        _ => None,
    }
}

fn continue_form(hidden: &str, person: &Person) -> String {
    format!(
        "<form method=\"post\" action=\"/sandbox/authorize\">\n{hidden}\
         <input type=\"hidden\" name=\"step\" value=\"continue\">\n\
         <button class=\"primary wide\" name=\"user_name\" value=\"{user_name}\">Continue as \
         {name}</button>\n</form>\n",
        user_name = escaped(person.user_name),
        name = escaped(person.name),
    )
}

fn people_form(hidden: &str) -> String {
    let tenants: String = demo_people()
        .chunk_by(|one, other| one.tenant == other.tenant)
        .map(|people| {
            let buttons: String = people.iter().map(person_button).collect();
            let tenant = people.first().map_or("", |person| person.tenant_name);
            format!("<h3>{}</h3>\n<ul class=\"people\">\n{buttons}</ul>\n", escaped(tenant))
        })
        .collect();
    format!(
        "<section>\n<h2>Choose a person</h2>\n\
         <form method=\"post\" action=\"/sandbox/authorize\">\n{hidden}\
         <input type=\"hidden\" name=\"step\" value=\"person\">\n{tenants}</form>\n</section>\n"
    )
}

fn person_button(person: &Person) -> String {
    format!(
        "<li><button name=\"user_name\" value=\"{user_name}\">{name}</button> \
         <span class=\"role\">{user_name}, {roles}</span></li>\n",
        user_name = escaped(person.user_name),
        name = escaped(person.name),
        roles = escaped(&person.roles.join(", ")),
    )
}

fn password_form(hidden: &str, user_name: &str) -> String {
    format!(
        "<section>\n<h2>Or use a password</h2>\n\
         <form method=\"post\" action=\"/sandbox/authorize\">\n{hidden}\
         <input type=\"hidden\" name=\"step\" value=\"password\">\n\
         <label for=\"user-name\">User name</label>\n\
         <input id=\"user-name\" name=\"user_name\" value=\"{user_name}\" \
         autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" \
         autocomplete=\"current-password\" aria-describedby=\"password-hint\" required>\n\
         <p class=\"hint\" id=\"password-hint\">Everybody’s password is <code>sandbox</code>.</p>\n\
         <button class=\"primary\">Sign in</button>\n</form>\n</section>\n",
        user_name = escaped(user_name),
    )
}

fn cancel_form(hidden: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/sandbox/authorize\" class=\"cancel\">\n{hidden}\
         <button name=\"step\" value=\"cancel\">Cancel</button>\n</form>\n"
    )
}

fn hidden_fields(request: &AuthorizationRequest) -> String {
    request
        .fields()
        .map(|(name, value)| {
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escaped(value))
        })
        .collect()
}

fn alert(message: &str) -> String {
    format!("<p class=\"alert\" role=\"alert\">{}</p>\n", escaped(message))
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\n<link rel=\"stylesheet\" href=\"/sandbox/style.css\">\n</head>\n\
         <body>\n<header class=\"demo\"><strong>Demo.</strong> This sandbox comes with Breezeway. Its \
         people, companies and passwords are made up; keep nothing of value in it.</header>\n\
         <main>\n{body}</main>\n</body>\n</html>\n",
        title = escaped(title),
    )
}

/// Text made safe for HTML, in elements and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_stays_text() {
        let form = password_form("", "\"><script>alert('x')</script>&");
        assert!(
            form.contains(
                "value=\"&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\""
            )
        );
        assert!(!form.contains("<script>"));
        assert!(alert("<b>").contains("&lt;b&gt;"));
    }

    #[test]
    fn people_are_listed_under_their_tenants() {
        let form = people_form("");
        let harbor = form.find("Harbor Supply").unwrap();
        let summit = form.find("Summit Outdoor").unwrap();
        assert_eq!(form.matches("<h3>").count(), 2);
        assert!((harbor..summit).contains(&form.find(">Ben Ortiz</button>").unwrap()));
        assert!(form.find(">Chen Wei</button>").unwrap() > summit);
    }

    #[test]
    fn pages_hold_no_script_and_no_inline_style() {
        for page in [refused("x"), signed_out(), people_form(""), password_form("", "")] {
            for forbidden in ["<script", " style=", " onclick=", "javascript:"] {
                assert!(!page.contains(forbidden), "{page}");
            }
        }
    }
}
