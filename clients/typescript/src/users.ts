import { graphql } from './gql'

/**
 * The state of a follow button. `viewerRelationship` is null on the viewer's own profile and for
 * anonymous viewers. A mutation updates its `isMutual`, because the relationship has an id. An edge
 * has none, so a mutation cannot update the `isMutual` of an edge.
 */
export const FollowButton = graphql(`
  fragment FollowButton on User {
    id
    viewerIsFollowing
    viewerRelationship {
      id
      followState
      isMutual
    }
  }
`)

export const UserRow = graphql(`
  fragment UserRow on User {
    id
    username
    followersCount
    ...FollowButton
  }
`)

export const UserProfile = graphql(`
  fragment UserProfile on User {
    id
    username
    displayName
    isProtected
    viewerCanSee
    followersCount
    followingCount
    ...FollowButton
  }
`)

export const Me = graphql(`
  query Me {
    viewer {
      user {
        ...UserProfile
      }
    }
  }
`)

export const Profile = graphql(`
  query Profile($by: UserBy!) {
    user(by: $by) {
      ...UserProfile
    }
  }
`)

// Pages select edges and not nodes, because `relayStylePagination` joins edges. The length of the
// list is the user's `followersCount` and not `totalCount`, because the cache stores it once: every
// response that has it updates every component.
export const FollowersPage = graphql(`
  fragment FollowersPage on User {
    id
    followers(first: $first, after: $after, last: $last, before: $before) {
      edges {
        cursor
        followedAt
        node {
          id
          ...UserRow
        }
      }
      pageInfo {
        hasNextPage
        hasPreviousPage
        startCursor
        endCursor
      }
    }
  }
`)

export const FollowingPage = graphql(`
  fragment FollowingPage on User {
    id
    following(first: $first, after: $after, last: $last, before: $before) {
      edges {
        cursor
        followedAt
        node {
          id
          ...UserRow
        }
      }
      pageInfo {
        hasNextPage
        hasPreviousPage
        startCursor
        endCursor
      }
    }
  }
`)

export const Followers = graphql(`
  query Followers($by: UserBy!, $first: Int, $after: String, $last: Int, $before: String) {
    user(by: $by) {
      id
      ...FollowersPage
    }
  }
`)

export const Following = graphql(`
  query Following($by: UserBy!, $first: Int, $after: String, $last: Int, $before: String) {
    user(by: $by) {
      id
      ...FollowingPage
    }
  }
`)
