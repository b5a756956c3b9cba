import { graphql } from './gql'

/**
 * What a follow button shows: absent on oneself and for anonymous viewers. `isMutual` is the relationship's, which has an
 * id; a cached edge of a list has none, so a follow cannot reach the `isMutual` there.
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

// Pages are of edges, not of nodes: `relayStylePagination` joins these. And their length is the user's
// `followersCount`, not `totalCount`: the former has one place in the cache, so whatever brings it updates all.
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
