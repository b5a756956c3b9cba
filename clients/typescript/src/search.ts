import { graphql } from './gql'

/**
 * Posts by their words, and users by the beginnings of their names. `query` is what the user has
 * typed. When it changes, start again without `after`: a cursor belongs to its query.
 */
export const Search = graphql(`
  query Search($query: String!, $by: UserBy, $first: Int = 20, $after: String) {
    searchPosts(query: $query, by: $by, first: $first, after: $after) {
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
    searchUsers(query: $query, first: 5) {
      id
      displayName
      ...UserRow
    }
  }
`)
