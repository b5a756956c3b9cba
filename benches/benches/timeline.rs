//! The home timeline statement, for owners who follow few users or many.
//!
//! It reads the first page, and a page in the middle of all posts. For comparison, the form of the
//! Flask Mega-Tutorial (join, union and sort) is measured, and 20 posts by primary key as the
//! minimum.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use entity::post;
use rookery::database::{Database, Snapshot};
use rookery::loaders::{
    Batch as _, PageKey, SCAN_WINDOW, Timeline, TimelineFilter, TimelineKey, Timelines,
};
use rookery::pagination::PageRequest;
use sea_orm::FromQueryResult as _;
use tokio::runtime::Runtime;

const FOLLOWED: [u32; 4] = [10, 100, 1_000, 4_000];

const UNION: &str = "SELECT post.* FROM post JOIN follow ON follow.followed_id = post.author_id \
    WHERE follow.follower_id = $1 AND post.id < $2 \
    UNION SELECT post.* FROM post WHERE author_id = $1 AND post.id < $2 \
    ORDER BY id DESC LIMIT 20";

async fn posts(database: &Database, sql: &str, values: Vec<sea_orm::Value>) -> Vec<post::Model> {
    let statement = database.statement(sql, values);
    post::Model::find_by_statement(statement).all(database.reader()).await.expect("read posts")
}

async fn timeline(database: &Database, owner: &entity::user::Model, after: Option<i64>) -> usize {
    let page = PageRequest::new(Some(20), None, after, None).expect("a valid page request");
    let page = PageKey { owner: owner.id, page };
    let (following, has_mutes) = (owner.following_count, false);
    let timeline =
        Timeline { owner: owner.id, following, has_mutes, filter: TimelineFilter::default() };
    let key = TimelineKey { page, timeline };
    let timelines = Timelines::new(Snapshot::new(database), owner.id.into(), SCAN_WINDOW);
    let pages = timelines.load(std::slice::from_ref(&key)).await.expect("read a timeline");
    pages[&key].rows.len()
}

fn benches(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("build a runtime");
    let database = runtime.block_on(rookery_benches::graph());
    let middle = runtime.block_on(posts(
        &database,
        "SELECT * FROM post WHERE id >= (SELECT avg(id) FROM post) ORDER BY id LIMIT 1",
        vec![],
    ));
    for (name, after) in [("first page", None), ("in the middle", Some(middle[0].id))] {
        let mut group = criterion.benchmark_group(format!("timeline, {name}"));
        group.sample_size(20);
        for followed in FOLLOWED {
            let owners = runtime.block_on(rookery_benches::users_following(&database, followed));
            let mut owners = owners.iter().cycle();
            group.bench_function(BenchmarkId::new("rookery", followed), |bench| {
                bench.to_async(&runtime).iter(|| {
                    let owner = owners.next().expect("at least one owner");
                    timeline(&database, owner, after)
                });
            });
            group.bench_function(BenchmarkId::new("tutorial", followed), |bench| {
                bench.to_async(&runtime).iter(|| {
                    let owner = owners.next().expect("at least one owner").id;
                    posts(&database, UNION, vec![owner.into(), after.unwrap_or(i64::MAX).into()])
                });
            });
        }
        group.finish();
    }
    let newest =
        runtime.block_on(posts(&database, "SELECT * FROM post ORDER BY id DESC LIMIT 20", vec![]));
    let ids = database.engine().bind_ids(newest.iter().map(|post| post.id));
    let sql = format!("SELECT * FROM post WHERE {}", database.engine().in_list_sql("id", 1));
    criterion.bench_function("20 posts by primary key", |bench| {
        bench.to_async(&runtime).iter(|| posts(&database, &sql, vec![ids.clone()]));
    });
}

criterion_group!(all, benches);
criterion_main!(all);
