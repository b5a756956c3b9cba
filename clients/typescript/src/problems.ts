import { type FragmentType, getFragmentData, graphql } from './gql'

/** Every mutation has `userErrors { ...Problem }`: expected failures, each of a type that says what more there is. */
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

/** What to say to the person at the screen. A new type of failure in the schema is a type error here. */
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
    case 'FollowLimitError':
    case 'CredentialsError':
      return message
    default:
      problem satisfies never
      // An older client meets a newer service: the message is good enough for people.
      return message
  }
}
