import type { ApolloCache, ApolloClient, TypedDocumentNode } from '@apollo/client'
import { getFragmentData, graphql } from './gql'
import type { BlockMutation, ProtectMutation, RelationshipChangeFragment, UserBy } from './gql/graphql'

const Protect = graphql(`
  mutation Protect($isProtected: Boolean!) {
    updateProfile(input: { isProtected: $isProtected }) {
      user {
        id
        isProtected
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

/** The lists that only the viewer can read. */
export const PrivateLists = graphql(`
  query PrivateLists {
    viewer {
      followRequests(first: 100) {
        edges {
          requestedAt
          node {
            id
            username
          }
        }
      }
      sentFollowRequests(first: 100) {
        edges {
          requestedAt
          node {
            id
            username
          }
        }
      }
      blockedUsers(first: 100) {
        edges {
          blockedAt
          node {
            id
            username
          }
        }
      }
      mutedUsers(first: 100) {
        edges {
          mutedAt
          node {
            id
            username
          }
        }
      }
    }
  }
`)

// The cache finds the users and the relationship by their ids, and updates buttons and counts.
const RelationshipChange = graphql(`
  fragment RelationshipChange on RelationshipPayload {
    changed
    user {
      id
      followersCount
      followingCount
      viewerCanSee
      ...FollowButton
    }
    viewer {
      user {
        id
        followersCount
        followingCount
      }
    }
    relationship {
      id
      requestedBy
      followedBy
      blocking
      muting
    }
    userErrors {
      ...Problem
    }
  }
`)

// The alias `change` gives the results of these mutations one type.
export const AcceptFollowRequest = graphql(`
  mutation AcceptFollowRequest($user: UserBy!) {
    change: acceptFollowRequest(user: $user) {
      ...RelationshipChange
    }
  }
`)

export const Block = graphql(`
  mutation Block($user: UserBy!) {
    change: block(user: $user) {
      ...RelationshipChange
    }
  }
`)

export const Mute = graphql(`
  mutation Mute($user: UserBy!) {
    change: mute(user: $user) {
      ...RelationshipChange
    }
  }
`)

/** Protects the viewer's account, or ends the protection. */
export async function protect(client: ApolloClient, isProtected: boolean): Promise<ProtectMutation['updateProfile']> {
  const { data } = await client.mutate({ mutation: Protect, variables: { isProtected } })
  return data.updateProfile
}

/** Executes `AcceptFollowRequest`, `Block` or `Mute`. */
export async function changeRelationship(
  client: ApolloClient,
  mutation: TypedDocumentNode<Pick<BlockMutation, 'change'>, { user: UserBy }>,
  user: UserBy,
): Promise<RelationshipChangeFragment> {
  const { data } = await client.mutate({
    mutation,
    variables: { user },
    update(cache, { data }) {
      const change = getFragmentData(RelationshipChange, data?.change)
      if (change?.user && change.viewer) evictLists(cache, change.user, change.viewer.user)
    },
  })
  return getFragmentData(RelationshipChange, data.change)
}

/**
 * Evicts the lists that only the viewer can read, and the follows of `users`. The payloads have no
 * edges to insert into them. A component that shows one of them reads it again.
 */
export function evictLists(cache: ApolloCache, ...users: readonly { readonly id: string }[]): void {
  for (const fieldName of ['followRequests', 'sentFollowRequests', 'blockedUsers', 'mutedUsers'])
    cache.evict({ id: 'Viewer:{}', fieldName })
  for (const { id } of users)
    for (const fieldName of ['followers', 'following']) cache.evict({ id: `User:${id}`, fieldName })
}
