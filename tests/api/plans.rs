//! Query plans of the statements of relationships.
//!
//! Every table is read from an index.

use entity::feed_item;
use entity::notification::Kind;
use entity::user::visible_to_sql;
use rookery::database::{Database, Engine};
use rookery::domain::{follow_path, notification, suggestion};
use rookery::loaders::{
    FollowFilter, FollowList, ItemFilter, ShownReplies, Side, TimelineFilter, UserList,
    ancestors_sql, feed_sql, merge_heads, replies_sql, reply_count_sql, repost_count_sql,
    scan_recent, user_list_sql,
};
use rookery::pagination::{Direction, all_pages_sql};
use sea_orm::ConnectionTrait as _;

use crate::support::app::TestApp;

/// Names of the tables in the statements, with their aliases.
const TABLES: [&str; 23] = [
    "follow",
    "entry",
    "side",
    "back",
    "named",
    "seen",
    "access",
    "user",
    "post",
    "beyond",
    "mute",
    "block",
    "follow_request",
    "dismissal",
    "bookmark",
    "like",
    "theirs",
    "feed_item",
    "item",
    "original",
    "subject",
    "ancestor",
    "notification",
];

/// All statements of lists of follows, by what they are.
fn follow_lists(engine: Engine) -> Vec<(String, String)> {
    let all = FollowFilter {
        prefix: Some("a".into()),
        viewer_follows: Some(true),
        follows_viewer: Some(true),
        mutual: Some(true),
    };
    let sides =
        [Side::List, Side::Opposite, Side::ViewerFollows, Side::FollowsViewer, Side::Prefix];
    let none = FollowFilter {
        viewer_follows: Some(false),
        follows_viewer: Some(false),
        mutual: Some(false),
        ..all.clone()
    };
    let mut statements = Vec::new();
    for (list, filter) in [
        (UserList::Followers, &all),
        (UserList::Following, &all),
        (UserList::Followers, &none),
        (UserList::Following, &none),
    ] {
        let sides = if filter == &all { &sides[..] } else { &sides[..1] };
        for side in sides.iter().copied() {
            let follows = FollowList { list, filter: filter.clone(), is_guarded: true };
            let name = format!("{list:?} from {side:?}, {:?}", filter.mutual);
            for is_by_name in [false, true] {
                for direction in [Direction::Forward, Direction::Backward] {
                    let sql = follows.page_sql(engine, side, is_by_name, direction);
                    let order = if is_by_name { "by name" } else { "by time" };
                    statements.push((format!("{name}, {order} {direction:?}"), sql));
                }
            }
            statements.push((format!("{name}, count"), follows.count_sql(engine, side)));
        }
    }
    statements
}

