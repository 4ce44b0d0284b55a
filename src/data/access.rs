//! Who may do what with a resource.

use crate::{
    config::{Action, OperationConfig, ResourceConfig},
    error::{Error, Result},
    session::Caller,
};

/// Whether `caller` may do `action`, as far as the declaration says; the backend has a say of its
/// own.
pub fn may(resource: &ResourceConfig, caller: &Caller, action: Action) -> bool {
    let has_role = |roles: &Vec<String>| {
        caller.identity().is_some_and(|who| who.roles.iter().any(|role| roles.contains(role)))
    };
    resource.actions.contains(&action) && resource.roles.get(&action).is_none_or(has_role)
}

/// Whether `caller` may do what only this backend knows.
pub fn may_run(operation: &OperationConfig, caller: &Caller) -> bool {
    operation.roles.as_ref().is_none_or(|roles| {
        caller.identity().is_some_and(|who| who.roles.iter().any(|role| roles.contains(role)))
    })
}

/// What only this backend knows, for who may do it.
///
/// 404 for what nobody has declared, 403 for who has none of the roles it takes.
pub fn operation<'a>(
    resource: &'a ResourceConfig,
    caller: &Caller,
    name: &str,
) -> Result<&'a OperationConfig> {
    let operation = resource
        .operation(name)
        .ok_or_else(|| Error::not_found("There is no such action here."))?;
    if may_run(operation, caller) {
        return Ok(operation);
    }
    Err(Error::forbidden(format!("You are not allowed to do “{}”.", operation.label)))
}

/// What `caller` may do.
pub fn of(resource: &ResourceConfig, caller: &Caller) -> impl Iterator<Item = Action> {
    resource.actions.iter().copied().filter(|action| may(resource, caller, *action))
}

/// 403 where [`may`] says no.
pub fn check(resource: &ResourceConfig, caller: &Caller, action: Action) -> Result<()> {
    if may(resource, caller, action) {
        return Ok(());
    }
    let things = resource.things();
    Err(Error::forbidden(match action {
        Action::List | Action::Read => format!("You are not allowed to see {things}."),
        Action::Create => format!("You are not allowed to add {things}."),
        Action::Update => format!("You are not allowed to change {things}."),
        Action::Delete => format!("You are not allowed to delete {things}."),
    }))
}
