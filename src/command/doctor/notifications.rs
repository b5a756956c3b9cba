//! Checks of notifications.
//!
//! Each notification has its cause, and there is none that a rule forbids. A repair deletes the
//! others.

use entity::feed_item::IS_REPOST;
use entity::notification::Kind;
use sea_orm::ActiveEnum as _;

use super::invariants::{Check, Repair, despite_block, rows};

/// All checks of notifications.
pub fn all() -> Vec<Check> {
    let repost = format!(
        "FROM feed_item AS cause WHERE cause.actor_id = notification.actor_id
        AND cause.post_id = notification.post_id AND cause.{IS_REPOST}
        AND cause.subject_id = notification.user_id"
    );
    let causes = [
        (
            Kind::Follow,
            "notifications have no follow",
            "FROM follow AS cause WHERE notification.post_id IS NULL
            AND cause.follower_id = notification.actor_id
            AND cause.followed_id = notification.user_id",
        ),
        (
            Kind::FollowRequest,
            "notifications have no request to follow",
            "FROM follow_request AS cause WHERE notification.post_id IS NULL
            AND cause.requester_id = notification.actor_id
            AND cause.target_id = notification.user_id",
        ),
        (
            Kind::RequestAccepted,
            "notifications have no accepted follow",
            "FROM follow AS cause WHERE notification.post_id IS NULL
            AND cause.follower_id = notification.user_id
            AND cause.followed_id = notification.actor_id",
        ),
        (
            Kind::Like,
            "notifications have no like",
            r#"FROM "like" AS cause JOIN post ON post.id = cause.post_id
            WHERE cause.user_id = notification.actor_id AND cause.post_id = notification.post_id
            AND post.author_id = notification.user_id"#,
        ),
        (
            Kind::Reply,
            "notifications have no reply",
            "FROM feed_item AS cause WHERE cause.actor_id = notification.actor_id
            AND cause.id = notification.post_id AND cause.kind = 1
            AND cause.subject_id = notification.user_id",
        ),
        (Kind::Repost, "notifications have no repost", repost.as_str()),
        (
            Kind::Mention,
            "notifications have no mention",
            "FROM mention AS cause JOIN post ON post.id = cause.post_id
            WHERE cause.user_id = notification.user_id AND cause.post_id = notification.post_id
            AND post.author_id = notification.actor_id",
        ),
    ];
    let table = "notification";
    let has_no_cause = causes.map(|(kind, name, cause)| {
        let kind = kind.into_value();
        let condition = format!("kind = {kind} AND NOT EXISTS (SELECT 1 {cause})");
        rows(name, table, &condition, Repair::Delete)
    });
    let is_own = "user_id = actor_id";
    let blocked = despite_block("user_id", "actor_id");
    let mut checks = Vec::from(has_no_cause);
    checks.push(rows("users have notifications of themselves", table, is_own, Repair::Delete));
    checks.push(rows("notifications exist despite a block", table, &blocked, Repair::Delete));
    checks
}
