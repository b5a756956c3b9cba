//! Rows from the future, which remain after the system clock was once ahead.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use rookery::ids::snowflake;
use sea_orm::ConnectionTrait as _;
use serde_json::json;

use crate::support::actors::Actor;
use crate::support::app::{PASSWORD, TestApp};

async fn login(actor: &Actor<'_>) -> String {
    let input = format!("input: {{username: \"{}\", password: \"{PASSWORD}\"}}", actor.username);
    let payload = actor.mutate(&format!("login({input}) {{ token }}")).await;
    payload["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn sessions_and_daily_limits_go_by_the_clock_and_not_by_the_newest_id() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let future = snowflake::command_id_at(Utc::now() + TimeDelta::days(60), 0).unwrap();
    let post = "INSERT INTO post (id, author_id, body, created_at) SELECT $1, id, 'x', $2 \
        FROM \"user\" WHERE username = 'john'";
    let post = app.database().statement(post, [future.into(), Utc::now().into()]);
    app.database().writer().execute_raw(post).await.unwrap();

    // The ids of this instance continue after the row from the future.
    let options = ["--max-follows-per-day", "1"];
    let later = TestApp::at(Arc::clone(app.database_fixture()), &options).await;
    let sessions = [login(&john.at(&later)).await, login(&john.at(&later)).await];
    for token in sessions {
        let session = Actor { token: Some(token), ..john.at(&later) };
        let viewer = session.query("{ viewer { user { username lastSeenAt } } }").await;
        assert_eq!(viewer["viewer"]["user"]["username"], "john", "the login ended no session");
    }
    let john = john.at(&later);
    assert!(john.follow(susan).await);
    let by_mary = format!("follow(user: {{id: \"{}\"}}) {{ userErrors {{ code }} }}", mary.id);
    assert_eq!(john.user_error(&by_mary).await, "FOLLOW_LIMIT_REACHED");
    let day = "SELECT follows_day AS day FROM \"user\" WHERE username = 'john'";
    let row = app.database().reader().query_one_raw(app.database().statement(day, [])).await;
    let day: i32 = row.unwrap().unwrap().try_get("", "day").unwrap();
    assert_eq!(i64::from(day), Utc::now().timestamp() / 86_400);
    assert_eq!(john.execute("{ viewer { user { id } } }", json!({})).await.get("errors"), None);
}
