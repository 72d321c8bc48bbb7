//! Who asks, for the audit.

use infill_model::Actor;

/// Who it says it is, by `--as` or `INFILL_USER`; else the login of this process and its machine, as in `ann@desk`.
pub(crate) fn resolve(said: Option<Actor>) -> Actor {
    said.filter(|said| !said.as_str().trim().is_empty()).unwrap_or_else(login)
}

fn login() -> Actor {
    let known = |found: whoami::Result<String>| found.unwrap_or_else(|_| "unknown".to_owned());
    format!("{}@{}", known(whoami::username()), known(whoami::hostname())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_nothing_goes_by_login_and_machine() {
        assert_eq!(resolve(Some("Ann".into())), "Ann".into());
        for said in [None, Some(" ".into())] {
            let actor = resolve(said);
            let (user, host) = actor.as_str().split_once('@').unwrap();
            assert!(!user.is_empty() && !host.is_empty(), "{actor}");
        }
    }
}
