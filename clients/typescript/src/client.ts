import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { relayStylePagination } from '@apollo/client/utilities'
import { OperationTypeNode } from 'graphql'
import { createClient } from 'graphql-ws'
import possible from './gql/possible-types'

declare module '@apollo/client' {
  // The types of results follow the error policy: as errors throw, `data` is always there.
  interface TypeOverrides {
    signatureStyle: 'modern'
  }
}

/** A client for one viewer; without a token, for nobody. After a login or a logout, make a new one. */
export function newClient(address: string, token?: string): ApolloClient {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const http = new HttpLink({ uri: address, headers })
  const socket = new GraphQLWsLink(
    createClient({
      url: address.replace(/^http/, 'ws'),
      connectionParams: headers,
      // It would subscribe again with the cursor it had at first; `watchTimeline` goes on from the last event.
      retryAttempts: 0,
    }),
  )
  return new ApolloClient({
    link: ApolloLink.split(({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION, socket, http),
    cache: newCache(),
  })
}

/** `newClient`, of one service; or another function that makes clients. */
export type Connect = (token?: string) => ApolloClient

/**
 * Whatever has an `id` is stored once and needs no word here. This is about the rest: lists, whose pages become one,
 * and the viewer, who has no id because there is only one in a cache.
 */
function newCache(): InMemoryCache {
  return new InMemoryCache({
    possibleTypes: possible.possibleTypes,
    typePolicies: {
      Query: { fields: { posts: relayStylePagination(), users: relayStylePagination(['usernamePrefix']) } },
      Viewer: { keyFields: [], fields: { bookmarks: relayStylePagination() } },
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
