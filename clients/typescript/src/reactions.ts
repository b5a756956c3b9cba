import type { ApolloClient, TypedDocumentNode } from '@apollo/client'
import { graphql } from './gql'
import type { LikeMutation } from './gql/graphql'

// The cache finds the post by its id, and updates every count and button. The alias `change` gives
// the results of these mutations one type.
export const Like = graphql(`
  mutation Like($postId: ID!) {
    change: like(postId: $postId) {
      changed
      post {
        id
        likesCount
        viewerHasLiked
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

export const Unlike = graphql(`
  mutation Unlike($postId: ID!) {
    change: unlike(postId: $postId) {
      changed
      post {
        id
        likesCount
        viewerHasLiked
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

export const Repost = graphql(`
  mutation Repost($postId: ID!) {
    change: repost(postId: $postId) {
      changed
      post {
        id
        repostsCount
        viewerHasReposted
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

export const Unrepost = graphql(`
  mutation Unrepost($postId: ID!) {
    change: unrepost(postId: $postId) {
      changed
      post {
        id
        repostsCount
        viewerHasReposted
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

type Change = Pick<LikeMutation['change'], 'changed' | 'userErrors'>

/** Executes `Like`, `Unlike`, `Repost` or `Unrepost`. All of them may be repeated safely. */
export async function react(
  client: ApolloClient,
  mutation: TypedDocumentNode<{ readonly change: Change }, { postId: string }>,
  postId: string,
): Promise<Change> {
  const { data } = await client.mutate({ mutation, variables: { postId } })
  return data.change
}
