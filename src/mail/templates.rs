//! The templates of mails, in the syntax of Jinja.
//!
//! Each kind of mail has a text and an HTML document. The text begins with the line `Subject: ...`
//! and an empty line. An operator can replace each file. In HTML all values are escaped.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use entity::mail::Kind;
use minijinja::{Environment, UndefinedBehavior, context};
use sea_orm::Iterable as _;

use super::lifetime;

/// The name and the contents of the service's own templates of a kind.
fn built_in(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::VerifyEmail => (
            "verify-email",
            include_str!("templates/verify-email.txt"),
            include_str!("templates/verify-email.html"),
        ),
        Kind::ResetPassword => (
            "reset-password",
            include_str!("templates/reset-password.txt"),
            include_str!("templates/reset-password.html"),
        ),
        Kind::EmailChanged => (
            "email-changed",
            include_str!("templates/email-changed.txt"),
            include_str!("templates/email-changed.html"),
        ),
    }
}

/// The values of a mail.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    pub username: &'a str,
    /// The token of the link; empty in a mail without a link.
    pub token: &'a str,
    pub public_url: &'a str,
}

/// A mail whose values are filled in.
#[derive(Debug)]
pub struct Content {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The templates of all kinds of mail.
pub struct Templates(Environment<'static>);

impl Templates {
    /// The templates in `folder`, and the service's own for those that are not there.
    ///
    /// # Errors
    /// When a file cannot be read, or has an error or an unknown variable.
    pub fn load(folder: Option<&Path>) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for kind in Kind::iter() {
            let (name, text, html) = built_in(kind);
            for (ending, own) in [("txt", text), ("html", html)] {
                let name = format!("{name}.{ending}");
                let source = match folder.map(|folder| read(&folder.join(&name))) {
                    Some(read) => read?.unwrap_or_else(|| own.to_owned()),
                    None => own.to_owned(),
                };
                let added = environment.add_template_owned(name.clone(), source);
                added.with_context(|| format!("the mail template {name} has an error"))?;
            }
        }
        let templates = Self(environment);
        for kind in Kind::iter() {
            let values =
                Values { username: "name", token: "token", public_url: "https://example.com" };
            templates.render(kind, values)?;
        }
        Ok(templates)
    }

    /// Fills in the values of a mail.
    ///
    /// # Errors
    /// When a template has an unknown variable, or a text has no subject. [`Self::load`] has
    /// checked both.
    pub fn render(&self, kind: Kind, values: Values<'_>) -> Result<Content> {
        let (name, ..) = built_in(kind);
        let Values { username, token, public_url } = values;
        let link = format!("{public_url}/{name}#token={token}");
        let hours = lifetime(kind).num_hours();
        let values = context! { username, token, public_url, link, hours };
        let fill = |ending: &str| {
            let name = format!("{name}.{ending}");
            let template = self.0.get_template(&name);
            let filled = template.and_then(|template| template.render(values.clone()));
            filled.with_context(|| format!("cannot fill in the mail template {name}"))
        };
        let text = fill("txt")?;
        let (subject, text) = text.split_once('\n').unwrap_or((&text, ""));
        let subject = subject.strip_prefix("Subject: ").map(str::trim).unwrap_or_default();
        let wrong = "does not begin with the line 'Subject: ...' and an empty line";
        ensure!(
            !subject.is_empty() && text.starts_with(['\n', '\r']),
            "the mail template {name}.txt {wrong}"
        );
        let text = text.trim_start().to_owned();
        Ok(Content { subject: subject.to_owned(), text, html: fill("html")? })
    }
}

/// The content of a file, or `None` if it does not exist.
fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(error).with_context(|| format!("cannot read the mail template {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'static> = Values {
        username: "<b>john</b>",
        token: "rookery_token",
        public_url: "https://example.com/\"&a",
    };

    #[test]
    fn values_are_escaped_in_html_only() {
        let templates = Templates::load(None).unwrap();
        for kind in Kind::iter() {
            let content = templates.render(kind, VALUES).unwrap();
            assert!(content.text.contains("Hello <b>john</b>,"), "{content:?}");
            assert!(content.html.contains("Hello &lt;b&gt;john&lt;"), "{content:?}");
            assert!(!content.html.contains("/\"&a"), "{content:?}");
            let has_link = content.text.contains("#token=rookery_token");
            assert_eq!(has_link, kind != Kind::EmailChanged, "{content:?}");
            assert!(!content.text.contains("Subject"), "{content:?}");
        }
    }

    #[test]
    fn a_file_replaces_one_template() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reset-password.txt");
        fs::write(&file, "Subject: Neu \n\nHallo {{ username }}: {{ token }}\n").unwrap();
        let templates = Templates::load(Some(folder.path())).unwrap();
        let content = templates.render(Kind::ResetPassword, VALUES).unwrap();
        assert_eq!(
            (&*content.subject, &*content.text),
            ("Neu", "Hallo <b>john</b>: rookery_token")
        );
        assert!(content.html.contains("Choose a new password"));
        let other = templates.render(Kind::VerifyEmail, VALUES).unwrap();
        assert_eq!(other.subject, "Verify your e-mail address");
    }

    #[test]
    fn a_template_with_an_error_is_reported_with_its_name() {
        for content in ["no subject", "Subject: x\nno empty line", "Subject: {{ }}", "Subject: "] {
            rejected(content);
        }
        rejected("Subject: x\n\n{{ password }}");
        rejected("Subject: x\n\n{% if username %}");
    }

    fn rejected(content: &str) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("email-changed.txt"), content).unwrap();
        let error = format!("{:#}", Templates::load(Some(folder.path())).err().unwrap());
        assert!(error.contains("email-changed.txt"), "{content}: {error}");
    }
}
