//! Usernames that no user may choose.
//!
//! They are a built-in list and those of the operator's file. They could be taken for the operator,
//! for a page of an application, or for a group of users. The list is for new and changed names. A
//! user who has such a name keeps it, and commands may give such a name.

use std::collections::HashSet;

use anyhow::{Result, anyhow};

use super::validation;
use crate::error::{UserError, UserErrorKind};

/// The built-in list, in lower case. `docs/identity.md` has it too.
const BUILT_IN: [&str; 75] = [
    // The operator and those who act for the operator.
    "abuse",
    "admin",
    "administrator",
    "billing",
    "contact",
    "help",
    "hostmaster",
    "info",
    "mod",
    "moderation",
    "moderator",
    "moderators",
    "mods",
    "no_reply",
    "noreply",
    "official",
    "operator",
    "owner",
    "postmaster",
    "rookery",
    "root",
    "security",
    "staff",
    "support",
    "sysadmin",
    "system",
    "team",
    "webmaster",
    // Pages and paths.
    "about",
    "account",
    "accounts",
    "api",
    "app",
    "assets",
    "blog",
    "docs",
    "explore",
    "export",
    "favicon",
    "feed",
    "graphql",
    "home",
    "invite",
    "legal",
    "livez",
    "login",
    "logout",
    "me",
    "metrics",
    "notifications",
    "null",
    "password",
    "privacy",
    "readyz",
    "register",
    "reset",
    "robots",
    "search",
    "session",
    "settings",
    "signin",
    "signout",
    "signup",
    "static",
    "status",
    "terms",
    "undefined",
    "verify",
    "viewer",
    "www",
    // Groups of users.
    "all",
    "anonymous",
    "deleted",
    "everyone",
    "here",
];

/// The names that are reserved on this server, in lower case.
pub struct ReservedNames(HashSet<String>);

impl ReservedNames {
    /// The built-in names and those of a file.
    ///
    /// The file has one name on each line. Empty lines are ignored, and lines that start with #.
    ///
    /// # Errors
    /// When a line is not a username.
    pub fn new(file: &str) -> Result<Self> {
        let mut names: HashSet<String> = BUILT_IN.map(str::to_owned).into();
        let lines = file.lines().map(str::trim).enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let name = validation::username(line, &[]);
            let name = name.map_err(|_| anyhow!("line {}: '{line}' is no username", index + 1))?;
            names.insert(name.to_ascii_lowercase());
        }
        Ok(Self(names))
    }

    /// Whether a username is reserved, in any case.
    #[must_use]
    pub fn contains(&self, username: &str) -> bool {
        self.0.contains(&username.to_ascii_lowercase())
    }

    /// Returns a username that is not reserved.
    ///
    /// # Errors
    /// `InvalidInput` when it is.
    pub fn check(
        &self,
        username: String,
        path: &'static [&'static str],
    ) -> Result<String, UserError> {
        if self.contains(&username) {
            let message = "This username is reserved. Choose another one.";
            return Err(UserErrorKind::InvalidInput.at(path, message));
        }
        Ok(username)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_reserved(names: &ReservedNames, name: &str) -> bool {
        names.check(name.to_owned(), &[]).is_err()
    }

    #[test]
    fn built_in_names_are_lower_case_usernames_and_documented() {
        let docs = include_str!("../../docs/identity.md");
        let names = ReservedNames::new("").unwrap();
        for name in BUILT_IN {
            assert_eq!(validation::username(&name.to_lowercase(), &[]).unwrap(), name);
            assert!(docs.contains(&format!("`{name}`")), "{name} is not in docs/identity.md");
            assert!(is_reserved(&names, name) && is_reserved(&names, &name.to_uppercase()));
        }
        assert_eq!(names.0.len(), BUILT_IN.len(), "no name is listed twice");
        assert!(!is_reserved(&names, "administrators") && !is_reserved(&names, "john"));
    }

    #[test]
    fn a_file_adds_names_and_is_rejected_with_the_line_of_its_first_error() {
        let names = ReservedNames::new("# Brands\n\n Acme \r\nacme_support\n").unwrap();
        for name in ["acme", "ACME", "Acme_Support", "admin"] {
            assert!(is_reserved(&names, name), "{name}");
        }
        for wrong in ["# a\ntwo words\nb b", "\nÄ", "a\nx-y"] {
            let error = ReservedNames::new(wrong).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with("line 2: '") && error.ends_with("' is no username"));
        }
    }
}
