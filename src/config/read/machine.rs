//! `[machine]` and `client_credentials` of backends: Breezeway as a client of its own.

use super::House;
use crate::config::{
    model::{MachineConfig, MachineEndpoint, Registration},
    section::{Read, Section},
    values,
};

/// `[machine]`
pub(super) fn machine(s: &Section<'_>, house: &House<'_>) -> Read<MachineConfig> {
    let registration = registration(s, house);
    let tenant = s.optional("tenant", values::text);
    let roles = s.defaulted("roles", |v| v.list(values::word), Vec::new());
    Ok(MachineConfig { registration: registration?, tenant: tenant?, roles: roles? })
}

/// What `client_credentials` of a backend says, and `[machine]` too. The sandbox has a registration
/// for Breezeway.
pub(super) fn registration(s: &Section<'_>, house: &House<'_>) -> Read<Registration> {
    let endpoint = endpoint(s, house);
    let client_id = credential(s, &endpoint, "client_id", "write the registration's client id");
    let client_secret = credential(s, &endpoint, "client_secret", "write `\"${NAME}\"`");
    let scopes = s.defaulted("scopes", |v| v.list(values::word), Vec::new());
    let audience = s.optional("audience", values::text);
    let resource = s.optional("resource", values::text);
    Ok(Registration {
        endpoint: endpoint?,
        client_id: client_id?,
        client_secret: client_secret?.into(),
        scopes: scopes?,
        audience: audience?,
        resource: resource?,
    })
}

fn endpoint(s: &Section<'_>, house: &House<'_>) -> Read<MachineEndpoint> {
    let allow_http = s.defaulted("allow_http", |v| v.boolean(), false)?;
    match s.optional("token_url", values::text)?.as_deref() {
        Some("sandbox") if house.sandbox => Ok(MachineEndpoint::Sandbox),
        Some("sandbox") => Err(s.refuse(
            "token_url",
            "is the sandbox, which is not enabled; write where your tokens are had",
        )),
        Some(_) => {
            let url = s.required("token_url", "", values::endpoint)?;
            if values::in_the_clear(&url) && !allow_http {
                s.refuse(
                    "token_url",
                    "would send the secret in the clear; write an https URL, or \
                     `allow_http = true` if the network on the way is yours",
                );
            }
            Ok(MachineEndpoint::Url(url))
        }
        None if house.auth => Ok(MachineEndpoint::Provider),
        None => {
            Err(s.refuse("token_url", "is missing; write where tokens are had, or set up `[auth]`"))
        }
    }
}

fn credential(
    s: &Section<'_>,
    endpoint: &Read<MachineEndpoint>,
    key: &'static str,
    remedy: &str,
) -> Read<String> {
    if !matches!(endpoint, Ok(MachineEndpoint::Sandbox)) {
        return s.required(key, remedy, values::text);
    }
    s.know(key);
    if s.has(key) {
        s.refuse(key, "has no effect with the sandbox's registration; remove it");
    }
    Ok(String::new())
}
