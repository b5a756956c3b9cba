import { graphql, useLazyLoadQuery } from "react-relay";
import type { ProfileQuery } from "./__generated__/ProfileQuery.graphql";
import { Followers } from "./Followers";
import { UserCard } from "./UserCard";

export function Profile({ username }: { username: string }) {
  const { user } = useLazyLoadQuery<ProfileQuery>(
    graphql`
      query ProfileQuery($username: String!) {
        user(by: { username: $username }) {
          ...UserCard_user
          ...Followers_user @arguments(first: 2)
        }
      }
    `,
    { username },
    { fetchPolicy: "store-and-network" },
  );
  if (!user) return <p role="alert">There is no user {username}.</p>;
  return (
    <section aria-label={`Profile of ${username}`}>
      <UserCard user={user} />
      <Followers user={user} />
    </section>
  );
}
