// PostGraphile on Rookery's tables, with the HTTP server of Node.js.
import cluster from "node:cluster";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import pg from "pg";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { TYPES } from "postgraphile/@dataplan/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { sql } from "postgraphile/pg-sql2";
import { extendSchema, gql } from "postgraphile/utils";

const { DATABASE_URL, PORT, TIMELINE, TIMELINE_SQL, WORKERS } = process.env;
// The settings of Rookery's connections: a statement is planned once.
const SETTINGS = "-c jit=off -c plan_cache_mode=force_generic_plan";
// Servers with different timeline statements share a database.
const schema = `peer_${TIMELINE}`;

async function installTimeline() {
  const text = readFileSync(new URL("functions.sql", import.meta.url), "utf8");
  const statement = readFileSync(TIMELINE_SQL, "utf8");
  const client = new pg.Client(DATABASE_URL);
  await client.connect();
  await client.query(text.replaceAll(":schema", schema).replace(/^:statement$/m, () => statement));
  await client.end();
}

// PostGraphile generates no field from the index on lower(username), so this plugin adds one.
const userByName = extendSchema((build) => ({
  typeDefs: gql`
    extend type Query {
      userByName(name: String!): User
    }
  `,
  objects: {
    Query: {
      plans: {
        userByName(_, { $name }) {
          const $users = build.pgResources.user.find();
          $users.where(sql`lower(${$users}.username) = lower(${$users.placeholder($name, TYPES.text)})`);
          return $users.single();
        },
      },
    },
  },
}));

async function serve() {
  const server = createServer();
  const instance = postgraphile({
    extends: [PostGraphileAmberPreset],
    plugins: [userByName],
    pgServices: [
      makePgService({
        connectionString: DATABASE_URL,
        schemas: ["public", schema],
        poolConfig: { max: 10, options: SETTINGS },
      }),
    ],
    grafserv: { graphqlPath: "/graphql", graphiql: false, watch: false },
    grafast: { explain: false },
  });
  await instance.createServ(grafserv).addTo(server);
  server.listen(Number(PORT), "127.0.0.1");
}

const workers = Number(WORKERS);
if (cluster.isPrimary) {
  await installTimeline();
  if (workers > 1) for (let i = 0; i < workers; i++) cluster.fork();
}
if (cluster.isWorker || workers === 1) await serve();
