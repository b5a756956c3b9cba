//! Mail: templates, transports, and the outbox from which mails are sent.
//!
//! A write of the domain adds a row to the outbox in its transaction. A task sends the mail after
//! the commit, so a slow SMTP server delays no request, and a crash loses no mail.

mod outbox;
mod templates;
mod transport;

use anyhow::{Result, ensure};
use chrono::TimeDelta;
use entity::mail::Kind;
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, Header, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::Config;
use templates::{Templates, Values};
use transport::{SendError, Transport};

pub use outbox::{MAX_TOKENS, Outbox, valid_tokens};

/// The sender, if the operator gives none.
const DEFAULT_SENDER: &str = "Rookery <rookery@localhost>";

/// The time for which the token of a mail is valid.
pub fn lifetime(kind: Kind) -> TimeDelta {
    match kind {
        Kind::VerifyEmail => TimeDelta::hours(48),
        Kind::ResetPassword => TimeDelta::hours(1),
        // It has no token.
        Kind::EmailChanged => TimeDelta::zero(),
    }
}

/// Writes and sends single mails.
pub struct Mailer {
    transport: Transport,
    from: Mailbox,
    public_url: String,
    templates: Templates,
}

/// A mail to send.
pub struct Draft {
    pub id: i64,
    pub kind: Kind,
    pub to: String,
    pub username: String,
    /// `None` in a mail without a link.
    pub token: Option<SecretString>,
}

impl Mailer {
    /// A mailer for the configuration, or `None` if the operator wants no mail.
    ///
    /// # Errors
    /// When the URL of the SMTP server or a template is not valid, or when verified addresses are
    /// required without mail.
    pub fn new(config: &Config) -> Result<Option<Self>> {
        let mail = &config.mail;
        let transport = match (mail.smtp_server(), mail.folder()) {
            (Some(url), _) => Transport::smtp(url)?,
            (None, Some(folder)) => Transport::Folder(folder.to_owned()),
            (None, None) => {
                let is_required = config.accounts.require_verified_email;
                ensure!(!is_required, "--require-verified-email needs --smtp-url or --mail-folder");
                return Ok(None);
            }
        };
        let from = match &mail.mail_from {
            Some(from) => from.clone(),
            None => DEFAULT_SENDER.parse()?,
        };
        let public_url = match mail.public_url.as_str() {
            "" => format!("http://{}", config.http.listen),
            url => url.to_owned(),
        };
        let templates = Templates::load(mail.templates())?;
        Ok(Some(Self { transport, from, public_url, templates }))
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// When the mail was not sent. The error says whether another attempt may succeed.
    async fn send(&self, draft: &Draft) -> Result<(), SendError> {
        let message = self.message(draft).map_err(|error| SendError {
            // The cause may quote the address.
            reason: format!("the mail cannot be written: {error}"),
            is_permanent: true,
        })?;
        self.transport.send(draft.id, message).await
    }

    /// The message of a draft. Each attempt has the same `Message-ID`.
    fn message(&self, draft: &Draft) -> Result<Message> {
        let token = draft.token.as_ref().map_or("", |token| token.expose_secret());
        let values = Values { username: &draft.username, token, public_url: &self.public_url };
        let content = self.templates.render(draft.kind, values)?;
        let to = draft.to.parse().map_err(|_| anyhow::anyhow!("the address is not valid"))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(content.subject)
            .message_id(Some(format!("<{}@{}>", draft.id, self.from.email.domain())))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(
                body(&content.text),
                body(&content.html),
            ))?;
        Ok(message)
    }
}

/// The longest line of a mail in bytes, without its end (RFC 5322).
const MAX_LINE_BYTES: usize = 998;

/// A body whose lines are kept, if that is possible.
///
/// lettre encodes lines from 76 characters on, so a person could not copy a link out of a file.
fn body(text: &str) -> Body {
    let text = text.replace("\r\n", "\n");
    let is_plain = text.is_ascii() && !text.contains('\r');
    if !is_plain || text.lines().any(|line| line.len() > MAX_LINE_BYTES) {
        return Body::new(text);
    }
    let lines = text.replace('\n', "\r\n").into_bytes();
    Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit)
}

/// The header that keeps other programs from answering a mail (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_lines_are_kept() {
        let link = format!("https://example.com/#token={}", "x".repeat(100));
        let kept = body(&format!("{link}\nend\r\n"));
        assert_eq!(kept.encoding(), ContentTransferEncoding::SevenBit);
        assert_eq!(kept.as_ref(), format!("{link}\r\nend\r\n").as_bytes());
        for text in ["x".repeat(MAX_LINE_BYTES + 1), "schön".to_owned()] {
            let encoded = body(&text);
            assert_ne!(encoded.encoding(), ContentTransferEncoding::SevenBit);
            assert!(encoded.as_ref().is_ascii());
        }
    }
}
