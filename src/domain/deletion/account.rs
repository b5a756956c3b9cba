//! The deletion of an account.

use entity::event::Kind;
use entity::{feed_item, post, session, user};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbErr, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use secrecy::SecretString;

use super::plan::Plan;
use super::reactions::delete_reactions;
use super::rows::AccountDeletion;
use crate::auth::{Client, Viewer};
use crate::domain::password::{lock_and_recheck_password, prove_password};
use crate::domain::steps::{Step, run_steps};
use crate::domain::{Change, Services};
use crate::error::Error;

/// Deletes the viewer's account with all rows that refer to it.
///
/// Returns the id of the user. The counts of other users and of posts change with the rows that
/// they count. An account without a password needs none.
///
/// An account with many rows is deleted in several transactions. Notifications are deleted first,
/// then posts and likes, then follows, and the account last. If the deletion ends early, it can be
/// repeated.
///
/// # Errors
/// [`Error::Expected`] with `InvalidCredentials` or `TooManyRequests`; [`Error::Unauthenticated`]
/// when the password was changed or the account deleted in the meantime; [`Error::OutcomeUnknown`]
/// when rows were deleted and the account was not; any error of the database.
pub async fn delete_account(
    services: &Services,
    viewer: &Viewer,
    client: &Client,
    password: Option<SecretString>,
) -> Result<i64, Error> {
    prove_password(services, viewer, client, password, "password").await?;
    run_steps(|_| step(services, viewer)).await?;
    Ok(viewer.id())
}

async fn step(services: &Services, viewer: &Viewer) -> Result<Step<()>, Error> {
    let services = &services.with_database(&services.db.at_end_of_queue());
    let transaction = services.db.begin().await?;
    let plan = Plan::read(services, &transaction, viewer.id()).await?;
    let deletion = AccountDeletion { services, transaction: &transaction, user: viewer.id() };
    deletion.lock_users(&plan).await?;
    if lock_and_recheck_password(&transaction, viewer.user().clone()).await?.is_none() {
        return Err(Error::account_changed());
    }
    if plan.left > 0 {
        // The deletion of the user takes this lock. It comes before those of the posts: a like of a
        // post of the user holds a weaker one while it waits for the post.
        user::Entity::find_by_id(viewer.id()).lock(LockType::Update).one(&transaction).await?;
    }
    deletion.lock_posts(&plan).await?;
    // Before their causes: a notification of a like, for example, has the like.
    if !deletion.delete_notifications().await? {
        services.commit(transaction, viewer).await?;
        return Ok(Step::Partial);
    }
    let mut changes = deletion.uncount_reactions(&plan).await?;
    let Reposts { mut ended, is_complete } = deletion.delete_posts(&plan, &mut changes).await?;
    deletion.delete_follows(&plan, &mut changes).await?;
    deletion.delete_mutes(&plan, &mut changes).await?;
    let is_last = is_complete
        && deletion.delete_uncounted(plan.left, &mut changes).await?
        && !deletion.has_counted_rows().await?;
    if is_last {
        deletion.delete_user().await?;
        let removed = Change { kind: Kind::UserRemoved, actor: viewer.id(), object: 0 };
        // The event says neither which posts of others the user liked nor which ones the user
        // replied to.
        let is_of_other = |change: &Change| change.actor != viewer.id();
        let counted = changes.into_iter().filter(|change| change.kind == Kind::PostCounted);
        ended.extend(counted.filter(is_of_other));
        services.record(&transaction, removed, &ended).await?;
    } else {
        changes.extend(ended);
        if let Some((first, parts)) = changes.split_first() {
            services.record(&transaction, *first, parts).await?;
        }
    }
    services.commit(transaction, viewer).await?;
    Ok(if is_last { Step::Last(()) } else { Step::Partial })
}

#[derive(FromQueryResult)]
struct DeletedPost {
    /// The post that it replied to.
    parent: Option<i64>,
}

/// The ends of reposts of deleted posts.
struct Reposts {
    ended: Vec<Change>,
    /// Whether the posts of the plan were deleted, and not only reactions to them.
    is_complete: bool,
}

