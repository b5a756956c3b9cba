import { useEffect, useRef, useState } from "react";
import { graphql, useLazyLoadQuery } from "react-relay";
import type { ProfileQuery } from "./__generated__/ProfileQuery.graphql";
import { Followers } from "./Followers";
import { RelationshipButtons } from "./RelationshipButtons";
import { UserCard } from "./UserCard";

export function Profile({ username }: { username: string }) {
  const [fetchKey, setFetchKey] = useState(0);
  const { user } = useLazyLoadQuery<ProfileQuery>(
    graphql`
      query ProfileQuery($username: String!) {
        user(by: { username: $username }) {
          viewerCanSee
          ...UserCard_user
          ...RelationshipButtons_user
          ...Followers_user @arguments(first: 2)
        }
      }
    `,
    { username },
    { fetchPolicy: "store-and-network", fetchKey },
  );

  // The lists are empty while the viewer may not see them, so they are read again after that.
  const viewerCanSee = user?.viewerCanSee;
  const previous = useRef(viewerCanSee);
  useEffect(() => {
    if (viewerCanSee && previous.current === false) setFetchKey((key) => key + 1);
    previous.current = viewerCanSee;
  }, [viewerCanSee]);

  if (!user) return <p role="alert">There is no user {username}.</p>;
  return (
    <section aria-label={`Profile of ${username}`}>
      <UserCard user={user} />
      <RelationshipButtons user={user} />
      {user.viewerCanSee ? (
        <Followers user={user} />
      ) : (
        <p className="card quiet">Only followers see the posts and lists of {username}.</p>
      )}
    </section>
  );
}
