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

export interface Account {
  readonly id: string
  readonly username: string
  readonly token: string
}

/** Creates an account and its first session. Throws the message of a user error. */
export async function register(
  connect: Connect,
  username: string,
  email: string,
): Promise<Account> {
  const input = { username, email, password: 'correct horse battery' }
  const { data } = await connect().mutate({ mutation: Register, variables: { input } })
  const { token, viewer, userErrors } = data.register
  if (token === null || viewer === null) throw new Error(userErrors.map(explain).join(' '))
  return { ...viewer.user, token }
}
