//! Delivery of mails.
//!
//! A mail survives crashes and failures. The operator's templates replace those of the service.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use entity::mail::Kind;
use entity::{mail, mail_token};
use rookery::domain;
use sea_orm::{ConnectionTrait as _, EntityTrait as _};
use serde_json::json;
use tokio::time::timeout;

use crate::support::app::{PASSWORD, TestApp, config};
use crate::support::mail::MailFolder;
use crate::support::server::free_port;

async fn outbox(app: &TestApp) -> Vec<mail::Model> {
    mail::Entity::find().all(app.database().reader()).await.unwrap()
}

async fn tokens(app: &TestApp) -> Vec<mail_token::Model> {
    mail_token::Entity::find().all(app.database().reader()).await.unwrap()
}

async fn tamper(app: &TestApp, sql: &str) {
    app.database().writer().execute_unprepared(sql).await.unwrap();
}

/// Waits until `count` mails have been attempted, and are due again.
async fn await_attempts(app: &TestApp, count: usize) -> Vec<mail::Model> {
    let attempted = async {
        loop {
            let mails = outbox(app).await;
            // A mail that is being sent is due after 5 minutes.
            let soon = Utc::now() + TimeDelta::minutes(2);
            let has_failed = |mail: &&mail::Model| mail.attempts > 0 && mail.due_at < soon;
            if mails.iter().filter(has_failed).count() >= count {
                return mails;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_mins(1), attempted).await.expect("the mail is attempted")
}

#[tokio::test]
async fn a_mail_that_could_not_be_sent_waits_in_the_outbox() {
    let url = format!("smtp://127.0.0.1:{}", free_port());
    let app = TestApp::with(&["--smtp-url", &url]).await;
    app.register("john").await;
    let request = "requestPasswordReset(email: \"unknown@example.com\") { userErrors { code } }";
    app.anonymous().mutate(request).await;
    let mails = await_attempts(&app, 1).await;
    let mail = mails.iter().find(|mail| mail.kind == Kind::VerifyEmail).unwrap();
    assert_eq!((&*mail.email, mail.attempts), ("john@example.com", 1));
    assert!(mail.due_at > Utc::now(), "{mail:?}");

    // Another instance has a server that works. It sends the mail as soon as it is due. The first
    // instance has ended, so that it does not try again.
    let (folder, database) = (MailFolder::new(), Arc::clone(app.database_fixture()));
    drop(app);
    let due = "UPDATE mail SET due_at = '2026-01-01T00:00:00+00:00'";
    database.open().await.writer().execute_unprepared(due).await.unwrap();
    let other = TestApp::at(database, &folder.options()).await;
    let sent = folder.last(1).await;
    assert_eq!(sent.to, "john@example.com");
    let message_id = format!("Message-ID: <{}@localhost>", mail.id);
    assert!(sent.source.contains(&message_id), "the same for each attempt: {}", sent.source);
    let verify = format!("verifyEmail(token: \"{}\") {{ changed }}", sent.token());
    assert_eq!(other.anonymous().mutate(&verify).await["changed"], true);
    other.await_empty_outbox().await;
    assert_eq!(tokens(&other).await.len(), 2, "one for each attempt");
}

#[tokio::test]
async fn a_mail_of_before_a_crash_is_sent_at_the_next_start() {
    let app = TestApp::new().await;
    app.register("john").await;
    let user = "(SELECT id FROM \"user\")";
    for (id, kind, email) in
        [(7, 0, "john@example.com"), (8, 0, "former@example.com"), (9, 2, "former@example.com")]
    {
        tamper(
            &app,
            &format!(
                "INSERT INTO mail (id, kind, email, user_id, attempts, due_at)
                 VALUES ({id}, {kind}, '{email}', {user}, 1, '2026-01-01T00:00:00+00:00')"
            ),
        )
        .await;
    }
    let folder = MailFolder::new();
    let restarted = TestApp::at(Arc::clone(app.database_fixture()), &folder.options()).await;
    restarted.await_empty_outbox().await;
    let mails = folder.await_mails(2).await;
    let to: Vec<_> = mails.iter().map(|mail| mail.to.as_str()).collect();
    assert_eq!(to, ["john@example.com", "former@example.com"], "no link to a former address");
    assert!(!mails[1].source.contains("#token="));
}

/// A write that fails adds no mail.
#[tokio::test]
async fn a_mail_is_added_only_if_its_cause_is_committed() {
    let folder = MailFolder::new();
    let app = TestApp::with_mail(&folder, &[]).await;
    let john = app.register("john").await;
    app.register("susan").await;
    folder.await_mails(2).await;
    app.await_empty_outbox().await;
    let register = format!(
        "register(input: {{username: \"john\", email: \"other@example.com\",
            password: \"{PASSWORD}\"}}) {{ userErrors {{ code }} }}"
    );
    assert_eq!(app.anonymous().user_error(&register).await, "USERNAME_TAKEN");
    let change = format!(
        "updateProfile(input: {{email: \"susan@example.com\", currentPassword: \"{PASSWORD}\"}}) {{
            userErrors {{ code }} }}"
    );
    assert_eq!(john.user_error(&change).await, "EMAIL_TAKEN");
    assert_eq!(outbox(&app).await.len(), 0);
    folder.await_mails(2).await;
}

