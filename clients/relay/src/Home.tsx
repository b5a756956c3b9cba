import { startTransition, Suspense, useCallback, useEffect, type FormEvent } from "react";
import { graphql, useMutation, usePreloadedQuery, useQueryLoader, type PreloadedQuery } from "react-relay";
import type { HomeLogoutMutation } from "./__generated__/HomeLogoutMutation.graphql";
import type { HomeQuery } from "./__generated__/HomeQuery.graphql";
import { ErrorBoundary } from "./ErrorBoundary";
import { FollowRequests } from "./FollowRequests";
import { Profile } from "./Profile";
import { ProtectButton } from "./ProtectButton";
import { Timeline } from "./Timeline";
import { useHash } from "./useHash";
import { UserCard } from "./UserCard";

const homeQuery = graphql`
  query HomeQuery {
    viewer @required(action: THROW) {
      user {
        ...UserCard_user
        ...ProtectButton_user
        ...Timeline_user
      }
      ...FollowRequests_viewer
    }
  }
`;

export function Home({ onSignOut }: { onSignOut: () => void }) {
  const [query, load] = useQueryLoader<HomeQuery>(homeQuery);
  // A transition shows the previous page until the new one has loaded.
  const read = useCallback(() => startTransition(() => load({}, { fetchPolicy: "network-only" })), [load]);
  useEffect(read, [read]);
  return (
    <>
      <Header onSignOut={onSignOut} />
      {query && <Columns query={query} onReload={read} />}
    </>
  );
}

function Columns({ query, onReload }: { query: PreloadedQuery<HomeQuery>; onReload: () => void }) {
  const { viewer } = usePreloadedQuery<HomeQuery>(homeQuery, query);
  const { user } = viewer;
  const username = useHash();
  return (
    <div className="columns">
      <main>
        {/* With the key, a timeline that was read again starts a new stream at its own cursor. */}
        <Timeline key={query.fetchKey} user={user} onReload={onReload} />
      </main>
      <aside>
        <section aria-label="You">
          <UserCard user={user} />
          <ProtectButton user={user} />
          <FollowRequests viewer={viewer} />
        </section>
        {username && (
          <ErrorBoundary key={username}>
            <Suspense fallback={<p className="quiet">Loading…</p>}>
              <Profile username={username} />
            </Suspense>
          </ErrorBoundary>
        )}
      </aside>
    </div>
  );
}

function Header({ onSignOut }: { onSignOut: () => void }) {
  const [logout] = useMutation<HomeLogoutMutation>(graphql`
    mutation HomeLogoutMutation {
      logout {
        changed
      }
    }
  `);

  function find(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    location.hash = encodeURIComponent(String(new FormData(event.currentTarget).get("username")));
    event.currentTarget.reset();
  }

  return (
    <header>
      <h1>Rookery</h1>
      <form role="search" onSubmit={find}>
        <input name="username" aria-label="Find a user" placeholder="Find a user" required />
      </form>
      <button onClick={() => logout({ variables: {}, onCompleted: onSignOut, onError: onSignOut })}>Log out</button>
    </header>
  );
}