impl AccountDeletion<'_> {
    /// Locks the user and all users whose counts the step changes.
    ///
    /// They are locked in the order of their ids.
    async fn lock_users(&self, plan: &Plan) -> Result<(), DbErr> {
        let engine = self.services.db.engine();
        let is_changed = engine.in_list_expr("id", engine.bind_ids(plan.users(self.user)));
        let users =
            user::Entity::find_for_update(is_changed).select_only().column(user::Column::Id);
        let _: Vec<i64> = users.into_tuple().all(self.transaction).await?;
        Ok(())
    }

    /// Locks all posts that the step changes or deletes, in the order of their ids.
    async fn lock_posts(&self, plan: &Plan) -> Result<(), DbErr> {
        let posts = plan.locked_posts();
        if posts.is_empty() {
            return Ok(());
        }
        let engine = self.services.db.engine();
        let is_changed = engine.in_list_expr("id", engine.bind_ids(posts));
        let posts = post::Entity::find()
            .select_only()
            .column(post::Column::Id)
            .filter(is_changed)
            .order_by_asc(post::Column::Id)
            .lock(LockType::Update);
        let _: Vec<i64> = posts.into_tuple().all(self.transaction).await?;
        Ok(())
    }

    /// Deletes likes and reposts by the user, and corrects the counts of the posts.
    async fn uncount_reactions(&self, plan: &Plan) -> Result<Vec<Change>, DbErr> {
        let mut changes = Vec::new();
        let likes = self.delete("\"like\"", ["user_id", "post_id"], &plan.likes).await?;
        changes.extend(self.subtract_from_posts("likes_count", &likes).await?);
        let reposts = self.delete("feed_item", ["actor_id", "post_id"], &plan.reposts).await?;
        changes.extend(self.subtract_from_posts("reposts_count", &reposts).await?);
        if !reposts.is_empty() {
            changes.push(hidden(self.user));
        }
        Ok(changes)
    }

    /// Deletes posts of the user with their reactions, or only some of the reactions.
    async fn delete_posts(&self, plan: &Plan, changes: &mut Vec<Change>) -> Result<Reposts, DbErr> {
        if plan.posts.is_empty() {
            return Ok(Reposts { ended: vec![], is_complete: true });
        }
        let deleted = delete_reactions(self.services, self.transaction, &plan.posts).await?;
        let reposts = Reposts { ended: deleted.reposts, is_complete: deleted.is_complete };
        if !deleted.is_complete {
            if deleted.are_counts_changed {
                let (kind, actor) = (Kind::PostCounted, self.user);
                changes.extend(plan.posts.iter().map(|post| Change { kind, actor, object: *post }));
            }
            return Ok(reposts);
        }
        let engine = self.services.db.engine();
        if !plan.parents.is_empty() {
            let sql = format!(
                "UPDATE post SET replies_count = post.replies_count - reply.number FROM ( \
                   SELECT in_reply_to_id AS parent, count(*) AS number FROM post \
                   WHERE {} AND in_reply_to_id IS NOT NULL GROUP BY in_reply_to_id \
                 ) AS reply WHERE post.id = reply.parent RETURNING id, author_id",
                engine.in_list_sql("id", 1)
            );
            let counted = self.counted_posts(&sql, &plan.posts).await?;
            changes.extend(counted.into_iter().filter(|post| !plan.posts.contains(&post.object)));
        }
        let is_deleted = engine.in_list_expr("id", engine.bind_ids(plan.posts.iter().copied()));
        feed_item::Entity::delete_many()
            .filter(feed_item::Column::ActorId.eq(self.user))
            .filter(is_deleted)
            .exec(self.transaction)
            .await?;
        let sql = format!(
            "DELETE FROM post WHERE {} RETURNING in_reply_to_id AS parent",
            engine.in_list_sql("id", 1)
        );
        let values = [engine.bind_ids(plan.posts.iter().copied())];
        let posts = self.services.db.statement(&sql, values);
        let posts = DeletedPost::find_by_statement(posts).all(self.transaction).await?;
        let replies = posts.iter().filter(|post| post.parent.is_some()).count();
        self.subtract_from_own("posts_count", posts.len()).await?;
        self.subtract_from_own("replies_count", replies).await?;
        if !changes.iter().any(|change| change.kind == Kind::RepostsHidden) {
            changes.push(hidden(self.user));
        }
        Ok(reposts)
    }

    /// Ends follows in both directions, and corrects the counts of both sides.
    async fn delete_follows(&self, plan: &Plan, changes: &mut Vec<Change>) -> Result<(), DbErr> {
        let kind = Kind::Unfollowed;
        let following = ["follower_id", "followed_id"];
        let rows = self.delete("follow", following, &plan.following).await?;
        self.subtract_from_users("followers_count", &rows).await?;
        self.subtract_from_own("following_count", rows.len()).await?;
        changes.extend(rows.iter().map(|row| Change { kind, actor: row.own, object: row.other }));
        let followers = ["followed_id", "follower_id"];
        let rows = self.delete("follow", followers, &plan.followers).await?;
        self.subtract_from_users("following_count", &rows).await?;
        self.subtract_from_own("followers_count", rows.len()).await?;
        changes.extend(rows.iter().map(|row| Change { kind, actor: row.other, object: row.own }));
        Ok(())
    }

    /// Ends mutes of the user, and subtracts them from the counts of those who muted.
    async fn delete_mutes(&self, plan: &Plan, changes: &mut Vec<Change>) -> Result<(), DbErr> {
        let kind = Kind::Unmuted;
        let rows = self.delete("mute", ["muted_id", "muter_id"], &plan.mutes).await?;
        self.subtract_from_users("mutes_count", &rows).await?;
        changes.extend(rows.iter().map(|row| Change { kind, actor: row.other, object: row.own }));
        Ok(())
    }

    /// Whether rows that counts depend on were added before the users were locked.
    async fn has_counted_rows(&self) -> Result<bool, DbErr> {
        let sql = "SELECT 1 AS found FROM ( \
              SELECT id FROM post WHERE author_id = $1 \
              UNION ALL SELECT id FROM feed_item WHERE actor_id = $1 \
              UNION ALL SELECT id FROM \"like\" WHERE user_id = $1 \
              UNION ALL SELECT id FROM follow WHERE follower_id = $1 \
              UNION ALL SELECT id FROM follow WHERE followed_id = $1 \
              UNION ALL SELECT id FROM mute WHERE muted_id = $1) AS counted LIMIT 1";
        let statement = self.services.db.statement(sql, [self.user.into()]);
        Ok(self.transaction.query_one_raw(statement).await?.is_some())
    }

    /// Deletes the user and the sessions, the only rows that are left.
    async fn delete_user(&self) -> Result<(), DbErr> {
        session::Entity::delete_many()
            .filter(session::Column::UserId.eq(self.user))
            .exec(self.transaction)
            .await?;
        user::Entity::delete_by_id(self.user).exec(self.transaction).await.map(drop)
    }
}

/// The change of timelines that have shown many posts or reposts of a user.
///
/// One event for all of them: an event for each would exceed the buffers of subscribers.
fn hidden(user: i64) -> Change {
    Change { kind: Kind::RepostsHidden, actor: user, object: user }
}
