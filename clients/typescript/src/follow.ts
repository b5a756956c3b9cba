import type { ApolloClient } from '@apollo/client'
import { graphql } from './gql'
import type { FollowMutation, UnfollowMutation, UserBy } from './gql/graphql'
import { prepend, remove } from './pages'
import { evictLists } from './relationship'
import { FollowersPage, FollowingPage } from './users'

// The cache finds the users and the relationship by their ids, and updates every component that
// shows them. It cannot know which lists have a new entry: `update` inserts the edges. A request to
// follow a protected user has no edges.
const Follow = graphql(`
  mutation Follow($user: UserBy!) {
    follow(user: $user) {
      changed
      user {
        id
        followersCount
        viewerIsFollowing
        viewerCanSee
      }
      follower {
        id
        followingCount
      }
      relationship {
        id
        followState
        isMutual
      }
      followerEdge {
        cursor
        followedAt
        node {
          id
          ...UserRow
        }
      }
      followingEdge {
        cursor
        followedAt
        node {
          id
          ...UserRow
        }
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

const Unfollow = graphql(`
  mutation Unfollow($user: UserBy!) {
    unfollow(user: $user) {
      changed
      user {
        id
        followersCount
        viewerIsFollowing
        viewerCanSee
      }
      follower {
        id
        followingCount
      }
      relationship {
        id
        followState
        isMutual
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

const followers = { fragment: FollowersPage, fragmentName: 'FollowersPage' }
const following = { fragment: FollowingPage, fragmentName: 'FollowingPage' }

export async function follow(client: ApolloClient, user: UserBy): Promise<FollowMutation['follow']> {
  const { data } = await client.mutate({
    mutation: Follow,
    variables: { user },
    update(cache, { data }) {
      if (!data?.follow.changed) return
      const { user, follower, followerEdge, followingEdge } = data.follow
      if (!user || !follower || !followerEdge || !followingEdge) return evictLists(cache)
      cache.updateFragment(
        { from: user, ...followers },
        (cached) => cached && { ...cached, followers: prepend(cached.followers, followerEdge) },
      )
      cache.updateFragment(
        { from: follower, ...following },
        (cached) => cached && { ...cached, following: prepend(cached.following, followingEdge) },
      )
    },
  })
  return data.follow
}

export async function unfollow(client: ApolloClient, user: UserBy): Promise<UnfollowMutation['unfollow']> {
  const { data } = await client.mutate({
    mutation: Unfollow,
    variables: { user },
    update(cache, { data }) {
      if (!data?.unfollow.changed) return
      const { user, follower } = data.unfollow
      if (!user || !follower) return
      evictLists(cache)
      cache.updateFragment(
        { from: user, ...followers },
        (cached) => cached && { ...cached, followers: remove(cached.followers, follower.id) },
      )
      cache.updateFragment(
        { from: follower, ...following },
        (cached) => cached && { ...cached, following: remove(cached.following, user.id) },
      )
    },
  })
  return data.unfollow
}
