import { graphql } from './gql'

export const RepliesPage = graphql(`
  fragment RepliesPage on Post {
    id
    replies(first: $first, after: $after) {
      edges {
        cursor
        node {
          id
          ...PostCard
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`)

/**
 * A post with the posts above it and the replies below it, in the order in which a page shows them:
 * `ancestors` from the oldest on, the post, and the replies from the oldest on.
 */
export const Conversation = graphql(`
  query Conversation($id: ID!, $first: Int = 20, $after: String) {
    node(id: $id) {
      ... on Post {
        id
        ...PostCard
        isReply
        viewerCanReply
        ancestors {
          id
          ...PostCard
        }
        ...RepliesPage
      }
    }
  }
`)
