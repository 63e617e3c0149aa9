//! The variables of the AWS chain, which the SDK reads by itself, and checks of what goes into a signature.

use crate::base::error::{Fault, Result};
use crate::base::secret::Secret;
use crate::store::s3::settings::{Chain, Keys};
use std::collections::BTreeSet;

const KEYS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
const PROFILE: &str = "AWS_PROFILE";

/// Checks what the AWS chain would find by itself and put into headers. Returns what it has to be told: the variables that `changed`
/// names are others in the process, where the SDK reads them. It is an error if it cannot be told of one.
pub(crate) fn chain(variable: &dyn Fn(&str) -> Option<String>, changed: &BTreeSet<String>) -> Result<Chain> {
    let secret = |name: &str| variable(name).map(Secret::new);
    let [access, key, token] = KEYS;
    let (access, token) = (one_word(access, secret(access))?, one_word(token, secret(token))?);
    let regions = REGIONS.map(|name| region(name, variable(name)));
    let [first, second] = regions;
    let region = first?.or(second?);
    let told = KEYS.iter().chain(&REGIONS).chain([&PROFILE]);
    if let Some(name) = changed.iter().find(|name| !told.clone().any(|known| known == name)) {
        return Err(Fault::usage(format!(
            "{name} ends with a line break, which the AWS chain would take for a part of it"
        ))
        .hint("set it without the line break")
        .into());
    }
    let any = |names: &[&str]| names.iter().any(|name| changed.contains(*name));
    let keys = access.zip(secret(key)).map(|(access, secret)| Keys { access, secret, token });
    Ok(Chain {
        keys: keys.filter(|_| any(&KEYS)),
        region: region.filter(|_| any(&REGIONS)),
        profile: variable(PROFILE).filter(|_| any(&[PROFILE])),
    })
}

/// Checks a value that goes into a header or a signature: visible ASCII without blanks. It may be a secret, and so is not shown.
pub(crate) fn one_word(name: &str, value: Option<Secret>) -> Result<Option<Secret>> {
    match &value {
        Some(word) if !word.reveal().bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(Fault::usage(format!("{name} holds a blank, or a character that is not ASCII"))
                .hint("copy it again from where it was made")
                .into())
        }
        _ => Ok(value),
    }
}

/// Checks the name of a region, which goes into host names and signatures.
pub(crate) fn region(name: &str, value: Option<String>) -> Result<Option<String>> {
    match &value {
        Some(region) if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) => {
            Err(Fault::usage(format!("{name} is not the name of a region"))
                .hint("a region looks like eu-central-1")
                .into())
        }
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_told_of_variables_that_it_would_read_otherwise_and_of_no_others() {
        let set = |name: &str| Some(format!("its-{}", name.to_ascii_lowercase().replace('_', "-")));
        let told = |changed: &[&str]| chain(&set, &changed.iter().map(|name| (*name).to_owned()).collect());
        let none = told(&[]).unwrap();
        assert!(none.keys.is_none() && none.region.is_none() && none.profile.is_none());
        let some = told(&["AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"]).unwrap();
        let keys = some.keys.unwrap();
        assert_eq!(
            (keys.access.reveal(), keys.secret.reveal()),
            ("its-aws-access-key-id", "its-aws-secret-access-key")
        );
        assert_eq!(keys.token.unwrap().reveal(), "its-aws-session-token");
        assert_eq!((some.region.as_deref(), some.profile), (Some("its-aws-region"), None));
        assert_eq!(told(&["AWS_PROFILE"]).unwrap().profile.as_deref(), Some("its-aws-profile"));
        let error = format!("{:#}", told(&["AWS_ROLE_ARN"]).unwrap_err());
        assert!(error.contains("AWS_ROLE_ARN ends with a line break"), "{error}");
    }
}
