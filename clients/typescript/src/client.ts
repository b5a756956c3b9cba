import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { relayStylePagination } from '@apollo/client/utilities'
import { OperationTypeNode } from 'graphql'
import { createClient } from 'graphql-ws'
import possible from './gql/possible-types'

declare module '@apollo/client' {
  // Errors throw under the default error policy, so `data` is always defined.
  interface TypeOverrides {
    signatureStyle: 'modern'
  }
}

/**
 * A client for one viewer, or an anonymous client without a token. After a login or a logout,
 * create a new one.
 */
export function newClient(address: string, token?: string): ApolloClient {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const http = new HttpLink({ uri: address, headers })
  const socket = new GraphQLWsLink(
    createClient({
      url: address.replace(/^http/, 'ws'),
      connectionParams: headers,
      // A retry would use the first cursor again. `resuming` subscribes with the last one.
      retryAttempts: 0,
    }),
  )
  return new ApolloClient({
    link: ApolloLink.split(({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION, socket, http),
    cache: newCache(),
  })
}

/** Creates a client for a token, or an anonymous client. */
export type Connect = (token?: string) => ApolloClient

/**
 * Policies for types without an `id`. The cache joins the pages of each list. `Viewer` has no id,
 * because a cache belongs to one viewer. An object with an `id` is stored once and needs no policy.
 */
function newCache(): InMemoryCache {
  return new InMemoryCache({
    possibleTypes: possible.possibleTypes,
    typePolicies: {
      Query: {
        fields: {
          posts: relayStylePagination(),
          searchPosts: relayStylePagination(['query', 'by']),
          users: relayStylePagination(['usernamePrefix']),
        },
      },
      Viewer: {
        keyFields: [],
        fields: {
          bookmarks: relayStylePagination(),
          likes: relayStylePagination(),
          notifications: relayStylePagination(['types']),
        },
      },
      Post: {
        fields: {
          likers: relayStylePagination(),
          replies: relayStylePagination(),
          reposters: relayStylePagination(),
        },
      },
      User: {
        fields: {
          followers: relayStylePagination(),
          following: relayStylePagination(),
          posts: relayStylePagination(),
          timeline: relayStylePagination(),
        },
      },
    },
  })
}
