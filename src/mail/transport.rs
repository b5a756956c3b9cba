//! How mails leave the service: by SMTP, or as files in a folder.

use std::error::Error as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use lettre::transport::smtp;
use lettre::transport::smtp::response::Category;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

/// Longest wait for a response of the SMTP server.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time for all steps of sending a mail.
const SEND_TIMEOUT: Duration = Duration::from_mins(2);

/// How mails leave the service.
pub enum Transport {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Folder(PathBuf),
}

/// Why a mail was not sent, without its address and its token.
#[derive(Debug)]
pub struct SendError {
    pub reason: String,
    /// Whether another attempt would fail too.
    pub is_permanent: bool,
}

impl Transport {
    /// A transport to the SMTP server of a URL.
    ///
    /// # Errors
    /// When the URL is not valid. The message does not contain the password.
    pub fn smtp(url: &str) -> Result<Self> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let builder = builder.context("the URL of the SMTP server is not valid")?;
        Ok(Self::Smtp(Box::new(builder.timeout(Some(RESPONSE_TIMEOUT)).build())))
    }

    /// Sends a mail. `id` names its file in a folder.
    ///
    /// # Errors
    /// When the mail was not accepted or not written.
    pub async fn send(&self, id: i64, message: Message) -> Result<(), SendError> {
        match self {
            Self::Smtp(server) => {
                let sent = tokio::time::timeout(SEND_TIMEOUT, server.send(message)).await;
                match sent {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(smtp_error(&error)),
                    Err(_) => Err(SendError::temporary("the SMTP server is too slow")),
                }
            }
            Self::Folder(folder) => {
                let path = folder.join(format!("{id}.eml"));
                let file = path.clone();
                let write = move || write(&file, &message.formatted());
                let written = tokio::task::spawn_blocking(write).await;
                let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
                let error = |error: io::Error| {
                    SendError::temporary(&format!("cannot write {}: {error}", path.display()))
                };
                written.map_err(error)?;
                tracing::info!(file = %path.display(), "wrote a mail to a file");
                Ok(())
            }
        }
    }
}

impl SendError {
    fn temporary(reason: &str) -> Self {
        Self { reason: reason.to_owned(), is_permanent: false }
    }
}

/// The error of a failed attempt.
///
/// The text of a response may contain the address, so only its code is kept. A code of the form 55z
/// rejects the mail or its recipient. Other permanent codes, as for a wrong password, mean that the
/// operator has to correct something.
fn smtp_error(error: &smtp::Error) -> SendError {
    if let Some(code) = error.status() {
        let is_permanent = error.is_permanent() && code.category == Category::MailSystem;
        return SendError { reason: format!("the SMTP server responded {code}"), is_permanent };
    }
    let kind = if error.is_tls() { "the TLS connection failed" } else { "the connection failed" };
    let reason = error.source().map_or_else(String::new, |source| format!(": {source}"));
    SendError::temporary(&format!("{kind}{reason}"))
}

/// Writes a file that only the user of the service can read, at once or not at all.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let new = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)
}