#[tokio::test]
async fn the_files_of_the_operator_replace_templates() {
    let folder = MailFolder::new();
    let templates = tempfile::tempdir().unwrap();
    let path = templates.path().to_str().unwrap();
    let file = templates.path().join("verify-email.txt");
    fs::write(&file, "Subject: Willkommen\n\nHallo {{ username }}: {{ link }}\n").unwrap();
    let options = ["--mail-templates", path, "--mail-from", "Birds <birds@example.org>"];
    let app = TestApp::with_mail(&folder, &options).await;
    app.register("john").await;
    let mail = folder.last(1).await;
    assert_eq!(mail.subject, "Willkommen");
    assert!(mail.source.contains("Hallo john: http://"), "{}", mail.source);
    assert!(mail.source.contains("From: Birds <birds@example.org>"), "{}", mail.source);
    assert!(mail.source.contains("Auto-Submitted: auto-generated"), "{}", mail.source);

    fs::write(&file, "Subject: {{ password }}\n\n").unwrap();
    let options = [&folder.options()[..], &options].concat();
    let config = config(&app.database_fixture().url(), &options);
    let error = format!("{:#}", rookery::app::App::build(&config).await.err().unwrap());
    assert!(error.contains("verify-email.txt"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_files_of_mails() {
    use std::os::unix::fs::PermissionsExt as _;

    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep/mail");
    let app = TestApp::with(&["--mail-folder", folder.to_str().unwrap()]).await;
    app.register("john").await;
    app.await_empty_outbox().await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(mode(&files[0]), 0o600);
}

#[tokio::test]
async fn tokens_are_stored_as_hashes_and_deleted_after_they_expire() {
    let folder = MailFolder::new();
    let app = TestApp::with_mail(&folder, &[]).await;
    app.register("john").await;
    let token = folder.last(1).await.token();
    let rows = tokens(&app).await;
    assert_eq!((rows.len(), rows[0].token_hash.0.len()), (1, 32));
    assert!(!format!("{rows:?}").contains(&token));
    assert!(!domain::mail::delete_expired(app.database()).await.unwrap());
    assert_eq!(tokens(&app).await, rows);
    app.expire_mail_tokens().await;
    assert!(!domain::mail::delete_expired(app.database()).await.unwrap(), "no more");
    assert_eq!(tokens(&app).await.len(), 0);
}

#[tokio::test]
async fn deleting_an_account_deletes_its_mails_and_tokens() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    app.mail_token("john", Kind::ResetPassword).await;
    let mail = "INSERT INTO mail (id, kind, email, user_id, attempts, due_at)
        SELECT 7, 0, email, id, 0, '2026-01-01T00:00:00+00:00' FROM \"user\"";
    tamper(&app, mail).await;
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    assert_eq!(john.mutate(&delete).await, json!({ "changed": true }));
    assert_eq!(outbox(&app).await.len(), 0);
    assert_eq!(tokens(&app).await.len(), 0);
    let report = app.doctor_report().await;
    assert_eq!(report, "no problems found\n");
}
