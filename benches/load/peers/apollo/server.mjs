// Apollo Server with its standalone HTTP server, and dataloaders on pg.
import cluster from "node:cluster";
import { ApolloServer } from "@apollo/server";
import { ApolloServerPluginCacheControlDisabled, ApolloServerPluginLandingPageDisabled }
  from "@apollo/server/plugin/disabled";
import { startStandaloneServer } from "@apollo/server/standalone";
import { loaders } from "./database.mjs";

const typeDefs = `#graphql
  type Query {
    user(username: String!): User
  }
  type User {
    id: ID!
    username: String!
    followersCount: Int!
    followingCount: Int!
    postsCount: Int!
    followers(first: Int! = 20): Users!
    following(first: Int! = 20): Users!
    timeline(first: Int! = 20): Posts!
  }
  type Post {
    id: ID!
    body: String!
    author: User!
  }
  type Users {
    nodes: [User!]!
  }
  type Posts {
    nodes: [Post!]!
  }
`;

const resolvers = {
  Query: {
    user: (_, { username }, { userByName }) => userByName.load(username.toLowerCase()),
  },
  User: {
    followers: async ({ id }, { first }, { followers }) => ({ nodes: await followers(id, first) }),
    following: async ({ id }, { first }, { following }) => ({ nodes: await following(id, first) }),
    timeline: async ({ id }, { first }, { timeline }) => ({ nodes: await timeline(id, first) }),
  },
  Post: {
    author: (post, _, { userById }) => userById.load(post.author_id),
  },
};

async function serve() {
  const server = new ApolloServer({
    typeDefs,
    resolvers,
    csrfPrevention: false,
    introspection: false,
    plugins: [ApolloServerPluginLandingPageDisabled(), ApolloServerPluginCacheControlDisabled()],
  });
  await startStandaloneServer(server, {
    context: async () => loaders(),
    listen: { host: "127.0.0.1", port: Number(process.env.PORT) },
  });
}

const workers = Number(process.env.WORKERS);
if (cluster.isPrimary && workers > 1) for (let i = 0; i < workers; i++) cluster.fork();
else await serve();
