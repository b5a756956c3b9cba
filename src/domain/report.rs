//! Reports: report an account or a post, list and count reports, and resolve them.
//!
//! A report of a post keeps the text that the reporter saw: the author may edit or delete the post.
//! A user reads only their own reports. The reported user learns of none.

use chrono::SubsecRound as _;
use entity::moderation_log::Action;
use entity::report::{self, Reason, State};
use entity::user;
use entity::user::visible_to_sql;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveEnum as _, ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QuerySelect as _, Set,
};

use super::moderation_log::{self, Entry};
use super::{Services, validation};
use crate::auth::{Moderator, Viewer};
use crate::clock;
use crate::database::Snapshot;
use crate::error::{Error, UserErrorKind};
use crate::pagination::{OwnedRows, Page, PageRequest, USERS, all_pages_sql, page_sql};

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    User(i64),
    Post(i64),
}

/// The result of an operation on a report.
#[derive(Clone, Copy, Debug)]
pub struct ReportChange {
    /// Whether the operation changed anything.
    pub changed: bool,
    /// Id of the report.
    pub report: i64,
}

/// The account or the post of a new report.
struct Reported {
    user: i64,
    post: Option<i64>,
    body: Option<String>,
}

/// Reports an account or a post.
///
/// If the viewer has an open report of it, nothing is changed, and its id is returned.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `NotFound` or `SelfTarget`; any error of the database.
pub async fn report(
    services: &Services,
    viewer: &Viewer,
    target: Target,
    (reason, comment): (Reason, Option<String>),
) -> Result<ReportChange, Error> {
    let comment = comment.map(|text| validation::reason(text, &["comment"])).transpose()?;
    let transaction = services.db.begin().await?;
    let reported = find(services, &transaction, viewer, target).await?;
    if reported.user == viewer.id() {
        let message = "This is your own account or post. Choose another one.";
        return Err(UserErrorKind::SelfTarget.at(&["target"], message).into());
    }
    let id = services.ids.next();
    let statement = services.db.statement(
        "INSERT INTO report (id, reporter_id, user_id, post_id, reason, comment, body, state) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0) \
         ON CONFLICT (reporter_id, user_id, coalesce(post_id, 0)) WHERE state = 0 DO NOTHING",
        [
            id.into(),
            viewer.id().into(),
            reported.user.into(),
            reported.post.into(),
            reason.into_value().into(),
            comment.into(),
            reported.body.into(),
        ],
    );
    let changed = transaction.execute_raw(statement).await?.rows_affected() > 0;
    let report = if changed {
        id
    } else {
        let of_post = match reported.post {
            Some(post) => report::Column::PostId.eq(post),
            None => report::Column::PostId.is_null(),
        };
        let open: Option<i64> = report::Entity::find()
            .select_only()
            .column(report::Column::Id)
            .filter(report::Column::ReporterId.eq(viewer.id()))
            .filter(report::Column::UserId.eq(reported.user))
            .filter(of_post)
            .filter(report::Column::State.eq(State::Open))
            .into_tuple()
            .one(&transaction)
            .await?;
        // A moderator has resolved it since.
        open.ok_or(Error::Conflict)?
    };
    services.commit(transaction, viewer).await?;
    Ok(ReportChange { changed, report })
}

/// Finds what a report is about. A post that the viewer may not see does not exist.
///
/// The account is locked against its deletion.
async fn find(
    services: &Services,
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    target: Target,
) -> Result<Reported, Error> {
    let missing = || UserErrorKind::NotFound.at(&["target"], "There is no such user or post.");
    let reported = match target {
        Target::User(user) => Reported { user, post: None, body: None },
        Target::Post(post) => {
            let is_visible =
                services.db.engine().expr(&visible_to_sql("post.author_id", "$1"), viewer.id());
            let found = entity::post::Entity::find_by_id(post).filter(is_visible);
            let found = found.one(transaction).await?.ok_or_else(missing)?;
            Reported { user: found.author_id, post: Some(post), body: Some(found.body) }
        }
    };
    let user: Option<i64> = user::Entity::find_by_id(reported.user)
        .select_only()
        .column(user::Column::Id)
        .lock(LockType::KeyShare)
        .into_tuple()
        .one(transaction)
        .await?;
    user.ok_or_else(missing)?;
    Ok(reported)
}