/// Statements of other lists, with the types of their parameters on PostgreSQL.
fn statements(engine: Engine) -> Vec<(String, String, &'static str)> {
    const LIST: &str = "bigint[], bigint, bigint, bigint, bigint";
    let mut all: Vec<(String, String, &str)> = Vec::new();
    for (name, sql) in follow_lists(engine) {
        let types = if name.contains("by name") {
            "bigint[], text, text, bigint, bigint, text, text"
        } else {
            "bigint[], bigint, bigint, bigint, bigint, text, text"
        };
        all.push((name, sql, types));
    }
    for direction in [Direction::Forward, Direction::Backward] {
        for list in [UserList::Followers, UserList::Following] {
            let sql = user_list_sql(engine, list, direction);
            all.push((format!("{list:?} {direction:?}"), sql, LIST));
        }
        let without_viewer = [
            UserList::Blocked,
            UserList::FollowRequests,
            UserList::SentFollowRequests,
            UserList::Likers,
            UserList::Reposters,
        ];
        for list in without_viewer {
            let sql = user_list_sql(engine, list, direction);
            all.push((format!("{list:?} {direction:?}"), sql, "bigint[], bigint, bigint, bigint"));
        }
        let requested =
            TimelineFilter { replies: ShownReplies::ToFollowed, ..TimelineFilter::default() };
        let filter = ItemFilter { requested, without_muted: true, viewer: Some(7) };
        let types = "bigint[], bigint, bigint, bigint, timestamptz, bigint";
        all.push((format!("merge {direction:?}"), merge_heads(engine, filter, direction), types));
        let scan = scan_recent(engine, filter, direction, 100);
        all.push((format!("scan {direction:?}"), scan, types));
    }
    for direction in [follow_path::Direction::ToFollowed, follow_path::Direction::ToFollowers] {
        let sql = follow_path::level_sql(engine, direction);
        all.push((format!("path {direction:?}"), sql, "bigint[], bigint, bigint"));
    }
    for direction in [Direction::Forward, Direction::Backward] {
        let posts = all_pages_sql(engine, "post", "AND is_public = true", direction);
        let sql = format!("SELECT post.* FROM {posts}");
        all.push((format!("public posts {direction:?}"), sql, "boolean, bigint, bigint, bigint"));
    }
    let count = "SELECT count(*) FROM post WHERE is_public = $1".to_owned();
    all.push(("the number of public posts".into(), count, "boolean"));
    all.push(("suggestions".into(), suggestion::sql(engine), "bigint, timestamptz, bigint"));
    let post =
        format!("SELECT id FROM post WHERE id = $1 AND {}", visible_to_sql("author_id", "$2"));
    all.push(("a post".into(), post, "bigint, bigint"));
    all.push(("ancestors".into(), ancestors_sql(engine), "bigint[], bigint"));
    all.push(("numbers of replies".into(), reply_count_sql(engine), "bigint[], bigint"));
    for direction in [Direction::Forward, Direction::Backward] {
        let name = format!("replies {direction:?}");
        all.push((name, replies_sql(engine, direction), LIST));
        for replies in [true, false] {
            let name = format!("posts and reposts, replies: {replies}, {direction:?}");
            all.push((name, feed_sql(engine, replies, direction), LIST));
        }
    }
    all.push(("numbers of reposts".into(), repost_count_sql(engine), "bigint[], bigint"));
    let kinds = [Kind::Like, Kind::Mention];
    for direction in [Direction::Forward, Direction::Backward] {
        let sql = notification::kinds_sql(engine, &kinds, direction);
        let types = "bigint, bigint, bigint, bigint";
        all.push((format!("notifications of two kinds {direction:?}"), sql, types));
    }
    let unread = notification::unread_sql(engine);
    all.push(("unread notifications".into(), unread, "bigint, bigint"));
    let reposters = feed_item::reposters_sql(5);
    all.push(("reposters of an author".into(), reposters, "bigint"));
    all
}

/// The lines of a plan of SQLite.
async fn sqlite_plan(database: &Database, sql: &str) -> Vec<String> {
    let statement = database.statement(&format!("EXPLAIN QUERY PLAN {sql}"), []);
    let rows = database.reader().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect()
}

/// The lines of a plan of PostgreSQL for any parameters.
///
/// It has sequential scans only where no index can be used.
async fn postgres_plan(database: &Database, sql: &str, types: &str) -> Vec<String> {
    let transaction = database.begin().await.unwrap();
    let values = types.split(", ").map(|ty| match ty {
        "bigint[]" => "'{1,2}'",
        "text" => "'a'",
        "boolean" => "true",
        "timestamptz" => "now()",
        _ => "5",
    });
    let values = values.collect::<Vec<_>>().join(", ");
    for statement in [
        "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off",
        &format!("PREPARE planned ({types}) AS {sql}"),
    ] {
        transaction.execute_unprepared(statement).await.unwrap();
    }
    let explain = database.statement(&format!("EXPLAIN EXECUTE planned ({values})"), []);
    let plan = transaction.query_all_raw(explain).await.unwrap();
    let lines = plan.iter().map(|row| row.try_get_by(0).unwrap()).collect();
    transaction.execute_unprepared("DEALLOCATE planned").await.unwrap();
    lines
}

#[tokio::test]
async fn statements_of_relationships_read_no_table_from_its_start() {
    let app = TestApp::new().await;
    let (database, engine) = (app.database(), app.database().engine());
    for (name, sql, types) in statements(engine) {
        let plan = match engine {
            Engine::Sqlite => sqlite_plan(database, &sql).await,
            Engine::Postgres => postgres_plan(database, &sql, types).await,
        };
        assert!(!plan.is_empty(), "{name}");
        for line in &plan {
            let table = line.trim().strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
            // The newest rows of all, in the order of the primary key.
            let is_newest = ["scan", "suggestions"].iter().any(|part| name.starts_with(part))
                && !line.contains("USING");
            let is_scan = table.is_some_and(|table| TABLES.contains(&table) && !is_newest);
            assert!(!is_scan && !line.contains("Seq Scan"), "{name}: {line}\n{plan:#?}\n{sql}");
            // A join of two lists of follows compares all rows of both.
            let is_list = name.contains(" from ");
            let is_join = line.contains("Anti Join") || line.contains("Hash Join");
            assert!(!is_list || !is_join, "{name}: {line}\n{plan:#?}\n{sql}");
        }
    }
}
