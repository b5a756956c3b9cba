// The connection pool, and the loaders of one request. Each connection prepares each statement
// once.
import { readFileSync } from "node:fs";
import DataLoader from "dataloader";
import pg from "pg";

const { DATABASE_URL, TIMELINE_SQL } = process.env;
// The settings of Rookery's connections: a statement is planned once.
const SETTINGS = "-c jit=off -c plan_cache_mode=force_generic_plan";
// No query selects a timestamp, so none is parsed into a Date.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => text);
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10, options: SETTINGS });

const USER = `u.id, u.username, u.followers_count AS "followersCount", u.following_count AS "followingCount",
  u.posts_count AS "postsCount"`;
const STATEMENTS = {
  usersByName: `SELECT ${USER} FROM "user" AS u WHERE lower(u.username) = ANY($1::text[])`,
  usersById: `SELECT ${USER} FROM "user" AS u WHERE u.id = ANY($1::bigint[])`,
  timeline: readFileSync(TIMELINE_SQL, "utf8"),
  followers: neighbours("followed_id", "follower_id"),
  following: neighbours("follower_id", "followed_id"),
};
const NEWEST = "9223372036854775807";

/** The statement for the first users of the lists of many owners, newest follow first. */
function neighbours(mine, theirs) {
  return `SELECT owner.value AS owner, ${USER}
    FROM unnest($1::bigint[]) AS owner (value)
    CROSS JOIN LATERAL (SELECT id, ${theirs} AS user_id FROM follow WHERE ${mine} = owner.value
      ORDER BY id DESC LIMIT $2) AS page
    JOIN "user" AS u ON u.id = page.user_id
    ORDER BY owner.value, page.id DESC`;
}

async function query(name, values) {
  const { rows } = await pool.query({ name, text: STATEMENTS[name], values });
  return rows;
}

function one(keys, rows, key) {
  const found = new Map(rows.map((row) => [row[key], row]));
  return keys.map((wanted) => found.get(wanted) ?? null);
}

/** A loader of lists. `load` gets owners and a page size, and returns rows with their `owner`. */
function lists(load) {
  const bySize = new Map();
  return (owner, size) => {
    let loader = bySize.get(size);
    if (!loader) {
      loader = new DataLoader(async (owners) => {
        const found = new Map(owners.map((owner) => [owner, []]));
        for (const row of await load(owners, size)) found.get(row.owner).push(row);
        return owners.map((owner) => found.get(owner));
      });
      bySize.set(size, loader);
    }
    return loader.load(owner);
  };
}

const newestFirst = (a, b) => (BigInt(a.id) < BigInt(b.id) ? 1 : -1);

export function loaders() {
  return {
    userByName: new DataLoader(async (names) => {
      const rows = await query("usersByName", [names]);
      return one(names, rows.map((row) => ({ ...row, name: row.username.toLowerCase() })), "name");
    }),
    userById: new DataLoader(async (ids) => one(ids, await query("usersById", [ids]), "id")),
    followers: lists((owners, size) => query("followers", [owners, size])),
    following: lists((owners, size) => query("following", [owners, size])),
    timeline: lists(async (owners, size) =>
      (await query("timeline", [owners, NEWEST, 0, size])).sort(newestFirst)),
  };
}