/// Resolves a report. One that is resolved already is not changed.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput` or `NotFound`; any error of the database.
pub async fn resolve(
    services: &Services,
    moderator: &Moderator,
    id: i64,
    note: Option<String>,
) -> Result<ReportChange, Error> {
    let note = note.map(|note| validation::reason(note, &["note"])).transpose()?;
    let transaction = services.db.begin().await?;
    let resolved = report::Entity::update_many()
        .set(report::ActiveModel {
            state: Set(State::Resolved),
            resolver_id: Set(Some(moderator.id())),
            resolved_at: Set(Some(clock::now().trunc_subsecs(3))),
            ..Default::default()
        })
        .filter(report::Column::Id.eq(id))
        .filter(report::Column::State.eq(State::Open))
        .exec_with_returning(&transaction)
        .await?;
    let changed = match resolved.into_iter().next() {
        Some(row) => {
            let entry = Entry::new(Action::ResolveReport, Some(moderator.id()), row.user_id);
            let entry = Entry { post: row.post_id, report: Some(id), reason: note, ..entry };
            moderation_log::record(&transaction, services.ids.next(), entry).await?;
            true
        }
        None if report::Entity::find_by_id(id).one(&transaction).await?.is_none() => {
            return Err(UserErrorKind::NotFound.at(&["id"], "There is no such report.").into());
        }
        None => false,
    };
    services.commit(transaction, moderator).await?;
    Ok(ReportChange { changed, report: id })
}

/// A page of the reports of the viewer, newest first.
///
/// # Errors
/// Any error of the database.
pub async fn own_page(
    snapshot: &Snapshot,
    viewer: &Viewer,
    request: &PageRequest<i64>,
) -> Result<Page<report::Model>, Error> {
    let engine = snapshot.engine();
    let (table, owner) = ("report", "reporter_id");
    let list = OwnedRows { parent: USERS, table, owner, condition: "", viewer: None };
    let source = page_sql(engine, list, request.direction);
    let (start, end) = request.bounds();
    let owner = engine.bind_ids([viewer.id()]);
    let values = [owner, start.into(), end.into(), request.limit().into()];
    let sql = format!("SELECT report.* FROM {source}");
    let rows = snapshot.all(request.rows(), &sql, values).await?;
    Ok(Page::new(request, rows, |report: &report::Model| report.id))
}

/// Number of the reports of the viewer.
///
/// # Errors
/// Any error of the database.
pub async fn count_own(snapshot: &Snapshot, viewer: &Viewer) -> Result<u64, Error> {
    let own = report::Entity::find().filter(report::Column::ReporterId.eq(viewer.id()));
    let count = own.count(&**snapshot.read(1).await?).await?;
    snapshot.charge_counted(count);
    Ok(count)
}

/// A page of all reports in a state, or in any, newest first.
///
/// # Errors
/// Any error of the database.
pub async fn page(
    snapshot: &Snapshot,
    _: &Moderator,
    state: Option<State>,
    request: &PageRequest<i64>,
) -> Result<Page<report::Model>, Error> {
    let (start, end) = request.bounds();
    let values = [true.into(), start.into(), end.into(), request.limit().into()];
    let condition = state.map(|state| format!("AND state = {}", state.into_value()));
    let condition = condition.unwrap_or_default();
    let source = all_pages_sql(snapshot.engine(), "report", &condition, request.direction);
    let sql = format!("SELECT report.* FROM {source}");
    let rows = snapshot.all(request.rows(), &sql, values).await?;
    Ok(Page::new(request, rows, |report: &report::Model| report.id))
}

/// Number of all reports in a state, or in any.
///
/// # Errors
/// Any error of the database.
pub async fn count(snapshot: &Snapshot, _: &Moderator, state: Option<State>) -> Result<u64, Error> {
    let mut reports = report::Entity::find();
    if let Some(state) = state {
        reports = reports.filter(report::Column::State.eq(state));
    }
    let count = reports.count(&**snapshot.read(1).await?).await?;
    snapshot.charge_counted(count);
    Ok(count)
}
