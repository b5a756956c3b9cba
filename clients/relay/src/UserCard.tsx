import { graphql, useFragment } from "react-relay";
import type { UserCard_user$key } from "./__generated__/UserCard_user.graphql";
import { FollowButton } from "./FollowButton";

export function UserCard({ user }: { user: UserCard_user$key }) {
  const data = useFragment(
    graphql`
      fragment UserCard_user on User {
        username
        displayName
        isProtected
        viewerCanSee
        postsCount
        followingCount
        followersCount
        ...FollowButton_user
      }
    `,
    user,
  );
  return (
    <div className="card">
      <h2>
        <a href={`#${data.username}`}>{data.displayName ?? data.username}</a>
        {data.isProtected && <span className="quiet">protected</span>}
        <FollowButton user={data} />
      </h2>
      <dl>
        <Count name="Posts" value={data.postsCount} />
        <Count name="Following" value={data.followingCount} />
        <Count name="Followers" value={data.followersCount} />
      </dl>
    </div>
  );
}

function Count({ name, value }: { name: string; value: number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd aria-label={name}>{value}</dd>
    </div>
  );
}
