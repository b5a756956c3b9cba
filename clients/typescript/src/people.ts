import type { ApolloClient } from '@apollo/client'
import type { Connect } from './client'
import { graphql } from './gql'
import { explain } from './problems'

const Register = graphql(`
  mutation Register($input: RegisterInput!) {
    register(input: $input) {
      token
      viewer {
        user {
          id
          username
        }
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

export interface Person {
  readonly id: string
  readonly username: string
  readonly token: string
  /** Their client, with a cache of their own. */
  readonly client: ApolloClient
}

/** Makes an account and signs in; the name is a random one that begins so. */
export function meet(connect: Connect, name: string): Promise<Person> {
  return register(connect, `${name}_${Math.random().toString(36).slice(2, 10)}`)
}

export async function register(connect: Connect, username: string): Promise<Person> {
  const input = { username, email: `${username}@example.com`, password: 'correct horse battery' }
  const { data } = await connect().mutate({ mutation: Register, variables: { input } })
  const { token, viewer, userErrors } = data.register
  if (token === null || viewer === null) throw new Error(userErrors.map(explain).join(' '))
  return { ...viewer.user, token, client: connect(token) }
}
