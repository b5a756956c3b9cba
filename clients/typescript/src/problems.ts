import { type FragmentType, getFragmentData, graphql } from './gql'

/** An expected failure of a mutation, from its `userErrors`. Some types have fields of their own. */
export const Problem = graphql(`
  fragment Problem on UserError {
    code
    message
    path
    ... on TooManyRequestsError {
      retryAfterSeconds
    }
  }
`)

/** The message for the user. A new type of failure in the schema is a type error here. */
export function explain(masked: FragmentType<typeof Problem>): string {
  const problem = getFragmentData(Problem, masked)
  const { message } = problem
  switch (problem.__typename) {
    case 'InvalidInputError':
    case 'TakenError':
      return `${problem.path?.at(-1) ?? 'input'}: ${message}`
    case 'TooManyRequestsError':
      return `${message} Try again in ${problem.retryAfterSeconds} s.`
    case 'NotFoundError':
    case 'SelfTargetError':
    case 'BlockedError':
    case 'FollowLimitError':
    case 'CredentialsError':
    case 'IdempotencyError':
    case 'InvalidTokenError':
    case 'EmailNotVerifiedError':
      return message
    default:
      problem satisfies never
      // A newer server may have more types. Every type has a message.
      return message
  }
}
