//! Options of mail.

use std::path::Path;

use axum::http::Uri;
use clap::Args;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};

/// Mail: how it is sent, and what it says.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Mail")]
pub struct MailConfig {
    /// URL of an SMTP server that sends mails: `smtps://USER:PASSWORD@HOST:PORT`
    ///
    /// `smtps` encrypts from the start, and `smtp` with `?tls=required` by STARTTLS. `smtp` alone
    /// does not encrypt. Special characters of user and password are percent-encoded. Without a
    /// URL, mails are written to --mail-folder.
    #[arg(
        long,
        env = "ROOKERY_SMTP_URL",
        hide_env_values = true,
        default_value = "",
        value_name = "URL"
    )]
    pub smtp_url: SecretString,

    /// Sender of mails, as in `Rookery <rookery@example.com>`
    #[arg(long, env = "ROOKERY_MAIL_FROM", default_value = "", value_name = "ADDRESS",
          value_parser = parse_sender)]
    pub mail_from: Sender,

    /// URL of the frontend, to which the links in mails lead
    ///
    /// The links are URL/verify-email#token=TOKEN and URL/reset-password#token=TOKEN. By default
    /// the URL is http:// and the address of --listen.
    #[arg(long, env = "ROOKERY_PUBLIC_URL", default_value = "", value_name = "URL",
          value_parser = parse_public_url)]
    pub public_url: String,

    /// Folder that mails are written to without an SMTP server; 'none' for no mail
    ///
    /// The log names each file. A file contains the link of its mail, so only the system's user of
    /// the service can read it.
    #[arg(long, env = "ROOKERY_MAIL_FOLDER", default_value = "mail", value_name = "FOLDER")]
    pub mail_folder: String,

    /// Folder with templates that replace those of the service
    ///
    /// They are named verify-email, reset-password and email-changed, each with the endings .txt
    /// and .html. Each file is checked at the start.
    #[arg(long, env = "ROOKERY_MAIL_TEMPLATES", default_value = "", value_name = "FOLDER")]
    pub mail_templates: String,
}

impl MailConfig {
    /// The URL of the SMTP server with its password, if there is one.
    pub fn smtp_server(&self) -> Option<&str> {
        Some(self.smtp_url.expose_secret()).filter(|url| !url.is_empty())
    }

    /// The folder that mails are written to without an SMTP server; `None` for no mail.
    pub fn folder(&self) -> Option<&Path> {
        let folder = Some(self.mail_folder.as_str());
        folder.filter(|folder| !matches!(*folder, "" | "none")).map(Path::new)
    }

    /// The folder with templates, if there is one.
    pub fn templates(&self) -> Option<&Path> {
        Some(Path::new(&self.mail_templates)).filter(|folder| !folder.as_os_str().is_empty())
    }
}

/// The sender of mails; `None` for the default.
pub type Sender = Option<Mailbox>;

fn parse_sender(text: &str) -> Result<Sender, String> {
    let wrong = |_| {
        format!(
            "a sender is written as rookery@example.com or Name <rookery@example.com>, not '{text}'"
        )
    };
    Some(text).filter(|text| !text.is_empty()).map(|text| text.parse().map_err(wrong)).transpose()
}

/// Checks a URL of `http` or `https`, and removes slashes at its end.
fn parse_public_url(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let wrong = || format!("a URL is written as https://example.com/path, not '{text}'");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !is_http || uri.query().is_some() || text.contains('#') {
        return Err(wrong());
    }
    Ok(text.trim_end_matches('/').to_owned())
}
